//! The review tree: what every build writes beside the tarballs, and all that `--review` writes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;

use super::prepared::{How, Prepared, prepare};
use super::{BuildError, Outcome};
use crate::content::Content;
use crate::env::Env;
use crate::fs::Sync;
use crate::ledger::Ledger;
use crate::model::Cluster;
use crate::output::{Output, OutputError};
use crate::pack::bundle::{Bundle, OPERATOR, symbolic_text};
use crate::pki::{Action, Store};
use crate::plan::{CertRequest, FileLayer};
use crate::render::bundles::{RenderError, Shared};
use crate::render::{images, overview};

/// Writes the review tree only. Needs no key; nothing can be issued.
///
/// # Errors
/// See [`BuildError`]; [`BuildError::MustIssue`] where a key would have to be made or used.
pub fn review(cluster: &Cluster, out: &Path, env: &Env, sync: Sync) -> Result<Outcome, BuildError> {
    let Prepared { store, ledger, requests, mut outcome, .. } = prepare(cluster, out, env, How::Public)?;
    outcome.decisions.retain(|d| d.action == Action::Issue);
    if !outcome.decisions.is_empty() {
        return Err(BuildError::MustIssue { cluster: cluster.name.clone(), decisions: outcome.decisions });
    }
    let shared = Shared::render(cluster, &ledger, &requests, &store)?;
    let mut output = Output::open(out)?;
    let hosts = cluster.with_retired();
    let mut texts = shared.review_files();
    let mut wanted: BTreeSet<String> = BTreeSet::from([format!("review/{OPERATOR}")]);
    for batch in hosts.chunks(super::BATCH) {
        let bundles: Vec<Bundle> =
            batch.par_iter().map(|host| shared.host(host)).collect::<Result<_, RenderError>>()?;
        for bundle in bundles {
            wanted.insert(format!("review/hosts/{}", bundle.name));
            texts.extend(symbolic(shared.grouped(&bundle), &store));
            write_bundle(&mut output, &bundle, &store)?;
        }
    }
    write_bundle(&mut output, &shared.operator()?, &store)?;
    texts.sort();
    texts.dedup();
    write_shared(cluster, &ledger, &requests, &store, texts, &mut output)?;
    for path in output.list("review/hosts") {
        if !path.split('/').nth(2).is_some_and(|host| wanted.contains(&format!("review/hosts/{host}"))) {
            output.remove(&path);
        }
    }
    (outcome.written, outcome.removed) = output.pending();
    outcome.output = output.dir().to_owned();
    output.commit(sync)?;
    Ok(outcome)
}

/// Symbolic texts of files, with their review paths.
pub(super) fn symbolic(
    files: impl IntoIterator<Item = (String, Arc<Content>)>,
    store: &Store,
) -> Vec<(String, String)> {
    files.into_iter().map(|(path, content)| (path, symbolic_text(&content, store))).collect()
}

/// The review tree's part of one bundle.
pub(super) fn write_bundle(output: &mut Output, bundle: &Bundle, store: &Store) -> Result<(), OutputError> {
    let folder =
        if bundle.name == OPERATOR { "operator".to_owned() } else { format!("hosts/{}", bundle.name) };
    let mut wanted = vec![format!("review/{folder}/FILES"), format!("review/{folder}/BUNDLE.json")];
    output.put_if_changed(&wanted[0], bundle.files_list(store).as_bytes(), 0o644)?;
    output.put_if_changed(&wanted[1], bundle.head_text().as_bytes(), 0o644)?;
    for file in &bundle.files {
        if matches!(file.layer, FileLayer::Shared(_)) {
            continue;
        }
        if let Some(path) = file.review_path(&bundle.name) {
            let path = format!("review/{path}");
            output.put_if_changed(&path, symbolic_text(&file.content, store).as_bytes(), 0o644)?;
            wanted.push(path);
        }
    }
    for stale in output.list(&format!("review/{folder}")) {
        if !wanted.contains(&stale) {
            output.remove(&stale);
        }
    }
    Ok(())
}

/// What all bundles share, and the pages about the cluster; removes shared files that nobody has any more.
pub(super) fn write_shared(
    cluster: &Cluster,
    ledger: &Ledger,
    requests: &[CertRequest],
    store: &Store,
    shared: Vec<(String, String)>,
    output: &mut Output,
) -> Result<(), BuildError> {
    let images = images::images(cluster);
    let page =
        overview::cluster_page(cluster, ledger, requests, store, &images).map_err(RenderError::from)?;
    let json = overview::cluster_json(cluster, ledger, requests, store, &images);
    let mut files: BTreeMap<String, String> = shared.into_iter().collect();
    files.insert("CLUSTER.md".to_owned(), page);
    files.insert("cluster.json".to_owned(), json);
    for (path, text) in &files {
        output.put_if_changed(&format!("review/{path}"), text.as_bytes(), 0o644)?;
    }
    for path in output.list("review/shared") {
        if !path.strip_prefix("review/").is_some_and(|p| files.contains_key(p)) {
            output.remove(&path);
        }
    }
    Ok(())
}
