//! The description of the keys as JSON Schema (draft 2020-12), for editors and for whoever writes inventories by program.
//!
//! Two of them. [`Extent::Document`] is for one document of a folder: documents are merged, so that nothing but what lies
//! in a list is required of it. [`Extent::Whole`] is for all documents together. A value's form is said by
//! [`form`]; what several settings get wrong together is `khagen check`'s to find, and nothing here is stricter than it.

mod form;
mod shared;

use serde_json::{Map, Value, json};

use super::{Fallback, Format, HOST, INVENTORY, Key, Kind};

/// What a schema is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// One document of several.
    Document,
    /// All of them, merged.
    Whole,
}

impl Extent {
    /// The name of the published file in `docs/schema/`.
    pub fn file(self) -> &'static str {
        match self {
            Extent::Document => "inventory-v1.json",
            Extent::Whole => "inventory-whole-v1.json",
        }
    }
}

/// The schema, ending in a line break.
pub fn schema(extent: Extent) -> String {
    let mut text = format!("{:#}", value(extent));
    text.push('\n');
    text
}

/// The schema as a value.
pub fn value(extent: Extent) -> Value {
    let top = Place { required: extent == Extent::Whole, layer: false, whole: extent == Extent::Whole };
    let mut root = top.keys(INVENTORY);
    root["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    root["$id"] = json!(format!("urn:khagen:schema:{}", extent.file().trim_end_matches(".json")));
    root["title"] = json!("khagen inventory");
    root["description"] = json!(match extent {
        Extent::Document =>
            "One document of a khagen inventory, in YAML or TOML. Documents of a folder are merged, so no key is required here.",
        Extent::Whole => "A khagen inventory: all documents of its folder, merged.",
    });
    if extent == Extent::Document {
        // An empty document says nothing, and that is fine beside others.
        root["type"] = json!(["object", "null"]);
    }
    let layer = Place { required: false, layer: true, ..top };
    root["$defs"] = json!({
        "host": Place { required: true, ..top }.keys(HOST),
        "layer": layer.keys(HOST),
        "foreign": {
            "description": "Goes to another program as it is. `{secret: NAME}` has no meaning there yet.",
            "not": {
                "type": "object",
                "required": ["secret"],
                "maxProperties": 1,
                "properties": {"secret": {"type": "string"}},
            },
            "additionalProperties": {"$ref": "#/$defs/foreign"},
            "items": {"$ref": "#/$defs/foreign"},
        },
    });
    super::walk(&mut |_, key| {
        if key.coming.is_none() {
            formats(&key.kind, &mut |format| {
                if let Some((name, form)) = form::definition(format) {
                    root["$defs"][name] = form;
                }
            });
        }
    });
    shared::define(&mut root);
    root
}

/// The formats of what stands directly in a kind; those of a map's keys are the keys' own.
fn formats(kind: &Kind, see: &mut dyn FnMut(Format)) {
    match kind {
        Kind::Leaf(format) | Kind::OneOrList(format) | Kind::LeafOrMap(format, _) => see(*format),
        Kind::List(of) => formats(of, see),
        Kind::Each { key, value } => {
            see(*key);
            formats(value, see);
        }
        Kind::Map(_) | Kind::Foreign(_) => {}
    }
}

/// Where in an inventory a map stands.
#[derive(Clone, Copy)]
struct Place {
    /// Whether required keys must be there: below a list they must in every document, since lists are not merged.
    required: bool,
    /// Whether it gives settings to many hosts.
    layer: bool,
    whole: bool,
}

impl Place {
    fn keys(self, keys: &'static [Key]) -> Value {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for key in keys.iter().filter(|key| !(self.layer && key.own)) {
            properties.insert(key.name.to_owned(), self.key(key));
            if self.required && key.fallback == Fallback::Required {
                required.push(key.name);
            }
        }
        let mut map =
            json!({"type": ["object", "null"], "properties": properties, "additionalProperties": false});
        if !required.is_empty() {
            // A key with nothing after it is a map of nothing, which lacks what is required.
            map["type"] = json!("object");
            map["required"] = json!(required);
        }
        map
    }

    fn key(self, key: &'static Key) -> Value {
        let mut described = match key.coming {
            // With a message editors do not offer it, and say why when it is written.
            Some(what) => json!({
                "type": "null",
                "deprecated": true,
                "deprecationMessage": format!("Not possible yet: {what}."),
            }),
            None => self.kind(key),
        };
        let mut text = key.doc.to_owned();
        match (key.coming, key.fallback) {
            (Some(what), _) => text = format!("Not possible yet: {what}."),
            (None, Fallback::Derived(how)) => text.push_str(&format!("\n\nDefault: {how}.")),
            (None, Fallback::Value(value)) => {
                described["default"] = form::typed(key.kind, value);
                // Editors offer a default, and do not show it where one asks what a key is for.
                text.push_str(&format!("\n\nDefault: `{value}`."));
            }
            (None, Fallback::Required | Fallback::Absent) => {}
        }
        if !key.example.is_empty() {
            match key.kind {
                Kind::Leaf(_) | Kind::OneOrList(_) | Kind::LeafOrMap(..) => {
                    described["examples"] = json!([form::typed(key.kind, key.example)]);
                }
                _ => text.push_str(&format!("\n\nExample: `{}: {}`", key.name, key.example)),
            }
        }
        if text.contains('`') {
            // Editors show `description` as it is, backticks and all.
            described["markdownDescription"] = json!(text);
        }
        described["description"] = json!(text.replace('`', ""));
        described
    }

    fn kind(self, key: &'static Key) -> Value {
        if std::ptr::eq(key, hosts()) {
            let mut hosts = json!({"type": "array", "items": {"$ref": "#/$defs/host"}});
            if self.whole {
                hosts["minItems"] = json!(1);
            } else {
                hosts["type"] = json!(["array", "null"]);
            }
            return hosts;
        }
        match &key.kind {
            // `files` of a host take a secret of the store where another source takes a file.
            Kind::List(Kind::Map(keys)) if key.name == "files" => {
                let mut map = Place { required: true, ..self }.keys(keys);
                let source = &mut map["properties"]["source"];
                let file = source.as_object().cloned().unwrap_or_default();
                let form =
                    file.iter().filter(|(name, _)| !matches!(name.as_str(), "description" | "examples"));
                let form: Map<String, Value> =
                    form.map(|(name, value)| (name.clone(), value.clone())).collect();
                *source = json!({
                    "description": file.get("description"),
                    "examples": file.get("examples"),
                    "anyOf": [form, {
                        "type": "object",
                        "properties": {"secret": {"type": "string", "pattern": "^[a-z0-9][a-z0-9._-]{0,62}$"}},
                        "required": ["secret"],
                        "additionalProperties": false,
                    }],
                });
                json!({"type": "array", "items": map})
            }
            // A host without a role is refused when it is read.
            Kind::List(_) if key.name == "roles" && key.own => {
                let mut roles = self.of(&key.kind);
                roles["minItems"] = json!(1);
                roles
            }
            kind => self.of(kind),
        }
    }

    fn of(self, kind: &'static Kind) -> Value {
        match kind {
            Kind::Leaf(format) => form::of(*format),
            Kind::OneOrList(format) => {
                let one = form::of(*format);
                json!({"anyOf": [one.clone(), {"type": "array", "items": one, "minItems": 1}]})
            }
            Kind::List(of) => {
                let below = Place { required: true, ..self };
                let mut list = json!({"type": "array", "items": below.of(of)});
                if matches!(of, Kind::Leaf(_)) {
                    list["uniqueItems"] = json!(true);
                }
                list
            }
            Kind::Map(keys) if super::is_host(keys) => json!({"$ref": "#/$defs/layer"}),
            Kind::Map(keys) => self.keys(keys),
            Kind::LeafOrMap(format, keys) => json!({"anyOf": [form::of(*format), self.keys(keys)]}),
            Kind::Each { key, value } => {
                let mut names = form::of(*key);
                // Names of keys are texts, whatever they look like.
                names["type"] = json!("string");
                json!({
                    "type": ["object", "null"],
                    "propertyNames": names,
                    "additionalProperties": self.of(value),
                })
            }
            Kind::Foreign(_) => {
                json!({"type": ["object", "null"], "allOf": [{"$ref": "#/$defs/foreign"}]})
            }
        }
    }
}

fn hosts() -> &'static Key {
    INVENTORY.iter().find(|key| key.name == "hosts").unwrap_or(&INVENTORY[0])
}
