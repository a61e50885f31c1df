//! Versions of Kubernetes and etcd.

use std::fmt;

/// `major.minor.patch`, without a leading `v`, without a suffix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Major.
    pub major: u32,
    /// Minor.
    pub minor: u32,
    /// Patch.
    pub patch: u32,
}

impl Version {
    /// Reads `1.36.5` or `v1.36.5`; anything else is `None`.
    pub fn parse(text: &str) -> Option<Version> {
        let mut parts = text.strip_prefix('v').unwrap_or(text).split('.');
        let number = |p: Option<&str>| -> Option<u32> {
            let p = p?;
            let plain =
                !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()) && (p == "0" || !p.starts_with('0'));
            if plain { p.parse().ok() } else { None }
        };
        let v = Version {
            major: number(parts.next())?,
            minor: number(parts.next())?,
            patch: number(parts.next())?,
        };
        if parts.next().is_some() { None } else { Some(v) }
    }

    /// Major and minor.
    pub fn line(self) -> (u32, u32) {
        (self.major, self.minor)
    }

    /// kubeadm's API version for this Kubernetes version: v1beta4 is enabled from 1.31 and the only one from 1.37.
    pub fn kubeadm_api(self) -> KubeadmApi {
        if self.line() >= (1, 31) { KubeadmApi::V1Beta4 } else { KubeadmApi::V1Beta3 }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// Which of kubeadm's configuration APIs a document is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KubeadmApi {
    /// kubeadm.k8s.io/v1beta3: extraArgs are maps.
    V1Beta3,
    /// kubeadm.k8s.io/v1beta4: extraArgs are lists, timeouts have a struct.
    V1Beta4,
}

impl KubeadmApi {
    /// The document's apiVersion.
    pub fn api_version(self) -> &'static str {
        match self {
            KubeadmApi::V1Beta3 => "kubeadm.k8s.io/v1beta3",
            KubeadmApi::V1Beta4 => "kubeadm.k8s.io/v1beta4",
        }
    }
}
