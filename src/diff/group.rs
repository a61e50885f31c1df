//! Puts the same change of many hosts together. A host's own name and addresses are no difference: they stand as `<host>`,
//! `<name>` and `<address>` while changes are compared, and what they stand for is kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::change::{Change, Each, Effect, What};
use super::compare::Item;
use crate::snapshot::Head;

/// What a host calls itself.
pub struct Own {
    fqdn: Arc<str>,
    name: String,
    addresses: Vec<String>,
}

impl Own {
    /// From the heads of either side.
    pub fn new(fqdn: &Arc<str>, heads: &[&Head]) -> Own {
        let name = heads.iter().map(|h| h.known.name.as_str()).find(|n| !n.is_empty()).unwrap_or_default();
        let mut addresses: Vec<String> = heads.iter().flat_map(|h| h.known.addresses.clone()).collect();
        addresses.sort_by_key(|a| std::cmp::Reverse(a.len()));
        addresses.dedup();
        Own { fqdn: fqdn.clone(), name: name.to_owned(), addresses }
    }

    fn mask(&self, text: &str) -> String {
        let mut out = replace(text, &self.fqdn, "<host>");
        out = replace(&out, &self.name, "<name>");
        for address in &self.addresses {
            out = replace(&out, address, "<address>");
        }
        out
    }

    /// Only the last part of a path is a host's own: `/etc/etcd` is there on a host named etcd, too.
    fn mask_file(&self, file: &str) -> String {
        match file.rsplit_once('/') {
            Some((folder, last)) => format!("{folder}/{}", replace(last, &self.name, "<name>")),
            None => replace(file, &self.name, "<name>"),
        }
    }
}

/// Replaces a word where it stands alone.
fn replace(text: &str, word: &str, with: &str) -> String {
    if word.is_empty() || !text.contains(word) {
        return text.to_owned();
    }
    let part_of_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(word) {
        let (before, after) = (&rest[..at], &rest[at + word.len()..]);
        let left = before.chars().next_back().or_else(|| out.chars().next_back());
        let mut right = after.chars();
        let (next, then) = (right.next(), right.next());
        // `node1` is not in `node1.example.com` nor `node1-peer`'s name, and 10.0.0.1 not in 10.0.0.1.5.
        let goes_on = next.is_some_and(part_of_word)
            || (next == Some('.') && then.is_some_and(part_of_word))
            || (next == Some('-') && then.is_some_and(|c| c.is_ascii_digit()));
        let comes_on = left.is_some_and(|c| part_of_word(c) || c == '.' || c == '-')
            || (word.contains(':') && (left == Some(':') || next == Some(':')));
        out.push_str(before);
        out.push_str(if goes_on || comes_on { word } else { with });
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Values that are different in every certificate and key.
const DIFFERS: &str = "<differs>";

fn is_unique(field: &str) -> bool {
    let last = field.rsplit(" > ").next().unwrap_or(field);
    matches!(last, "key" | "issuer key") || super::compare::follows(field) && last != "notBefore"
}

fn masked(own: &Own, what: &What) -> What {
    let value = |text: &Option<String>, unique: bool| {
        text.as_ref().map(|t| if unique { DIFFERS.to_owned() } else { own.mask(t) })
    };
    match what {
        What::Field { field, old, new } => {
            let unique = is_unique(field);
            What::Field { field: own.mask(field), old: value(old, unique), new: value(new, unique) }
        }
        What::Text { patch, added, removed } => {
            What::Text { patch: own.mask(patch), added: *added, removed: *removed }
        }
        What::Secret { secret, how, .. } => What::Secret {
            secret: own.mask(secret),
            how: how.clone(),
            old: DIFFERS.to_owned(),
            new: DIFFERS.to_owned(),
        },
        What::FileAdded { attributes, secret, lines } => What::FileAdded {
            attributes: attributes.clone(),
            secret: secret.as_ref().map(|s| own.mask(s)),
            lines: *lines,
        },
        other => other.clone(),
    }
}

/// One host's difference with its effects.
pub struct Found {
    /// FQDN.
    pub host: Arc<str>,
    /// The difference.
    pub item: Item,
    /// What comes of it.
    pub effects: Vec<Effect>,
}

type Key = (String, What, bool, Vec<Effect>);

/// Puts equal differences together: gravest first, then by file.
pub fn group(found: Vec<Found>, own: &BTreeMap<Arc<str>, Own>) -> Vec<Change> {
    // What is the same word by word needs no symbols; only what is left alone is looked at without its host's own names.
    let mut alike: BTreeMap<Key, Vec<Arc<str>>> = BTreeMap::new();
    for Found { host, item, effects } in found {
        alike.entry((item.file, item.what, item.minor, effects)).or_default().push(host);
    }
    let mut groups: BTreeMap<Key, Vec<(Arc<str>, String, What)>> = BTreeMap::new();
    for ((file, what, minor, effects), hosts) in alike {
        let single = if hosts.len() == 1 { hosts.first().and_then(|h| own.get(h)) } else { None };
        let key = match single {
            Some(own) => (own.mask_file(&file), masked(own, &what), minor, effects),
            None => (file.clone(), what.clone(), minor, effects),
        };
        let members = hosts.into_iter().map(|host| (host, file.clone(), what.clone()));
        groups.entry(key).or_default().extend(members);
    }
    let mut changes: Vec<Change> = groups
        .into_iter()
        .map(|((file, what, minor, effects), mut members)| {
            members.sort_by(|a, b| a.0.cmp(&b.0));
            let same = members.iter().all(|m| m.1 == members[0].1 && m.2 == members[0].2);
            let hosts: Vec<Arc<str>> = members.iter().map(|m| m.0.clone()).collect();
            if same {
                let (_, file, what) = members.swap_remove(0);
                return Change { file, what, hosts, each: Vec::new(), minor, effects };
            }
            let each = members.into_iter().map(|(host, file, what)| each(host, file, what)).collect();
            Change { file, what, hosts, each, minor, effects }
        })
        .collect();
    changes.sort_by(|a, b| {
        b.class()
            .cmp(&a.class())
            .then_with(|| a.minor.cmp(&b.minor))
            .then_with(|| a.file.cmp(&b.file))
            // Hosts before values: of fingerprints nobody expects an order.
            .then_with(|| field(&a.what).cmp(&field(&b.what)))
            .then_with(|| a.hosts.cmp(&b.hosts))
            .then_with(|| a.what.cmp(&b.what))
    });
    changes
}

/// What a change is of, without its values.
fn field(what: &What) -> (u8, &str) {
    match what {
        What::HostAdded { .. } => (0, ""),
        What::HostRemoved { .. } => (1, ""),
        What::HostRetired { .. } => (2, ""),
        What::FileAdded { .. } => (3, ""),
        What::FileRemoved { .. } => (4, ""),
        What::Mode { .. } => (5, ""),
        What::Owner { .. } => (6, ""),
        What::Policy { .. } => (7, ""),
        What::Field { field, .. } => (8, field),
        What::Text { .. } => (9, ""),
        What::Secret { secret, .. } => (10, secret),
    }
}

fn each(host: Arc<str>, file: String, what: What) -> Each {
    let (old, new) = match what {
        What::Field { old, new, .. } => (old, new),
        What::Secret { old, new, .. } => (Some(old), Some(new)),
        What::Text { patch, .. } => (None, Some(patch)),
        What::FileAdded { secret, .. } => (None, secret),
        _ => (None, None),
    };
    Each { host, file, old, new }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_replaced_only_where_it_stands_alone() {
        for (text, word, expected) in [
            ("node1", "node1", "<x>"),
            ("node1.example.com", "node1", "node1.example.com"),
            ("node1=https://10.0.0.1:2380,node11=x", "node1", "<x>=https://10.0.0.1:2380,node11=x"),
            (
                "https://10.0.0.1:2380,https://10.0.0.11:2380",
                "10.0.0.1",
                "https://<x>:2380,https://10.0.0.11:2380",
            ),
            ("DNS:node1.", "node1", "DNS:<x>."),
            ("node1-peer.crt", "node1", "<x>-peer.crt"),
            ("fd00::1", "fd00::1", "<x>"),
            ("fd00::1:2", "fd00::1", "fd00::1:2"),
            ("[fd00::1]:2379", "fd00::1", "[<x>]:2379"),
        ] {
            assert_eq!(replace(text, word, "<x>"), expected, "{text}");
        }
    }
}
