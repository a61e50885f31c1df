//! What is known of an inventory before it is written, and what follows from it.

use std::net::IpAddr;

use ipnet::IpNet;

use super::Machine;
use crate::model::Role;

/// The balancers' port where they share a machine with an API server.
pub const SHARED_PORT: u16 = 8443;
/// The API servers' port, and that of balancers with machines of their own.
pub const PORT: u16 = 6443;
/// What is proposed where nobody asks for another.
pub const KUBERNETES: &str = "1.36.5";
/// An etcd that fits it.
pub const ETCD: &str = "3.6.14";

/// An inventory that is being put together.
#[derive(Debug, Default)]
pub struct Draft {
    /// The cluster's name.
    pub name: Option<String>,
    /// The hosts' domain.
    pub domain: Option<String>,
    /// Address and prefix length.
    pub vip: Option<String>,
    /// Of the balancers.
    pub interface: Option<String>,
    /// VRRP's.
    pub virtual_router_id: Option<u8>,
    /// Name, perhaps with a port.
    pub endpoint: Option<String>,
    /// So far.
    pub machines: Vec<Machine>,
    /// Kubernetes.
    pub kubernetes: Option<String>,
    /// Of pods.
    pub pod_subnet: Option<String>,
    /// Of services.
    pub service_subnet: Option<String>,
    /// Of the store.
    pub recipients: Vec<String>,
}

impl Draft {
    /// Whether some machine has a role.
    pub fn has(&self, role: Role) -> bool {
        self.machines.iter().any(|machine| machine.roles.contains(&role))
    }

    /// Gives the control planes a role, too.
    pub fn share(&mut self, role: Role) {
        for machine in self.machines.iter_mut().filter(|machine| machine.roles.contains(&Role::ControlPlane))
        {
            machine.add(role);
        }
    }

    /// How many control planes there are.
    pub fn control_planes(&self) -> usize {
        self.machines.iter().filter(|machine| machine.roles.contains(&Role::ControlPlane)).count()
    }

    /// Whether keepalived moves a VIP.
    pub fn has_vip(&self) -> bool {
        self.has(Role::LoadBalancer)
    }

    /// Where balancers listen.
    pub fn port(&self) -> u16 {
        let shared = |machine: &&Machine| {
            machine.roles.contains(&Role::LoadBalancer) && machine.roles.contains(&Role::ControlPlane)
        };
        match self.machines.iter().find(shared) {
            Some(_) => SHARED_PORT,
            None => PORT,
        }
    }

    /// What clients connect to, with its port.
    pub fn endpoint(&self) -> String {
        let port = if self.has_vip() { self.port() } else { PORT };
        let name = match &self.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => format!("api.{}", self.domain.as_deref().unwrap_or("cluster.local")),
        };
        if name.contains(':') { name } else { format!("{name}:{port}") }
    }

    /// VRRP's number: the VIP's last part, which the network's people recognise, unless it is none that VRRP takes.
    pub fn router_id(&self) -> u8 {
        let last = match self.vip.as_deref().and_then(|vip| vip.parse::<IpNet>().ok()) {
            Some(IpNet::V4(net)) => net.addr().octets()[3],
            _ => 0,
        };
        self.virtual_router_id.unwrap_or(if (1..=254).contains(&last) { last } else { 51 })
    }

    /// The arguments that say the same, for a shell.
    pub fn arguments(&self) -> Vec<String> {
        let hosts = |role: Role| {
            let of = self.machines.iter().filter(|machine| machine.roles.contains(&role));
            let of: Vec<String> = of.map(|machine| format!("{}={}", machine.name, machine.address)).collect();
            (!of.is_empty()).then(|| of.join(","))
        };
        let given = [
            ("--name", self.name.clone()),
            ("--domain", self.domain.clone()),
            ("--control-plane", hosts(Role::ControlPlane)),
            ("--etcd", hosts(Role::Etcd)),
            ("--load-balancer", hosts(Role::LoadBalancer)),
            ("--worker", hosts(Role::Worker)),
            ("--vip", self.vip.clone()),
            ("--interface", self.interface.clone()),
            ("--virtual-router-id", self.virtual_router_id.map(|id| id.to_string())),
            ("--endpoint", self.endpoint.clone()),
            ("--kubernetes", self.kubernetes.clone()),
            ("--pod-subnet", self.pod_subnet.clone()),
            ("--service-subnet", self.service_subnet.clone()),
        ];
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._/:=,".contains(c);
        let quoted = |text: String| {
            if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
        };
        given.into_iter().filter_map(|(flag, value)| Some(format!("{flag} {}", quoted(value?)))).collect()
    }

    /// Pods' and services' networks that no address of the inventory lies in.
    pub fn subnets(&self) -> (String, String) {
        let six = self.machines.first().is_some_and(|machine| machine.address.is_ipv6());
        let pods: &[&str] = if six {
            &["fd00:10:244::/56", "fd01:10:244::/56"]
        } else {
            &["10.244.0.0/16", "172.20.0.0/16", "100.64.0.0/16"]
        };
        let services: &[&str] = if six {
            &["fd00:10:96::/112", "fd01:10:96::/112"]
        } else {
            &["10.96.0.0/16", "172.21.0.0/16", "198.18.0.0/16"]
        };
        let pick = |given: &Option<String>, of: &[&str]| {
            let free = || of.iter().find(|net| self.is_free(net)).or(of.first());
            given.clone().or_else(|| free().map(|net| (*net).to_owned())).unwrap_or_default()
        };
        (pick(&self.pod_subnet, pods), pick(&self.service_subnet, services))
    }

    /// Whether no address lies in a network, nor the network that the VIP says they are in.
    fn is_free(&self, net: &str) -> bool {
        let Ok(net) = net.parse::<IpNet>() else { return false };
        let mut addresses: Vec<IpAddr> = self.machines.iter().map(|machine| machine.address).collect();
        let vip = self.vip.as_deref().and_then(|vip| vip.parse::<IpNet>().ok());
        addresses.extend(vip.map(|vip| vip.network()));
        addresses.iter().all(|address| !net.contains(address))
            && vip.is_none_or(|vip| !vip.contains(&net.addr()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_keep_away_from_the_hosts() {
        let mut draft = Draft { vip: Some("10.244.0.10/8".to_owned()), ..Draft::default() };
        draft.machines.push(Machine::new("a".to_owned(), "10.244.0.11".parse().expect("an address")));
        assert_eq!(draft.subnets(), ("172.20.0.0/16".to_owned(), "172.21.0.0/16".to_owned()));
        draft.pod_subnet = Some("100.64.0.0/10".to_owned());
        assert_eq!(draft.subnets().0, "100.64.0.0/10");
    }

    #[test]
    fn arguments_say_the_same() {
        let mut draft = Draft { name: Some("it's".to_owned()), ..Draft::default() };
        draft.machines.push(Machine::new("a".to_owned(), "10.0.0.1".parse().expect("an address")));
        draft.machines[0].add(Role::ControlPlane);
        draft.share(Role::Etcd);
        assert_eq!(
            draft.arguments(),
            ["--name 'it'\\''s'", "--control-plane a=10.0.0.1", "--etcd a=10.0.0.1"]
        );
    }

    #[test]
    fn the_vip_names_the_virtual_router() {
        let of = |vip: &str| Draft { vip: Some(vip.to_owned()), ..Draft::default() }.router_id();
        assert_eq!((of("192.0.2.70/24"), of("192.0.2.0/24"), of("fd00::1/64")), (70, 51, 51));
    }
}
