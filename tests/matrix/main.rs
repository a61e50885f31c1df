//! kubeadm of every minor that can be had judges what khagen writes for it; and khagen and kubeadm are asked about the same
//! mistakes, some thousands of them, and must refuse the same ones, but for differences that are listed with their reason.
//!
//! `KHAGEN_MINORS` has a line for each minor, as tests/oracle/minors.sh prints them; `./test` sets those that are supported.
//! tests/oracle/README.md has the command for all of them. What came of it is docs/versions.md.

#[path = "../support/mod.rs"]
mod support;

mod cases;
mod fields;
mod grounds;
mod judge;
mod minors;
mod mistakes;
mod mutate;
mod page;
mod patches;
mod reasons;
