//! A bundle before it is packed: its files in order and the head of its manifest, all symbolic.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::content::{Content, ObjectId, Piece};
use crate::plan::{FileLayer, Policy};

/// All that one host, or the operator, gets.
#[derive(Debug)]
pub struct Bundle {
    /// The tarball's one folder: the host's FQDN, or `operator`.
    pub name: String,
    /// Sorted by path, without doubles.
    pub files: Vec<BundleFile>,
    /// Lines of MANIFEST.json before the list of files, without the generation: `"key": value`.
    pub head: Vec<(&'static str, String)>,
}

/// A file of a bundle.
#[derive(Debug, Clone)]
pub struct BundleFile {
    /// Path in the bundle's folder: `install.sh`, `root/etc/etcd/etcd.env`.
    pub path: Arc<str>,
    /// Permission bits in the tarball.
    pub mode: u32,
    /// For files that go to the host: owner, group and policy there.
    pub on_host: Option<OnHost>,
    /// Where the text stands in the review tree.
    pub layer: FileLayer,
    /// What is in it.
    pub content: Arc<Content>,
}

/// What install.sh does with a file.
#[derive(Debug, Clone)]
pub struct OnHost {
    /// User name.
    pub owner: Arc<str>,
    /// Group name.
    pub group: Arc<str>,
    /// How it is treated.
    pub policy: Policy,
}

/// What is known of secrets without their bytes.
pub trait Fingerprints {
    /// A secret's fingerprint, hexadecimal.
    fn fingerprint(&self, id: &ObjectId) -> Option<&str>;
}

impl BundleFile {
    /// A path of the review tree, relative to `review/`; `None` for a file that is nothing but a secret, which is only
    /// listed in FILES.
    pub fn review_path(&self, bundle: &str) -> Option<String> {
        if self.only_secret().is_some() {
            return None;
        }
        Some(match &self.layer {
            FileLayer::Shared(layer) => format!("shared/{layer}/{}", self.path),
            FileLayer::Host if bundle == OPERATOR => format!("operator/{}", self.path),
            FileLayer::Host => format!("hosts/{bundle}/{}", self.path),
        })
    }

    /// The secret, if the file is one and nothing else.
    pub fn only_secret(&self) -> Option<&ObjectId> {
        match self.content.pieces() {
            [Piece::Secret(id, crate::content::Encoding::Raw)] => Some(id),
            _ => None,
        }
    }

    /// The file's path on the host, if it goes there.
    pub fn host_path(&self) -> Option<&str> {
        self.on_host.as_ref().and(self.path.strip_prefix("root"))
    }
}

/// Part of every bundle's digest. To be changed when packing changes what the same bundle looks like, so that the next
/// build packs all of them again.
const FORMAT: &[u8] = b"2\0";

/// The operator bundle's name.
pub const OPERATOR: &str = "operator";

/// The text as a reviewer sees it: each secret is `<secret NAME FINGERPRINT>`.
pub fn symbolic_text(content: &Content, known: &impl Fingerprints) -> String {
    let mut out = String::new();
    for piece in content.pieces() {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Secret(id, _) => {
                out.push_str("<secret ");
                out.push_str(id.as_str());
                out.push(' ');
                out.push_str(known.fingerprint(id).unwrap_or("unknown"));
                out.push('>');
            }
        }
    }
    out
}

impl Bundle {
    /// Sorts the files by path.
    pub fn sort(&mut self) {
        self.files.sort_by(|a, b| a.path.cmp(&b.path));
    }

    /// SHA-256 over all that the bundle says, secrets by fingerprint and without the generation: what decides whether
    /// the generation is raised. `text_digest` gives the digest of a file's symbolic text.
    pub fn digest(&self, mut text_digest: impl FnMut(&BundleFile) -> [u8; 32]) -> String {
        let mut hash = Sha256::new();
        hash.update(FORMAT);
        for (key, value) in &self.head {
            hash.update(key.as_bytes());
            hash.update(b"\0");
            hash.update(value.as_bytes());
            hash.update(b"\0");
        }
        for file in &self.files {
            hash.update(file.path.as_bytes());
            hash.update(file.mode.to_be_bytes());
            if let Some(on_host) = &file.on_host {
                for text in [&*on_host.owner, &*on_host.group, on_host.policy.as_str()] {
                    hash.update(text.as_bytes());
                    hash.update(b"\0");
                }
            }
            if let FileLayer::Shared(layer) = &file.layer {
                hash.update(layer.as_bytes());
            }
            hash.update(b"\0");
            hash.update(text_digest(file));
        }
        hex(&hash.finalize())
    }

    /// The review tree's BUNDLE.json: MANIFEST.json without the generation and the lists of files, which FILES has.
    pub fn head_text(&self) -> String {
        let lines: Vec<String> = self.head.iter().map(|(key, value)| format!("\"{key}\": {value}")).collect();
        format!("{{\n{}\n}}\n", lines.join(",\n"))
    }

    /// The review tree's FILES: a line per file with mode, owner, policy, where its text is, and its path.
    pub fn files_list(&self, known: &impl Fingerprints) -> String {
        use std::fmt::Write;
        let mut out = String::from("# mode owner:group policy where path\n");
        for file in &self.files {
            let (owner, group, policy) = match &file.on_host {
                Some(on_host) => (&*on_host.owner, &*on_host.group, on_host.policy.as_str()),
                None => ("root", "root", "bundle"),
            };
            let place = match (file.only_secret(), &file.layer) {
                (Some(id), _) => format!("secret:{id}:{}", known.fingerprint(id).unwrap_or("unknown")),
                (None, FileLayer::Shared(layer)) => format!("shared/{layer}"),
                (None, FileLayer::Host) => "here".to_owned(),
            };
            let _ = writeln!(out, "{:04o} {owner}:{group} {policy} {place} {}", file.mode, file.path);
        }
        for derived in ["MANIFEST.json", "SHA256SUMS"] {
            let _ = writeln!(out, "0600 root:root bundle derived {derived}");
        }
        out
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    out
}
