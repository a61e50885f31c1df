//! Reads a tarball in memory, within bounds, and makes of it what a reviewer sees.
//!
//! A tarball may come from anywhere: what could write outside its folder or fill a disk is refused by name. Secrets'
//! bytes are compared with their fingerprints and dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::Arc;

use base64::Engine;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{Body, Bundle, File, Head, Identity, Problem, Snapshot, SnapshotError};
use crate::pack::bundle::hex;
use crate::pki::key;

/// A compressed bundle may be this large.
pub const MAX_PACKED: u64 = 64 << 20;
/// All entries together may be this large.
const MAX_UNPACKED: u64 = 256 << 20;
/// One entry.
const MAX_ENTRY: u64 = 16 << 20;
/// Entries.
const MAX_ENTRIES: usize = 20_000;

/// Entries by path below the one top folder.
pub struct Unpacked {
    /// The top folder: FQDN, or `operator`.
    pub name: String,
    /// Regular files.
    pub files: BTreeMap<String, Entry>,
    /// Folders, without the slash at their end; the top one is empty.
    pub folders: BTreeMap<String, u32>,
    /// SHA-256 of the uncompressed tar.
    pub tar_sha256: String,
}

/// A regular file.
pub struct Entry {
    /// Permission bits.
    pub mode: u32,
    /// May be a secret.
    bytes: Zeroizing<Vec<u8>>,
}

/// Unpacks in memory. `label` is how the tarball is called in problems.
///
/// # Errors
/// Everything that is hostile or damaged, by name.
pub fn unpack(label: &str, packed: &[u8]) -> Result<Unpacked, SnapshotError> {
    let mut problems = Vec::new();
    let mut unpacked = Unpacked {
        name: String::new(),
        files: BTreeMap::new(),
        folders: BTreeMap::new(),
        tar_sha256: String::new(),
    };
    if !packed.starts_with(&[0x1f, 0x8b]) {
        return Err(SnapshotError::one(label, "is no gzip'ed tarball"));
    }
    // Decompressed first, so that a bomb is met before anything of it is looked at.
    let mut tar = Zeroizing::new(Vec::new());
    let mut gz = flate2::bufread::GzDecoder::new(packed);
    match (&mut gz).take(MAX_UNPACKED + 1).read_to_end(&mut tar) {
        Ok(_) if tar.len() as u64 > MAX_UNPACKED => {
            let what = format!("unpacks to more than {} MiB: refused", MAX_UNPACKED >> 20);
            return Err(SnapshotError::one(label, what));
        }
        Ok(_) => {}
        Err(e) => return Err(SnapshotError::one(label, format!("is damaged: {e}"))),
    }
    if !gz.into_inner().is_empty() {
        return Err(SnapshotError::one(label, "has something after its end: refused"));
    }
    unpacked.tar_sha256 = hex(&Sha256::digest(&tar));
    let mut archive = tar::Archive::new(&tar[..]);
    let entries = archive.entries().map_err(|e| SnapshotError::one(label, format!("is no tar: {e}")))?;
    let mut end = 0;
    for (count, entry) in entries.raw(true).enumerate() {
        if count >= MAX_ENTRIES {
            problems.push(problem(label, "", format!("has more than {MAX_ENTRIES} entries: refused")));
            break;
        }
        let mut entry = match entry {
            Ok(entry) => entry,
            Err(e) => {
                problems.push(problem(label, "", format!("is damaged: {e}")));
                break;
            }
        };
        end = entry.raw_file_position() + entry.size().next_multiple_of(512);
        let path = match String::from_utf8(entry.path_bytes().into_owned()) {
            Ok(path) => path,
            Err(_) => {
                problems.push(problem(label, "", "has an entry whose name is no UTF-8: refused".to_owned()));
                continue;
            }
        };
        if let Err(what) = take(&mut unpacked, &path, &mut entry) {
            problems.push(problem(label, &path, what));
        }
    }
    let rest = usize::try_from(end).ok().and_then(|end| tar.get(end..)).unwrap_or_default();
    if problems.is_empty() && (rest.len() < 1024 || rest.iter().any(|b| *b != 0)) {
        problems.push(problem(label, "", "does not end as a tar does: refused".to_owned()));
    }
    if problems.is_empty() && unpacked.files.is_empty() {
        problems.push(problem(label, "", "is empty".to_owned()));
    }
    SnapshotError::all(problems).map_or(Ok(unpacked), Err)
}

fn problem(label: &str, path: &str, what: String) -> Problem {
    let place = if path.is_empty() { label.to_owned() } else { format!("{label}: {}", path.escape_debug()) };
    Problem { place, what }
}

fn take(into: &mut Unpacked, path: &str, entry: &mut tar::Entry<'_, impl Read>) -> Result<(), String> {
    let kind = entry.header().entry_type();
    let what = match kind {
        tar::EntryType::Regular | tar::EntryType::Directory => "",
        tar::EntryType::Symlink => "a symbolic link",
        tar::EntryType::Link => "a hard link",
        tar::EntryType::Char | tar::EntryType::Block => "a device",
        tar::EntryType::Fifo => "a FIFO",
        tar::EntryType::GNUSparse => "a sparse file",
        _ => "an extended header",
    };
    if !what.is_empty() {
        return Err(format!("is {what}: refused"));
    }
    let folder = kind == tar::EntryType::Directory;
    let trimmed = if folder { path.strip_suffix('/').unwrap_or(path) } else { path };
    if path.starts_with('/') {
        return Err("has an absolute path: refused".to_owned());
    }
    if !super::review::is_plain(trimmed) {
        return Err("has a path that leads elsewhere: refused".to_owned());
    }
    let (top, inside) = trimmed.split_once('/').unwrap_or((trimmed, ""));
    if into.name.is_empty() {
        into.name = top.to_owned();
    }
    if top != into.name || (inside.is_empty() && !folder) {
        return Err(format!("lies outside the folder {}: refused", into.name));
    }
    let mode = entry.header().mode().map_err(|e| e.to_string())?;
    for (id, kind) in [(entry.header().uid(), "user"), (entry.header().gid(), "group")] {
        if id.map_err(|e| e.to_string())? != 0 {
            return Err(format!("belongs to another {kind} than root: refused"));
        }
    }
    let twice = into.files.contains_key(inside) || into.folders.contains_key(inside);
    if twice {
        return Err("is there twice: refused".to_owned());
    }
    if folder {
        into.folders.insert(inside.to_owned(), mode);
        return Ok(());
    }
    if entry.size() > MAX_ENTRY {
        return Err(format!("is larger than {} MiB: refused", MAX_ENTRY >> 20));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(entry.size()).unwrap_or(0)));
    entry.read_to_end(&mut bytes).map_err(|e| format!("is damaged: {e}"))?;
    into.files.insert(inside.to_owned(), Entry { mode, bytes });
    Ok(())
}

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
struct HostFile {
    path: String,
    mode: String,
    owner: String,
    group: String,
    policy: String,
    sha256: String,
    #[serde(default)]
    secrets: Vec<Span>,
}

/// A file that stays in the bundle.
#[derive(Deserialize)]
struct BundleFile {
    file: String,
    mode: String,
    sha256: String,
    #[serde(default)]
    secrets: Vec<Span>,
}

/// Where a secret stands in a file.
#[derive(Deserialize)]
struct Span {
    id: String,
    fingerprint: String,
    at: usize,
    length: usize,
    encoding: String,
}

/// A tarball's bundle and its generation, with everything that does not fit together.
pub struct Checked {
    /// As a reviewer sees it.
    pub bundle: Bundle,
    /// The host's count of its bundles.
    pub generation: u64,
}

/// Makes a bundle of what was unpacked: every file against the sums, the manifest and its secrets' fingerprints.
///
/// # Errors
/// Every file that is not what the manifest says, by name.
pub fn read(unpacked: &Unpacked) -> Result<Checked, SnapshotError> {
    let name = unpacked.name.as_str();
    let mut problems = Vec::new();
    sums(unpacked, &mut problems);
    let text = |path: &str| {
        let entry = unpacked
            .files
            .get(path)
            .ok_or_else(|| SnapshotError::one(format!("{name}: {path}"), "is missing"))?;
        std::str::from_utf8(&entry.bytes)
            .map_err(|_| SnapshotError::one(format!("{name}: {path}"), "is no UTF-8"))
    };
    let with = |mut problems: Vec<Problem>, error: SnapshotError| {
        problems.extend(error.problems);
        SnapshotError::all(problems).unwrap_or_else(|| SnapshotError::one(name, "is damaged"))
    };
    let manifest_text = match text("MANIFEST.json") {
        Ok(text) => text,
        Err(e) => return Err(with(problems, e)),
    };
    let parsed = serde_json::from_str::<Manifest>(manifest_text).map_err(|e| e.to_string());
    let (manifest, head) = match (parsed, Head::parse(manifest_text)) {
        (Ok(manifest), Ok(head)) => (manifest, head),
        (Err(what), _) | (_, Err(what)) => {
            return Err(with(problems, SnapshotError::one(format!("{name}: MANIFEST.json"), what)));
        }
    };
    if head.known.host != name {
        problems.push(problem(name, "MANIFEST.json", format!("is of {}, not of {name}", head.known.host)));
    }
    let key = unpacked.files.get("fingerprint.key").and_then(|e| key::FingerprintKey::parse(&e.bytes));
    let mut files = BTreeMap::new();
    let mut add =
        |path: String, mode: &str, owner: &str, group: &str, policy: &str, sha256: &str, secrets: &[Span]| {
            let Some(entry) = unpacked.files.get(&path) else {
                problems.push(problem(name, &path, "is missing".to_owned()));
                return;
            };
            let wanted = u32::from_str_radix(mode, 8).unwrap_or(u32::MAX);
            if entry.mode != wanted {
                problems.push(problem(name, &path, format!("has mode {:04o}, not {mode}", entry.mode)));
            }
            if digest(&entry.bytes) != sha256 {
                problems.push(problem(name, &path, "is not what the manifest says (SHA-256)".to_owned()));
                return;
            }
            match body(&entry.bytes, secrets, key.as_ref()) {
                Ok(body) => {
                    let file = File {
                        mode: entry.mode,
                        owner: Arc::from(owner),
                        group: Arc::from(group),
                        policy: Arc::from(policy),
                        body,
                    };
                    if files.insert(Arc::from(path.as_str()), file).is_some() {
                        problems.push(problem(name, &path, "is in the manifest twice".to_owned()));
                    }
                }
                Err(what) => problems.push(problem(name, &path, what)),
            }
        };
    for f in &manifest.files {
        add(format!("root{}", f.path), &f.mode, &f.owner, &f.group, &f.policy, &f.sha256, &f.secrets);
    }
    for f in &manifest.bundle_files {
        add(f.file.clone(), &f.mode, "root", "root", "bundle", &f.sha256, &f.secrets);
    }
    let listed: BTreeSet<String> = manifest
        .files
        .iter()
        .map(|f| format!("root{}", f.path))
        .chain(manifest.bundle_files.iter().map(|f| f.file.clone()))
        .collect();
    for (path, entry) in &unpacked.files {
        if !DERIVED.contains(&path.as_str()) && !listed.contains(path) {
            problems.push(problem(name, path, "is not in the manifest".to_owned()));
        }
        if DERIVED.contains(&path.as_str()) && entry.mode != 0o600 {
            problems.push(problem(name, path, format!("has mode {:04o}, not 0600", entry.mode)));
        }
    }
    folders(unpacked, &mut problems);
    match SnapshotError::all(problems) {
        Some(error) => Err(error),
        None => Ok(Checked {
            bundle: Bundle { name: Arc::from(name), head, files },
            generation: manifest.generation,
        }),
    }
}

/// Written while packing, from all the others.
const DERIVED: [&str; 2] = ["MANIFEST.json", "SHA256SUMS"];

/// Folders are exactly those that the files need, closed to others.
fn folders(unpacked: &Unpacked, problems: &mut Vec<Problem>) {
    let mut needed: BTreeSet<&str> = BTreeSet::from([""]);
    for path in unpacked.files.keys() {
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

/// SHA256SUMS names every other file, and each is what it says.
fn sums(unpacked: &Unpacked, problems: &mut Vec<Problem>) {
    let name = &unpacked.name;
    let Some(entry) = unpacked.files.get("SHA256SUMS") else {
        problems.push(problem(name, "SHA256SUMS", "is missing".to_owned()));
        return;
    };
    let Ok(text) = std::str::from_utf8(&entry.bytes) else {
        problems.push(problem(name, "SHA256SUMS", "is no UTF-8".to_owned()));
        return;
    };
    let mut known: BTreeMap<&str, &str> = BTreeMap::new();
    for (i, line) in text.lines().enumerate() {
        match line.split_once("  ") {
            Some((sum, path)) if known.insert(path, sum).is_none() => {}
            _ => problems.push(problem(name, "SHA256SUMS", format!("line {} is no sum", i + 1))),
        }
    }
    for (path, entry) in unpacked.files.iter().filter(|(path, _)| *path != "SHA256SUMS") {
        match known.remove(path.as_str()) {
            None => problems.push(problem(name, path, "is not in SHA256SUMS".to_owned())),
            Some(sum) if sum != digest(&entry.bytes) => {
                problems.push(problem(
                    name,
                    path,
                    "is damaged: its SHA-256 is not that of SHA256SUMS".to_owned(),
                ));
            }
            Some(_) => {}
        }
    }
    for path in known.keys() {
        problems.push(problem(name, path, "is missing: SHA256SUMS names it".to_owned()));
    }
}

fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// A file's bytes with each secret replaced by its symbol, after its fingerprint was found to be right.
fn body(bytes: &[u8], spans: &[Span], key: Option<&key::FingerprintKey>) -> Result<Body, String> {
    let mut text = String::new();
    let mut from = 0;
    for span in spans {
        let plain = bytes.get(from..span.at).ok_or("the manifest's secrets overlap")?;
        let end = span.at.checked_add(span.length).ok_or("the manifest's secrets overlap")?;
        let secret = bytes.get(span.at..end).ok_or("the manifest's secrets lie beyond its end")?;
        let raw = match span.encoding.as_str() {
            "raw" => Zeroizing::new(secret.to_vec()),
            "base64" => Zeroizing::new(
                base64::engine::general_purpose::STANDARD
                    .decode(secret)
                    .map_err(|_| format!("{} is no base64", span.id))?,
            ),
            other => return Err(format!("{} has the unknown encoding {other:?}", span.id)),
        };
        if fingerprint(&raw, key).as_deref() != Some(span.fingerprint.as_str()) {
            return Err(format!("{} is not the secret of its fingerprint", span.id));
        }
        if spans.len() == 1 && span.at == 0 && end == bytes.len() && span.encoding == "raw" {
            return Ok(Body::Secret {
                id: Arc::from(span.id.as_str()),
                fingerprint: Arc::from(span.fingerprint.as_str()),
            });
        }
        text.push_str(std::str::from_utf8(plain).map_err(|_| "is no UTF-8")?);
        text.push_str(&format!("<secret {} {}>", span.id, span.fingerprint));
        from = end;
    }
    let rest = bytes.get(from..).unwrap_or_default();
    text.push_str(std::str::from_utf8(rest).map_err(|_| "is no UTF-8")?);
    Ok(Body::Text(Arc::from(text)))
}

/// Of a private key that of its public half; of the key of fingerprints its own; of all else an HMAC.
fn fingerprint(secret: &[u8], key: Option<&key::FingerprintKey>) -> Option<String> {
    if secret.starts_with(b"-----BEGIN") {
        return key::fingerprint_of_private_pem(secret);
    }
    let own = key::FingerprintKey::parse(secret).map(|k| k.own());
    match (own, key) {
        (Some(own), Some(key)) if own == key.own() => Some(own),
        (_, key) => key.map(|k| k.of(secret)),
    }
}

/// Tarballs of one cluster, unpacked when they are asked for.
pub struct Tarballs {
    names: BTreeMap<Arc<str>, Option<Identity>>,
    packed: BTreeMap<Arc<str>, Vec<u8>>,
}

impl Tarballs {
    /// Takes packed bundles by the names that their files have.
    pub fn new(packed: Vec<(String, Vec<u8>)>) -> Tarballs {
        let mut tarballs = Tarballs { names: BTreeMap::new(), packed: BTreeMap::new() };
        for (name, bytes) in packed {
            let name: Arc<str> = Arc::from(name);
            tarballs.names.insert(name.clone(), Some(Identity::Packed(digest(&bytes))));
            tarballs.packed.insert(name, bytes);
        }
        tarballs
    }

    /// A single tarball, whatever its file is called.
    ///
    /// # Errors
    /// When it is hostile or damaged.
    pub fn one(label: &str, packed: Vec<u8>) -> Result<Tarballs, SnapshotError> {
        let name = unpack(label, &packed)?.name;
        Ok(Tarballs::new(vec![(name, packed)]))
    }

    fn packed(&self, name: &str) -> Result<&[u8], SnapshotError> {
        self.packed.get(name).map(Vec::as_slice).ok_or_else(|| SnapshotError::no_bundle(name))
    }
}

impl Snapshot for Tarballs {
    fn names(&self) -> &BTreeMap<Arc<str>, Option<Identity>> {
        &self.names
    }

    /// MANIFEST.json is among the first entries, so that little is unpacked for it.
    fn head(&self, name: &str) -> Result<Head, SnapshotError> {
        let gz = flate2::bufread::GzDecoder::new(self.packed(name)?).take(MAX_UNPACKED);
        let fail = |what: String| SnapshotError::one(format!("{name}: MANIFEST.json"), what);
        let wanted = format!("{name}/MANIFEST.json");
        let mut archive = tar::Archive::new(gz);
        let entries = archive.entries().map_err(|e| fail(e.to_string()))?;
        for entry in entries.raw(true).take(MAX_ENTRIES) {
            let mut entry = entry.map_err(|e| fail(e.to_string()))?;
            if *entry.path_bytes() == *wanted.as_bytes() && entry.size() <= MAX_ENTRY {
                let mut text = String::new();
                entry.read_to_string(&mut text).map_err(|e| fail(e.to_string()))?;
                return Head::parse(&text).map_err(fail);
            }
        }
        Err(fail("is missing".to_owned()))
    }

    fn bundle(&self, name: &str) -> Result<Bundle, SnapshotError> {
        let unpacked = unpack(name, self.packed(name)?)?;
        if unpacked.name != name {
            return Err(SnapshotError::one(name, format!("is the bundle of {}", unpacked.name)));
        }
        Ok(read(&unpacked)?.bundle)
    }
}
