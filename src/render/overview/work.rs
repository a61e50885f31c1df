//! The order of work in words: what is installed when, what must come first, what `up.sh` does.
//!
//! The emitted scripts have the same order for themselves; this only says it.

use super::{DRAWN, is_first};
use crate::ledger::Ledger;
use crate::model::{Cluster, Host, LoadBalancerMode, Role};

/// The steps of the first day, in order.
pub(super) fn steps(cluster: &Cluster, ledger: &Ledger) -> Vec<String> {
    let names = |hosts: Vec<&Host>| {
        let shown: Vec<String> = hosts.iter().take(DRAWN).map(|h| h.fqdn.clone()).collect();
        let more = hosts.len().saturating_sub(DRAWN);
        if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
    };
    let mut steps = Vec::new();
    let mut add = |role: &str, hosts: Vec<&Host>, what: &str| {
        if !hosts.is_empty() {
            steps.push(format!("{role} ({}): {what}", names(hosts)));
        }
    };
    add(
        "etcd",
        cluster.with_role(Role::Etcd).collect(),
        "`install.sh` on all, then `up.sh --role etcd`; a member alone waits for the majority.",
    );
    if cluster.load_balancer.mode == LoadBalancerMode::Keepalived {
        add(
            "load balancers",
            cluster.with_role(Role::LoadBalancer).collect(),
            "`install.sh`, `up.sh --role load-balancer`; the VIP is then served, before any API server lives.",
        );
    }
    let (first, others): (Vec<&Host>, Vec<&Host>) =
        cluster.with_role(Role::ControlPlane).partition(|h| is_first(ledger, h));
    let spread = cluster.is_kubeadm_pki();
    add(
        "first control plane",
        first,
        if spread {
            "`install.sh`, `up.sh --role control-plane` runs `kubeadm init`, which puts the CAs, encrypted, into the cluster for two hours."
        } else {
            "`install.sh`, `up.sh --role control-plane` runs `kubeadm init`."
        },
    );
    add(
        "other control planes",
        others,
        if spread {
            "`install.sh`, `up.sh --role control-plane` runs `kubeadm join`, which fetches the CAs; in any order, several at once. After the two hours `open-joins.sh --control-planes` comes first."
        } else {
            "`install.sh`, `up.sh --role control-plane` runs `kubeadm join`; in any order, several at once."
        },
    );
    let workers: Vec<&Host> =
        cluster.with_role(Role::Worker).filter(|h| !h.has(Role::ControlPlane)).collect();
    add("workers", workers, "`install.sh`, `up.sh --role worker`; all at once if you like.");
    steps.push("Install a network plugin (CNI); nodes stay NotReady until then.".to_owned());
    steps
}

/// What must come before this host.
pub(super) fn before(cluster: &Cluster, ledger: &Ledger, host: &Host) -> String {
    let mut needs = Vec::new();
    if host.has(Role::Etcd) {
        needs.push("An etcd member serves once a majority of the members is up; until then it waits, and that is no failure.");
    }
    if host.has(Role::ControlPlane) {
        needs.push(match (is_first(ledger, host), cluster.load_balancer.mode) {
            (true, LoadBalancerMode::None) => "etcd must be healthy first; this host runs `kubeadm init`.",
            (true, _) => "etcd must be healthy and the balancers up first; this host runs `kubeadm init`.",
            (false, _) => "The first control plane must be up before this one joins.",
        });
    } else if host.has(Role::Worker) {
        needs.push("The first control plane must be up before this worker joins.");
    }
    if needs.is_empty() {
        needs.push("Nothing must come first.");
    }
    // As bring-up.sh does it. A host of Kubernetes' roles alone has one step.
    let others = [Role::Etcd, Role::LoadBalancer].iter().filter(|role| host.has(**role)).count();
    if others + usize::from(host.is_node()) > 1 && cluster.hosts.len() > 1 {
        needs.push("This host has several roles: by hand, each role's step, `up.sh --role ROLE`, is done on all hosts that have it before the next one: `etcd`, `load-balancer`, `control-plane`, `worker`. A plain `up.sh` does all of its own and waits in between for what other hosts have yet to do.");
    }
    needs.join(" ")
}

/// What `up.sh` does on this host.
pub(super) fn up(host: &Host, first: bool) -> &'static str {
    if host.has(Role::ControlPlane) && first {
        "runs kubeadm init, once"
    } else if host.is_node() {
        "runs kubeadm join, once"
    } else if host.has(Role::Etcd) {
        "waits until the member is healthy"
    } else {
        "waits until the balancer serves"
    }
}
