//! One step: its commands, and who serves meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Action, Class, Gate, Host, LEADER_GAP_MS, Planner, Serving, Step, VIP_GAP_MS};

impl Planner<'_> {
    pub(super) fn touches(&self, host: &str, class: Class, unit: &str) -> bool {
        self.units.get(host).is_some_and(|units| units.iter().any(|(c, u)| *c == class && u == unit))
    }

    pub(super) fn restarts_any(&self, host: &str) -> bool {
        self.units.get(host).is_some_and(|units| units.iter().any(|(c, _)| *c == Class::Restart))
    }

    pub(super) fn units_text(&self, host: &str) -> String {
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

    pub(super) fn serving(&self, hosts: &[Arc<str>], action: &Action) -> Serving {
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

    pub(super) fn step(
        &mut self,
        action: Action,
        hosts: Vec<Arc<str>>,
        before: &[Gate],
        after: &[Gate],
        note: String,
    ) {
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

    pub(super) fn install(&mut self, hosts: Vec<Arc<str>>, before: &[Gate], after: &[Gate]) {
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
