//! Keys and certificates: what persists of them, what is issued and why, and whether it is right.
//!
//! [`decide`](decide::decide) says what must be issued (pure), [`issue`](issue::issue) makes it in memory,
//! [`Store::save`](store::Store::save) writes it. Only [`issue`] names the library that makes certificates and only
//! [`read`] the one that parses them. No file outside the store is touched here.

pub mod decide;
mod der;
pub mod due;
pub mod identities;
pub mod import;
pub mod issue;
mod issuer;
pub mod key;
mod ledger;
pub mod object;
mod p521;
mod random;
pub mod read;
pub mod recipients;
pub mod request;
pub mod rotation;
mod sealed;
pub mod store;
pub mod verify;

pub use decide::{Action, Decision, IssueError};
pub use store::{Store, StoreError};
