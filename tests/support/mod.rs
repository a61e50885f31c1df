//! What the tests share: running khagen, unpacking bundles, and finding out what this machine can judge.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod browser;
pub mod corporate;
pub mod net;
pub mod tarball;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The repository.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A khagen with a fixed clock and nothing of the caller's environment that could matter.
pub fn khagen() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_khagen"));
    command.env_remove("SOURCE_DATE_EPOCH").env_remove("KHAGEN_IDENTITY").env("NO_COLOR", "1");
    command
}

/// A folder that vanishes.
pub fn scratch() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("khagen-test-").tempdir().expect("a temporary folder")
}

/// Copies an inventory without its store.
pub fn copy_inventory(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("create");
    for entry in fs::read_dir(from).expect("read") {
        let entry = entry.expect("entry");
        if entry.file_name() == "secrets" {
            continue;
        }
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_inventory(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copy");
        }
    }
}

/// Copies a folder with everything.
pub fn copy_tree(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp");
    assert!(done.success());
}

/// The eleven hosts of the repository, in a fresh folder: inventory and output.
pub struct Built {
    pub dir: tempfile::TempDir,
}

impl Built {
    pub fn inventory(&self) -> PathBuf {
        self.dir.path().join("inventory")
    }
    pub fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }
    /// Builds again and expects success.
    pub fn build(&self) -> Output {
        let out =
            khagen().arg("build").arg(self.inventory()).arg("-o").arg(self.out()).output().expect("khagen");
        assert!(out.status.success(), "{}{}", text(&out.stdout), text(&out.stderr));
        out
    }
    pub fn bundle(&self, name: &str) -> BTreeMap<String, Entry> {
        unpack(&self.out().join(format!("bundles/{name}.tar.gz")))
    }
    pub fn hosts(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.out().join("bundles"))
            .expect("bundles")
            .map(|e| e.expect("entry").file_name().into_string().expect("utf-8"))
            .map(|n| n.strip_suffix(".tar.gz").expect("a tarball").to_owned())
            .collect();
        names.sort();
        names
    }
}

/// Builds an inventory of the repository (`inventory`, or `tests/inventories/NAME`) in a fresh folder.
pub fn built(name: &str) -> Built {
    let from =
        if name == "inventory" { root().join(name) } else { root().join("tests/inventories").join(name) };
    let built = Built { dir: scratch() };
    copy_inventory(&from, &built.inventory());
    built.build();
    built
}

/// An entry of a tarball.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    pub mtime: u64,
    pub folder: bool,
    pub bytes: Vec<u8>,
}

/// Reads a tarball in memory; paths without the top folder.
pub fn unpack(path: &Path) -> BTreeMap<String, Entry> {
    use std::io::Read;
    let file = fs::File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
    let mut entries = BTreeMap::new();
    for entry in archive.entries().expect("a tarball") {
        let mut entry = entry.expect("an entry");
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("content");
        let header = entry.header();
        let found = Entry {
            mode: header.mode().expect("mode"),
            uid: header.uid().expect("uid"),
            gid: header.gid().expect("gid"),
            mtime: header.mtime().expect("mtime"),
            folder: header.entry_type().is_dir(),
            bytes,
        };
        let path = entry.path().expect("path").to_string_lossy().into_owned();
        let inside = path.split_once('/').map_or("", |(_, rest)| rest).to_owned();
        assert!(entries.insert(inside, found).is_none(), "{path} twice");
    }
    entries
}

/// Unpacks a tarball with tar, as an operator does. Returns the folder.
pub fn unpack_to(tarball: &Path, dir: &Path) -> PathBuf {
    fs::create_dir_all(dir).expect("create");
    let done = Command::new("tar").arg("-xzf").arg(tarball).arg("-C").arg(dir).status().expect("tar");
    assert!(done.success());
    let name = tarball.file_name().expect("name").to_string_lossy().into_owned();
    dir.join(name.strip_suffix(".tar.gz").expect("a tarball"))
}

/// Every file below a folder with its bytes.
pub fn tree(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    walkdir::WalkDir::new(dir)
        .into_iter()
        .map(|e| e.expect("entry"))
        .filter(|e| e.file_type().is_file())
        .map(|e| {
            let path = e.path().strip_prefix(dir).expect("below").to_string_lossy().into_owned();
            (path, fs::read(e.path()).expect("read"))
        })
        .collect()
}

/// What khagen understands of an inventory, on a fixed day.
pub fn understood(inventory: &Path) -> khagen::model::Inventory {
    let (mut sources, mut report) = (khagen::source::Sources::new(), khagen::diag::Report::new());
    let loaded = khagen::load::load(inventory, &mut sources, &mut report);
    let today = time::Date::from_calendar_date(2026, time::Month::November, 22).expect("a date");
    khagen::check::check(&loaded, &sources, today, &mut report).expect("an inventory")
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs a command and expects success.
pub fn run(command: &mut Command) -> String {
    let out = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(out.status.success(), "{command:?}: {}\n{}{}", out.status, text(&out.stdout), text(&out.stderr));
    text(&out.stdout)
}

/// What a test may need of the machine. The one place that finds out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// A program on PATH.
    Program(&'static str),
    /// Root that may make network namespaces.
    Namespaces,
    /// The Go programs of tests/oracle, built by `./test`.
    Oracle,
    /// kubeadm of several minors, as tests/oracle/minors.sh builds them.
    Minors,
    /// etcd of other lines than the oracle's, as tests/oracle/etcd-lines.sh builds them.
    EtcdLines,
    /// The language servers of tests/editor, as its install.sh installs them.
    Editor,
}

/// Whether the machine has all of these. If not, says so loudly; under KHAGEN_REQUIRE_ALL it is a failure.
pub fn can(test: &str, needs: &[Need]) -> bool {
    let missing: Vec<String> = needs.iter().filter(|n| !has(**n)).map(|n| format!("{n:?}")).collect();
    if missing.is_empty() {
        return true;
    }
    assert!(
        std::env::var_os("KHAGEN_REQUIRE_ALL").is_none(),
        "{test} must run here, but the machine lacks {}",
        missing.join(", ")
    );
    // Past the test runner's capture, so that it is seen.
    let lacks = missing.join(", ");
    let _ = writeln!(
        std::io::stderr(),
        "SKIPPED {test}: the machine lacks {lacks} (./test installs what it can)"
    );
    false
}

fn has(need: Need) -> bool {
    match need {
        Need::Program(name) => which(name).is_some(),
        Need::Namespaces => {
            Command::new("unshare").args(["--net", "true"]).output().is_ok_and(|o| o.status.success())
        }
        Need::Oracle => oracle().is_some(),
        Need::Minors => std::env::var("KHAGEN_MINORS").is_ok_and(|listed| !listed.trim().is_empty()),
        Need::Editor => editor().is_some(),
        Need::EtcdLines => std::env::var("KHAGEN_ETCD_LINES").is_ok_and(|listed| !listed.trim().is_empty()),
    }
}

/// Where a program is. Daemons lie in sbin, which is not on everybody's PATH.
pub fn which(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|p| p.is_file())
}

/// The folder with kubeadm, kubeadm-judge, etcd, etcdctl and etcdutl.
pub fn oracle() -> Option<PathBuf> {
    let dir = PathBuf::from(std::env::var_os("KHAGEN_ORACLE")?);
    dir.join("kubeadm").is_file().then_some(dir)
}

/// The folder with the language servers' node_modules.
pub fn editor() -> Option<PathBuf> {
    let dir = PathBuf::from(std::env::var_os("KHAGEN_EDITOR")?);
    dir.join("node_modules/yaml-language-server").is_dir().then_some(dir)
}

/// Replaces runs of hexadecimal digits of 32 and more, base64 of 100 and more, and the random half of etcd's token.
pub fn mask(text: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
    let mut out = String::with_capacity(text.len());
    let mut word = String::new();
    for c in text.chars().chain(['\0']) {
        if is_word(c) {
            word.push(c);
            continue;
        }
        let cut = c == '…' && word.len() == 12;
        let hex = (word.len() >= 32 || cut) && word.chars().all(|c| c.is_ascii_hexdigit());
        let line = out.rsplit('\n').next().unwrap_or_default();
        let token = line.starts_with("ETCD_INITIAL_CLUSTER_TOKEN=") && line.ends_with('-');
        if hex || token {
            out.push_str("(random)");
        } else if word.len() >= 100 {
            out.push_str("(base64)");
        } else {
            out.push_str(&word);
        }
        word.clear();
        if c != '\0' {
            out.push(c);
        }
    }
    out
}
