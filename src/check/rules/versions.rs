//! Versions that go together, and etcd's own limits. A patch level is never judged by itself.

use std::collections::BTreeSet;

use time::Date;

use super::Scope;
use crate::diag::{Code, Diagnostic, Report};
use crate::model::releases::{self, ETCD_LINES, KUBERNETES, KubernetesMinor, Nftables};
use crate::model::{KubeProxyMode, Version};

const VERSION: &str = "kubernetes.version";
const ETCD: &str = "etcd.version";
const PROXY: &str = "kubernetes.kubeProxy.mode";
/// etcd's maxElectionMs.
const MAX_ELECTION: u32 = 50_000;
/// etcd's MaxQuotaBytes, a suggestion that it warns about.
const MAX_QUOTA: u64 = 8 << 30;

pub(super) fn check(scope: &Scope<'_>, today: Date, report: &mut Report) {
    etcd_line(scope, report);
    etcd_limits(scope, report);
    if !scope.sound(&[VERSION]) {
        return;
    }
    let version = scope.cluster.kubernetes.version;
    let Some(known) = releases::kubernetes(version) else {
        let (first, last) = (KUBERNETES.first(), KUBERNETES.last());
        let range = match (first, last) {
            (Some(first), Some(last)) => format!("1.{} to 1.{}", first.minor, last.minor),
            _ => String::new(),
        };
        let finding =
            Diagnostic::error(Code::UnknownMinor, format!("Kubernetes {version} is of a minor that this khagen does not know"))
                .reason("flags, images and kubeadm's documents differ between minors, and a guess would fail on the hosts")
                .help(format!("use a version from {range}, any patch level, or a newer khagen"));
        report.push(scope.at(finding, VERSION, "unknown minor"));
        return;
    };
    end_of_life(scope, known, today, report);
    carried_packages(scope, report);
    etcd_minimum(scope, known, report);
    if scope.sound(&[PROXY]) {
        proxy_mode(scope, known, report);
    }
}

fn end_of_life(scope: &Scope<'_>, known: &KubernetesMinor, today: Date, report: &mut Report) {
    if today <= known.end_of_life {
        return;
    }
    let message = format!("Kubernetes 1.{} reached its end of life on {}", known.minor, known.end_of_life);
    let supported: Vec<String> = KUBERNETES
        .iter()
        .filter(|minor| minor.released <= today && today <= minor.end_of_life)
        .map(|minor| format!("1.{}", minor.minor))
        .collect();
    let finding = Diagnostic::warning(Code::EndOfLife, message)
        .reason("its faults, security ones too, are no longer mended")
        .help(if supported.is_empty() {
            "use a minor that is maintained; this khagen knows none, so a newer khagen is needed".to_owned()
        } else {
            format!("use a minor that is maintained: {}", supported.join(", "))
        });
    report.push(scope.at(finding, VERSION, ""));
}

/// The packages that `artifacts` brings to the nodes are of the version that the documents are written for.
fn carried_packages(scope: &Scope<'_>, report: &mut Report) {
    let version = scope.cluster.kubernetes.version;
    let mut said = BTreeSet::new();
    for deb in scope.cluster.hosts.iter().flat_map(|h| &h.artifacts.debs) {
        if !["kubeadm", "kubelet", "kubectl"].contains(&deb.package.as_str()) {
            continue;
        }
        // Debian writes [epoch:]upstream[-revision] (deb-version(7)).
        let upstream = deb.version.split_once(':').map_or(deb.version.as_str(), |(_, rest)| rest);
        let upstream = upstream.rsplit_once('-').map_or(upstream, |(upstream, _)| upstream);
        let Some(carried) = Version::parse(upstream) else { continue };
        if carried == version || !said.insert(&deb.carried.source) {
            continue;
        }
        let message = format!(
            "`artifacts/{}` is {} {carried}, and the cluster's version is {version}",
            deb.carried.source, deb.package
        );
        let finding = if (carried.major, carried.minor) == (version.major, version.minor) {
            Diagnostic::warning(Code::ArtifactVersion, message)
                .reason("it works, but the nodes would run another patch level than the inventory says")
        } else {
            Diagnostic::error(Code::ArtifactVersion, message)
                .reason("kubeadm takes the documents of its own minor, and a kubelet must not be newer than its API server")
        };
        let finding = finding.help(format!("fetch {} {version}, or change `{VERSION}`", deb.package));
        report.push(scope.at(finding, VERSION, "the cluster's version"));
    }
}

fn etcd_line(scope: &Scope<'_>, report: &mut Report) {
    let version = scope.cluster.etcd.version;
    if ETCD_LINES.contains(&version.line()) || !scope.sound(&[ETCD]) {
        return;
    }
    let lines = ETCD_LINES.map(|(major, minor)| format!("{major}.{minor}")).join(", ");
    let message = format!("etcd {version} is of a line that this khagen does not know");
    let finding = Diagnostic::error(Code::UnknownEtcdLine, message)
        .reason("each line adds and removes flags, and etcd exits at an unknown one")
        .help(format!("use a version of {lines}, any patch level, or a newer khagen"));
    report.push(scope.at(finding, ETCD, "unknown line"));
}

/// kubeadm's ExternalEtcdVersionCheck asks every member for its version and stops `init`.
fn etcd_minimum(scope: &Scope<'_>, known: &KubernetesMinor, report: &mut Report) {
    let version = scope.cluster.kubernetes.version;
    let etcd = scope.cluster.etcd.version;
    let least = known.min_external_etcd(version.patch);
    if etcd >= least || !scope.sound(&[ETCD]) {
        return;
    }
    let message = format!("etcd {etcd} is too old for kubeadm {version}, which wants {least} at least");
    let finding = Diagnostic::error(Code::EtcdTooOld, message)
        .reason("`kubeadm init` asks every member for its version and stops at an older one")
        .help(format!("use etcd {least} or newer"));
    let finding = scope.at(finding, ETCD, format!("older than {least}"));
    report.push(scope.also(finding, VERSION, format!("wants {least}")));
}

fn proxy_mode(scope: &Scope<'_>, known: &KubernetesMinor, report: &mut Report) {
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
    let finding = scope.at(finding, PROXY, "");
    report.push(scope.also(finding, VERSION, format!("1.{minor}")));
}

fn etcd_limits(scope: &Scope<'_>, report: &mut Report) {
    let etcd = &scope.cluster.etcd;
    let (heartbeat, election) = ("etcd.heartbeatInterval", "etcd.electionTimeout");
    if scope.sound(&[heartbeat, election]) {
        // embed.Config.Validate: five heartbeats at least, 50 s at most.
        let least = u64::from(etcd.heartbeat_interval) * 5;
        let (message, help) = if u64::from(etcd.election_timeout) < least {
            (
                format!(
                    "electionTimeout {} ms is less than five times heartbeatInterval {} ms",
                    etcd.election_timeout, etcd.heartbeat_interval
                ),
                format!("set electionTimeout to {least} or more; ten times the interval is usual"),
            )
        } else if etcd.election_timeout > MAX_ELECTION {
            (
                format!("electionTimeout {} ms is more than {MAX_ELECTION} ms", etcd.election_timeout),
                format!("set electionTimeout to {MAX_ELECTION} or less; 1000 suits one site"),
            )
        } else {
            (String::new(), String::new())
        };
        if !message.is_empty() {
            let finding = Diagnostic::error(Code::EtcdTiming, message)
                .reason("etcd refuses to start with it")
                .help(help);
            let finding = scope.at(finding, election, format!("{} ms", etcd.election_timeout));
            report.push(scope.also(finding, heartbeat, format!("{} ms", etcd.heartbeat_interval)));
        }
    }
    let quota = "etcd.quotaBackendBytes";
    if etcd.quota_backend_bytes > MAX_QUOTA && scope.sound(&[quota]) {
        let message =
            format!("quotaBackendBytes {} is more than 8 GiB ({MAX_QUOTA})", etcd.quota_backend_bytes);
        let finding = Diagnostic::warning(Code::EtcdQuota, message)
            .reason(
                "etcd reads all of it at start and sends all of it to a new member; beyond 8 GiB it warns",
            )
            .help(format!("set quotaBackendBytes to {MAX_QUOTA} or less"));
        report.push(scope.at(finding, quota, ""));
    }
}
