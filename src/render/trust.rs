//! What hosts must know of roots beyond the files that hold them, while one is rotated.
//!
//! API servers and controller managers read some trust files only when they start. So their manifests carry, by a patch of
//! kubeadm's, an annotation that names the roots: where it changes, `reconfigure.sh control-plane` starts them anew, one
//! control plane at a time. Without a rotation under way there is no such patch.

use std::collections::BTreeMap;

use crate::content::ObjectId;
use crate::model::Cluster;
use crate::pki::rotation;
use crate::pki::store::Store;
use crate::plan::{FileEntry, Policy, certs, shared};
use crate::render::kubeadm::{PATCHES_DIR, signs_from_own_file};
use crate::value::{self, Value};

/// Which static pods read a root's file only when they start: the root, the annotation's name, whether it matters which one
/// signs, the pods.
const READ_AT_START: [(&str, &str, bool, &[&str]); 3] = [
    // --etcd-cafile (apiserver, pkg/storage/storagebackend/factory: one transport.TLSInfo for the process).
    (certs::ETCD_CA, "khagen/etcd-ca", false, &["kube-apiserver"]),
    // --service-account-key-file, --service-account-signing-key-file, --service-account-private-key-file.
    (certs::SERVICE_ACCOUNT, "khagen/service-account", true, &["kube-apiserver", "kube-controller-manager"]),
    // --root-ca-file, which pods are given (cmd/kube-controller-manager/app/certificates.go).
    (certs::KUBERNETES_CA, "khagen/kubernetes-ca", false, &["kube-controller-manager"]),
];

/// What the roots of a store ask of its hosts.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// SHA-256 of the SPKI of each Kubernetes CA in hexadecimal, the one that signs first.
    pub ca_hashes: Vec<String>,
    /// Whether every node is given the Kubernetes CA, not only control planes.
    pub everywhere: bool,
    /// Whether the controller manager has the Kubernetes CA in a file of its own.
    pub signing_file: bool,
    /// By static pod, its annotations.
    annotations: BTreeMap<&'static str, BTreeMap<&'static str, String>>,
}

impl Trust {
    /// Reads it from a store.
    pub fn of(cluster: &Cluster, store: &Store) -> Trust {
        let fingerprint = |id: &ObjectId| store.fingerprint(id).map(str::to_owned);
        let kubernetes = ObjectId::new(certs::KUBERNETES_CA);
        let mut annotations: BTreeMap<&str, BTreeMap<&str, String>> = BTreeMap::new();
        for (root, name, signer_matters, pods) in READ_AT_START {
            let root = ObjectId::new(root);
            let roots = if signer_matters {
                rotation::signer_first(store, &root)
            } else {
                rotation::by_age(store, &root)
            };
            if roots.len() < 2 {
                continue;
            }
            let short = |f: String| f.get(..16).unwrap_or_default().to_owned();
            let value = roots.iter().filter_map(fingerprint).map(short).collect::<Vec<_>>().join(",");
            for pod in pods {
                annotations.entry(pod).or_default().insert(name, value.clone());
            }
        }
        Trust {
            ca_hashes: rotation::signer_first(store, &kubernetes).iter().filter_map(fingerprint).collect(),
            everywhere: cluster.is_external_ca() || rotation::has_begun(store, certs::KUBERNETES_CA),
            signing_file: signs_from_own_file(cluster, store),
            annotations,
        }
    }

    /// Whether control planes get patches.
    pub fn patches(&self) -> bool {
        !self.annotations.is_empty()
    }

    /// The patches. kubeadm takes them in the order of their names, the target first.
    pub fn shared_files(&self) -> Vec<FileEntry> {
        let patch = |(pod, annotations): (&&'static str, &BTreeMap<&'static str, String>)| {
            let annotations =
                annotations.iter().map(|(name, value)| ((*name).to_owned(), Value::text(value))).collect();
            let metadata = Value::map().with("annotations", Value::Map(annotations));
            let path = format!("{PATCHES_DIR}/{pod}-trust+merge.yaml");
            let content = value::documents(&[Value::map().with("metadata", metadata)]);
            FileEntry::new(path, shared("control-plane"), content).policy(Policy::Input)
        };
        self.annotations.iter().map(patch).collect()
    }
}
