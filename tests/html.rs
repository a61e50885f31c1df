//! The HTML report of real comparisons, in a real browser without a network.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use support::browser::{Browser, NEEDS};
use support::{can, khagen, root, scratch, text};

/// Two builds, and the report of what is between them.
struct Report {
    dir: tempfile::TempDir,
}

impl Report {
    fn new(inventory: impl Fn(&Path), edit: impl Fn(&Path)) -> Report {
        let dir = scratch();
        let folder = dir.path().join("inventory");
        inventory(&folder);
        build(&folder, &dir.path().join("before"));
        edit(&folder);
        build(&folder, &dir.path().join("after"));
        let out = khagen()
            .current_dir(dir.path())
            .args(["diff", "before", "after", "--format", "html"])
            .output()
            .expect("khagen");
        assert_eq!(out.status.code(), Some(2), "{}", text(&out.stderr));
        fs::write(dir.path().join("report.html"), &out.stdout).expect("write");
        Report { dir }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("report.html")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).expect("the report")
    }
}

fn build(inventory: &Path, to: &Path) {
    let out = khagen().arg("build").arg(inventory).arg("-o").arg(to).output().expect("khagen");
    assert!(out.status.success(), "{}", text(&out.stderr));
}

fn replace(file: &Path, pairs: &[(&str, &str)]) {
    let mut text = fs::read_to_string(file).expect("read");
    for (from, to) in pairs {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    fs::write(file, text).expect("write");
}

/// Pictures for a person are kept here.
fn picture(name: &str) -> PathBuf {
    let dir = root().join("target/report");
    fs::create_dir_all(&dir).expect("create");
    dir.join(format!("{name}.png"))
}

fn eleven() -> Report {
    let running = |folder: &Path| {
        support::copy_inventory(&root().join("inventory"), folder);
        replace(&folder.join("cluster.yaml"), &[("state: new ", "state: running ")]);
    };
    Report::new(running, |folder| {
        let cluster = [
            ("version: 1.36.5", "version: 1.36.6"),
            ("keep: 7}", "keep: 14}\n  quotaBackendBytes: 4GiB"),
            ("  kubeProxy:", "  apiServer:\n    certSANs: [api.example.com]\n  kubeProxy:"),
        ];
        replace(&folder.join("cluster.yaml"), &cluster);
        let worker = "  - name: k8sworker3\n";
        let hosts = [
            (
                "\nhosts:\n",
                "\ndefaults: {sysctls: {vm.max_map_count: \"262144\"}}\n\
                 roles: {worker: {kubelet: {maxPods: 200}}}\nhosts:\n",
            ),
            (
                worker,
                "  - name: k8sworker4\n    address: 192.168.13.68\n    roles: [worker]\n  - name: k8sworker3\n    state: retired\n",
            ),
        ];
        replace(&folder.join("hosts.yaml"), &hosts);
    })
}

/// The repository's cluster with a thousand hosts.
fn thousand(folder: &Path) {
    support::copy_inventory(&root().join("inventory"), folder);
    replace(
        &folder.join("cluster.yaml"),
        &[("192.168.13.70/24", "10.20.0.70/16"), ("state: new ", "state: running ")],
    );
    let roles = [("k8setcd", "etcd", 5), ("k8svrrp", "load-balancer", 2), ("k8smaster", "control-plane", 3)];
    let mut lines = vec!["hosts:".to_owned()];
    let mut n = 0;
    for (name, role, count) in roles.into_iter().chain([("k8sworker", "worker", 990)]) {
        for i in 1..=count {
            let address = format!("10.20.{}.{}", 1 + n / 250, 1 + n % 250);
            lines.push(format!("  - {{name: {name}{i}, address: {address}, roles: [{role}]}}"));
            n += 1;
        }
    }
    fs::write(folder.join("hosts.yaml"), lines.join("\n") + "\n").expect("write");
}

/// What holds for every report in every state.
fn is_quiet(browser: &Browser, file: &Path) {
    assert_eq!(browser.complaints, Vec::<String>::new());
    let own = format!("file://{}", file.display());
    let others: Vec<&String> =
        browser.requests.iter().filter(|r| **r != own && !r.starts_with("data:,")).collect();
    assert!(browser.requests.contains(&own), "the request for the page itself is seen: {:?}", browser.requests);
    assert!(others.is_empty(), "{others:?}");
}

const SHOWN: &str = "e => e.checkVisibility({contentVisibilityAuto: true})";

fn shown(browser: &mut Browser, selector: &str) -> u64 {
    browser.number(&format!("[...document.querySelectorAll({})].filter({SHOWN}).length", json!(selector)))
}

#[test]
fn eleven_hosts_in_a_browser() {
    if !can("eleven_hosts_in_a_browser", &NEEDS) {
        return;
    }
    let report = eleven();
    let mut browser = Browser::start();
    browser.look(1280, 1600, false);
    browser.open(&report.file());
    browser.picture(&picture("eleven"));
    for part in ["topology", "changes", "rollout", "certificates", "hosts"] {
        browser.eval(&format!("location.hash = 'k1-{part}'"));
        browser.picture(&picture(&format!("eleven-{part}")));
    }
    is_quiet(&browser, &report.file());
}
