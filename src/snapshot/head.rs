//! The head of a bundle's manifest: all that MANIFEST.json says besides the generation and the files.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value};

/// What the manifest says of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// The settings that the plan of a rollout needs.
    pub known: Known,
    /// All of it, for comparing.
    pub all: Map<String, Value>,
    /// Its lines as they are written, which is how a host's awk reads them; without schema and generation.
    pub lines: Arc<str>,
}

/// Settings that are read by name. The operator's bundle has few of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Known {
    /// kubeadm's cluster name.
    pub cluster: String,
    /// The ledger's cluster id.
    pub cluster_id: String,
    /// FQDN, or `operator`.
    pub host: String,
    /// Short name.
    pub name: String,
    /// Kubernetes node name.
    pub node_name: String,
    /// `retired` for a host that leaves.
    pub state: Option<String>,
    /// `new` or `existing`, of an etcd member.
    pub etcd_state: Option<String>,
    /// `3.6.14`, of an etcd member.
    pub etcd_version: Option<String>,
    /// `init` or `join`, of a node.
    pub kubeadm: Option<String>,
    /// `v1.36.5`, of a node.
    pub kubernetes_version: Option<String>,
    /// `new` or `running`.
    pub cluster_state: Option<String>,
    /// Addresses in the cluster.
    pub addresses: Vec<String>,
    /// Roles by name.
    pub roles: Vec<String>,
    /// etcd's client URLs.
    pub etcd_endpoints: Vec<String>,
    /// Units that install.sh enables and starts.
    pub units: Vec<Unit>,
}

/// A unit and the files that it reads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Unit {
    /// Its name.
    pub unit: String,
    /// Whether it is started at boot.
    pub enable: bool,
    /// Whether install.sh starts it.
    pub start: bool,
    /// Files, or folders ending in `/`, that only a restart brings in.
    pub restart_on: Vec<String>,
    /// Files that a reload brings in.
    pub reload_on: Vec<String>,
}

/// Longer than any head, and short enough that what it unfolds to in memory does no harm.
const MAX_HEAD: usize = 1 << 20;

/// Follows from the certificates, whose own changes are told.
const DERIVED: [&str; 4] = ["validFrom", "validUntil", "generation", "schema"];

impl Head {
    /// Reads BUNDLE.json, or MANIFEST.json, of which the lists of files are left out.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(text: &str) -> Result<Head, String> {
        if text.len() > MAX_HEAD {
            return Err(format!("is larger than {} MiB", MAX_HEAD >> 20));
        }
        let value: Value = serde_json::from_str(text).map_err(|e| format!("is no JSON: {e}"))?;
        let Value::Object(mut all) = value else { return Err("is no JSON object".to_owned()) };
        for list in ["files", "bundleFiles"] {
            all.remove(list);
        }
        if all.iter().any(|(key, value)| key.contains(char::is_control) || has_controls(value)) {
            return Err("holds a control character".to_owned());
        }
        let known = Known::deserialize(Value::Object(all.clone())).map_err(|e| e.to_string())?;
        Ok(Head { known, all, lines: Arc::from(lines(text)) })
    }

    /// Whether the host has a role.
    pub fn has(&self, role: &str) -> bool {
        self.known.roles.iter().any(|r| r == role)
    }

    /// Whether the host leaves.
    pub fn is_retired(&self) -> bool {
        self.known.state.as_deref() == Some("retired")
    }

    /// Whether the bundle brings a program of this name with it.
    pub fn brings(&self, program: &str) -> bool {
        let binaries = self.all.get("binaries").and_then(Value::as_array);
        binaries
            .into_iter()
            .flatten()
            .filter_map(|b| b.get("path")?.as_str())
            .any(|path| path.rsplit('/').next() == Some(program))
    }

    /// Everything that is a decision and does not follow from something else, flattened: `units[etcd.service].enable`.
    pub fn fields(&self) -> std::collections::BTreeMap<String, String> {
        let mut out = std::collections::BTreeMap::new();
        for (key, value) in &self.all {
            if !DERIVED.contains(&key.as_str()) {
                flatten(key, value, &mut out);
            }
        }
        out
    }
}

/// The lines between the braces, up to the lists of files.
fn lines(text: &str) -> String {
    let skipped = |line: &&str| line.starts_with("\"schema\": ") || line.starts_with("\"generation\": ");
    let inner = text.strip_prefix("{\n").unwrap_or(text);
    let inner = inner.split_once("\"files\": [").map_or(inner, |(head, _)| head);
    let inner = inner.strip_suffix("\n}\n").or_else(|| inner.strip_suffix(",\n")).unwrap_or(inner);
    let kept: Vec<&str> = inner.split('\n').filter(|line| !skipped(line)).collect();
    kept.join("\n")
}

fn flatten(path: &str, value: &Value, out: &mut std::collections::BTreeMap<String, String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(k, v)| flatten(&format!("{path}.{k}"), v, out)),
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for item in items {
                let key =
                    ["unit", "path", "package"].iter().find_map(|k| item.get(k)).and_then(Value::as_str);
                flatten(&format!("{path}[{}]", key.unwrap_or("?")), item, out);
            }
        }
        Value::Array(items) => {
            let texts: Vec<String> = items.iter().map(plain).collect();
            out.insert(path.to_owned(), texts.join(", "));
        }
        other => {
            out.insert(path.to_owned(), plain(other));
        }
    }
}

/// Names and addresses stand in lists, on terminals and in rollout files, where such characters would be commands.
fn has_controls(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(char::is_control),
        Value::Array(items) => items.iter().any(has_controls),
        Value::Object(map) => map.iter().any(|(k, v)| k.contains(char::is_control) || has_controls(v)),
        _ => false,
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
