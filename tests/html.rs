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
        build(&folder, &dir.path().join("before"), "1790000000");
        edit(&folder);
        // Three hundred days later, so that what is issued again is valid for longer.
        build(&folder, &dir.path().join("after"), "1815920000");
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

fn build(inventory: &Path, to: &Path, now: &str) {
    let out = khagen()
        .env("SOURCE_DATE_EPOCH", now)
        .arg("build")
        .arg(inventory)
        .arg("-o")
        .arg(to)
        .output()
        .expect("khagen");
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
    assert!(
        browser.requests.contains(&own),
        "the request for the page itself is seen: {:?}",
        browser.requests
    );
    assert!(others.is_empty(), "{others:?}");
}

/// How many elements a person sees, or would by scrolling. What was unfolded is there when the page is next drawn.
fn shown(browser: &mut Browser, selector: &str) -> u64 {
    browser.draw();
    browser.number(&format!(
        "[...document.querySelectorAll({})].filter(e => e.checkVisibility()).length",
        json!(selector)
    ))
}

fn all(browser: &mut Browser, selector: &str) -> u64 {
    browser.number(&format!("document.querySelectorAll({}).length", json!(selector)))
}

#[test]
fn eleven_hosts_in_a_browser() {
    if !can("eleven_hosts_in_a_browser", &NEEDS) {
        return;
    }
    let report = eleven();
    let mut browser = Browser::start();
    let b = &mut browser;
    b.look(1280, 1600, false);
    b.open(&report.file());
    b.picture(&picture("eleven"));
    for part in ["topology", "changes", "rollout", "certificates", "hosts"] {
        b.eval(&format!("location.hash = 'k1-{part}'"));
        b.picture(&picture(&format!("eleven-{part}")));
        assert!(b.number("document.querySelector(location.hash).getBoundingClientRect().top + 1 | 0") < 1600);
    }
    folding(b);
    searching(b);
    minor_changes(b);
    deep_links(b);
    names_and_headings(b);
    is_quiet(b, &report.file());

    // Dark, on paper, narrow.
    let light = b.eval("getComputedStyle(document.body).backgroundColor");
    b.look(1280, 1600, true);
    assert_ne!(b.eval("getComputedStyle(document.body).backgroundColor"), light);
    b.eval("scrollTo(0, 0)");
    b.picture(&picture("eleven-dark"));
    b.eval("location.hash = 'k1-changes'");
    b.picture(&picture("eleven-dark-changes"));
    b.look(400, 900, false);
    b.eval("scrollTo(0, 0)");
    b.picture(&picture("eleven-narrow"));
    assert_eq!(
        b.number("document.documentElement.scrollWidth"),
        400,
        "nothing sticks out of a narrow window"
    );
    b.look(800, 1131, false);
    b.call("Emulation.setEmulatedMedia", json!({"media": "print"}));
    b.picture(&picture("eleven-print"));
    assert_eq!(shown(b, "#find"), 0);
    b.call("Emulation.setEmulatedMedia", json!({"media": ""}));

    // The proof that the browser would tell: what the policy forbids is a complaint.
    b.eval("document.body.append(Object.assign(new Image(), {src: 'http://192.0.2.1/x.png'}))");
    b.eval("new Promise(done => setTimeout(done, 200))");
    assert!(b.complaints.iter().any(|c| c.contains("192.0.2.1")), "{:?}", b.complaints);
}

fn folding(b: &mut Browser) {
    let files = all(b, ".file");
    assert!(files >= 8, "{files}");
    b.eval("document.getElementById('fold').click()");
    assert_eq!(all(b, ".file[open]"), 0);
    assert_eq!(shown(b, ".change"), 0);
    b.eval("document.querySelector('.file:not(.minor) > summary').click()");
    assert_eq!(all(b, ".file[open]"), 1);
    assert!(shown(b, ".change") > 0);
    b.eval("document.getElementById('unfold').click()");
    assert_eq!(all(b, ".file[open]"), files);
    b.picture(&picture("eleven-unfolded"));
    b.eval("document.getElementById('fold').click()");
}

fn searching(b: &mut Browser) {
    let (files, hosts, steps) = (all(b, ".file"), all(b, "[data-kind=host]"), all(b, ".step"));
    assert_eq!((hosts, steps > 5), (13, true), "twelve hosts and the operator's bundle");

    // A host: its row, its box, its steps, its changes.
    b.search("k8setcd2");
    assert_eq!(shown(b, "[data-kind=host]"), 1);
    assert_eq!(all(b, ".topology .host:not(.dim)"), 1);
    assert!(shown(b, ".step") < steps && shown(b, ".step") > 0);
    let left = shown(b, ".file");
    assert!(left > 0 && left < files, "{left} of {files}");
    let hit = "[...document.querySelectorAll('.file:not([hidden])')].every(f => f.textContent.includes('k8setcd2'))";
    assert_eq!(b.eval(hit), json!(true));
    let found = b.eval("document.getElementById('found').textContent");
    assert!(found.as_str().is_some_and(|t| t.contains("change") && t.contains("1 host")), "{found}");
    assert_eq!(b.eval("CSS.highlights.get('found').size > 0"), json!(true));
    b.picture(&picture("eleven-search"));

    // An effect, by its button and typed.
    b.eval("document.querySelector('.tally.e-restart').click()");
    assert_eq!(b.eval("document.getElementById('find').value"), json!("effect:restart"));
    let only =
        "[...document.querySelectorAll('.file:not([hidden])')].every(f => /restart/.test(f.dataset.effect))";
    assert_eq!(b.eval(only), json!(true));
    assert!(shown(b, ".file") > 0 && shown(b, ".file") < files);
    assert_eq!(all(b, ".tally[aria-pressed=true]"), 1);

    // A file, a field, several words that must all be there.
    b.search("file:etcd.env");
    assert_eq!(shown(b, ".file"), 1);
    b.search("field:quota k8setcd1");
    assert_eq!(shown(b, ".change"), 1);
    b.search("quota k8sworker1");
    assert_eq!(shown(b, ".change"), 0);

    b.search("file:front-proxy-ca.crt");
    assert_eq!(shown(b, ".dates"), 1, "no table is left with a head only");
    b.search("no such thing");
    assert_eq!(shown(b, ".file") + shown(b, "[data-kind=host]") + shown(b, ".step"), 0);
    assert_eq!(shown(b, "#nothing"), 1);
    b.eval("document.querySelector('#nothing button').click()");
    assert_eq!(shown(b, "[data-kind=host]"), hosts);
    assert_eq!(shown(b, ".file:not(.minor)"), all(b, ".file:not(.minor)"));
    assert_eq!(all(b, ".dim"), 0);
    assert_eq!(all(b, ".file[open]"), 0, "what was folded before is folded again");
}

fn minor_changes(b: &mut Browser) {
    b.eval("document.getElementById('unfold').click()");
    let minor = all(b, ".change.minor");
    assert!(minor > 0);
    assert_eq!(shown(b, ".change.minor"), 0);
    b.eval("document.getElementById('minor').click()");
    assert_eq!(shown(b, ".change.minor"), minor);
    b.eval("document.getElementById('minor').click()");
    assert_eq!(shown(b, ".change.minor"), 0);
}

fn deep_links(b: &mut Browser) {
    b.eval("document.getElementById('fold').click()");
    for (what, selector) in [("a change", ".change:not(.minor)"), ("a minor change", ".change.minor")] {
        let hash = format!("location.hash = document.querySelector({}).id", json!(selector));
        b.eval(&hash);
        b.eval("new Promise(done => setTimeout(done, 200))");
        let seen = "document.getElementById(location.hash.slice(1)).checkVisibility()";
        assert_eq!(b.eval(seen), json!(true), "{what} is unfolded by its link");
    }
    b.eval("document.getElementById('minor').click()");
}

/// What somebody who hears the page needs: names for everything that can be used, headings without gaps.
fn names_and_headings(b: &mut Browser) {
    b.call("Accessibility.enable", json!({}));
    let tree = b.call("Accessibility.getFullAXTree", json!({}));
    let (mut used, mut nameless) = (0, Vec::new());
    for node in tree["nodes"].as_array().expect("nodes") {
        let role = node["role"]["value"].as_str().unwrap_or_default();
        if node["ignored"] == json!(false)
            && ["button", "link", "searchbox", "checkbox", "heading", "table", "DisclosureTriangle"]
                .contains(&role)
        {
            used += 1;
            let name = node["name"]["value"].as_str().unwrap_or_default();
            if name.trim().is_empty() && role != "table" {
                nameless.push(node.to_string());
            }
        }
    }
    assert!(used > 50, "{used}");
    assert!(nameless.is_empty(), "{nameless:?}");
    let levels = b.eval("[...document.querySelectorAll('h1,h2,h3,h4,h5')].map(h => +h.tagName[1])");
    let levels: Vec<i64> = levels.as_array().expect("levels").iter().filter_map(|l| l.as_i64()).collect();
    assert_eq!(levels.iter().filter(|l| **l == 1).count(), 1);
    assert!(levels.windows(2).all(|w| w[1] <= w[0] + 1), "{levels:?}");
}

#[test]
fn everything_can_be_read_without_its_script() {
    if !can("everything_can_be_read_without_its_script", &NEEDS) {
        return;
    }
    let report = eleven();
    let mut browser = Browser::start();
    let b = &mut browser;
    b.look(1280, 1600, false);
    b.call("Emulation.setScriptExecutionDisabled", json!({"value": true}));
    b.navigate(&report.file());
    b.picture(&picture("eleven-no-script"));
    // The debugger may still ask; the page's own script has not run.
    assert_eq!(b.eval("document.documentElement.className"), json!(""));
    assert_eq!(shown(b, "#find"), 0);
    assert_eq!(shown(b, ".file"), all(b, ".file"), "nothing is hidden that only a script could show");
    assert_eq!(shown(b, ".file[open] .change"), all(b, ".file[open] .change"));
    b.eval("for (const d of document.querySelectorAll('details')) d.open = true");
    assert_eq!(shown(b, ".change"), all(b, ".change"));
    assert_eq!(shown(b, ".step"), all(b, ".step"));
    is_quiet(b, &report.file());
}

/// What a thousand hosts may cost.
const BYTES: usize = 3_000_000;

#[test]
fn a_thousand_hosts_in_a_browser() {
    if !can("a_thousand_hosts_in_a_browser", &NEEDS) {
        return;
    }
    let report = Report::new(thousand, |folder| {
        let cluster = [
            ("version: 1.36.5", "version: 1.36.6"),
            ("keep: 7}", "keep: 14}\n  quotaBackendBytes: 4GiB"),
            ("  kubeProxy:", "  apiServer:\n    certSANs: [api.example.com]\n  kubeProxy:"),
            ("10.20.0.70/16", "10.20.0.71/16"),
        ];
        replace(&folder.join("cluster.yaml"), &cluster);
        let hosts = fs::read_to_string(folder.join("hosts.yaml")).expect("read");
        let settings = "defaults: {sysctls: {vm.max_map_count: \"262144\"}}\n\
                        roles: {worker: {kubelet: {maxPods: 200}}}\n";
        fs::write(folder.join("hosts.yaml"), format!("{settings}{hosts}")).expect("write");
    });
    let size = report.text().len();
    assert!(size < BYTES, "{size} bytes");
    // The same change as a comment: within what code hosts take, and no host is missing.
    let out = khagen()
        .current_dir(report.dir.path())
        .args(["diff", "before", "after", "--format", "markdown"])
        .output()
        .expect("khagen");
    let comment = text(&out.stdout);
    assert!(comment.chars().count() <= 65_536, "{} characters", comment.chars().count());
    let hosts = fs::read_dir(report.dir.path().join("after/review/hosts")).expect("hosts");
    for host in hosts.map(|e| e.expect("entry").file_name().into_string().expect("a name")) {
        assert!(comment.contains(&host), "{host} is not in the comment");
    }
    println!("1000 hosts: {} characters of markdown", comment.chars().count());
    let mut browser = Browser::start();
    let b = &mut browser;
    b.look(1280, 1600, false);
    // The machine may be busy with something else: the best of three counts.
    let time = (0..3).map(|_| b.open(&report.file())).fold(f64::INFINITY, f64::min);
    println!("1000 hosts: {size} bytes, loaded and painted in {time:.0} ms");
    b.picture(&picture("thousand"));
    b.eval("location.hash = 'k1-topology'");
    b.picture(&picture("thousand-topology"));
    assert_eq!(all(b, ".topology .host.square"), 990);
    assert_eq!(all(b, "[data-kind=host]"), 1001);

    // Every host is named, once, and shown where it is asked for.
    b.eval("document.getElementById('unfold').click()");
    let list = "(() => { const d = [...document.querySelectorAll('.file details.hosts[data-set]')] \
                .find(d => d.textContent.includes('workers')); d.open = true; return new Promise(done => \
                setTimeout(() => done(d.querySelectorAll('.names li').length), 200)); })()";
    assert_eq!(b.number(list), 990);

    let search = b.number(
        "(() => { const box = document.getElementById('find'); box.value = 'k8sworker417.'; const began = performance.now(); \
         return new Promise(done => { box.addEventListener('input', () => setTimeout(() => requestAnimationFrame(() => \
         setTimeout(() => done(Math.round(performance.now() - began)))), 130)); \
         box.dispatchEvent(new Event('input', {bubbles: true})); }); })()",
    );
    println!("1000 hosts: the first search took {search} ms");
    assert!(search < 3000, "{search} ms");
    assert_eq!(shown(b, "[data-kind=host]"), 1);
    assert_eq!(all(b, ".topology .host:not(.dim)"), 1);
    assert!(shown(b, ".file") > 0);
    b.picture(&picture("thousand-search"));
    b.search("");
    assert_eq!(shown(b, "[data-kind=host]"), 1001);
    is_quiet(b, &report.file());
}

#[test]
fn hostile_text_does_nothing_in_a_browser() {
    if !can("hostile_text_does_nothing_in_a_browser", &NEEDS) {
        return;
    }
    let dir = scratch();
    let file = dir.path().join("report.html");
    let payloads = [
        "</script><img src=x onerror=\"window.hacked = 1\">",
        "\"><svg onload=\"window.hacked = 1\">",
        "<iframe srcdoc=\"<script>parent.hacked = 1</script>\"></iframe>",
        "</title></style><script>window.hacked = 1</script>",
    ];
    let mut browser = Browser::start();
    let b = &mut browser;
    for payload in payloads {
        fs::write(&file, khagen::diff::show::html::html(&hostile(payload))).expect("write");
        b.open(&file);
        b.search(payload);
        b.search("");
        assert_eq!(b.eval("typeof window.hacked"), json!("undefined"));
        assert_eq!(all(b, "img, iframe, main script, svg[onload]"), 0);
        assert_eq!(b.eval("document.querySelector('h1').textContent"), json!(payload));
        assert_eq!(
            b.eval("document.querySelector('.patch .add').textContent"),
            json!(format!("+{payload}\n"))
        );
        // Not even stopped by the policy: it never was anything but text.
        is_quiet(b, &file);
    }
}

fn hostile(text: &str) -> khagen::diff::change::Diff {
    use khagen::diff::change::*;
    let host: std::sync::Arc<str> = text.into();
    let own = || text.to_owned();
    let effect = Effect {
        class: Class::Restart,
        unit: Some(own()),
        procedure: None,
        reason: own(),
        rule: "unit-restarts",
    };
    let change = |what: What| Change {
        file: own(),
        what,
        hosts: vec![host.clone()],
        each: Vec::new(),
        minor: false,
        effects: vec![effect.clone()],
    };
    let patch = format!("@@ -1 +1 @@\n-{text}\n+{text}\n");
    Diff {
        schema: SCHEMA,
        old: own(),
        new: own(),
        clusters: vec![ClusterDiff {
            folder: own(),
            name: own(),
            cluster_id: own(),
            hosts: vec![HostDiff {
                name: host.clone(),
                roles: vec![own()],
                addresses: vec![own()],
                presence: Presence::Changed,
                effect: Class::Restart,
            }],
            changes: vec![
                change(What::Field { field: own(), old: Some(own()), new: None }),
                change(What::Text { patch, added: 1, removed: 1 }),
            ],
            issues: vec![Issue { id: own(), reason: own() }],
            rollout: khagen::diff::rollout::Rollout { refused: vec![own()], ..Default::default() },
            certificates: Vec::new(),
        }],
    }
}
