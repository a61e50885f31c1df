//! Where the CA's key may not be had: requests, openssl as the signer, and a build of what came back.

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use support::corporate::{self, openssl};
use support::{Built, Need, can, copy_inventory, khagen, oracle, root, scratch, text, tree, unpack_to};

/// An inventory in external-CA mode whose Kubernetes CA is a company's, without its key.
fn fresh(edit: impl Fn(String) -> String) -> Built {
    let built = Built { dir: scratch() };
    copy_inventory(&root().join("tests/inventories/external-ca"), &built.inventory());
    let file = built.inventory().join("cluster.yaml");
    fs::write(&file, edit(fs::read_to_string(&file).expect("read"))).expect("write");
    corporate::company(&built.dir.path().join("pki"));
    let out = pki(&built, &["import", "--ca", "ca/kubernetes", "--cert", "pki/kubernetes.pem"]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert!(text(&out.stdout).contains("no key: requests are written by"), "{}", text(&out.stdout));
    built
}

fn pki(built: &Built, arguments: &[&str]) -> Output {
    khagen().current_dir(built.dir.path()).arg("pki").args(arguments).output().expect("khagen")
}

fn build(built: &Built) -> Output {
    khagen().current_dir(built.dir.path()).arg("build").output().expect("khagen")
}

fn done(out: Output) -> String {
    assert!(out.status.success(), "{}{}", text(&out.stdout), text(&out.stderr));
    text(&out.stdout)
}

/// The owner of the CA, whose files are in `pki`, signs a request for a year.
fn sign_one(pki: &Path, csr: &Path, crt: &Path, more: &[&str]) {
    let (csr, crt) = (csr.to_str().expect("utf-8"), crt.to_str().expect("utf-8"));
    let mut args = vec!["x509", "-req", "-in", csr, "-days", "365", "-out", crt];
    args.extend(["-CA", "kubernetes.crt", "-CAkey", "kubernetes.key", "-CAcreateserial"]);
    args.extend(more);
    openssl(pki, &args);
}

/// Signs every request of a folder as a company's PKI does: what is asked for, and a pointer to its revocation list.
fn sign(built: &Built, requests: &str) -> usize {
    let (dir, pki) = (built.dir.path().join(requests), built.dir.path().join("pki"));
    let mut signed = 0;
    for name in tree(&dir).into_keys().filter(|name| name.ends_with(".csr")) {
        let csr = dir.join(&name);
        openssl(&pki, &["req", "-in", csr.to_str().expect("utf-8"), "-noout", "-verify"]);
        let crt = csr.with_extension("crt");
        sign_one(&pki, &csr, &crt, &["-copy_extensions", "copy"]);
        signed += 1;
    }
    signed
}

#[test]
fn requests_are_signed_by_openssl_and_end_in_a_build() {
    let built = fresh(|text| text);
    // A build says which certificates are missing, and how to get them.
    let out = build(&built);
    assert_eq!(out.status.code(), Some(6), "{}", text(&out.stderr));
    let said = text(&out.stderr);
    assert!(
        said.contains("\n  apiserver/k8smaster1.isociel.com: new\n")
            && said.contains("khagen pki csr -o DIR"),
        "{said}"
    );
    assert!(!built.out().exists());

    let said = done(pki(&built, &["csr", "-o", "requests"]));
    let manifest = fs::read_to_string(built.dir.path().join("requests/MANIFEST.txt")).expect("the manifest");
    for line in [
        "\napiserver/k8smaster1.isociel.com\n",
        "  request              apiserver.k8smaster1.isociel.com.csr\n",
        "  CA                   ca/kubernetes (DC=com, DC=example, OU=PKI, OU=Kubernetes, CN=Example Issuing CA 7)\n",
        "  subject              O=system:nodes, CN=system:node:k8sworker1.isociel.com\n",
        "  extended key usage   clientAuth\n",
        "  days                 365\n",
    ] {
        assert!(manifest.contains(line), "{line}: {manifest}");
    }
    assert!(!manifest.contains("etcd"), "etcd's CA is khagen's: {manifest}");
    // Keys stay in the store; written again, the requests are for the same keys.
    assert!(tree(&built.dir.path().join("requests")).values().all(|b| !text(b).contains("PRIVATE")));
    let public =
        |name: &str| openssl(&built.dir.path().join("requests"), &["req", "-noout", "-pubkey", "-in", name]);
    let before = public("apiserver.k8smaster1.isociel.com.csr");
    assert_eq!(done(pki(&built, &["csr", "-o", "requests"])), said);
    assert_eq!(before, public("apiserver.k8smaster1.isociel.com.csr"));

    let signed = sign(&built, "requests");
    assert!(signed > 20 && said.contains(&format!("{signed} requests in requests")), "{signed}: {said}");
    // One that is wrong keeps all out.
    let crt = built.dir.path().join("requests/scheduler.k8smaster1.isociel.com.crt");
    let good = fs::read(&crt).expect("read");
    let other = built.dir.path().join("requests/scheduler.k8smaster2.isociel.com.csr");
    let subject = ["-subj", "/O=system:masters/CN=system:kube-scheduler"];
    sign_one(&built.dir.path().join("pki"), &other, &crt, &subject);
    let store = tree(&built.inventory());
    let out = pki(&built, &["import", "requests"]);
    assert_eq!(out.status.code(), Some(1), "{}", text(&out.stdout));
    for what in [
        "error[KH0632]",
        "error[KH0633]",
        "has the subject",
        "has the extended key usage none where clientAuth was asked for",
    ] {
        assert!(text(&out.stderr).contains(what), "{what}: {}", text(&out.stderr));
    }
    assert!(store == tree(&built.inventory()), "something was imported");
    fs::write(&crt, good).expect("write");

    let said = done(pki(&built, &["import", "requests"]));
    assert_eq!(said.matches(": as asked for\n").count(), signed, "{said}");
    assert!(said.ends_with("next: khagen build\n"), "{said}");
    assert!(!built.inventory().join("secrets/objects/pending/apiserver/k8smaster1.isociel.com").exists());
    done(build(&built));
    let bundle = built.bundle("k8smaster1.isociel.com");
    assert_eq!(
        text(&bundle["root/etc/kubernetes/pki/apiserver.crt"].bytes),
        fs::read_to_string(built.dir.path().join("requests/apiserver.k8smaster1.isociel.com.crt"))
            .expect("read")
    );
    assert!(!bundle.contains_key("root/etc/kubernetes/pki/ca.key"));
    // Nothing is left to sign, and the same certificates again change nothing.
    assert_eq!(done(pki(&built, &["csr", "-o", "requests"])), "nothing is to be signed\n");
    let again = done(pki(&built, &["import", "requests"]));
    assert!(again.contains(&format!("{signed} are in the store already")), "{again}");
    let listed = text(&pki(&built, &["list"]).stdout);
    assert!(listed.contains("imported without its key") && !listed.contains("pending/"), "{listed}");

    // A year later: what is marked is requested, with a new key.
    done(pki(&built, &["renew", "apiserver/k8smaster2.isociel.com"]));
    let out = build(&built);
    assert_eq!(out.status.code(), Some(6));
    assert!(
        text(&out.stderr).contains("apiserver/k8smaster2.isociel.com: marked for renewal"),
        "{}",
        text(&out.stderr)
    );
    let said = done(pki(&built, &["csr", "-o", "renewal"]));
    assert!(
        said.starts_with("apiserver/k8smaster2.isociel.com: marked for renewal\n1 requests in renewal"),
        "{said}"
    );
    assert_eq!(sign(&built, "renewal"), 1);
    done(pki(&built, &["import", "renewal/apiserver.k8smaster2.isociel.com.crt"]));
    done(build(&built));
    kubeadm_takes(&built);
}

fn kubeadm_takes(built: &Built) {
    if !can("kubeadm with certificates that a company signed", &[Need::Oracle, Need::Namespaces]) {
        return;
    }
    let dir = scratch();
    let rootfs =
        unpack_to(&built.out().join("bundles/k8smaster1.isociel.com.tar.gz"), dir.path()).join("root");
    for what in ["certs", "kubeconfig"] {
        let out = Command::new(oracle().expect("probed").join("kubeadm"))
            .arg("--rootfs")
            .arg(&rootfs)
            .args(["init", "phase", what, "all", "--config", "/etc/kubernetes/kubeadm.yaml"])
            .output()
            .expect("kubeadm");
        let said = text(&out.stdout) + &text(&out.stderr);
        assert!(out.status.success(), "{said}");
        assert!(!said.contains("Generating") && !said.contains("Writing"), "{said}");
    }
}

#[test]
fn an_inventory_that_changes_makes_requests_void_and_keys_are_not_left_behind() {
    let built = fresh(|text| text);
    done(pki(&built, &["csr", "-o", "requests"]));
    sign(&built, "requests");
    let file = built.inventory().join("cluster.yaml");
    let changed = fs::read_to_string(&file).expect("read").replacen(
        "kubernetes:\n",
        "kubernetes:\n  apiServer: {certSANs: [api.example.com]}\n",
        1,
    );
    fs::write(&file, changed).expect("write");
    let out = pki(&built, &["import", "requests"]);
    assert_eq!(out.status.code(), Some(1));
    assert_eq!(text(&out.stderr).matches("error[KH0632]").count(), 3, "{}", text(&out.stderr));
    assert!(
        text(&out.stderr).contains("the inventory has changed since its request was written"),
        "{}",
        text(&out.stderr)
    );
    let said = done(pki(&built, &["csr", "-o", "requests"]));
    assert!(said.contains("apiserver/k8smaster1.isociel.com: new"), "{said}");
    // A host that is gone needs no certificate.
    let hosts = built.inventory().join("hosts.yaml");
    let all = fs::read_to_string(&hosts).expect("read");
    let fewer = all.replace("  - name: k8sworker3\n    address: 192.168.13.67\n    roles: [worker]\n", "");
    assert_ne!(all, fewer, "the inventory has another k8sworker3");
    fs::write(&hosts, fewer).expect("write");
    let waiting = built.inventory().join("secrets/objects/pending/kubelet/k8sworker3.isociel.com");
    assert!(waiting.exists());
    done(pki(&built, &["csr", "-o", "requests"]));
    assert!(!waiting.exists());
    assert!(!built.dir.path().join("requests/kubelet.k8sworker3.isociel.com.csr").exists());
    let out = pki(&built, &["csr", "-o", "pki"]);
    assert_eq!(out.status.code(), Some(1), "a folder with other things was taken");
    assert!(Path::new(&built.dir.path().join("pki/root.key")).exists());
}
