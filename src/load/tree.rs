//! The one tree that both formats are read into: maps, lists and scalars, each with its place.
//!
//! Scalars keep their source text, so that `1.30` stays `1.30` and a decoder decides what a value must be. Nothing
//! here knows which keys exist.

use std::collections::HashMap;

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

/// Reads a whole number as either format writes it: a sign, `1_000`, `0x1f`, `0o17`, `0b1`.
///
/// A leading zero (`0644`) is refused: YAML 1.1 reads it as octal, YAML 1.2 as decimal, TOML not at all.
pub fn parse_int(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, digits) = match digits.get(..2) {
        Some("0x") => (16, &digits[2..]),
        Some("0o") => (8, &digits[2..]),
        Some("0b") => (2, &digits[2..]),
        _ => (10, digits),
    };
    if digits.starts_with(['+', '-', '_']) || digits.ends_with('_') || digits.contains("__") {
        return None;
    }
    if radix == 10 && digits.len() > 1 && digits.starts_with('0') {
        return None;
    }
    let magnitude = i128::from_str_radix(&digits.replace('_', ""), radix).ok()?;
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

/// Looks keys up in a growing list of entries. Small maps are searched, large ones indexed, so that a map of a
/// million keys costs a million steps.
#[derive(Debug, Default)]
pub(super) struct KeyIndex {
    positions: HashMap<String, usize>,
}

impl KeyIndex {
    const SEARCHED: usize = 16;

    /// Returns the position of a key among the first `len` entries, whose keys `key_at` gives.
    pub(super) fn find<'k>(
        &mut self,
        key: &str,
        len: usize,
        key_at: impl Fn(usize) -> &'k str,
    ) -> Option<usize> {
        if len <= Self::SEARCHED {
            return (0..len).find(|&position| key_at(position) == key);
        }
        for position in self.positions.len()..len {
            self.positions.insert(key_at(position).to_owned(), position);
        }
        self.positions.get(key).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_read_alike_in_both_notations() {
        for (text, number) in [
            ("0", 0),
            ("-12", -12),
            ("+7", 7),
            ("1_000", 1000),
            ("0x1F", 31),
            ("0o17", 15),
            ("0b101", 5),
            ("-9223372036854775808", i64::MIN),
            ("9223372036854775807", i64::MAX),
        ] {
            assert_eq!(parse_int(text), Some(number), "{text}");
        }
        for text in
            ["", "-", "0644", "1__0", "_1", "1_", "0x", "0x-1", "--1", "1.0", "9223372036854775808", "x", "é"]
        {
            assert_eq!(parse_int(text), None, "{text}");
        }
    }

    #[test]
    fn keys_are_found_below_and_above_the_indexing_limit() {
        let mut keys: Vec<String> = Vec::new();
        let mut index = KeyIndex::default();
        for number in 0..100 {
            let key = format!("k{number}");
            assert_eq!(index.find(&key, keys.len(), |at| &keys[at]), None);
            keys.push(key);
            for (position, key) in keys.iter().enumerate() {
                assert_eq!(index.find(key, keys.len(), |at| &keys[at]), Some(position));
            }
        }
    }
}
