//! What others made and the store takes: a CA with or without its key.
//!
//! [`authority`] reads and judges, [`place`] says what it would replace and puts it into the store in memory; `Store::save`
//! writes. Every reason to refuse is a finding with a code of its own, and all of them are found at once.

pub mod adopt;
pub mod authority;
mod constraints;
pub mod keys;
pub mod place;

use std::fmt::Write as _;

/// A list for people that does not fill the screen.
pub(super) fn some<S: AsRef<str>>(names: &[S]) -> String {
    const SHOWN: usize = 5;
    let mut text = names.iter().take(SHOWN).map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        let _ = write!(text, " and {} more", names.len() - SHOWN);
    }
    text
}
