//! Values put into places of a tree.

use serde_json::{Value, json};

/// How a value is put into a place.
#[derive(Clone, Copy)]
pub enum How {
    /// As text.
    Text,
    /// As a number.
    Number,
    /// As one more key of a map, with this value.
    KeyOf(&'static str),
    /// As one more flag, with a value: a key of a map in the inventory and in v1beta3, an entry of a list in v1beta4.
    Flag,
}

/// Puts a value into a place of a tree; maps and lists on the way are made. Steps are joined by `/`.
pub fn put(tree: &mut Value, path: &str, how: How, value: &str) {
    let new = match how {
        How::Text => Value::from(value),
        How::Number => value
            .parse::<i64>()
            .map_or_else(|_| serde_json::from_str(value).unwrap_or(json!(value)), Value::from),
        How::KeyOf(other) => match serde_json::from_str::<Value>(other) {
            Ok(known) => json!({ value: known }),
            Err(_) => json!({ value: other }),
        },
        How::Flag => json!({ value: "x" }),
    };
    let at = place(tree, path);
    match (how, &mut *at, new) {
        // One key more, beside those that a document must have.
        (How::KeyOf(_) | How::Flag, Value::Object(map), Value::Object(new)) => map.extend(new),
        (How::Flag, Value::Array(list), _) => list.push(json!({"name": value, "value": "x"})),
        (_, at, new) => *at = new,
    }
}

/// The place itself.
pub fn place<'a>(tree: &'a mut Value, path: &str) -> &'a mut Value {
    let mut at = tree;
    for step in path.split('/').filter(|step| !step.is_empty()) {
        at = match step.parse::<usize>() {
            Ok(index) => {
                if !at.is_array() {
                    *at = json!([]);
                }
                let list = at.as_array_mut().expect("a list");
                while list.len() <= index {
                    list.push(Value::Null);
                }
                &mut list[index]
            }
            Err(_) => {
                if !at.is_object() {
                    *at = json!({});
                }
                at.as_object_mut().expect("a map").entry(step).or_insert(Value::Null)
            }
        };
    }
    at
}

/// Puts JSON into a place.
pub fn set(tree: &mut Value, path: &str, new: Value) {
    *place(tree, path) = new;
}

/// Takes a key of a map away, if it is there.
pub fn take(tree: &mut Value, path: &str) {
    let (map, key) = path.rsplit_once('/').unwrap_or(("", path));
    if let Some(map) = place(tree, map).as_object_mut() {
        map.remove(key);
    }
}
