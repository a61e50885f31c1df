//! Every script that khagen emits: shellcheck's verdict, the first line's promise, and the run of the scripts themselves.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use support::tarball::sha256;
use support::{Need, built, can, root, scratch, text, unpack_to};

/// Every script that khagen emits for the fixtures, the same bytes once, and where they are.
fn emitted() -> BTreeMap<Vec<u8>, String> {
    let mut scripts = BTreeMap::new();
    for name in ["inventory", "compact", "dual-stack", "ipv6", "retired", "cilium", "single"] {
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
    scripts
}

#[test]
fn every_emitted_script_passes_shellcheck() {
    if !can("shellcheck of every emitted script", &[Need::Program("shellcheck")]) {
        return;
    }
    let dir = scratch();
    let scripts = emitted();
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

/// The scripts on a stand-in host: install, repeat, refuse, fail at any place, roll back, uninstall, and the operator's. Whatever is
/// emitted was executed: every bash of these runs leaves the digest of its script.
#[test]
fn the_scripts_do_what_they_say_and_each_of_them_runs() {
    let needs = ["strace", "busybox", "nginx", "keepalived", "jq", "openssl"].map(Need::Program);
    if !can("the run of the scripts", &[&needs[..], &[Need::Namespaces, Need::Oracle]].concat()) {
        return;
    }
    let dir = scratch();
    let scripts = emitted();
    let (emitted, ran) = (dir.path().join("emitted"), dir.path().join("ran"));
    fs::create_dir_all(emitted.join("scripts")).expect("create");
    for (i, (bytes, origin)) in scripts.iter().enumerate() {
        let name = origin.rsplit('/').next().expect("a name").rsplit(' ').next().expect("a name");
        let path = emitted.join(format!("scripts/{name}.{i}"));
        fs::write(&path, bytes).expect("write");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("mode");
    }
    let b = built("inventory");
    let balancer = unpack_to(&b.out().join("bundles/k8svrrp1.isociel.com.tar.gz"), dir.path());
    fs::rename(balancer, emitted.join("balancer")).expect("rename");

    let runs = ["run.sh", "rollout.sh"].map(|name| {
        let log = dir.path().join(name);
        let file = fs::File::create(&log).expect("a log");
        let run = Command::new("bash")
            .arg(root().join("tests/scripts").join(name))
            .env("KHAGEN_EMITTED", &emitted)
            .env("KHAGEN_RAN", &ran)
            .env("ETCD_BIN", support::oracle().expect("the oracle"))
            .stdout(file.try_clone().expect("the log"))
            .stderr(file)
            .spawn()
            .expect("bash");
        (run, log)
    });
    for (mut run, log) in runs {
        let ended = run.wait().expect("its end");
        let log = fs::read_to_string(log).expect("its log");
        assert!(ended.success() && !log.contains("NOT RUN"), "{log}");
    }
    let mut ran = fs::read_to_string(&ran).expect("what was run");
    // What says sh leaves no digest by itself; it is run here, in each shell that sh may be.
    let member = unpack_to(&b.out().join("bundles/k8setcd1.isociel.com.tar.gz"), dir.path());
    for (bytes, origin) in scripts.iter().filter(|(bytes, _)| bytes.starts_with(b"#!/bin/sh\n")) {
        let path = dir.path().join("posix.sh");
        fs::write(&path, bytes).expect("write");
        for shell in [vec!["dash"], vec!["busybox", "sh"], vec!["bash"]] {
            let out = Command::new(shell[0])
                .args(&shell[1..])
                .arg(&path)
                .arg("--root")
                .arg(member.join("root"))
                .output()
                .expect("a shell");
            let said = text(&out.stdout);
            assert_eq!(out.status.code(), Some(0), "{origin}: {shell:?}: {said}{}", text(&out.stderr));
            assert!(said.contains("/etc/etcd/pki/k8setcd1.crt"), "{origin}: {shell:?}: {said}");
        }
        ran.push_str(&sha256(bytes));
    }
    let missed: Vec<&String> =
        scripts.iter().filter(|(bytes, _)| !ran.contains(&sha256(bytes))).map(|(_, origin)| origin).collect();
    assert!(missed.is_empty(), "no test executes {missed:?}");
    assert!(!ran.contains(&sha256(b"#!/bin/bash\n")), "a record that holds everything");
}
