//! Settings that nothing reads, given what else is set: whoever wrote them expects something that will not happen.
//!
//! Only what is written is judged, never a default, and only where the reader of the setting is known to pass over it.

use super::{Scope, named, path};
use crate::diag::{Code, Diagnostic, Report};
use crate::model::{Host, KubeProxyMode, LoadBalancerMode, Role};

/// Of NodeRegistrationOptions, the kubelet and node labels.
const OF_NODES: [&str; 8] = [
    "labels",
    "taints",
    "kubelet",
    "kubeletExtraArgs",
    "ignorePreflightErrors",
    "imagePullPolicy",
    "imagePullSerial",
    "patches",
];

pub(super) fn check(scope: &Scope<'_>, report: &mut Report) {
    balancers(scope, report);
    dns(scope, report);
    token(scope, report);
    proxy_sections(scope, report);
    if scope.roles_sound() {
        nodes(scope, report);
    }
}

fn say(scope: &Scope<'_>, place: &str, because: (&str, &str), reason: &str, help: &str, report: &mut Report) {
    let (why, setting) = because;
    if !scope.places.is_written(place) || !scope.sound(&[place, setting]) {
        return;
    }
    let finding = Diagnostic::warning(Code::NoEffect, format!("`{place}` has no effect: {why}"))
        .reason(reason)
        .help(help);
    let finding = scope.at(finding, place, "");
    report.push(if scope.places.is_written(setting) { scope.also(finding, setting, "") } else { finding });
}

fn balancers(scope: &Scope<'_>, report: &mut Report) {
    let (why, port) = match scope.cluster.load_balancer.mode {
        LoadBalancerMode::Keepalived => return,
        LoadBalancerMode::External => ("somebody else serves the endpoint", false),
        LoadBalancerMode::None => ("there is no balancer", true),
    };
    for key in ["port", "virtualRouterId", "interface", "connectTimeout", "idleTimeout", "auth"] {
        // Of an external balancer the port is the endpoint's default.
        if key != "port" || port {
            say(
                scope,
                &format!("loadBalancer.{key}"),
                (why, "loadBalancer.mode"),
                "it is a setting of nginx and keepalived on balancers of this cluster, which khagen sets up in mode keepalived only",
                "remove it, or set `loadBalancer.mode: keepalived`",
                report,
            );
        }
    }
}

/// Where the phase alone is left out, kubeadm's preflight pulls the image all the same.
fn dns(scope: &Scope<'_>, report: &mut Report) {
    let disabled = "kubernetes.dns.disabled";
    if !scope.cluster.kubernetes.dns.disabled {
        return;
    }
    for key in ["imageRepository", "imageTag"] {
        say(
            scope,
            &format!("kubernetes.dns.{key}"),
            ("`dns.disabled` is true", disabled),
            "kubeadm installs no CoreDNS that would use it",
            "remove it",
            report,
        );
    }
}

fn token(scope: &Scope<'_>, report: &mut Report) {
    if scope.cluster.is_external_ca() {
        say(
            scope,
            "kubernetes.bootstrapToken.ttl",
            ("with `pki: external-ca` there is no token", "kubernetes.pki"),
            "khagen issues the kubelets' credentials, since nobody in the cluster can sign them",
            "remove it",
            report,
        );
    }
}

/// The parts of KubeProxyConfiguration that belong to a mode (cmd/kube-proxy/app/server_linux.go, and the conversion of
/// v1alpha1). ipvs uses `iptables` too; before 1.33 nftables took a period from there.
fn proxy_sections(scope: &Scope<'_>, report: &mut Report) {
    let k = &scope.cluster.kubernetes;
    let version = "kubernetes.version";
    for (section, read) in [
        ("ipvs", k.kube_proxy_mode == KubeProxyMode::Ipvs),
        ("nftables", k.kube_proxy_mode == KubeProxyMode::Nftables),
        ("iptables", k.kube_proxy_mode != KubeProxyMode::Nftables || k.version.line() < (1, 33)),
    ] {
        // Without kube-proxy all of it is an error of its own.
        if read || k.kube_proxy_mode == KubeProxyMode::None || !scope.sound(&[version]) {
            continue;
        }
        say(
            scope,
            &format!("kubernetes.kubeProxy.config.{section}"),
            (&format!("kube-proxy's mode is {}", k.kube_proxy_mode.as_str()), "kubernetes.kubeProxy.mode"),
            "kube-proxy reads of these sections the one that is its mode's",
            &format!("remove it, or set `kubeProxy.mode: {section}`"),
            report,
        );
    }
}

/// What a kubelet or kubeadm would read, on hosts that run neither.
fn nodes(scope: &Scope<'_>, report: &mut Report) {
    for host in scope.hosts().filter(|host| !host.is_node()) {
        for key in OF_NODES {
            let place = path(host, key);
            if scope.places.stands_itself(&place) && scope.sound(&[&place]) {
                let roles = path(host, "roles");
                report.push(scope.also(on_no_node(scope, &place, [host]), &roles, ""));
            }
        }
    }
    let mut layers: Vec<(String, Vec<&Host>)> = Role::ALL
        .into_iter()
        .map(|role| (format!("roles.{}", role.as_str()), scope.with_role(role)))
        .collect();
    let mut groups: Vec<&str> = scope.hosts().filter_map(|host| host.group.as_deref()).collect();
    groups.sort_unstable();
    groups.dedup();
    layers.extend(groups.into_iter().map(|group| {
        let members = scope.hosts().filter(|host| host.group.as_deref() == Some(group)).collect();
        (format!("groups.{group}"), members)
    }));
    for (layer, members) in layers {
        if members.is_empty() || members.iter().any(|host| host.is_node()) {
            continue;
        }
        for key in OF_NODES {
            let place = format!("{layer}.{key}");
            if scope.places.stands_itself(&place) && scope.sound(&[&place]) {
                report.push(on_no_node(scope, &place, members.iter().copied()));
            }
        }
    }
}

fn on_no_node<'h>(scope: &Scope<'_>, place: &str, hosts: impl IntoIterator<Item = &'h Host>) -> Diagnostic {
    let names: Vec<&str> = hosts.into_iter().map(|host| host.name.as_str()).collect();
    let no_node = if names.len() == 1 { "is no node" } else { "are no nodes" };
    let message = format!("`{place}` has no effect: {} {no_node}", named(names.iter().copied()));
    let finding = Diagnostic::warning(Code::NoEffect, message)
        .reason("it is for the kubelet and for kubeadm, which run on control planes and workers")
        .help("remove it, or give the host a role that makes it a node");
    scope.at(finding, place, "")
}
