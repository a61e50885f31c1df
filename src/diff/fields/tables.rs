//! Reads TOML and JSON.

use super::tree::{Kind, Node, Step};
use super::{MAX_DEPTH, Unread, kubernetes, yaml};

/// Reads a TOML document.
pub(super) fn toml(text: &str) -> Result<Node, Unread> {
    let table: toml::Table = text.parse().map_err(|_| Unread("it is not valid TOML"))?;
    value(&toml::Value::Table(table), 0)
}

fn value(value_: &toml::Value, depth: usize) -> Result<Node, Unread> {
    if depth > MAX_DEPTH {
        return Err(Unread("it nests too deep"));
    }
    Ok(match value_ {
        toml::Value::String(text) => Node::text(text),
        toml::Value::Array(items) => {
            let items: Result<_, _> = items.iter().map(|item| value(item, depth + 1)).collect();
            Node::List(Kind::Items, items?)
        }
        toml::Value::Table(entries) => {
            let part = |(key, item): (&String, &toml::Value)| {
                Ok((Step::new(kubernetes::field_step(key)), value(item, depth + 1)?))
            };
            Node::Map(entries.iter().map(part).collect::<Result<_, Unread>>()?)
        }
        other => Node::number(other.to_string()),
    })
}

/// Reads a JSON document. The YAML reader keeps numbers as they are written, however long; whether the text is JSON is
/// asked of a reader of JSON.
pub(super) fn json(text: &str) -> Result<Node, Unread> {
    serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|_| Unread("it is not valid JSON"))?;
    match yaml::documents(text)?.as_slice() {
        [] => Ok(Node::number("null")),
        [document] => Ok(kubernetes::tree(document)),
        _ => Err(Unread("it is not valid JSON")),
    }
}
