//! The operator's rollout.sh: what it refuses, where it stops, how it goes on.

mod support;

use std::process::Command;

use support::{Need, can, root, text};

#[test]
fn rollout_sh_stops_resumes_and_refuses() {
    if !can("the run of rollout.sh", &[Need::Namespaces]) {
        return;
    }
    let out = Command::new("bash").arg(root().join("tests/scripts/rollout.sh")).output().expect("bash");
    assert!(out.status.success(), "{}{}", text(&out.stdout), text(&out.stderr));
}
