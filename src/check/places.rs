//! Where each setting stands in the user's files, so that a rule over the model can point at it.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::Span;

/// Spans by dotted path: `kubernetes.networking.podSubnet`, `hosts.k8setcd1.address`, `hosts.k8setcd1` (the name).
#[derive(Debug, Default)]
pub struct Places {
    spans: BTreeMap<String, Span>,
    unsound: BTreeSet<String>,
}

impl Places {
    /// Remembers where a setting stands.
    pub fn put(&mut self, path: impl Into<String>, span: Span) {
        self.spans.insert(path.into(), span);
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
        let below = format!("{path}.");
        !self.unsound.iter().any(|p| p == path || p.starts_with(&below) || path.starts_with(&format!("{p}.")))
    }
}
