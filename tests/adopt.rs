//! Clusters that others made: by the tutorial's commands, and by the real kubeadm. The first build trusts what they trust.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use support::corporate::{self, ROOT, openssl};
use support::{Built, Need, can, copy_inventory, khagen, oracle, root, run, scratch, text, tree};

/// The example's inventory as it describes a cluster that runs.
fn running(algorithm: &str) -> Built {
    let built = Built { dir: scratch() };
    copy_inventory(&root().join("inventory"), &built.inventory());
    edit(&built, |text| {
        text.replace("state: new", "state: running")
            .replace("etcd:\n", "etcd:\n  peerCA: same\n")
            .replace("pki:\n", &format!("pki:\n  algorithm: {algorithm}\n"))
    });
    built
}

fn edit(built: &Built, change: impl Fn(String) -> String) {
    let file = built.inventory().join("cluster.yaml");
    let before = fs::read_to_string(&file).expect("read");
    let after = change(before.clone());
    assert_ne!(before, after, "the edit changed nothing");
    fs::write(&file, after).expect("write");
}

fn adopt(built: &Built, more: &[&str]) -> Output {
    khagen()
        .current_dir(built.dir.path())
        .args(["pki", "adopt", "collected"])
        .args(more)
        .output()
        .expect("khagen")
}

fn done(out: &Output) -> String {
    assert!(out.status.success(), "{}{}", text(&out.stdout), text(&out.stderr));
    text(&out.stdout)
}

/// etcd's PKI as the tutorial makes it on the bastion: a CA on P-521, a certificate per member for clients and peers alike, and
/// one more for the control plane.
fn etcd_of_the_tutorial(dir: &Path) {
    fs::create_dir_all(dir).expect("create");
    corporate::key(dir, "etcd-ca", "EC:P-521");
    corporate::certificate(dir, "etcd-ca", "/C=CA/O=RedElectricity/CN=etcd-ca", None, ROOT);
    for (name, address) in [
        ("k8setcd1", "192.168.13.35"),
        ("k8setcd2", "192.168.13.36"),
        ("k8setcd3", "192.168.13.37"),
        ("k8smaster1", "192.168.13.61"),
    ] {
        corporate::key(dir, name, "EC:P-256");
        let extensions = format!(
            "basicConstraints = CA:FALSE\nkeyUsage = digitalSignature, keyEncipherment\n\
             extendedKeyUsage = clientAuth, serverAuth\n\
             subjectAltName = DNS:{name}, DNS:{name}.isociel.com, IP:{address}, DNS:localhost, IP:127.0.0.1\n"
        );
        corporate::certificate(
            dir,
            name,
            &format!("/C=CA/O=RedElectricity/CN={name}.isociel.com"),
            Some("etcd-ca"),
            &extensions,
        );
    }
    for rest in ["openssl.cnf", "extensions", "etcd-ca.srl"] {
        fs::remove_file(dir.join(rest)).unwrap_or_default();
    }
}

/// What kubeadm makes on a control plane, in a folder of the host's name.
fn kubeadm(built: &Built, host: &str, more: &str) -> PathBuf {
    let rootfs = built.dir.path().join(format!("rootfs-{host}"));
    fs::create_dir_all(rootfs.join("etc/kubernetes")).expect("create");
    let address = if host == "k8smaster1" { "192.168.13.61" } else { "192.168.13.62" };
    let config = format!(
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nnodeRegistration: {{name: {host}.isociel.com}}\n\
         localAPIEndpoint: {{advertiseAddress: {address}, bindPort: 6443}}\n---\n\
         apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nclusterName: k8s-cluster1\nkubernetesVersion: v1.36.5\n\
         controlPlaneEndpoint: k8sapi.isociel.com:6443\n\
         networking: {{serviceSubnet: 198.18.0.0/16, podSubnet: 100.64.0.0/10, dnsDomain: cluster.local}}\n{more}"
    );
    fs::write(rootfs.join("etc/kubernetes/kubeadm.yaml"), config).expect("write");
    for what in ["certs", "kubeconfig"] {
        let kubeadm = oracle().expect("probed").join("kubeadm");
        run(Command::new(kubeadm).arg("--rootfs").arg(&rootfs).args([
            "init",
            "phase",
            what,
            "all",
            "--config",
            "/etc/kubernetes/kubeadm.yaml",
        ]));
    }
    let collected = built.dir.path().join("collected").join(host);
    fs::create_dir_all(&collected).expect("create");
    run(Command::new("cp").arg("-a").arg(rootfs.join("etc/kubernetes")).arg(&collected));
    collected.join("kubernetes")
}

const EXTERNAL: &str = "etcd: {external: {endpoints: ['https://192.168.13.35:2379'], caFile: /etc/kubernetes/pki/etcd/etcd-ca.crt, certFile: /etc/kubernetes/pki/apiserver-etcd-client.crt, keyFile: /etc/kubernetes/pki/apiserver-etcd-client.key}}\n";

/// A Kubernetes PKI by openssl alone, for machines without kubeadm.
fn kubernetes_by_hand(dir: &Path) {
    fs::create_dir_all(dir).expect("create");
    for (name, subject) in [("ca", "/CN=kubernetes"), ("front-proxy-ca", "/CN=front-proxy-ca")] {
        corporate::key(dir, name, "RSA:2048");
        corporate::certificate(dir, name, subject, None, ROOT);
    }
    openssl(dir, &["genrsa", "-traditional", "-out", "sa.key", "2048"]);
    openssl(dir, &["rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub"]);
}

/// Every host trusts what it trusted, and everything that is new was signed by it.
fn trust_is_the_same(built: &Built, pki: &Path, etcd: &Path) {
    let bundle = built.bundle("k8smaster1.isociel.com");
    let member = built.bundle("k8setcd1.isociel.com");
    let normal = |path: PathBuf| openssl(Path::new("/"), &["x509", "-in", path.to_str().expect("utf-8")]);
    for (file, ours) in [
        (pki.join("ca.crt"), &bundle["root/etc/kubernetes/pki/ca.crt"]),
        (pki.join("front-proxy-ca.crt"), &bundle["root/etc/kubernetes/pki/front-proxy-ca.crt"]),
        (etcd.join("etcd-ca.crt"), &bundle["root/etc/kubernetes/pki/etcd/etcd-ca.crt"]),
        (etcd.join("etcd-ca.crt"), &member["root/etc/etcd/pki/etcd-ca.crt"]),
    ] {
        assert_eq!(text(&ours.bytes), normal(file.clone()), "{}", file.display());
    }
    assert_eq!(
        text(&bundle["root/etc/kubernetes/pki/sa.pub"].bytes),
        fs::read_to_string(pki.join("sa.pub")).expect("sa.pub")
    );
    let objects = built.inventory().join("secrets/objects");
    let mut judged = 0;
    for (path, bytes) in tree(&objects) {
        let Some(folder) = path.strip_suffix("/object.toml") else { continue };
        let record = text(&bytes);
        let Some(ca) = record.lines().find_map(|l| l.strip_prefix("issuer = \"")) else { continue };
        let (ca, leaf) =
            (objects.join(ca.trim_end_matches('"')).join("cert.pem"), objects.join(folder).join("cert.pem"));
        openssl(
            Path::new("/"),
            &["verify", "-CAfile", ca.to_str().expect("utf-8"), leaf.to_str().expect("utf-8")],
        );
        judged += 1;
    }
    assert!(judged > 30, "{judged}");
    // etcd's members are there already, and no control plane is initialised.
    let said: Vec<String> = member.values().map(|e| text(&e.bytes)).collect();
    assert!(said.iter().any(|t| t.contains("ETCD_INITIAL_CLUSTER_STATE=existing")), "a new etcd would begin");
}

#[test]
fn the_tutorials_etcd_and_a_pki_by_hand_are_taken_over() {
    let built = running("ECDSA-P256");
    let collected = built.dir.path().join("collected");
    let (pki, etcd) = (collected.join("k8smaster1/etc/kubernetes/pki"), collected.join("bastion"));
    kubernetes_by_hand(&pki);
    etcd_of_the_tutorial(&etcd);
    let before = tree(&built.inventory());
    let dry = adopt(&built, &["--dry-run"]);
    assert_eq!(dry.status.code(), Some(2), "{}", text(&dry.stderr));
    assert!(before == tree(&built.inventory()));
    let said = done(&adopt(&built, &[]));
    for line in [
        "  ca/etcd: C=CA, O=RedElectricity, CN=etcd-ca, valid until ",
        "  service-account\n",
        "  etcd-server/k8setcd1.isociel.com: bastion/k8setcd1.crt has the subject \"C=CA, O=RedElectricity, CN=k8setcd1.isociel.com\"",
        "lacks the names ::1",
        "none was found with the subject CN=etcd-operator",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    built.build();
    trust_is_the_same(&built, &pki, &etcd);
    // Once more changes nothing.
    let store = tree(&built.inventory());
    done(&adopt(&built, &[]));
    let again: Vec<String> = tree(&built.inventory())
        .into_iter()
        .filter(|(path, bytes)| store.get(path) != Some(bytes))
        .map(|(path, _)| path)
        .collect();
    assert_eq!(again, Vec::<String>::new());
}

#[test]
fn a_pki_that_kubeadm_made_is_taken_over() {
    if !can("a PKI that kubeadm made", &[Need::Oracle, Need::Namespaces]) {
        return;
    }
    let built = running("RSA-2048");
    let etcd = built.dir.path().join("collected/bastion");
    etcd_of_the_tutorial(&etcd);
    let sans = "apiServer: {certSANs: [k8smaster1, k8svrrp1.isociel.com, k8svrrp2.isociel.com, 192.168.13.70, 192.168.13.71, 192.168.13.72]}\n";
    let kubernetes = kubeadm(&built, "k8smaster1", &format!("{EXTERNAL}{sans}"));
    let said = done(&adopt(&built, &[]));
    for adopted in [
        "apiserver/k8smaster1.isociel.com",
        "front-proxy-client/k8smaster1.isociel.com",
        "admin/k8smaster1.isociel.com",
        "controller-manager/k8smaster1.isociel.com",
        "scheduler/k8smaster1.isociel.com",
    ] {
        assert!(said.contains(&format!("  {adopted}: k8smaster1/kubernetes/")), "{adopted}: {said}");
    }
    built.build();
    trust_is_the_same(&built, &kubernetes.join("pki"), &etcd);
    let bundle = built.bundle("k8smaster1.isociel.com");
    assert_eq!(
        text(&bundle["root/etc/kubernetes/pki/apiserver.crt"].bytes),
        fs::read_to_string(kubernetes.join("pki/apiserver.crt")).expect("read"),
        "the API server's certificate changed"
    );
    // With another kind of key everything is issued anew, and the reason is said.
    let other = running("ECDSA-P256");
    run(Command::new("cp").arg("-a").arg(built.dir.path().join("collected")).arg(other.dir.path()));
    let said = done(&adopt(&other, &[]));
    assert!(
        said.contains(
            "k8smaster1/kubernetes/pki/apiserver.crt has a key RSA-2048, and pki.algorithm is ECDSA-P256"
        ),
        "{said}"
    );
}

#[test]
fn a_stacked_cluster_is_refused_by_name() {
    if !can("a stacked cluster's PKI by kubeadm", &[Need::Oracle, Need::Namespaces]) {
        return;
    }
    let built = running("RSA-2048");
    kubeadm(&built, "k8smaster1", "");
    let out = adopt(&built, &[]);
    assert_eq!(out.status.code(), Some(1));
    let said = text(&out.stderr);
    assert!(
        said.contains("error[KH0636]: k8smaster1/kubernetes/pki/etcd/")
            && said.contains("this is a stacked cluster"),
        "{said}"
    );
    assert!(!built.inventory().join("secrets").exists());
}

#[test]
fn an_inventory_that_says_otherwise_is_refused() {
    if !can("what a PKI tells about its cluster", &[Need::Oracle, Need::Namespaces]) {
        return;
    }
    let built = running("RSA-2048");
    etcd_of_the_tutorial(&built.dir.path().join("collected/bastion"));
    let kubernetes = kubeadm(&built, "k8smaster1", EXTERNAL);
    edit(&built, |text| {
        text.replace("state: running", "state: new")
            .replace("peerCA: same", "peerCA: separate")
            .replace("nodeName: fqdn", "nodeName: short")
            .replace("198.18.0.0/16", "10.96.0.0/12")
            .replace("dnsDomain: cluster.local", "dnsDomain: k8s.local")
    });
    let out = adopt(&built, &[]);
    assert_eq!(out.status.code(), Some(1), "{}", text(&out.stdout));
    let said = text(&out.stderr);
    for what in [
        "the inventory says cluster.state: new",
        "set `etcd.peerCA: same`",
        "is of node k8smaster1.isociel.com, which the inventory does not have",
        "does not have 10.96.0.1, which follows from kubernetes.networking.serviceSubnet",
        "does not have kubernetes.default.svc.k8s.local, which follows from kubernetes.networking.dnsDomain",
    ] {
        assert!(said.contains(what), "{what}: {said}");
    }
    // Gaps and contradictions.
    edit(&built, |text| {
        text.replace("nodeName: short", "nodeName: fqdn")
            .replace("10.96.0.0/12", "198.18.0.0/16")
            .replace("k8s.local", "cluster.local")
            .replace("state: new", "state: running")
            .replace("peerCA: separate", "peerCA: same")
    });
    fs::remove_file(kubernetes.join("pki/sa.key")).expect("remove");
    fs::remove_file(kubernetes.join("pki/ca.key")).expect("remove");
    let other = built.dir.path().join("collected/k8smaster2/pki");
    kubernetes_by_hand(&other);
    for file in ["ca.crt", "ca.key", "sa.key", "sa.pub"] {
        fs::remove_file(other.join(file)).expect("remove");
    }
    let out = adopt(&built, &[]);
    let said = text(&out.stderr);
    for what in [
        "error[KH0637]: the service-account key was not found",
        "are different CAs for ca/front-proxy",
        "error[KH0631]: ca/kubernetes without its key",
    ] {
        assert!(said.contains(what), "{what}: {said}");
    }
    assert!(!built.inventory().join("secrets").exists());
}
