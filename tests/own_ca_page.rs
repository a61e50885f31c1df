//! The commands of docs/own-ca.md, run in their order as they stand there, a section at a time.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use support::corporate::{self, ROOT, openssl};
use support::{copy_inventory, khagen, root, scratch, text};

/// The commands of a section: its indented blocks that are no inventory.
fn commands(section: &str) -> String {
    let page = fs::read_to_string(root().join("docs/own-ca.md")).expect("the page");
    let begin = page.find(&format!("## {section}\n")).unwrap_or_else(|| panic!("no section {section}"));
    let body = page[begin + 3..].split("\n## ").next().unwrap_or_default();
    let lines = body.lines().filter_map(|l| l.strip_prefix("    "));
    let is_setting = |l: &&str| ["cluster: {", "etcd: {", "pki: {"].iter().any(|s| l.starts_with(s));
    lines.filter(|l| !is_setting(l)).map(|l| format!("{l}\n")).collect()
}

/// Runs a section in a folder; what it prints. `bin` comes first on the PATH.
fn follow(section: &str, dir: &Path) -> String {
    let script = commands(section).replace("--dry-run\n", "--dry-run || [ $? -eq 2 ]\n");
    assert!(script.matches("khagen ").count() >= 3, "{script}");
    let bin = dir.join("bin");
    fs::create_dir_all(&bin).expect("create");
    std::os::unix::fs::symlink(khagen().get_program(), bin.join("khagen")).expect("link");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let out = Command::new("sh")
        .args(["-euxc", &script])
        .current_dir(dir)
        .env("PATH", path)
        .env("NO_COLOR", "1")
        .env_remove("KHAGEN_IDENTITY")
        .output()
        .expect("sh");
    let said = format!("{}{}", text(&out.stdout), text(&out.stderr));
    // A dry run that finds something ends with 2, which ends nothing here.
    assert!(out.status.success(), "{section}: {said}");
    said
}

fn inventory(dir: &Path, name: &str) {
    let from =
        if name == "inventory" { root().join(name) } else { root().join("tests/inventories").join(name) };
    copy_inventory(&from, &dir.join("inventory"));
}

#[test]
fn a_ca_with_its_key() {
    let dir = scratch();
    inventory(dir.path(), "inventory");
    let pki = dir.path().join("company");
    corporate::company(&pki);
    fs::copy(pki.join("kubernetes.pem"), dir.path().join("corp-etcd.pem")).expect("copy");
    fs::copy(pki.join("kubernetes.enc.key"), dir.path().join("corp-etcd.key")).expect("copy");
    fs::copy(pki.join("passphrase"), dir.path().join("passphrase")).expect("copy");
    let said = follow("A CA with its key", dir.path());
    assert!(
        said.contains("dry run: nothing was written") && said.contains("imported: whoever made it renews it"),
        "{said}"
    );
    assert!(dir.path().join("out/BUILD.json").is_file());
}

#[test]
fn a_ca_whose_key_is_kept_elsewhere() {
    let dir = scratch();
    inventory(dir.path(), "external-ca");
    let pki = dir.path().join("signer");
    corporate::company(&pki);
    for (from, to) in [
        ("kubernetes.pem", "../corp-kubernetes.pem"),
        ("kubernetes.crt", "ca.crt"),
        ("kubernetes.key", "ca.key"),
    ] {
        fs::copy(pki.join(from), pki.join(to)).expect("copy");
    }
    let said = follow("A CA whose key is kept elsewhere", dir.path());
    assert!(
        said.contains("Certificate requests of cluster k8s-cluster1") && said.contains("as asked for"),
        "{said}"
    );
    assert!(dir.path().join("out/BUILD.json").is_file());
}

#[test]
fn a_cluster_that_runs_already() {
    let dir = scratch();
    inventory(dir.path(), "inventory");
    let file = dir.path().join("inventory/cluster.yaml");
    let said = fs::read_to_string(&file).expect("read");
    fs::write(
        &file,
        said.replace("state: new", "state: running").replace("etcd:\n", "etcd:\n  peerCA: same\n"),
    )
    .expect("write");
    // What lies on the hosts, and an ssh that reaches them.
    let (master, etcd) = (
        dir.path().join("hosts/k8smaster1/etc/kubernetes/pki"),
        dir.path().join("hosts/k8setcd1/etc/etcd/pki"),
    );
    let bastion = dir.path().join("pki");
    for folder in [&master, &etcd, &bastion] {
        fs::create_dir_all(folder).expect("create");
    }
    for (folder, name, subject, kind) in [
        (&master, "ca", "/CN=kubernetes", "RSA:2048"),
        (&master, "front-proxy-ca", "/CN=front-proxy-ca", "RSA:2048"),
        (&bastion, "etcd-ca", "/CN=etcd-ca", "EC:P-521"),
    ] {
        corporate::key(folder, name, kind);
        corporate::certificate(folder, name, subject, None, ROOT);
        for rest in ["openssl.cnf", "extensions"] {
            fs::remove_file(folder.join(rest)).expect("remove");
        }
    }
    fs::copy(bastion.join("etcd-ca.crt"), etcd.join("etcd-ca.crt")).expect("copy");
    openssl(&master, &["genrsa", "-out", "sa.key", "2048"]);
    openssl(&master, &["rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub"]);
    fs::create_dir_all(dir.path().join("bin")).expect("create");
    let ssh = dir.path().join("bin/ssh");
    fs::write(&ssh, "#!/bin/sh\nhost=${1#root@}\nshift 4\nexec tar -C \"hosts/$host\" \"$@\"\n")
        .expect("write");
    fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755)).expect("chmod");
    let said = follow("A cluster that runs already", dir.path());
    assert!(said.contains("taken over, so that trust stays as it is"), "{said}");
    let ours = fs::read_to_string(dir.path().join("inventory/secrets/objects/ca/kubernetes/cert.pem"))
        .expect("read");
    assert_eq!(ours, openssl(&master, &["x509", "-in", "ca.crt"]));
    assert!(!dir.path().join("collected").exists() && dir.path().join("out/BUILD.json").is_file());
}
