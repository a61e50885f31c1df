//! The requests of a small cluster, as the plan makes them.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use khagen::content::ObjectId;
use khagen::env::Env;
use khagen::ledger::{EtcdMembership, Founding, HostRecord, Ledger};
use khagen::model::KeyAlgorithm;
use khagen::pki::issue::issue;
use khagen::pki::{Decision, Store};
use khagen::plan::{CertRequest, Profile, SecretKind, SecretRequest};
use time::OffsetDateTime;

/// 2026-11-22T10:00:00Z, when the clusters of these tests are built.
pub const NOW: i64 = 1_795_341_600;

pub fn env() -> Env {
    Env::at(OffsetDateTime::from_unix_timestamp(NOW).unwrap())
}

pub fn id(name: &str) -> ObjectId {
    ObjectId::new(name)
}

pub fn ca(name: &str, cn: &str) -> CertRequest {
    CertRequest {
        id: id(name),
        issuer: None,
        profile: Profile::Ca,
        common_name: Some(cn.to_owned()),
        organization: None,
        dns_sans: vec![cn.to_owned()],
        ip_sans: vec![],
        algorithm: KeyAlgorithm::P256,
        validity_days: 3650,
        purpose: "a CA",
        host: None,
    }
}

pub fn leaf(name: &str, ca: &str, profile: Profile, cn: &str) -> CertRequest {
    CertRequest {
        id: id(name),
        issuer: Some(id(ca)),
        profile,
        common_name: Some(cn.to_owned()),
        organization: None,
        dns_sans: vec![],
        ip_sans: vec![],
        algorithm: KeyAlgorithm::P256,
        validity_days: 365,
        purpose: "a leaf",
        host: None,
    }
}

fn with_sans(mut request: CertRequest, dns: &[&str], ips: &[&str]) -> CertRequest {
    request.dns_sans = dns.iter().map(|d| (*d).to_owned()).collect();
    request.ip_sans = ips.iter().map(|i| i.parse::<IpAddr>().unwrap()).collect();
    request
}

/// Three etcd members, two control planes.
pub fn certs() -> Vec<CertRequest> {
    let mut certs = vec![
        ca("ca/etcd", "etcd-ca"),
        ca("ca/etcd-peer", "etcd-peer-ca"),
        ca("ca/kubernetes", "kubernetes"),
        ca("ca/front-proxy", "front-proxy-ca"),
        leaf("operator/etcd", "ca/etcd", Profile::Client, "operator"),
    ];
    for n in 1..=3 {
        let (host, ip) = (format!("etcd{n}.example.com"), format!("192.168.13.{}", 34 + n));
        let member = |what: &str, ca: &str, profile| {
            let request = leaf(&format!("{what}/{host}"), ca, profile, &host);
            with_sans(request, &[&host, "localhost"], &["127.0.0.1", &ip, "::1", "2001:db8::1"])
        };
        certs.push(member("etcd-server", "ca/etcd", Profile::ServerAndClient));
        certs.push(member("etcd-peer", "ca/etcd-peer", Profile::ServerAndClient));
        certs.push(leaf(&format!("etcd-health/{host}"), "ca/etcd", Profile::Client, "health"));
    }
    for n in 1..=2 {
        let (host, ip) = (format!("cp{n}.example.com"), format!("192.168.13.{}", 60 + n));
        let apiserver =
            leaf(&format!("apiserver/{host}"), "ca/kubernetes", Profile::Server, "kube-apiserver");
        let names =
            [host.as_str(), "*.api.example.com", "kubernetes", "kubernetes.default.svc.cluster.local"];
        certs.push(with_sans(apiserver, &names, &["192.168.13.70", "198.18.0.1", &ip]));
        let mut admin = leaf(&format!("admin/{host}"), "ca/kubernetes", Profile::Client, "kubernetes-admin");
        admin.organization = Some("kubeadm:cluster-admins".to_owned());
        certs.push(admin);
        certs.push(leaf(
            &format!("front-proxy/{host}"),
            "ca/front-proxy",
            Profile::Client,
            "front-proxy-client",
        ));
    }
    // A server certificate may do without a common name; its names are then critical (RFC 5280 section 4.1.2.6).
    let mut nameless = leaf("web/nameless", "ca/kubernetes", Profile::Server, "x");
    nameless.common_name = None;
    certs.push(with_sans(nameless, &["nameless.example.com"], &[]));
    certs
}

pub fn secrets() -> Vec<SecretRequest> {
    let secret = |name: &str, kind| SecretRequest { id: id(name), kind, purpose: "a secret" };
    vec![
        secret("service-account", SecretKind::KeyPair(KeyAlgorithm::P256)),
        secret("bootstrap-token", SecretKind::BootstrapToken),
        secret("vrrp", SecretKind::VrrpPassword),
        secret("fingerprint-key", SecretKind::HmacKey),
    ]
}

pub fn ledger() -> Ledger {
    let record = HostRecord {
        generation: 3,
        digest: "00".repeat(32),
        vrrp_priority: Some(100),
        etcd: Some(EtcdMembership::Founding),
    };
    let founding = Founding {
        cluster_id: "ab".repeat(16),
        etcd_token: "token".to_owned(),
        cluster_name: "test".to_owned(),
        dns_domain: "cluster.local".to_owned(),
        pod_subnet: "100.64.0.0/10".to_owned(),
        service_subnet: "198.18.0.0/16".to_owned(),
        first_control_plane: "cp1.example.com".to_owned(),
        pki: None,
        ca_fingerprints: [("ca/kubernetes".to_owned(), "11".repeat(32))].into(),
    };
    let host = |n| (format!("etcd{n}.example.com"), HostRecord { generation: n, ..record.clone() });
    Ledger { founding: Some(founding), hosts: (1..=3).map(host).collect() }
}

/// Opens, issues and saves, as a build does.
pub fn build(dir: &Path, certs: &[CertRequest], secrets: &[SecretRequest]) -> (Store, Vec<Decision>) {
    let mut store = Store::open(dir).unwrap();
    let decisions = issue(certs, secrets, &mut store, &env()).unwrap();
    store.set_ledger(ledger());
    store.save().unwrap();
    (store, decisions)
}

/// Every file below a folder: its path, its bytes and when it was written.
pub fn snapshot(dir: &Path) -> Vec<(PathBuf, Vec<u8>, std::time::SystemTime)> {
    let mut files: Vec<_> = walkdir::WalkDir::new(dir)
        .sort_by_file_name()
        .into_iter()
        .map(|e| {
            let entry = e.unwrap();
            let bytes =
                if entry.file_type().is_file() { std::fs::read(entry.path()).unwrap() } else { vec![] };
            (entry.path().to_owned(), bytes, entry.metadata().unwrap().modified().unwrap())
        })
        .collect();
    files.sort();
    files
}
