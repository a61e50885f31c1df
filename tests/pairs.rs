//! Scripted edits of an inventory, and what `khagen diff` says of each: tests/pairs/NAME has the edit (`edit.sh`, run in a copy
//! of the inventory; `before.sh` prepares the older side), the text and the JSON. What is random is masked. `KHAGEN_BLESS=1`
//! writes texts and JSON anew; a changed golden is reviewed like code.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rayon::prelude::*;
use support::{khagen, mask, root, scratch, text};

/// The day on which the older sides are issued: 2026-11-22.
const EPOCH: u64 = 1_795_305_600;

struct Pair {
    name: String,
    dir: PathBuf,
    base: String,
    days: u64,
}

fn pairs() -> Vec<Pair> {
    let mut pairs: Vec<Pair> = fs::read_dir(root().join("tests/pairs"))
        .expect("tests/pairs")
        .map(|e| e.expect("entry").path())
        .filter(|dir| dir.is_dir())
        .map(|dir| {
            let edit = fs::read_to_string(dir.join("edit.sh")).expect("edit.sh");
            let of = |key: &str| {
                edit.lines().find_map(|l| l.strip_prefix(&format!("# {key}: "))).map(str::to_owned)
            };
            Pair {
                name: dir.file_name().expect("name").to_string_lossy().into_owned(),
                base: of("base").unwrap_or_else(|| "inventory".to_owned()),
                days: of("days").map_or(0, |d| d.parse().expect("days")),
                dir,
            }
        })
        .collect();
    pairs.sort_by(|a, b| a.name.cmp(&b.name));
    pairs
}

fn succeed(command: &mut Command) -> Result<(), String> {
    let out = command.output().map_err(|e| e.to_string())?;
    if out.status.success() {
        Ok(())
    } else {
        Err(format!("{command:?}\n{}{}", text(&out.stdout), text(&out.stderr)))
    }
}

fn shell(script: &Path, dir: &Path) -> Result<(), String> {
    succeed(Command::new("sh").arg("-eu").arg(script).current_dir(dir).env("REPOSITORY", root()))
}

fn build(inventory: &Path, out: &Path, epoch: u64) -> Result<(), String> {
    let mut build = khagen();
    build.env("SOURCE_DATE_EPOCH", epoch.to_string());
    succeed(build.args(["build", "-q", "--no-sync"]).arg(inventory).arg("-o").arg(out))
}

/// In memory where that can be had: file systems are slow to create files where many were just deleted.
fn fast_scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = tempfile::Builder::new().prefix("khagen-pairs-").tempdir_in(memory);
    made.unwrap_or_else(|_| scratch())
}

/// Both sides, built in a folder: `old` and `new`.
fn built(pair: &Pair, dir: &Path) -> Result<(), String> {
    let base = &pair.base;
    let from =
        if base == "inventory" { root().join(base) } else { root().join("tests/inventories").join(base) };
    let inventory = dir.join("inventory");
    support::copy_inventory(&from, &inventory);
    if pair.dir.join("before.sh").exists() {
        shell(&pair.dir.join("before.sh"), &inventory)?;
    }
    build(&inventory, &dir.join("old"), EPOCH)?;
    shell(&pair.dir.join("edit.sh"), &inventory)?;
    support::copy_tree(&dir.join("old"), &dir.join("new"));
    build(&inventory, &dir.join("new"), EPOCH + pair.days * 86_400)
}

fn diff(dir: &Path, args: &[&str]) -> (i32, String) {
    let out = khagen().arg("diff").args(args).current_dir(dir).output().expect("khagen");
    assert!(out.stderr.is_empty(), "{}", text(&out.stderr));
    (out.status.code().expect("a code"), text(&out.stdout))
}

fn check(pair: &Pair) -> Result<(), String> {
    let dir = fast_scratch();
    built(pair, dir.path()).map_err(|e| format!("{}: {e}", pair.name))?;
    let (code, shown) = diff(dir.path(), &["old", "new"]);
    let (json_code, json) = diff(dir.path(), &["old", "new", "--format", "json"]);
    let (shown, json) = (mask(&shown), mask(&json));
    let no_change = shown.starts_with("no change: ");
    if code != json_code || code != if no_change { 0 } else { 2 } {
        return Err(format!("{}: exit {code} and {json_code}\n{shown}", pair.name));
    }
    // What git holds says the same.
    if pair.base != "two-clusters" {
        let (code, review) = diff(dir.path(), &["old/review", "new/review", "--format", "json"]);
        let review = mask(&review).replace("old/review", "old").replace("new/review", "new");
        if code != json_code || review != json {
            return Err(format!("{}: review trees say something else than outputs\n{review}", pair.name));
        }
    }
    let files = [("expected.txt", &shown), ("expected.json", &json)];
    if std::env::var_os("KHAGEN_BLESS").is_some() {
        for (file, found) in files {
            fs::write(pair.dir.join(file), found).expect("write");
        }
        return Ok(());
    }
    for (file, found) in files {
        let known = fs::read_to_string(pair.dir.join(file)).unwrap_or_default();
        if known != *found {
            let diff = similar::TextDiff::from_lines(&known, found);
            return Err(format!("{}/{file}\n{}", pair.name, diff.unified_diff().header("golden", "found")));
        }
    }
    Ok(())
}

#[test]
fn every_edit_says_what_it_does() {
    let pairs = pairs();
    assert!(pairs.len() >= 60, "{} pairs", pairs.len());
    let failed: Vec<String> = pairs.par_iter().filter_map(|pair| check(pair).err()).collect();
    assert!(failed.is_empty(), "{} pairs differ\n{}", failed.len(), failed.join("\n"));
}

/// Edits whose names say that nothing changes are the ones that say so.
#[test]
fn what_means_nothing_is_no_change() {
    for name in
        ["same", "hosts-reordered", "comments-and-quotes", "documents-split", "yaml-to-toml", "a-year-later"]
    {
        let shown =
            fs::read_to_string(root().join("tests/pairs").join(name).join("expected.txt")).expect("a golden");
        assert!(shown.starts_with("no change: "), "{name}: {shown}");
    }
}

/// What is under a store's own key cannot be compared with what is under another's, and a person must hear it.
#[test]
fn two_stores_are_told_apart() {
    let (one, other) = (support::built("compact"), support::built("compact"));
    for format in ["text", "markdown", "json", "html"] {
        let out = khagen()
            .arg("diff")
            .args([one.out(), other.out()])
            .args(["--format", format])
            .output()
            .expect("khagen");
        assert_eq!(out.status.code(), Some(2));
        assert!(text(&out.stdout).contains("these come from two stores"), "{format}");
    }
    let same = khagen().arg("diff").args([one.out(), one.out()]).output().expect("khagen");
    assert_eq!(same.status.code(), Some(0));
}
