//! Lifetimes that cannot hold together, and names that certificates lack.

use std::net::IpAddr;

use super::{Scope, count};
use crate::diag::{Code, Diagnostic, Report};
use crate::model::{KeyAlgorithm, KubeadmApi};
use crate::plan::certs;

const CA: &str = "pki.caValidity";
const LEAF: &str = "pki.validity";
const RENEW: &str = "pki.renewBefore";
const BIND_PORT: &str = "kubernetes.apiServer.bindPort";
const ALGORITHM: &str = "pki.algorithm";
const MODE: &str = "kubernetes.pki";

pub(super) fn check(scope: &Scope<'_>, report: &mut Report) {
    signing(scope, report);
    let pki = &scope.cluster.pki;
    let days = |n: u32| count(n as usize, "day");
    issuers(scope, report);
    if pki.validity_days > pki.ca_validity_days && scope.sound(&[CA, LEAF]) {
        let message = format!(
            "validity {} is longer than caValidity {}",
            days(pki.validity_days),
            days(pki.ca_validity_days)
        );
        let finding = Diagnostic::error(Code::ValidityBeyondCa, message)
            .reason("a chain is valid only while all of it is, so no certificate outlives its CA (RFC 5280 section 6.1.3)")
            .help("make caValidity several times as long as validity");
        let finding = scope.at(finding, LEAF, days(pki.validity_days));
        report.push(scope.also(finding, CA, days(pki.ca_validity_days)));
    }
    let renewed = (2 * pki.validity_days).saturating_sub(pki.renew_before_days);
    if pki.validity_days <= pki.ca_validity_days
        && pki.renew_before_days < pki.validity_days
        && pki.ca_validity_days < renewed
        && scope.sound(&[CA, LEAF, RENEW])
    {
        let message = format!(
            "a certificate that is renewed once would run until day {renewed}, and its CA ends on day {}",
            pki.ca_validity_days
        );
        let finding = Diagnostic::warning(Code::EndsWithCa, message)
            .reason(format!(
                "issued on the CA's first day for {}, renewed {} before its end, for {} again: {} - {} + {} = {renewed}. \
                 It ends with its CA instead, and then everything lapses on one day",
                days(pki.validity_days),
                days(pki.renew_before_days),
                days(pki.validity_days),
                pki.validity_days,
                pki.renew_before_days,
                pki.validity_days,
            ))
            .help(format!("make caValidity {} or more, or validity shorter", days(renewed)));
        let finding = scope.at(finding, CA, days(pki.ca_validity_days));
        let written = scope.places.is_written(LEAF);
        report.push(if written { scope.also(finding, LEAF, days(pki.validity_days)) } else { finding });
    }
    if pki.renew_before_days >= pki.validity_days && scope.sound(&[RENEW, LEAF]) {
        let message = format!(
            "renewBefore {} is not shorter than validity {}",
            days(pki.renew_before_days),
            days(pki.validity_days)
        );
        let finding = Diagnostic::error(Code::RenewBefore, message)
            .reason("every certificate would be due on the day it is issued")
            .help("make renewBefore a fraction of validity, a quarter for instance");
        let finding = scope.at(finding, RENEW, days(pki.renew_before_days));
        report.push(scope.also(finding, LEAF, days(pki.validity_days)));
    }
}

/// A URL that relying parties ask for the keys of service accounts, served by the API servers themselves: it says their port.
fn issuers(scope: &Scope<'_>, report: &mut Report) {
    let k = &scope.cluster.kubernetes;
    let sans = "kubernetes.apiServer.certSANs";
    let flags = ["service-account-issuer", "service-account-jwks-uri"];
    let args = k.api_server.extra_args.iter().filter(|(flag, _)| flags.contains(&flag.as_str()));
    for (flag, url) in args {
        let place = format!("kubernetes.apiServer.extraArgs.{flag}");
        let settings = [&place, sans, "kubernetes.controlPlaneEndpoint", BIND_PORT, "loadBalancer", "hosts"];
        let Some((host, port)) = host_and_port(url).filter(|_| scope.sound(&settings)) else { continue };
        if ![k.endpoint.port, k.bind_port].contains(&port) || port == 443 || is_named(scope, host) {
            continue;
        }
        let message = format!("`{flag}` sends clients to `{host}`, which no API server's certificate names");
        let finding = Diagnostic::warning(Code::SanMissing, message)
            .reason(format!(
                "port {port} is the API servers'; whoever asks there for the keys that sign service accounts refuses the certificate"
            ))
            .help(format!("add `{host}` to `{sans}`"));
        let finding = scope.at(finding, &place, "");
        report.push(if scope.places.is_written(sans) {
            scope.also(finding, sans, "not among these")
        } else {
            finding
        });
    }
}

/// The host and the port of an https URL that has both.
fn host_and_port(url: &str) -> Option<(&str, u16)> {
    let authority = url.strip_prefix("https://")?.split(['/', '?', '#']).next()?;
    let (host, port) = authority.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    (!host.is_empty() && !host.contains('@')).then_some((host, port.parse().ok()?))
}

/// Whether every API server's certificate has a name or address, by itself or by a wildcard for its first label.
fn is_named(scope: &Scope<'_>, host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(ip) => certs::shared_ip_sans(scope.cluster).contains(&ip),
        Err(_) => {
            let names = certs::shared_dns_sans(scope.cluster);
            let wildcard = host.split_once('.').map(|(_, domain)| format!("*.{domain}"));
            names.contains(host) || wildcard.is_some_and(|wildcard| names.contains(&wildcard))
        }
    }
}

/// What somebody wrote down and kubeadm would not hear of. A default that it does not share is in the documentation.
fn signing(scope: &Scope<'_>, report: &mut Report) {
    let (k, pki) = (&scope.cluster.kubernetes, &scope.cluster.pki);
    if !scope.cluster.is_kubeadm_pki() || !scope.sound(&["kubernetes.version", MODE]) {
        return;
    }
    let old = k.version.kubeadm_api() == KubeadmApi::V1Beta3;
    let other_keys = match pki.algorithm {
        KeyAlgorithm::Rsa2048 => false,
        KeyAlgorithm::P384 => k.version.line() < (1, 34),
        _ => old,
    };
    let made = if old { "RSA-2048" } else { "ECDSA-P256" };
    let findings = [
        (
            other_keys,
            ALGORITHM,
            format!("kubeadm {} makes {made} keys, not {}", k.version, pki.algorithm.as_str()),
        ),
        (
            old && pki.validity_days != KUBEADM_DAYS,
            LEAF,
            format!(
                "kubeadm {} signs for {}, not {}",
                k.version,
                count(KUBEADM_DAYS as usize, "day"),
                count(pki.validity_days as usize, "day")
            ),
        ),
    ];
    for (differs, place, message) in findings {
        if !differs || !scope.places.is_written(place) || !scope.sound(&[place]) {
            continue;
        }
        let finding = Diagnostic::warning(Code::KubeadmSigning, message)
            .reason("`kubernetes.pki: kubeadm` leaves the control planes' certificates to kubeadm; what khagen issues, for etcd and the operator, is as you say")
            .help("use `kubernetes.pki: pregenerated`, or a Kubernetes whose kubeadm can be told so");
        report.push(scope.also(scope.at(finding, place, ""), MODE, ""));
    }
}

/// A year, of certificates that kubeadm was told nothing about (CertificateValidityPeriod of its constants.go).
const KUBEADM_DAYS: u32 = 365;

#[cfg(test)]
mod tests {
    use super::host_and_port;

    #[test]
    fn only_a_url_with_a_port_says_who_serves_it() {
        assert_eq!(host_and_port("https://a.example.com:6443/openid/v1/jwks"), Some(("a.example.com", 6443)));
        assert_eq!(host_and_port("https://[2001:db8::1]:6443"), Some(("2001:db8::1", 6443)));
        for other in [
            "https://a.example.com",
            "http://a:6443",
            "a:6443",
            "https://:6443",
            "https://u@a:1",
            "https://a:x",
            "",
        ] {
            assert_eq!(host_and_port(other), None, "{other}");
        }
    }
}
