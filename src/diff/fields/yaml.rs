//! Reads streams of YAML documents as their scalars are written. Names the YAML crate, as the loader of inventories does.
//!
//! Aliases, anchors, tags and merge keys are refused without being followed: no program of ours writes them, and none of
//! them can make a small text large here.

use std::collections::BTreeMap;

use serde_yaml::granit_parser::{Event, Options, Parser, ScalarStyle};

use super::tree::Node;
use super::{MAX_DEPTH, Unread};

/// A YAML value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Raw {
    /// Text, whatever YAML reads it.
    Text(String),
    /// A plain scalar that some reader of YAML takes for something else than text.
    Plain(String),
    List(Vec<Raw>),
    Map(BTreeMap<String, Raw>),
}

impl Raw {
    /// The scalar's text.
    pub(super) fn scalar(&self) -> Option<&str> {
        match self {
            Raw::Text(text) | Raw::Plain(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Raw> {
        match self {
            Raw::Map(entries) => entries.get(key),
            _ => None,
        }
    }

    /// The scalar as a value of the tree.
    pub(super) fn leaf(&self) -> Option<Node> {
        match self {
            Raw::Text(text) => Some(Node::text(text)),
            Raw::Plain(text) => Some(Node::number(text)),
            _ => None,
        }
    }
}

enum Open {
    List(Vec<Raw>),
    Map { entries: BTreeMap<String, Raw>, key: Option<String> },
}

/// The documents of a stream; those without content are left out.
pub(super) fn documents(text: &str) -> Result<Vec<Raw>, Unread> {
    let mut options = Options::default();
    options.emit_anchor_events = true;
    options.emit_unresolved_aliases = true;
    options.emit_comments = false;
    options.block_nesting_limit = MAX_DEPTH;
    options.flow_nesting_limit = MAX_DEPTH;
    options.simple_key_max_lookahead = 4096;
    let mut documents = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|_| Unread("it is not valid YAML"))?;
        if event.tag().is_some() {
            return Err(Unread("it holds a YAML tag"));
        }
        let done = match event {
            Event::Scalar(text, style, ..) => {
                let plain = matches!(style, ScalarStyle::Plain);
                let written = span.byte_range().is_none_or(|range| !range.is_empty());
                if let Some(Open::Map { entries, key: key @ None }) = open.last_mut() {
                    if plain && (!written || text == "<<") {
                        return Err(Unread("it holds an empty or a merge key"));
                    }
                    if entries.contains_key(text.as_ref()) {
                        return Err(Unread("it holds a key twice"));
                    }
                    *key = Some(text.into_owned());
                    continue;
                }
                if plain { plain_scalar(&text) } else { Raw::Text(text.into_owned()) }
            }
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                if matches!(open.last(), Some(Open::Map { key: None, .. })) {
                    return Err(Unread("it holds a list or map as a key"));
                }
                if open.len() >= MAX_DEPTH {
                    return Err(Unread("it nests too deep"));
                }
                open.push(if matches!(event, Event::SequenceStart(..)) {
                    Open::List(Vec::new())
                } else {
                    Open::Map { entries: BTreeMap::new(), key: None }
                });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::List(items)) => Raw::List(items),
                Some(Open::Map { entries, .. }) => Raw::Map(entries),
                None => return Err(Unread("it is not valid YAML")),
            },
            Event::Alias(_) | Event::UnresolvedAlias(_) | Event::Anchor(..) => {
                return Err(Unread("it holds a YAML anchor or alias"));
            }
            _ => continue,
        };
        match open.last_mut() {
            Some(Open::List(items)) => items.push(done),
            Some(Open::Map { entries, key }) => {
                let key = key.take().ok_or(Unread("it is not valid YAML"))?;
                entries.insert(key, done);
            }
            None if done == Raw::Plain("null".to_owned()) => {}
            None => documents.push(done),
        }
    }
    Ok(documents)
}

/// What a plain scalar is. Where YAML 1.1 (which sigs.k8s.io/yaml reads) and 1.2 disagree whether it is text, it is kept
/// apart from the same text in quotes.
fn plain_scalar(text: &str) -> Raw {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Raw::Plain("null".to_owned()),
        "true" | "True" | "TRUE" => return Raw::Plain("true".to_owned()),
        "false" | "False" | "FALSE" => return Raw::Plain("false".to_owned()),
        _ => {}
    }
    let word = matches!(text.to_ascii_lowercase().as_str(), "y" | "n" | "yes" | "no" | "on" | "off" | "=");
    if word || is_number(text) || is_date(text) {
        Raw::Plain(text.to_owned())
    } else {
        Raw::Text(text.to_owned())
    }
}

/// Numbers of YAML 1.1 and 1.2: also with underscores, of base 2, 8, 16 and 60, infinity and what is no number.
fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return false;
    }
    if matches!(unsigned.to_ascii_lowercase().as_str(), ".inf" | ".nan") {
        return true;
    }
    let digits = |part: &str, base: u32| part.chars().all(|c| c.is_digit(base) || c == '_');
    for (prefix, base) in [("0b", 2), ("0o", 8), ("0x", 16)] {
        if let Some(rest) = unsigned.strip_prefix(prefix) {
            return !rest.is_empty() && digits(rest, base);
        }
    }
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let base_60 = whole.split(':').all(|part| !part.is_empty() && digits(part, 10));
    (base_60 || whole.is_empty()) && digits(fraction, 10) && !exponent.is_empty() && digits(exponent, 10)
}

/// Dates and times of YAML 1.1: `2026-1-2`, and what may follow.
fn is_date(text: &str) -> bool {
    let (year, rest) = text.split_once('-').unwrap_or((text, ""));
    year.len() == 4
        && year.bytes().all(|c| c.is_ascii_digit())
        && rest.starts_with(|c: char| c.is_ascii_digit())
        && rest.bytes().all(|c| c.is_ascii_digit() || b"-:.+ \tTtZz".contains(&c))
}
