//! Reads a tarball in memory, within bounds, and makes of it what a reviewer sees.
//!
//! A tarball may come from anywhere: what could write outside its folder, fill a disk, or be read otherwise by another tar is
//! refused by name.

use std::collections::BTreeMap;
use std::io::Read;
use std::ops::Range;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::review::{is_file_path, is_host_name};
use super::{Bundle, Head, Identity, Problem, Snapshot, SnapshotError};
use crate::pack::bundle::hex;

pub use super::manifest::{Checked, read};

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
    /// The tar itself, with secrets in it.
    tar: Zeroizing<Vec<u8>>,
}

impl Unpacked {
    /// A file's bytes. May be a secret.
    pub(super) fn bytes(&self, entry: &Entry) -> &[u8] {
        self.tar.get(entry.content.clone()).unwrap_or_default()
    }
}

/// A regular file.
pub struct Entry {
    /// Permission bits.
    pub mode: u32,
    /// Where in the tar.
    content: Range<usize>,
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
        tar: Zeroizing::new(Vec::new()),
    };
    if !packed.starts_with(&[0x1f, 0x8b]) {
        return Err(SnapshotError::one(label, "is no gzip'ed tarball"));
    }
    // Decompressed first, so that a bomb is met before anything of it is looked at.
    let mut tar = Zeroizing::new(Vec::with_capacity(said_size(packed)));
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
        let entry = match entry {
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
        if let Err(what) = take(&mut unpacked, &path, &entry) {
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
    unpacked.tar = tar;
    SnapshotError::all(problems).map_or(Ok(unpacked), Err)
}

/// What gzip says that it unpacks to (RFC 1952 section 2.3.1, ISIZE), so that the buffer need not grow and leave copies of
/// keys behind; believed as far as it does no harm.
fn said_size(packed: &[u8]) -> usize {
    let last = packed.last_chunk::<4>().map_or(0, |size| u32::from_le_bytes(*size));
    usize::try_from(last).unwrap_or(0).min(4 << 20) + 1
}

pub(super) fn problem(label: &str, path: &str, what: String) -> Problem {
    let place = if path.is_empty() { label.to_owned() } else { format!("{label}: {}", path.escape_debug()) };
    Problem { place, what }
}

fn take(into: &mut Unpacked, path: &str, entry: &tar::Entry<'_, impl Read>) -> Result<(), String> {
    // One spelling only, which every tar reads the same.
    if entry.header().as_ustar().is_none() {
        return Err("is no ustar entry: refused".to_owned());
    }
    if !entry.header().as_old().size.iter().all(|b| matches!(b, b'0'..=b'7' | b' ' | 0)) {
        return Err("has a size that is no octal number: refused".to_owned());
    }
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
    if !is_file_path(trimmed) {
        return Err("has a path that leads elsewhere: refused".to_owned());
    }
    let (top, inside) = trimmed.split_once('/').unwrap_or((trimmed, ""));
    if !is_host_name(top) {
        return Err("lies in a folder whose name is no host's: refused".to_owned());
    }
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
    for name in [entry.header().username_bytes(), entry.header().groupname_bytes()] {
        if name.is_some_and(|n| !n.is_empty() && n != b"root") {
            return Err("belongs to another name than root: refused".to_owned());
        }
    }
    let twice = into.files.contains_key(inside) || into.folders.contains_key(inside);
    if twice {
        return Err("is there twice: refused".to_owned());
    }
    if folder && entry.size() > 0 {
        return Err("is a folder with content of its own: refused".to_owned());
    }
    if folder {
        into.folders.insert(inside.to_owned(), mode);
        return Ok(());
    }
    if entry.size() > MAX_ENTRY {
        return Err(format!("is larger than {} MiB: refused", MAX_ENTRY >> 20));
    }
    let from = usize::try_from(entry.raw_file_position()).map_err(|e| e.to_string())?;
    let size = usize::try_from(entry.size()).map_err(|e| e.to_string())?;
    into.files.insert(inside.to_owned(), Entry { mode, content: from..from.saturating_add(size) });
    Ok(())
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
            tarballs.names.insert(name.clone(), Some(Identity::Packed(hex(&Sha256::digest(&bytes)))));
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
