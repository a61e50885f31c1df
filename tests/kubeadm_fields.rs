//! Every field that kubeadm's documents may have, as kubeadm itself lists them, against docs/kubeadm.md: each is there once,
//! and what is said to be decided by somebody reaches a document.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use serde_json::Value;
use support::{Built, Need, built, can, copy_inventory, khagen, oracle, root, run, scratch, text};

/// A line of the page.
struct Row {
    kind: String,
    patterns: Vec<String>,
    keys: Vec<String>,
    nobody: bool,
    line: usize,
}

fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn rows() -> Vec<Row> {
    let page = fs::read_to_string(root().join("docs/kubeadm.md")).expect("the page");
    let (mut kind, mut rows) = (String::new(), Vec::new());
    for (nth, line) in page.lines().enumerate() {
        if let Some(title) = line.strip_prefix("## ") {
            title.clone_into(&mut kind);
        } else if line.starts_with("| `") {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
            let [fields, who, ..] = cells[..] else { panic!("{}: {line}", nth + 1) };
            let (patterns, keys) = (quoted(fields), quoted(who));
            let nobody = who.trim() == "nobody";
            let decided = usize::from(nobody) + usize::from(!keys.is_empty() || who.contains("khagen"));
            assert!(decided == 1, "{}: who decides? {line}", nth + 1);
            rows.push(Row { kind: kind.clone(), patterns, keys, nobody, line: nth + 1 });
        }
    }
    rows
}

/// `*` is anything.
fn matches(pattern: &str, field: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == field };
    let Some(field) = field.strip_prefix(head) else { return false };
    (0..=field.len()).filter(|at| field.is_char_boundary(*at)).any(|at| matches(rest, &field[at..]))
}

/// Every field of a document, written as kubeadm-judge --fields does.
fn fields(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            let is_map = path.ends_with("xtraArgs") || path.ends_with("featureGates");
            for (key, value) in map {
                let path = if is_map { format!("{path}{{}}") } else { format!("{path}.{key}") };
                fields(value, &path, found);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| fields(value, &format!("{path}[]"), found)),
        _ => {
            found.insert(path.to_owned());
        }
    }
}

/// What reaches the documents of a build: "VERSION KIND.path".
fn emitted(built: &Built, found: &mut BTreeSet<String>) {
    for host in built.hosts() {
        for (path, entry) in built.bundle(&host) {
            if !path.starts_with("root/etc/kubernetes/kubeadm") {
                continue;
            }
            for document in text(&entry.bytes).split("\n---\n") {
                let mut value: Value = serde_yaml::from_str(document).expect("a document");
                let map = value.as_object_mut().expect("a map");
                let (version, kind) = (map.remove("apiVersion"), map.remove("kind"));
                let (Some(Value::String(version)), Some(Value::String(kind))) = (version, kind) else {
                    panic!("{host}: {path}: what is it?")
                };
                if let Some(version) = version.strip_prefix("kubeadm.k8s.io/") {
                    fields(&value, &format!("{version} {kind}"), found);
                }
            }
        }
    }
}

/// The inventory of the fixture whose cluster does without CoreDNS.
fn without_dns() -> Built {
    let built = Built { dir: scratch() };
    copy_inventory(&root().join("tests/inventories/settings"), &built.inventory());
    let file = built.inventory().join("cluster.yaml");
    let said = fs::read_to_string(&file).expect("read");
    let dns = said.lines().find(|l| l.trim_start().starts_with("dns:")).expect("dns");
    fs::write(&file, said.replace(dns, "  dns: {disabled: true}")).expect("write");
    run(khagen().current_dir(built.dir.path()).args(["build", "-q"]));
    built
}

#[test]
fn the_page_has_every_field_and_every_field_that_is_decided_reaches_a_document() {
    if !can("kubeadm's list of fields", &[Need::Oracle]) {
        return;
    }
    let listed = run(Command::new(oracle().expect("probed").join("kubeadm-judge")).arg("--fields"));
    let rows = rows();
    let mut keys = BTreeSet::new();
    khagen::schema::walk(&mut |path, _| {
        keys.insert(path.replace("[]", ""));
    });
    let mut seen = BTreeSet::new();
    for name in ["inventory", "dual-stack", "settings", "external-ca", "pki-kubeadm", "cilium", "tutorial"] {
        emitted(&built(name), &mut seen);
    }
    emitted(&without_dns(), &mut seen);

    let mut wrong = Vec::new();
    let mut used: BTreeMap<(usize, &str), usize> = BTreeMap::new();
    let mut known = BTreeSet::new();
    for line in listed.lines() {
        let (field, _) = line.rsplit_once(' ').expect("a field and its type");
        known.insert(field);
        let (version, path) = field.split_once(' ').expect("a version");
        let mut of = Vec::new();
        for row in &rows {
            for pattern in row.patterns.iter().filter(|p| matches(&format!("{}.{p}", row.kind), path)) {
                *used.entry((row.line, pattern)).or_default() += 1;
                of.push(row);
            }
        }
        let [row] = of[..] else {
            wrong.push(format!("{field} is on {} lines of docs/kubeadm.md", of.len()));
            continue;
        };
        // v1beta3 is what the fixtures of old versions happen to use; its fields are those of v1beta4, but for two.
        if row.nobody && seen.contains(field) {
            wrong
                .push(format!("docs/kubeadm.md:{}: nobody decides {field}, and a document has it", row.line));
        }
        if !row.nobody && version == "v1beta4" && !seen.contains(field) {
            wrong.push(format!("docs/kubeadm.md:{}: no document of the fixtures has {field}", row.line));
        }
    }
    for row in &rows {
        for pattern in row.patterns.iter().filter(|p| !used.contains_key(&(row.line, p.as_str()))) {
            wrong.push(format!("docs/kubeadm.md:{}: kubeadm has no {}.{pattern}", row.line, row.kind));
        }
        for key in row.keys.iter().filter(|key| !keys.contains(*key)) {
            wrong.push(format!("docs/kubeadm.md:{}: the inventory has no {key}", row.line));
        }
    }
    for field in seen.iter().filter(|field| !known.contains(field.as_str())) {
        wrong.push(format!("{field} is in a document, and kubeadm does not list it"));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(known.len() > 200, "{}", known.len());
}
