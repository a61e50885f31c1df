//! What khagen knows about each minor of Kubernetes and each line of etcd: dates, images, and what kubeadm takes.
//!
//! One table, read by the checks and by whoever renders versions. A minor that is not in it is refused; a patch level
//! never is. The values were read from kubeadm's sources (cmd/kubeadm/app/constants/constants.go and
//! features/features.go, pkg/features/kube_features.go) at the patch levels named below, the dates from
//! kubernetes.io/releases/patch-releases. Nothing here looks at a clock.

use time::{Date, Month};

use super::Version;

/// How far kube-proxy's nftables mode is (gate NFTablesProxyMode).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nftables {
    /// The mode does not exist.
    Absent,
    /// Behind a gate that is off.
    Alpha,
    /// On, yet beta.
    Beta,
    /// Generally available.
    Stable,
}

/// A minor of Kubernetes.
#[derive(Debug)]
pub struct KubernetesMinor {
    /// The minor of 1.x.
    pub minor: u32,
    /// When x.0 came out.
    pub released: Date,
    /// The last day with fixes.
    pub end_of_life: Date,
    /// kubeadm's PauseVersion.
    pub pause: &'static str,
    /// kubeadm's CoreDNSVersion, from which patch level on.
    coredns: &'static [(u32, &'static str)],
    /// kubeadm's MinExternalEtcdVersion, from which patch level on.
    min_external_etcd: &'static [(u32, Version)],
    /// kubeadm's own feature gates (InitFeatureGates).
    pub feature_gates: &'static [&'static str],
    /// kube-proxy's nftables mode.
    pub nftables: Nftables,
    /// Whether kube-proxy's ipvs mode is deprecated (KEP-5495).
    pub ipvs_deprecated: bool,
}

const fn on(year: i32, month: Month, day: u8) -> Date {
    match Date::from_calendar_date(year, month, day) {
        Ok(date) => date,
        // Only ever evaluated while the tables below are compiled.
        Err(_) => panic!("a date of the table does not exist"),
    }
}

const fn etcd(minor: u32, patch: u32) -> Version {
    Version { major: 3, minor, patch }
}

/// The minors that khagen knows, oldest first. Read at 1.28.15, 1.29.14, 1.30.14, 1.31.{0,13,14}, 1.32.{0,9,10,13},
/// 1.33.{0,5,6,12}, 1.34.{0,1,2,9}, 1.35.8, 1.36.4 and 1.37.2.
pub static KUBERNETES: [KubernetesMinor; 10] = [
    KubernetesMinor {
        minor: 28,
        released: on(2023, Month::August, 15),
        end_of_life: on(2024, Month::October, 28),
        pause: "3.9",
        coredns: &[(0, "v1.10.1")],
        min_external_etcd: &[(0, etcd(4, 13))],
        feature_gates: &[
            "EtcdLearnerMode",
            "PublicKeysECDSA",
            "RootlessControlPlane",
            "UpgradeAddonsBeforeControlPlane",
        ],
        nftables: Nftables::Absent,
        ipvs_deprecated: false,
    },
    KubernetesMinor {
        minor: 29,
        released: on(2023, Month::December, 13),
        end_of_life: on(2025, Month::February, 28),
        pause: "3.9",
        coredns: &[(0, "v1.11.1")],
        min_external_etcd: &[(0, etcd(4, 13))],
        feature_gates: &[
            "EtcdLearnerMode",
            "PublicKeysECDSA",
            "RootlessControlPlane",
            "UpgradeAddonsBeforeControlPlane",
        ],
        nftables: Nftables::Alpha,
        ipvs_deprecated: false,
    },
    KubernetesMinor {
        minor: 30,
        released: on(2024, Month::April, 17),
        end_of_life: on(2025, Month::June, 28),
        pause: "3.9",
        coredns: &[(0, "v1.11.1"), (5, "v1.11.3")],
        min_external_etcd: &[(0, etcd(4, 13))],
        feature_gates: &[
            "EtcdLearnerMode",
            "PublicKeysECDSA",
            "RootlessControlPlane",
            "UpgradeAddonsBeforeControlPlane",
            "WaitForAllControlPlaneComponents",
        ],
        nftables: Nftables::Alpha,
        ipvs_deprecated: false,
    },
    KubernetesMinor {
        minor: 31,
        released: on(2024, Month::August, 13),
        end_of_life: on(2025, Month::October, 28),
        pause: "3.10",
        coredns: &[(0, "v1.11.1"), (1, "v1.11.3")],
        min_external_etcd: &[(0, etcd(5, 11)), (14, etcd(5, 24))],
        feature_gates: &[
            "ControlPlaneKubeletLocalMode",
            "EtcdLearnerMode",
            "PublicKeysECDSA",
            "RootlessControlPlane",
            "WaitForAllControlPlaneComponents",
        ],
        nftables: Nftables::Beta,
        ipvs_deprecated: false,
    },
    KubernetesMinor {
        minor: 32,
        released: on(2024, Month::December, 11),
        end_of_life: on(2026, Month::February, 28),
        pause: "3.10",
        coredns: &[(0, "v1.11.3")],
        min_external_etcd: &[(0, etcd(5, 11)), (10, etcd(5, 24))],
        feature_gates: &[
            "ControlPlaneKubeletLocalMode",
            "EtcdLearnerMode",
            "NodeLocalCRISocket",
            "PublicKeysECDSA",
            "RootlessControlPlane",
            "WaitForAllControlPlaneComponents",
        ],
        nftables: Nftables::Beta,
        ipvs_deprecated: false,
    },
    KubernetesMinor {
        minor: 33,
        released: on(2025, Month::April, 23),
        end_of_life: on(2026, Month::June, 28),
        pause: "3.10",
        coredns: &[(0, "v1.12.0")],
        min_external_etcd: &[(0, etcd(5, 11)), (6, etcd(5, 24))],
        feature_gates: &[
            "ControlPlaneKubeletLocalMode",
            "NodeLocalCRISocket",
            "PublicKeysECDSA",
            "RootlessControlPlane",
            "WaitForAllControlPlaneComponents",
        ],
        nftables: Nftables::Stable,
        ipvs_deprecated: false,
    },
    KubernetesMinor {
        minor: 34,
        released: on(2025, Month::August, 27),
        end_of_life: on(2026, Month::October, 27),
        pause: "3.10.1",
        coredns: &[(0, "v1.12.1")],
        min_external_etcd: &[(0, etcd(5, 21)), (2, etcd(5, 24))],
        feature_gates: &[
            "ControlPlaneKubeletLocalMode",
            "NodeLocalCRISocket",
            "PublicKeysECDSA",
            "RootlessControlPlane",
            "WaitForAllControlPlaneComponents",
        ],
        nftables: Nftables::Stable,
        ipvs_deprecated: false,
    },
    KubernetesMinor {
        minor: 35,
        released: on(2025, Month::December, 17),
        end_of_life: on(2027, Month::February, 28),
        pause: "3.10.1",
        coredns: &[(0, "v1.13.1")],
        min_external_etcd: &[(0, etcd(5, 24))],
        feature_gates: &[
            "ControlPlaneKubeletLocalMode",
            "NodeLocalCRISocket",
            "PublicKeysECDSA",
            "RootlessControlPlane",
        ],
        nftables: Nftables::Stable,
        ipvs_deprecated: true,
    },
    KubernetesMinor {
        minor: 36,
        released: on(2026, Month::April, 22),
        end_of_life: on(2027, Month::June, 28),
        pause: "3.10.2",
        coredns: &[(0, "v1.14.2")],
        min_external_etcd: &[(0, etcd(5, 24))],
        feature_gates: &["NodeLocalCRISocket", "PublicKeysECDSA", "RootlessControlPlane"],
        nftables: Nftables::Stable,
        ipvs_deprecated: true,
    },
    KubernetesMinor {
        minor: 37,
        released: on(2026, Month::August, 26),
        end_of_life: on(2027, Month::October, 28),
        pause: "3.10.2",
        coredns: &[(0, "v1.14.6")],
        min_external_etcd: &[(0, etcd(5, 24))],
        feature_gates: &["RootlessControlPlane"],
        nftables: Nftables::Stable,
        ipvs_deprecated: true,
    },
];

/// A line of etcd.
#[derive(Debug)]
pub struct EtcdLine {
    /// Major and minor.
    pub line: (u32, u32),
    /// When the line after the next one came out, and its name: from then on the project promises no fixes.
    pub left_behind: Option<(Date, &'static str)>,
}

/// The lines of etcd that khagen writes flags and units for. Dates: github.com/etcd-io/etcd/releases.
pub static ETCD_LINES: [EtcdLine; 3] = [
    EtcdLine { line: (3, 5), left_behind: Some((on(2026, Month::July, 9), "3.7")) },
    EtcdLine { line: (3, 6), left_behind: None },
    EtcdLine { line: (3, 7), left_behind: None },
];

/// Finds the line that a version belongs to.
pub fn etcd_line(version: Version) -> Option<&'static EtcdLine> {
    ETCD_LINES.iter().find(|known| known.line == version.line())
}

/// Finds the minor that a version belongs to.
pub fn kubernetes(version: Version) -> Option<&'static KubernetesMinor> {
    (version.major == 1).then(|| KUBERNETES.iter().find(|known| known.minor == version.minor)).flatten()
}

impl KubernetesMinor {
    /// The CoreDNS that kubeadm of this patch level deploys.
    pub fn coredns(&self, patch: u32) -> &'static str {
        latest(self.coredns, patch).unwrap_or_default()
    }

    /// The oldest external etcd that kubeadm of this patch level accepts.
    pub fn min_external_etcd(&self, patch: u32) -> Version {
        latest(self.min_external_etcd, patch).unwrap_or(etcd(0, 0))
    }
}

/// The last entry that begins at or before a patch level.
fn latest<T: Copy>(table: &[(u32, T)], patch: u32) -> Option<T> {
    table.iter().rev().find(|(from, _)| *from <= patch).map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_begins_at_patch_zero_and_rises() {
        for known in &KUBERNETES {
            assert!(known.released < known.end_of_life, "1.{}", known.minor);
            assert_eq!(known.coredns.first().map(|e| e.0), Some(0), "1.{}", known.minor);
            assert_eq!(known.min_external_etcd.first().map(|e| e.0), Some(0), "1.{}", known.minor);
            assert!(known.coredns.is_sorted() && known.min_external_etcd.is_sorted(), "1.{}", known.minor);
            assert!(known.feature_gates.is_sorted(), "1.{}", known.minor);
        }
        for pair in KUBERNETES.windows(2) {
            assert_eq!(pair[0].minor + 1, pair[1].minor);
            assert!(pair[0].released < pair[1].released && pair[0].end_of_life < pair[1].end_of_life);
        }
    }

    #[test]
    fn a_patch_level_takes_what_was_true_of_it() {
        let at = |text: &str| Version::parse(text).unwrap();
        let min = |text: &str| kubernetes(at(text)).unwrap().min_external_etcd(at(text).patch).to_string();
        assert_eq!(min("1.33.5"), "3.5.11");
        assert_eq!(min("1.33.6"), "3.5.24");
        assert_eq!(min("1.36.99"), "3.5.24");
        assert_eq!(kubernetes(at("1.31.0")).unwrap().coredns(0), "v1.11.1");
        assert_eq!(kubernetes(at("1.31.9")).unwrap().coredns(9), "v1.11.3");
        assert!(kubernetes(at("1.27.0")).is_none());
        assert!(kubernetes(at("2.36.0")).is_none());
    }
}
