//! kubeadm of every supported minor judges what khagen writes for it; and khagen and kubeadm are asked about the same
//! mistakes, some thousands of them, and must refuse the same ones, but for differences that are listed with their reason.
//!
//! `KHAGEN_MINORS` has a line for each minor, as tests/oracle/minors.sh prints them; `./test` sets those that are supported.
//! All that can be had: `KHAGEN_MINORS=$(tests/oracle/minors.sh all) cargo test --test matrix -- --nocapture`.

#[path = "../support/mod.rs"]
mod support;

mod fields;
mod judge;
mod minors;
mod mistakes;
