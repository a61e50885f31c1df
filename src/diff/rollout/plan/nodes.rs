//! Control planes and workers that change, come, go, or leave to come anew.

use std::sync::Arc;

use super::{Action, Gate, Planner, Presence, batches};

impl Planner<'_> {
    /// Hosts that come with a role, one at a time, unless an earlier role of theirs has brought them.
    pub(super) fn joining(&mut self, role: &str, earlier: &[&str]) {
        let joins = |h: &Arc<str>| {
            self.presence(h) == Presence::Added && !earlier.iter().any(|role| self.is(h, role))
        };
        let hosts: Vec<Arc<str>> = self.active(role).into_iter().filter(joins).collect();
        if hosts.is_empty() {
            return;
        }
        match role {
            "worker" => {
                self.step(
                    Action::Up,
                    hosts,
                    &[Gate::Api],
                    &[Gate::Verify],
                    "kubeadm join, all together".to_owned(),
                );
                self.label = true;
            }
            "control-plane" => {
                for host in hosts {
                    self.step(
                        Action::Up,
                        vec![host],
                        &[Gate::Etcd, Gate::Api],
                        &[Gate::Apiserver, Gate::Verify],
                        "kubeadm join as a control plane".to_owned(),
                    );
                }
            }
            _ => {
                for host in hosts {
                    self.step(
                        Action::Up,
                        vec![host],
                        &[],
                        &[Gate::Vip, Gate::Verify],
                        "joins the balancers".to_owned(),
                    );
                }
            }
        }
    }

    pub(super) fn control_planes(&mut self) {
        let own = |h: &Arc<str>| {
            self.presence(h) == Presence::Changed
                && !self.is(h, "etcd")
                && !self.is(h, "load-balancer")
                && !self.rejoin.contains(h)
        };
        let changed: Vec<Arc<str>> = self.active("control-plane").into_iter().filter(own).collect();
        let (busy, quiet): (Vec<_>, Vec<_>) = changed.into_iter().partition(|h| self.units.contains_key(h));
        if !quiet.is_empty() {
            self.install(quiet, &[Gate::Etcd], &[Gate::Verify]);
        }
        for host in busy {
            self.install(vec![host], &[Gate::Etcd, Gate::Api], &[Gate::Apiserver, Gate::Verify]);
        }
        // Where static pods get other arguments too, that comes first: a controller manager that starts with its former ones
        // does not take a CA's file of two certificates.
        if !self.wide.iter().any(|(procedure, _)| *procedure == "control-plane") {
            self.certificates();
        }
    }

    pub(super) fn certificates(&mut self) {
        self.procedure_on_hosts(
            "certificates",
            "the new certificates replace the host's; its API server restarts",
        );
    }

    pub(super) fn workers(&mut self) {
        let own = |h: &Arc<str>| {
            self.presence(h) == Presence::Changed
                && !["etcd", "load-balancer", "control-plane"].iter().any(|role| self.is(h, role))
                && !self.rejoin.contains(h)
        };
        let all: Vec<Arc<str>> = self.active("worker").into_iter().filter(own).collect();
        let (busy, quiet): (Vec<_>, Vec<_>) = all.into_iter().partition(|h| self.units.contains_key(h));
        if !quiet.is_empty() {
            self.install(quiet, &[], &[Gate::Verify]);
        }
        for batch in batches(&busy) {
            self.install(batch, &[], &[Gate::Verify]);
        }
    }

    /// Nodes that leave and come back, one at a time.
    pub(super) fn rejoining(&mut self) {
        let mut nodes: Vec<Arc<str>> = std::mem::take(&mut self.rejoin).into_iter().collect();
        nodes.sort_by_key(|h| (!self.is(h, "control-plane"), h.clone()));
        for host in nodes {
            let one = vec![host.clone()];
            let server = self.is(&host, "control-plane");
            let before: &[Gate] = if server { &[Gate::Etcd, Gate::Api] } else { &[Gate::Api] };
            self.step(Action::Drain, one.clone(), before, &[], "its pods move to other nodes".to_owned());
            self.step(
                Action::Uninstall,
                one.clone(),
                &[],
                &[],
                "the host is as it was before khagen".to_owned(),
            );
            self.step(
                Action::DeleteNode,
                one.clone(),
                &[Gate::Api],
                &[],
                "the cluster forgets the node".to_owned(),
            );
            let after: &[Gate] = if server {
                &[Gate::Apiserver, Gate::Node, Gate::Verify]
            } else {
                &[Gate::Node, Gate::Verify]
            };
            self.step(Action::Up, one, before, after, "kubeadm join, as a new node".to_owned());
        }
    }

    /// Hosts that leave: pods first, then what the cluster counts, then what was installed.
    pub(super) fn leaving(&mut self) {
        for host in self.retired() {
            let was = self.hosts.get(&host).and_then(|h| h.old.clone()).unwrap_or_default();
            let node = was.has("control-plane") || was.has("worker");
            if was.has("load-balancer") && !was.has("etcd") && !node {
                continue; // is gone already
            }
            if node {
                self.step(
                    Action::Drain,
                    vec![host.clone()],
                    &[Gate::Api],
                    &[],
                    "its pods move to other nodes".to_owned(),
                );
            }
            if was.has("etcd") && self.members.contains(&host) {
                self.step(
                    Action::MemberRemove,
                    vec![host.clone()],
                    &[Gate::Etcd],
                    &[],
                    "etcd counts one member less from here on".to_owned(),
                );
                self.members.remove(&host);
            }
            if node {
                self.step(
                    Action::DeleteNode,
                    vec![host.clone()],
                    &[Gate::Api],
                    &[],
                    "the cluster forgets the node".to_owned(),
                );
            }
            let after: &[Gate] = if was.has("etcd") { &[Gate::Etcd] } else { &[] };
            self.step(
                Action::Uninstall,
                vec![host],
                &[],
                after,
                "what was there before khagen is put back; etcd's data is renamed, never deleted".to_owned(),
            );
        }
    }
}
