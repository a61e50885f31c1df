//! One cluster from plan to output: settle, issue, render, pack, replace. Reading and checking come before, printing after.
//!
//! The store is written and synced before the output, so that no bundle ever carries a key that is not kept.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use crate::content::{Content, ObjectId};
use crate::env::{Env, EnvError};
use crate::fs::{FsError, Sync};
use crate::ledger::Ledger;
use crate::model::{Cluster, Host};
use crate::output::record::{BUILD_JSON, BuildRecord, BundleRecord, SCHEMA};
use crate::output::{Output, OutputError};
use crate::pack::bundle::{Bundle, OPERATOR, hex, symbolic_text};
use crate::pack::tarball::{self, PackError, Ready, Secrets, Tarball};
use crate::pki::due::{self, Due, DueState};
use crate::pki::{Action, Decision, IssueError, Store, StoreError, decide, issue};
use crate::plan::{FileLayer, certs, founding};
use crate::render::bundles::{RenderError, Shared};
use crate::render::{images, overview, retired};
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
    let mut store = Store::open(&cluster.dir.join("secrets"))?;
    let store_is_new = store.is_empty();
    let former = crate::output::read_record(out)?;
    guard_against_other_store(&store, former.as_ref(), out)?;

    let ledger = founding::settle(cluster, store.ledger(), &fresh_id(env)?)
        .map_err(|changes| BuildError::Founding { cluster: cluster.name.clone(), changes })?;
    let first = ledger.founding.as_ref().map(|f| f.first_control_plane.clone()).unwrap_or_default();
    let (requests, secrets) = (certs::certificates(cluster, &first), certs::secrets(cluster));
    let decisions = if options.dry_run {
        decide::decide(&requests, &secrets, &store)?
    } else {
        issue::issue(&requests, &secrets, &mut store, env)?
    };
    let mut due = due::due(&store, cluster.pki.renew_before_days, env.now());
    due.retain(|d| requests.iter().any(|r| r.id == d.id));
    let expired: Vec<Due> = due.iter().filter(|d| d.state == DueState::Expired).cloned().collect();
    if !expired.is_empty() {
        return Err(BuildError::Expired { cluster: cluster.name.clone(), due: expired });
    }
    let mut outcome = Outcome {
        cluster: cluster.name.clone(),
        store: store.dir().to_owned(),
        store_is_new,
        output: out.to_owned(),
        decisions,
        due,
        notes: store.notes().to_vec(),
        bundles: Vec::new(),
        written: 0,
        removed: 0,
    };
    if options.dry_run && outcome.decisions.iter().any(|d| d.action == Action::Issue) {
        // What a bundle will hold is not known before its certificates are issued; which hosts change is.
        plan_only(cluster, &ledger, former.as_ref(), &requests, &mut outcome)?;
        return Ok(outcome);
    }

    let mut ledger = ledger;
    if let Some(founding) = &mut ledger.founding {
        founding.ca_fingerprints = certs::authorities(cluster)
            .into_iter()
            .chain([certs::SERVICE_ACCOUNT])
            .filter_map(|ca| Some((ca.to_owned(), store.fingerprint(&ObjectId::new(ca))?.to_owned())))
            .collect();
    }
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
            Ok(Passed { name: bundle.name, digest, grouped })
        })
        .collect::<Result<_, RenderError>>()?;
    let mut grouped: BTreeMap<String, Arc<Content>> = BTreeMap::new();
    let mut digests: Vec<(String, String)> = Vec::with_capacity(passed.len());
    for p in passed {
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
    if options.dry_run {
        for ((name, digest), (change, generation)) in digests.iter().zip(&changes) {
            let record = former.as_ref().and_then(|f| f.bundles.get(name)).cloned();
            outcome.bundles.push(BundleOutcome {
                roles: roles_of(cluster, name),
                name: name.clone(),
                change: *change,
                record: BundleRecord {
                    generation: *generation,
                    content_sha256: digest.clone(),
                    ..record.unwrap_or_default()
                },
            });
        }
        return Ok(outcome);
    }
    drop(shared);
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
            write_review(&mut output, &bundle, &store)?;
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
    texts.extend(grouped.iter().map(|(path, content)| (path.clone(), symbolic_text(content, &store))));
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
}

/// A random cluster id; used only by a cluster that has none.
fn fresh_id(env: &Env) -> Result<String, EnvError> {
    let mut bytes = [0; 16];
    env.fill(&mut bytes)?;
    Ok(hex(&bytes))
}

/// An output that other keys made must not be replaced silently: its cluster may be running on them.
fn guard_against_other_store(
    store: &Store,
    former: Option<&BuildRecord>,
    out: &Path,
) -> Result<(), BuildError> {
    let ca = ObjectId::new(certs::KUBERNETES_CA);
    match former {
        Some(record) if store.fingerprint(&ca) != Some(&record.ca_fingerprint) => {
            Err(BuildError::OtherStore {
                output: out.to_owned(),
                store: store.dir().to_owned(),
                store_is_new: store.is_empty(),
            })
        }
        _ => Ok(()),
    }
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

/// The review tree's part of one bundle.
fn write_review(output: &mut Output, bundle: &Bundle, store: &Store) -> Result<(), OutputError> {
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
    let images = images::images(cluster);
    let page =
        overview::cluster_page(cluster, ledger, requests, store, &images).map_err(RenderError::from)?;
    let json = overview::cluster_json(cluster, ledger, requests, store, &images);
    let mut files = shared;
    files.push(("CLUSTER.md".to_owned(), page));
    files.push(("cluster.json".to_owned(), json));
    for (path, text) in &files {
        output.put_if_changed(&format!("review/{path}"), text.as_bytes(), 0o644)?;
    }
    let wanted: BTreeSet<String> = files.iter().map(|(path, _)| format!("review/{path}")).collect();
    let gone = output
        .record()
        .map(|r| r.bundles.keys().filter(|name| !records.contains_key(*name)).cloned().collect());
    let gone: Vec<String> = gone.unwrap_or_default();
    let mut stale = output.list("review/shared");
    stale.retain(|path| !wanted.contains(path));
    for name in gone {
        stale.extend(output.list(&format!("review/hosts/{name}")));
        stale.push(tarball_path(&name));
    }
    for path in stale {
        output.remove(&path);
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
    };
    let sums: String =
        records.iter().map(|(name, b)| format!("{}  {}\n", b.tarball_sha256, tarball_path(name))).collect();
    output.put_if_changed("README.md", overview::OUTPUT_README.as_bytes(), 0o644)?;
    output.put_if_changed(".gitignore", b"/bundles/\n/.previous/\n/.khagen/\n", 0o644)?;
    output.put_if_changed("SHA256SUMS", sums.as_bytes(), 0o644)?;
    output.put_if_changed(BUILD_JSON, record.to_json().as_bytes(), 0o644)?;
    Ok(())
}

/// A dry run before certificates exist: a host changes if one of its certificates is issued or it is new.
fn plan_only(
    cluster: &Cluster,
    ledger: &Ledger,
    former: Option<&BuildRecord>,
    requests: &[crate::plan::CertRequest],
    outcome: &mut Outcome,
) -> Result<(), BuildError> {
    let issued: Vec<&ObjectId> =
        outcome.decisions.iter().filter(|d| d.action == Action::Issue).map(|d| &d.id).collect();
    let ca_issued = issued.iter().any(|id| id.as_str().starts_with("ca/"));
    for host in &cluster.hosts {
        let own = requests.iter().any(|r| r.host.as_ref() == Some(&host.fqdn) && issued.contains(&&r.id));
        let known = former.and_then(|f| f.bundles.get(&host.fqdn)).cloned();
        let change = match known {
            None => BundleChange::New,
            Some(_) if own || ca_issued => BundleChange::Changed,
            Some(_) => BundleChange::Unchanged,
        };
        let mut record = known.unwrap_or_default();
        let generation = ledger.hosts.get(&host.fqdn).map_or(0, |r| r.generation);
        record.generation = if change == BundleChange::Unchanged { generation } else { generation + 1 };
        let roles = roles_of(cluster, &host.fqdn);
        outcome.bundles.push(BundleOutcome { name: host.fqdn.clone(), roles, change, record });
    }
    // These hold nothing that is issued, so what becomes of them is known.
    for host in &cluster.retired {
        let digest = retired::digest(cluster, ledger, host)?;
        let kept = ledger.hosts.get(&host.fqdn);
        let (generation, same) = kept.map_or((0, false), |r| (r.generation, r.digest == digest));
        let known = former.and_then(|f| f.bundles.get(&host.fqdn)).cloned();
        let change = match (same, &known) {
            (_, None) => BundleChange::New,
            (false, _) => BundleChange::Changed,
            (true, _) => BundleChange::Unchanged,
        };
        let mut record = known.unwrap_or_default();
        record.generation = if same { generation } else { generation + 1 };
        let roles = roles_of(cluster, &host.fqdn);
        outcome.bundles.push(BundleOutcome { name: host.fqdn.clone(), roles, change, record });
    }
    outcome.bundles.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(())
}
