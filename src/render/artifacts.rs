//! What a bundle says of the packages and programs that travel beside it: lists in its manifest, and the operator's list of
//! what to carry where. The bytes are no part of a bundle; their digests are.

use std::fmt::Write;

use serde_json::json;

use super::bundles::lines;
use crate::model::{Artifacts, Cluster};

/// Lines of the manifest, none for a host that gets nothing: packages in the order in which they are unpacked, programs by
/// path.
pub fn head(artifacts: &Artifacts) -> Vec<(&'static str, String)> {
    let mut head = Vec::new();
    let debs: Vec<String> = artifacts
        .debs
        .iter()
        .map(|d| {
            format!(
                "{{\"package\": {}, \"version\": {}, \"architecture\": {}, \"file\": {}, \"size\": {}, \"sha256\": {}}}",
                json!(d.package),
                json!(d.version),
                json!(d.architecture),
                json!(d.carried.file),
                d.carried.size,
                json!(d.carried.sha256),
            )
        })
        .collect();
    if !debs.is_empty() {
        head.push(("debs", lines(&debs)));
    }
    let binaries: Vec<String> = artifacts
        .binaries
        .iter()
        .map(|b| {
            format!(
                "{{\"path\": {}, \"mode\": \"{:04o}\", \"from\": {}, \"file\": {}, \"size\": {}, \"sha256\": {}}}",
                json!(b.path),
                b.mode,
                json!(b.carried.origin()),
                json!(b.carried.file),
                b.carried.size,
                json!(b.carried.sha256),
            )
        })
        .collect();
    if !binaries.is_empty() {
        head.push(("binaries", lines(&binaries)));
    }
    head
}

/// For distribute.sh: FQDN, digest and file of everything that is carried to a host, with tabs between; `None` where nothing
/// is.
pub fn list(cluster: &Cluster) -> Option<String> {
    let mut out = String::from("# fqdn\tsha256\tsize\tfile in packages/\n");
    let mut any = false;
    for host in &cluster.hosts {
        let mut carried: Vec<_> = host.artifacts.carried().collect();
        carried.sort_by(|a, b| a.file.cmp(&b.file));
        carried.dedup_by(|a, b| a.file == b.file);
        for one in carried {
            let _ = writeln!(out, "{}\t{}\t{}\t{}", host.fqdn, one.sha256, one.size, one.file);
            any = true;
        }
    }
    any.then_some(out)
}

/// For people: `kubelet 1.36.5-1.1, /usr/local/bin/etcd`.
pub fn words(artifacts: &Artifacts) -> String {
    let debs = artifacts.debs.iter().map(|d| format!("{} {}", d.package, d.version));
    let all: Vec<String> = debs.chain(artifacts.binaries.iter().map(|b| format!("`{}`", b.path))).collect();
    all.join(", ")
}
