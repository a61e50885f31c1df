//! The one tree that both formats are read into: maps, lists and scalars, each with its place.
//!
//! Scalars keep their source text, so that `1.30` stays `1.30` and a decoder decides what a value must be. Nothing
//! here knows which keys exist.

use crate::source::{Span, Spanned};

/// A value and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What is written.
    pub value: Value,
    /// Where.
    pub span: Span,
}

/// What can be written in an inventory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Nothing after the colon, `~` or `null` (YAML only).
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// Text or a number.
    Scalar {
        /// For text what it says (escapes resolved); for a number its source text.
        text: String,
        /// What the format takes it for.
        kind: ScalarKind,
    },
    /// A list.
    List(Vec<Node>),
    /// A map, in source order. Keys are unique.
    Map(Vec<Entry>),
}

/// What the format takes a scalar for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalarKind {
    /// Quoted or plain text; dates and times too.
    Str,
    /// A whole number, in any notation of the format.
    Int,
    /// A number with a fraction or an exponent, infinity, not-a-number.
    Float,
}

/// One key of a map with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Spanned<String>,
    /// Its value.
    pub value: Node,
}

impl Node {
    /// Returns the entry of a map by key, or nothing for anything that is not a map.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key.value == key)
    }

    /// Returns the entries of a map, or none for anything that is not a map.
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Returns what this is, in words that fit "expected a list, found …".
    pub fn kind_name(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Scalar { kind: ScalarKind::Str, .. } => "text",
            Value::Scalar { kind: ScalarKind::Int, .. } => "a number",
            Value::Scalar { kind: ScalarKind::Float, .. } => "a decimal number",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}
