//! VIPs, VRRP and the endpoint: whether the address that everybody uses will be there.

use std::net::IpAddr;

use super::topology::mode_word;
use super::{Scope, identity, networks, own, path};
use crate::diag::{Code, Diagnostic, Report};
use crate::model::{Family, Host, LoadBalancerMode, Role, Vip};

const ENDPOINT: &str = "kubernetes.controlPlaneEndpoint";

pub(super) fn check(scope: &Scope<'_>, report: &mut Report) {
    let vips = vips(scope);
    for (n, (place, vip)) in vips.iter().enumerate() {
        usable(scope, place, vip, report);
        host_addresses(scope, place, vip, report);
        twice(scope, &vips, n, report);
    }
    if !scope.sound(&["loadBalancer.mode"]) {
        return;
    }
    endpoint(scope, &vips, report);
    match scope.cluster.load_balancer.mode {
        LoadBalancerMode::Keepalived => keepalived(scope, &vips, report),
        LoadBalancerMode::None => unused(scope, &vips, report),
        LoadBalancerMode::External => {}
    }
}

/// The VIPs that could be read, each with the path of its address.
pub(super) fn vips<'a>(scope: &Scope<'a>) -> Vec<(String, &'a Vip)> {
    let vips = scope.cluster.load_balancer.vips.iter().enumerate();
    vips.map(|(n, vip)| (address_place(scope, n), vip)).filter(|(place, _)| scope.sound(&[place])).collect()
}

fn address_place(scope: &Scope<'_>, number: usize) -> String {
    if scope.places.is_written("loadBalancer.vip") {
        "loadBalancer.vip".to_owned()
    } else {
        format!("loadBalancer.vips.{number}.address")
    }
}

/// Where the router id of the VIP at a place stands.
pub(super) fn router_place(scope: &Scope<'_>, place: &str) -> String {
    let own = place.strip_suffix("address").map(|stem| format!("{stem}virtualRouterId"));
    own.filter(|path| scope.places.is_written(path))
        .unwrap_or_else(|| "loadBalancer.virtualRouterId".to_owned())
}

fn usable(scope: &Scope<'_>, place: &str, vip: &Vip, report: &mut Report) {
    let Some(what) = networks::unusable_in(&vip.address) else { return };
    let message = format!("the VIP {} is {what}", vip.address);
    let finding = Diagnostic::error(Code::AddressNotUsable, message)
        .reason("a balancer adds the VIP to its interface, and every host must reach it there")
        .help("choose a free address of the balancers' network");
    report.push(scope.at(finding, place, what));
}

fn host_addresses(scope: &Scope<'_>, place: &str, vip: &Vip, report: &mut Report) {
    let ip = vip.address.addr();
    for host in scope.machines() {
        let Some((key, _)) = identity::used(scope, host).into_iter().find(|(_, own)| *own == ip) else {
            continue;
        };
        let message = format!("the VIP {ip} is the address of host `{}`", host.name);
        let finding = Diagnostic::error(Code::VipIsHost, message)
            .reason("a VIP moves between balancers, and two machines would answer for one address")
            .help("choose an address for the VIP that no machine has");
        let finding = scope.at(finding, place, "the VIP");
        report.push(scope.also(finding, &path(host, key), format!("`{}`", host.name)));
    }
}

fn twice(scope: &Scope<'_>, vips: &[(String, &Vip)], n: usize, report: &mut Report) {
    let Some((place, vip)) = vips.get(n) else { return };
    let before = vips.iter().take(n);
    if let Some((first, other)) = before.clone().find(|(_, other)| other.address.addr() == vip.address.addr())
    {
        let message = format!("the VIP {} is listed twice", other.address.addr());
        let finding = Diagnostic::error(Code::VipTwice, message)
            .reason("two VRRP instances would fight for one address")
            .help("remove one of the entries");
        let finding = scope.at(finding, place, "again");
        report.push(scope.also(finding, first, "first"));
    }
    let same_router = |other: &Vip| {
        let same_link = match (&vip.interface, &other.interface) {
            (Some(a), Some(b)) => a == b,
            _ => true,
        };
        other.virtual_router_id == vip.virtual_router_id
            && Family::of(other.address.addr()) == Family::of(vip.address.addr())
            && same_link
    };
    if let Some((first, other)) = before.clone().find(|(_, other)| same_router(other)) {
        let message = format!(
            "the VIPs {} and {} have the same virtualRouterId {}",
            other.address.addr(),
            vip.address.addr(),
            vip.virtual_router_id
        );
        let finding = Diagnostic::error(Code::VridTwice, message)
            .reason("instances of one family on one interface are told apart by the router id alone (RFC 9568 section 7.1)")
            .help("give each VIP a `virtualRouterId` of its own, 1 to 255");
        let finding = scope.at(finding, &router_place(scope, place), "again");
        report.push(scope.also(finding, &router_place(scope, first), "first"));
    }
}

fn keepalived(scope: &Scope<'_>, vips: &[(String, &Vip)], report: &mut Report) {
    if scope.cluster.load_balancer.vips.is_empty() && scope.sound(&["loadBalancer.vip", "loadBalancer.vips"])
    {
        let finding =
            Diagnostic::error(Code::VipMissing, "`loadBalancer.mode` is keepalived and there is no VIP")
                .reason("keepalived moves an address between the balancers, and it needs one")
                .help(match scope.with_role(Role::ControlPlane).len() {
                    1 => "set `loadBalancer.vip`, such as 192.0.2.10/24, or `loadBalancer.mode: none`",
                    _ => "set `loadBalancer.vip`, such as 192.0.2.10/24, or `loadBalancer.mode: external` if a balancer of yours leads to the API",
                });
        // Where nothing is said of balancers, the cluster itself is the place.
        let finding = scope.at(finding, "loadBalancer.mode", "");
        report.push(if finding.primary.is_none() { scope.at(finding, "cluster", "") } else { finding });
    }
    if !scope.roles_sound() {
        return;
    }
    for host in scope.with_role(Role::LoadBalancer) {
        for (place, vip) in vips {
            subnet(scope, host, place, vip, report);
            interface(scope, host, place, vip, report);
        }
    }
}

fn subnet(scope: &Scope<'_>, host: &Host, place: &str, vip: &Vip, report: &mut Report) {
    if !scope.sound(&[&path(host, "address")]) {
        return;
    }
    let family = Family::of(vip.address.addr());
    let of_family: Vec<IpAddr> =
        host.addresses.cluster.iter().copied().filter(|ip| Family::of(*ip) == family).collect();
    if of_family.iter().any(|ip| vip.address.contains(ip)) {
        return;
    }
    let net = vip.address.trunc();
    let (message, text) = match of_family.first() {
        Some(ip) => {
            (format!("balancer `{}` is at {ip}, outside the VIP's subnet {net}", host.name), ip.to_string())
        }
        None => (
            format!(
                "balancer `{}` has no address of the family of the VIP {}",
                host.name,
                vip.address.addr()
            ),
            "no address of that family".to_owned(),
        ),
    };
    let alone = vip.address.prefix_len() == vip.address.max_prefix_len();
    let finding = Diagnostic::error(Code::BalancerOutsideVip, message)
        .reason("VRRP speaks on one link, and other hosts look for the VIP there; a balancer on another network cannot hold it")
        .help(if alone {
            format!("write the prefix length of the balancers' network behind the VIP, not /{}", vip.address.prefix_len())
        } else {
            "choose a VIP in the balancers' network, correct its prefix length, or move the balancer".to_owned()
        });
    let finding = scope.at(finding, &path(host, "address"), text);
    report.push(scope.also(finding, place, net.to_string()));
}

fn interface(scope: &Scope<'_>, host: &Host, place: &str, vip: &Vip, report: &mut Report) {
    if vip.interface.is_some() || host.interface.is_some() {
        return;
    }
    let stem = place.strip_suffix("address").map(|stem| format!("{stem}interface"));
    let paths = [stem.unwrap_or_default(), "loadBalancer.interface".to_owned(), path(host, "interface")];
    if !paths.iter().all(|path| scope.sound(&[path])) {
        return;
    }
    let message =
        format!("the interface for the VIP {} on balancer `{}` is not known", vip.address.addr(), host.name);
    let finding = Diagnostic::error(Code::VipInterface, message)
        .reason("keepalived adds the VIP to a named interface, and khagen cannot look at the host")
        .help("set `loadBalancer.interface`, or the host's `interface`, to the name that `ip -br address` shows");
    let finding = scope.at(finding, &own(host), "");
    report.push(scope.also(finding, place, ""));
}

fn unused(scope: &Scope<'_>, vips: &[(String, &Vip)], report: &mut Report) {
    for (place, vip) in vips {
        let message = format!("`loadBalancer.mode` is none, and there is a VIP, {}", vip.address.addr());
        let finding = Diagnostic::error(Code::VipUnused, message)
            .reason("nothing would serve the VIP")
            .help("remove the VIP, or set `loadBalancer.mode` to keepalived or external");
        let finding = scope.at(finding, place, "");
        report.push(scope.also(finding, "loadBalancer.mode", "none"));
    }
}

/// The endpoint goes into certificates and every kubeconfig; it must be where something listens.
fn endpoint(scope: &Scope<'_>, vips: &[(String, &Vip)], report: &mut Report) {
    if !scope.sound(&[ENDPOINT]) {
        return;
    }
    let cluster = scope.cluster;
    let endpoint = &cluster.kubernetes.endpoint;
    let mode = cluster.load_balancer.mode;
    let (listens, port_place, who) = match mode {
        LoadBalancerMode::Keepalived => {
            (cluster.load_balancer.port, "loadBalancer.port", "the balancers listen")
        }
        LoadBalancerMode::None => {
            (cluster.kubernetes.bind_port, "kubernetes.apiServer.bindPort", "the API server listens")
        }
        // Somebody else's balancer may translate the port.
        LoadBalancerMode::External => (endpoint.port, ENDPOINT, ""),
    };
    if endpoint.port != listens && scope.sound(&[port_place]) {
        let message = format!("controlPlaneEndpoint uses port {}, and {who} on {listens}", endpoint.port);
        let finding = Diagnostic::error(Code::EndpointPort, message)
            .reason("every kubeconfig and every joining host connects to controlPlaneEndpoint")
            .help(format!("write port {listens} in controlPlaneEndpoint, or change the other one"));
        let finding = scope.at(finding, ENDPOINT, format!("port {}", endpoint.port));
        report.push(scope.also(finding, port_place, format!("port {listens}")));
    }
    let Some(ip) = endpoint.ip() else { return };
    let (served, what) = match mode {
        LoadBalancerMode::None => {
            let ours = scope.with_role(Role::ControlPlane);
            if !scope.roles_sound() || ours.iter().any(|host| !scope.sound(&[&path(host, "address")])) {
                return;
            }
            (
                ours.iter().flat_map(|host| host.addresses.cluster.clone()).collect(),
                "the control plane's address",
            )
        }
        LoadBalancerMode::Keepalived | LoadBalancerMode::External => {
            // A VIP that could not be read, or none for somebody else's balancer, says nothing.
            if vips.is_empty() || vips.len() != cluster.load_balancer.vips.len() {
                return;
            }
            (vips.iter().map(|(_, vip)| vip.address.addr()).collect::<Vec<_>>(), "a VIP")
        }
    };
    if served.contains(&ip) {
        return;
    }
    let expected = served.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
    let message = format!("controlPlaneEndpoint is {ip}, which is not {what}: {expected}");
    let finding = Diagnostic::error(Code::EndpointNotVip, message)
        .reason(format!("in mode {} nothing of this cluster answers at another address", mode_word(mode)))
        .help(format!("write {expected}, or a name that leads there"));
    let finding = scope.at(finding, ENDPOINT, "");
    report.push(match vips.first() {
        Some((place, _)) => scope.also(finding, place, "the VIP"),
        None => finding,
    });
}
