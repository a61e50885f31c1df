//! A law: random edits of an inventory issue exactly what the table of dependencies below says, which is written from
//! what certificates are for and not from the code that plans them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use khagen::check;
use khagen::diag::Report;
use khagen::model::Cluster;
use khagen::pki::issue::issue;
use khagen::pki::{Action, Store};
use khagen::plan::certs;
use khagen::source::Sources;
use proptest::prelude::*;

use crate::cluster::{env, snapshot};

/// An edit of a text of the repository's inventory, and what begins the names of the objects that depend on it.
type Edit = (&'static str, &'static str, &'static [&'static str]);

const LEAVES: &[&str] = &[
    "etcd-",
    "apiserver",
    "front-proxy-client",
    "admin",
    "super-admin",
    "controller-manager",
    "scheduler",
    "operator",
];
const NOTHING: &[&str] = &[];
const SERVERS: &[&str] = &["apiserver/"];

const EDITS: &[Edit] = &[
    // Names and addresses of the API, which every API server's certificate carries.
    ("vip: 192.168.13.70/24", "vip: 192.168.13.79/24", SERVERS),
    ("controlPlaneEndpoint: k8sapi.isociel.com:6443", "controlPlaneEndpoint: api.isociel.com:6443", SERVERS),
    ("serviceSubnet: 198.18.0.0/16", "serviceSubnet: 198.20.0.0/16", SERVERS),
    ("dnsDomain: cluster.local", "dnsDomain: cluster.example", SERVERS),
    ("  kubeProxy:\n", "  apiServer: {certSANs: [api.example.com, 203.0.113.7]}\n  kubeProxy:\n", SERVERS),
    ("address: 192.168.13.71", "address: 192.168.13.81", SERVERS),
    ("hosts:\n", "hosts:\n  - {name: k8svrrp3, address: 192.168.13.73, roles: [load-balancer]}\n", SERVERS),
    // One host's own.
    ("address: 192.168.13.36", "address: 192.168.13.46", &["etcd-server/k8setcd2.", "etcd-peer/k8setcd2."]),
    ("address: 192.168.13.62", "address: 192.168.13.92", &["apiserver/k8smaster2."]),
    ("address: 192.168.13.66", "address: 192.168.13.96", NOTHING),
    (
        "name: k8setcd3",
        "name: k8setcd9",
        &["etcd-server/k8setcd9.", "etcd-peer/k8setcd9.", "etcd-health-client/k8setcd9."],
    ),
    (
        "  - name: k8setcd1\n",
        "  - {name: k8setcd4, address: 192.168.13.38, roles: [etcd]}\n  - name: k8setcd1\n",
        &["etcd-server/k8setcd4.", "etcd-peer/k8setcd4.", "etcd-health-client/k8setcd4."],
    ),
    (
        "  - name: k8smaster3\n",
        "  - {name: k8smaster4, address: 192.168.13.64, roles: [control-plane]}\n  - name: k8smaster3\n",
        &[
            "apiserver/k8smaster4.",
            "apiserver-kubelet-client/k8smaster4.",
            "apiserver-etcd-client/k8smaster4.",
            "front-proxy-client/k8smaster4.",
            "admin/k8smaster4.",
            "controller-manager/k8smaster4.",
            "scheduler/k8smaster4.",
        ],
    ),
    (
        "  - name: k8sworker1\n",
        "  - {name: k8sworker4, address: 192.168.13.68, roles: [worker]}\n  - name: k8sworker1\n",
        NOTHING,
    ),
    ("  - name: k8sworker3\n    address: 192.168.13.67\n    roles: [worker]\n", "", NOTHING),
    // What certificates are made of.
    ("validity: 1y", "validity: 2y", LEAVES),
    ("caValidity: 10y", "caValidity: 20y", NOTHING),
    ("renewBefore: 90d", "renewBefore: 30d", NOTHING),
    ("pki:\n", "pki:\n  algorithm: ECDSA-P384\n", LEAVES),
    (
        "  snapshot: {schedule: daily, keep: 7}",
        "  peerCA: same\n  snapshot: {schedule: daily, keep: 7}",
        &["etcd-peer/"],
    ),
    // Settings that no certificate or token knows, and one that asks for a password.
    ("version: 1.36.5", "version: 1.36.4", NOTHING),
    ("version: 3.6.14", "version: 3.6.13", NOTHING),
    ("mode: nftables", "mode: iptables", NOTHING),
    ("virtualRouterId: 70", "virtualRouterId: 71\n  auth: true", &["vrrp-password"]),
    ("podSubnet: 100.64.0.0/10", "podSubnet: 100.64.0.0/11", NOTHING),
    ("externalSubnet: 198.19.0.0/16", "externalSubnet: 198.21.0.0/16", NOTHING),
    ("name: k8s-cluster1", "name: k8s-cluster2", NOTHING),
    ("\netcd:\n", "\ndefaults: {sysctls: {vm.swappiness: \"1\"}, labels: {disk: ssd}}\netcd:\n", NOTHING),
];

fn cluster(dir: &Path, edits: &BTreeSet<usize>) -> Cluster {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("inventory");
    let mut used = BTreeSet::new();
    for file in ["cluster.yaml", "hosts.yaml"] {
        let mut text = fs::read_to_string(from.join(file)).unwrap();
        for index in edits {
            let (old, new, _) = EDITS[*index];
            if text.contains(old) {
                text = text.replacen(old, new, 1);
                used.insert(*index);
            }
        }
        fs::write(dir.join(file), text).unwrap();
    }
    assert_eq!(&used, edits, "an edit that edits nothing");
    let (mut sources, mut report) = (Sources::new(), Report::new());
    let loaded = khagen::load::load(dir, &mut sources, &mut report);
    let inventory = check::check(&loaded, &sources, env().now().date(), &mut report);
    let mut inventory = inventory.unwrap_or_else(|| {
        panic!("{}", khagen::diag::render::lines(&report, &sources));
    });
    inventory.clusters.remove(0)
}

/// Issues what a cluster asks for. Answers what, and saves it.
fn issued(store: &Path, cluster: &Cluster) -> (BTreeSet<String>, BTreeSet<String>) {
    let mut store = Store::open(store).unwrap();
    let requests = certs::certificates(cluster, "k8smaster1.isociel.com");
    let secrets = certs::secrets(cluster);
    let decisions = issue(&requests, &secrets, &mut store, &env()).unwrap();
    let all = decisions.iter().map(|d| d.id.as_str().to_owned()).collect();
    let new = decisions.iter().filter(|d| d.action == Action::Issue).map(|d| d.id.as_str().to_owned());
    let new: BTreeSet<String> = new.collect();
    assert_eq!(store.save().unwrap().objects, new.len());
    (all, new)
}

fn certificates(store: &Path) -> BTreeMap<String, Vec<u8>> {
    let name = |path: &Path| path.strip_prefix(store.join("objects")).ok().map(|p| p.display().to_string());
    snapshot(store).into_iter().filter_map(|(path, bytes, _)| Some((name(&path)?, bytes))).collect()
}

fn judge(edits: &BTreeSet<usize>) {
    let tmp = tempfile::tempdir().unwrap();
    let store = tmp.path().join("secrets");
    let (before, first) = issued(&store, &cluster(tmp.path(), &BTreeSet::new()));
    assert_eq!(before, first);
    let files = certificates(&store);
    let (all, found) = issued(&store, &cluster(tmp.path(), edits));
    let touched = |id: &&String| edits.iter().any(|i| EDITS[*i].2.iter().any(|begin| id.starts_with(begin)));
    let predicted: BTreeSet<String> = all.iter().filter(touched).cloned().collect();
    assert_eq!(found, predicted, "{:?}", edits.iter().map(|i| EDITS[*i]).collect::<Vec<_>>());
    for (path, bytes) in &certificates(&store) {
        let id = path.rsplit_once('/').map_or(path.as_str(), |(id, _)| id);
        if !found.contains(id) && files.contains_key(path) {
            assert!(files[path] == *bytes, "{path} changed");
        }
    }
}

#[test]
fn each_edit_of_the_inventory_issues_what_depends_on_it() {
    (0..EDITS.len()).for_each(|edit| judge(&BTreeSet::from([edit])));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_edits_of_the_inventory_issue_what_depends_on_them(
        edits in prop::collection::btree_set(0..EDITS.len(), 2..7)
    ) {
        judge(&edits);
    }
}
