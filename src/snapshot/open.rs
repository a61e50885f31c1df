//! Finds out what the user named: an output folder, a review tree, a folder of tarballs, a tarball, or a git revision.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use super::git::{Repository, Rev};
use super::tarball::{MAX_PACKED, Tarballs};
use super::tree::Folder;
use super::{Identity, Review, Snapshot, SnapshotError};
use crate::output::record::{BUILD_JSON, BuildRecord};

/// One side of a comparison: clusters by the folder that they have in the output, which is empty for a single one.
pub struct Opened {
    /// What the user wrote.
    pub name: String,
    /// What it turned out to be.
    pub side: Side,
    /// By folder.
    pub clusters: BTreeMap<String, Arc<dyn Snapshot>>,
}

/// What a side is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// All bundles of a build.
    Whole,
    /// Single tarballs: the other side is compared for the hosts that are here.
    Some,
}

/// Opens `git:REV[:PATH]`, a tarball or a folder.
///
/// # Errors
/// When it is none of these, or cannot be read; every problem is named.
pub fn open(name: &str) -> Result<Opened, SnapshotError> {
    let whole = |clusters| Opened { name: name.to_owned(), side: Side::Whole, clusters };
    if let Some(rev) = name.strip_prefix("git:") {
        let rev = Rev::parse(rev).map_err(|what| SnapshotError::one(name, what))?;
        return Ok(whole(of_git(name, &rev)?));
    }
    let path = PathBuf::from(name);
    let meta = std::fs::metadata(&path).map_err(|e| SnapshotError::one(name, plain(&e)))?;
    if meta.is_file() {
        let bytes = packed(&path)?;
        let tarballs = Tarballs::one(name, bytes)?;
        let clusters = BTreeMap::from([(String::new(), Arc::new(tarballs) as Arc<dyn Snapshot>)]);
        return Ok(Opened { name: name.to_owned(), side: Side::Some, clusters });
    }
    if !meta.is_dir() {
        return Err(SnapshotError::one(name, "is neither a folder nor a file"));
    }
    let found = of_folder(&path)?;
    if found.is_empty() {
        return Err(SnapshotError::one(
            name,
            "is neither an output folder (review/, BUILD.json) nor a review tree (hosts/) nor a folder of tarballs",
        ));
    }
    Ok(whole(found))
}

fn plain(e: &std::io::Error) -> String {
    match e.kind() {
        std::io::ErrorKind::NotFound => "there is no such file or folder".to_owned(),
        _ => e.to_string(),
    }
}

type Clusters = BTreeMap<String, Arc<dyn Snapshot>>;

/// One cluster, or one for each subfolder that is an output.
fn of_folder(path: &Path) -> Result<Clusters, SnapshotError> {
    if let Some(one) = cluster_in(path)? {
        return Ok(BTreeMap::from([(String::new(), one)]));
    }
    let mut clusters = Clusters::new();
    for folder in subfolders(path) {
        if let Some(cluster) = cluster_in(&path.join(&folder))? {
            clusters.insert(folder, cluster);
        }
    }
    Ok(clusters)
}

fn subfolders(path: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(path).into_iter().flatten().filter_map(Result::ok);
    let mut names: Vec<String> = entries
        .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()))
        .filter_map(|e| e.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    names
}

fn cluster_in(path: &Path) -> Result<Option<Arc<dyn Snapshot>>, SnapshotError> {
    if path.join("review/hosts").is_dir() {
        let tree = Folder::new(path.join("review")).with_identities(identities(path));
        return Ok(Some(Arc::new(Review::open(Box::new(tree))?)));
    }
    if path.join("hosts").is_dir() {
        return Ok(Some(Arc::new(Review::open(Box::new(Folder::new(path)))?)));
    }
    for folder in [path.join("bundles"), path.to_owned()] {
        let found = tarballs_in(&folder);
        if !found.is_empty() {
            let packed = found
                .into_par_iter()
                .map(|p| {
                    let name = p.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix(".tar.gz"));
                    Ok((name.unwrap_or_default().to_owned(), packed(&p)?))
                })
                .collect::<Result<Vec<_>, SnapshotError>>()?;
            return Ok(Some(Arc::new(Tarballs::new(packed))));
        }
    }
    Ok(None)
}

/// The tarballs of a folder, sorted.
pub fn tarballs_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let mut found: Vec<PathBuf> = entries
        .map(|e| e.path())
        .filter(|p| p.to_str().is_some_and(|p| p.ends_with(".tar.gz")) && p.is_file())
        .collect();
    found.sort();
    found
}

/// A tarball's bytes, within bounds.
///
/// # Errors
/// When it cannot be read or is too large.
pub fn packed(path: &Path) -> Result<Vec<u8>, SnapshotError> {
    let fail = |what: String| SnapshotError::one(path.display().to_string(), what);
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|e| fail(plain(&e)))?;
    file.take(MAX_PACKED + 1).read_to_end(&mut bytes).map_err(|e| fail(e.to_string()))?;
    if bytes.len() as u64 > MAX_PACKED {
        return Err(fail(format!("is larger than {} MiB: refused", MAX_PACKED >> 20)));
    }
    Ok(bytes)
}

/// The record's digests of content, of bundles that lie there as it says; without one all texts are read. A review tree that
/// came without its bundles, from somebody's branch, is always read.
fn identities(output: &Path) -> BTreeMap<Arc<str>, Identity> {
    let path = output.join(BUILD_JSON);
    let readable = std::fs::symlink_metadata(&path).is_ok_and(|m| m.is_file() && m.len() <= super::MAX_FILE);
    let text = if readable { std::fs::read_to_string(path).unwrap_or_default() } else { String::new() };
    let record = BuildRecord::parse(&text);
    let bundles = record.map(|r| r.bundles).unwrap_or_default();
    let is_there = |name: &str, size: u64| {
        let path = output.join(format!("bundles/{name}.tar.gz"));
        std::fs::symlink_metadata(path).is_ok_and(|m| m.is_file() && m.len() == size)
    };
    bundles
        .into_iter()
        .filter(|(name, b)| is_there(name, b.size))
        .map(|(name, b)| (Arc::from(name), Identity::Content(b.content_sha256)))
        .collect()
}

/// The review trees of a commit: those below the path, or, without one, those of the folder `out` if it has any.
fn of_git(name: &str, rev: &Rev) -> Result<Clusters, SnapshotError> {
    let repository = Arc::new(Repository::open(rev)?);
    let mut roots = repository.review_trees();
    if rev.path.is_none() && roots.iter().any(|r| r == "out/review" || r.starts_with("out/")) {
        roots.retain(|r| r.starts_with("out/"));
    }
    let base = rev.path.clone().unwrap_or_else(|| {
        if roots.iter().all(|r| r.starts_with("out/")) { "out".to_owned() } else { String::new() }
    });
    let mut clusters = Clusters::new();
    for root in &roots {
        let below = root.strip_prefix(base.as_str()).unwrap_or(root).trim_start_matches('/');
        let folder = below.strip_suffix("review").unwrap_or(below).trim_end_matches('/').to_owned();
        let review = Review::open(Box::new(repository.at(root.clone())))?;
        if clusters.insert(folder, Arc::new(review)).is_some() {
            return Err(SnapshotError::one(name, "holds several review trees: name one, git:REV:PATH"));
        }
    }
    let several = clusters.len() > 1 && rev.path.is_none() && base.is_empty();
    match clusters.len() {
        0 => Err(SnapshotError::one(
            name,
            "holds no review tree there (a folder hosts/ with FILES below each host)",
        )),
        _ if several => Err(SnapshotError::one(
            name,
            format!("holds several review trees ({}): name one, git:REV:PATH", roots.join(", ")),
        )),
        _ => Ok(clusters),
    }
}
