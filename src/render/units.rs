//! What a host needs for its roles: units and what restarts them, folders, commands, packages.
//!
//! One table per role. A unit restarts only for files that it cannot read anew: etcd reads its leaf certificates at every
//! handshake (client/pkg/transport, TLSInfo) but its CAs at start only.

use super::{credentials, etcd, node};
use crate::model::{Cluster, ContainerdMajor, Host, LoadBalancerMode, Role};

/// All that a host needs beside files.
#[derive(Debug, Default)]
pub struct Needs {
    /// Looked for on PATH by install.sh, or absolute.
    pub commands: Vec<String>,
    /// Of the distribution.
    pub packages: Vec<String>,
    /// What the distribution does not have, for the page.
    pub by_hand: Vec<String>,
    /// Made by install.sh where they are missing.
    pub directories: Vec<Directory>,
    /// Enabled and started.
    pub units: Vec<Unit>,
}

/// A folder with a mode and owner of its own.
#[derive(Debug)]
pub struct Directory {
    /// Absolute.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// User name.
    pub owner: &'static str,
    /// Group name.
    pub group: &'static str,
}

/// A systemd unit and what it depends on. Paths that end in `/` are prefixes.
#[derive(Debug)]
pub struct Unit {
    /// With its suffix.
    pub unit: String,
    /// Started at boot.
    pub enable: bool,
    /// Started by install.sh.
    pub start: bool,
    /// Files that only a restart brings in.
    pub restart_on: Vec<String>,
    /// Files that a reload brings in.
    pub reload_on: Vec<String>,
}

/// What a host needs for its roles, and the units of the user's files.
pub fn needs(cluster: &Cluster, host: &Host) -> Needs {
    let mut needs = Needs::default();
    needs.command("openssl", "openssl");
    if host.has(Role::Etcd) {
        etcd_member(cluster, host, &mut needs);
    }
    if host.has(Role::LoadBalancer) && cluster.load_balancer.mode == LoadBalancerMode::Keepalived {
        balancer(&mut needs);
    }
    if host.is_node() {
        kubernetes(cluster, host, &mut needs);
    }
    let of_files = host.files.iter().filter_map(|f| Some((f.path.as_str(), f.effect.as_ref()?)));
    let of_programs =
        host.artifacts.binaries.iter().filter_map(|b| Some((b.path.as_str(), b.effect.as_ref()?)));
    for (path, effect) in of_files.chain(of_programs) {
        let unit = match needs.units.iter_mut().find(|u| u.unit == effect.unit) {
            Some(unit) => unit,
            None => {
                needs.unit(&effect.unit, false, false, &[], &[]);
                match needs.units.last_mut() {
                    Some(unit) => unit,
                    None => continue,
                }
            }
        };
        let list = if effect.restart { &mut unit.restart_on } else { &mut unit.reload_on };
        if !list.iter().any(|p| p == path) {
            list.push(path.to_owned());
        }
    }
    needs
}

/// What hosts need from elsewhere, said once for all of the same roles.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Packages {
    /// Their roles.
    pub roles: Vec<&'static str>,
    /// Of the distribution, by the names of Debian and Ubuntu.
    pub packages: Vec<String>,
    /// What the distribution does not have, or not in the version that is needed.
    pub other: Vec<String>,
    /// The hosts, by FQDN.
    pub hosts: Vec<String>,
}

/// What the cluster's hosts need from elsewhere: a function of the inventory alone.
pub fn packages(cluster: &Cluster) -> Vec<Packages> {
    let mut all: Vec<Packages> = Vec::new();
    for host in &cluster.hosts {
        let Needs { packages, by_hand: other, .. } = needs(cluster, host);
        let roles: Vec<&'static str> = host.roles.iter().map(|r| r.as_str()).collect();
        match all.iter_mut().find(|p| p.roles == roles && p.packages == packages && p.other == other) {
            Some(same) => same.hosts.push(host.fqdn.clone()),
            None => all.push(Packages { roles, packages, other, hosts: vec![host.fqdn.clone()] }),
        }
    }
    all.sort();
    all
}

impl Needs {
    /// The folder of kubeadm's patches, where the inventory alone asks for none.
    pub(super) fn patches(&mut self) {
        let dir = super::kubeadm::PATCHES_DIR;
        if !self.directories.iter().any(|d| d.path == dir) {
            self.directory(dir, 0o755, "root", "root");
        }
    }

    fn command(&mut self, command: &str, package: &str) {
        self.commands.push(command.to_owned());
        if !package.is_empty() && !self.packages.iter().any(|p| p == package) {
            self.packages.push(package.to_owned());
        }
    }

    fn directory(&mut self, path: &str, mode: u32, owner: &'static str, group: &'static str) {
        self.directories.push(Directory { path: path.to_owned(), mode, owner, group });
    }

    fn unit(&mut self, unit: &str, enable: bool, start: bool, restart_on: &[&str], reload_on: &[&str]) {
        let own = |paths: &[&str]| paths.iter().map(|p| (*p).to_owned()).collect();
        self.units.push(Unit {
            unit: unit.to_owned(),
            enable,
            start,
            restart_on: own(restart_on),
            reload_on: own(reload_on),
        });
    }
}

fn etcd_member(cluster: &Cluster, host: &Host, needs: &mut Needs) {
    let e = &cluster.etcd;
    for command in ["etcd", "etcdctl", "etcdutl"] {
        needs.command(&format!("{}/{command}", e.bin_dir), "");
    }
    needs.by_hand.push(format!("etcd, etcdctl and etcdutl {} in {}", e.version, e.bin_dir));
    needs.directory("/etc/etcd", 0o755, "root", "root");
    needs.directory("/etc/etcd/pki", 0o750, "root", "etcd");
    needs.directory(&e.snapshot_dir, 0o700, "etcd", "etcd");
    if etcd::state_directory(cluster).is_none() {
        needs.directory(&e.data_dir, 0o700, "etcd", "etcd");
    }
    needs.unit(
        "etcd.service",
        true,
        true,
        &[
            "/etc/etcd/etcd.env",
            "/etc/etcd/pki/etcd-ca.crt",
            "/etc/etcd/pki/etcd-peer-ca.crt",
            "/etc/systemd/system/etcd.service",
        ],
        &[],
    );
    // The program itself, where it travels with the bundles.
    let program = format!("{}/etcd", e.bin_dir);
    if host.artifacts.binaries.iter().any(|b| b.path == program)
        && let Some(unit) = needs.units.last_mut()
    {
        unit.restart_on.push(program);
    }
    needs.unit(
        "khagen-etcd-snapshot.timer",
        true,
        true,
        &["/etc/systemd/system/khagen-etcd-snapshot.timer"],
        &[],
    );
}

fn balancer(needs: &mut Needs) {
    needs.command("nginx", "nginx");
    // nginx.org's build has the module built in; the distribution's has it apart.
    needs.packages.push("libnginx-mod-stream".to_owned());
    needs.command("keepalived", "keepalived");
    // keepalived's scripts, beside openssl.
    needs.command("timeout", "coreutils");
    needs.command("logger", "bsdutils");
    needs.unit(
        "nginx.service",
        true,
        true,
        &["/etc/systemd/system/nginx.service.d/khagen.conf"],
        &["/etc/nginx/nginx.conf"],
    );
    needs.unit(
        "keepalived.service",
        true,
        true,
        &["/etc/systemd/system/keepalived.service.d/khagen.conf"],
        // The scripts beside it are read anew at each run.
        &["/etc/keepalived/keepalived.conf"],
    );
}

fn kubernetes(cluster: &Cluster, host: &Host, needs: &mut Needs) {
    let v2 = cluster.kubernetes.containerd == ContainerdMajor::V2;
    // kubeadm's preflight (cmd/kubeadm/app/preflight/checks_linux.go): mandatory and optional executables.
    for (command, package) in [
        // Debian 13 and Ubuntu 24.04 have containerd 1.7.
        ("containerd", if v2 { "" } else { "containerd" }),
        ("ip", "iproute2"),
        ("iptables", "iptables"),
        ("mount", "mount"),
        ("nsenter", "util-linux"),
        ("ethtool", "ethtool"),
        ("socat", "socat"),
        ("conntrack", "conntrack"),
    ] {
        needs.command(command, package);
    }
    if cluster.kubernetes.kube_proxy_mode == crate::model::KubeProxyMode::Ipvs {
        needs.command("ipvsadm", "ipvsadm");
        needs.command("ipset", "ipset");
    }
    let line = format!("{}.{}", cluster.kubernetes.version.major, cluster.kubernetes.version.minor);
    for command in ["kubeadm", "kubelet"] {
        needs.command(command, "");
    }
    if host.has(Role::ControlPlane) {
        needs.command("kubectl", "");
    }
    if cluster.kubernetes.version.line() <= (1, 31) {
        needs.command("crictl", "");
    }
    needs.by_hand.push(format!(
        "kubeadm, kubelet and kubectl {} (packages of Kubernetes {line})",
        cluster.kubernetes.version
    ));
    if v2 {
        needs.by_hand.push("containerd 2 and runc".to_owned());
    }
    needs.directory("/etc/kubernetes", 0o755, "root", "root");
    if super::kubeadm::is_patched(cluster, host) {
        needs.directory(super::kubeadm::PATCHES_DIR, 0o755, "root", "root");
    }
    if host.has(Role::ControlPlane) {
        needs.directory("/etc/kubernetes/pki", 0o755, "root", "root");
    }
    needs.unit("containerd.service", true, true, &["/etc/containerd/config.toml"], &[]);
    if node::swap_is_refused(&cluster.kubernetes.kubelet_config) {
        // The file is every node's; a host whose kubelet takes swap leaves it alone.
        let off = node::swap_is_refused(&host.kubelet.value);
        let unit = "/etc/systemd/system/khagen-swap-off.service";
        needs.unit("khagen-swap-off.service", off, off, &[unit], &[]);
    }
    // kubeadm starts it.
    // Its own credentials are rotated by the kubelet itself; khagen's are read when it starts.
    let issued: &[&str] = if cluster.is_external_ca() { &[credentials::KUBELET_CONF] } else { &[] };
    needs.unit("kubelet.service", true, false, issued, &[]);
}
