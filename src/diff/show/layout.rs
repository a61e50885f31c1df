//! What the text formats have in common: changes put together by hosts and file, and the words for them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::diff::change::{Change, Class, ClusterDiff, Effect, Presence, What};
use crate::diff::effect::table::REJOIN;
use crate::diff::rollout::Step;
use crate::snapshot::OPERATOR;

/// Changes that the same hosts have.
pub struct Block<'a> {
    /// FQDNs.
    pub hosts: &'a [Arc<str>],
    /// Gravest first.
    pub files: Vec<FileBlock<'a>>,
}

/// Changes of one file.
pub struct FileBlock<'a> {
    /// The file; empty for the host itself.
    pub file: &'a str,
    /// Gravest first.
    pub changes: Vec<&'a Change>,
    /// Without doubles, gravest first.
    pub effects: Vec<&'a Effect>,
}

impl FileBlock<'_> {
    /// The gravest effect.
    pub fn class(&self) -> Class {
        self.effects.iter().map(|e| e.class).max().unwrap_or(Class::None)
    }
}

impl Block<'_> {
    /// The gravest effect.
    pub fn class(&self) -> Class {
        self.files.iter().map(FileBlock::class).max().unwrap_or(Class::None)
    }
}

/// Puts changes together, gravest first. Minor ones are left out unless `all`.
pub fn blocks(cluster: &ClusterDiff, all: bool) -> Vec<Block<'_>> {
    let mut by_hosts: BTreeMap<&[Arc<str>], BTreeMap<&str, Vec<&Change>>> = BTreeMap::new();
    for change in cluster.changes.iter().filter(|c| all || !c.minor) {
        by_hosts.entry(&change.hosts).or_default().entry(&change.file).or_default().push(change);
    }
    let mut blocks: Vec<Block<'_>> = by_hosts
        .into_iter()
        .map(|(hosts, files)| {
            let mut files: Vec<FileBlock<'_>> = files
                .into_iter()
                .map(|(file, changes)| {
                    let mut effects: Vec<&Effect> = changes.iter().flat_map(|c| &c.effects).collect();
                    effects.sort_by(|a, b| b.cmp(a));
                    effects.dedup_by(|a, b| self::effect(a) == self::effect(b));
                    // `none` says nothing beside something else.
                    if effects.iter().any(|e| e.class > Class::None) {
                        effects.retain(|e| e.class > Class::None);
                    }
                    FileBlock { file, changes, effects }
                })
                .collect();
            files.sort_by(|a, b| b.class().cmp(&a.class()).then_with(|| a.file.cmp(b.file)));
            Block { hosts, files }
        })
        .collect();
    blocks.sort_by(|a, b| b.class().cmp(&a.class()).then_with(|| a.hosts.cmp(b.hosts)));
    blocks
}

/// `1 host`, `2 hosts`.
pub fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// One line that answers what a reviewer asks first.
pub fn summary(cluster: &ClusterDiff) -> Vec<String> {
    let hosts = cluster.hosts.iter().filter(|h| &*h.name != OPERATOR);
    let of = |presence: Presence| hosts.clone().filter(|h| h.presence == presence).count();
    let total = hosts.clone().count();
    let mut out = vec![format!("{} of {} change", of(Presence::Changed), count(total, "host"))];
    for (presence, word) in
        [(Presence::Added, "added"), (Presence::Removed, "removed"), (Presence::Retired, "retired")]
    {
        if of(presence) > 0 {
            out.push(format!("{} {word}", of(presence)));
        }
    }
    let mut units: BTreeMap<(std::cmp::Reverse<Class>, &str), std::collections::BTreeSet<&Arc<str>>> =
        BTreeMap::new();
    let mut procedures: BTreeMap<&str, ()> = BTreeMap::new();
    for change in &cluster.changes {
        for effect in &change.effects {
            if let Some(unit) = &effect.unit {
                units.entry((std::cmp::Reverse(effect.class), unit)).or_default().extend(&change.hosts);
            }
            if let Some(procedure) = effect.procedure.as_deref().filter(|p| *p != REJOIN) {
                procedures.insert(procedure, ());
            }
        }
    }
    for ((class, unit), hosts) in units {
        out.push(format!("{} {unit} on {}", class.0.as_str(), count(hosts.len(), "host")));
    }
    if !procedures.is_empty() {
        out.push(format!("reconfigure: {}", procedures.into_keys().collect::<Vec<_>>().join(", ")));
    }
    let issued = reissued(cluster);
    if issued > 0 {
        out.push(format!("{} issued again", count(issued, "certificate")));
    }
    for class in [Class::Destructive, Class::Recreate] {
        let n = cluster.changes.iter().filter(|c| c.class() == class).count();
        if n > 0 {
            out.push(format!("{} {}", count(n, "change"), class.as_str()));
        }
    }
    out
}

/// Certificates whose serial number is another.
fn reissued(cluster: &ClusterDiff) -> usize {
    let is_serial = |c: &&Change| matches!(&c.what, What::Field { field, .. } if field.ends_with("serial"));
    cluster.changes.iter().filter(is_serial).map(|c| c.hosts.len()).sum()
}

/// A change in words, without the file.
pub fn words(what: &What) -> String {
    match what {
        What::HostAdded { roles, files } => {
            format!("new host ({}), {}", roles.join(", "), count(*files, "file"))
        }
        What::HostRemoved { roles } => format!("host is gone ({})", roles.join(", ")),
        What::HostRetired { roles } => format!("host is retired ({})", roles.join(", ")),
        What::FileAdded { attributes, secret: Some(id), .. } => {
            format!("new file, {attributes}: the secret {id}")
        }
        What::FileAdded { attributes, lines, .. } => {
            format!("new file, {attributes}: {}", count(*lines, "line"))
        }
        What::FileRemoved { .. } => "file is gone".to_owned(),
        What::Mode { old, new } => format!("mode {old} → {new}"),
        What::Owner { old, new } => format!("owner {old} → {new}"),
        What::Policy { old, new } => format!("policy {old} → {new}"),
        What::Field { field, old: Some(old), new: Some(new) } if old == new => {
            format!("{field}: {how}", how = DIFFERENT)
        }
        What::Field { field, old, new } => match (old, new) {
            (Some(old), Some(new)) => format!("{field}: {} → {}", value(old), value(new)),
            (None, Some(new)) => format!("+ {field}: {}", value(new)),
            (Some(old), None) => format!("- {field}: {}", value(old)),
            (None, None) => field.clone(),
        },
        What::Text { added, removed, .. } => {
            format!("text: {} added, {removed} removed", count(*added, "line"))
        }
        What::Secret { secret, how, .. } => format!("{secret} {how}"),
    }
}

/// Both values stand as `<differs>`: each host has its own.
const DIFFERENT: &str = "new on each host";

/// Values longer than this are cut in the text formats; JSON has them whole.
const LONG: usize = 160;

/// A value on one line.
pub fn value(text: &str) -> String {
    let flat = short(&text.replace('\n', "⏎"));
    if flat.is_empty() {
        return "(empty)".to_owned();
    }
    match flat.char_indices().nth(LONG) {
        Some((at, _)) => format!("{}…", &flat[..at]),
        None => flat,
    }
}

/// Fingerprints are told apart by their first digits; JSON has them whole.
fn short(text: &str) -> String {
    const WHOLE: usize = 40;
    const SHOWN: usize = 12;
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_hexdigit()) {
        let (before, word) = rest.split_at(at);
        let len = word.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(word.len());
        out.push_str(before);
        match word.get(..SHOWN) {
            Some(first) if len >= WHOLE => {
                out.push_str(first);
                out.push('…');
            }
            _ => out.push_str(&word[..len]),
        }
        rest = &word[len..];
    }
    out.push_str(rest);
    out
}

/// An effect in words.
pub fn effect(effect: &Effect) -> String {
    let what = match (&effect.unit, effect.procedure.as_deref()) {
        (Some(unit), _) => format!("{} {unit}", effect.class.as_str()),
        (None, Some(procedure)) if procedure.ends_with(".sh") => {
            format!("{} ({procedure})", effect.class.as_str())
        }
        (None, Some(REJOIN)) => format!("{} (the node leaves and joins anew)", effect.class.as_str()),
        (None, Some(procedure)) => format!("{} (reconfigure.sh {procedure})", effect.class.as_str()),
        (None, None) => effect.class.as_str().to_owned(),
    };
    format!("{what}: {}", effect.reason)
}

/// Who serves while a step is under way.
pub fn serving(step: &Step) -> String {
    let mut out = Vec::new();
    for (of, what) in [
        (step.serving.etcd, "etcd members"),
        (step.serving.api_servers, "API servers"),
        (step.serving.balancers, "balancers"),
    ] {
        if let Some((up, all)) = of {
            out.push(format!("{up} of {all} {what} serve"));
        }
    }
    if step.serving.gap_ms > 0 {
        let ms = step.serving.gap_ms;
        out.push(format!("a pause of up to {}.{} s", ms / 1000, ms % 1000 / 100));
    }
    out.join(", ")
}

/// Hosts as ranges, without loss: `k8sworker[1-990].example.com`.
pub fn ranges(hosts: &[Arc<str>]) -> String {
    let mut groups: BTreeMap<(&str, &str, usize), Vec<u64>> = BTreeMap::new();
    let mut plain: Vec<&str> = Vec::new();
    for host in hosts {
        let (short, domain) = host.split_once('.').map_or((&**host, ""), |(s, _)| (s, &host[s.len()..]));
        let stem = short.trim_end_matches(|c: char| c.is_ascii_digit());
        let digits = &short[stem.len()..];
        // Leading zeros are kept by their number of digits.
        let width = if digits.starts_with('0') { digits.len() } else { 0 };
        match digits.parse::<u64>() {
            Ok(n) => groups.entry((stem, domain, width)).or_default().push(n),
            Err(_) => plain.push(host),
        }
    }
    let mut out: Vec<String> = plain.into_iter().map(str::to_owned).collect();
    for ((stem, domain, width), mut numbers) in groups {
        numbers.sort_unstable();
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for n in numbers {
            match runs.last_mut() {
                Some((_, end)) if *end + 1 == n => *end = n,
                _ => runs.push((n, n)),
            }
        }
        let shown: Vec<String> = runs
            .iter()
            .map(|(a, b)| if a == b { format!("{a:0width$}") } else { format!("{a:0width$}-{b:0width$}") })
            .collect();
        match runs.as_slice() {
            [(a, b)] if a == b => out.push(format!("{stem}{}{domain}", shown.join(","))),
            _ => out.push(format!("{stem}[{}]{domain}", shown.join(","))),
        }
    }
    out.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_name_every_host() {
        let hosts = |names: &[&str]| names.iter().map(|n| Arc::from(*n)).collect::<Vec<Arc<str>>>();
        for (names, expected) in [
            (&["w1.x", "w2.x", "w3.x", "w5.x"][..], "w[1-3,5].x"),
            (&["w01.x", "w02.x", "w1.x"][..], "w1.x, w[01-02].x"),
            (&["gpu.x", "w9.x"][..], "gpu.x, w9.x"),
        ] {
            assert_eq!(ranges(&hosts(names)), expected);
        }
    }
}
