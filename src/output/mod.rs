//! Replaces an output folder: old or new, never half.
//!
//! A first or wholesale build is written beside the folder and exchanged with it. Any other build stages what changed in
//! `.khagen/` inside, records the intent, and renames; the next khagen that opens the folder finishes or discards what
//! was interrupted. What was replaced is kept in `.previous/`. This module knows paths and bytes, not hosts.

pub mod record;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use crate::fs::{self, FsError, Lock, Sync};
use record::{BUILD_JSON, BuildRecord};

/// What may lie in an output folder that has no record: a review tree of `--review`, our leftovers, and what a fresh file
/// system has.
const OWN: [&str; 4] = ["review", WORK, PREVIOUS, "lost+found"];
const WORK: &str = ".khagen";
const PREVIOUS: &str = ".previous";
/// How long to wait for another khagen that works on the same folder.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// An output folder that is being replaced.
pub struct Output {
    dir: PathBuf,
    record: Option<BuildRecord>,
    mode: Mode,
    stage: PathBuf,
    puts: Vec<String>,
    removes: BTreeSet<String>,
    made: BTreeSet<PathBuf>,
    _lock: Lock,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Everything is written anew beside the folder.
    Wholesale,
    /// Only what changed is written.
    Incremental,
}

/// An output folder could not be opened or replaced.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// There is something that no build of ours wrote.
    #[error(
        "{0} is not empty and was not written by khagen build: give another folder with -o, or empty this one"
    )]
    Foreign(PathBuf),
    /// BUILD.json is there but cannot be read.
    #[error(
        "{0} is no record of a build that this khagen knows: move the folder away, and the next build writes it anew"
    )]
    BadRecord(PathBuf),
    /// A name that could lead out of the folder.
    #[error("{0:?} is no path inside an output folder")]
    BadPath(String),
    /// Reading or writing failed.
    #[error(transparent)]
    Fs(#[from] FsError),
}

impl Output {
    /// Opens the folder (it may be missing, empty, a link or a mount point), finishing what a killed build left.
    ///
    /// # Errors
    /// When another build works on it, when it holds something else, or when it cannot be read.
    pub fn open(dir: &Path) -> Result<Output, OutputError> {
        let dir = resolve(dir)?;
        fs::create_dirs(&dir, fs::PUBLIC_DIR)?;
        let lock = Lock::folder(&dir, PATIENCE)?;
        fs::remove_tree(&sibling(&dir))?;
        fs::remove_tree(&fs::aside(&dir, "old"))?;
        recover(&dir)?;
        let record = read_record(&dir)?;
        let stage = dir.join(WORK).join("stage");
        Ok(Output {
            dir,
            record,
            mode: Mode::Incremental,
            stage,
            puts: Vec::new(),
            removes: BTreeSet::new(),
            made: BTreeSet::new(),
            _lock: lock,
        })
    }

    /// The folder, links resolved.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What the folder held when it was opened.
    pub fn record(&self) -> Option<&BuildRecord> {
        self.record.as_ref()
    }

    /// From now on everything is written anew; every file must be put.
    pub fn begin_wholesale(&mut self) {
        self.mode = Mode::Wholesale;
        self.stage = sibling(&self.dir);
    }

    /// Whether a file with this length lies in the folder.
    pub fn has(&self, path: &str, len: u64) -> bool {
        std::fs::symlink_metadata(self.dir.join(path)).is_ok_and(|m| m.is_file() && m.len() == len)
    }

    /// Stages a file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(&mut self, path: &str, bytes: &[u8], mode: u32) -> Result<(), OutputError> {
        if !is_inside(path) {
            return Err(OutputError::BadPath(path.to_owned()));
        }
        let target = self.stage.join(path);
        if let Some(parent) = target.parent()
            && !self.made.contains(parent)
        {
            fs::create_dirs(parent, 0o755)?;
            self.made.insert(parent.to_owned());
        }
        fs::create(&target, bytes, mode, Sync::Later)?;
        self.puts.push(path.to_owned());
        Ok(())
    }

    /// Stages a file that `write` writes piece by piece.
    ///
    /// # Errors
    /// When it cannot be written, or `write` fails.
    pub fn put_with<E: From<OutputError>>(
        &mut self,
        path: &str,
        mode: u32,
        write: impl FnOnce(&mut std::fs::File) -> Result<(), E>,
    ) -> Result<(), E> {
        self.put(path, &[], mode)?;
        let target = self.stage.join(path);
        let opened = std::fs::File::options().write(true).open(&target);
        write(&mut opened.map_err(|e| OutputError::Fs(FsError::io("open", &target, e)))?)
    }

    /// Whether every file must be put.
    pub fn is_wholesale(&self) -> bool {
        self.mode == Mode::Wholesale
    }

    /// Stages a file unless the folder holds the same bytes already; wholesale builds always stage it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put_if_changed(&mut self, path: &str, bytes: &[u8], mode: u32) -> Result<bool, OutputError> {
        let same = self.mode == Mode::Incremental
            && self.has(path, bytes.len() as u64)
            && std::fs::read(self.dir.join(path)).is_ok_and(|old| old == bytes);
        if !same {
            self.put(path, bytes, mode)?;
        }
        Ok(!same)
    }

    /// Every file below a folder of the output, relative to the output, sorted.
    pub fn list(&self, below: &str) -> Vec<String> {
        let root = self.dir.join(below);
        let mut found: Vec<String> = walkdir::WalkDir::new(&root)
            .into_iter()
            .filter_map(Result::ok)
            .filter(|e| !e.file_type().is_dir())
            .filter_map(|e| e.path().strip_prefix(&self.dir).ok().and_then(Path::to_str).map(str::to_owned))
            .collect();
        found.sort();
        found
    }

    /// Removes a file when the build is committed; a wholesale build has none to remove.
    pub fn remove(&mut self, path: &str) {
        if self.mode == Mode::Incremental && is_inside(path) {
            self.removes.insert(path.to_owned());
        }
    }

    /// How many files would be written and removed.
    pub fn pending(&self) -> (usize, usize) {
        (self.puts.len(), self.removes.len())
    }

    /// Makes the staged files the output's. Nothing is touched when nothing was staged.
    ///
    /// # Errors
    /// When it cannot be written; the former output is then still whole, or is completed by the next run.
    pub fn commit(self, sync: Sync) -> Result<(), OutputError> {
        if self.puts.is_empty() && self.removes.is_empty() {
            return Ok(());
        }
        if sync == Sync::Now {
            fs::sync_filesystem(&self.stage)?;
        }
        match self.mode {
            Mode::Wholesale => match fs::replace_dir(&self.stage, &self.dir) {
                Ok(None) => {}
                Ok(Some(former)) if self.record.is_none() => fs::remove_tree(&former)?,
                Ok(Some(former)) => {
                    fs::remove_tree(&former.join(PREVIOUS))?;
                    fs::rename(&former, &self.dir.join(PREVIOUS))?;
                }
                // A mount point cannot be exchanged; what was staged beside it is staged again inside.
                Err(_) if is_mount_point(&self.dir) => {
                    copy_tree(&self.stage, &self.dir.join(WORK).join("stage"))?;
                    let puts: BTreeSet<&str> = self.puts.iter().map(String::as_str).collect();
                    let stale =
                        ["review", "bundles", "packages"].into_iter().flat_map(|below| self.list(below));
                    let removes: BTreeSet<String> = stale.filter(|p| !puts.contains(p.as_str())).collect();
                    carry_out(&self.dir, &self.puts, &removes, sync)?;
                    fs::remove_tree(&self.stage)?;
                }
                Err(e) => return Err(e.into()),
            },
            Mode::Incremental => carry_out(&self.dir, &self.puts, &self.removes, sync)?,
        }
        if sync == Sync::Now {
            fs::sync_filesystem(&self.dir)?;
        }
        Ok(())
    }
}

/// Whether there is anything at a path that could be an output.
pub fn is_there(dir: &Path) -> bool {
    std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some())
}

/// Reads the record of an output folder; `None` where there is no folder or an empty one.
///
/// # Errors
/// When the folder holds something else.
pub fn read_record(dir: &Path) -> Result<Option<BuildRecord>, OutputError> {
    let path = dir.join(BUILD_JSON);
    match std::fs::read_to_string(&path) {
        Ok(text) => BuildRecord::parse(&text).map(Some).ok_or(OutputError::BadRecord(path)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let mut entries = match std::fs::read_dir(dir) {
                Ok(entries) => entries,
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(e) => return Err(FsError::io("read", dir, e).into()),
            };
            let foreign = entries.any(|e| e.is_ok_and(|e| !OWN.iter().any(|own| e.file_name() == *own)));
            if foreign { Err(OutputError::Foreign(dir.to_owned())) } else { Ok(None) }
        }
        Err(e) => Err(FsError::io("read", &path, e).into()),
    }
}

/// Follows links to the folder itself, which need not exist.
fn resolve(dir: &Path) -> Result<PathBuf, OutputError> {
    match std::fs::canonicalize(dir) {
        Ok(real) if real.is_dir() => Ok(real),
        Ok(real) => Err(OutputError::Foreign(real)),
        Err(_) => {
            let parent = match dir.parent() {
                Some(p) if !p.as_os_str().is_empty() => p.to_owned(),
                _ => PathBuf::from("."),
            };
            fs::create_dirs(&parent, 0o755)?;
            let real = std::fs::canonicalize(&parent).map_err(|e| FsError::io("resolve", &parent, e))?;
            let name = dir.file_name().ok_or_else(|| OutputError::Foreign(dir.to_owned()))?;
            Ok(real.join(name))
        }
    }
}

fn sibling(dir: &Path) -> PathBuf {
    fs::aside(dir, "khagen-new")
}

/// Whether something is mounted on a folder: it then lies on another device than its parent.
fn is_mount_point(dir: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let device = |p: &Path| std::fs::metadata(p).map(|m| m.dev()).ok();
    dir.parent().is_some_and(|parent| device(parent) != device(dir))
}

/// Copies regular files and folders, keeping modes.
fn copy_tree(from: &Path, to: &Path) -> Result<(), FsError> {
    use std::os::unix::fs::PermissionsExt;
    fs::create_dirs(to, 0o700)?;
    let entries = std::fs::read_dir(from).map_err(|e| FsError::io("read", from, e))?;
    for entry in entries {
        let entry = entry.map_err(|e| FsError::io("read", from, e))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy_tree(&source, &target)?;
        } else {
            let mode = entry.metadata().map_or(fs::SECRET, |m| m.permissions().mode() & 0o777);
            fs::copy(&source, &target, mode)?;
        }
    }
    Ok(())
}

/// A second name for a file where the file system has links, a copy elsewhere.
fn link_or_copy(from: &Path, to: &Path) -> Result<(), FsError> {
    if std::fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    fs::copy(from, to, fs::SECRET)
}

/// Removes the folders that a removed file leaves empty, up to the output's own.
fn remove_empty_parents(target: &Path, dir: &Path) {
    let mut parent = target.parent();
    while let Some(folder) = parent.filter(|p| *p != dir && p.starts_with(dir)) {
        // A folder that still has something in it refuses, which ends the walk.
        if std::fs::remove_dir(folder).is_err() {
            break;
        }
        parent = folder.parent();
    }
}

/// Whether a path stays inside the folder it is joined to.
fn is_inside(path: &str) -> bool {
    !path.is_empty()
        && !path.contains('\n')
        && Path::new(path).components().all(|c| matches!(c, std::path::Component::Normal(_)))
}

/// Finishes a recorded intent, or discards what was staged without one.
fn recover(dir: &Path) -> Result<(), OutputError> {
    let work = dir.join(WORK);
    let text = match std::fs::read_to_string(work.join("intent")) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            fs::remove_tree(&work)?;
            return Ok(());
        }
        Err(e) => return Err(FsError::io("read", &work.join("intent"), e).into()),
    };
    apply(dir, &text)
}

fn carry_out(dir: &Path, puts: &[String], removes: &BTreeSet<String>, sync: Sync) -> Result<(), OutputError> {
    let mut intent = String::new();
    for path in removes {
        intent.push_str(&format!("remove {path}\n"));
    }
    for path in puts {
        intent.push_str(&format!("put {path}\n"));
    }
    fs::remove_tree(&dir.join(PREVIOUS))?;
    fs::create_dirs(&dir.join(WORK), 0o700)?;
    fs::replace(&dir.join(WORK).join("intent"), intent.as_bytes(), 0o600, sync)?;
    apply(dir, &intent)
}

/// Renames what an intent names. Each step can be repeated.
fn apply(dir: &Path, intent: &str) -> Result<(), OutputError> {
    let work = dir.join(WORK);
    for line in intent.lines() {
        let Some((verb, path)) = line.split_once(' ').filter(|(_, p)| is_inside(p)) else { continue };
        let target = dir.join(path);
        match verb {
            "put" => {
                let staged = work.join("stage").join(path);
                if std::fs::symlink_metadata(&staged).is_ok() {
                    keep(dir, path)?;
                    if let Some(parent) = target.parent() {
                        fs::create_dirs(parent, 0o755)?;
                    }
                    fs::rename(&staged, &target)?;
                }
            }
            _ => {
                keep(dir, path)?;
                fs::remove_file(&target)?;
                remove_empty_parents(&target, dir);
            }
        }
    }
    fs::remove_file(&work.join("intent"))?;
    fs::remove_tree(&work)?;
    Ok(())
}

/// Keeps what is about to be replaced, by a second link to it, so that the path is never without a file.
fn keep(dir: &Path, path: &str) -> Result<(), OutputError> {
    let kept = dir.join(PREVIOUS).join(path);
    if std::fs::symlink_metadata(&kept).is_ok() || std::fs::symlink_metadata(dir.join(path)).is_err() {
        return Ok(());
    }
    if let Some(parent) = kept.parent() {
        fs::create_dirs(parent, 0o755)?;
    }
    link_or_copy(&dir.join(path), &kept)?;
    Ok(())
}
