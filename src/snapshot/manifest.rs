//! Makes a bundle, as a reviewer sees it, of what a tarball holds: every file against SHA256SUMS, MANIFEST.json and the
//! fingerprints of its secrets.
//!
//! Whoever rewrites a tarball rewrites its sums with it, so nothing here proves where it comes from. What is read here is what
//! a host's awk reads: a manifest that could be read in two ways is refused. Secrets' bytes are compared and dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::body::{self, Span};
use super::tarball::{Unpacked, problem};
use super::{Bundle, File, Head, Problem, SnapshotError};
use crate::pack::bundle::hex;
use crate::pki::key;

/// What MANIFEST.json lists.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    #[serde(default)]
    generation: u64,
    #[serde(default)]
    files: Vec<HostFile>,
    #[serde(default)]
    bundle_files: Vec<BundleFile>,
}

/// A file that goes to the host.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HostFile {
    path: String,
    mode: String,
    owner: String,
    group: String,
    policy: String,
    layer: String,
    secret: bool,
    sha256: String,
    #[serde(default)]
    secrets: Vec<Span>,
}

/// A file that stays in the bundle.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BundleFile {
    file: String,
    mode: String,
    sha256: String,
    #[serde(default)]
    secrets: Vec<Span>,
}

/// A tarball's bundle and its generation, with everything that does not fit together.
pub struct Checked {
    /// As a reviewer sees it.
    pub bundle: Bundle,
    /// The host's count of its bundles.
    pub generation: u64,
}

const MANIFEST: &str = "MANIFEST.json";
const SUMS: &str = "SHA256SUMS";
/// Written while packing, from all the others.
const DERIVED: [&str; 2] = [MANIFEST, SUMS];

/// Makes a bundle of what was unpacked: every file against the sums, the manifest and its secrets' fingerprints.
///
/// # Errors
/// Every file that is not what the manifest says, by name.
pub fn read(unpacked: &Unpacked) -> Result<Checked, SnapshotError> {
    let name = unpacked.name.as_str();
    let mut problems = Vec::new();
    let sums = sums(unpacked, &mut problems);
    let (manifest, head) = match manifest(unpacked, sums.as_ref()) {
        Ok(both) => both,
        Err(found) => {
            problems.extend(found);
            return Err(
                SnapshotError::all(problems).unwrap_or_else(|| SnapshotError::one(name, "is damaged"))
            );
        }
    };
    let key = Key::of(unpacked, &manifest);
    let mut files = BTreeMap::new();
    let mut listed = BTreeSet::new();
    for one in manifest.listed() {
        let sum = sums.as_ref().map(|s| s.get(one.path.as_str()).copied());
        if !listed.insert(one.path.clone()) {
            problems.push(problem(name, &one.path, "is in the manifest twice".to_owned()));
        }
        match file(unpacked, &one, sum, &key) {
            Ok(file) => drop(files.insert(Arc::from(one.path.as_str()), file)),
            Err(found) => problems.extend(found),
        }
    }
    for (path, entry) in &unpacked.files {
        if !DERIVED.contains(&path.as_str()) && !listed.contains(path) {
            problems.push(problem(name, path, "is not in the manifest".to_owned()));
        }
        if DERIVED.contains(&path.as_str()) && entry.mode != 0o600 {
            problems.push(problem(name, path, format!("has mode {:04o}, not 0600", entry.mode)));
        }
    }
    for path in sums.iter().flat_map(|s| s.keys()) {
        if !listed.contains(*path) && !unpacked.files.contains_key(*path) {
            problems.push(problem(name, SUMS, format!("names {path}, which is not there")));
        }
    }
    folders(unpacked, &listed, &mut problems);
    match SnapshotError::all(problems) {
        Some(error) => Err(error),
        None => Ok(Checked {
            bundle: Bundle { name: Arc::from(name), head, files },
            generation: manifest.generation,
        }),
    }
}

/// Reads the manifest; nothing is judged by one that is damaged.
fn manifest(
    unpacked: &Unpacked,
    sums: Option<&BTreeMap<&str, &str>>,
) -> Result<(Manifest, Head), Vec<Problem>> {
    let name = unpacked.name.as_str();
    let fail = |what: &str| vec![problem(name, MANIFEST, what.to_owned())];
    let bytes = unpacked.bytes(unpacked.files.get(MANIFEST).ok_or_else(|| fail("is missing"))?);
    match sums.map(|s| s.get(MANIFEST)) {
        Some(None) => return Err(vec![problem(name, SUMS, format!("does not name {MANIFEST}"))]),
        Some(Some(sum)) if **sum != digest(bytes) => {
            return Err(fail("is damaged: its SHA-256 is not that of SHA256SUMS"));
        }
        _ => {}
    }
    let text = std::str::from_utf8(bytes).map_err(|_| fail("is no UTF-8"))?;
    let head = Head::parse(text).map_err(|what| fail(&what))?;
    let manifest: Manifest = serde_json::from_str(text).map_err(|e| fail(&e.to_string()))?;
    if head.known.host != name {
        return Err(fail(&format!("is of {}, not of {name}", head.known.host)));
    }
    if let Some(f) = manifest.files.iter().find(|f| f.secret == f.secrets.is_empty()) {
        return Err(fail(&format!("does not say whether and where {} holds a secret", f.path)));
    }
    let lists = text.split_once("\"files\": [\n").map(|(_, lists)| lists);
    if lists != Some(manifest.written().as_str()) {
        return Err(fail("is not written as khagen writes it: a host may read it otherwise"));
    }
    Ok((manifest, head))
}

/// One file against its entry of the manifest and its sum; `None` where SHA256SUMS could not be read.
fn file(
    unpacked: &Unpacked,
    listed: &Listed<'_>,
    sum: Option<Option<&str>>,
    key: &Key,
) -> Result<File, Vec<Problem>> {
    let path = listed.path.as_str();
    let at = |place: &str, what: String| problem(&unpacked.name, place, what);
    let Some(entry) = unpacked.files.get(path) else {
        return Err(vec![at(path, "is missing".to_owned())]);
    };
    let mut problems = Vec::new();
    let mode = format!("{:04o}", entry.mode);
    if mode != listed.mode {
        problems.push(at(path, format!("has mode {mode}, not {}", listed.mode)));
    }
    let bytes = unpacked.bytes(entry);
    let found = digest(bytes);
    let is_listed = found == listed.sha256;
    match sum {
        // Two of the three agree on what the file should be.
        Some(None) if is_listed => problems.push(at(SUMS, format!("does not name {path}"))),
        Some(Some(sum)) if is_listed && sum != found => {
            problems.push(at(SUMS, format!("gives another sum for {path} than MANIFEST.json and the file")));
        }
        Some(Some(sum)) if sum != found => {
            problems.push(at(path, "is damaged: its SHA-256 is not that of SHA256SUMS".to_owned()));
        }
        _ if !is_listed => problems.push(at(path, "is not what the manifest says (SHA-256)".to_owned())),
        _ => {}
    }
    if !is_listed {
        return Err(problems);
    }
    match body::read(bytes, listed.secrets, key.key.as_ref()) {
        Ok(body) if problems.is_empty() => Ok(File {
            mode: entry.mode,
            owner: Arc::from(listed.owner),
            group: Arc::from(listed.group),
            policy: Arc::from(listed.policy),
            body,
        }),
        Ok(_) => Err(problems),
        Err(what) => {
            if key.is_whole {
                problems.push(at(path, what));
            }
            Err(problems)
        }
    }
}

/// The bundle's key of fingerprints. Where that file is damaged, which is said of it, no other is judged by it.
struct Key {
    key: Option<key::FingerprintKey>,
    is_whole: bool,
}

impl Key {
    fn of(unpacked: &Unpacked, manifest: &Manifest) -> Key {
        const PATH: &str = "fingerprint.key";
        let bytes = unpacked.files.get(PATH).map(|e| unpacked.bytes(e));
        let is_whole = manifest
            .listed()
            .find(|l| l.path == PATH)
            .is_none_or(|l| bytes.is_some_and(|b| digest(b) == l.sha256));
        Key { key: bytes.and_then(key::FingerprintKey::parse), is_whole }
    }
}

/// A file of either list.
struct Listed<'a> {
    path: String,
    mode: &'a str,
    owner: &'a str,
    group: &'a str,
    policy: &'a str,
    sha256: &'a str,
    secrets: &'a [Span],
}

impl Manifest {
    fn listed(&self) -> impl Iterator<Item = Listed<'_>> {
        let on_host = self.files.iter().map(|f| Listed {
            path: format!("root{}", f.path),
            mode: &f.mode,
            owner: &f.owner,
            group: &f.group,
            policy: &f.policy,
            sha256: &f.sha256,
            secrets: &f.secrets,
        });
        let kept = self.bundle_files.iter().map(|f| Listed {
            path: f.file.clone(),
            mode: &f.mode,
            owner: "root",
            group: "root",
            policy: "bundle",
            sha256: &f.sha256,
            secrets: &f.secrets,
        });
        on_host.chain(kept)
    }

    /// The lists as khagen writes them, after the first one's bracket.
    fn written(&self) -> String {
        let files = self.files.iter().map(|f| {
            format!(
                "{{\"path\": \"{}\", \"mode\": \"{}\", \"owner\": \"{}\", \"group\": \"{}\", \"policy\": \"{}\", \
                 \"layer\": \"{}\", \"secret\": {}, \"sha256\": \"{}\"{}}}",
                f.path,
                f.mode,
                f.owner,
                f.group,
                f.policy,
                f.layer,
                f.secret,
                f.sha256,
                spans(&f.secrets)
            )
        });
        let kept = self.bundle_files.iter().map(|f| {
            let secrets = spans(&f.secrets);
            format!(
                "{{\"file\": \"{}\", \"mode\": \"{}\", \"sha256\": \"{}\"{secrets}}}",
                f.file, f.mode, f.sha256
            )
        });
        let list = |lines: Vec<String>| {
            let end = if lines.is_empty() { "" } else { "\n" };
            format!("{}{end}", lines.join(",\n"))
        };
        format!("{}],\n\"bundleFiles\": [\n{}]\n}}\n", list(files.collect()), list(kept.collect()))
    }
}

fn spans(secrets: &[Span]) -> String {
    if secrets.is_empty() {
        return String::new();
    }
    let spans: Vec<String> = secrets.iter().map(Span::written).collect();
    format!(", \"secrets\": [{}]", spans.join(", "))
}

/// Folders are exactly those that the files need, closed to others.
fn folders(unpacked: &Unpacked, listed: &BTreeSet<String>, problems: &mut Vec<Problem>) {
    let mut needed: BTreeSet<&str> = BTreeSet::from([""]);
    // That a file is missing was said; its folder is then no second problem.
    for path in unpacked.files.keys().chain(listed) {
        needed.extend(path.match_indices('/').filter_map(|(i, _)| path.get(..i)));
    }
    let shown = |path: &str| if path.is_empty() { "/".to_owned() } else { format!("{path}/") };
    for (path, mode) in &unpacked.folders {
        if !needed.contains(path.as_str()) {
            problems.push(problem(&unpacked.name, &shown(path), "is a folder that no file needs".to_owned()));
        }
        if *mode != 0o700 {
            problems.push(problem(&unpacked.name, &shown(path), format!("has mode {mode:04o}, not 0700")));
        }
    }
    for path in needed {
        if !unpacked.folders.contains_key(path) {
            problems.push(problem(&unpacked.name, &shown(path), "is missing".to_owned()));
        }
    }
}

/// SHA256SUMS by path; `None` when it cannot be read.
fn sums<'a>(unpacked: &'a Unpacked, problems: &mut Vec<Problem>) -> Option<BTreeMap<&'a str, &'a str>> {
    let mut fail = |what: String| problems.push(problem(&unpacked.name, SUMS, what));
    let Some(entry) = unpacked.files.get(SUMS) else {
        fail("is missing".to_owned());
        return None;
    };
    let Ok(text) = std::str::from_utf8(unpacked.bytes(entry)) else {
        fail("is no UTF-8".to_owned());
        return None;
    };
    let mut known: BTreeMap<&str, &str> = BTreeMap::new();
    for (i, line) in text.split_inclusive('\n').enumerate() {
        match line.strip_suffix('\n').and_then(|l| l.split_once("  ")) {
            Some((sum, path)) if known.insert(path, sum).is_none() => {}
            _ => fail(format!("line {} is no sum", i + 1)),
        }
    }
    Some(known)
}

fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}
