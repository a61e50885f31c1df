//! The head of a bundle's manifest: all that MANIFEST.json says besides the generation and the files.

use serde::Deserialize;
use serde_json::{Map, Value};

/// What the manifest says of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// The settings that the plan of a rollout needs.
    pub known: Known,
    /// All of it, for comparing.
    pub all: Map<String, Value>,
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
    /// `init` or `join`, of a node.
    pub kubeadm: Option<String>,
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

/// Follows from the certificates, or from kubeadm's documents, whose own changes are told.
const DERIVED: [&str; 5] = ["validFrom", "validUntil", "generation", "schema", "kubernetesVersion"];

impl Head {
    /// Reads BUNDLE.json, or MANIFEST.json, of which the lists of files are left out.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(text: &str) -> Result<Head, String> {
        let value: Value = serde_json::from_str(text).map_err(|e| format!("is no JSON: {e}"))?;
        let Value::Object(mut all) = value else { return Err("is no JSON object".to_owned()) };
        for list in ["files", "bundleFiles"] {
            all.remove(list);
        }
        let known = Known::deserialize(Value::Object(all.clone())).map_err(|e| e.to_string())?;
        Ok(Head { known, all })
    }

    /// Whether the host has a role.
    pub fn has(&self, role: &str) -> bool {
        self.known.roles.iter().any(|r| r == role)
    }

    /// Whether the host leaves.
    pub fn is_retired(&self) -> bool {
        self.known.state.as_deref() == Some("retired")
    }

    /// Everything that is a decision and does not follow from something else, flattened: `units[etcd.service].enable`.
    pub fn fields(&self) -> std::collections::BTreeMap<String, String> {
        let mut out = std::collections::BTreeMap::new();
        for (key, value) in &self.all {
            // A host that is no node has no use for a node's name.
            let unused = key == "nodeName" && !self.has("control-plane") && !self.has("worker");
            if !DERIVED.contains(&key.as_str()) && !unused {
                flatten(key, value, &mut out);
            }
        }
        out
    }
}

fn flatten(path: &str, value: &Value, out: &mut std::collections::BTreeMap<String, String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(k, v)| flatten(&format!("{path}.{k}"), v, out)),
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for item in items {
                let key = ["unit", "path"].iter().find_map(|k| item.get(k)).and_then(Value::as_str);
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

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
