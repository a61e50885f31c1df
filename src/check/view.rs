//! Typed reading of a map that the decoder has looked at: what is written, else the default of its description.
//!
//! Makes no findings. A value that cannot be read was reported by the decoder, and its default stands in for it.

use std::borrow::Cow;

use super::decode::text_of;
use super::text::Read;
use crate::load::tree::{Node, ScalarKind, Value, parse_int};
use crate::schema::{self, Fallback, Key};
use crate::value;

/// A map of known keys.
#[derive(Clone, Copy)]
pub struct View<'a> {
    node: Option<&'a Node>,
    keys: &'static [Key],
}

impl<'a> View<'a> {
    /// A map, or the lack of one.
    pub fn new(node: Option<&'a Node>, keys: &'static [Key]) -> View<'a> {
        View { node, keys }
    }

    /// What is written under a key, if anything.
    pub fn node(&self, name: &str) -> Option<&'a Node> {
        debug_assert!(schema::find(self.keys, name).is_some(), "{name} is not described");
        self.node?.get(name).map(|entry| &entry.value)
    }

    /// The map under a key.
    pub fn child(&self, name: &str) -> View<'a> {
        let keys = schema::find(self.keys, name).and_then(Key::keys).unwrap_or_default();
        View { node: self.node(name), keys }
    }

    fn default(&self, name: &str) -> Option<&'static str> {
        match schema::find(self.keys, name)?.fallback {
            Fallback::Value(text) => Some(text),
            _ => None,
        }
    }

    /// A value by its reader: what is written if it can be read, else the default.
    pub fn read<T>(&self, name: &str, read: impl Fn(&str) -> Read<T>) -> Option<T> {
        self.written(name, &read).or_else(|| read(self.default(name)?).ok())
    }

    /// A value by its reader, only if it is written.
    pub fn written<T>(&self, name: &str, read: impl Fn(&str) -> Read<T>) -> Option<T> {
        read(&text_of(self.node(name)?, true)?).ok()
    }

    /// One of a few words; empty when there is none.
    pub fn word(&self, name: &str) -> Cow<'a, str> {
        match self.node(name).map(|node| &node.value) {
            Some(Value::Scalar { text, .. }) => Cow::Borrowed(text),
            _ => Cow::Borrowed(self.default(name).unwrap_or_default()),
        }
    }

    /// A number; the default, or zero, where there is none that fits.
    pub fn number<T: TryFrom<i64> + Default>(&self, name: &str) -> T {
        let read = |text: &str| parse_int(text).and_then(|number| T::try_from(number).ok());
        let written = match self.node(name).map(|node| &node.value) {
            Some(Value::Scalar { text, kind: ScalarKind::Int }) => read(text),
            _ => None,
        };
        written.or_else(|| read(self.default(name)?)).unwrap_or_default()
    }

    /// A switch.
    pub fn switch(&self, name: &str) -> bool {
        match self.node(name).map(|node| &node.value) {
            Some(Value::Bool(value)) => *value,
            _ => self.default(name) == Some("true"),
        }
    }

    /// The items of a list, or the one item that stands without a list.
    pub fn items(&self, name: &str) -> &'a [Node] {
        self.node(name).map(items).unwrap_or_default()
    }

    /// The items of a list by their reader; what cannot be read is left out.
    pub fn list<T>(&self, name: &str, read: impl Fn(&str) -> Read<T>) -> Vec<T> {
        self.items(name).iter().filter_map(|item| read(&text_of(item, true)?).ok()).collect()
    }
}

/// The items of a list, or the one item that stands without a list.
pub fn items(node: &Node) -> &[Node] {
    match &node.value {
        Value::List(items) => items,
        Value::Null => &[],
        _ => std::slice::from_ref(node),
    }
}

/// Flags by name, a repeated one with each of its values in order.
pub fn arguments(node: &Node) -> Vec<(String, Vec<String>)> {
    let values = |node| items(node).iter().filter_map(|item| text_of(item, true)).collect();
    node.entries().iter().map(|entry| (entry.key.value.clone(), values(&entry.value))).collect()
}

/// Text by key.
pub fn texts(node: &Node) -> impl Iterator<Item = (String, String)> + '_ {
    node.entries().iter().filter_map(|entry| Some((entry.key.value.clone(), text_of(&entry.value, true)?)))
}

/// Something that goes to another program, in its own kinds. Whole numbers in plain decimal: `0x10` and `1_000` are
/// not numbers to every reader.
pub fn foreign(node: &Node) -> value::Value {
    match &node.value {
        Value::Null => value::Value::Null,
        Value::Bool(value) => value::Value::Bool(*value),
        Value::Scalar { text, kind: ScalarKind::Str } => value::Value::text(text),
        Value::Scalar { text, kind: ScalarKind::Int } => match parse_int(text) {
            Some(number) => value::Value::Number(number.to_string()),
            None => value::Value::text(text),
        },
        Value::Scalar { text, kind: ScalarKind::Float } => decimal(text),
        Value::List(items) => value::Value::List(items.iter().map(foreign).collect()),
        Value::Map(entries) => {
            let mut entries: Vec<_> =
                entries.iter().map(|entry| (entry.key.value.clone(), foreign(&entry.value))).collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            value::Value::Map(entries)
        }
    }
}

/// A number with a fraction or exponent as JSON writes it, so that YAML and TOML give the same; else text.
fn decimal(text: &str) -> value::Value {
    let plain = text.replace('_', "");
    match plain.parse::<f64>() {
        Ok(number) if number.is_finite() => value::Value::Number(format!("{number:?}")),
        _ => value::Value::text(text),
    }
}
