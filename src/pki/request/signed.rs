//! Takes signed certificates back: each is matched with its request by the public key, judged, and put into the store in
//! memory. Nothing is put if anything is wrong.

use std::collections::BTreeMap;

use super::judge::{Against, judge};
use super::{PENDING, pending};
use crate::content::ObjectId;
use crate::diag::{Code, Diagnostic, Report};
use crate::env::Env;
use crate::pki::object::{CertificateRecord, Kind, MadeFrom, Object, Record};
use crate::pki::read::{self, CertSummary};
use crate::pki::store::{Store, StoreError};
use crate::plan::CertRequest;

/// A file that was given.
pub struct File {
    /// As messages name it.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// A certificate that fits its request.
pub struct Fitting {
    /// Its name in the store.
    pub id: ObjectId,
    /// Its DER.
    pub der: Vec<u8>,
}

/// What a command was given, sorted out.
#[derive(Default)]
pub struct Sorted {
    /// Certificates by name.
    pub fitting: Vec<Fitting>,
    /// CAs' certificates that stood beside them.
    pub authorities: usize,
    /// Certificates that are in the store already.
    pub known: usize,
}

/// Sorts and judges certificates. Every one that is wrong is a finding.
pub fn sort(
    files: &[File],
    requests: &[CertRequest],
    store: &Store,
    renew_before_days: u32,
    env: &Env,
    report: &mut Report,
) -> Sorted {
    let waiting: BTreeMap<&str, &ObjectId> = store
        .objects()
        .filter(|(id, _)| id.as_str().starts_with(PENDING))
        .map(|(id, object)| (object.record().fingerprint.as_str(), id))
        .collect();
    let mut sorted = Sorted::default();
    let mut from: BTreeMap<ObjectId, String> = BTreeMap::new();
    for file in files {
        let certs = certificates(file, report);
        for (der, cert) in certs {
            if cert.basic_constraints.as_ref().is_some_and(|bc| bc.value.ca)
                && !waiting.contains_key(cert.spki_sha256.as_str())
            {
                sorted.authorities += 1;
                continue;
            }
            let place = format!("{}: {}", file.name, cert.subject_text);
            let is_it = |o: &Object| o.cert_pem().is_some_and(|pem| read::der(pem).is_ok_and(|d| d == der));
            let Some(key) = waiting.get(cert.spki_sha256.as_str()) else {
                if store.objects().any(|(_, o)| is_it(o)) {
                    sorted.known += 1;
                } else {
                    report.push(stranger(format!("{place} belongs to no request of this store")));
                }
                continue;
            };
            let name = ObjectId::new(key.as_str().trim_start_matches(PENDING));
            let asked = store.record(key).and_then(|r| r.made_from.as_ref());
            let Some(request) = requests.iter().find(|r| r.id == name && Some(&MadeFrom::of(r)) == asked)
            else {
                report.push(stranger(format!(
                    "{place} is for {name}, and the inventory has changed since its request was written"
                )));
                continue;
            };
            if let Some(former) = from.insert(name.clone(), file.name.clone())
                && !sorted.fitting.iter().any(|f| f.id == name && f.der == der)
            {
                report.push(stranger(format!(
                    "{place} is another certificate for {name} than the one in {former}"
                )));
                continue;
            }
            let ca = request.issuer.as_ref().and_then(|ca| store.cert_pem(ca));
            let ca = ca.and_then(|pem| read::der(pem).ok()).unwrap_or_default();
            let against =
                Against { request, key: &cert.spki_sha256, ca: &ca, now: env.now(), renew_before_days };
            for wrong in judge(&der, &against) {
                let message = format!("{}: {name} {}", file.name, wrong.what);
                report.push(if wrong.tolerable {
                    Diagnostic::warning(wrong.code, message)
                } else {
                    Diagnostic::error(wrong.code, message)
                        .help("have the request signed again with exactly what MANIFEST.txt lists")
                });
            }
            sorted.fitting.retain(|f| f.id != name);
            sorted.fitting.push(Fitting { id: name, der });
        }
    }
    sorted.fitting.sort_by(|a, b| a.id.cmp(&b.id));
    sorted
}

fn stranger(message: String) -> Diagnostic {
    Diagnostic::error(Code::ImportNoRequest, message)
        .reason("a certificate is known by its public key, and only a key that waits in the store can use it")
        .help("write the requests anew with `khagen pki csr`, and have those signed")
}

fn certificates(file: &File, report: &mut Report) -> Vec<(Vec<u8>, CertSummary)> {
    let unreadable = |what: String| {
        Diagnostic::error(Code::ImportUnreadable, format!("{}: {what}", file.name))
            .help("give the signed certificates in PEM form; `openssl x509 -inform der` turns DER into PEM")
    };
    let blocks = pem::parse_many(&file.bytes).unwrap_or_default();
    let ders = blocks.into_iter().filter(|b| b.tag() == "CERTIFICATE").map(pem::Pem::into_contents);
    let mut certs = Vec::new();
    for der in ders {
        match read::summary(&der) {
            Ok(summary) => certs.push((der, summary)),
            Err(e) => report.push(unreadable(format!("a certificate {e}"))),
        }
    }
    if certs.is_empty() {
        report.push(unreadable("holds no certificate in PEM form".to_owned()));
    }
    certs
}

/// Puts a certificate that fits into the store in memory, with the key that waited for it.
///
/// # Errors
/// When the key cannot be read.
pub fn put(store: &mut Store, request: &CertRequest, der: &[u8], env: &Env) -> Result<(), StoreError> {
    let waiting = pending(&request.id);
    let secret = store.secret(&waiting)?;
    let why = store.record(&waiting).map(|r| r.reason.clone()).unwrap_or_default();
    insert(store, request, der, secret, format!("signed elsewhere: {why}"), env)?;
    store.take_out(&waiting);
    Ok(())
}

/// Puts a certificate that somebody else issued, with its key.
///
/// # Errors
/// When the certificate cannot be read.
pub(in crate::pki) fn insert(
    store: &mut Store,
    request: &CertRequest,
    der: &[u8],
    secret: crate::secret::Secret,
    reason: String,
    env: &Env,
) -> Result<(), StoreError> {
    let no = |_| StoreError::NoSuchObject { id: request.id.clone() };
    let (summary, pem) = (read::summary(der).map_err(no)?, read::pem(der));
    let issuer = request.issuer.as_ref().and_then(|ca| store.fingerprint(ca)).map(str::to_owned);
    let fingerprint = summary.spki_sha256.clone();
    let record = Record {
        host: request.host.clone(),
        imported: true,
        certificate: Some(CertificateRecord::of(&pem, &summary)),
        made_from: Some(MadeFrom { issuer_fingerprint: issuer, ..MadeFrom::of(request) }),
        ..Record::new(&request.id, Kind::Certificate, request.purpose, fingerprint, reason, env.now())
    };
    store.insert(request.id.clone(), Object::fresh(record, Some(pem), None, Some(secret)));
    Ok(())
}
