//! `khagen pki`: one file per command, and what they share.

mod list;
mod renew;
mod rotate;

use std::path::Path;

use super::check::{checked, is_invalid};
use super::{Exit, Failure, Streams};
use crate::cli::pki::{Pki, PkiCommand};
use crate::diag;
use crate::env::Env;
use crate::model::{Cluster, Inventory};
use crate::pki::StoreError;
use crate::pki::store::{Access, Store};

/// Runs the command.
pub fn run(args: &Pki, streams: &mut Streams) -> Result<Exit, Failure> {
    match &args.command {
        PkiCommand::List(args) => list::run(args, streams),
        PkiCommand::Renew(args) => renew::run(args, streams),
        PkiCommand::Rotate(args) => rotate::run(args, streams),
    }
}

/// A valid inventory, or `None` after its findings were printed.
fn inventory(path: &Path, env: &Env, streams: &mut Streams) -> Option<Inventory> {
    let checked = checked(path, env);
    if checked.report.has_errors() {
        let look = diag::render::Look { colour: streams.err_colour(), ..diag::render::Look::default() };
        streams.err(&diag::render::text(&checked.report, &checked.sources, look));
    }
    if is_invalid(&checked, false) { None } else { checked.inventory }
}

/// A cluster's store, without access to keys.
fn public_store(cluster: &Cluster) -> Result<Store, Failure> {
    Store::open_with(&cluster.dir.join("secrets"), Access::Public).map_err(|e| of_store(&e))
}

fn of_store(error: &StoreError) -> Failure {
    Failure::new(if error.is_integrity() { Exit::Integrity } else { Exit::Error }, error)
}

/// The clusters that a command is for: all, or the one of a folder.
fn chosen<'a>(inventory: &'a Inventory, folder: Option<&str>) -> Result<Vec<&'a Cluster>, Failure> {
    let Some(folder) = folder else { return Ok(inventory.clusters.iter().collect()) };
    let found: Vec<&Cluster> =
        inventory.clusters.iter().filter(|c| c.folder.as_deref() == Some(folder)).collect();
    if found.is_empty() {
        return Err(Failure::because(Exit::Usage, format!("the inventory has no cluster folder {folder}")));
    }
    Ok(found)
}
