//! Prepares a medium that carries an output into an air-gapped room: copies, splits, reads again what it wrote.
//!
//! Names on the medium hold a part of the digest, so that a file is never changed: a new export lies beside the former one
//! until FILES.txt, the one list, is exchanged; then what it no longer names goes. Cut off before that, the medium holds the
//! former export, and the next run goes on with what is there. Nothing here prints, and no byte of a bundle is looked at.

pub mod medium;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::fs::{self, FsError, Lock, Sync};
use crate::pack::bundle::hex;
pub use source::{Item, SourceError, items};

/// The list of what a medium holds. It is the last thing that is written, and by one rename.
const LIST: &str = "FILES.txt";
const SUMS: &str = "SHA256SUMS";
const SCRIPT: &str = "import.sh";
const PAGE: &str = "README.txt";
const FOLDERS: [&str; 3] = ["bundles", "packages", "pages"];
const HEAD: &str = "# khagen-export\tv1\n";
/// What file systems and desktops put onto an empty medium.
const NOT_FOREIGN: [&str; 8] = [
    "lost+found",
    "System Volume Information",
    "$RECYCLE.BIN",
    ".Trash-1000",
    ".Trashes",
    ".fseventsd",
    ".Spotlight-V100",
    ".DS_Store",
];
/// Tells a folder that an export was begun in, before there is a list.
const BEGUN: &str = "UNFINISHED.txt";
const IMPORT: &str = include_str!("../../templates/scripts/import.sh");
const README: &str = include_str!("../../templates/export/README.txt");

/// How it is done.
#[derive(Debug, Clone)]
pub struct Options {
    /// Files are split into parts of this many bytes; FAT32 holds none of 4 GiB.
    pub chunk: u64,
    /// Say what would be written, and write nothing.
    pub dry_run: bool,
}

/// What was done, or would be.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Files of the output.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Parts that were written, or would be.
    pub written: usize,
    /// Their bytes.
    pub written_bytes: u64,
    /// Parts that were there already.
    pub kept: usize,
    /// Parts of a former export that were removed, or would be.
    pub removed: usize,
    /// Whether an earlier run was cut off.
    pub resumed: bool,
    /// Whether the list was another one.
    pub changed: bool,
}

/// A medium could not be prepared. What it held before is still what it holds, unless the error says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The output is not fit to be carried.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The folder holds something else.
    #[error("{} holds something that no khagen export wrote ({found})", dir.display())]
    Foreign {
        /// The folder.
        dir: PathBuf,
        /// A name in it.
        found: String,
    },
    /// It does not fit.
    #[error("{} has room for {free} bytes; this export needs {need}", dir.display())]
    Room {
        /// The folder.
        dir: PathBuf,
        /// Bytes that are free.
        free: u64,
        /// Bytes that are needed.
        need: u64,
        /// Bytes of a former export, which stays until the new one is whole.
        former: u64,
    },
    /// What was written is not what is read.
    #[error("{} does not hold what was written: {what}", path.display())]
    Medium {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// Reading or writing failed.
    #[error(transparent)]
    Fs(#[from] FsError),
}

/// A part of a file, as the list has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    size: u64,
    sha256: String,
    /// On the medium, with its folder.
    name: String,
}

/// Writes items to a folder of a medium. `progress` is told the bytes that are done and all there are, both of writing and
/// of reading again.
///
/// # Errors
/// See [`ExportError`].
pub fn export(
    items: &[Item],
    dir: &Path,
    options: &Options,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Exported, ExportError> {
    let former = former(dir)?;
    let resumed = dir.join(BEGUN).exists();
    let mut done = Exported { files: items.len(), resumed, ..Exported::default() };
    let mut todo: Vec<(&Item, Vec<(u64, String)>)> = Vec::new();
    for item in items {
        done.bytes += item.size;
        todo.push((item, parts(item, options.chunk)));
    }
    let known: BTreeMap<&str, &Part> = former.iter().flatten().map(|p| (p.name.as_str(), p)).collect();
    let is_there = |size: u64, name: &str| {
        std::fs::symlink_metadata(dir.join(name)).is_ok_and(|m| m.is_file() && m.len() == size)
    };
    let (free, block) = room_of(dir)?;
    let mut need = 64 * block + items.len() as u64 * 512;
    for (size, name) in todo.iter().flat_map(|(_, parts)| parts) {
        if is_there(*size, name) {
            done.kept += 1;
        } else {
            done.written += 1;
            done.written_bytes += size;
            need += size.div_ceil(block) * block;
        }
    }
    let names: BTreeSet<&str> = todo.iter().flat_map(|(_, parts)| parts).map(|(_, n)| n.as_str()).collect();
    done.removed = known.keys().filter(|name| !names.contains(*name)).count();
    done.changed = done.written > 0 || done.removed > 0;
    if done.written > 0 && free < need {
        let former =
            former.iter().flatten().filter(|p| !names.contains(p.name.as_str())).map(|p| p.size).sum();
        return Err(ExportError::Room { dir: dir.to_owned(), free, need, former });
    }
    if options.dry_run {
        return Ok(done);
    }
    fs::create_dirs(dir, fs::SECRET_DIR)?;
    let _lock = Lock::folder(dir, Duration::ZERO)?;
    if done.changed || resumed {
        let text = "khagen export has begun to write here and has not come to its end.\nRun it again: it goes on with what is there.\n";
        fs::replace(&dir.join(BEGUN), text.as_bytes(), fs::SECRET, Sync::Now)?;
    }
    for folder in FOLDERS {
        fs::create_dirs(&dir.join(folder), fs::SECRET_DIR)?;
    }
    let all = 2 * done.bytes;
    let mut passed = 0;
    let mut listed: Vec<(&Item, Vec<Part>)> = Vec::new();
    for (item, names) in &todo {
        let at = passed;
        listed.push((item, write(item, names, dir, &mut |bytes| progress(at + bytes, all))?));
        passed += item.size;
    }
    // What the medium has, not what the system remembers of it.
    for (item, parts) in &listed {
        for part in parts {
            let path = dir.join(&part.name);
            let bad = |what: String| ExportError::Medium { path: path.clone(), what };
            let (size, sha256) = medium::digest_on_medium(&path).map_err(|e| bad(e.to_string()))?;
            if (size, &sha256) != (part.size, &part.sha256) {
                // The next run writes it again instead of trusting its length.
                fs::remove_file(&path)?;
                return Err(bad(format!(
                    "its SHA-256 is {sha256}, of {} it should be {}",
                    item.path, part.sha256
                )));
            }
            passed += part.size;
            progress(passed, all);
        }
    }
    let (list, sums) = lists(&listed);
    for (name, text) in [(SCRIPT, IMPORT), (PAGE, README), (LIST, &list), (SUMS, &sums)] {
        let path = dir.join(name);
        if std::fs::read(&path).is_ok_and(|old| old == text.as_bytes()) {
            continue;
        }
        done.changed = true;
        fs::replace(&path, text.as_bytes(), fs::SECRET, Sync::Now)?;
        let read = medium::digest_on_medium(&path).map(|(_, sum)| sum).unwrap_or_default();
        if read != hex(&Sha256::digest(text.as_bytes())) {
            return Err(ExportError::Medium { path, what: "it reads otherwise".to_owned() });
        }
    }
    done.removed = sweep(dir, &listed)?;
    fs::remove_file(&dir.join(BEGUN))?;
    fs::sync_filesystem(dir)?;
    Ok(done)
}

/// The list of a former export; `None` where there is none. A folder that holds something else is refused.
fn former(dir: &Path) -> Result<Option<Vec<Part>>, ExportError> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(FsError::io("read", dir, e).into()),
    };
    let mut names: Vec<String> =
        entries.filter_map(Result::ok).map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    let text = std::fs::read_to_string(dir.join(LIST)).unwrap_or_default();
    let is_ours = text.starts_with(HEAD) || names.iter().any(|n| n == BEGUN);
    if let Some(found) = names.iter().find(|n| !is_ours && !NOT_FOREIGN.contains(&n.as_str())) {
        return Err(ExportError::Foreign { dir: dir.to_owned(), found: found.clone() });
    }
    if !text.starts_with(HEAD) {
        return Ok(None);
    }
    let mut parts = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split('\t').collect();
        if let ["part", size, sha256, name] = words[..]
            && is_below(name)
            && let Ok(size) = size.parse()
        {
            parts.push(Part { size, sha256: sha256.to_owned(), name: name.to_owned() });
        }
    }
    Ok(Some(parts))
}

/// Whether a name of a list lies in one of our folders: the list stood on a medium that anybody may have written.
fn is_below(name: &str) -> bool {
    name.split_once('/').is_some_and(|(folder, file)| {
        FOLDERS.contains(&folder)
            && !file.is_empty()
            && !file.contains(['/', '\\'])
            && file != ".."
            && file != "."
    })
}

/// Free bytes where the folder is, or will be.
fn room_of(dir: &Path) -> Result<(u64, u64), ExportError> {
    let absolute = std::path::absolute(dir).map_err(|e| FsError::io("resolve", dir, e))?;
    let there = absolute.ancestors().find(|d| d.is_dir()).unwrap_or(Path::new("/"));
    medium::room(there).map_err(|e| FsError::io("ask for the room of", there, e).into())
}

/// The lengths and names of a file's parts.
fn parts(item: &Item, chunk: u64) -> Vec<(u64, String)> {
    let base = item.path.rsplit('/').next().unwrap_or(&item.path);
    let before = item.sha256.get(..12).unwrap_or(&item.sha256);
    let name = format!("{}/{}", item.folder, medium::fat_name(before, base));
    if item.size <= chunk {
        return vec![(item.size, name)];
    }
    let count = item.size.div_ceil(chunk);
    let size = |i: u64| chunk.min(item.size - i * chunk);
    (0..count).map(|i| (size(i), format!("{name}.{:03}", i + 1))).collect()
}

/// Writes the parts that are not there, and returns all with their digests.
fn write(
    item: &Item,
    names: &[(u64, String)],
    dir: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<Vec<Part>, ExportError> {
    let unreadable = |e| FsError::io("read", &item.disk, e);
    let mut from = File::open(&item.disk).map_err(unreadable)?;
    let mut whole = Sha256::new();
    let mut parts = Vec::new();
    let mut passed = 0;
    for (size, name) in names {
        let path = dir.join(name);
        let is_there = std::fs::symlink_metadata(&path).is_ok_and(|m| m.is_file() && m.len() == *size);
        let (written, sha256) = if is_there {
            // Read from the output all the same: that it is whole is proven for every export.
            let mut hash = Sha256::new();
            let mut rest = io::Read::take(&mut from, *size);
            let mut copied = Tee { parts: &mut hash, whole: &mut whole };
            let got = io::copy(&mut rest, &mut copied).map_err(unreadable)?;
            (got, hex(&hash.finalize()))
        } else {
            let aside = path
                .with_file_name(format!("{}.tmp", path.file_name().unwrap_or_default().to_string_lossy()));
            let found = medium::write_part(&mut from, *size, &aside, |bytes| {
                whole.update(bytes);
                passed += bytes.len() as u64;
                progress(passed);
            })
            .map_err(|e| FsError::io("write", &aside, e))?;
            fs::rename(&aside, &path)?;
            found
        };
        if written != *size {
            return Err(SourceError::Damaged(item.path.clone()).into());
        }
        parts.push(Part { size: *size, sha256, name: name.clone() });
    }
    if hex(&whole.finalize()) != item.sha256 {
        for part in &parts {
            fs::remove_file(&dir.join(&part.name))?;
        }
        return Err(SourceError::Damaged(item.path.clone()).into());
    }
    Ok(parts)
}

/// Hashes a part and the whole at once.
struct Tee<'a> {
    parts: &'a mut Sha256,
    whole: &'a mut Sha256,
}

impl io::Write for Tee<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.parts.update(bytes);
        self.whole.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// FILES.txt, which import.sh reads, and SHA256SUMS, for sha256sum -c on the medium.
fn lists(listed: &[(&Item, Vec<Part>)]) -> (String, String) {
    let mut list = HEAD.to_owned();
    let mut sums: BTreeSet<(String, String)> = BTreeSet::new();
    for (item, parts) in listed {
        let _ = writeln!(list, "file\t{:04o}\t{}", item.mode, item.path);
        for part in parts {
            let _ = writeln!(list, "part\t{}\t{}\t{}", part.size, part.sha256, part.name);
            sums.insert((part.name.clone(), part.sha256.clone()));
        }
        let _ = writeln!(list, "whole\t{}\t{}", item.sha256, item.size);
    }
    let digest = |text: &str| hex(&Sha256::digest(text.as_bytes()));
    let end = digest(&list);
    let _ = writeln!(list, "end\t{end}");
    for (name, text) in [(SCRIPT, IMPORT), (PAGE, README), (LIST, &list)] {
        sums.insert((name.to_owned(), digest(text)));
    }
    (list, sums.into_iter().map(|(name, sum)| format!("{sum}  {name}\n")).collect())
}

/// Removes what lies in our folders and is not in the list: the former export's, and what was cut off.
fn sweep(dir: &Path, listed: &[(&Item, Vec<Part>)]) -> Result<usize, ExportError> {
    // FAT tells no case.
    let wanted: BTreeSet<String> =
        listed.iter().flat_map(|(_, parts)| parts).map(|p| p.name.to_ascii_lowercase()).collect();
    let mut removed = 0;
    for folder in FOLDERS {
        let entries = std::fs::read_dir(dir.join(folder)).into_iter().flatten().filter_map(Result::ok);
        for entry in entries {
            let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
            if !wanted.contains(&name.to_ascii_lowercase()) && entry.file_type().is_ok_and(|t| t.is_file()) {
                fs::remove_file(&entry.path())?;
                removed += 1;
            }
        }
    }
    Ok(removed)
}
