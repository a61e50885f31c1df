//! What a comparison finds. The types are written as they are by `--format json`: their names are the published schema
//! (`docs/schema/diff-v1.json`), so that renaming one is a new version of it.

use std::sync::Arc;

use serde::Serialize;

use super::rollout::Rollout;

/// A comparison of two builds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Diff {
    /// `khagen-diff/v1`.
    pub schema: &'static str,
    /// How the user named the older side.
    pub old: String,
    /// How the user named the newer side.
    pub new: String,
    /// By folder.
    pub clusters: Vec<ClusterDiff>,
}

/// The schema that this khagen writes.
pub const SCHEMA: &str = "khagen-diff/v1";

/// One cluster's comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterDiff {
    /// Its folder in the output; empty for a single cluster.
    pub folder: String,
    /// kubeadm's cluster name.
    pub name: String,
    /// The ledger's cluster id.
    pub cluster_id: String,
    /// Every host of both sides by name, the operator's bundle last.
    pub hosts: Vec<HostDiff>,
    /// What changed, gravest first.
    pub changes: Vec<Change>,
    /// What certificates would be issued before such a build, and why (`build --diff` only).
    pub issues: Vec<Issue>,
    /// What an operator does about it.
    pub rollout: Rollout,
    /// The certificates of the newer side by date.
    pub certificates: Vec<CertificateDates>,
}

/// One host.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HostDiff {
    /// FQDN, or `operator`.
    pub name: Arc<str>,
    /// Roles, of the newer side where it has the host.
    pub roles: Vec<String>,
    /// Addresses in the cluster.
    pub addresses: Vec<String>,
    /// Whether it is on both sides.
    pub presence: Presence,
    /// The gravest effect of its changes.
    pub effect: Class,
}

/// On which sides a host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Presence {
    /// Both, with the same content.
    Unchanged,
    /// Both, with different content.
    Changed,
    /// Only the newer.
    Added,
    /// Only the older.
    Removed,
    /// Both, and the newer says that it leaves.
    Retired,
}

/// A difference, with every host that has it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// The file: absolute for one on the host, relative for one that stays in the bundle, `MANIFEST.json` for the manifest's
    /// head, empty for the host itself. `<host>` stands for the host's name where several hosts are told at once.
    pub file: String,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
    /// FQDNs, sorted.
    pub hosts: Vec<Arc<str>>,
    /// What stands for `<host>`, `<address>` and `<differs>`, host by host; empty where nothing does.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub each: Vec<Each>,
    /// Follows from another change of the same file: a new serial number of a renewed certificate.
    pub minor: bool,
    /// What comes of it, gravest first.
    pub effects: Vec<Effect>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum What {
    /// A host that the older side lacks.
    HostAdded {
        /// Its roles.
        roles: Vec<String>,
        /// How many files its bundle has.
        files: usize,
    },
    /// A host that the newer side lacks.
    HostRemoved {
        /// Its roles.
        roles: Vec<String>,
    },
    /// A host that leaves in an orderly way.
    HostRetired {
        /// Its former roles.
        roles: Vec<String>,
    },
    /// A new file.
    FileAdded {
        /// Permission bits, owner, group and policy.
        attributes: String,
        /// The secret, if it is one.
        #[serde(skip_serializing_if = "Option::is_none")]
        secret: Option<String>,
        /// Lines of text.
        lines: usize,
    },
    /// A file that is gone.
    FileRemoved {
        /// How it was treated.
        policy: String,
    },
    /// Permission bits.
    Mode {
        /// Before, octal.
        old: String,
        /// After.
        new: String,
    },
    /// Owner and group.
    Owner {
        /// Before.
        old: String,
        /// After.
        new: String,
    },
    /// How install.sh treats it.
    Policy {
        /// Before.
        old: String,
        /// After.
        new: String,
    },
    /// A setting of a file whose format is understood.
    Field {
        /// Where, in the format's terms.
        field: String,
        /// Before; absent for a new one.
        #[serde(skip_serializing_if = "Option::is_none")]
        old: Option<String>,
        /// After; absent for one that is gone.
        #[serde(skip_serializing_if = "Option::is_none")]
        new: Option<String>,
    },
    /// Text that has no fields.
    Text {
        /// Unified diff with three lines of context.
        patch: String,
        /// Lines that came.
        added: usize,
        /// Lines that went.
        removed: usize,
    },
    /// A secret that is a file of its own.
    Secret {
        /// Its name in the store.
        secret: String,
        /// `re-keyed` for a key pair, `rotated` for any other, `replaced` for another secret in its place.
        how: String,
        /// Fingerprint before.
        old: String,
        /// Fingerprint after.
        new: String,
    },
}

/// A change's own values on one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Each {
    /// FQDN.
    pub host: Arc<str>,
    /// The file on this host.
    pub file: String,
    /// Before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// After.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
}

/// What comes of a change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Effect {
    /// Of which kind.
    pub class: Class,
    /// The unit that is restarted or reloaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The procedure of reconfigure.sh, or the operator's script, that brings it in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub procedure: Option<String>,
    /// Why.
    pub reason: String,
    /// The rule that says so; `docs/effects.md` has them all.
    pub rule: &'static str,
}

/// Kinds of effects, mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Nothing that runs notices.
    None,
    /// Read once, long ago.
    Inert,
    /// A unit reads its files anew.
    Reload,
    /// A unit stops and starts.
    Restart,
    /// A certificate or key is issued again.
    Reissue,
    /// Only a procedure brings it into the running cluster.
    Reconfigure,
    /// Cannot be changed once the cluster or member was made.
    Recreate,
    /// Loses a member, data, or access.
    Destructive,
}

impl Class {
    /// All, mildest first.
    pub const ALL: [Class; 8] = [
        Class::None,
        Class::Inert,
        Class::Reload,
        Class::Restart,
        Class::Reissue,
        Class::Reconfigure,
        Class::Recreate,
        Class::Destructive,
    ];

    /// The word that is printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Class::None => "none",
            Class::Inert => "inert",
            Class::Reload => "reload",
            Class::Restart => "restart",
            Class::Reissue => "reissue",
            Class::Reconfigure => "reconfigure",
            Class::Recreate => "recreate",
            Class::Destructive => "destructive",
        }
    }
}

/// Something that the next build would issue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Issue {
    /// Its name in the store.
    pub id: String,
    /// Why.
    pub reason: String,
}

/// How long a certificate is valid, before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateDates {
    /// FQDN, or `operator`.
    pub host: Arc<str>,
    /// The file that holds it.
    pub file: String,
    /// Its subject.
    pub subject: String,
    /// Whether it is a CA's.
    pub ca: bool,
    /// Until when on the older side, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_not_after: Option<String>,
    /// Until when on the newer side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_not_after: Option<String>,
}

impl Change {
    /// The gravest effect.
    pub fn class(&self) -> Class {
        self.effects.iter().map(|e| e.class).max().unwrap_or(Class::None)
    }
}

impl Diff {
    /// Whether anything differs.
    pub fn is_empty(&self) -> bool {
        self.clusters.iter().all(|c| c.changes.is_empty())
    }
}
