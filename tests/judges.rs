//! The daemons judge what khagen emits: they read every file, and on namespaces with the inventory's addresses they run.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{Built, Need, built, can, oracle, root, scratch, text, unpack_to};

const INVENTORIES: [&str; 6] = ["inventory", "compact", "dual-stack", "ipv6", "cilium", "single"];
const ALL_READERS: [Need; 6] = [
    Need::Namespaces,
    Need::Oracle,
    Need::Program("nginx"),
    Need::Program("keepalived"),
    Need::Program("systemd-analyze"),
    Need::Program("containerd"),
];

/// Unpacks every bundle, as the judges want them: side by side, without whoever made them in the way.
fn bundles(b: &Built) -> PathBuf {
    let dir = b.dir.path().join("unpacked");
    for host in b.hosts() {
        unpack_to(&b.out().join(format!("bundles/{host}.tar.gz")), &dir);
    }
    dir
}

/// The repository's inventory with one line more under a section.
fn changed(section: &str, line: &str) -> Built {
    let b = Built { dir: scratch() };
    support::copy_inventory(&root().join("inventory"), &b.inventory());
    let path = b.inventory().join("cluster.yaml");
    let before = fs::read_to_string(&path).expect("read");
    let after = before.replacen(&format!("\n{section}:\n"), &format!("\n{section}:\n  {line}\n"), 1);
    assert_ne!(before, after, "no section {section}");
    fs::write(&path, after).expect("write");
    b.build();
    b
}

/// Runs a judge and returns what it said; every judge ends with "N passed, N failed".
fn judge(name: &str, args: &[&Path]) -> String {
    let mut command = Command::new("bash");
    command.arg(root().join("tests/judges").join(name)).args(args);
    let out = command.output().expect("bash");
    let said = text(&out.stdout) + &text(&out.stderr);
    assert!(out.status.success() && said.contains(" 0 failed"), "{name}: {}\n{said}", out.status);
    said
}

#[test]
fn every_daemon_takes_its_files() {
    if !can("every daemon's verdict on its files", &ALL_READERS) {
        return;
    }
    let oracle = oracle().expect("probed");
    for name in INVENTORIES {
        judge("accept.sh", &[&bundles(&built(name)), &oracle]);
    }
    judge("accept.sh", &[&bundles(&changed("loadBalancer", "auth: true")), &oracle]);
    judge("accept.sh", &[&bundles(&changed("kubernetes", "containerd: 1.7")), &oracle]);
}

/// What khagen writes for an older or newer line of etcd, members of that line take: no flag that they do not know.
#[test]
fn members_of_every_line_form_a_cluster() {
    let needs =
        [Need::Namespaces, Need::Oracle, Need::EtcdLines, Need::Program("curl"), Need::Program("perl")];
    if !can("three etcd members of each line", &needs) {
        return;
    }
    let listed = std::env::var("KHAGEN_ETCD_LINES").expect("probed");
    for (line, dir) in listed.lines().filter_map(|l| l.split_once('=')) {
        let said = Command::new(Path::new(dir).join("etcd")).arg("--version").output().expect("etcd");
        let said = text(&said.stdout);
        let version = said.lines().find_map(|l| l.strip_prefix("etcd Version: ")).expect("its version");
        assert!(version.starts_with(&format!("{line}.")), "{line}: {version}");
        let b = Built { dir: scratch() };
        support::copy_inventory(&root().join("inventory"), &b.inventory());
        let path = b.inventory().join("cluster.yaml");
        let before = fs::read_to_string(&path).expect("read");
        let after = before.replacen("version: 3.6.14", &format!("version: {version}"), 1);
        assert_ne!(before, after);
        fs::write(&path, after).expect("write");
        b.build();
        judge("etcd.sh", &[&bundles(&b), Path::new(dir)]);
    }
}

#[test]
fn three_members_form_a_cluster_and_refuse_strangers() {
    if !can(
        "three etcd members",
        &[Need::Namespaces, Need::Oracle, Need::Program("curl"), Need::Program("perl")],
    ) {
        return;
    }
    let oracle = oracle().expect("probed");
    judge("etcd.sh", &[&bundles(&built("inventory")), &oracle]);
    // One CA for clients and peers: a control plane's certificate is still no peer's.
    judge("etcd.sh", &[&bundles(&changed("etcd", "peerCA: same")), &oracle]);
}

#[test]
fn balancers_carry_tls_and_move_the_vip_when_it_helps() {
    let needs = [
        Need::Namespaces,
        Need::Program("nginx"),
        Need::Program("keepalived"),
        Need::Program("curl"),
        Need::Program("perl"),
        Need::Program("openssl"),
    ];
    if !can("balancers that fail over", &needs) {
        return;
    }
    println!("{}", judge("balancer.sh", &[&bundles(&built("inventory"))]));
}
