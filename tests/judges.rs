//! The real readers of what khagen emits: nginx, keepalived, etcd, systemd, containerd.
//!
//! The daemons run from the bundles of the repository's inventory, on hosts in network namespaces with the inventory's
//! addresses; the scripts in `tests/judges` say what is asked of them.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{Built, Need, built, can, oracle, root, scratch, text, unpack_to};

/// Every bundle of a build, unpacked; the folder that holds them.
fn unpacked(b: &Built) -> tempfile::TempDir {
    let dir = scratch();
    for host in b.hosts() {
        unpack_to(&b.out().join(format!("bundles/{host}.tar.gz")), dir.path());
    }
    dir
}

/// Runs a judge over the unpacked bundles and shows all that it said if it is not content.
fn judge(script: &str, bundles: &Path) {
    let mut command = Command::new("bash");
    command.arg(root().join("tests/judges").join(script)).arg(bundles).args(oracle());
    let out = command.output().expect("bash");
    let said = text(&out.stdout);
    assert!(out.status.success(), "{said}{}", text(&out.stderr));
    assert!(said.contains(" passed, 0 failed"), "{said}");
    let _ = writeln!(std::io::stderr(), "{said}");
}

#[test]
fn nginx_and_keepalived_serve_and_fail_over() {
    let needs =
        [Need::Namespaces, Need::Program("nginx"), Need::Program("keepalived"), Need::Program("curl")];
    if can("nginx and keepalived in namespaces", &needs) {
        judge("balancer.sh", unpacked(&built("inventory")).path());
    }
}

#[test]
fn three_etcd_members_form_a_cluster() {
    if can("three etcd members in namespaces", &[Need::Namespaces, Need::Oracle, Need::Program("curl")]) {
        judge("etcd.sh", unpacked(&built("inventory")).path());
    }
}

/// Files of all bundles below a path on the host, each different text once.
fn emitted(names: &[&str], below: &str) -> BTreeMap<Vec<u8>, (String, String)> {
    let mut found = BTreeMap::new();
    for name in names {
        let b = built(name);
        for host in b.hosts() {
            for (path, entry) in b.bundle(&host) {
                if let Some(file) = path.strip_prefix(&format!("root{below}"))
                    && !entry.folder
                {
                    found.entry(entry.bytes).or_insert((format!("{name}: {host}"), file.to_owned()));
                }
            }
        }
    }
    found
}

#[test]
fn systemd_accepts_every_unit() {
    if !can("systemd's verdict on every unit", &[Need::Program("systemd-analyze")]) {
        return;
    }
    let units = emitted(&["inventory", "compact", "dual-stack"], "/etc/systemd/system/");
    assert!(units.len() >= 5, "{:?}", units.values());
    let mut verified = 0;
    for (bytes, (origin, file)) in &units {
        let dir = scratch();
        let verdict = |bytes: &[u8]| {
            let unit = place_unit(dir.path(), file, bytes);
            let out = Command::new("systemd-analyze")
                .args(["verify", "--man=no", "--recursive-errors=no"])
                .arg(&unit)
                .env("SYSTEMD_UNIT_PATH", format!("{}:", dir.path().display()))
                .output()
                .expect("systemd-analyze");
            (out.status.success(), text(&out.stderr))
        };
        let (accepted, said) = verdict(bytes);
        // etcd is no package of this machine; that its binary is missing is not about the unit.
        let about: Vec<&str> =
            said.lines().filter(|l| !l.contains("is not executable: No such file")).collect();
        assert!(about.is_empty(), "{origin}: {file}: {accepted}: {said}");
        // The same reader refuses what is wrong, so the verdict means something.
        let section = if file.ends_with(".timer") {
            "[Timer]"
        } else if text(bytes).contains("[Service]") {
            "[Service]"
        } else {
            "[Unit]"
        };
        let wrong = text(bytes).replacen(section, &format!("{section}\nProtectSistem=strict"), 1);
        assert!(verdict(wrong.as_bytes()).1.contains("ProtectSistem"), "{origin}: {file}");
        verified += 1;
    }
    assert_eq!(verified, units.len());
}

/// Puts a unit, or a drop-in with a unit beneath it, into a folder and returns the unit to verify.
fn place_unit(dir: &Path, file: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.join(file);
    fs::create_dir_all(path.parent().expect("a parent")).expect("create");
    fs::write(&path, bytes).expect("write");
    let Some((unit, _)) = file.split_once(".d/") else {
        if let Some(service) = file.strip_suffix(".timer") {
            let unit = dir.join(format!("{service}.service"));
            fs::write(unit, "[Service]\nType=oneshot\nExecStart=/bin/true\n").expect("write");
        }
        return path;
    };
    let base = dir.join(unit);
    fs::write(&base, "[Service]\nExecStart=/bin/true\n").expect("write");
    base
}

#[test]
fn the_timer_and_the_users_are_read() {
    let needs = [Need::Program("systemd-analyze"), Need::Program("systemd-sysusers")];
    if !can("systemd's verdict on timers and users", &needs) {
        return;
    }
    let b = built("inventory");
    let mut seen = 0;
    for host in b.hosts() {
        let dir = scratch();
        let folder = unpack_to(&b.out().join(format!("bundles/{host}.tar.gz")), dir.path());
        let users = folder.join("root/etc/sysusers.d");
        for entry in fs::read_dir(&users).into_iter().flatten() {
            let sandbox = scratch();
            fs::create_dir_all(sandbox.path().join("etc")).expect("create");
            let done = Command::new("systemd-sysusers")
                .arg(format!("--root={}", sandbox.path().display()))
                .arg(entry.expect("entry").path())
                .output()
                .expect("systemd-sysusers");
            assert!(done.status.success(), "{host}: {}", text(&done.stderr));
            let made = fs::read_to_string(sandbox.path().join("etc/passwd")).unwrap_or_default();
            assert!(!made.is_empty(), "{host}: no user was made");
            seen += 1;
        }
        let timer = folder.join("root/etc/systemd/system/khagen-etcd-snapshot.timer");
        if let Ok(unit) = fs::read_to_string(timer) {
            let calendar = unit.lines().find_map(|l| l.strip_prefix("OnCalendar=")).expect("OnCalendar");
            support::run(Command::new("systemd-analyze").args(["calendar", calendar]));
            seen += 1;
        }
    }
    assert!(seen >= 8, "{seen}");
}

/// containerd 1.x reads version 2 of its configuration. Version 3 is for 2.x, which this distribution does not have; of
/// that file only the syntax is judged here.
#[test]
fn containerd_reads_its_configuration() {
    if !can("containerd's verdict", &[Need::Program("containerd")]) {
        return;
    }
    let b = Built { dir: scratch() };
    support::copy_inventory(&root().join("inventory"), &b.inventory());
    let path = b.inventory().join("cluster.yaml");
    let cluster = fs::read_to_string(&path).expect("read");
    for (version, pause) in [("1.7", "sandbox_image"), ("2", "sandbox")] {
        let with =
            cluster.replacen("kubernetes:\n", &format!("kubernetes:\n  containerd: \"{version}\"\n"), 1);
        fs::write(&path, with).expect("write");
        b.build();
        let bundle = b.bundle("k8sworker1.isociel.com");
        let config = text(&bundle["root/etc/containerd/config.toml"].bytes);
        let parsed: toml::Table = config.parse().expect("TOML");
        assert!(config.contains(&format!("{pause} = ")), "{config}");
        if version == "1.7" {
            assert_eq!(parsed["version"].as_integer(), Some(2));
            let file = b.dir.path().join("config.toml");
            fs::write(&file, &config).expect("write");
            let dump =
                support::run(Command::new("containerd").arg("--config").arg(&file).args(["config", "dump"]));
            assert!(dump.contains("SystemdCgroup = true"), "{dump}");
            assert!(dump.contains("registry.k8s.io/pause:3.10.2"), "{dump}");
        } else {
            assert_eq!(parsed["version"].as_integer(), Some(3));
        }
    }
}
