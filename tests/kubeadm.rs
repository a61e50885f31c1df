//! The real kubeadm judges every document and finds the bundles' certificates and kubeconfigs complete.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{Built, Need, built, can, khagen, oracle, run, scratch, text, unpack_to};

const INVENTORIES: [&str; 9] = [
    "inventory",
    "compact",
    "dual-stack",
    "ipv6",
    "cilium",
    "single",
    "settings",
    "external-ca",
    "pki-kubeadm",
];

#[test]
fn every_document_is_decoded_strictly_and_validated() {
    if !can("kubeadm's verdict on every document", &[Need::Oracle]) {
        return;
    }
    let oracle = oracle().expect("probed");
    for name in INVENTORIES {
        let b = built(name);
        let dir = scratch();
        let mut judged = 0;
        for host in b.hosts() {
            let folder = unpack_to(&b.out().join(format!("bundles/{host}.tar.gz")), dir.path());
            let config = folder.join("root/etc/kubernetes/kubeadm.yaml");
            if !config.exists() {
                continue;
            }
            // kubeadm looks at the file that a document names, so that it must be where the document says.
            let document = fs::read_to_string(&config).expect("read");
            let kubelet_conf = "kubeConfigPath: /etc/kubernetes/kubelet.conf";
            if document.contains(kubelet_conf) {
                let there = folder.join("root/etc/kubernetes/kubelet.conf");
                let there = format!("kubeConfigPath: {}", there.display());
                fs::write(&config, document.replace(kubelet_conf, &there)).expect("write");
            }
            let mut judge = Command::new(oracle.join("kubeadm-judge"));
            let patches = folder.join("root/etc/kubernetes/patches");
            if patches.exists() && text(&fs::read(&config).expect("read")).contains("InitConfiguration") {
                judge.arg("--patches").arg(&patches);
            }
            let said = without_a_warning(judge.arg(&config));
            assert!(said.lines().all(|l| l.starts_with("ok ")), "{name}: {host}: {said}");
            judged += said.lines().count();
            without_a_warning(
                Command::new(oracle.join("kubeadm")).args(["config", "validate", "--config"]).arg(&config),
            );
        }
        assert!(judged >= 4, "{name}: only {judged} documents");
    }
}

/// Deprecated versions and fields, and settings that kubeadm passes over, are warned of and no more.
fn without_a_warning(command: &mut Command) -> String {
    let out = command.output().expect("a program");
    let said = text(&out.stderr);
    // As klog writes them: W, month and day.
    let is_warning =
        |l: &str| l.strip_prefix('W').is_some_and(|l| l.starts_with(|c: char| c.is_ascii_digit()));
    assert!(
        out.status.success() && !said.lines().any(is_warning),
        "{command:?}: {}{said}",
        text(&out.stdout)
    );
    text(&out.stdout)
}

#[test]
fn the_judge_refuses_what_is_wrong() {
    if !can("kubeadm's verdict on a bad document", &[Need::Oracle]) {
        return;
    }
    let b = built("inventory");
    let dir = scratch();
    let folder = unpack_to(&b.out().join("bundles/k8smaster1.isociel.com.tar.gz"), dir.path());
    let good = fs::read_to_string(folder.join("root/etc/kubernetes/kubeadm.yaml")).expect("read");
    for (from, to) in
        [("mode: nftables", "mode: nftable"), ("podSubnet:", "podSubnets:"), ("caFile: /", "caFile: ./")]
    {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{from} is not in the document");
        let path = dir.path().join("bad.yaml");
        fs::write(&path, bad).expect("write");
        let out =
            Command::new(oracle().expect("probed").join("kubeadm-judge")).arg(&path).output().expect("judge");
        assert_eq!(out.status.code(), Some(1), "{to}: {}", text(&out.stdout));
    }
}

/// kubeadm finds the bundle's files under the real paths, by its own --rootfs (a chroot).
#[test]
fn kubeadm_finds_certificates_and_kubeconfigs_complete() {
    if !can("kubeadm init phase certs and kubeconfig", &[Need::Oracle, Need::Namespaces]) {
        return;
    }
    // tests/pki_kubeadm.rs has the mode in which kubeadm signs.
    for name in INVENTORIES.into_iter().filter(|name| *name != "pki-kubeadm") {
        let b = built(name);
        let dir = scratch();
        let init = documents_of_init(&b, dir.path());
        let root = init.ancestors().nth(3).expect("root/").to_owned();
        let certs = phase(&root, "certs");
        for kept in ["ca", "apiserver", "apiserver-kubelet-client", "front-proxy-ca", "front-proxy-client"] {
            let reused = certs.contains(&format!("Using existing {kept} "))
                || certs.contains(&format!("Using existing {kept} certificate authority"))
                || certs.contains(&format!("Using existing {kept} keyless certificate authority"));
            assert!(reused, "{name}: kubeadm did not take {kept}:\n{certs}");
        }
        let sa = ["Using the existing \"sa\" key", "Using existing sa keys"];
        assert!(sa.iter().any(|said| certs.contains(said)), "{name}:\n{certs}");
        assert!(!certs.contains("Generating"), "{name}:\n{certs}");
        let configs = phase(&root, "kubeconfig");
        for kept in ["admin.conf", "super-admin.conf", "controller-manager.conf", "scheduler.conf"] {
            let reused = configs
                .contains(&format!("Using existing kubeconfig file: \"/etc/kubernetes/{kept}\""))
                || configs.contains(&format!("External CA mode: Using user provided {kept}"));
            assert!(reused, "{name}: kubeadm did not take {kept}:\n{configs}");
        }
        // The only one that kubeadm makes here is the init node's own kubelet's, if it has a CA to sign with.
        let written: Vec<&str> = configs.lines().filter(|l| l.contains("Writing")).collect();
        assert!(written.iter().all(|l| l.contains("kubelet.conf")), "{name}:\n{configs}");
        assert_eq!(written.is_empty(), name == "external-ca", "{name}:\n{configs}");
    }
}

fn phase(root: &Path, what: &str) -> String {
    let out = Command::new(oracle().expect("probed").join("kubeadm"))
        .arg("--rootfs")
        .arg(root)
        .args(["init", "phase", what, "all", "--config", "/etc/kubernetes/kubeadm.yaml"])
        .output()
        .expect("kubeadm");
    let said = text(&out.stdout) + &text(&out.stderr);
    assert!(out.status.success(), "{said}");
    said
}

#[test]
fn images_are_kubeadms() {
    if !can("kubeadm config images list", &[Need::Oracle]) {
        return;
    }
    let mut compared = 0;
    for name in INVENTORIES {
        let b = built(name);
        let dir = scratch();
        let init = documents_of_init(&b, dir.path());
        // The versions of CoreDNS and pause are those that a kubeadm was built with; tests/matrix asks each minor's own.
        if !fs::read_to_string(&init).expect("read").contains("kubernetesVersion: v1.36.") {
            continue;
        }
        compared += 1;
        let theirs = run(Command::new(oracle().expect("probed").join("kubeadm"))
            .args(["config", "images", "list", "--config"])
            .arg(&init));
        let ours = run(khagen().arg("images").arg(b.inventory()));
        assert_eq!(theirs, ours, "{name}");
        let cluster: serde_json::Value =
            serde_json::from_slice(&fs::read(b.out().join("review/cluster.json")).expect("read"))
                .expect("json");
        let page: Vec<&str> =
            cluster["images"].as_array().expect("a list").iter().filter_map(|v| v.as_str()).collect();
        assert_eq!(theirs.lines().collect::<Vec<_>>(), page, "{name}");
    }
    assert!(compared >= 4, "only {compared} inventories");
}

/// kubeadm.yaml of the host that runs `kubeadm init`.
fn documents_of_init(b: &Built, dir: &Path) -> PathBuf {
    b.hosts()
        .into_iter()
        .map(|h| {
            unpack_to(&b.out().join(format!("bundles/{h}.tar.gz")), dir)
                .join("root/etc/kubernetes/kubeadm.yaml")
        })
        .find(|f| fs::read_to_string(f).is_ok_and(|t| t.contains("kind: InitConfiguration")))
        .expect("a host that runs init")
}
