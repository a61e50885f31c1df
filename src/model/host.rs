//! A host, its roles and its settings after layering.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::Artifacts;
use crate::value::Value;

/// What a host is for. The order is the order of bringing up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Member of the external etcd.
    Etcd,
    /// nginx and keepalived before the API servers.
    LoadBalancer,
    /// kube-apiserver, kube-controller-manager, kube-scheduler.
    ControlPlane,
    /// Runs workloads only.
    Worker,
}

impl Role {
    /// All roles, in order of bringing up.
    pub const ALL: [Role; 4] = [Role::Etcd, Role::LoadBalancer, Role::ControlPlane, Role::Worker];

    /// The role's name in the inventory.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Etcd => "etcd",
            Role::LoadBalancer => "load-balancer",
            Role::ControlPlane => "control-plane",
            Role::Worker => "worker",
        }
    }

    /// Reads a role's name.
    pub fn parse(text: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|r| r.as_str() == text)
    }
}

/// Whether a host belongs to the cluster or leaves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostState {
    /// Part of the cluster.
    Active,
    /// Keeps only what is needed to leave.
    Retired,
}

/// Where a setting of a host came from; later layers win.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// khagen's own default.
    Builtin,
    /// `defaults`.
    Defaults,
    /// `roles.<role>`.
    Role,
    /// `groups.<group>`.
    Group,
    /// The host's own entry.
    Host,
}

/// A merged setting together with the latest layer that had a say in it.
#[derive(Debug, Clone)]
pub struct Layered<T> {
    /// The setting.
    pub value: T,
    /// The latest layer that set any part of it.
    pub from: Layer,
}

/// Text by key, sorted: labels, sysctls.
pub type KeyedText = BTreeMap<String, String>;

/// One machine.
#[derive(Debug, Clone)]
pub struct Host {
    /// Short name, DNS-1123 label.
    pub name: String,
    /// Short name and domain.
    pub fqdn: String,
    /// The Kubernetes node name.
    pub node_name: String,
    /// Sorted, at least one.
    pub roles: Vec<Role>,
    /// The group that the host is in.
    pub group: Option<String>,
    /// Failure domain.
    pub zone: Option<String>,
    /// Addresses by use.
    pub addresses: HostAddresses,
    /// Says in which list of the cluster the host stands.
    pub state: HostState,
    /// Interface that carries the host's address; VRRP and kubelet use it.
    pub interface: Option<String>,
    /// How the bastion reaches the host.
    pub ssh: Ssh,
    /// Node labels that the operator sets.
    pub labels: KeyedText,
    /// Node taints at registration; `None` leaves kubeadm's default.
    pub taints: Option<Vec<Taint>>,
    /// KubeletConfiguration fields for this node only, applied as a kubeadm patch.
    pub kubelet: Layered<Value>,
    /// User's sysctls, beside khagen's own.
    pub sysctls: Layered<KeyedText>,
    /// User's files.
    pub files: Vec<UserFile>,
    /// kubeadm patches of the user's, in their order, with the latest layer that named them.
    pub patches: Layered<Vec<Patch>>,
    /// `imagePullPolicy` of kubeadm's nodeRegistration.
    pub image_pull_policy: String,
    /// `imagePullSerial`, if it is not left to kubeadm (v1beta4).
    pub image_pull_serial: Option<bool>,
    /// Packages and programs that travel beside the host's bundle.
    pub artifacts: Artifacts,
    /// Where files that come from layered settings belong.
    pub kubelet_extra_args: Vec<(String, String)>,
    /// `ignorePreflightErrors` for kubeadm on this host.
    pub ignore_preflight_errors: Vec<String>,
}

impl Host {
    /// Whether the host has a role.
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Whether a kubelet runs here.
    pub fn is_node(&self) -> bool {
        self.has(Role::ControlPlane) || self.has(Role::Worker)
    }
}

/// A host's addresses. `cluster` holds one address, or one of each family.
#[derive(Debug, Clone)]
pub struct HostAddresses {
    /// The address (or v4 and v6) that the cluster uses; the first is the primary one.
    pub cluster: Vec<IpAddr>,
    /// Address for etcd's peers, if not the primary one.
    pub etcd_peer: Option<IpAddr>,
}

impl HostAddresses {
    /// The first cluster address.
    pub fn primary(&self) -> IpAddr {
        self.cluster.first().copied().unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED))
    }

    /// The address that etcd's peers use.
    pub fn peer(&self) -> IpAddr {
        self.etcd_peer.unwrap_or_else(|| self.primary())
    }
}

/// How the bastion reaches a host.
#[derive(Debug, Clone)]
pub struct Ssh {
    /// Name or address to connect to.
    pub address: String,
    /// Login name.
    pub user: String,
    /// TCP port.
    pub port: u16,
}

/// A node taint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taint {
    /// Label key.
    pub key: String,
    /// May be empty.
    pub value: String,
    /// NoSchedule, PreferNoSchedule or NoExecute.
    pub effect: String,
}

/// What is in a file of the user's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserContent {
    /// The text (UTF-8), read from `files/` when the inventory was loaded.
    Text(std::sync::Arc<str>),
    /// The name of a secret of the user's in the store.
    Secret(String),
}

/// A file of the user's that goes to a host as it is.
#[derive(Debug, Clone)]
pub struct UserFile {
    /// Absolute path on the host.
    pub path: String,
    /// What is in it.
    pub content: UserContent,
    /// Permission bits.
    pub mode: u32,
    /// User name.
    pub owner: String,
    /// Group name.
    pub group: String,
    /// Its place in the list that names it, for pointing at it.
    pub nth: usize,
    /// What a change means: the unit to reload or restart, if any.
    pub effect: Option<FileEffect>,
    /// The latest layer that named it.
    pub from: Layer,
}

/// A kubeadm patch of the user's.
#[derive(Debug, Clone)]
pub struct Patch {
    /// kubeadm's target: kube-apiserver, kubeletconfiguration and so on.
    pub target: String,
    /// strategic, merge or json.
    pub kind: String,
    /// The text, read from `patches/` when the inventory was loaded.
    pub content: std::sync::Arc<str>,
}

/// What happens when a user's file changes, in the inventory's words: `restart UNIT` or `reload UNIT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEffect {
    /// Restart rather than reload.
    pub restart: bool,
    /// systemd unit.
    pub unit: String,
}
