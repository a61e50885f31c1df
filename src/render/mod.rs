//! Symbolic files from the plan. Pure: no clock, no randomness, no files.

pub mod bundles;
pub mod credentials;
pub mod images;
pub mod kubeadm;
pub mod overview;
pub mod scripts;
