//! Proves that an output is what its record says, that every tarball is whole, and that what was reviewed is what is packed.
//!
//! Nothing is trusted that the same person could have changed along with it: a tarball against its own sums shows damage,
//! against the output's record exchange, against a review tree from git tampering. Every difference is named; nothing is
//! written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::archive;
use crate::output::record::{BUILD_JSON, BuildRecord, PackageRecord};
use crate::pack::bundle::hex;
use crate::snapshot::tarball::{self, Checked};
use crate::snapshot::{self, Body, Bundle, Opened, Problem, Review, Snapshot, SnapshotError};

/// What was looked at, and what is wrong.
#[derive(Debug, Default)]
pub struct Verified {
    /// Tarballs that were read.
    pub tarballs: usize,
    /// Files in them.
    pub files: usize,
    /// Packages and programs beside them that are whole.
    pub packages: usize,
    /// Tarballs that were compared with a review tree.
    pub reviewed: usize,
    /// Sorted; empty when all is well.
    pub problems: Vec<Problem>,
}

/// Verifies an output folder, a folder of tarballs, or a tarball; against a review tree, too, if one is given.
///
/// # Errors
/// When there is nothing to verify at that path.
pub fn verify(path: &Path, against: Option<&Opened>) -> Result<Verified, SnapshotError> {
    let mut verified = Verified::default();
    let name = path.display().to_string();
    let meta =
        std::fs::metadata(path).map_err(|_| SnapshotError::one(&name, "there is no such file or folder"))?;
    if meta.is_file() {
        let checked = read(path);
        verified.add(checked, |bundle| bundle_against(bundle, "", against));
    } else {
        let folders = outputs(path);
        if folders.is_empty() {
            let loose = snapshot::tarballs_in(path);
            if loose.is_empty() {
                return Err(SnapshotError::one(
                    name,
                    "is no output folder (BUILD.json, bundles/) and no folder of tarballs",
                ));
            }
            for checked in loose.par_iter().map(|p| read(p)).collect::<Vec<_>>() {
                let tarball = verified.add(checked, |bundle| bundle_against(bundle, "", against));
                if let Some(tarball) = tarball {
                    verified.is_named(&tarball);
                }
            }
        }
        for (folder, dir) in folders {
            output(&folder, &dir, against, &mut verified);
        }
    }
    verified.problems.sort();
    verified.problems.dedup();
    Ok(verified)
}

/// The outputs at a path: itself, or each of its folders.
pub fn outputs(path: &Path) -> Vec<(String, PathBuf)> {
    let is_output = |dir: &Path| dir.join(BUILD_JSON).exists() || dir.join("bundles").is_dir();
    if is_output(path) {
        return vec![(String::new(), path.to_owned())];
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().filter_map(Result::ok);
    let mut found: Vec<(String, PathBuf)> = entries
        .filter_map(|e| Some((e.file_name().into_string().ok()?, e.path())))
        .filter(|(name, dir)| !name.starts_with('.') && is_output(dir))
        .collect();
    found.sort();
    found
}

/// A tarball as it was read.
struct Tarball {
    label: String,
    size: u64,
    tarball_sha256: String,
    tar_sha256: String,
    checked: Checked,
}

fn read(path: &Path) -> Result<Tarball, SnapshotError> {
    let label = path.display().to_string();
    let packed = snapshot::packed(path)?;
    let unpacked = tarball::unpack(&label, &packed)?;
    let checked = tarball::read(&unpacked)?;
    Ok(Tarball {
        label,
        size: packed.len() as u64,
        tarball_sha256: hex(&Sha256::digest(&packed)),
        tar_sha256: unpacked.tar_sha256,
        checked,
    })
}

impl Verified {
    fn problem(&mut self, place: impl Into<String>, what: impl Into<String>) {
        self.problems.push(Problem { place: place.into(), what: what.into() });
    }

    /// A folder's tarballs are carried to hosts by their names.
    fn is_named(&mut self, tarball: &Tarball) {
        let bundle = &tarball.checked.bundle.name;
        let file = Path::new(&tarball.label).file_name().and_then(|n| n.to_str());
        if file != Some(&format!("{bundle}.tar.gz")) {
            self.problem(&tarball.label, format!("is the bundle of {bundle}"));
        }
    }

    fn add(
        &mut self,
        read: Result<Tarball, SnapshotError>,
        compare: impl FnOnce(&Bundle) -> Option<Vec<Problem>>,
    ) -> Option<Tarball> {
        self.tarballs += 1;
        match read {
            Ok(tarball) => {
                self.files += tarball.checked.bundle.files.len();
                if let Some(problems) = compare(&tarball.checked.bundle) {
                    self.reviewed += 1;
                    self.problems.extend(problems);
                }
                Some(tarball)
            }
            Err(e) => {
                self.problems.extend(e.problems);
                None
            }
        }
    }
}

/// One cluster's output: record, sums, tarballs, its own review tree and the one that is given.
fn output(folder: &str, dir: &Path, against: Option<&Opened>, verified: &mut Verified) {
    let shown = |file: &str| dir.join(file).display().to_string();
    let record = text(&dir.join(BUILD_JSON)).and_then(|text| BuildRecord::parse(&text));
    let Some(record) = record else {
        verified.problem(shown(BUILD_JSON), "is missing, or no record of a build that this khagen knows");
        return;
    };
    sums(dir, &record, verified);
    packages(dir, &record, verified);
    let own = match Review::folder(&dir.join("review")) {
        Ok(review) => Some(review),
        Err(e) => {
            verified.problems.extend(e.problems);
            None
        }
    };
    let there: BTreeSet<String> = snapshot::tarballs_in(&dir.join("bundles"))
        .iter()
        .filter_map(|p| p.file_name()?.to_str()?.strip_suffix(".tar.gz").map(str::to_owned))
        .collect();
    for name in there.iter().filter(|n| !record.bundles.contains_key(*n)) {
        verified.problem(shown(&format!("bundles/{name}.tar.gz")), "is not in BUILD.json");
    }
    for name in record.bundles.keys().filter(|n| !there.contains(*n)) {
        verified.problem(shown(&format!("bundles/{name}.tar.gz")), "is missing: BUILD.json names it");
    }
    let names: Vec<&String> = there.iter().filter(|n| record.bundles.contains_key(*n)).collect();
    let tarballs: Vec<_> = names.par_iter().map(|n| read(&dir.join(format!("bundles/{n}.tar.gz")))).collect();
    for (name, result) in names.into_iter().zip(tarballs) {
        let compare = |bundle: &Bundle| {
            let from_own = own.as_ref().map(|r| with_review(bundle, r, "review"));
            let from_given = bundle_against(bundle, folder, against);
            match (from_own, from_given) {
                (None, None) => None,
                (a, b) => Some(a.into_iter().chain(b).flatten().collect()),
            }
        };
        let Some(tarball) = verified.add(result, compare) else { continue };
        let Some(expected) = record.bundles.get(name) else { continue };
        let Tarball { label, size, tarball_sha256, tar_sha256, checked } = &tarball;
        verified.is_named(&tarball);
        if checked.generation != expected.generation {
            verified.problem(
                label,
                format!("has generation {}, BUILD.json says {}", checked.generation, expected.generation),
            );
        }
        if *tar_sha256 != expected.tar_sha256 {
            verified.problem(label, "is another tar than BUILD.json says (SHA-256 of its content)");
        } else if *tarball_sha256 != expected.tarball_sha256 || *size != expected.size {
            verified
                .problem(label, "was compressed anew: the same tar, but not the file that BUILD.json names");
        }
    }
    for review in own.iter().map(|r| r as &dyn Snapshot).chain(cluster(folder, against)) {
        match review.strays() {
            Ok(strays) => verified.problems.extend(strays),
            Err(e) => verified.problems.extend(e.problems),
        }
        for name in review.names().keys().filter(|n| !record.bundles.contains_key(&***n)) {
            verified.problem(&**name, "is in the review tree, but there is no such bundle");
        }
    }
}

/// A text of the output; `None` for what is not there, no regular file, or far too large.
fn text(path: &Path) -> Option<String> {
    let meta = std::fs::symlink_metadata(path).ok()?;
    (meta.is_file() && meta.len() <= snapshot::MAX_FILE).then(|| std::fs::read_to_string(path).ok()).flatten()
}

/// SHA256SUMS of the output, which the operator's `sha256sum -c` reads.
fn sums(dir: &Path, record: &BuildRecord, verified: &mut Verified) {
    let place = dir.join("SHA256SUMS").display().to_string();
    let Some(text) = text(&dir.join("SHA256SUMS")) else {
        verified.problem(place, "is missing, or no regular file");
        return;
    };
    let found: BTreeSet<&str> = text.lines().collect();
    let bundles = record.bundles.iter();
    let bundles = bundles.map(|(name, b)| (format!("{}  bundles/{name}.tar.gz", b.tarball_sha256), name));
    let packages = record.packages.iter();
    let packages = packages.map(|(name, p)| (format!("{}  packages/{name}", p.sha256), name));
    let expected: BTreeMap<String, &String> = bundles.chain(packages).collect();
    for (line, name) in &expected {
        if !found.contains(line.as_str()) {
            verified.problem(&place, format!("has not the sum that BUILD.json gives for {name}"));
        }
    }
    for line in found.iter().filter(|l| !expected.contains_key(**l)) {
        let name = line.split_once("  ").map_or(*line, |(_, name)| name);
        verified
            .problem(&place, format!("has a sum for {} that BUILD.json does not give", name.escape_debug()));
    }
}

/// What travels beside the bundles: every file that the record names, whole, and no other.
fn packages(dir: &Path, record: &BuildRecord, verified: &mut Verified) {
    let folder = dir.join("packages");
    let shown = |name: &str| folder.join(name).display().to_string();
    let entries = std::fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok);
    for name in entries.filter_map(|e| e.file_name().into_string().ok()) {
        if !record.packages.contains_key(&name) {
            verified.problem(shown(&name), "is not in BUILD.json");
        }
    }
    let names: Vec<(&String, &PackageRecord)> = record.packages.iter().collect();
    let found: Vec<_> = names
        .par_iter()
        .map(|(name, _)| archive::digest(&mut archive::open(&folder.join(name))?, &mut std::io::sink()))
        .collect();
    for ((name, expected), found) in names.into_iter().zip(found) {
        match found {
            Ok(found) if found.sha256 == expected.sha256 => verified.packages += 1,
            Ok(_) => verified.problem(shown(name), "is damaged: its SHA-256 is not that of BUILD.json"),
            Err(_) => verified.problem(shown(name), "is missing: BUILD.json names it"),
        }
    }
}

/// The cluster of a review tree that a folder is compared with.
fn cluster<'a>(folder: &str, against: Option<&'a Opened>) -> Option<&'a dyn Snapshot> {
    let against = against?;
    let named = against.clusters.get(folder);
    let only = (against.clusters.len() == 1).then(|| against.clusters.values().next()).flatten();
    named.or(only).map(|c| &**c)
}

/// Compares with the given review tree; of several clusters, with the one that has the bundle.
fn bundle_against(bundle: &Bundle, folder: &str, against: Option<&Opened>) -> Option<Vec<Problem>> {
    let opened = against?;
    let candidates = cluster(folder, against).into_iter().chain(opened.clusters.values().map(|c| &**c as _));
    let review = candidates.into_iter().find(|c: &&dyn Snapshot| c.names().contains_key(&bundle.name));
    Some(match review {
        Some(review) => with_review(bundle, review, &opened.name),
        None => vec![Problem { place: bundle.name.to_string(), what: format!("is not in {}", opened.name) }],
    })
}

/// Every difference between a tarball's bundle and the reviewed one.
fn with_review(packed: &Bundle, review: &dyn Snapshot, called: &str) -> Vec<Problem> {
    let reviewed = match review.bundle(&packed.name) {
        Ok(bundle) => bundle,
        Err(e) => return e.problems,
    };
    let mut problems = Vec::new();
    let mut problem = |path: &str, what: String| {
        problems.push(Problem { place: format!("{}: {path}", packed.name), what });
    };
    let plain = |b: &Bundle| {
        let mut all = b.head.all.clone();
        for key in ["schema", "generation"] {
            all.remove(key);
        }
        all
    };
    let (a, b) = (plain(packed), plain(&reviewed));
    let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let mut agree = true;
    for key in keys.into_iter().filter(|k| a.get(*k) != b.get(*k)) {
        problem("MANIFEST.json", format!("`{key}` is not what {called} has in BUNDLE.json"));
        agree = false;
    }
    // Two texts of the same JSON may be two things to the scripts that read it.
    if agree && packed.head.lines != reviewed.head.lines {
        problem("MANIFEST.json", format!("its head is written otherwise than BUNDLE.json in {called}"));
    }
    let paths: BTreeSet<&Arc<str>> = packed.files.keys().chain(reviewed.files.keys()).collect();
    for path in paths {
        match (packed.files.get(path), reviewed.files.get(path)) {
            (Some(_), None) => problem(path, format!("is packed, but not in {called}")),
            (None, Some(_)) => problem(path, format!("is in {called}, but not packed")),
            (Some(x), Some(y)) => {
                if x.mode != y.mode {
                    problem(path, format!("is packed with mode {:04o}; {called} has {:04o}", x.mode, y.mode));
                }
                if (&x.owner, &x.group) != (&y.owner, &y.group) {
                    problem(
                        path,
                        format!("belongs to {}:{}; {called} has {}:{}", x.owner, x.group, y.owner, y.group),
                    );
                }
                if x.policy != y.policy {
                    problem(path, format!("has policy {}; {called} has {}", x.policy, y.policy));
                }
                if let Some(what) = bodies(&x.body, &y.body) {
                    problem(path, format!("{what} {called}"));
                }
            }
            (None, None) => {}
        }
    }
    problems
}

fn bodies(packed: &Body, reviewed: &Body) -> Option<String> {
    match (packed, reviewed) {
        (a, b) if a == b => None,
        (Body::Text(a), Body::Text(b)) => {
            let line = a.lines().zip(b.lines()).take_while(|(x, y)| x == y).count() + 1;
            Some(format!("differs from line {line} on from what stands in"))
        }
        (Body::Secret { id: a, .. }, Body::Secret { id: b, .. }) if a != b => {
            Some(format!("is the secret {a}, not {b} as in"))
        }
        (Body::Secret { id, .. }, Body::Secret { .. }) => {
            Some(format!("is another {id} than the one whose fingerprint stands in"))
        }
        (Body::Secret { .. }, Body::Text(_)) => Some("is a secret; it is text in".to_owned()),
        (Body::Text(_), Body::Secret { .. }) => Some("is text; it is a secret in".to_owned()),
    }
}
