//! kubeadm's documents, and what they become of the control plane and the kubelets. Rules of the table of effects.

use super::{REJOIN, Rule, Scope, rule};
use crate::diff::change::Class;

/// What the phases read that reconfigure.sh runs.
const CLUSTER_CONFIG: &[&str] = &["/etc/kubernetes/kubeadm-cluster.yaml"];
const NODE_CONFIG: &[&str] = &["/etc/kubernetes/kubeadm.yaml", "/etc/kubernetes/kubeadm-node.yaml"];

pub(super) const RULES: &[Rule] = &[
    rule(
        "kubeadm-document",
        NODE_CONFIG,
        &["+InitConfiguration", "-InitConfiguration", "+JoinConfiguration", "-JoinConfiguration"],
        Class::Inert,
        "read once, by kubeadm init or join; a node that is in the cluster never looks at it again",
        "kubeadm, v1beta4 InitConfiguration and JoinConfiguration",
    ),
    rule(
        "kubeadm-founding",
        CLUSTER_CONFIG,
        &[
            "ClusterConfiguration.networking.*",
            "ClusterConfiguration.clusterName",
            "ClusterConfiguration.controlPlaneEndpoint",
            "ClusterConfiguration.certificatesDir",
        ],
        Class::Recreate,
        "pods, services, certificates and kubeconfigs of the running cluster are made of it; a cluster with another value is a new cluster",
        "kubeadm, cmd/kubeadm/app/cmd/upgrade: not among what an upgrade changes",
    ),
    rule(
        "kubeadm-version",
        CLUSTER_CONFIG,
        &["ClusterConfiguration.kubernetesVersion"],
        Class::Reconfigure,
        "control planes are upgraded one at a time, then the other nodes; kubeadm of the new version must be there first",
        "kubernetes.io, Upgrading kubeadm clusters",
    )
    .by("upgrade", Scope::Nodes),
    rule(
        "kubeadm-signing",
        CLUSTER_CONFIG,
        &[
            "ClusterConfiguration.encryptionAlgorithm",
            "ClusterConfiguration.certificateValidityPeriod",
            "ClusterConfiguration.caCertificateValidityPeriod",
            "ClusterConfiguration.apiServer.certSANs*",
        ],
        Class::Reconfigure,
        "used when kubeadm signs next; khagen's own certificates are told apart from this",
        "kubeadm, v1beta4 ClusterConfiguration",
    )
    .by("upload-config", Scope::Once),
    rule(
        "kubeadm-dns",
        CLUSTER_CONFIG,
        &["ClusterConfiguration.dns*"],
        Class::Reconfigure,
        "CoreDNS is an object of the cluster; its addon is applied again",
        "kubeadm init phase addon coredns",
    )
    .by("coredns", Scope::Once),
    rule(
        "kubeadm-proxy-off",
        CLUSTER_CONFIG,
        &["ClusterConfiguration.proxy*"],
        Class::Reconfigure,
        "kube-proxy is an object of the cluster; its addon is applied again, or removed by hand",
        "kubeadm init phase addon kube-proxy",
    )
    .by("kube-proxy", Scope::Once),
    rule(
        "kubeadm-control-plane",
        CLUSTER_CONFIG,
        &["ClusterConfiguration", "ClusterConfiguration.*"],
        Class::Reconfigure,
        "the configuration is uploaded, then each control plane writes its static pods' manifests anew, one host at a time",
        "kubernetes.io, Reconfiguring a kubeadm cluster",
    )
    .by("control-plane", Scope::ControlPlanes),
    rule(
        "kubelet-configuration",
        CLUSTER_CONFIG,
        &["KubeletConfiguration", "KubeletConfiguration.*"],
        Class::Reconfigure,
        "the kubelet's configuration is an object of the cluster; each node fetches it and restarts its kubelet, pods stay",
        "kubeadm upgrade node phase kubelet-config",
    )
    .by("kubelet-config", Scope::Nodes),
    rule(
        "kube-proxy-configuration",
        CLUSTER_CONFIG,
        &["KubeProxyConfiguration", "KubeProxyConfiguration.*"],
        Class::Reconfigure,
        "kube-proxy's configuration is an object of the cluster; its pods are restarted",
        "kubeadm init phase addon kube-proxy",
    )
    .by("kube-proxy", Scope::Once),
    rule(
        "node-identity",
        NODE_CONFIG,
        &[
            "*.nodeRegistration.name",
            "*.nodeRegistration.criSocket",
            "*.localAPIEndpoint*",
            "*.nodeRegistration.kubeletExtraArgs[node-ip]*",
        ],
        Class::Recreate,
        "a node keeps the name, the runtime and the addresses it joined with; it leaves and joins anew",
        "kubeadm, v1beta4 NodeRegistrationOptions",
    )
    .by(REJOIN, Scope::Host),
    rule(
        "node-taints",
        NODE_CONFIG,
        &["*.nodeRegistration.taints*"],
        Class::Reconfigure,
        "the kubelet registers a node once; on a node that is there taints are changed by kubectl",
        "kubelet, --register-with-taints",
    )
    .by("label-workers.sh", Scope::Bastion),
    rule(
        "node-flags",
        NODE_CONFIG,
        &["*.nodeRegistration.kubeletExtraArgs*"],
        Class::Recreate,
        "kubeadm wrote the flags into /var/lib/kubelet/kubeadm-flags.env when the node joined, and nothing of kubeadm's writes them again; it leaves and joins anew",
        "kubeadm, cmd/kubeadm/app/phases/kubelet/flags.go",
    )
    .by(REJOIN, Scope::Host),
    rule(
        "kubeadm-joining",
        NODE_CONFIG,
        &[],
        Class::Inert,
        "read once, by kubeadm init or join; a node that is in the cluster never looks at it again",
        "kubeadm, v1beta4 InitConfiguration and JoinConfiguration",
    ),
    rule(
        "kubelet-patch",
        &["/etc/kubernetes/patches/kubeletconfiguration*"],
        &[],
        Class::Reconfigure,
        "kubeadm applies the patch when it writes the kubelet's configuration; the kubelet restarts, pods stay",
        "kubeadm upgrade node phase kubelet-config, --patches",
    )
    .by("kubelet-config", Scope::Host),
    rule(
        "static-pod-patch",
        &["/etc/kubernetes/patches/*"],
        &[],
        Class::Reconfigure,
        "kubeadm applies the patch when it writes the static pods' manifests",
        "kubeadm init phase control-plane, --patches",
    )
    .by("control-plane", Scope::Host),
];
