//! A value tree and its YAML form: kubeadm's, kubelet's and kube-proxy's documents are made of it.
//!
//! One emitter for every document, so that any field can be set and two builds can be compared by field.
//! Keys keep the order in which they were put in.

use crate::content::{Content, Encoding, ObjectId};

/// A YAML value that may hold secrets by name.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    /// `null`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number in its source text, so that nothing is rounded.
    Number(String),
    /// Text.
    Text(String),
    /// A secret of the store, as text.
    Secret(ObjectId, Encoding),
    /// A list.
    List(Vec<Value>),
    /// A map in order.
    Map(Vec<(String, Value)>),
}

impl Value {
    /// An empty map.
    pub fn map() -> Value {
        Value::Map(Vec::new())
    }

    /// Text.
    pub fn text(text: impl Into<String>) -> Value {
        Value::Text(text.into())
    }

    /// A list of texts.
    pub fn texts<I: IntoIterator<Item = S>, S: Into<String>>(items: I) -> Value {
        Value::List(items.into_iter().map(Value::text).collect())
    }

    /// The map with one more key; a key that is there already is replaced in place. A value that is no map becomes one.
    pub fn with(mut self, key: &str, value: Value) -> Value {
        self.set(key, value);
        self
    }

    /// Sets a key; see [`Value::with`].
    pub fn set(&mut self, key: &str, value: Value) {
        if !matches!(self, Value::Map(_)) {
            *self = Value::map();
        }
        if let Value::Map(entries) = self {
            match entries.iter_mut().find(|(k, _)| k == key) {
                Some((_, slot)) => *slot = value,
                None => entries.push((key.to_owned(), value)),
            }
        }
    }

    /// The value under a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Value::Map(entries) => entries.iter().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    /// Whether there is nothing in it: null, or an empty map or list.
    pub fn is_empty(&self) -> bool {
        match self {
            Value::Null => true,
            Value::List(items) => items.is_empty(),
            Value::Map(entries) => entries.is_empty(),
            _ => false,
        }
    }

    /// Lays `over` on top: maps merge by key, everything else replaces.
    pub fn merge(&mut self, over: &Value) {
        match (&mut *self, over) {
            (Value::Map(_), Value::Map(entries)) => {
                for (key, value) in entries {
                    match self {
                        Value::Map(mine) => match mine.iter_mut().find(|(k, _)| k == key) {
                            Some((_, slot)) => slot.merge(value),
                            None => mine.push((key.clone(), value.clone())),
                        },
                        _ => unreachable!("matched a map above"),
                    }
                }
            }
            (slot, value) => *slot = value.clone(),
        }
    }

    /// The same value with the keys of every map in byte order: for parts that the user wrote, whose order means nothing.
    pub fn sorted(self) -> Value {
        match self {
            Value::Map(entries) => {
                let mut entries: Vec<_> = entries.into_iter().map(|(k, v)| (k, v.sorted())).collect();
                entries.sort_by(|a, b| a.0.cmp(&b.0));
                Value::Map(entries)
            }
            Value::List(items) => Value::List(items.into_iter().map(Value::sorted).collect()),
            other => other,
        }
    }
}

/// Writes documents one after another, `---` between them.
pub fn documents(docs: &[Value]) -> Content {
    let mut out = Content::default();
    for (i, doc) in docs.iter().enumerate() {
        if i > 0 {
            out.push_str("---\n");
        }
        emit_block(&mut out, doc, 0, false);
    }
    out
}

fn emit_block(out: &mut Content, value: &Value, indent: usize, inline_first: bool) {
    match value {
        Value::Map(entries) if !entries.is_empty() => {
            for (i, (key, item)) in entries.iter().enumerate() {
                if i > 0 || !inline_first {
                    pad(out, indent);
                }
                out.push_str(&scalar(key));
                out.push_str(":");
                emit_after_key(out, item, indent);
            }
        }
        Value::List(items) if !items.is_empty() => {
            for (i, item) in items.iter().enumerate() {
                if i > 0 || !inline_first {
                    pad(out, indent);
                }
                out.push_str("- ");
                emit_block(out, item, indent + 2, true);
            }
        }
        leaf => {
            if !inline_first {
                pad(out, indent);
            }
            emit_leaf(out, leaf);
            out.push_str("\n");
        }
    }
}

fn emit_after_key(out: &mut Content, item: &Value, indent: usize) {
    match item {
        Value::Map(entries) if !entries.is_empty() => {
            out.push_str("\n");
            emit_block(out, item, indent + 2, false);
        }
        // Lists stand at their key's column, as kubeadm prints them.
        Value::List(items) if !items.is_empty() => {
            out.push_str("\n");
            emit_block(out, item, indent, false);
        }
        leaf => {
            out.push_str(" ");
            emit_leaf(out, leaf);
            out.push_str("\n");
        }
    }
}

fn emit_leaf(out: &mut Content, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(text) => out.push_str(text),
        Value::Text(text) => out.push_str(&scalar(text)),
        Value::Secret(id, encoding) => out.push_secret(id.clone(), *encoding),
        Value::List(_) => out.push_str("[]"),
        Value::Map(_) => out.push_str("{}"),
    }
}

fn pad(out: &mut Content, indent: usize) {
    if indent > 0 {
        out.push_str(&" ".repeat(indent));
    }
}

/// A YAML scalar: plain where every reader takes it for text, in double quotes otherwise (YAML 1.1 and 1.2 differ on
/// what `no`, `1_0`, `0o7`, `1:30` and `~` are, and sigs.k8s.io/yaml reads 1.1).
pub fn scalar(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if (c as u32) < 0x20 || c == '\u{7f}' => out.push_str(&format!("\\x{:02x}", c as u32)),
            c if ('\u{80}'..'\u{a0}').contains(&c)
                || c == '\u{2028}'
                || c == '\u{2029}'
                || c == '\u{feff}' =>
            {
                out.push_str(&format!("\\u{:04x}", c as u32));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn is_plain(text: &str) -> bool {
    let Some(first) = text.chars().next() else { return false };
    let last = text.chars().next_back().unwrap_or(first);
    let starts_well = first.is_ascii_alphabetic() || matches!(first, '/' | '_') || first.is_ascii_digit();
    let inner_ok = text.chars().all(|c| {
        c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '.' | ':' | ',' | '@' | '+' | '=')
    });
    let reserved = matches!(
        text.to_ascii_lowercase().as_str(),
        "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null"
    );
    starts_well && inner_ok && last != ':' && !reserved && !number_like(text)
}

/// Whether some YAML reader might take the text for a number, a date or a base-60 number.
fn number_like(text: &str) -> bool {
    let first_digit = text.chars().next().is_some_and(|c| c.is_ascii_digit());
    first_digit
        && (text.chars().all(|c| {
            c.is_ascii_hexdigit()
                || matches!(c, '.' | '_' | ':' | '-' | '+' | 'x' | 'o' | 'T' | 'Z' | 'e' | 'E')
        }) && !is_ipv4_or_cidr(text))
}

fn is_ipv4_or_cidr(text: &str) -> bool {
    text.parse::<std::net::Ipv4Addr>().is_ok() || text.parse::<ipnet::Ipv4Net>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn yaml(v: &Value) -> String {
        documents(std::slice::from_ref(v))
            .pieces()
            .iter()
            .map(|p| match p {
                crate::content::Piece::Text(t) => t.clone(),
                crate::content::Piece::Secret(id, _) => format!("<{id}>"),
            })
            .collect()
    }

    #[test]
    fn nests_maps_and_lists() {
        let v = Value::map()
            .with("a", Value::text("x"))
            .with(
                "list",
                Value::List(vec![
                    Value::map().with("name", Value::text("nm")).with("value", Value::text("30")),
                    Value::text("b"),
                ]),
            )
            .with(
                "map",
                Value::map()
                    .with("k", Value::Secret(ObjectId::new("t"), Encoding::Raw))
                    .with("empty", Value::map()),
            );
        assert_eq!(yaml(&v), "a: x\nlist:\n- name: nm\n  value: \"30\"\n- b\nmap:\n  k: <t>\n  empty: {}\n");
    }

    #[test]
    fn quotes_what_a_reader_could_take_for_something_else() {
        for t in [
            "",
            "no",
            "Yes",
            "1.30",
            "24",
            "0x10",
            "1:30",
            "~",
            "a: b",
            "a #b",
            "-x",
            "*",
            "1e3",
            "2026-01-01",
            "true",
            "null",
            "x:",
        ] {
            assert!(scalar(t).starts_with('"'), "{t}");
        }
        for t in [
            "v1.36.5",
            "192.168.13.61",
            "100.64.0.0/10",
            "24h0m0s",
            "/etc/x",
            "kubeadm.k8s.io/v1beta4",
            "https://192.168.13.35:2379",
            "k8s-cluster1",
        ] {
            assert_eq!(scalar(t), t);
        }
        assert_eq!(scalar("2001:db8::1"), "\"2001:db8::1\"");
    }

    #[test]
    fn merge_replaces_leaves_and_merges_maps() {
        let mut a =
            Value::map().with("x", Value::map().with("p", Value::text("1"))).with("l", Value::texts(["a"]));
        a.merge(
            &Value::map().with("x", Value::map().with("q", Value::text("2"))).with("l", Value::texts(["b"])),
        );
        assert_eq!(yaml(&a), "x:\n  p: \"1\"\n  q: \"2\"\nl:\n- b\n");
    }
}
