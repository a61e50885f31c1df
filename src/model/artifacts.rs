//! Packages and programs that travel beside a host's bundle. What is here was read and has the digest that was asked for.

use std::path::PathBuf;
use std::sync::Arc;

use super::FileEffect;

/// What a host gets.
#[derive(Debug, Clone, Default)]
pub struct Artifacts {
    /// In an order in which dpkg can unpack them: what another needs comes first.
    pub debs: Vec<Arc<Deb>>,
    /// Sorted by path.
    pub binaries: Vec<Arc<Binary>>,
}

/// A Debian package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deb {
    /// Where its bytes are.
    pub carried: Carried,
    /// Its name.
    pub package: String,
    /// Its version, with epoch and revision.
    pub version: String,
    /// `all`, or Debian's name of an architecture.
    pub architecture: String,
}

/// A program that no package brings. root owns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binary {
    /// Where its bytes are.
    pub carried: Carried,
    /// Absolute path on the host.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// What a change means.
    pub effect: Option<FileEffect>,
    /// The inventory's path of the entry that names it, for pointing at it: `artifacts.etcd.binaries.0`.
    pub place: String,
}

/// Bytes that travel beside the bundles, once however many hosts need them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// Its name in the output's `packages/`: the beginning of its digest, and its own name. So equal names are equal bytes.
    pub file: String,
    /// The file on disk.
    pub disk: PathBuf,
    /// As the inventory names it, below `artifacts/`.
    pub source: String,
    /// The path in the tarball that the source is.
    pub member: Option<String>,
    /// Bytes, unpacked.
    pub size: u64,
    /// SHA-256, hexadecimal, unpacked.
    pub sha256: String,
}

impl Carried {
    /// The name in `packages/` of a file with this digest.
    pub fn name(sha256: &str, path: &str) -> String {
        let base = path.rsplit('/').next().unwrap_or(path);
        format!("{}-{base}", sha256.get(..12).unwrap_or(sha256))
    }

    /// Where it comes from, for people: `etcd.tar.gz:etcd/etcdctl`.
    pub fn origin(&self) -> String {
        match &self.member {
            Some(member) => format!("{}:{member}", self.source),
            None => self.source.clone(),
        }
    }
}

impl Artifacts {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.debs.is_empty() && self.binaries.is_empty()
    }

    /// All that is carried.
    pub fn carried(&self) -> impl Iterator<Item = &Carried> {
        self.debs.iter().map(|d| &d.carried).chain(self.binaries.iter().map(|b| &b.carried))
    }
}
