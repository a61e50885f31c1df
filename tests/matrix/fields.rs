//! Which key of the inventory becomes which field of kubeadm's documents, and values to try there.

use crate::mutate::How;

/// One key and its field.
pub struct Field {
    /// Path in the inventory: keys and indices joined by `/`.
    pub key: &'static str,
    /// Kind of kubeadm's document.
    pub kind: &'static str,
    /// Path in it.
    pub field: &'static str,
    /// How.
    pub how: How,
    /// What kubeadm's field has around the inventory's value: `https://{}:2379`.
    pub around: &'static str,
    /// Good values and bad ones; more are made of them.
    pub values: &'static [&'static str],
    /// The first minor whose kubeadm has the field.
    pub since: u32,
}

/// A field that holds the key's text.
pub const fn text(
    key: &'static str,
    kind: &'static str,
    field: &'static str,
    values: &'static [&'static str],
) -> Field {
    Field { key, kind, field, how: How::Text, around: "{}", values, since: 28 }
}

/// Values of their kind.
pub const SUBNETS: &[&str] = &[
    "10.64.0.0/12",
    "10.96.0.0/16",
    "fd00:1::/108",
    "fd00:1::/48",
    "10.64.0.0/12,fd00:1::/108",
    "fd00:1::/112,10.96.0.0/16",
    "10.0.0.0/30",
    "10.0.0.0/29",
    "10.0.0.0/8",
    "10.0.0.0/24",
    "fd00:1::/64",
    "192.168.50.0/24",
    "",
    "0.0.0.0/0",
    "127.0.0.0/8",
    "10.64.0.0/12,10.96.0.0/16",
    "10.64.0.0",
    "010.64.0.0/12",
    "10.64.0.1/12",
    "10.64.0.0/33",
    "224.0.0.0/8",
    "::/0",
];
/// Values of their kind.
pub const NAMES: &[&str] = &[
    "k8s.settings.example.com",
    "cluster.local",
    "a",
    "A.example",
    "a_b.example",
    "-a.example",
    "a..b",
    "",
    "x.",
    "1.2.3.4",
    "xn--a",
];
/// Values of their kind.
pub const ADDRESSES: &[&str] = &[
    "192.168.50.41",
    "192.168.50.99",
    "0.0.0.0",
    "127.0.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "fe80::1",
    "::1",
    "::",
    "fd00:9::41",
    "192.168.050.41",
    "192.168.50.256",
    "192.168.50",
    "",
    "node",
    "192.168.50.41/24",
    "169.254.0.1",
];
/// Values of their kind.
pub const DURATIONS: &[&str] = &[
    "15m", "0s", "24h0m0s", "1h30m", "-5m", "5", "1d", "1w", "", "5 m", "1.5h", "300ms", "9999999h", "1h-1m",
    "h", "1H",
];
/// Values of their kind.
pub const PATHS: &[&str] = &[
    "/etc/kubernetes/audit.yaml",
    "/var/log",
    "relative",
    "",
    "/",
    "/a/../b",
    "//double",
    "/a b",
    "/trailing/",
    "./x",
    "/a\tb",
];
/// Values of their kind.
pub const LABELS: &[&str] = &[
    "audit",
    "a-b",
    "A",
    "a_b",
    "-a",
    "a-",
    "",
    "a.b",
    "x1234567890123456789012345678901234567890123456789012345678901234",
];

/// Those of the cluster, and of the host that runs init.
pub const FIELDS: &[Field] = &[
    text("kubernetes/networking/podSubnet", "ClusterConfiguration", "networking/podSubnet", SUBNETS),
    text("kubernetes/networking/serviceSubnet", "ClusterConfiguration", "networking/serviceSubnet", SUBNETS),
    text("kubernetes/networking/dnsDomain", "ClusterConfiguration", "networking/dnsDomain", NAMES),
    text(
        "kubernetes/controlPlaneEndpoint",
        "ClusterConfiguration",
        "controlPlaneEndpoint",
        &[
            "api.settings.example.com:6443",
            "api.settings.example.com",
            "192.168.50.10:6443",
            "[fd00:9::10]:6443",
            "fd00:9::10",
            ":6443",
            "api:0",
            "api:65536",
            "api:port",
            "https://api:6443",
            "",
            "API.example.com:6443",
            "a_b:6443",
            "api.example.com:6443:1",
        ],
    ),
    text(
        "kubernetes/apiServer/certSANs/0",
        "ClusterConfiguration",
        "apiServer/certSANs/0",
        &[
            "api.example.org",
            "*.example.org",
            "203.0.113.7",
            "fd00::7",
            "",
            "a_b.example.org",
            "API.example.org",
            "*.*.org",
            "a.*.org",
            "203.0.113.7/24",
            "api.example.org:6443",
            "-a.org",
            "a..org",
            "*",
            "https://x",
        ],
    ),
    text(
        "kubernetes/imageRepository",
        "ClusterConfiguration",
        "imageRepository",
        &[
            "registry.example.com/k8s",
            "registry.example.com:5000/k8s",
            "localhost",
            "k8s",
            "REGISTRY/k8s",
            "registry.example.com/k8s/",
            "",
            "registry.example.com/k8s:tag",
            "https://registry.example.com",
            "a//b",
            "registry.example.com/K8S",
        ],
    ),
    text(
        "kubernetes/dns/imageRepository",
        "ClusterConfiguration",
        "dns/imageRepository",
        &["registry.example.com/dns", "dns", "x/", "", "UP/x"],
    ),
    text(
        "kubernetes/dns/imageTag",
        "ClusterConfiguration",
        "dns/imageTag",
        &["v1.14.3", "latest", "a:b", "", "-x", ".x", "a/b", "v1_2.3-4"],
    ),
    text("kubernetes/bootstrapToken/ttl", "InitConfiguration", "bootstrapTokens/0/ttl", DURATIONS),
    Field {
        since: 31,
        ..text("kubernetes/timeouts/discovery", "InitConfiguration", "timeouts/discovery", DURATIONS)
    },
    Field {
        key: "kubernetes/timeouts",
        kind: "InitConfiguration",
        field: "timeouts",
        how: How::KeyOf("5m0s"),
        around: "{}",
        values: &[
            "discovery",
            "kubeletHealthCheck",
            "etcdAPICall",
            "Discovery",
            "upgradeManifests",
            "tlsBootstrap",
            "x",
        ],
        since: 31,
    },
    Field {
        key: "kubernetes/featureGates",
        kind: "ClusterConfiguration",
        field: "featureGates",
        how: How::KeyOf("true"),
        around: "{}",
        values: &[
            "RootlessControlPlane",
            "NodeLocalCRISocket",
            "PublicKeysECDSA",
            "IPv6DualStack",
            "rootlesscontrolplane",
            "AllAlpha",
            "",
        ],
        since: 28,
    },
    text(
        "kubernetes/kubeProxy/mode",
        "KubeProxyConfiguration",
        "mode",
        &["iptables", "nftables", "ipvs", "userspace", "IPTables", ""],
    ),
    Field {
        key: "kubernetes/apiServer/bindPort",
        kind: "InitConfiguration",
        field: "localAPIEndpoint/bindPort",
        how: How::Number,
        around: "{}",
        values: &["6443", "443", "0", "65535", "65536", "-1", "10250", "2379"],
        since: 28,
    },
    text("hosts/5/address", "InitConfiguration", "localAPIEndpoint/advertiseAddress", ADDRESSES),
    Field {
        around: "https://{}:2379",
        ..text("hosts/0/address", "ClusterConfiguration", "etcd/external/endpoints/0", ADDRESSES)
    },
    text("hosts/5/nodeName", "InitConfiguration", "nodeRegistration/name", NAMES),
    text(
        "hosts/5/imagePullPolicy",
        "InitConfiguration",
        "nodeRegistration/imagePullPolicy",
        &["Always", "Never", "IfNotPresent", "never", ""],
    ),
    text(
        "hosts/5/ignorePreflightErrors/0",
        "InitConfiguration",
        "nodeRegistration/ignorePreflightErrors/0",
        &["NumCPU", "all", "ALL", "Mem", "x"],
    ),
    text("hosts/5/taints/0/key", "InitConfiguration", "nodeRegistration/taints/0/key", LABELS),
    text("hosts/5/taints/0/value", "InitConfiguration", "nodeRegistration/taints/0/value", LABELS),
    text(
        "hosts/5/taints/0/effect",
        "InitConfiguration",
        "nodeRegistration/taints/0/effect",
        &["NoSchedule", "NoExecute", "noschedule", "x", ""],
    ),
    text(
        "kubernetes/apiServer/extraVolumes/0/name",
        "ClusterConfiguration",
        "apiServer/extraVolumes/0/name",
        LABELS,
    ),
    text(
        "kubernetes/apiServer/extraVolumes/0/hostPath",
        "ClusterConfiguration",
        "apiServer/extraVolumes/0/hostPath",
        PATHS,
    ),
    text(
        "kubernetes/apiServer/extraVolumes/0/pathType",
        "ClusterConfiguration",
        "apiServer/extraVolumes/0/pathType",
        &["File", "FileOrCreate", "Directory", "Socket", "file", "Pipe"],
    ),
    text(
        "kubernetes/kubeProxy/config/metricsBindAddress",
        "KubeProxyConfiguration",
        "metricsBindAddress",
        &["0.0.0.0:10249", "[::]:10249", "127.0.0.1", ":10249", "x:1", "0.0.0.0:0", "0.0.0.0:65536"],
    ),
    text(
        "kubernetes/kubeProxy/config/iptables/minSyncPeriod",
        "KubeProxyConfiguration",
        "iptables/minSyncPeriod",
        DURATIONS,
    ),
    Field {
        key: "kubernetes/kubelet/maxPods",
        kind: "KubeletConfiguration",
        field: "maxPods",
        how: How::Number,
        around: "{}",
        values: &["110", "0", "-1", "250", "2000", "1.5"],
        since: 28,
    },
    Field {
        key: "kubernetes/kubelet/imageGCHighThresholdPercent",
        kind: "KubeletConfiguration",
        field: "imageGCHighThresholdPercent",
        how: How::Number,
        around: "{}",
        values: &["85", "100", "101", "0", "-1", "79"],
        since: 28,
    },
    Field {
        key: "kubernetes/kubelet",
        kind: "KubeletConfiguration",
        field: "",
        how: How::KeyOf("5"),
        around: "{}",
        values: &["maxPods", "podsPerCore", "maxpods", "maxPod", "eventBurst", "kubeAPIBurst"],
        since: 28,
    },
];
