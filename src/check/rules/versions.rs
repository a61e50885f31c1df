//! Versions that go together, and etcd's own limits. A patch level is never judged by itself.

use std::collections::BTreeSet;

use time::Date;

use super::Scope;
use crate::diag::{Code, Diagnostic, Report};
use crate::model::Version;
use crate::model::releases::{self, ETCD_LINES, EtcdLine, KUBERNETES, KubernetesMinor};

const VERSION: &str = "kubernetes.version";
const ETCD: &str = "etcd.version";
/// etcd's maxElectionMs.
const MAX_ELECTION: u32 = 50_000;
/// etcd's MaxQuotaBytes, a suggestion that it warns about.
const MAX_QUOTA: u64 = 8 << 30;
/// From how many days before its end of life a minor is mentioned: what an upgrade by one minor takes to plan.
const ENDS_SOON: i64 = 90;

pub(super) fn check(scope: &Scope<'_>, today: Date, report: &mut Report) {
    etcd_line(scope, today, report);
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
}

fn end_of_life(scope: &Scope<'_>, known: &KubernetesMinor, today: Date, report: &mut Report) {
    let left = (known.end_of_life - today).whole_days();
    if left > ENDS_SOON {
        return;
    }
    let supported: Vec<&KubernetesMinor> =
        KUBERNETES.iter().filter(|minor| minor.released <= today && today <= minor.end_of_life).collect();
    if left >= 0 {
        let message = format!(
            "Kubernetes 1.{} reaches its end of life on {}, {}",
            known.minor,
            known.end_of_life,
            match left {
                0 => "today".to_owned(),
                days => format!("in {}", super::count(usize::try_from(days).unwrap_or_default(), "day")),
            }
        );
        let next = supported.iter().find(|minor| minor.minor > known.minor);
        let finding = Diagnostic::warning(Code::EndsSoon, message)
            .reason("after that day its faults, security ones too, are no longer mended, and an upgrade goes one minor at a time")
            .help(match next {
                Some(next) => format!("plan the upgrade to 1.{}; until then a waiver with that day accepts this", next.minor),
                None => "a newer khagen will know the next minor; until then a waiver with that day accepts this".to_owned(),
            });
        report.push(scope.at(finding, VERSION, ""));
        return;
    }
    let message = format!("Kubernetes 1.{} reached its end of life on {}", known.minor, known.end_of_life);
    let finding = Diagnostic::warning(Code::EndOfLife, message)
        .reason("its faults, security ones too, are no longer mended")
        .help(if supported.is_empty() {
            "use a minor that is maintained; this khagen knows none, so a newer khagen is needed".to_owned()
        } else {
            let supported: Vec<String> = supported.iter().map(|minor| format!("1.{}", minor.minor)).collect();
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

fn etcd_line(scope: &Scope<'_>, today: Date, report: &mut Report) {
    let version = scope.cluster.etcd.version;
    if !scope.sound(&[ETCD]) {
        return;
    }
    if let Some(known) = releases::etcd_line(version) {
        return left_behind(scope, known, today, report);
    }
    let lines = ETCD_LINES
        .iter()
        .map(|line| format!("{}.{}", line.line.0, line.line.1))
        .collect::<Vec<_>>()
        .join(", ");
    let message = format!("etcd {version} is of a line that this khagen does not know");
    let finding = Diagnostic::error(Code::UnknownEtcdLine, message)
        .reason("each line adds and removes flags, and etcd exits at an unknown one")
        .help(format!("use a version of {lines}, any patch level, or a newer khagen"));
    report.push(scope.at(finding, ETCD, "unknown line"));
}

/// etcd's rule, "Versioning" in its operations guide: fixes for the current line and the one before it. It gives no dates.
fn left_behind(scope: &Scope<'_>, known: &EtcdLine, today: Date, report: &mut Report) {
    let Some((day, by)) = known.left_behind.filter(|(day, _)| *day <= today) else { return };
    let (major, minor) = known.line;
    let message = format!("etcd {major}.{minor} is two lines behind since {by} of {day}");
    let finding = Diagnostic::warning(Code::EtcdLineEnds, message)
        .reason(
            "etcd's project promises fixes, security ones too, for its current line and the one before it",
        )
        .help(format!(
            "plan the upgrade to {major}.{}, one line at a time; until then a waiver accepts this",
            minor + 1
        ));
    report.push(scope.at(finding, ETCD, ""));
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
