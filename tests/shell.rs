//! Every script that khagen emits: shellcheck's verdict, the first line's promise, and the run of the scripts themselves.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use support::{Need, built, can, root, scratch, text};

#[test]
fn every_emitted_script_passes_shellcheck() {
    if !can("shellcheck of every emitted script", &[Need::Program("shellcheck")]) {
        return;
    }
    let dir = scratch();
    // The same bytes are judged once, whatever host they are on.
    let mut scripts: BTreeMap<Vec<u8>, String> = BTreeMap::new();
    for name in ["inventory", "compact", "dual-stack"] {
        let b = built(name);
        for host in b.hosts() {
            for (path, entry) in b.bundle(&host) {
                if entry.bytes.starts_with(b"#!") {
                    assert_ne!(entry.mode & 0o111, 0, "{host}: {path} is a script and cannot be executed");
                    scripts.entry(entry.bytes).or_insert(format!("{name}: {host}: {path}"));
                }
            }
        }
    }
    assert!(scripts.len() >= 12, "{:?}", scripts.values());
    for (i, (bytes, origin)) in scripts.iter().enumerate() {
        let script = text(bytes);
        assert!(!script.contains("shellcheck disable"), "{origin}");
        let first = script.lines().next().unwrap_or_default();
        assert!(["#!/bin/sh", "#!/bin/bash"].contains(&first), "{origin}: {first}");
        let path = dir.path().join(format!("{i}.sh"));
        fs::write(&path, bytes).expect("write");
        let out = Command::new("shellcheck").arg(&path).output().expect("shellcheck");
        assert!(out.status.success(), "{origin}\n{}", text(&out.stdout));
        if first == "#!/bin/sh" {
            for shell in [vec!["dash"], vec!["busybox", "sh"]] {
                let parsed =
                    Command::new(shell[0]).args(&shell[1..]).arg("-n").arg(&path).output().expect("a shell");
                assert!(parsed.status.success(), "{origin}: {shell:?}: {}", text(&parsed.stderr));
            }
        }
    }
}

/// The scripts on a stand-in host: install, repeat, refuse, fail, roll back, uninstall.
#[test]
fn the_scripts_do_what_they_say() {
    if !can("the run of the scripts", &[Need::Namespaces]) {
        return;
    }
    let out = Command::new("bash").arg(root().join("tests/scripts/run.sh")).output().expect("bash");
    assert!(out.status.success(), "{}{}", text(&out.stdout), text(&out.stderr));
}
