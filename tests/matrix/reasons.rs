//! Why khagen and kubeadm differ where they do: the whole list. docs/versions.md has it for the reader.
//!
//! What only khagen refuses is a rule of its own; what only kubeadm refuses is listed too, or khagen has a hole.

/// Who refuses alone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// khagen.
    Khagen,
    /// kubeadm.
    Kubeadm,
}

/// A difference.
pub struct Reason {
    /// Who refuses.
    pub who: Who,
    /// khagen's code; empty where it has none.
    pub code: &'static str,
    /// How the keys begin, indices left out, that it is about.
    pub keys: &'static [&'static str],
    /// Whether it is about this value.
    pub values: fn(&str) -> bool,
    /// Why.
    pub why: &'static str,
}

impl Reason {
    /// Whether this is the reason for a mistake.
    pub fn explains(&self, who: Who, code: &str, key: &str, value: &str) -> bool {
        self.who == who && self.code == code && self.keys.contains(&&*plain(key)) && (self.values)(value)
    }
}

/// A key without its indices: `hosts/address`.
pub fn plain(key: &str) -> String {
    let steps: Vec<&str> = key.split('/').filter(|step| step.parse::<usize>().is_err()).collect();
    steps.join("/")
}

const fn khagen(code: &'static str, keys: &'static [&'static str], why: &'static str) -> Reason {
    Reason { who: Who::Khagen, code, keys, values: |_| true, why }
}

const fn kubeadm(keys: &'static [&'static str], values: fn(&str) -> bool, why: &'static str) -> Reason {
    Reason { who: Who::Kubeadm, code: "", keys, values, why }
}

fn any(_: &str) -> bool {
    true
}

const ARGS: &[&str] = &[
    "kubernetes/apiServer/extraArgs",
    "kubernetes/controllerManager/extraArgs",
    "kubernetes/scheduler/extraArgs",
];
const SUBNETS: &[&str] = &["kubernetes/networking/podSubnet", "kubernetes/networking/serviceSubnet"];
const TIMES: &[&str] = &[
    "kubernetes/bootstrapToken/ttl",
    "kubernetes/timeouts/controlPlaneComponentHealthCheck",
    "kubernetes/timeouts/discovery",
    "kubernetes/timeouts/etcdAPICall",
    "kubernetes/timeouts/kubeletHealthCheck",
    "kubernetes/timeouts/kubernetesAPICall",
    "kubernetes/timeouts/tlsBootstrap",
    "kubernetes/timeouts/upgradeManifests",
    "pki/caValidity",
    "pki/validity",
];

/// The list.
pub const REASONS: &[Reason] = &[
    khagen(
        "KH0108",
        &[
            "hosts/imagePullPolicy",
            "hosts/taints/effect",
            "kubernetes/apiServer/extraVolumes/pathType",
            "kubernetes/kubeProxy/mode",
        ],
        "kubeadm hands words on (effects of taints, types of volumes, an empty mode), and the API server or the kubelet refuses them later",
    ),
    khagen("KH0109", &["kubernetes/apiServer/bindPort"], "kubeadm takes port 0 for its default"),
    khagen(
        "KH0110",
        &["hosts/taints/key", "hosts/taints/value", "kubernetes/apiServer/extraVolumes/name"],
        "64 digits, or what looks like a token, are taken for a secret, which may not stand in an inventory",
    ),
    khagen(
        "KH0114",
        &["kubernetes/apiServer/certSANs", "hosts/ignorePreflightErrors"],
        "the same name twice in one list",
    ),
    khagen(
        "KH0201",
        &["kubernetes/apiServer/extraVolumes/name"],
        "kubeadm does not look at a volume's name; the API server refuses the mirror pod",
    ),
    khagen(
        "KH0202",
        &["hosts/nodeName", "kubernetes/apiServer/certSANs", "kubernetes/networking/dnsDomain"],
        "an empty name is kubeadm's default, and kubeadm lowers the case of a node name that the kubelet then has otherwise",
    ),
    khagen(
        "KH0203",
        &[
            "hosts/address",
            "kubernetes/apiServer/certSANs",
            "kubernetes/networking/podSubnet",
            "kubernetes/networking/serviceSubnet",
        ],
        "kubeadm takes leading zeros (and etcd's endpoints unseen), the API server of 1.36 does not",
    ),
    khagen("KH0204", SUBNETS, "an empty network is one that kubeadm does not set"),
    khagen("KH0205", SUBNETS, "kubeadm takes a network with host bits, the API server of 1.36 does not"),
    khagen(
        "KH0206",
        &["kubernetes/controlPlaneEndpoint"],
        "an empty value, or a name of digits that resolvers take for an address; kubeadm does not look at a joining node's endpoint",
    ),
    khagen(
        "KH0209",
        TIMES,
        "negative and fractional times: khagen takes whole seconds, and whole days for certificates",
    ),
    khagen(
        "KH0211",
        &["kubernetes/apiServer/extraVolumes/hostPath", "kubernetes/apiServer/extraVolumes/mountPath"],
        "kubeadm writes any text as a path into the manifest; the kubelet refuses the pod",
    ),
    khagen(
        "KH0214",
        &["hosts/taints/key", "hosts/taints/value"],
        "kubeadm hands taints to the kubelet unseen",
    ),
    khagen(
        "KH0215",
        &["hosts/address"],
        "a host of two families gives one address of each; kubeadm sees one of them",
    ),
    khagen(
        "KH0218",
        &[
            "hosts/ignorePreflightErrors",
            "hosts/kubeletExtraArgs",
            "kubernetes/apiServer/extraEnvs/name",
            "kubernetes/apiServer/extraArgs",
            "kubernetes/controllerManager/extraArgs",
            "kubernetes/scheduler/extraArgs",
            "kubernetes/dns/imageRepository",
            "kubernetes/dns/imageTag",
            "kubernetes/imageRepository",
        ],
        "kubeadm does not look into names of images, checks, flags and variables; the container runtime or the component refuses them",
    ),
    khagen("KH0223", &["hosts/address"], "two hosts of one address: kubeadm sees one host"),
    khagen("KH0300", SUBNETS, "families that do not go together: kubeadm sees one document, not the hosts"),
    khagen(
        "KH0301",
        &["hosts/address"],
        "families that do not go together: kubeadm sees one document, not the hosts",
    ),
    khagen(
        "KH0302",
        &["hosts/address", "kubernetes/controlPlaneEndpoint"],
        "families that do not go together: kubeadm sees one document, not the hosts",
    ),
    khagen("KH0303", SUBNETS, "kubeadm does not compare networks"),
    khagen(
        "KH0304",
        &["hosts/address", "kubernetes/networking/podSubnet", "kubernetes/networking/serviceSubnet"],
        "kubeadm does not compare networks",
    ),
    khagen("KH0309", &["hosts/address"], "an address that no host can have"),
    khagen("KH0314", SUBNETS, "kubeadm counts neither hosts nor pods"),
    khagen(
        "KH0315",
        &["kubernetes/kubelet", "kubernetes/kubelet/maxPods"],
        "kubeadm counts neither hosts nor pods",
    ),
    khagen("KH0410", &["kubernetes/apiServer/bindPort"], "kubeadm does not know what else listens"),
    khagen("KH0412", &["kubernetes/controlPlaneEndpoint"], "kubeadm does not know who serves the endpoint"),
    khagen("KH0413", &["kubernetes/controlPlaneEndpoint"], "kubeadm does not know who serves the endpoint"),
    khagen("KH0512", ARGS, "one host's flag, which kubeadm gives to every control plane"),
    khagen(
        "KH0522",
        &["hosts/ignorePreflightErrors"],
        "refused by kubeadm's command, which the judge does not run: `all` beside others",
    ),
    khagen(
        "KH0526",
        &["hosts/kubeletExtraArgs"],
        "kubeadm hands the kubelet's flags on; these would undo what it is set up with",
    ),
    khagen(
        "KH0533",
        &["kubernetes/controllerManager/extraEnvs/valueFrom"],
        "the kubelet refuses a static pod with such a variable",
    ),
    khagen("KH0600", &["pki/caValidity"], "kubeadm does not compare how long certificates last"),
    khagen("KH0601", &["pki/validity"], "kubeadm does not compare how long certificates last"),
    khagen("KH0605", &["pki/algorithm"], "an empty algorithm is kubeadm's default"),
    kubeadm(
        TIMES,
        |value| value.ends_with(['d', 'w', 'y']),
        "khagen knows days, weeks and years and writes hours",
    ),
    kubeadm(
        &["pki/algorithm"],
        |value| value.chars().any(|c| c.is_ascii_lowercase()),
        "khagen does not mind the case, and writes it as kubeadm does",
    ),
    kubeadm(
        &["pki/algorithm"],
        |value| value == "ECDSA-P384",
        "below 1.34 kubeadm makes no P-384 keys; khagen's are there, and it tells kubeadm of another",
    ),
    kubeadm(
        &["kubernetes/controlPlaneEndpoint"],
        |value| !value.contains(':'),
        "khagen adds the port that is left out",
    ),
    kubeadm(SUBNETS, |value| value.contains(' '), "khagen takes a blank beside the comma, and writes none"),
    kubeadm(
        &[
            "kubernetes/kubeProxy/config/metricsBindAddress",
            "kubernetes/kubeProxy/config/iptables/minSyncPeriod",
        ],
        any,
        "values within kube-proxy's own fields are kube-proxy's to judge",
    ),
    kubeadm(
        &["kubernetes/kubelet/maxPods", "kubernetes/kubelet/imageGCHighThresholdPercent"],
        any,
        "the range of a kubelet's number is the kubelet's to judge",
    ),
];
