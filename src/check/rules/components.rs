//! `extraArgs` of the control plane: flags that belong to one host, to kubeadm, or that break joining.

use std::net::IpAddr;

use super::{Scope, variables};
use crate::diag::{Code, Diagnostic, Report};
use crate::model::{ControlPlaneComponent, KubeadmApi, Role};

/// Flags that kubeadm derives, and the setting that decides them. Overriding one makes it disagree with the rest.
const API_SERVER: [(&str, &str); 18] = [
    ("allow-privileged", ""),
    ("client-ca-file", ""),
    ("enable-bootstrap-token-auth", ""),
    ("etcd-cafile", "etcd"),
    ("etcd-certfile", "etcd"),
    ("etcd-keyfile", "etcd"),
    ("etcd-servers", "etcd"),
    ("kubelet-client-certificate", ""),
    ("kubelet-client-key", ""),
    ("proxy-client-cert-file", ""),
    ("proxy-client-key-file", ""),
    ("requestheader-allowed-names", ""),
    ("requestheader-client-ca-file", ""),
    ("secure-port", "kubernetes.apiServer.bindPort"),
    ("service-account-signing-key-file", ""),
    ("service-cluster-ip-range", "kubernetes.networking.serviceSubnet"),
    ("tls-cert-file", ""),
    ("tls-private-key-file", ""),
];
const CONTROLLER_MANAGER: [(&str, &str); 13] = [
    ("authentication-kubeconfig", ""),
    ("authorization-kubeconfig", ""),
    ("client-ca-file", ""),
    ("cluster-cidr", "kubernetes.networking.podSubnet"),
    ("cluster-name", "cluster.name"),
    ("cluster-signing-cert-file", ""),
    ("cluster-signing-key-file", ""),
    ("kubeconfig", ""),
    ("requestheader-client-ca-file", ""),
    ("root-ca-file", ""),
    ("service-account-private-key-file", ""),
    ("service-cluster-ip-range", "kubernetes.networking.serviceSubnet"),
    ("use-service-account-credentials", ""),
];
const SCHEDULER: [(&str, &str); 3] =
    [("authentication-kubeconfig", ""), ("authorization-kubeconfig", ""), ("kubeconfig", "")];

pub(super) fn check(scope: &Scope<'_>, report: &mut Report) {
    let kubernetes = &scope.cluster.kubernetes;
    for (key, component, owned) in [
        ("apiServer", &kubernetes.api_server, API_SERVER.as_slice()),
        ("controllerManager", &kubernetes.controller_manager, CONTROLLER_MANAGER.as_slice()),
        ("scheduler", &kubernetes.scheduler, SCHEDULER.as_slice()),
    ] {
        let stem = format!("kubernetes.{key}");
        old_api(scope, component, &stem, report);
        variables::check(scope, &component.extra_envs, &stem, report);
        for (name, value) in &component.extra_args {
            let place = format!("{stem}.extraArgs.{name}");
            if !scope.sound(&[&place]) {
                continue;
            }
            taken(scope, owned, name, &place, report);
            per_host(scope, name, value, &place, report);
            if name == "leader-elect" && value == "false" {
                leader(scope, key, &place, report);
            }
        }
    }
    controllers(scope, report);
    authorization(scope, report);
    admission(scope, report);
}

/// The last value of a flag, with its place.
fn argument<'a>(component: &'a ControlPlaneComponent, key: &str, name: &str) -> Option<(&'a str, String)> {
    let (_, value) = component.extra_args.iter().rev().find(|(flag, _)| flag == name)?;
    Some((value, format!("kubernetes.{key}.extraArgs.{name}")))
}

/// v1beta3 has maps for arguments and no `extraEnvs`.
fn old_api(scope: &Scope<'_>, component: &ControlPlaneComponent, stem: &str, report: &mut Report) {
    let version = scope.cluster.kubernetes.version;
    if version.kubeadm_api() != KubeadmApi::V1Beta3 || !scope.sound(&["kubernetes.version"]) {
        return;
    }
    let repeated = component.extra_args.windows(2).find(|pair| pair[0].0 == pair[1].0);
    if let Some([(name, _), _]) = repeated {
        let message = format!("`{name}` is given more than once, which kubeadm {version} cannot write");
        let finding = Diagnostic::error(Code::RepeatedArgument, message)
            .reason("its API v1beta3 holds extraArgs in a map; repeated flags came with v1beta4 in 1.31")
            .help("give the flag one value, joined by commas where it takes a list, or use Kubernetes 1.31 or newer");
        let finding = scope.at(finding, &format!("{stem}.extraArgs.{name}"), "");
        report.push(scope.also(finding, "kubernetes.version", "v1beta3"));
    }
    if !component.extra_envs.is_empty() {
        report.push(needs_v1beta4(scope, "extraEnvs", &format!("{stem}.extraEnvs")));
    }
}

/// A field that v1beta3 does not have.
pub(super) fn needs_v1beta4(scope: &Scope<'_>, field: &str, place: &str) -> Diagnostic {
    let version = scope.cluster.kubernetes.version;
    let finding =
        Diagnostic::error(Code::NeedsV1Beta4, format!("kubeadm {version} has no `{field}`"))
            .reason("the field came with kubeadm's API v1beta4, which works from 1.31 on; an older kubeadm would drop it silently")
            .help("remove it, or use Kubernetes 1.31 or newer");
    let finding = scope.at(finding, place, "v1beta4");
    scope.also(finding, "kubernetes.version", "v1beta3")
}

fn taken(scope: &Scope<'_>, owned: &[(&str, &str)], name: &str, place: &str, report: &mut Report) {
    let Some((_, setting)) = owned.iter().find(|(flag, _)| *flag == name) else { return };
    let finding = Diagnostic::error(Code::OwnedFlag, format!("`{name}` is derived and cannot be given in extraArgs"))
        .reason("kubeadm sets it from the cluster's own settings, and another value would disagree with certificates, files or the other components")
        .help(if setting.is_empty() { "remove it".to_owned() } else { format!("remove it; `{setting}` decides it") });
    report.push(scope.at(finding, place, ""));
}

/// ClusterConfiguration is one for all control planes (kubernetes/kubeadm issues 2072 and 3175).
fn per_host(scope: &Scope<'_>, name: &str, value: &str, place: &str, report: &mut Report) {
    let one_host = match name {
        "advertise-address" | "external-hostname" | "hostname-override" | "node-ip" => true,
        // A wildcard or loopback address means the same on every host.
        "bind-address" => value.parse::<IpAddr>().is_ok_and(|ip| !ip.is_unspecified() && !ip.is_loopback()),
        _ => false,
    };
    if !one_host {
        return;
    }
    let message = format!("`{name}: {value}` belongs to one host, and extraArgs go to every control plane");
    let finding = Diagnostic::error(Code::PerHostFlag, message)
        .reason("the other control planes would be given an address or name that is not theirs, and fail")
        .help("remove it; khagen gives every host its own address");
    report.push(scope.at(finding, place, ""));
}

fn leader(scope: &Scope<'_>, key: &str, place: &str, report: &mut Report) {
    let n = scope.with_role(Role::ControlPlane).len();
    if n < 2 || !scope.roles_sound() {
        return;
    }
    let message = format!("`leader-elect: false` with {n} control planes");
    let finding = Diagnostic::error(Code::LeaderElection, message)
        .reason(format!("every copy of the {key} would act at the same time, each against the others"))
        .help("remove it");
    report.push(scope.at(finding, place, ""));
}

fn controllers(scope: &Scope<'_>, report: &mut Report) {
    let component = &scope.cluster.kubernetes.controller_manager;
    let Some((value, place)) = argument(component, "controllerManager", "controllers") else { return };
    let listed: Vec<&str> = value.split(',').map(str::trim).collect();
    // Both are off unless they are named (the controller manager's ControllersDisabledByDefault).
    let missing: Vec<&str> =
        ["bootstrapsigner", "tokencleaner"].into_iter().filter(|name| !listed.contains(name)).collect();
    if missing.is_empty() || !scope.sound(&[&place]) {
        return;
    }
    let message = format!("`controllers: {value}` leaves out {}", super::named(missing.iter().copied()));
    let finding = Diagnostic::error(Code::ControllersWithoutTokens, message)
        .reason("`*` does not include them; without bootstrapsigner no host can join by token, without tokencleaner expired tokens stay")
        .help(format!("write `{value},{}`", missing.join(",")));
    report.push(scope.at(finding, &place, ""));
}

fn authorization(scope: &Scope<'_>, report: &mut Report) {
    let component = &scope.cluster.kubernetes.api_server;
    let Some((value, place)) = argument(component, "apiServer", "authorization-mode") else { return };
    let listed: Vec<&str> = value.split(',').map(str::trim).collect();
    let missing: Vec<&str> = ["Node", "RBAC"].into_iter().filter(|mode| !listed.contains(mode)).collect();
    if missing.is_empty() || !scope.sound(&[&place]) {
        return;
    }
    let message =
        format!("`authorization-mode: {value}` leaves out {}", super::named(missing.iter().copied()));
    let finding = Diagnostic::error(Code::AuthorizationMode, message)
        .reason(
            "kubelets are authorized by Node and everything kubeadm sets up by RBAC, so hosts could not join",
        )
        .help(format!("write `{},{value}`", missing.join(",")));
    report.push(scope.at(finding, &place, ""));
}

fn admission(scope: &Scope<'_>, report: &mut Report) {
    let component = &scope.cluster.kubernetes.api_server;
    let Some((value, place)) = argument(component, "apiServer", "enable-admission-plugins") else { return };
    if value.split(',').any(|plugin| plugin.trim() == "NodeRestriction") || !scope.sound(&[&place]) {
        return;
    }
    let message = format!("`enable-admission-plugins: {value}` leaves out `NodeRestriction`");
    let finding = Diagnostic::warning(Code::AdmissionPlugins, message)
        .reason("it replaces kubeadm's value, and without NodeRestriction a kubelet may change other nodes and their pods")
        .help(format!("write `NodeRestriction,{value}`"));
    report.push(scope.at(finding, &place, ""));
}
