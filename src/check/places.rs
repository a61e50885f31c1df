//! Where each setting stands in the user's files, so that a rule over the model can point at it.
//!
//! A host's setting may stand in a layer below it: `hosts.a.interface` in `defaults.interface`. Layers are named once
//! per host and looked through, so that ten thousand hosts do not repeat what `defaults` says.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::source::Span;

/// Spans by dotted path: `kubernetes.networking.podSubnet`, `hosts.k8setcd1.address`, `hosts.k8setcd1` (the name).
#[derive(Debug, Default)]
pub struct Places {
    spans: BTreeMap<String, Span>,
    again: BTreeMap<String, Vec<Span>>,
    unsound: BTreeSet<String>,
    /// The layers below a host, the latest first: `groups.gpu`, `roles.worker`, `defaults`.
    layers: BTreeMap<String, Arc<[String]>>,
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

    /// Remembers which layers a host takes settings from, the latest first.
    pub fn inherit(&mut self, host: impl Into<String>, layers: Arc<[String]>) {
        self.layers.insert(host.into(), layers);
    }

    /// Where a setting stands; of its nearest parent that stands anywhere if it was filled in by default.
    pub fn at(&self, path: &str) -> Option<Span> {
        let mut path = path;
        loop {
            if let Some(span) = self.exactly(path) {
                return Some(span);
            }
            path = &path[..path.rfind('.')?];
        }
    }

    /// Whether the user wrote the setting (rather than it being a default).
    pub fn is_written(&self, path: &str) -> bool {
        self.exactly(path).is_some()
    }

    /// Whether the setting stands at this very path, not in a layer below the host.
    pub fn stands_itself(&self, path: &str) -> bool {
        self.spans.contains_key(path)
    }

    /// The settings at each place.
    pub fn by_span(&self) -> HashMap<Span, Vec<&str>> {
        let mut paths: HashMap<Span, Vec<&str>> = HashMap::new();
        let first = self.spans.iter().map(|(path, span)| (path, *span));
        let again = self.again.iter().flat_map(|(path, spans)| spans.iter().map(move |span| (path, *span)));
        for (path, span) in first.chain(again) {
            paths.entry(span).or_default().push(path);
        }
        paths
    }

    /// The settings at one place.
    pub fn paths_at(&self, span: Span) -> impl Iterator<Item = &str> {
        self.spans.iter().filter(move |(_, own)| **own == span).map(|(path, _)| path.as_str())
    }

    fn exactly(&self, path: &str) -> Option<Span> {
        if let Some(span) = self.spans.get(path) {
            return Some(*span);
        }
        let (layers, rest) = self.below(path)?;
        layers.iter().find_map(|layer| self.spans.get(&format!("{layer}.{rest}")).copied())
    }

    /// The layers of the host that a path belongs to, and the setting's path within the host.
    fn below<'a, 'p>(&'a self, path: &'p str) -> Option<(&'a [String], &'p str)> {
        let name = path.strip_prefix("hosts.")?;
        let end = "hosts.".len() + name.find('.')?;
        Some((self.layers.get(&path[..end])?, &path[end + 1..]))
    }

    /// Whether the model holds what the user wrote at `path` and below, so that a rule may judge it.
    pub fn is_sound(&self, path: &str) -> bool {
        if self.unsound.is_empty() {
            return true;
        }
        if !self.is_sound_itself(path) {
            return false;
        }
        match self.below(path) {
            Some((layers, rest)) => {
                layers.iter().all(|layer| self.is_sound_itself(&format!("{layer}.{rest}")))
            }
            // A host itself: everything that it takes from its layers.
            None => self
                .layers
                .get(path)
                .is_none_or(|layers| layers.iter().all(|layer| self.is_sound_itself(layer))),
        }
    }

    fn is_sound_itself(&self, path: &str) -> bool {
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

    #[test]
    fn a_hosts_setting_may_stand_in_a_layer() {
        let mut sources = crate::source::Sources::new();
        let id = sources.add("a.yaml", "0123456789");
        let span = |start: usize| Span::new(id, start..start + 1);
        let mut places = Places::default();
        places.put("defaults.interface", span(0));
        places.put("roles.worker.interface", span(1));
        places.put("roles.worker.labels", span(2));
        places.put("hosts.a", span(3));
        places.put("hosts.a.labels", span(4));
        places.put("roles.worker.labels.disk", span(5));
        places.inherit("hosts.a", Arc::from(["roles.worker".to_owned(), "defaults".to_owned()]));
        assert_eq!(places.at("hosts.a.interface"), Some(span(1)));
        assert_eq!(places.at("hosts.a.labels"), Some(span(4)));
        assert_eq!(places.at("hosts.a.labels.disk"), Some(span(5)));
        assert_eq!(places.at("hosts.a.labels.size"), Some(span(4)));
        assert_eq!(places.at("hosts.a.zone"), Some(span(3)));
        assert_eq!(places.at("hosts.b.interface"), None);
        assert!(places.is_written("hosts.a.interface") && !places.is_written("hosts.a.zone"));
        places.mark_unsound("defaults.interface");
        assert!(!places.is_sound("hosts.a.interface") && !places.is_sound("hosts.a"));
        assert!(places.is_sound("hosts.a.labels") && places.is_sound("hosts.b"));
    }
}
