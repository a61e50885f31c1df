//! Networks that must not meet, and families that must. kubeadm checks none of this.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Scope, balancers, count, identity, named, own, path};
use crate::diag::{Code, Diagnostic, Report};
use crate::model::{Family, Host, LoadBalancerMode, Role};

pub(super) const POD: &str = "kubernetes.networking.podSubnet";
pub(super) const SERVICE: &str = "kubernetes.networking.serviceSubnet";
const EXTERNAL: &str = "kubernetes.networking.externalSubnet";

pub(super) fn check(scope: &Scope<'_>, report: &mut Report) {
    let nets = networks(scope);
    overlaps(scope, &nets, report);
    hosts_within(scope, &nets, report);
    vips_within(scope, &nets, report);
    // Which families the nodes need is not known while pods and services disagree.
    let agreed = family_order(scope, report);
    for host in scope.hosts() {
        usable(scope, host, report);
        if agreed {
            node_families(scope, host, report);
        }
    }
    reach(scope, report);
}

/// A network of the cluster, with its name and place in the inventory.
struct Network {
    name: &'static str,
    place: &'static str,
    net: IpNet,
}

fn networks(scope: &Scope<'_>) -> Vec<Network> {
    let kubernetes = &scope.cluster.kubernetes;
    let mut all = Vec::new();
    let mut take = |name, place, nets: &[IpNet]| {
        if scope.sound(&[place]) {
            all.extend(nets.iter().map(|net| Network { name, place, net: *net }));
        }
    };
    take("podSubnet", POD, &kubernetes.pod_subnets.0);
    take("serviceSubnet", SERVICE, &kubernetes.service_subnets.0);
    take("externalSubnet", EXTERNAL, &kubernetes.external_subnets);
    all
}

/// Two CIDRs share addresses exactly if one holds the other.
fn overlap(a: &IpNet, b: &IpNet) -> bool {
    a.contains(b) || b.contains(a)
}

fn overlaps(scope: &Scope<'_>, nets: &[Network], report: &mut Report) {
    for (n, a) in nets.iter().enumerate() {
        for b in nets.iter().skip(n + 1).filter(|b| overlap(&a.net, &b.net)) {
            let message = if a.place == b.place {
                format!("{} names networks that overlap, {} and {}", a.name, a.net, b.net)
            } else {
                format!("{} {} and {} {} overlap", a.name, a.net, b.name, b.net)
            };
            let finding = Diagnostic::error(Code::NetworksOverlap, message)
                .reason("a packet's address must say whether it goes to a pod, a service or the outside; kubeadm does not check this")
                .help(format!("move {} to a network that nothing else uses", b.name));
            let finding = scope.at(finding, b.place, b.net.to_string());
            report.push(scope.also(finding, a.place, a.net.to_string()));
        }
    }
}

fn hosts_within(scope: &Scope<'_>, nets: &[Network], report: &mut Report) {
    for network in nets {
        let within: Vec<(&Host, String, IpAddr)> = scope
            .cluster
            .hosts
            .iter()
            .flat_map(|host| {
                identity::used(scope, host).into_iter().map(move |(key, ip)| (host, path(host, key), ip))
            })
            .filter(|(_, _, ip)| network.net.contains(ip))
            .collect();
        let Some((first, _, ip)) = within.first() else { continue };
        let message = match within.len() {
            1 => format!("{} {} holds the address {ip} of host `{}`", network.name, network.net, first.name),
            n => format!(
                "{} {} holds the addresses of {}: {}",
                network.name,
                network.net,
                count(n, "host"),
                named(within.iter().map(|(host, _, _)| host.name.as_str()))
            ),
        };
        let finding = Diagnostic::error(Code::HostInNetwork, message)
            .reason("nodes would take the host's address for a pod's or a service's and never reach the host")
            .help(format!("move {} to a network without hosts", network.name));
        let mut finding = scope.at(finding, network.place, network.net.to_string());
        for (_, place, ip) in within.iter().take(4) {
            finding = scope.also(finding, place, ip.to_string());
        }
        report.push(finding);
    }
}

fn vips_within(scope: &Scope<'_>, nets: &[Network], report: &mut Report) {
    for (place, vip) in balancers::vips(scope) {
        let ip = vip.address.addr();
        for network in nets.iter().filter(|network| network.net.contains(&ip)) {
            let message = format!("the VIP {ip} lies within {} {}", network.name, network.net);
            let finding = Diagnostic::error(Code::VipInNetwork, message)
                .reason("nodes would take the VIP for a pod's or a service's address and never reach the API servers")
                .help("choose a VIP in the balancers' own network, or another subnet");
            let finding = scope.at(finding, &place, "");
            report.push(scope.also(finding, network.place, network.net.to_string()));
        }
    }
}

/// kube-proxy, the API server and the controller manager take the first subnet's family for the cluster's.
fn family_order(scope: &Scope<'_>, report: &mut Report) -> bool {
    if !scope.sound(&[POD, SERVICE]) {
        return false;
    }
    let families = |nets: &[IpNet]| nets.iter().map(|net| Family::of(net.addr())).collect::<Vec<_>>();
    let pods = families(&scope.cluster.kubernetes.pod_subnets.0);
    let services = families(&scope.cluster.kubernetes.service_subnets.0);
    if pods.is_empty() || services.is_empty() || pods == services {
        return true;
    }
    let message = format!("podSubnet is {}, serviceSubnet is {}", written(&pods), written(&services));
    let finding = Diagnostic::error(Code::FamilyOrder, message)
        .reason("pods and services need the same families, and the first one is the cluster's primary family in both")
        .help("give both subnets the same families in the same order");
    let finding = scope.at(finding, SERVICE, written(&services));
    report.push(scope.also(finding, POD, written(&pods)));
    false
}

fn word(family: Family) -> &'static str {
    match family {
        Family::V4 => "IPv4",
        Family::V6 => "IPv6",
    }
}

fn written(families: &[Family]) -> String {
    families.iter().map(|family| word(*family)).collect::<Vec<_>>().join(" then ")
}

/// An address that only this machine, everybody or nobody has is no host's; kubeadm refuses a loopback address.
fn unusable(ip: IpAddr) -> Option<&'static str> {
    let link_local_v6 = matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local());
    let link_local_v4 = matches!(ip, IpAddr::V4(v4) if v4.is_link_local());
    let mapped = matches!(ip, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    if ip.is_unspecified() {
        Some("the unspecified address")
    } else if ip.is_loopback() {
        Some("a loopback address")
    } else if ip.is_multicast() {
        Some("a multicast address")
    } else if link_local_v4 || link_local_v6 {
        Some("a link-local address")
    } else if mapped {
        Some("an IPv4-mapped address")
    } else if broadcast {
        Some("the broadcast address")
    } else {
        None
    }
}

/// Why an address with this prefix length cannot be a machine's (RFC 3021 leaves /31 and /32 without a broadcast).
pub(super) fn unusable_in(net: &IpNet) -> Option<&'static str> {
    let v4_ends = matches!(net, IpNet::V4(v4) if v4.prefix_len() < 31);
    if let Some(what) = unusable(net.addr()) {
        Some(what)
    } else if v4_ends && net.addr() == net.network() {
        Some("its network's own address")
    } else if v4_ends && net.addr() == net.broadcast() {
        Some("its network's broadcast address")
    } else {
        None
    }
}

fn usable(scope: &Scope<'_>, host: &Host, report: &mut Report) {
    for (key, ip) in identity::used(scope, host) {
        let Some(what) = unusable(ip) else { continue };
        let message = format!("{ip}, the address of host `{}`, is {what}", host.name);
        let finding = Diagnostic::error(Code::AddressNotUsable, message)
            .reason("the other hosts must reach it by this address; kubeadm and etcd advertise it to them")
            .help("write the address that the other hosts reach it by");
        report.push(scope.at(finding, &path(host, key), what));
    }
}

/// The API server refuses to start when the first service subnet and its advertised address differ in family
/// (validatePublicIPServiceClusterIPRangeIPFamilies); a node of a dual-stack cluster needs an address of each.
fn node_families(scope: &Scope<'_>, host: &Host, report: &mut Report) {
    if !host.is_node() || !scope.sound(&[SERVICE, &path(host, "address"), &path(host, "roles")]) {
        return;
    }
    let needed: Vec<Family> =
        scope.cluster.kubernetes.service_subnets.0.iter().map(|net| Family::of(net.addr())).collect();
    let has: Vec<Family> = host.addresses.cluster.iter().map(|ip| Family::of(*ip)).collect();
    let (Some(primary), Some(own_primary)) = (needed.first(), has.first()) else { return };
    let missing: Vec<Family> = needed.iter().copied().filter(|family| !has.contains(family)).collect();
    let (message, help) = if let Some(family) = missing.first() {
        (
            format!(
                "host `{}` has no {} address, the cluster's services are {}",
                host.name,
                word(*family),
                written(&needed)
            ),
            format!(
                "give the host `address: [{}]`",
                needed.iter().map(|f| word(*f)).collect::<Vec<_>>().join(", ")
            ),
        )
    } else if primary != own_primary {
        (
            format!(
                "the first address of host `{}` is {}, the cluster's first service subnet is {}",
                host.name,
                word(*own_primary),
                word(*primary)
            ),
            format!("write the {} address first", word(*primary)),
        )
    } else {
        return;
    };
    let reason = if host.has(Role::ControlPlane) {
        "the API server advertises the first address and does not start when its family is not that of the services"
    } else {
        "the kubelet registers these addresses, and pods of a family without a node address cannot be routed"
    };
    let finding = Diagnostic::error(Code::HostFamily, message).reason(reason).help(help);
    let finding = scope.at(finding, &path(host, "address"), written(&has));
    report.push(scope.also(finding, SERVICE, written(&needed)));
}

/// Every control plane must reach every etcd member, every balancer every control plane, and every node the VIP.
fn reach(scope: &Scope<'_>, report: &mut Report) {
    if !scope.roles_sound() {
        return;
    }
    let control_planes = scope.with_role(Role::ControlPlane);
    peers(scope, report);
    for member in scope.with_role(Role::Etcd) {
        let ip = member.addresses.primary();
        unreached(
            scope,
            &control_planes,
            ip,
            &path(member, "address"),
            &format!("etcd member `{}`", member.name),
            report,
        );
    }
    if scope.cluster.load_balancer.mode == LoadBalancerMode::Keepalived && scope.sound(&["loadBalancer.mode"])
    {
        let balancers = scope.with_role(Role::LoadBalancer);
        for host in &control_planes {
            let what = format!("control plane `{}`", host.name);
            unreached(scope, &balancers, host.addresses.primary(), &path(host, "address"), &what, report);
        }
    }
    if let Some(ip) = scope.cluster.kubernetes.endpoint.ip()
        && scope.sound(&["kubernetes.controlPlaneEndpoint"])
    {
        unreached(
            scope,
            &scope.nodes(),
            ip,
            "kubernetes.controlPlaneEndpoint",
            "controlPlaneEndpoint",
            report,
        );
    }
}

/// Members dial each other in both directions; those of the rarer family are the ones that stand out.
fn peers(scope: &Scope<'_>, report: &mut Report) {
    let members: Vec<&Host> = scope
        .with_role(Role::Etcd)
        .into_iter()
        .filter(|host| scope.sound(&[&path(host, "address"), &path(host, "addresses")]))
        .collect();
    let of = |host: &Host| Family::of(host.addresses.peer());
    let v4 = members.iter().filter(|host| of(host) == Family::V4).count();
    let usual = if v4 * 2 >= members.len() { Family::V4 } else { Family::V6 };
    let Some(model) = members.iter().find(|host| of(host) == usual) else { return };
    for other in members.iter().filter(|host| of(host) != usual) {
        let message = format!(
            "etcd members `{}` and `{}` reach each other by {} and {}",
            model.name,
            other.name,
            model.addresses.peer(),
            other.addresses.peer()
        );
        let finding = Diagnostic::error(Code::NoCommonFamily, message)
            .reason("members dial each other in both directions and are judged by the address they dial from")
            .help(format!("give every member an {} address for its peers", word(usual)));
        let place = |host: &Host| {
            path(host, if host.addresses.etcd_peer.is_some() { "addresses.etcdPeer" } else { "address" })
        };
        let finding = scope.at(finding, &place(other), word(of(other)));
        report.push(scope.also(finding, &place(model), word(usual)));
    }
}

fn unreached(scope: &Scope<'_>, from: &[&Host], ip: IpAddr, place: &str, what: &str, report: &mut Report) {
    if !scope.sound(&[place]) {
        return;
    }
    let family = Family::of(ip);
    let without: Vec<&Host> = from
        .iter()
        .copied()
        .filter(|host| scope.sound(&[&path(host, "address")]))
        .filter(|host| host.addresses.cluster.iter().all(|own| Family::of(*own) != family))
        .collect();
    let Some(first) = without.first() else { return };
    let message = format!(
        "{what} is reached by {ip}, and {} no {} address",
        if without.len() == 1 {
            format!("`{}` has", first.name)
        } else {
            format!("{} have", named(without.iter().map(|host| host.name.as_str())))
        },
        word(family)
    );
    let finding = Diagnostic::error(Code::NoCommonFamily, message)
        .reason("a host without an address of a family cannot open connections of that family")
        .help(format!("give both sides an address of one family, {} or the other", word(family)));
    let finding = scope.at(finding, place, word(family));
    report.push(scope.also(finding, &own(first), format!("no {} address", word(family))));
}
