//! Patches: what khagen says of a target and a type, and whether kubeadm reads the file that it would become.
//!
//! kubeadm passes over a file whose name it does not understand, with a word in its log: khagen must refuse that.

use std::fs;
use std::process::Command;

use rayon::prelude::*;
use serde_json::json;

use crate::cases;
use crate::grounds::GROUNDS;
use crate::judge::{Minor, minors};
use crate::mistakes::khagen_refuses;
use crate::mutate::set;
use crate::support::{Need, can, khagen, run, scratch, text, unpack};

const TARGETS: [&str; 12] = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubeletconfiguration",
    "corednsdeployment",
    "kube-proxy",
    "kubeproxyconfiguration",
    "Kube-apiserver",
    "kubeapiserver",
    "kube-apiserver1",
    "kubelet",
];
const TYPES: [&str; 5] = ["strategic", "merge", "json", "Merge", "apply"];

/// Where khagen refuses what kubeadm reads, and why.
fn khagen_alone(target: &str) -> Option<&'static str> {
    match target {
        "etcd" => Some("etcd is no pod of kubeadm's here"),
        "kube-apiserver1" => {
            Some("kubeadm takes what follows the target for the file's suffix; khagen gives it one")
        }
        _ => None,
    }
}

/// What is tried of a minor: how many, and what is not explained.
fn compared(minor: &Minor) -> (usize, Vec<String>) {
    let dir = scratch();
    let ground = GROUNDS.iter().find(|g| (g.since..=g.until).contains(&minor.minor)).expect("a ground");
    let mut inventory = ground.inventory();
    set(&mut inventory, "kubernetes/version", json!(minor.version));
    let at = dir.path().join("inventory");
    cases::write(ground.base, &inventory, &at);
    let out = dir.path().join("out");
    run(khagen().arg("build").arg(&at).arg("-o").arg(&out));
    let bundle = unpack(&out.join("bundles/master1.settings.example.com.tar.gz"));
    let document = dir.path().join("kubeadm.yaml");
    fs::write(&document, &bundle["root/etc/kubernetes/kubeadm.yaml"].bytes).expect("write");

    let (mut count, mut unexplained) = (0, Vec::new());
    for target in TARGETS {
        for kind in TYPES {
            let (source, content) = match (kind, target) {
                ("json", _) => ("x.json", "[]"),
                (_, "kubeletconfiguration") => ("x.yaml", "maxPods: 50\n"),
                _ => ("x.yaml", "metadata: {labels: {a: b}}\n"),
            };
            fs::create_dir_all(at.join("patches")).expect("create");
            fs::write(at.join("patches").join(source), content).expect("write");
            let mut ours = inventory.clone();
            let patch = json!([{"target": target, "type": kind, "source": source}]);
            set(&mut ours, "roles/control-plane/patches", patch);
            let codes = khagen_refuses(&at, &ours);

            let patches = dir.path().join(format!("{target}-{kind}"));
            fs::create_dir_all(&patches).expect("create");
            let end = source.rsplit('.').next().expect("an end");
            fs::write(patches.join(format!("{target}0+{kind}.{end}")), content).expect("write");
            let mut judge = Command::new(minor.dir.join("kubeadm-judge"));
            let judged = judge.arg("--patches").arg(&patches).arg(&document).output().expect("the judge");
            let said = text(&judged.stdout) + &text(&judged.stderr);
            let read = said.contains("Found the following patch files") && judged.status.success();
            count += 1;
            let explained = match (codes.is_empty(), read) {
                (true, true) | (false, false) => true,
                (false, true) => khagen_alone(target).is_some(),
                (true, false) => false,
            };
            if !explained {
                unexplained
                    .push(format!("{} {target}+{kind}: khagen {codes:?}, kubeadm: {said}", minor.name));
            }
        }
    }
    (count, unexplained)
}

#[test]
fn kubeadm_reads_the_patches_that_khagen_takes() {
    if !can("patches at every minor", &[Need::Minors]) {
        return;
    }
    let all: Vec<(usize, Vec<String>)> = minors().par_iter().map(compared).collect();
    let unexplained: Vec<&str> = all.iter().flat_map(|(_, some)| some).map(String::as_str).collect();
    assert!(unexplained.is_empty(), "{} unexplained:\n{}", unexplained.len(), unexplained.join("\n"));
    println!(
        "{} names of patches: no unexplained difference",
        all.iter().map(|(count, _)| count).sum::<usize>()
    );
    for target in TARGETS {
        if let Some(why) = khagen_alone(target) {
            println!("only khagen refuses {target}: {why}");
        }
    }
}
