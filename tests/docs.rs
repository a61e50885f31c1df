//! Pages that are made from the code's tables say what the tables say, and the published schema describes what is written.
//! `KHAGEN_BLESS=1` writes the pages anew.

mod support;

use std::fs;

use support::root;

#[test]
fn effects_page() {
    let path = root().join("docs/effects.md");
    let page = khagen::diff::page::page();
    if std::env::var_os("KHAGEN_BLESS").is_some() {
        fs::write(&path, &page).expect("write");
    }
    let known = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        known == page,
        "docs/effects.md is not what the tables say: KHAGEN_BLESS=1 cargo test --test docs"
    );
}

#[test]
fn inventory_page() {
    let path = root().join("docs/inventory.md");
    let page = khagen::schema::page::page();
    if std::env::var_os("KHAGEN_BLESS").is_some() {
        fs::write(&path, &page).expect("write");
    }
    let known = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        known == page,
        "docs/inventory.md is not what src/schema says: KHAGEN_BLESS=1 cargo test --test docs"
    );
}

/// Every kind of change that the goldens show is one that the schema takes, and none of its keys is unknown to it.
#[test]
fn comparisons_are_what_their_schema_says() {
    let schema = fs::read_to_string(root().join("docs/schema/diff-v1.json")).expect("the schema");
    let schema: serde_json::Value = serde_json::from_str(&schema).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let mut kinds = std::collections::BTreeSet::new();
    for entry in fs::read_dir(root().join("tests/pairs")).expect("tests/pairs") {
        let path = entry.expect("entry").path().join("expected.json");
        let value: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(&path).expect("a golden")).expect("JSON");
        let wrong: Vec<String> =
            validator.iter_errors(&value).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(wrong.is_empty(), "{}\n{}", path.display(), wrong.join("\n"));
        for change in
            value["clusters"].as_array().into_iter().flatten().flat_map(|c| c["changes"].as_array()).flatten()
        {
            kinds.insert(change["kind"].as_str().unwrap_or_default().to_owned());
        }
    }
    let all = [
        "field",
        "file-added",
        "file-removed",
        "host-added",
        "host-removed",
        "host-retired",
        "mode",
        "owner",
        "secret",
        "text",
    ];
    for kind in all {
        assert!(kinds.contains(kind), "no golden has a change of kind {kind}");
    }
}

/// Each rule of the table is used by some golden, or is for a change that no edit of an inventory makes by itself.
#[test]
fn rules_are_seen_at_work() {
    let mut seen = String::new();
    for entry in fs::read_dir(root().join("tests/pairs")).expect("tests/pairs") {
        seen.push_str(
            &fs::read_to_string(entry.expect("entry").path().join("expected.json")).expect("a golden"),
        );
    }
    let unseen: Vec<&str> = khagen::diff::effect::table::rules()
        .map(|r| r.name)
        .filter(|name| !seen.contains(&format!("\"rule\": \"{name}\"")))
        .collect();
    assert_eq!(unseen, NOT_BY_AN_EDIT, "rules that no golden shows");
}

/// Trust roots change by a rotation, not by an edit of an inventory; the others are static files of ours, which change with a
/// version of khagen, or settings that the inventory cannot set yet. `effect`'s own tests have each of them.
const NOT_BY_AN_EDIT: [&str; 19] = [
    "etcd-name",
    "etcd-ca-more",
    "etcd-ca-fewer",
    "etcd-ca-renewed",
    "kubernetes-ca-more",
    "kubernetes-ca-fewer",
    "kubernetes-ca-switched",
    "kubernetes-ca-signing",
    "kubernetes-ca",
    "kubernetes-ca-renewed",
    "service-account-more",
    "service-account-fewer",
    "service-account-switched",
    "service-account-key",
    "control-plane-etcd-ca",
    "keepalived-scripts",
    "modules",
    "crictl",
    "containerd-pulls",
];
