//! What docs/reviewing.md tells a pipeline to run, run: a repository whose origin has the former build, a branch with a change, a
//! clone without a single key.

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use support::{copy_inventory, khagen, root, scratch, text};

/// The lines of one of the page's recipes that are a pipeline's own: khagen, git and what looks at their exit codes.
fn recipe(heading: &str) -> String {
    let page = fs::read_to_string(root().join("docs/reviewing.md")).expect("the page");
    let section = page.split(&format!("### {heading}\n")).nth(1).expect("the heading");
    let block = section.split("```yaml\n").nth(1).and_then(|s| s.split("```").next()).expect("a block");
    let own = ["khagen ", "git ", "test ", "code="];
    let lines: Vec<&str> = block
        .lines()
        .map(|l| l.trim().trim_start_matches("- ").trim_start_matches("run: "))
        .filter(|l| own.iter().any(|o| l.starts_with(o)))
        .collect();
    assert!(lines.len() >= 6, "{lines:?}");
    lines.join("\n")
}

fn git(dir: &Path, args: &[&str]) {
    let mut command = Command::new("git");
    command.current_dir(dir).args(["-c", "user.name=t", "-c", "user.email=t@example.com"]).args(args);
    support::run(&mut command);
}

/// A repository with a first build on its main branch, and a clone of it with what git holds, on a branch.
fn repository(dir: &Path) {
    let source = dir.join("source");
    copy_inventory(&root().join("inventory"), &source.join("inventory"));
    build(&source);
    git(&source, &["init", "-q", "-b", "main"]);
    git(&source, &["add", "."]);
    git(&source, &["commit", "-q", "-m", "first"]);
    git(&source, &["checkout", "-q", "-b", "change"]);
}

fn build(dir: &Path) {
    support::run(khagen().current_dir(dir).args(["build", "-q"]));
}

fn clone(dir: &Path) -> std::path::PathBuf {
    let work = dir.join("work");
    git(dir, &["clone", "-q", "--branch", "change", "source", "work"]);
    let keys = walkdir::WalkDir::new(&work)
        .into_iter()
        .filter_map(Result::ok)
        .filter(|e| !e.path().components().any(|c| c.as_os_str() == ".git") && e.file_type().is_file())
        .filter(|e| text(&fs::read(e.path()).unwrap_or_default()).contains("PRIVATE KEY-----"))
        .filter(|e| !e.path().ends_with("install.sh"))
        .count();
    assert_eq!(keys, 0, "git holds keys");
    work
}

fn walk(recipe: &str, dir: &Path) -> Output {
    let khagen = Path::new(env!("CARGO_BIN_EXE_khagen")).parent().expect("a folder").to_owned();
    let path = format!("{}:{}", khagen.display(), std::env::var("PATH").unwrap_or_default());
    Command::new("bash")
        .args(["-euo", "pipefail", "-c", recipe])
        .current_dir(dir)
        .env("PATH", path)
        .env("GITHUB_BASE_REF", "main")
        .env("CI_MERGE_REQUEST_DIFF_BASE_SHA", "origin/main")
        .output()
        .expect("bash")
}

#[test]
fn a_reviewed_change_passes_and_is_told() {
    for heading in ["GitHub Actions", "GitLab CI"] {
        let dir = scratch();
        repository(dir.path());
        let source = dir.path().join("source");
        fs::write(source.join("inventory/more.yaml"), "etcd: {heartbeatInterval: 200}\n").expect("write");
        build(&source);
        git(&source, &["add", "."]);
        git(&source, &["commit", "-q", "-m", "change"]);
        let work = clone(dir.path());
        let out = walk(&recipe(heading), &work);
        assert!(out.status.success(), "{heading}\n{}{}", text(&out.stdout), text(&out.stderr));
        let comment = fs::read_to_string(work.join("comment.md")).expect("a comment");
        assert!(
            comment.contains("ETCD_HEARTBEAT_INTERVAL") && comment.contains("k8setcd3.isociel.com"),
            "{comment}"
        );
        assert!(fs::metadata(work.join("report.html")).expect("a report").len() > 1000);
        let sarif = fs::read_to_string(work.join("findings.sarif")).expect("findings");
        assert!(serde_json::from_str::<serde_json::Value>(&sarif).is_ok());
    }
}

#[test]
fn a_forgotten_build_is_found() {
    let dir = scratch();
    repository(dir.path());
    let source = dir.path().join("source");
    fs::write(source.join("inventory/more.yaml"), "etcd: {heartbeatInterval: 200}\n").expect("write");
    git(&source, &["add", "."]);
    git(&source, &["commit", "-q", "-m", "without a build"]);
    let work = clone(dir.path());
    let out = walk(&recipe("GitHub Actions"), &work);
    assert_eq!(out.status.code(), Some(1), "{}", text(&out.stdout));
    assert!(text(&out.stdout).contains("etcd.env"), "{}", text(&out.stdout));
}

#[test]
fn what_must_be_issued_is_told() {
    let dir = scratch();
    repository(dir.path());
    let source = dir.path().join("source");
    fs::write(source.join("inventory/more.yaml"), "kubernetes: {apiServer: {certSANs: [api.example.com]}}\n")
        .expect("write");
    git(&source, &["add", "."]);
    git(&source, &["commit", "-q", "-m", "without a build"]);
    let work = clone(dir.path());
    let out = khagen().current_dir(&work).args(["build", "--review"]).output().expect("khagen");
    assert_eq!(out.status.code(), Some(6));
    let said = text(&out.stderr);
    assert!(said.contains("apiserver/k8smaster1.isociel.com: SAN api.example.com added"), "{said}");
    let status =
        Command::new("git").args(["status", "--porcelain"]).current_dir(&work).output().expect("git");
    assert!(status.stdout.is_empty(), "{}", text(&status.stdout));
}
