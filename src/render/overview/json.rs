//! The cluster for tools: `cluster.json` of the review tree.
//!
//! A line per host and per certificate, keys in a fixed order. It must not hold what the pages may not: no secret, no age.

use serde_json::{Value as Json, json};

use super::date;
use crate::ledger::Ledger;
use crate::model::{Cluster, Host, Role, Waiver, bracketed};
use crate::pki::store::Store;
use crate::plan::{CertRequest, ports};
use crate::render::units;

/// The cluster for tools: topology, ports, certificates, order of work. Keys in a fixed order.
pub fn cluster_json(
    cluster: &Cluster,
    ledger: &Ledger,
    certificates: &[CertRequest],
    store: &Store,
    images: &[String],
) -> String {
    let k = &cluster.kubernetes;
    let head = [
        ("schema", json!("khagen-cluster/v1")),
        ("name", json!(cluster.name)),
        ("clusterId", json!(ledger.founding.as_ref().map(|f| &f.cluster_id))),
        ("endpoint", json!(k.endpoint.to_string())),
        (
            "vips",
            cluster
                .load_balancer
                .vips
                .iter()
                .map(|v| json!({"address": v.address.to_string(), "virtualRouterId": v.virtual_router_id}))
                .collect(),
        ),
        ("kubernetes", json!(k.version.to_string())),
        ("etcd", json!(cluster.etcd.version.to_string())),
        ("podSubnet", json!(k.pod_subnets.joined())),
        ("serviceSubnet", json!(k.service_subnets.joined())),
        ("dnsDomain", json!(k.dns_domain)),
        ("kubeProxy", json!(k.kube_proxy_mode.as_str())),
        ("firstControlPlane", json!(ledger.founding.as_ref().map(|f| &f.first_control_plane))),
        ("images", json!(images)),
        (
            "packages",
            units::packages(cluster)
                .iter()
                .map(|p| json!({"roles": p.roles, "packages": p.packages, "other": p.other}))
                .collect(),
        ),
        ("waivers", cluster.waivers.iter().map(waiver_json).collect()),
    ];
    // A host and a certificate a line: a change of one is a line of a diff, and no tree of ten thousand hosts is built.
    let mut out = String::from("{\n");
    for (key, value) in head {
        out.push_str(&format!("\"{key}\": {value},\n"));
    }
    out.push_str("\"hosts\": [\n");
    json_lines(&mut out, cluster.hosts.iter().map(|h| host_json(cluster, ledger, h)));
    out.push_str("],\n\"retired\": [\n");
    json_lines(&mut out, cluster.retired.iter().map(|h| retired_json(cluster, h)));
    out.push_str("],\n\"certificates\": [\n");
    json_lines(&mut out, certificates.iter().map(|c| certificate_json(c, store)));
    out.push_str("]\n}\n");
    out
}

fn json_lines(out: &mut String, items: impl Iterator<Item = Json>) {
    for (i, item) in items.enumerate() {
        out.push_str(if i > 0 { ",\n" } else { "" });
        out.push_str(&item.to_string());
    }
    if !out.ends_with("[\n") {
        out.push('\n');
    }
}

fn waiver_json(waiver: &Waiver) -> Json {
    json!({
        "code": waiver.code.as_str(),
        "path": waiver.path,
        "until": waiver.until.to_string(),
        "reason": waiver.reason,
    })
}

fn host_json(cluster: &Cluster, ledger: &Ledger, h: &Host) -> Json {
    let port = |p: &ports::Port| json!({"port": p.port, "what": p.what, "from": p.from});
    json!({
        "fqdn": h.fqdn,
        "name": h.name,
        "nodeName": h.is_node().then_some(&h.node_name),
        "addresses": h.addresses.cluster.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "roles": h.roles.iter().map(|r| r.as_str()).collect::<Vec<_>>(),
        "group": h.group,
        "zone": h.zone,
        "ports": ports::login(h).iter().chain(&ports::of_host(cluster, h)).map(port).collect::<Vec<_>>(),
        "vrrpPriority": ledger.hosts.get(&h.fqdn).and_then(|r| r.vrrp_priority),
    })
}

/// What is to be taken down of a host that leaves.
fn retired_json(cluster: &Cluster, h: &Host) -> Json {
    let peer = || format!("https://{}:{}", bracketed(h.addresses.peer()), cluster.etcd.peer_port);
    json!({
        "fqdn": h.fqdn,
        "name": h.name,
        "nodeName": h.is_node().then_some(&h.node_name),
        "addresses": h.addresses.cluster.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "roles": h.roles.iter().map(|r| r.as_str()).collect::<Vec<_>>(),
        "etcdPeer": h.has(Role::Etcd).then(peer),
    })
}

fn certificate_json(c: &CertRequest, store: &Store) -> Json {
    json!({
        "id": c.id.as_str(),
        "host": c.host,
        "purpose": c.purpose,
        "issuer": c.issuer.as_ref().map(|i| i.as_str()),
        "commonName": c.common_name,
        "organization": c.organization,
        "dnsNames": c.dns_sans,
        "ipAddresses": c.ip_sans.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "notAfter": store.validity(&c.id).map(|v| date(v.not_after)),
        "spkiSha256": store.fingerprint(&c.id),
    })
}
