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
    phases(scope, report);
    newer_fields(scope, report);
    patches(scope, report);
}

/// The phases of `kubeadm init`, 1.28 to 1.37 (cmd/kubeadm/app/cmd/init.go).
const INIT_PHASES: [&str; 14] = [
    "addon",
    "bootstrap-token",
    "certs",
    "control-plane",
    "etcd",
    "kubeconfig",
    "kubelet-finalize",
    "kubelet-start",
    "mark-control-plane",
    "preflight",
    "show-join-command",
    "upload-certs",
    "upload-config",
    "wait-control-plane",
];
/// Those of `kubeadm join` that every one of these minors has (cmd/kubeadm/app/cmd/join.go).
const JOIN_PHASES: [&str; 5] =
    ["check-etcd", "control-plane-join", "control-plane-prepare", "kubelet-start", "preflight"];
/// Without these there is no API server, or nothing that a node could join.
const NEEDED_PHASES: [&str; 6] = [
    "bootstrap-token",
    "control-plane",
    "control-plane-join",
    "control-plane-prepare",
    "kubelet-start",
    "upload-config",
];

/// What kubeadm does on a control plane where khagen does not (`kubernetes.pki: kubeadm`), with all that is below it.
const SIGNING_PHASES: [&str; 7] = [
    "certs",
    "control-plane-prepare/certs",
    "control-plane-prepare/control-plane",
    "control-plane-prepare/download-certs",
    "control-plane-prepare/kubeconfig",
    "kubeconfig",
    "upload-certs",
];

fn phases(scope: &Scope<'_>, report: &mut Report) {
    let k = &scope.cluster.kubernetes;
    for (command, skipped, known) in [
        ("init", &k.skip_init_phases, INIT_PHASES.as_slice()),
        ("join", &k.skip_join_phases, JOIN_PHASES.as_slice()),
    ] {
        let place = format!("kubernetes.skipPhases.{command}");
        if !scope.sound(&[&place]) {
            continue;
        }
        for phase in skipped {
            let top = phase.split('/').next().unwrap_or_default();
            let finding = if !known.contains(&top) {
                Diagnostic::error(Code::SkippedPhase, format!("`kubeadm {command}` has no phase `{phase}`"))
                    .reason("kubeadm stops at a name that it does not know")
                    .help(format!("use one of {}, or a phase of theirs as addon/coredns", known.join(", ")))
            } else if NEEDED_PHASES.contains(&phase.as_str()) {
                Diagnostic::error(
                    Code::SkippedPhase,
                    format!("`kubeadm {command}` cannot leave out `{phase}`"),
                )
                .reason("what the phase makes is what up.sh and the other nodes wait for")
                .help("remove it from the list")
            } else if scope.cluster.is_kubeadm_pki()
                && SIGNING_PHASES.iter().any(|p| phase == p || phase.starts_with(&format!("{p}/")))
            {
                Diagnostic::error(
                    Code::SkippedPhase,
                    format!("`kubeadm {command}` cannot leave out `{phase}` with `kubernetes.pki: kubeadm`"),
                )
                .reason("what the phase signs, or brings to another control plane, comes from nobody else in this mode")
                .help("remove it from the list, or use `kubernetes.pki: pregenerated`")
            } else {
                continue;
            };
            report.push(scope.at(finding, &place, ""));
        }
    }
}

/// Fields of v1beta4 that v1beta3 would drop without a word.
fn newer_fields(scope: &Scope<'_>, report: &mut Report) {
    let k = &scope.cluster.kubernetes;
    if k.version.kubeadm_api() != KubeadmApi::V1Beta3 || !scope.sound(&["kubernetes.version"]) {
        return;
    }
    if k.dns.disabled {
        report.push(needs_v1beta4(scope, "dns.disabled", "kubernetes.dns.disabled"));
    }
    let serial = scope.nodes().into_iter().find(|host| host.image_pull_serial.is_some());
    if let Some(host) = serial {
        report.push(needs_v1beta4(scope, "imagePullSerial", &path(host, "imagePullSerial")));
    }
}

/// corednsdeployment came with 1.31 (cmd/kubeadm/app/util/patches).
fn patches(scope: &Scope<'_>, report: &mut Report) {
    let version = scope.cluster.kubernetes.version;
    if version.line() >= (1, 31) || !scope.sound(&["kubernetes.version"]) {
        return;
    }
    let late = |host: &&crate::model::Host| {
        host.patches.value.iter().any(|patch| patch.target == "corednsdeployment")
    };
    if let Some(host) = scope.nodes().into_iter().find(late) {
        let message = format!("kubeadm {version} does not patch `corednsdeployment`");
        let finding = Diagnostic::error(Code::PatchTarget, message)
            .reason("the target came with 1.31; an older kubeadm passes over the file")
            .help("remove the patch, or use Kubernetes 1.31 or newer");
        let finding = scope.at(finding, &path(host, "patches"), "");
        report.push(scope.also(finding, "kubernetes.version", ""));
    }
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
    // v1beta3 has these two under other names: apiServer.timeoutForControlPlane and discovery.timeout.
    let newer = timeouts
        .keys()
        .find(|key| !["controlPlaneComponentHealthCheck", "discovery"].contains(&key.as_str()));
    if let (true, Some(key)) = (old && scope.sound(&["kubernetes.version"]), newer) {
        let place = format!("kubernetes.timeouts.{key}");
        report.push(needs_v1beta4(scope, &format!("timeouts.{key}"), &place));
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
