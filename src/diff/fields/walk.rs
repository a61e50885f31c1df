//! Compares two trees, the same way whatever they were read from.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::align::align;
use super::tree::{Kind, Leaf, Node, Step};
use super::{FieldChange, Unread};

/// How much text the changes of one file may have together; a long key above many values multiplies.
const MAX_OUTPUT: usize = 16 << 20;

/// The text on one line, and without anything that a terminal would act on.
fn visible(text: String) -> String {
    if text.chars().any(char::is_control) { text.escape_debug().collect() } else { text }
}

/// Walks two trees and collects what differs.
#[derive(Debug, Default)]
pub(super) struct Diff {
    path: String,
    changes: Vec<FieldChange>,
    output: usize,
}

impl Diff {
    pub(super) fn finish(self) -> Result<Vec<FieldChange>, Unread> {
        if self.output > MAX_OUTPUT { Err(Unread("too much differs")) } else { Ok(self.changes) }
    }

    fn change(&mut self, old: Option<String>, new: Option<String>) {
        self.output +=
            self.path.len() + old.as_ref().map_or(0, String::len) + new.as_ref().map_or(0, String::len);
        if self.output <= MAX_OUTPUT {
            let path = visible(self.path.clone());
            self.changes.push(FieldChange { path, old: old.map(visible), new: new.map(visible) });
        }
    }

    fn within(&mut self, step: &str, then: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        let step = if length == 0 { step.trim_start_matches(['.', ' ', '>']) } else { step };
        self.path.push_str(step);
        then(self);
        self.path.truncate(length);
    }

    /// Says that all of a tree is new.
    pub(super) fn come(&mut self, node: &Node) {
        self.all(node, true);
    }

    fn all(&mut self, node: &Node, new: bool) {
        if self.output > MAX_OUTPUT {
            return;
        }
        if let Some(empty) = node.empty() {
            if !self.path.is_empty() {
                self.side(empty.to_owned(), new);
            }
            return;
        }
        match node {
            Node::Leaf(leaf) => self.side(leaf.plain(), new),
            Node::Whole { text, .. } => self.side(text.clone(), new),
            Node::Set(members) => members.iter().for_each(|member| self.side(member.clone(), new)),
            Node::List(kind, members) => match leaves(members) {
                Some(leaves) => leaves.iter().for_each(|leaf| self.side(leaf.plain(), new)),
                None => {
                    for (at, member) in members.iter().enumerate() {
                        self.within(&kind.label(at, members.len() > 1), |diff| diff.all(member, new));
                    }
                }
            },
            Node::Map(parts) | Node::Sealed { properties: parts, .. } => {
                let mut rivals: BTreeMap<&str, usize> = BTreeMap::new();
                for step in parts.keys().filter(|step| !step.key.is_empty()) {
                    *rivals.entry(&step.name).or_default() += 1;
                }
                for (step, node) in parts {
                    let several = rivals.get(step.name.as_str()).is_some_and(|count| *count > 1);
                    self.within(&label(&step.name, &step.key, several), |diff| diff.all(node, new));
                }
            }
        }
    }

    fn side(&mut self, text: String, new: bool) {
        if new { self.change(None, Some(text)) } else { self.change(Some(text), None) }
    }

    /// Compares two trees that stand at the same place.
    pub(super) fn pair(&mut self, old: &Node, new: &Node) {
        if self.output > MAX_OUTPUT {
            return;
        }
        match (old, new) {
            (Node::Leaf(old), Node::Leaf(new)) => self.leaf(old, new),
            (Node::Whole { text: old, members: before }, Node::Whole { text: new, members: after }) => {
                if before != after {
                    self.change(Some(old.clone()), Some(new.clone()));
                }
            }
            (Node::Set(old), Node::Set(new)) => {
                old.difference(new).for_each(|gone| self.side(gone.clone(), false));
                new.difference(old).for_each(|come| self.side(come.clone(), true));
            }
            (Node::List(kind, old), Node::List(_, new)) => match (leaves(old), leaves(new)) {
                (Some(old), Some(new)) => self.sequence(&old, &new),
                _ => self.list(*kind, old, new),
            },
            (Node::Map(old), Node::Map(new)) => self.map(old, new),
            (
                Node::Sealed { properties: old, seal: before },
                Node::Sealed { properties: new, seal: after },
            ) => {
                let known = self.changes.len();
                self.map(old, new);
                if self.changes.len() == known && before != after {
                    self.within(" > signature", |diff| {
                        diff.change(Some(before.clone()), Some(after.clone()))
                    });
                }
            }
            (empty, full) if empty.empty().is_some() && full.is_collection() && full.empty().is_none() => {
                self.all(full, true);
            }
            (full, empty) if empty.empty().is_some() && full.is_collection() && full.empty().is_none() => {
                self.all(full, false);
            }
            (old, new) => match (old.empty(), new.empty()) {
                (Some(old), Some(new)) => self.change(Some(old.to_owned()), Some(new.to_owned())),
                _ => {
                    self.all(old, false);
                    self.all(new, true);
                }
            },
        }
    }

    fn leaf(&mut self, old: &Leaf, new: &Leaf) {
        if old == new {
            return;
        }
        let (mut before, mut after) = (old.plain(), new.plain());
        if before == after || old.is_text != new.is_text {
            (before, after) = (old.exact(), new.exact());
        }
        self.change(Some(before), Some(after));
    }

    /// Values in order: which went and came, and whether those that stay stand in another order.
    fn sequence(&mut self, old: &[&Leaf], new: &[&Leaf]) {
        if old == new {
            return;
        }
        let (gone, kept_old) = split(old, new);
        let (come, kept_new) = split(new, old);
        if kept_old != kept_new {
            let shown = |kept: &[&Leaf]| kept.iter().map(|leaf| leaf.exact()).collect::<Vec<_>>().join(", ");
            self.within(" (order)", |diff| diff.change(Some(shown(&kept_old)), Some(shown(&kept_new))));
        }
        // A line whose first word stays was edited; so was a lone one.
        let mut by_word: BTreeMap<&str, VecDeque<&Leaf>> = BTreeMap::new();
        let mut come_alone = Vec::new();
        for leaf in &come {
            match leaf.first_word() {
                Some(word) => by_word.entry(word).or_default().push_back(leaf),
                None => come_alone.push(*leaf),
            }
        }
        let mut gone_alone = Vec::new();
        for leaf in gone {
            match leaf.first_word().and_then(|word| by_word.get_mut(word)).and_then(VecDeque::pop_front) {
                Some(other) => self.leaf(leaf, other),
                None => gone_alone.push(leaf),
            }
        }
        come_alone.extend(by_word.into_values().flatten());
        if let ([gone], [come]) = (gone_alone.as_slice(), come_alone.as_slice()) {
            self.leaf(gone, come);
            return;
        }
        gone_alone.iter().for_each(|leaf| self.side(leaf.plain(), false));
        come_alone.iter().for_each(|leaf| self.side(leaf.plain(), true));
    }

    /// Certificates or keys by what they are: which came and went, and whether those that stay stand in another order. As many
    /// as went have come in their places.
    fn chain(&mut self, kind: Kind, old: &[Node], new: &[Node]) {
        let stay = |from: &[Node], other: &[Node]| -> Vec<Node> {
            from.iter().filter(|node| other.contains(node)).cloned().collect()
        };
        let (kept_old, kept_new) = (stay(old, new), stay(new, old));
        if kept_old != kept_new {
            let shown = |kept: &[Node]| kept.iter().filter_map(key_of).collect::<Vec<_>>().join(", ");
            self.within(" > order", |diff| diff.change(Some(shown(&kept_old)), Some(shown(&kept_new))));
        }
        let apart = |from: &[Node], other: &[Node]| -> Vec<usize> {
            (0..from.len()).filter(|at| !other.contains(&from[*at])).collect()
        };
        let (gone, come) = (apart(old, new), apart(new, old));
        if gone.len() == come.len() {
            for (at, other) in gone.into_iter().zip(come) {
                self.within(&kind.label(at.max(other), false), |diff| diff.pair(&old[at], &new[other]));
            }
            return;
        }
        for at in gone {
            self.within(&kind.label(at, true), |diff| diff.all(&old[at], false));
        }
        for at in come {
            self.within(&kind.label(at, true), |diff| diff.all(&new[at], true));
        }
    }

    fn list(&mut self, kind: Kind, old: &[Node], new: &[Node]) {
        if matches!(kind, Kind::Chain | Kind::Keys) {
            return self.chain(kind, old, new);
        }
        let several = old.len().max(new.len()) > 1;
        for pair in align(old, new) {
            match pair {
                (Some(at), Some(other)) => {
                    // One label for both directions.
                    let label = kind.label(at.max(other), several);
                    self.within(&label, |diff| diff.pair(&old[at], &new[other]));
                }
                (Some(at), None) => self.within(&kind.label(at, several), |diff| diff.all(&old[at], false)),
                (None, Some(at)) => self.within(&kind.label(at, several), |diff| diff.all(&new[at], true)),
                (None, None) => {}
            }
        }
    }

    fn map(&mut self, old: &BTreeMap<Step, Node>, new: &BTreeMap<Step, Node>) {
        let (mut before, mut after) = (old.iter().peekable(), new.iter().peekable());
        // Parts that have no rivals, side by side; names with keys are looked at in groups, below.
        let mut keyed = BTreeSet::new();
        loop {
            let order = match (before.peek(), after.peek()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((old, _)), Some((new, _))) => old.cmp(new),
            };
            let gone = if order.is_le() { before.next() } else { None };
            let come = if order.is_ge() { after.next() } else { None };
            let Some((step, _)) = gone.or(come) else { break };
            if !step.key.is_empty() {
                keyed.insert(step.name.as_str());
                continue;
            }
            match (gone, come) {
                (Some((_, gone)), Some((_, come))) if gone == come => {}
                (Some((_, gone)), Some((_, come))) => self.within(&step.name, |diff| diff.pair(gone, come)),
                (Some((_, gone)), None) => self.within(&step.name, |diff| diff.all(gone, false)),
                (None, Some((_, come))) => self.within(&step.name, |diff| diff.all(come, true)),
                (None, None) => {}
            }
        }
        for name in keyed {
            self.group(name, &group(old, name), &group(new, name));
        }
    }

    /// Parts of one name, told apart by keys. A lone one on each side is the same one with another key.
    fn group(&mut self, name: &str, before: &BTreeMap<&str, &Node>, after: &BTreeMap<&str, &Node>) {
        let several = before.len().max(after.len()) > 1;
        let gone: Vec<_> = before.iter().filter(|(key, _)| !after.contains_key(*key)).collect();
        let come: Vec<_> = after.iter().filter(|(key, _)| !before.contains_key(*key)).collect();
        for (key, old) in before {
            if let Some(new) = after.get(key) {
                self.within(&label(name, key, several), |diff| diff.pair(old, new));
            }
        }
        if let ([(_, gone)], [(_, come)]) = (gone.as_slice(), come.as_slice()) {
            self.within(name, |diff| diff.pair(gone, come));
            return;
        }
        for (key, node) in gone {
            self.within(&label(name, key, several), |diff| diff.all(node, false));
        }
        for (key, node) in come {
            self.within(&label(name, key, several), |diff| diff.all(node, true));
        }
    }
}

/// The fingerprint of a certificate's or a key's node.
fn key_of(node: &Node) -> Option<String> {
    let (Node::Sealed { properties, .. } | Node::Map(properties)) = node else { return None };
    match properties.get(&Step::new(" > key")) {
        Some(Node::Leaf(leaf)) => Some(leaf.plain()),
        _ => None,
    }
}

impl Kind {
    fn label(self, at: usize, several: bool) -> String {
        match self {
            Kind::Items => format!("[{at}]"),
            Kind::Repeated if several => format!(" #{}", at + 1),
            Kind::Chain if several || at > 0 => format!(" > certificate {}", at + 1),
            Kind::Keys if several || at > 0 => format!(" > key {}", at + 1),
            Kind::Repeated | Kind::Chain | Kind::Keys => String::new(),
        }
    }
}

impl Leaf {
    /// For people: text as it is.
    fn plain(&self) -> String {
        visible(self.text.clone())
    }

    /// So that different values look different.
    fn exact(&self) -> String {
        if self.is_text { format!("{:?}", self.text) } else { self.plain() }
    }

    fn first_word(&self) -> Option<&str> {
        let (word, rest) = self.text.split_once(' ')?;
        (!word.is_empty() && !rest.is_empty()).then_some(word)
    }
}

fn label<'a>(name: &'a str, key: &str, several: bool) -> Cow<'a, str> {
    if several && !key.is_empty() { Cow::Owned(format!("{name} {key}")) } else { Cow::Borrowed(name) }
}

/// The parts of a name that have keys.
fn group<'a>(parts: &'a BTreeMap<Step, Node>, name: &str) -> BTreeMap<&'a str, &'a Node> {
    let from = Step::new(name);
    let of_name = parts.range(from..).take_while(|(step, _)| step.name == name);
    of_name.filter(|(step, _)| !step.key.is_empty()).map(|(step, node)| (step.key.as_str(), node)).collect()
}

fn leaves(members: &[Node]) -> Option<Vec<&Leaf>> {
    members.iter().map(|member| if let Node::Leaf(leaf) = member { Some(leaf) } else { None }).collect()
}

/// Those of `from` that `other` lacks, and those that it has as well, in order.
fn split<'a>(from: &[&'a Leaf], other: &[&'a Leaf]) -> (Vec<&'a Leaf>, Vec<&'a Leaf>) {
    let mut there: BTreeMap<&Leaf, usize> = BTreeMap::new();
    other.iter().for_each(|leaf| *there.entry(leaf).or_default() += 1);
    from.iter().partition(|leaf| match there.get_mut(**leaf) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    })
}
