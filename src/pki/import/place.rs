//! Where an imported CA goes in the store, and what it would take the place of.

use super::authority::Authority;
use crate::content::ObjectId;
use crate::diag::{Code, Diagnostic, Report};
use crate::env::Env;
use crate::model::{Cluster, ClusterState, KeyAlgorithm};
use crate::pki::object::{CertificateRecord, Kind, MadeFrom, Object, Record, profile_name};
use crate::pki::read;
use crate::pki::read::authority::KeyKind;
use crate::pki::sealed::sha256_hex;
use crate::pki::store::{Store, StoreError};
use crate::plan::{CertRequest, Profile, certs};

/// What an import does to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placing {
    /// There was no such CA.
    New,
    /// It is there already, with what was given.
    Same,
    /// It is there without its key, which is added.
    KeyAdded,
    /// The same key and name with another certificate: what it signed stays.
    Renewed,
    /// Another CA is replaced; what that one signed is issued anew by the next build.
    Replaced {
        /// How many certificates that is.
        signed: usize,
    },
}

/// Says what an import would do; findings where it must not.
pub fn placing(
    store: &Store,
    cluster: &Cluster,
    id: &ObjectId,
    authority: &Authority,
    replace: bool,
    report: &mut Report,
) -> Placing {
    shared_key(store, id, authority, report);
    if authority.key.is_none()
        && !has_its_key(store, id, authority)
        && !cluster.is_external_ca()
        && on_control_planes(id)
    {
        report.push(
            Diagnostic::error(
                Code::ImportKeyMissing,
                format!(
                    "{id} without its key: every control plane holds it (kubernetes.pki: {})",
                    cluster.kubernetes.pki.as_str()
                ),
            )
            .reason("kubeadm and the controller manager sign with it there")
            .help("give the key with --key, or set `kubernetes.pki: external-ca`, where no CA's key is in the cluster"),
        );
    }
    let Some(record) = store.record(id) else { return Placing::New };
    let signed = store.objects().filter(|(_, o)| is_of(o.record(), id)).count();
    if record.fingerprint == authority.summary.spki_sha256 {
        let former = store.cert_pem(id).and_then(|pem| read::der(pem).ok()).unwrap_or_default();
        if former == authority.der {
            let adds = record.keyless && authority.key.is_some();
            return if adds { Placing::KeyAdded } else { Placing::Same };
        }
        // What it signed names its subject and its key identifier.
        let same = read::summary(&former).is_ok_and(|former| {
            former.subject == authority.summary.subject
                && former.subject_key_id == authority.summary.subject_key_id
        });
        if same || signed == 0 {
            return Placing::Renewed;
        }
    }
    let runs = cluster.state == ClusterState::Running;
    if signed == 0 || replace && !runs {
        return Placing::Replaced { signed };
    }
    let message = format!("the store has another {id}, which signed {signed} certificates");
    let finding = Diagnostic::error(Code::ImportOtherCa, message);
    report.push(if runs {
        finding
            .reason("the cluster runs: hosts with the new CA and hosts with the former one would not trust each other")
            .help("exchange it in stages, so that every host trusts both for a while")
    } else {
        finding
            .reason("all of them would be issued anew, and an output that was built with the former CA is worth nothing then")
            .help("nothing runs on it yet (cluster.state: new)? Then --replace takes its place, and the next build, into another folder or after the former output was moved away, issues all anew")
    });
    Placing::Same
}

/// Whether the store has the key that belongs to a CA's certificate.
fn has_its_key(store: &Store, id: &ObjectId, authority: &Authority) -> bool {
    store.record(id).is_some_and(|r| r.fingerprint == authority.summary.spki_sha256 && !r.keyless)
}

/// Whether a certificate was signed by a CA.
fn is_of(record: &Record, ca: &ObjectId) -> bool {
    let issuer = record.made_from.as_ref().and_then(|m| m.issuer.as_deref());
    record.kind == Kind::Certificate && issuer == Some(ca.as_str())
}

/// Whether a CA's key lies on control planes unless the mode is `external-ca`.
pub fn on_control_planes(id: &ObjectId) -> bool {
    matches!(id.as_str(), certs::KUBERNETES_CA | certs::FRONT_PROXY_CA)
}

/// One key for two CAs joins what must be apart.
fn shared_key(store: &Store, id: &ObjectId, authority: &Authority, report: &mut Report) {
    let twin = store.objects().find(|(other, object)| {
        let is_ca =
            object.record().made_from.as_ref().is_some_and(|m| m.profile == profile_name(Profile::Ca));
        *other != id && is_ca && object.record().fingerprint == authority.summary.spki_sha256
    });
    let Some((other, _)) = twin else { return };
    report.push(
        Diagnostic::error(Code::ImportSharedCa, format!("{id} would have the key of {other}"))
            .reason("what one of them signs would be trusted where the other's counts: a kubelet at etcd, any client as the API server's front proxy")
            .help("give each its own CA; one for etcd's clients and peers is `etcd.peerCA: same`, and only ca/etcd is imported then"),
    );
}

/// What the record of an imported CA says about where it came from.
fn reason(authority: &Authority) -> String {
    let subject = &authority.summary.subject_text;
    let key = if authority.key.is_some() { "" } else { ", without its key" };
    if authority.is_root() {
        return format!("imported{key}: {subject}");
    }
    let issuer = &authority.summary.issuer_text;
    match authority.above.first() {
        Some((der, _)) => {
            format!("imported{key}: {subject}, signed by {issuer} (SHA-256 {})", sha256_hex(der))
        }
        None => format!("imported{key}: {subject}, signed by {issuer}, which was not given"),
    }
}

/// Puts a CA into the store in memory. A key that is there already stays with its renewed certificate.
///
/// # Errors
/// When that key cannot be read.
pub fn put(
    store: &mut Store,
    request: &CertRequest,
    mut authority: Authority,
    env: &Env,
) -> Result<(), StoreError> {
    if authority.key.is_none() && has_its_key(store, &request.id, &authority) {
        authority.key = Some(store.secret(&request.id)?);
    }
    let reason = reason(&authority);
    let Authority { der, summary, details, key: secret, .. } = authority;
    let pem = read::pem(&der);
    let algorithm = match &details.key {
        KeyKind::Rsa(..2560) => KeyAlgorithm::Rsa2048,
        KeyKind::Rsa(2560..3584) => KeyAlgorithm::Rsa3072,
        KeyKind::Rsa(_) => KeyAlgorithm::Rsa4096,
        KeyKind::Ec(curve) if curve.ends_with(".35") => KeyAlgorithm::P521,
        KeyKind::Ec(curve) if curve.ends_with(".34") => KeyAlgorithm::P384,
        KeyKind::Ec(_) | KeyKind::Other(_) => KeyAlgorithm::P256,
    };
    let fingerprint = summary.spki_sha256.clone();
    let record = Record {
        imported: true,
        keyless: secret.is_none(),
        // A root that is renewed with its key stays where its rotation is.
        rotation: store
            .record(&request.id)
            .filter(|r| r.fingerprint == fingerprint)
            .and_then(|r| r.rotation.clone()),
        certificate: Some(CertificateRecord::of(&pem, &summary)),
        made_from: Some(MadeFrom {
            common_name: details.common_name,
            dns_sans: Vec::new(),
            algorithm: algorithm.as_str().to_owned(),
            ..MadeFrom::of(request)
        }),
        ..Record::new(&request.id, Kind::Certificate, request.purpose, fingerprint, reason, env.now())
    };
    let object = Object::fresh(record, Some(pem), None, secret);
    store.insert(request.id.clone(), object);
    Ok(())
}
