//! What only a procedure changes on a running cluster: upgrades, uploads, static pods, kubelets.

use std::sync::Arc;

use super::{Action, Gate, KUBERNETES_CA_FEWER, KUBERNETES_CA_MORE, Planner, batches};

const KUBELET_CREDENTIALS: Action = Action::Reconfigure("kubelet-credentials");

impl Planner<'_> {
    /// What no bundle brings where kubelets have their credentials from the cluster: whom they trust, and a certificate of
    /// the CA that signs now.
    pub(super) fn kubelets_follow(&mut self) {
        let Some(rule) = self.kubelets else { return };
        let note = match rule {
            KUBERNETES_CA_MORE => "the kubelet restarts and trusts both CAs; pods stay",
            KUBERNETES_CA_FEWER => "the kubelet restarts and trusts the new CA only; pods stay",
            _ => "the kubelet restarts and gets a certificate of the new CA; pods stay",
        };
        let own = |h: &Arc<str>| !self.credentials_issued(h);
        let servers: Vec<_> = self.staying_servers().into_iter().filter(own).collect();
        let nodes: Vec<_> = self.plain_nodes().into_iter().filter(own).collect();
        let joined = !servers.is_empty() || !nodes.is_empty();
        for host in servers {
            let after = [Gate::Apiserver, Gate::Api, Gate::Node];
            self.step(KUBELET_CREDENTIALS, vec![host], &[Gate::Etcd, Gate::Api], &after, note.to_owned());
        }
        for batch in batches(&nodes) {
            self.step(KUBELET_CREDENTIALS, batch, &[Gate::Api], &[Gate::Node], note.to_owned());
        }
        if joined {
            self.once("cluster-info", "nodes that join from now on trust the same CAs");
        }
    }

    /// Before the former CA goes.
    pub(super) fn kubelets_have_left(&mut self) {
        if self.kubelets != Some(KUBERNETES_CA_FEWER) {
            return;
        }
        let note = "every kubelet must have a certificate of the new CA, and every workload trust it, before the former one goes: docs/rotation.md, \"Kubelets\"";
        let mut nodes = self.staying_servers();
        nodes.extend(self.plain_nodes());
        nodes.retain(|h| !self.credentials_issued(h));
        if !nodes.is_empty() {
            self.step(Action::Manual, nodes, &[Gate::Api], &[Gate::Api], note.to_owned());
        }
    }

    /// Whether a node's kubelet has its credentials from khagen.
    fn credentials_issued(&self, host: &str) -> bool {
        let head = self.hosts.get(host).and_then(|h| h.new.as_ref());
        head.is_some_and(|head| head.all.contains_key("kubeletCredentials"))
    }

    /// A procedure that single hosts ask for, one host at a time.
    pub(super) fn procedure_on_hosts(&mut self, procedure: &'static str, note: &str) {
        let hosts: Vec<Arc<str>> = self
            .own
            .iter()
            .filter(|(h, wanted)| wanted.contains(procedure) && !self.rejoin.contains(*h))
            .map(|(h, _)| h.clone())
            .collect();
        let (servers, nodes): (Vec<_>, Vec<_>) = hosts.into_iter().partition(|h| self.is(h, "control-plane"));
        for host in servers {
            self.step(
                Action::Reconfigure(procedure),
                vec![host],
                &[Gate::Etcd, Gate::Api],
                &[Gate::Apiserver, Gate::Api],
                note.to_owned(),
            );
        }
        for batch in batches(&nodes) {
            self.step(Action::Reconfigure(procedure), batch, &[], &[Gate::Node], note.to_owned());
        }
    }

    pub(super) fn once(&mut self, procedure: &'static str, note: &str) {
        if let Some(host) = self.staying_servers().into_iter().next() {
            self.step(
                Action::Reconfigure(procedure),
                vec![host],
                &[Gate::Api],
                &[Gate::Api],
                note.to_owned(),
            );
        }
    }

    /// Kubernetes' own order: control planes one at a time, then the other nodes; a kubelet changes its minor version only
    /// on a drained node.
    pub(super) fn upgrade(&mut self) {
        let servers = self.staying_servers().into_iter().map(|h| (vec![h], true));
        let nodes = self.plain_nodes();
        let nodes = batches(&nodes).into_iter().map(|batch| (batch, false));
        for (hosts, server) in servers.chain(nodes).collect::<Vec<_>>() {
            let before: &[Gate] = if server { &[Gate::Etcd, Gate::Api] } else { &[Gate::Api] };
            let after: &[Gate] =
                if server { &[Gate::Apiserver, Gate::Api, Gate::Node] } else { &[Gate::Node] };
            let what = if server {
                "static pods and kubelet go to the new version; its kubeadm and kubelet must be installed before"
            } else {
                "kubelet goes to the new version; its kubeadm and kubelet must be installed before"
            };
            self.step(Action::Drain, hosts.clone(), before, &[], "its pods move to other nodes".to_owned());
            self.step(Action::Reconfigure("upgrade"), hosts.clone(), before, after, what.to_owned());
            self.step(
                Action::Uncordon,
                hosts,
                &[Gate::Api],
                &[Gate::Node],
                "pods may come to it again".to_owned(),
            );
        }
    }

    pub(super) fn everywhere(&mut self, procedure: &'static str, note: &str, nodes: bool) {
        for host in self.staying_servers() {
            self.step(
                Action::Reconfigure(procedure),
                vec![host],
                &[Gate::Etcd, Gate::Api],
                &[Gate::Apiserver, Gate::Api, Gate::Node],
                note.to_owned(),
            );
        }
        if nodes {
            for batch in batches(&self.plain_nodes()) {
                self.step(
                    Action::Reconfigure(procedure),
                    batch,
                    &[Gate::Api],
                    &[Gate::Node],
                    note.to_owned(),
                );
            }
        }
    }

    pub(super) fn cluster_wide(&mut self) {
        let wide = std::mem::take(&mut self.wide);
        let wants = |procedure: &str| wide.iter().any(|(p, _)| *p == procedure);
        // First, since kubeadm takes an uploaded version for one that the cluster has reached; it uploads its own.
        if wants("upgrade") {
            self.upgrade();
        }
        if wide.iter().any(|(p, _)| *p != "upgrade") {
            self.once("upload-config", "the cluster's own copy of the configuration is replaced");
        }
        if wants("control-plane") {
            self.everywhere("control-plane", "static pods start with the new manifests", false);
            self.certificates();
        } else {
            self.procedure_on_hosts("control-plane", "static pods start with the new manifests");
        }
        if wants("kubelet-config") {
            self.everywhere("kubelet-config", "the kubelet restarts; pods stay", true);
        } else {
            self.procedure_on_hosts("kubelet-config", "the kubelet restarts; pods stay");
        }
        self.procedure_on_hosts("kubelet-flags", "the kubelet restarts with new flags; pods stay");
        if wants("kube-proxy") {
            self.once("kube-proxy", "kube-proxy's pods restart node by node");
        }
        if wants("coredns") {
            self.once("coredns", "CoreDNS's pods restart one by one");
        }
        if self.label {
            self.step(
                Action::Label,
                Vec::new(),
                &[Gate::Api],
                &[],
                "labels and taints by kubectl".to_owned(),
            );
        }
    }
}
