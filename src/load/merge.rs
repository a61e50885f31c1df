//! Joins the documents of a cluster: maps by key, `hosts` and `waivers` by appending, everything else may be set once.
//!
//! The order of documents decides only which of two conflicting places is called the second; the merged settings do
//! not depend on it.

use super::tree::{Entry, KeyIndex, Node, ScalarKind, Value};
use crate::diag::{Code, Diagnostic, Report};

/// Joins `from` into `into`. Both are maps at their top.
pub(super) fn merge(into: &mut Node, from: Node, report: &mut Report) {
    let (Value::Map(into), Value::Map(from)) = (&mut into.value, from.value) else { return };
    merge_maps(into, from, &mut Vec::new(), report);
}

fn merge_maps(into: &mut Vec<Entry>, from: Vec<Entry>, path: &mut Vec<String>, report: &mut Report) {
    let mut index = KeyIndex::default();
    for entry in from {
        match index.find(&entry.key.value, into.len(), |at| &into[at].key.value) {
            None => into.push(entry),
            Some(at) => {
                path.push(entry.key.value.clone());
                merge_entries(&mut into[at], entry, path, report);
                path.pop();
            }
        }
    }
}

fn merge_entries(first: &mut Entry, second: Entry, path: &mut Vec<String>, report: &mut Report) {
    let appended = path.len() == 1 && matches!(path[0].as_str(), "hosts" | "waivers");
    let schema = path.len() == 1 && path[0] == "schema";
    match (&mut first.value.value, second.value.value) {
        (Value::Map(into), Value::Map(from)) => merge_maps(into, from, path, report),
        (Value::List(into), Value::List(from)) if appended => into.extend(from),
        // A key with nothing after it says nothing, so it takes nothing away from a document that fills it.
        (Value::Map(_) | Value::Null, Value::Null) => {}
        (Value::List(_), Value::Null) if appended => {}
        (Value::Null, value @ Value::Map(_)) => {
            *first = Entry { key: second.key, value: Node { value, span: second.value.span } };
        }
        (Value::Null, value @ Value::List(_)) if appended => {
            *first = Entry { key: second.key, value: Node { value, span: second.value.span } };
        }
        (
            Value::Scalar { text: one, kind: ScalarKind::Str },
            Value::Scalar { text: other, kind: ScalarKind::Str },
        ) if schema && *one == other => {}
        (one, other) => {
            let setting = path.join(".");
            let other = Node { value: other, span: second.value.span };
            let mixed = matches!(one, Value::Map(_)) != matches!(other.value, Value::Map(_));
            let finding = if mixed {
                let (kind, again) = (first.value.kind_name(), other.kind_name());
                Diagnostic::error(
                    Code::MergeKind,
                    format!("`{setting}` is {again} here and {kind} elsewhere"),
                )
                .reason("documents are merged key by key, and a map can only be merged with a map")
                .help("make both of them maps, or keep one")
            } else {
                Diagnostic::error(Code::SetTwice, format!("`{setting}` is set in two places"))
                    .reason("the order of files has no meaning, so neither of the two can win")
                    .help("keep one of them")
            };
            report.push(finding.at(second.key.span, "set again here").also(first.key.span, "first set here"));
        }
    }
}

#[cfg(test)]
mod tests;
