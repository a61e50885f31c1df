//! Minor by minor: every document of every inventory, the images, and the phases that read a bundle's certificates.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rayon::prelude::*;
use serde_json::{Value, json};

use crate::cases::{self, CASES, Case};
use crate::judge::{Minor, minors, verdict};
use crate::mutate::set;
use crate::page;
use crate::support::{Need, can, khagen, run, scratch, text, unpack, unpack_to};

/// The table's lines for an inventory.
pub const LINES: [&str; 8] = [
    "InitConfiguration",
    "ClusterConfiguration",
    "JoinConfiguration",
    "KubeletConfiguration",
    "KubeProxyConfiguration",
    "reconfigure.sh's documents",
    "images",
    "phases certs and kubeconfig",
];

/// What came of an inventory at a minor: the code with which khagen refuses it, or a word for each line.
pub enum Outcome {
    /// khagen refuses it.
    Refused(&'static str),
    /// How many of each line were accepted.
    Taken(BTreeMap<&'static str, usize>),
    /// It was not as it should be, which was said; the others are asked all the same.
    Wrong,
}

impl Outcome {
    /// How many documents there were.
    pub fn documents(&self) -> usize {
        match self {
            Outcome::Refused(_) | Outcome::Wrong => 0,
            Outcome::Taken(lines) => LINES[..5].iter().filter_map(|line| lines.get(line)).sum(),
        }
    }
}

/// A host's documents, where kubeadm finds what they name.
struct Host {
    /// kubeadm.yaml.
    kubeadm: PathBuf,
    /// What reconfigure.sh gives to kubeadm, of a control plane.
    reconfigure: Option<PathBuf>,
    /// Whether it runs `kubeadm init`.
    init: bool,
    /// Its bundle.
    tarball: PathBuf,
}

fn hosts(bundles: &Path, dir: &Path) -> Vec<Host> {
    let mut hosts = Vec::new();
    for entry in fs::read_dir(bundles).expect("bundles") {
        let tarball = entry.expect("entry").path();
        let name = tarball.file_stem().expect("a name").to_string_lossy().into_owned();
        let bundle = unpack(&tarball);
        let of = |file: &str| Some(text(&bundle.get(&format!("root/etc/kubernetes/{file}"))?.bytes));
        let Some(mut document) = of("kubeadm.yaml") else { continue };
        if let Some(kubelet) = of("kubelet.conf").filter(|_| document.contains("kubeConfigPath: ")) {
            // kubeadm looks at the file that a document names, so that it must be where the document says.
            let there = dir.join(format!("{name}.kubelet.conf"));
            fs::write(&there, kubelet).expect("write");
            let named = "kubeConfigPath: /etc/kubernetes/kubelet.conf";
            document = document.replace(named, &format!("kubeConfigPath: {}", there.display()));
        }
        let kubeadm = dir.join(format!("{name}.yaml"));
        fs::write(&kubeadm, &document).expect("write");
        let reconfigure = of("kubeadm-node.yaml").map(|node| {
            let both = node + "---\n" + &of("kubeadm-cluster.yaml").expect("the cluster's part");
            let file = dir.join(format!("{name}.reconfigure.yaml"));
            fs::write(&file, both).expect("write");
            file
        });
        hosts.push(Host {
            kubeadm,
            reconfigure,
            init: document.contains("kind: InitConfiguration"),
            tarball,
        });
    }
    hosts.sort_by(|a, b| a.kubeadm.cmp(&b.kubeadm));
    hosts
}

/// Runs what reads a bundle's certificates and kubeconfigs, and counts those that it found complete. It makes none.
fn phases(minor: &Minor, case: &str, tarball: &Path, dir: &Path) -> usize {
    let root = unpack_to(tarball, dir).join("root");
    let mut kept = 0;
    for phase in ["certs", "kubeconfig"] {
        let out = Command::new(minor.dir.join("kubeadm"))
            .arg("--rootfs")
            .arg(&root)
            .args(["init", "phase", phase, "all", "--config", "/etc/kubernetes/kubeadm.yaml"])
            .output()
            .expect("kubeadm");
        let said = text(&out.stdout) + &text(&out.stderr);
        assert!(out.status.success() && !said.contains("Generating"), "{case} at {}: {said}", minor.name);
        for line in said.lines() {
            let found = ["Using existing", "Using the existing", "Using user provided"];
            kept += usize::from(found.iter().any(|words| line.contains(words)));
            // Of the init node's own kubelet, where there is a CA's key to sign with.
            assert!(
                !line.contains("Writing") || line.contains("kubelet.conf") && case != "external-ca",
                "{case} at {}: {line}",
                minor.name
            );
        }
    }
    // Five certificates and the service account's key; three kubeconfigs and, from 1.29 on, super-admin.conf.
    assert!(kept >= if minor.minor < 29 { 9 } else { 10 }, "{case} at {}: {kept}", minor.name);
    kept
}

/// Of an inventory at each minor.
fn judged(case: &Case, minors: &[Minor]) -> Vec<Outcome> {
    let dir = scratch();
    let at = dir.path().join("inventory");
    let mut inventory = cases::read(case.base);
    (case.edit)(&mut inventory);
    cases::write(case.base, &inventory, &at);
    if case.own_ca {
        cases::import(&at);
    }
    let one = |minor| {
        let judged = std::panic::AssertUnwindSafe(|| judged_at(case, minor, inventory.clone(), &at));
        std::panic::catch_unwind(judged).unwrap_or(Outcome::Wrong)
    };
    minors.iter().map(one).collect()
}

fn judged_at(case: &Case, minor: &Minor, mut inventory: Value, at: &Path) -> Outcome {
    let name = format!("{} at {}", case.name, minor.name);
    set(&mut inventory, "kubernetes/version", json!(minor.version));
    cases::rewrite(&inventory, at);
    let dir = scratch();
    let out = dir.path().join("out");
    let built = khagen().arg("build").arg(at).arg("-o").arg(&out).output().expect("khagen");
    let expected = case.refused.filter(|(below, _)| minor.minor < *below);
    if !built.status.success() {
        let said = text(&built.stderr) + &text(&built.stdout);
        let (_, code) = expected.unwrap_or_else(|| panic!("{name}: {said}"));
        let errors: BTreeSet<&str> = said.lines().filter_map(|l| l.strip_prefix("error[")).collect();
        assert!(!errors.is_empty() && errors.iter().any(|e| e.starts_with(code)), "{name}: {said}");
        return Outcome::Refused(code);
    }
    assert!(expected.is_none(), "{name} was built");

    let hosts = hosts(&out.join("bundles"), dir.path());
    let said = verdict(&minor.dir, &hosts.iter().map(|h| h.kubeadm.clone()).collect::<Vec<_>>());
    assert!(said.refused.is_empty(), "{name}: {:#?}", said.refused);
    // Upstream says so of a field, a flag, a gate or an API version that it is about to drop; and khagen, where it was asked for.
    let known = text(&built.stderr) + &text(&built.stdout);
    let old = |line: &&String| {
        let ipvs = line.contains("is set to \"ipvs\"") && known.contains("KH0506");
        line.to_lowercase().contains("deprecated") && !ipvs
    };
    let old: Vec<&String> = said.warned.iter().filter(old).collect();
    assert!(old.is_empty(), "{name}: {old:#?}");
    let mut lines = BTreeMap::new();
    for (kind, count) in &said.taken {
        let line = LINES.iter().find(|line| *line == kind).unwrap_or_else(|| panic!("{name}: {kind}"));
        lines.insert(*line, *count);
    }

    let again: Vec<PathBuf> = hosts.iter().filter_map(|h| h.reconfigure.clone()).collect();
    let said = verdict(&minor.dir, &again);
    assert!(said.refused.is_empty(), "{name}: {:#?}", said.refused);
    lines.insert(LINES[5], said.taken.values().sum());

    let init = hosts.iter().find(|h| h.init).expect("a host that runs init");
    let mut theirs = run(Command::new(minor.dir.join("kubeadm"))
        .args(["config", "images", "list", "--config"])
        .arg(&init.kubeadm));
    // Before v1beta4 there is no proxy.disabled: kube-proxy is left out by skipPhases, which kubeadm's list does not look at.
    if case.name == "proxy-none" && minor.minor < 31 {
        theirs = theirs.lines().filter(|l| !l.contains("/kube-proxy:")).map(|l| format!("{l}\n")).collect();
    }
    let ours = run(khagen().arg("images").arg(at));
    // kubeadm 1.28 has pause before CoreDNS.
    let sorted = |list: &str| list.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    if minor.minor < 29 {
        assert_eq!(sorted(&ours), sorted(&theirs), "images of {name}");
    } else {
        assert_eq!(ours, theirs, "images of {name}");
    }
    lines.insert(LINES[6], ours.lines().count());

    if case.phases {
        lines.insert(LINES[7], phases(minor, case.name, &init.tarball, dir.path()));
    }
    Outcome::Taken(lines)
}

#[test]
fn every_minor_takes_every_document_and_has_these_images() {
    if !can("every supported minor's kubeadm", &[Need::Minors, Need::Namespaces]) {
        return;
    }
    let minors = minors();
    let outcomes: Vec<Vec<Outcome>> = CASES.par_iter().map(|case| judged(case, &minors)).collect();
    let mut table = format!("{:<18} {:<28}", "inventory", "kubeadm");
    for minor in &minors {
        table.push_str(&format!(" {:>8}", minor.version));
    }
    table.push('\n');
    for (case, outcomes) in CASES.iter().zip(&outcomes) {
        for line in LINES {
            let cells: Vec<String> = outcomes
                .iter()
                .map(|outcome| match outcome {
                    Outcome::Refused(code) => (*code).to_owned(),
                    Outcome::Wrong => "WRONG".to_owned(),
                    Outcome::Taken(lines) => lines.get(line).map_or_else(|| "-".to_owned(), usize::to_string),
                })
                .collect();
            if cells.iter().all(|cell| cell == "-" || cell.starts_with("KH")) {
                continue;
            }
            table.push_str(&format!("{:<18} {line:<28}", case.name));
            for cell in cells {
                table.push_str(&format!(" {cell:>8}"));
            }
            table.push('\n');
        }
    }
    println!("{table}");
    let wrong = outcomes.iter().flatten().filter(|o| matches!(o, Outcome::Wrong)).count();
    assert_eq!(wrong, 0, "of these are not as they should be");
    page::current(&minors, &outcomes);
}
