//! Symbolic files from the plan. Pure: no clock, no randomness, no files.

pub mod artifacts;
pub mod balancer;
pub mod bundles;
pub mod credentials;
pub mod etcd;
pub mod images;
pub mod kubeadm;
pub mod node;
pub mod overview;
pub mod retired;
pub mod scripts;
pub mod trust;
pub mod units;
