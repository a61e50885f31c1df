//! A comparison for people and for tools: one file per format, none of which decides anything.

pub mod html;
mod layout;
pub mod markdown;
pub mod text;

use super::change::Diff;

/// The comparison as JSON, as `docs/schema/diff-v1.json` describes it.
pub fn json(diff: &Diff) -> String {
    // The types are texts, numbers and lists; there is nothing that could fail.
    let mut text = serde_json::to_string_pretty(diff).unwrap_or_default();
    text.push('\n');
    text
}
