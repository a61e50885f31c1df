//! reconfigure.sh of real bundles: what only a procedure changes on a running cluster, with the real kubeadm.

mod support;

use std::fs;
use std::process::Command;

use support::{Built, Need, built, can, root, text, unpack_to};

fn edit(b: &Built, file: &str, changes: &[(&str, &str)]) {
    let path = b.inventory().join(file);
    let mut text = fs::read_to_string(&path).expect("read");
    for (from, to) in changes {
        assert!(text.contains(from), "{file} has no {from}");
        text = text.replace(from, to);
    }
    fs::write(&path, text).expect("write");
}

/// Every control plane, whether it ran init or joined, has what kubeadm's phases need, and kubeadm takes it.
#[test]
fn kubeadm_takes_the_documents_of_every_control_plane() {
    if !can("kubeadm on the documents of its phases", &[Need::Oracle]) {
        return;
    }
    let kubeadm = support::oracle().expect("the oracle").join("kubeadm");
    let mut seen = 0;
    for name in ["inventory", "compact", "dual-stack", "cilium", "retired"] {
        let b = built(name);
        for host in b.hosts() {
            let bundle = b.bundle(&host);
            let part = |name: &str| bundle.get(&format!("root/etc/kubernetes/kubeadm-{name}.yaml"));
            let (Some(node), Some(cluster)) = (part("node"), part("cluster")) else {
                assert!(part("node").is_none() && part("cluster").is_none(), "{name}: {host}");
                assert!(!bundle.contains_key("root/etc/kubernetes/pki/apiserver.crt"), "{name}: {host}");
                continue;
            };
            assert_eq!((node.mode, cluster.mode), (0o600, 0o600));
            let whole = format!("{}---\n{}", text(&node.bytes), text(&cluster.bytes));
            assert!(!whole.contains("token"), "{name}: {host}: a secret\n{whole}");
            let path = b.dir.path().join("kubeadm.yaml");
            fs::write(&path, &whole).expect("write");
            let out = Command::new(&kubeadm).args(["config", "validate", "--config"]).arg(&path).output();
            let out = out.expect("kubeadm");
            assert!(out.status.success(), "{name}: {host}: {}\n{whole}", text(&out.stderr));
            assert!(!text(&out.stderr).contains("unknown"), "{name}: {host}: {}", text(&out.stderr));
            seen += 1;
        }
    }
    assert!(seen >= 12, "{seen}");
}

#[test]
fn procedures_change_a_running_control_plane() {
    let needs = [Need::Namespaces, Need::Oracle, Need::Program("jq"), Need::Program("openssl")];
    if !can("the run of reconfigure.sh", &needs) {
        return;
    }
    let b = built("inventory");
    let host = "k8smaster1.isociel.com";
    let tarball = b.out().join(format!("bundles/{host}.tar.gz"));
    let old = unpack_to(&tarball, &b.dir.path().join("old"));
    edit(
        &b,
        "cluster.yaml",
        &[
            (
                "kubernetes:\n",
                "kubernetes:\n  imageRepository: registry.example.com/k8s\n  kubelet: {maxPods: 200}\n  apiServer:\n    \
                 certSANs: [api.example.com]\n    extraArgs: {audit-log-maxage: \"31\"}\n",
            ),
            ("mode: nftables ", "config: {bindAddressHardFail: true}\n    mode: nftables "),
        ],
    );
    b.build();
    let new = unpack_to(&tarball, &b.dir.path().join("new"));
    let kubeadm = support::oracle().expect("the oracle").join("kubeadm");
    let script = root().join("tests/scripts/reconfigure.sh");
    let out = Command::new("bash").arg(script).args([old, new, kubeadm]).output().expect("bash");
    assert!(out.status.success(), "{}{}", text(&out.stdout), text(&out.stderr));
}
