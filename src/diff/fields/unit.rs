//! Reads systemd's units and configuration files by section and key (systemd.syntax(7)).

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::Unread;
use super::tree::{Node, Parts, Step};

/// Reads a unit or a drop-in.
pub(super) fn read(text: &str) -> Result<Node, Unread> {
    let mut section = None;
    // Values in order, by section and key.
    let mut settings: BTreeMap<(&str, Cow<'_, str>), Vec<String>> = BTreeMap::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let line = line.trim();
        if line.is_empty() || is_comment(line) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = Some(name);
            continue;
        }
        let section = section.ok_or(Unread("a setting stands before every section"))?;
        const NO_SETTING: Unread = Unread("it holds a line without a key or `=`");
        let (key, value) = match continued(line, &mut lines) {
            Cow::Borrowed(line) => {
                let (key, value) = line.split_once('=').ok_or(NO_SETTING)?;
                (Cow::Borrowed(key.trim_end()), value.trim().to_owned())
            }
            Cow::Owned(line) => {
                let (key, value) = line.split_once('=').ok_or(NO_SETTING)?;
                (Cow::Owned(key.trim_end().to_owned()), value.trim().to_owned())
            }
        };
        if key.is_empty() {
            return Err(NO_SETTING);
        }
        let values = settings.entry((section, key)).or_default();
        // An empty value forgets those before it, and stays: it forgets those of other files as well.
        if value.is_empty() {
            values.clear();
        }
        values.push(value);
    }
    let mut parts = Parts::default();
    for ((section, key), values) in settings {
        let step = Step::new(format!("[{section}] {key}"));
        if is_set(section, &key) && values.iter().all(|value| !value.is_empty()) {
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

/// The whole of a line that goes on after `\`. Comments in between are left out, and the line goes on after them.
fn continued<'a>(line: &'a str, more: &mut std::str::Lines<'a>) -> Cow<'a, str> {
    let mut whole = Cow::Borrowed(line);
    while whole.ends_with('\\') {
        let text = whole.to_mut();
        text.pop();
        text.truncate(text.trim_end().len());
        let Some(next) = more.find(|line| !is_comment(line.trim_start())) else { break };
        text.push(' ');
        text.push_str(next.trim());
    }
    whole
}

fn is_comment(line: &str) -> bool {
    line.starts_with(['#', ';'])
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
