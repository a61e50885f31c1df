//! Laws of the comparison, over random edits of an inventory: nothing differs from itself; swapping the sides mirrors what is
//! said; no byte differs without being told, or belonging to what is documented to mean nothing; review trees, tarballs, output
//! folders and commits give the same verdict; order means nothing.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, OnceLock};

use khagen::diff::change::{ClusterDiff, What};
use khagen::diff::fields::{self, Format, MEANINGLESS};
use khagen::diff::rollout::Options;
use khagen::snapshot::{self, Body, Bundle, Memory, Snapshot};
use proptest::prelude::*;
use support::{Built, built, copy_tree, khagen, run, scratch, text};

/// A value of an inventory.
#[derive(Debug, Clone)]
enum Value {
    Text(String),
    List(Vec<Value>),
    Map(BTreeMap<String, Value>),
}

fn text_value(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// Settings that edits change, by path; hosts have their own.
#[derive(Debug, Clone)]
struct Inventory {
    settings: BTreeMap<Vec<String>, Value>,
    hosts: BTreeMap<String, (String, String, BTreeMap<String, Value>)>,
    motd: String,
}

fn base() -> Inventory {
    let mut inventory =
        Inventory { settings: BTreeMap::new(), hosts: BTreeMap::new(), motd: "Welcome.\n".to_owned() };
    for (path, value) in [
        ("schema", "khagen/v1"),
        ("cluster.name", "lawful"),
        ("cluster.domain", "example.com"),
        ("kubernetes.version", "1.36.5"),
        ("kubernetes.controlPlaneEndpoint", "api.example.com:6443"),
        ("kubernetes.networking.podSubnet", "10.244.0.0/16"),
        ("kubernetes.networking.serviceSubnet", "10.96.0.0/12"),
        ("etcd.version", "3.6.14"),
        ("loadBalancer.vip", "192.168.20.10/24"),
        ("loadBalancer.virtualRouterId", "20"),
        ("loadBalancer.interface", "eth0"),
    ] {
        inventory.set(path, text_value(value));
    }
    for (name, last, role) in [
        ("etcd1", 11, "etcd"),
        ("etcd2", 12, "etcd"),
        ("etcd3", 13, "etcd"),
        ("lb1", 21, "load-balancer"),
        ("lb2", 22, "load-balancer"),
        ("cp1", 31, "control-plane"),
        ("cp2", 32, "control-plane"),
        ("w1", 41, "worker"),
    ] {
        inventory.host(name, last, role);
    }
    inventory
}

impl Inventory {
    fn set(&mut self, path: &str, value: Value) {
        self.settings.insert(path.split('.').map(str::to_owned).collect(), value);
    }

    fn host(&mut self, name: &str, last: u8, role: &str) {
        let address = format!("192.168.20.{last}");
        self.hosts.insert(name.to_owned(), (address, role.to_owned(), BTreeMap::new()));
    }

    /// Writes the inventory; `order` decides in which order keys and hosts stand and over which files they are spread.
    fn write(&self, dir: &Path, order: u64) {
        fs::create_dir_all(dir.join("files")).expect("create");
        fs::write(dir.join("files/motd"), &self.motd).expect("write");
        let mut random = Random(order);
        let mut files: [Vec<(&Vec<String>, &Value)>; 3] = Default::default();
        for setting in &self.settings {
            let file = if order == 0 || setting.0[0] == "schema" { 0 } else { random.below(3) };
            files[file].push(setting);
        }
        for (i, settings) in files.iter().enumerate() {
            let mut tree = Value::Map(BTreeMap::new());
            for (path, value) in settings {
                insert(&mut tree, path, value);
            }
            let mut text = format!("# {order}\n");
            if let Value::Map(map) = &tree {
                for (key, value) in random.shuffled(map, order) {
                    text.push_str(&format!("{key}: "));
                    emit(value, &mut random, order, &mut text);
                    text.push('\n');
                }
            }
            if i == usize::from(order > 0) {
                text.push_str("hosts:\n");
                for (name, (address, role, more)) in random.shuffled(&self.hosts, order) {
                    let mut host = more.clone();
                    host.insert("name".to_owned(), text_value(name));
                    host.insert("address".to_owned(), text_value(address));
                    host.insert("roles".to_owned(), Value::List(vec![text_value(role)]));
                    text.push_str("  - ");
                    emit(&Value::Map(host), &mut random, order, &mut text);
                    text.push('\n');
                }
            }
            if text.lines().count() > 1 {
                fs::write(dir.join(format!("{}.yaml", ["cluster", "b", "a"][i])), text).expect("write");
            }
        }
    }
}

fn insert(tree: &mut Value, path: &[String], value: &Value) {
    let Value::Map(map) = tree else { panic!("{path:?} lies below a value") };
    match path {
        [last] => drop(map.insert(last.clone(), value.clone())),
        [first, rest @ ..] => {
            let below = map.entry(first.clone()).or_insert_with(|| Value::Map(BTreeMap::new()));
            insert(below, rest, value);
        }
        [] => {}
    }
}

fn emit(value: &Value, random: &mut Random, order: u64, out: &mut String) {
    match value {
        Value::Text(text) => out.push_str(text),
        Value::List(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { ", " });
                emit(item, random, order, out);
            }
            out.push(']');
        }
        Value::Map(map) => {
            out.push('{');
            for (i, (key, value)) in random.shuffled(map, order).into_iter().enumerate() {
                out.push_str(&format!("{}{key}: ", if i == 0 { "" } else { ", " }));
                emit(value, random, order, out);
            }
            out.push('}');
        }
    }
}

/// A generator that needs no crate: Knuth's linear one.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    fn shuffled<'a, T>(&mut self, map: &'a BTreeMap<String, T>, order: u64) -> Vec<(&'a String, &'a T)> {
        let mut items: Vec<_> = map.iter().collect();
        if order > 0 {
            for i in (1..items.len()).rev() {
                items.swap(i, self.below(i + 1));
            }
        }
        items
    }
}

#[derive(Debug, Clone)]
enum Edit {
    Worker(u8),
    WithoutWorker,
    Member(u8),
    Set(usize, u8),
    Sysctl(&'static str, u8),
    HostSysctl(usize, u8),
    Label(usize, u8),
    Taint(usize),
    Zone(usize, u8),
    Address(usize, u8),
    Motd(u8, bool),
    ApiServerArgument(u8, u8),
    KubeletArgument(u8),
}

/// Settings and the values that they take.
const SETTINGS: &[(&str, &[&str])] = &[
    ("kubernetes.version", &["1.36.5", "1.36.6", "1.35.3"]),
    ("kubernetes.controlPlaneEndpoint", &["api.example.com:6443", "kube.example.com:6443"]),
    ("kubernetes.networking.dnsDomain", &["cluster.local", "cluster.test"]),
    ("kubernetes.kubeProxy.mode", &["nftables", "iptables", "none"]),
    ("kubernetes.apiServer.certSANs", &["[]", "[x.example.com]", "[x.example.com, 10.9.8.7]"]),
    ("kubernetes.bootstrapToken.ttl", &["24h", "12h"]),
    ("kubernetes.kubelet.maxPods", &["110", "200"]),
    ("etcd.version", &["3.6.14", "3.6.12"]),
    ("etcd.quotaBackendBytes", &["2GiB", "4GiB"]),
    ("etcd.heartbeatInterval", &["100", "150"]),
    ("etcd.dataDir", &["/var/lib/etcd", "/srv/etcd"]),
    ("etcd.snapshot.keep", &["7", "14"]),
    ("loadBalancer.vip", &["192.168.20.10/24", "192.168.20.9/24"]),
    ("loadBalancer.virtualRouterId", &["20", "21"]),
    ("loadBalancer.auth", &["false", "true"]),
    ("pki.validity", &["1y", "2y"]),
    ("pki.renewBefore", &["90d", "60d"]),
    ("cluster.nodeName", &["fqdn", "short"]),
];

fn edit() -> impl Strategy<Value = Edit> {
    let n = 0u8..4;
    prop_oneof![
        2 => (2u8..5).prop_map(Edit::Worker),
        1 => Just(Edit::WithoutWorker),
        1 => (4u8..6).prop_map(Edit::Member),
        8 => (0..SETTINGS.len(), n.clone()).prop_map(|(i, n)| Edit::Set(i, n)),
        1 => (prop_oneof![Just("worker"), Just("etcd"), Just("control-plane")], n.clone())
            .prop_map(|(role, n)| Edit::Sysctl(role, n)),
        1 => (0usize..8, n.clone()).prop_map(|(i, n)| Edit::HostSysctl(i, n)),
        1 => (0usize..8, n.clone()).prop_map(|(i, n)| Edit::Label(i, n)),
        1 => (0usize..8).prop_map(Edit::Taint),
        1 => (0usize..8, n.clone()).prop_map(|(i, n)| Edit::Zone(i, n)),
        1 => (0usize..8, n.clone()).prop_map(|(i, n)| Edit::Address(i, n)),
        2 => (n.clone(), any::<bool>()).prop_map(|(n, mode)| Edit::Motd(n, mode)),
        2 => (n.clone(), n.clone()).prop_map(|(a, n)| Edit::ApiServerArgument(a, n)),
        1 => n.prop_map(Edit::KubeletArgument),
    ]
}

fn apply(inventory: &mut Inventory, edit: &Edit) {
    let names: Vec<String> = inventory.hosts.keys().cloned().collect();
    let own = |inventory: &mut Inventory, i: usize, key: &str, value: Value| {
        let host = inventory.hosts.get_mut(&names[i % names.len()]).expect("a host");
        host.2.insert(key.to_owned(), value);
    };
    let map = |key: &str, value: Value| Value::Map(BTreeMap::from([(key.to_owned(), value)]));
    match *edit {
        Edit::Worker(n) => inventory.host(&format!("w{n}"), 40 + n, "worker"),
        Edit::WithoutWorker => drop(inventory.hosts.remove("w1")),
        Edit::Member(n) => {
            inventory.host("etcd4", 10 + n, "etcd");
            inventory.host("etcd5", 16 + n, "etcd");
        }
        Edit::Set(i, n) => {
            let (path, values) = SETTINGS[i];
            inventory.set(path, text_value(values[usize::from(n) % values.len()]));
        }
        Edit::Sysctl(role, n) => {
            inventory.set(
                &format!("roles.{role}.sysctls"),
                map("vm.max_map_count", Value::Text(format!("\"{n}00000\""))),
            );
        }
        Edit::HostSysctl(i, n) => {
            own(
                inventory,
                i,
                "sysctls",
                map("fs.inotify.max_user_instances", Value::Text(format!("\"{n}00\""))),
            );
        }
        Edit::Label(i, n) => {
            let node = names.iter().filter(|h| h.starts_with('w') || h.starts_with("cp")).nth(i % 2);
            let host = inventory.hosts.get_mut(node.expect("a node")).expect("a host");
            host.2.insert("labels".to_owned(), map("disk", Value::Text(format!("d{n}"))));
        }
        Edit::Taint(i) => {
            let node = names.iter().filter(|h| h.starts_with('w') || h.starts_with("cp")).nth(i % 2);
            let taint = BTreeMap::from([("key", "dedicated"), ("value", "gpu"), ("effect", "NoSchedule")]);
            let taint = taint.into_iter().map(|(k, v)| (k.to_owned(), text_value(v))).collect();
            let host = inventory.hosts.get_mut(node.expect("a node")).expect("a host");
            host.2.insert("taints".to_owned(), Value::List(vec![Value::Map(taint)]));
        }
        Edit::Zone(i, n) => own(inventory, i, "zone", Value::Text(format!("rack-{n}"))),
        Edit::Address(i, n) => {
            let last = 100 + (i as u8 % 8) * 4 + n;
            inventory.hosts.get_mut(&names[i % names.len()]).expect("a host").0 =
                format!("192.168.20.{last}");
        }
        Edit::Motd(n, mode) => {
            inventory.motd = format!("Welcome.\n{}", "Mind the step.\n".repeat(n.into()));
            let mut file = BTreeMap::from([
                ("path".to_owned(), text_value("/etc/motd")),
                ("source".to_owned(), text_value("motd")),
            ]);
            if mode {
                file.insert("mode".to_owned(), text_value("\"0600\""));
            }
            inventory.set("defaults.files", Value::List(vec![Value::Map(file)]));
        }
        Edit::ApiServerArgument(a, n) => {
            let name = ["audit-log-maxage", "profiling", "request-timeout", "v"][usize::from(a)];
            let value = Value::Text(format!("\"{n}\""));
            inventory.set(&format!("kubernetes.apiServer.extraArgs.{name}"), value);
        }
        Edit::KubeletArgument(n) => {
            inventory.set("kubernetes.kubelet.imageMaximumGCAge", Value::Text(format!("{}h", n + 24)));
        }
    }
}

const EPOCH: &str = "1795305600";

/// Builds into a folder; `false` for edits that do not go together, which the compiler says.
fn build(inventory: &Path, out: &Path) -> bool {
    let mut command = khagen();
    command
        .env("SOURCE_DATE_EPOCH", EPOCH)
        .args(["build", "-q", "--no-sync"])
        .arg(inventory)
        .arg("-o")
        .arg(out);
    let done = command.output().expect("khagen");
    let code = done.status.code();
    assert!(matches!(code, Some(0 | 3)), "{}{}", text(&done.stdout), text(&done.stderr));
    code == Some(0)
}

fn one(path: &Path) -> Arc<dyn Snapshot> {
    let opened = snapshot::open(&path.display().to_string()).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(opened.clusters.len(), 1);
    opened.clusters.into_values().next().expect("a cluster")
}

fn compared(old: &dyn Snapshot, new: &dyn Snapshot) -> ClusterDiff {
    let options = Options { accept_outage: true, ..Options::default() };
    khagen::diff::compare("", old, new, None, options).unwrap_or_else(|e| panic!("{e}"))
}

/// A difference of one host: host, file, what, before, after, whether it follows from another.
type Single = (String, String, String, Option<String>, Option<String>, bool);

/// What a comparison says, host by host; mirrored on demand.
fn singles(diff: &ClusterDiff, mirror: bool) -> BTreeSet<Single> {
    let mut all = BTreeSet::new();
    for change in &diff.changes {
        for host in &change.hosts {
            let own = change.each.iter().find(|e| e.host == *host);
            let file = own.map_or(&change.file, |e| &e.file).clone();
            let value = |shown: &Option<String>, own: Option<&Option<String>>| own.unwrap_or(shown).clone();
            let (what, old, new) = match &change.what {
                What::HostAdded { .. } => ("host".to_owned(), None, Some(String::new())),
                What::HostRemoved { .. } => ("host".to_owned(), Some(String::new()), None),
                What::HostRetired { .. } => panic!("nothing is retired here"),
                What::FileAdded { .. } => ("file".to_owned(), None, Some(String::new())),
                What::FileRemoved { .. } => ("file".to_owned(), Some(String::new()), None),
                What::Mode { old, new } => ("mode".to_owned(), Some(old.clone()), Some(new.clone())),
                What::Owner { old, new } => ("owner".to_owned(), Some(old.clone()), Some(new.clone())),
                What::Policy { old, new } => ("policy".to_owned(), Some(old.clone()), Some(new.clone())),
                What::Field { field, old, new } => (
                    format!("field {field}"),
                    value(old, own.map(|e| &e.old)),
                    value(new, own.map(|e| &e.new)),
                ),
                What::Text { added, removed, .. } => {
                    ("text".to_owned(), Some(removed.to_string()), Some(added.to_string()))
                }
                What::Secret { how, old, new, .. } => (
                    format!("secret {how}"),
                    value(&Some(old.clone()), own.map(|e| &e.old)),
                    value(&Some(new.clone()), own.map(|e| &e.new)),
                ),
            };
            let (old, new) = if mirror { (new, old) } else { (old, new) };
            let single = (host.to_string(), file, what, old, new, change.minor);
            assert!(all.insert(single.clone()), "{single:?} is said twice");
        }
    }
    all
}

/// Every file of every bundle that differs, as a reader of the two review trees finds it without this comparison's help:
/// host, path, and both sides.
fn differing(old: &dyn Snapshot, new: &dyn Snapshot) -> Vec<(Bundle, Bundle)> {
    let names: BTreeSet<_> = old.names().keys().filter(|n| new.names().contains_key(*n)).collect();
    names.into_iter().map(|n| (old.bundle(n).expect("a bundle"), new.bundle(n).expect("a bundle"))).collect()
}

/// Whether the documentation has an entry for differences of a format that mean nothing.
fn is_documented(format: Format) -> bool {
    let entry = match format {
        Format::Kubeadm => "kubeadm, kubelet and kube-proxy documents",
        Format::Yaml => "YAML",
        Format::Kubeconfig => "kubeconfigs",
        Format::Certificate => "certificates",
        Format::PublicKey => "public keys",
        Format::Env => "environment files",
        Format::Unit => "systemd units",
        Format::Nginx => "nginx",
        Format::Keepalived => "keepalived",
        Format::Sysctl => "sysctl",
        Format::Hosts => "hosts",
        Format::Toml => "TOML",
        Format::Json => "JSON",
        Format::Lines => "sysusers.d, tmpfiles.d, modules-load.d",
        Format::Text => return false,
    };
    assert!(MEANINGLESS.iter().any(|(name, _)| *name == entry), "{entry} is not in the list");
    true
}

/// A file of a host without the folder of the bundle.
fn on_host(path: &str) -> String {
    path.strip_prefix("root").filter(|p| p.starts_with('/')).unwrap_or(path).to_owned()
}

fn nothing_is_lost(old: &dyn Snapshot, new: &dyn Snapshot, told: &BTreeSet<Single>) {
    let is_told = |host: &str, file: &str, what: &str| {
        told.iter().any(|s| s.0 == host && s.1 == file && (s.2 == what || what.is_empty()))
    };
    let (a, b): (BTreeSet<_>, BTreeSet<_>) = (old.names().keys().collect(), new.names().keys().collect());
    for host in a.symmetric_difference(&b) {
        assert!(is_told(host, "", "host"), "{host} came or went");
    }
    for (x, y) in differing(old, new) {
        let host = &*x.name;
        let head = |b: &Bundle| {
            let mut all = b.head.all.clone();
            // Follow from the certificates, which are told.
            all.retain(|key, _| !matches!(key.as_str(), "validFrom" | "validUntil"));
            all
        };
        assert!(head(&x) == head(&y) || is_told(host, "MANIFEST.json", ""), "{host}: BUNDLE.json");
        let paths: BTreeSet<_> = x.files.keys().chain(y.files.keys()).collect();
        for path in paths {
            let file = on_host(path);
            match (x.files.get(path), y.files.get(path)) {
                (Some(p), Some(q)) => {
                    for (differs, what) in [
                        (p.mode != q.mode, "mode"),
                        ((&p.owner, &p.group) != (&q.owner, &q.group), "owner"),
                        (p.policy != q.policy, "policy"),
                    ] {
                        assert!(!differs || is_told(host, &file, what), "{host}: {file}: {what}");
                    }
                    if p.body == q.body {
                        continue;
                    }
                    let said = ["text", "secret re-keyed", "secret rotated", "secret replaced"];
                    let told = said.iter().any(|w| is_told(host, &file, w))
                        || told.iter().any(|s| s.0 == host && s.1 == file && s.2.starts_with("field "));
                    if told {
                        continue;
                    }
                    let (Body::Text(s), Body::Text(t)) = (&p.body, &q.body) else {
                        panic!("{host}: {file}: a secret changed and nobody is told")
                    };
                    let format = fields::format_of(&file, t);
                    assert!(
                        is_documented(format),
                        "{host}: {file} differs and nothing says so:\n{s}\n----\n{t}"
                    );
                    assert_eq!(fields::compare(format, s, t), Ok(Vec::new()), "{host}: {file}");
                }
                _ => assert!(is_told(host, &file, "file"), "{host}: {file} came or went"),
            }
        }
    }
}

/// The commits of two review trees, and what the program says of them.
fn of_commits(dir: &Path, old: &Path, new: &Path) -> serde_json::Value {
    let git = |args: &[&str]| {
        run(Command::new("git")
            .args(["-c", "user.name=t", "-c", "user.email=t@example.com"])
            .args(args)
            .current_dir(dir));
    };
    fs::create_dir(dir).expect("create");
    git(&["init", "-q"]);
    for (side, message) in [(old, "old"), (new, "new")] {
        let target = dir.join("out/review");
        if target.exists() {
            fs::remove_dir_all(&target).expect("remove");
        }
        fs::create_dir_all(dir.join("out")).expect("create");
        copy_tree(&side.join("review"), &dir.join("out"));
        // What git remembers of the former files could be true of these: same size, same second, same inode.
        git(&["read-tree", "--empty"]);
        git(&["add", "-A"]);
        git(&["commit", "-q", "--allow-empty", "-m", message]);
    }
    let mut command = khagen();
    command.args(["diff", "git:HEAD~1", "git:HEAD", "--format", "json", "--accept-outage"]).current_dir(dir);
    let out = command.output().expect("khagen");
    let diff: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    let clusters = diff["clusters"].as_array().expect("clusters");
    assert_eq!(clusters.len(), 1);
    let empty = clusters[0]["changes"].as_array().expect("changes").is_empty();
    assert_eq!(out.status.code(), Some(if empty { 0 } else { 2 }), "{}", text(&out.stderr));
    clusters[0].clone()
}

/// PROPTEST_CASES asks for more than what every run can afford.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").map_or(12, |n| n.parse().expect("a number"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn laws_of_the_comparison(
        before in prop::collection::vec(edit(), 0..3),
        edits in prop::collection::vec(edit(), 0..5),
        order in 1u64..1 << 40,
    ) {
        let tmp = scratch();
        let (source, a, b) = (tmp.path().join("inventory"), tmp.path().join("a"), tmp.path().join("b"));
        let mut inventory = base();
        before.iter().for_each(|e| apply(&mut inventory, e));
        inventory.write(&source, 0);
        prop_assume!(build(&source, &a));
        edits.iter().for_each(|e| apply(&mut inventory, e));
        inventory.write(&source, 0);
        copy_tree(&a, &b);
        prop_assume!(build(&source, &b));

        // From review trees, which lie where no record says anything about them.
        let (old, new) = (one(&a.join("review")), one(&b.join("review")));
        for side in [&old, &new] {
            let same = compared(&**side, &**side);
            prop_assert!(same.changes.is_empty(), "{:?}", same.changes);
            prop_assert!(same.rollout.steps.is_empty(), "{:?}", same.rollout);
        }
        let forth = compared(&*old, &*new);
        let back = compared(&*new, &*old);
        let told = singles(&forth, false);
        let mirrored = singles(&back, true);
        prop_assert!(told == mirrored, "only forth: {:#?}\nonly back: {:#?}",
            told.difference(&mirrored).collect::<Vec<_>>(), mirrored.difference(&told).collect::<Vec<_>>());
        nothing_is_lost(&*old, &*new, &told);
        prop_assert_eq!(support::tree(&a.join("review/hosts")) == support::tree(&b.join("review/hosts"))
            && support::tree(&a.join("review/shared")) == support::tree(&b.join("review/shared"))
            && support::tree(&a.join("review/operator")) == support::tree(&b.join("review/operator"))
            && !forth.changes.is_empty(), false, "told without a difference");

        let packed = compared(&*one(&a.join("bundles")), &*one(&b.join("bundles")));
        prop_assert_eq!(&forth, &packed);
        prop_assert_eq!(&forth, &compared(&*one(&a), &*one(&b)));
        prop_assert_eq!(&forth, &compared(&*one(&a.join("bundles")), &*new));
        let json = serde_json::to_value(&forth).expect("JSON");
        prop_assert_eq!(json, of_commits(&tmp.path().join("git"), &a, &b));

        // Another order of everything, in other files.
        let shuffled = tmp.path().join("shuffled");
        inventory.write(&shuffled, order);
        copy_tree(&source.join("secrets"), &shuffled);
        prop_assert!(build(&shuffled, &tmp.path().join("c")));
        let out = khagen().arg("diff").arg(&b).arg(tmp.path().join("c")).output().expect("khagen");
        prop_assert_eq!(out.status.code(), Some(0), "{}", text(&out.stdout));
        prop_assert!(support::tree(&b.join("review")) == support::tree(&tmp.path().join("c/review")));
    }
}

fn eleven() -> &'static Built {
    static BUILT: OnceLock<Built> = OnceLock::new();
    BUILT.get_or_init(|| built("inventory"))
}

/// Bundles that between them have a file of every kind.
fn bundles() -> Vec<Bundle> {
    let review = one(&eleven().out().join("review"));
    [
        "k8setcd1.isociel.com",
        "k8svrrp1.isociel.com",
        "k8smaster1.isociel.com",
        "k8sworker1.isociel.com",
        "operator",
    ]
    .into_iter()
    .map(|name| review.bundle(name).expect("a bundle"))
    .collect()
}

/// Whether a line says nothing to the program that reads it, judged by its first character alone.
fn is_comment(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with('#') || line.starts_with('!') || line.starts_with(';')
}

/// The certificate in a kubeconfig's line.
fn embedded(line: &str) -> Vec<u8> {
    use base64::Engine;
    let encoded = line.split_once("-data: ").expect("an embedded file").1;
    let text = base64::engine::general_purpose::STANDARD.decode(encoded).expect("base64");
    pem::parse(text).expect("PEM").into_contents()
}

#[test]
fn no_changed_character_is_lost() {
    let mut random = Random(20_261_122);
    let (mut told, mut silent) = (0, BTreeSet::new());
    for bundle in bundles() {
        for (path, file) in &bundle.files {
            let Body::Text(text) = &file.body else { continue };
            // No place is favoured: letters, digits, signs, ends of lines.
            for _ in 0..12 {
                let chars: Vec<(usize, char)> = text.char_indices().collect();
                if chars.is_empty() {
                    continue;
                }
                let (at, c) = chars[random.below(chars.len())];
                let new = match (c, random.below(3)) {
                    (_, 0) => String::new(),
                    ('a'..='y' | 'A'..='Y' | '0'..='8', _) => char::from(c as u8 + 1).to_string(),
                    (_, 1) => format!("{c}x"),
                    _ => "x".to_owned(),
                };
                let changed = format!("{}{new}{}", &text[..at], &text[at + c.len_utf8()..]);
                let line = |text: &str| {
                    let from = text[..at].rfind('\n').map_or(0, |i| i + 1);
                    text[from..].lines().next().unwrap_or_default().to_owned()
                };
                let (before, after) = (line(text), line(&changed));
                let mut other = bundle.clone();
                other.files.get_mut(path).expect("a file").body = Body::Text(Arc::from(changed.as_str()));
                let memory = |b: &Bundle| Memory::new([(b.clone(), None)]);
                let diff = compared(&memory(&bundle), &memory(&other));
                if !diff.changes.is_empty() {
                    let file = on_host(path);
                    let known = |c: &khagen::diff::change::Change| c.file == file || c.file.contains('<');
                    assert!(diff.changes.iter().all(known), "{path}: {:?}", diff.changes);
                    told += 1;
                    continue;
                }
                let format = fields::format_of(&on_host(path), text);
                assert!(is_documented(format), "{path}: {before:?} became {after:?} and nobody is told");
                // A comment, a blank, or a quote around the same value; an equal rest of words is none of these.
                let bare = |l: &str| {
                    l.chars().filter(|c| !c.is_whitespace() && !"\"';".contains(*c)).collect::<String>()
                };
                let nothing = is_comment(&before) && is_comment(&after)
                    || before.split('#').next().map(bare) == after.split('#').next().map(bare)
                    || matches!(format, Format::Certificate | Format::PublicKey)
                        && !before.starts_with('M')
                        && at + 80 > text.len();
                // Within base64 the end of a line is nobody's; at a boundary it is the reader's.
                let pem = |text: &str| pem::parse_many(text).ok();
                let nothing = nothing
                    || matches!(format, Format::Certificate | Format::PublicKey)
                        && c == '\n'
                        && !before.starts_with('-')
                        && !after.contains("-----")
                        && pem(text) == pem(&changed);
                let nothing =
                    nothing || format == Format::Kubeconfig && embedded(&before) == embedded(&after);
                assert!(nothing, "{path}: {before:?} became {after:?} and nobody is told");
                silent.insert(format!("{format:?}"));
            }
        }
    }
    assert!(told > 900, "{told}");
    // The law is not kept by telling everything.
    assert!(silent.len() >= 3, "{silent:?}");
}

#[test]
fn every_lost_or_doubled_line_is_told() {
    let mut told = 0;
    for bundle in bundles() {
        for (path, file) in &bundle.files {
            let Body::Text(text) = &file.body else { continue };
            let lines: Vec<&str> = text.split_inclusive('\n').collect();
            let step = lines.len().div_ceil(25).max(1);
            for at in (0..lines.len()).step_by(step).filter(|i| !is_comment(lines[*i])) {
                let mut other = bundle.clone();
                let changed: String =
                    lines.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, l)| *l).collect();
                other.files.get_mut(path).expect("a file").body = Body::Text(Arc::from(changed.as_str()));
                let memory = |b: &Bundle| Memory::new([(b.clone(), None)]);
                let diff = compared(&memory(&bundle), &memory(&other));
                assert!(!diff.changes.is_empty(), "{path} lost {:?} and nobody is told", lines[at]);
                told += 1;
            }
        }
    }
    assert!(told > 400, "{told}");
}
