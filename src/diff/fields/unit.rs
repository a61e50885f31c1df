//! Reads systemd's units and configuration files by section and key (systemd.syntax(7)).

use std::collections::BTreeMap;

use super::Unread;
use super::tree::{Node, Parts, Step};

/// Reads a unit or a drop-in.
pub(super) fn read(text: &str) -> Result<Node, Unread> {
    let mut section = None;
    // Values in order, by section and key.
    let mut settings: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = Some(name.to_owned());
            continue;
        }
        let mut whole = line.to_owned();
        while let Some(kept) = whole.strip_suffix('\\') {
            let kept = kept.trim_end().len();
            whole.truncate(kept);
            // Comments inside of a continued line are left out, and the line goes on after them.
            let Some(next) = lines.by_ref().find(|line| !line.trim_start().starts_with(['#', ';'])) else {
                break;
            };
            whole.push(' ');
            whole.push_str(next.trim());
        }
        let section = section.clone().ok_or(Unread("a setting stands before every section"))?;
        let (key, value) = whole.split_once('=').ok_or(Unread("it holds a line without `=`"))?;
        if key.trim().is_empty() {
            return Err(Unread("it holds a value without a key"));
        }
        let values = settings.entry((section, key.trim().to_owned())).or_default();
        let value = value.trim();
        // An empty value forgets those before it, and stays: it forgets those of other files as well.
        if value.is_empty() {
            values.clear();
        }
        values.push(value.to_owned());
    }
    let mut parts = Parts::default();
    for ((section, key), values) in settings {
        let step = Step::new(format!("[{section}] {key}"));
        if is_set(&section, &key) && values.iter().all(|value| !value.is_empty()) {
            let names = values.iter().flat_map(|value| value.split_whitespace()).map(str::to_owned);
            parts.collect(step, names);
        } else {
            for value in values {
                parts.repeat(step.clone(), Node::text(value));
            }
        }
    }
    Ok(parts.into_node())
}

/// Whether a setting is a list of names whose order means nothing (systemd.unit(5)).
fn is_set(section: &str, key: &str) -> bool {
    match section {
        "Unit" => matches!(
            key,
            "After"
                | "Before"
                | "Wants"
                | "Requires"
                | "Requisite"
                | "BindsTo"
                | "PartOf"
                | "Upholds"
                | "Conflicts"
                | "OnFailure"
                | "OnSuccess"
        ),
        "Install" => matches!(key, "WantedBy" | "RequiredBy" | "UpheldBy" | "Also" | "Alias"),
        _ => false,
    }
}
