//! Certificates that a CA must sign whose key is kept elsewhere: which ones, their PKCS#10 requests, and what came back.
//!
//! The key of a request waits in the store as a key pair named `pending/` and the certificate's name. Nothing is written
//! here: `Store::save` writes, and the requests themselves are text for the caller.

pub mod judge;
pub mod manifest;
pub mod signed;

use time::OffsetDateTime;

use super::decide::{self, Action, Decision, IssueError};
use super::due;
use super::issue::{CaKey, params};
use super::key;
use super::object::{Kind, MadeFrom, Object, Record};
use super::store::Store;
use crate::content::ObjectId;
use crate::env::Env;
use crate::plan::{CertRequest, SecretRequest};

/// The group of keys that wait for their certificates.
pub const PENDING: &str = "pending/";

/// The key pair that waits for a certificate.
pub fn pending(id: &ObjectId) -> ObjectId {
    ObjectId::new(format!("{PENDING}{id}"))
}

/// A request as it goes to whoever signs.
pub struct Csr<'a> {
    /// What is asked for.
    pub request: &'a CertRequest,
    /// Why.
    pub reason: String,
    /// PKCS#10 in PEM form.
    pub pem: String,
    /// SHA-256 of the key's SPKI.
    pub fingerprint: String,
}

/// The certificates that must be signed elsewhere, with the reason: those that a build would issue, and those that are due.
///
/// # Errors
/// When the requests contradict each other.
pub fn wanted<'a>(
    certs: &'a [CertRequest],
    secrets: &[SecretRequest],
    store: &Store,
    renew_before_days: u32,
    now: OffsetDateTime,
) -> Result<Vec<(&'a CertRequest, String)>, IssueError> {
    let decisions = decide::decide(certs, secrets, store)?;
    let reason = |d: &Decision| match d.action {
        Action::Issue => Some(d.reason.clone()),
        Action::Keep => {
            let state = due::state(store.validity(&d.id)?.not_after, renew_before_days, now)?;
            Some(if state == due::DueState::Due { "due" } else { "expired" }.to_owned())
        }
    };
    Ok(certs
        .iter()
        .filter(|c| c.issuer.as_ref().is_some_and(|ca| store.is_keyless(ca)))
        .filter_map(|c| Some((c, reason(decisions.iter().find(|d| d.id == c.id)?)?)))
        .collect())
}

/// Keys that wait for certificates which nobody wants any more.
pub fn stale(store: &Store, wanted: &[(&CertRequest, String)]) -> Vec<ObjectId> {
    let is_wanted = |name: &str| wanted.iter().any(|(c, _)| c.id.as_str() == name);
    let ids = store.objects().map(|(id, _)| id);
    ids.filter(|id| id.as_str().strip_prefix(PENDING).is_some_and(|name| !is_wanted(name))).cloned().collect()
}

/// Writes a request. A key that waits already for the same certificate is used again, so that a request which was lost can be
/// written once more.
///
/// # Errors
/// When the key cannot be read or made.
pub fn write<'a>(
    request: &'a CertRequest,
    reason: String,
    store: &mut Store,
    env: &Env,
) -> Result<Csr<'a>, IssueError> {
    let id = pending(&request.id);
    let fits = |record: &Record| record.made_from.as_ref() == Some(&MadeFrom::of(request));
    if !store.record(&id).is_some_and(fits) {
        let new = key::generate(env, request.algorithm)?;
        let public = key::public_pem(&new.public);
        let fingerprint = key::fingerprint(&key::spki(&new.public));
        let record = Record {
            host: request.host.clone(),
            made_from: Some(MadeFrom::of(request)),
            ..Record::new(&id, Kind::KeyPair, request.purpose, fingerprint, reason.clone(), env.now())
        };
        store.insert(id.clone(), Object::fresh(record, None, Some(public), Some(new.pem)));
    }
    let make = |e: rcgen::Error| IssueError::Make { id: request.id.clone(), what: e.to_string() };
    let signer = CaKey::new(store.signer(&id)?, env);
    // Neither the validity nor the serial number can be asked for (RFC 2986 section 4.1).
    let mut params = params(request, env.now(), env.now(), None)?;
    params.use_authority_key_identifier_extension = false;
    let pem = params.serialize_request(&signer).and_then(|csr| csr.pem()).map_err(make)?;
    let fingerprint = store.fingerprint(&id).unwrap_or_default().to_owned();
    Ok(Csr { request, reason, pem: pem.replace("\r\n", "\n"), fingerprint })
}
