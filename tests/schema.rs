//! The published JSON Schemas are what the description of the keys says, and agree with the compiler.
//!
//! What the schema refuses the compiler refuses. What the compiler refuses for a key, a type or a word the schema refuses;
//! [`SHAPE`] lists those codes, and [`is_semantic`] the few places where a rule over several settings uses one of them.

#[path = "schema/made.rs"]
mod made;
mod support;

use std::collections::BTreeMap;
use std::fs;

use jsonschema::Validator;
use khagen::diag::{Code, Report, Severity};
use khagen::schema::INVENTORY;
use khagen::schema::json::{self, Extent};
use khagen::source::Sources;
use made::{Random, base, mutate};
use serde_json::{Value, json};
use support::{khagen, root, run, scratch};
use time::{Date, Month};

const SHAPE: [Code; 11] = [
    Code::UnknownKey,
    Code::WrongType,
    Code::MissingKey,
    Code::NotBuiltYet,
    Code::NotAChoice,
    Code::OutOfRange,
    Code::EmptyList,
    Code::Repeated,
    Code::OnlyOnHost,
    Code::WaiverCode,
    Code::WaiverOfError,
];

/// A rule over several settings that says so with a code of the decoder's.
fn is_semantic(code: Code, message: &str) -> bool {
    match code {
        // What a mode or a role asks for.
        // A taint may be a text or a map, and equal maps are a rule's to find.
        Code::Repeated => message.contains(".taints`"),
        // `artifacts.hosts.NAME` of no host.
        Code::UnknownKey => message.starts_with("there is no "),
        Code::MissingKey => SEMANTIC_MISSING.iter().any(|part| message.contains(part)),
        _ => false,
    }
}

const SEMANTIC_MISSING: [&str; 2] = [".address`", "`loadBalancer.virtualRouterId`"];

fn validator(extent: Extent) -> Validator {
    jsonschema::validator_for(&json::value(extent)).expect("a schema")
}

#[test]
fn the_published_schemas_are_current() {
    for extent in [Extent::Document, Extent::Whole] {
        let path = root().join("docs/schema").join(extent.file());
        let schema = json::schema(extent);
        if std::env::var_os("KHAGEN_BLESS").is_some() {
            fs::write(&path, &schema).expect("write");
        }
        assert!(
            fs::read_to_string(&path).unwrap_or_default() == schema,
            "{} is not what src/schema says: KHAGEN_BLESS=1 cargo test --test schema",
            path.display()
        );
    }
    let printed = run(khagen().arg("schema"));
    assert_eq!(printed, json::schema(Extent::Document));
    assert_eq!(run(khagen().args(["schema", "--whole"])), json::schema(Extent::Whole));
    let schema = json::value(Extent::Whole);
    let meta = jsonschema::meta::validate(&schema);
    assert!(meta.is_ok(), "{:?}", meta.err());
}

#[test]
fn every_default_and_example_is_one() {
    let mut wrong = Vec::new();
    let whole = json::value(Extent::Whole);
    visit(&whole, "", &mut |path, schema| {
        let root = json!({"$defs": whole["$defs"], "allOf": [schema]});
        let validator = jsonschema::validator_for(&root).expect("a schema");
        let shown =
            schema.get("default").into_iter().chain(schema["examples"].as_array().into_iter().flatten());
        for value in shown {
            if !validator.is_valid(value) {
                wrong.push(format!("{path}: {value}"));
            }
        }
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn visit(schema: &Value, path: &str, see: &mut dyn FnMut(&str, &Value)) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        if property.get("examples").is_some() || property.get("default").is_some() {
            see(&path, property);
        }
        visit(property, &path, see);
        visit(&property["items"], &format!("{path}[]"), see);
    }
    for (name, def) in schema["$defs"].as_object().into_iter().flatten() {
        visit(def, name, see);
    }
}

fn said(path: &std::path::Path) -> Vec<(Code, String)> {
    let (mut sources, mut report) = (Sources::new(), Report::new());
    let loaded = khagen::load::load(path, &mut sources, &mut report);
    let today = Date::from_calendar_date(2026, Month::November, 22).expect("a date");
    khagen::check::check(&loaded, &sources, today, &mut report);
    let errors = report.iter().filter(|finding| finding.severity == Severity::Error);
    errors.map(|finding| (finding.code, finding.message.clone())).collect()
}

#[test]
fn schema_and_compiler_agree_on_ten_thousand_documents() {
    let whole = validator(Extent::Whole);
    let document = validator(Extent::Document);
    let dir = scratch();
    let path = dir.path().join("cluster.yaml");
    let mut random = Random(7);
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut waived = [0; 2];
    assert!(whole.is_valid(&base()));
    for number in 0..10_000 {
        let mut value = base();
        for _ in 0..=random.next(3) {
            mutate(&mut value, INVENTORY, &mut random);
        }
        // JSON is YAML 1.2.
        fs::write(&path, value.to_string()).expect("write");
        let errors = said(&path);
        let refused: Vec<String> =
            whole.iter_errors(&value).map(|e| format!("{}: {e}", e.instance_path())).collect();
        let shape =
            errors.iter().find(|(code, message)| SHAPE.contains(code) && !is_semantic(*code, message));
        *seen
            .entry(match (refused.is_empty(), errors.is_empty()) {
                (true, true) => "both take it",
                (false, false) => "both refuse it",
                (true, false) => "a rule refuses it",
                (false, true) => "disagreement",
            })
            .or_default() += 1;
        let waivers = value["waivers"].as_array().is_some_and(|list| !list.is_empty());
        waived[usize::from(errors.is_empty())] += usize::from(waivers);
        if !refused.is_empty() && errors.is_empty() {
            wrong.push(format!("{number}: the schema alone refuses {value}\n  {}", refused.join("\n  ")));
        }
        if let (true, Some((code, message))) = (refused.is_empty(), shape) {
            wrong.push(format!("{number}: the schema takes {value}\n  {code} {message}"));
        }
        // A document by itself is held to no more than all of them together.
        if refused.is_empty() && !document.is_valid(&value) {
            wrong.push(format!("{number}: as a document alone refused: {value}"));
        }
        if refused.is_empty() {
            for (key, part) in value.as_object().into_iter().flatten() {
                assert!(document.is_valid(&json!({key: part})), "{number}: {key}: {part}");
            }
        }
    }
    assert!(wrong.is_empty(), "{} of them\n{}", wrong.len(), wrong[..wrong.len().min(12)].join("\n"));
    // The generator makes enough of each kind to mean something.
    for kind in ["both take it", "both refuse it", "a rule refuses it"] {
        assert!(seen.get(kind).is_some_and(|count| *count > 100), "{seen:?}");
    }
    assert!(waived.iter().all(|count| *count > 500), "waivers refused and taken: {waived:?}");
}

#[test]
fn the_samples_name_the_schema_and_fit_it() {
    for name in ["cluster.yaml", "hosts.yaml"] {
        let path = root().join("inventory").join(name);
        let sample = fs::read_to_string(&path).expect("a sample");
        assert!(
            sample.starts_with("# yaml-language-server: $schema=../docs/schema/inventory-v1.json\n"),
            "{name} does not name its schema"
        );
    }
}
