//! Takes over the PKI of a cluster that somebody else made: its CAs and service-account pair whole, so that nothing that is
//! trusted changes, and of the other certificates those that are what khagen would issue.
//!
//! [`collected`] reads what was collected from the hosts, [`fits`] holds it against the inventory, [`leafs`] picks certificates. Pure
//! but for the store in memory. Stacked clusters are refused: their etcd is kubeadm's and lives on the control planes.

pub mod collected;
mod fits;
pub mod leafs;

use super::authority::{self, Authority, Given, Needs};
use super::place;
use crate::content::ObjectId;
use crate::diag::{Code, Diagnostic, Report};
use crate::env::Env;
use crate::model::Cluster;
use crate::pki::key::{self, SigningKey};
use crate::pki::object::{Kind, Object, Record};
use crate::pki::read;
use crate::pki::store::{Store, StoreError};
use crate::plan::{CertRequest, certs};
use crate::secret::Secret;
use collected::Collected;
use leafs::{Leaf, Left};

/// What is taken over.
pub struct Adoption {
    /// CAs with their names.
    pub authorities: Vec<(ObjectId, Authority)>,
    /// The service-account key.
    pub service_account: Secret,
    /// Certificates that stay in use.
    pub leafs: Vec<Leaf>,
    /// Certificates that the next build issues, and why.
    pub left: Vec<Left>,
}

/// Judges a collection. `None` after a finding that forbids taking it over.
pub fn judge(
    collected: &Collected,
    cluster: &Cluster,
    requests: &[CertRequest],
    store: &Store,
    env: &Env,
    report: &mut Report,
) -> Option<Adoption> {
    fits::stacked(collected, report);
    if report.has_errors() {
        // What else there is to say would be about a cluster of another kind.
        return None;
    }
    let authorities = authorities(collected, cluster, requests, store, env, report);
    let service_account = service_account(collected, store, report);
    fits::inventory(collected, cluster, report);
    if report.has_errors() {
        return None;
    }
    let (leafs, left) = leafs::pick(collected, cluster, requests, &authorities, env);
    Some(Adoption { authorities, service_account: service_account?, leafs, left })
}

fn authorities(
    collected: &Collected,
    cluster: &Cluster,
    requests: &[CertRequest],
    store: &Store,
    env: &Env,
    report: &mut Report,
) -> Vec<(ObjectId, Authority)> {
    let mut found = Vec::new();
    for name in certs::authorities(cluster) {
        let id = ObjectId::new(name);
        let mut files: Vec<_> =
            collected.certs.iter().filter(|c| collected::role(&c.path) == Some(name)).collect();
        // The first of a file is the CA's, for kubeadm as well.
        files.dedup_by(|a, b| a.path == b.path);
        let Some(first) = files.first() else {
            // That there is one CA only is the inventory's fault, and is said there.
            if name != certs::ETCD_PEER_CA {
                report.push(missing(&format!("the certificate of {name}"), collected::usual(name)));
            }
            continue;
        };
        if let Some(other) = files.iter().find(|c| c.der != first.der) {
            let message = format!("{} and {} are different CAs for {name}", first.path, other.path);
            report.push(
                Diagnostic::error(Code::AdoptIncomplete, message)
                    .reason("hosts of one cluster trust the same CA; otherwise a rotation is under way, or two clusters were collected")
                    .help("finish the rotation first, or leave out what is not of this cluster"),
            );
            continue;
        }
        let key = collected.key_of(&first.summary.spki_sha256);
        let pem = read::pem(&first.der);
        let given = Given {
            cert_name: &first.path,
            certs: pem.as_bytes(),
            key: key.map(|k| (k.path.as_str(), k.secret.expose())),
        };
        let Some(authority) = authority::read(&given, &mut || Err(String::new()), report) else { continue };
        let needs = Needs {
            requests,
            id: &id,
            validity_days: cluster.pki.validity_days,
            renew_before_days: cluster.pki.renew_before_days,
            now: env.now(),
        };
        authority::judge(&authority, &needs, report);
        place::placing(store, cluster, &id, &authority, false, report);
        found.push((id, authority));
    }
    for (n, (id, authority)) in found.iter().enumerate() {
        if let Some((other, _)) =
            found[..n].iter().find(|(_, a)| a.summary.spki_sha256 == authority.summary.spki_sha256)
        {
            let message = format!("{id} and {other} are one CA");
            report.push(
                Diagnostic::error(Code::ImportSharedCa, message)
                    .reason("what one of them signs is trusted where the other's counts")
                    .help("one CA for etcd's clients and peers is `etcd.peerCA: same`; others must be told apart in the cluster first"),
            );
        }
    }
    found
}

fn missing(what: &str, usual: &str) -> Diagnostic {
    Diagnostic::error(Code::AdoptIncomplete, format!("{what} was not found"))
        .reason("without it the first build would make a new one, which no host trusts")
        .help(format!("copy it from a host: it is usually {usual}"))
}

fn service_account(collected: &Collected, store: &Store, report: &mut Report) -> Option<Secret> {
    let keys: Vec<_> = collected.keys.iter().filter(|k| collected::file_name(&k.path) == "sa.key").collect();
    let Some(first) = keys.first() else {
        report.push(missing("the service-account key", "/etc/kubernetes/pki/sa.key of any control plane"));
        return None;
    };
    let mut wrong = |message: String, help: &str| {
        let reason = "every API server must know the key that signed a token";
        report.push(Diagnostic::error(Code::AdoptIncomplete, message).reason(reason).help(help));
    };
    if let Some(other) = keys.iter().find(|k| k.fingerprint != first.fingerprint) {
        wrong(
            format!("{} and {} are different service-account keys", first.path, other.path),
            "make the control planes use the same one first",
        );
    }
    for (path, fingerprint) in &collected.publics {
        if collected::file_name(path) == "sa.pub" && *fingerprint != first.fingerprint {
            wrong(
                format!("{path} is not the public half of {}", first.path),
                "copy the pair from the control plane that runs",
            );
        }
    }
    let id = ObjectId::new(certs::SERVICE_ACCOUNT);
    if store.fingerprint(&id).is_some_and(|f| f != first.fingerprint) {
        wrong(
            "the store has another service-account key".to_owned(),
            "adopt into an inventory that has no store yet",
        );
    }
    Some(first.secret.clone())
}

/// Puts everything into the store in memory.
///
/// # Errors
/// When a key that is there already cannot be read.
pub fn put(
    store: &mut Store,
    requests: &[CertRequest],
    adoption: Adoption,
    env: &Env,
) -> Result<(), StoreError> {
    let Adoption { authorities, service_account, leafs, left: _ } = adoption;
    // What is there already is not written again.
    let is_there = |store: &Store, id: &ObjectId, der: &[u8]| {
        store.cert_pem(id).is_some_and(|pem| **pem == *read::pem(der))
    };
    for (id, authority) in authorities {
        if is_there(store, &id, &authority.der) && !(store.is_keyless(&id) && authority.key.is_some()) {
            continue;
        }
        if let Some(request) = requests.iter().find(|r| r.id == id) {
            place::put(store, request, authority, env)?;
        }
    }
    put_service_account(store, service_account, env);
    for Leaf { id, der, secret, path } in leafs {
        if is_there(store, &id, &der) {
            continue;
        }
        if let Some(request) = requests.iter().find(|r| r.id == id) {
            let reason = format!("adopted from {path}");
            crate::pki::request::signed::insert(store, request, &der, secret, reason, env)?;
        }
    }
    Ok(())
}

fn put_service_account(store: &mut Store, secret: Secret, env: &Env) {
    let id = ObjectId::new(certs::SERVICE_ACCOUNT);
    let Ok(pair) = SigningKey::parse(secret.expose(), env.random()) else { return };
    let fingerprint = key::fingerprint(&key::spki(pair.public()));
    if store.fingerprint(&id) == Some(&fingerprint) {
        return;
    }
    let public = key::public_pem(pair.public());
    let purpose = "signs service-account tokens";
    let record = Record {
        imported: true,
        ..Record::new(&id, Kind::KeyPair, purpose, fingerprint, "adopted".to_owned(), env.now())
    };
    let object = Object::fresh(record, None, Some(public), Some(secret));
    store.insert(id, object);
}
