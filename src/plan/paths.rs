//! Which paths on a host khagen writes itself, known before anything is rendered, so that a check can say who else wants one.
//!
//! A test holds this table against the bundles of the repository's inventories.

use crate::model::{Cluster, Host, LoadBalancerMode, PeerCa, Role};

/// Every path that khagen may write on a host by its roles and the cluster's settings. Conditions that only the ledger
/// knows (who runs `kubeadm init`), or that a small change of the inventory would turn, are taken as met.
pub fn of_host(cluster: &Cluster, host: &Host) -> Vec<String> {
    let mut paths: Vec<String> =
        vec!["/etc/hosts".to_owned(), "/etc/sysctl.d/95-khagen-user.conf".to_owned()];
    let mut add = |list: &[&str]| paths.extend(list.iter().map(|p| (*p).to_owned()));
    add(&["/etc/khagen/certificates.conf", "/usr/local/sbin/khagen-certificates"]);
    if host.has(Role::Etcd) {
        add(&[
            "/etc/etcd/etcd.env",
            "/etc/etcd/snapshot.env",
            "/etc/etcd/pki/etcd-ca.crt",
            "/etc/etcd/pki/etcd-health-client.crt",
            "/etc/etcd/pki/etcd-health-client.key",
            "/etc/systemd/system/etcd.service",
            "/etc/systemd/system/khagen-etcd-snapshot.service",
            "/etc/systemd/system/khagen-etcd-snapshot.timer",
            "/etc/sysusers.d/etcd.conf",
            "/usr/local/sbin/khagen-etcd-replace",
            "/usr/local/sbin/khagen-etcd-restore",
            "/usr/local/sbin/khagen-etcd-snapshot",
        ]);
        for stem in [host.name.clone(), format!("{}-peer", host.name)] {
            add(&[&format!("/etc/etcd/pki/{stem}.crt"), &format!("/etc/etcd/pki/{stem}.key")]);
        }
        if cluster.etcd.peer_ca == PeerCa::Separate {
            add(&["/etc/etcd/pki/etcd-peer-ca.crt"]);
        }
    }
    if host.has(Role::LoadBalancer) && cluster.load_balancer.mode == LoadBalancerMode::Keepalived {
        add(&[
            "/etc/keepalived/check-api",
            "/etc/keepalived/check-nginx",
            "/etc/keepalived/keepalived.conf",
            "/etc/keepalived/notify",
            "/etc/nginx/nginx.conf",
            "/etc/sysctl.d/90-khagen-balancer.conf",
            "/etc/systemd/system/keepalived.service.d/khagen.conf",
            "/etc/systemd/system/nginx.service.d/khagen.conf",
            "/etc/sysusers.d/khagen-balancer.conf",
            "/etc/tmpfiles.d/khagen-balancer.conf",
        ]);
    }
    if host.is_node() {
        add(&[
            "/etc/containerd/config.toml",
            "/etc/crictl.yaml",
            "/etc/modules-load.d/khagen.conf",
            "/etc/sysctl.d/90-khagen.conf",
            "/etc/systemd/system/khagen-swap-off.service",
            "/etc/kubernetes/kubeadm.yaml",
            "/etc/kubernetes/patches/kubeletconfiguration+merge.yaml",
        ]);
    }
    if host.is_node() && cluster.is_external_ca() {
        add(&["/etc/kubernetes/kubelet.conf", "/etc/kubernetes/pki/ca.crt"]);
    }
    // Which of them a host has, and so their numbers, its roles decide.
    for patch in &host.patches.value {
        for number in 1..=host.patches.value.len() {
            add(&[&format!("/etc/kubernetes/patches/{}{number:02}+{}.yaml", patch.target, patch.kind)]);
        }
    }
    if host.has(Role::ControlPlane) {
        add(&["/etc/kubernetes/kubeadm-cluster.yaml", "/etc/kubernetes/kubeadm-node.yaml"]);
        if cluster.is_kubeadm_pki() {
            add(&["/etc/kubernetes/kubeadm-certs.yaml"]);
        }
        // With `pki: kubeadm` kubeadm writes most of these; they are nobody else's either.
        for name in ["apiserver", "apiserver-kubelet-client", "front-proxy-client", "apiserver-etcd-client"] {
            add(&[&format!("/etc/kubernetes/pki/{name}.crt"), &format!("/etc/kubernetes/pki/{name}.key")]);
        }
        for name in ["ca", "front-proxy-ca"] {
            add(&[&format!("/etc/kubernetes/pki/{name}.crt")]);
            // Where nobody may sign, the key stays in the store.
            if !cluster.is_external_ca() {
                add(&[&format!("/etc/kubernetes/pki/{name}.key")]);
            }
        }
        add(&[
            "/etc/kubernetes/pki/sa.key",
            "/etc/kubernetes/pki/sa.pub",
            "/etc/kubernetes/pki/etcd/etcd-ca.crt",
        ]);
        for name in ["admin", "super-admin", "controller-manager", "scheduler"] {
            add(&[&format!("/etc/kubernetes/{name}.conf")]);
        }
    }
    paths.sort();
    paths.dedup();
    paths
}

/// Every path that khagen writes besides on a host while a trust root is rotated, and partly from then on. Only the store
/// knows of a rotation, and it may begin on any day: the paths are kept free for it.
pub fn while_rotating(host: &Host) -> Vec<String> {
    let mut paths = Vec::new();
    if host.is_node() {
        paths.push("/etc/kubernetes/pki/ca.crt".to_owned());
    }
    if host.has(Role::ControlPlane) {
        paths.push("/etc/kubernetes/pki/ca-signing.crt".to_owned());
        for pod in ["kube-apiserver", "kube-controller-manager"] {
            paths.push(format!("/etc/kubernetes/patches/{pod}-trust+merge.yaml"));
        }
    }
    paths
}
