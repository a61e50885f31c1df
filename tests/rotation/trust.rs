//! Each certificate of a stage under the trust files of that stage and of its neighbours, by openssl; and what kubeadm makes
//! of the files of each stage.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Place;
use super::support::{Need, can, oracle, run, scratch, text, tree, understood, unpack_to};
use khagen::plan::paths;

const ROOTS: [&str; 5] = ["ca/etcd", "ca/etcd-peer", "ca/kubernetes", "ca/front-proxy", "service-account"];
const HOSTS: [&str; 4] = ["k8setcd1", "k8smaster1", "k8sworker1", "operator"];

/// Every root of the inventory through all stages at once: the folder of each stage's bundles.
fn stages(dir: &Path, name: &str, hosts: &[&str]) -> (Place, Vec<PathBuf>) {
    let place = Place::running(name);
    place.ends(&["build", "-q"], 0);
    let stages = (0..=3).map(|stage| {
        if stage > 0 {
            place.advance(&ROOTS);
        }
        place.unpacked(&dir.join(format!("stage{stage}")), hosts)
    });
    let stages = stages.collect();
    (place, stages)
}

/// PEM blocks of a kind, of a file or of a kubeconfig's field.
fn pem(path: &Path, field: Option<&str>) -> String {
    let said = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let Some(field) = field else { return said };
    let line = said.lines().find_map(|l| l.trim().strip_prefix(&format!("{field}: "))).expect("the field");
    let coded = scratch();
    let coded = coded.path().join("coded");
    fs::write(&coded, line.trim_matches('"')).expect("write");
    run(Command::new("openssl").args(["base64", "-d", "-A", "-in"]).arg(coded))
}

struct Sides {
    /// What shows a certificate, by the root that signed it.
    leaves: Vec<(&'static str, String, String)>,
    /// What trusts a root.
    trusts: Vec<(&'static str, String, String)>,
}

const CONF: [&str; 4] = ["admin", "super-admin", "controller-manager", "scheduler"];

fn sides(stage: &Path) -> Sides {
    let at = |host: &str, path: &str| stage.join(format!("{host}.isociel.com/root/etc/{path}"));
    let mut sides = Sides { leaves: Vec::new(), trusts: Vec::new() };
    let mut leaf = |root, path: PathBuf, field: Option<&str>| {
        sides.leaves.push((root, format!("{}", path.display()), pem(&path, field)));
    };
    for name in ["k8setcd1", "etcd-health-client"] {
        leaf("ca/etcd", at("k8setcd1", &format!("etcd/pki/{name}.crt")), None);
    }
    leaf("ca/etcd", at("k8smaster1", "kubernetes/pki/apiserver-etcd-client.crt"), None);
    leaf("ca/etcd", stage.join("operator/etcd/operator.crt"), None);
    leaf("ca/etcd-peer", at("k8setcd1", "etcd/pki/k8setcd1-peer.crt"), None);
    for name in ["apiserver", "apiserver-kubelet-client"] {
        leaf("ca/kubernetes", at("k8smaster1", &format!("kubernetes/pki/{name}.crt")), None);
    }
    let client = Some("client-certificate-data");
    for name in CONF {
        leaf("ca/kubernetes", at("k8smaster1", &format!("kubernetes/{name}.conf")), client);
    }
    leaf("ca/kubernetes", stage.join("operator/admin.conf"), client);
    leaf("ca/front-proxy", at("k8smaster1", "kubernetes/pki/front-proxy-client.crt"), None);
    let mut trust = |root, path: PathBuf, field: Option<&str>| {
        sides.trusts.push((root, format!("{}", path.display()), pem(&path, field)));
    };
    trust("ca/etcd", at("k8setcd1", "etcd/pki/etcd-ca.crt"), None);
    trust("ca/etcd", at("k8smaster1", "kubernetes/pki/etcd/etcd-ca.crt"), None);
    trust("ca/etcd", stage.join("operator/etcd/ca.crt"), None);
    trust("ca/etcd-peer", at("k8setcd1", "etcd/pki/etcd-peer-ca.crt"), None);
    trust("ca/kubernetes", at("k8smaster1", "kubernetes/pki/ca.crt"), None);
    let worker = at("k8sworker1", "kubernetes/pki/ca.crt");
    if worker.exists() {
        trust("ca/kubernetes", worker, None);
    }
    let ca = Some("certificate-authority-data");
    for name in CONF {
        trust("ca/kubernetes", at("k8smaster1", &format!("kubernetes/{name}.conf")), ca);
    }
    trust("ca/kubernetes", stage.join("operator/admin.conf"), ca);
    trust("ca/front-proxy", at("k8smaster1", "kubernetes/pki/front-proxy-ca.crt"), None);
    sides
}

fn blocks(pem: &str) -> Vec<String> {
    pem.split("-----BEGIN ").skip(1).map(|block| format!("-----BEGIN {block}")).collect()
}

#[test]
fn neighbouring_stages_trust_each_other_and_the_ends_do_not() {
    if !can("openssl on every stage", &[Need::Program("openssl")]) {
        return;
    }
    let dir = scratch();
    let (_, stages) = stages(dir.path(), "inventory", &HOSTS);
    let sides: Vec<Sides> = stages.iter().map(|stage| sides(stage)).collect();
    let (leaf_file, trust_file) = (dir.path().join("leaf"), dir.path().join("trust"));
    // Many places hold the same text: each pair is judged once.
    let mut judged: BTreeMap<(String, String), bool> = BTreeMap::new();
    let mut verifies = |leaf: &str, trust: &str| {
        *judged.entry((leaf.to_owned(), trust.to_owned())).or_insert_with(|| {
            fs::write(&leaf_file, leaf).expect("write");
            fs::write(&trust_file, trust).expect("write");
            let out =
                Command::new("openssl").args(["verify", "-CAfile"]).arg(&trust_file).arg(&leaf_file).output();
            out.expect("openssl").status.success()
        })
    };
    let mut pairs = 0;
    for (n, of) in sides.iter().enumerate() {
        for (m, by) in sides.iter().enumerate() {
            for (root, leaf_at, leaf) in &of.leaves {
                for (_, trust_at, trust) in by.trusts.iter().filter(|(r, _, _)| r == root) {
                    let good = verifies(leaf, trust);
                    // 0 and 1 show what the former root signed; 1 and 2 trust both.
                    let expected = match m {
                        0 => n < 2,
                        3 => n >= 2,
                        _ => true,
                    };
                    assert!(n.abs_diff(m) > 1 || expected);
                    assert_eq!(good, expected, "{leaf_at} under {trust_at}");
                    pairs += 1;
                }
            }
        }
    }
    let counts: Vec<usize> =
        sides.iter().map(|s| s.trusts.iter().map(|(_, _, t)| blocks(t).len()).sum()).collect();
    let places: Vec<usize> = sides.iter().map(|s| s.trusts.len()).collect();
    assert_eq!(counts, [places[0], 2 * places[1], 2 * places[2], places[3]]);
    // The worker's kubelet trusts what its own file says, from the first stage on.
    assert_eq!(places, [places[0], places[0] + 1, places[0] + 1, places[0] + 1]);
    eprintln!("{pairs} pairs of a certificate and a trust file, {} of them different", judged.len());

    // Tokens: what signs in a stage is accepted in its neighbours.
    let pki = |stage: usize, name: &str| {
        stages[stage].join(format!("k8smaster1.isociel.com/root/etc/kubernetes/pki/{name}"))
    };
    fs::write(dir.path().join("token"), "a token").expect("write");
    for n in 0..=3 {
        let signature = dir.path().join("signature");
        run(Command::new("openssl")
            .args(["dgst", "-sha256", "-sign"])
            .arg(pki(n, "sa.key"))
            .arg("-out")
            .arg(&signature)
            .arg(dir.path().join("token")));
        for m in 0..=3 {
            let keys = blocks(&fs::read_to_string(pki(m, "sa.pub")).expect("sa.pub"));
            assert_eq!(keys.len(), if matches!(m, 1 | 2) { 2 } else { 1 });
            let accepted = keys.iter().any(|key| {
                let file = dir.path().join("key");
                fs::write(&file, key).expect("write");
                let mut verify = Command::new("openssl");
                verify.args(["dgst", "-sha256", "-verify"]).arg(file).arg("-signature").arg(&signature);
                verify.arg(dir.path().join("token")).output().expect("openssl").status.success()
            });
            assert_eq!(
                accepted,
                match m {
                    0 => n < 2,
                    3 => n >= 2,
                    _ => true,
                },
                "key of {n} in {m}"
            );
        }
    }
}

/// No file of the user's can be in the way of a rotation: a check knows every path that one writes.
#[test]
fn a_check_knows_the_paths_of_every_stage() {
    for inventory in ["inventory", "external-ca"] {
        let dir = scratch();
        let hosts = ["k8setcd1", "k8svrrp1", "k8smaster1", "k8sworker1"];
        let (place, stages) = stages(dir.path(), inventory, &hosts);
        let cluster = &understood(&place.inventory()).clusters[0];
        let mut only_rotating: BTreeMap<String, bool> = BTreeMap::new();
        for name in hosts {
            let host = cluster.hosts.iter().find(|h| h.name == name).expect("the host");
            let always = paths::of_host(cluster, host);
            let rotating = paths::while_rotating(host);
            only_rotating.extend(rotating.iter().filter(|p| !always.contains(p)).map(|p| (p.clone(), false)));
            for stage in &stages {
                let bundle = tree(&stage.join(format!("{name}.isociel.com/root")));
                for path in bundle.keys().map(|path| format!("/{path}")) {
                    assert!(
                        always.contains(&path) || rotating.contains(&path),
                        "{inventory}: {name}: {path}"
                    );
                    only_rotating.entry(path).and_modify(|seen| *seen = true);
                }
            }
        }
        let unused: Vec<&String> =
            only_rotating.iter().filter(|(_, seen)| !**seen).map(|(path, _)| path).collect();
        // Nothing is signed on a host whose cluster has an external CA.
        let expected: &[&str] =
            if inventory == "external-ca" { &["/etc/kubernetes/pki/ca-signing.crt"] } else { &[] };
        assert_eq!(unused, expected, "{inventory}: nobody writes them");
    }
}

/// kubeadm finds the files of each stage complete, and its static pods start anew where what they read at start changed.
#[test]
fn kubeadm_takes_the_files_of_every_stage() {
    if !can("kubeadm on every stage", &[Need::Oracle, Need::Namespaces, Need::Program("openssl")]) {
        return;
    }
    for inventory in ["inventory", "external-ca"] {
        let dir = scratch();
        let hosts = ["k8smaster1", "k8smaster2", "k8sworker1"];
        let (place, stages) = stages(dir.path(), inventory, &hosts);
        for (stage, folder) in stages.iter().enumerate() {
            for host in &hosts[..2] {
                control_plane(folder, host, stage, inventory == "external-ca");
            }
            joins(folder, stage, inventory == "external-ca");
        }
        // A cluster that is new takes a root in the middle of its rotation, too.
        place.advance(&ROOTS);
        for entry in fs::read_dir(place.inventory()).expect("read") {
            let path = entry.expect("entry").path();
            if path.is_file() {
                let said = fs::read_to_string(&path).expect("read");
                fs::write(&path, said.replace("state: running", "state: new")).expect("write");
            }
        }
        place.ends(&["build", "-q"], 0);
        let root = unpack_to(&place.at("out/bundles/k8smaster1.isociel.com.tar.gz"), &dir.path().join("new"))
            .join("root");
        phases(&root, "/etc/kubernetes/kubeadm.yaml", "new");
    }
}

fn kubeadm(root: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(oracle().expect("probed").join("kubeadm"));
    let out = command.arg("--rootfs").arg(root).args(arguments).output().expect("kubeadm");
    let said = text(&out.stdout) + &text(&out.stderr);
    assert!(out.status.success(), "{}: {arguments:?}: {said}", root.display());
    said
}

fn phases(root: &Path, config: &str, what: &str) {
    for phase in ["certs", "kubeconfig"] {
        let said = kubeadm(root, &["init", "phase", phase, "all", "--config", config]);
        let made = said.lines().filter(|l| l.contains("Generating") || l.contains("Writing"));
        // The kubelet's own is made by kubeadm where it has the CA's key; super-admin.conf is the first control plane's.
        let own = |l: &&str| l.contains("\"kubelet.conf\"") || l.contains("\"super-admin.conf\"");
        let made: Vec<&str> = made.filter(|l| !own(l)).collect();
        assert!(made.is_empty(), "{what}: {said}");
        assert!(said.contains("sing existing") || said.contains("user provided"), "{what}: {said}");
    }
}

fn control_plane(folder: &Path, host: &str, stage: usize, external: bool) {
    let root = folder.join(format!("{host}.isociel.com/root"));
    let kubernetes = root.join("etc/kubernetes");
    let read = |name: &str| {
        fs::read_to_string(kubernetes.join(name)).unwrap_or_else(|e| panic!("{host} {name}: {e}"))
    };
    // As reconfigure.sh joins them.
    fs::write(
        kubernetes.join("both.yaml"),
        read("kubeadm-node.yaml") + "---\n" + &read("kubeadm-cluster.yaml"),
    )
    .expect("write");
    phases(&root, "/etc/kubernetes/both.yaml", &format!("{host}, stage {stage}"));
    kubeadm(&root, &["init", "phase", "control-plane", "all", "--config", "/etc/kubernetes/both.yaml"]);
    let manifest = read("manifests/kube-controller-manager.yaml");
    let signs = "--cluster-signing-cert-file=/etc/kubernetes/pki/ca-signing.crt";
    assert_eq!(manifest.contains(signs), stage > 0 && !external, "stage {stage}: {manifest}");
    let between = matches!(stage, 1 | 2);
    for (pod, name) in [
        ("kube-apiserver", "khagen/etcd-ca: "),
        ("kube-apiserver", "khagen/service-account: "),
        ("kube-controller-manager", "khagen/service-account: "),
        ("kube-controller-manager", "khagen/kubernetes-ca: "),
    ] {
        let manifest = read(&format!("manifests/{pod}.yaml"));
        assert_eq!(manifest.contains(name), between, "stage {stage}: {manifest}");
    }
    if stage > 0 && !external {
        // One certificate, and the key's: what the controller manager asks of it.
        let signing = kubernetes.join("pki/ca-signing.crt");
        assert_eq!(blocks(&pem(&signing, None)).len(), 1);
        let of = run(Command::new("openssl").args(["x509", "-noout", "-pubkey", "-in"]).arg(&signing));
        let key =
            run(Command::new("openssl").args(["pkey", "-pubout", "-in"]).arg(kubernetes.join("pki/ca.key")));
        assert_eq!(of, key);
    }
}

fn joins(folder: &Path, stage: usize, external: bool) {
    let kubernetes = folder.join("k8sworker1.isociel.com/root/etc/kubernetes");
    let config = kubernetes.join("kubeadm.yaml");
    let said = fs::read_to_string(&config).expect("kubeadm.yaml");
    if !external {
        let hashes = said.matches("sha256:").count();
        assert_eq!(hashes, if matches!(stage, 1 | 2) { 2 } else { 1 }, "{said}");
        run(Command::new(oracle().expect("probed").join("kubeadm"))
            .args(["config", "validate", "--config"])
            .arg(&config));
    }
    let laid = kubernetes.join("pki/ca.crt").exists();
    assert_eq!(laid, stage > 0 || external);
    assert_eq!(said.contains("FileAvailable--etc-kubernetes-pki-ca.crt"), laid, "{said}");
}
