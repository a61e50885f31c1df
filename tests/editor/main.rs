//! What an editor's language server makes of the schema that `khagen init` puts beside an inventory: it finds nothing in a
//! right one, marks what is wrong at its line in words, offers keys and words with what they are for, and asks no network.
//! yaml-language-server is VS Code's and most others' for YAML, taplo for TOML.

mod server;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::process::Command;

use server::{NEEDS, Server};
use support::{can, khagen, run, scratch, text};

const ARGUMENTS: [&str; 10] = [
    "init",
    "--name=lab",
    "--domain=lab.example.com",
    "--vip=192.168.20.10/24",
    "--interface=eth0",
    "--etcd=192.168.20.11,192.168.20.12,192.168.20.13",
    "--load-balancer=192.168.20.11,192.168.20.12,192.168.20.13",
    "--control-plane=192.168.20.11,192.168.20.12,192.168.20.13",
    "--worker=192.168.20.14",
    "--no-recipient",
];

/// An inventory as `khagen init` writes it, open in an editor.
struct Editor {
    cluster: String,
    hosts: String,
    server: Server,
    _dir: tempfile::TempDir,
}

fn editor() -> Editor {
    let dir = scratch();
    run(khagen().args(ARGUMENTS).current_dir(dir.path()));
    let inventory = dir.path().join("inventory");
    let read = |name: &str| fs::read_to_string(inventory.join(name)).expect("a document");
    let (cluster, hosts) = (read("cluster.yaml"), read("hosts.yaml"));
    Editor { cluster, hosts, server: Server::start(&inventory), _dir: dir }
}

/// Replaces what stands once in a text.
#[track_caller]
fn with(text: &str, old: &str, new: &str) -> String {
    assert_eq!(text.matches(old).count(), 1, "{old}: {text}");
    text.replace(old, new)
}

/// The line in which a text stands, the first being 1.
#[track_caller]
fn line(text: &str, part: &str) -> u64 {
    let at = text.lines().position(|line| line.contains(part)).expect(part);
    at as u64 + 1
}

#[test]
fn what_init_writes_has_no_finding() {
    if !can("a language server with the schema", &NEEDS) {
        return;
    }
    let mut editor = editor();
    assert_eq!(editor.server.findings("cluster.yaml", &editor.cluster), []);
    assert_eq!(editor.server.findings("hosts.yaml", &editor.hosts), []);
    // Not because nothing is looked at.
    let wrong = with(&editor.cluster, "\ncluster:\n", "\nclusters:\n");
    assert_eq!(
        editor.server.findings("cluster.yaml", &wrong),
        [(line(&wrong, "clusters:"), "Property clusters is not allowed.".to_owned())]
    );
}

#[test]
fn mistakes_are_marked_at_their_lines_in_words() {
    if !can("a language server with the schema", &NEEDS) {
        return;
    }
    let Editor { cluster, hosts, mut server, _dir } = editor();
    for (document, old, new, said) in [
        (
            "cluster.yaml",
            "  controlPlaneEndpoint:",
            "  controlplaneEndpoint:",
            "Property controlplaneEndpoint is not allowed.",
        ),
        ("cluster.yaml", "virtualRouterId: 10", "virtualRouterId: 300", "Value is above the maximum of 255."),
        (
            "cluster.yaml",
            "mode: keepalived",
            "mode: keepalive",
            "Value is not accepted. Valid values: \"keepalived\", \"external\", \"none\".",
        ),
        (
            "cluster.yaml",
            "vip: 192.168.20.10/24",
            "vip: 192.168.20.10",
            "Expected an address with the prefix length of its network, such as 192.0.2.70/24.",
        ),
        (
            "cluster.yaml",
            "renewBefore: 90d",
            "renewBefore: 90 days",
            "Expected a time: numbers with y (365 days), w, d, h, m, s, the larger first, such as 90d or 1h30m.",
        ),
        ("cluster.yaml", "recipients: []", "recipients: age1", "Incorrect type. Expected \"array\"."),
        ("cluster.yaml", "pki:\n", "proxy: {}\npki:\n", "Not possible yet: HTTP proxies."),
        ("hosts.yaml", "address: 192.168.20.14", "adress: 192.168.20.14", "Property adress is not allowed."),
        (
            "hosts.yaml",
            "roles: [worker]",
            "roles: [wroker]",
            "Value is not accepted. Valid values: \"etcd\", \"load-balancer\", \"control-plane\", \"worker\".",
        ),
        ("hosts.yaml", "\n    roles: [worker]", "", "Missing property \"roles\"."),
    ] {
        let right = if document == "hosts.yaml" { &hosts } else { &cluster };
        let wrong = with(right, old, new);
        let found = server.findings(document, &wrong);
        let place = match new {
            "" => line(&wrong, "address: 192.168.20.14") - 1,
            new => line(&wrong, new.lines().next().expect("a line")),
        };
        assert!(
            found.iter().any(|(line, words)| *line == place && words == said),
            "{new}: not in line {place}: {said}\n{found:?}"
        );
    }
}

#[test]
fn keys_and_words_are_offered_with_what_they_are_for() {
    if !can("a language server with the schema", &NEEDS) {
        return;
    }
    let Editor { cluster, hosts, mut server, _dir } = editor();

    let keys = server.offers("cluster.yaml", &with(&cluster, "  networking:\n", "  ‸\n  networking:\n"));
    for (key, said) in [
        ("kubeProxy", "kube-proxy."),
        ("apiServer", "kube-apiserver on every control plane."),
        ("containerd", "Which containerd the nodes run"),
        ("pki", "Default: `pregenerated`."),
    ] {
        let description = keys.get(key).unwrap_or_else(|| panic!("{key}: {keys:?}"));
        assert!(description.contains(said), "{key}: {description}");
    }
    // What is written already is not offered again, nor what stands elsewhere.
    for key in ["version", "networking", "loadBalancer", "vip"] {
        assert!(!keys.contains_key(key), "{key}: {keys:?}");
    }
    for (key, description) in &keys {
        assert!(!description.is_empty(), "{key} says nothing");
    }

    let top = server.offers("cluster.yaml", &format!("{cluster}\n‸\n"));
    assert!(["artifacts", "defaults", "groups", "hosts", "roles"].iter().all(|key| top.contains_key(*key)));
    // What this khagen refuses is not proposed.
    assert!(!top.contains_key("proxy") && !top.contains_key("images"), "{top:?}");

    let words = |text: String, server: &mut Server, document: &str| {
        server.offers(document, &text).into_keys().collect::<Vec<_>>()
    };
    let text = with(&cluster, "  networking:\n", "  kubeProxy:\n    mode: ‸\n  networking:\n");
    assert_eq!(words(text, &mut server, "cluster.yaml"), ["iptables", "ipvs", "nftables", "none"]);
    let text = with(&cluster, "  caValidity:", "  algorithm: ‸\n  caValidity:");
    assert!(words(text, &mut server, "cluster.yaml").contains(&"RSA-4096".to_owned()));
    let text = with(&hosts, "roles: [worker]", "roles: [‸]");
    assert_eq!(words(text, &mut server, "hosts.yaml"), ["control-plane", "etcd", "load-balancer", "worker"]);

    let host = server.offers("hosts.yaml", &format!("{}\n    ‸\n", hosts.trim_end()));
    assert!(host.contains_key("zone") && host.contains_key("ssh") && !host.contains_key("roles"), "{host:?}");
    // A host's own keys are not among what many hosts share.
    let layer = server.offers("hosts.yaml", &format!("{hosts}defaults:\n  ‸\n"));
    assert!(layer.contains_key("ssh") && !layer.contains_key("name"), "{layer:?}");
}

#[test]
fn a_key_says_what_it_is_for() {
    if !can("a language server with the schema", &NEEDS) {
        return;
    }
    let Editor { cluster, hosts, mut server, _dir } = editor();
    for (document, at, said) in [
        ("cluster.yaml", "service‸Subnet:", "The services' network"),
        ("cluster.yaml", "service‸Subnet:", "Default: `10.96.0.0/12`."),
        ("cluster.yaml", "st‸ate:", "`new` until the cluster is set up."),
        ("cluster.yaml", "st‸ate:", "* `running`"),
        ("cluster.yaml", "load‸Balancer:", "The way to the API servers"),
        ("hosts.yaml", "‸- name: cp1", "The short name"),
    ] {
        let text = if document == "hosts.yaml" { &hosts } else { &cluster };
        // The last one is the key that follows the dash.
        let shown = match at.strip_prefix("‸- ") {
            Some(rest) => server.hover(document, &with(text, rest, &format!("‸{rest}"))),
            None => server.hover(document, &with(text, &at.replace('‸', ""), at)),
        };
        assert!(shown.contains(said), "{at}: {said}: {shown}");
    }
}

#[test]
fn taplo_takes_what_init_writes_in_toml_and_marks_mistakes() {
    if !can("taplo with the schema", &NEEDS) {
        return;
    }
    let dir = scratch();
    run(khagen().args(ARGUMENTS).arg("--format=toml").current_dir(dir.path()));
    let inventory = dir.path().join("inventory");
    let lint = || {
        Command::new("unshare")
            .args(["--net", "node"])
            .arg(support::editor().expect("installed").join("node_modules/@taplo/cli/dist/cli.js"))
            .args(["lint", "--colors=never", "cluster.toml", "hosts.toml"])
            .current_dir(&inventory)
            .output()
            .expect("taplo")
    };
    let said = lint();
    assert!(said.status.success(), "{}{}", text(&said.stdout), text(&said.stderr));
    let cluster = fs::read_to_string(inventory.join("cluster.toml")).expect("a document");
    for (old, new, words) in [
        ("domain = ", "domian = ", "('domian' was unexpected)"),
        (
            "mode = \"keepalived\"",
            "mode = \"keepalive\"",
            "\"keepalive\" is not one of [\"keepalived\",\"external\",\"none\"]",
        ),
    ] {
        let wrong = with(&cluster, old, new);
        fs::write(inventory.join("cluster.toml"), &wrong).expect("write");
        let said = lint();
        let shown = text(&said.stderr);
        assert!(!said.status.success() && shown.contains(words), "{shown}");
        assert!(shown.contains(&format!("cluster.toml:{}:", line(&wrong, new))), "{shown}");
    }
}
