//! What every node needs beneath kubeadm: containerd, kernel modules, sysctls, swap, names; and the user's own files.

use std::fmt::Write;

use askama::Template;

use super::images;
use crate::content::Content;
use crate::model::{
    Cluster, ContainerdMajor, Family, Host, KubeProxyMode, Layer, Role, UserContent, releases,
};
use crate::pki::store::user_secret;
use crate::plan::{FileEntry, FileLayer, Policy, shared as layer};
use crate::value::Value;

#[derive(Template)]
#[template(path = "node/containerd-v2.toml", escape = "none", ext = "txt")]
struct ContainerdV2<'a> {
    v: &'a ContainerdView,
}

#[derive(Template)]
#[template(path = "node/containerd-v3.toml", escape = "none", ext = "txt")]
struct ContainerdV3<'a> {
    v: &'a ContainerdView,
}

struct ContainerdView {
    pause: String,
}

/// What hosts have in common: names for all, the rest for those that run a kubelet.
///
/// # Errors
/// When a template fails, which only a bug makes it do.
pub fn shared(cluster: &Cluster) -> Result<Vec<FileEntry>, askama::Error> {
    let file = |path: &str, text: String| FileEntry::new(path, layer("kubernetes"), Content::text(text));
    let pause = releases::kubernetes(cluster.kubernetes.version)
        .map(|m| images::pause(cluster, m))
        .unwrap_or_default();
    let view = ContainerdView { pause };
    let containerd = match cluster.kubernetes.containerd {
        ContainerdMajor::V1 => ContainerdV2 { v: &view }.render()?,
        ContainerdMajor::V2 => ContainerdV3 { v: &view }.render()?,
    };
    let socket = "unix:///run/containerd/containerd.sock";
    let mut files = vec![
        file("/etc/containerd/config.toml", containerd + "\n"),
        file(
            "/etc/crictl.yaml",
            format!(
                "# Written by khagen.\nruntime-endpoint: {socket}\nimage-endpoint: {socket}\ntimeout: 10\n"
            ),
        ),
        file("/etc/modules-load.d/khagen.conf", modules(cluster)),
        file("/etc/sysctl.d/90-khagen.conf", sysctls(cluster)),
        FileEntry::new("/etc/hosts", layer("all"), Content::text(hosts_block(cluster))).policy(Policy::Block),
        FileEntry::new(
            "/etc/khagen/certificates.conf",
            layer("all"),
            Content::text(format!(
                "# Written by khagen. Read by khagen-certificates.\nRENEW_BEFORE_DAYS={}\n",
                cluster.pki.renew_before_days
            )),
        ),
    ];
    if swap_is_refused(&cluster.kubernetes.kubelet_config) {
        files.push(file(
            "/etc/systemd/system/khagen-swap-off.service",
            include_str!("../../templates/node/swap-off.service").to_owned(),
        ));
    }
    Ok(files)
}

/// The kubelet does not start while swap is on, unless it was told to (KubeletConfiguration's failSwapOn).
pub fn swap_is_refused(kubelet: &Value) -> bool {
    kubelet.get("failSwapOn") != Some(&Value::Bool(false))
}

fn modules(cluster: &Cluster) -> String {
    let mut out = String::from(
        "# Written by khagen: overlayfs for containerd, bridged traffic for the network plugin.\noverlay\nbr_netfilter\n",
    );
    if cluster.kubernetes.kube_proxy_mode == KubeProxyMode::Ipvs {
        out.push_str("# kube-proxy in mode ipvs.\nip_vs\nip_vs_rr\nip_vs_wrr\nip_vs_sh\nnf_conntrack\n");
    }
    out
}

fn sysctls(cluster: &Cluster) -> String {
    let k = &cluster.kubernetes;
    let subnets = k.pod_subnets.0.iter().chain(&k.service_subnets.0).map(ipnet::IpNet::addr);
    let nodes = cluster.nodes().map(|h| h.addresses.primary());
    // checks.go: a pod, service or advertised address of IPv6 asks for it.
    let v6 = subnets.chain(nodes).any(|ip| Family::of(ip) == Family::V6);
    let mut out = String::from(
        "# Written by khagen. kubeadm's preflight asks for forwarding; network plugins for the bridge settings.\n\
         net.ipv4.ip_forward = 1\nnet.bridge.bridge-nf-call-iptables = 1\nnet.bridge.bridge-nf-call-ip6tables = 1\n",
    );
    if v6 {
        out.push_str(
            "# Forwarding makes the kernel ignore router advertisements: a host that has its route from them needs\n\
             # net.ipv6.conf.INTERFACE.accept_ra = 2 among its own sysctls.\n\
             net.ipv6.conf.all.forwarding = 1\nnet.ipv6.conf.default.forwarding = 1\n",
        );
    }
    out.push_str(
        "# Every container that watches files takes instances; the kernel's 128 do not last for 110 pods.\n\
         fs.inotify.max_user_instances = 8192\nfs.inotify.max_user_watches = 524288\n",
    );
    out
}

/// Names of the endpoint and of the infrastructure, for clusters without DNS. Workers are left out: nobody looks them up,
/// and a new one would change every host.
fn hosts_block(cluster: &Cluster) -> String {
    let mut out = String::new();
    let k = &cluster.kubernetes;
    if k.endpoint.ip().is_none() {
        for vip in &cluster.load_balancer.vips {
            let _ = writeln!(out, "{} {}", vip.address.addr(), k.endpoint.host);
        }
        let single = cluster.load_balancer.mode == crate::model::LoadBalancerMode::None;
        for host in cluster.with_role(Role::ControlPlane).filter(|_| single) {
            let _ = writeln!(out, "{} {}", host.addresses.primary(), k.endpoint.host);
        }
    }
    for host in cluster.hosts.iter().filter(|h| h.roles != [Role::Worker]) {
        for ip in &host.addresses.cluster {
            let _ = writeln!(out, "{ip} {} {}", host.fqdn, host.name);
        }
    }
    out
}

/// A host's sysctls and files of the user's.
pub fn host(host: &Host) -> Vec<FileEntry> {
    let mut files = Vec::new();
    if !host.sysctls.value.is_empty() {
        let mut text = String::from("# Written by khagen from the inventory's sysctls.\n");
        for (key, value) in &host.sysctls.value {
            let _ = writeln!(text, "{key} = {value}");
        }
        files.push(FileEntry::new(
            "/etc/sysctl.d/95-khagen-user.conf",
            layer_of(host, host.sysctls.from),
            Content::text(text),
        ));
    }
    for f in &host.files {
        let content = match &f.content {
            UserContent::Text(text) => Content::text(&**text),
            UserContent::Secret(name) => Content::secret(user_secret(name)),
        };
        files.push(
            FileEntry::new(&f.path, layer_of(host, f.from), content).mode(f.mode).owned(&f.owner, &f.group),
        );
    }
    files
}

/// The layer of a setting that was last decided at `from`. A host of several roles or in a group shares with its likes only.
pub(super) fn layer_of(host: &Host, from: Layer) -> FileLayer {
    let roles = host.roles.iter().map(|r| r.as_str()).collect::<Vec<_>>().join("+");
    match from {
        Layer::Builtin | Layer::Defaults => layer("all"),
        Layer::Role => layer(&roles),
        Layer::Group => layer(&format!("{roles}@{}", host.group.as_deref().unwrap_or_default())),
        Layer::Host => FileLayer::Host,
    }
}
