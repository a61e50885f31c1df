//! Versions, kubeadm, kubelet, etcd, certificates.

use super::*;
use crate::diag::Code;

fn version(text: &'static str) -> impl FnOnce(&mut Cluster) {
    move |c| {
        c.kubernetes.version = Version::parse(text).unwrap();
        c.kubernetes.kube_proxy_mode = KubeProxyMode::Iptables;
    }
}

#[test]
fn minors_are_known_and_patches_never_matter() {
    assert_eq!(after(version("1.36.999")), [""; 0]);
    assert_eq!(after(version("1.37.0")), [""; 0]);
    assert_eq!(after(version("1.38.0")), ["KH0500 kubernetes.version"]);
    assert_eq!(after(version("1.27.16")), ["KH0500 kubernetes.version"]);
    // Of a minor that is older than all that are known no field is said to be missing.
    assert_eq!(
        after(|c| {
            version("1.27.16")(c);
            c.kubernetes.kubelet_config = Value::map().with("maxPods", Value::Number("110".to_owned()));
        }),
        ["KH0500 kubernetes.version"]
    );
    assert_eq!(after(version("1.34.9")), ["KH0501? kubernetes.version"]);
    let mut c = cluster();
    version("1.34.9")(&mut c);
    assert_eq!(message(&c), "Kubernetes 1.34 reached its end of life on 2026-10-27");
}

#[test]
fn the_end_of_life_is_the_last_day() {
    let mut c = cluster();
    version("1.35.0")(&mut c);
    let desk = Desk::of(&c, "");
    let day = |year, month, day| Date::from_calendar_date(year, month, day).unwrap();
    for (date, code) in [
        (day(2026, Month::November, 29), None),
        (day(2026, Month::November, 30), Some(Code::EndsSoon)),
        (day(2027, Month::February, 28), Some(Code::EndsSoon)),
        (day(2027, Month::March, 1), Some(Code::EndOfLife)),
    ] {
        let mut report = Report::new();
        check(&c, &desk.places, date, &mut report);
        assert_eq!(report.iter().map(|finding| finding.code).next(), code, "{date}");
        assert!(report.counts().1 < 2 && !report.has_errors(), "{date}");
    }
}

#[test]
fn etcd_is_one_that_kubeadm_takes() {
    let etcd = |text: &'static str| after(move |c| c.etcd.version = Version::parse(text).unwrap());
    assert_eq!(etcd("3.5.24"), ["KH0508? etcd.version"]);
    assert_eq!(etcd("3.5.23"), ["KH0508? etcd.version", "KH0503 etcd.version kubernetes.version"]);
    assert_eq!(etcd("3.6.0"), [""; 0]);
    assert_eq!(etcd("3.7.0"), [""; 0]);
    assert_eq!(etcd("3.8.0"), ["KH0502 etcd.version"]);
    assert_eq!(etcd("3.4.40"), ["KH0502 etcd.version", "KH0503 etcd.version kubernetes.version"]);
    assert_eq!(
        after(|c| {
            version("1.33.5")(c);
            c.etcd.version = Version::parse("3.5.11").unwrap();
        }),
        ["KH0508? etcd.version", "KH0501? kubernetes.version"]
    );
}

#[test]
fn kube_proxy_has_its_mode() {
    let mode = |text: &'static str, mode| {
        let said = after(move |c| {
            version(text)(c);
            c.kubernetes.kube_proxy_mode = mode;
        });
        said.into_iter().filter(|line| !line.starts_with("KH0501")).collect::<Vec<_>>()
    };
    let places = "kubernetes.kubeProxy.mode kubernetes.version";
    assert_eq!(mode("1.28.0", KubeProxyMode::Nftables), [format!("KH0504 {places}")]);
    assert_eq!(mode("1.30.0", KubeProxyMode::Nftables), [format!("KH0504 {places}")]);
    assert_eq!(mode("1.32.0", KubeProxyMode::Nftables), [format!("KH0505? {places}")]);
    assert_eq!(mode("1.33.0", KubeProxyMode::Nftables), [""; 0]);
    assert_eq!(mode("1.34.0", KubeProxyMode::Ipvs), [""; 0]);
    assert_eq!(mode("1.35.0", KubeProxyMode::Ipvs), [format!("KH0506? {places}")]);
    assert_eq!(mode("1.36.0", KubeProxyMode::None), [""; 0]);
}

#[test]
fn an_older_kubeadm_has_no_newer_fields() {
    let errors = |change: fn(&mut Cluster), text| {
        let said = after(move |c| {
            version(text)(c);
            change(c);
        });
        said.into_iter().filter(|line| !line.starts_with("KH0501")).collect::<Vec<_>>()
    };
    let repeat: fn(&mut Cluster) = |c| {
        c.server_arg("service-account-issuer", "https://a.example");
        c.server_arg("service-account-issuer", "https://b.example");
    };
    assert_eq!(
        errors(repeat, "1.30.0"),
        ["KH0510 kubernetes.apiServer.extraArgs.service-account-issuer kubernetes.version"]
    );
    assert_eq!(errors(repeat, "1.31.0"), [""; 0]);
    let envs: fn(&mut Cluster) =
        |c| c.kubernetes.api_server.extra_envs.push(Value::map().with("name", Value::text("A")));
    assert_eq!(errors(envs, "1.30.0"), ["KH0511 kubernetes.apiServer.extraEnvs kubernetes.version"]);
    assert_eq!(errors(envs, "1.31.0"), [""; 0]);
    let timeouts: fn(&mut Cluster) = |c| {
        c.kubernetes.timeouts.insert("discovery".to_owned(), "10m".to_owned());
    };
    // v1beta3 has this one under another name, and tlsBootstrap not at all.
    assert_eq!(errors(timeouts, "1.30.0"), [""; 0]);
    assert_eq!(errors(timeouts, "1.31.0"), [""; 0]);
    let timeouts: fn(&mut Cluster) = |c| {
        c.kubernetes.timeouts.insert("tlsBootstrap".to_owned(), "10m".to_owned());
    };
    assert_eq!(errors(timeouts, "1.30.0"), ["KH0511 kubernetes.timeouts kubernetes.version"]);
    assert_eq!(errors(timeouts, "1.31.0"), [""; 0]);
}

#[test]
fn extra_args_leave_alone_what_is_not_theirs() {
    let server = |name: &'static str, value: &'static str| after(move |c| c.server_arg(name, value));
    let manager = |name: &'static str, value: &'static str| after(move |c| c.manager_arg(name, value));
    assert_eq!(server("audit-log-maxage", "30"), [""; 0]);
    assert_eq!(
        server("advertise-address", "192.168.13.61"),
        ["KH0512 kubernetes.apiServer.extraArgs.advertise-address"]
    );
    assert_eq!(
        server("bind-address", "192.168.13.61"),
        ["KH0512 kubernetes.apiServer.extraArgs.bind-address"]
    );
    assert_eq!(server("bind-address", "::"), [""; 0]);
    assert_eq!(manager("bind-address", "0.0.0.0"), [""; 0]);
    assert_eq!(
        server("etcd-servers", "https://x:2379"),
        ["KH0513 kubernetes.apiServer.extraArgs.etcd-servers"]
    );
    assert_eq!(
        manager("cluster-cidr", "10.0.0.0/8"),
        ["KH0513 kubernetes.controllerManager.extraArgs.cluster-cidr"]
    );
    assert_eq!(manager("controllers", "*"), ["KH0514 kubernetes.controllerManager.extraArgs.controllers"]);
    assert_eq!(manager("controllers", "*,-ttl,bootstrapsigner,tokencleaner"), [""; 0]);
    assert_eq!(
        server("authorization-mode", "RBAC"),
        ["KH0515 kubernetes.apiServer.extraArgs.authorization-mode"]
    );
    assert_eq!(server("authorization-mode", "Node,RBAC,Webhook"), [""; 0]);
    assert_eq!(
        server("enable-admission-plugins", "AlwaysPullImages"),
        ["KH0516? kubernetes.apiServer.extraArgs.enable-admission-plugins"]
    );
    assert_eq!(server("enable-admission-plugins", "NodeRestriction,AlwaysPullImages"), [""; 0]);
    assert_eq!(
        manager("leader-elect", "false"),
        ["KH0517 kubernetes.controllerManager.extraArgs.leader-elect"]
    );
}

#[test]
fn kubeadm_takes_the_rest() {
    let gate = |name: &'static str| {
        after(move |c| {
            c.kubernetes.feature_gates.insert(name.to_owned(), true);
        })
    };
    assert_eq!(gate("NodeLocalCRISocket"), [""; 0]);
    assert_eq!(
        gate("ControlPlaneKubeletLocalMode"),
        ["KH0518 kubernetes.featureGates.ControlPlaneKubeletLocalMode kubernetes.version"]
    );
    assert_eq!(
        after(|c| {
            c.kubernetes.timeouts.insert("discover".to_owned(), "10m".to_owned());
        }),
        ["KH0519 kubernetes.timeouts"]
    );
    for (ttl, lines) in [("0s", 1), ("0h0m0s", 1), ("10m0s", 0), ("24h0m0s", 0)] {
        assert_eq!(after(|c| c.kubernetes.token_ttl = ttl.to_owned()).len(), lines, "{ttl}");
    }
    let ignored = |list: &'static [&'static str]| {
        after(move |c| {
            c.host("k8smaster1").ignore_preflight_errors = list.iter().map(|s| (*s).to_owned()).collect()
        })
    };
    assert_eq!(ignored(&["all"]), [""; 0]);
    assert_eq!(ignored(&["NumCPU", "Mem"]), [""; 0]);
    assert_eq!(ignored(&["All", "Mem"]), ["KH0522 hosts.k8smaster1"]);
    let skipped = |list: &'static [&'static str]| {
        after(move |c| c.kubernetes.skip_init_phases = list.iter().map(|s| (*s).to_owned()).collect())
    };
    assert_eq!(skipped(&["addon/coredns", "show-join-command", "upload-certs"]), [""; 0]);
    assert_eq!(skipped(&["bootstrap-token"]), ["KH0529 "]);
    assert_eq!(skipped(&["addons"]), ["KH0529 "]);
}

#[test]
fn the_kubelets_fields_agree_with_the_cluster() {
    let field = |name: &'static str, value: Value| {
        after(move |c| c.kubernetes.kubelet_config = Value::map().with(name, value))
    };
    assert_eq!(field("clusterDomain", Value::text("cluster.local")), [""; 0]);
    assert_eq!(field("clusterDomain", Value::text("k8s.local")), ["KH0523 kubernetes.kubelet"]);
    assert_eq!(field("rotateCertificates", Value::Bool(false)), ["KH0523 kubernetes.kubelet"]);
    assert_eq!(field("clusterDNS", Value::texts(["198.18.0.10"])), [""; 0]);
    assert_eq!(field("clusterDNS", Value::texts(["169.254.20.10"])), ["KH0524? kubernetes.kubelet"]);
    assert_eq!(field("serverTLSBootstrap", Value::Bool(true)), [""; 0]);
    // What a group sets is one finding, however many hosts are in it.
    let mut c = cluster();
    for name in ["k8sworker1", "k8sworker2"] {
        c.host(name).kubelet.value = Value::map().with("cgroupDriver", Value::text("cgroupfs"));
    }
    assert_eq!(said(&c), ["KH0523 hosts.k8sworker1.kubelet", "KH0523 hosts.k8sworker2.kubelet"]);
    let flag = |name: &'static str, value: &'static str| {
        after(move |c| c.host("k8sworker1").kubelet_extra_args = vec![(name.to_owned(), value.to_owned())])
    };
    for (name, value) in [
        ("config", "/x"),
        ("hostname-override", "w1"),
        ("node-ip", "10.0.0.1"),
        ("node-labels", "node-role.kubernetes.io/worker="),
        ("register-with-taints", "a=b:NoSchedule"),
    ] {
        assert_eq!(flag(name, value), ["KH0526 hosts.k8sworker1"], "{name}");
    }
    for (name, value) in [
        ("hostname-override", "k8sworker1.isociel.com"),
        ("node-ip", "192.168.13.65"),
        ("node-labels", "disk=ssd"),
        ("boot-id-file", "/x"),
    ] {
        assert_eq!(flag(name, value), [""; 0], "{name}");
    }
    assert_eq!(
        after(|c| {
            version("1.37.0")(c);
            c.host("k8sworker1").kubelet_extra_args = vec![("boot-id-file".to_owned(), "/x".to_owned())];
        }),
        ["KH0526 hosts.k8sworker1"]
    );
}

#[test]
fn kube_proxys_fields_agree_with_the_cluster() {
    let field = |name: &'static str, value: &'static str| {
        after(move |c| c.kubernetes.kube_proxy_config = Value::map().with(name, Value::text(value)))
    };
    assert_eq!(field("clusterCIDR", "100.64.0.0/10"), [""; 0]);
    assert_eq!(field("clusterCIDR", "10.0.0.0/8"), ["KH0525 kubernetes.kubeProxy.config"]);
    assert_eq!(field("mode", "ipvs"), ["KH0525 kubernetes.kubeProxy.config"]);
    assert_eq!(field("metricsBindAddress", "0.0.0.0:10249"), [""; 0]);
    assert_eq!(
        after(|c| {
            c.kubernetes.kube_proxy_mode = KubeProxyMode::None;
            c.kubernetes.kube_proxy_config =
                Value::map().with("metricsBindAddress", Value::text("0.0.0.0:10249"));
        }),
        ["KH0525 kubernetes.kubeProxy.config kubernetes.kubeProxy.mode"]
    );
}

#[test]
fn labels_and_taints_are_the_users() {
    let label = |key: &'static str, value: &'static str| {
        after(move |c| {
            let host = c.host("k8sworker1");
            host.zone = Some("a".to_owned());
            host.labels.insert(key.to_owned(), value.to_owned());
        })
    };
    assert_eq!(label("node-role.kubernetes.io/worker", ""), [""; 0]);
    assert_eq!(
        label("kubernetes.io/hostname", "x"),
        ["KH0527 hosts.k8sworker1.labels.kubernetes.io/hostname"]
    );
    assert_eq!(
        label("node-role.kubernetes.io/control-plane", ""),
        ["KH0527 hosts.k8sworker1.labels.node-role.kubernetes.io/control-plane"]
    );
    assert_eq!(label("topology.kubernetes.io/zone", "a"), [""; 0]);
    assert_eq!(
        label("topology.kubernetes.io/zone", "b"),
        ["KH0527 hosts.k8sworker1.labels.topology.kubernetes.io/zone hosts.k8sworker1.zone"]
    );
    let taints = |list: &'static [(&'static str, &'static str)]| {
        after(move |c| {
            let taint = |(key, effect): &(&str, &str)| Taint {
                key: (*key).to_owned(),
                value: String::new(),
                effect: (*effect).to_owned(),
            };
            c.host("k8sworker1").taints = Some(list.iter().map(taint).collect());
        })
    };
    assert_eq!(taints(&[("gpu", "NoSchedule"), ("gpu", "NoExecute")]), [""; 0]);
    assert_eq!(taints(&[("gpu", "NoSchedule"), ("gpu", "NoSchedule")]), ["KH0528 hosts.k8sworker1"]);
}

#[test]
fn etcd_takes_its_timings() {
    let timing = |heartbeat, election| {
        after(move |c| (c.etcd.heartbeat_interval, c.etcd.election_timeout) = (heartbeat, election))
    };
    assert_eq!(timing(100, 500), [""; 0]);
    assert_eq!(timing(100, 499), ["KH0540 etcd.electionTimeout etcd.heartbeatInterval"]);
    assert_eq!(timing(1000, 50_000), [""; 0]);
    assert_eq!(timing(1000, 50_001), ["KH0540 etcd.electionTimeout etcd.heartbeatInterval"]);
    assert_eq!(after(|c| c.etcd.quota_backend_bytes = (8 << 30) + 1), ["KH0541? etcd.quotaBackendBytes"]);
}

#[test]
fn certificates_end_before_their_ca() {
    let pki = |ca, leaf, renew| {
        after(move |c| {
            c.pki =
                Pki { ca_validity_days: ca, validity_days: leaf, renew_before_days: renew, ..c.pki.clone() }
        })
    };
    assert_eq!(pki(365, 365, 90), ["KH0606? pki.caValidity pki.validity"]);
    assert_eq!(pki(639, 365, 90), ["KH0606? pki.caValidity pki.validity"]);
    assert_eq!(pki(640, 365, 90), [""; 0]);
    assert_eq!(pki(364, 365, 90), ["KH0600 pki.validity pki.caValidity"]);
    assert_eq!(pki(3650, 90, 90), ["KH0601 pki.renewBefore pki.validity"]);
    assert_eq!(pki(3650, 90, 89), [""; 0]);
}
