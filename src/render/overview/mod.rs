//! Pages for people: the cluster's, each host's, the operator's, the output's; and the cluster as JSON for tools.
//!
//! Nothing secret is in them. Dates are absolute, so that no page changes because a day passed.

mod diagram;
mod json;
mod work;

pub use json::cluster_json;

use std::collections::BTreeMap;

use askama::Template;
use time::{Date, Duration};

use crate::diag::Code;
use crate::ledger::Ledger;
use crate::model::{Cluster, Host, KubeProxyMode, Role, Waiver};
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
    groups: Vec<diagram::Group>,
    edges: Vec<String>,
    hosts: Vec<HostRow>,
    retired: Vec<HostRow>,
    tolerance: String,
    ports: Vec<PortRow>,
    steps: Vec<String>,
    images: Vec<String>,
    packages: Vec<units::Packages>,
    certificates: Vec<CertRow>,
    ends: Vec<EndRow>,
    waivers: Vec<WaiverRow>,
    kubeadm_signs: bool,
}

struct VipRow {
    address: String,
    vrid: u8,
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

struct EndRow {
    until: String,
    due: String,
    what: String,
}

struct WaiverRow {
    code: Code,
    title: &'static str,
    place: String,
    until: Date,
    reason: String,
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
    kubeadm_signs: bool,
    steps: Vec<String>,
    pods: String,
}

/// README.md of an output folder.
pub const OUTPUT_README: &str = include_str!("../../../templates/overview/README.out.md");

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
        groups: diagram::groups(cluster),
        edges: diagram::edges(cluster),
        hosts: cluster.hosts.iter().map(host_row).collect(),
        retired: cluster.retired.iter().map(host_row).collect(),
        tolerance: tolerance(count(Role::Etcd), count(Role::ControlPlane)),
        ports: Role::ALL
            .into_iter()
            .filter(|r| count(*r) > 0)
            .flat_map(|role| {
                ports::to_open(cluster, role).into_iter().map(move |p| PortRow {
                    role: role.as_str(),
                    port: p.port,
                    what: p.what,
                    from: p.from,
                })
            })
            .collect(),
        steps: work::steps(cluster, ledger),
        images: images.to_vec(),
        packages: units::packages(cluster),
        certificates: certificates.iter().map(|c| cert_row(c, store)).collect(),
        ends: ends(cluster, certificates, store),
        waivers: cluster.waivers.iter().map(waiver_row).collect(),
        kubeadm_signs: cluster.is_kubeadm_pki(),
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
        before: work::before(cluster, ledger, host),
        commands: code(facts.commands),
        packages: facts.packages.join(" "),
        by_hand: facts.by_hand.join(", "),
        carried: super::artifacts::words(&host.artifacts),
        up: work::up(host, first),
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
        kubeadm_signs: cluster.is_kubeadm_pki(),
        steps: work::steps(cluster, ledger),
        pods: cluster.kubernetes.pod_subnets.joined(),
    };
    Ok(OperatorPage { v: &view }.render()? + "\n")
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

/// A row per day on which certificates end, the trust roots named.
fn ends(cluster: &Cluster, certificates: &[CertRequest], store: &Store) -> Vec<EndRow> {
    let mut days: BTreeMap<Date, (usize, Vec<&str>)> = BTreeMap::new();
    for certificate in certificates {
        let Some(validity) = store.validity(&certificate.id) else { continue };
        let (leaves, roots) = days.entry(validity.not_after.date()).or_default();
        match certificate.issuer {
            Some(_) => *leaves += 1,
            None => roots.push(certificate.id.as_str()),
        }
    }
    let before = Duration::days(i64::from(cluster.pki.renew_before_days));
    let row = |(day, (leaves, roots)): (Date, (usize, Vec<&str>))| {
        let mut what = Vec::new();
        if leaves > 0 {
            what.push(plural(leaves, "certificate"));
        }
        if !roots.is_empty() {
            what.push(format!("the trust roots {}", roots.join(", ")));
        }
        EndRow { until: day.to_string(), due: day.saturating_sub(before).to_string(), what: what.join("; ") }
    };
    days.into_iter().map(row).collect()
}

fn waiver_row(waiver: &Waiver) -> WaiverRow {
    let place =
        waiver.path.as_ref().map_or_else(|| "everywhere".to_owned(), |path| format!("`{}`", cell(path)));
    WaiverRow {
        code: waiver.code,
        title: waiver.code.title(),
        place,
        until: waiver.until,
        reason: cell(&waiver.reason),
    }
}

/// A person's text in a table: nothing in it ends the cell, is markup or draws an image.
fn cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\|<>[]`*_!&".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
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

/// How many hosts a diagram or a step names of one role; more would be a wall of boxes.
const DRAWN: usize = 9;

fn tolerance(etcd: usize, control_planes: usize) -> String {
    let survive = etcd.saturating_sub(etcd / 2 + 1);
    format!(
        "etcd keeps its quorum with {} of {} down; the API is served while one of {} is up.",
        survive,
        plural(etcd, "member"),
        plural(control_planes, "control plane"),
    )
}
