//! What a reviewer asks first, answered: which hosts change, what restarts and in which order, whether certificates or trust
//! change, and whether anything cannot be taken back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::changes::{Section, meaning};
use super::names::{Hosts, Names, numbers};
use super::rollout::pause;
use super::trust;
use crate::diff::change::{Change, Class, ClusterDiff, Presence, What};
use crate::diff::rollout::Action;
use crate::diff::show::layout::count;
use crate::snapshot::OPERATOR;

/// The first screen.
pub struct Summary {
    /// The gravest effect.
    pub class: &'static str,
    /// In one sentence.
    pub verdict: String,
    /// The four questions.
    pub answers: Vec<Answer>,
    /// By effect, gravest first.
    pub tallies: Vec<Tally>,
}

/// A question and its answer.
pub struct Answer {
    /// The question.
    pub question: &'static str,
    /// In a few words.
    pub headline: String,
    /// Whether it needs a second look.
    pub class: &'static str,
    /// More.
    pub lines: Vec<Entry>,
    /// Where all of it is.
    pub more: Option<(String, &'static str)>,
}

/// A line of an answer.
pub struct Entry {
    /// A word before it.
    pub class: &'static str,
    /// What it is about.
    pub what: String,
    /// More about it.
    pub note: String,
    /// Where it is.
    pub link: String,
    /// Which hosts.
    pub hosts: Option<Hosts>,
}

/// How often an effect comes.
pub struct Tally {
    /// The word.
    pub class: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// In words.
    pub changes: String,
    /// In words.
    pub hosts: String,
}

/// Up to this many lines an answer has.
pub const LINES: usize = 8;

pub fn summary(key: &str, cluster: &ClusterDiff, sections: &[Section], names: &mut Names) -> Summary {
    let class = cluster.changes.iter().map(Change::class).max();
    let mut tallies: BTreeMap<Class, (usize, BTreeSet<&Arc<str>>)> = BTreeMap::new();
    for change in cluster.changes.iter().filter(|c| !c.minor) {
        let tally = tallies.entry(change.class()).or_default();
        tally.0 += 1;
        tally.1.extend(&change.hosts);
    }
    Summary {
        class: class.map_or("same", Class::as_str),
        verdict: verdict(cluster, class),
        answers: vec![
            hosts(key, cluster, names),
            units(key, cluster, names),
            trust::trust(key, cluster, sections, names),
            grave(key, cluster, sections),
        ],
        tallies: tallies
            .into_iter()
            .rev()
            .map(|(class, (changes, hosts))| Tally {
                class: class.as_str(),
                meaning: meaning(class),
                changes: count(changes, "change"),
                hosts: count(hosts.len(), "host"),
            })
            .collect(),
    }
}

fn verdict(cluster: &ClusterDiff, class: Option<Class>) -> String {
    if !cluster.rollout.refused.is_empty() {
        return "This cannot be rolled out as it is.".to_owned();
    }
    let text = match class {
        None if !cluster.issues.is_empty() => {
            "No file changes now; the next build would issue certificates or keys."
        }
        None => "No change: both sides are the same build.",
        Some(Class::None) => "Nothing that runs notices.",
        Some(Class::Inert) => "Nothing that runs notices: what changes was read once, long ago.",
        Some(Class::Reload) => "Units read their files again; nothing stops.",
        Some(Class::Restart) => "Units restart.",
        Some(Class::Reissue) => "Certificates or keys are issued again.",
        Some(Class::Reconfigure) => "Installing is not enough: procedures bring it into the running cluster.",
        Some(Class::Recreate) => "Something changes that cannot be changed in a running cluster.",
        Some(Class::Destructive) => match leaving(cluster).as_slice() {
            [] => "A member, data, or access is lost.",
            [one] => return format!("{one} leaves the cluster."),
            many => return format!("{} hosts leave the cluster.", many.len()),
        },
    };
    text.to_owned()
}

/// Hosts that leave, if nothing else is destructive.
fn leaving(cluster: &ClusterDiff) -> Vec<&Arc<str>> {
    let mut hosts = Vec::new();
    for change in cluster.changes.iter().filter(|c| c.class() == Class::Destructive) {
        match change.what {
            What::HostRetired { .. } | What::HostRemoved { .. } => hosts.extend(&change.hosts),
            _ => return Vec::new(),
        }
    }
    hosts
}

/// A line with a word before it.
pub fn entry(class: &'static str, what: String) -> Entry {
    Entry { class, what, note: String::new(), link: String::new(), hosts: None }
}

fn hosts(key: &str, cluster: &ClusterDiff, names: &mut Names) -> Answer {
    let total = cluster.hosts.iter().filter(|h| &*h.name != OPERATOR).count();
    let mut by: BTreeMap<(usize, String), Vec<Arc<str>>> = BTreeMap::new();
    for host in cluster.hosts.iter().filter(|h| h.presence != Presence::Unchanged) {
        let order = match host.presence {
            _ if &*host.name == OPERATOR => 4,
            Presence::Removed => 0,
            Presence::Retired => 1,
            Presence::Added => 2,
            Presence::Changed | Presence::Unchanged => 3,
        };
        by.entry((order, host.roles.join(", "))).or_default().push(host.name.clone());
    }
    let changed = by.iter().filter(|((order, _), _)| *order < 4).map(|(_, h)| h.len()).sum::<usize>();
    let lines = by
        .into_iter()
        .map(|((order, _), hosts)| {
            let word = match order {
                0 => "gone",
                1 => "leaves",
                2 => "new",
                _ => "changed",
            };
            Entry {
                note: word.to_owned(),
                hosts: (hosts.len() > 1)
                    .then(|| Hosts { label: format!("list all {}", hosts.len()), ..names.list(&hosts) }),
                link: if hosts.len() == 1 {
                    hosts.first().map(|h| names.id(h)).unwrap_or_default()
                } else {
                    String::new()
                },
                ..entry("", names.label(&hosts))
            }
        })
        .collect();
    Answer {
        question: "Which hosts change?",
        headline: match changed {
            0 => format!("None of {total}"),
            n if n == total => format!("All {}", count(total, "host")),
            n => format!("{n} of {}", count(total, "host")),
        },
        class: "",
        lines,
        more: Some((format!("{key}-hosts"), "All hosts")),
    }
}

fn units(key: &str, cluster: &ClusterDiff, names: &mut Names) -> Answer {
    let mut by: BTreeMap<(Class, String), BTreeSet<Arc<str>>> = BTreeMap::new();
    let mut procedures: BTreeMap<String, BTreeSet<Arc<str>>> = BTreeMap::new();
    for change in &cluster.changes {
        for effect in &change.effects {
            if let Some(unit) = effect.unit.as_ref().filter(|_| effect.class >= Class::Reload) {
                by.entry((effect.class, unit.clone())).or_default().extend(change.hosts.iter().cloned());
            }
            if let Some(procedure) = &effect.procedure {
                procedures.entry(procedure.clone()).or_default().extend(change.hosts.iter().cloned());
            }
        }
    }
    let stops = |class: Class| !matches!(class, Class::Reload);
    let restarted: BTreeSet<&Arc<str>> =
        by.iter().filter(|((c, _), _)| stops(*c)).flat_map(|(_, h)| h).collect();
    let (restarts, reconfigured) = (restarted.len(), procedures.len());
    let mut lines: Vec<(usize, Entry)> = Vec::new();
    for ((class, unit), hosts) in by {
        let hosts: Vec<Arc<str>> = hosts.into_iter().collect();
        let (first, note, link) = order(key, cluster, &hosts, None);
        let hosts = Some(names.list(&hosts));
        lines.push((first, Entry { note, link, hosts, ..entry(class.as_str(), unit) }));
    }
    for (procedure, hosts) in procedures {
        let hosts: Vec<Arc<str>> = hosts.into_iter().collect();
        let (first, note, link) = order(key, cluster, &hosts, Some(&procedure));
        let hosts = Some(names.list(&hosts));
        let what = if procedure.ends_with(".sh") { procedure } else { format!("reconfigure.sh {procedure}") };
        lines.push((first, Entry { note, link, hosts, ..entry("reconfigure", what) }));
    }
    lines.sort_by(|a, b| (a.0, &a.1.what).cmp(&(b.0, &b.1.what)));
    let mut lines: Vec<Entry> = lines.into_iter().map(|(_, e)| e).collect();
    if let Some(longest) =
        cluster.rollout.steps.iter().max_by_key(|s| (s.serving.gap_ms, usize::MAX - s.number))
        && longest.serving.gap_ms > 0
    {
        lines.push(Entry {
            note: format!("up to {}, in step {}", pause(longest.serving.gap_ms), longest.number),
            link: format!("{key}-step-{}", longest.number),
            ..entry("", "Longest pause".to_owned())
        });
    }
    Answer {
        question: "What restarts, and in which order?",
        headline: match (restarts, reconfigured) {
            (0, 0) => "Nothing restarts".to_owned(),
            (0, n) => count(n, "procedure"),
            (n, 0) => format!("Services on {}", count(n, "host")),
            (n, p) => format!("Services on {}, {}", count(n, "host"), count(p, "procedure")),
        },
        class: "",
        lines,
        more: (!cluster.rollout.steps.is_empty()).then(|| (format!("{key}-rollout"), "The rollout")),
    }
}

/// In which steps hosts are touched, in words.
fn order(
    key: &str,
    cluster: &ClusterDiff,
    hosts: &[Arc<str>],
    procedure: Option<&str>,
) -> (usize, String, String) {
    let mut steps = BTreeSet::new();
    let mut together = 0;
    for step in &cluster.rollout.steps {
        let fits = match (&step.action, procedure) {
            (Action::Install | Action::Up, None) => true,
            (Action::Reconfigure(name), Some(procedure)) => *name == procedure,
            (Action::Label, Some(procedure)) => procedure.ends_with(".sh"),
            _ => false,
        };
        let n = step.hosts.iter().filter(|h| hosts.binary_search(h).is_ok()).count();
        if fits && (n > 0 || (step.hosts.is_empty() && procedure.is_some())) {
            steps.insert(step.number);
            together = together.max(n);
        }
    }
    let Some(first) = steps.first().copied() else { return (usize::MAX, String::new(), String::new()) };
    let how = match together {
        0 => String::new(),
        1 if steps.len() > 1 => ", one host at a time".to_owned(),
        1 => String::new(),
        n if steps.len() > 1 => format!(", up to {n} together"),
        n => format!(", {n} together"),
    };
    let word = if steps.len() == 1 { "step" } else { "steps" };
    (first, format!("{word} {}{how}", numbers(&steps)), format!("{key}-step-{first}"))
}

fn grave(key: &str, cluster: &ClusterDiff, sections: &[Section]) -> Answer {
    let mut lines: Vec<Entry> = Vec::new();
    if let [first, more @ ..] = cluster.rollout.refused.as_slice() {
        let note = match more.len() {
            0 => String::new(),
            n => format!("and {} more", count(n, "reason")),
        };
        lines.push(Entry { link: format!("{key}-rollout"), note, ..entry("destructive", first.clone()) });
    }
    let mut class = if lines.is_empty() { "" } else { "destructive" };
    for section in sections.iter().filter(|s| matches!(s.class, "destructive" | "recreate")) {
        if class.is_empty() {
            class = section.class;
        }
        for file in &section.files {
            lines.push(Entry {
                link: file.id.clone(),
                note: file.label.clone(),
                ..entry(section.class, file.title.clone())
            });
        }
    }
    for step in &cluster.rollout.steps {
        if matches!(step.action, Action::MemberRemove | Action::DeleteNode | Action::Uninstall) {
            class = "destructive";
            lines.push(Entry {
                link: format!("{key}-step-{}", step.number),
                note: step.note.clone(),
                ..entry("", format!("Step {}: {}", step.number, step.action.name()))
            });
        }
    }
    let found = lines.len();
    if found > LINES {
        lines.truncate(LINES);
        lines.push(entry("", format!("and {} more", found - LINES)));
    }
    if found == 0 && !cluster.changes.is_empty() {
        lines.push(Entry {
            note: "No host leaves, and nothing changes that was settled when the cluster was made."
                .to_owned(),
            ..entry("", String::new())
        });
    }
    Answer {
        question: "Is anything destructive or irreversible?",
        headline: match (class, cluster.rollout.refused.is_empty()) {
            (_, false) => "Refused".to_owned(),
            ("", true) => "No".to_owned(),
            (_, true) => "Yes: look at these".to_owned(),
        },
        class,
        lines,
        more: None,
    }
}
