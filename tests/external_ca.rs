//! `kubernetes.pki: external-ca`: no bundle holds a CA's key or a bootstrap token, every node has its credentials, and
//! kubeadm finds nothing to sign.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::{Command, Stdio};

use support::{Need, built, can, khagen, oracle, run, scratch, text, unpack_to};

fn openssl(arguments: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl");
    std::io::Write::write_all(child.stdin.as_mut().expect("stdin"), input).expect("write");
    let out = child.wait_with_output().expect("openssl");
    out.status.success().then_some(out.stdout)
}

/// Every private key in a file: PEM, or base64 of PEM as kubeconfigs have it.
fn keys(bytes: &[u8]) -> Vec<Vec<u8>> {
    let said = text(bytes);
    let mut found: Vec<Vec<u8>> = Vec::new();
    let mut rest = said.as_str();
    while let Some(at) = rest.find("-----BEGIN ") {
        rest = &rest[at..];
        let end = rest.find("-----END ").map_or(rest.len(), |e| rest.len().min(e + 40));
        if rest[..end].lines().next().is_some_and(|l| l.contains("PRIVATE KEY")) {
            found.push(rest.as_bytes().to_vec());
        }
        rest = &rest[end..];
    }
    for line in said.lines() {
        if let Some((_, data)) = line.split_once("client-key-data:") {
            let data = data.trim().trim_matches('"');
            found.push(openssl(&["base64", "-d", "-A"], data.as_bytes()).expect("base64"));
        }
    }
    found
}

#[test]
fn no_bundle_holds_a_cas_key_or_a_token() {
    let built = built("external-ca");
    let store = built.inventory().join("secrets/objects");
    let mut cas: BTreeMap<String, String> = BTreeMap::new();
    for ca in ["kubernetes", "front-proxy", "etcd", "etcd-peer"] {
        let cert = store.join("ca").join(ca).join("cert.pem");
        cas.insert(
            run(Command::new("openssl").args(["x509", "-noout", "-pubkey", "-in"]).arg(cert)),
            ca.to_owned(),
        );
    }
    assert_eq!(cas.len(), 4);
    assert!(!store.join("bootstrap-token").exists());
    let mut judged = 0;
    let mut kubelets = BTreeSet::new();
    for name in built.hosts() {
        for (path, entry) in built.bundle(&name) {
            for key in keys(&entry.bytes) {
                let public = openssl(&["pkey", "-pubout"], &key).unwrap_or_else(|| panic!("{name}: {path}"));
                let public = text(&public);
                assert_eq!(cas.get(&public), None, "{name}: {path} holds the key of a CA");
                if path.ends_with("/kubelet.conf") {
                    kubelets.insert(public);
                }
                judged += 1;
            }
            if !entry.bytes.starts_with(b"#!") {
                let said = text(&entry.bytes);
                let is_token = |w: &str| {
                    let parts: Vec<&str> = w.trim_matches('"').split('.').collect();
                    let of = |p: &str, n| {
                        p.len() == n && p.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
                    };
                    matches!(parts[..], [id, rest] if of(id, 6) && of(rest, 16))
                };
                assert!(!said.split_whitespace().any(is_token), "{name}: {path} holds a bootstrap token");
                assert!(
                    !said.contains("bootstrapTokens") && !said.contains("bootstrapToken:"),
                    "{name}: {path}"
                );
            }
        }
    }
    // Each of the six nodes has a key of its own.
    assert_eq!(kubelets.len(), 6);
    assert!(judged > 40, "{judged}");
    // The judge finds a CA's key where there is one.
    let other = support::built("inventory");
    let entry = &other.bundle("k8smaster1.isociel.com")["root/etc/kubernetes/pki/ca.key"];
    assert_eq!(keys(&entry.bytes).len(), 1);
}

#[test]
fn what_it_costs_is_said() {
    let built = built("external-ca");
    let out = built.build();
    assert!(text(&out.stdout).contains("nobody in the cluster can sign"), "{}", text(&out.stdout));
    let out = khagen().args(["pki", "list"]).arg(built.inventory()).output().expect("khagen");
    let said = text(&out.stdout);
    assert!(said.contains("nobody in the cluster can sign"), "{said}");
    assert!(said.contains("kubelet/k8sworker1.isociel.com") && !said.contains(" kubelet-client/"), "{said}");
}

#[test]
fn a_running_cluster_does_not_change_its_mode() {
    let built = built("inventory");
    let file = built.inventory().join("cluster.yaml");
    let text_of = fs::read_to_string(&file).expect("read").replace("state: new", "state: running");
    fs::write(&file, &text_of).expect("write");
    built.build();
    fs::write(&file, text_of.replacen("kubernetes:\n", "kubernetes:\n  pki: external-ca\n", 1))
        .expect("write");
    let out =
        khagen().arg("build").arg(built.inventory()).arg("-o").arg(built.out()).output().expect("khagen");
    assert_eq!(out.status.code(), Some(3));
    assert!(
        text(&out.stderr).contains("kubernetes.pki: was pregenerated, now external-ca"),
        "{}",
        text(&out.stderr)
    );
}

/// kubeadm takes what a control plane that joins holds for a cluster without a CA's key, and signs nothing.
#[test]
fn kubeadm_makes_the_static_pods_of_a_control_plane_that_joins() {
    if !can("kubeadm's phases of a node with issued credentials", &[Need::Oracle, Need::Namespaces]) {
        return;
    }
    let built = built("external-ca");
    let dir = scratch();
    for (host, init) in [("k8smaster1.isociel.com", true), ("k8smaster2.isociel.com", false)] {
        let root = unpack_to(&built.out().join(format!("bundles/{host}.tar.gz")), dir.path()).join("root");
        let (node, shared) =
            (root.join("etc/kubernetes/kubeadm-node.yaml"), root.join("etc/kubernetes/kubeadm-cluster.yaml"));
        // As reconfigure.sh joins them.
        let both =
            fs::read_to_string(&node).expect("read") + "---\n" + &fs::read_to_string(&shared).expect("read");
        fs::write(root.join("etc/kubernetes/both.yaml"), both).expect("write");
        let kubeadm = |arguments: &[&str]| {
            let out = Command::new(oracle().expect("probed").join("kubeadm"))
                .arg("--rootfs")
                .arg(&root)
                .args(arguments)
                .output()
                .expect("kubeadm");
            let said = text(&out.stdout) + &text(&out.stderr);
            assert!(out.status.success(), "{host}: {arguments:?}: {said}");
            said
        };
        let config = if init { "/etc/kubernetes/kubeadm.yaml" } else { "/etc/kubernetes/both.yaml" };
        for phase in ["certs", "kubeconfig"] {
            let said = kubeadm(&["init", "phase", phase, "all", "--config", config]);
            assert!(!said.contains("Generating") && !said.contains("Writing"), "{host}: {said}");
        }
        kubeadm(&["init", "phase", "control-plane", "all", "--config", config]);
        let manifest = root.join("etc/kubernetes/manifests/kube-controller-manager.yaml");
        let manifest = fs::read_to_string(manifest).expect("read");
        assert!(!manifest.contains("--cluster-signing-key-file=/"), "{manifest}");
        // kubeadm forces rotation on; the patch that it applies afterwards takes it off.
        let patch = fs::read_to_string(root.join("etc/kubernetes/patches/kubeletconfiguration+merge.yaml"));
        assert_eq!(patch.expect("the patch"), "rotateCertificates: false\n", "{host}");
        let document = fs::read_to_string(root.join("etc/kubernetes/kubeadm.yaml")).expect("read");
        assert!(document.contains("directory: /etc/kubernetes/patches"), "{host}");
        assert_eq!(document.contains("kubeConfigPath: /etc/kubernetes/kubelet.conf"), !init, "{host}");
    }
}
