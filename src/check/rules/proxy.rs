//! kube-proxy against its version and against what else is set.
//!
//! The network plugin is no part of an inventory, so that nothing here asks whether it replaces kube-proxy: only what the
//! inventory says twice, and differently, is found.

use super::Scope;
use crate::diag::{Code, Diagnostic, Report};
use crate::model::KubeProxyMode;
use crate::model::releases::{self, KubernetesMinor, Nftables};
use crate::value::Value;

const VERSION: &str = "kubernetes.version";
const MODE: &str = "kubernetes.kubeProxy.mode";
const CONFIG: &str = "kubernetes.kubeProxy.config";
const MANAGER: &str = "kubernetes.controllerManager.extraArgs";
const PHASES: &str = "kubernetes.skipPhases.init";

pub(super) fn check(scope: &Scope<'_>, report: &mut Report) {
    if !scope.sound(&[MODE]) {
        return;
    }
    if let Some(known) = releases::kubernetes(scope.cluster.kubernetes.version)
        && scope.sound(&[VERSION])
    {
        mode(scope, known, report);
    }
    left_out(scope, report);
    node_ranges(scope, report);
}

/// A kube-proxy that is configured and not installed.
fn left_out(scope: &Scope<'_>, report: &mut Report) {
    let k = &scope.cluster.kubernetes;
    let skipped =
        k.skip_init_phases.iter().find(|phase| ["addon", "addon/kube-proxy"].contains(&phase.as_str()));
    let (Some(phase), true) = (skipped, scope.sound(&[PHASES])) else { return };
    if k.kube_proxy_mode == KubeProxyMode::None {
        return;
    }
    let mode = k.kube_proxy_mode.as_str();
    let message = format!("kube-proxy's mode is {mode}, and `kubeadm init` leaves out `{phase}`");
    let finding = Diagnostic::warning(Code::ProxyContradiction, message)
        .reason("no kube-proxy is installed, and until something else routes services, pods do not reach the API servers or DNS")
        .help("set `kubeProxy.mode: none` where the network plugin routes services, or leave the phase in");
    let finding = scope.at(finding, PHASES, "");
    report.push(if scope.places.is_written(MODE) { scope.also(finding, MODE, mode) } else { finding });
}

/// In NodeCIDR mode kube-proxy waits for its node's range and gives up (NewNodeManager in pkg/proxy/node.go).
fn node_ranges(scope: &Scope<'_>, report: &mut Report) {
    let k = &scope.cluster.kubernetes;
    let flag = format!("{MANAGER}.allocate-node-cidrs");
    let field = format!("{CONFIG}.detectLocalMode");
    let allocates = |(name, value): &(String, String)| name == "allocate-node-cidrs" && value == "false";
    let waits =
        matches!(k.kube_proxy_config.get("detectLocalMode"), Some(Value::Text(mode)) if mode == "NodeCIDR");
    if !waits || !k.controller_manager.extra_args.iter().any(allocates) || !scope.sound(&[&flag, &field]) {
        return;
    }
    let finding = Diagnostic::warning(
        Code::ProxyContradiction,
        "kube-proxy tells pods by their node's range, and the controller manager gives nodes none",
    )
    .reason("with `detectLocalMode: NodeCIDR` kube-proxy waits five minutes for the node's podCIDR and ends, again and again; few network plugins set it")
    .help("set `detectLocalMode` to ClusterCIDR, BridgeInterface or InterfaceNamePrefix, as the network plugin says");
    let finding = scope.at(finding, &field, "waits for a range");
    report.push(scope.also(finding, &flag, "and none is given out"));
}

fn mode(scope: &Scope<'_>, known: &KubernetesMinor, report: &mut Report) {
    let minor = known.minor;
    let finding = match (scope.cluster.kubernetes.kube_proxy_mode, known.nftables) {
        (KubeProxyMode::Nftables, Nftables::Absent | Nftables::Alpha) => Diagnostic::error(
            Code::ProxyModeUnavailable,
            format!("kube-proxy of 1.{minor} has no mode nftables"),
        )
        .reason(if known.nftables == Nftables::Alpha {
            "the mode is alpha there and its feature gate is off, so kube-proxy does not start"
        } else {
            "kube-proxy does not start with a mode that it does not know"
        })
        .help("set `kubeProxy.mode: iptables`, or use Kubernetes 1.33 or newer"),
        (KubeProxyMode::Nftables, Nftables::Beta) => Diagnostic::warning(
            Code::ProxyModeBeta,
            format!("kube-proxy's mode nftables is beta in 1.{minor}"),
        )
        .reason("it is generally available from 1.33 on")
        .help("set `kubeProxy.mode: iptables`, or use Kubernetes 1.33 or newer"),
        (KubeProxyMode::Ipvs, _) if known.ipvs_deprecated => Diagnostic::warning(
            Code::ProxyModeDeprecated,
            format!("kube-proxy's mode ipvs is deprecated in 1.{minor}"),
        )
        .reason("it is deprecated since 1.35 and will be removed (KEP-5495)")
        .help("set `kubeProxy.mode: nftables`"),
        _ => return,
    };
    let finding = scope.at(finding, MODE, "");
    report.push(scope.also(finding, VERSION, format!("1.{minor}")));
}
