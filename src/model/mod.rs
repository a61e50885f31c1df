//! The inventory after checking: what a cluster is, valid by type.
//!
//! Every value here has passed the checks, so later steps neither look at text nor find errors.
//! Nothing in this module reads a file, a clock or the environment, and nothing here renders.

mod artifacts;
pub mod component_fields;
mod host;
mod net;
pub mod releases;
mod version;
mod waiver;

use std::collections::BTreeMap;

pub use artifacts::{Artifacts, Binary, Carried, Deb};
pub use host::{
    FileEffect, Host, HostAddresses, HostState, KeyedText, Layer, Layered, Patch, Role, Ssh, Taint,
    UserContent, UserFile,
};
pub use net::{Endpoint, Family, IpSet, Subnets, Vip};
pub use version::{KubeadmApi, Version};
pub use waiver::Waiver;

use crate::pki::recipients::Recipients;
use crate::value::Value;

/// All clusters of one inventory folder, sorted by folder name.
#[derive(Debug, Clone)]
pub struct Inventory {
    /// At least one.
    pub clusters: Vec<Cluster>,
}

/// One cluster: a folder with `cluster.*`.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// The subfolder's name when the inventory holds several clusters; names the output's subfolder too.
    pub folder: Option<String>,
    /// The folder on disk that holds `files/`, `patches/` and `secrets/`.
    pub dir: std::path::PathBuf,
    /// kubeadm's `clusterName`.
    pub name: String,
    /// Appended to a host's short name to form its FQDN.
    pub domain: String,
    /// Whether the operator said that the cluster runs; founding facts are then fixed.
    pub state: ClusterState,
    /// The Kubernetes part.
    pub kubernetes: Kubernetes,
    /// The external etcd.
    pub etcd: Etcd,
    /// The way to the API servers.
    pub load_balancer: LoadBalancer,
    /// Lifetimes of what khagen issues.
    pub pki: Pki,
    /// `secrets.recipients`: whom the store is encrypted to.
    pub recipients: Recipients,
    /// Hosts that belong to the cluster, sorted by FQDN.
    pub hosts: Vec<Host>,
    /// Hosts that leave it (`state: retired`), sorted by FQDN. They count for nothing but their names and addresses, and
    /// keep a bundle that takes them down.
    pub retired: Vec<Host>,
    /// Warnings that are accepted, by code, path and day. Nothing on a host depends on them.
    pub waivers: Vec<Waiver>,
}

/// `cluster.state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClusterState {
    /// Not bootstrapped yet; founding facts may change.
    New,
    /// Bootstrapped; founding facts are fixed and etcd members start with state `existing`.
    Running,
}

/// The `kubernetes` part of the inventory.
#[derive(Debug, Clone)]
pub struct Kubernetes {
    /// Exact version.
    pub version: Version,
    /// `controlPlaneEndpoint`, always with a port.
    pub endpoint: Endpoint,
    /// `networking.dnsDomain`.
    pub dns_domain: String,
    /// `networking.podSubnet`.
    pub pod_subnets: Subnets,
    /// `networking.serviceSubnet`.
    pub service_subnets: Subnets,
    /// Only checked for overlap.
    pub external_subnets: Vec<ipnet::IpNet>,
    /// kube-proxy's mode, or none.
    pub kube_proxy_mode: KubeProxyMode,
    /// Further fields of KubeProxyConfiguration, as the user wrote them.
    pub kube_proxy_config: Value,
    /// `apiServer.certSANs`, without those that khagen derives.
    pub cert_sans: Vec<String>,
    /// `localAPIEndpoint.bindPort` of every control plane.
    pub bind_port: u16,
    /// `apiServer` of ClusterConfiguration.
    pub api_server: ControlPlaneComponent,
    /// `controllerManager` of ClusterConfiguration.
    pub controller_manager: ControlPlaneComponent,
    /// `scheduler` of ClusterConfiguration.
    pub scheduler: ControlPlaneComponent,
    /// Further fields of KubeletConfiguration for every node.
    pub kubelet_config: Value,
    /// `imageRepository`, if not kubeadm's.
    pub image_repository: Option<String>,
    /// `dns`.
    pub dns: Dns,
    /// Phases of `kubeadm init` that are left out.
    pub skip_init_phases: Vec<String>,
    /// Phases of `kubeadm join` that are left out.
    pub skip_join_phases: Vec<String>,
    /// kubeadm feature gates.
    pub feature_gates: BTreeMap<String, bool>,
    /// v1beta4 `timeouts`, as durations in Go's form.
    pub timeouts: BTreeMap<String, String>,
    /// How long the bootstrap token lives from `kubeadm init`, in Go's form ("24h0m0s").
    pub token_ttl: String,
    /// containerd's configuration format.
    pub containerd: ContainerdMajor,
    /// Whether the cluster has the keys of its CAs.
    pub pki: PkiMode,
}

/// `kubernetes.pki`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PkiMode {
    /// khagen issues for the control planes and gives them the CAs' keys; kubelets bootstrap by token.
    #[default]
    Pregenerated,
    /// khagen issues everything, kubelets' credentials too; the CAs' keys never leave the store, and nobody signs in the
    /// cluster.
    ExternalCa,
    /// khagen makes the CAs and gives them to the first control plane; kubeadm spreads them (upload-certs) and signs the
    /// control planes' certificates and kubeconfigs on the hosts; kubelets bootstrap by token.
    Kubeadm,
}

impl PkiMode {
    /// The word in the inventory.
    pub fn as_str(self) -> &'static str {
        match self {
            PkiMode::Pregenerated => "pregenerated",
            PkiMode::ExternalCa => "external-ca",
            PkiMode::Kubeadm => "kubeadm",
        }
    }
}

/// `dns` of ClusterConfiguration.
#[derive(Debug, Clone, Default)]
pub struct Dns {
    /// Where CoreDNS's image comes from, if not from where the others do.
    pub image_repository: Option<String>,
    /// Its tag, if not the version's own.
    pub image_tag: Option<String>,
    /// Whether kubeadm installs none (v1beta4).
    pub disabled: bool,
}

/// `extraArgs`, `extraVolumes`, `extraEnvs` of one control-plane component.
#[derive(Debug, Clone, Default)]
pub struct ControlPlaneComponent {
    /// Name and value, sorted by name; a name may repeat where v1beta4 allows it.
    pub extra_args: Vec<(String, String)>,
    /// `extraVolumes`, as written.
    pub extra_volumes: Vec<Value>,
    /// `extraEnvs`, as written (v1beta4).
    pub extra_envs: Vec<Value>,
}

/// kube-proxy's mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KubeProxyMode {
    /// nftables, GA in 1.33.
    Nftables,
    /// iptables.
    Iptables,
    /// ipvs, deprecated in 1.35.
    Ipvs,
    /// No kube-proxy: the CNI replaces it.
    None,
}

impl KubeProxyMode {
    /// The value of KubeProxyConfiguration's `mode`; `None` where kube-proxy is not installed.
    pub fn as_str(self) -> &'static str {
        match self {
            KubeProxyMode::Nftables => "nftables",
            KubeProxyMode::Iptables => "iptables",
            KubeProxyMode::Ipvs => "ipvs",
            KubeProxyMode::None => "none",
        }
    }
}

/// Which containerd the nodes run; 1.7 reads configuration version 2, 2.x reads version 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerdMajor {
    /// containerd 1.6 and 1.7.
    V1,
    /// containerd 2.x.
    V2,
}

/// The `etcd` part of the inventory.
#[derive(Debug, Clone)]
pub struct Etcd {
    /// Exact version.
    pub version: Version,
    /// Port for clients.
    pub client_port: u16,
    /// Port for peers.
    pub peer_port: u16,
    /// Port of /metrics and /health, on loopback only.
    pub metrics_port: u16,
    /// Absolute path.
    pub data_dir: String,
    /// Absolute path of the folder that holds etcd, etcdctl and etcdutl.
    pub bin_dir: String,
    /// Bytes; etcd's own limit is 2 GiB when 0.
    pub quota_backend_bytes: u64,
    /// Milliseconds.
    pub heartbeat_interval: u32,
    /// Milliseconds.
    pub election_timeout: u32,
    /// etcd's snapshot-count.
    pub snapshot_count: u32,
    /// `auto-compaction-mode` and `-retention`, if asked for.
    pub auto_compaction: Option<(String, String)>,
    /// Whether peers have a CA of their own.
    pub peer_ca: PeerCa,
    /// systemd's OnCalendar of the snapshot timer.
    pub snapshot_schedule: String,
    /// How many snapshots are kept.
    pub snapshot_keep: u32,
    /// Folder of the snapshots, absolute.
    pub snapshot_dir: String,
}

/// `etcd.peerCA`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerCa {
    /// Peers trust a CA that signs nothing else.
    Separate,
    /// One CA for clients and peers, as the tutorial.
    Same,
}

/// The `loadBalancer` part of the inventory.
#[derive(Debug, Clone)]
pub struct LoadBalancer {
    /// Who serves the endpoint.
    pub mode: LoadBalancerMode,
    /// One VRRP instance each; empty unless the mode is keepalived (external: the address, if given).
    pub vips: Vec<Vip>,
    /// The port the balancers listen on.
    pub port: u16,
    /// nginx's proxy_connect_timeout, seconds.
    pub connect_timeout: u32,
    /// nginx's proxy_timeout, seconds.
    pub idle_timeout: u32,
    /// Whether VRRP adverts carry a password that khagen mints.
    pub auth: bool,
}

/// `loadBalancer.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadBalancerMode {
    /// nginx and keepalived on hosts of ours.
    Keepalived,
    /// Somebody else's balancer.
    External,
    /// One control plane, no balancer.
    None,
}

/// The `pki` part of the inventory. All in days.
#[derive(Debug, Clone)]
pub struct Pki {
    /// Lifetime of CAs.
    pub ca_validity_days: u32,
    /// Lifetime of every other certificate.
    pub validity_days: u32,
    /// From how many days before its end a certificate is reported as due.
    pub renew_before_days: u32,
    /// Of new keys.
    pub algorithm: KeyAlgorithm,
}

/// What a key is for, by kubeadm's names (kubeadm's EncryptionAlgorithmType).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyAlgorithm {
    /// ECDSA on NIST's curve P-256.
    #[default]
    P256,
    /// ECDSA on NIST's curve P-384.
    P384,
    /// RSA of 2048 bits.
    Rsa2048,
    /// RSA of 3072 bits.
    Rsa3072,
    /// RSA of 4096 bits.
    Rsa4096,
    /// ECDSA on NIST's curve P-521: of an imported CA, never one to choose, as kubeadm has no name for it.
    P521,
}

impl KeyAlgorithm {
    /// All that can be chosen, the default first.
    pub const ALL: [KeyAlgorithm; 5] = [
        KeyAlgorithm::P256,
        KeyAlgorithm::P384,
        KeyAlgorithm::Rsa2048,
        KeyAlgorithm::Rsa3072,
        KeyAlgorithm::Rsa4096,
    ];

    /// kubeadm's name.
    pub fn as_str(self) -> &'static str {
        match self {
            KeyAlgorithm::P256 => "ECDSA-P256",
            KeyAlgorithm::P384 => "ECDSA-P384",
            KeyAlgorithm::Rsa2048 => "RSA-2048",
            KeyAlgorithm::Rsa3072 => "RSA-3072",
            KeyAlgorithm::Rsa4096 => "RSA-4096",
            KeyAlgorithm::P521 => "ECDSA-P521",
        }
    }

    /// Whether it is RSA, of whatever size.
    pub fn is_rsa(self) -> bool {
        matches!(self, KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096)
    }
}

impl Cluster {
    /// Hosts that belong to the cluster and those that leave it, in order of FQDN: all that have a bundle.
    pub fn with_retired(&self) -> Vec<&Host> {
        let mut all: Vec<&Host> = self.hosts.iter().chain(&self.retired).collect();
        all.sort_by(|a, b| a.fqdn.cmp(&b.fqdn));
        all
    }

    /// Hosts that have a role, in order of FQDN.
    pub fn with_role(&self, role: Role) -> impl Iterator<Item = &Host> + '_ {
        self.hosts.iter().filter(move |h| h.has(role))
    }

    /// Hosts that run a kubelet.
    pub fn nodes(&self) -> impl Iterator<Item = &Host> + '_ {
        self.hosts.iter().filter(|h| h.has(Role::ControlPlane) || h.has(Role::Worker))
    }

    /// Whether nobody in the cluster can sign.
    pub fn is_external_ca(&self) -> bool {
        self.kubernetes.pki == PkiMode::ExternalCa
    }

    /// Whether kubeadm signs the control planes' certificates, and spreads the CAs that it signs with.
    pub fn is_kubeadm_pki(&self) -> bool {
        self.kubernetes.pki == PkiMode::Kubeadm
    }

    /// The client URLs of etcd's members, in order of FQDN.
    pub fn etcd_endpoints(&self) -> Vec<String> {
        self.with_role(Role::Etcd)
            .map(|h| format!("https://{}:{}", net::bracketed(h.addresses.primary()), self.etcd.client_port))
            .collect()
    }
}

/// An address as it stands in a URL or before a port: IPv6 in brackets (RFC 3986 section 3.2.2).
pub fn bracketed(ip: std::net::IpAddr) -> String {
    net::bracketed(ip)
}
