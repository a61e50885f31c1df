//! Every port of every program on a host, and clashes among them.

use std::collections::BTreeMap;

use super::{Scope, own, path};
use crate::diag::{Code, Diagnostic, Report};
use crate::model::{Host, KubeProxyMode};
use crate::plan::ports::{self, NODE_PORTS};

pub(super) fn check(scope: &Scope<'_>, report: &mut Report) {
    if !scope.sound(&["loadBalancer.mode"]) {
        return;
    }
    // Hosts of one set of roles have the same ports: they are one finding.
    let mut done: BTreeMap<(u16, String), usize> = BTreeMap::new();
    for host in scope.hosts().filter(|host| scope.sound(&[&path(host, "roles")])) {
        clashes(scope, host, &mut done, report);
        node_ports(scope, host, &mut done, report);
    }
}

/// A program that listens, and the place that says so.
struct Listener {
    port: u16,
    what: &'static str,
    place: String,
    /// Whether the port can be changed in the inventory.
    ours: bool,
}

fn listeners(scope: &Scope<'_>, host: &Host) -> Vec<Listener> {
    let mut all: Vec<Listener> = Vec::new();
    let known = ports::listeners(scope.cluster, host);
    for listener in known.iter().filter(|listener| listener.setting.is_none_or(|place| scope.sound(&[place])))
    {
        all.push(Listener {
            port: listener.port,
            what: listener.program,
            place: listener.setting.map_or_else(|| own(host), str::to_owned),
            ours: listener.setting.is_some(),
        });
    }
    let place = path(host, "ssh.port");
    if ports::logs_in_here(host) && scope.sound(&[&place]) {
        all.push(Listener { port: host.ssh.port, what: "sshd", place, ours: true });
    }
    // The port to change is the balancers' first: nobody but the endpoint knows it.
    all.sort_by_key(|listener| (listener.place != "loadBalancer.port", !listener.ours));
    all
}

fn clashes(scope: &Scope<'_>, host: &Host, done: &mut BTreeMap<(u16, String), usize>, report: &mut Report) {
    let all = listeners(scope, host);
    for (n, a) in all.iter().enumerate() {
        for b in all.iter().skip(n + 1).filter(|b| b.port == a.port) {
            let seen = done.entry((a.port, format!("{}/{}", a.what, b.what))).or_default();
            *seen += 1;
            if *seen == 1 {
                report.push(clash(scope, host, a, b));
            }
        }
    }
}

fn clash(scope: &Scope<'_>, host: &Host, a: &Listener, b: &Listener) -> Diagnostic {
    let message = format!("{} and {} both use port {} on host `{}`", a.what, b.what, a.port, host.name);
    // kubeadm's preflight listens on ":port" (checks.go, PortOpenCheck), so it fails whatever address the other has.
    let preflight = [a, b].iter().any(|l| {
        matches!(l.what, "kube-apiserver" | "kube-controller-manager" | "kube-scheduler" | "the kubelet")
    });
    let reason = if preflight {
        "kubeadm first tries to listen on that port on every address, so it refuses even when the other program \
         listens on the VIP or on loopback only"
    } else {
        "the second one to start cannot listen"
    };
    let movable = if a.ours { a } else { b };
    let finding = Diagnostic::error(Code::PortClash, message).reason(reason).help(format!(
        "set `{}` to a port that is free on the host, or move one of the roles to another host",
        if movable.place.ends_with("ssh.port") { "ssh.port" } else { &movable.place }
    ));
    let finding = scope.at(finding, &a.place, format!("{}: port {}", a.what, a.port));
    let finding = scope.also(finding, &b.place, format!("{}: port {}", b.what, b.port));
    scope.also(finding, &path(host, "roles"), "both on this host")
}

/// kube-proxy sends a node port to whichever service got it, past the program that listens there.
fn node_ports(
    scope: &Scope<'_>,
    host: &Host,
    done: &mut BTreeMap<(u16, String), usize>,
    report: &mut Report,
) {
    let own_range = ports::node_port_range(scope.cluster).is_some();
    if !host.is_node() || own_range || scope.cluster.kubernetes.kube_proxy_mode == KubeProxyMode::None {
        return;
    }
    for listener in listeners(scope, host).into_iter().filter(|l| l.ours && NODE_PORTS.contains(&l.port)) {
        let seen = done.entry((listener.port, listener.what.to_owned())).or_default();
        *seen += 1;
        if *seen > 1 {
            continue;
        }
        let message = format!(
            "{} uses port {} on node `{}`, which is one of the node ports {}-{}",
            listener.what,
            listener.port,
            host.name,
            NODE_PORTS.start(),
            NODE_PORTS.end()
        );
        let finding = Diagnostic::warning(Code::NodePortRange, message)
            .reason("a service that is given this node port takes the traffic away")
            .help("choose a port outside the range, or set the API server's `service-node-port-range`");
        report.push(scope.at(finding, &listener.place, ""));
    }
}
