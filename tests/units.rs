//! systemd reads what khagen emits for it: every unit and drop-in, every user, every time of a timer.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use support::{Need, built, can, copy_tree, run, scratch, text, tree, unpack_to};

/// Inventories with every role, balancer mode, address family and combination of roles on a host.
const INVENTORIES: [&str; 6] = ["inventory", "compact", "dual-stack", "ipv6", "single", "cilium"];
const SYSTEM: &str = "etc/systemd/system";

/// A root with the distribution's units, which those of a bundle depend on and add to.
fn machine() -> tempfile::TempDir {
    let dir = scratch();
    fs::create_dir_all(dir.path().join("usr/lib/systemd")).expect("create");
    copy_tree(Path::new("/usr/lib/systemd/system"), &dir.path().join("usr/lib/systemd"));
    // Where a unit lies in /lib, systemd finds it through the link that every host has.
    symlink("usr/lib", dir.path().join("lib")).expect("link");
    dir
}

/// The machine's root with a bundle's files, and with every program of their units in place.
fn install(bundle: &Path, dir: &Path) {
    for folder in ["etc", "usr/local"] {
        if dir.join(folder).exists() {
            fs::remove_dir_all(dir.join(folder)).expect("remove");
        }
    }
    for top in fs::read_dir(bundle.join("root")).expect("root") {
        copy_tree(&top.expect("entry").path(), dir);
    }
    for unit in units(dir) {
        for program in programs(&dir.join(SYSTEM).join(&unit)) {
            place(dir, &program);
        }
        // A drop-in adds to a unit of a package, whose program may not be on the machine that runs this test.
        if let Some(base) = unit.split_once(".d/").map(|(base, _)| base) {
            let vendor = dir.join("usr/lib/systemd/system").join(base);
            assert!(vendor.is_file(), "{unit} adds to {base}, which the machine does not have");
            for program in programs(&vendor) {
                place(dir, &program);
            }
        }
    }
}

fn place(dir: &Path, program: &str) {
    let path = dir.join(program.trim_start_matches('/'));
    if !path.exists() {
        fs::create_dir_all(path.parent().expect("absolute")).expect("create");
        fs::write(&path, "#!/bin/sh\n").expect("write");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("mode");
    }
}

fn programs(unit: &Path) -> Vec<String> {
    let text = fs::read_to_string(unit).expect("a unit");
    text.lines()
        .filter_map(|line| line.strip_prefix("Exec")?.split_once('=')?.1.split_whitespace().next())
        .map(|program| program.trim_start_matches(['-', '+', '!', ':', '@']).to_owned())
        .filter(|program| program.starts_with('/'))
        .collect()
}

/// Units and drop-ins, relative to /etc/systemd/system.
fn units(dir: &Path) -> BTreeSet<String> {
    tree(&dir.join(SYSTEM)).into_keys().collect()
}

/// What systemd says of units, nothing if all is well. An unknown key is only a line, the exit code is 0.
fn verdict(dir: &Path, units: &BTreeSet<String>) -> String {
    let names: BTreeSet<&str> =
        units.iter().map(|unit| unit.split_once(".d/").map_or(unit.as_str(), |(base, _)| base)).collect();
    let out = Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--recursive-errors=one"])
        .arg(format!("--root={}", dir.display()))
        .args(&names)
        .output()
        .expect("systemd-analyze");
    let mut said = text(&out.stdout) + &text(&out.stderr);
    if !out.status.success() {
        said += &format!("{}", out.status);
    }
    said
}

#[test]
fn systemd_reads_every_unit_user_and_time() {
    if !can(
        "systemd's verdict on every unit",
        &[
            Need::Program("systemd-analyze"),
            Need::Program("systemd-sysusers"),
            Need::Program("nginx"),
            Need::Program("keepalived"),
            Need::Program("containerd"),
        ],
    ) {
        return;
    }
    let machine = machine();
    let root = machine.path();
    let (mut seen, mut judged) = (BTreeSet::new(), BTreeSet::new());
    let (mut hosts, mut users) = (0, BTreeSet::new());
    for name in INVENTORIES {
        let b = built(name);
        let dir = scratch();
        for host in b.hosts().into_iter().filter(|h| h != "operator") {
            let bundle = unpack_to(&b.out().join(format!("bundles/{host}.tar.gz")), dir.path());
            hosts += 1;
            // The same bytes are judged once, whatever host they are on.
            let etc = bundle.join("root/etc");
            if !judged
                .insert(["systemd", "sysusers.d"].map(|f| etc.join(f)).map(|f| f.exists().then(|| tree(&f))))
            {
                continue;
            }
            install(&bundle, root);
            let units = units(root);
            let said = verdict(root, &units);
            assert!(said.is_empty(), "{name}: {host}: {said}");
            for timer in units.iter().filter(|unit| unit.ends_with(".timer")) {
                let text = fs::read_to_string(root.join(SYSTEM).join(timer)).expect("a timer");
                let calendar = text.lines().find_map(|l| l.strip_prefix("OnCalendar=")).expect("OnCalendar");
                let said = run(Command::new("systemd-analyze").args(["calendar", calendar]));
                assert!(
                    said.contains("Next elapse: ") && !said.contains("Next elapse: never"),
                    "{host}: {said}"
                );
            }
            users.extend(users_of(root));
            seen.extend(units);
        }
    }
    let expected = [
        "etcd.service",
        "keepalived.service.d/khagen.conf",
        "khagen-etcd-snapshot.service",
        "khagen-etcd-snapshot.timer",
        "khagen-swap-off.service",
        "nginx.service.d/khagen.conf",
    ];
    for unit in expected {
        assert!(seen.contains(unit), "{unit} was in no bundle: {seen:?}");
    }
    for user in ["etcd", "nginx", "keepalived_script"] {
        assert!(users.contains(user), "{user} was made on no host: {users:?}");
    }
    eprintln!("units: {} of {hosts} hosts, in {} sets; users {users:?}", seen.len(), judged.len());
}

/// The users that systemd makes on a host that has none but root.
fn users_of(root: &Path) -> Vec<String> {
    let ours = root.join("etc/sysusers.d");
    if !ours.is_dir() {
        return Vec::new();
    }
    let mut command = Command::new("systemd-sysusers");
    command.arg(format!("--root={}", root.display()));
    let out = command.output().expect("systemd-sysusers");
    assert!(out.status.success(), "{}", text(&out.stderr));
    let passwd = fs::read_to_string(root.join("etc/passwd")).expect("passwd");
    for line in passwd.lines() {
        assert!(line.ends_with(":/usr/sbin/nologin"), "a user who can log in: {line}");
    }
    passwd.lines().filter_map(|line| line.split(':').next()).map(str::to_owned).collect()
}

/// The same verdict on units with a fault in them, so that silence above means something.
#[test]
fn a_fault_in_a_unit_does_not_go_unseen() {
    if !can(
        "systemd's verdict on broken units",
        &[Need::Program("systemd-analyze"), Need::Program("nginx"), Need::Program("keepalived")],
    ) {
        return;
    }
    let b = built("inventory");
    let faults = [
        ("k8setcd1", "etcd.service", "UMask=", "UMusk=", "Unknown key"),
        ("k8setcd1", "etcd.service", "Type=notify", "Type=notifies", "notifies"),
        ("k8setcd1", "etcd.service", "ExecStart=/usr", "ExecStart=usr", "usr/local/bin/etcd"),
        ("k8setcd1", "khagen-etcd-snapshot.timer", "OnCalendar=daily", "OnCalendar=dayly", "dayly"),
        ("k8setcd1", "khagen-etcd-snapshot.service", "User=etcd", "User=et cd", "et cd"),
        ("k8svrrp1", "nginx.service.d/khagen.conf", "LimitNOFILE=", "LimitNOFILES=", "Unknown key"),
        ("k8svrrp1", "keepalived.service.d/khagen.conf", "Restart=always", "Restart=ever", "ever"),
        ("k8smaster1", "khagen-swap-off.service", "[Service]", "[Servise]", "Servise"),
    ];
    let (machine, dir) = (machine(), scratch());
    let root = machine.path();
    for (host, unit, before, after, reason) in faults {
        let bundle = unpack_to(&b.out().join(format!("bundles/{host}.isociel.com.tar.gz")), dir.path());
        install(&bundle, root);
        assert_eq!(verdict(root, &units(root)), "", "{host}");
        let path = root.join(SYSTEM).join(unit);
        let text = fs::read_to_string(&path).expect("a unit");
        assert!(text.contains(before), "{unit}: {text}");
        fs::write(&path, text.replacen(before, after, 1)).expect("write");
        let said = verdict(root, &units(root));
        assert!(said.contains(reason), "{unit} with {after}: {said:?}");
    }
}
