//! Orders the steps. etcd comes first and one member at a time, since everything stands on it; then API servers and the
//! balancers before them; then the nodes; what leaves goes last, when nobody counts on it any more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Action, Gate, Rollout, Serving, Step};
use crate::diff::change::{Change, Class, Presence, What};
use crate::diff::effect::table::{REJOIN, RULES, Scope};
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

struct Planner<'a> {
    hosts: BTreeMap<Arc<str>, &'a Host>,
    /// Units that install.sh restarts or reloads.
    units: BTreeMap<Arc<str>, BTreeSet<(Class, String)>>,
    /// Procedures that a host's own changes ask for.
    own: BTreeMap<Arc<str>, BTreeSet<&'static str>>,
    /// Procedures for the cluster.
    wide: BTreeSet<(&'static str, Scope)>,
    label: bool,
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
    planner.etcd();
    planner.joining("control-plane", &["etcd"]);
    planner.balancers();
    planner.control_planes();
    planner.joining("worker", &["etcd", "load-balancer", "control-plane"]);
    planner.workers();
    planner.cluster_wide();
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
                let Some(rule) = RULES.iter().find(|r| r.name == effect.rule) else { continue };
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

    /// What no order of steps can do.
    fn refuse(&mut self, changes: &[Change]) {
        for change in changes {
            let place = match &change.what {
                What::Field { field, .. } => format!("{} {field}", change.file),
                _ => change.file.clone(),
            };
            for effect in &change.effects {
                let rejoins = effect.procedure.as_deref() == Some(REJOIN);
                let stuck: Vec<Arc<str>> =
                    change.hosts.iter().filter(|h| !(rejoins && self.can_rejoin(h))).cloned().collect();
                if stuck.is_empty() {
                    continue;
                }
                let init = rejoins && stuck.iter().any(|h| self.kubeadm(h) == Some("init"));
                let why = match (effect.class, effect.rule) {
                    (Class::Recreate, _) if init => format!(
                        "{}: {place}: {}; it was made by kubeadm init: set `cluster.state: running`, so that it joins",
                        hosts_text(&stuck),
                        effect.reason
                    ),
                    (Class::Recreate, _) | (Class::Destructive, "etcd-data-dir") => {
                        format!("{}: {place}: {}", hosts_text(&stuck), effect.reason)
                    }
                    (Class::Destructive, "host-removed") => {
                        format!("{}: {}", hosts_text(&change.hosts), effect.reason)
                    }
                    _ => continue,
                };
                if !self.rollout.refused.contains(&why) {
                    self.rollout.refused.push(why);
                }
            }
        }
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

    fn touches(&self, host: &str, class: Class, unit: &str) -> bool {
        self.units.get(host).is_some_and(|units| units.iter().any(|(c, u)| *c == class && u == unit))
    }

    fn restarts_any(&self, host: &str) -> bool {
        self.units.get(host).is_some_and(|units| units.iter().any(|(c, _)| *c == Class::Restart))
    }

    fn units_text(&self, host: &str) -> String {
        let Some(units) = self.units.get(host) else { return String::new() };
        let words: Vec<String> = units
            .iter()
            .rev()
            .map(|(class, unit)| {
                let verb = if *class == Class::Restart { "restarts" } else { "reloads" };
                format!("{verb} {unit}")
            })
            .collect();
        words.join(", ")
    }

    fn serving(&self, hosts: &[Arc<str>], action: &Action) -> Serving {
        let mut serving = Serving::default();
        let etcd_down = hosts.iter().filter(|h| self.members.contains(*h)).filter(|h| match action {
            Action::Install => self.touches(h, Class::Restart, "etcd.service"),
            Action::MemberRemove => true,
            _ => false,
        });
        let members = self.members.len();
        let down = etcd_down.count();
        if members > 0 && (down > 0 || hosts.iter().any(|h| self.is(h, "etcd"))) {
            // A member that is taken out leaves a smaller cluster, all of whose members serve.
            serving.etcd = Some(match action {
                Action::MemberRemove => (members - down, members - down),
                _ => (members - down, members),
            });
            if down > 0 {
                serving.gap_ms = 2 * self.options.election_timeout_ms + LEADER_GAP_MS;
            }
        }
        let control_planes = self.servers.len();
        let stops = matches!(action, Action::Reconfigure("control-plane" | "certificates" | "upgrade"));
        let api_down = hosts.iter().filter(|h| self.servers.contains(*h) && stops).count();
        if hosts.iter().any(|h| self.is(h, "control-plane")) && control_planes > 0 {
            serving.api_servers = Some((control_planes - api_down, control_planes));
        }
        let balancers = self.balancers.len();
        if hosts.iter().any(|h| self.is(h, "load-balancer")) && balancers > 0 {
            let is_down = |h: &&Arc<str>| {
                ["nginx.service", "keepalived.service"].iter().any(|u| self.touches(h, Class::Restart, u))
            };
            let down = if *action == Action::Install { hosts.iter().filter(is_down).count() } else { 0 };
            serving.balancers = Some((balancers.saturating_sub(down), balancers));
            let moves = |h: &&Arc<str>| self.touches(h, Class::Reload, "keepalived.service");
            let leaves = matches!(action, Action::Uninstall | Action::Manual);
            if leaves || (*action == Action::Install && (down > 0 || hosts.iter().any(|h| moves(&h)))) {
                serving.gap_ms = serving.gap_ms.max(VIP_GAP_MS);
            }
        }
        serving
    }

    fn step(&mut self, action: Action, hosts: Vec<Arc<str>>, before: &[Gate], after: &[Gate], note: String) {
        // Who leaves is no longer counted among those that serve; who comes is, from the next step on.
        if action == Action::Uninstall {
            for host in &hosts {
                self.servers.remove(host);
                self.balancers.remove(host);
            }
        }
        let serving = self.serving(&hosts, &action);
        if action == Action::Up {
            for host in &hosts {
                if self.is(host, "control-plane") {
                    self.servers.insert(host.clone());
                }
                if self.is(host, "load-balancer") {
                    self.balancers.insert(host.clone());
                }
            }
        }
        let commands = by_hand(&action, &hosts, &self.hosts);
        self.rollout.steps.push(Step {
            number: self.rollout.steps.len() + 1,
            action,
            hosts,
            before: before.to_vec(),
            after: after.to_vec(),
            note,
            serving,
            commands,
        });
    }

    fn install(&mut self, hosts: Vec<Arc<str>>, before: &[Gate], after: &[Gate]) {
        let mut units: BTreeSet<String> = BTreeSet::new();
        units.extend(hosts.iter().map(|h| self.units_text(h)).filter(|t| !t.is_empty()));
        let mut note = if units.is_empty() {
            "nothing restarts".to_owned()
        } else {
            units.into_iter().collect::<Vec<_>>().join("; ")
        };
        if hosts.len() > 1 {
            note.push_str(", all together");
        }
        self.step(Action::Install, hosts, before, after, note);
    }

    /// Hosts that come with a role, one at a time, unless an earlier role of theirs has brought them.
    fn joining(&mut self, role: &str, earlier: &[&str]) {
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

    fn etcd(&mut self) {
        let members = self.active("etcd");
        let (added, stay): (Vec<_>, Vec<_>) = members.into_iter().partition(|h| !self.members.contains(h));
        let (restart, quiet): (Vec<_>, Vec<_>) = stay
            .into_iter()
            .filter(|h| self.presence(h) == Presence::Changed)
            .partition(|h| self.restarts_any(h) || self.units.contains_key(h));
        // One at a time as well: rollout.sh takes it that any install may stop a member, since a file that somebody changed on
        // the host is put right by it.
        for host in quiet {
            self.install(vec![host], &[Gate::Etcd], &[Gate::Etcd, Gate::Verify]);
        }
        for host in restart {
            let mut after = vec![Gate::Etcd, Gate::Verify];
            if self.is(&host, "control-plane") {
                after.push(Gate::Apiserver);
            }
            if self.is(&host, "load-balancer") {
                after.push(Gate::Vip);
            }
            self.install(vec![host], &[Gate::Etcd], &after);
        }
        for host in added {
            self.step(
                Action::Up,
                vec![host.clone()],
                &[Gate::Etcd],
                &[Gate::Etcd, Gate::Verify],
                "a new member: a learner first, then with a vote".to_owned(),
            );
            self.members.insert(host);
        }
    }

    fn balancers(&mut self) {
        self.joining("load-balancer", &["etcd", "control-plane"]);
        self.leaving_balancers();
        let own = |h: &Arc<str>| self.presence(h) == Presence::Changed && !self.is(h, "etcd");
        let changed: Vec<Arc<str>> = self.active("load-balancer").into_iter().filter(own).collect();
        let (busy, quiet): (Vec<_>, Vec<_>) = changed.into_iter().partition(|h| self.units.contains_key(h));
        if !quiet.is_empty() {
            self.install(quiet, &[], &[Gate::Verify]);
        }
        for host in busy {
            self.install(vec![host], &[Gate::Vip], &[Gate::Vip, Gate::Verify]);
        }
    }

    /// Before the others get their new bundles: they would no longer tell one that leaves who is master, and it would take
    /// the VIP a second time.
    fn leaving_balancers(&mut self) {
        for host in self.retired() {
            let was = self.hosts.get(&host).and_then(|h| h.old.clone()).unwrap_or_default();
            if !was.has("load-balancer") {
                continue;
            }
            if ["etcd", "control-plane", "worker"].iter().any(|role| was.has(role)) {
                let note = "on the host: systemctl disable --now keepalived.service nginx.service; the VIP moves to another balancer";
                self.step(Action::Manual, vec![host], &[Gate::Vip], &[Gate::Vip], note.to_owned());
            } else {
                let note = "the VIP moves to another balancer; what was there before khagen is put back";
                self.step(Action::Uninstall, vec![host], &[Gate::Vip], &[Gate::Vip], note.to_owned());
            }
        }
    }

    fn retired(&self) -> Vec<Arc<str>> {
        self.hosts.values().filter(|h| h.presence == Presence::Retired).map(|h| h.name.clone()).collect()
    }

    fn control_planes(&mut self) {
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
        self.procedure_on_hosts(
            "certificates",
            "the new certificates replace the host's; its API server restarts",
        );
    }

    fn workers(&mut self) {
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

    /// A procedure that single hosts ask for, one host at a time.
    fn procedure_on_hosts(&mut self, procedure: &'static str, note: &str) {
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

    fn once(&mut self, procedure: &'static str, note: &str) {
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

    /// Kubernetes' own order: control planes one at a time, then the other nodes; a kubelet changes its minor version only
    /// on a drained node.
    fn upgrade(&mut self) {
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

    fn everywhere(&mut self, procedure: &'static str, note: &str, nodes: bool) {
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

    fn cluster_wide(&mut self) {
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

    /// Nodes that leave and come back, one at a time.
    fn rejoining(&mut self) {
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
    fn leaving(&mut self) {
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

    /// No step may leave less than a majority of etcd's members.
    fn guard(&mut self) {
        for step in &self.rollout.steps {
            let Some((up, of)) = step.serving.etcd else { continue };
            if up > of / 2 || (self.options.accept_outage && step.action == Action::Install) {
                continue;
            }
            self.rollout.refused.push(format!(
                "step {} ({} {}): {up} of {of} etcd members would serve, a majority is {}; {}",
                step.number,
                step.action.name(),
                hosts_text(&step.hosts),
                of / 2 + 1,
                if step.action == Action::Install {
                    "add members first, or accept that etcd and the API stop meanwhile (--accept-outage)"
                } else {
                    "add members first"
                },
            ));
        }
    }
}

/// A tenth at a time, at least one.
fn batches(hosts: &[Arc<str>]) -> Vec<Vec<Arc<str>>> {
    hosts.chunks(hosts.len().div_ceil(10).max(1)).map(<[_]>::to_vec).collect()
}

fn hosts_text(hosts: &[Arc<str>]) -> String {
    hosts.join(", ")
}

/// The same by hand.
fn by_hand(action: &Action, hosts: &[Arc<str>], all: &BTreeMap<Arc<str>, &Host>) -> Vec<String> {
    let node = |host: &Arc<str>| {
        let head = all.get(host).and_then(|h| h.old.as_ref().or(h.new.as_ref()));
        head.map(|h| h.known.node_name.clone()).filter(|n| !n.is_empty()).unwrap_or_else(|| host.to_string())
    };
    let each = |command: &dyn Fn(&Arc<str>) -> String| hosts.iter().map(command).collect::<Vec<_>>();
    match action {
        Action::Install => vec!["./install.sh && ./verify.sh".to_owned()],
        Action::Up => vec!["./install.sh && ./up.sh && ./verify.sh".to_owned()],
        Action::Reconfigure(procedure) => vec![format!("./reconfigure.sh {procedure}")],
        Action::Uninstall => vec!["./uninstall.sh".to_owned()],
        Action::Drain => each(&|h| {
            format!(
                "kubectl --kubeconfig admin.conf drain {} --ignore-daemonsets --delete-emptydir-data",
                node(h)
            )
        }),
        Action::Uncordon => each(&|h| format!("kubectl --kubeconfig admin.conf uncordon {}", node(h))),
        Action::DeleteNode => each(&|h| format!("kubectl --kubeconfig admin.conf delete node {}", node(h))),
        Action::MemberRemove => each(&|h| format!("etcdctl member remove ID-OF-{h}")),
        Action::Label => vec!["./label-workers.sh".to_owned()],
        Action::Manual => Vec::new(),
    }
}
