//! The merged tree against the description of the keys: unknown keys, wrong kinds, malformed values, and where
//! everything stands.
//!
//! Goes on after every finding. What cannot be used is marked unsound in [`Places`], so that whoever fills the model
//! puts a stand-in there and rules over several settings leave it alone. Makes no values: [`super::view`] reads them.

use std::collections::HashSet;

use super::findings::{elsewhere, finding, is_layer, missing, not_built, one_of};
use super::places::Places;
use super::secrets::Secrets;
use super::suggest::nearest;
use super::text::{self, Fault};
use crate::diag::{Code, Diagnostic, MAX_FINDINGS, Report};
use crate::load::tree::{Entry, Node, ScalarKind, Value, parse_int};
use crate::pki::store::is_secret_name;
use crate::schema::{self, Fallback, Format, Key, Kind};
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

    fn leaf(&mut self, node: &Node, format: Format) {
        // A patch's source is a file: what it holds is shown by the review and by kubeadm.
        if format == Format::Source
            && self.path.rsplit('.').nth(2) == Some("files")
            && let Some(name) = secret_name(node)
        {
            return self.secret(node, name);
        }
        if self.is_reference(node) {
            return;
        }
        self.put(node.span);
        if self.secrets.holds(node.span) {
            return self.unsound();
        }
        match format {
            Format::Bool => {
                if !matches!(node.value, Value::Bool(_)) {
                    self.wrong_type(node, "true or false");
                }
            }
            Format::Int { min, max } => self.int(node, min, max),
            Format::Size if is_number(node) => {}
            Format::Argument => match text_of(node, true) {
                Some(text) => self.judge(format, &text, node.span),
                None => self.wrong_type(node, "text"),
            },
            Format::Choice { options, coming } => match text_of(node, false) {
                Some(word) => self.choice(&word, options, coming, node.span),
                None => self.wrong_type(node, "text"),
            },
            _ => match text_of(node, false) {
                Some(text) => self.judge(format, &text, node.span),
                None => self.wrong_type(node, "text"),
            },
        }
    }

    fn judge(&mut self, format: Format, text: &str, span: Span) {
        if let Err(fault) = text::judge(format, text) {
            self.fault(fault, span);
        }
    }

    fn fault(&mut self, fault: Fault, span: Span) {
        self.report.push(finding(fault, span));
        self.unsound();
    }

    fn int(&mut self, node: &Node, min: i64, max: i64) {
        let Value::Scalar { text, kind: ScalarKind::Int } = &node.value else {
            return self.wrong_type(node, "a number");
        };
        if !parse_int(text).is_some_and(|number| (min..=max).contains(&number)) {
            let finding =
                Diagnostic::error(Code::OutOfRange, format!("`{}` is {text}, out of range", self.path))
                    .at(node.span, "")
                    .reason(format!("{min} to {max} are taken"))
                    .help(format!("write a number from {min} to {max}"));
            self.refuse(finding);
        }
    }

    fn choice(
        &mut self,
        word: &str,
        options: &'static [&'static str],
        coming: &'static [&'static str],
        span: Span,
    ) {
        if options.contains(&word) {
            return;
        }
        if coming.contains(&word) {
            return self.not_built(span, &format!("{}: {word}", self.path), &format!("`{word}`"));
        }
        let near = nearest(word, options.iter().copied());
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("write {}", one_of(options)),
        };
        let finding =
            Diagnostic::error(Code::NotAChoice, format!("`{}` cannot be `{word}`", self.path)).at(span, "");
        let finding =
            if near.is_some() { finding.reason(format!("it is {}", one_of(options))) } else { finding };
        self.refuse(finding.help(help));
    }

    /// `{secret: NAME}` where it means nothing yet.
    fn is_reference(&mut self, node: &Node) -> bool {
        let found = secret_name(node).is_some();
        if found {
            self.not_built(
                node.entries()[0].key.span,
                &format!("{}: {{secret: NAME}}", self.path),
                "values from the store in other places than a file's `source`",
            );
        }
        found
    }

    /// The secret that a file is made of. A text that is none of its names is perhaps the secret itself.
    fn secret(&mut self, node: &Node, name: &Node) {
        self.put(node.span);
        let text = text_of(name, false).unwrap_or_default();
        if !is_secret_name(&text) || self.secrets.holds(name.span) {
            let finding = Diagnostic::error(Code::SecretName, format!("`{}` names no secret", self.path))
                .at(name.span, "not shown")
                .reason("a secret's name is 1 to 63 of a-z, 0-9, `-`, `_` and `.`, beginning with a letter or digit; what stands here may be the secret itself")
                .help("give the secret a name, and put its value into the store: khagen secret set NAME < FILE");
            self.refuse(finding);
        }
    }

    fn not_built(&mut self, span: Span, setting: &str, what: &str) {
        self.refuse(not_built(span, setting, what));
    }

    fn empty(&mut self, node: &Node) {
        let finding = Diagnostic::error(Code::EmptyList, format!("`{}` is an empty list", self.path))
            .at(node.span, "")
            .reason("it needs an entry")
            .help("add one, or leave the key out");
        self.refuse(finding);
    }

    fn wrong_type(&mut self, node: &Node, expected: &str) {
        self.put(node.span);
        let found = node.kind_name();
        let finding = Diagnostic::error(
            Code::WrongType,
            format!("`{}`: expected {expected}, found {found}", self.path),
        )
        .at(node.span, found);
        let help = match (&node.value, expected) {
            (Value::Null, _) => Some("give it a value, or remove the key"),
            (Value::Scalar { kind: ScalarKind::Str, text }, "a number") if parse_int(text).is_some() => {
                Some("remove the quotes")
            }
            (Value::Scalar { kind: ScalarKind::Str, text }, "true or false")
                if matches!(
                    text.to_ascii_lowercase().as_str(),
                    "yes" | "no" | "on" | "off" | "true" | "false"
                ) =>
            {
                Some("write true or false, without quotes")
            }
            (Value::Bool(_) | Value::Scalar { .. }, "text") => {
                Some("put it in quotes if it is meant as text")
            }
            (Value::Scalar { .. }, "a list") => Some("write it in brackets: [...]"),
            (Value::Scalar { .. }, "a map") => Some("write keys and values"),
            _ => None,
        };
        let finding = match help {
            Some(help) => finding.help(help),
            None => finding,
        };
        self.refuse(finding);
    }

    fn unknown(&mut self, name: &str, span: Span, keys: &'static [Key]) {
        let hidden = self.secrets.holds(span);
        let place =
            if self.path.is_empty() { "at the top".to_owned() } else { format!("in `{}`", self.path) };
        let message =
            if hidden { format!("an unknown key {place}") } else { format!("unknown key `{name}` {place}") };
        let layer = is_layer(&self.path);
        let known =
            || keys.iter().filter(|key| key.coming.is_none() && !(layer && key.own)).map(|key| key.name);
        // Past the limit nobody sees a suggestion, and a million keys would wait for theirs.
        let many = self.report.counts().0 > MAX_FINDINGS;
        let near = if hidden || many { None } else { nearest(name, known()) };
        if let Some(near) = near {
            self.within(near, Self::unsound);
        }
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => match elsewhere(name).filter(|_| !hidden) {
                Some(parent) => format!("`{name}` belongs to `{parent}`"),
                _ => format!("known here: {}", known().collect::<Vec<_>>().join(", ")),
            },
        };
        self.report.push(
            Diagnostic::error(Code::UnknownKey, message)
                .at(span, "")
                .reason("a misspelled key would be a setting that is silently not made")
                .help(help),
        );
    }

    /// Says that a setting is missing, unless it may stand in what could not be read, or under a misspelled name.
    fn missing(&mut self, key: &'static Key, at: Span) {
        let complete = self.complete;
        self.within(key.name, |this| {
            // A misspelled one is unsound by now and was reported.
            let said = !this.places.is_sound(&this.path);
            this.unsound();
            if complete && !said {
                let path = this.path.clone();
                this.report.push(missing(&path, key, at));
            }
        });
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

fn is_number(node: &Node) -> bool {
    match &node.value {
        Value::Scalar { text, kind: ScalarKind::Int } => parse_int(text).is_some_and(|number| number >= 0),
        _ => false,
    }
}

/// The text of a scalar as it is written; of true and false only where a flag's value is meant.
pub fn text_of(node: &Node, or_bool: bool) -> Option<String> {
    match &node.value {
        Value::Scalar { text, .. } => Some(text.clone()),
        Value::Bool(value) if or_bool => Some(value.to_string()),
        _ => None,
    }
}
