//! `khagen build`: check, then every cluster through the pipeline.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::check::{checked, is_invalid};
use super::identity::identities;
use super::report::{self, Detail};
use super::secret::store_failure;
use super::{Exit, Failure, Streams};
use crate::cli::{Build, BuildFormat, DiffFormat};
use crate::diag;
use crate::diff::change::{Diff, Issue, SCHEMA};
use crate::diff::rollout;
use crate::env::Env;
use crate::fs::Sync;
use crate::model::Inventory;
use crate::output::{self, OutputError};
use crate::pipeline::{self, BuildError, BundleChange, Options, Outcome};
use crate::pki::{Action, IssueError};
use crate::render::bundles::RenderError;
use crate::render::overview::date;
use crate::snapshot::{self, Memory, Snapshot, SnapshotError};

/// Runs the command.
pub fn run(args: &Build, streams: &mut Streams) -> Result<Exit, Failure> {
    let env = Env::system().map_err(|e| Failure::new(Exit::Error, &e))?;
    let env = env.with_identities(identities(&args.identity));
    let checked = checked(&args.inventory, &env);
    if !checked.report.is_empty() || checked.report.waived_count() > 0 {
        let look = streams.err_look();
        streams.err(&diag::render::text(&checked.report, &checked.sources, look));
    }
    if is_invalid(&checked, args.strict) {
        streams.err("nothing was written\n");
        return Ok(Exit::Invalid);
    }
    let Some(inventory) = &checked.inventory else { return Ok(Exit::Invalid) };
    if args.diff {
        return diff(args, inventory, &env, streams);
    }
    if matches!(args.format, BuildFormat::Markdown | BuildFormat::Html) {
        return Err(Failure::because(Exit::Usage, "--format markdown and html are for --diff"));
    }
    let text = args.format == BuildFormat::Text && !args.quiet;
    if text {
        let documents = checked.sources.ids().count();
        let hosts: usize = inventory.clusters.iter().map(|c| c.hosts.len() + c.retired.len()).sum();
        let s = |n: usize| if n == 1 { "" } else { "s" };
        streams.out(&format!(
            "inventory {}: {documents} document{}, {} cluster{}, {hosts} host{}\n",
            args.inventory.display(),
            s(documents),
            inventory.clusters.len(),
            s(inventory.clusters.len()),
            s(hosts),
        ));
    }

    let options = Options { dry_run: args.dry_run, sync: if args.no_sync { Sync::Later } else { Sync::Now } };
    let detail = if args.verbose { Detail::Full } else { Detail::Summary };
    let show_progress = text && std::io::stderr().is_terminal();
    let mut outcomes: Vec<Outcome> = Vec::new();
    for cluster in &inventory.clusters {
        let out =
            cluster.folder.as_ref().map_or_else(|| args.output.clone(), |folder| args.output.join(folder));
        let mut progress = |done: usize, total: usize| {
            if show_progress && total > 64 {
                streams.err(&format!("\rpacking {done} of {total}{}", if done == total { "\n" } else { "" }));
            }
        };
        let outcome = if args.review {
            pipeline::review(cluster, &out, &env, options.sync)
        } else {
            pipeline::build(cluster, &out, &env, options, &mut progress)
        };
        let outcome = outcome.map_err(failure)?;
        if text && args.review {
            streams.out(&report::review(&outcome));
        } else if text {
            streams.out(&report::text(&outcome, detail, args.dry_run, streams.out_colour()));
        }
        streams.err(&report::due(&outcome));
        streams.err(&report::recipients(&outcome));
        outcomes.push(outcome);
    }
    for folder in stale(inventory, &args.output) {
        streams.err(&format!(
            "warning: {} is the output of a cluster that the inventory does not have there: it is as it was.\n         \
             Move the folder away once nobody needs it, so that nobody installs from it.\n",
            folder.display()
        ));
    }
    if args.format == BuildFormat::Json {
        streams.out(&report::json(&outcomes, args.dry_run));
    }
    if text && !args.review {
        streams.out(&closing(&outcomes, args));
    }
    let pending = outcomes.iter().any(|o| {
        o.decisions.iter().any(|d| d.action == Action::Issue)
            || o.bundles.iter().any(|b| b.change != BundleChange::Unchanged)
    });
    Ok(if args.dry_run && pending { Exit::Changes } else { Exit::Done })
}

/// Outputs of earlier builds that no cluster of the inventory writes any more. They are the only bundles that such a
/// cluster may still have, so that they are named and not moved.
fn stale(inventory: &Inventory, output: &Path) -> Vec<PathBuf> {
    let written: BTreeSet<PathBuf> = inventory
        .clusters
        .iter()
        .map(|cluster| {
            cluster.folder.as_ref().map_or_else(|| output.to_owned(), |folder| output.join(folder))
        })
        .collect();
    let below = std::fs::read_dir(output).into_iter().flatten().filter_map(Result::ok);
    // Names that begin with a dot are ours: `.previous` is a former output.
    let below = below.filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."));
    let mut found: Vec<PathBuf> = below
        .map(|entry| entry.path())
        .chain([output.to_owned()])
        .filter(|folder| !written.contains(folder))
        .filter(|folder| output::read_record(folder).is_ok_and(|record| record.is_some()))
        .collect();
    found.sort();
    found
}

/// Compares the last output with what would be built; a cluster that was never built is new as a whole.
fn diff(args: &Build, inventory: &Inventory, env: &Env, streams: &mut Streams) -> Result<Exit, Failure> {
    let unreadable = |e: SnapshotError| Failure::new(Exit::Error, &e);
    let options = rollout::Options { accept_outage: args.accept_outage, ..rollout::Options::default() };
    let nothing: Arc<dyn Snapshot> = Arc::new(Memory::new([]));
    let former = match output::is_there(&args.output) {
        true => snapshot::open(&args.output.display().to_string()).map_err(unreadable)?.clusters,
        false => BTreeMap::new(),
    };
    let mut clusters = Vec::new();
    let mut folders = BTreeSet::new();
    for cluster in &inventory.clusters {
        let folder = cluster.folder.clone().unwrap_or_default();
        let out = args.output.join(&folder);
        let preview = pipeline::preview(cluster, &out, env).map_err(failure)?;
        let old = former.get(&folder).unwrap_or(&nothing);
        let mut found =
            crate::diff::compare(&folder, &**old, &preview.bundles, None, options).map_err(unreadable)?;
        pipeline::pass(&mut found, &preview.passing);
        found.issues = preview
            .issues
            .into_iter()
            .map(|d| Issue { id: d.id.as_str().to_owned(), reason: d.reason })
            .collect();
        clusters.push(found);
        folders.insert(folder);
    }
    for (folder, old) in former.iter().filter(|(folder, _)| !folders.contains(*folder)) {
        clusters.push(crate::diff::compare(folder, &**old, &*nothing, None, options).map_err(unreadable)?);
    }
    let (old, new) = (args.output.display().to_string(), args.inventory.display().to_string());
    let diff = Diff { schema: SCHEMA, old, new, clusters };
    let format = match args.format {
        BuildFormat::Text => DiffFormat::Text,
        BuildFormat::Json => DiffFormat::Json,
        BuildFormat::Markdown => DiffFormat::Markdown,
        BuildFormat::Html => DiffFormat::Html,
    };
    super::diff::finish(&diff, format, args.verbose, args.rollout.as_deref(), streams)
}

/// What the store means for the person, and what to do next.
fn closing(outcomes: &[Outcome], args: &Build) -> String {
    let mut out = String::new();
    if args.dry_run {
        return out;
    }
    for o in outcomes {
        if o.recipients > 0 {
            if o.store_is_new {
                out.push_str(&format!(
                    "note: the keys in {} are encrypted: commit the folder. Every later build needs it.\n",
                    o.store.display()
                ));
            }
            continue;
        }
        out.push_str(&format!(
            "note: the keys in {} are not encrypted (files of mode 0600 that its .gitignore keeps out of git).\n      \
             Every later build needs them: back the folder up where keys may be.\n",
            o.store.display()
        ));
    }
    if outcomes.iter().any(|o| o.written > 0) {
        let review = args.output.join(match outcomes {
            [_] => "review/CLUSTER.md",
            _ => "<cluster>/review/CLUSTER.md",
        });
        out.push_str(&format!(
            "next: read {}, then unpack bundles/operator.tar.gz at the bastion, beside the others;\n      \
             its README.md tells how to bring the cluster up, over ssh or by hand.\n",
            review.display()
        ));
    }
    out
}

fn failure(error: BuildError) -> Failure {
    if let BuildError::Store(e) | BuildError::Issue(IssueError::Store(e)) = &error {
        return store_failure(e);
    }
    let exit = match &error {
        BuildError::Founding { .. } => Exit::Invalid,
        BuildError::OtherStore { .. } => Exit::Integrity,
        BuildError::Expired { .. }
        | BuildError::MustIssue { .. }
        | BuildError::CaKeyMissing { .. }
        | BuildError::RotatingAlone { .. }
        | BuildError::Issue(IssueError::KeyElsewhere { .. }) => Exit::Precondition,
        BuildError::Snapshot(_) => Exit::Bug,
        BuildError::Pack(_) => Exit::Integrity,
        BuildError::Render(RenderError::TwoOwners { .. }) => Exit::Invalid,
        BuildError::Render(_) => Exit::Bug,
        BuildError::Output(OutputError::BadRecord(_)) => Exit::Integrity,
        _ => Exit::Error,
    };
    let mut failure = Failure::new(exit, &error);
    match &error {
        BuildError::Founding { changes, .. } => {
            for change in changes {
                failure
                    .message
                    .push_str(&format!("\n  {}: was {}, now {}", change.setting, change.was, change.now));
            }
            failure.help(
                "put the former values back. Pods, services and certificates of the running cluster are made of them; \
                 a cluster with other ones is a new cluster",
            )
        }
        BuildError::OtherStore { store_is_new: true, store, .. } => failure.help(format!(
            "the output's cluster may be running on keys that {} should hold: put that folder back. \
             For a new cluster give another output with -o, or move the former one away",
            store.display()
        )),
        BuildError::OtherStore { .. } => {
            failure.help("build into another folder with -o, or move the former output away")
        }
        BuildError::Expired { due, .. } => {
            for d in due {
                failure.message.push_str(&format!("\n  {}: {}", d.id, date(d.not_after)));
            }
            failure.help("`khagen pki renew` marks them, and the next build issues them again")
        }
        BuildError::MustIssue { decisions, .. } => {
            for d in decisions {
                failure.message.push_str(&format!("\n  {}: {}", d.id, d.reason));
            }
            failure.help("run `khagen build` where the keys are, and commit the store's public part with the review tree")
        }
        BuildError::Issue(IssueError::KeyElsewhere { wanted }) => {
            for d in wanted {
                failure.message.push_str(&format!("\n  {}: {}", d.id, d.reason));
            }
            failure.help(
                "`khagen pki csr -o DIR` writes a request for each; have them signed, then `khagen pki import DIR` takes \
                 the certificates, and the next build uses them",
            )
        }
        BuildError::CaKeyMissing { .. } => failure.help(
            "import its key with `khagen pki import --ca`, or set `kubernetes.pki: external-ca`, where no CA's key is in the cluster",
        ),
        BuildError::RotatingAlone { .. } => failure.help(
            "set `kubernetes.pki: pregenerated` until the rotation has ended; before its first stage is built, `khagen pki rotate --undo` takes it back",
        ),
        BuildError::Render(RenderError::TwoOwners { .. }) => failure.help(
            "khagen writes that file itself: take it out of the inventory's `files`, or give it another path",
        ),
        BuildError::Render(_) => failure.help("this is a bug in khagen; please report it with the inventory"),
        _ => failure,
    }
}
