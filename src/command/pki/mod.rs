//! `khagen pki`: one file per command, and what they share.

mod adopt;
mod csr;
mod import;
mod list;
mod renew;
mod rotate;

use std::path::Path;

use super::check::{checked, is_invalid};
use super::secret::store_failure;
use super::{Exit, Failure, Streams};
use crate::cli::pki::{Pki, PkiCommand};
use crate::diag::{self, Report};
use crate::env::Env;
use crate::model::{Cluster, Inventory};
use crate::pki::StoreError;
use crate::pki::store::{Access, Store};
use crate::plan::{CertRequest, certs, founding};
use crate::source::Sources;

/// Runs the command.
pub fn run(args: &Pki, streams: &mut Streams) -> Result<Exit, Failure> {
    match &args.command {
        PkiCommand::Adopt(args) => adopt::run(args, streams),
        PkiCommand::Csr(args) => csr::run(args, streams),
        PkiCommand::Import(args) => import::run(args, streams),
        PkiCommand::List(args) => list::run(args, streams),
        PkiCommand::Renew(args) => renew::run(args, streams),
        PkiCommand::Rotate(args) => rotate::run(args, streams),
    }
}

/// A valid inventory, or `None` after its findings were printed.
fn inventory(path: &Path, env: &Env, streams: &mut Streams) -> Option<Inventory> {
    let checked = checked(path, env);
    if checked.report.has_errors() {
        let look = streams.err_look();
        streams.err(&diag::render::text(&checked.report, &checked.sources, look));
    }
    if is_invalid(&checked, false) { None } else { checked.inventory }
}

/// The one cluster that a command is for.
fn single<'a>(inventory: &'a Inventory, folder: Option<&str>) -> Result<&'a Cluster, Failure> {
    match chosen(inventory, folder)?[..] {
        [only] => Ok(only),
        _ => Err(Failure::because(Exit::Usage, "the inventory has several clusters")
            .help("name the folder of one with --cluster")),
    }
}

/// A cluster's store with its keys, encrypting to what its inventory names.
fn full_store(cluster: &Cluster, env: &Env) -> Result<Store, Failure> {
    let mut store = Store::open(&cluster.dir.join("secrets")).map_err(|e| store_failure(&e))?;
    store.encrypt_to(cluster.recipients.clone());
    store.decrypt_with(env.identities());
    store.guard_against_plain().map_err(|e| store_failure(&e))?;
    Ok(store)
}

/// All certificates that a cluster needs.
fn requests(cluster: &Cluster, store: &Store) -> Vec<CertRequest> {
    let ledger = store.ledger();
    let settled = founding::settle(cluster, ledger, "").unwrap_or_else(|_| ledger.clone());
    let first = settled.founding.as_ref().map(|f| f.first_control_plane.clone()).unwrap_or_default();
    certs::certificates(cluster, &first)
}

/// Prints findings that have no place in the inventory.
fn show(report: &Report, streams: &mut Streams) {
    let look = streams.err_look();
    streams.err(&diag::render::text(report, &Sources::new(), look));
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
