//! The merged tree against the description of the keys: unknown keys, wrong kinds, malformed values, and where
//! everything stands.
//!
//! Goes on after every finding. What cannot be used is marked unsound in [`Places`], so that whoever fills the model
//! puts a stand-in there and rules over several settings leave it alone. Makes no values: [`super::view`] reads them.

mod leaf;
mod report;

use std::collections::HashSet;

use super::findings::is_layer;
use super::places::Places;
use super::secrets::Secrets;
use super::text;
use crate::diag::{Code, Diagnostic, Report};
use crate::load::tree::{Entry, Node, ScalarKind, Value, parse_int};
use crate::schema::{self, Fallback, Key, Kind};
use crate::source::Span;

/// The name in `{secret: NAME}`.
pub fn secret_name(node: &Node) -> Option<&Node> {
    match node.entries() {
        [entry] if entry.key.value == "secret" => {
            matches!(entry.value.value, Value::Scalar { kind: ScalarKind::Str, .. }).then_some(&entry.value)
        }
        _ => None,
    }
}

/// Reads one cluster's tree.
pub struct Decoder<'a> {
    /// What looks secret.
    pub secrets: &'a Secrets,
    /// Where everything stands.
    pub places: &'a mut Places,
    /// Where findings go.
    pub report: &'a mut Report,
    /// False when something that is written is not in the tree; then nothing is said to be missing.
    pub complete: bool,
    /// Dotted, of what is being read.
    path: String,
}

impl<'a> Decoder<'a> {
    /// Begins at the top.
    pub fn new(secrets: &'a Secrets, places: &'a mut Places, report: &'a mut Report, complete: bool) -> Self {
        Decoder { secrets, places, report, complete, path: String::new() }
    }

    /// Reads the whole tree.
    pub fn read(&mut self, root: &Node) {
        let top = Span { end: root.span.start, ..root.span };
        self.map(root, schema::INVENTORY, top);
    }

    /// Goes into a part of the path.
    fn within(&mut self, name: &str, read: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        if length > 0 {
            self.path.push('.');
        }
        self.path.push_str(name);
        read(self);
        self.path.truncate(length);
    }

    fn unsound(&mut self) {
        self.places.mark_unsound(self.path.clone());
    }

    fn put(&mut self, span: Span) {
        self.places.put(self.path.clone(), span);
    }

    fn refuse(&mut self, finding: Diagnostic) {
        self.report.push(finding);
        self.unsound();
    }

    /// A map of known keys. `at` is where a missing key is reported: the map's own key.
    fn map(&mut self, node: &Node, keys: &'static [Key], at: Span) {
        if !matches!(node.value, Value::Map(_) | Value::Null) {
            self.wrong_type(node, "a map");
            return;
        }
        for entry in node.entries() {
            match schema::find(keys, &entry.key.value) {
                Some(key) => self.entry(entry, key),
                None => self.unknown(&entry.key.value, entry.key.span, keys),
            }
        }
        if keys.iter().any(|key| key.fallback == Fallback::Required) {
            for key in
                keys.iter().filter(|key| key.fallback == Fallback::Required && node.get(key.name).is_none())
            {
                if !(is_layer(&self.path) && key.own) {
                    self.missing(key, at);
                }
            }
        }
    }

    fn entry(&mut self, entry: &Entry, key: &'static Key) {
        let (own, layer) = (key.own, is_layer(&self.path));
        self.within(key.name, |this| {
            if own && layer {
                let finding = Diagnostic::error(
                    Code::OnlyOnHost,
                    format!("`{}` cannot be given to several hosts", key.name),
                )
                .at(entry.key.span, "")
                .reason("it belongs to one host")
                .help("set it in the host's own entry under `hosts`");
                this.refuse(finding);
            } else if let Some(what) = key.coming {
                if !matches!(entry.value.value, Value::Null) {
                    this.not_built(entry.key.span, &this.path.clone(), what);
                }
            } else {
                this.value(&entry.value, &key.kind, entry.key.span);
            }
        });
    }

    fn value(&mut self, node: &Node, kind: &'static Kind, at: Span) {
        match kind {
            Kind::Leaf(format) => self.leaf(node, *format),
            Kind::OneOrList(format) => match &node.value {
                Value::List(items) => {
                    self.put(node.span);
                    if items.is_empty() {
                        self.empty(node);
                    }
                    for (number, item) in items.iter().enumerate() {
                        self.within(&number.to_string(), |this| this.leaf(item, *format));
                    }
                }
                _ => self.leaf(node, *format),
            },
            Kind::List(of) => {
                let Value::List(items) = &node.value else { return self.wrong_type(node, "a list") };
                if self.path == "hosts" {
                    self.put(at);
                    return self.hosts(items, of);
                }
                self.put(node.span);
                let mut seen = HashSet::new();
                for (number, item) in items.iter().enumerate() {
                    self.within(&number.to_string(), |this| this.value(item, of, start(item)));
                    if let Value::Scalar { text, .. } = &item.value
                        && !seen.insert(text)
                        && !self.secrets.holds(item.span)
                    {
                        self.report.push(
                            Diagnostic::error(
                                Code::Repeated,
                                format!("`{text}` stands twice in `{}`", self.path),
                            )
                            .at(item.span, "again here")
                            .reason("the second one says nothing, so it may be meant as another")
                            .help("remove it"),
                        );
                    }
                }
            }
            Kind::Map(keys) => {
                self.put(at);
                self.map(node, keys, at);
            }
            Kind::LeafOrMap(format, keys) => match node.value {
                Value::Map(_) => {
                    self.put(at);
                    self.map(node, keys, at);
                }
                _ => self.leaf(node, *format),
            },
            Kind::Each { key, value } => {
                if !matches!(node.value, Value::Map(_) | Value::Null) {
                    return self.wrong_type(node, "a map");
                }
                self.put(at);
                for entry in node.entries() {
                    self.within(&entry.key.value, |this| match text::judge(*key, &entry.key.value) {
                        Err(fault) if !this.secrets.holds(entry.key.span) => {
                            this.fault(fault, entry.key.span)
                        }
                        Err(_) => this.unsound(),
                        Ok(()) => this.value(&entry.value, value, entry.key.span),
                    });
                }
            }
            Kind::Foreign(_) => {
                if !matches!(node.value, Value::Map(_) | Value::Null) {
                    return self.wrong_type(node, "a map");
                }
                self.put(at);
                self.foreign(node);
            }
        }
    }

    fn hosts(&mut self, items: &[Node], kind: &'static Kind) {
        let Some(keys) = kind.keys() else { return };
        if items.is_empty() && self.complete {
            let finding = Diagnostic::error(Code::EmptyList, "`hosts` is empty")
                .reason("a cluster needs machines")
                .help("add hosts as `- {name: ..., address: ..., roles: [...]}`");
            let finding = match self.places.at("hosts") {
                Some(span) => finding.at(span, ""),
                None => finding,
            };
            self.refuse(finding);
        }
        for (number, item) in items.iter().enumerate() {
            let (name, at) = host_name(item, number);
            self.within(&name, |this| {
                this.put(at);
                this.map(item, keys, at);
            });
        }
    }

    /// Something that goes to another program: only where it stands, and what cannot be written out.
    fn foreign(&mut self, node: &Node) {
        if self.is_reference(node) {
            return;
        }
        match &node.value {
            Value::Scalar { text, kind: ScalarKind::Int } if parse_int(text).is_none() => {
                let finding = Diagnostic::error(Code::AmbiguousNumber, format!("`{text}` is read differently by different programs"))
                    .at(node.span, "")
                    .reason("YAML 1.1 reads a leading zero as octal, YAML 1.2 as decimal, and very large numbers are rounded")
                    .help(format!("write it without the zero, or in quotes: \"{text}\""));
                self.refuse(finding);
            }
            Value::List(items) => {
                for (number, item) in items.iter().enumerate() {
                    self.within(&number.to_string(), |this| {
                        this.put(item.span);
                        this.foreign(item);
                    });
                }
            }
            Value::Map(entries) => {
                for entry in entries {
                    self.within(&entry.key.value, |this| {
                        this.put(entry.value.span);
                        this.foreign(&entry.value);
                    });
                }
            }
            _ => {}
        }
        if self.secrets.holds(node.span) {
            self.unsound();
        }
    }
}

/// A host's short name and where it stands; a number where it has none.
pub fn host_name(item: &Node, number: usize) -> (String, Span) {
    match item.get("name").map(|entry| &entry.value) {
        Some(Node { value: Value::Scalar { text, .. }, span }) if !text.is_empty() => (text.clone(), *span),
        _ => (format!("#{}", number + 1), start(item)),
    }
}

/// The place where something begins.
fn start(node: &Node) -> Span {
    Span { end: node.span.start, ..node.span }
}

/// The text of a scalar as it is written; of true and false only where a flag's value is meant.
pub fn text_of(node: &Node, or_bool: bool) -> Option<String> {
    match &node.value {
        Value::Scalar { text, .. } => Some(text.clone()),
        Value::Bool(value) if or_bool => Some(value.to_string()),
        _ => None,
    }
}
