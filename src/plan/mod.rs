//! What each host gets and what must be issued, decided before anything is made. Pure: no clock, no randomness, no files.

pub mod certs;
pub mod founding;
pub mod paths;
pub mod ports;

use std::net::IpAddr;
use std::sync::Arc;

use crate::content::{Content, ObjectId};
use crate::model::KeyAlgorithm;

/// A certificate that the cluster needs, and all that it is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertRequest {
    /// Its place in the store.
    pub id: ObjectId,
    /// The CA that signs it; `None` is a self-signed CA.
    pub issuer: Option<ObjectId>,
    /// Constraints and usages.
    pub profile: Profile,
    /// Common name; only a server certificate may do without.
    pub common_name: Option<String>,
    /// One organization at most: rcgen's names hold one attribute of a kind.
    pub organization: Option<String>,
    /// Sorted, without doubles.
    pub dns_sans: Vec<String>,
    /// Sorted, without doubles.
    pub ip_sans: Vec<IpAddr>,
    /// Of its key.
    pub algorithm: KeyAlgorithm,
    /// Lifetime in days.
    pub validity_days: u32,
    /// What it is for, in words, for lists and reviews.
    pub purpose: &'static str,
    /// FQDN of the host that holds it, or `None` for the cluster's and the operator's.
    pub host: Option<String>,
}

/// Constraints and usages of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// basicConstraints CA:TRUE; keyCertSign, cRLSign, digitalSignature.
    Ca,
    /// serverAuth.
    Server,
    /// clientAuth.
    Client,
    /// serverAuth and clientAuth: etcd members (their gateway and peers are both).
    ServerAndClient,
}

/// A secret that is no certificate's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretRequest {
    /// Its place in the store.
    pub id: ObjectId,
    /// What to make.
    pub kind: SecretKind,
    /// What it is for, in words.
    pub purpose: &'static str,
}

/// What to make for a [`SecretRequest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretKind {
    /// Key pair: PKCS#8 PEM and the public half as PEM (`PUBLIC KEY`).
    KeyPair(KeyAlgorithm),
    /// kubeadm's bootstrap token, `[a-z0-9]{6}.[a-z0-9]{16}`.
    BootstrapToken,
    /// 32 random bytes in hexadecimal, the key of fingerprints.
    HmacKey,
    /// 32 random bytes in hexadecimal, the AES key of kubeadm's upload-certs.
    CertificateKey,
    /// Eight characters, all that VRRP takes.
    VrrpPassword,
}

/// A file on a host, symbolic.
#[derive(Debug, Clone)]
pub struct FileEntry {
    /// Absolute path on the host (policy `absent`, too).
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// User name.
    pub owner: String,
    /// Group name.
    pub group: String,
    /// How install.sh treats it.
    pub policy: Policy,
    /// Whether several hosts share the text.
    pub layer: FileLayer,
    /// What is in it.
    pub content: Arc<Content>,
}

/// How a file is treated on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Policy {
    /// Always as the bundle has it.
    Managed,
    /// The host's own tools rewrite it: never overwritten.
    CreateOnce,
    /// Between markers in a file that is not ours.
    Block,
    /// Must not be there.
    Absent,
    /// Read by a one-time step.
    Input,
}

impl Policy {
    /// The name in manifests and review trees.
    pub fn as_str(self) -> &'static str {
        match self {
            Policy::Managed => "managed",
            Policy::CreateOnce => "create-once",
            Policy::Block => "block",
            Policy::Absent => "absent",
            Policy::Input => "input",
        }
    }
}

/// Where a file's text stands in the review tree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileLayer {
    /// Once, under `shared/<layer>`: `all`, `kubernetes`, a role, or `role@group`.
    Shared(Arc<str>),
    /// Under the host.
    Host,
}

impl FileEntry {
    /// A root-owned 0644 file that is kept as the bundle has it.
    pub fn new(path: impl Into<String>, layer: FileLayer, content: Content) -> FileEntry {
        FileEntry {
            path: path.into(),
            mode: 0o644,
            owner: "root".to_owned(),
            group: "root".to_owned(),
            policy: Policy::Managed,
            layer,
            content: Arc::new(content),
        }
    }

    /// With other permission bits.
    pub fn mode(mut self, mode: u32) -> FileEntry {
        self.mode = mode;
        self
    }

    /// With another owner and group.
    pub fn owned(mut self, owner: &str, group: &str) -> FileEntry {
        self.owner = owner.to_owned();
        self.group = group.to_owned();
        self
    }

    /// With another policy.
    pub fn policy(mut self, policy: Policy) -> FileEntry {
        self.policy = policy;
        self
    }
}

/// A shared layer by name.
pub fn shared(layer: &str) -> FileLayer {
    FileLayer::Shared(Arc::from(layer))
}
