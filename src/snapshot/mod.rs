//! What a build holds, as a reviewer sees it: bundles of files with modes, owners, policies, texts in which secrets are
//! symbols, and fingerprints.
//!
//! The one type behind `diff` and `verify`, read from a review tree (folder or git), a tarball, an output folder or
//! memory. Nothing here compares or judges, and no secret's bytes leave this module.

mod body;
mod git;
mod head;
mod manifest;
mod open;
mod problem;
mod review;
pub mod tarball;
mod tree;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use head::{Head, Unit};
pub use open::{Opened, Side, open, packed, tarballs_in};
pub use problem::{Problem, SnapshotError};
pub use review::Review;
pub use tree::{Folder, MAX_FILE};

/// What one host, or the operator, gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// FQDN, or `operator`.
    pub name: Arc<str>,
    /// What the manifest says of the host.
    pub head: Head,
    /// By path in the bundle: `install.sh`, `root/etc/hosts`.
    pub files: BTreeMap<Arc<str>, File>,
}

/// A file of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Permission bits.
    pub mode: u32,
    /// User name on the host.
    pub owner: Arc<str>,
    /// Group name on the host.
    pub group: Arc<str>,
    /// How install.sh treats it; `bundle` for what stays in the bundle.
    pub policy: Arc<str>,
    /// What is in it.
    pub body: Body,
}

/// A file's content without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Text; each secret in it is `<secret NAME FINGERPRINT>`.
    Text(Arc<str>),
    /// Nothing but a secret.
    Secret {
        /// The store's name of it.
        id: Arc<str>,
        /// SHA-256 of the public key, or an HMAC.
        fingerprint: Arc<str>,
    },
}

/// One cluster's bundles. Reading is lazy, so that comparing a thousand hosts reads those that differ.
pub trait Snapshot: Send + Sync {
    /// The bundles' names, each with what tells its content from any other's, where that is known without reading it.
    /// Two equal identities of the same kind of source are equal bundles, generations aside.
    fn names(&self) -> &BTreeMap<Arc<str>, Option<Identity>>;

    /// A bundle's head.
    ///
    /// # Errors
    /// When it cannot be read.
    fn head(&self, name: &str) -> Result<Head, SnapshotError>;

    /// A whole bundle.
    ///
    /// # Errors
    /// When it cannot be read, naming every file at fault.
    fn bundle(&self, name: &str) -> Result<Bundle, SnapshotError>;

    /// What a reviewer would read and nobody gets; only a review tree can hold such.
    ///
    /// # Errors
    /// When it cannot be listed.
    fn strays(&self) -> Result<Vec<Problem>, SnapshotError> {
        Ok(Vec::new())
    }
}

/// Names a bundle's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// The ledger's digest of the symbolic content.
    Content(String),
    /// SHA-256 of the tarball.
    Packed(String),
    /// Git's object ids of the host's folder and of the shared one.
    Git(String),
}

/// The operator bundle's name.
pub use crate::pack::bundle::OPERATOR;

/// Bundles that are in memory.
pub struct Memory {
    names: BTreeMap<Arc<str>, Option<Identity>>,
    bundles: BTreeMap<Arc<str>, Bundle>,
}

impl Memory {
    /// Takes bundles, with their identities where those are known.
    pub fn new(bundles: impl IntoIterator<Item = (Bundle, Option<Identity>)>) -> Memory {
        let mut memory = Memory { names: BTreeMap::new(), bundles: BTreeMap::new() };
        for (bundle, identity) in bundles {
            memory.names.insert(bundle.name.clone(), identity);
            memory.bundles.insert(bundle.name.clone(), bundle);
        }
        memory
    }
}

impl Snapshot for Memory {
    fn names(&self) -> &BTreeMap<Arc<str>, Option<Identity>> {
        &self.names
    }

    fn head(&self, name: &str) -> Result<Head, SnapshotError> {
        Ok(self.bundle(name)?.head)
    }

    fn bundle(&self, name: &str) -> Result<Bundle, SnapshotError> {
        self.bundles.get(name).cloned().ok_or_else(|| SnapshotError::no_bundle(name))
    }
}

/// A bundle of a build, before it is packed, as a snapshot has it.
pub fn of_build(
    bundle: &crate::pack::bundle::Bundle,
    known: &impl crate::pack::bundle::Fingerprints,
    texts: &mut TextCache,
) -> Result<Bundle, SnapshotError> {
    let mut files = BTreeMap::new();
    for file in &bundle.files {
        let (owner, group, policy): (Arc<str>, Arc<str>, &str) = match &file.on_host {
            Some(on_host) => (on_host.owner.clone(), on_host.group.clone(), on_host.policy.as_str()),
            None => (Arc::from("root"), Arc::from("root"), "bundle"),
        };
        let body = match file.only_secret() {
            Some(id) => Body::Secret {
                id: Arc::from(id.as_str()),
                fingerprint: Arc::from(known.fingerprint(id).unwrap_or("unknown")),
            },
            None => Body::Text(texts.symbolic(&file.content, known)),
        };
        let file_of = File { mode: file.mode, owner, group, policy: Arc::from(policy), body };
        files.insert(file.path.clone(), file_of);
    }
    let head = Head::parse(&bundle.head_text())
        .map_err(|what| SnapshotError::one(format!("{}: BUNDLE.json", bundle.name), what))?;
    Ok(Bundle { name: Arc::from(bundle.name.as_str()), head, files })
}

/// Symbolic texts of contents that many bundles share, made once.
#[derive(Default)]
pub struct TextCache(std::collections::HashMap<usize, (Arc<crate::content::Content>, Arc<str>)>);

impl TextCache {
    fn symbolic(
        &mut self,
        content: &Arc<crate::content::Content>,
        known: &impl crate::pack::bundle::Fingerprints,
    ) -> Arc<str> {
        let text = || Arc::from(crate::pack::bundle::symbolic_text(content, known));
        // The content is kept beside its text, so that its address names it as long as the cache lives.
        let key = Arc::as_ptr(content) as usize;
        self.0.entry(key).or_insert_with(|| (content.clone(), text())).1.clone()
    }
}
