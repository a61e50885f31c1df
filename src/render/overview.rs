//! Pages for people: the cluster's, each host's, the operator's, the output's; and the cluster as JSON for tools.
//!
//! Nothing secret is in them. Dates are absolute, so that no page changes because a day passed.

use std::collections::BTreeMap;

use askama::Template;
use serde_json::{Value as Json, json};

use crate::ledger::Ledger;
use crate::model::{Cluster, Host, KubeProxyMode, LoadBalancerMode, Role, bracketed};
use crate::pki::store::Store;
use crate::plan::{CertRequest, FileEntry, ports};
use crate::render::units;

#[derive(Template)]
#[template(path = "overview/CLUSTER.md", escape = "none")]
struct ClusterPage<'a> {
    v: &'a ClusterView,
}

struct ClusterView {
    name: String,
    summary: String,
    endpoint: String,
    vips: Vec<VipRow>,
    kubernetes: String,
    etcd: String,
    kube_proxy: &'static str,
    pods: String,
    services: String,
    external: String,
    dns_domain: String,
    cluster_id: String,
    groups: Vec<Group>,
    edges: Vec<String>,
    hosts: Vec<HostRow>,
    retired: Vec<HostRow>,
    tolerance: String,
    ports: Vec<PortRow>,
    steps: Vec<String>,
    images: Vec<String>,
    packages: Vec<units::Packages>,
    certificates: Vec<CertRow>,
}

struct VipRow {
    address: String,
    vrid: u8,
}

struct Group {
    id: String,
    title: String,
    hosts: Vec<GroupHost>,
}

struct GroupHost {
    id: String,
    name: String,
    addresses: String,
}

struct HostRow {
    fqdn: String,
    addresses: String,
    roles: String,
    zone: String,
    node_name: String,
}

struct PortRow {
    role: &'static str,
    port: String,
    what: &'static str,
    from: &'static str,
}

struct CertRow {
    id: String,
    host: String,
    purpose: &'static str,
    issuer: String,
    not_after: String,
}

#[derive(Template)]
#[template(path = "overview/README.host.md", escape = "none")]
struct HostPage<'a> {
    v: &'a HostView,
}

struct HostView {
    fqdn: String,
    what: String,
    cluster: String,
    zone: String,
    addresses: String,
    node_name: String,
    node: bool,
    before: String,
    commands: String,
    packages: String,
    by_hand: String,
    carried: String,
    up: &'static str,
    ports: Vec<ports::Port>,
    files: Vec<FileRow>,
}

struct FileRow {
    folder: String,
    names: String,
}

#[derive(Template)]
#[template(path = "overview/README.operator.md", escape = "none")]
struct OperatorPage<'a> {
    v: &'a OperatorView,
}

struct OperatorView {
    cluster: String,
    steps: Vec<String>,
    pods: String,
}

/// README.md of an output folder.
pub const OUTPUT_README: &str = include_str!("../../templates/overview/README.out.md");

/// The page of the whole cluster.
///
/// # Errors
/// When the template fails, which only a bug makes it do.
pub fn cluster_page(
    cluster: &Cluster,
    ledger: &Ledger,
    certificates: &[CertRequest],
    store: &Store,
    images: &[String],
) -> Result<String, askama::Error> {
    let k = &cluster.kubernetes;
    let count = |role: Role| cluster.with_role(role).count();
    let view = ClusterView {
        name: cluster.name.clone(),
        summary: format!(
            "{}: {}.",
            plural(cluster.hosts.len(), "host"),
            Role::ALL
                .into_iter()
                .filter(|r| count(*r) > 0)
                .map(|r| format!("{} {}", count(r), title(r).to_lowercase()))
                .collect::<Vec<_>>()
                .join(", ")
        ),
        endpoint: k.endpoint.to_string(),
        vips: cluster
            .load_balancer
            .vips
            .iter()
            .map(|v| VipRow { address: v.address.to_string(), vrid: v.virtual_router_id })
            .collect(),
        kubernetes: k.version.to_string(),
        etcd: cluster.etcd.version.to_string(),
        kube_proxy: match k.kube_proxy_mode {
            KubeProxyMode::None => "none, the network plugin replaces it",
            mode => mode.as_str(),
        },
        pods: k.pod_subnets.joined(),
        services: k.service_subnets.joined(),
        external: k.external_subnets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        dns_domain: k.dns_domain.clone(),
        cluster_id: ledger.founding.as_ref().map(|f| f.cluster_id.clone()).unwrap_or_default(),
        groups: groups(cluster),
        edges: edges(cluster),
        hosts: cluster.hosts.iter().map(host_row).collect(),
        retired: cluster.retired.iter().map(host_row).collect(),
        tolerance: tolerance(count(Role::Etcd), count(Role::ControlPlane)),
        ports: Role::ALL
            .into_iter()
            .filter(|r| count(*r) > 0)
            .flat_map(|role| {
                ports::of_role(cluster, role).into_iter().map(move |p| PortRow {
                    role: role.as_str(),
                    port: p.port,
                    what: p.what,
                    from: p.from,
                })
            })
            .collect(),
        steps: steps(cluster, ledger),
        images: images.to_vec(),
        packages: units::packages(cluster),
        certificates: certificates.iter().map(|c| cert_row(c, store)).collect(),
    };
    Ok(ClusterPage { v: &view }.render()? + "\n")
}

/// What a host's page needs beside the model.
pub struct HostFacts<'a> {
    /// Commands that install.sh looks for.
    pub commands: &'a [String],
    /// Packages of the distribution.
    pub packages: &'a [String],
    /// What the distribution does not have.
    pub by_hand: &'a [String],
    /// The files that go to the host.
    pub files: &'a [&'a FileEntry],
}

/// A host's page.
///
/// # Errors
/// When the template fails, which only a bug makes it do.
pub fn host_page(
    cluster: &Cluster,
    ledger: &Ledger,
    host: &Host,
    facts: &HostFacts<'_>,
) -> Result<String, askama::Error> {
    let first = is_first(ledger, host);
    let code = |names: &[String]| names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(" ");
    let view = HostView {
        fqdn: host.fqdn.clone(),
        what: what(host),
        cluster: cluster.name.clone(),
        zone: host.zone.clone().unwrap_or_default(),
        addresses: addresses(host),
        node_name: if host.is_node() { host.node_name.clone() } else { String::new() },
        node: host.is_node(),
        before: before(cluster, ledger, host),
        commands: code(facts.commands),
        packages: facts.packages.join(" "),
        by_hand: facts.by_hand.join(", "),
        carried: super::artifacts::words(&host.artifacts),
        up: up(host, first),
        ports: ports::of_host(cluster, host),
        files: folders(facts.files),
    };
    Ok(HostPage { v: &view }.render()? + "\n")
}

/// The operator's page.
///
/// # Errors
/// When the template fails, which only a bug makes it do.
pub fn operator_page(cluster: &Cluster, ledger: &Ledger) -> Result<String, askama::Error> {
    let view = OperatorView {
        cluster: cluster.name.clone(),
        steps: steps(cluster, ledger),
        pods: cluster.kubernetes.pod_subnets.joined(),
    };
    Ok(OperatorPage { v: &view }.render()? + "\n")
}

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
        "ports": ports::of_host(cluster, h).iter().map(port).collect::<Vec<_>>(),
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

/// A row per folder, so that a page holds a control plane's thirty files.
fn folders(files: &[&FileEntry]) -> Vec<FileRow> {
    let mut by_folder: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for file in files {
        let (folder, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
        by_folder.entry(folder).or_default().push(name);
    }
    let row =
        |(folder, names): (&str, Vec<&str>)| FileRow { folder: folder.to_owned(), names: names.join(", ") };
    by_folder.into_iter().map(row).collect()
}

fn cert_row(c: &CertRequest, store: &Store) -> CertRow {
    CertRow {
        id: c.id.as_str().to_owned(),
        host: c.host.clone().unwrap_or_else(|| "–".to_owned()),
        purpose: c.purpose,
        issuer: c.issuer.as_ref().map_or_else(|| "itself".to_owned(), ToString::to_string),
        not_after: store.validity(&c.id).map(|v| date(v.not_after)).unwrap_or_default(),
    }
}

/// A day, `2027-11-22`.
pub fn date(t: time::OffsetDateTime) -> String {
    let d = t.date();
    format!("{:04}-{:02}-{:02}", d.year(), u8::from(d.month()), d.day())
}

fn title(role: Role) -> &'static str {
    match role {
        Role::Etcd => "etcd members",
        Role::LoadBalancer => "load balancers",
        Role::ControlPlane => "control planes",
        Role::Worker => "workers",
    }
}

fn singular(role: Role) -> &'static str {
    match role {
        Role::Etcd => "etcd member",
        Role::LoadBalancer => "load balancer",
        Role::ControlPlane => "control plane",
        Role::Worker => "worker",
    }
}

/// A host's roles in words.
pub(super) fn what(host: &Host) -> String {
    host.roles.iter().map(|r| singular(*r)).collect::<Vec<_>>().join(", ")
}

fn plural(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// A host's addresses in the cluster, joined.
pub(super) fn addresses(host: &Host) -> String {
    host.addresses.cluster.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn host_row(h: &Host) -> HostRow {
    HostRow {
        fqdn: h.fqdn.clone(),
        addresses: addresses(h),
        roles: h.roles.iter().map(|r| r.as_str()).collect::<Vec<_>>().join(", "),
        zone: h.zone.clone().unwrap_or_else(|| "–".to_owned()),
        node_name: if h.is_node() { h.node_name.clone() } else { "–".to_owned() },
    }
}

fn is_first(ledger: &Ledger, host: &Host) -> bool {
    ledger.founding.as_ref().is_some_and(|f| f.first_control_plane == host.fqdn)
}

/// How many hosts a diagram shows of one role; more would be a wall of boxes.
const DRAWN: usize = 9;

/// A host is drawn once, under all of its roles together.
fn groups(cluster: &Cluster) -> Vec<Group> {
    let mut groups: Vec<(Vec<Role>, Vec<&Host>)> = Vec::new();
    for host in &cluster.hosts {
        match groups.iter_mut().find(|(roles, _)| *roles == host.roles) {
            Some((_, hosts)) => hosts.push(host),
            None => groups.push((host.roles.clone(), vec![host])),
        }
    }
    groups.sort_by(|a, b| a.0.cmp(&b.0));
    groups
        .into_iter()
        .map(|(roles, hosts)| {
            let mut drawn: Vec<GroupHost> = hosts
                .iter()
                .take(DRAWN)
                .map(|h| GroupHost {
                    id: format!("h_{}", h.name.replace('-', "_")),
                    name: h.name.clone(),
                    addresses: addresses(h),
                })
                .collect();
            if hosts.len() > DRAWN {
                drawn.push(GroupHost {
                    id: format!("more_{}", group_id(&roles)),
                    name: format!("and {} more", hosts.len() - DRAWN),
                    addresses: "see the table".to_owned(),
                });
            }
            Group {
                id: group_id(&roles),
                title: roles.iter().map(|r| title(*r)).collect::<Vec<_>>().join(" + "),
                hosts: drawn,
            }
        })
        .collect()
}

fn group_id(roles: &[Role]) -> String {
    roles.iter().map(|r| r.as_str().replace('-', "_")).collect::<Vec<_>>().join("__")
}

fn edges(cluster: &Cluster) -> Vec<String> {
    let ids = |role: Role| {
        let mut found: Vec<String> = cluster.with_role(role).map(|h| group_id(&h.roles)).collect();
        found.sort();
        found.dedup();
        found
    };
    let mut edges = std::collections::BTreeSet::new();
    let k = &cluster.kubernetes;
    let balanced = cluster.load_balancer.mode == LoadBalancerMode::Keepalived;
    for entry in ids(if balanced { Role::LoadBalancer } else { Role::ControlPlane }) {
        edges.insert(format!("endpoint --> {entry}"));
    }
    let mut link = |from: Vec<String>, to: Vec<String>, port: u16| {
        for a in &from {
            for b in &to {
                if a != b {
                    edges.insert(format!("{a} -- \"{port}\" --> {b}"));
                }
            }
        }
    };
    if balanced {
        link(ids(Role::LoadBalancer), ids(Role::ControlPlane), k.bind_port);
    }
    link(ids(Role::ControlPlane), ids(Role::Etcd), cluster.etcd.client_port);
    for worker in ids(Role::Worker) {
        if !ids(Role::ControlPlane).contains(&worker) {
            edges.insert(format!("{worker} --> endpoint"));
        }
    }
    edges.into_iter().collect()
}

fn tolerance(etcd: usize, control_planes: usize) -> String {
    let survive = etcd.saturating_sub(etcd / 2 + 1);
    format!(
        "etcd keeps its quorum with {} of {} down; the API is served while one of {} is up.",
        survive,
        plural(etcd, "member"),
        plural(control_planes, "control plane"),
    )
}

fn steps(cluster: &Cluster, ledger: &Ledger) -> Vec<String> {
    let names = |hosts: Vec<&Host>| {
        let shown: Vec<String> = hosts.iter().take(DRAWN).map(|h| h.fqdn.clone()).collect();
        let more = hosts.len().saturating_sub(DRAWN);
        if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
    };
    let mut steps = Vec::new();
    let mut add = |role: &str, hosts: Vec<&Host>, what: &str| {
        if !hosts.is_empty() {
            steps.push(format!("{role} ({}): {what}", names(hosts)));
        }
    };
    add(
        "etcd",
        cluster.with_role(Role::Etcd).collect(),
        "`install.sh` on all, then `up.sh`; a member alone waits for the majority.",
    );
    if cluster.load_balancer.mode == LoadBalancerMode::Keepalived {
        add(
            "load balancers",
            cluster.with_role(Role::LoadBalancer).collect(),
            "`install.sh`, `up.sh`; the VIP is then served, before any API server lives.",
        );
    }
    let (first, others): (Vec<&Host>, Vec<&Host>) =
        cluster.with_role(Role::ControlPlane).partition(|h| is_first(ledger, h));
    add("first control plane", first, "`install.sh`, `up.sh` runs `kubeadm init`.");
    add(
        "other control planes",
        others,
        "`install.sh`, `up.sh` runs `kubeadm join`; in any order, several at once.",
    );
    let workers: Vec<&Host> =
        cluster.with_role(Role::Worker).filter(|h| !h.has(Role::ControlPlane)).collect();
    add("workers", workers, "`install.sh`, `up.sh`; all at once if you like.");
    steps.push("Install a network plugin (CNI); nodes stay NotReady until then.".to_owned());
    steps
}

fn before(cluster: &Cluster, ledger: &Ledger, host: &Host) -> String {
    let mut needs = Vec::new();
    if host.has(Role::Etcd) {
        needs.push("An etcd member serves once a majority of the members is up; until then it waits, and that is no failure.");
    }
    if host.has(Role::ControlPlane) {
        needs.push(match (is_first(ledger, host), cluster.load_balancer.mode) {
            (true, LoadBalancerMode::None) => "etcd must be healthy first; this host runs `kubeadm init`.",
            (true, _) => "etcd must be healthy and the balancers up first; this host runs `kubeadm init`.",
            (false, _) => "The first control plane must be up before this one joins.",
        });
    } else if host.has(Role::Worker) {
        needs.push("The first control plane must be up before this worker joins.");
    }
    if needs.is_empty() {
        needs.push("Nothing must come first.");
    }
    needs.join(" ")
}

fn up(host: &Host, first: bool) -> &'static str {
    if host.has(Role::ControlPlane) && first {
        "runs kubeadm init, once"
    } else if host.is_node() {
        "runs kubeadm join, once"
    } else if host.has(Role::Etcd) {
        "waits until the member is healthy"
    } else {
        "waits until the balancer serves"
    }
}
