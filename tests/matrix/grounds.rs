//! Inventories that mistakes are made in, and the keys that are tried in each beside those of fields.rs: what a joining node
//! has, both families, and a cluster without a CA's key.

use serde_json::{Value, json};

use crate::cases::{read, single_args};
use crate::fields::{ADDRESSES, DURATIONS, FIELDS, Field, LABELS, NAMES, text};
use crate::mutate::{How, set, take};

/// A good inventory, and what to try there.
pub struct Ground {
    /// Its name.
    pub name: &'static str,
    /// The folder that it is made of.
    pub base: &'static str,
    /// From this minor on.
    pub since: u32,
    /// Up to this one.
    pub until: u32,
    /// What a mistake needs around it.
    pub edit: fn(&mut Value),
    /// The keys.
    pub fields: &'static [&'static [Field]],
}

impl Ground {
    /// The inventory.
    pub fn inventory(&self) -> Value {
        let mut inventory = read(self.base);
        (self.edit)(&mut inventory);
        inventory
    }
}

/// All of them.
pub const GROUNDS: [Ground; 4] = [
    Ground {
        name: "settings",
        base: "settings",
        since: 31,
        until: u32::MAX,
        edit: around,
        fields: &[FIELDS, JOINING, NEWER],
    },
    Ground {
        name: "settings of v1beta3",
        base: "settings",
        since: 28,
        until: 30,
        edit: |v| {
            around(v);
            single_args(v);
        },
        fields: &[FIELDS, JOINING],
    },
    Ground {
        name: "dual stack",
        base: "dual-stack",
        since: 28,
        until: u32::MAX,
        edit: |v| take(v, "kubernetes/timeouts"),
        fields: &[DUAL],
    },
    Ground {
        name: "external-ca",
        base: "external-ca",
        since: 28,
        until: u32::MAX,
        edit: |v| {
            take(v, "kubernetes/kubeProxy/mode");
            set(v, "kubernetes/apiServer/certSANs", json!(["api.example.org", "203.0.113.7"]));
            taint(v, 8);
        },
        fields: &[EXTERNAL_CA],
    },
];

fn taint(v: &mut Value, host: usize) {
    let taints = json!([{"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}]);
    set(v, &format!("hosts/{host}/taints"), taints);
}

fn around(v: &mut Value) {
    set(v, "hosts/5/taints", json!([{"key": "dedicated", "effect": "NoSchedule"}]));
    taint(v, 7);
    for host in [5, 7] {
        set(v, &format!("hosts/{host}/ignorePreflightErrors"), json!(["NumCPU", "Swap"]));
    }
}

const POLICIES: &[&str] = &["Always", "Never", "IfNotPresent", "never", ""];
const FLAGS: &[&str] =
    &["v", "V", "max-pods", "--v", "a b", "x_y", "", "v=3", "node-ip", "bind-address", "config"];

/// The control plane that joins is host 6, the worker host 7.
const JOINING: &[Field] = &[
    text(
        "kubernetes/controlPlaneEndpoint",
        "JoinConfiguration",
        "discovery/bootstrapToken/apiServerEndpoint",
        &[
            "api.settings.example.com:6443",
            "192.168.50.10:6443",
            "[fd00:9::10]:6443",
            ":6443",
            "api:65536",
            "https://api:6443",
            "",
            "a_b:6443",
        ],
    ),
    text("hosts/6/address", "JoinConfiguration", "controlPlane/localAPIEndpoint/advertiseAddress", ADDRESSES),
    text("hosts/6/nodeName", "JoinConfiguration", "nodeRegistration/name", NAMES),
    text("hosts/7/nodeName", "JoinConfiguration", "nodeRegistration/name", NAMES),
    text("hosts/7/imagePullPolicy", "JoinConfiguration", "nodeRegistration/imagePullPolicy", POLICIES),
    text(
        "hosts/7/ignorePreflightErrors/0",
        "JoinConfiguration",
        "nodeRegistration/ignorePreflightErrors/0",
        &["NumCPU", "all", "ALL", "Mem", "x", "FileAvailable--etc-kubernetes-kubelet.conf"],
    ),
    text("hosts/7/taints/0/key", "JoinConfiguration", "nodeRegistration/taints/0/key", LABELS),
    text("hosts/7/taints/0/value", "JoinConfiguration", "nodeRegistration/taints/0/value", LABELS),
    text(
        "hosts/7/taints/0/effect",
        "JoinConfiguration",
        "nodeRegistration/taints/0/effect",
        &["NoSchedule", "PreferNoSchedule", "NoExecute", "noschedule", ""],
    ),
    Field {
        how: How::Flag,
        ..text("hosts/7/kubeletExtraArgs", "JoinConfiguration", "nodeRegistration/kubeletExtraArgs", FLAGS)
    },
    Field {
        how: How::Flag,
        ..text("kubernetes/scheduler/extraArgs", "ClusterConfiguration", "scheduler/extraArgs", FLAGS)
    },
    Field {
        how: How::Flag,
        ..text(
            "kubernetes/controllerManager/extraArgs",
            "ClusterConfiguration",
            "controllerManager/extraArgs",
            FLAGS,
        )
    },
    text(
        "kubernetes/apiServer/extraVolumes/0/mountPath",
        "ClusterConfiguration",
        "apiServer/extraVolumes/0/mountPath",
        &["/etc/kubernetes/audit.yaml", "/", "relative", "", "/a:b", "/a/../b", "/a b"],
    ),
    Field {
        how: How::Number,
        ..text(
            "kubernetes/apiServer/bindPort",
            "JoinConfiguration",
            "controlPlane/localAPIEndpoint/bindPort",
            &["6443", "443", "0", "65535", "65536", "-1", "10250", "2379"],
        )
    },
];

const fn newer(
    key: &'static str,
    kind: &'static str,
    field: &'static str,
    values: &'static [&'static str],
) -> Field {
    Field { since: 31, ..text(key, kind, field, values) }
}

/// What v1beta4 brought.
const NEWER: &[Field] = &[
    newer(
        "kubernetes/timeouts/controlPlaneComponentHealthCheck",
        "InitConfiguration",
        "timeouts/controlPlaneComponentHealthCheck",
        DURATIONS,
    ),
    newer(
        "kubernetes/timeouts/kubernetesAPICall",
        "InitConfiguration",
        "timeouts/kubernetesAPICall",
        DURATIONS,
    ),
    newer("kubernetes/timeouts/etcdAPICall", "JoinConfiguration", "timeouts/etcdAPICall", DURATIONS),
    newer(
        "kubernetes/timeouts/kubeletHealthCheck",
        "JoinConfiguration",
        "timeouts/kubeletHealthCheck",
        DURATIONS,
    ),
    newer("kubernetes/timeouts/tlsBootstrap", "JoinConfiguration", "timeouts/tlsBootstrap", DURATIONS),
    newer("kubernetes/timeouts/discovery", "JoinConfiguration", "timeouts/discovery", DURATIONS),
    newer(
        "kubernetes/timeouts/upgradeManifests",
        "JoinConfiguration",
        "timeouts/upgradeManifests",
        DURATIONS,
    ),
    newer("pki/validity", "ClusterConfiguration", "certificateValidityPeriod", VALIDITIES),
    newer("pki/caValidity", "ClusterConfiguration", "caCertificateValidityPeriod", VALIDITIES),
    newer(
        "pki/algorithm",
        "ClusterConfiguration",
        "encryptionAlgorithm",
        &[
            "ECDSA-P256",
            "ECDSA-P384",
            "RSA-2048",
            "RSA-3072",
            "RSA-4096",
            "RSA-1024",
            "ECDSA",
            "ED25519",
            "rsa-2048",
            "",
        ],
    ),
    Field {
        how: How::KeyOf(r#"{"name": "x", "key": "y"}"#),
        ..newer(
            "kubernetes/controllerManager/extraEnvs/0/valueFrom",
            "ClusterConfiguration",
            "controllerManager/extraEnvs/0/valueFrom",
            &[
                "fieldRef",
                "resourceFieldRef",
                "configMapKeyRef",
                "secretKeyRef",
                "fileKeyRef",
                "fieldref",
                "",
            ],
        )
    },
    newer(
        "kubernetes/apiServer/extraEnvs/0/name",
        "ClusterConfiguration",
        "apiServer/extraEnvs/0/name",
        &["TZ", "HTTP_PROXY", "a.b", "a-b", "1A", "", "A B", "A=B", "A,B"],
    ),
];

const VALIDITIES: &[&str] =
    &["8760h", "8760h0m0s", "48h", "24h", "87600h", "0s", "-1h", "1y", "90d", "", "1.5h", "100m", "h"];

/// Two families everywhere.
const DUAL: &[Field] = &[
    text("kubernetes/networking/podSubnet", "ClusterConfiguration", "networking/podSubnet", PAIRS),
    text("kubernetes/networking/serviceSubnet", "ClusterConfiguration", "networking/serviceSubnet", PAIRS),
    text(
        "kubernetes/controlPlaneEndpoint",
        "ClusterConfiguration",
        "controlPlaneEndpoint",
        &[
            "api.dual.example.com",
            "[2001:db8:30::10]:6443",
            "192.168.30.10:6443",
            "2001:db8:30::10",
            "[::]:1",
            "[api]:6443",
        ],
    ),
    text(
        "kubernetes/apiServer/certSANs/0",
        "ClusterConfiguration",
        "apiServer/certSANs/0",
        &[
            "2001:db8::1",
            "[2001:db8::1]",
            "2001:db8::1/64",
            "2001:db8:::1",
            "::ffff:10.0.0.1",
            "fe80::1%eth0",
            "10.0.0.1",
        ],
    ),
    text("hosts/5/address/0", "InitConfiguration", "localAPIEndpoint/advertiseAddress", ADDRESSES),
    text(
        "hosts/6/address/0",
        "JoinConfiguration",
        "controlPlane/localAPIEndpoint/advertiseAddress",
        ADDRESSES,
    ),
    text("hosts/7/nodeName", "JoinConfiguration", "nodeRegistration/name", NAMES),
];

const PAIRS: &[&str] = &[
    "10.244.0.0/16,fd00:10:244::/48",
    "fd00:10:244::/48,10.244.0.0/16",
    "10.96.0.0/16,fd00:10:96::/108",
    "10.244.0.0/16",
    "fd00:10:244::/48",
    "10.244.0.0/16,10.245.0.0/16",
    "10.244.0.0/16,fd00:10:244::/48,10.8.0.0/16",
    "10.244.0.0/16, fd00:10:244::/48",
    "10.244.0.0/16,",
    ",fd00:10:244::/48",
    "10.244.0.0/16,fd00:10:244::/8",
    "10.244.0.0/16,fd00:10:244::/120",
    "10.244.0.0/16,fd00:10:244::/129",
    "10.244.0.0/28,fd00:10:244::/112",
    "10.244.0.0/16;fd00:10:244::/48",
];

/// Nodes join with what was issued for them.
const EXTERNAL_CA: &[Field] = &[
    text("hosts/5/address", "InitConfiguration", "localAPIEndpoint/advertiseAddress", ADDRESSES),
    text("hosts/6/address", "JoinConfiguration", "controlPlane/localAPIEndpoint/advertiseAddress", ADDRESSES),
    text("hosts/6/nodeName", "JoinConfiguration", "nodeRegistration/name", NAMES),
    text("hosts/8/nodeName", "JoinConfiguration", "nodeRegistration/name", NAMES),
    text("hosts/8/imagePullPolicy", "JoinConfiguration", "nodeRegistration/imagePullPolicy", POLICIES),
    text("hosts/8/taints/0/value", "JoinConfiguration", "nodeRegistration/taints/0/value", LABELS),
    Field {
        how: How::Flag,
        ..text("hosts/8/kubeletExtraArgs", "JoinConfiguration", "nodeRegistration/kubeletExtraArgs", FLAGS)
    },
    text(
        "kubernetes/apiServer/certSANs/0",
        "ClusterConfiguration",
        "apiServer/certSANs/0",
        &[
            "api.example.org",
            "203.0.113.7",
            "",
            "a_b.example.org",
            "*.example.org",
            "203.0.113.7/24",
            "-a.org",
        ],
    ),
    text("kubernetes/networking/dnsDomain", "ClusterConfiguration", "networking/dnsDomain", NAMES),
    newer("kubernetes/timeouts/tlsBootstrap", "JoinConfiguration", "timeouts/tlsBootstrap", DURATIONS),
];
