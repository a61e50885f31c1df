//! What a person accepted.

use time::Date;

use crate::diag::Code;

/// One entry of `waivers`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiver {
    /// Its number in the inventory's list, from 0.
    pub number: usize,
    /// Of the findings that it accepts.
    pub code: Code,
    /// Why.
    pub reason: String,
    /// The last day on which it holds.
    pub until: Date,
    /// The setting, host or layer that it is limited to.
    pub path: Option<String>,
}
