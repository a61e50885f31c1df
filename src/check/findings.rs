//! The findings that decoding and filling the model share, so that one fault reads the same wherever it is found.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::text::Fault;
use crate::diag::{Code, Diagnostic};
use crate::schema::{self, Fallback, Key};
use crate::source::Span;

/// A setting that has a name and no meaning yet.
pub fn not_built(span: Span, setting: &str, what: &str) -> Diagnostic {
    Diagnostic::error(Code::NotBuiltYet, format!("`{setting}` is not possible yet"))
        .at(span, "")
        .reason(format!("this version of khagen does not do it yet: {what}"))
        .help("remove it; a later version gives it a meaning")
}

/// A missing setting.
pub fn missing(path: &str, key: &'static Key, at: Span) -> Diagnostic {
    let finding = Diagnostic::error(Code::MissingKey, format!("`{path}` is missing"))
        .at(at, "")
        .reason(clause(key.doc));
    if !key.example.is_empty() {
        return finding.help(format!("add it, such as `{}: {}`", key.name, key.example));
    }
    let inner: Vec<&str> = key
        .keys()
        .unwrap_or_default()
        .iter()
        .filter(|key| key.fallback == Fallback::Required)
        .map(|key| key.name)
        .collect();
    finding.help(format!("add `{}:` with {}", key.name, inner.join(", ")))
}

/// A sentence as part of another: no full stop, no capital unless it begins a name.
fn clause(sentence: &str) -> String {
    let sentence = sentence.trim_end_matches('.');
    let mut letters = sentence.chars();
    match (letters.next(), letters.next()) {
        (Some(first), Some(second)) if second.is_lowercase() || second == ' ' => {
            format!("{}{}", first.to_lowercase(), &sentence[first.len_utf8()..])
        }
        _ => sentence.to_owned(),
    }
}

/// Turns a fault into a finding.
pub fn finding(fault: Fault, span: Span) -> Diagnostic {
    let mut finding = Diagnostic::error(fault.code, fault.message).at(span, "");
    if !fault.reason.is_empty() {
        finding = finding.reason(fault.reason);
    }
    if !fault.help.is_empty() {
        finding = finding.help(fault.help);
    }
    finding
}

/// Words as a choice.
pub fn one_of(words: &[&str]) -> String {
    match words {
        [] => "nothing".to_owned(),
        [one] => format!("`{one}`"),
        [first @ .., last] => format!(
            "{} or `{last}`",
            first.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
        ),
    }
}

/// Where a key of that name belongs, if there is one place only.
pub fn elsewhere(name: &str) -> Option<&'static str> {
    static PARENTS: LazyLock<HashMap<&'static str, Option<String>>> = LazyLock::new(|| {
        let mut parents = HashMap::new();
        schema::walk(&mut |path, key| {
            if key.coming.is_some() || is_layer(path) {
                return;
            }
            let parent = match path.rsplit_once('.') {
                Some((parent, _)) => parent.replace("[]", ""),
                None => "the top of the inventory".to_owned(),
            };
            parents.entry(key.name).and_modify(|one| *one = None).or_insert(Some(parent));
        });
        parents
    });
    PARENTS.get(name)?.as_deref()
}

/// Whether a path lies in what several hosts share.
pub fn is_layer(path: &str) -> bool {
    ["defaults", "roles", "groups"]
        .iter()
        .any(|layer| path.strip_prefix(layer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
}
