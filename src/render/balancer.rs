//! The balancers: nginx before the API servers, keepalived for the virtual addresses, and the checks between them.
//!
//! Only where `loadBalancer.mode` is keepalived.

use std::net::IpAddr;

use askama::Template;

use crate::content::{Content, Encoding, ObjectId};
use crate::ledger::Ledger;
use crate::model::{Cluster, Family, Host, LoadBalancerMode, Role, bracketed};
use crate::plan::certs::VRRP_PASSWORD;
use crate::plan::{FileEntry, FileLayer, shared as layer};

/// Stands for the password in the rendered text until it is put in as a secret; no configuration contains it.
const PASSWORD_MARK: &str = "@vrrp-password@";

#[derive(Template)]
#[template(path = "balancer/nginx.conf", escape = "none", ext = "txt")]
struct NginxConf<'a> {
    v: &'a NginxView,
}

struct NginxView {
    cluster: String,
    servers: Vec<Server>,
    listens: Vec<String>,
    connect_timeout: u32,
    idle_timeout: u32,
}

struct Server {
    address: String,
    name: String,
}

#[derive(Template)]
#[template(path = "balancer/keepalived.conf", escape = "none", ext = "txt")]
struct KeepalivedConf<'a> {
    v: &'a KeepalivedView,
}

struct KeepalivedView {
    host: String,
    name: String,
    cluster: String,
    version: u8,
    port: u16,
    peers: Vec<String>,
    priority: u8,
    auth: bool,
    password_mark: &'static str,
    vips: Vec<Instance>,
}

struct Instance {
    name: String,
    interface: String,
    vrid: u8,
    source: String,
    peers: Vec<String>,
    address: String,
}

/// What every balancer gets.
///
/// # Errors
/// When a template fails, which only a bug makes it do.
pub fn shared(cluster: &Cluster) -> Result<Vec<FileEntry>, askama::Error> {
    if cluster.load_balancer.mode != LoadBalancerMode::Keepalived {
        return Ok(Vec::new());
    }
    let file = |path: &str, text: &str| FileEntry::new(path, layer("load-balancer"), Content::text(text));
    let users = "# Written by khagen.\nu nginx - \"nginx\" /nonexistent -\n\
                 u keepalived_script - \"keepalived's checks\" /nonexistent -\n";
    Ok(vec![
        file("/etc/nginx/nginx.conf", &(nginx(cluster)? + "\n")),
        file("/etc/systemd/system/nginx.service.d/khagen.conf", include_str!("../../templates/balancer/nginx-dropin.conf")),
        file(
            "/etc/systemd/system/keepalived.service.d/khagen.conf",
            include_str!("../../templates/balancer/keepalived-dropin.conf"),
        ),
        // Script security refuses what anybody but root could write.
        file("/etc/keepalived/check-api", include_str!("../../templates/balancer/check-api")).mode(0o755),
        file("/etc/keepalived/notify", include_str!("../../templates/balancer/notify")).mode(0o755),
        file("/etc/sysusers.d/khagen-balancer.conf", users),
    ])
}

fn nginx(cluster: &Cluster) -> Result<String, askama::Error> {
    let lb = &cluster.load_balancer;
    let balancers = cluster.with_role(Role::LoadBalancer).flat_map(|h| h.addresses.cluster.iter().copied());
    let mut families: Vec<Family> =
        balancers.chain(lb.vips.iter().map(|v| v.address.addr())).map(Family::of).collect();
    families.sort();
    families.dedup();
    let view = NginxView {
        cluster: cluster.name.clone(),
        servers: cluster
            .with_role(Role::ControlPlane)
            .map(|h| Server {
                address: format!("{}:{}", bracketed(h.addresses.primary()), cluster.kubernetes.bind_port),
                name: h.fqdn.clone(),
            })
            .collect(),
        // Only families that the balancers have: a host without IPv6 cannot listen on it. Checks ask 127.0.0.1.
        listens: std::iter::once(lb.port.to_string())
            .chain(families.contains(&Family::V6).then(|| format!("[::]:{} ipv6only=on", lb.port)))
            .collect(),
        connect_timeout: lb.connect_timeout,
        idle_timeout: lb.idle_timeout,
    };
    NginxConf { v: &view }.render()
}

/// A balancer's own keepalived.conf.
///
/// # Errors
/// When a template fails, which only a bug makes it do.
pub fn host(cluster: &Cluster, host: &Host, ledger: &Ledger) -> Result<Vec<FileEntry>, askama::Error> {
    let lb = &cluster.load_balancer;
    if lb.mode != LoadBalancerMode::Keepalived {
        return Ok(Vec::new());
    }
    let others: Vec<&Host> = cluster.with_role(Role::LoadBalancer).filter(|h| h.fqdn != host.fqdn).collect();
    let vips = lb
        .vips
        .iter()
        .map(|vip| {
            let family = Family::of(vip.address.addr());
            let of_family = |h: &Host| h.addresses.cluster.iter().copied().find(|ip| Family::of(*ip) == family);
            let interface = vip.interface.clone().or_else(|| host.interface.clone()).unwrap_or_default();
            Instance {
                // Stays the same when another address is added before it.
                name: format!("vrid_{}_{}", vip.virtual_router_id, if family == Family::V4 { "v4" } else { "v6" }),
                interface,
                vrid: vip.virtual_router_id,
                source: of_family(host).map(|ip| ip.to_string()).unwrap_or_default(),
                peers: others.iter().filter_map(|h| of_family(h)).map(|ip: IpAddr| ip.to_string()).collect(),
                address: vip.address.to_string(),
            }
        })
        .collect();
    let view = KeepalivedView {
        host: host.fqdn.clone(),
        name: host.name.clone(),
        cluster: cluster.name.clone(),
        // Passwords were dropped from VRRP in version 3 (RFC 5798 section 9).
        version: if lb.auth { 2 } else { 3 },
        port: lb.port,
        peers: others.iter().map(|h| bracketed(h.addresses.primary())).collect(),
        priority: ledger.hosts.get(&host.fqdn).and_then(|r| r.vrrp_priority).unwrap_or(100),
        auth: lb.auth,
        password_mark: PASSWORD_MARK,
        vips,
    };
    let text = KeepalivedConf { v: &view }.render()?;
    let mut content = Content::default();
    for (i, part) in text.split(PASSWORD_MARK).enumerate() {
        if i > 0 {
            content.push_secret(ObjectId::new(VRRP_PASSWORD), Encoding::Raw);
        }
        content.push_str(part);
    }
    Ok(vec![FileEntry::new("/etc/keepalived/keepalived.conf", FileLayer::Host, content).mode(0o600)])
}
