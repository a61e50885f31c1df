//! The rest of what kubeadm refuses or drops: gates, timeouts, tokens, ignored preflight checks.

use super::components::needs_v1beta4;
use super::{Scope, path};
use crate::diag::{Code, Diagnostic, Report};
use crate::model::{KubeadmApi, releases};

/// v1beta4's Timeouts.
const TIMEOUTS: [&str; 7] = [
    "controlPlaneComponentHealthCheck",
    "discovery",
    "etcdAPICall",
    "kubeletHealthCheck",
    "kubernetesAPICall",
    "tlsBootstrap",
    "upgradeManifests",
];

pub(super) fn check(scope: &Scope<'_>, report: &mut Report) {
    gates(scope, report);
    timeouts(scope, report);
    token(scope, report);
    preflight(scope, report);
}

/// kubeadm refuses an unknown gate (features.NewFeatureGate).
fn gates(scope: &Scope<'_>, report: &mut Report) {
    let version = scope.cluster.kubernetes.version;
    let Some(known) = releases::kubernetes(version) else { return };
    if !scope.sound(&["kubernetes.version"]) {
        return;
    }
    for gate in scope.cluster.kubernetes.feature_gates.keys() {
        let place = format!("kubernetes.featureGates.{gate}");
        if known.feature_gates.contains(&gate.as_str()) || !scope.sound(&[&place]) {
            continue;
        }
        let finding =
            Diagnostic::error(Code::UnknownFeatureGate, format!("kubeadm {version} has no feature gate `{gate}`"))
                .reason("kubeadm stops at a gate that it does not know; these are its own gates, not those of the API server or the kubelet")
                .help(format!(
                    "remove it, or use {}; a component's gate belongs in its extraArgs as `feature-gates`",
                    super::named(known.feature_gates.iter().copied())
                ));
        let finding = scope.at(finding, &place, "");
        report.push(scope.also(finding, "kubernetes.version", ""));
    }
}

fn timeouts(scope: &Scope<'_>, report: &mut Report) {
    let timeouts = &scope.cluster.kubernetes.timeouts;
    let old = scope.cluster.kubernetes.version.kubeadm_api() == KubeadmApi::V1Beta3;
    if old && !timeouts.is_empty() && scope.sound(&["kubernetes.version"]) {
        report.push(needs_v1beta4(scope, "timeouts", "kubernetes.timeouts"));
        return;
    }
    for key in timeouts.keys().filter(|key| !TIMEOUTS.contains(&key.as_str())) {
        let place = format!("kubernetes.timeouts.{key}");
        let finding = Diagnostic::error(Code::UnknownTimeout, format!("kubeadm has no timeout `{key}`"))
            .reason("kubeadm drops a field that it does not know with no more than a warning")
            .help(format!("use one of {}", TIMEOUTS.join(", ")));
        report.push(scope.at(finding, &place, ""));
    }
}

/// In kubeadm a duration of zero never ends.
fn token(scope: &Scope<'_>, report: &mut Report) {
    let place = "kubernetes.bootstrapToken.ttl";
    let ttl = &scope.cluster.kubernetes.token_ttl;
    let zero = ttl.bytes().any(|byte| byte == b'0') && !ttl.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
    if !zero || !scope.sound(&[place]) {
        return;
    }
    let finding = Diagnostic::warning(
        Code::TokenForever,
        format!("the bootstrap token with ttl `{ttl}` never expires"),
    )
    .reason("whoever finds it in an old bundle can join a machine to the cluster")
    .help("set a ttl such as 24h; `open-joins.sh` opens joining again later");
    report.push(scope.at(finding, place, ""));
}

/// kubeadm's ValidateIgnorePreflightErrors.
fn preflight(scope: &Scope<'_>, report: &mut Report) {
    for host in scope.hosts() {
        let listed = &host.ignore_preflight_errors;
        let place = path(host, "ignorePreflightErrors");
        let all = listed.iter().any(|check| check.eq_ignore_ascii_case("all"));
        let others = listed.iter().find(|check| !check.eq_ignore_ascii_case("all"));
        let (true, Some(other)) = (all, others) else { continue };
        if !scope.sound(&[&place]) {
            continue;
        }
        let message = format!("`ignorePreflightErrors` of host `{}` names `{other}` beside `all`", host.name);
        let finding = Diagnostic::error(Code::PreflightAll, message)
            .reason("kubeadm takes `all` alone or the names of checks")
            .help("remove `all`, and name the checks that this host cannot pass");
        report.push(scope.at(finding, &place, ""));
    }
}
