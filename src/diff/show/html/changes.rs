//! What changes where: by gravity, then by file, each with its hosts, values and effects.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::names::{Hosts, Names};
use super::values::{self, Line, Pair};
use crate::diff::change::{Change, Class, ClusterDiff, Each, Effect, What};
use crate::diff::show::layout::{self, count};
use crate::snapshot::OPERATOR;

/// Files whose gravest effect is the same.
pub struct Section {
    /// The effect.
    pub class: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// By name.
    pub files: Vec<FileView>,
    /// Whether nothing in it matters by itself.
    pub minor: bool,
}

/// A file's changes.
pub struct FileView {
    /// Stable from one comparison to the next, so that a link goes on to mean the same file.
    pub id: String,
    /// The file, or what happens to whole hosts.
    pub title: String,
    /// Whether `title` is a path.
    pub is_path: bool,
    /// Where the file is, in words.
    pub place: &'static str,
    /// How many changes count.
    pub tally: String,
    /// In words.
    pub label: String,
    /// Those of all of its changes; told here if each change has the same.
    pub hosts: Option<Hosts>,
    /// Every effect once.
    pub effects: Vec<EffectView>,
    /// Gravest first.
    pub changes: Vec<ChangeView>,
    /// Whether it is unfolded at first.
    pub open: bool,
    /// Whether nothing in it matters by itself.
    pub minor: bool,
}

/// What comes of changes.
#[derive(PartialEq, Eq)]
pub struct EffectView {
    /// The word.
    pub class: &'static str,
    /// What it happens to.
    pub to: String,
    /// Why.
    pub reason: String,
    /// The rule.
    pub rule: &'static str,
}

/// One change.
pub struct ChangeView {
    /// Stable.
    pub id: String,
    /// `+`, `−` or `~`.
    pub sign: &'static str,
    /// The field, or what happened.
    pub title: String,
    /// Whether `title` is a field.
    pub is_field: bool,
    /// Values.
    pub pair: Option<Pair>,
    /// Lines.
    pub patch: Vec<Line>,
    /// More than this many lines are folded.
    pub fold: bool,
    /// More, in words.
    pub note: String,
    /// Where they are not the file's.
    pub hosts: Option<Hosts>,
    /// Where they are not the file's.
    pub effects: Vec<EffectView>,
    /// Values of single hosts.
    pub each: Option<EachView>,
    /// Follows from another.
    pub minor: bool,
}

/// Values of single hosts.
pub struct EachView {
    /// How many, in words.
    pub label: String,
    /// Whether the file's name is told.
    pub files: bool,
    /// Whether values are told.
    pub values: bool,
    /// By host.
    pub rows: Vec<Each>,
}

/// With more files than this, and of a file with more changes than that, only the gravest are unfolded at first.
const FILES: usize = 40;
const CHANGES: usize = 12;
/// Longer patches are folded.
const PATCH: usize = 60;

/// By gravity, gravest first.
pub fn sections(key: &str, cluster: &ClusterDiff, names: &mut Names) -> Vec<Section> {
    let mut files: BTreeMap<(&str, &str), Vec<&Change>> = BTreeMap::new();
    for change in &cluster.changes {
        let kind = if change.file.is_empty() { kind(&change.what) } else { "" };
        files.entry((&change.file, kind)).or_default().push(change);
    }
    let total = files.len();
    let mut by_class: BTreeMap<Class, Vec<FileView>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for ((file, kind), changes) in files {
        let class = changes.iter().map(|c| c.class()).max().unwrap_or(Class::None);
        let open = class >= Class::Recreate
            || (class >= Class::Reload && total <= FILES && changes.len() <= CHANGES);
        by_class.entry(class).or_default().push(view(key, file, kind, &changes, open, names, &mut seen));
    }
    by_class
        .into_iter()
        .rev()
        .map(|(class, mut files)| {
            // What follows from something else comes last.
            files.sort_by_key(|f| f.minor);
            Section {
                class: class.as_str(),
                meaning: meaning(class),
                minor: files.iter().all(|f| f.minor),
                files,
            }
        })
        .collect()
}

/// What a class of effects means, for those who see the report for the first time.
pub fn meaning(class: Class) -> &'static str {
    match class {
        Class::None => "Nothing that runs notices.",
        Class::Inert => "Read once, when the host or the cluster was made; nothing reads it again.",
        Class::Reload => "A unit reads its files again and goes on serving.",
        Class::Restart => "A unit stops and starts.",
        Class::Reissue => "A certificate or a key is another one.",
        Class::Reconfigure => "Installing is not enough: a procedure brings it into the running cluster.",
        Class::Recreate => "Cannot be changed once the cluster or the member was made.",
        Class::Destructive => "Loses a member, data, or access.",
    }
}

fn kind(what: &What) -> &'static str {
    match what {
        What::HostAdded { .. } => "New hosts",
        What::HostRemoved { .. } => "Hosts that are gone",
        What::HostRetired { .. } => "Hosts that leave",
        _ => "Hosts",
    }
}

fn view(
    key: &str,
    file: &str,
    kind: &str,
    changes: &[&Change],
    open: bool,
    names: &mut Names,
    seen: &mut BTreeSet<String>,
) -> FileView {
    let union: Vec<Arc<str>> =
        changes.iter().flat_map(|c| &c.hosts).cloned().collect::<BTreeSet<_>>().into_iter().collect();
    let same_hosts = changes.iter().all(|c| c.hosts == union);
    let all = effects(&changes.iter().flat_map(|c| &c.effects).collect::<Vec<_>>());
    let main: Vec<&&Change> = changes.iter().filter(|c| !c.minor).collect();
    let counted = main.len().max(usize::from(main.is_empty()) * changes.len());
    let only_operator = union.len() == 1 && union.iter().all(|h| &**h == OPERATOR);
    let views = changes
        .iter()
        .map(|c| {
            let own = effects(&c.effects.iter().collect::<Vec<_>>());
            let told = own == all || own.iter().all(|e| e.class == "none");
            ChangeView {
                hosts: (!same_hosts).then(|| names.list(&c.hosts)),
                effects: if told { Vec::new() } else { own },
                ..change(&unique(seen, id(key, &[file, &format!("{:?}", c.what)])), c)
            }
        })
        .collect();
    FileView {
        id: unique(seen, id(key, &[file, kind])),
        title: if file.is_empty() { kind.to_owned() } else { file.to_owned() },
        is_path: !file.is_empty(),
        place: match file {
            "" => "",
            _ if file.starts_with('/') => "on the host",
            _ if only_operator => "in the operator's bundle",
            _ => "in the bundle",
        },
        tally: match changes.len() - main.len() {
            0 => count(counted, "change"),
            _ if main.is_empty() => format!("{} that follow from others", count(counted, "change")),
            more => format!("{} and {more} that follow", count(counted, "change")),
        },
        label: names.label(&union),
        hosts: same_hosts.then(|| names.list(&union)),
        effects: all,
        changes: views,
        open,
        minor: main.is_empty(),
    }
}

/// Without doubles, gravest first; `none` says nothing beside something else.
fn effects(all: &[&Effect]) -> Vec<EffectView> {
    let mut all = all.to_vec();
    all.sort_by(|a, b| b.cmp(a));
    all.dedup();
    if all.iter().any(|e| e.class > Class::None) {
        all.retain(|e| e.class > Class::None);
    }
    all.into_iter()
        .map(|e| EffectView {
            class: e.class.as_str(),
            to: match (&e.unit, &e.procedure) {
                (Some(unit), _) => unit.clone(),
                (None, Some(script)) if script.ends_with(".sh") => script.clone(),
                (None, Some(procedure)) => format!("reconfigure.sh {procedure}"),
                (None, None) => String::new(),
            },
            reason: e.reason.clone(),
            rule: e.rule,
        })
        .collect()
}

fn change(id: &str, change: &Change) -> ChangeView {
    let mut view = ChangeView {
        id: id.to_owned(),
        sign: "~",
        title: layout::words(&change.what),
        is_field: false,
        pair: None,
        patch: Vec::new(),
        fold: false,
        note: String::new(),
        hosts: None,
        effects: Vec::new(),
        each: each(change),
        minor: change.minor,
    };
    let named = |view: ChangeView, title: &str, old: &str, new: &str| ChangeView {
        title: title.to_owned(),
        pair: Some(values::pair(Some(old), Some(new))),
        ..view
    };
    match &change.what {
        What::HostAdded { .. } | What::FileAdded { .. } => view.sign = "+",
        What::HostRemoved { .. } | What::FileRemoved { .. } => view.sign = "\u{2212}",
        What::HostRetired { .. } => {}
        What::Mode { old, new } => return named(view, "mode", old, new),
        What::Owner { old, new } => return named(view, "owner", old, new),
        What::Policy { old, new } => return named(view, "policy", old, new),
        What::Field { field, old, new } => {
            view.is_field = true;
            view.title = field.clone();
            view.sign = match (old, new) {
                (None, Some(_)) => "+",
                (Some(_), None) => "\u{2212}",
                _ => "~",
            };
            match (old, new) {
                // Every host has its own: the values are host by host.
                (Some(a), Some(b)) if a == b => view.note = "another value on each host".to_owned(),
                _ => view.pair = Some(values::pair(old.as_deref(), new.as_deref())),
            }
        }
        What::Text { patch, added, removed } => {
            view.title = format!("{} added, {} removed", count(*added, "line"), count(*removed, "line"));
            view.patch = values::patch(patch);
            view.fold = view.patch.len() > PATCH;
            if !change.each.is_empty() {
                view.note = "<host>, <name> and <address> stand for each host's own.".to_owned();
            }
        }
        What::Secret { secret, how, old, new } => {
            view.title = format!("{secret}: {how}");
            if old != new {
                view.pair = Some(values::pair(Some(old), Some(new)));
            }
        }
    }
    view
}

fn each(change: &Change) -> Option<EachView> {
    if change.each.is_empty() {
        return None;
    }
    // A patch that is told with placeholders is not told again for every host.
    let values = !matches!(change.what, What::Text { .. })
        && change.each.iter().any(|e| e.old.is_some() || e.new.is_some());
    let files = change.each.iter().any(|e| !follows(e, &change.file));
    (values || files).then(|| EachView {
        label: format!("on each of {}", count(change.each.len(), "host")),
        files,
        values,
        rows: change.each.clone(),
    })
}

/// Whether a host's file is what its name says.
fn follows(each: &Each, pattern: &str) -> bool {
    let short = each.host.split('.').next().unwrap_or_default();
    each.file == pattern.replace("<host>", &each.host).replace("<name>", short)
}

fn id(key: &str, parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
        hash.update([0]);
    }
    let hex: String = hash.finalize().iter().take(5).map(|b| format!("{b:02x}")).collect();
    format!("{key}-{hex}")
}

fn unique(seen: &mut BTreeSet<String>, id: String) -> String {
    let mut out = id.clone();
    let mut n = 2;
    while !seen.insert(out.clone()) {
        out = format!("{id}-{n}");
        n += 1;
    }
    out
}
