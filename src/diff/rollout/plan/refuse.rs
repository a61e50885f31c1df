//! What no order of steps can do, and which steps would stop what must serve.

use std::sync::Arc;

use crate::model::Version;

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

    /// What reconfigure.sh upgrade would refuse on the host, after much else was done: kubeadm takes a cluster up only, by one
    /// minor at a time (kubernetes.io, Upgrading kubeadm clusters). A cluster that is not up yet is built anew with any.
    pub(super) fn refuse_kubernetes(&mut self) {
        let begins = |head: Option<&Head>| head.is_some_and(|h| h.known.kubeadm.as_deref() == Some("init"));
        if self.hosts.values().any(|h| begins(h.old.as_ref()) && begins(h.new.as_ref())) {
            return;
        }
        let found =
            self.version_change(&self.staying_servers(), |head| head.known.kubernetes_version.as_deref());
        let Some((from, to)) = found else { return };
        self.refuse_skew("Kubernetes", from, to, "kubeadm does not take a cluster down");
    }

    /// etcd's upgrade policy: patch by patch or one minor at a time; down only by a procedure of its own, which no bundle does.
    pub(super) fn refuse_etcd(&mut self) {
        let Some((from, to)) = self.etcd_change() else { return };
        if from.line() == to.line() {
            return;
        }
        self.refuse_skew(
            "etcd",
            from,
            to,
            "a minor of etcd goes down only by `etcdctl downgrade`, which no bundle does",
        );
    }

    /// Versions of etcd on members that stay.
    pub(super) fn etcd_change(&self) -> Option<(Version, Version)> {
        let members: Vec<Arc<str>> = self.active("etcd").into_iter().filter(|h| self.stays(h)).collect();
        self.version_change(&members, |head| head.known.etcd_version.as_deref())
    }

    fn version_change(
        &self,
        hosts: &[Arc<str>],
        of: impl Fn(&Head) -> Option<&str>,
    ) -> Option<(Version, Version)> {
        let read = |head: Option<&Head>| Version::parse(of(head?)?.trim_start_matches('v'));
        let both = |h: &Arc<str>| {
            let host = self.hosts.get(h)?;
            Some((read(host.old.as_ref())?, read(host.new.as_ref())?))
        };
        hosts.iter().filter_map(both).find(|(from, to)| from != to)
    }

    fn refuse_skew(&mut self, what: &str, from: Version, to: Version, down: &str) {
        if to < from {
            self.rollout.refused.push(format!("{what} {from} to {to}: {down}; build with {from} or newer"));
        } else if to.minor > from.minor + 1 {
            self.rollout.refused.push(format!(
                "{what} {from} to {to}: it goes up one minor at a time; build and roll out {}.{} first",
                from.major,
                from.minor + 1
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
