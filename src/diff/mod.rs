//! What differs between two bundles, and what it means.

pub mod fields;
