//! Which format a file has, by its path and its text.

/// What a file's path (on the host, absolute, or in the bundle) and text say it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// YAML documents of kubeadm, the kubelet and kube-proxy, and kubeadm's patches.
    Kubeadm,
    /// Other YAML.
    Yaml,
    /// What kubectl and components reach the API server with.
    Kubeconfig,
    /// Certificates in PEM.
    Certificate,
    /// A public key in PEM.
    PublicKey,
    /// Variables for systemd's EnvironmentFile=.
    Env,
    /// A unit of systemd, or a drop-in, or a configuration file of systemd's.
    Unit,
    /// nginx.conf and what it includes.
    Nginx,
    /// keepalived.conf.
    Keepalived,
    /// sysctl.d.
    Sysctl,
    /// /etc/hosts.
    Hosts,
    /// TOML.
    Toml,
    /// JSON.
    Json,
    /// Independent lines: sysusers.d, tmpfiles.d, modules-load.d.
    Lines,
    /// Anything else; never compared by meaning.
    Text,
}

/// Units by the end of their names (systemd.unit(5), systemd.network(5), systemd.nspawn(5)).
const UNITS: &[&str] = &[
    "service",
    "socket",
    "device",
    "mount",
    "automount",
    "swap",
    "target",
    "path",
    "timer",
    "slice",
    "scope",
    "network",
    "netdev",
    "link",
];

/// Returns the format of a file.
pub fn format_of(path: &str, text: &str) -> Format {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    let below = |part: &str| format!("/{folder}/").contains(&format!("/{part}/"));
    if text.starts_with("#!") {
        return Format::Text;
    }
    match extension {
        "crt" | "pem" | "cer" | "pub" | "key" => return pem(text),
        "env" => return Format::Env,
        "toml" => return Format::Toml,
        "json" => return Format::Json,
        "yaml" | "yml" => return yaml(text, below("patches")),
        extension if UNITS.contains(&extension) && below("systemd") => return Format::Unit,
        _ => {}
    }
    if name == "hosts" && (folder == "etc" || folder.ends_with("/etc")) {
        Format::Hosts
    } else if below("sysctl.d") || name == "sysctl.conf" {
        Format::Sysctl
    } else if below("sysusers.d") || below("tmpfiles.d") || below("modules-load.d") {
        Format::Lines
    } else if below("nginx") && extension == "conf" {
        Format::Nginx
    } else if below("keepalived") && extension == "conf" {
        Format::Keepalived
    } else if below("systemd") && extension == "conf" {
        Format::Unit
    } else if below("etc/default") || below("etc/sysconfig") {
        Format::Env
    } else if extension == "conf" && is_kubeconfig(text) {
        Format::Kubeconfig
    } else {
        Format::Text
    }
}

fn pem(text: &str) -> Format {
    if text.contains("-----BEGIN CERTIFICATE-----") {
        Format::Certificate
    } else if text.contains("-----BEGIN PUBLIC KEY-----") {
        Format::PublicKey
    } else {
        Format::Text
    }
}

fn yaml(text: &str, patch: bool) -> Format {
    let of_kubeadm = ["kubeadm.k8s.io/", "kubelet.config.k8s.io/", "kubeproxy.config.k8s.io/"];
    let version = |line: &str| {
        line.strip_prefix("apiVersion:")
            .is_some_and(|version| of_kubeadm.iter().any(|group| version.contains(group)))
    };
    if patch || text.lines().any(version) {
        Format::Kubeadm
    } else if is_kubeconfig(text) {
        Format::Kubeconfig
    } else {
        Format::Yaml
    }
}

fn is_kubeconfig(text: &str) -> bool {
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        line.map(|value| value.split('#').next().unwrap_or_default().trim().trim_matches(['"', '\'']))
    };
    value("kind") == Some("Config") && value("apiVersion") == Some("v1")
}
