//! Compares two snapshots of one cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rayon::prelude::*;

use super::change::{CertificateDates, Class, ClusterDiff, HostDiff, Presence, What};
use super::compare::{self, Item};
use super::effect::{self, Place};
use super::group::{self, Found, Own};
use super::rollout::{self, Host, Options};
use super::timeline;
use crate::snapshot::{Body, Bundle, Head, OPERATOR, Snapshot, SnapshotError};

/// One host's part.
struct Compared {
    name: Arc<str>,
    presence: Presence,
    old: Option<Head>,
    new: Option<Head>,
    items: Vec<Item>,
    certificates: Vec<CertificateDates>,
    election_timeout_ms: Option<u32>,
}

/// Compares the bundles of two snapshots; `scope` limits it to hosts that are named.
///
/// # Errors
/// Every bundle that cannot be read.
pub fn compare(
    folder: &str,
    old: &dyn Snapshot,
    new: &dyn Snapshot,
    scope: Option<&BTreeSet<Arc<str>>>,
    options: Options,
) -> Result<ClusterDiff, SnapshotError> {
    let names: BTreeSet<Arc<str>> = old
        .names()
        .keys()
        .chain(new.names().keys())
        .filter(|name| scope.is_none_or(|s| s.contains(*name)))
        .cloned()
        .collect();
    let names: Vec<Arc<str>> = names.into_iter().collect();
    let compared: Vec<Result<Compared, SnapshotError>> =
        names.par_iter().map(|name| one(name, old, new)).collect();
    let mut hosts = Vec::with_capacity(compared.len());
    let mut problems = Vec::new();
    for result in compared {
        match result {
            Ok(host) => hosts.push(host),
            Err(e) => problems.extend(e.problems),
        }
    }
    match SnapshotError::all(problems) {
        Some(error) => Err(error),
        None => Ok(assemble(folder, hosts, options)),
    }
}

fn one(name: &Arc<str>, old: &dyn Snapshot, new: &dyn Snapshot) -> Result<Compared, SnapshotError> {
    let mut out = Compared {
        name: name.clone(),
        presence: Presence::Unchanged,
        old: None,
        new: None,
        items: Vec::new(),
        certificates: Vec::new(),
        election_timeout_ms: None,
    };
    match (old.names().get(name), new.names().get(name)) {
        (Some(a), Some(b)) => {
            if a.is_some() && a == b {
                let head = new.head(name)?;
                if timeline::has_certificates(name, &head) {
                    let bundle = new.bundle(name)?;
                    out.certificates = timeline::dates(Some(&bundle), Some(&bundle));
                }
                (out.old, out.new) = (Some(head.clone()), Some(head));
                return Ok(out);
            }
            let (a, b) = (old.bundle(name)?, new.bundle(name)?);
            out.certificates = timeline::dates(Some(&a), Some(&b));
            if b.head.is_retired() && !a.head.is_retired() {
                out.presence = Presence::Retired;
                out.items.push(host_item(What::HostRetired { roles: a.head.known.roles.clone() }));
            } else if b.head.is_retired() {
                // What is left of it is a page and a script; it has left already.
                out.items = compare::bundles(&a, &b);
                out.presence = Presence::Unchanged;
            } else {
                out.items = compare::bundles(&a, &b);
                if !out.items.is_empty() {
                    out.presence = Presence::Changed;
                }
            }
            out.election_timeout_ms = election_timeout(&b);
            (out.old, out.new) = (Some(a.head), Some(b.head));
        }
        (Some(_), None) => {
            let bundle = old.bundle(name)?;
            out.certificates = timeline::dates(Some(&bundle), None);
            out.presence = Presence::Removed;
            let what = What::HostRemoved { roles: bundle.head.known.roles.clone() };
            if bundle.head.is_retired() {
                // It left with an earlier build; now it is forgotten.
                out.items.push(Item {
                    file: String::new(),
                    policy: "bundle".to_owned(),
                    what: What::HostRemoved { roles: vec!["retired".to_owned()] },
                    minor: false,
                });
            } else {
                out.items.push(host_item(what));
            }
            out.old = Some(bundle.head);
        }
        _ => {
            let bundle = new.bundle(name)?;
            out.certificates = timeline::dates(None, Some(&bundle));
            out.presence = Presence::Added;
            let (roles, files) = (bundle.head.known.roles.clone(), bundle.files.len());
            out.items.push(host_item(What::HostAdded { roles, files }));
            out.new = Some(bundle.head);
        }
    }
    Ok(out)
}

fn host_item(what: What) -> Item {
    Item { file: String::new(), policy: "bundle".to_owned(), what, minor: false }
}

fn election_timeout(bundle: &Bundle) -> Option<u32> {
    match &bundle.files.get("root/etc/etcd/etcd.env")?.body {
        Body::Text(text) => {
            text.lines().find_map(|l| l.strip_prefix("ETCD_ELECTION_TIMEOUT="))?.trim().parse().ok()
        }
        Body::Secret { .. } => None,
    }
}

/// The cluster ids of both sides, where a host has one of each. The id is minted with the store, and so is the key under which
/// secrets without a public half have their fingerprints.
fn other_store(hosts: &[Host]) -> Option<(String, String)> {
    hosts.iter().find_map(|h| {
        let (old, new) = (&h.old.as_ref()?.known.cluster_id, &h.new.as_ref()?.known.cluster_id);
        (old != new && !old.is_empty() && !new.is_empty()).then(|| (old.clone(), new.clone()))
    })
}

fn assemble(folder: &str, compared: Vec<Compared>, mut options: Options) -> ClusterDiff {
    let mut own: BTreeMap<Arc<str>, Own> = BTreeMap::new();
    let mut found: Vec<Found> = Vec::new();
    let mut hosts = Vec::with_capacity(compared.len());
    let mut planned = Vec::with_capacity(compared.len());
    let mut certificates = Vec::new();
    let empty = Head::default();
    let (mut name, mut cluster_id) = (String::new(), String::new());
    for host in compared {
        let head = host.new.as_ref().or(host.old.as_ref()).unwrap_or(&empty);
        if name.is_empty() || host.new.is_some() {
            (name, cluster_id) = (head.known.cluster.clone(), head.known.cluster_id.clone());
        }
        let heads: Vec<&Head> = host.new.iter().chain(&host.old).collect();
        own.insert(host.name.clone(), Own::new(&host.name, &heads));
        let mut gravest = Class::None;
        for item in host.items {
            // What is gone was read by the units of the older bundle.
            let of = match (&item.what, &host.old) {
                (What::FileRemoved { .. }, Some(old)) => old,
                _ => head,
            };
            let place = Place { file: &item.file, policy: &item.policy, head: of };
            let effects = effect::effects(&place, &item.what);
            gravest = gravest.max(effects.iter().map(|e| e.class).max().unwrap_or(Class::None));
            found.push(Found { host: host.name.clone(), item, effects });
        }
        options.election_timeout_ms = host.election_timeout_ms.unwrap_or(0).max(options.election_timeout_ms);
        hosts.push(HostDiff {
            name: host.name.clone(),
            roles: head.known.roles.clone(),
            addresses: head.known.addresses.clone(),
            presence: host.presence,
            effect: gravest,
        });
        certificates.extend(host.certificates);
        if &*host.name != OPERATOR {
            planned.push(Host { name: host.name, presence: host.presence, old: host.old, new: host.new });
        }
    }
    hosts.sort_by(|a, b| (&*a.name == OPERATOR, &a.name).cmp(&(&*b.name == OPERATOR, &b.name)));
    let changes = group::group(found, &own);
    let mut rollout = rollout::plan(&planned, &changes, options);
    if let Some((former, latter)) = other_store(&planned) {
        rollout.refused.insert(
            0,
            format!(
                "these come from two stores (cluster ids {former} and {latter}): each has its own CAs, and fingerprints of \
                 tokens and passwords cannot be compared across them; build from the store that the hosts came from"
            ),
        );
    }
    timeline::sort(&mut certificates);
    ClusterDiff {
        folder: folder.to_owned(),
        name,
        cluster_id,
        hosts,
        changes,
        issues: Vec::new(),
        rollout,
        certificates,
    }
}
