//! Minor by minor: every document of every inventory, and the images.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::judge::{Minor, minors, refused};
use crate::support::{Need, can, copy_inventory, khagen, root, run, scratch, text, unpack_to};

const INVENTORIES: [&str; 8] =
    ["inventory", "compact", "dual-stack", "ipv6", "cilium", "single", "settings", "tutorial"];

/// What an inventory asks of a minor that does not have it: khagen must say so with this code.
fn expected_refusal(inventory: &str, minor: u32) -> Option<&'static str> {
    match inventory {
        // Repeated flags, variables and further fields came with v1beta4.
        "settings" if minor < 31 => Some("KH0511"),
        _ => None,
    }
}

/// The inventory with another version of Kubernetes, and an etcd that its kubeadm takes.
fn at(inventory: &str, version: &str, minor: u32, to: &Path) {
    let from = if inventory == "inventory" {
        root().join("inventory")
    } else {
        root().join("tests/inventories").join(inventory)
    };
    copy_inventory(&from, to);
    for entry in fs::read_dir(to).expect("the copy").map(|e| e.expect("entry").path()) {
        let Ok(old) = fs::read_to_string(&entry) else { continue };
        let mut new = String::new();
        for line in old.lines() {
            let trimmed = line.trim_start();
            let indent = &line[..line.len() - trimmed.len()];
            match trimmed.strip_prefix("version: ") {
                Some(rest) if rest.starts_with("1.") => {
                    new.push_str(&format!("{indent}version: {version}\n"))
                }
                // nftables and ipvs come and go; the mode that each minor takes by default is the point here.
                _ if minor < 33 && trimmed.starts_with("kubeProxy: {mode: nftables}") => {}
                _ if minor < 33 && trimmed.starts_with("mode: nftables") => {
                    new.push_str(&format!("{indent}mode: iptables\n"));
                }
                _ => {
                    new.push_str(line);
                    new.push('\n');
                }
            }
        }
        if new != old {
            fs::write(&entry, new).expect("write");
        }
    }
}

/// Builds, and gives the kubeadm documents of all hosts, that of `kubeadm init` first.
fn documents(inventory: &Path, dir: &Path) -> Result<Vec<PathBuf>, String> {
    let out = dir.join("out");
    let built = khagen().arg("build").arg(inventory).arg("-o").arg(&out).output().expect("khagen");
    if !built.status.success() {
        return Err(text(&built.stderr) + &text(&built.stdout));
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(out.join("bundles")).expect("bundles") {
        let tarball = entry.expect("entry").path();
        if tarball.ends_with("operator.tar.gz") || tarball.extension().is_none_or(|e| e != "gz") {
            continue;
        }
        let file = unpack_to(&tarball, dir).join("root/etc/kubernetes/kubeadm.yaml");
        if file.exists() {
            files.push(file);
        }
    }
    files.sort_by_key(|f| {
        (!fs::read_to_string(f).is_ok_and(|t| t.contains("kind: InitConfiguration")), f.clone())
    });
    Ok(files)
}

fn judged(minor: &Minor, inventory: &str) -> String {
    let dir = scratch();
    let copy = dir.path().join("inventory");
    at(inventory, &minor.version(), minor.minor, &copy);
    let files = match documents(&copy, dir.path()) {
        Ok(files) => files,
        Err(said) => {
            let code = expected_refusal(inventory, minor.minor)
                .unwrap_or_else(|| panic!("{inventory} at {}: {said}", minor.name));
            assert!(said.contains(code), "{inventory} at {}: not {code}: {said}", minor.name);
            return code.to_owned();
        }
    };
    assert!(expected_refusal(inventory, minor.minor).is_none(), "{inventory} at {} was built", minor.name);
    let wrong = refused(&minor.dir, &files);
    assert!(wrong.is_empty(), "{inventory} at {}: {wrong:#?}", minor.name);
    let mut theirs = run(Command::new(minor.dir.join("kubeadm"))
        .args(["config", "images", "list", "--config"])
        .arg(&files[0]));
    // Before v1beta4 there is no proxy.disabled: kube-proxy is left out by skipPhases, which kubeadm's list does not look at.
    if inventory == "cilium" && minor.minor < 31 {
        theirs = theirs.lines().filter(|l| !l.contains("/kube-proxy:")).map(|l| format!("{l}\n")).collect();
    }
    let ours = run(khagen().arg("images").arg(&copy));
    assert_eq!(ours, theirs, "images of {inventory} at {}", minor.name);
    format!("{} ok", files.len())
}

#[test]
fn every_minor_takes_every_document_and_has_these_images() {
    if !can("every supported minor's kubeadm", &[Need::Minors]) {
        return;
    }
    let minors = minors();
    let mut table = format!("{:<6} {:<9}", "minor", "kubeadm");
    for inventory in INVENTORIES {
        table.push_str(&format!(" {inventory:>11}"));
    }
    table.push('\n');
    for minor in &minors {
        table.push_str(&format!("{:<6} {:<9}", minor.name, minor.version()));
        for inventory in INVENTORIES {
            table.push_str(&format!(" {:>11}", judged(minor, inventory)));
        }
        table.push('\n');
    }
    println!("{table}");
}
