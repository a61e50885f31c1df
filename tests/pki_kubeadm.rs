//! `kubernetes.pki: kubeadm`: the CAs are in the first control plane's bundle alone, kubeadm takes them and signs the rest, and
//! what khagen says of certificates does not promise what it does not know.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use support::{Built, Need, built, can, khagen, oracle, run, scratch, text, unpack_to};

const FIRST: &str = "k8smaster1.isociel.com";
const OTHERS: [&str; 2] = ["k8smaster2.isociel.com", "k8smaster3.isociel.com"];

fn set_mode(built: &Built, mode: &str, state: &str) {
    let file = built.inventory().join("cluster.yaml");
    let lines: Vec<String> = fs::read_to_string(&file)
        .expect("read")
        .lines()
        .map(|line| match line.trim_start() {
            l if l.starts_with("pki: ") => format!("  pki: {mode}"),
            l if l.starts_with("state: ") => format!("  state: {state}"),
            _ => line.to_owned(),
        })
        .collect();
    fs::write(&file, lines.join("\n") + "\n").expect("write");
}

fn files(built: &Built, host: &str) -> BTreeSet<String> {
    built.bundle(host).into_keys().filter(|path| path.starts_with("root/etc/kubernetes/")).collect()
}

#[test]
fn the_first_control_plane_alone_has_the_cas() {
    let built = built("pki-kubeadm");
    let at = |name: &str| format!("root/etc/kubernetes/{name}");
    let cas = ["ca.crt", "ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "sa.key", "sa.pub"];
    let first = files(&built, FIRST);
    for name in cas {
        assert!(first.contains(&at(&format!("pki/{name}"))), "{name}: {first:?}");
    }
    let others = files(&built, OTHERS[0]);
    let only: BTreeSet<String> = first.difference(&others).cloned().collect();
    assert_eq!(only, cas.iter().map(|name| at(&format!("pki/{name}"))).collect());
    assert_eq!(others, files(&built, OTHERS[1]));
    for signed in ["pki/apiserver.crt", "pki/front-proxy-client.crt", "admin.conf", "scheduler.conf"] {
        assert!(!first.contains(&at(signed)), "{signed}");
    }
    // What kubeadm hands on with the CAs is the same everywhere, or a control plane that joins would differ from its bundle.
    for name in ["pki/apiserver-etcd-client.crt", "pki/apiserver-etcd-client.key", "pki/etcd/etcd-ca.crt"] {
        let bytes = |host: &str| built.bundle(host)[&at(name)].bytes.clone();
        assert!(OTHERS.iter().all(|other| bytes(other) == bytes(FIRST)), "{name}");
    }
    // The key is in control planes' documents, and nowhere else.
    let key =
        fs::read_to_string(built.inventory().join("secrets/objects/certificate-key/secret")).expect("read");
    assert!(key.len() == 64 && key.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')));
    let mut holders = BTreeSet::new();
    for host in built.hosts() {
        for (path, entry) in built.bundle(&host) {
            if text(&entry.bytes).contains(&key) {
                assert_eq!(entry.mode, 0o600, "{host}: {path}");
                holders.insert((host.clone(), path));
            }
        }
    }
    let expected = [FIRST, OTHERS[0], OTHERS[1]]
        .into_iter()
        .flat_map(|h| ["kubeadm-certs.yaml", "kubeadm.yaml"].map(|f| (h.to_owned(), at(f))))
        .collect();
    assert_eq!(holders, expected);
}

fn kubeadm(root: &Path, arguments: &[&str]) -> String {
    run(Command::new(oracle().expect("probed").join("kubeadm")).arg("--rootfs").arg(root).args(arguments))
}

#[test]
fn kubeadm_takes_the_cas_and_signs_the_rest() {
    if !can("kubeadm init phase certs with khagen's CAs", &[Need::Oracle, Need::Namespaces]) {
        return;
    }
    let built = built("pki-kubeadm");
    let dir = scratch();
    let root = unpack_to(&built.out().join(format!("bundles/{FIRST}.tar.gz")), dir.path()).join("root");
    let config = "/etc/kubernetes/kubeadm.yaml";
    let said = kubeadm(&root, &["init", "phase", "certs", "all", "--config", config]);
    for kept in [
        "Using existing ca certificate authority",
        "Using existing front-proxy-ca certificate authority",
        "Using the existing \"sa\" key",
    ] {
        assert!(said.contains(kept), "{kept}:\n{said}");
    }
    assert!(
        said.contains("External etcd mode: Skipping apiserver-etcd-client certificate generation"),
        "{said}"
    );
    let generated: Vec<&str> = said.lines().filter_map(|l| l.strip_prefix("[certs] Generating ")).collect();
    assert_eq!(
        generated,
        ["apiserver", "apiserver-kubelet-client", "front-proxy-client"]
            .map(|n| format!("\"{n}\" certificate and key"))
    );
    let said = kubeadm(&root, &["init", "phase", "kubeconfig", "all", "--config", config]);
    assert_eq!(said.matches("[kubeconfig] Writing ").count(), 5, "{said}");
    // What `reconfigure.sh certificates` has kubeadm do, by the document of its own.
    let config = "/etc/kubernetes/kubeadm-certs.yaml";
    let certificate = root.join("etc/kubernetes/pki/apiserver.crt");
    let before = fs::read(&certificate).expect("read");
    for name in ["apiserver", "admin.conf"] {
        let said = kubeadm(&root, &["certs", "renew", name, "--config", config]);
        assert!(said.contains(" renewed"), "{said}");
    }
    assert!(fs::read(&certificate).expect("read") != before);
    fs::remove_file(&certificate).expect("remove");
    fs::remove_file(certificate.with_extension("key")).expect("remove");
    kubeadm(&root, &["init", "phase", "certs", "apiserver", "--config", config]);
    // The same names as with the whole document, the same kind of key.
    let names = |pem: &Path| {
        run(Command::new("openssl").args(["x509", "-noout", "-ext", "subjectAltName", "-in"]).arg(pem))
    };
    let whole = dir.path().join("before.crt");
    fs::write(&whole, before).expect("write");
    assert_eq!(names(&certificate), names(&whole));
    assert!(names(&certificate).contains("DNS:k8svrrp1.isociel.com"));
    let said = run(Command::new("openssl").args(["x509", "-noout", "-text", "-in"]).arg(&certificate));
    assert!(said.contains("prime256v1"), "{said}");
    run(Command::new(oracle().expect("probed").join("kubeadm-judge"))
        .arg(root.join("etc/kubernetes/kubeadm-certs.yaml")));
}

#[test]
fn lists_say_who_signs_and_know_what_hosts_report() {
    let built = built("pki-kubeadm");
    let said = text(&built.build().stdout);
    assert!(said.contains("kubeadm signs the control planes' certificates"), "{said}");
    let list = |more: &[&str]| {
        let out = khagen().args(["pki", "list"]).arg(built.inventory()).args(more).output().expect("khagen");
        text(&out.stdout)
    };
    let said = list(&[]);
    let line = |said: &str, name: &str| {
        said.lines()
            .find(|l| l.contains(name))
            .map(str::to_owned)
            .unwrap_or_else(|| panic!("{name}:\n{said}"))
    };
    for host in [FIRST, OTHERS[0]] {
        let line = line(&said, &format!("apiserver/{host}"));
        assert!(line.starts_with("undated") && line.contains("on the host"), "{line}");
    }
    assert!(line(&said, &format!("super-admin/{FIRST}")).contains("super-admin.conf"));
    assert!(!said.contains(&format!("super-admin/{}", OTHERS[0])));
    assert!(line(&said, "control-plane/etcd-client").contains(" cluster "));
    let facts = built.out().join("../facts");
    fs::create_dir_all(&facts).expect("create");
    let digest = "a".repeat(64);
    fs::write(
        facts.join(FIRST),
        format!(
            "# khagen-certificates\tv1\n# host\t{FIRST}\n# time\t2026-11-23T00:00:00Z\n\
             /etc/kubernetes/pki/apiserver.crt\t2026-11-22T00:00:00Z\t2026-12-01T00:00:00Z\t{digest}\tCN=kube-apiserver\n# end\n"
        ),
    )
    .expect("write");
    let said = list(&["--facts", facts.to_str().expect("text")]);
    assert!(line(&said, &format!("apiserver/{FIRST}")).contains("2026-12-01"), "{said}");
    let mut renew = khagen();
    renew.args(["pki", "renew", &format!("apiserver/{FIRST}"), "--inventory"]).arg(built.inventory());
    let out = renew.output().expect("khagen");
    assert!(text(&out.stderr).contains("is made by its host"), "{}", text(&out.stderr));
}

/// From kubeadm to pregenerated a running cluster goes by its bundles; not the other way, and not with a rotation under way.
#[test]
fn a_running_cluster_may_leave_the_mode_and_not_enter_it() {
    let built = built("pki-kubeadm");
    let build = || {
        let out = khagen().arg("build").arg(built.inventory()).arg("-o").arg(built.out()).output();
        out.expect("khagen")
    };
    let rotate = |root: &str, more: &[&str]| {
        let out = khagen().args(["pki", "rotate", root]).arg(built.inventory()).args(more).output();
        out.expect("khagen")
    };
    set_mode(&built, "kubeadm", "running");
    assert_eq!(build().status.code(), Some(0));
    for root in ["ca/kubernetes", "ca/front-proxy", "service-account"] {
        let out = rotate(root, &["--dry-run"]);
        assert_eq!(out.status.code(), Some(6), "{root}: {}", text(&out.stderr));
        assert!(text(&out.stderr).contains("pki: pregenerated"), "{}", text(&out.stderr));
    }
    let out = rotate("ca/etcd", &["--dry-run"]);
    assert_eq!(out.status.code(), Some(2), "{}", text(&out.stderr));
    let before = |host: &str| built.bundle(host);
    let (ca, etcd) =
        (before(FIRST)["root/etc/kubernetes/pki/ca.key"].bytes.clone(), files(&built, OTHERS[0]));
    set_mode(&built, "pregenerated", "running");
    let out = build();
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    assert_eq!(built.bundle(OTHERS[0])["root/etc/kubernetes/pki/ca.key"].bytes, ca);
    let gone: Vec<String> = etcd.difference(&files(&built, OTHERS[0])).cloned().collect();
    assert_eq!(gone, ["root/etc/kubernetes/kubeadm-certs.yaml"]);
    assert_eq!(rotate("ca/kubernetes", &[]).status.code(), Some(0));
    set_mode(&built, "kubeadm", "running");
    let out = build();
    assert_eq!(out.status.code(), Some(6), "{}", text(&out.stderr));
    assert!(text(&out.stderr).contains("is being rotated"), "{}", text(&out.stderr));
    assert_eq!(rotate("ca/kubernetes", &["--undo"]).status.code(), Some(0));
    let out = build();
    assert_eq!(out.status.code(), Some(3), "{}", text(&out.stderr));
    assert!(
        text(&out.stderr).contains("kubernetes.pki: was pregenerated, now kubeadm"),
        "{}",
        text(&out.stderr)
    );
}
