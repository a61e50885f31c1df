//! Khagen compiles an inventory into one installable bundle per host.
pub mod diag;
pub mod load;
pub mod source;
