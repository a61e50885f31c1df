//! What all readers make of a text. Knows no format.

use std::collections::{BTreeMap, BTreeSet};

/// A value, or the values in something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Node {
    /// One value.
    Leaf(Leaf),
    /// A value that is a set in one text: shown whole, compared by members.
    Whole { text: String, members: BTreeSet<String> },
    /// Members without order, each a change of its own.
    Set(BTreeSet<String>),
    /// Members in order.
    List(Kind, Vec<Node>),
    /// Parts by name.
    Map(BTreeMap<Step, Node>),
    /// Properties of something that is sealed as a whole: when they are all the same and the seal is not, that is said.
    Sealed { properties: BTreeMap<Step, Node>, seal: String },
}

/// One value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Leaf {
    pub(super) text: String,
    /// It is text; otherwise a number, a truth value, or nothing.
    pub(super) is_text: bool,
}

/// How members of a list are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// `[0]`, `[1]`.
    Items,
    /// The same name several times: ` #2`.
    Repeated,
    /// Certificates of a chain or of a bundle of roots: a lone one has no name of its own.
    Chain,
    /// Public keys, as certificates.
    Keys,
}

/// A step of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Step {
    /// With what separates it from the step before; at the beginning of a path the separator is left out.
    pub(super) name: String,
    /// Tells several of the same name apart; a lone one may change it.
    pub(super) key: String,
}

impl Step {
    pub(super) fn new(name: impl Into<String>) -> Step {
        Step { name: name.into(), key: String::new() }
    }

    pub(super) fn keyed(name: impl Into<String>, key: impl Into<String>) -> Step {
        Step { name: name.into(), key: key.into() }
    }
}

/// The parts of a map while it is read.
#[derive(Debug, Default)]
pub(super) struct Parts(BTreeMap<Step, Node>);

impl Parts {
    /// Sets a part; what had the name is replaced.
    pub(super) fn set(&mut self, step: Step, node: Node) {
        self.0.insert(step, node);
    }

    /// Adds one more part of a name that may come again.
    pub(super) fn repeat(&mut self, step: Step, node: Node) {
        let part = self.0.entry(step).or_insert_with(|| Node::List(Kind::Repeated, Vec::new()));
        if let Node::List(_, members) = part {
            members.push(node);
        }
    }

    /// Adds members to a set.
    pub(super) fn collect(&mut self, step: Step, more: impl IntoIterator<Item = String>) {
        let part = self.0.entry(step).or_insert_with(|| Node::Set(BTreeSet::new()));
        if let Node::Set(members) = part {
            members.extend(more);
        }
    }

    pub(super) fn into_map(self) -> BTreeMap<Step, Node> {
        self.0
    }

    pub(super) fn into_node(self) -> Node {
        Node::Map(self.0)
    }
}

impl Node {
    pub(super) fn text(text: impl Into<String>) -> Node {
        Node::Leaf(Leaf { text: text.into(), is_text: true })
    }

    pub(super) fn number(text: impl Into<String>) -> Node {
        Node::Leaf(Leaf { text: text.into(), is_text: false })
    }

    /// What stands for a collection without members; nothing for all others.
    pub(super) fn empty(&self) -> Option<&'static str> {
        match self {
            Node::Set(members) if members.is_empty() => Some("[]"),
            Node::List(_, members) if members.is_empty() => Some("[]"),
            Node::Map(parts) if parts.is_empty() => Some("{}"),
            _ => None,
        }
    }

    pub(super) fn is_collection(&self) -> bool {
        !matches!(self, Node::Leaf(_) | Node::Whole { .. })
    }
}
