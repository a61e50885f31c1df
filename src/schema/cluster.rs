//! Keys of `cluster`.

use super::{Format, Key, Kind, key};

pub(super) static KEYS: &[Key] = &[
    key(
        "name",
        Kind::Leaf(Format::Label),
        "The cluster's name: kubeadm's clusterName, and part of etcd's initial-cluster-token.",
    )
    .required()
    .example("k8s-cluster1"),
    key("domain", Kind::Leaf(Format::DnsName), "Joined to a host's short name, it gives the FQDN.")
        .required()
        .example("isociel.com"),
    key(
        "nodeName",
        Kind::Leaf(Format::Choice { options: &["fqdn", "short"], coming: &[] }),
        "Whether a Kubernetes node is named by the host's FQDN or by its short name.",
    )
    .default("fqdn"),
    key(
        "state",
        Kind::Leaf(Format::Choice { options: &["new", "running"], coming: &[] }),
        "`new` until the cluster is set up. Once it says `running`, what a cluster is founded on cannot change.",
    )
    .default("new"),
];
