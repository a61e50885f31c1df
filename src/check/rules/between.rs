//! Rules between the clusters of one inventory, which share an address space.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::identity::used;
use super::{Scope, balancers, own, path};
use crate::diag::{Code, Diagnostic, Report};
use crate::model::{Family, LoadBalancerMode};

/// What holds an address: a host, or a VIP by its number.
enum Holder<'a> {
    Host(&'a str, String),
    Vip(String),
}

pub(super) fn check(scopes: &[Scope<'_>], report: &mut Report) {
    names(scopes, report);
    fqdns(scopes, report);
    addresses(scopes, report);
    routers(scopes, report);
}

fn names(scopes: &[Scope<'_>], report: &mut Report) {
    let mut seen: BTreeMap<&str, &Scope<'_>> = BTreeMap::new();
    for scope in scopes.iter().filter(|scope| scope.sound(&["cluster.name"])) {
        let name = &scope.cluster.name;
        let Some(first) = seen.insert(name, scope) else { continue };
        let finding = Diagnostic::warning(Code::ClusterNameTwice, format!("two clusters are named `{name}`"))
            .reason(
                "the admin kubeconfigs have the same cluster and context names, so merging them loses one",
            )
            .help("give one of the clusters another `cluster.name`");
        report.push(join(scope, finding, "cluster.name", first, "cluster.name"));
    }
}

fn fqdns(scopes: &[Scope<'_>], report: &mut Report) {
    let mut seen: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    for (number, scope) in scopes.iter().enumerate() {
        for host in scope.machines().into_iter().filter(|host| scope.sound(&[&path(host, "domain")])) {
            let Some((first, _)) = seen.insert(&host.fqdn, (number, &host.name)) else { continue };
            if first == number {
                continue;
            }
            let message = format!("host `{}` is in two clusters{}", host.fqdn, both(&scopes[first], scope));
            let finding = Diagnostic::error(Code::FqdnInTwoClusters, message)
                .reason("a machine runs one kubelet and one etcd, and a bundle belongs to one cluster")
                .help("remove it from one of the clusters, or rename it");
            let place = own(host);
            report.push(join(scope, finding, &place, &scopes[first], &place));
        }
    }
}

fn addresses(scopes: &[Scope<'_>], report: &mut Report) {
    let mut seen: BTreeMap<IpAddr, (usize, Holder<'_>)> = BTreeMap::new();
    for (number, scope) in scopes.iter().enumerate() {
        let mut mine: Vec<(IpAddr, Holder<'_>)> = Vec::new();
        for host in scope.machines() {
            mine.extend(
                used(scope, host)
                    .into_iter()
                    .map(|(key, ip)| (ip, Holder::Host(&host.fqdn, path(host, key)))),
            );
        }
        mine.extend(
            balancers::vips(scope).into_iter().map(|(place, vip)| (vip.address.addr(), Holder::Vip(place))),
        );
        for (ip, holder) in mine {
            let Some((first, before)) = seen.get(&ip) else {
                seen.insert(ip, (number, holder));
                continue;
            };
            // The same machine in two clusters is said once, by its name.
            let same_machine =
                matches!((before, &holder), (Holder::Host(a, _), Holder::Host(b, _)) if a == b);
            if *first == number || same_machine {
                continue;
            }
            report.push(twice(ip, (&scopes[*first], before), (scope, &holder)));
        }
    }
}

fn twice(ip: IpAddr, before: (&Scope<'_>, &Holder<'_>), again: (&Scope<'_>, &Holder<'_>)) -> Diagnostic {
    let say = |holder: &Holder<'_>| match holder {
        Holder::Host(name, _) => format!("host `{name}`"),
        Holder::Vip(_) => "a VIP".to_owned(),
    };
    let place = |holder: &Holder<'_>| match holder {
        Holder::Host(_, place) | Holder::Vip(place) => place.clone(),
    };
    let both_vips = matches!((before.1, again.1), (Holder::Vip(_), Holder::Vip(_)));
    let code = if both_vips { Code::VipInTwoClusters } else { Code::AddressInTwoClusters };
    let message = format!(
        "{ip} is the address of {} and of {} in two clusters{}",
        say(before.1),
        say(again.1),
        both(before.0, again.0)
    );
    let finding = Diagnostic::error(code, message)
        .reason("the clusters of one inventory share a network, where an address leads to one machine")
        .help("change one of them; clusters on networks that do not meet belong in inventories of their own");
    join(again.0, finding, &place(again.1), before.0, &place(before.1))
}

/// The number of the cluster, the place of the VIP, its network.
type Router = (usize, String, ipnet::IpNet);

/// VRRP tells instances apart by the virtual router id alone (RFC 9568 section 7.1), per network and family.
fn routers(scopes: &[Scope<'_>], report: &mut Report) {
    let mut seen: BTreeMap<(u8, Family), Vec<Router>> = BTreeMap::new();
    for (number, scope) in scopes.iter().enumerate() {
        if scope.cluster.load_balancer.mode != LoadBalancerMode::Keepalived {
            continue;
        }
        for (place, vip) in balancers::vips(scope) {
            let id = vip.virtual_router_id;
            let net = vip.address.trunc();
            let others = seen.entry((id, Family::of(vip.address.addr()))).or_default();
            let clash = others
                .iter()
                .find(|(first, _, other)| *first != number && (other.contains(&net) || net.contains(other)));
            if let Some((first, before, _)) = clash {
                let message =
                    format!("two clusters use virtualRouterId {id} on {net}{}", both(&scopes[*first], scope));
                let finding = Diagnostic::error(Code::VridInTwoClusters, message)
                    .reason("VRRP tells the routers of a network apart by this id alone; an advert that is sent to all of them, or a virtual MAC address, reaches the other cluster's")
                    .help("give each VIP on the network a `virtualRouterId` of its own, 1 to 255");
                let here = balancers::router_place(scope, &place);
                let there = balancers::router_place(&scopes[*first], before);
                report.push(join(scope, finding, &here, &scopes[*first], &there));
            }
            others.push((number, place, net));
        }
    }
}

/// The two folders, where they have names.
fn both(first: &Scope<'_>, again: &Scope<'_>) -> String {
    match (&first.cluster.folder, &again.cluster.folder) {
        (Some(a), Some(b)) => format!(", `{a}` and `{b}`"),
        _ => String::new(),
    }
}

fn join(again: &Scope<'_>, finding: Diagnostic, here: &str, first: &Scope<'_>, there: &str) -> Diagnostic {
    first.also(again.at(finding, here, "again here"), there, "first here")
}
