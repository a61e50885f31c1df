//! The container images that a version needs, as `kubeadm config images list` gives them with an external etcd.
//!
//! A pure function of the inventory (kubeadm: cmd/kubeadm/app/images/images.go).

use crate::model::{Cluster, KubeProxyMode, releases};

/// kubeadm's default registry.
const REGISTRY: &str = "registry.k8s.io";

/// The images in kubeadm's order.
pub fn images(cluster: &Cluster) -> Vec<String> {
    let k = &cluster.kubernetes;
    let repository = k.image_repository.as_deref().unwrap_or(REGISTRY);
    let mut images: Vec<String> = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"]
        .iter()
        .map(|name| format!("{repository}/{name}:v{}", k.version))
        .collect();
    if k.kube_proxy_mode != KubeProxyMode::None {
        images.push(format!("{repository}/kube-proxy:v{}", k.version));
    }
    if let Some(minor) = releases::kubernetes(k.version) {
        if !k.dns.disabled {
            let registry = k.dns.image_repository.as_deref().unwrap_or(repository);
            // Only the default registry has CoreDNS one level deeper (images.go, GetDNSImage).
            let dns = if registry == REGISTRY { "coredns/coredns" } else { "coredns" };
            let tag = k.dns.image_tag.as_deref().unwrap_or(minor.coredns(k.version.patch));
            images.push(format!("{registry}/{dns}:{tag}"));
        }
        images.push(pause(cluster, minor));
    }
    images
}

/// The sandbox image; containerd must be told the same one.
pub fn pause(cluster: &Cluster, minor: &releases::KubernetesMinor) -> String {
    let repository = cluster.kubernetes.image_repository.as_deref().unwrap_or(REGISTRY);
    format!("{repository}/pause:{}", minor.pause)
}
