//! What must stay as it first was: the ledger's records. Clear text, kept in the store; no secret is in it.
//!
//! Only data here. The store reads and writes it; [`crate::plan`] decides what goes into it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The ledger of one cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    /// `None` before the first build.
    pub founding: Option<Founding>,
    /// By FQDN.
    pub hosts: BTreeMap<String, HostRecord>,
}

/// What cannot change once a cluster runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Founding {
    /// 32 hexadecimal digits, random; a host refuses bundles of another cluster.
    pub cluster_id: String,
    /// `initial-cluster-token`.
    pub etcd_token: String,
    /// kubeadm's clusterName.
    pub cluster_name: String,
    /// `networking.dnsDomain`.
    pub dns_domain: String,
    /// As kubeadm takes it.
    pub pod_subnet: String,
    /// As kubeadm takes it.
    pub service_subnet: String,
    /// FQDN of the host that runs `kubeadm init`.
    pub first_control_plane: String,
    /// `kubernetes.pki`, if it is not the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pki: Option<String>,
    /// SHA-256 of the SPKI by CA, in hexadecimal.
    pub ca_fingerprints: BTreeMap<String, String>,
}

/// What is remembered of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostRecord {
    /// Raised only when the bundle's content changed; 0 before the first bundle.
    pub generation: u64,
    /// SHA-256 over the bundle's symbolic content, hexadecimal; empty before the first bundle.
    pub digest: String,
    /// VRRP priority, 1 to 254.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vrrp_priority: Option<u8>,
    /// How an etcd member came in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etcd: Option<EtcdMembership>,
}

/// How an etcd member came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EtcdMembership {
    /// With the first members, before the cluster ran.
    Founding,
    /// To a running cluster.
    Added,
}
