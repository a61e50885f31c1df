//! `khagen pki adopt`: the PKI of a cluster that somebody else made becomes the store's.

use std::collections::BTreeMap;

use super::import::{file, refused};
use super::{full_store, inventory, requests, show, single};
use crate::cli::pki::Adopt;
use crate::command::identity::identities;
use crate::command::secret::store_failure;
use crate::command::{Exit, Failure, Streams};
use crate::diag::Report;
use crate::env::Env;
use crate::pki::import::adopt::collected::Collected;
use crate::pki::import::adopt::{self, Adoption};
use crate::render::overview::date;

pub(super) fn run(args: &Adopt, streams: &mut Streams) -> Result<Exit, Failure> {
    let env = Env::system().map_err(|e| Failure::new(Exit::Error, &e))?;
    let env = env.with_identities(identities(&args.identity));
    let Some(inventory) = inventory(&args.inventory, &env, streams) else { return Ok(Exit::Invalid) };
    let cluster = single(&inventory, args.cluster.as_deref())?;
    let mut store = full_store(cluster, &env)?;
    let requests = requests(cluster, &store);
    let mut report = Report::new();
    let collected = collect(args, &mut report)?;
    let adoption = adopt::judge(&collected, cluster, &requests, &store, &env, &mut report);
    if !report.is_empty() {
        show(&report, streams);
    }
    let Some(adoption) = adoption.filter(|_| !report.has_errors()) else {
        return Ok(refused(&report, streams));
    };
    streams.out(&said(&adoption));
    if args.dry_run {
        streams.out("dry run: nothing was written\n");
        return Ok(Exit::Changes);
    }
    adopt::put(&mut store, &requests, adoption, &env).map_err(|e| store_failure(&e))?;
    store.save().map_err(|e| store_failure(&e))?;
    streams.out("next: khagen build; then compare its bundles with the hosts before anything is installed\n");
    Ok(Exit::Done)
}

/// Reads what a folder holds, in the order of paths. Links are not followed: what they lead to may be anything.
fn collect(args: &Adopt, report: &mut Report) -> Result<Collected, Failure> {
    let mut collected = Collected::default();
    for entry in walkdir::WalkDir::new(&args.dir).sort_by_file_name() {
        let entry = entry.map_err(|e| Failure::new(Exit::Error, &e))?;
        if !entry.file_type().is_file() {
            continue;
        }
        let path = entry.path().strip_prefix(&args.dir).unwrap_or(entry.path()).display().to_string();
        let wanted =
            [".crt", ".pem", ".cer", ".key", ".pub", ".conf", ".yaml"].iter().any(|e| path.ends_with(e));
        // A large file is no key; etcd's data may lie beside.
        if wanted && entry.metadata().is_ok_and(|m| m.len() <= 1 << 20) {
            collected.add(&path, &file(entry.path())?, report);
        }
    }
    Ok(collected)
}

fn said(adoption: &Adoption) -> String {
    let mut out = String::from("taken over, so that trust stays as it is:\n");
    for (id, authority) in &adoption.authorities {
        let (summary, key) =
            (&authority.summary, if authority.key.is_some() { "" } else { ", without its key" });
        out.push_str(&format!(
            "  {id}: {}, valid until {}{key}\n",
            summary.subject_text,
            date(summary.not_after)
        ));
    }
    out.push_str("  service-account\n");
    for leaf in &adoption.leafs {
        out.push_str(&format!("  {}: {}\n", leaf.id, leaf.path));
    }
    if adoption.left.is_empty() {
        return out;
    }
    out.push_str("issued anew by the next build, by the same CAs:\n");
    let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for left in &adoption.left {
        by_reason.entry(left.reason.as_str()).or_default().push(left.id.as_str());
    }
    let mut lines: Vec<(Vec<&str>, &str)> =
        by_reason.into_iter().map(|(reason, ids)| (ids, reason)).collect();
    lines.sort();
    for (ids, reason) in lines {
        out.push_str(&format!("  {}: {reason}\n", ids.join(", ")));
    }
    out
}
