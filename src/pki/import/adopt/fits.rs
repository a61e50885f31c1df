//! Whether a collected PKI is of the cluster that the inventory describes. What the certificates tell about it, the inventory must
//! say, too, or the first build would change what it should leave alone.

use std::collections::BTreeSet;

use super::collected::{Collected, file_name, role};
use crate::diag::{Code, Diagnostic, Report};
use crate::model::{Cluster, ClusterState, PeerCa, Role};
use crate::plan::certs;

/// kubeadm's stacked etcd: its server's certificate beside the Kubernetes CA.
pub(super) fn stacked(collected: &Collected, report: &mut Report) {
    let has = |path: &str| collected.paths.iter().any(|p| p == path);
    let mut found: Vec<&str> = Vec::new();
    for path in &collected.paths {
        let Some((pki, file)) = path.rsplit_once("etcd/") else { continue };
        let is_members = matches!(file, "server.crt" | "peer.crt" | "server.key" | "peer.key");
        if is_members && (has(&format!("{pki}ca.crt")) || has(&format!("{pki}apiserver.crt"))) {
            found.push(path);
        }
    }
    found.extend(collected.paths.iter().filter(|p| p.ends_with("manifests/etcd.yaml")).map(String::as_str));
    if let Some(path) = found.first() {
        report.push(
            Diagnostic::error(Code::AdoptStacked, format!("{path}: this is a stacked cluster: etcd runs on its control planes"))
                .reason("khagen's clusters have an etcd of their own; kubeadm makes, renews and upgrades a stacked one")
                .help("move etcd to hosts of its own first. Files of etcd hosts that kubeadm made are put into a folder per host, apart from the control planes'"),
        );
    }
}

/// Holds the inventory against what the certificates tell.
pub(super) fn inventory(collected: &Collected, cluster: &Cluster, report: &mut Report) {
    let mut differs = |message: String, help: String| {
        report.push(
            Diagnostic::error(Code::AdoptOtherwise, message)
                .reason("the first build would change what the running cluster relies on")
                .help(help),
        );
    };
    if cluster.state == ClusterState::New {
        differs(
            "the inventory says cluster.state: new".to_owned(),
            "set `cluster.state: running`: etcd's members then join and no control plane is initialised"
                .to_owned(),
        );
    }
    let peers: BTreeSet<&str> = collected
        .certs
        .iter()
        .filter(|c| role(&c.path) == Some(certs::ETCD_PEER_CA))
        .map(|c| c.summary.spki_sha256.as_str())
        .collect();
    let is_etcds = |f: &&str| {
        let etcd = collected.certs.iter().find(|c| role(&c.path) == Some(certs::ETCD_CA));
        etcd.is_some_and(|c| c.summary.spki_sha256 == **f)
    };
    let apart = !peers.is_empty() && !peers.iter().any(is_etcds);
    match (cluster.etcd.peer_ca, apart) {
        (PeerCa::Separate, false) => differs(
            "etcd's peers have no CA of their own, and the inventory says etcd.peerCA: separate".to_owned(),
            "set `etcd.peerCA: same`; peers can get their own later".to_owned(),
        ),
        (PeerCa::Same, true) => differs(
            "etcd's peers have a CA of their own, and the inventory says etcd.peerCA: same".to_owned(),
            "set `etcd.peerCA: separate`".to_owned(),
        ),
        _ => {}
    }
    nodes(collected, cluster, &mut differs);
    api_server(collected, cluster, &mut differs);
}

/// Names of nodes, by kubelets' credentials.
fn nodes(collected: &Collected, cluster: &Cluster, differs: &mut dyn FnMut(String, String)) {
    let known: BTreeSet<&str> = cluster.nodes().map(|h| h.node_name.as_str()).collect();
    let mut seen = BTreeSet::new();
    for cert in &collected.certs {
        let Some((_, name)) = cert.summary.subject_text.split_once("CN=system:node:") else { continue };
        let name = name.split(',').next().unwrap_or_default();
        if !known.contains(name) && seen.insert(name) {
            differs(
                format!("{} is of node {name}, which the inventory does not have", cert.path),
                "set `cluster.nodeName` to short or fqdn, as the nodes are named, or a host's own `nodeName`"
                    .to_owned(),
            );
        }
    }
}

/// What kubeadm puts into every API server's certificate (pkiutil.GetAPIServerAltNames).
fn api_server(collected: &Collected, cluster: &Cluster, differs: &mut dyn FnMut(String, String)) {
    let k = &cluster.kubernetes;
    let hosts: Vec<_> = cluster.with_role(Role::ControlPlane).collect();
    for cert in collected.certs.iter().filter(|c| file_name(&c.path) == "apiserver.crt") {
        let (dns, ips) = (&cert.summary.dns_sans, &cert.summary.ip_sans);
        let service = k.service_subnets.nth_each(1);
        let mut lacks: Vec<(String, &str)> = Vec::new();
        if !service.iter().any(|ip| ips.contains(ip)) {
            let wanted: Vec<String> = service.iter().map(ToString::to_string).collect();
            lacks.push((wanted.join(", "), "kubernetes.networking.serviceSubnet"));
        }
        let service_name = format!("kubernetes.default.svc.{}", k.dns_domain);
        if !dns.contains(&service_name) {
            lacks.push((service_name, "kubernetes.networking.dnsDomain"));
        }
        let endpoint = match k.endpoint.ip() {
            Some(ip) => ips.contains(&ip),
            None => dns.contains(&k.endpoint.host),
        };
        if !endpoint {
            lacks.push((k.endpoint.host.clone(), "kubernetes.controlPlaneEndpoint"));
        }
        if !hosts.iter().any(|h| dns.contains(&h.node_name)) {
            lacks.push(("the node name of any control plane".to_owned(), "cluster.nodeName"));
        }
        for (name, setting) in lacks {
            differs(
                format!("{} does not have {name}, which follows from {setting}", cert.path),
                format!(
                    "give `{setting}` as the running cluster has it: `openssl x509 -noout -ext subjectAltName -in {}`",
                    cert.path
                ),
            );
        }
    }
}
