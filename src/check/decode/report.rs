//! What the decoder says of keys and kinds: unknown, missing, empty, of the wrong kind, not built yet.
//!
//! Decides nothing: whoever calls has found the fault.

use super::Decoder;
use crate::check::findings::{elsewhere, is_layer, missing, not_built};
use crate::check::suggest::nearest;
use crate::diag::{Code, Diagnostic, MAX_FINDINGS};
use crate::load::tree::{Node, ScalarKind, Value, parse_int};
use crate::schema::Key;
use crate::source::Span;

impl Decoder<'_> {
    pub(super) fn not_built(&mut self, span: Span, setting: &str, what: &str) {
        self.refuse(not_built(span, setting, what));
    }

    pub(super) fn empty(&mut self, node: &Node) {
        let finding = Diagnostic::error(Code::EmptyList, format!("`{}` is an empty list", self.path))
            .at(node.span, "")
            .reason("it needs an entry")
            .help("add one, or leave the key out");
        self.refuse(finding);
    }

    pub(super) fn wrong_type(&mut self, node: &Node, expected: &str) {
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
            (Value::Scalar { .. } | Value::Bool(_), "a number") => Some("write a number, in digits"),
            _ => None,
        };
        let finding = match (help, &node.value, expected) {
            (Some(help), ..) => finding.help(help),
            (None, Value::Map(_), "a list") => finding.help(format!(
                "begin each entry with `-`, or in TOML with two brackets: `[[{}]]`",
                self.path
            )),
            _ => finding,
        };
        self.refuse(finding);
    }

    pub(super) fn unknown(&mut self, name: &str, span: Span, keys: &'static [Key]) {
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
    pub(super) fn missing(&mut self, key: &'static Key, at: Span) {
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
