//! Puts a cluster's bundles together: which files each host gets, and the head of its manifest.
//!
//! Files of a layer are rendered once and handed to every host of the layer; a host's own are rendered when its turn
//! comes and dropped when it is packed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::json;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::trust::Trust;
use super::{artifacts, balancer, credentials, etcd, kubeadm, node, overview, retired, scripts, units};
use crate::content::{Content, ObjectId};
use crate::ledger::{EtcdMembership, Ledger};
use crate::model::{Cluster, ClusterState, Host, HostState, Role, Taint};
use crate::pack::bundle::{Bundle, BundleFile, Fingerprints, OPERATOR, OnHost, symbolic_text};
use crate::pki::store::Store;
use crate::plan::{CertRequest, FileEntry, FileLayer, certs, shared};

/// A bundle cannot be rendered. Checks come before, so each of these is a bug.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The store lacks what the plan asked for.
    #[error(transparent)]
    Missing(#[from] credentials::Missing),
    /// A template failed.
    #[error("a template failed")]
    Template(#[from] askama::Error),
    /// A file of the user's has a path that khagen writes.
    #[error("{host}: {path} has two owners")]
    TwoOwners {
        /// The host.
        host: String,
        /// The path.
        path: String,
    },
}

/// What a cluster's bundles have in common, rendered once.
pub struct Shared<'a> {
    cluster: &'a Cluster,
    ledger: &'a Ledger,
    store: &'a Store,
    files: Vec<FileEntry>,
    scripts: Vec<(&'static str, Arc<Content>)>,
    operator_scripts: Vec<(&'static str, Arc<Content>)>,
    fingerprint_key: Arc<Content>,
    digests: HashMap<usize, [u8; 32]>,
    /// The certificates that each host holds.
    certificates: BTreeMap<String, Vec<ObjectId>>,
    trust: Trust,
}

impl<'a> Shared<'a> {
    /// Renders what the layers share.
    ///
    /// # Errors
    /// When something is missing that the plan asked for.
    pub fn render(
        cluster: &'a Cluster,
        ledger: &'a Ledger,
        requests: &[CertRequest],
        store: &'a Store,
    ) -> Result<Shared<'a>, RenderError> {
        let mut certificates: BTreeMap<String, Vec<ObjectId>> = BTreeMap::new();
        for request in requests {
            if let Some(host) = &request.host {
                certificates.entry(host.clone()).or_default().push(request.id.clone());
            }
        }
        let mut files = credentials::shared_files(cluster, store)?;
        files.extend(etcd::shared(cluster)?);
        files.extend(balancer::shared(cluster)?);
        files.extend(node::shared(cluster)?);
        let trust = Trust::of(cluster, store);
        files.extend(kubeadm::shared(cluster, &trust));
        files.extend(trust.shared_files());
        let installed = [("etcd", &*scripts::ETCD_SCRIPTS), ("all", &*scripts::EVERYWHERE_SCRIPTS)];
        for (layer, scripts) in installed {
            files.extend(scripts.iter().map(|(name, text)| {
                let path = format!("/usr/local/sbin/{name}");
                FileEntry::new(path, shared(layer), Content::text(text.as_str())).mode(0o755)
            }));
        }
        let scripts = contents(&scripts::HOST_SCRIPTS);
        let operator_scripts = contents(&scripts::OPERATOR_SCRIPTS);
        let fingerprint_key = Arc::new(Content::secret(ObjectId::new(certs::FINGERPRINT_KEY)));
        let mut digests = HashMap::new();
        let common =
            files.iter().map(|f| &f.content).chain(scripts.iter().map(|(_, c)| c)).chain([&fingerprint_key]);
        for content in common {
            digests.insert(Arc::as_ptr(content) as usize, text_digest(content, store));
        }
        Ok(Shared {
            cluster,
            ledger,
            store,
            files,
            scripts,
            operator_scripts,
            fingerprint_key,
            digests,
            certificates,
            trust,
        })
    }

    /// Every file of the review tree's `shared/`, with its path below `review/`.
    pub fn review_files(&self) -> Vec<(String, String)> {
        let everywhere =
            self.scripts.iter().map(|(name, content)| (format!("shared/all/{name}"), content.clone()));
        let layered = self.files.iter().filter_map(|f| match &f.layer {
            FileLayer::Shared(layer) if self.is_used(layer) => bundle_file(f)
                .only_secret()
                .is_none()
                .then(|| (format!("shared/{layer}/root{}", f.path), f.content.clone())),
            _ => None,
        });
        everywhere.chain(layered).map(|(path, content)| (path, symbolic_text(&content, self.store))).collect()
    }

    fn is_used(&self, layer: &str) -> bool {
        self.cluster.hosts.iter().any(|h| in_layer(h, layer))
    }

    /// One host's bundle: all that it gets, or what takes it down.
    ///
    /// # Errors
    /// When something is missing, or two parts want one path.
    pub fn host(&self, host: &Host) -> Result<Bundle, RenderError> {
        let (cluster, ledger) = (self.cluster, self.ledger);
        if host.state == HostState::Retired {
            return retired::bundle(cluster, ledger, host, retired::script(&self.scripts));
        }
        let first = ledger.founding.as_ref().is_some_and(|f| f.first_control_plane == host.fqdn);
        let mut own = credentials::host_files(cluster, host, self.store, first)?;
        if host.has(Role::Etcd) {
            own.extend(etcd::host(cluster, host, ledger));
        }
        if host.has(Role::LoadBalancer) {
            own.extend(balancer::host(cluster, host, ledger)?);
        }
        own.extend(node::host(host));
        own.extend(kubeadm::host(cluster, host, ledger, &self.trust));
        let layered = self
            .files
            .iter()
            .filter(|f| matches!(&f.layer, FileLayer::Shared(layer) if in_layer(host, layer)));
        let mut entries: Vec<&FileEntry> = layered.chain(own.iter()).collect();
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        if let Some(pair) = entries.windows(2).find(|pair| pair[0].path == pair[1].path) {
            return Err(RenderError::TwoOwners { host: host.fqdn.clone(), path: pair[0].path.clone() });
        }

        let mut needs = units::needs(cluster, host);
        if self.trust.patches() && host.has(Role::ControlPlane) {
            needs.patches();
        }
        let page = overview::host_page(
            cluster,
            ledger,
            host,
            &overview::HostFacts {
                commands: &needs.commands,
                packages: &needs.packages,
                by_hand: &needs.by_hand,
                files: &entries,
            },
        )?;
        let mut files: Vec<BundleFile> = entries.iter().map(|f| bundle_file(f)).collect();
        for (name, content) in &self.scripts {
            files.push(top_file(name, 0o755, shared("all"), content.clone()));
        }
        files.push(top_file("README.md", 0o644, FileLayer::Host, Arc::new(Content::text(page))));
        files.push(top_file("fingerprint.key", 0o600, shared("all"), self.fingerprint_key.clone()));
        let mut bundle = Bundle { name: host.fqdn.clone(), files, head: self.head(host, &needs) };
        bundle.sort();
        Ok(bundle)
    }

    /// The operator's bundle. `tarballs` is not part of it: they travel beside it.
    ///
    /// # Errors
    /// When something is missing.
    pub fn operator(&self) -> Result<Bundle, RenderError> {
        let (cluster, ledger) = (self.cluster, self.ledger);
        let mut files: Vec<BundleFile> = credentials::operator_files(cluster, self.store)?
            .into_iter()
            .map(|(path, mode, content)| top_file(&path, mode, FileLayer::Host, content))
            .collect();
        for (name, content) in &self.operator_scripts {
            files.push(top_file(name, 0o755, FileLayer::Host, content.clone()));
        }
        let page = overview::operator_page(cluster, ledger)?;
        files.push(top_file("README.md", 0o644, FileLayer::Host, Arc::new(Content::text(page))));
        let table = |hosts: &[Host]| Arc::new(Content::text(hosts_tsv(cluster, ledger, hosts)));
        files.push(top_file("hosts.tsv", 0o644, FileLayer::Host, table(&cluster.hosts)));
        if let Some(list) = artifacts::list(cluster) {
            files.push(top_file("packages.tsv", 0o644, FileLayer::Host, Arc::new(Content::text(list))));
        }
        if !cluster.retired.is_empty() {
            files.push(top_file("retired.tsv", 0o644, FileLayer::Host, table(&cluster.retired)));
        }
        files.push(top_file("fingerprint.key", 0o600, FileLayer::Host, self.fingerprint_key.clone()));
        let mut head = identity(cluster, ledger, OPERATOR);
        head.push(("endpoint", json!(cluster.kubernetes.endpoint.to_string()).to_string()));
        head.push(("etcdEndpoints", texts(&cluster.etcd_endpoints())));
        if !cluster.is_external_ca() {
            head.push(("bootstrapTokenFile", json!("bootstrap-token").to_string()));
        }
        let mut bundle = Bundle { name: OPERATOR.to_owned(), files, head };
        bundle.sort();
        Ok(bundle)
    }

    /// The shared files of a bundle that are not rendered once per cluster: those of a group, with their review paths.
    pub fn grouped(&self, bundle: &Bundle) -> Vec<(String, Arc<Content>)> {
        bundle
            .files
            .iter()
            .filter(|f| matches!(f.layer, FileLayer::Shared(_)))
            .filter(|f| !self.digests.contains_key(&(Arc::as_ptr(&f.content) as usize)))
            .filter_map(|f| Some((f.review_path(&bundle.name)?, f.content.clone())))
            .collect()
    }

    /// What many bundles carry, for packing.
    pub fn common(&self) -> impl Iterator<Item = &Arc<Content>> {
        self.files.iter().map(|f| &f.content).chain(self.scripts.iter().map(|(_, content)| content))
    }

    /// SHA-256 of a file's symbolic text; that of a shared file was computed before.
    pub fn text_digest(&self, file: &BundleFile) -> [u8; 32] {
        let known = self.digests.get(&(Arc::as_ptr(&file.content) as usize));
        known.copied().unwrap_or_else(|| text_digest(&file.content, self.store))
    }

    fn head(&self, host: &Host, needs: &units::Needs) -> Vec<(&'static str, String)> {
        let (cluster, ledger) = (self.cluster, self.ledger);
        let mut head = identity(cluster, ledger, &host.fqdn);
        let mut text = |key: &'static str, value: &str| head.push((key, json!(value).to_string()));
        text("name", &host.name);
        if host.is_node() {
            text("nodeName", &host.node_name);
        }
        text("endpoint", &cluster.kubernetes.endpoint.to_string());
        if host.has(Role::Etcd) {
            let member = ledger.hosts.get(&host.fqdn).and_then(|r| r.etcd);
            let existing = cluster.state == ClusterState::Running || member == Some(EtcdMembership::Added);
            text("etcdState", if existing { "existing" } else { "new" });
            text("etcdVersion", &cluster.etcd.version.to_string());
        }
        match kubeadm::bootstrap(cluster, host, ledger) {
            Some(kubeadm::Bootstrap::Init) => text("kubeadm", "init"),
            Some(kubeadm::Bootstrap::Join) => text("kubeadm", "join"),
            None => {}
        }
        if host.is_node() && cluster.is_external_ca() {
            text("kubeletCredentials", "issued");
        }
        if host.has(Role::ControlPlane) && cluster.is_kubeadm_pki() {
            // kubeadm signs what control planes start with, and brings the CAs to those that join.
            text("pki", "kubeadm");
        }
        if host.is_node() {
            text("kubernetesVersion", &format!("v{}", cluster.kubernetes.version));
        }
        if let Some((from, until)) = self.validity(host) {
            text("validFrom", &timestamp(from));
            text("validUntil", &timestamp(until));
        }
        let addresses: Vec<String> = host.addresses.cluster.iter().map(ToString::to_string).collect();
        head.push(("addresses", texts(&addresses)));
        head.push(("roles", texts(&host.roles.iter().map(|r| r.as_str().to_owned()).collect::<Vec<_>>())));
        if host.has(Role::Etcd) || host.has(Role::ControlPlane) {
            head.push(("etcdEndpoints", texts(&cluster.etcd_endpoints())));
        }
        head.push(("commands", texts(&needs.commands)));
        head.push(("packages", texts(&needs.packages)));
        head.extend(artifacts::head(&host.artifacts));
        let directories: Vec<String> = needs
            .directories
            .iter()
            .map(|d| {
                format!(
                    "{{\"path\": {}, \"mode\": \"{:04o}\", \"owner\": {}, \"group\": {}}}",
                    json!(d.path),
                    d.mode,
                    json!(d.owner),
                    json!(d.group)
                )
            })
            .collect();
        head.push(("directories", lines(&directories)));
        let units: Vec<String> = needs
            .units
            .iter()
            .map(|u| {
                format!(
                    "{{\"unit\": {}, \"enable\": {}, \"start\": {}, \"restartOn\": {}, \"reloadOn\": {}}}",
                    json!(u.unit),
                    u.enable,
                    u.start,
                    texts(&u.restart_on),
                    texts(&u.reload_on)
                )
            })
            .collect();
        head.push(("units", lines(&units)));
        head
    }

    /// The time in which all certificates that the host is given are valid, and on a node the CA that it meets when it joins.
    /// The CAs of what it is given need no look, since nothing is valid beyond them. A CA that it has nothing to do with must
    /// not be in it: its rotation would change this bundle.
    fn validity(&self, host: &Host) -> Option<(OffsetDateTime, OffsetDateTime)> {
        let own = self.certificates.get(&host.fqdn).map(Vec::as_slice).unwrap_or_default();
        let common = (host.has(Role::ControlPlane) && self.cluster.is_kubeadm_pki())
            .then(|| ObjectId::new(certs::CONTROL_PLANE_ETCD));
        let ca = host.is_node().then(|| ObjectId::new(certs::KUBERNETES_CA));
        own.iter()
            .cloned()
            .chain(common)
            .chain(ca)
            .filter_map(|id| self.store.validity(&id))
            .map(|v| (v.not_before, v.not_after))
            .reduce(|a, b| (a.0.max(b.0), a.1.min(b.1)))
    }
}

/// The first lines of every manifest's head.
pub(super) fn identity(cluster: &Cluster, ledger: &Ledger, name: &str) -> Vec<(&'static str, String)> {
    let id = ledger.founding.as_ref().map_or("", |f| f.cluster_id.as_str());
    vec![
        ("cluster", json!(cluster.name).to_string()),
        ("clusterId", json!(id).to_string()),
        ("host", json!(name).to_string()),
    ]
}

/// Whether a host is in a layer that is rendered once per cluster.
fn in_layer(host: &Host, layer: &str) -> bool {
    match layer {
        "all" => true,
        "kubernetes" => host.is_node(),
        role => Role::parse(role).is_some_and(|r| host.has(r)),
    }
}

pub(super) fn contents(scripts: &[(&'static str, String)]) -> Vec<(&'static str, Arc<Content>)> {
    scripts.iter().map(|(name, text)| (*name, Arc::new(Content::text(text.as_str())))).collect()
}

pub(super) fn text_digest(content: &Content, known: &impl Fingerprints) -> [u8; 32] {
    Sha256::digest(symbolic_text(content, known).as_bytes()).into()
}

fn bundle_file(f: &FileEntry) -> BundleFile {
    BundleFile {
        path: Arc::from(format!("root{}", f.path)),
        mode: f.mode,
        on_host: Some(OnHost {
            owner: Arc::from(f.owner.as_str()),
            group: Arc::from(f.group.as_str()),
            policy: f.policy,
        }),
        layer: f.layer.clone(),
        content: f.content.clone(),
    }
}

pub(super) fn top_file(path: &str, mode: u32, layer: FileLayer, content: Arc<Content>) -> BundleFile {
    BundleFile { path: Arc::from(path), mode, on_host: None, layer, content }
}

/// A JSON list of texts on one line, a comma and a blank between, as the hosts' awk reads it.
pub(super) fn texts<S: AsRef<str>>(items: &[S]) -> String {
    let quoted: Vec<String> = items.iter().map(|t| json!(t.as_ref()).to_string()).collect();
    format!("[{}]", quoted.join(", "))
}

/// A JSON list with one entry a line.
pub(super) fn lines(items: &[String]) -> String {
    if items.is_empty() { "[\n]".to_owned() } else { format!("[\n{}\n]", items.join(",\n")) }
}

/// RFC 3339 in UTC, to the second.
fn timestamp(t: OffsetDateTime) -> String {
    format!("{}T{:02}:{:02}:{:02}Z", overview::date(t), t.hour(), t.minute(), t.second())
}

/// The operator's table of hosts (or of those that leave), in order of bringing up: FQDN, ssh address, user, port, roles, kubeadm command, node
/// name, labels, taints. Tabs between, `-` for nothing; taints that the inventory leaves to kubeadm are nothing, and `none` is its
/// word that there shall be none.
fn hosts_tsv(cluster: &Cluster, ledger: &Ledger, hosts: &[Host]) -> String {
    let mut hosts: Vec<&Host> = hosts.iter().collect();
    hosts.sort_by(|a, b| a.roles.first().cmp(&b.roles.first()).then_with(|| a.fqdn.cmp(&b.fqdn)));
    let mut out =
        String::from("# fqdn\tssh address\tssh user\tssh port\troles\tkubeadm\tnode name\tlabels\ttaints\n");
    for host in hosts {
        let roles = host.roles.iter().map(|r| r.as_str()).collect::<Vec<_>>().join(",");
        let command = match kubeadm::bootstrap(cluster, host, ledger) {
            _ if host.state == HostState::Retired => "-",
            Some(kubeadm::Bootstrap::Init) => "init",
            Some(kubeadm::Bootstrap::Join) => "join",
            None => "-",
        };
        let labels = host.labels.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",");
        let taints = kubeadm::taints(host).filter(|_| host.is_node()).map(|taints| match taints {
            [] => "none".to_owned(),
            taints => taints.iter().map(taint).collect::<Vec<_>>().join(","),
        });
        let row = [
            host.fqdn.as_str(),
            &host.ssh.address,
            &host.ssh.user,
            &host.ssh.port.to_string(),
            &roles,
            command,
            if host.is_node() { &host.node_name } else { "-" },
            if labels.is_empty() { "-" } else { &labels },
            taints.as_deref().unwrap_or("-"),
        ]
        .join("\t");
        out.push_str(&row);
        out.push('\n');
    }
    out
}

/// As `kubectl taint` takes it and its `describe` writes it.
fn taint(taint: &Taint) -> String {
    let Taint { key, value, effect } = taint;
    if value.is_empty() { format!("{key}:{effect}") } else { format!("{key}={value}:{effect}") }
}
