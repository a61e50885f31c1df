//! One cluster from plan to output: settle, issue, render, pack, replace. Reading and checking come before, printing after.
//!
//! Three ways: [`build`] does all of it, [`review()`] writes the review tree and needs no key, [`preview()`] writes nothing.
//! The store is written and synced before the output, so that no bundle ever carries a key that is not kept.

mod packages;
mod prepared;
mod preview;
mod review;

pub use preview::{Preview, pass, preview};
pub use review::review;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use prepared::{How, Prepared, foresee, guard_against_other_store, prepare};
use rayon::prelude::*;

use crate::content::{Content, ObjectId};
use crate::env::{Env, EnvError};
use crate::fs::{FsError, Sync};
use crate::ledger::Ledger;
use crate::model::{Cluster, Host};
use crate::output::record::{BUILD_JSON, BuildRecord, BundleRecord, SCHEMA};
use crate::output::{Output, OutputError};
use crate::pack::bundle::Bundle;
use crate::pack::tarball::{self, PackError, Ready, Secrets, Tarball};
use crate::pki::due::Due;
use crate::pki::{Decision, IssueError, Store, StoreError};
use crate::plan::{certs, founding};
use crate::render::bundles::{RenderError, Shared};
use crate::render::overview;
use crate::secret::Secret;

/// How many hosts are packed at a time: enough for every core, few enough that memory does not grow with the cluster.
const BATCH: usize = 64;

/// What a build may do.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Decide only; write nothing.
    pub dry_run: bool,
    /// Whether to wait for the disk.
    pub sync: Sync,
}

/// What was done, or would be.
#[derive(Debug)]
pub struct Outcome {
    /// kubeadm's cluster name.
    pub cluster: String,
    /// The store's folder.
    pub store: PathBuf,
    /// Whether the store was there before.
    pub store_is_new: bool,
    /// The output's folder.
    pub output: PathBuf,
    /// For every certificate and secret, in the plan's order.
    pub decisions: Vec<Decision>,
    /// Certificates that should be renewed soon, or have expired.
    pub due: Vec<Due>,
    /// Whom the store is encrypted to: how many; none where it is in the clear.
    pub recipients: usize,
    /// How many objects of the store were encrypted to others than the inventory names.
    pub encrypted_otherwise: usize,
    /// What the store had to say.
    pub notes: Vec<String>,
    /// In order of names, the operator's last.
    pub bundles: Vec<BundleOutcome>,
    /// Files of the output that were written, and removed.
    pub written: usize,
    /// See `written`.
    pub removed: usize,
}

/// One bundle.
#[derive(Debug)]
pub struct BundleOutcome {
    /// FQDN, or `operator`.
    pub name: String,
    /// Roles, for the line.
    pub roles: String,
    /// What happened to it.
    pub change: BundleChange,
    /// Generation, digests, size; of a dry run only the generation is known.
    pub record: BundleRecord,
}

/// What happened to a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BundleChange {
    /// There was none.
    New,
    /// Its content changed.
    Changed,
    /// Its content is the same but the output did not hold it.
    Restored,
    /// It lies there already.
    Unchanged,
}

impl BundleChange {
    /// The word that is printed.
    pub fn as_str(self) -> &'static str {
        match self {
            BundleChange::New => "new",
            BundleChange::Changed => "changed",
            BundleChange::Restored => "restored",
            BundleChange::Unchanged => "unchanged",
        }
    }
}

/// A cluster could not be built. Nothing of its output was replaced.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Founding facts of a running cluster were changed.
    #[error("cluster {cluster} runs (cluster.state: running), and what it was founded with cannot change")]
    Founding {
        /// The cluster's name.
        cluster: String,
        /// Each change.
        changes: Vec<founding::FoundingChange>,
    },
    /// The output is of another store.
    #[error("{output} was built with another CA than the one in {store}", output = output.display(), store = store.display())]
    OtherStore {
        /// The output.
        output: PathBuf,
        /// The store.
        store: PathBuf,
        /// Whether the store had nothing at all.
        store_is_new: bool,
    },
    /// A review build cannot make keys.
    #[error("cluster {cluster}: {} would have to be issued, which a review build cannot do", decisions.len())]
    MustIssue {
        /// The cluster's name.
        cluster: String,
        /// What, and why.
        decisions: Vec<Decision>,
    },
    /// What would be built could not be read back.
    #[error(transparent)]
    Snapshot(crate::snapshot::SnapshotError),
    /// Control planes shall hold a key that the store does not have.
    #[error(
        "the store has no key of {ca}, which every control plane of cluster {cluster} shall hold (kubernetes.pki: {pki})"
    )]
    CaKeyMissing {
        /// The cluster's name.
        cluster: String,
        /// The CA.
        ca: ObjectId,
        /// The mode that wants it so.
        pki: &'static str,
    },
    /// A root that other control planes fetched is being replaced, and no bundle brings them the other one.
    #[error(
        "{root} of cluster {cluster} is being rotated, and `kubernetes.pki: kubeadm` gives it to one control plane alone"
    )]
    RotatingAlone {
        /// The cluster's name.
        cluster: String,
        /// The root.
        root: ObjectId,
    },
    /// Certificates have expired.
    #[error("{} of cluster {cluster} expired", due.len())]
    Expired {
        /// The cluster's name.
        cluster: String,
        /// Which.
        due: Vec<Due>,
    },
    /// The clock or the randomness.
    #[error(transparent)]
    Env(#[from] EnvError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Issuing.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// Rendering.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// Packing.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The output.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// Writing.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// A package or program could not be copied.
    #[error("artifacts/{origin} cannot be copied")]
    Artifact {
        /// Which.
        origin: String,
        /// Why.
        source: std::io::Error,
    },
    /// A package or program is not what the check read.
    #[error("artifacts/{0} changed while the build ran: build again")]
    ArtifactChanged(String),
}

impl Secrets for Store {
    fn secret(&self, id: &ObjectId) -> Result<Secret, Box<dyn std::error::Error + Send + std::marker::Sync>> {
        Store::secret(self, id).map_err(|e| Box::new(e) as _)
    }
}

impl crate::pack::bundle::Fingerprints for Store {
    fn fingerprint(&self, id: &ObjectId) -> Option<&str> {
        Store::fingerprint(self, id)
    }
}

/// Builds one cluster into `out`. `progress` is told how many bundles of how many are done.
///
/// # Errors
/// See [`BuildError`]; the former output stays.
pub fn build(
    cluster: &Cluster,
    out: &Path,
    env: &Env,
    options: Options,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Outcome, BuildError> {
    let prepared =
        if options.dry_run { foresee(cluster, out, env)? } else { prepare(cluster, out, env, How::Issue)? };
    let Prepared { mut store, mut ledger, requests, former, mut outcome } = prepared;
    let rendered_ledger = ledger.clone();
    let shared = Shared::render(cluster, &rendered_ledger, &requests, &store)?;

    // First pass: which bundles changed. A host's files are dropped again, so that memory does not grow with the hosts.
    let hosts = cluster.with_retired();
    let mut names: Vec<Option<usize>> = (0..hosts.len()).map(Some).collect();
    names.push(None);
    let bundle_of = |which: &Option<usize>| match which {
        Some(i) => shared.host(hosts[*i]),
        None => shared.operator(),
    };
    let passed: Vec<Passed> = names
        .par_iter()
        .map(|which| {
            let bundle = bundle_of(which)?;
            let digest = bundle.digest(|file| shared.text_digest(file));
            let grouped = shared.grouped(&bundle);
            let secrets = bundle.files.iter().flat_map(|f| f.content.secrets().cloned()).collect();
            Ok(Passed { name: bundle.name, digest, grouped, secrets })
        })
        .collect::<Result<_, RenderError>>()?;
    let mut grouped: BTreeMap<String, Arc<Content>> = BTreeMap::new();
    let mut digests: Vec<(String, String)> = Vec::with_capacity(passed.len());
    let mut secrets: Vec<BTreeSet<ObjectId>> = Vec::with_capacity(passed.len());
    for p in passed {
        secrets.push(p.secrets);
        digests.push((p.name, p.digest));
        grouped.extend(p.grouped);
    }
    let mut changes: Vec<(BundleChange, u64)> = Vec::with_capacity(digests.len());
    for (name, digest) in &digests {
        let record = ledger.hosts.entry(name.clone()).or_default();
        let change = match former.as_ref().and_then(|f| f.bundles.get(name)) {
            _ if record.digest.is_empty() => BundleChange::New,
            _ if record.digest != *digest => BundleChange::Changed,
            Some(b) if b.content_sha256 == *digest && b.generation == record.generation => {
                BundleChange::Unchanged
            }
            _ => BundleChange::Restored,
        };
        if record.digest != *digest {
            record.generation += 1;
            record.digest.clone_from(digest);
        }
        changes.push((change, record.generation));
    }
    let is_there = |name: &str| {
        let size = former.as_ref().and_then(|f| f.bundles.get(name)).map(|b| b.size);
        size.is_some() && std::fs::metadata(out.join(tarball_path(name))).ok().map(|m| m.len()) == size
    };
    if options.dry_run {
        for ((name, _), (change, generation)) in digests.iter().zip(&changes) {
            let gone = *change == BundleChange::Unchanged && !is_there(name);
            let change = if gone { BundleChange::Restored } else { *change };
            // Of a bundle that is not made yet there is neither size nor digest; what was issued for this run, no build has.
            let same = |_: &&BundleRecord| change == BundleChange::Unchanged;
            let record = former.as_ref().and_then(|f| f.bundles.get(name)).filter(same).cloned();
            outcome.bundles.push(BundleOutcome {
                roles: roles_of(cluster, name),
                name: name.clone(),
                change,
                record: BundleRecord { generation: *generation, ..record.unwrap_or_default() },
            });
        }
        return Ok(outcome);
    }
    drop(shared);
    // What is wrong with a secret, or with who wants to read it, shows before anything is written.
    let needed: BTreeSet<&ObjectId> = digests
        .iter()
        .zip(&changes)
        .zip(&secrets)
        .filter(|(((name, _), (change, _)), _)| *change != BundleChange::Unchanged || !is_there(name))
        .flat_map(|(_, secrets)| secrets)
        .collect();
    store.open_secrets(needed)?;
    // What was issued may be another CA; the store must not have it before the output may.
    guard_against_other_store(&store, former.as_ref(), out)?;
    store.set_ledger(ledger);
    store.save()?;
    let shared = Shared::render(cluster, &rendered_ledger, &requests, &store)?;
    let bundle_of = |which: &Option<usize>| match which {
        Some(i) => shared.host(hosts[*i]),
        None => shared.operator(),
    };

    let mut output = Output::open(out)?;
    guard_against_other_store(&store, output.record(), out)?;
    let kept = |name: &str, output: &Output| {
        let record = output.record()?.bundles.get(name)?.clone();
        output.has(&tarball_path(name), record.size).then_some(record)
    };
    let mut todo: Vec<usize> = Vec::new();
    let mut records: BTreeMap<String, BundleRecord> = BTreeMap::new();
    for (i, (name, _)) in digests.iter().enumerate() {
        match kept(name, &output) {
            Some(record) if changes[i].0 == BundleChange::Unchanged => {
                records.insert(name.clone(), record);
            }
            _ => {
                if changes[i].0 == BundleChange::Unchanged {
                    changes[i].0 = BundleChange::Restored;
                }
                todo.push(i);
            }
        }
    }
    if records.is_empty() {
        output.begin_wholesale();
    }

    let ready = if todo.is_empty() { Ready::default() } else { Ready::new(shared.common()) };
    let total = todo.len();
    let mut done = 0;
    for batch in todo.chunks(BATCH) {
        let packed: Vec<(Bundle, Tarball)> = batch
            .par_iter()
            .map(|i| {
                let bundle = bundle_of(&names[*i])?;
                let tarball = tarball::pack(&bundle, changes[*i].1, &ready, &store)?;
                Ok((bundle, tarball))
            })
            .collect::<Result<_, BuildError>>()?;
        for (i, (bundle, tarball)) in batch.iter().zip(packed) {
            output.put(&tarball_path(&bundle.name), &tarball.bytes, 0o600)?;
            review::write_bundle(&mut output, &bundle, &store)?;
            records.insert(
                bundle.name.clone(),
                BundleRecord {
                    generation: changes[*i].1,
                    size: tarball.bytes.len() as u64,
                    tar_sha256: tarball.tar_digest,
                    content_sha256: digests[*i].1.clone(),
                    tarball_sha256: tarball.gz_digest,
                },
            );
            done += 1;
        }
        progress(done, total);
    }
    let mut texts = shared.review_files();
    texts.extend(review::symbolic(grouped, &store));
    finish(cluster, &rendered_ledger, &requests, &store, texts, &records, &mut output)?;
    (outcome.written, outcome.removed) = output.pending();
    outcome.output = output.dir().to_owned();
    output.commit(options.sync)?;
    for ((name, _), (change, _)) in digests.into_iter().zip(changes) {
        if let Some(record) = records.remove(&name) {
            outcome.bundles.push(BundleOutcome { roles: roles_of(cluster, &name), name, change, record });
        }
    }
    Ok(outcome)
}

/// What the first pass keeps of a bundle.
struct Passed {
    name: String,
    digest: String,
    /// Shared files of its group, with their review paths.
    grouped: Vec<(String, Arc<Content>)>,
    /// All that it holds.
    secrets: BTreeSet<ObjectId>,
}

fn tarball_path(name: &str) -> String {
    format!("bundles/{name}.tar.gz")
}

fn roles_of(cluster: &Cluster, name: &str) -> String {
    let find = |hosts: &[Host]| {
        let at = hosts.binary_search_by(|h| h.fqdn.as_str().cmp(name)).ok()?;
        Some(hosts.get(at)?.roles.iter().map(|r| r.as_str()).collect::<Vec<_>>().join(", "))
    };
    find(&cluster.hosts)
        .or_else(|| Some(find(&cluster.retired)? + " (retired)"))
        .unwrap_or_else(|| "operator".to_owned())
}

/// What is written once per build: shared files, pages, sums, the record; and the removal of what no host has any more.
fn finish(
    cluster: &Cluster,
    ledger: &Ledger,
    requests: &[crate::plan::CertRequest],
    store: &Store,
    shared: Vec<(String, String)>,
    records: &BTreeMap<String, BundleRecord>,
    output: &mut Output,
) -> Result<(), BuildError> {
    review::write_shared(cluster, ledger, requests, store, shared, output)?;
    let gone = output
        .record()
        .map(|r| r.bundles.keys().filter(|name| !records.contains_key(*name)).cloned().collect());
    let gone: Vec<String> = gone.unwrap_or_default();
    for name in gone {
        for path in output.list(&format!("review/hosts/{name}")) {
            output.remove(&path);
        }
        output.remove(&tarball_path(&name));
    }
    let founding = ledger.founding.as_ref();
    let record = BuildRecord {
        schema: SCHEMA.to_owned(),
        khagen: env!("CARGO_PKG_VERSION").to_owned(),
        cluster: cluster.name.clone(),
        cluster_id: founding.map(|f| f.cluster_id.clone()).unwrap_or_default(),
        ca_fingerprint: store
            .fingerprint(&ObjectId::new(certs::KUBERNETES_CA))
            .unwrap_or_default()
            .to_owned(),
        bundles: records.clone(),
        packages: packages::write(cluster, output)?,
    };
    output.put_if_changed("README.md", overview::OUTPUT_README.as_bytes(), 0o644)?;
    output.put_if_changed(".gitignore", b"/bundles/\n/packages/\n/.previous/\n/.khagen/\n", 0o644)?;
    output.put_if_changed("SHA256SUMS", record.sums().as_bytes(), 0o644)?;
    output.put_if_changed(BUILD_JSON, record.to_json().as_bytes(), 0o644)?;
    Ok(())
}
