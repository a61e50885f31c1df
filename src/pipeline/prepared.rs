//! What every way of building does first: open the store, settle the ledger, decide what is issued, and issue it in memory.

use std::collections::BTreeSet;
use std::path::Path;

use super::{BuildError, Outcome};
use crate::content::ObjectId;
use crate::env::{Env, EnvError};
use crate::ledger::Ledger;
use crate::model::Cluster;
use crate::output::record::BuildRecord;
use crate::pack::bundle::hex;
use crate::pki::due::{self, Due, DueState};
use crate::pki::import::place::on_control_planes;
use crate::pki::store::Access;
use crate::pki::{Action, Store, decide, issue, rotation};
use crate::plan::{CertRequest, certs, founding};

/// How much of the store is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// Decide only, and without any key.
    Public,
    /// Decide and issue, in memory.
    Issue,
}

/// A cluster that can be rendered.
pub(super) struct Prepared {
    /// With what was issued, not saved.
    pub(super) store: Store,
    /// Settled, with the CAs' fingerprints.
    pub(super) ledger: Ledger,
    /// All certificates of the cluster.
    pub(super) requests: Vec<CertRequest>,
    /// The former output's record.
    pub(super) former: Option<BuildRecord>,
    /// What there is to tell so far.
    pub(super) outcome: Outcome,
}

impl Prepared {
    /// Whether anything is to be issued, or was.
    pub(super) fn issues(&self) -> bool {
        self.outcome.decisions.iter().any(|d| d.action == Action::Issue)
    }
}

/// What a build would have, in memory: nothing is written, and keys are needed only where something would be issued.
pub(super) fn foresee(cluster: &Cluster, out: &Path, env: &Env) -> Result<Prepared, BuildError> {
    let prepared = prepare(cluster, out, env, How::Public)?;
    if !prepared.issues() {
        return Ok(prepared);
    }
    // The store is locked while it is open.
    drop(prepared);
    prepare(cluster, out, env, How::Issue)
}

pub(super) fn prepare(cluster: &Cluster, out: &Path, env: &Env, how: How) -> Result<Prepared, BuildError> {
    let access = if how == How::Public { Access::Public } else { Access::Full };
    let mut store = Store::open_with(&cluster.dir.join("secrets"), access)?;
    store.encrypt_to(cluster.recipients.clone());
    store.decrypt_with(env.identities());
    store.guard_against_plain()?;
    let encrypted_otherwise = store.encrypted_otherwise().len();
    let store_is_new = store.is_empty();
    let keyless = store.objects().map(|(id, _)| id).find(|id| on_control_planes(id) && store.is_keyless(id));
    if let Some(ca) = keyless.filter(|_| !cluster.is_external_ca()) {
        let pki = cluster.kubernetes.pki.as_str();
        return Err(BuildError::CaKeyMissing { cluster: cluster.name.clone(), ca: ca.clone(), pki });
    }
    if let Some(root) = rotated_alone(cluster, &store)? {
        return Err(BuildError::RotatingAlone { cluster: cluster.name.clone(), root });
    }
    let former = crate::output::read_record(out)?;
    guard_against_other_store(&store, former.as_ref(), out)?;
    let mut ledger = founding::settle(cluster, store.ledger(), &fresh_id(env)?)
        .map_err(|changes| BuildError::Founding { cluster: cluster.name.clone(), changes })?;
    let first = ledger.founding.as_ref().map(|f| f.first_control_plane.clone()).unwrap_or_default();
    let (requests, secrets) = (certs::certificates(cluster, &first), certs::secrets(cluster));
    let maker = (how == How::Issue).then_some(env);
    let rotated = rotation::advance(&requests, &secrets, &mut store, maker)?;
    let mut decisions = match how {
        How::Issue => issue::issue(&requests, &secrets, &mut store, env)?,
        How::Public => decide::decide(&requests, &secrets, &store)?,
    };
    rotation::merge(&mut decisions, rotated);
    let mut notes = notes(cluster, &store);
    notes.extend(rotation::notes(&requests, &secrets, &store)?);
    let mut due = due::due(&store, cluster.pki.renew_before_days, env.now());
    // What is issued in this build is not due, also where it is only decided.
    let stays: BTreeSet<&ObjectId> =
        decisions.iter().filter(|d| d.action == Action::Keep).map(|d| &d.id).collect();
    due.retain(|d| stays.contains(&d.id));
    let expired: Vec<Due> = due.iter().filter(|d| d.state == DueState::Expired).cloned().collect();
    if !expired.is_empty() {
        return Err(BuildError::Expired { cluster: cluster.name.clone(), due: expired });
    }
    if let Some(founding) = &mut ledger.founding {
        founding.ca_fingerprints = certs::authorities(cluster)
            .into_iter()
            .chain([certs::SERVICE_ACCOUNT])
            .filter_map(|ca| Some((ca.to_owned(), store.fingerprint(&ObjectId::new(ca))?.to_owned())))
            .collect();
    }
    let outcome = Outcome {
        cluster: cluster.name.clone(),
        store: store.dir().to_owned(),
        store_is_new,
        output: out.to_owned(),
        decisions,
        due,
        recipients: cluster.recipients.as_slice().len(),
        encrypted_otherwise,
        notes,
        bundles: Vec::new(),
        written: 0,
        removed: 0,
    };
    Ok(Prepared { store, ledger, requests, former, outcome })
}

/// A root of the control planes' in the middle of its rotation, where only one of them has it from khagen.
fn rotated_alone(cluster: &Cluster, store: &Store) -> Result<Option<ObjectId>, BuildError> {
    if !cluster.is_kubeadm_pki() {
        return Ok(None);
    }
    for root in certs::ROOTS.into_iter().filter(|root| !certs::is_etcds(root)) {
        let id = ObjectId::new(root);
        let status = rotation::status(store, &id)?;
        if status.is_some_and(|s| s.built.is_some() || s.pending.is_some()) {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

fn notes(cluster: &Cluster, store: &Store) -> Vec<String> {
    store.notes().iter().cloned().chain(crate::calendar::of_mode(cluster)).collect()
}

/// A random cluster id; used only by a cluster that has none.
fn fresh_id(env: &Env) -> Result<String, EnvError> {
    let mut bytes = [0; 16];
    env.fill(&mut bytes)?;
    Ok(hex(&bytes))
}

/// An output that other keys made must not be replaced silently: its cluster may be running on them.
pub(super) fn guard_against_other_store(
    store: &Store,
    former: Option<&BuildRecord>,
    out: &Path,
) -> Result<(), BuildError> {
    let ca = ObjectId::new(certs::KUBERNETES_CA);
    match former {
        Some(record) if !rotation::knows(store, &ca, &record.ca_fingerprint) => Err(BuildError::OtherStore {
            output: out.to_owned(),
            store: store.dir().to_owned(),
            store_is_new: store.is_empty(),
        }),
        _ => Ok(()),
    }
}
