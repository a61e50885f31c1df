//! A balancer: nginx that passes TCP to the API servers, and keepalived that holds the VIP.
//!
//! Three things move a VIP: a file that nginx's unit writes when nginx ends, a check that nginx answers, and a check that this
//! balancer reaches an API server when a peer does. Everything has weight 0, so a failure is a FAULT and never a matter of
//! priorities. Nothing here decides who holds a VIP first: the ledger has the priorities.

use std::net::IpAddr;

use askama::Template;

use crate::content::{Content, Encoding, ObjectId};
use crate::ledger::Ledger;
use crate::model::{Cluster, Family, Host, LoadBalancerMode, Role, Vip, bracketed};
use crate::plan::{FileEntry, FileLayer, certs, shared as layer};

/// Stands in the rendered text where the password goes. No template and no value has it.
const SECRET_MARK: &str = "\u{1}";
/// For a balancer that the ledger does not know yet, which is in a dry run only.
const NO_PRIORITY: u8 = 100;

#[derive(Template)]
#[template(path = "balancer/nginx.conf", escape = "none", ext = "txt")]
struct Nginx<'a> {
    v: NginxView<'a>,
}

struct NginxView<'a> {
    cluster: &'a str,
    servers: Vec<Server<'a>>,
    listens: Vec<String>,
    alive: String,
    connect_timeout: u32,
    idle_timeout: u32,
}

struct Server<'a> {
    address: String,
    name: &'a str,
}

#[derive(Template)]
#[template(path = "balancer/check-api", escape = "none", ext = "txt")]
struct CheckApi {
    v: CheckApiView,
}

struct CheckApiView {
    patience: u32,
}

#[derive(Template)]
#[template(path = "balancer/keepalived.conf", escape = "none", ext = "txt")]
struct Keepalived<'a> {
    v: KeepalivedView<'a>,
    secret_mark: &'static str,
}

struct KeepalivedView<'a> {
    fqdn: &'a str,
    cluster: &'a str,
    name: &'a str,
    vrrp_version: u8,
    priority: u8,
    port: u16,
    alive: IpAddr,
    own: String,
    peers: Vec<String>,
    api_interval: u32,
    api_timeout: u32,
    instances: Vec<Instance>,
}

struct Instance {
    name: String,
    interface: String,
    router_id: u8,
    source: IpAddr,
    peers: Vec<IpAddr>,
    auth: bool,
    address: ipnet::IpNet,
    is_v6: bool,
}

/// What all balancers have in common. Nothing unless the cluster has balancers of its own.
///
/// # Errors
/// When a template fails, which only a bug makes it do.
pub fn shared(cluster: &Cluster) -> Result<Vec<FileEntry>, askama::Error> {
    if cluster.load_balancer.mode != LoadBalancerMode::Keepalived {
        return Ok(Vec::new());
    }
    let file = |path: &str, text: String| FileEntry::new(path, layer("load-balancer"), Content::text(text));
    let fixed = |path: &str, text: &str| file(path, text.to_owned());
    let check_api = CheckApi { v: CheckApiView { patience: patience(cluster) } }.render()? + "\n";
    Ok(vec![
        file("/etc/keepalived/check-api", check_api).mode(0o755),
        fixed("/etc/keepalived/check-nginx", include_str!("../../templates/balancer/check-nginx"))
            .mode(0o755),
        fixed("/etc/keepalived/notify", include_str!("../../templates/balancer/notify")).mode(0o755),
        file("/etc/nginx/nginx.conf", nginx(cluster)?),
        fixed("/etc/sysctl.d/90-khagen-balancer.conf", include_str!("../../templates/balancer/sysctl.conf")),
        fixed(
            "/etc/systemd/system/keepalived.service.d/khagen.conf",
            include_str!("../../templates/balancer/keepalived-dropin.conf"),
        ),
        fixed(
            "/etc/systemd/system/nginx.service.d/khagen.conf",
            include_str!("../../templates/balancer/nginx-dropin.conf"),
        ),
        fixed("/etc/sysusers.d/khagen-balancer.conf", include_str!("../../templates/balancer/sysusers.conf")),
        fixed("/etc/tmpfiles.d/khagen-balancer.conf", include_str!("../../templates/balancer/tmpfiles.conf")),
    ])
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
    let peers: Vec<&Host> = cluster.with_role(Role::LoadBalancer).filter(|h| h.fqdn != host.fqdn).collect();
    let instances: Vec<Instance> =
        lb.vips.iter().filter_map(|vip| instance(host, &peers, vip, lb.auth)).collect();
    // Adverts of version 3 carry no password (RFC 5798 section 9), so one is only there where version 2 is spoken.
    let v2 = instances.iter().any(|i| i.auth);
    let patience = patience(cluster);
    let view = KeepalivedView {
        fqdn: &host.fqdn,
        cluster: &cluster.name,
        name: &host.name,
        vrrp_version: if v2 { 2 } else { 3 },
        priority: ledger.hosts.get(&host.fqdn).and_then(|r| r.vrrp_priority).unwrap_or(NO_PRIORITY),
        port: lb.port,
        alive: alive(cluster),
        own: bracketed(reachable(cluster, host)),
        peers: peers.iter().map(|p| bracketed(reachable(cluster, p))).collect(),
        // A run ends before the next begins: here, whether nginx accepts, then all peers at once.
        api_interval: 2 * patience + 2,
        api_timeout: 2 * patience + 2,
        instances,
    };
    let text = Keepalived { v: view, secret_mark: SECRET_MARK }.render()? + "\n";
    let mut content = Content::default();
    for (n, part) in text.split(SECRET_MARK).enumerate() {
        if n > 0 {
            content.push_secret(ObjectId::new(certs::VRRP_PASSWORD), Encoding::Raw);
        }
        content.push_str(part);
    }
    Ok(vec![FileEntry::new("/etc/keepalived/keepalived.conf", FileLayer::Host, content).mode(0o600)])
}

fn nginx(cluster: &Cluster) -> Result<String, askama::Error> {
    let lb = &cluster.load_balancer;
    let families = families(cluster);
    // The kernel asks an idle client after 60 s and gives it up after six silent answers 10 s apart.
    let keepalive = "so_keepalive=60s:10s:6";
    let mut listens = Vec::new();
    if families.contains(&Family::V4) {
        listens.push(format!("{} {keepalive}", lb.port));
    }
    if families.contains(&Family::V6) {
        listens.push(format!("[::]:{} ipv6only=on {keepalive}", lb.port));
    }
    let server =
        |h: &'_ Host| format!("{}:{}", bracketed(h.addresses.primary()), cluster.kubernetes.bind_port);
    let view = NginxView {
        cluster: &cluster.name,
        servers: cluster
            .with_role(Role::ControlPlane)
            .map(|h| Server { address: server(h), name: &h.fqdn })
            .collect(),
        listens,
        alive: format!("{}:{}", bracketed(alive(cluster)), lb.port),
        connect_timeout: lb.connect_timeout,
        idle_timeout: lb.idle_timeout,
    };
    Ok(Nginx { v: view }.render()? + "\n")
}

fn instance(host: &Host, peers: &[&Host], vip: &Vip, auth: bool) -> Option<Instance> {
    let family = Family::of(vip.address.addr());
    let of_family = |h: &Host| h.addresses.cluster.iter().copied().find(|ip| Family::of(*ip) == family);
    // The checks saw to both.
    let interface = vip.interface.as_deref().or(host.interface.as_deref())?;
    let kind = if family == Family::V4 { "v4" } else { "v6" };
    Some(Instance {
        name: format!("vip_{kind}_{}", vip.virtual_router_id),
        interface: word(interface),
        router_id: vip.virtual_router_id,
        source: of_family(host)?,
        peers: peers.iter().filter_map(|p| of_family(p)).collect(),
        auth: auth && family == Family::V4,
        address: vip.address,
        is_v6: family == Family::V6,
    })
}

/// An interface's name as keepalived reads it: `#` and `!` would begin a comment. The checks refuse quotes and backslashes.
fn word(text: &str) -> String {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "._-@".contains(c));
    if plain { text.to_owned() } else { format!("\"{text}\"") }
}

/// The families that balancers are reached at.
fn families(cluster: &Cluster) -> Vec<Family> {
    let vips = cluster.load_balancer.vips.iter().map(|v| v.address.addr());
    let own = cluster.with_role(Role::LoadBalancer).flat_map(|h| h.addresses.cluster.iter().copied());
    let mut families: Vec<Family> = vips.chain(own).map(Family::of).collect();
    families.sort_unstable();
    families.dedup();
    families
}

/// Where nginx answers for itself: loopback, on the balancer's own port.
fn alive(cluster: &Cluster) -> IpAddr {
    if families(cluster).contains(&Family::V4) {
        IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)
    } else {
        IpAddr::V6(std::net::Ipv6Addr::LOCALHOST)
    }
}

/// The address of a balancer that its peers can ask too: of the first VIP's family, since that is the link they share.
fn reachable(cluster: &Cluster, host: &Host) -> IpAddr {
    let wanted = cluster.load_balancer.vips.first().map(|v| Family::of(v.address.addr()));
    let found = host.addresses.cluster.iter().copied().find(|ip| Some(Family::of(*ip)) == wanted);
    found.unwrap_or_else(|| host.addresses.primary())
}

/// How long a check waits for TLS through a balancer, in seconds: one control plane that does not accept, and a handshake.
fn patience(cluster: &Cluster) -> u32 {
    cluster.load_balancer.connect_timeout.saturating_add(1)
}
