//! Where a review tree's files are: a folder, or a commit of a git repository.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use super::SnapshotError;

/// Larger than any text that a bundle holds; what is larger is refused unread.
pub const MAX_FILE: u64 = 16 << 20;

/// Files by their path below `review/`.
pub trait Tree: Send + Sync {
    /// Every file's path, sorted.
    ///
    /// # Errors
    /// When the folder cannot be listed, or holds something that is no file.
    fn list(&self, below: &str) -> Result<Vec<String>, SnapshotError>;

    /// The names of the folders directly below.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    fn folders(&self, below: &str) -> Result<Vec<String>, SnapshotError>;

    /// A file's text; `None` where there is none.
    ///
    /// # Errors
    /// When it cannot be read or is no UTF-8.
    fn read(&self, path: &str) -> Result<Option<Arc<str>>, SnapshotError>;

    /// What tells a bundle's content from any other's, by folder name below `hosts/` (and `operator`), where it is known.
    fn identities(&self) -> BTreeMap<Arc<str>, super::Identity> {
        BTreeMap::new()
    }
}

/// A folder.
pub struct Folder {
    dir: PathBuf,
    identities: BTreeMap<Arc<str>, super::Identity>,
    /// Folders that were found to be such.
    folders: RwLock<BTreeSet<PathBuf>>,
}

impl Folder {
    /// A review tree.
    pub fn new(dir: impl Into<PathBuf>) -> Folder {
        Folder { dir: dir.into(), identities: BTreeMap::new(), folders: RwLock::default() }
    }

    /// With what the record beside it says of the bundles.
    pub fn with_identities(mut self, identities: BTreeMap<Arc<str>, super::Identity>) -> Folder {
        self.identities = identities;
        self
    }

    /// Refuses what is reached through a link: a review tree from somebody's branch would show any file of this machine.
    fn no_links(&self, path: &str) -> Result<(), SnapshotError> {
        let mut at = self.dir.clone();
        for part in path.split('/').filter(|p| !p.is_empty()) {
            at.push(part);
            let known = self.folders.read().unwrap_or_else(PoisonError::into_inner).contains(&at);
            if known {
                continue;
            }
            match std::fs::symlink_metadata(&at) {
                Ok(meta) if meta.is_symlink() => {
                    return Err(SnapshotError::one(at.display().to_string(), "is a symbolic link: refused"));
                }
                Ok(meta) if meta.is_dir() => {
                    self.folders.write().unwrap_or_else(PoisonError::into_inner).insert(at.clone());
                }
                // What is not there is said by whoever wants to read it.
                _ => return Ok(()),
            }
        }
        Ok(())
    }

    fn place(&self, path: &str) -> String {
        self.dir.join(path).display().to_string()
    }
}

impl Tree for Folder {
    fn list(&self, below: &str) -> Result<Vec<String>, SnapshotError> {
        self.no_links(below)?;
        let root = self.dir.join(below);
        let mut found = Vec::new();
        let mut problems = Vec::new();
        if !root.exists() {
            return Ok(found);
        }
        for entry in walkdir::WalkDir::new(&root).follow_links(false).max_depth(64) {
            let entry = match entry {
                Ok(entry) => entry,
                Err(e) => {
                    problems.extend(SnapshotError::one(root.display().to_string(), e.to_string()).problems);
                    continue;
                }
            };
            let kind = entry.file_type();
            if kind.is_dir() {
                continue;
            }
            let path = entry.path().strip_prefix(&self.dir).ok().and_then(Path::to_str);
            match path {
                Some(path) if kind.is_file() => found.push(path.to_owned()),
                _ => problems.extend(
                    SnapshotError::one(entry.path().display().to_string(), "is no regular file").problems,
                ),
            }
        }
        found.sort();
        SnapshotError::all(problems).map_or(Ok(found), Err)
    }

    fn folders(&self, below: &str) -> Result<Vec<String>, SnapshotError> {
        self.no_links(below)?;
        let root = self.dir.join(below);
        let entries = match std::fs::read_dir(&root) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(SnapshotError::one(self.place(below), e.to_string())),
        };
        let mut names: Vec<String> = entries
            .filter_map(Result::ok)
            .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()))
            .filter_map(|e| e.file_name().into_string().ok())
            .collect();
        names.sort();
        Ok(names)
    }

    fn read(&self, path: &str) -> Result<Option<Arc<str>>, SnapshotError> {
        use std::io::Read;
        self.no_links(path)?;
        let target = self.dir.join(path);
        let fail = |what: String| SnapshotError::one(target.display().to_string(), what);
        let meta = match std::fs::symlink_metadata(&target) {
            Ok(meta) => meta,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(fail(e.to_string())),
        };
        if !meta.is_file() {
            return Err(fail("is no regular file".to_owned()));
        }
        if meta.len() > MAX_FILE {
            return Err(fail(format!("is larger than {} MiB", MAX_FILE >> 20)));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or(0) + 1);
        std::fs::File::open(&target)
            .and_then(|f| f.take(MAX_FILE + 1).read_to_end(&mut bytes))
            .map_err(|e| fail(e.to_string()))?;
        String::from_utf8(bytes).map(|text| Some(Arc::from(text))).map_err(|_| fail("is no UTF-8".to_owned()))
    }

    fn identities(&self) -> BTreeMap<Arc<str>, super::Identity> {
        self.identities.clone()
    }
}
