//! Symbolic files from the plan. Pure: no clock, no randomness, no files.

pub mod kubeadm;
