//! Fills the model of a cluster from its tree: everything but the hosts.
//!
//! Single values were judged by the decoder. What is said here needs two of them: keys that exclude each other, and
//! defaults that follow from another setting.

use std::collections::BTreeMap;

use super::decode::text_of;
use super::findings::missing;
use super::places::Places;
use super::text::{names, network, quantity};
use super::view::{View, arguments, foreign};
use crate::diag::{Code, Diagnostic, Report};
use crate::load::tree::Node;
use crate::model::{
    ClusterState, ContainerdMajor, ControlPlaneComponent, Dns, Endpoint, Etcd, KubeProxyMode, Kubernetes,
    LoadBalancer, LoadBalancerMode, PeerCa, Pki, PkiMode, Subnets, Version, Vip,
};
use crate::schema;
use crate::value::Value;

/// Stands in for a version that could not be read.
const NO_VERSION: Version = Version { major: 0, minor: 0, patch: 0 };

/// `cluster.state`.
pub fn state(cluster: View<'_>) -> ClusterState {
    if cluster.word("state") == "running" { ClusterState::Running } else { ClusterState::New }
}

/// `kubernetes`; the endpoint's port follows the balancers'.
pub fn kubernetes(view: View<'_>, balancer: &LoadBalancer, balancer_view: View<'_>) -> Kubernetes {
    let networking = view.child("networking");
    let version = view.read("version", quantity::version).unwrap_or(NO_VERSION);
    let api_server = view.child("apiServer");
    let bind_port = api_server.number("bindPort");
    // kubeadm fills in the API server's port. Clients reach it through the balancers, where there are any.
    let balanced = match balancer.mode {
        LoadBalancerMode::Keepalived => true,
        LoadBalancerMode::External => balancer_view.node("port").is_some(),
        LoadBalancerMode::None => false,
    };
    let port = if balanced { balancer.port } else { bind_port };
    Kubernetes {
        version,
        endpoint: view
            .read("controlPlaneEndpoint", |text| network::endpoint_with(text, port))
            .unwrap_or(Endpoint { host: "endpoint.invalid".to_owned(), port }),
        dns_domain: networking.read("dnsDomain", names::dns_name).unwrap_or_default(),
        pod_subnets: networking.read("podSubnet", network::subnets).unwrap_or(Subnets(Vec::new())),
        service_subnets: networking.read("serviceSubnet", network::subnets).unwrap_or(Subnets(Vec::new())),
        external_subnets: networking.list("externalSubnet", network::network),
        kube_proxy_mode: kube_proxy_mode(&view.child("kubeProxy").word("mode"), version),
        kube_proxy_config: passthrough(view.child("kubeProxy").node("config")),
        cert_sans: api_server.list("certSANs", |text| Ok(text.to_owned())),
        bind_port,
        api_server: component(api_server),
        controller_manager: component(view.child("controllerManager")),
        scheduler: component(view.child("scheduler")),
        kubelet_config: passthrough(view.node("kubelet")),
        image_repository: view.read("imageRepository", names::image_repository),
        dns: dns(view.child("dns")),
        skip_init_phases: view.child("skipPhases").list("init", |text| Ok(text.to_owned())),
        skip_join_phases: view.child("skipPhases").list("join", |text| Ok(text.to_owned())),
        feature_gates: gates(view.node("featureGates")),
        timeouts: timeouts(view.node("timeouts")),
        token_ttl: view
            .child("bootstrapToken")
            .read("ttl", quantity::duration)
            .map(quantity::go_duration)
            .unwrap_or_default(),
        containerd: if view.word("containerd") == "1.7" { ContainerdMajor::V1 } else { ContainerdMajor::V2 },
        pki: match &*view.word("pki") {
            "external-ca" => PkiMode::ExternalCa,
            "kubeadm" => PkiMode::Kubeadm,
            _ => PkiMode::Pregenerated,
        },
    }
}

/// nftables is generally available from 1.33 on.
fn kube_proxy_mode(word: &str, version: Version) -> KubeProxyMode {
    match word {
        "nftables" => KubeProxyMode::Nftables,
        "iptables" => KubeProxyMode::Iptables,
        "ipvs" => KubeProxyMode::Ipvs,
        "none" => KubeProxyMode::None,
        _ if version.line() >= (1, 33) => KubeProxyMode::Nftables,
        _ => KubeProxyMode::Iptables,
    }
}

fn dns(view: View<'_>) -> Dns {
    Dns {
        image_repository: view.written("imageRepository", names::image_repository),
        image_tag: view.written("imageTag", names::image_tag),
        disabled: view.switch("disabled"),
    }
}

fn passthrough(node: Option<&Node>) -> Value {
    node.map(foreign).filter(|value| matches!(value, Value::Map(_))).unwrap_or_else(Value::map)
}

fn component(view: View<'_>) -> ControlPlaneComponent {
    let mut args: Vec<(String, Vec<String>)> = view.node("extraArgs").map(arguments).unwrap_or_default();
    args.sort();
    ControlPlaneComponent {
        extra_args: args
            .into_iter()
            .flat_map(|(name, values)| values.into_iter().map(move |value| (name.clone(), value)))
            .collect(),
        extra_volumes: view.items("extraVolumes").iter().map(foreign).collect(),
        extra_envs: view.items("extraEnvs").iter().map(variable).collect(),
    }
}

/// An environment variable, whose value is text even where it looks like a number.
fn variable(node: &Node) -> Value {
    let mut variable = foreign(node);
    if let Some(text) = node.get("value").and_then(|entry| text_of(&entry.value, true)) {
        variable.set("value", Value::Text(text));
    }
    variable
}

fn gates(node: Option<&Node>) -> BTreeMap<String, bool> {
    use crate::load::tree::Value::Bool;
    let entries = node.map(Node::entries).unwrap_or_default().iter();
    entries
        .filter_map(|entry| match entry.value.value {
            Bool(on) => Some((entry.key.value.clone(), on)),
            _ => None,
        })
        .collect()
}

fn timeouts(node: Option<&Node>) -> BTreeMap<String, String> {
    node.into_iter()
        .flat_map(super::view::texts)
        .filter_map(|(name, text)| Some((name, quantity::go_duration(quantity::duration(&text).ok()?))))
        .collect()
}

/// `etcd`.
pub fn etcd(view: View<'_>) -> Etcd {
    let snapshot = view.child("snapshot");
    let compaction = view.child("autoCompaction");
    let path = |view: View<'_>, name| view.read(name, names::path).unwrap_or_default();
    Etcd {
        version: view.read("version", quantity::version).unwrap_or(NO_VERSION),
        client_port: view.number("clientPort"),
        peer_port: view.number("peerPort"),
        metrics_port: view.number("metricsPort"),
        data_dir: path(view, "dataDir"),
        bin_dir: path(view, "binDir"),
        quota_backend_bytes: view.read("quotaBackendBytes", quantity::size).unwrap_or_default(),
        heartbeat_interval: view.number("heartbeatInterval"),
        election_timeout: view.number("electionTimeout"),
        snapshot_count: view.number("snapshotCount"),
        auto_compaction: compaction
            .written("retention", quantity::retention)
            .map(|retention| (compaction.word("mode").into_owned(), retention)),
        peer_ca: if view.word("peerCA") == "same" { PeerCa::Same } else { PeerCa::Separate },
        snapshot_schedule: snapshot.read("schedule", quantity::calendar).unwrap_or_default(),
        snapshot_keep: snapshot.number("keep"),
        snapshot_dir: path(snapshot, "dir"),
    }
}

/// `loadBalancer`.
pub fn load_balancer(view: View<'_>, places: &mut Places, report: &mut Report) -> LoadBalancer {
    let mode = match &*view.word("mode") {
        "external" => LoadBalancerMode::External,
        "none" => LoadBalancerMode::None,
        _ => LoadBalancerMode::Keepalived,
    };
    if let (Some(one), Some(list)) = (view.node("vip"), view.node("vips")) {
        report.push(
            Diagnostic::error(Code::Exclusive, "`loadBalancer.vip` and `loadBalancer.vips` are both set")
                .at(list.span, "a list of VIPs")
                .also(one.span, "and one VIP")
                .reason("whether the one is part of the list would be a guess")
                .help("move the VIP into the list"),
        );
        places.mark_unsound("loadBalancer.vip");
        places.mark_unsound("loadBalancer.vips");
    }
    let keys = schema::find(schema::INVENTORY, "loadBalancer")
        .and_then(schema::Key::keys)
        .and_then(|keys| schema::find(keys, "vips"))
        .and_then(schema::Key::keys)
        .unwrap_or_default();
    let interface = view.read("interface", names::interface);
    let mut vips = Vec::new();
    let number = |view: View<'_>, own: Option<&Node>| -> u8 {
        let id: u8 = own.map(|own| View::new(Some(own), keys).number("virtualRouterId")).unwrap_or_default();
        if id > 0 { id } else { view.number("virtualRouterId") }
    };
    if view.node("vips").is_some() {
        for item in view.items("vips") {
            let own = View::new(Some(item), keys);
            if let Some(address) = own.written("address", network::address_in_network) {
                vips.push(Vip {
                    address,
                    virtual_router_id: number(view, Some(item)),
                    interface: own.read("interface", names::interface).or_else(|| interface.clone()),
                });
            }
        }
    } else if let Some(address) = view.written("vip", network::address_in_network) {
        vips.push(Vip { address, virtual_router_id: number(view, None), interface });
    }
    if mode == LoadBalancerMode::Keepalived
        && vips.iter().any(|vip| vip.virtual_router_id == 0)
        && places.is_sound("loadBalancer.mode")
        && places.is_sound("loadBalancer.virtualRouterId")
        && places.is_sound("loadBalancer.vips")
    {
        let key = schema::find(schema::INVENTORY, "loadBalancer")
            .and_then(schema::Key::keys)
            .and_then(|keys| schema::find(keys, "virtualRouterId"));
        if let (Some(key), Some(at)) = (key, places.at("loadBalancer")) {
            report.push(missing("loadBalancer.virtualRouterId", key, at));
        }
        places.mark_unsound("loadBalancer.virtualRouterId");
    }
    let seconds =
        |name| view.read(name, quantity::duration).and_then(|s| u32::try_from(s).ok()).unwrap_or_default();
    LoadBalancer {
        mode,
        vips,
        port: view.number("port"),
        connect_timeout: seconds("connectTimeout"),
        idle_timeout: seconds("idleTimeout"),
        auth: view.switch("auth"),
    }
}

/// `pki`.
pub fn pki(view: View<'_>) -> Pki {
    let days = |name| {
        let seconds = view.read(name, quantity::duration).unwrap_or_default();
        u32::try_from(seconds / schema::DAY).unwrap_or_default()
    };
    Pki {
        ca_validity_days: days("caValidity"),
        validity_days: days("validity"),
        renew_before_days: days("renewBefore"),
        algorithm: view.read("algorithm", names::key_algorithm).unwrap_or_default(),
    }
}
