//! Addresses, subnets, endpoints and VIPs.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

/// IP address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    pub fn of(ip: IpAddr) -> Family {
        if ip.is_ipv4() { Family::V4 } else { Family::V6 }
    }
}

/// One subnet, or one of each family; the first one is the cluster's primary family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subnets(pub Vec<IpNet>);

impl Subnets {
    /// kubeadm's form: "v4" or "v4,v6".
    pub fn joined(&self) -> String {
        self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }

    /// The `n`th address of the first subnet, network address being the 0th. The API server's service has 1,
    /// CoreDNS 10 (kubeadm's GetAPIServerVirtualIP and GetDNSIP).
    pub fn nth(&self, n: u32) -> Option<IpAddr> {
        self.0.first().map(|net| nth_of(net, n))
    }

    /// The `n`th address of every subnet.
    pub fn nth_each(&self, n: u32) -> Vec<IpAddr> {
        self.0.iter().map(|net| nth_of(net, n)).collect()
    }
}

fn nth_of(net: &IpNet, n: u32) -> IpAddr {
    match net {
        IpNet::V4(v4) => IpAddr::V4(std::net::Ipv4Addr::from(u32::from(v4.network()).wrapping_add(n))),
        IpNet::V6(v6) => {
            IpAddr::V6(std::net::Ipv6Addr::from(u128::from(v6.network()).wrapping_add(u128::from(n))))
        }
    }
}

/// `controlPlaneEndpoint`: a name or an address, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// DNS name, or an address without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl Endpoint {
    /// The address, when the endpoint is no name.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip() {
            Some(ip) => write!(f, "{}:{}", bracketed(ip), self.port),
            None => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// One VRRP instance: a virtual address of one family.
#[derive(Debug, Clone)]
pub struct Vip {
    /// The address with its prefix length.
    pub address: IpNet,
    /// 1 to 255, unique on the layer-2 network.
    pub virtual_router_id: u8,
    /// Interface on every balancer, if one is given here rather than at the hosts.
    pub interface: Option<String>,
}

/// A set of addresses that renders in the inventory's order.
pub type IpSet = Vec<IpAddr>;

/// An address as it stands before a port.
pub fn bracketed(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    }
}
