//! etcd's hosts: environment, unit, user, snapshot timer. Right for etcd 3.5, 3.6 and 3.7.
//!
//! The environment rather than flags or a file: the unit is then the same on every member, an unknown variable is a
//! warning in the log rather than a member that does not start, and what differs between members stands in one place.

use std::fmt::Write;

use askama::Template;

use crate::content::Content;
use crate::ledger::{EtcdMembership, Ledger};
use crate::model::{Cluster, ClusterState, Host, PeerCa, Role, Version, bracketed};
use crate::plan::certs::PEER_NAME;
use crate::plan::{FileEntry, FileLayer, shared as layer};

/// The unit's environment, which etcd's scripts read too.
const ENV: &str = "/etc/etcd/etcd.env";

#[derive(Template)]
#[template(path = "etcd/etcd.service", escape = "none", ext = "txt")]
struct Unit<'a> {
    v: &'a View,
}

#[derive(Template)]
#[template(path = "etcd/snapshot.service", escape = "none", ext = "txt")]
struct SnapshotUnit<'a> {
    v: &'a View,
}

#[derive(Template)]
#[template(path = "etcd/snapshot.timer", escape = "none", ext = "txt")]
struct SnapshotTimer<'a> {
    v: &'a View,
}

struct View {
    version: String,
    bin_dir: String,
    data_dir: String,
    state_directory: String,
    snapshot_dir: String,
    schedule: String,
}

/// What every member gets.
///
/// # Errors
/// When a template fails, which only a bug makes it do.
pub fn shared(cluster: &Cluster) -> Result<Vec<FileEntry>, askama::Error> {
    let e = &cluster.etcd;
    let view = View {
        version: e.version.to_string(),
        bin_dir: e.bin_dir.clone(),
        data_dir: e.data_dir.clone(),
        // systemd makes and owns what lies below /var/lib; elsewhere install.sh makes the folder.
        state_directory: state_directory(cluster).unwrap_or_default().to_owned(),
        snapshot_dir: e.snapshot_dir.clone(),
        schedule: e.snapshot_schedule.clone(),
    };
    let file = |path: &str, text: String| FileEntry::new(path, layer("etcd"), Content::text(text));
    // A restore founds the cluster anew with the members of today, so they stand here as well: a founding member's own
    // environment does not name those who came later.
    let members: Vec<String> = cluster
        .with_role(Role::Etcd)
        .map(|h| format!("{}=https://{}:{}", h.name, bracketed(h.addresses.peer()), e.peer_port))
        .collect();
    let snapshot_env = format!(
        "# Written by khagen; read by khagen-etcd-snapshot and khagen-etcd-restore.\n\
         SNAPSHOT_DIR={}\nSNAPSHOT_KEEP={}\nETCD_BIN_DIR={}\nETCD_MEMBERS={}\n",
        e.snapshot_dir,
        e.snapshot_keep,
        e.bin_dir,
        members.join(",")
    );
    let users = format!("# Written by khagen.\nu etcd - \"etcd\" {} -\n", e.data_dir);
    Ok(vec![
        file("/etc/systemd/system/etcd.service", Unit { v: &view }.render()? + "\n"),
        file("/etc/systemd/system/khagen-etcd-snapshot.service", SnapshotUnit { v: &view }.render()? + "\n"),
        file("/etc/systemd/system/khagen-etcd-snapshot.timer", SnapshotTimer { v: &view }.render()? + "\n"),
        file("/etc/sysusers.d/etcd.conf", users),
        file("/etc/etcd/snapshot.env", snapshot_env),
    ])
}

/// The data folder below /var/lib, if it lies there.
pub fn state_directory(cluster: &Cluster) -> Option<&str> {
    cluster.etcd.data_dir.strip_prefix("/var/lib/")
}

/// A member's own environment.
pub fn host(cluster: &Cluster, host: &Host, ledger: &Ledger) -> Vec<FileEntry> {
    let text = environment(cluster, host, ledger);
    vec![FileEntry::new(ENV, FileLayer::Host, Content::text(text)).mode(0o640).owned("root", "etcd")]
}

fn environment(cluster: &Cluster, host: &Host, ledger: &Ledger) -> String {
    let e = &cluster.etcd;
    let url = |ip, port: u16| format!("https://{}:{port}", bracketed(ip));
    let membership = |h: &Host| ledger.hosts.get(&h.fqdn).and_then(|r| r.etcd);
    let added = membership(host) == Some(EtcdMembership::Added);
    // A founding member names those who founded the cluster with it. So a member that comes later changes no other's
    // environment; it names everybody, as etcd wants it of one that joins.
    let initial: Vec<String> = cluster
        .with_role(Role::Etcd)
        .filter(|h| added || membership(h) != Some(EtcdMembership::Added))
        .map(|h| format!("{}={}", h.name, url(h.addresses.peer(), e.peer_port)))
        .collect();
    let existing = added || cluster.state == ClusterState::Running;
    let loopback = match host.addresses.primary() {
        std::net::IpAddr::V4(_) => "https://127.0.0.1",
        std::net::IpAddr::V6(_) => "https://[::1]",
    };
    let mut listen = vec![format!("{loopback}:{}", e.client_port)];
    listen.extend(host.addresses.cluster.iter().map(|ip| url(*ip, e.client_port)));
    let token = ledger.founding.as_ref().map_or("", |f| f.etcd_token.as_str());
    let pki = format!("/etc/etcd/pki/{}", host.name);
    let peer_ca = match e.peer_ca {
        PeerCa::Separate => "etcd-peer-ca",
        PeerCa::Same => "etcd-ca",
    };

    let mut out = format!("# Written by khagen for etcd {} on {}.\n", e.version, host.fqdn);
    let mut part = |comment: &str, settings: &[(&str, String)]| {
        let _ = writeln!(out, "\n# {comment}");
        for (key, value) in settings {
            let _ = writeln!(out, "{key}={value}");
        }
    };
    let text = |t: &str| t.to_owned();
    part(
        "The member",
        &[
            ("ETCD_NAME", host.name.clone()),
            ("ETCD_DATA_DIR", e.data_dir.clone()),
            ("ETCD_LISTEN_CLIENT_URLS", listen.join(",")),
            ("ETCD_ADVERTISE_CLIENT_URLS", url(host.addresses.primary(), e.client_port)),
            ("ETCD_LISTEN_PEER_URLS", url(host.addresses.peer(), e.peer_port)),
            ("ETCD_INITIAL_ADVERTISE_PEER_URLS", url(host.addresses.peer(), e.peer_port)),
        ],
    );
    part(
        "/metrics and /health without a certificate, on this host only",
        &[("ETCD_LISTEN_METRICS_URLS", format!("http://127.0.0.1:{}", e.metrics_port))],
    );
    part(
        "Read once, by a member without data",
        &[
            ("ETCD_INITIAL_CLUSTER", initial.join(",")),
            ("ETCD_INITIAL_CLUSTER_STATE", text(if existing { "existing" } else { "new" })),
            ("ETCD_INITIAL_CLUSTER_TOKEN", text(token)),
        ],
    );
    part(
        "TLS for clients: whoever has a certificate of this CA may do everything",
        &[
            ("ETCD_CERT_FILE", format!("{pki}.crt")),
            ("ETCD_KEY_FILE", format!("{pki}.key")),
            ("ETCD_TRUSTED_CA_FILE", text("/etc/etcd/pki/etcd-ca.crt")),
            ("ETCD_CLIENT_CERT_AUTH", text("true")),
        ],
    );
    let mut peers = vec![
        ("ETCD_PEER_CERT_FILE", format!("{pki}-peer.crt")),
        ("ETCD_PEER_KEY_FILE", format!("{pki}-peer.key")),
        ("ETCD_PEER_TRUSTED_CA_FILE", format!("/etc/etcd/pki/{peer_ca}.crt")),
        ("ETCD_PEER_CLIENT_CERT_AUTH", text("true")),
    ];
    if e.peer_ca == PeerCa::Same {
        // With one CA a client's certificate would do for a peer, so peers must also carry a name that only peers have.
        peers.push(("ETCD_PEER_CERT_ALLOWED_HOSTNAME", text(PEER_NAME)));
    }
    // The flag came with 3.5.10. Everybody who talks to etcd is written in Go, and so has TLS 1.3.
    if e.version >= (Version { major: 3, minor: 5, patch: 10 }) {
        peers.push(("ETCD_TLS_MIN_VERSION", text("TLS1.3")));
    }
    part("TLS among peers", &peers);
    let mut limits = vec![
        ("ETCD_QUOTA_BACKEND_BYTES", e.quota_backend_bytes.to_string()),
        ("ETCD_HEARTBEAT_INTERVAL", e.heartbeat_interval.to_string()),
        ("ETCD_ELECTION_TIMEOUT", e.election_timeout.to_string()),
        ("ETCD_SNAPSHOT_COUNT", e.snapshot_count.to_string()),
    ];
    if let Some((mode, retention)) = &e.auto_compaction {
        limits.push(("ETCD_AUTO_COMPACTION_MODE", mode.clone()));
        limits.push(("ETCD_AUTO_COMPACTION_RETENTION", retention.clone()));
    }
    // The names changed in 3.6, and 3.7 knows the old ones no more.
    if e.version.line() >= (3, 6) {
        limits.push(("ETCD_FEATURE_GATES", text("InitialCorruptCheck=true")));
        limits.push(("ETCD_WATCH_PROGRESS_NOTIFY_INTERVAL", text("5s")));
    } else {
        limits.push(("ETCD_EXPERIMENTAL_INITIAL_CORRUPT_CHECK", text("true")));
        limits.push(("ETCD_EXPERIMENTAL_WATCH_PROGRESS_NOTIFY_INTERVAL", text("5s")));
    }
    part("Limits and checks", &limits);
    out
}
