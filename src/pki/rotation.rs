//! Rotation of a trust root in three stages: trust both, re-issue, drop.
//!
//! A root keeps its name: `ca/etcd` is always the one that signs. Beside it lies `ca/etcd.next`, the one that will sign,
//! between the first and the second stage, and `ca/etcd.former` between the second and the third. So what lies in the store
//! says how far a rotation is, and [`Rotation`] in the root's record only what the operator asked for last. Nothing is
//! decided here that [`advance`] cannot do again after it was interrupted; no key is read but to move its file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::decide::{Action, Decision, IssueError};
use super::issue;
use super::object::Kind;
use super::store::{Damage, Store, StoreError};
use crate::content::ObjectId;
use crate::env::Env;
use crate::plan::{CertRequest, Profile, SecretKind, SecretRequest};

/// What ends the name of a root that will sign.
const NEXT: &str = ".next";
/// What ends the name of a root that signed.
const FORMER: &str = ".former";

/// A stage of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// A new root is trusted beside the one that signs.
    TrustBoth,
    /// The new root signs; what the former signed is issued again; both are trusted.
    Reissue,
    /// Only the new root is trusted.
    Drop,
}

impl Stage {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Stage::TrustBoth => "trust both",
            Stage::Reissue => "re-issue",
            Stage::Drop => "drop the former",
        }
    }

    /// Counted from 1.
    pub fn number(self) -> usize {
        match self {
            Stage::TrustBoth => 1,
            Stage::Reissue => 2,
            Stage::Drop => 3,
        }
    }
}

/// What a root's record says of its rotations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rotation {
    /// The stage that the operator asked for last.
    pub asked: Stage,
    /// Fingerprints of the roots that signed before this one, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaced: Vec<String>,
}

/// How far a root's rotation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// The stage that was built; none where nothing is under way.
    pub built: Option<Stage>,
    /// The stage that the next build makes.
    pub pending: Option<Stage>,
}

impl Status {
    /// The stage that comes after the one that was built.
    pub fn next(self) -> Stage {
        match self.built {
            Some(Stage::TrustBoth) => Stage::Reissue,
            Some(Stage::Reissue) => Stage::Drop,
            Some(Stage::Drop) | None => Stage::TrustBoth,
        }
    }
}

/// The root that will sign in place of one.
pub fn next_of(root: &ObjectId) -> ObjectId {
    ObjectId::new(format!("{root}{NEXT}"))
}

/// The root that signed before one.
pub fn former_of(root: &ObjectId) -> ObjectId {
    ObjectId::new(format!("{root}{FORMER}"))
}

/// The root beside which an object lies for a rotation.
pub fn root_of(id: &ObjectId) -> Option<ObjectId> {
    let id = id.as_str();
    id.strip_suffix(NEXT).or_else(|| id.strip_suffix(FORMER)).map(ObjectId::new)
}

/// Whether an object's name is one of a root that signed before.
pub(super) fn is_former(id: &str) -> bool {
    id.ends_with(FORMER)
}

/// All roots that are trusted in the place of one, the oldest first.
pub fn by_age(store: &Store, root: &ObjectId) -> Vec<ObjectId> {
    let beside = |id: ObjectId| is_another(store, &id, root).then_some(id);
    beside(former_of(root)).into_iter().chain([root.clone()]).chain(beside(next_of(root))).collect()
}

/// All roots that are trusted in the place of one, the one that signs first: kubeadm takes the first certificate of a file
/// for the CA (pkiutil.TryLoadCertFromDisk).
pub fn signer_first(store: &Store, root: &ObjectId) -> Vec<ObjectId> {
    let mut roots = by_age(store, root);
    roots.sort_by_key(|id| id != root);
    roots
}

/// Whether a fingerprint is that of a root, of one beside it, or of one that it replaced.
pub fn knows(store: &Store, root: &ObjectId, fingerprint: &str) -> bool {
    let is = |id: &ObjectId| store.fingerprint(id) == Some(fingerprint);
    let record = store.record(root).and_then(|r| r.rotation.as_ref());
    is(root)
        || is(&next_of(root))
        || is(&former_of(root))
        || record.is_some_and(|r| r.replaced.iter().any(|f| f == fingerprint))
}

/// Whether a root is being rotated, or was.
pub fn has_begun(store: &Store, root: &str) -> bool {
    store.record(&ObjectId::new(root)).is_some_and(|r| {
        // What is only asked for is no fact yet.
        r.rotation.as_ref().is_some_and(|r| !r.replaced.is_empty())
            || by_age(store, &ObjectId::new(root)).len() > 1
    })
}

/// Whether an object is there and is not the root itself under another name, as an interrupted write leaves it.
fn is_another(store: &Store, id: &ObjectId, root: &ObjectId) -> bool {
    store.fingerprint(id).is_some_and(|f| store.fingerprint(root) != Some(f))
}

/// How far a root's rotation is; `None` where the store does not have the root.
///
/// # Errors
/// When what lies beside it does not fit its record, as two rotations that were merged leave it.
pub fn status(store: &Store, root: &ObjectId) -> Result<Option<Status>, StoreError> {
    let Some(record) = store.record(root) else { return Ok(None) };
    let (next, former) = (next_of(root), former_of(root));
    let asked = record.rotation.as_ref().map(|r| r.asked);
    let damaged = |id: &ObjectId, what: &str| {
        let path = store.dir().join("objects").join(id.as_str());
        Err(StoreError::Damaged {
            dir: store.dir().to_owned(),
            damages: vec![Damage { path, what: what.to_owned() }],
        })
    };
    let built = match (is_another(store, &next, root), is_another(store, &former, root)) {
        (false, false) => None,
        (true, false) => Some(Stage::TrustBoth),
        (false, true) => Some(Stage::Reissue),
        (true, true) => {
            return damaged(
                &next,
                &format!(
                    "and {former} are there at once: two rotations of {root} were merged; take one side's folders of all three"
                ),
            );
        }
    };
    let pending = match (asked, built) {
        (None | Some(Stage::Drop), None) => None,
        (Some(asked), Some(built)) if asked == built => None,
        (Some(Stage::TrustBoth), None) => Some(Stage::TrustBoth),
        (Some(Stage::Reissue), Some(Stage::TrustBoth)) => Some(Stage::Reissue),
        (Some(Stage::Drop), Some(Stage::Reissue)) => Some(Stage::Drop),
        (Some(Stage::Reissue), None) => {
            return damaged(
                &next,
                &format!("is missing, and so is {former}: {root} is in the middle of its rotation"),
            );
        }
        (_, Some(stage)) => {
            let beside = if stage == Stage::Reissue { &former } else { &next };
            return damaged(
                beside,
                &format!("does not fit object.toml of {root}: one of them is of another time"),
            );
        }
    };
    Ok(Some(Status { built, pending }))
}

/// Asks for the next stage: the next build makes it. Answers which.
///
/// # Errors
/// When there is no such root, or it does not fit what lies beside it.
pub fn ask(store: &mut Store, root: &ObjectId) -> Result<Stage, StoreError> {
    let status = status(store, root)?.ok_or_else(|| StoreError::NoSuchObject { id: root.clone() })?;
    let stage = status.pending.unwrap_or_else(|| status.next());
    let replaced = replaced(store, root);
    store.set_rotation(root, Some(Rotation { asked: stage, replaced }))?;
    Ok(stage)
}

/// Takes back what was asked for and not built. Answers which stage that was.
///
/// # Errors
/// As [`ask`].
pub fn take_back(store: &mut Store, root: &ObjectId) -> Result<Option<Stage>, StoreError> {
    let status = status(store, root)?.ok_or_else(|| StoreError::NoSuchObject { id: root.clone() })?;
    let Some(pending) = status.pending else { return Ok(None) };
    let replaced = replaced(store, root);
    let asked = status.built.or_else(|| (!replaced.is_empty()).then_some(Stage::Drop));
    store.set_rotation(root, asked.map(|asked| Rotation { asked, replaced }))?;
    Ok(Some(pending))
}

fn replaced(store: &Store, root: &ObjectId) -> Vec<String> {
    store.record(root).and_then(|r| r.rotation.as_ref()).map(|r| r.replaced.clone()).unwrap_or_default()
}

/// What of a plan is a root, with the request for one beside it.
enum Root {
    Authority(CertRequest),
    KeyPair(SecretRequest),
}

impl Root {
    fn id(&self) -> &ObjectId {
        match self {
            Root::Authority(request) => &request.id,
            Root::KeyPair(request) => &request.id,
        }
    }
}

/// All roots of a plan.
fn roots(certs: &[CertRequest], secrets: &[SecretRequest]) -> Vec<Root> {
    let authorities = certs.iter().filter(|c| c.profile == Profile::Ca && c.issuer.is_none());
    let pairs = secrets.iter().filter(|s| matches!(s.kind, SecretKind::KeyPair(_)));
    authorities.cloned().map(Root::Authority).chain(pairs.cloned().map(Root::KeyPair)).collect()
}

/// Names of all roots of a plan.
pub fn names(certs: &[CertRequest], secrets: &[SecretRequest]) -> Vec<ObjectId> {
    roots(certs, secrets).iter().map(|root| root.id().clone()).collect()
}

/// Does in memory what was asked for, before anything else is decided. Without `env` nothing is made: the answer then says
/// what would be.
///
/// # Errors
/// When a key cannot be read, or the store does not fit itself.
pub fn advance(
    certs: &[CertRequest],
    secrets: &[SecretRequest],
    store: &mut Store,
    env: Option<&Env>,
) -> Result<Vec<Decision>, IssueError> {
    let mut decisions = Vec::new();
    let mut issue = |id: ObjectId, reason: String| {
        decisions.push(Decision { id, action: Action::Issue, reason });
    };
    for root in roots(certs, secrets) {
        let id = root.id().clone();
        let (next, former) = (next_of(&id), former_of(&id));
        let Some(status) = status(store, &id)? else { continue };
        match status.pending {
            None => {}
            Some(Stage::TrustBoth) => {
                let reason = format!("rotation of {id}: trusted beside it from now on");
                if let Some(env) = env {
                    mint(root, &next, store, env)?;
                    store.set_reason(&next, &reason);
                }
                issue(next.clone(), reason);
            }
            Some(Stage::Reissue) => {
                if env.is_some() {
                    // An imported CA's key may be kept elsewhere.
                    store.open_secrets([&id, &next].into_iter().filter(|id| !store.is_keyless(id)))?;
                }
                let mut replaced = replaced(store, &id);
                replaced.extend(store.fingerprint(&id).map(str::to_owned));
                store.rename(&id, &former);
                store.rename(&next, &id);
                store.set_rotation(&id, Some(Rotation { asked: Stage::Reissue, replaced }))?;
                issue(id.clone(), format!("rotation of {id}: the new one signs from now on"));
            }
            Some(Stage::Drop) => store.take_out(&former),
        }
        // What an interrupted write left under a second name.
        for beside in [next, former] {
            if store.record(&beside).is_some() && !is_another(store, &beside, &id) {
                store.take_out(&beside);
            }
        }
    }
    Ok(decisions)
}

fn mint(root: Root, next: &ObjectId, store: &mut Store, env: &Env) -> Result<(), IssueError> {
    match root {
        Root::Authority(request) => {
            issue::issue(&[CertRequest { id: next.clone(), ..request }], &[], store, env)?;
        }
        Root::KeyPair(request) => {
            issue::issue(&[], &[SecretRequest { id: next.clone(), ..request }], store, env)?;
        }
    }
    Ok(())
}

/// Puts what [`advance`] did into the decisions of a build.
pub fn merge(decisions: &mut Vec<Decision>, rotated: Vec<Decision>) {
    let at: BTreeMap<ObjectId, usize> =
        decisions.iter().enumerate().map(|(i, d)| (d.id.clone(), i)).collect();
    for decision in rotated {
        match at.get(&decision.id).and_then(|i| decisions.get_mut(*i)) {
            Some(known) => *known = decision,
            None => decisions.push(decision),
        }
    }
}

/// What a build says of rotations that are under way.
pub fn notes(
    certs: &[CertRequest],
    secrets: &[SecretRequest],
    store: &Store,
) -> Result<Vec<String>, StoreError> {
    let mut notes = Vec::new();
    for root in names(certs, secrets) {
        if let Some(Status { built: Some(stage), .. }) = status(store, &root)? {
            notes.push(format!(
                "rotation of {root}: stage {} of 3 ({}); when every host has it, `khagen pki rotate {root}` asks for the next",
                stage.number(),
                stage.as_str()
            ));
        }
    }
    Ok(notes)
}

/// Whether an object of the store is a root's second certificate or key.
pub fn is_beside(kind: Kind, id: &ObjectId) -> bool {
    kind.is_key() && root_of(id).is_some()
}
