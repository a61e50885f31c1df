//! `khagen show`, `completions`, `man` and the annotations of `check`: what they print.

mod support;

use std::fs;
use std::process::Command;

use support::{Need, can, khagen, root, run, scratch, text};

fn show(args: &[&str]) -> String {
    run(khagen().arg("show").args(args).current_dir(root()))
}

#[test]
fn the_overview_names_every_host() {
    let said = show(&[]);
    for words in [
        "cluster     k8s-cluster1\n",
        "endpoint    k8sapi.isociel.com:6443\n",
        "192.168.13.70/24, port 6443, by keepalived and nginx",
        "  k8setcd1.isociel.com    192.168.13.35  etcd\n",
        "  k8sworker3.isociel.com  192.168.13.67  worker\n",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn a_host_with_its_ports_certificates_and_settings() {
    let said = show(&["k8setcd1"]);
    assert_eq!(said, show(&["k8setcd1.isociel.com"]));
    for words in [
        "2379/tcp",
        "certificates\n",
        "192.168.13.35",
        "hosts.k8setcd1.state",
        "active  (default)",
        "(default: `cluster.domain`)",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let line = said.lines().find(|line| line.starts_with("hosts.k8setcd1.name")).expect("the name");
    assert!(line.contains("k8setcd1  (inventory/hosts.yaml:"), "{line}");
}

#[test]
fn settings_say_where_they_come_from() {
    let said = show(&["--path", "kubernetes.networking"]);
    assert!(said.contains("kubernetes.networking.podSubnet"), "{said}");
    assert!(!said.contains("etcd."), "{said}");
    let all = show(&["--settings"]);
    assert!(all.contains("etcd.clientPort") && all.contains("2379  (default)"), "{all}");
    let slip = khagen().args(["show", "--path", "kubernets"]).current_dir(root()).output().expect("khagen");
    assert_eq!(slip.status.code(), Some(64));
    let slip = khagen().args(["show", "nobody"]).current_dir(root()).output().expect("khagen");
    assert_eq!(slip.status.code(), Some(64));
}

#[test]
fn layers_win_from_the_host_down() {
    let dir = scratch();
    let base = fs::read_to_string(root().join("tests/inventories/compact/cluster.yaml")).expect("read");
    let layered = base.replace(
        "defaults: {interface: eth0}",
        "defaults: {interface: eth0, labels: {a: \"1\", b: \"1\"}}\nroles: {worker: {labels: {b: \"2\"}}}",
    );
    assert_ne!(base, layered);
    fs::write(dir.path().join("cluster.yaml"), layered).expect("write");
    let said = run(khagen()
        .args(["show", "node1", "--path", "hosts.node1.labels", "--inventory", "."])
        .current_dir(dir.path()));
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert!(lines.iter().any(|l| l.contains("labels.b  2  (") && l.contains("cluster.yaml:")), "{said}");
    assert!(lines.iter().any(|l| l.contains("labels.a  1  (")), "{said}");
}

#[test]
fn every_cluster_of_the_repository_can_be_shown_as_json() {
    for entry in fs::read_dir(root().join("tests/inventories")).expect("inventories") {
        let path = entry.expect("entry").path();
        let path = path.to_str().expect("UTF-8");
        let said = run(khagen().args(["show", "--format", "json", "--inventory", path]));
        let value: serde_json::Value = serde_json::from_str(&said).expect("JSON");
        assert_eq!(value["schema"], "khagen-show/v1");
        for cluster in value["clusters"].as_array().expect("clusters") {
            assert!(!cluster["hosts"].as_array().expect("hosts").is_empty(), "{path}");
            for setting in cluster["settings"].as_array().expect("settings") {
                let from = setting["from"].as_str().expect("from");
                assert!(["written", "default", "derived"].contains(&from), "{setting}");
                assert_eq!(from == "written", setting["file"].is_string(), "{setting}");
            }
        }
    }
}

#[test]
fn a_shell_completes() {
    let script = run(khagen().args(["completions", "bash"]));
    let dir = scratch();
    let file = dir.path().join("khagen.bash");
    fs::write(&file, script).expect("write");
    let ask = "source \"$0\"; COMP_WORDS=(khagen sch); COMP_CWORD=1; _khagen khagen sch khagen; echo \"${COMPREPLY[*]}\"";
    assert_eq!(run(Command::new("bash").args(["-c", ask]).arg(&file)).trim(), "schema");
    for shell in ["zsh", "fish"] {
        let script = run(khagen().args(["completions", shell]));
        let file = dir.path().join(shell);
        fs::write(&file, script).expect("write");
        if can("the completions of another shell", &[Need::Program(shell)]) {
            run(Command::new(shell).arg("-n").arg(&file));
        }
    }
}

#[test]
fn manual_pages_of_all_commands() {
    let dir = scratch();
    run(khagen().args(["man", "--all"]).arg(dir.path()));
    let pages: Vec<String> = support::tree(dir.path()).into_keys().collect();
    for page in ["khagen.1", "khagen-build.1", "khagen-pki-list.1", "khagen-init.1"] {
        assert!(pages.iter().any(|p| p.trim_start_matches('/') == page), "{page}: {pages:?}");
    }
    let page = run(khagen().args(["man", "pki", "list"]));
    let head = concat!(".TH KHAGEN-PKI-LIST 1  \"khagen ", env!("CARGO_PKG_VERSION"), "\" khagen");
    assert!(page.contains(head), "{page}");
    assert!(page.contains(".TH KHAGEN-PKI-LIST") && page.contains("khagen\\-pki\\-list"), "{page}");
    let none = khagen().args(["man", "nothing"]).output().expect("khagen");
    assert_eq!(none.status.code(), Some(64));
}

#[test]
fn annotations_name_file_and_line() {
    let bad = "tests/diagnostics/KH0104-unknown-key/bad.yaml";
    let out =
        khagen().args(["check", "--format", "github", bad]).current_dir(root()).output().expect("khagen");
    assert_eq!(out.status.code(), Some(3));
    let said = text(&out.stdout);
    assert!(
        said.lines()
            .any(|l| l.starts_with(&format!("::error file={bad},line=")) && l.contains("title=KH0104%3A ")),
        "{said}"
    );
}

#[test]
fn help_teaches_and_fits_eighty_columns() {
    for command in ["init", "check", "build", "diff", "show", "schema", "explain", "man", "completions"] {
        let said = run(khagen().args([command, "--help"]).env("COLUMNS", "80"));
        assert!(!said.contains('\u{1b}'), "{command}: colour in a pipe");
        let wide: Vec<&str> = said.lines().filter(|line| line.chars().count() > 100).collect();
        assert!(wide.is_empty(), "{command}: {wide:?}");
        if !["explain"].contains(&command) {
            assert!(said.contains("Examples:"), "{command}: {said}");
        }
    }
}
