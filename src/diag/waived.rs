//! Warnings that a person accepted: they are counted and kept apart from what is said.

use time::Date;

use super::Diagnostic;
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
