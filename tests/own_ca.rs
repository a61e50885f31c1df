//! A company's CAs in place of khagen's own: imported with their keys, used, and accepted by openssl, kubeadm and etcd.

mod support;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use support::corporate::{self, LAST, ROOT, openssl};
use support::{Built, Need, can, copy_inventory, khagen, oracle, root, run, scratch, text, tree, unpack_to};

/// An inventory without a store, and a company's PKI beside it in `pki`.
fn fresh(name: &str) -> Built {
    let from =
        if name == "inventory" { root().join(name) } else { root().join("tests/inventories").join(name) };
    let built = Built { dir: scratch() };
    copy_inventory(&from, &built.inventory());
    corporate::company(&built.dir.path().join("pki"));
    built
}

fn import(built: &Built, ca: &str, cert: &str, more: &[&str]) -> Output {
    let pki = built.dir.path().join("pki");
    khagen()
        .current_dir(&pki)
        .args(["pki", "import", "--ca", ca, "--cert", cert])
        .args(more)
        .arg(built.inventory())
        .output()
        .expect("khagen")
}

fn done(out: &Output) -> String {
    assert!(out.status.success(), "{}{}", text(&out.stdout), text(&out.stderr));
    text(&out.stdout)
}

fn import_all(built: &Built) {
    let said = done(&import(
        built,
        "ca/kubernetes",
        "kubernetes.pem",
        &["--key", "kubernetes.enc.key", "--passphrase-file", "passphrase"],
    ));
    assert!(
        said.contains("ca/kubernetes: DC=com, DC=example, OU=PKI, OU=Kubernetes, CN=Example Issuing CA 7"),
        "{said}"
    );
    assert!(
        said.contains("the chain was checked up to DC=com, DC=example, O=Example AG, CN=Example Root CA"),
        "{said}"
    );
    done(&import(built, "front-proxy-ca", "front-proxy.pem", &["--key", "front-proxy.sec1.key"]));
    done(&import(built, "etcd", "etcd.pem", &["--key", "etcd.key"]));
    done(&import(built, "etcd-peer-ca", "etcd-peer.pem", &["--key", "etcd-peer.pkcs1.key"]));
}

/// Every certificate of the store that is no CA's, with its CA's name.
fn leafs(store: &Path) -> Vec<(PathBuf, String)> {
    let mut all = Vec::new();
    for (path, bytes) in tree(&store.join("objects")) {
        let Some(folder) = path.strip_suffix("/object.toml") else { continue };
        let issuer = text(&bytes)
            .lines()
            .find_map(|l| Some(l.strip_prefix("issuer = \"ca/")?.trim_end_matches('"').to_owned()));
        all.extend(issuer.map(|ca| (store.join("objects").join(folder).join("cert.pem"), ca)));
    }
    all
}

#[test]
fn a_companys_cas_are_imported_and_openssl_accepts_what_they_sign() {
    let built = fresh("inventory");
    import_all(&built);
    built.build();
    let (store, pki) = (built.inventory().join("secrets"), built.dir.path().join("pki"));
    let leafs = leafs(&store);
    assert!(leafs.len() > 30, "{leafs:?}");
    for (leaf, ca) in &leafs {
        let own = store.join(format!("objects/ca/{ca}/cert.pem"));
        let (leaf, own) = (leaf.to_str().expect("utf-8"), own.to_str().expect("utf-8"));
        // As hosts trust it: the CA itself. And as the company does: up to its root.
        openssl(&pki, &["verify", "-partial_chain", "-CAfile", own, leaf]);
        openssl(&pki, &["verify", "-CAfile", "root.crt", "-untrusted", own, leaf]);
        if ca != "etcd-peer" {
            openssl(&pki, &["verify", "-x509_strict", "-CAfile", "root.crt", "-untrusted", own, leaf]);
        }
        let name = |file: &str, what: &str| {
            openssl(&pki, &["x509", "-noout", what, "-nameopt", "dn_rev,RFC2253", "-in", file])
        };
        assert_eq!(
            name(leaf, "-issuer").trim_start_matches("issuer="),
            name(own, "-subject").trim_start_matches("subject="),
            "{leaf}"
        );
    }
    // The controller manager reads a CA's file that has one certificate, and trust ends at the company's CA.
    for path in ["ca.crt", "front-proxy-ca.crt", "etcd/etcd-ca.crt"] {
        let entry = &built.bundle("k8smaster1.isociel.com")[&format!("root/etc/kubernetes/pki/{path}")];
        assert_eq!(text(&entry.bytes).matches("BEGIN CERTIFICATE").count(), 1, "{path}");
    }
    // Nothing is issued again, and the same import again writes nothing.
    let before = tree(&built.inventory());
    let out = text(&built.build().stdout);
    assert!(!out.contains("issue:"), "{out}");
    let said = done(&import(&built, "ca/etcd", "etcd.pem", &["--key", "etcd.key"]));
    assert_eq!(said, "ca/etcd: is there already; nothing was written\n");
    assert!(before == tree(&built.inventory()));
}

#[test]
fn kubeadm_takes_a_companys_cas() {
    if !can("kubeadm with a company's CAs", &[Need::Oracle, Need::Namespaces]) {
        return;
    }
    let built = fresh("inventory");
    import_all(&built);
    built.build();
    for host in ["k8smaster1", "k8smaster2"] {
        let dir = scratch();
        let folder = unpack_to(&built.out().join(format!("bundles/{host}.isociel.com.tar.gz")), dir.path());
        let rootfs = folder.join("root");
        let config = if host == "k8smaster1" {
            "/etc/kubernetes/kubeadm.yaml".to_owned()
        } else {
            let of = |name: &str| fs::read_to_string(rootfs.join("etc/kubernetes").join(name)).expect("read");
            let both = of("kubeadm-node.yaml") + "---\n" + &of("kubeadm-cluster.yaml");
            fs::write(rootfs.join("etc/kubernetes/both.yaml"), both).expect("write");
            "/etc/kubernetes/both.yaml".to_owned()
        };
        let phase = |what: &str| {
            let out = Command::new(oracle().expect("probed").join("kubeadm"))
                .arg("--rootfs")
                .arg(&rootfs)
                .args(["init", "phase", what, "all", "--config", &config])
                .output()
                .expect("kubeadm");
            let said = text(&out.stdout) + &text(&out.stderr);
            assert!(out.status.success(), "{host}: {said}");
            said
        };
        let said = phase("certs");
        for kept in ["ca", "apiserver", "apiserver-kubelet-client", "front-proxy-ca", "front-proxy-client"] {
            assert!(said.contains(&format!("Using existing {kept} ")), "{host}: {kept}: {said}");
        }
        assert!(!said.contains("Generating"), "{host}: {said}");
        // kubeadm signs the kubelet's certificate with the company's CA and its key.
        let said = phase("kubeconfig");
        assert!(
            said.contains("Using existing kubeconfig file: \"/etc/kubernetes/admin.conf\""),
            "{host}: {said}"
        );
    }
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A member with its own certificates on loopback: clients and the member itself verify by what lies on the host.
#[test]
fn etcd_serves_with_a_companys_cas() {
    if !can("etcd with a company's CAs", &[Need::Oracle]) {
        return;
    }
    let built = fresh("inventory");
    import_all(&built);
    built.build();
    let dir = scratch();
    let folder = unpack_to(&built.out().join("bundles/k8setcd1.isociel.com.tar.gz"), dir.path());
    let pki = folder.join("root/etc/etcd/pki");
    let free = || TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let (client, peer) = (format!("https://127.0.0.1:{}", free()), format!("https://127.0.0.1:{}", free()));
    let file = |name: &str| pki.join(name).to_str().expect("utf-8").to_owned();
    let log = fs::File::create(dir.path().join("log")).expect("a log");
    let mut etcd = Command::new(oracle().expect("probed").join("etcd"));
    etcd.args(["--name", "one", "--data-dir"]).arg(dir.path().join("data"));
    for (name, value) in [
        ("listen-client-urls", client.as_str()),
        ("advertise-client-urls", &client),
        ("listen-peer-urls", &peer),
        ("initial-advertise-peer-urls", &peer),
        ("initial-cluster", &format!("one={peer}")),
        ("cert-file", &file("k8setcd1.crt")),
        ("key-file", &file("k8setcd1.key")),
        ("trusted-ca-file", &file("etcd-ca.crt")),
        ("client-cert-auth", "true"),
        ("peer-cert-file", &file("k8setcd1-peer.crt")),
        ("peer-key-file", &file("k8setcd1-peer.key")),
        ("peer-trusted-ca-file", &file("etcd-peer-ca.crt")),
        ("peer-client-cert-auth", "true"),
    ] {
        etcd.arg(format!("--{name}={value}"));
    }
    let _running = Running(etcd.stdout(Stdio::null()).stderr(log).spawn().expect("etcd"));
    let ctl = |name: &str| {
        Command::new(oracle().expect("probed").join("etcdctl"))
            .arg(format!("--endpoints={client}"))
            .arg(format!("--cacert={}", file("etcd-ca.crt")))
            .arg(format!("--cert={}", file(&format!("{name}.crt"))))
            .arg(format!("--key={}", file(&format!("{name}.key"))))
            .args(["--command-timeout=3s", "put", "a", "b"])
            .output()
            .expect("etcdctl")
    };
    let begin = Instant::now();
    loop {
        let out = ctl("etcd-health-client");
        if out.status.success() {
            break;
        }
        let log = fs::read_to_string(dir.path().join("log")).unwrap_or_default();
        assert!(begin.elapsed() < Duration::from_secs(30), "{}\n{log}", text(&out.stderr));
        std::thread::sleep(Duration::from_millis(200));
    }
    // The peers' CA is another one.
    assert!(!ctl("k8setcd1-peer").status.success(), "a peer's certificate got in as a client");
}

#[test]
fn an_encrypted_store_takes_a_ca_and_no_key_touches_the_disk() {
    if !can("an encrypted store", &[Need::Program("age-keygen")]) {
        return;
    }
    let built = fresh("inventory");
    let identity = built.dir.path().join("identity");
    run(Command::new("age-keygen").arg("-o").arg(&identity).stderr(Stdio::null()));
    let recipient = run(Command::new("age-keygen").arg("-y").arg(&identity));
    let file = built.inventory().join("cluster.yaml");
    let with = fs::read_to_string(&file).expect("read")
        + &format!("secrets:\n  recipients: [{}]\n", recipient.trim());
    fs::write(&file, with).expect("write");
    let more = ["--key", "etcd.key", "--identity", identity.to_str().expect("utf-8")];
    let said = done(&import(&built, "ca/etcd", "etcd.pem", &more));
    assert!(said.contains("encrypted to 1 recipient"), "{said}");
    let there = tree(&built.inventory().join("secrets"));
    assert!(there.contains_key("objects/ca/etcd/key.pem.age"), "{:?}", there.keys());
    assert!(there.values().all(|bytes| !text(bytes).contains("PRIVATE KEY")));
    let out = run(Command::new("age")
        .args(["-d", "-i"])
        .arg(&identity)
        .arg(built.inventory().join("secrets/objects/ca/etcd/key.pem.age")));
    assert!(out.starts_with("-----BEGIN PRIVATE KEY-----"), "age decrypts another thing");
    let out = khagen()
        .arg("build")
        .arg(built.inventory())
        .arg("-o")
        .arg(built.out())
        .arg("--identity")
        .arg(&identity)
        .output()
        .expect("khagen");
    done(&out);
}

#[test]
fn what_is_refused_changes_nothing() {
    let built = fresh("inventory");
    let pki = built.dir.path().join("pki");
    let refused = |out: Output, code: i32, what: &str| {
        assert_eq!(out.status.code(), Some(code), "{}{}", text(&out.stdout), text(&out.stderr));
        assert!(text(&out.stderr).contains(what), "{what}: {}", text(&out.stderr));
        assert!(!built.inventory().join("secrets").exists(), "{what}");
    };
    refused(import(&built, "ca/etcd", "etcd.pem", &["--key", "kubernetes.key"]), 1, "error[KH0621]");
    refused(
        import(
            &built,
            "ca/etcd",
            "etcd.pem",
            &["--key", "kubernetes.enc.key", "--passphrase-file", "root.crt"],
        ),
        1,
        "the passphrase is wrong",
    );
    refused(import(&built, "ca/kubernetes", "kubernetes.pem", &[]), 6, "error[KH0631]");
    refused(import(&built, "ca/etcd", "nowhere.pem", &[]), 1, "cannot read nowhere.pem");
    refused(import(&built, "ca/other", "etcd.pem", &[]), 64, "possible values");
    // Without a terminal nobody is asked.
    let out = Command::new("setsid")
        .arg("-w")
        .arg(env!("CARGO_BIN_EXE_khagen"))
        .current_dir(&pki)
        .args(["pki", "import", "--ca", "etcd", "--cert", "kubernetes.pem", "--key", "kubernetes.enc.key"])
        .arg(built.inventory())
        .stdin(Stdio::null())
        .output()
        .expect("khagen");
    refused(out, 1, "there is no terminal to ask for it");
    // Everything that is wrong is said at once.
    corporate::key(&pki, "bad", "RSA:1024");
    corporate::certificate(
        &pki,
        "bad",
        "/CN=bad",
        None,
        "basicConstraints = CA:FALSE\nkeyUsage = digitalSignature\n",
    );
    let out = import(&built, "ca/etcd", "bad.crt", &[]);
    for code in ["KH0622", "KH0623", "KH0625"] {
        assert!(text(&out.stderr).contains(code), "{code}: {}", text(&out.stderr));
    }
    refused(out, 1, "nothing was imported");
}

#[test]
fn another_ca_takes_the_place_of_one_only_while_nothing_runs() {
    let built = fresh("inventory");
    built.build();
    let out = import(&built, "ca/etcd", "etcd.pem", &["--key", "etcd.key"]);
    assert_eq!(out.status.code(), Some(6));
    assert!(
        text(&out.stderr)
            .contains("error[KH0628]: the store has another ca/etcd, which signed 10 certificates")
    );
    let dry = import(&built, "ca/etcd", "etcd.pem", &["--key", "etcd.key", "--replace", "--dry-run"]);
    assert_eq!(dry.status.code(), Some(2), "{}", text(&dry.stderr));
    let said = done(&import(&built, "ca/etcd", "etcd.pem", &["--key", "etcd.key", "--replace"]));
    assert!(said.contains("the 10 certificates that it signed are issued anew"), "{said}");
    let said = text(&built.build().stdout);
    assert!(said.contains("it was signed by another key of its CA ca/etcd"), "{said}");
    // Renewed by its owner with the same key and name: what it signed stays.
    let pki = built.dir.path().join("pki");
    corporate::certificate(&pki, "etcd", "/C=CH/O=Größe \u{2603} AG/CN=etcd", Some("root"), LAST);
    let said = done(&import(&built, "ca/etcd", "etcd.crt", &[]));
    assert!(said.contains("the same key with another certificate: what it signed stays"), "{said}");
    let leafs = leaf_bytes(&built);
    built.build();
    let after = leaf_bytes(&built);
    assert!(leafs == after);
    // khagen makes no new one in its place.
    let out = khagen()
        .args(["pki", "renew", "ca/etcd", "--inventory"])
        .arg(built.inventory())
        .output()
        .expect("khagen");
    assert_eq!(out.status.code(), Some(6));
    assert!(text(&out.stderr).contains("ca/etcd was imported"), "{}", text(&out.stderr));
    // In a running cluster the exchange is refused, whatever is asked for.
    let file = built.inventory().join("cluster.yaml");
    fs::write(&file, fs::read_to_string(&file).expect("read").replace("state: new", "state: running"))
        .expect("write");
    corporate::key(&pki, "other", "EC:P-256");
    corporate::certificate(&pki, "other", "/CN=other", None, ROOT);
    let out = import(&built, "ca/etcd", "other.crt", &["--key", "other.key", "--replace"]);
    assert_eq!(out.status.code(), Some(6));
    assert!(text(&out.stderr).contains("exchange it in stages"), "{}", text(&out.stderr));
}

fn leaf_bytes(built: &Built) -> Vec<Vec<u8>> {
    leafs(&built.inventory().join("secrets"))
        .into_iter()
        .map(|(path, _)| fs::read(path).expect("read"))
        .collect()
}
