//! What all readers make of a text, and the comparison of two such trees. Knows no format.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{FieldChange, Unread};

/// How much text the changes of one file may have together; a long key above many values multiplies.
const MAX_OUTPUT: usize = 16 << 20;
/// Up to how many pairs of list members the best alignment is looked for.
const MAX_PAIRS: usize = 1 << 18;

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
    text: String,
    /// It is text; otherwise a number, a truth value, or nothing.
    is_text: bool,
}

/// How members of a list are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// `[0]`, `[1]`.
    Items,
    /// The same name several times: ` #2`.
    Repeated,
    /// Certificates of a chain: the first has no name of its own.
    Chain,
}

/// A step of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Step {
    /// With what separates it from the step before; at the beginning of a path the separator is left out.
    name: String,
    /// Tells several of the same name apart; a lone one may change it.
    key: String,
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
    fn empty(&self) -> Option<&'static str> {
        match self {
            Node::Set(members) if members.is_empty() => Some("[]"),
            Node::List(_, members) if members.is_empty() => Some("[]"),
            Node::Map(parts) if parts.is_empty() => Some("{}"),
            _ => None,
        }
    }

    fn is_collection(&self) -> bool {
        !matches!(self, Node::Leaf(_) | Node::Whole { .. })
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
}

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
                for (name, group) in groups(parts) {
                    for (key, node) in &group {
                        self.within(&label(name, key, group.len() > 1), |diff| diff.all(node, new));
                    }
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

    fn list(&mut self, kind: Kind, old: &[Node], new: &[Node]) {
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
        let (mut old, mut new) = (groups(old), groups(new));
        let names: BTreeSet<&str> = old.keys().chain(new.keys()).copied().collect();
        for name in names {
            let before = old.remove(name).unwrap_or_default();
            let after = new.remove(name).unwrap_or_default();
            let several = before.len().max(after.len()) > 1;
            let (mut gone, mut come) = (Vec::new(), Vec::new());
            let find = |group: &[(&str, &Node)], key: &str| {
                group.binary_search_by(|(other, _)| (*other).cmp(key)).ok()
            };
            for (key, node) in &before {
                match find(&after, key) {
                    Some(at) => {
                        self.within(&label(name, key, several), |diff| diff.pair(node, after[at].1));
                    }
                    None => gone.push((*key, *node)),
                }
            }
            come.extend(after.iter().filter(|(key, _)| find(&before, key).is_none()).copied());
            if let ([(_, gone)], [(_, come)]) = (gone.as_slice(), come.as_slice()) {
                self.within(name, |diff| diff.pair(gone, come));
                continue;
            }
            for (key, node) in gone {
                self.within(&label(name, key, several), |diff| diff.all(node, false));
            }
            for (key, node) in come {
                self.within(&label(name, key, several), |diff| diff.all(node, true));
            }
        }
    }
}

impl Kind {
    fn label(self, at: usize, several: bool) -> String {
        match self {
            Kind::Items => format!("[{at}]"),
            Kind::Repeated if several => format!(" #{}", at + 1),
            Kind::Chain if at > 0 => format!(" > certificate {}", at + 1),
            Kind::Repeated | Kind::Chain => String::new(),
        }
    }
}

impl Leaf {
    fn first_word(&self) -> Option<&str> {
        let (word, rest) = self.text.split_once(' ')?;
        (!word.is_empty() && !rest.is_empty()).then_some(word)
    }
}

fn label(name: &str, key: &str, several: bool) -> String {
    if several && !key.is_empty() { format!("{name} {key}") } else { name.to_owned() }
}

/// The parts of a map by name; keys sorted.
fn groups(parts: &BTreeMap<Step, Node>) -> BTreeMap<&str, Vec<(&str, &Node)>> {
    let mut groups: BTreeMap<&str, Vec<(&str, &Node)>> = BTreeMap::new();
    for (step, node) in parts {
        groups.entry(&step.name).or_default().push((&step.key, node));
    }
    groups
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

/// Pairs the members of two lists: equal ones along a longest common subsequence, those between them one by one.
fn align(old: &[Node], new: &[Node]) -> Vec<(Option<usize>, Option<usize>)> {
    let mut numbers: BTreeMap<&Node, usize> = BTreeMap::new();
    let mut ids = |node| {
        let next = numbers.len();
        *numbers.entry(node).or_insert(next)
    };
    let a: Vec<usize> = old.iter().map(&mut ids).collect();
    let b: Vec<usize> = new.iter().map(&mut ids).collect();
    let mut pairs = Vec::new();
    let mut from = (0, 0);
    for (i, j) in common(&a, &b).into_iter().chain([(a.len(), b.len())]) {
        for at in 0..(i - from.0).max(j - from.1) {
            let (x, y) = (from.0 + at, from.1 + at);
            pairs.push(((x < i).then_some(x), (y < j).then_some(y)));
        }
        from = (i + 1, j + 1);
    }
    pairs
}

/// A longest common subsequence, as pairs of places.
fn common(a: &[usize], b: &[usize]) -> Vec<(usize, usize)> {
    let head = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let tail = a[head..].iter().rev().zip(b[head..].iter().rev()).take_while(|(x, y)| x == y).count();
    let (inner_a, inner_b) = (&a[head..a.len() - tail], &b[head..b.len() - tail]);
    let mut pairs: Vec<(usize, usize)> = (0..head).map(|at| (at, at)).collect();
    let (rows, columns) = (inner_a.len(), inner_b.len());
    if rows.saturating_mul(columns) <= MAX_PAIRS {
        let width = columns + 1;
        let mut lengths = vec![0_u32; (rows + 1) * width];
        for i in (0..rows).rev() {
            for j in (0..columns).rev() {
                lengths[i * width + j] = if inner_a[i] == inner_b[j] {
                    lengths[(i + 1) * width + j + 1] + 1
                } else {
                    lengths[(i + 1) * width + j].max(lengths[i * width + j + 1])
                };
            }
        }
        let (mut i, mut j) = (0, 0);
        while i < rows && j < columns {
            if inner_a[i] == inner_b[j] {
                pairs.push((head + i, head + j));
                i += 1;
                j += 1;
            } else if lengths[(i + 1) * width + j] >= lengths[i * width + j + 1] {
                i += 1;
            } else {
                j += 1;
            }
        }
    }
    pairs.extend((0..tail).map(|at| (a.len() - tail + at, b.len() - tail + at)));
    pairs
}
