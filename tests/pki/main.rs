//! Keys and certificates from outside: what is issued is judged by openssl, what is stored survives being opened,
//! broken and left alone.

#![allow(clippy::unwrap_used, reason = "a failed step of a test is its failure")]

mod broken;
mod cluster;
mod edits;
mod encrypted;
mod inventory;
mod kept;
mod openssl;
