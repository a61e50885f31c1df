//! The pages of docs/: every command in a `console` block runs and ends as the page says, links lead somewhere, and the index
//! has every page.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use support::{built, root, scratch, text};

fn pages() -> Vec<(String, String)> {
    let mut pages: Vec<(String, String)> = fs::read_dir(root().join("docs"))
        .expect("docs")
        .map(|entry| entry.expect("a page").path())
        .filter(|path| path.extension().is_some_and(|end| end == "md"))
        .map(|path| {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).expect("read"))
        })
        .collect();
    pages.sort();
    pages
}

/// The commands of a page with the exit codes that it says.
fn commands(page: &str) -> Vec<(String, i32)> {
    let mut commands = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if let Some(command) = line.strip_prefix("$ ").filter(|_| inside) {
            let (command, code) = command.split_once("  # exit ").unwrap_or((command, "0"));
            commands.push((command.to_owned(), code.parse().expect("an exit code")));
        }
    }
    commands
}

/// Runs a page's commands in a folder as a user would, khagen on PATH.
fn follow(name: &str, dir: &Path) {
    let page = fs::read_to_string(root().join("docs").join(name)).expect("a page");
    let commands = commands(&page);
    assert!(commands.len() >= 3, "{name} has few commands: is it still read?");
    let program = Path::new(env!("CARGO_BIN_EXE_khagen")).parent().expect("a folder").display().to_string();
    for (command, code) in commands {
        let out = Command::new("sh")
            .args(["-c", &command])
            .current_dir(dir)
            .env("PATH", format!("{program}:{}", std::env::var("PATH").unwrap_or_default()))
            .env("HOME", dir)
            .env("NO_COLOR", "1")
            .env_remove("KHAGEN_IDENTITY")
            .stdin(Stdio::null())
            .output()
            .expect("sh");
        assert_eq!(
            out.status.code(),
            Some(code),
            "{name}: {command}\n{}{}",
            text(&out.stdout),
            text(&out.stderr)
        );
    }
}

#[test]
fn ten_minutes() {
    let dir = scratch();
    follow("start.md", dir.path());
    // The mistake that the page proposes is found as it says.
    let hosts = dir.path().join("inventory/hosts.yaml");
    let slip = fs::read_to_string(&hosts).expect("read").replacen("address:", "adress:", 1);
    fs::write(&hosts, slip).expect("write");
    let out = support::khagen().arg("check").current_dir(dir.path()).output().expect("khagen");
    let said = text(&out.stdout);
    assert_eq!(out.status.code(), Some(3), "{said}");
    assert!(said.contains("KH0104") && said.contains("did you mean `address`?"), "{said}");
}

#[test]
fn operating_and_security() {
    let dir = scratch();
    support::copy_inventory(&root().join("inventory"), &dir.path().join("inventory"));
    follow("operating.md", dir.path());
    let built = built("inventory");
    follow("security.md", built.dir.path());
}

#[test]
fn links_lead_somewhere() {
    let mut wrong = Vec::new();
    for (name, page) in pages() {
        for link in page.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap_or_default();
            if path.is_empty() || path.contains("://") || path.contains(' ') {
                continue;
            }
            if !root().join("docs").join(path).exists() {
                wrong.push(format!("{name}: {link}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_index_has_every_page() {
    let pages = pages();
    let (_, index) = pages.iter().find(|(name, _)| name == "README.md").expect("an index");
    let missing: BTreeSet<&str> = pages
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| *name != "README.md" && !index.contains(&format!("({name})")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// The pages say which scripts have a dry run, and these have one.
#[test]
fn scripts_that_take_dry_run() {
    let scripts = root().join("templates/scripts");
    let mut with = BTreeSet::new();
    let mut operators_without = BTreeSet::new();
    for folder in ["", "host", "etcd", "operator"] {
        for entry in fs::read_dir(scripts.join(folder)).expect("scripts") {
            let path = entry.expect("a script").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            let script =
                if path.is_file() { fs::read_to_string(&path).expect("read") } else { String::new() };
            if !script.contains("# @include prelude.sh") {
                continue;
            }
            match (folder, script.contains("            --dry-run) ")) {
                ("operator", true) => {}
                ("operator", false) => drop(operators_without.insert(name)),
                (_, true) => drop(with.insert(name)),
                (_, false) => {}
            }
        }
    }
    assert_eq!(operators_without, BTreeSet::from(["verify-cluster.sh".to_owned()]));
    let page = fs::read_to_string(root().join("docs/operating.md")).expect("read");
    let said = page.split("Scripts are on the hosts").nth(1).and_then(|rest| rest.split("\n\n").next());
    let said: BTreeSet<String> = said
        .expect("the paragraph")
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| !word.starts_with("--"))
        .map(str::to_owned)
        .collect();
    with.extend(operators_without);
    assert_eq!(said, with);
    let operator = fs::read_to_string(root().join("templates/overview/README.operator.md")).expect("read");
    for page in [page, operator] {
        assert!(page.contains("and all but `verify-cluster.sh`"), "{page}");
    }
}

/// A command in an indented block is one that the program has.
#[test]
fn commands_that_are_shown_exist() {
    let help = support::run(support::khagen().arg("--help"));
    for (name, page) in pages() {
        for line in page.lines().filter_map(|line| line.strip_prefix("    khagen ")) {
            let word = line.split_whitespace().next().unwrap_or_default();
            let known = help.lines().any(|line| line.split_whitespace().next() == Some(word));
            assert!(known || word.starts_with('-'), "{name}: khagen {word}");
        }
    }
}
