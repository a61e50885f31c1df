//! What no order of steps can do, and which steps would stop what must serve.

use std::sync::Arc;

use super::{Action, Change, Class, Head, Planner, Presence, REJOIN, What, hosts_text};

impl Planner<'_> {
    /// What no order of steps can do.
    pub(super) fn refuse(&mut self, changes: &[Change]) {
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

    /// A node joins a cluster that has its minor version: a kubelet is never newer than an API server, and kubeadm's join
    /// refuses what it would make (`MinimumControlPlaneVersion` and the kubelet's version check of its preflight).
    pub(super) fn refuse_joining_an_upgrade(&mut self) {
        fn minor(head: Option<&Head>) -> Option<String> {
            let version = head?.known.kubernetes_version.as_deref()?;
            Some(version.splitn(3, '.').take(2).collect::<Vec<_>>().join("."))
        }
        let staying = self.staying_servers();
        let before = staying.iter().find_map(|h| minor(self.hosts.get(h)?.old.as_ref()));
        let after = staying.iter().find_map(|h| minor(self.hosts.get(h)?.new.as_ref()));
        let (Some(before), Some(after)) = (before, after) else { return };
        if before == after {
            return;
        }
        let comes = |h: &&Arc<str>| self.presence(h) == Presence::Added || self.rejoin.contains(*h);
        let nodes =
            self.hosts.iter().filter(|(_, h)| h.new.as_ref().is_some_and(|n| n.known.kubeadm.is_some()));
        let coming: Vec<Arc<str>> = nodes.map(|(name, _)| name).filter(comes).cloned().collect();
        if !coming.is_empty() {
            self.rollout.refused.push(format!(
                "{}: cannot join at {after} while the cluster goes there from {before}; build and roll out the new \
                 version first, then add them",
                hosts_text(&coming)
            ));
        }
    }

    /// No step may leave less than a majority of etcd's members.
    pub(super) fn guard(&mut self) {
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
