//! The review trees of four inventories as a reviewer reads them, with what is random masked: certificates, fingerprints,
//! ids. A changed golden is a change of what hosts get, and is reviewed like code. `KHAGEN_BLESS=1` writes them anew.

mod support;

use std::collections::BTreeMap;
use std::fs;

use support::{Built, khagen, mask, root, scratch, text, tree};

/// The day on which the goldens are issued: 2026-11-22.
const EPOCH: &str = "1795305600";

fn review(name: &str) -> BTreeMap<String, String> {
    let from =
        if name == "inventory" { root().join(name) } else { root().join("tests/inventories").join(name) };
    let b = Built { dir: scratch() };
    support::copy_inventory(&from, &b.inventory());
    let mut build = khagen();
    build.env("SOURCE_DATE_EPOCH", EPOCH).arg("build").arg(b.inventory()).arg("-o").arg(b.out());
    support::run(&mut build);
    tree(&b.out().join("review"))
        .into_iter()
        // Scripts are static and stand in templates/scripts.
        .filter(|(_, bytes)| !bytes.starts_with(b"#!"))
        .filter(|(path, _)| !path.ends_with(".crt") && !path.ends_with(".pub"))
        .map(|(path, bytes)| (path, mask(&text(&bytes))))
        .collect()
}

fn golden(name: &str) {
    let dir = root().join("tests/goldens").join(name);
    let found = review(name);
    if std::env::var_os("KHAGEN_BLESS").is_some() {
        let _ = fs::remove_dir_all(&dir);
        for (path, text) in &found {
            let path = dir.join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("create");
            fs::write(path, text).expect("write");
        }
        return;
    }
    let known: BTreeMap<String, String> = tree(&dir).into_iter().map(|(p, b)| (p, text(&b))).collect();
    assert_eq!(known.keys().collect::<Vec<_>>(), found.keys().collect::<Vec<_>>(), "files of {name}");
    for (path, text) in &found {
        let diff = similar::TextDiff::from_lines(known[path].as_str(), text.as_str());
        let shown = diff.unified_diff().header("golden", "built").to_string();
        assert!(
            shown.is_empty(),
            "{name}/{path}\n{shown}(KHAGEN_BLESS=1 cargo test --test goldens writes them anew)"
        );
    }
    assert!(dir.join("CLUSTER.md").exists());
}

#[test]
fn eleven_hosts() {
    golden("inventory");
}

#[test]
fn three_hosts_that_are_everything() {
    golden("compact");
}

#[test]
fn two_families() {
    golden("dual-stack");
}

#[test]
fn one_host_of_each_role_leaves() {
    golden("retired");
}
