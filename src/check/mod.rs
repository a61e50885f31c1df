//! From merged documents to a valid [`crate::model::Inventory`]: every finding at once, nothing written.

pub mod places;
pub mod rules;
