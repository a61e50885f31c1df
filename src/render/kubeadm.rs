//! kubeadm's documents for a host: Init- with Cluster-, Kubelet- and KubeProxyConfiguration on the first control plane,
//! JoinConfiguration everywhere else, and per-node kubelet settings as kubeadm patches.
//!
//! Value trees, no text. Field names and defaults are those of kubeadm.k8s.io/v1beta3 and v1beta4,
//! kubelet.config.k8s.io/v1beta1 and kubeproxy.config.k8s.io/v1alpha1. What kubeadm derives by itself (clusterDNS,
//! static pod path, client CA) is left to it: a different value would only earn a warning.

use std::net::IpAddr;

use crate::content::{Content, Encoding, ObjectId};
use crate::ledger::Ledger;
use crate::model::{
    Cluster, ControlPlaneComponent, Dns, Host, KeyAlgorithm, KubeProxyMode, KubeadmApi, Patch, Role, Taint,
};
use crate::pki::{Store, rotation};
use crate::plan::certs;
use crate::plan::{FileEntry, FileLayer, Policy, shared as layer};
use crate::render::{credentials, trust::Trust};
use crate::value::{self, Value};

use super::node;

/// Where a host's kubeadm documents lie.
pub const CONFIG_PATH: &str = "/etc/kubernetes/kubeadm.yaml";
/// What is the same on every control plane, for phases of a running cluster: the settings that `kubeadm init` uploaded.
pub const CLUSTER_PATH: &str = "/etc/kubernetes/kubeadm-cluster.yaml";
/// A control plane's own part for these phases. kubeadm takes one file, so the two are joined when they are read.
pub const NODE_PATH: &str = "/etc/kubernetes/kubeadm-node.yaml";
/// With `kubernetes.pki: kubeadm`, what kubeadm signs and uploads the CAs by on a control plane of a running cluster. Apart
/// from the others since it holds the key, and whole, so that no script joins a secret into a file of its own.
pub const CERTS_PATH: &str = "/etc/kubernetes/kubeadm-certs.yaml";
/// Where kubeadm finds patches; the folder must exist when it is named.
pub const PATCHES_DIR: &str = "/etc/kubernetes/patches";
/// containerd's socket.
const CRI_SOCKET: &str = "unix:///run/containerd/containerd.sock";

/// The CA that signs, alone: the controller manager refuses a file of several certificates to sign with
/// (pkg/controller/certificates/signer/ca_provider.go), and kubeadm gives it ca.crt.
pub const SIGNING_CERTIFICATE: &str = "/etc/kubernetes/pki/ca-signing.crt";
const SIGNING_ARGUMENT: &str = "cluster-signing-cert-file";

/// Whether the controller manager has the CA in a file of its own: from the first rotation on, since a file that it was told
/// of must not go away.
pub fn signs_from_own_file(cluster: &Cluster, store: &Store) -> bool {
    !cluster.is_external_ca() && rotation::has_begun(store, certs::KUBERNETES_CA)
}

/// Which kubeadm command a host runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bootstrap {
    /// `kubeadm init`.
    Init,
    /// `kubeadm join`.
    Join,
}

/// Which kubeadm command a host runs; `None` where no kubelet runs. A rebuilt first control plane of a running cluster
/// joins like any other.
pub fn bootstrap(cluster: &Cluster, host: &Host, ledger: &Ledger) -> Option<Bootstrap> {
    if !host.is_node() {
        return None;
    }
    let first = ledger.founding.as_ref().is_some_and(|f| f.first_control_plane == host.fqdn);
    let new = cluster.state == crate::model::ClusterState::New;
    Some(if first && new { Bootstrap::Init } else { Bootstrap::Join })
}

/// What reconfigure.sh hands to kubeadm's phases on every control plane. Those that joined have a JoinConfiguration only,
/// and the phases of `kubeadm init` work without the API, from what was reviewed; `kubeadm upgrade node` would take what
/// somebody uploaded, and renew certificates by the way.
pub fn shared(cluster: &Cluster, trust: &Trust) -> Vec<FileEntry> {
    let documents = [
        cluster_configuration(cluster, trust),
        kubelet_configuration(cluster),
        kube_proxy_configuration(cluster),
    ];
    let documents: Vec<Value> = documents.into_iter().filter(|d| !d.is_empty()).collect();
    vec![FileEntry::new(CLUSTER_PATH, layer("control-plane"), value::documents(&documents)).mode(0o600)]
}

/// kubeadm's files of one host.
pub fn host(cluster: &Cluster, host: &Host, ledger: &Ledger, trust: &Trust) -> Vec<FileEntry> {
    let Some(bootstrap) = bootstrap(cluster, host, ledger) else { return Vec::new() };
    let documents = match bootstrap {
        Bootstrap::Init => vec![
            init_configuration(cluster, host, trust),
            cluster_configuration(cluster, trust),
            kubelet_configuration(cluster),
            kube_proxy_configuration(cluster),
        ],
        Bootstrap::Join => vec![join_configuration(cluster, host, trust)],
    };
    let documents: Vec<Value> = documents.into_iter().filter(|d| !d.is_empty()).collect();
    let mut files = vec![
        FileEntry::new(CONFIG_PATH, FileLayer::Host, value::documents(&documents))
            .mode(0o600)
            .policy(Policy::Input),
    ];
    if host.has(Role::ControlPlane) {
        let api = cluster.kubernetes.version.kubeadm_api();
        let documents = [node_configuration(document(api, "InitConfiguration"), cluster, host, trust)];
        files.push(FileEntry::new(NODE_PATH, FileLayer::Host, value::documents(&documents)).mode(0o600));
        if cluster.is_kubeadm_pki() {
            let documents = signing(cluster, host, trust);
            files.push(FileEntry::new(CERTS_PATH, FileLayer::Host, value::documents(&documents)).mode(0o600));
        }
    }
    let settings = own_settings(cluster, host);
    if !settings.is_empty() {
        files.push(
            FileEntry::new(patch_path(), FileLayer::Host, value::documents(&[settings.sorted()]))
                .policy(Policy::Input),
        );
    }
    for (number, patch) in patches(host).enumerate() {
        let path = format!("{PATCHES_DIR}/{}{:02}+{}.yaml", patch.target, number + 1, patch.kind);
        let layer = node::layer_of(host, host.patches.from);
        files.push(FileEntry::new(path, layer, Content::text(&*patch.content)).policy(Policy::Input));
    }
    files
}

/// Whether the host has patches, khagen's own or the user's.
pub fn is_patched(cluster: &Cluster, host: &Host) -> bool {
    !own_settings(cluster, host).is_empty() || patches(host).next().is_some()
}

/// What a host's kubelet has other than the cluster's: its own settings, and where nobody signs no rotation. kubeadm
/// switches rotation on in KubeletConfiguration whatever is written there (componentconfigs/kubelet.go); a patch comes after.
fn own_settings(cluster: &Cluster, host: &Host) -> Value {
    let mut settings = host.kubelet.value.clone();
    if cluster.is_external_ca() {
        settings.set("rotateCertificates", Value::Bool(false));
    }
    settings
}

/// The user's patches that change something on a host. kubeadm takes them in the order of their names.
fn patches(host: &Host) -> impl Iterator<Item = &Patch> {
    host.patches
        .value
        .iter()
        .filter(|patch| host.has(Role::ControlPlane) || patch.target == "kubeletconfiguration")
}

/// kubeadm reads the target and the kind of patch from the name: `target[suffix][+type].extension`.
pub fn patch_path() -> String {
    format!("{PATCHES_DIR}/kubeletconfiguration+merge.yaml")
}

/// Of the keys that kubeadm makes on a host. P-384 is no value of its before 1.34
/// (cmd/kubeadm/app/apis/kubeadm/types.go).
fn kubeadms_algorithm(cluster: &Cluster) -> &'static str {
    match cluster.pki.algorithm {
        KeyAlgorithm::P384 if cluster.kubernetes.version.line() < (1, 34) => KeyAlgorithm::P256.as_str(),
        algorithm => algorithm.as_str(),
    }
}

/// The documents that `kubeadm init` reads, for other readers of the same values.
pub fn cluster_configuration(cluster: &Cluster, trust: &Trust) -> Value {
    let k = &cluster.kubernetes;
    let api = k.version.kubeadm_api();
    let mut doc = document(api, "ClusterConfiguration")
        .with("kubernetesVersion", Value::text(format!("v{}", k.version)))
        .with("clusterName", Value::text(&cluster.name))
        .with("controlPlaneEndpoint", Value::text(k.endpoint.to_string()))
        .with("certificatesDir", Value::text("/etc/kubernetes/pki"));
    if let Some(repository) = &k.image_repository {
        doc.set("imageRepository", Value::text(repository));
    }
    let dns = dns(&k.dns, api);
    if !dns.is_empty() {
        doc.set("dns", dns);
    }
    if api == KubeadmApi::V1Beta4 {
        doc.set("encryptionAlgorithm", Value::text(kubeadms_algorithm(cluster)));
        // What `kubeadm certs renew` issues on a host lives as long as what khagen issues.
        doc.set("certificateValidityPeriod", Value::text(format!("{}h0m0s", cluster.pki.validity_days * 24)));
        doc.set(
            "caCertificateValidityPeriod",
            Value::text(format!("{}h0m0s", cluster.pki.ca_validity_days * 24)),
        );
        if k.kube_proxy_mode == KubeProxyMode::None {
            doc.set("proxy", Value::map().with("disabled", Value::Bool(true)));
        }
    }
    doc.set(
        "networking",
        Value::map()
            .with("dnsDomain", Value::text(&k.dns_domain))
            .with("podSubnet", Value::text(k.pod_subnets.joined()))
            .with("serviceSubnet", Value::text(k.service_subnets.joined())),
    );
    doc.set(
        "etcd",
        Value::map().with(
            "external",
            Value::map()
                .with("endpoints", Value::texts(cluster.etcd_endpoints()))
                .with("caFile", Value::text("/etc/kubernetes/pki/etcd/etcd-ca.crt"))
                .with("certFile", Value::text("/etc/kubernetes/pki/apiserver-etcd-client.crt"))
                .with("keyFile", Value::text("/etc/kubernetes/pki/apiserver-etcd-client.key")),
        ),
    );
    let mut api_server = component(&k.api_server, api);
    api_server.set("certSANs", Value::texts(certs::cert_sans(cluster)));
    if api == KubeadmApi::V1Beta3
        && let Some(timeout) = k.timeouts.get("controlPlaneComponentHealthCheck")
    {
        api_server.set("timeoutForControlPlane", Value::text(timeout));
    }
    doc.set("apiServer", api_server);
    let mut controller_manager = k.controller_manager.clone();
    if trust.signing_file && !controller_manager.extra_args.iter().any(|(name, _)| name == SIGNING_ARGUMENT) {
        controller_manager.extra_args.push((SIGNING_ARGUMENT.to_owned(), SIGNING_CERTIFICATE.to_owned()));
    }
    for (key, part) in [("controllerManager", &controller_manager), ("scheduler", &k.scheduler)] {
        let part = component(part, api);
        if !part.is_empty() {
            doc.set(key, part);
        }
    }
    if !k.feature_gates.is_empty() {
        let gates = k.feature_gates.iter().map(|(name, on)| (name.clone(), Value::Bool(*on))).collect();
        doc.set("featureGates", Value::Map(gates));
    }
    doc
}

fn dns(dns: &Dns, api: KubeadmApi) -> Value {
    let mut doc = Value::map();
    if let Some(repository) = &dns.image_repository {
        doc.set("imageRepository", Value::text(repository));
    }
    if let Some(tag) = &dns.image_tag {
        doc.set("imageTag", Value::text(tag));
    }
    if dns.disabled && api == KubeadmApi::V1Beta4 {
        doc.set("disabled", Value::Bool(true));
    }
    doc
}

fn init_configuration(cluster: &Cluster, host: &Host, trust: &Trust) -> Value {
    let k = &cluster.kubernetes;
    let api = k.version.kubeadm_api();
    let token = Value::map()
        .with("token", token())
        .with("description", Value::text("khagen: joining of the nodes"))
        // ttl only: with `expires` and no ttl kubeadm's defaulting fills in a ttl and then refuses both.
        .with("ttl", Value::text(&k.token_ttl))
        .with("usages", Value::texts(["signing", "authentication"]))
        .with("groups", Value::texts(["system:bootstrappers:kubeadm:default-node-token"]));
    let mut doc = document(api, "InitConfiguration");
    let mut skipped = k.skip_init_phases.clone();
    if cluster.is_external_ca() {
        // Without tokens in the document kubeadm makes up one.
        skipped.push("bootstrap-token".to_owned());
    } else {
        doc.set("bootstrapTokens", Value::List(vec![token]));
    }
    doc = node_configuration(doc, cluster, host, trust);
    if cluster.is_kubeadm_pki() {
        doc.set("certificateKey", certificate_key());
    }
    if k.kube_proxy_mode == KubeProxyMode::None && !skipped.iter().any(|p| p == "addon/kube-proxy") {
        skipped.push("addon/kube-proxy".to_owned());
    }
    if !skipped.is_empty() {
        doc.set("skipPhases", Value::texts(skipped));
    }
    doc
}

/// What an InitConfiguration says of its host.
fn node_configuration(doc: Value, cluster: &Cluster, host: &Host, trust: &Trust) -> Value {
    let mut doc = doc
        .with("localAPIEndpoint", local_endpoint(cluster, host))
        .with("nodeRegistration", node_registration(cluster, host));
    finish(&mut doc, cluster, host, trust);
    doc
}

/// What `kubeadm init phase upload-certs` and `phase certs` read, and no more: what else a ClusterConfiguration says would
/// only stand in every diff a second time.
fn signing(cluster: &Cluster, host: &Host, trust: &Trust) -> Vec<Value> {
    let api = cluster.kubernetes.version.kubeadm_api();
    let mut node = node_configuration(document(api, "InitConfiguration"), cluster, host, trust);
    node.set("certificateKey", certificate_key());
    let whole = cluster_configuration(cluster, trust);
    let mut part = Value::map();
    for name in SIGNING_FIELDS {
        if let Some(value) = whole.get(name) {
            part.set(name, value.clone());
        }
    }
    let sans = whole.get("apiServer").and_then(|s| s.get("certSANs")).cloned().unwrap_or(Value::Null);
    part.set("apiServer", Value::map().with("certSANs", sans));
    vec![node, part]
}

/// Of ClusterConfiguration, what these phases look at or are validated by.
const SIGNING_FIELDS: [&str; 10] = [
    "apiVersion",
    "kind",
    "kubernetesVersion",
    "clusterName",
    "controlPlaneEndpoint",
    "certificatesDir",
    "encryptionAlgorithm",
    "certificateValidityPeriod",
    "networking",
    "etcd",
];

fn join_configuration(cluster: &Cluster, host: &Host, trust: &Trust) -> Value {
    let k = &cluster.kubernetes;
    let api = k.version.kubeadm_api();
    let mut discovery = if cluster.is_external_ca() {
        // The kubelet's own credentials: kubeadm finds the cluster with them, and a kubelet.conf in place, and asks nobody
        // to sign (cmd/kubeadm/app/discovery, discovery.For; phases/join/kubelet.go, waitForTLSBootstrappedClient).
        Value::map().with("file", Value::map().with("kubeConfigPath", Value::text(credentials::KUBELET_CONF)))
    } else {
        Value::map().with(
            "bootstrapToken",
            Value::map()
                .with("token", token())
                .with("apiServerEndpoint", Value::text(k.endpoint.to_string()))
                .with("caCertHashes", Value::texts(trust.ca_hashes.iter().map(|h| format!("sha256:{h}")))),
        )
    };
    if api == KubeadmApi::V1Beta3
        && let Some(timeout) = k.timeouts.get("discovery")
    {
        discovery.set("timeout", Value::text(timeout));
    }
    let mut doc = document(api, "JoinConfiguration").with("discovery", discovery);
    if host.has(Role::ControlPlane) {
        // Without a certificateKey the CAs are in place: nothing is downloaded and nothing expires after two hours.
        let mut own = Value::map().with("localAPIEndpoint", local_endpoint(cluster, host));
        if cluster.is_kubeadm_pki() {
            own.set("certificateKey", certificate_key());
        }
        doc.set("controlPlane", own);
    }
    let mut registration = node_registration(cluster, host);
    let ignored = &host.ignore_preflight_errors;
    // What khagen laid before (cmd/kubeadm/app/preflight/checks.go, FileAvailableCheck).
    let mut laid = Vec::new();
    if cluster.is_external_ca() {
        laid.push("FileAvailable--etc-kubernetes-kubelet.conf");
    }
    if cluster.is_external_ca() || (trust.everywhere && !host.has(Role::ControlPlane)) {
        laid.push("FileAvailable--etc-kubernetes-pki-ca.crt");
    }
    if !laid.is_empty() && !ignored.iter().any(|e| e == "all") {
        let mut all: Vec<&str> = ignored.iter().map(String::as_str).chain(laid).collect();
        all.sort_unstable();
        all.dedup();
        registration.set("ignorePreflightErrors", Value::texts(all));
    }
    doc.set("nodeRegistration", registration);
    if !k.skip_join_phases.is_empty() {
        doc.set("skipPhases", Value::texts(&k.skip_join_phases));
    }
    finish(&mut doc, cluster, host, trust);
    doc
}

/// What Init- and JoinConfiguration have in common at their end.
fn finish(doc: &mut Value, cluster: &Cluster, host: &Host, trust: &Trust) {
    if is_patched(cluster, host) || (trust.patches() && host.has(Role::ControlPlane)) {
        doc.set("patches", Value::map().with("directory", Value::text(PATCHES_DIR)));
    }
    let k = &cluster.kubernetes;
    if k.version.kubeadm_api() == KubeadmApi::V1Beta4 && !k.timeouts.is_empty() {
        let timeouts = k.timeouts.iter().map(|(name, text)| (name.clone(), Value::text(text))).collect();
        doc.set("timeouts", Value::Map(timeouts));
    }
}

fn kubelet_configuration(cluster: &Cluster) -> Value {
    let mut doc = Value::map()
        .with("apiVersion", Value::text("kubelet.config.k8s.io/v1beta1"))
        .with("kind", Value::text("KubeletConfiguration"))
        .with("cgroupDriver", Value::text("systemd"));
    doc.merge(&cluster.kubernetes.kubelet_config.clone().sorted());
    doc
}

fn kube_proxy_configuration(cluster: &Cluster) -> Value {
    let k = &cluster.kubernetes;
    if k.kube_proxy_mode == KubeProxyMode::None {
        return Value::Null;
    }
    let mut doc = Value::map()
        .with("apiVersion", Value::text("kubeproxy.config.k8s.io/v1alpha1"))
        .with("kind", Value::text("KubeProxyConfiguration"))
        .with("mode", Value::text(k.kube_proxy_mode.as_str()));
    doc.merge(&k.kube_proxy_config.clone().sorted());
    doc
}

fn node_registration(cluster: &Cluster, host: &Host) -> Value {
    let api = cluster.kubernetes.version.kubeadm_api();
    let mut doc = Value::map()
        .with("name", Value::text(&host.node_name))
        .with("criSocket", Value::text(CRI_SOCKET))
        .with("imagePullPolicy", Value::text(&host.image_pull_policy));
    if let (KubeadmApi::V1Beta4, Some(serial)) = (api, host.image_pull_serial) {
        doc.set("imagePullSerial", Value::Bool(serial));
    }
    // Without node-ip a kubelet on a host with two interfaces picks the one of the default route.
    let addresses: Vec<String> = host.addresses.cluster.iter().map(IpAddr::to_string).collect();
    let mut args = vec![("node-ip".to_owned(), addresses.join(","))];
    args.extend(host.kubelet_extra_args.iter().filter(|(name, _)| name != "node-ip").cloned());
    doc.set("kubeletExtraArgs", arguments(&args, api));
    if let Some(taints) = taints(host) {
        doc.set("taints", Value::List(taints.iter().map(taint).collect()));
    }
    if !host.ignore_preflight_errors.is_empty() {
        doc.set("ignorePreflightErrors", Value::texts(&host.ignore_preflight_errors));
    }
    doc
}

/// `None` leaves kubeadm's default: the control-plane taint on control planes, none on workers. A control plane that is a
/// worker as well carries none.
pub(super) fn taints(host: &Host) -> Option<&[Taint]> {
    match &host.taints {
        Some(taints) => Some(taints),
        None if host.has(Role::ControlPlane) && host.has(Role::Worker) => Some(&[]),
        None => None,
    }
}

fn taint(taint: &Taint) -> Value {
    let mut value = Value::map().with("key", Value::text(&taint.key));
    if !taint.value.is_empty() {
        value.set("value", Value::text(&taint.value));
    }
    value.with("effect", Value::text(&taint.effect))
}

fn local_endpoint(cluster: &Cluster, host: &Host) -> Value {
    Value::map()
        .with("advertiseAddress", Value::text(host.addresses.primary().to_string()))
        .with("bindPort", Value::Number(cluster.kubernetes.bind_port.to_string()))
}

fn component(part: &ControlPlaneComponent, api: KubeadmApi) -> Value {
    let mut doc = Value::map();
    if !part.extra_args.is_empty() {
        doc.set("extraArgs", arguments(&part.extra_args, api));
    }
    if !part.extra_volumes.is_empty() {
        doc.set("extraVolumes", Value::List(part.extra_volumes.clone()));
    }
    if !part.extra_envs.is_empty() && api == KubeadmApi::V1Beta4 {
        doc.set("extraEnvs", Value::List(part.extra_envs.clone()));
    }
    doc
}

/// v1beta3 has a map, v1beta4 a list in which a name may repeat.
fn arguments(args: &[(String, String)], api: KubeadmApi) -> Value {
    match api {
        KubeadmApi::V1Beta3 => Value::Map(args.iter().map(|(k, v)| (k.clone(), Value::text(v))).collect()),
        KubeadmApi::V1Beta4 => Value::List(
            args.iter()
                .map(|(k, v)| Value::map().with("name", Value::text(k)).with("value", Value::text(v)))
                .collect(),
        ),
    }
}

fn document(api: KubeadmApi, kind: &str) -> Value {
    Value::map().with("apiVersion", Value::text(api.api_version())).with("kind", Value::text(kind))
}

fn certificate_key() -> Value {
    Value::Secret(ObjectId::new(certs::CERTIFICATE_KEY), Encoding::Raw)
}

fn token() -> Value {
    Value::Secret(ObjectId::new(certs::BOOTSTRAP_TOKEN), Encoding::Raw)
}

/// A kubeconfig with everything inline. The private key stays symbolic.
pub fn kubeconfig(
    cluster: &Cluster,
    server: &str,
    user: &str,
    ca_pem: &str,
    cert_pem: &str,
    key: ObjectId,
) -> Content {
    use base64::Engine;
    let encode = |text: &str| Value::text(base64::engine::general_purpose::STANDARD.encode(text));
    let name = format!("{user}@{}", cluster.name);
    let doc = Value::map()
        .with("apiVersion", Value::text("v1"))
        .with(
            "clusters",
            Value::List(vec![
                Value::map()
                    .with(
                        "cluster",
                        Value::map()
                            .with("certificate-authority-data", encode(ca_pem))
                            .with("server", Value::text(server)),
                    )
                    .with("name", Value::text(&cluster.name)),
            ]),
        )
        .with(
            "contexts",
            Value::List(vec![
                Value::map()
                    .with(
                        "context",
                        Value::map()
                            .with("cluster", Value::text(&cluster.name))
                            .with("user", Value::text(user)),
                    )
                    .with("name", Value::text(&name)),
            ]),
        )
        .with("current-context", Value::text(&name))
        .with("kind", Value::text("Config"))
        .with(
            "users",
            Value::List(vec![
                Value::map().with("name", Value::text(user)).with(
                    "user",
                    Value::map()
                        .with("client-certificate-data", encode(cert_pem))
                        .with("client-key-data", Value::Secret(key, Encoding::Base64)),
                ),
            ]),
        );
    value::documents(&[doc])
}
