//! The tutorial's cluster, field by field: what its kubeadm configuration says and what khagen writes for the inventory that
//! reproduces it. docs/tutorial.md is made of the same table; `KHAGEN_BLESS=1` writes it anew.

mod support;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

use serde_json::Value;
use support::{built, root, scratch, text, unpack_to};

/// What the tutorial's kubeadm-k8smaster1-config.yaml sets.
const TUTORIAL: &[(&str, &str)] = &[
    ("InitConfiguration.apiVersion", "kubeadm.k8s.io/v1beta3"),
    ("InitConfiguration.nodeRegistration.criSocket", "unix:///var/run/containerd/containerd.sock"),
    ("InitConfiguration.localAPIEndpoint.advertiseAddress", "192.168.13.61"),
    ("InitConfiguration.localAPIEndpoint.bindPort", "6443"),
    ("KubeProxyConfiguration.apiVersion", "kubeproxy.config.k8s.io/v1alpha1"),
    ("KubeProxyConfiguration.mode", "ipvs"),
    ("ClusterConfiguration.apiVersion", "kubeadm.k8s.io/v1beta3"),
    ("ClusterConfiguration.clusterName", "k8s-cluster1"),
    ("ClusterConfiguration.controlPlaneEndpoint", "k8sapi.isociel.com:6443"),
    (
        "ClusterConfiguration.etcd.external.endpoints",
        "https://192.168.13.35:2379 https://192.168.13.36:2379 https://192.168.13.37:2379",
    ),
    ("ClusterConfiguration.etcd.external.caFile", "/etc/kubernetes/pki/etcd/etcd-ca.crt"),
    ("ClusterConfiguration.etcd.external.certFile", "/etc/kubernetes/pki/etcd/apiserver-etcd-client.crt"),
    ("ClusterConfiguration.etcd.external.keyFile", "/etc/kubernetes/pki/etcd/apiserver-etcd-client.key"),
    ("ClusterConfiguration.networking.dnsDomain", "cluster.local"),
    ("ClusterConfiguration.networking.podSubnet", "100.64.0.0/10"),
    ("ClusterConfiguration.networking.serviceSubnet", "198.18.0.0/16"),
    (
        "ClusterConfiguration.apiServer.certSANs",
        "192.168.13.61 192.168.13.62 192.168.13.63 192.168.13.70 k8sapi.isociel.com k8smaster1 k8smaster1.isociel.com k8smaster2 \
         k8smaster2.isociel.com k8smaster3 k8smaster3.isociel.com kubernetes kubernetes.default kubernetes.default.svc \
         kubernetes.default.svc.cluster.local",
    ),
    ("ClusterConfiguration.apiServer.timeoutForControlPlane", "4m0s"),
    ("ClusterConfiguration.certificatesDir", "/etc/kubernetes/pki"),
    ("ClusterConfiguration.controllerManager.extraArgs.node-cidr-mask-size", "24"),
];

/// Each deliberate difference, and why.
const DIFFERENCES: &[(&str, &str)] = &[
    (
        "ClusterConfiguration.apiServer.certSANs",
        "the balancers' own names and addresses are added, for checks that go past the VIP; kubernetes and its like are left out, since kubeadm adds them itself",
    ),
    (
        "ClusterConfiguration.etcd.external.certFile",
        "where kubeadm itself puts this certificate, outside the folder of etcd's CA",
    ),
    ("ClusterConfiguration.etcd.external.keyFile", "as certFile"),
    (
        "ClusterConfiguration.kubernetesVersion",
        "always said: without it kubeadm asks the Internet for the newest stable version",
    ),
    (
        "InitConfiguration.bootstrapTokens",
        "the token is minted with the bundles, so that nodes can join without a value copied between terminals",
    ),
    ("InitConfiguration.nodeRegistration.criSocket", "/var/run is a link to /run"),
    ("InitConfiguration.nodeRegistration.imagePullPolicy", "kubeadm's default, said"),
    (
        "InitConfiguration.nodeRegistration.kubeletExtraArgs.node-ip",
        "a kubelet on a host with two interfaces takes the one of the default route",
    ),
    (
        "InitConfiguration.nodeRegistration.name",
        "the tutorial's hosts have their FQDN as host name; here it does not depend on that",
    ),
    ("KubeletConfiguration.apiVersion", "the tutorial has no such document"),
    ("KubeletConfiguration.cgroupDriver", "kubeadm's default, said, since containerd is set up for it"),
];

/// Leaves by path; a list of plain values is one, sorted, since order means nothing in any of these.
fn leaves(at: &str, value: &Value, out: &mut BTreeMap<String, String>) {
    let plain = |v: &Value| match v {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match value {
        Value::Object(map) => {
            for (key, value) in map.iter().filter(|(key, _)| *key != "kind") {
                leaves(&format!("{at}.{key}"), value, out);
            }
        }
        Value::Array(list) if list.iter().any(Value::is_object) => {
            out.insert(at.to_owned(), "(one, made by khagen)".to_owned());
        }
        Value::Array(list) => {
            let mut items: Vec<String> = list.iter().map(plain).collect();
            items.sort();
            out.insert(at.to_owned(), items.join(" "));
        }
        value => {
            out.insert(at.to_owned(), plain(value));
        }
    }
}

#[test]
fn the_tutorials_configuration_but_for_named_differences() {
    let b = built("tutorial");
    let dir = scratch();
    let folder = unpack_to(&b.out().join("bundles/k8smaster1.isociel.com.tar.gz"), dir.path());
    let written = text(&fs::read(folder.join("root/etc/kubernetes/kubeadm.yaml")).expect("read"));
    let mut ours = BTreeMap::new();
    for document in written.split("\n---\n") {
        let document: Value = serde_yaml::from_str(document).expect("YAML");
        leaves(document["kind"].as_str().expect("a kind"), &document, &mut ours);
    }
    let theirs: BTreeMap<String, String> =
        TUTORIAL.iter().map(|(field, value)| ((*field).to_owned(), (*value).to_owned())).collect();
    let why: BTreeMap<&str, &str> = DIFFERENCES.iter().copied().collect();
    let fields: std::collections::BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    let mut page = String::from(
        "# The tutorial, to the letter\n\n<!-- Written by `KHAGEN_BLESS=1 cargo test --test tutorial`. -->\n\n\
         `tests/inventories/tutorial` describes the cluster of the tutorial that khagen's example comes from: Kubernetes 1.28.2, an\n\
         external etcd, kube-proxy in ipvs mode. This is what the tutorial's kubeadm configuration sets and what khagen writes.\n\n\
         | field | tutorial | khagen | why they differ |\n|---|---|---|---|\n",
    );
    let mut unnamed = Vec::new();
    let mut used = 0;
    for field in fields {
        let (a, b) = (theirs.get(field), ours.get(field));
        let reason = match (a == b, why.get(field.as_str())) {
            (true, None) => "",
            (false, Some(reason)) => {
                used += 1;
                reason
            }
            (same, _) => {
                unnamed.push(format!("{field}: {a:?}, {b:?}, same: {same}"));
                ""
            }
        };
        let cell = |v: Option<&String>| v.map_or("–".to_owned(), |v| format!("`{v}`"));
        let ours = if a == b { "the same".to_owned() } else { cell(b) };
        let _ = writeln!(page, "| {field} | {} | {ours} | {reason} |", cell(a));
    }
    assert!(
        unnamed.is_empty(),
        "differences without a reason, or reasons without one:\n{}",
        unnamed.join("\n")
    );
    assert_eq!(used, DIFFERENCES.len(), "a reason is of no use any more");
    let path = root().join("docs/tutorial.md");
    if std::env::var_os("KHAGEN_BLESS").is_some() {
        fs::write(&path, &page).expect("write");
    }
    assert_eq!(
        fs::read_to_string(&path).unwrap_or_default(),
        page,
        "KHAGEN_BLESS=1 writes docs/tutorial.md anew"
    );
}
