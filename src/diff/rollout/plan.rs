//! Orders the steps. etcd comes first and one member at a time, since everything stands on it; then API servers and the
//! balancers before them; then the nodes; what leaves goes last, when nobody counts on it any more.

mod foundations;
mod nodes;
mod procedures;
mod refuse;
mod steps;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Action, Gate, Rollout, Serving, Step};
use crate::diff::change::{Change, Class, Presence, What};
use crate::diff::effect::table::{
    KUBERNETES_CA_FEWER, KUBERNETES_CA_MORE, KUBERNETES_CA_SWITCHED, REJOIN, Scope, rules,
};
use crate::snapshot::Head;

/// A host as the plan sees it.
#[derive(Debug, Clone)]
pub struct Host {
    /// FQDN.
    pub name: Arc<str>,
    /// On which sides it is.
    pub presence: Presence,
    /// The older side's head.
    pub old: Option<Head>,
    /// The newer side's head.
    pub new: Option<Head>,
}

/// What the plan may do and must know.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// etcd's election timeout in milliseconds.
    pub election_timeout_ms: u32,
    /// Plan steps that stop etcd as a whole, as a cluster of one or two members must.
    pub accept_outage: bool,
}

impl Default for Options {
    /// etcd's own default (server/embed/config.go).
    fn default() -> Options {
        Options { election_timeout_ms: 1000, accept_outage: false }
    }
}

/// A stopped nginx or keepalived moves the VIP within this time; so does a reload of keepalived that changes who is
/// master. Measured on two balancers: 0.25 to 0.36 s.
const VIP_GAP_MS: u32 = 1000;
/// For a client to find the new leader after an election.
const LEADER_GAP_MS: u32 = 1000;

/// What kubelets trust.
const KUBERNETES_CA: &str = "/etc/kubernetes/pki/ca.crt";

struct Planner<'a> {
    hosts: BTreeMap<Arc<str>, &'a Host>,
    /// Units that install.sh restarts or reloads.
    units: BTreeMap<Arc<str>, BTreeSet<(Class, String)>>,
    /// Procedures that a host's own changes ask for.
    own: BTreeMap<Arc<str>, BTreeSet<&'static str>>,
    /// Procedures for the cluster.
    wide: BTreeSet<(&'static str, Scope)>,
    label: bool,
    /// What a rotation of the Kubernetes CA asks of kubelets, by the rule of its change.
    kubelets: Option<&'static str>,
    /// Nodes that must leave and join anew.
    rejoin: BTreeSet<Arc<str>>,
    options: Options,
    members: BTreeSet<Arc<str>>,
    servers: BTreeSet<Arc<str>>,
    balancers: BTreeSet<Arc<str>>,
    rollout: Rollout,
}

/// Plans the way from one build to another. Changes are grouped; hosts are all hosts of both sides, without the operator.
pub fn plan(hosts: &[Host], changes: &[Change], options: Options) -> Rollout {
    let before = |role: &str| -> BTreeSet<Arc<str>> {
        let had = |h: &&Host| h.old.as_ref().is_some_and(|o| o.has(role) && !o.is_retired());
        hosts.iter().filter(had).map(|h| h.name.clone()).collect()
    };
    let mut planner = Planner {
        hosts: hosts.iter().map(|h| (h.name.clone(), h)).collect(),
        units: BTreeMap::new(),
        own: BTreeMap::new(),
        wide: BTreeSet::new(),
        label: false,
        kubelets: None,
        rejoin: BTreeSet::new(),
        options,
        members: before("etcd"),
        servers: before("control-plane"),
        balancers: before("load-balancer"),
        rollout: Rollout::default(),
    };
    planner.rollout.etcd_members = planner.members.iter().cloned().collect();
    planner.read(changes);
    planner.refuse(changes);
    planner.refuse_joining_an_upgrade();
    planner.refuse_kubernetes();
    planner.refuse_etcd();
    planner.kubelets_have_left();
    planner.etcd();
    planner.joining("control-plane", &["etcd"]);
    planner.balancers();
    planner.control_planes();
    planner.joining("worker", &["etcd", "load-balancer", "control-plane"]);
    planner.workers();
    planner.cluster_wide();
    planner.kubelets_follow();
    planner.rejoining();
    planner.leaving();
    planner.guard();
    planner.rollout
}

impl Planner<'_> {
    fn read(&mut self, changes: &[Change]) {
        for change in changes {
            for effect in &change.effects {
                for host in &change.hosts {
                    if let Some(unit) = &effect.unit {
                        self.units.entry(host.clone()).or_default().insert((effect.class, unit.clone()));
                    }
                }
                let Some(rule) = rules().find(|r| r.name == effect.rule) else { continue };
                if change.file == KUBERNETES_CA
                    && [KUBERNETES_CA_MORE, KUBERNETES_CA_SWITCHED, KUBERNETES_CA_FEWER].contains(&rule.name)
                {
                    self.kubelets = Some(rule.name);
                }
                let Some(procedure) = rule.procedure else { continue };
                match rule.scope {
                    _ if procedure == REJOIN => {
                        let again: Vec<_> =
                            change.hosts.iter().filter(|h| self.can_rejoin(h)).cloned().collect();
                        self.rejoin.extend(again);
                    }
                    Scope::Bastion => self.label = true,
                    Scope::Host => {
                        // A host that comes or goes is not reconfigured.
                        let stay: Vec<_> = change.hosts.iter().filter(|h| self.stays(h)).cloned().collect();
                        for host in stay {
                            self.own.entry(host).or_default().insert(procedure);
                        }
                    }
                    scope => {
                        if change.hosts.iter().any(|h| self.stays(h)) {
                            self.wide.insert((procedure, scope));
                        }
                    }
                }
            }
        }
    }

    fn stays(&self, host: &str) -> bool {
        self.hosts.get(host).is_some_and(|h| matches!(h.presence, Presence::Changed | Presence::Unchanged))
    }

    /// A node that is nothing else can leave and come back; one that `kubeadm init` would set up cannot.
    fn can_rejoin(&self, host: &str) -> bool {
        self.presence(host) == Presence::Changed
            && (self.is(host, "worker") || self.is(host, "control-plane"))
            && !self.is(host, "etcd")
            && !self.is(host, "load-balancer")
            && self.kubeadm(host) == Some("join")
    }

    /// Active hosts with a role, by name.
    fn active(&self, role: &str) -> Vec<Arc<str>> {
        self.hosts
            .values()
            .filter(|h| h.presence != Presence::Retired)
            .filter(|h| h.new.as_ref().is_some_and(|n| n.has(role) && !n.is_retired()))
            .map(|h| h.name.clone())
            .collect()
    }

    fn is(&self, host: &str, role: &str) -> bool {
        self.hosts
            .get(host)
            .is_some_and(|h| h.new.as_ref().or(h.old.as_ref()).is_some_and(|head| head.has(role)))
    }

    fn presence(&self, host: &str) -> Presence {
        self.hosts.get(host).map_or(Presence::Unchanged, |h| h.presence)
    }

    fn retired(&self) -> Vec<Arc<str>> {
        self.hosts.values().filter(|h| h.presence == Presence::Retired).map(|h| h.name.clone()).collect()
    }

    fn kubeadm(&self, host: &str) -> Option<&str> {
        self.hosts.get(host)?.new.as_ref()?.known.kubeadm.as_deref()
    }

    /// Control planes that stay, that of `kubeadm init` first.
    fn staying_servers(&self) -> Vec<Arc<str>> {
        let mut servers: Vec<Arc<str>> =
            self.active("control-plane").into_iter().filter(|h| self.stays(h)).collect();
        servers.sort_by_key(|h| (self.kubeadm(h) != Some("init"), h.clone()));
        servers
    }

    /// Nodes that stay and are no control planes.
    fn plain_nodes(&self) -> Vec<Arc<str>> {
        let own = |h: &Arc<str>| self.stays(h) && !self.is(h, "control-plane");
        self.active("worker").into_iter().filter(own).collect()
    }
}

/// A tenth at a time, at least one.
fn batches(hosts: &[Arc<str>]) -> Vec<Vec<Arc<str>>> {
    hosts.chunks(hosts.len().div_ceil(10).max(1)).map(<[_]>::to_vec).collect()
}

fn hosts_text(hosts: &[Arc<str>]) -> String {
    hosts.join(", ")
}
