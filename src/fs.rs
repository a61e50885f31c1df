//! The only door to writing. Files get their mode when they are opened, never afterwards, and a reader sees
//! a file either as it was or as it became.
//!
//! Nothing here knows what is written. Errors name the path and what was tried.
//!
//! Syncing is the caller's decision: one [`sync_filesystem`] after a batch costs one flush, a sync per file costs
//! one each.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with, syncfs};

/// Mode of files that hold secrets.
pub const SECRET: u32 = 0o600;
/// Mode of files that everybody may read, less the user's umask.
pub const PUBLIC: u32 = 0o644;
/// Mode of folders that hold secrets.
pub const SECRET_DIR: u32 = 0o700;
/// Mode of folders that everybody may read, less the user's umask.
pub const PUBLIC_DIR: u32 = 0o755;

/// Something could not be written.
#[derive(Debug, thiserror::Error)]
pub enum FsError {
    /// A system call failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, a verb.
        action: &'static str,
        /// What it was tried on.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process holds the lock.
    #[error("another khagen is working on {}", path.display())]
    Busy {
        /// What is locked.
        path: PathBuf,
    },
}

impl FsError {
    /// An error of the system, with what was tried.
    pub fn io(action: &'static str, path: &Path, source: io::Error) -> FsError {
        FsError::Io { action, path: path.to_owned(), source }
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FsError {
    move |source| FsError::io(action, path, source)
}

/// Whether what was written reaches the disk before the call returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    /// The system writes it when it likes, or the caller syncs the whole batch.
    Later,
    /// fsync on the file and, where a name changed, on its folder.
    Now,
}

/// Writes a file that is not there yet, with its mode from the first moment on.
///
/// # Errors
/// When it is there already or cannot be written.
pub fn create(path: &Path, bytes: &[u8], mode: u32, sync: Sync) -> Result<(), FsError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .map_err(failed("create", path))?;
    file.write_all(bytes).map_err(failed("write", path))?;
    if sync == Sync::Now {
        file.sync_all().map_err(failed("sync", path))?;
    }
    Ok(())
}

/// Copies a file to a name that is not there yet, with a mode from the first moment on.
///
/// # Errors
/// When it cannot be read or written.
pub fn copy(from: &Path, to: &Path, mode: u32) -> Result<(), FsError> {
    create(to, &[], mode, Sync::Later)?;
    let mut source = File::open(from).map_err(failed("open", from))?;
    let mut target = OpenOptions::new().write(true).open(to).map_err(failed("open", to))?;
    io::copy(&mut source, &mut target).map_err(failed("copy to", to))?;
    Ok(())
}

/// Puts a file in place of whatever had its name: written aside, then renamed.
///
/// # Errors
/// When it cannot be written; the former file is then untouched.
pub fn replace(path: &Path, bytes: &[u8], mode: u32, sync: Sync) -> Result<(), FsError> {
    let aside = sibling(path, "new");
    let done = create(&aside, bytes, mode, sync).and_then(|()| rename(&aside, path));
    if done.is_err() {
        // The first error is the one to report; what is left aside is discarded by the next run.
        let _ = std::fs::remove_file(&aside);
    }
    done?;
    if sync == Sync::Now { sync_parent(path) } else { Ok(()) }
}

/// Makes a folder and those above it that are missing, with a mode.
///
/// # Errors
/// When one cannot be made.
pub fn create_dirs(path: &Path, mode: u32) -> Result<(), FsError> {
    DirBuilder::new().recursive(true).mode(mode).create(path).map_err(failed("create the folder", path))
}

/// Renames a file or folder.
///
/// # Errors
/// When the system refuses.
pub fn rename(from: &Path, to: &Path) -> Result<(), FsError> {
    std::fs::rename(from, to).map_err(failed("rename to", to))
}

/// Removes a file; one that is not there is fine.
///
/// # Errors
/// When it stays.
pub fn remove_file(path: &Path) -> Result<(), FsError> {
    absent_is_fine(std::fs::remove_file(path)).map_err(failed("remove", path))
}

/// Removes a folder with all that is in it; one that is not there is fine.
///
/// # Errors
/// When something stays.
pub fn remove_tree(path: &Path) -> Result<(), FsError> {
    absent_is_fine(std::fs::remove_dir_all(path)).map_err(failed("remove", path))
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Flushes the filesystem that holds a path: one call for a whole batch.
///
/// # Errors
/// When the system reports that something was not written.
pub fn sync_filesystem(path: &Path) -> Result<(), FsError> {
    let file = File::open(path).map_err(failed("open", path))?;
    syncfs(&file).map_err(|e| FsError::io("sync the filesystem of", path, e.into()))
}

/// Flushes the folder that a path is in, so that a rename survives a power cut.
///
/// # Errors
/// When the system refuses.
pub fn sync_parent(path: &Path) -> Result<(), FsError> {
    let parent = parent(path);
    let dir = File::open(parent).map_err(failed("open", parent))?;
    dir.sync_all().map_err(failed("sync", parent))
}

/// A hidden name beside a path: `a/b` becomes `a/.b.<tag>`. The same for the same path, so that leftovers are found.
pub fn aside(path: &Path, tag: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{tag}"))
}

/// As [`aside`], and different on every call, so that two writers of one file do not meet.
fn sibling(path: &Path, tag: &str) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    aside(path, &format!("{}-{n}.{tag}", std::process::id()))
}

/// Puts a staged folder in the place of another. The former one, if any, ends up at `aside(target, "old")`,
/// which the caller removes when it is done; until then a crash loses nothing.
///
/// Where the filesystem can exchange two names, the target is there at every moment. Where it cannot (NFS, vfat),
/// it is away between two renames, and the old one stands aside.
///
/// # Errors
/// When the system refuses.
pub fn replace_dir(staged: &Path, target: &Path) -> Result<Option<PathBuf>, FsError> {
    match renameat_with(CWD, staged, CWD, target, RenameFlags::NOREPLACE) {
        Ok(()) => return Ok(None),
        Err(rustix::io::Errno::EXIST) => {}
        // No renameat2 flags here: rename(2) would replace an empty folder only, so look first.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            if !target.symlink_metadata().is_ok_and(|m| m.is_dir()) {
                return rename(staged, target).map(|()| None);
            }
        }
        Err(e) => return Err(FsError::io("rename to", target, e.into())),
    }
    let old = aside(target, "old");
    remove_tree(&old)?;
    match renameat_with(CWD, staged, CWD, target, RenameFlags::EXCHANGE) {
        Ok(()) => rename(staged, &old)?,
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            rename(target, &old)?;
            rename(staged, target)?;
        }
        Err(e) => return Err(FsError::io("exchange", target, e.into())),
    }
    Ok(Some(old))
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    }
}

/// An exclusive lock, given back when dropped or when the process ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Locks a folder that is there. Nothing is written, so it works on a read-only filesystem.
    ///
    /// # Errors
    /// When it is still locked after `patience`, or cannot be locked at all.
    pub fn folder(path: &Path, patience: Duration) -> Result<Lock, FsError> {
        let file = File::open(path).map_err(failed("open", path))?;
        Lock::acquire(file, path, patience)
    }

    /// Locks a file, which is made if it is not there and stays.
    ///
    /// # Errors
    /// When it is still locked after `patience`, or cannot be made or locked.
    pub fn file(path: &Path, patience: Duration) -> Result<Lock, FsError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(SECRET)
            .open(path)
            .map_err(failed("create", path))?;
        Lock::acquire(file, path, patience)
    }

    fn acquire(file: File, path: &Path, patience: Duration) -> Result<Lock, FsError> {
        const STEP: Duration = Duration::from_millis(20);
        let mut left = patience;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Lock { _file: file }),
                Err(rustix::io::Errno::WOULDBLOCK) if left.is_zero() => {
                    return Err(FsError::Busy { path: path.to_owned() });
                }
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    let step = STEP.min(left);
                    std::thread::sleep(step);
                    left -= step;
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(FsError::io("lock", path, e.into())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let list = std::fs::read_dir(dir).unwrap();
        let mut names: Vec<_> = list.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_replaced_file_has_its_own_mode_and_leaves_nothing_aside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        replace(&path, b"one", PUBLIC, Sync::Later).unwrap();
        replace(&path, b"two", SECRET, Sync::Now).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(names(dir.path()), ["f"]);
    }

    #[test]
    fn a_failed_replacement_leaves_the_former_and_names_the_path() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("in"), "").unwrap();
        let error = replace(&path, b"x", PUBLIC, Sync::Later).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot rename to {}", path.display()));
        assert_eq!(names(dir.path()), ["f"]);
        let error = replace(&dir.path().join("no/f"), b"x", PUBLIC, Sync::Later).unwrap_err();
        assert!(error.to_string().starts_with("cannot create "), "{error}");
    }

    #[test]
    fn create_does_not_follow_what_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("f"), dir.path().join("other"));
        std::fs::write(&other, "other").unwrap();
        std::os::unix::fs::symlink(&other, &path).unwrap();
        assert!(create(&path, b"x", SECRET, Sync::Later).is_err());
        assert_eq!(std::fs::read(&other).unwrap(), b"other");
    }

    #[test]
    fn a_folder_takes_another_ones_place_which_stays_aside() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("t");
        for (text, old) in [("one", false), ("two", true), ("three", true)] {
            let staged = dir.path().join("staged");
            create_dirs(&staged, SECRET_DIR).unwrap();
            create(&staged.join("f"), text.as_bytes(), PUBLIC, Sync::Later).unwrap();
            let aside = replace_dir(&staged, &target).unwrap();
            assert_eq!(std::fs::read_to_string(target.join("f")).unwrap(), text);
            assert_eq!(aside.is_some(), old);
        }
        assert_eq!(std::fs::read_to_string(dir.path().join(".t.old/f")).unwrap(), "two");
        assert_eq!(names(dir.path()), [".t.old", "t"]);
    }

    #[test]
    fn a_lock_excludes_and_is_given_back() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("lock");
        let (one, two) = (Lock::folder(dir.path(), Duration::ZERO), Lock::file(&file, Duration::ZERO));
        assert!(matches!(Lock::folder(dir.path(), Duration::from_millis(30)), Err(FsError::Busy { .. })));
        assert!(matches!(Lock::file(&file, Duration::ZERO), Err(FsError::Busy { .. })));
        drop((one, two));
        assert!(Lock::folder(dir.path(), Duration::ZERO).is_ok());
        assert!(Lock::file(&file, Duration::ZERO).is_ok());
    }
}
