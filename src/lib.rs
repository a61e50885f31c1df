//! Khagen compiles an inventory into one installable bundle per host.
//!
//! Steps, each a module that takes the former one's value and nothing else:
//! load (text to documents with spans), check (documents to a [`model::Inventory`]), plan (what each host gets, pure),
//! issue (keys and certificates kept or made, with the reason), render (symbolic files, pure), pack (tarballs).

pub mod archive;
pub mod calendar;
pub mod check;
pub mod cli;
pub mod command;
pub mod content;
pub mod diag;
pub mod diff;
pub mod env;
pub mod export;
pub mod fs;
pub mod init;
pub mod ledger;
pub mod load;
pub mod model;
pub mod output;
pub mod pack;
pub mod pipeline;
pub mod pki;
pub mod plan;
pub mod render;
pub mod schema;
pub mod secret;
pub mod snapshot;
pub mod source;
pub mod value;
pub mod verify;
