//! Where each object of the store lies on the hosts. Asked of the code that puts it there, so that there is no second list.

use std::collections::{BTreeMap, HashMap};

use super::Place;
use crate::content::{Content, ObjectId, Piece};
use crate::ledger::Ledger;
use crate::model::{Cluster, Role};
use crate::pki::Store;
use crate::plan::{FileEntry, FileLayer};
use crate::render::trust::Trust;
use crate::render::{balancer, credentials, kubeadm};
use crate::snapshot::OPERATOR;

/// By object, its places in order. A host of which something is not issued yet has none.
pub(super) fn of_objects(cluster: &Cluster, store: &Store, ledger: &Ledger) -> BTreeMap<String, Vec<Place>> {
    let public: HashMap<&str, &ObjectId> = store
        .objects()
        .filter_map(|(id, _)| Some((&**store.cert_pem(id).or_else(|| store.public_pem(id))?, id)))
        .collect();
    let mut places: BTreeMap<String, Vec<Place>> = BTreeMap::new();
    let mut add = |content: &Content, on: &str, path: &str| {
        for piece in content.pieces() {
            let ids: Vec<&ObjectId> = match piece {
                Piece::Secret(id, _) => vec![id],
                Piece::Text(text) => blocks(text).filter_map(|block| public.get(block).copied()).collect(),
            };
            for id in ids {
                let place = Place { on: on.to_owned(), path: path.to_owned() };
                let known = places.entry(id.as_str().to_owned()).or_default();
                if !known.contains(&place) {
                    known.push(place);
                }
            }
        }
    };
    let mut files = |found: Vec<FileEntry>, host: &str| {
        for file in found {
            let on = match &file.layer {
                FileLayer::Shared(layer) => layer.to_string(),
                FileLayer::Host => host.to_owned(),
            };
            add(&file.content, &on, &file.path);
        }
    };
    files(credentials::shared_files(cluster, store).unwrap_or_default(), "");
    let first = ledger.founding.as_ref().map_or("", |f| f.first_control_plane.as_str());
    for host in &cluster.hosts {
        let own = credentials::host_files(cluster, host, store, first == host.fqdn);
        files(own.unwrap_or_default(), &host.fqdn);
        files(kubeadm::host(cluster, host, ledger, &Trust::default()), &host.fqdn);
        if host.has(Role::LoadBalancer) {
            files(balancer::host(cluster, host, ledger).unwrap_or_default(), &host.fqdn);
        }
    }
    for (path, _, content) in credentials::operator_files(cluster, store).unwrap_or_default() {
        add(&content, OPERATOR, &path);
    }
    places
}

/// A text's PEM blocks, each up to the next: a trust file holds several roots while one is rotated.
fn blocks(text: &str) -> impl Iterator<Item = &str> {
    const BEGIN: &str = "-----BEGIN ";
    let starts: Vec<usize> = if text.starts_with(BEGIN) {
        text.match_indices(BEGIN).map(|(at, _)| at).collect()
    } else {
        Vec::new()
    };
    let ends: Vec<usize> = starts.iter().skip(1).copied().chain([text.len()]).collect();
    starts.into_iter().zip(ends).filter_map(|(from, to)| text.get(from..to))
}
