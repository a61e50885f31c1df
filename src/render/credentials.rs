//! Certificates, keys and kubeconfigs as files of a host or of the operator.
//!
//! Certificates are public text and come from the store; keys are named, not read. Modes and owners: a key is 0600 and
//! belongs to the one user that reads it, root under /etc/kubernetes and etcd under /etc/etcd.

use std::sync::Arc;

use crate::content::{Content, ObjectId};
use crate::model::{Cluster, Host, PeerCa, Role, bracketed};
use crate::pki::rotation;
use crate::pki::store::Store;
use crate::plan::certs;
use crate::plan::{FileEntry, FileLayer, Policy, shared};
use crate::render::kubeadm;

/// A certificate that the plan asked for is not in the store. Issuing comes before rendering, so this is a bug.
#[derive(Debug, thiserror::Error)]
#[error("the store has no {0}")]
pub struct Missing(pub ObjectId);

/// What hosts of a layer have in common: the CA certificates.
///
/// # Errors
/// When the store lacks a CA.
pub fn shared_files(cluster: &Cluster, store: &Store) -> Result<Vec<FileEntry>, Missing> {
    // Where the order means nothing it is that of age, so that a file does not change when the new one begins to sign.
    let trust = |id: &str| bundle(store, &rotation::by_age(store, &ObjectId::new(id)));
    let ca = |id: &str| bundle(store, &rotation::signer_first(store, &ObjectId::new(id)));
    let file = |path: &str, layer: &str, content: Content| FileEntry::new(path, shared(layer), content);
    let mut files = vec![
        file("/etc/etcd/pki/etcd-ca.crt", "etcd", trust(certs::ETCD_CA)?),
        file("/etc/kubernetes/pki/etcd/etcd-ca.crt", "control-plane", trust(certs::ETCD_CA)?),
    ];
    // Without a token a worker has nobody to fetch it from. And a rotation must reach its kubelet, which trusts what this
    // file holds.
    if cluster.is_external_ca() || rotation::has_begun(store, certs::KUBERNETES_CA) {
        files.push(file(CA_CRT, "kubernetes", ca(certs::KUBERNETES_CA)?));
    } else if !cluster.is_kubeadm_pki() {
        files.push(file(CA_CRT, "control-plane", ca(certs::KUBERNETES_CA)?));
    }
    if cluster.is_kubeadm_pki() {
        let id = ObjectId::new(certs::CONTROL_PLANE_ETCD);
        files.push(file(&format!("{ETCD_CLIENT}.crt"), "control-plane", pem(store, &id)?));
        files.push(key(&format!("{ETCD_CLIENT}.key"), shared("control-plane"), id));
    } else {
        files.extend(signers(cluster, store, &shared("control-plane"))?);
    }
    if kubeadm::signs_from_own_file(cluster, store) {
        files.push(file(
            kubeadm::SIGNING_CERTIFICATE,
            "control-plane",
            pem(store, &ObjectId::new(certs::KUBERNETES_CA))?,
        ));
    }
    if cluster.etcd.peer_ca == PeerCa::Separate {
        files.push(file("/etc/etcd/pki/etcd-peer-ca.crt", "etcd", trust(certs::ETCD_PEER_CA)?));
    }
    Ok(files)
}

/// What a control plane signs and is trusted with, beside ca.crt.
fn signers(cluster: &Cluster, store: &Store, layer: &FileLayer) -> Result<Vec<FileEntry>, Missing> {
    let front_proxy = rotation::signer_first(store, &ObjectId::new(certs::FRONT_PROXY_CA));
    let file = |path: &str, content: Content| FileEntry::new(path, layer.clone(), content);
    let mut files = vec![
        file("/etc/kubernetes/pki/front-proxy-ca.crt", bundle(store, &front_proxy)?),
        file("/etc/kubernetes/pki/sa.pub", publics(store, certs::SERVICE_ACCOUNT)?),
        key("/etc/kubernetes/pki/sa.key", layer.clone(), ObjectId::new(certs::SERVICE_ACCOUNT)),
    ];
    if !cluster.is_external_ca() {
        for (name, ca) in [("ca", certs::KUBERNETES_CA), ("front-proxy-ca", certs::FRONT_PROXY_CA)] {
            let path = format!("/etc/kubernetes/pki/{name}.key");
            files.push(key(&path, layer.clone(), ObjectId::new(ca)));
        }
    }
    Ok(files)
}

/// A host's own certificates, keys and kubeconfigs.
///
/// # Errors
/// When the store lacks one.
pub fn host_files(
    cluster: &Cluster,
    host: &Host,
    store: &Store,
    first: bool,
) -> Result<Vec<FileEntry>, Missing> {
    let mut files = Vec::new();
    if host.has(Role::Etcd) {
        let name = &host.name;
        for (kind, stem) in [
            ("etcd-server", name.clone()),
            ("etcd-peer", format!("{name}-peer")),
            ("etcd-health-client", "etcd-health-client".to_owned()),
        ] {
            let id = certs::of_host(kind, host);
            files.push(FileEntry::new(
                format!("/etc/etcd/pki/{stem}.crt"),
                FileLayer::Host,
                pem(store, &id)?,
            ));
            files.push(key(&format!("/etc/etcd/pki/{stem}.key"), FileLayer::Host, id).owned("etcd", "etcd"));
        }
    }
    if first && cluster.is_kubeadm_pki() {
        // `kubeadm init` uploads them, and who joins fetches them. That file has more hosts once it was ever rotated.
        if !rotation::has_begun(store, certs::KUBERNETES_CA) {
            let ca = rotation::signer_first(store, &ObjectId::new(certs::KUBERNETES_CA));
            files.push(FileEntry::new(CA_CRT, FileLayer::Host, bundle(store, &ca)?));
        }
        files.extend(signers(cluster, store, &FileLayer::Host)?);
    }
    if host.has(Role::ControlPlane) && !cluster.is_kubeadm_pki() {
        for (kind, policy) in [
            // `kubeadm certs renew` and `kubeadm upgrade` write these anew on the host.
            ("apiserver", Policy::CreateOnce),
            ("apiserver-kubelet-client", Policy::CreateOnce),
            ("front-proxy-client", Policy::CreateOnce),
            // kubeadm leaves the client of an external etcd alone.
            ("apiserver-etcd-client", Policy::Managed),
        ] {
            let id = certs::of_host(kind, host);
            let path = format!("/etc/kubernetes/pki/{kind}");
            files.push(
                FileEntry::new(format!("{path}.crt"), FileLayer::Host, pem(store, &id)?).policy(policy),
            );
            files.push(key(&format!("{path}.key"), FileLayer::Host, id).policy(policy));
        }
        let k = &cluster.kubernetes;
        let remote = format!("https://{}", k.endpoint);
        let local = format!("https://{}:{}", bracketed(host.addresses.primary()), k.bind_port);
        let mut configs = vec![
            ("admin", "kubernetes-admin", &remote),
            ("controller-manager", "system:kube-controller-manager", &local),
            ("scheduler", "system:kube-scheduler", &local),
        ];
        if (first || cluster.is_external_ca()) && k.version.line() >= (1, 29) {
            configs.push(("super-admin", "kubernetes-super-admin", &remote));
        }
        for (kind, user, server) in configs {
            let id = certs::of_host(kind, host);
            let content = config(cluster, store, server, user, id)?;
            let path = format!("/etc/kubernetes/{kind}.conf");
            files.push(FileEntry::new(path, FileLayer::Host, content).mode(0o600).policy(Policy::CreateOnce));
        }
    }
    if host.is_node() && cluster.is_external_ca() {
        let id = certs::of_host(certs::KUBELET, host);
        let user = format!("system:node:{}", host.node_name);
        let remote = format!("https://{}", cluster.kubernetes.endpoint);
        let content = config(cluster, store, &remote, &user, id)?;
        // Nothing on the host rewrites it: its kubelet does not rotate.
        files.push(FileEntry::new(KUBELET_CONF, FileLayer::Host, content).mode(0o600));
    }
    Ok(files)
}

/// The Kubernetes CA.
const CA_CRT: &str = "/etc/kubernetes/pki/ca.crt";
/// The API server's client of etcd, without an ending.
const ETCD_CLIENT: &str = "/etc/kubernetes/pki/apiserver-etcd-client";
/// The kubelet's kubeconfig.
pub const KUBELET_CONF: &str = "/etc/kubernetes/kubelet.conf";

/// The operator's credentials, as files of the operator bundle.
///
/// # Errors
/// When the store lacks one.
pub fn operator_files(cluster: &Cluster, store: &Store) -> Result<Vec<(String, u32, Arc<Content>)>, Missing> {
    let admin = ObjectId::new(certs::OPERATOR_ADMIN);
    let etcd = ObjectId::new(certs::OPERATOR_ETCD);
    let remote = format!("https://{}", cluster.kubernetes.endpoint);
    let endpoints = cluster.etcd_endpoints().join(",") + "\n";
    let mut files = vec![
        (
            "admin.conf".to_owned(),
            0o600,
            Arc::new(config(cluster, store, &remote, "kubernetes-operator", admin)?),
        ),
        (
            "etcd/ca.crt".to_owned(),
            0o644,
            Arc::new(bundle(store, &rotation::by_age(store, &ObjectId::new(certs::ETCD_CA)))?),
        ),
        ("etcd/endpoints".to_owned(), 0o644, Arc::new(Content::text(endpoints))),
        ("etcd/operator.crt".to_owned(), 0o644, Arc::new(pem(store, &etcd)?)),
        ("etcd/operator.key".to_owned(), 0o600, Arc::new(Content::secret(etcd))),
    ];
    if !cluster.is_external_ca() {
        let token = Content::secret(ObjectId::new(certs::BOOTSTRAP_TOKEN));
        files.push(("bootstrap-token".to_owned(), 0o600, Arc::new(token)));
    }
    Ok(files)
}

fn config(
    cluster: &Cluster,
    store: &Store,
    server: &str,
    user: &str,
    id: ObjectId,
) -> Result<Content, Missing> {
    let ca = ObjectId::new(certs::KUBERNETES_CA);
    let ca_pem = bundle_text(store, &rotation::signer_first(store, &ca))?;
    let cert_pem = store.cert_pem(&id).ok_or_else(|| Missing(id.clone()))?;
    Ok(kubeadm::kubeconfig(cluster, server, user, &ca_pem, cert_pem, id))
}

/// Several certificates in one file.
fn bundle(store: &Store, ids: &[ObjectId]) -> Result<Content, Missing> {
    Ok(Content::text(bundle_text(store, ids)?))
}

fn bundle_text(store: &Store, ids: &[ObjectId]) -> Result<String, Missing> {
    ids.iter().map(|id| store.cert_pem(id).map(|pem| &**pem).ok_or_else(|| Missing(id.clone()))).collect()
}

fn pem(store: &Store, id: &ObjectId) -> Result<Content, Missing> {
    store.cert_pem(id).map(|pem| Content::text(&**pem)).ok_or_else(|| Missing(id.clone()))
}

/// The public halves of a key pair and of those that are trusted beside it.
fn publics(store: &Store, id: &str) -> Result<Content, Missing> {
    let all = rotation::by_age(store, &ObjectId::new(id));
    let pem = |id: &ObjectId| store.public_pem(id).map(|pem| &**pem).ok_or_else(|| Missing(id.clone()));
    Ok(Content::text(all.iter().map(pem).collect::<Result<String, Missing>>()?))
}

fn key(path: &str, layer: FileLayer, id: ObjectId) -> FileEntry {
    FileEntry::new(path, layer, Content::secret(id)).mode(0o600)
}
