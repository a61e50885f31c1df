//! What must be issued and why: the requests of the plan compared with what the store's records say.
//!
//! Pure: no key, no clock, no randomness. An object is issued again exactly when an input of it changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use super::object::{Kind, MadeFrom, Record, is_valid_id, profile_name};
use super::read::ReadError;
use super::request::PENDING;
use super::store::{Store, StoreError};
use crate::content::ObjectId;
use crate::env::EnvError;
use crate::plan::{CertRequest, Profile, SecretKind, SecretRequest};

/// What happens to an object in this build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The object.
    pub id: ObjectId,
    /// Whether it stays.
    pub action: Action,
    /// Why, in words; empty where it is kept.
    pub reason: String,
}

/// Whether an object stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It stays as it is.
    Keep,
    /// It is made, or made again with a new key.
    Issue,
}

/// What was asked for cannot be issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// A name that cannot be a folder in the store, or two of the same.
    #[error("{id}: {what}")]
    Request {
        /// The request.
        id: ObjectId,
        /// What is wrong with it.
        what: String,
    },
    /// A CA that can no longer sign.
    #[error("{id}: its CA {ca} ended on {ended}; mark {ca} for renewal")]
    CaEnded {
        /// The request.
        id: ObjectId,
        /// Its CA.
        ca: ObjectId,
        /// When it ended.
        ended: String,
    },
    /// CAs whose keys are kept elsewhere must sign.
    #[error("{} certificates must be signed by a CA whose key is not in the store", wanted.len())]
    KeyElsewhere {
        /// What, and why.
        wanted: Vec<Decision>,
    },
    /// The store's content cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A CA's certificate cannot be read.
    #[error("{id}: cannot read the certificate")]
    Read {
        /// The CA.
        id: ObjectId,
        /// What is wrong with it.
        source: ReadError,
    },
    /// No randomness.
    #[error(transparent)]
    Env(#[from] EnvError),
    /// The certificate could not be made.
    #[error("{id}: cannot make the certificate: {what}")]
    Make {
        /// The request.
        id: ObjectId,
        /// What the library said.
        what: String,
    },
    /// What was made is not what was asked for. It is not stored.
    #[error("{id}: the new certificate was refused: {}", what.join("; "))]
    Refused {
        /// The request.
        id: ObjectId,
        /// All that is wrong with it.
        what: Vec<String>,
    },
}

/// Compares the requests with the store. Answers one decision per request, secrets first, in the order of the requests.
///
/// # Errors
/// When the requests contradict each other.
pub fn decide(
    certs: &[CertRequest],
    secrets: &[SecretRequest],
    store: &Store,
) -> Result<Vec<Decision>, IssueError> {
    check_requests(certs, secrets, store)?;
    let first = store.objects().next().is_none();
    let mut reasons: BTreeMap<&ObjectId, Option<String>> = BTreeMap::new();
    for request in by_dependency(secrets) {
        let reason = match store.record(&request.id) {
            None => Some(absent(first)),
            Some(record) => secret_reason(request, record, secrets, &reasons, store),
        };
        reasons.insert(&request.id, reason);
    }
    for index in issuers_first(certs)? {
        let request = &certs[index];
        let reason = match store.record(&request.id) {
            None => Some(absent(first)),
            Some(record) => cert_reason(request, record, &reasons, store),
        };
        reasons.insert(&request.id, reason);
    }
    let ids = secrets.iter().map(|s| &s.id).chain(certs.iter().map(|c| &c.id));
    Ok(ids
        .map(|id| match reasons.get(id).cloned().flatten() {
            None => Decision { id: id.clone(), action: Action::Keep, reason: String::new() },
            Some(reason) => Decision { id: id.clone(), action: Action::Issue, reason },
        })
        .collect())
}

/// What is to be issued by CAs whose keys are kept elsewhere.
pub fn signed_elsewhere(certs: &[CertRequest], decisions: &[Decision], store: &Store) -> Vec<Decision> {
    let by: BTreeMap<&ObjectId, &ObjectId> =
        certs.iter().filter_map(|c| Some((&c.id, c.issuer.as_ref()?))).collect();
    let is =
        |d: &&Decision| d.action == Action::Issue && by.get(&d.id).is_some_and(|ca| store.is_keyless(ca));
    decisions.iter().filter(is).cloned().collect()
}

/// Objects of the store that nobody asks for any more. They stay; this is for the report.
pub fn unused(certs: &[CertRequest], secrets: &[SecretRequest], store: &Store) -> Vec<ObjectId> {
    let asked: BTreeSet<&ObjectId> =
        certs.iter().map(|c| &c.id).chain(secrets.iter().map(|s| &s.id)).collect();
    let is_unused = |id: &&ObjectId| !asked.contains(id) && !id.as_str().starts_with(PENDING);
    store.objects().map(|(id, _)| id).filter(is_unused).cloned().collect()
}

fn absent(first: bool) -> String {
    if first { "first build" } else { "new" }.to_owned()
}

/// Why a certificate must be issued again, if it must.
fn cert_reason(
    request: &CertRequest,
    record: &Record,
    reasons: &BTreeMap<&ObjectId, Option<String>>,
    store: &Store,
) -> Option<String> {
    if record.kind != Kind::Certificate {
        return Some(format!("was a {}", record.kind.as_str()));
    }
    // Who made it renews it, and its name is its own.
    if record.imported && request.profile == Profile::Ca {
        return None;
    }
    let made_from = record.made_from.as_ref()?;
    let mut changes = differences(made_from, &MadeFrom::of(request));
    if let Some(ca) = &request.issuer {
        if reasons.get(ca).is_some_and(Option::is_some) {
            changes.push(format!("its CA {ca} was issued again"));
        } else if made_from.issuer.as_deref() == Some(ca.as_str())
            && made_from.issuer_fingerprint.as_deref() != store.fingerprint(ca)
        {
            changes.push(format!("it was signed by another key of its CA {ca}"));
        }
    }
    if record.renew {
        changes.push("marked for renewal".to_owned());
    }
    (!changes.is_empty()).then(|| changes.join(", "))
}

/// Why a secret must be made again, if it must.
fn secret_reason(
    request: &SecretRequest,
    record: &Record,
    all: &[SecretRequest],
    reasons: &BTreeMap<&ObjectId, Option<String>>,
    store: &Store,
) -> Option<String> {
    let kind = Kind::from(request.kind);
    if record.kind != kind {
        return Some(format!("was a {}", record.kind.as_str()));
    }
    if record.renew {
        return Some("marked for renewal".to_owned());
    }
    if kind.is_key() || kind == Kind::HmacKey {
        return None;
    }
    let key = fingerprint_key(all)?;
    if reasons.get(key).is_some_and(Option::is_some)
        || record.fingerprint_key.as_deref() != store.fingerprint(key)
    {
        return Some(format!("its fingerprint key {key} was issued again"));
    }
    None
}

/// The key that fingerprints secrets which are no keys.
pub(super) fn fingerprint_key(secrets: &[SecretRequest]) -> Option<&ObjectId> {
    secrets.iter().find(|s| s.kind == SecretKind::HmacKey).map(|s| &s.id)
}

/// Fingerprint keys before what they fingerprint.
pub(super) fn by_dependency(secrets: &[SecretRequest]) -> impl Iterator<Item = &SecretRequest> {
    let is_key = |s: &&SecretRequest| s.kind == SecretKind::HmacKey;
    secrets.iter().filter(is_key).chain(secrets.iter().filter(move |s| !is_key(s)))
}

/// What changed between two sets of inputs, in words. The CA's key is compared elsewhere.
fn differences(old: &MadeFrom, new: &MadeFrom) -> Vec<String> {
    let MadeFrom {
        issuer,
        issuer_fingerprint: _,
        profile,
        common_name,
        organization,
        dns_sans,
        ip_sans,
        validity_days,
        algorithm,
    } = old;
    let mut changes = Vec::new();
    changed(&mut changes, "CA", or_none(issuer), or_none(&new.issuer));
    changed(&mut changes, "profile", profile, &new.profile);
    changed(&mut changes, "CN", or_none(common_name), or_none(&new.common_name));
    changed(&mut changes, "O", or_none(organization), or_none(&new.organization));
    listed(&mut changes, dns_sans, &new.dns_sans);
    listed(&mut changes, ip_sans, &new.ip_sans);
    // A CA's life and key are decided when it is made: issuing it again would make strangers of all that it signed.
    if issuer.is_some() {
        changed(&mut changes, "validity", &format!("{validity_days}d"), &format!("{}d", new.validity_days));
        changed(&mut changes, "key", algorithm, &new.algorithm);
    }
    changes
}

fn or_none(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or("none")
}

fn changed(changes: &mut Vec<String>, what: &str, old: &str, new: &str) {
    if old != new {
        changes.push(format!("{what} {old} -> {new}"));
    }
}

fn listed<T: Ord + Display>(changes: &mut Vec<String>, old: &[T], new: &[T]) {
    changes.extend(new.iter().filter(|n| !old.contains(n)).map(|n| format!("SAN {n} added")));
    changes.extend(old.iter().filter(|o| !new.contains(o)).map(|o| format!("SAN {o} removed")));
}

/// The order of signing: a CA comes before what it signs.
pub(super) fn issuers_first(certs: &[CertRequest]) -> Result<Vec<usize>, IssueError> {
    let by_id: BTreeMap<&ObjectId, usize> = certs.iter().enumerate().map(|(i, c)| (&c.id, i)).collect();
    let mut order = Vec::with_capacity(certs.len());
    let mut placed = vec![false; certs.len()];
    for start in 0..certs.len() {
        let mut chain = Vec::new();
        let mut next = Some(start);
        while let Some(index) = next.filter(|i| !placed[*i]) {
            if chain.contains(&index) {
                return Err(refuse(&certs[index].id, "signs itself through others"));
            }
            chain.push(index);
            next = certs[index].issuer.as_ref().and_then(|ca| by_id.get(ca).copied());
        }
        for index in chain.into_iter().rev() {
            placed[index] = true;
            order.push(index);
        }
    }
    Ok(order)
}

fn refuse(id: &ObjectId, what: impl Into<String>) -> IssueError {
    IssueError::Request { id: id.clone(), what: what.into() }
}

/// Refuses requests that no store or no certificate can hold.
fn check_requests(certs: &[CertRequest], secrets: &[SecretRequest], store: &Store) -> Result<(), IssueError> {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let ids = || certs.iter().map(|c| &c.id).chain(secrets.iter().map(|s| &s.id));
    for id in ids() {
        if !is_valid_id(id) {
            return Err(refuse(id, "cannot be the name of an object"));
        }
        if !seen.insert(id.as_str()) {
            return Err(refuse(id, "is asked for twice"));
        }
    }
    seen.extend(store.objects().map(|(id, _)| id.as_str()));
    for id in ids().chain(store.objects().map(|(id, _)| id)) {
        let mut above = id.as_str();
        while let Some((group, _)) = above.rsplit_once('/') {
            if seen.contains(group) {
                return Err(refuse(id, format!("{group} is an object and cannot hold another")));
            }
            above = group;
        }
    }
    let cas: BTreeSet<&ObjectId> = certs.iter().filter(|c| c.profile == Profile::Ca).map(|c| &c.id).collect();
    for cert in certs {
        match &cert.issuer {
            None if cert.profile != Profile::Ca => {
                return Err(refuse(
                    &cert.id,
                    format!("a {} certificate needs a CA", profile_name(cert.profile)),
                ));
            }
            Some(ca) if !cas.contains(ca) => {
                return Err(refuse(&cert.id, format!("its CA {ca} is not among the requests")));
            }
            None | Some(_) => {}
        }
        if cert.common_name.is_none() && cert.profile != Profile::Server {
            return Err(refuse(&cert.id, "only a server certificate may do without a common name"));
        }
        // RFC 5280 appendix A.1: ub-common-name and ub-organization-name.
        for (what, value) in [("common name", &cert.common_name), ("organization", &cert.organization)] {
            if value.as_ref().is_some_and(|v| v.is_empty() || v.chars().count() > 64) {
                return Err(refuse(&cert.id, format!("the {what} must have 1 to 64 characters")));
            }
        }
        if cert.validity_days == 0 {
            return Err(refuse(&cert.id, "a lifetime of 0 days"));
        }
    }
    let needs_key = |s: &&SecretRequest| !matches!(s.kind, SecretKind::KeyPair(_) | SecretKind::HmacKey);
    if let Some(request) = secrets.iter().find(needs_key)
        && fingerprint_key(secrets).is_none()
    {
        return Err(refuse(&request.id, "no fingerprint key is asked for"));
    }
    Ok(())
}
