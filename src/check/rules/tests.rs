//! Each rule against a cluster that breaks it and one that nearly does. The model is built by hand and every setting
//! has a place, so that a finding reads as its code and the paths it points at.

mod identity;
mod kubernetes;
mod networks;
mod topology;

use std::collections::BTreeMap;
use std::net::IpAddr;

use time::{Date, Month};

use super::{check, check_all};
use crate::check::places::Places;
use crate::diag::{Label, Report, Severity};
use crate::model::*;
use crate::source::{Sources, Span};
use crate::value::Value;

const DAY: fn() -> Date = || Date::from_calendar_date(2026, Month::November, 22).unwrap();

fn host(name: &str, address: &str, role: Role) -> Host {
    let fqdn = format!("{name}.isociel.com");
    Host {
        name: name.to_owned(),
        node_name: fqdn.clone(),
        roles: vec![role],
        group: None,
        zone: None,
        addresses: HostAddresses { cluster: vec![ip(address)], etcd_peer: None },
        state: HostState::Active,
        interface: None,
        ssh: Ssh { address: address.to_owned(), user: "root".to_owned(), port: 22 },
        labels: BTreeMap::new(),
        taints: None,
        kubelet: Layered { value: Value::map(), from: Layer::Builtin },
        sysctls: Layered { value: BTreeMap::new(), from: Layer::Builtin },
        artifacts: crate::model::Artifacts::default(),
        files: Vec::new(),
        kubelet_extra_args: Vec::new(),
        ignore_preflight_errors: Vec::new(),
        patches: Layered { value: Vec::new(), from: Layer::Builtin },
        image_pull_policy: "IfNotPresent".to_owned(),
        image_pull_serial: None,
        fqdn,
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn nets(texts: &[&str]) -> Vec<ipnet::IpNet> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn vip(address: &str, id: u8) -> Vip {
    Vip { address: address.parse().unwrap(), virtual_router_id: id, interface: Some("ens33".to_owned()) }
}

/// The tutorial's eleven hosts.
fn cluster() -> Cluster {
    let mut hosts = Vec::new();
    for (stem, first, n, role) in [
        ("k8setcd", 35, 3, Role::Etcd),
        ("k8smaster", 61, 3, Role::ControlPlane),
        ("k8svrrp", 71, 2, Role::LoadBalancer),
        ("k8sworker", 65, 3, Role::Worker),
    ] {
        hosts.extend(
            (0..n).map(|i| host(&format!("{stem}{}", i + 1), &format!("192.168.13.{}", first + i), role)),
        );
    }
    Cluster {
        folder: None,
        dir: std::path::PathBuf::new(),
        name: "k8s-cluster1".to_owned(),
        domain: "isociel.com".to_owned(),
        state: ClusterState::New,
        kubernetes: Kubernetes {
            version: Version::parse("1.36.5").unwrap(),
            endpoint: Endpoint { host: "k8sapi.isociel.com".to_owned(), port: 6443 },
            dns_domain: "cluster.local".to_owned(),
            pod_subnets: Subnets(nets(&["100.64.0.0/10"])),
            service_subnets: Subnets(nets(&["198.18.0.0/16"])),
            external_subnets: nets(&["198.19.0.0/16"]),
            kube_proxy_mode: KubeProxyMode::Nftables,
            kube_proxy_config: Value::map(),
            cert_sans: Vec::new(),
            bind_port: 6443,
            api_server: ControlPlaneComponent::default(),
            controller_manager: ControlPlaneComponent::default(),
            scheduler: ControlPlaneComponent::default(),
            kubelet_config: Value::map(),
            image_repository: None,
            dns: crate::model::Dns::default(),
            skip_init_phases: Vec::new(),
            skip_join_phases: Vec::new(),
            feature_gates: BTreeMap::new(),
            timeouts: BTreeMap::new(),
            token_ttl: "24h0m0s".to_owned(),
            containerd: ContainerdMajor::V2,
            pki: crate::model::PkiMode::default(),
        },
        etcd: Etcd {
            version: Version::parse("3.6.14").unwrap(),
            client_port: 2379,
            peer_port: 2380,
            metrics_port: 2381,
            data_dir: "/var/lib/etcd".to_owned(),
            bin_dir: "/usr/local/bin".to_owned(),
            quota_backend_bytes: 8 << 30,
            heartbeat_interval: 100,
            election_timeout: 1000,
            snapshot_count: 10_000,
            auto_compaction: None,
            peer_ca: PeerCa::Separate,
            snapshot_schedule: "*-*-* 00/6:00:00".to_owned(),
            snapshot_keep: 12,
            snapshot_dir: "/var/backups/etcd".to_owned(),
        },
        load_balancer: LoadBalancer {
            mode: LoadBalancerMode::Keepalived,
            vips: vec![vip("192.168.13.70/24", 70)],
            port: 6443,
            connect_timeout: 2,
            idle_timeout: 86_400,
            auth: false,
        },
        pki: Pki {
            ca_validity_days: 3650,
            validity_days: 365,
            renew_before_days: 90,
            algorithm: crate::model::KeyAlgorithm::P256,
        },
        recipients: crate::pki::recipients::Recipients::default(),
        hosts,
        retired: Vec::new(),
        waivers: Vec::new(),
    }
}

impl Cluster {
    fn host(&mut self, name: &str) -> &mut Host {
        self.hosts.iter_mut().find(|host| host.name == name).unwrap()
    }

    fn retire(&mut self, names: &[&str]) {
        for name in names {
            let at = self.hosts.iter().position(|host| host.name == *name).unwrap();
            let mut host = self.hosts.remove(at);
            host.state = HostState::Retired;
            self.retired.push(host);
        }
    }

    fn manager_arg(&mut self, name: &str, value: &str) {
        self.kubernetes.controller_manager.extra_args.push((name.to_owned(), value.to_owned()));
    }

    fn server_arg(&mut self, name: &str, value: &str) {
        self.kubernetes.api_server.extra_args.push((name.to_owned(), value.to_owned()));
    }
}

/// Gives every setting that the rules ask for a place whose text is its path.
struct Desk {
    sources: Sources,
    places: Places,
}

impl Desk {
    fn of(cluster: &Cluster, prefix: &str) -> Desk {
        let mut paths: Vec<String> = [
            "cluster.name",
            "cluster.domain",
            "cluster.state",
            "kubernetes.version",
            "kubernetes.controlPlaneEndpoint",
            "kubernetes.networking.podSubnet",
            "kubernetes.networking.serviceSubnet",
            "kubernetes.networking.externalSubnet",
            "kubernetes.networking.dnsDomain",
            "kubernetes.kubeProxy.mode",
            "kubernetes.kubeProxy.config",
            "kubernetes.apiServer.bindPort",
            "kubernetes.apiServer.certSANs",
            "kubernetes.kubelet",
            "kubernetes.bootstrapToken.ttl",
            "kubernetes.timeouts",
            "etcd.version",
            "kubernetes.apiServer.extraEnvs",
            "etcd.clientPort",
            "etcd.peerPort",
            "etcd.metricsPort",
            "etcd.quotaBackendBytes",
            "etcd.heartbeatInterval",
            "etcd.electionTimeout",
            "loadBalancer.mode",
            "loadBalancer.port",
            "loadBalancer.virtualRouterId",
            "pki.caValidity",
            "pki.validity",
            "pki.renewBefore",
            "hosts",
        ]
        .map(str::to_owned)
        .to_vec();
        // What has no effect would be a finding of its own.
        match cluster.load_balancer.mode {
            LoadBalancerMode::Keepalived => {}
            LoadBalancerMode::External => paths.retain(|path| path != "loadBalancer.virtualRouterId"),
            LoadBalancerMode::None => {
                paths.retain(|path| {
                    !["loadBalancer.virtualRouterId", "loadBalancer.port"].contains(&path.as_str())
                });
            }
        }
        for n in 0..cluster.load_balancer.vips.len() {
            paths.extend(["address", "virtualRouterId"].map(|key| format!("loadBalancer.vips.{n}.{key}")));
        }
        let k = &cluster.kubernetes;
        for (key, component) in [
            ("apiServer", &k.api_server),
            ("controllerManager", &k.controller_manager),
            ("scheduler", &k.scheduler),
        ] {
            let mut names: Vec<&String> = component.extra_args.iter().map(|(name, _)| name).collect();
            names.dedup();
            paths.extend(names.iter().map(|name| format!("kubernetes.{key}.extraArgs.{name}")));
        }
        paths.extend(k.feature_gates.keys().map(|gate| format!("kubernetes.featureGates.{gate}")));
        for host in cluster.with_retired() {
            paths.push(format!("hosts.{}", host.name));
            for key in [
                "address",
                "addresses.etcdPeer",
                "roles",
                "state",
                "zone",
                "nodeName",
                "ssh.address",
                "kubelet",
            ]
            .into_iter()
            .filter(|key| *key != "kubelet" || host.is_node())
            {
                paths.push(format!("hosts.{}.{key}", host.name));
            }
            paths.extend(host.labels.keys().map(|key| format!("hosts.{}.labels.{key}", host.name)));
        }
        let text: String = paths.iter().map(|path| format!("{prefix}{path}\n")).collect();
        let mut sources = Sources::new();
        let id = sources.add("a.yaml", text);
        let mut places = Places::default();
        let mut start = 0;
        for path in paths {
            let end = start + prefix.len() + path.len();
            places.put(path, Span::new(id, start..end));
            start = end + 1;
        }
        Desk { sources, places }
    }

    fn said(&self, report: &Report) -> Vec<String> {
        let text = |label: &Label| self.sources.text(label.span.source)[label.span.range()].to_owned();
        report
            .iter()
            .map(|finding| {
                assert!(finding.reason.is_some() && finding.help.is_some(), "{finding:?}");
                let mark = if finding.severity == Severity::Warning { "?" } else { "" };
                let mut places: Vec<String> = finding.primary.iter().map(&text).collect();
                places.extend(finding.secondary.iter().map(&text));
                format!("{}{mark} {}", finding.code, places.join(" "))
            })
            .collect()
    }
}

/// What is said about a cluster: code, `?` for a warning, the places.
fn said(cluster: &Cluster) -> Vec<String> {
    let desk = Desk::of(cluster, "");
    let mut report = Report::new();
    check(cluster, &desk.places, DAY(), &mut report);
    desk.said(&report)
}

/// The only message.
fn message(cluster: &Cluster) -> String {
    let desk = Desk::of(cluster, "");
    let mut report = Report::new();
    check(cluster, &desk.places, DAY(), &mut report);
    assert_eq!(report.iter().count(), 1, "{:?}", desk.said(&report));
    report.iter().next().unwrap().message.clone()
}

/// What is said about the tutorial's cluster after a change.
fn after(change: impl FnOnce(&mut Cluster)) -> Vec<String> {
    let mut cluster = cluster();
    change(&mut cluster);
    said(&cluster)
}

/// What is said between two clusters, the second one changed; only its own places are told.
fn between(change: impl FnOnce(&mut Cluster)) -> Vec<String> {
    let first = cluster();
    let mut second = cluster();
    second.name = "other".to_owned();
    for (host, n) in second.hosts.iter_mut().zip(100..) {
        host.fqdn = format!("{}.example.org", host.name);
        host.addresses.cluster = vec![ip(&format!("192.168.13.{n}"))];
    }
    second.load_balancer.vips = vec![vip("192.168.13.80/24", 80)];
    change(&mut second);
    let (one, two) = (Desk::of(&first, "1:"), Desk::of(&second, "2:"));
    let mut report = Report::new();
    check_all(&[(&first, &one.places), (&second, &two.places)], &mut report);
    report
        .iter()
        .map(|finding| {
            let label = finding.primary.as_ref().unwrap();
            format!("{} {}", finding.code, &two.sources.text(label.span.source)[label.span.range()])
        })
        .collect()
}

#[test]
fn the_tutorials_cluster_passes() {
    assert_eq!(said(&cluster()), [""; 0]);
}

#[test]
fn a_rule_says_nothing_about_a_stand_in() {
    let mut cluster = cluster();
    cluster.kubernetes.service_subnets = cluster.kubernetes.pod_subnets.clone();
    cluster.host("k8setcd1").addresses.cluster = vec![ip("192.168.13.70")];
    let mut desk = Desk::of(&cluster, "");
    desk.places.mark_unsound("kubernetes.networking.serviceSubnet");
    desk.places.mark_unsound("hosts.k8setcd1.address");
    let mut report = Report::new();
    check(&cluster, &desk.places, DAY(), &mut report);
    assert_eq!(desk.said(&report), [""; 0]);
}

#[test]
fn ten_thousand_hosts_are_quick_and_do_not_flood() {
    let mut cluster = cluster();
    for n in 0..10_000u32 {
        let address = format!("10.1.{}.{}", n / 250, n % 250 + 1);
        cluster.hosts.push(host(&format!("w{n}"), &address, Role::Worker));
    }
    cluster.kubernetes.pod_subnets = Subnets(nets(&["10.0.0.0/12"]));
    let said = said(&cluster);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].starts_with("KH0304 kubernetes.networking.podSubnet"), "{said:?}");
    assert!(said[1].starts_with("KH0314 kubernetes.networking.podSubnet"), "{said:?}");
}
