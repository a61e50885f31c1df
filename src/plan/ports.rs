//! Which ports a host listens on, and who must reach them: for the page of ports to open, for tools, for probes, and for
//! the rule that no two programs want one port. Stands in one table, [`of_role`].
//!
//! Numbers are etcd's, kubeadm's (cmd/kubeadm/app/constants) and the kubelet's and kube-proxy's defaults.

use crate::model::{Cluster, Host, KubeProxyMode, LoadBalancerMode, Role};

/// The API server's default service-node-port-range.
pub const NODE_PORTS: std::ops::RangeInclusive<u16> = 30000..=32767;

/// One port, or an IP protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// "2379/tcp", "30000-32767/tcp", "112/vrrp".
    pub port: String,
    /// What listens.
    pub what: &'static str,
    /// Who must reach it.
    pub from: &'static str,
}

/// A program that listens on a TCP port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its port.
    pub port: u16,
    /// The program, as a sentence names it.
    pub program: &'static str,
    /// The setting that decides the port, if one does.
    pub setting: Option<&'static str>,
    /// What it does for others and who must reach it; nothing where only the host itself asks.
    pub serves: Option<(&'static str, &'static str)>,
}

/// The programs that a role brings to a host.
pub fn of_role(cluster: &Cluster, role: Role) -> Vec<Listener> {
    let listener = |port, program, setting, serves| Listener { port, program, setting, serves };
    let own = |port, program| listener(port, program, None, None);
    let e = &cluster.etcd;
    let mut all = match role {
        Role::Etcd => vec![
            listener(
                e.client_port,
                "etcd for its clients",
                Some("etcd.clientPort"),
                Some(("etcd clients", "control planes, etcd members, the operator")),
            ),
            listener(
                e.peer_port,
                "etcd for its peers",
                Some("etcd.peerPort"),
                Some(("etcd peers", "etcd members")),
            ),
            listener(e.metrics_port, "etcd for metrics", Some("etcd.metricsPort"), None),
        ],
        Role::LoadBalancer if cluster.load_balancer.mode == LoadBalancerMode::Keepalived => vec![listener(
            cluster.load_balancer.port,
            "nginx",
            Some("loadBalancer.port"),
            Some(("nginx before the API servers", "everybody who uses the API")),
        )],
        Role::LoadBalancer => Vec::new(),
        Role::ControlPlane => vec![
            listener(
                cluster.kubernetes.bind_port,
                "kube-apiserver",
                Some("kubernetes.apiServer.bindPort"),
                Some(("kube-apiserver", api_clients(cluster))),
            ),
            own(10257, "kube-controller-manager"),
            own(10259, "kube-scheduler"),
        ],
        Role::Worker => Vec::new(),
    };
    if matches!(role, Role::ControlPlane | Role::Worker) {
        all.push(listener(
            10250,
            "the kubelet",
            None,
            Some(("kubelet", "control planes, pods that read metrics")),
        ));
        all.push(own(10248, "the kubelet's health check"));
        if cluster.kubernetes.kube_proxy_mode != KubeProxyMode::None {
            all.push(own(10249, "kube-proxy's metrics"));
            // Services of type LoadBalancer lead to workers; control planes are left out of them by label.
            let health = ("kube-proxy health", "load balancers of services");
            let serves = (role == Role::Worker).then_some(health);
            all.push(listener(10256, "kube-proxy's health check", None, serves));
        }
    }
    all
}

/// The programs that listen on a host, each once, in the order of its roles.
pub fn listeners(cluster: &Cluster, host: &Host) -> Vec<Listener> {
    let mut all: Vec<Listener> = Vec::new();
    for listener in host.roles.iter().flat_map(|role| of_role(cluster, *role)) {
        match all.iter_mut().find(|known| known.port == listener.port && known.program == listener.program) {
            Some(known) => known.serves = known.serves.or(listener.serves),
            None => all.push(listener),
        }
    }
    all
}

/// The ports of one role that others must reach.
pub fn to_open(cluster: &Cluster, role: Role) -> Vec<Port> {
    let mut ports: Vec<Port> = of_role(cluster, role).iter().filter_map(open).collect();
    ports.extend(beside(cluster, role));
    ports
}

/// The bastion's way in. It stands on no page of a bundle: another port of sshd changes the operator's bundle alone.
pub fn login(host: &Host) -> Option<Port> {
    let port = || Port { port: format!("{}/tcp", host.ssh.port), what: "sshd", from: "the bastion" };
    logs_in_here(host).then(port)
}

/// The ports of a host that others must reach, in the order of its roles.
pub fn of_host(cluster: &Cluster, host: &Host) -> Vec<Port> {
    let mut ports: Vec<Port> = listeners(cluster, host).iter().filter_map(open).collect();
    for port in host.roles.iter().flat_map(|role| beside(cluster, *role)) {
        if !ports.contains(&port) {
            ports.push(port);
        }
    }
    ports
}

/// Whether the bastion reaches the host's own sshd, and not one that forwards.
pub fn logs_in_here(host: &Host) -> bool {
    let address = &host.ssh.address;
    *address == host.fqdn
        || *address == host.name
        || address.parse().is_ok_and(|ip| host.addresses.cluster.contains(&ip))
}

fn open(listener: &Listener) -> Option<Port> {
    let (what, from) = listener.serves?;
    Some(Port { port: format!("{}/tcp", listener.port), what, from })
}

/// What no program of the host listens on: node ports, which the kernel sends on, and protocols without ports.
fn beside(cluster: &Cluster, role: Role) -> Vec<Port> {
    match role {
        Role::LoadBalancer if cluster.load_balancer.mode == LoadBalancerMode::Keepalived => vec![Port {
            port: "112/vrrp".to_owned(),
            what: "keepalived (an IP protocol, no TCP port)",
            from: "balancers",
        }],
        Role::Worker if cluster.kubernetes.kube_proxy_mode != KubeProxyMode::None => {
            let range = node_port_range(cluster)
                .map_or_else(|| format!("{}-{}", NODE_PORTS.start(), NODE_PORTS.end()), str::to_owned);
            let port = |protocol| Port {
                port: format!("{range}/{protocol}"),
                what: "NodePort services",
                from: "users of services",
            };
            vec![port("tcp"), port("udp")]
        }
        _ => Vec::new(),
    }
}

/// The user's own range of node ports, as the flag says it.
pub fn node_port_range(cluster: &Cluster) -> Option<&str> {
    let args = &cluster.kubernetes.api_server.extra_args;
    args.iter().find(|(name, _)| name == "service-node-port-range").map(|(_, range)| range.as_str())
}

/// The Service `kubernetes` leads from every node, and from pods with addresses of their own, to the API servers
/// themselves, past all balancers (kube-apiserver, pkg/controlplane/reconcilers: its endpoints are theirs).
fn api_clients(cluster: &Cluster) -> &'static str {
    match cluster.load_balancer.mode {
        LoadBalancerMode::Keepalived => "balancers, all nodes, pods",
        LoadBalancerMode::External => "the external balancer, all nodes, pods",
        LoadBalancerMode::None => "everybody who uses the API, all nodes, pods",
    }
}
