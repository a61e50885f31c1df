//! Says what a change of the inventory does before anyone installs it.
//!
//! Two snapshots are compared bundle by bundle and file by file, by meaning where a file's format is understood; equal
//! changes of many hosts are told once; each change gets its effects from one table; the effects give the rollout.
//! Pure but for the snapshots' reading: nothing here prints, and nothing here can see a secret.

mod carried;
pub mod change;
mod cluster;
mod compare;
pub mod effect;
pub mod fields;
mod group;
pub mod page;
mod printable;
pub mod rollout;
pub mod show;
mod table;
mod timeline;

pub use cluster::compare;
