//! kubeadm-judge, asked about many files at once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::text;

/// A minor and the folder with its kubeadm and kubeadm-judge.
pub struct Minor {
    /// `1.36`.
    pub name: String,
    /// The minor as a number.
    pub minor: u32,
    /// Where its programs are.
    pub dir: PathBuf,
    /// What its kubeadm says it is, without its v.
    pub version: String,
}

/// Those of `KHAGEN_MINORS`, the oldest first.
pub fn minors() -> Vec<Minor> {
    let listed = std::env::var("KHAGEN_MINORS").unwrap_or_default();
    let mut all: Vec<Minor> = listed
        .split_whitespace()
        .filter_map(|entry| {
            let (name, dir) = entry.split_once('=')?;
            let minor = name.strip_prefix("1.")?.parse().ok()?;
            let dir = PathBuf::from(dir);
            let out = Command::new(dir.join("kubeadm")).args(["version", "-o", "short"]).output();
            let version = text(&out.expect("kubeadm").stdout).trim().trim_start_matches('v').to_owned();
            assert!(version.starts_with(name), "{name} is {version}");
            Some(Minor { name: name.to_owned(), minor, dir, version })
        })
        .collect();
    all.sort_by_key(|m| m.minor);
    all
}

/// What the judge says of some files.
#[derive(Default)]
pub struct Verdict {
    /// How many documents of a kind it took.
    pub taken: BTreeMap<String, usize>,
    /// What is wrong with a file. One that is not in it was taken.
    pub refused: BTreeMap<PathBuf, String>,
    /// What upstream's code warns of: its own log.
    pub warned: BTreeSet<String>,
}

/// Asks a minor's judge.
pub fn verdict(dir: &Path, files: &[PathBuf]) -> Verdict {
    let mut verdict = Verdict::default();
    for some in files.chunks(100) {
        let out = Command::new(dir.join("kubeadm-judge")).args(some).output().expect("kubeadm-judge");
        let said = text(&out.stdout);
        assert!(!said.is_empty(), "{}", text(&out.stderr));
        verdict.warned.extend(text(&out.stderr).lines().map(str::to_owned));
        for line in said.lines() {
            if let Some(kind) = line.strip_prefix("ok ") {
                *verdict.taken.entry(kind.to_owned()).or_default() += 1;
                continue;
            }
            let (reason, place) = line.rsplit_once(" [").unwrap_or((line, ""));
            let file = some.iter().find(|f| place.starts_with(&*f.to_string_lossy()));
            let file = file.unwrap_or_else(|| panic!("of no file: {line}")).clone();
            verdict.refused.entry(file).or_default().push_str(reason);
        }
    }
    verdict
}
