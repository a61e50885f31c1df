//! What is wrong with something that was read, said by name.

use std::fmt::{self, Write};

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// A bundle, and the file in it where there is one.
    pub place: String,
    /// What is wrong there. Never a secret's bytes.
    pub what: String,
}

impl fmt::Display for Problem {
    /// What is named may come from anywhere: nothing of it reaches a terminal as a command.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.place.chars().chain(": ".chars()).chain(self.what.chars()) {
            if c.is_control() {
                write!(f, "{}", c.escape_default())?;
            } else {
                f.write_char(c)?;
            }
        }
        Ok(())
    }
}

/// A snapshot could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct SnapshotError {
    /// At least one, sorted.
    pub problems: Vec<Problem>,
}

impl SnapshotError {
    /// One problem.
    pub fn one(place: impl Into<String>, what: impl Into<String>) -> SnapshotError {
        SnapshotError { problems: vec![Problem { place: place.into(), what: what.into() }] }
    }

    /// A bundle that was asked for is not there.
    pub fn no_bundle(name: &str) -> SnapshotError {
        SnapshotError::one(name, "there is no such bundle")
    }

    /// Several; `None` when there are none.
    pub fn all(mut problems: Vec<Problem>) -> Option<SnapshotError> {
        problems.sort();
        problems.dedup();
        (!problems.is_empty()).then_some(SnapshotError { problems })
    }
}

/// More than this many are counted only.
const SHOWN: usize = 20;

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().take(SHOWN).enumerate() {
            if i > 0 {
                f.write_str("\n  ")?;
            }
            problem.fmt(f)?;
        }
        match self.problems.len().checked_sub(SHOWN) {
            Some(more) if more > 0 => write!(f, "\n  and {more} more"),
            _ => Ok(()),
        }
    }
}
