//! How much an inventory may hold, so that reading ends in bounded time and memory whatever is in it.

use crate::diag::{Code, Diagnostic, Report};
use crate::source::Span;

/// Bytes of all documents together. Ten thousand hosts are two megabytes.
pub const MAX_BYTES: u64 = 64 << 20;
/// Values of all documents together, counted again for every cluster they are merged under. A value costs about a
/// hundred bytes, so this is what bounds memory.
pub const MAX_VALUES: usize = 4_000_000;
/// Files and folders that are looked at: ten thousand hosts may have a file and a folder each, and more.
pub const MAX_ENTRIES: usize = 50_000;

/// What is left of the limits.
#[derive(Debug)]
pub(super) struct Budget {
    pub(super) bytes: u64,
    values: usize,
}

impl Budget {
    pub(super) fn new() -> Self {
        Budget { bytes: MAX_BYTES, values: MAX_VALUES }
    }

    /// Takes values out; says once that there are none left.
    pub(super) fn take(&mut self, values: usize, at: Span, report: &mut Report) -> bool {
        if self.values == 0 {
            return false;
        }
        self.values = self.values.saturating_sub(values);
        if self.values == 0 {
            report.push(
                Diagnostic::error(
                    Code::TooLarge,
                    format!("the inventory holds more than {MAX_VALUES} values"),
                )
                .at(at, "the limit is reached here")
                .help("split the inventory into several, one per group of clusters"),
            );
            return false;
        }
        true
    }
}
