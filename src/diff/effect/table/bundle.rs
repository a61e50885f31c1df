//! The manifest, and what lies in the bundle beside the files of the host. Rules of the table of effects.

use super::{REJOIN, Rule, Scope, rule};
use crate::diff::change::Class;

pub(super) const RULES: &[Rule] = &[
    rule(
        "other-cluster",
        &["MANIFEST.json"],
        &["clusterId", "cluster"],
        Class::Recreate,
        "a host refuses a bundle of another cluster",
        "install.sh",
    ),
    rule(
        "host-identity",
        &["MANIFEST.json"],
        &["addresses", "name", "nodeName"],
        Class::Recreate,
        "certificates, members and nodes are known by it; a node leaves and joins anew, any other host is retired and a new one added",
        "install.sh",
    )
    .by(REJOIN, Scope::Host),
    rule(
        "etcd-state",
        &["MANIFEST.json"],
        &["etcdState", "kubeadm", "clusterState", "etcdEndpoints", "endpoint"],
        Class::Inert,
        "read by up.sh when the host comes up for the first time",
        "up.sh",
    ),
    rule(
        "node-version",
        &["MANIFEST.json"],
        &["kubernetesVersion"],
        Class::Reconfigure,
        "the node's kubeadm and kubelet go to the new version, after the control planes; kubeadm of that version must be there first",
        "kubernetes.io, Upgrading kubeadm clusters",
    )
    .by("upgrade", Scope::Nodes),
    rule(
        "carried-programs",
        &["MANIFEST.json"],
        &["binaries*from", "binaries*file", "binaries*size"],
        Class::None,
        "where it comes from; what it is, its digest says",
        "install.sh",
    ),
    rule(
        "carried-package-gone",
        &["MANIFEST.json"],
        &["-debs*"],
        Class::None,
        "what is installed stays: no script takes packages away",
        "install.sh",
    ),
    rule(
        "carried-kubelet",
        &["MANIFEST.json"],
        &["debs[kubelet].version", "+debs[kubelet]"],
        Class::None,
        "install.sh installs it from packages/; a running kubelet stays the former program until reconfigure.sh upgrade",
        "install.sh",
    ),
    rule(
        "carried-package",
        &["MANIFEST.json"],
        &["debs*version", "+debs*"],
        Class::Restart,
        "install.sh installs it from packages/ and restarts the units that it brings, if they run",
        "install.sh",
    ),
    rule(
        "packages",
        &["MANIFEST.json"],
        &["packages*", "commands*", "debs*"],
        Class::None,
        "install.sh asks for what it lacks before it touches anything",
        "install.sh",
    ),
    rule(
        "manifest",
        &["MANIFEST.json"],
        &[],
        Class::None,
        "install.sh does as the manifest says",
        "install.sh",
    ),
    rule(
        "labels",
        &["hosts.tsv"],
        &["*labels", "*taints"],
        Class::Reconfigure,
        "a node's labels and taints are the cluster's; they are set from the bastion",
        "kubectl label, kubectl taint",
    )
    .by("label-workers.sh", Scope::Bastion),
    rule(
        "operator-endpoints",
        &["etcd/endpoints", "retired.tsv"],
        &[],
        Class::None,
        "read by the operator's scripts",
        "the operator bundle's README.md",
    ),
    rule(
        "operator-credentials",
        &["admin.conf", "etcd/*", "bootstrap-token"],
        &[],
        Class::Reissue,
        "the person at the bastion uses it from now on; the former one stays valid until it expires",
        "x509 client certificates cannot be revoked in Kubernetes",
    ),
    rule(
        "bundle-file",
        &["*.sh", "README.md", "hosts.tsv", "fingerprint.key", "*.md"],
        &[],
        Class::None,
        "stays in the bundle",
        "install.sh lays what is below root/",
    ),
];
