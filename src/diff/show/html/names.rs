//! Hosts by name: as a list where they are spoken of, as a named list further down where there are many, as a table.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::diff::change::{ClusterDiff, HostDiff, Presence};
use crate::diff::show::layout::count;
use crate::snapshot::OPERATOR;

/// Up to this many hosts are listed without folding.
const OPEN: usize = 5;
/// Longer lists are written once per report, however often they are spoken of.
const IN_PLACE: usize = 24;

/// Some hosts, where they are spoken of.
pub struct Hosts {
    /// In words: `all 3 etcd`.
    pub label: String,
    /// Whether the list is folded.
    pub fold: bool,
    /// Each, unless they are in `set`.
    pub list: Vec<HostLink>,
    /// The id of the list further down.
    pub set: Option<String>,
}

/// One host.
pub struct HostLink {
    /// FQDN.
    pub name: Arc<str>,
    /// The id of its row.
    pub id: String,
}

/// A list that is written once.
pub struct Set {
    /// What it is linked by.
    pub id: String,
    /// In words.
    pub label: String,
    /// FQDNs.
    pub hosts: Vec<Arc<str>>,
}

/// A row of the table.
pub struct HostRow {
    /// What it is linked by.
    pub id: String,
    /// FQDN.
    pub name: Arc<str>,
    /// In words.
    pub roles: String,
    /// In words.
    pub addresses: String,
    /// `changed`, `new`, …
    pub state: &'static str,
    /// The gravest effect.
    pub class: &'static str,
    /// How many changes it is named in, without minor ones.
    pub changes: usize,
    /// The rollout's steps that touch it.
    pub steps: String,
}

/// Knows every host of a cluster, and gives names to lists.
pub struct Names {
    key: String,
    roles: BTreeMap<Arc<str>, Vec<String>>,
    totals: BTreeMap<String, usize>,
    total: usize,
    sets: Vec<Set>,
    known: BTreeMap<Vec<Arc<str>>, usize>,
}

impl Names {
    pub fn new(key: &str, cluster: &ClusterDiff) -> Names {
        let mut totals: BTreeMap<String, usize> = BTreeMap::new();
        for role in cluster.hosts.iter().flat_map(|h| &h.roles) {
            *totals.entry(role.clone()).or_default() += 1;
        }
        Names {
            key: key.to_owned(),
            roles: cluster.hosts.iter().map(|h| (h.name.clone(), h.roles.clone())).collect(),
            totals,
            total: cluster.hosts.iter().filter(|h| &*h.name != OPERATOR).count(),
            sets: Vec::new(),
            known: BTreeMap::new(),
        }
    }

    /// What a host's row is linked by.
    pub fn id(&self, host: &str) -> String {
        format!("{}-host-{}", self.key, slug(host))
    }

    /// A list of hosts; sorted, without doubles.
    pub fn list(&mut self, hosts: &[Arc<str>]) -> Hosts {
        let label = self.label(hosts);
        let mut hosts = hosts.to_vec();
        hosts.sort_by_cached_key(|h| natural(h));
        if hosts.len() <= IN_PLACE {
            let list = hosts.iter().map(|h| HostLink { name: h.clone(), id: self.id(h) }).collect();
            return Hosts { label, fold: hosts.len() > OPEN, list, set: None };
        }
        let at = match self.known.get(&hosts) {
            Some(at) => *at,
            None => {
                let at = self.sets.len();
                let id = format!("{}-hosts-{}", self.key, at + 1);
                self.sets.push(Set { id, label: label.clone(), hosts: hosts.clone() });
                self.known.insert(hosts, at);
                at
            }
        };
        Hosts { label, fold: true, list: Vec::new(), set: self.sets.get(at).map(|s| s.id.clone()) }
    }

    /// In words, short: `all 3 etcd`, `2 of 1000 worker`, `5 hosts`.
    pub fn label(&self, hosts: &[Arc<str>]) -> String {
        if let [one] = hosts {
            return match &**one {
                OPERATOR => "the operator's bundle".to_owned(),
                name => name.to_owned(),
            };
        }
        let real = hosts.iter().filter(|h| &***h != OPERATOR).count();
        let and = if real < hosts.len() { " and the operator's bundle" } else { "" };
        if real == self.total {
            return format!("{}{and}", every(count(real, "host")));
        }
        let mut roles: BTreeMap<&[String], usize> = BTreeMap::new();
        for host in hosts.iter().filter(|h| &***h != OPERATOR) {
            *roles.entry(self.roles.get(host).map_or(&[], Vec::as_slice)).or_default() += 1;
        }
        match roles.into_iter().collect::<Vec<_>>().as_slice() {
            [([role], n)] => match self.totals.get(role) {
                Some(total) if total == n && *n == 1 => format!("the {role}{and}"),
                Some(total) if total == n => format!("{}{and}", every(plural(*n, role))),
                Some(total) => format!("{n} of {}{and}", plural(*total, role)),
                None => format!("{}{and}", count(real, "host")),
            },
            _ => format!("{}{and}", count(real, "host")),
        }
    }

    /// The lists that were spoken of.
    pub fn sets(self) -> Vec<Set> {
        self.sets
    }

    /// All hosts.
    pub fn rows(&self, cluster: &ClusterDiff) -> Vec<HostRow> {
        let mut changes: BTreeMap<&str, usize> = BTreeMap::new();
        for host in cluster.changes.iter().filter(|c| !c.minor).flat_map(|c| &c.hosts) {
            *changes.entry(host).or_default() += 1;
        }
        let mut steps: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
        for step in &cluster.rollout.steps {
            for host in &step.hosts {
                steps.entry(host).or_default().insert(step.number);
            }
        }
        let row = |h: &HostDiff| HostRow {
            id: self.id(&h.name),
            name: h.name.clone(),
            roles: h.roles.join(", "),
            addresses: h.addresses.join(", "),
            state: state(h.presence),
            class: h.effect.as_str(),
            changes: changes.get(&*h.name).copied().unwrap_or(0),
            steps: steps.get(&*h.name).map(numbers).unwrap_or_default(),
        };
        in_order(&cluster.hosts).into_iter().map(row).collect()
    }
}

/// `3 workers`; `etcd` stays.
pub fn plural(n: usize, role: &str) -> String {
    match role {
        "etcd" => format!("{n} etcd {}", if n == 1 { "member" } else { "members" }),
        role => count(n, &role.replace('-', " ")),
    }
}

/// As a person counts: `w2` before `w10`. Numbers of the same size are compared by their digits.
fn natural(name: &str) -> Vec<(usize, String)> {
    let mut parts: Vec<(usize, String)> = Vec::new();
    for c in name.chars() {
        let digit = usize::from(c.is_ascii_digit());
        match parts.last_mut() {
            Some((length, part)) if (*length > 0) == (digit > 0) => {
                *length += digit;
                part.push(c);
            }
            _ => parts.push((digit, c.to_string())),
        }
    }
    parts
}

/// Hosts as a person counts them, the operator's bundle last.
pub fn in_order(hosts: &[HostDiff]) -> Vec<&HostDiff> {
    let mut hosts: Vec<&HostDiff> = hosts.iter().collect();
    hosts.sort_by_cached_key(|h| (&*h.name == OPERATOR, natural(&h.name)));
    hosts
}

/// `all 3 hosts`, `both hosts`.
pub fn every(counted: String) -> String {
    match counted.strip_prefix("2 ") {
        Some(of) => format!("both {of}"),
        None => format!("all {counted}"),
    }
}

/// The word for it.
pub fn state(presence: Presence) -> &'static str {
    match presence {
        Presence::Unchanged => "unchanged",
        Presence::Changed => "changed",
        Presence::Added => "new",
        Presence::Removed => "gone",
        Presence::Retired => "leaves",
    }
}

/// Numbers in order, runs as ranges: `1–3, 7`.
pub fn numbers(all: &BTreeSet<usize>) -> String {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for n in all {
        match runs.last_mut() {
            Some((_, end)) if *end + 1 == *n => *end = *n,
            _ => runs.push((*n, *n)),
        }
    }
    let shown = runs.iter().map(|(a, b)| match b - a {
        0 => a.to_string(),
        1 => format!("{a}, {b}"),
        _ => format!("{a}\u{2013}{b}"),
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// Text as a part of an id.
pub fn slug(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' })
        .collect()
}
