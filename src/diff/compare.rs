//! Compares two versions of one bundle, file by file.

use std::collections::BTreeSet;

use similar::TextDiff;

use super::carried;
use super::change::What;
use super::fields::{self, FieldChange, Format};
use super::printable;
use super::table;
use crate::snapshot::{Body, Bundle, File};

/// A difference of one host, before equal ones of several hosts are put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The file, as in [`super::change::Change::file`].
    pub file: String,
    /// How install.sh treats it.
    pub policy: String,
    /// What happened.
    pub what: What,
    /// Follows from another one.
    pub minor: bool,
}

/// Texts beyond this are told to differ and not shown: nobody reads them, and a text diff of them takes its time.
const MAX_TEXT: usize = 1 << 20;

/// All differences, by file.
pub fn bundles(old: &Bundle, new: &Bundle) -> Vec<Item> {
    let mut items = head(old, new);
    let paths: BTreeSet<_> = old.files.keys().chain(new.files.keys()).collect();
    for path in paths {
        match (old.files.get(path), new.files.get(path)) {
            (Some(a), Some(b)) if a == b => {}
            (Some(a), Some(b)) => changed(path, a, b, &mut items),
            (None, Some(b)) => items.push(Item {
                file: shown(path),
                policy: b.policy.to_string(),
                what: What::FileAdded {
                    attributes: format!("{:04o} {}:{} {}", b.mode, b.owner, b.group, b.policy),
                    secret: match &b.body {
                        Body::Secret { id, .. } => Some(id.to_string()),
                        Body::Text(_) => None,
                    },
                    lines: match &b.body {
                        Body::Secret { .. } => 0,
                        Body::Text(text) => text.lines().count(),
                    },
                },
                minor: false,
            }),
            (Some(a), None) => items.push(Item {
                file: shown(path),
                policy: a.policy.to_string(),
                what: What::FileRemoved { policy: a.policy.to_string() },
                minor: false,
            }),
            (None, None) => {}
        }
    }
    repeated(&mut items);
    switched(old, new, &mut items);
    items.iter_mut().for_each(|item| printable::what(&mut item.what));
    // The page repeats what the other files say.
    let only_page = items.iter().all(|i| i.file == PAGE);
    for item in items.iter_mut().filter(|i| i.file == PAGE) {
        item.minor = !only_page;
    }
    // What is carried to each host is in that host's manifest.
    for item in items.iter_mut().filter(|i| i.file == "packages.tsv") {
        item.minor = true;
    }
    items
}

/// kubeadm's documents stand in the file that init or join reads once, and in those that its phases read. A change of both is
/// told where it has an effect.
fn repeated(items: &mut [Item]) {
    const ONCE: &str = "/etc/kubernetes/kubeadm.yaml";
    // InitConfiguration.nodeRegistration and JoinConfiguration.nodeRegistration are the same node's.
    let plain = |what: &What| match what {
        What::Field { field, old, new } => {
            let field = field.strip_prefix("InitConfiguration.").or(field.strip_prefix("JoinConfiguration."));
            field.map(|f| (f.to_owned(), old.clone(), new.clone()))
        }
        _ => None,
    };
    let told: Vec<What> = items
        .iter()
        .filter(|i| i.file.starts_with("/etc/kubernetes/kubeadm-"))
        .map(|i| i.what.clone())
        .collect();
    for item in items.iter_mut().filter(|i| i.file == ONCE) {
        let same =
            |what: &What| *what == item.what || (plain(what).is_some() && plain(what) == plain(&item.what));
        item.minor = item.minor || told.iter().any(same);
    }
}

/// A root's key by the file of those whom hosts trust.
const TRUSTED: [(&str, &str); 3] = [
    ("/etc/kubernetes/pki/ca.key", "/etc/kubernetes/pki/ca.crt"),
    ("/etc/kubernetes/pki/front-proxy-ca.key", "/etc/kubernetes/pki/front-proxy-ca.crt"),
    ("/etc/kubernetes/pki/sa.key", "/etc/kubernetes/pki/sa.pub"),
];

/// A root's key that gives way to one that was trusted before, and is trusted itself from now on: a stage of a rotation.
fn switched(old: &Bundle, new: &Bundle, items: &mut [Item]) {
    let trusts =
        |bundle: &Bundle, file: &str, key: &str| match bundle.files.get(format!("root{file}").as_str()) {
            Some(File { body: Body::Text(text), .. }) => fields::keys(text).iter().any(|k| k == key),
            _ => false,
        };
    for item in items {
        let Some((_, trust)) = TRUSTED.iter().find(|(key, _)| *key == item.file) else { continue };
        if let What::Secret { how, old: former, new: latter, .. } = &mut item.what
            && trusts(old, trust, latter)
            && trusts(new, trust, former)
        {
            "switched".clone_into(how);
        }
    }
}

const PAGE: &str = "README.md";

/// `root/etc/hosts` is `/etc/hosts` on the host.
pub fn shown(path: &str) -> String {
    path.strip_prefix("root").filter(|p| p.starts_with('/')).unwrap_or(path).to_owned()
}

/// The manifest's head by field.
fn head(old: &Bundle, new: &Bundle) -> Vec<Item> {
    let (a, b) = (old.head.fields(), new.head.fields());
    let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let changed = keys.into_iter().filter(|key| a.get(*key) != b.get(*key)).map(|key| Item {
        file: "MANIFEST.json".to_owned(),
        policy: "bundle".to_owned(),
        what: What::Field { field: key.clone(), old: a.get(key).cloned(), new: b.get(key).cloned() },
        minor: false,
    });
    carried::rows(changed.collect())
}

fn changed(path: &str, old: &File, new: &File, items: &mut Vec<Item>) {
    let file = shown(path);
    let mut push = |what: What, minor: bool| {
        items.push(Item { file: file.clone(), policy: new.policy.to_string(), what, minor });
    };
    if old.mode != new.mode {
        push(What::Mode { old: format!("{:04o}", old.mode), new: format!("{:04o}", new.mode) }, false);
    }
    if (&old.owner, &old.group) != (&new.owner, &new.group) {
        let of = |f: &File| format!("{}:{}", f.owner, f.group);
        push(What::Owner { old: of(old), new: of(new) }, false);
    }
    if old.policy != new.policy {
        push(What::Policy { old: old.policy.to_string(), new: new.policy.to_string() }, false);
    }
    match (&old.body, &new.body) {
        (a, b) if a == b => {}
        (Body::Secret { id: a, fingerprint: f }, Body::Secret { id: b, fingerprint: g }) => {
            let how = if a != b {
                "replaced"
            } else if is_key(&file) {
                "re-keyed"
            } else {
                "rotated"
            };
            let what = What::Secret {
                secret: b.to_string(),
                how: how.to_owned(),
                old: f.to_string(),
                new: g.to_string(),
            };
            push(what, false);
        }
        (Body::Text(a), Body::Text(b)) => {
            let found = texts(&file, a, b);
            let all_minor = found.iter().all(|(_, minor)| *minor);
            for (what, minor) in found {
                push(what, minor && !all_minor);
            }
        }
        // Text that became a secret, or the other way round: what it is is told, not what is in it.
        (a, b) => {
            let of = |body: &Body| match body {
                Body::Text(_) => "text".to_owned(),
                Body::Secret { id, .. } => format!("the secret {id}"),
            };
            push(What::Field { field: "content".to_owned(), old: Some(of(a)), new: Some(of(b)) }, false);
        }
    }
}

fn is_key(file: &str) -> bool {
    file.ends_with(".key") && file != "fingerprint.key"
}

/// Differences of two texts, and whether each follows from another. Empty when only what no reader notices differs.
fn texts(file: &str, old: &str, new: &str) -> Vec<(What, bool)> {
    if file == "hosts.tsv"
        && let Some(changes) = table::compare(old, new)
    {
        return changes.into_iter().map(|what| (what, false)).collect();
    }
    let format = fields::format_of(file, new);
    if format == fields::format_of(file, old)
        && let Ok(changes) = fields::compare(format, old, new)
    {
        let mut out = Vec::with_capacity(changes.len());
        for c in if format == Format::Kubeadm { documents(changes, old, new) } else { changes } {
            let minor = matches!(format, Format::Certificate | Format::Kubeconfig) && follows(&c.path);
            out.push((What::Field { field: c.path, old: c.old, new: c.new }, minor));
        }
        return out;
    }
    vec![(patch(old, new), false)]
}

/// A document that came or went is one change, not one for each of its fields.
fn documents(changes: Vec<FieldChange>, old: &str, new: &str) -> Vec<FieldChange> {
    let has = |text: &str, kind: &str| {
        text.lines()
            .any(|l| l.strip_prefix("kind:").is_some_and(|k| k.trim().trim_matches(['"', '\'']) == kind))
    };
    let mut out: Vec<FieldChange> = Vec::with_capacity(changes.len());
    for change in changes {
        let kind = change.path.split(['.', '[']).next().unwrap_or_default().to_owned();
        let (before, after) = (has(old, &kind), has(new, &kind));
        if before == after {
            out.push(change);
        } else if !out.iter().any(|c| c.path == kind) {
            let document = || "(a document)".to_owned();
            out.push(FieldChange { path: kind, old: before.then(document), new: after.then(document) });
        }
    }
    out
}

/// Certificate fields that are different in every certificate.
pub fn follows(field: &str) -> bool {
    let last = field.rsplit(" > ").next().unwrap_or(field);
    matches!(last, "serial" | "notBefore" | "subject key" | "signature")
}

fn patch(old: &str, new: &str) -> What {
    if old.len().max(new.len()) > MAX_TEXT {
        return What::Text {
            patch: format!("{} bytes before, {} after: too long to be shown\n", old.len(), new.len()),
            added: 0,
            removed: 0,
        };
    }
    let diff = TextDiff::from_lines(old, new);
    let (mut added, mut removed) = (0, 0);
    for change in diff.iter_all_changes() {
        match change.tag() {
            similar::ChangeTag::Insert => added += 1,
            similar::ChangeTag::Delete => removed += 1,
            similar::ChangeTag::Equal => {}
        }
    }
    What::Text { patch: diff.unified_diff().context_radius(3).to_string(), added, removed }
}
