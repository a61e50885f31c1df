//! etcd's members and the balancers: what everything else stands on.

use std::sync::Arc;

use super::{Action, Gate, Planner, Presence};

impl Planner<'_> {
    pub(super) fn etcd(&mut self) {
        self.etcd_by_hand();
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

    /// Where bundles do not bring etcd, its programs are replaced before the members get what is written for the new version.
    fn etcd_by_hand(&mut self) {
        let Some((from, to)) = self.etcd_change() else { return };
        let brought = |h: &Arc<str>| {
            self.hosts.get(h).and_then(|host| host.new.as_ref()).is_some_and(|head| head.brings("etcd"))
        };
        let members: Vec<Arc<str>> =
            self.active("etcd").into_iter().filter(|h| self.stays(h) && !brought(h)).collect();
        for host in members {
            let note = format!(
                "put etcd, etcdctl and etcdutl {to} in place of {from}'s, then: systemctl restart etcd; one member at a time"
            );
            self.step(Action::Manual, vec![host], &[Gate::Etcd], &[Gate::Etcd], note);
        }
    }

    pub(super) fn balancers(&mut self) {
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
    pub(super) fn leaving_balancers(&mut self) {
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
}
