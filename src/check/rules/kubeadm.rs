//! The rest of what kubeadm refuses or drops: gates, timeouts, SANs, tokens, ignored preflight checks.

use std::net::IpAddr;

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
    sans(scope, report);
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

/// kubeadm's ValidateCertSANs, without the leading zeros that its sloppy reading of IPv4 takes.
fn sans(scope: &Scope<'_>, report: &mut Report) {
    for (n, san) in scope.cluster.kubernetes.cert_sans.iter().enumerate() {
        let place = format!("kubernetes.apiServer.certSANs.{n}");
        if is_san(san) || !scope.sound(&[&place]) {
            continue;
        }
        let looks_like = if san.contains("://") {
            "write the name alone, without a scheme"
        } else if san.parse::<ipnet::IpNet>().is_ok() {
            "write single addresses; a certificate cannot hold a network"
        } else {
            "write an address, a name in lower case, or a wildcard such as `*.example.com`"
        };
        let finding =
            Diagnostic::error(Code::CertSan, format!("`{san}` is neither an address nor a DNS name"))
                .reason(
                    "a subject alternative name is an IP address or a DNS name, whose first label may be `*`",
                )
                .help(looks_like);
        report.push(scope.at(finding, &place, ""));
    }
}

fn is_san(text: &str) -> bool {
    if text.parse::<IpAddr>().is_ok() {
        return true;
    }
    let name = text.strip_prefix("*.").unwrap_or(text);
    // Four numbers are a mistyped address, not a name.
    let numbers = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    name.len() <= 253 && !numbers && name.split('.').all(is_label)
}

/// A DNS-1123 label.
fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
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

#[cfg(test)]
mod tests {
    use super::is_san;

    #[test]
    fn sans_are_addresses_names_and_wildcards() {
        for good in
            ["192.0.2.1", "2001:db8::1", "api.example.com", "*.example.com", "localhost", "1a.example"]
        {
            assert!(is_san(good), "{good}");
        }
        for bad in [
            "",
            "*",
            "a.*.b",
            "192.0.2.0/24",
            "192.0.2.256",
            "192.0.2.01",
            "a_b.example",
            "API.example.com",
            "https://api.example.com",
            "api.example.com:6443",
            "-a.example",
            "a..b",
            "example.",
        ] {
            assert!(!is_san(bad), "{bad}");
        }
        assert!(!is_san(&format!("{}.example", "a".repeat(64))));
    }
}
