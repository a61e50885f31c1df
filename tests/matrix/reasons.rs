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
        self.who == who
            && self.code == code
            && (self.keys.is_empty() || self.keys.contains(&&*plain(key)))
            && (self.values)(value)
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

/// The list.
pub const REASONS: &[Reason] = &[
    khagen(
        "KH0108",
        &[],
        "kubeadm hands words on (effects of taints, types of volumes, an empty mode), and the API server or the kubelet refuses them later",
    ),
    khagen("KH0109", &[], "kubeadm takes port 0 for its default"),
    khagen("KH0114", &[], "the same name twice in one list"),
    khagen("KH0201", &[], "kubeadm does not look at a volume's name; the API server refuses the mirror pod"),
    khagen(
        "KH0202",
        &[],
        "an empty name is kubeadm's default, and kubeadm lowers the case of a node name that the kubelet then has otherwise",
    ),
    khagen(
        "KH0203",
        &[],
        "kubeadm takes leading zeros (and etcd's endpoints unseen), the API server of 1.36 does not",
    ),
    khagen("KH0204", &[], "an empty value, or a name of digits that resolvers take for an address"),
    khagen("KH0206", &[], "an empty value, or a name of digits that resolvers take for an address"),
    khagen("KH0205", &[], "kubeadm takes a network with host bits, the API server of 1.36 does not"),
    khagen("KH0209", &[], "negative and fractional times: khagen takes whole seconds"),
    khagen("KH0211", &[], "kubeadm writes any text as a path into the manifest; the kubelet refuses the pod"),
    khagen("KH0214", &[], "kubeadm hands taints to the kubelet unseen"),
    khagen("KH0218", &[], "kubeadm does not look into images' names and into names of checks"),
    khagen("KH0223", &[], "two hosts of one address"),
    khagen("KH0300", &[], "families that do not go together: kubeadm sees one document, not the hosts"),
    khagen("KH0301", &[], "families that do not go together: kubeadm sees one document, not the hosts"),
    khagen("KH0302", &[], "families that do not go together: kubeadm sees one document, not the hosts"),
    khagen("KH0303", &[], "kubeadm does not compare networks"),
    khagen("KH0304", &[], "kubeadm does not compare networks"),
    khagen("KH0305", &[], "kubeadm does not compare networks"),
    khagen("KH0309", &[], "an address that no host can have"),
    khagen("KH0312", &[], "a mask for the nodes that another component refuses"),
    khagen("KH0314", &[], "kubeadm counts neither hosts nor pods"),
    khagen("KH0315", &[], "kubeadm counts neither hosts nor pods"),
    khagen("KH0410", &[], "kubeadm does not know what else listens, and who serves the endpoint"),
    khagen("KH0412", &[], "kubeadm does not know what else listens, and who serves the endpoint"),
    khagen("KH0413", &[], "kubeadm does not know what else listens, and who serves the endpoint"),
    khagen("KH0522", &[], "refused by kubeadm's command, which the judge does not run: `all` beside others"),
    kubeadm(
        &["kubernetes/bootstrapToken/ttl", "kubernetes/timeouts/discovery"],
        |value| value.ends_with(['d', 'w', 'y']),
        "khagen knows days, weeks and years and writes hours",
    ),
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
