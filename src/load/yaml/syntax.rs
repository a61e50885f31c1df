//! What the YAML parser stumbled on, in words for a person who does not know its grammar.

use serde_yaml::granit_parser::{ErrorKind, ScanError};

use crate::diag::{Code, Diagnostic};
use crate::load::findings;
use crate::source::{SourceId, Span};

/// Returns the finding of a syntax error. `flow` is the innermost `[` or `{` that is still open.
pub(super) fn finding(id: SourceId, text: &str, error: &ScanError, flow: Option<Span>) -> Diagnostic {
    let offset = error.marker().byte_offset().unwrap_or(text.len()).min(text.len());
    let place = |offset: usize| {
        let end = text.get(offset..).and_then(|rest| rest.chars().next()).filter(|next| *next != '\n');
        Span::new(id, offset..offset + end.map_or(0, char::len_utf8))
    };
    let syntax = |message: &str, at: usize, help: &str| {
        Diagnostic::error(Code::YamlSyntax, message).at(place(at), "").help(help)
    };
    match error.kind() {
        ErrorKind::RecursionLimitExceeded => findings::too_deep(place(offset)),
        ErrorKind::TabInIndentation
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInPlainScalar
        | ErrorKind::TabNotAllowed
        | ErrorKind::TabAtBlockScalarStart => {
            let tab = indenting_tab(text, offset).unwrap_or(offset);
            syntax(
                "a tab where only spaces may stand",
                tab,
                "indent with spaces; YAML does not accept tabs there",
            )
        }
        ErrorKind::UnclosedQuotedScalar | ErrorKind::DocumentIndicatorInQuotedScalar => {
            syntax("a quote is never closed", offset, "close the quote that begins here")
        }
        ErrorKind::UnclosedFlowCollection { open } => {
            let close = if *open == '[' { ']' } else { '}' };
            syntax(&format!("`{open}` is never closed"), offset, &format!("close it with `{close}`"))
        }
        ErrorKind::MismatchedFlowCollectionEnd { open, close } => syntax(
            &format!("`{open}` is closed by `{close}`"),
            offset,
            "close each bracket with its own kind, the inner one first",
        ),
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidColonPlacement => also_opened(
            syntax(
                "a key is not expected here",
                offset,
                "indent the keys of one map alike, quote a value that contains `: `, and close `[` and `{`",
            ),
            flow,
        ),
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => syntax(
            "a `:` is missing after a key",
            offset,
            "write `key: value`, or quote text that goes over several lines",
        ),
        ErrorKind::InvalidIndentation
        | ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::ExpectedBlockSequenceEntry
        | ErrorKind::InvalidQuotedScalarIndent
        | ErrorKind::InvalidFlowScalarIndent
        | ErrorKind::InvalidBlockScalarIndent => syntax(
            "the indentation matches nothing above",
            offset,
            "indent the keys of one map, and the dashes of one list, exactly alike",
        ),
        ErrorKind::UnexpectedCharacter { character } => syntax(
            &format!("`{}` cannot begin a value", character.escape_debug()),
            offset,
            "put the value into quotes",
        ),
        ErrorKind::UnknownQuotedScalarEscape => syntax(
            "an escape that YAML does not know",
            offset,
            "write `\\\\` for a backslash, or use single quotes, in which it has no meaning",
        ),
        kind => {
            let found =
                Diagnostic::error(Code::YamlSyntax, format!("not valid YAML: {kind}")).at(place(offset), "");
            also_opened(found, flow)
        }
    }
}

/// Finds the tab that the parser means: it points behind it, or to the beginning of text that goes on after it.
fn indenting_tab(text: &str, offset: usize) -> Option<usize> {
    let mut start = text.get(..offset)?.rfind('\n').map_or(0, |at| at + 1);
    for line in text.get(start..)?.split_inclusive('\n') {
        let indentation = line.len() - line.trim_start_matches([' ', '\t']).len();
        if let Some(tab) = line[..indentation].find('\t') {
            return Some(start + tab);
        }
        start += line.len();
    }
    None
}

fn also_opened(found: Diagnostic, flow: Option<Span>) -> Diagnostic {
    match flow {
        Some(span) => found.also(Span { end: span.start + 1, ..span }, "opened here"),
        None => found,
    }
}
