//! The cluster as a picture: from those who use the API through the balancers to the control planes and etcd, workers beside.
//! Every host is in it, coloured by its gravest effect; where there are many of a role they are a grid of small squares.

use std::sync::Arc;

use super::names::{Names, in_order, plural, state};
use crate::diff::change::{ClusterDiff, HostDiff, Presence};
use crate::snapshot::OPERATOR;

/// The picture. All lengths are in its own units.
pub struct Topology {
    /// Height; the width is 1080.
    pub height: usize,
    /// From top to bottom.
    pub lanes: Vec<Lane>,
    /// Single boxes that are no hosts.
    pub places: Vec<Place>,
    /// Who talks to whom.
    pub arrows: Vec<Arrow>,
    /// The operator's bundle, if it is compared.
    pub operator: Option<Tile>,
}

/// Hosts of a role.
pub struct Lane {
    /// Top.
    pub y: usize,
    /// Height.
    pub height: usize,
    /// Where its title is.
    pub middle: usize,
    /// The role.
    pub title: String,
    /// How many change.
    pub note: String,
    /// Few hosts.
    pub boxes: Vec<Tile>,
    /// Many hosts.
    pub tiles: Vec<Tile>,
}

/// A host.
pub struct Tile {
    /// Left.
    pub x: usize,
    /// Top.
    pub y: usize,
    /// FQDN.
    pub name: Arc<str>,
    /// The first label.
    pub short: String,
    /// The rest.
    pub rest: String,
    /// In words.
    pub state: String,
    /// The gravest effect, `same` for a host that does not change.
    pub class: &'static str,
    /// On which sides it is.
    pub presence: &'static str,
    /// Its row.
    pub id: String,
    /// Everything, in words.
    pub title: String,
}

/// A box that is no host.
pub struct Place {
    /// Top.
    pub y: usize,
    /// What it is.
    pub text: String,
}

/// From top to bottom, or along the side.
pub struct Arrow {
    /// The path's data.
    pub d: String,
    /// Where its word is.
    pub x: usize,
    /// Where its word is.
    pub y: usize,
    /// What goes along it.
    pub text: &'static str,
}

/// The band's left edge and width; the picture is 1080 wide and the rest on the right is for the workers' way up.
const LEFT: usize = 150;
const WIDTH: usize = 880;
const CENTER: usize = LEFT + WIDTH / 2;
const PAD: usize = 14;
const BOX: (usize, usize) = (202, 62);
const GAP: usize = 14;
const COLUMNS: usize = 4;
/// A square and what separates it from the next.
const PITCH: usize = 17;
const ARROW: usize = 44;
/// More hosts of a role than this are squares.
const BOXES: usize = 12;
/// The lengths above, where the drawing needs them.
pub const PLACE_HEIGHT: usize = 34;

/// The lane of a host: the first of these that is among its roles.
const LANES: [(&str, &str); 4] = [
    ("load-balancer", "Load balancers"),
    ("control-plane", "Control planes"),
    ("etcd", "etcd"),
    ("worker", "Workers"),
];

pub fn topology(cluster: &ClusterDiff, names: &Names) -> Topology {
    let mut picture =
        Topology { height: 0, lanes: Vec::new(), places: Vec::new(), arrows: Vec::new(), operator: None };
    let mut y = 4;
    let place = |picture: &mut Topology, y: &mut usize, text: &str| {
        picture.places.push(Place { y: *y, text: text.to_owned() });
        *y += PLACE_HEIGHT;
    };
    let down = |picture: &mut Topology, y: &mut usize, text: &'static str| {
        let d = format!("M{CENTER} {}V{}", *y + 3, *y + ARROW - 4);
        picture.arrows.push(Arrow { d, x: CENTER + 10, y: *y + ARROW / 2 + 4, text });
        *y += ARROW;
    };
    let lane_of = |h: &HostDiff| LANES.iter().position(|(role, _)| h.roles.iter().any(|r| r == role));
    let hosts = in_order(&cluster.hosts);
    let of = |at: usize| -> Vec<&HostDiff> {
        hosts.iter().copied().filter(|h| &*h.name != OPERATOR && lane_of(h) == Some(at)).collect()
    };
    let [balancers, control, etcd, workers] = [of(0), of(1), of(2), of(3)];
    place(&mut picture, &mut y, "users of the API");
    down(&mut picture, &mut y, "TLS");
    let endpoint = y + PLACE_HEIGHT / 2;
    place(&mut picture, &mut y, if balancers.is_empty() { "API endpoint" } else { "API endpoint (VIP)" });
    for (at, hosts, before) in [
        (0, balancers, "one of them has the VIP"),
        (1, control, "to every API server"),
        (2, etcd, "each to every member"),
    ] {
        if !hosts.is_empty() {
            down(&mut picture, &mut y, before);
            lane(&mut picture, &mut y, LANES[at].0, LANES[at].1, &hosts, names);
        }
    }
    if !workers.is_empty() {
        y += 26;
        let top = y;
        lane(&mut picture, &mut y, LANES[3].0, LANES[3].1, &workers, names);
        // Along the right side, up to the endpoint.
        let (from, right) = ((top + y) / 2, LEFT + WIDTH + 22);
        let d = format!("M{} {from}H{right}V{endpoint}H{}", LEFT + WIDTH + 3, CENTER + 134);
        picture.arrows.push(Arrow { d, x: CENTER + 150, y: endpoint - 8, text: "kubelets, kube-proxy" });
    }
    let other: Vec<&HostDiff> =
        cluster.hosts.iter().filter(|h| &*h.name != OPERATOR && lane_of(h).is_none()).collect();
    if !other.is_empty() {
        y += 26;
        lane(&mut picture, &mut y, "", "Other hosts", &other, names);
    }
    picture.operator = cluster.hosts.iter().find(|h| &*h.name == OPERATOR).map(|h| tile(h, "", 4, 4, names));
    picture.height = y + 4;
    picture
}

fn lane(picture: &mut Topology, y: &mut usize, role: &str, title: &str, hosts: &[&HostDiff], names: &Names) {
    let changed = hosts.iter().filter(|h| h.presence != Presence::Unchanged).count();
    let note = match (hosts.len(), changed) {
        (_, 0) => "unchanged".to_owned(),
        (1, _) => "changes".to_owned(),
        (2, 2) => "both change".to_owned(),
        (all, n) if all == n => format!("all {n} change"),
        (all, n) => format!("{n} of {all} change"),
    };
    let top = *y;
    let (mut boxes, mut tiles) = (Vec::new(), Vec::new());
    let inner = if hosts.len() <= BOXES {
        // Five are three and two, not four and one.
        let rows = hosts.len().div_ceil(COLUMNS);
        let columns = hosts.len().div_ceil(rows);
        for (row, chunk) in hosts.chunks(columns).enumerate() {
            let width = chunk.len() * BOX.0 + (chunk.len() - 1) * GAP;
            for (column, host) in chunk.iter().enumerate() {
                let x = CENTER - width / 2 + column * (BOX.0 + GAP);
                boxes.push(tile(host, role, x, top + PAD + row * (BOX.1 + GAP), names));
            }
        }
        rows * BOX.1 + (rows - 1) * GAP
    } else {
        let columns = (WIDTH - 2 * PAD) / PITCH;
        for (n, host) in hosts.iter().enumerate() {
            let (row, column) = (n / columns, n % columns);
            tiles.push(tile(host, role, LEFT + PAD + column * PITCH, top + PAD + row * PITCH, names));
        }
        hosts.len().div_ceil(columns) * PITCH
    };
    let height = inner + 2 * PAD;
    let title = if hosts.len() > BOXES { plural(hosts.len(), role) } else { title.to_owned() };
    picture.lanes.push(Lane { y: top, height, middle: top + height / 2, title, note, boxes, tiles });
    *y += height;
}

fn tile(host: &HostDiff, lane: &str, x: usize, y: usize, names: &Names) -> Tile {
    let (short, rest) = match host.name.split_once('.') {
        Some((short, rest)) => (short, format!(".{rest}")),
        None if &*host.name == OPERATOR => ("operator's bundle", "at the bastion".to_owned()),
        None => (&*host.name, String::new()),
    };
    let class = match host.presence {
        Presence::Unchanged => "same",
        _ => host.effect.as_str(),
    };
    let word = match host.presence {
        Presence::Unchanged => "unchanged".to_owned(),
        Presence::Changed if class == "none" => "changed".to_owned(),
        Presence::Changed => class.to_owned(),
        other => state(other).to_owned(),
    };
    let also: Vec<&str> = host.roles.iter().map(String::as_str).filter(|r| *r != lane).collect();
    let more = if also.is_empty() || lane.is_empty() {
        String::new()
    } else {
        format!(", also {}", also.join(", "))
    };
    Tile {
        x,
        y,
        name: host.name.clone(),
        short: cut(short),
        rest: cut(&rest),
        title: format!("{}: {word}{more} {}", host.name, host.addresses.join(", ")).trim_end().to_owned(),
        state: format!("{word}{more}"),
        class,
        presence: state(host.presence),
        id: names.id(&host.name),
    }
}

/// What fits into a box; the whole name is in the title and in the table.
fn cut(text: &str) -> String {
    match text.char_indices().nth(24) {
        Some(_) => text.chars().take(23).chain(['\u{2026}']).collect(),
        None => text.to_owned(),
    }
}
