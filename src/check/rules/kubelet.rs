//! The kubelet's and kube-proxy's own configuration, where kubeadm or khagen decides a field.

use std::collections::BTreeSet;

use super::{Scope, own, path};
use crate::diag::{Code, Diagnostic, Report};
use crate::model::{Host, KubeProxyMode};
use crate::source::Span;
use crate::value::Value;

const CLUSTER: &str = "kubernetes.kubelet";
const PROXY: &str = "kubernetes.kubeProxy.config";
/// `registerDeprecated` in the kubelet's addCadvisorFlags up to 1.36; 1.37 registers none of them.
const CADVISOR_FLAGS: [&str; 18] = [
    "application-metrics-count-limit",
    "boot-id-file",
    "container-hints",
    "containerd",
    "containerd-namespace",
    "enable-load-reader",
    "event-storage-age-limit",
    "event-storage-event-limit",
    "global-housekeeping-interval",
    "log-cadvisor-usage",
    "machine-id-file",
    "storage-driver-buffer-duration",
    "storage-driver-db",
    "storage-driver-host",
    "storage-driver-password",
    "storage-driver-secure",
    "storage-driver-table",
    "storage-driver-user",
];

pub(super) fn check(scope: &Scope<'_>, report: &mut Report) {
    // A layer that a thousand hosts share is one place and one finding.
    let mut said: BTreeSet<(Option<Span>, String)> = BTreeSet::new();
    fields(scope, &scope.cluster.kubernetes.kubelet_config, CLUSTER, &mut said, report);
    for host in scope.nodes() {
        fields(scope, &host.kubelet.value, &path(host, "kubelet"), &mut said, report);
        for (name, value) in &host.kubelet_extra_args {
            let place = path(host, &format!("kubeletExtraArgs.{name}"));
            if scope.sound(&[&place]) {
                flag(scope, host, name, value, &place, &mut said, report);
            }
        }
    }
    proxy(scope, report);
}

/// The leaf under a dotted path, as text.
fn leaf(value: &Value, dotted: &str) -> Option<String> {
    let found = dotted.split('.').try_fold(value, |value, key| value.get(key))?;
    match found {
        Value::Bool(on) => Some(on.to_string()),
        Value::Number(text) | Value::Text(text) => Some(text.clone()),
        Value::List(items) => {
            let texts: Vec<String> = items
                .iter()
                .map(|item| match item {
                    Value::Text(text) | Value::Number(text) => text.clone(),
                    _ => String::new(),
                })
                .collect();
            Some(texts.join(","))
        }
        Value::Null | Value::Map(_) | Value::Secret(..) => None,
    }
}

fn fields(
    scope: &Scope<'_>,
    config: &Value,
    stem: &str,
    said: &mut BTreeSet<(Option<Span>, String)>,
    report: &mut Report,
) {
    let kubernetes = &scope.cluster.kubernetes;
    let dns: Vec<String> = kubernetes.service_subnets.nth(10).iter().map(ToString::to_string).collect();
    let dns = dns.concat();
    // Field, the value that the rest of the cluster counts on, why, and whether another one can work at all.
    let table = [
        ("apiVersion", "kubelet.config.k8s.io/v1beta1", "khagen writes this document's version", true),
        ("kind", "KubeletConfiguration", "khagen writes this document's kind", true),
        (
            "containerRuntimeEndpoint",
            "unix:///run/containerd/containerd.sock",
            "containerd listens there, and kubeadm is told so",
            true,
        ),
        (
            "staticPodPath",
            "/etc/kubernetes/manifests",
            "kubeadm writes the control plane's manifests there",
            true,
        ),
        ("clusterDomain", &kubernetes.dns_domain, "CoreDNS serves `networking.dnsDomain`", true),
        (
            "rotateCertificates",
            if scope.cluster.is_external_ca() { "false" } else { "true" },
            "kubeadm forces it on; without it nodes drop out when their certificates expire",
            true,
        ),
        (
            "cgroupDriver",
            "systemd",
            "containerd is set up for systemd's cgroups, and the two must agree",
            true,
        ),
        (
            "authentication.x509.clientCAFile",
            "/etc/kubernetes/pki/ca.crt",
            "the API server's client certificate is of that CA",
            true,
        ),
        ("authentication.webhook.enabled", "true", "the API server asks for it", true),
        ("authorization.mode", "Webhook", "another mode lets every client do everything on the node", true),
        (
            "clusterDNS",
            &dns,
            "it is the address of CoreDNS's service; only a node-local cache has another",
            false,
        ),
        (
            "authentication.anonymous.enabled",
            "false",
            "anyone who reaches port 10250 would be a client of the kubelet",
            false,
        ),
        ("readOnlyPort", "0", "the port serves pods and their environment without authentication", false),
        ("healthzBindAddress", "127.0.0.1", "kubeadm waits for the kubelet there", false),
        ("healthzPort", "10248", "kubeadm waits for the kubelet there", false),
    ];
    for (field, expected, why, fatal) in table {
        let Some(value) = leaf(config, field) else { continue };
        let place = format!("{stem}.{field}");
        if value == expected
            || !scope.sound(&[&place, super::networks::SERVICE, "kubernetes.networking.dnsDomain"])
        {
            continue;
        }
        if !said.insert((scope.places.at(&place), field.to_owned())) {
            continue;
        }
        let message = format!("the kubelet's `{field}` is `{value}`, and the cluster counts on `{expected}`");
        let finding = if fatal {
            Diagnostic::error(Code::KubeletFieldOwned, message)
        } else {
            Diagnostic::warning(Code::KubeletFieldDiffers, message)
        };
        let finding = finding.reason(why).help(if fatal {
            "remove it".to_owned()
        } else {
            format!("remove it, unless you mean `{value}`")
        });
        report.push(scope.at(finding, &place, ""));
    }
}

fn flag(
    scope: &Scope<'_>,
    host: &Host,
    name: &str,
    value: &str,
    place: &str,
    said: &mut BTreeSet<(Option<Span>, String)>,
    report: &mut Report,
) {
    let version = scope.cluster.kubernetes.version;
    let (message, reason, help) = match name {
        "config" | "kubeconfig" | "bootstrap-kubeconfig" | "container-runtime-endpoint" => (
            format!("`{name}` cannot be given in kubeletExtraArgs"),
            "the kubelet's unit and kubeadm set it",
            "remove it".to_owned(),
        ),
        "hostname-override" if value != host.node_name => (
            format!(
                "`hostname-override: {value}` differs from the node name `{}` of host `{}`",
                host.node_name, host.name
            ),
            "kubeadm registers the node under its node name, and the kubelet's certificate is for that name",
            "remove it, and set the host's `nodeName`".to_owned(),
        ),
        "node-ip" if !ours(host, value) => (
            format!("`node-ip: {value}` is no address of host `{}`", host.name),
            "the kubelet would register an address that does not lead to the node",
            "remove it; khagen passes the host's `address`".to_owned(),
        ),
        "register-with-taints" => (
            "`register-with-taints` cannot be given in kubeletExtraArgs".to_owned(),
            "kubeadm writes the taints into the kubelet's flags itself",
            "remove it, and use the host's `taints`".to_owned(),
        ),
        "node-labels" => match refused(value) {
            Some(key) => (
                format!("the kubelet refuses to set the label `{key}` on its own node"),
                "labels of kubernetes.io and k8s.io are the cluster's, except a few that describe the machine; the kubelet exits at any other",
                "use the host's `labels`, which the operator's script sets".to_owned(),
            ),
            None => return,
        },
        cadvisor if version.line() >= (1, 37) && CADVISOR_FLAGS.contains(&cadvisor) => (
            format!("the kubelet of {version} has no flag `{cadvisor}`"),
            "cAdvisor's flags were removed in 1.37, and the kubelet exits at an unknown one",
            "remove it".to_owned(),
        ),
        _ => return,
    };
    if !said.insert((scope.places.at(place), message.clone())) {
        return;
    }
    let finding = Diagnostic::error(Code::KubeletFlagOwned, message).reason(reason).help(help);
    let finding = scope.at(finding, place, "");
    report.push(scope.also(finding, &own(host), "on this host"));
}

fn ours(host: &Host, value: &str) -> bool {
    value.split(',').all(|text| text.trim().parse().is_ok_and(|ip| host.addresses.cluster.contains(&ip)))
}

/// The first label that ValidateKubeletFlags refuses, of `key=value,key=value`.
fn refused(labels: &str) -> Option<&str> {
    // kubeletapis.KubeletLabels.
    const OWN: [&str; 11] = [
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/instance-type",
        "beta.kubernetes.io/os",
        "failure-domain.beta.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "kubernetes.io/arch",
        "kubernetes.io/hostname",
        "kubernetes.io/os",
        "node.kubernetes.io/instance-type",
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
    ];
    let within = |namespace: &str, of: &str| {
        namespace == of || namespace.strip_suffix(of).is_some_and(|rest| rest.ends_with('.'))
    };
    labels.split(',').map(|label| label.split('=').next().unwrap_or(label).trim()).find(|key| {
        let namespace = key.split_once('/').map_or("", |(namespace, _)| namespace);
        let reserved = within(namespace, "kubernetes.io") || within(namespace, "k8s.io");
        let allowed = within(namespace, "kubelet.kubernetes.io") || within(namespace, "node.kubernetes.io");
        // NodeRestriction keeps its own prefix from kubelets in any case.
        reserved && !allowed && !OWN.contains(key)
    })
}

fn proxy(scope: &Scope<'_>, report: &mut Report) {
    let kubernetes = &scope.cluster.kubernetes;
    let mode = kubernetes.kube_proxy_mode;
    if mode == KubeProxyMode::None && !kubernetes.kube_proxy_config.is_empty() && scope.sound(&[PROXY]) {
        let finding = Diagnostic::error(
            Code::ProxyFieldOwned,
            "kube-proxy is configured, and `kubeProxy.mode` is none",
        )
        .reason("kubeadm installs no kube-proxy then, and the settings would be lost")
        .help("remove the settings, or choose a mode");
        let finding = scope.at(finding, PROXY, "");
        report.push(scope.also(finding, "kubernetes.kubeProxy.mode", "none"));
        return;
    }
    let pods = kubernetes.pod_subnets.joined();
    for (field, expected, why) in [
        ("apiVersion", "kubeproxy.config.k8s.io/v1alpha1", "khagen writes this document's version"),
        ("kind", "KubeProxyConfiguration", "khagen writes this document's kind"),
        ("mode", mode.as_str(), "`kubeProxy.mode` decides it"),
        ("clusterCIDR", &pods, "`networking.podSubnet` decides it"),
        (
            "clientConnection.kubeconfig",
            "/var/lib/kube-proxy/kubeconfig.conf",
            "kubeadm mounts the kubeconfig there",
        ),
        ("hostnameOverride", "", "the configuration is one for all nodes, and a name belongs to one"),
    ] {
        let Some(value) = leaf(&kubernetes.kube_proxy_config, field) else { continue };
        let place = format!("{PROXY}.{field}");
        if value == expected || !scope.sound(&[&place, "kubernetes.kubeProxy.mode", super::networks::POD]) {
            continue;
        }
        let finding =
            Diagnostic::error(Code::ProxyFieldOwned, format!("kube-proxy's `{field}` cannot be `{value}`"))
                .reason(why)
                .help("remove it");
        report.push(scope.at(finding, &place, ""));
    }
}

#[cfg(test)]
mod tests {
    use super::refused;

    #[test]
    fn a_kubelet_sets_labels_that_describe_its_machine() {
        assert_eq!(refused("disk=ssd,topology.kubernetes.io/zone=a,node.kubernetes.io/exclude=b"), None);
        assert_eq!(refused("example.com/kubernetes.io=1"), None);
        assert_eq!(refused("a=b,node-role.kubernetes.io/worker="), Some("node-role.kubernetes.io/worker"));
        assert_eq!(refused("node-restriction.kubernetes.io/x=1"), Some("node-restriction.kubernetes.io/x"));
        assert_eq!(refused("x.k8s.io/a=1"), Some("x.k8s.io/a"));
    }
}
