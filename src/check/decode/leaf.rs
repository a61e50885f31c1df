//! Single values against their format: texts, numbers, words, names of secrets.
//!
//! Says what is wrong with one value, and keeps none of them.

use super::{Decoder, secret_name, text_of};
use crate::check::findings::{finding, one_of};
use crate::check::suggest::nearest;
use crate::check::text::{self, Fault};
use crate::diag::{Code, Diagnostic};
use crate::load::tree::{Node, ScalarKind, Value, parse_int};
use crate::pki::store::is_secret_name;
use crate::schema::Format;
use crate::source::Span;

impl Decoder<'_> {
    pub(super) fn leaf(&mut self, node: &Node, format: Format) {
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

    pub(super) fn judge(&mut self, format: Format, text: &str, span: Span) {
        if let Err(fault) = text::judge(format, text) {
            self.fault(fault, span);
        }
    }

    pub(super) fn fault(&mut self, fault: Fault, span: Span) {
        self.report.push(finding(fault, span));
        self.unsound();
    }

    pub(super) fn int(&mut self, node: &Node, min: i64, max: i64) {
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

    pub(super) fn choice(
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
    pub(super) fn is_reference(&mut self, node: &Node) -> bool {
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
    pub(super) fn secret(&mut self, node: &Node, name: &Node) {
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
}

fn is_number(node: &Node) -> bool {
    match &node.value {
        Value::Scalar { text, kind: ScalarKind::Int } => parse_int(text).is_some_and(|number| number >= 0),
        _ => false,
    }
}
