//! Which collected certificates are what khagen would issue, and why the others are not.

use std::collections::BTreeSet;

use super::collected::{Cert, Collected, Key, file_name};
use crate::content::ObjectId;
use crate::env::Env;
use crate::model::Cluster;
use crate::pki::import::authority::Authority;
use crate::pki::request::judge::{Against, judge};
use crate::pki::verify;
use crate::plan::{CertRequest, Profile};
use crate::secret::Secret;

/// A certificate that stays in use.
pub struct Leaf {
    /// Its name in the store.
    pub id: ObjectId,
    /// Its DER.
    pub der: Vec<u8>,
    /// Its key.
    pub secret: Secret,
    /// The file.
    pub path: String,
}

/// A certificate that the next build issues.
pub struct Left {
    /// Its name in the store.
    pub id: ObjectId,
    /// Why none was taken over.
    pub reason: String,
}

/// Picks for every certificate of the cluster one of those that were collected, if one is as khagen would issue it. None is picked
/// twice: each use has a key of its own.
pub fn pick(
    collected: &Collected,
    cluster: &Cluster,
    requests: &[CertRequest],
    authorities: &[(ObjectId, Authority)],
    env: &Env,
) -> (Vec<Leaf>, Vec<Left>) {
    let hosts = Hosts::of(cluster);
    let candidates: Vec<(&Cert, &Key, BTreeSet<&str>)> = collected
        .certs
        .iter()
        .filter(|c| !c.is_ca())
        .filter_map(|c| Some((c, collected.key_of(&c.summary.spki_sha256)?, hosts.named_by(&c.path))))
        .collect();
    let mut taken: BTreeSet<&str> = BTreeSet::new();
    let (mut leafs, mut left) = (Vec::new(), Vec::new());
    for request in requests.iter().filter(|r| r.profile != Profile::Ca) {
        let ca = authorities.iter().find(|(id, _)| Some(id) == request.issuer.as_ref());
        let Some((_, ca)) = ca else { continue };
        let mut best: Option<(usize, String)> = None;
        let mut found = None;
        for (cert, key, named) in &candidates {
            let own = request.host.as_deref().is_some_and(|host| named.contains(host));
            let others = !named.is_empty() && !own;
            let same = same_subject(&cert.summary.subject_text, request);
            let may_be = same || own && same_usage(cert, request);
            if others || !may_be {
                continue;
            }
            if taken.contains(key.fingerprint.as_str()) {
                let reason =
                    format!("{} is in use elsewhere already, and each use gets a key of its own", cert.path);
                best.get_or_insert((usize::MAX, reason));
                continue;
            }
            let against = Against {
                request,
                key: &key.fingerprint,
                ca: &ca.der,
                now: env.now(),
                renew_before_days: cluster.pki.renew_before_days,
            };
            let mut wrong: Vec<String> =
                judge(&cert.der, &against).into_iter().filter(|w| !w.tolerable).map(|w| w.what).collect();
            let algorithm = request.algorithm.as_str();
            if key.algorithm != algorithm {
                wrong.push(format!("has a key {}, and pki.algorithm is {algorithm}", key.algorithm));
            }
            if wrong.is_empty() {
                found = Some((*cert, *key));
                break;
            }
            if best.as_ref().is_none_or(|(n, _)| wrong.len() < *n) {
                best = Some((wrong.len(), format!("{} {}", cert.path, wrong.join("; "))));
            }
        }
        match found {
            Some((cert, key)) => {
                taken.insert(&key.fingerprint);
                leafs.push(Leaf {
                    id: request.id.clone(),
                    der: cert.der.clone(),
                    secret: key.secret.clone(),
                    path: cert.path.clone(),
                });
            }
            None => {
                let none = || format!("none was found with the subject {}", verify::subject_text(request));
                let reason = best.map_or_else(none, |(_, reason)| reason);
                left.push(Left { id: request.id.clone(), reason });
            }
        }
    }
    (leafs, left)
}

fn same_subject(text: &str, request: &CertRequest) -> bool {
    let wanted = verify::subject_text(request);
    let parts = |text: &str| text.split(", ").map(str::to_owned).collect::<BTreeSet<_>>();
    parts(text) == parts(&wanted)
}

fn same_usage(cert: &Cert, request: &CertRequest) -> bool {
    let usage = cert.summary.extended_key_usage.as_ref().map(|eku| &eku.value);
    let wanted = verify::extended_key_usage(request.profile);
    usage.is_some_and(|u| u.len() == wanted.len() && wanted.iter().all(|w| u.contains(*w)))
}

/// Hosts by the names that a path may give them.
struct Hosts<'a>(Vec<(&'a str, BTreeSet<&'a str>)>);

impl<'a> Hosts<'a> {
    fn of(cluster: &'a Cluster) -> Hosts<'a> {
        let names =
            |h: &'a crate::model::Host| [h.fqdn.as_str(), h.name.as_str(), h.node_name.as_str()].into();
        Hosts(cluster.hosts.iter().map(|h| (h.fqdn.as_str(), names(h))).collect())
    }

    /// The hosts that a path names: by a folder, or by the file's own name as the tutorial has it.
    fn named_by(&self, path: &str) -> BTreeSet<&'a str> {
        let file = file_name(path);
        let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
        let stem = stem.strip_suffix("-peer").unwrap_or(stem);
        let parts: BTreeSet<&str> = path.split('/').chain([stem]).collect();
        self.0
            .iter()
            .filter(|(_, names)| names.iter().any(|n| parts.contains(n)))
            .map(|(fqdn, _)| *fqdn)
            .collect()
    }
}
