//! Keys of a host; `defaults`, `roles` and `groups` hold the same, but for what is a host's own.

use super::{Format, Key, Kind, PORT, key};

const TEXT: Kind = Kind::Leaf(Format::Text);

const FILE: Kind = Kind::Map(&[
    key("path", Kind::Leaf(Format::Path), "Where the file goes on the host.")
        .required()
        .example("/etc/kubernetes/audit.yaml"),
    key(
        "source",
        Kind::Leaf(Format::Source),
        "The file below the inventory's `files/` (UTF-8, 1 MiB at most, no secret), or `{secret: NAME}`: a secret of the store.",
    )
    .required()
    .example("audit.yaml"),
    key("mode", Kind::Leaf(Format::Mode), "Permission bits in octal; of a secret 0600.").default("0644"),
    key("owner", Kind::Leaf(Format::UserName), "The user that owns it.").default("root"),
    key("group", Kind::Leaf(Format::UserName), "The group that owns it.").default("root"),
    key(
        "effect",
        Kind::Leaf(Format::Effect),
        "What a change of it asks for: `restart UNIT`, `reload UNIT` or `none`.",
    )
    .default("none"),
]);

const PATCH: Kind = Kind::Map(&[
    key(
        "target",
        Kind::Leaf(Format::Choice {
            options: &[
                "kube-apiserver",
                "kube-controller-manager",
                "kube-scheduler",
                "kubeletconfiguration",
                "corednsdeployment",
            ],
            coming: &[],
        }),
        "What is patched.",
    )
    .required()
    .example("kube-apiserver"),
    key(
        "type",
        Kind::Leaf(Format::Choice { options: &["strategic", "merge", "json"], coming: &[] }),
        "How: a strategic merge patch, a merge patch (RFC 7386) or a JSON patch (RFC 6902).",
    )
    .default("strategic"),
    key("source", Kind::Leaf(Format::Source), "The patch below the inventory's `patches/`: YAML or JSON.")
        .required()
        .example("apiserver-resources.yaml"),
]);

const TAINT: Kind = Kind::LeafOrMap(
    Format::Taint,
    &[
        key("key", Kind::Leaf(Format::LabelKey), "The taint's key.").required().example("dedicated"),
        key("value", Kind::Leaf(Format::LabelValue), "The taint's value.").example("gpu"),
        key(
            "effect",
            Kind::Leaf(Format::Choice {
                options: &["NoSchedule", "PreferNoSchedule", "NoExecute"],
                coming: &[],
            }),
            "What it does to pods that do not tolerate it.",
        )
        .required()
        .example("NoSchedule"),
    ],
);

/// The keys of a host.
pub static HOST: &[Key] = &[
    key("name", Kind::Leaf(Format::Label), "The short name, also etcd's member name.")
        .required()
        .own()
        .example("k8smaster1"),
    key(
        "address",
        Kind::OneOrList(Format::Address),
        "The host's address, or one of each family, the primary one first.",
    )
    .derived("`addresses.cluster`")
    .own()
    .example("192.168.13.61"),
    key(
        "addresses",
        Kind::Map(&[
            key("cluster", Kind::OneOrList(Format::Address), "Another way to write `address`.")
                .example("192.168.13.61"),
            key("ssh", Kind::Leaf(Format::HostOrAddress), "Where the bastion reaches the host.")
                .derived("the host's first address")
                .example("10.0.0.61"),
            key("etcdPeer", Kind::Leaf(Format::Address), "Where other etcd members reach this one.")
                .derived("the host's first address")
                .example("10.1.0.35"),
        ]),
        "Addresses by use.",
    )
    .own(),
    key(
        "roles",
        Kind::List(&Kind::Leaf(Format::Choice {
            options: &["etcd", "load-balancer", "control-plane", "worker"],
            coming: &[],
        })),
        "What the host is for.",
    )
    .required()
    .own()
    .example("[control-plane]"),
    key("group", Kind::Leaf(Format::Label), "Which of `groups` gives it settings.").own().example("gpu"),
    key("zone", Kind::Leaf(Format::LabelValue), "What fails together with it: a rack, a room.")
        .example("rack-a"),
    key("domain", Kind::Leaf(Format::DnsName), "Its domain, if not the cluster's.")
        .derived("`cluster.domain`")
        .example("lab.isociel.com"),
    key("nodeName", Kind::Leaf(Format::DnsName), "Its name as a Kubernetes node.")
        .derived("by `cluster.nodeName`")
        .own()
        .example("master1.isociel.com"),
    key(
        "state",
        Kind::Leaf(Format::Choice { options: &["active", "retired"], coming: &[] }),
        "Whether the host belongs to the cluster or leaves it; one that leaves keeps a bundle that takes it down.",
    )
    .own()
    .default("active"),
    key("os", TEXT, "Its operating system, as a note to the reader: nothing that is built depends on it.")
        .example("debian-13"),
    key(
        "arch",
        Kind::Leaf(Format::Choice { options: &["amd64", "arm64"], coming: &[] }),
        "Its architecture. What `artifacts` gives the host must be for it; without artifacts it is a note to the reader.",
    )
    .example("amd64"),
    key("interface", Kind::Leaf(Format::Interface), "The interface that has its address.").example("ens33"),
    key(
        "ssh",
        Kind::Map(&[
            key("user", Kind::Leaf(Format::UserName), "Who logs in; must be root or able to use sudo.")
                .default("root"),
            key("port", Kind::Leaf(PORT), "Where sshd listens.").default("22"),
            key("address", Kind::Leaf(Format::HostOrAddress), "Another way to write `addresses.ssh`.")
                .derived("the host's first address")
                .own()
                .example("10.0.0.61"),
        ]),
        "How the bastion reaches the host.",
    ),
    key(
        "labels",
        Kind::Each { key: Format::LabelKey, value: &Kind::Leaf(Format::LabelValue) },
        "Labels of the node, which the operator's script sets.",
    )
    .example("{disk: ssd}"),
    key("taints", Kind::List(&TAINT), "Taints of the node when it joins; [] is none.")
        .derived("kubeadm's: control planes that are no workers are tainted")
        .example("[\"dedicated=gpu:NoSchedule\"]"),
    key(
        "kubelet",
        Kind::Foreign("KubeletConfiguration"),
        "Fields of KubeletConfiguration for this node only, applied as a kubeadm patch.",
    ),
    key(
        "kubeletExtraArgs",
        Kind::Each { key: Format::ArgumentName, value: &Kind::OneOrList(Format::Argument) },
        "Flags of the kubelet, without their dashes.",
    )
    .example("{v: \"4\"}"),
    key(
        "ignorePreflightErrors",
        Kind::List(&Kind::Leaf(Format::PreflightCheck)),
        "Checks of kubeadm's that may fail here.",
    )
    .example("[NumCPU]"),
    key(
        "sysctls",
        Kind::Each { key: Format::SysctlName, value: &Kind::Leaf(Format::Argument) },
        "Kernel settings, beside those that Kubernetes needs.",
    )
    .example("{vm.swappiness: \"10\"}"),
    key("files", Kind::List(&FILE), "Files of the user's that go to the host as they are."),
    key(
        "imagePullPolicy",
        Kind::Leaf(Format::Choice { options: &["IfNotPresent", "Always", "Never"], coming: &[] }),
        "Whether kubeadm's preflight pulls the control plane's images.",
    )
    .default("IfNotPresent"),
    key(
        "imagePullSerial",
        Kind::Leaf(Format::Bool),
        "Whether kubeadm pulls images one after the other (from 1.31 on).",
    )
    .derived("kubeadm's: true")
    .example("false"),
    key(
        "patches",
        Kind::List(&PATCH),
        "kubeadm patches of the user's: what kubeadm generates on the host is changed by them.",
    ),
];
