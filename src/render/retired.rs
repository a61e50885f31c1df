//! The bundle of a host that leaves: a page that says what to do, and uninstall.sh. No file goes to the host, and nothing
//! secret is in it: what the host holds is taken off with it.

use std::cell::Cell;
use std::sync::Arc;

use askama::Template;
use serde_json::json;

use super::bundles::{RenderError, contents, identity, text_digest, texts, top_file};
use super::{overview, scripts};
use crate::content::{Content, ObjectId};
use crate::ledger::Ledger;
use crate::model::{Cluster, Host, LoadBalancerMode, Role, bracketed};
use crate::pack::bundle::{Bundle, BundleFile, Fingerprints};
use crate::plan::{FileLayer, shared};

#[derive(Template)]
#[template(path = "overview/README.retired.md", escape = "none")]
struct Page<'a> {
    v: View<'a>,
}

struct View<'a> {
    fqdn: &'a str,
    what: String,
    cluster: &'a str,
    addresses: String,
    balancer: bool,
    etcd: bool,
    node: bool,
    control_plane: bool,
    member: &'a str,
    peer: String,
    node_name: &'a str,
    step: Cell<u8>,
}

impl View<'_> {
    /// The number of the next step: which ones there are depends on the roles.
    fn next(&self) -> u8 {
        let n = self.step.get() + 1;
        self.step.set(n);
        n
    }
}

/// What is in the bundle beside README.md, MANIFEST.json and SHA256SUMS.
const SCRIPT: &str = "uninstall.sh";

/// Finds the bundle's script among those of the other hosts, so that its text stands once in the review tree.
pub(super) fn script(all: &[(&'static str, Arc<Content>)]) -> Arc<Content> {
    all.iter().find(|(name, _)| *name == SCRIPT).map_or_else(Arc::default, |(_, content)| content.clone())
}

/// The bundle's digest, for a plan that renders nothing else: no issued certificate is in it.
///
/// # Errors
/// When the template fails, which only a bug makes it do.
pub fn digest(cluster: &Cluster, ledger: &Ledger, host: &Host) -> Result<String, RenderError> {
    let script = script(&contents(&scripts::HOST_SCRIPTS));
    let bundle = bundle(cluster, ledger, host, script)?;
    Ok(bundle.digest(|file| text_digest(&file.content, &NoSecrets)))
}

struct NoSecrets;

impl Fingerprints for NoSecrets {
    fn fingerprint(&self, _: &ObjectId) -> Option<&str> {
        None
    }
}

/// A retired host's bundle. `uninstall` is the text of its script, the same as every host's.
///
/// # Errors
/// When the template fails, which only a bug makes it do.
pub fn bundle(
    cluster: &Cluster,
    ledger: &Ledger,
    host: &Host,
    uninstall: Arc<Content>,
) -> Result<Bundle, RenderError> {
    let files: Vec<BundleFile> = vec![
        top_file("README.md", 0o644, FileLayer::Host, Arc::new(Content::text(page(cluster, host)?))),
        top_file(SCRIPT, 0o755, shared("all"), uninstall),
    ];
    let mut head = identity(cluster, ledger, &host.fqdn);
    let addresses: Vec<String> = host.addresses.cluster.iter().map(ToString::to_string).collect();
    let roles: Vec<&str> = host.roles.iter().map(|r| r.as_str()).collect();
    head.push(("name", json!(host.name).to_string()));
    head.push(("nodeName", json!(host.node_name).to_string()));
    head.push(("state", json!("retired").to_string()));
    head.push(("addresses", texts(&addresses)));
    head.push(("roles", texts(&roles)));
    let mut bundle = Bundle { name: host.fqdn.clone(), files, head };
    bundle.sort();
    Ok(bundle)
}

fn page(cluster: &Cluster, host: &Host) -> Result<String, askama::Error> {
    let keepalived = cluster.load_balancer.mode == LoadBalancerMode::Keepalived;
    let view = View {
        fqdn: &host.fqdn,
        what: overview::what(host),
        cluster: &cluster.name,
        addresses: overview::addresses(host),
        balancer: keepalived && host.has(Role::LoadBalancer),
        etcd: host.has(Role::Etcd),
        node: host.is_node(),
        control_plane: host.has(Role::ControlPlane),
        member: &host.name,
        peer: format!("https://{}:{}", bracketed(host.addresses.peer()), cluster.etcd.peer_port),
        node_name: &host.node_name,
        step: Cell::new(0),
    };
    Ok(Page { v: view }.render()? + "\n")
}
