//! `khagen diff`: what one build changes of another.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::{Exit, Failure, Streams};
use crate::cli::{Diff as Args, DiffFormat};
use crate::diff::change::{ClusterDiff, Diff, SCHEMA};
use crate::diff::rollout::{self, Options};
use crate::diff::{self, show};
use crate::snapshot::{self, Memory, Opened, Side, Snapshot, SnapshotError};

/// Runs the command.
pub fn run(args: &Args, streams: &mut Streams) -> Result<Exit, Failure> {
    let unreadable = |e: SnapshotError| Failure::new(Exit::Error, &e);
    let (old, new) = rayon::join(|| snapshot::open(&args.old), || snapshot::open(&args.new));
    let (old, new) = (old.map_err(unreadable)?, new.map_err(unreadable)?);
    let options = Options { accept_outage: args.accept_outage, ..Options::default() };
    let diff = compare(&old, &new, options).map_err(unreadable)?;
    finish(&diff, args.format, args.verbose, args.rollout.as_deref(), streams)
}

/// One cluster, older and newer.
type Sides = (Arc<dyn Snapshot>, Arc<dyn Snapshot>);

/// Compares cluster by cluster; one that only one side has is added or removed as a whole.
pub fn compare(old: &Opened, new: &Opened, options: Options) -> Result<Diff, SnapshotError> {
    let nothing: Arc<dyn Snapshot> = Arc::new(Memory::new([]));
    let scope = match (old.side, new.side) {
        (Side::Some, Side::Whole) => Some(names(old)),
        (Side::Whole, Side::Some) => Some(names(new)),
        _ => None,
    };
    // A tarball says which cluster it is of, not in which folder that lies.
    let single = |o: &Opened| o.side == Side::Some || o.clusters.len() == 1;
    let folders: BTreeSet<&String> = old.clusters.keys().chain(new.clusters.keys()).collect();
    let mut pairs: BTreeMap<&str, Sides> = BTreeMap::new();
    if single(old) && single(new) {
        for ((_, a), (folder, b)) in old.clusters.iter().zip(&new.clusters) {
            pairs.insert(folder, (a.clone(), b.clone()));
        }
    } else {
        for folder in folders {
            let of = |o: &Opened| o.clusters.get(folder).unwrap_or(&nothing).clone();
            pairs.insert(folder, (of(old), of(new)));
        }
    }
    let mut clusters = Vec::new();
    let mut problems = Vec::new();
    for (folder, (a, b)) in pairs {
        match diff::compare(folder, &*a, &*b, scope.as_ref(), options) {
            Ok(cluster) => clusters.push(cluster),
            Err(e) => problems.extend(e.problems),
        }
    }
    match SnapshotError::all(problems) {
        Some(error) => Err(error),
        None => Ok(Diff { schema: SCHEMA, old: old.name.clone(), new: new.name.clone(), clusters }),
    }
}

fn names(opened: &Opened) -> BTreeSet<Arc<str>> {
    opened.clusters.values().flat_map(|c| c.names().keys().cloned()).collect()
}

/// Prints a comparison, writes its rollout if that is asked for, and says how to end.
pub fn finish(
    diff: &Diff,
    format: DiffFormat,
    verbose: bool,
    rollout: Option<&Path>,
    streams: &mut Streams,
) -> Result<Exit, Failure> {
    let text = match format {
        DiffFormat::Text => show::text::text(
            diff,
            show::text::Look { colour: streams.out_colour(), verbose, width: show::text::WIDTH },
        ),
        DiffFormat::Markdown => show::markdown::markdown(diff, show::markdown::LIMIT),
        DiffFormat::Json => show::json(diff),
        DiffFormat::Html => show::html::html(diff),
    };
    streams.out(&text);
    if let Some(path) = rollout {
        write_rollout(diff, path)?;
    }
    Ok(if diff.is_empty() { Exit::Done } else { Exit::Changes })
}

fn write_rollout(diff: &Diff, path: &Path) -> Result<(), Failure> {
    let changed: Vec<&ClusterDiff> = diff.clusters.iter().filter(|c| !c.changes.is_empty()).collect();
    let cluster = match changed.as_slice() {
        [] => return Ok(()),
        [one] => one,
        _ => {
            return Err(Failure::because(
                Exit::Usage,
                "a rollout is walked in one cluster, and several changed",
            )
            .help("compare their folders one by one"));
        }
    };
    if !cluster.rollout.refused.is_empty() {
        let reasons = cluster.rollout.refused.join("\n  ");
        return Err(Failure::because(Exit::Precondition, format!("no rollout was written:\n  {reasons}")));
    }
    let text = rollout::file(&cluster.rollout, &cluster.name, &cluster.cluster_id);
    crate::fs::replace(path, text.as_bytes(), 0o644, crate::fs::Sync::Now)
        .map_err(|e| Failure::new(Exit::Error, &e))
}
