//! What of an output is carried: its record, sums and pages, the bundles, and what travels beside them, or one host's part.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use crate::archive;
use crate::output::record::{BUILD_JSON, BuildRecord};
use crate::pack::bundle::OPERATOR;
use crate::snapshot::{self, tarball};

/// A file to carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its path in the output, and in the folder that import.sh makes.
    pub path: String,
    /// Where it is.
    pub disk: PathBuf,
    /// Permission bits that it gets back.
    pub mode: u32,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the file, hexadecimal: of the record for bundles and packages, computed for pages.
    pub sha256: String,
    /// Where it lies on the medium.
    pub folder: &'static str,
}

/// An output is not fit to be carried.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// There is none.
    #[error("{0} is no output folder of khagen build, or of a build that this khagen does not know")]
    NoOutput(PathBuf),
    /// A build was cut off.
    #[error("{0} was left half written by a build")]
    Unfinished(PathBuf),
    /// No bundle of that name.
    #[error("there is no bundle of {name}; there are {there}", there = there.join(", "))]
    NoHost {
        /// What was asked for.
        name: String,
        /// What there is.
        there: Vec<String>,
    },
    /// Not the bytes of the record.
    #[error("{0} of the output is not what BUILD.json says")]
    Damaged(String),
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// All files of an output, or those of some hosts (short names, FQDNs, or `operator`), sorted by path.
///
/// # Errors
/// See [`SourceError`].
pub fn items(output: &Path, hosts: &[String]) -> Result<Vec<Item>, SourceError> {
    let mut found = Vec::new();
    let mut names = Vec::new();
    let mut any = false;
    for (folder, dir) in crate::verify::outputs(output) {
        let text = std::fs::read_to_string(dir.join(BUILD_JSON)).unwrap_or_default();
        let record = BuildRecord::parse(&text).ok_or_else(|| SourceError::NoOutput(dir.clone()))?;
        if dir.join(".khagen").exists() {
            return Err(SourceError::Unfinished(dir));
        }
        any = true;
        names.extend(record.bundles.keys().cloned());
        cluster(&folder, &dir, &record, hosts, &mut found)?;
    }
    if !any {
        return Err(SourceError::NoOutput(output.to_owned()));
    }
    if let Some(name) = hosts.iter().find(|wanted| !names.iter().any(|name| is_called(name, wanted))) {
        return Err(SourceError::NoHost { name: name.clone(), there: names });
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn is_called(name: &str, wanted: &str) -> bool {
    name == wanted || name.split('.').next() == Some(wanted)
}

fn cluster(
    folder: &str,
    dir: &Path,
    record: &BuildRecord,
    hosts: &[String],
    found: &mut Vec<Item>,
) -> Result<(), SourceError> {
    let within = |path: &str| if folder.is_empty() { path.to_owned() } else { format!("{folder}/{path}") };
    let mut packages: Option<BTreeSet<String>> = (!hosts.is_empty()).then(BTreeSet::new);
    let mut some = false;
    for (name, bundle) in &record.bundles {
        if !hosts.is_empty() && !hosts.iter().any(|wanted| is_called(name, wanted)) {
            continue;
        }
        some = true;
        let path = format!("bundles/{name}.tar.gz");
        if let Some(packages) = packages.as_mut().filter(|_| name != OPERATOR) {
            packages.extend(needs(&dir.join(&path)).ok_or_else(|| SourceError::Damaged(within(&path)))?);
        }
        found.push(Item {
            disk: dir.join(&path),
            path: within(&path),
            mode: 0o600,
            size: bundle.size,
            sha256: bundle.tarball_sha256.clone(),
            folder: "bundles",
        });
    }
    if !some {
        return Ok(());
    }
    for (name, package) in &record.packages {
        if packages.as_ref().is_some_and(|wanted| !wanted.contains(name)) {
            continue;
        }
        let path = format!("packages/{name}");
        found.push(Item {
            disk: dir.join(&path),
            path: within(&path),
            mode: 0o644,
            size: package.size,
            sha256: package.sha256.clone(),
            folder: "packages",
        });
    }
    for item in found.iter().filter(|i| i.path.starts_with(&within(""))) {
        let is_there = std::fs::metadata(&item.disk).is_ok_and(|m| m.is_file() && m.len() == item.size);
        if !is_there {
            return Err(SourceError::Damaged(item.path.clone()));
        }
    }
    for path in ["README.md", BUILD_JSON, "SHA256SUMS", "review/CLUSTER.md", "review/cluster.json"] {
        let disk = dir.join(path);
        let unreadable = |source| SourceError::Unreadable { path: disk.clone(), source };
        let mut file = archive::open(&disk).map_err(unreadable)?;
        let digested = archive::digest(&mut file, &mut io::sink()).map_err(unreadable)?;
        found.push(Item {
            path: within(path),
            mode: 0o644,
            size: digested.size,
            sha256: digested.sha256,
            folder: "pages",
            disk: disk.clone(),
        });
    }
    Ok(())
}

/// What travels beside a host's bundle, by its manifest.
fn needs(path: &Path) -> Option<Vec<String>> {
    let packed = snapshot::packed(path).ok()?;
    let unpacked = tarball::unpack(&path.display().to_string(), &packed).ok()?;
    let head = tarball::read(&unpacked).ok()?.bundle.head;
    let files = ["debs", "binaries"].into_iter().filter_map(|list| head.all.get(list)?.as_array());
    Some(files.flatten().filter_map(|one| Some(one.get("file")?.as_str()?.to_owned())).collect())
}
