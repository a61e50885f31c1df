//! Keys of `kubernetes`.

use super::{Format, HOUR, Key, Kind, PORT, SECOND, YEAR, key};

const ARGUMENTS: Kind = Kind::Each { key: Format::ArgumentName, value: &Kind::OneOrList(Format::Argument) };

/// Zero means for ever.
const TTL: Format = Format::Duration { min: 0, max: YEAR, step: SECOND };
const TIMEOUT: Format = Format::Duration { min: SECOND, max: 24 * HOUR, step: SECOND };

const EXTRA_ARGS: Key = key(
    "extraArgs",
    ARGUMENTS,
    "Flags without their dashes. A list repeats a flag, which kubeadm takes from 1.31 on.",
)
.example("{audit-log-maxage: \"30\"}");
const EXTRA_VOLUMES: Key = key(
    "extraVolumes",
    Kind::List(&Kind::Map(&[
        key("name", Kind::Leaf(Format::Label), "The volume's name in the pod.")
            .required()
            .example("audit-log"),
        key("hostPath", Kind::Leaf(Format::Path), "Where it lies on the host.")
            .required()
            .example("/var/log/kubernetes"),
        key("mountPath", Kind::Leaf(Format::Path), "Where the pod sees it.")
            .required()
            .example("/var/log/kubernetes"),
        key("readOnly", Kind::Leaf(Format::Bool), "Whether the pod may only read it.").default("false"),
        key(
            "pathType",
            Kind::Leaf(Format::Choice {
                options: &[
                    "DirectoryOrCreate",
                    "Directory",
                    "FileOrCreate",
                    "File",
                    "Socket",
                    "CharDevice",
                    "BlockDevice",
                ],
                coming: &[],
            }),
            "What must lie at `hostPath`, and whether it is made.",
        )
        .example("DirectoryOrCreate"),
    ])),
    "Files and folders of the host that the pod sees.",
);
const EXTRA_ENVS: Key = key(
    "extraEnvs",
    Kind::List(&Kind::Map(&[
        key("name", Kind::Leaf(Format::Text), "The variable's name.").required().example("TZ"),
        key("value", Kind::Leaf(Format::Argument), "Its value.").example("UTC"),
        key("valueFrom", Kind::Foreign("EnvVarSource"), "Where its value comes from, as in a pod."),
    ])),
    "Environment variables of the pod (from 1.31 on).",
);

pub(super) static KEYS: &[Key] = &[
    key(
        "version",
        Kind::Leaf(Format::Version),
        "The exact version. khagen knows minors, never patch levels.",
    )
    .required()
    .example("1.36.5"),
    key(
        "controlPlaneEndpoint",
        Kind::Leaf(Format::Endpoint),
        "What every client and node connects to: a name or address, and a port.",
    )
    .required()
    .example("k8sapi.isociel.com:6443"),
    key(
        "networking",
        Kind::Map(&[
            key("dnsDomain", Kind::Leaf(Format::DnsName), "The domain of services and pods.")
                .default("cluster.local"),
            key(
                "podSubnet",
                Kind::Leaf(Format::Subnets),
                "The pods' network, or \"v4,v6\"; the first decides the cluster's primary family.",
            )
            .required()
            .example("100.64.0.0/10"),
            key("serviceSubnet", Kind::Leaf(Format::Subnets), "The services' network, or \"v4,v6\".")
                .default("10.96.0.0/12"),
            key(
                "externalSubnet",
                Kind::OneOrList(Format::Network),
                "Networks that load balancers of the user's announce; only checked for overlap.",
            )
            .example("198.19.0.0/16"),
        ]),
        "The cluster's networks. They cannot change once it runs.",
    )
    .required(),
    key(
        "kubeProxy",
        Kind::Map(&[
            key(
                "mode",
                Kind::Leaf(Format::Choice {
                    options: &["nftables", "iptables", "ipvs", "none"],
                    coming: &[],
                }),
                "How kube-proxy routes services, or `none` where the network plugin does.",
            )
            .derived("nftables from 1.33 on, iptables before")
            .example("nftables"),
            key(
                "config",
                Kind::Foreign("KubeProxyConfiguration"),
                "Further fields of KubeProxyConfiguration.",
            ),
        ]),
        "kube-proxy.",
    ),
    key(
        "apiServer",
        Kind::Map(&[
            key(
                "certSANs",
                Kind::List(&Kind::Leaf(Format::San)),
                "Names and addresses in every API server's certificate, beside the endpoint, VIPs and balancers.",
            )
            .example("[api.example.com]"),
            key("bindPort", Kind::Leaf(PORT), "Where each API server listens.").default("6443"),
            EXTRA_ARGS,
            EXTRA_VOLUMES,
            EXTRA_ENVS,
        ]),
        "kube-apiserver on every control plane.",
    ),
    key(
        "controllerManager",
        Kind::Map(&[EXTRA_ARGS, EXTRA_VOLUMES, EXTRA_ENVS]),
        "kube-controller-manager on every control plane.",
    ),
    key(
        "scheduler",
        Kind::Map(&[EXTRA_ARGS, EXTRA_VOLUMES, EXTRA_ENVS]),
        "kube-scheduler on every control plane.",
    ),
    key(
        "kubelet",
        Kind::Foreign("KubeletConfiguration"),
        "Fields of KubeletConfiguration for every node. A host's `kubelet` overrides them there.",
    ),
    key(
        "pki",
        Kind::Leaf(Format::Choice { options: &["pregenerated", "external-ca", "kubeadm"], coming: &[] }),
        "Who has the CAs' keys, and who signs. pregenerated: every control plane has them, khagen signs what control planes start with. external-ca: the store alone; no bundle holds one or a bootstrap token, khagen issues the kubelets' credentials too, and nothing in the cluster renews them. kubeadm: the first control plane's bundle alone, the others fetch them when they join (upload-certs), and kubeadm signs on each control plane.",
    )
    .default("pregenerated"),
    key(
        "bootstrapToken",
        Kind::Map(&[key(
            "ttl",
            Kind::Leaf(TTL),
            "How long nodes can join, counted from `kubeadm init`; 0s is for ever.",
        )
        .default("24h")]),
        "The token that nodes join with.",
    ),
    key(
        "imageRepository",
        Kind::Leaf(Format::ImageRepository),
        "Where kubeadm's images come from, if not from registry.k8s.io.",
    )
    .example("registry.example.com/k8s"),
    key(
        "dns",
        Kind::Map(&[
            key("imageRepository", Kind::Leaf(Format::ImageRepository), "Where CoreDNS's image comes from.")
                .derived("`kubernetes.imageRepository`")
                .example("registry.example.com/coredns"),
            key("imageTag", Kind::Leaf(Format::ImageTag), "Which CoreDNS.")
                .derived("that of the Kubernetes version")
                .example("v1.14.2"),
            key("disabled", Kind::Leaf(Format::Bool), "Whether the cluster's DNS is somebody else's (from 1.31 on).")
                .default("false"),
        ]),
        "The cluster's DNS, CoreDNS.",
    ),
    key(
        "skipPhases",
        Kind::Map(&[
            key("init", Kind::List(&Kind::Leaf(Format::Text)), "Of `kubeadm init`.").example("[addon/coredns]"),
            key("join", Kind::List(&Kind::Leaf(Format::Text)), "Of `kubeadm join`.").example("[preflight]"),
        ]),
        "Phases that kubeadm leaves out.",
    ),
    key(
        "featureGates",
        Kind::Each { key: Format::CamelName, value: &Kind::Leaf(Format::Bool) },
        "kubeadm's own feature gates.",
    )
    .example("{NodeLocalCRISocket: true}"),
    key(
        "timeouts",
        Kind::Each { key: Format::CamelName, value: &Kind::Leaf(TIMEOUT) },
        "kubeadm's timeouts: controlPlaneComponentHealthCheck, kubeletHealthCheck, kubernetesAPICall, etcdAPICall, tlsBootstrap, discovery, upgradeManifests.",
    )
    .example("{discovery: 15m}"),
    key(
        "containerd",
        Kind::Leaf(Format::Choice { options: &["1.7", "2"], coming: &[] }),
        "Which containerd the nodes run: 1.7 and 2.x read different configurations.",
    )
    .default("2"),
];
