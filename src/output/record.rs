//! BUILD.json: which bundles an output holds. No clock time and nothing about the run that wrote it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The name of the record, which also tells an output folder from any other.
pub const BUILD_JSON: &str = "BUILD.json";

/// What an output folder holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildRecord {
    /// `khagen-build/v1`.
    pub schema: String,
    /// The khagen that wrote it.
    pub khagen: String,
    /// kubeadm's cluster name.
    pub cluster: String,
    /// The ledger's cluster id.
    pub cluster_id: String,
    /// SHA-256 of the Kubernetes CA's public key, so that an output is told from one of another store.
    pub ca_fingerprint: String,
    /// By bundle name.
    pub bundles: BTreeMap<String, BundleRecord>,
    /// What travels beside the bundles, by its name in `packages/`.
    #[serde(default)]
    pub packages: BTreeMap<String, PackageRecord>,
}

/// A package or program that travels beside the bundles.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageRecord {
    /// SHA-256, hexadecimal.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
}

/// One tarball.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BundleRecord {
    /// The host's count of its different bundles.
    pub generation: u64,
    /// SHA-256 of the uncompressed tar.
    pub tar_sha256: String,
    /// SHA-256 over the symbolic content, as in the ledger.
    pub content_sha256: String,
    /// SHA-256 of the tarball as it lies there.
    pub tarball_sha256: String,
    /// Bytes of the tarball.
    pub size: u64,
}

/// The schema that this khagen writes.
pub const SCHEMA: &str = "khagen-build/v1";

impl BuildRecord {
    /// Reads a record; `None` if it is none of this schema.
    pub fn parse(text: &str) -> Option<BuildRecord> {
        let record: BuildRecord = serde_json::from_str(text).ok()?;
        (record.schema == SCHEMA).then_some(record)
    }

    /// The record as JSON, keys in a fixed order, one bundle per line so that a change of one is one line.
    pub fn to_json(&self) -> String {
        let quote = |text: &str| serde_json::Value::from(text).to_string();
        let mut out = format!(
            "{{\n\"schema\": {},\n\"khagen\": {},\n\"cluster\": {},\n\"clusterId\": {},\n\"caFingerprint\": {},\n\"bundles\": {{\n",
            quote(&self.schema),
            quote(&self.khagen),
            quote(&self.cluster),
            quote(&self.cluster_id),
            quote(&self.ca_fingerprint),
        );
        let lines: Vec<String> = self
            .bundles
            .iter()
            .map(|(name, b)| {
                format!(
                    "{}: {{\"generation\": {}, \"tarSha256\": \"{}\", \"contentSha256\": \"{}\", \"tarballSha256\": \"{}\", \"size\": {}}}",
                    quote(name),
                    b.generation,
                    b.tar_sha256,
                    b.content_sha256,
                    b.tarball_sha256,
                    b.size
                )
            })
            .collect();
        out.push_str(&lines.join(",\n"));
        out.push_str("\n}");
        let packages: Vec<String> = self
            .packages
            .iter()
            .map(|(name, p)| {
                format!("{}: {{\"sha256\": \"{}\", \"size\": {}}}", quote(name), p.sha256, p.size)
            })
            .collect();
        if !packages.is_empty() {
            out.push_str(&format!(",\n\"packages\": {{\n{}\n}}", packages.join(",\n")));
        }
        out.push_str("\n}\n");
        out
    }

    /// SHA256SUMS: every file that is carried to hosts, with its digest, as sha256sum -c reads it in the output's folder.
    pub fn sums(&self) -> String {
        let bundles =
            self.bundles.iter().map(|(name, b)| format!("{}  bundles/{name}.tar.gz\n", b.tarball_sha256));
        let packages = self.packages.iter().map(|(name, p)| format!("{}  packages/{name}\n", p.sha256));
        bundles.chain(packages).collect()
    }
}
