//! Names and addresses that must tell hosts apart.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{Scope, own, path};
use crate::diag::{Code, Diagnostic, Report};
use crate::model::{Host, LoadBalancerMode};

/// The label kubernetes.io/hostname holds the node name, and a label value ends at 63 characters.
const MAX_NODE_NAME: usize = 63;
/// RFC 5280 appendix A.1, ub-common-name.
const MAX_COMMON_NAME: usize = 64;
/// The operator's bundle lies beside the hosts'.
const OPERATOR: &str = "operator";
/// Stems under /etc/etcd/pki that are not a member's.
const ETCD_FILES: [&str; 3] = ["etcd-ca", "etcd-peer-ca", "etcd-health-client"];

pub(super) fn check(scope: &Scope<'_>, report: &mut Report) {
    names(scope, report);
    addresses(scope, report);
    logins(scope, report);
    for host in scope.hosts() {
        lengths(scope, host, report);
    }
    for host in scope.machines() {
        reserved(scope, host, report);
        endpoint(scope, host, report);
    }
    dns_domain(scope, report);
}

fn names(scope: &Scope<'_>, report: &mut Report) {
    let mut by_name: BTreeMap<&str, &Host> = BTreeMap::new();
    let mut by_node: BTreeMap<&str, &Host> = BTreeMap::new();
    let mut copies: BTreeMap<&str, usize> = BTreeMap::new();
    for host in scope.machines() {
        if let Some(first) = by_name.get(host.name.as_str()) {
            let copy = copies.entry(&host.name).or_default();
            report.push(same_name(scope, first, host, *copy));
            *copy += 1;
            continue;
        }
        by_name.insert(&host.name, host);
        let paths = ["domain", "nodeName", "roles"].map(|key| path(host, key));
        if !host.is_node() || !paths.iter().all(|path| scope.sound(&[path])) {
            continue;
        }
        if let Some(first) = by_node.insert(&host.node_name, host) {
            report.push(same_node(scope, first, host));
        }
    }
}

fn same_name(scope: &Scope<'_>, first: &Host, host: &Host, copy: usize) -> Diagnostic {
    let message = if first.fqdn == host.fqdn {
        format!("two hosts are named `{}`, both with the FQDN `{}`", host.name, host.fqdn)
    } else {
        format!("two hosts are named `{}`, with the FQDNs `{}` and `{}`", host.name, first.fqdn, host.fqdn)
    };
    let finding = Diagnostic::error(Code::DuplicateHost, message)
        .reason("the short name is a host's etcd member name and the name of its files, whatever its domain")
        .help("rename one of them, or remove the entry that is there twice");
    let again = scope.places.again(&own(host)).get(copy).copied();
    match (scope.places.at(&own(host)), again) {
        (Some(first), Some(again)) => finding.at(again, "named again here").also(first, "first named here"),
        (Some(first), None) => finding.at(first, ""),
        (None, _) => finding,
    }
}

fn same_node(scope: &Scope<'_>, first: &Host, host: &Host) -> Diagnostic {
    let name = &host.node_name;
    let message = format!("hosts `{}` and `{}` have the same node name `{name}`", first.name, host.name);
    let finding = Diagnostic::error(Code::DuplicateNodeName, message)
        .reason("a Node object has one name; `kubeadm join` refuses a name that a ready node has")
        .help("give one of them another `nodeName`");
    let finding = scope.at(finding, &path(host, "nodeName"), "again");
    scope.also(finding, &path(first, "nodeName"), "first")
}

fn addresses(scope: &Scope<'_>, report: &mut Report) {
    let mut seen: BTreeMap<IpAddr, (&Host, &str)> = BTreeMap::new();
    for host in scope.machines() {
        for (key, ip) in used(scope, host) {
            let Some((first, first_key)) = seen.get(&ip).copied() else {
                seen.insert(ip, (host, key));
                continue;
            };
            if first.name == host.name {
                continue;
            }
            let message = format!("hosts `{}` and `{}` have the same address {ip}", first.name, host.name);
            let finding = Diagnostic::error(Code::DuplicateAddress, message)
                .reason("traffic for one machine would reach the other, and each answers with a certificate of its own")
                .help(format!("give `{}` an address of its own", host.name));
            let finding = scope.at(finding, &path(host, key), format!("{ip} again"));
            report.push(scope.also(finding, &path(first, first_key), format!("{ip} first")));
        }
    }
}

/// The addresses of a host that could be read, each with its path.
pub(super) fn used<'a>(scope: &Scope<'a>, host: &'a Host) -> Vec<(&'static str, IpAddr)> {
    let mut all = Vec::new();
    if scope.sound(&[&path(host, "address")]) {
        all.extend(host.addresses.cluster.iter().map(|ip| ("address", *ip)));
    }
    if scope.sound(&[&path(host, "addresses")]) {
        all.extend(host.addresses.etcd_peer.map(|ip| ("addresses.etcdPeer", ip)));
    }
    all
}

fn logins(scope: &Scope<'_>, report: &mut Report) {
    let mut seen: BTreeMap<(&str, u16), &Host> = BTreeMap::new();
    for host in scope.machines() {
        if !["ssh", "address", "addresses"].iter().all(|key| scope.sound(&[&path(host, key)])) {
            continue;
        }
        let Some(first) = seen.insert((&host.ssh.address, host.ssh.port), host) else { continue };
        // A default login is the host's address, which has its own rule.
        let places = [host, first].map(|host| login_place(scope, host));
        if first.name == host.name || places.iter().all(Option::is_none) {
            continue;
        }
        let login = format!("{} port {}", host.ssh.address, host.ssh.port);
        let message =
            format!("hosts `{}` and `{}` are reached by the same login, {login}", first.name, host.name);
        let finding = Diagnostic::error(Code::DuplicateLogin, message)
            .reason("both bundles would be copied to one machine")
            .help("correct `ssh.address` or `ssh.port` of one of them");
        let [again, first] = [(&places[0], host), (&places[1], first)]
            .map(|(written, host)| written.clone().unwrap_or_else(|| path(host, "address")));
        let finding = scope.at(finding, &again, "again here");
        report.push(scope.also(finding, &first, "first here"));
    }
}

/// Where the login's address is written, in either of its two ways.
fn login_place(scope: &Scope<'_>, host: &Host) -> Option<String> {
    ["ssh.address", "addresses.ssh"]
        .map(|key| path(host, key))
        .into_iter()
        .find(|path| scope.places.is_written(path))
}

fn lengths(scope: &Scope<'_>, host: &Host, report: &mut Report) {
    if !host.is_node()
        || !scope.sound(&[
            &path(host, "nodeName"),
            &path(host, "roles"),
            "cluster.nodeName",
            "cluster.domain",
        ])
    {
        return;
    }
    let length = host.node_name.chars().count();
    let identity = format!("system:node:{}", host.node_name);
    let (code, message, reason) = if length > MAX_NODE_NAME {
        (
            Code::NodeNameTooLong,
            format!(
                "the node name `{}` has {length} characters, {MAX_NODE_NAME} are allowed",
                host.node_name
            ),
            "the kubelet puts it into the label kubernetes.io/hostname, and a label's value ends at 63 characters",
        )
    } else if identity.chars().count() > MAX_COMMON_NAME {
        (
            Code::ClientNameTooLong,
            format!(
                "the client name `{identity}` has {} characters, {MAX_COMMON_NAME} are allowed",
                identity.chars().count()
            ),
            "a client certificate carries its user in the common name, which ends at 64 characters (RFC 5280, ub-common-name)",
        )
    } else {
        return;
    };
    let most = MAX_COMMON_NAME - "system:node:".len();
    let finding = Diagnostic::error(code, message).reason(reason).help(if host.node_name == host.fqdn {
        format!("set `cluster.nodeName: short`, or give the host a `nodeName` of at most {most} characters")
    } else {
        format!("give the host a `nodeName` of at most {most} characters")
    });
    report.push(scope.at(finding, &path(host, "nodeName"), format!("{length} characters")));
}

fn reserved(scope: &Scope<'_>, host: &Host, report: &mut Report) {
    if host.fqdn == OPERATOR {
        let finding = Diagnostic::error(Code::ReservedHostName, "a host's FQDN cannot be `operator`")
            .reason("the operator's own bundle has that name in the output")
            .help("set `cluster.domain`, or rename the host");
        report.push(scope.at(finding, &own(host), ""));
    }
    if host.has(crate::model::Role::Etcd) && ETCD_FILES.contains(&host.name.as_str()) {
        let message = format!("an etcd member cannot be named `{}`", host.name);
        let finding = Diagnostic::error(Code::ReservedHostName, message)
            .reason(format!(
                "its certificate /etc/etcd/pki/{}.crt would replace another file of that name",
                host.name
            ))
            .help("rename the host");
        report.push(scope.at(finding, &own(host), ""));
    }
}

/// A balanced endpoint that is also a host's name leads to that host alone wherever /etc/hosts or DNS answers for it.
fn endpoint(scope: &Scope<'_>, host: &Host, report: &mut Report) {
    let cluster = scope.cluster;
    let name = &cluster.kubernetes.endpoint.host;
    let taken = *name == host.fqdn || *name == host.name;
    if !taken
        || cluster.load_balancer.mode != LoadBalancerMode::Keepalived
        || !scope.sound(&["kubernetes.controlPlaneEndpoint", "loadBalancer.mode", &path(host, "domain")])
    {
        return;
    }
    let message = format!("controlPlaneEndpoint `{name}` is the name of host `{}`", host.name);
    let finding = Diagnostic::error(Code::EndpointIsHost, message)
        .reason("the name must lead to the VIP, and the host's name leads to the host")
        .help("give the endpoint a name that no host has");
    let finding = scope.at(finding, "kubernetes.controlPlaneEndpoint", "the endpoint's name");
    report.push(scope.also(finding, &own(host), "also a host"));
}

/// CoreDNS answers for all of dnsDomain and never asks another server about it.
fn dns_domain(scope: &Scope<'_>, report: &mut Report) {
    let cluster = scope.cluster;
    let dns = &cluster.kubernetes.dns_domain;
    if !scope.sound(&["kubernetes.networking.dnsDomain", "cluster.domain", "kubernetes.controlPlaneEndpoint"])
    {
        return;
    }
    let within =
        |name: &str| name == dns || name.strip_suffix(dns.as_str()).is_some_and(|rest| rest.ends_with('.'));
    let endpoint = &cluster.kubernetes.endpoint.host;
    let (what, other, at) = if within(&cluster.domain) {
        ("cluster.domain", &cluster.domain, "cluster.domain")
    } else if within(endpoint) {
        ("controlPlaneEndpoint", endpoint, "kubernetes.controlPlaneEndpoint")
    } else {
        return;
    };
    let message = format!("{what} `{other}` lies within networking.dnsDomain `{dns}`");
    let finding = Diagnostic::warning(Code::DnsDomainOverlap, message)
        .reason("CoreDNS answers for all of dnsDomain itself, so pods would not find the hosts by name")
        .help("choose a dnsDomain that no host's name lies within, such as `cluster.local`");
    let finding = scope.at(finding, "kubernetes.networking.dnsDomain", "served by CoreDNS alone");
    report.push(scope.also(finding, at, "served by your own DNS"));
}
