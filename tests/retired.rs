//! Hosts that leave (`state: retired`): no other host names them any more, they keep a bundle that takes them down, and what
//! the store holds of them stays.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use support::{Built, built, khagen, text, tree, unpack_to};

/// One of each role, each with its short name and address.
const LEAVING: [(&str, &str); 4] = [
    ("k8setcd2", "192.168.13.36"),
    ("k8smaster1", "192.168.13.61"),
    ("k8svrrp1", "192.168.13.71"),
    ("k8sworker3", "192.168.13.67"),
];

fn fqdn(name: &str) -> String {
    format!("{name}.isociel.com")
}

fn edit(b: &Built, file: &str, change: impl FnOnce(String) -> String) {
    let path = b.inventory().join(file);
    let text = fs::read_to_string(&path).expect("read");
    let changed = change(text.clone());
    assert_ne!(changed, text, "{file}");
    fs::write(&path, changed).expect("write");
}

/// A running cluster with a fourth etcd member and a third balancer.
fn running() -> Built {
    let b = built("inventory");
    edit(&b, "hosts.yaml", |t| {
        t + "  - {name: k8setcd4, address: 192.168.13.38, roles: [etcd]}\n  \
             - {name: k8svrrp3, address: 192.168.13.73, roles: [load-balancer]}\n"
    });
    b.build();
    edit(&b, "cluster.yaml", |t| t.replace("state: new", "state: running"));
    b.build();
    b
}

fn retire(b: &Built, names: &[&str]) {
    edit(b, "hosts.yaml", |mut t| {
        for name in names {
            t = t.replace(&format!("- name: {name}\n"), &format!("- name: {name}\n    state: retired\n"));
        }
        t
    });
}

/// Whether a name or address stands in a text as a word of its own.
fn names(text: &str, what: &str) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric();
    text.match_indices(what).any(|(at, _)| {
        let before = text[..at].chars().next_back().is_some_and(inside);
        let after = text[at + what.len()..].chars().next().is_some_and(|c| c.is_ascii_digit());
        !before && !after
    })
}

fn plan(b: &Built, code: i32) -> String {
    let out = khagen().arg("build").arg(b.inventory()).arg("-o").arg(b.out()).arg("--dry-run").output();
    let out = out.expect("khagen");
    assert_eq!(out.status.code(), Some(code), "{}", text(&out.stderr));
    text(&out.stdout)
}

fn ledger(b: &Built, name: &str) -> String {
    fs::read_to_string(b.inventory().join(format!("secrets/ledger/hosts/{}.toml", fqdn(name))))
        .expect("ledger")
}

#[test]
fn nobody_else_names_a_host_that_leaves() {
    let b = running();
    let before: BTreeMap<String, String> =
        LEAVING.iter().map(|(name, _)| ((*name).to_owned(), ledger(&b, name))).collect();
    let objects = tree(&b.inventory().join("secrets/objects"));
    let names_in_all = |b: &Built, what: &str| -> Vec<String> {
        let mut found = Vec::new();
        for bundle in b.hosts().into_iter().filter(|h| !LEAVING.iter().any(|(n, _)| fqdn(n) == *h)) {
            for (path, entry) in b.bundle(&bundle) {
                if names(&text(&entry.bytes), what) {
                    found.push(format!("{bundle}: {path}"));
                }
            }
        }
        found
    };
    for (name, address) in LEAVING {
        // Else the test below could not fail. Workers are in nobody's files but the operator's.
        assert!(!names_in_all(&b, name).is_empty(), "{name}");
        assert!(name.contains("worker") || !names_in_all(&b, address).is_empty(), "{address}");
    }
    retire(&b, &LEAVING.map(|(name, _)| name));
    b.build();
    for (name, address) in LEAVING {
        for what in [name, address] {
            assert_eq!(names_in_all(&b, what), ["operator: retired.tsv"], "{what}");
        }
    }
    // The names in certificates are DER, so they are asked for.
    for host in ["k8smaster2", "k8smaster3"] {
        let pem = &b.bundle(&fqdn(host))["root/etc/kubernetes/pki/apiserver.crt"].bytes;
        let crt = b.dir.path().join("apiserver.crt");
        fs::write(&crt, pem).expect("write");
        let shown = support::run(Command::new("openssl").args(["x509", "-noout", "-text", "-in"]).arg(&crt));
        assert!(names(&shown, "k8svrrp2.isociel.com") && names(&shown, "192.168.13.73"), "{shown}");
        for (name, address) in LEAVING {
            assert!(!names(&shown, name) && !names(&shown, address), "{host}: {name}\n{shown}");
        }
    }
    let env = text(&b.bundle(&fqdn("k8setcd4"))["root/etc/etcd/etcd.env"].bytes);
    assert!(env.contains("ETCD_INITIAL_CLUSTER=k8setcd1=https://192.168.13.35:2380,k8setcd3="), "{env}");

    // What the store holds of them is untouched, and nobody gets the balancer's priority.
    let now = tree(&b.inventory().join("secrets/objects"));
    let mut kept = 0;
    for (path, bytes) in &objects {
        if LEAVING.iter().any(|(name, _)| path.contains(&fqdn(name))) {
            assert_eq!(&now[path], bytes, "{path}");
            kept += 1;
        }
    }
    assert!(kept > 20, "{kept}");
    let priority = |text: &str| text.lines().find(|l| l.contains("vrrpPriority")).map(str::to_owned);
    let theirs = priority(&before["k8svrrp1"]).expect("a priority");
    assert_eq!(priority(&ledger(&b, "k8svrrp1")), Some(theirs.clone()));
    edit(&b, "hosts.yaml", |t| t + "  - {name: k8svrrp4, address: 192.168.13.74, roles: [load-balancer]}\n");
    b.build();
    assert_ne!(priority(&ledger(&b, "k8svrrp4")), Some(theirs));
    assert_eq!(priority(&ledger(&b, "k8svrrp2")), Some("vrrpPriority = 190".to_owned()));
}

#[test]
fn a_host_that_leaves_keeps_what_takes_it_down() {
    let b = running();
    let generation = |b: &Built, name: &str| {
        let manifest = text(&b.bundle(&fqdn(name))["MANIFEST.json"].bytes);
        let line =
            manifest.lines().find(|l| l.starts_with("\"generation\"")).expect("a generation").to_owned();
        line.trim_end_matches(',').rsplit(' ').next().and_then(|n| n.parse::<u32>().ok()).expect("a number")
    };
    let former = LEAVING.map(|(name, _)| generation(&b, name));
    retire(&b, &LEAVING.map(|(name, _)| name));
    for (name, _) in LEAVING {
        let said = plan(&b, 2);
        let line = said.lines().find(|l| l.contains(&fqdn(name)) && l.contains("bundle")).expect("a line");
        assert!(line.contains("(retired)") && line.contains("changed"), "{line}");
    }
    b.build();
    for ((name, address), former) in LEAVING.into_iter().zip(former) {
        let bundle = b.bundle(&fqdn(name));
        let files: Vec<&str> =
            bundle.iter().filter(|(_, e)| !e.folder).map(|(path, _)| path.as_str()).collect();
        assert_eq!(files, ["MANIFEST.json", "README.md", "SHA256SUMS", "uninstall.sh"]);
        assert_eq!(generation(&b, name), former + 1);
        let manifest = text(&bundle["MANIFEST.json"].bytes);
        assert!(manifest.contains("\n\"state\": \"retired\",\n"), "{manifest}");
        assert!(manifest.contains(&format!("\n\"addresses\": [\"{address}\"],\n")), "{manifest}");
        assert!(manifest.contains("\n\"files\": [\n],\n"), "{manifest}");
        assert!(bundle.values().all(|e| !text(&e.bytes).contains("PRIVATE KEY")));
        let folder = unpack_to(&b.out().join(format!("bundles/{}.tar.gz", fqdn(name))), b.dir.path());
        support::run(Command::new("sha256sum").args(["-c", "--strict", "SHA256SUMS"]).current_dir(&folder));

        let page = text(&bundle["README.md"].bytes);
        let place = |what: &str| page.find(what);
        let etcd = name.contains("etcd");
        let node = name.contains("master") || name.contains("worker");
        assert_eq!(place("drain ").is_some(), node, "{page}");
        // uninstall.sh resets the node itself; a reset by hand before it would be one step too many
        assert_eq!(place("uninstall.sh --dry-run --reset").is_some(), node, "{page}");
        assert_eq!(place("uninstall.sh --yes --reset").is_some(), node, "{page}");
        assert_eq!(place("kubeadm reset"), None, "{page}");
        assert_eq!(place("member remove ID").is_some(), etcd);
        assert_eq!(place("disable --now keepalived").is_some(), name.contains("vrrp"));
        let order =
            ["disable --now keepalived", "drain ", "member remove ID", "delete node", "uninstall.sh --yes"];
        let found: Vec<usize> = order.iter().filter_map(|what| place(what)).collect();
        assert!(found.is_sorted() && found.len() >= 2, "{page}");
        assert!(page.lines().all(|l| l.len() <= 120), "{page}");
        let listed = b.out().join(format!("review/hosts/{}", fqdn(name)));
        assert_eq!(tree(&listed).into_keys().collect::<Vec<_>>(), ["BUNDLE.json", "FILES", "README.md"]);
    }
    let json = fs::read_to_string(b.out().join("review/cluster.json")).expect("cluster.json");
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let of = |key: &str| -> Vec<String> {
        let hosts = json[key].as_array().expect("a list").iter();
        hosts.map(|h| h["name"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(of("retired"), LEAVING.map(|(name, _)| name));
    assert_eq!(json["retired"][0]["etcdPeer"], "https://192.168.13.36:2380");
    assert!(of("hosts").iter().all(|name| !LEAVING.iter().any(|(gone, _)| gone == name)));
    let page = fs::read_to_string(b.out().join("review/CLUSTER.md")).expect("CLUSTER.md");
    assert!(page.contains("### Leaving"), "{page}");
    let operator = b.bundle("operator");
    let leaving = text(&operator["retired.tsv"].bytes);
    assert!(
        leaving.contains(
            "k8smaster1.isociel.com\t192.168.13.61\troot\t22\tcontrol-plane\t-\tk8smaster1.isociel.com\t-\t-\n"
        ),
        "{leaving}"
    );

    // Built again, nothing changes; without their entries they are gone, from the output and not from the store.
    let out = tree(&b.out());
    assert!(text(&b.build().stdout).contains("nothing changed"));
    assert_eq!(tree(&b.out()), out);
    edit(&b, "hosts.yaml", |t| {
        let gone = |part: &str| part.contains("state: retired");
        let (head, hosts) = t.split_once("  - name: ").expect("hosts");
        let hosts: Vec<&str> = hosts.split("  - name: ").filter(|part| !gone(part)).collect();
        format!("{head}  - name: {}", hosts.join("  - name: "))
    });
    b.build();
    for (name, _) in LEAVING {
        assert!(!b.out().join(format!("bundles/{}.tar.gz", fqdn(name))).exists());
        assert!(!b.out().join(format!("review/hosts/{}", fqdn(name))).exists());
        assert!(!ledger(&b, name).is_empty());
    }
    assert!(!b.bundle("operator").contains_key("retired.tsv"));
}

#[test]
fn a_member_that_comes_back_is_added_like_any_other() {
    let b = running();
    retire(&b, &["k8setcd2"]);
    b.build();
    edit(&b, "hosts.yaml", |t| t.replace("    state: retired\n", ""));
    b.build();
    assert!(ledger(&b, "k8setcd2").contains("etcd = \"added\""), "{}", ledger(&b, "k8setcd2"));
    let env = text(&b.bundle("k8setcd2.isociel.com")["root/etc/etcd/etcd.env"].bytes);
    let all = "k8setcd1=https://192.168.13.35:2380,k8setcd2=https://192.168.13.36:2380,\
               k8setcd3=https://192.168.13.37:2380,k8setcd4=https://192.168.13.38:2380";
    assert!(env.contains(&format!("ETCD_INITIAL_CLUSTER={all}\n")), "{env}");
    // Its former certificates are good for it still.
    assert!(plan(&b, 0).contains(" 0 would issue"));
}
