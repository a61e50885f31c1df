//! Which ports a host listens on, and who must reach them: for the page of ports to open, for tools, for probes.
//!
//! Numbers are etcd's, kubeadm's (cmd/kubeadm/app/constants) and the kubelet's defaults.

use crate::model::{Cluster, Host, KubeProxyMode, LoadBalancerMode, Role};

/// One port, or an IP protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// "2379/tcp", "30000-32767/tcp", "VRRP (IP protocol 112)".
    pub port: String,
    /// What listens.
    pub what: &'static str,
    /// Who must reach it.
    pub from: &'static str,
}

/// The ports of one role.
pub fn of_role(cluster: &Cluster, role: Role) -> Vec<Port> {
    let tcp = |port: u16, what, from| Port { port: format!("{port}/tcp"), what, from };
    let e = &cluster.etcd;
    let kubelet = tcp(10250, "kubelet", "control planes");
    match role {
        Role::Etcd => vec![
            tcp(e.client_port, "etcd clients", "control planes, the operator"),
            tcp(e.peer_port, "etcd peers", "etcd members"),
        ],
        Role::LoadBalancer => vec![
            tcp(cluster.load_balancer.port, "nginx before the API servers", "everybody who uses the API"),
            Port {
                port: "112/vrrp".to_owned(),
                what: "keepalived (an IP protocol, no TCP port)",
                from: "balancers",
            },
        ],
        Role::ControlPlane => {
            vec![tcp(cluster.kubernetes.bind_port, "kube-apiserver", api_clients(cluster)), kubelet]
        }
        Role::Worker => {
            let mut ports = vec![kubelet];
            if cluster.kubernetes.kube_proxy_mode != KubeProxyMode::None {
                ports.push(tcp(10256, "kube-proxy health", "load balancers of services"));
                for protocol in ["tcp", "udp"] {
                    ports.push(Port {
                        port: format!("30000-32767/{protocol}"),
                        what: "NodePort services",
                        from: "users of services",
                    });
                }
            }
            ports
        }
    }
}

/// The ports of a host, in the order of its roles.
pub fn of_host(cluster: &Cluster, host: &Host) -> Vec<Port> {
    let mut ports: Vec<Port> = Vec::new();
    for role in &host.roles {
        for port in of_role(cluster, *role) {
            if !ports.contains(&port) {
                ports.push(port);
            }
        }
    }
    ports
}

fn api_clients(cluster: &Cluster) -> &'static str {
    match cluster.load_balancer.mode {
        LoadBalancerMode::Keepalived => "balancers",
        LoadBalancerMode::External => "the external balancer",
        LoadBalancerMode::None => "everybody who uses the API",
    }
}
