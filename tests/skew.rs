//! Versions that no rollout can bring: minors that are skipped, and minors that go down.

mod support;

use std::fs;

use support::{built, copy_tree, khagen, text};

/// From one version to another of a cluster that runs: what `khagen diff --rollout` ends with, and what it says.
fn goes(what: &str, from: &str, to: &str) -> (Option<i32>, String) {
    let b = built("inventory");
    let file = b.inventory().join("cluster.yaml");
    let present = if what == "etcd" { "3.6.14" } else { "1.36.5" };
    let write = |text: &str| fs::write(&file, text).expect("write");
    let read = || fs::read_to_string(&file).expect("read");
    let base = read();
    assert!(base.contains(&format!("version: {present}")), "{base}");
    write(&base.replace(&format!("version: {present}"), &format!("version: {from}")));
    b.build();
    let former = b.dir.path().join("former");
    copy_tree(&b.out(), &former);
    write(
        &read()
            .replace(&format!("version: {from}"), &format!("version: {to}"))
            .replace("state: new", "state: running"),
    );
    b.build();
    let steps = b.dir.path().join("steps");
    let out =
        khagen().arg("diff").arg(&former).arg(b.out()).arg("--rollout").arg(&steps).output().expect("khagen");
    let refused = out.status.code() == Some(6);
    assert_eq!(steps.exists(), !refused, "{}", text(&out.stderr));
    (out.status.code(), format!("{}{}", text(&out.stdout), text(&out.stderr)))
}

#[test]
fn what_kubeadm_would_refuse_is_refused_before_anything_is_done() {
    let (code, said) = goes("kubernetes", "1.34.9", "1.36.5");
    assert!(code == Some(6) && said.contains("build and roll out 1.35 first"), "{code:?} {said}");
    for (from, to) in [("1.36.5", "1.35.8"), ("1.36.5", "1.36.4")] {
        let (code, said) = goes("kubernetes", from, to);
        assert!(
            code == Some(6) && said.contains("kubeadm does not take a cluster down"),
            "{from} {to}: {code:?} {said}"
        );
    }
    let (code, said) = goes("kubernetes", "1.35.8", "1.36.5");
    assert!(code == Some(2) && said.contains("reconfigure:upgrade"), "{code:?} {said}");
}

#[test]
fn etcd_goes_up_one_minor_at_a_time_by_hand_where_no_bundle_brings_it() {
    let (code, said) = goes("etcd", "3.5.30", "3.7.0");
    assert!(code == Some(6) && said.contains("build and roll out 3.6 first"), "{code:?} {said}");
    let (code, said) = goes("etcd", "3.6.14", "3.5.30");
    assert!(code == Some(6) && said.contains("etcdctl downgrade"), "{code:?} {said}");
    for (from, to) in [("3.6.14", "3.6.12"), ("3.5.30", "3.6.14"), ("3.6.14", "3.7.0")] {
        let (code, said) = goes("etcd", from, to);
        let by_hand = said.matches("manual k8setcd").count();
        let once = format!("put etcd, etcdctl and etcdutl {to} in place of {from}'s");
        assert!(
            code == Some(2) && by_hand == 3 && said.contains(&once),
            "{from} {to}: {code:?} {by_hand} {said}"
        );
    }
}
