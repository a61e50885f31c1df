//! The lab: the example's eleven hosts and the compact three, booted with systemd and installed from their tarballs over ssh, as
//! an operator does it. What is looked at is in the scripts of tests/lab; this only builds the bundles and asks whether the machine can.

mod support;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use support::{Built, Need, built, can, oracle, root, text};

/// Eleven hosts are enough for a machine; two labs would measure each other.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn script(name: &str) -> PathBuf {
    root().join("tests/lab").join(name)
}

/// Whether the lab can be here: programs can be installed, a kernel is what it is.
fn lab_can(test: &str) -> bool {
    let needs = ["mmdebstrap", "systemd-nspawn", "ip", "jq", "ssh", "nsenter"].map(Need::Program);
    if !can(test, &[&[Need::Oracle, Need::Namespaces], needs.as_slice()].concat()) {
        return false;
    }
    // Two probes at once are no reason to skip a test; the script is asked to bear it, too.
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let probe = Command::new(script("lab")).arg("probe").output().expect("lab");
    if !probe.status.success() {
        // Past the test runner's capture, so that it is seen.
        let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {}", text(&probe.stderr).trim());
    }
    probe.status.success()
}

/// Runs a script of the lab on a fresh build of an inventory, and prints its figures.
fn runs(inventory: &str, name: &str, label: &str, last: impl Fn(&Built) -> OsString) {
    if !lab_can(&format!("the lab's {name} of {inventory}")) {
        return;
    }
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let b = built(inventory);
    let out = Command::new(script(name))
        .arg(b.out())
        .arg(last(&b))
        .env("KHAGEN", env!("CARGO_BIN_EXE_khagen"))
        .env("KHAGEN_ORACLE", oracle().expect("probed"))
        .env("KHAGEN_LAB", format!("t{}{label}", std::process::id()))
        .output()
        .expect("a script of the lab");
    let said = text(&out.stdout);
    assert!(out.status.success(), "{}: {said}\n{}", out.status, text(&out.stderr));
    let figure = |l: &&str| {
        l.starts_with("from the first")
            || l.starts_with("stage ")
            || l.starts_with("row ")
            || l.contains(" passed, ")
    };
    for line in said.lines().filter(figure) {
        let _ = writeln!(std::io::stderr(), "lab, {name} of {inventory}: {line}");
    }
}

#[test]
fn eleven_hosts_are_installed_from_their_tarballs() {
    runs("inventory", "test", "s", |_| "separate".into());
}

#[test]
fn three_hosts_that_are_everything_are_installed_one_after_the_other() {
    runs("compact", "test", "c", |_| "compact".into());
}

#[test]
fn etcd_survives_its_bad_days_with_a_live_writer() {
    runs("inventory", "bad-days", "b", |b| b.inventory().into());
}

/// Kubernetes' own components, as tests/oracle/kubernetes.sh builds them and `./test` names them.
fn components(test: &str) -> bool {
    let there =
        std::env::var_os("KHAGEN_KUBERNETES").is_some_and(|d| PathBuf::from(d).join("kubelet").is_file());
    if !there {
        assert!(
            std::env::var_os("KHAGEN_REQUIRE_ALL").is_none(),
            "{test} must run here, but KHAGEN_KUBERNETES names no folder with Kubernetes' components"
        );
        // Past the test runner's capture, so that it is seen.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED {test}: KHAGEN_KUBERNETES names no folder with Kubernetes' components (tests/oracle/kubernetes.sh builds them)"
        );
    }
    there
}

#[test]
fn a_control_plane_joins_after_the_uploaded_cas_have_lapsed() {
    if components("the lab's cluster in which kubeadm signs") {
        runs("pki-kubeadm", "kubeadm-pki", "p", |b| b.inventory().into());
    }
}

#[test]
fn a_running_cluster_gets_another_kubernetes_ca() {
    if components("the lab's rotation of the Kubernetes CA") {
        runs("inventory", "rotation", "r", |b| b.inventory().into());
    }
}

#[test]
fn kubeadm_makes_a_cluster_that_loses_no_write_when_power_is_cut() {
    if components("the lab's cluster") {
        runs("inventory", "api", "k", |b| b.inventory().into());
    }
}
