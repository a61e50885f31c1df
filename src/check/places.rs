//! Where each setting stands in the user's files, so that a rule over the model can point at it.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use crate::source::Span;

/// Spans by dotted path: `kubernetes.networking.podSubnet`, `hosts.k8setcd1.address`, `hosts.k8setcd1` (the name).
#[derive(Debug, Default)]
pub struct Places {
    spans: BTreeMap<String, Span>,
    again: BTreeMap<String, Vec<Span>>,
    unsound: BTreeSet<String>,
}

impl Places {
    /// Remembers where a setting stands. The first place counts; later ones of the same path (two hosts of one name)
    /// are kept for [`Places::again`].
    pub fn put(&mut self, path: impl Into<String>, span: Span) {
        match self.spans.entry(path.into()) {
            Entry::Vacant(entry) => {
                entry.insert(span);
            }
            Entry::Occupied(entry) => self.again.entry(entry.key().clone()).or_default().push(span),
        }
    }

    /// The places of a path after its first one.
    pub fn again(&self, path: &str) -> &[Span] {
        self.again.get(path).map_or(&[], Vec::as_slice)
    }

    /// Remembers that a setting could not be read and that the model holds a stand-in for it.
    pub fn mark_unsound(&mut self, path: impl Into<String>) {
        self.unsound.insert(path.into());
    }

    /// Where a setting stands; of its nearest parent that stands anywhere if it was filled in by default.
    pub fn at(&self, path: &str) -> Option<Span> {
        let mut path = path;
        loop {
            if let Some(span) = self.spans.get(path) {
                return Some(*span);
            }
            path = &path[..path.rfind('.')?];
        }
    }

    /// Whether the user wrote the setting (rather than it being a default).
    pub fn is_written(&self, path: &str) -> bool {
        self.spans.contains_key(path)
    }

    /// Whether the model holds what the user wrote at `path` and below, so that a rule may judge it.
    pub fn is_sound(&self, path: &str) -> bool {
        if self.unsound.is_empty() {
            return true;
        }
        let mut above = path;
        loop {
            if self.unsound.contains(above) {
                return false;
            }
            match above.rfind('.') {
                Some(dot) => above = &above[..dot],
                None => break,
            }
        }
        let below = format!("{path}.");
        !self.unsound.range(below.clone()..).next().is_some_and(|first| first.starts_with(&below))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_sound_unless_it_a_part_of_it_or_what_holds_it_is_not() {
        let mut places = Places::default();
        places.mark_unsound("hosts.b.address");
        places.mark_unsound("etcd");
        for sound in ["hosts.a", "hosts.b.roles", "hosts.b.addresses", "etcdx", "cluster"] {
            assert!(places.is_sound(sound), "{sound}");
        }
        for unsound in ["hosts.b.address", "hosts.b.address.0", "hosts.b", "hosts", "etcd", "etcd.version"] {
            assert!(!places.is_sound(unsound), "{unsound}");
        }
    }

    #[test]
    fn the_first_place_counts_and_the_others_are_kept() {
        let mut sources = crate::source::Sources::new();
        let id = sources.add("a.yaml", "0123456789");
        let mut places = Places::default();
        for start in [1, 5, 7] {
            places.put("hosts.a", Span::new(id, start..start + 1));
        }
        assert_eq!(places.at("hosts.a.zone"), Some(Span::new(id, 1..2)));
        assert_eq!(places.again("hosts.a"), [Span::new(id, 5..6), Span::new(id, 7..8)]);
        assert!(places.again("hosts.b").is_empty());
    }
}
