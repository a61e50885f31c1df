//! Warnings that a person accepted: they are counted and kept apart from what is said. Which codes can be is a table here.

use time::Date;

use super::{Code, Diagnostic};
use crate::source::Span;

/// Why a warning is not said, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// Where the waiver stands.
    pub place: Span,
    /// The person's reason.
    pub reason: String,
    /// The last day on which it holds.
    pub until: Date,
    /// Whether that day is so near that somebody should know.
    pub ends_soon: bool,
}

/// A warning and why it is not said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waived {
    /// The warning.
    pub finding: Diagnostic,
    /// Who accepted it.
    pub by: Acceptance,
}

impl Code {
    /// The codes that `khagen check` may give to a warning, so that a waiver may name them; a test holds them against the
    /// cases. What is said of waivers themselves is not among them.
    pub const WAIVABLE: &[Code] = &[
        Code::UnreadExtension,
        Code::ArtifactVersion,
        Code::DnsDomainOverlap,
        Code::ClusterNameTwice,
        Code::PodSubnetNearlyFull,
        Code::SingleEtcd,
        Code::EvenEtcd,
        Code::ManyEtcd,
        Code::SingleControlPlane,
        Code::SingleBalancer,
        Code::ZoneMajority,
        Code::NodePortRange,
        Code::RetiredFromNew,
        Code::EndOfLife,
        Code::ProxyModeBeta,
        Code::ProxyModeDeprecated,
        Code::EndsSoon,
        Code::EtcdLineEnds,
        Code::ProxyContradiction,
        Code::AdmissionPlugins,
        Code::TokenForever,
        Code::KubeletFieldDiffers,
        Code::NoEffect,
        Code::EtcdQuota,
        Code::EndsWithCa,
        Code::SanMissing,
        Code::KubeadmSigning,
    ];
}
