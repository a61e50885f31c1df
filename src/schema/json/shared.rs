//! Maps that stand in several places of a schema, as one definition each: an inventory has its schema beside it, and the
//! sets of artifacts alone are eight times the same page. What a schema means is not changed here.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// Below this many characters a reference saves nothing worth a jump.
const WORTH: usize = 200;
/// What makes a map of keys; all else beside it belongs to the place where it stands.
const PARTS: [&str; 4] = ["type", "properties", "required", "additionalProperties"];

/// Moves every map of keys that stands in several places into `$defs`, named by the path of the first place.
pub fn define(root: &mut Value) {
    let mut shared = Shared::default();
    shared.count(root);
    for part in ["properties", "$defs"] {
        for (name, below) in root[part].as_object_mut().into_iter().flatten() {
            shared.replace(below, name);
        }
    }
    if let Some(known) = root["$defs"].as_object_mut() {
        known.append(&mut shared.definitions);
    }
}

#[derive(Default)]
struct Shared {
    /// How often a map stands somewhere, by its text.
    times: BTreeMap<String, usize>,
    /// The names of those that have one, by their text.
    names: BTreeMap<String, String>,
    definitions: Map<String, Value>,
}

/// The map of keys in a schema, without what is said of its place.
fn map_of(schema: &Value) -> Option<(String, Value)> {
    let schema =
        schema.as_object().filter(|schema| schema.get("properties").is_some_and(Value::is_object))?;
    let parts = PARTS.iter().filter_map(|part| Some(((*part).to_owned(), schema.get(*part)?.clone())));
    let map = Value::Object(parts.collect());
    let text = map.to_string();
    (text.len() >= WORTH).then_some((text, map))
}

impl Shared {
    fn count(&mut self, schema: &Value) {
        if let Some((text, _)) = map_of(schema) {
            *self.times.entry(text).or_default() += 1;
        }
        match schema {
            Value::Object(below) => below.values().for_each(|below| self.count(below)),
            Value::Array(below) => below.iter().for_each(|below| self.count(below)),
            _ => {}
        }
    }

    /// From the outside in, so that of maps within each other the largest is shared.
    fn replace(&mut self, schema: &mut Value, path: &str) {
        let map = map_of(schema).filter(|(text, _)| self.times.get(text).is_some_and(|times| *times > 1));
        if let (Some((text, mut map)), Some(place)) = (map, schema.as_object_mut()) {
            let name = match self.names.get(&text) {
                Some(name) => name.clone(),
                None => {
                    self.names.insert(text, path.to_owned());
                    self.below(&mut map, path);
                    self.definitions.insert(path.to_owned(), map);
                    path.to_owned()
                }
            };
            place.retain(|part, _| !PARTS.contains(&part.as_str()));
            place.insert("$ref".to_owned(), json!(format!("#/$defs/{name}")));
            return;
        }
        self.below(schema, path);
    }

    fn below(&mut self, schema: &mut Value, path: &str) {
        let Some(parts) = schema.as_object_mut() else { return };
        for (part, below) in parts {
            match (part.as_str(), below) {
                ("properties", Value::Object(keys)) => {
                    for (key, below) in keys {
                        self.replace(below, &format!("{path}.{key}"));
                    }
                }
                ("items" | "additionalProperties", below) => self.replace(below, path),
                ("anyOf", Value::Array(forms)) => {
                    forms.iter_mut().for_each(|form| self.replace(form, path));
                }
                _ => {}
            }
        }
    }
}
