//! kubeadm-judge, asked about many files at once.

use std::collections::BTreeMap;
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
}

/// Those of `KHAGEN_MINORS`, the oldest first.
pub fn minors() -> Vec<Minor> {
    let listed = std::env::var("KHAGEN_MINORS").unwrap_or_default();
    let mut all: Vec<Minor> = listed
        .split_whitespace()
        .filter_map(|entry| {
            let (name, dir) = entry.split_once('=')?;
            let minor = name.strip_prefix("1.")?.parse().ok()?;
            Some(Minor { name: name.to_owned(), minor, dir: dir.into() })
        })
        .collect();
    all.sort_by_key(|m| m.minor);
    all
}

impl Minor {
    /// What the kubeadm says it is, without its v.
    pub fn version(&self) -> String {
        let out = Command::new(self.dir.join("kubeadm")).args(["version", "-o", "short"]).output();
        text(&out.expect("kubeadm").stdout).trim().trim_start_matches('v').to_owned()
    }
}

/// What is wrong with each of these files, by file. A file that is not in it was taken.
pub fn refused(dir: &Path, files: &[PathBuf]) -> BTreeMap<PathBuf, String> {
    let mut wrong: BTreeMap<PathBuf, String> = BTreeMap::new();
    for some in files.chunks(100) {
        let out = Command::new(dir.join("kubeadm-judge")).args(some).output().expect("kubeadm-judge");
        let said = text(&out.stdout);
        assert!(!said.is_empty(), "{}", text(&out.stderr));
        for line in said.lines().filter(|line| line.starts_with("error ")) {
            let place = line.rsplit_once(" [").map_or("", |(_, place)| place);
            let file = some.iter().find(|f| place.starts_with(&*f.to_string_lossy()));
            let file = file.unwrap_or_else(|| panic!("of no file: {line}")).clone();
            wrong
                .entry(file)
                .or_default()
                .push_str(line.rsplit_once(" [").map_or(line, |(reason, _)| reason));
        }
    }
    wrong
}
