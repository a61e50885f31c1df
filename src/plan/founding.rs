//! What the ledger says after a build: founding facts, VRRP priorities, how etcd members came in.
//!
//! First assignment is by name, afterwards it stays. Pure: the random cluster id is handed in.

use std::collections::BTreeSet;

use crate::ledger::{EtcdMembership, Founding, Ledger};
use crate::model::{Cluster, ClusterState, LoadBalancerMode, PkiMode, Role};

/// The highest priority that is given; 255 means "owner of the address" (RFC 9568 section 5.2.4).
const HIGHEST_PRIORITY: u8 = 200;
/// Between two balancers, so that there is room for one in between by hand.
const PRIORITY_STEP: u8 = 10;

/// A founding fact differs from what the cluster was founded with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundingChange {
    /// The setting, as the inventory names it.
    pub setting: &'static str,
    /// What the cluster was founded with.
    pub was: String,
    /// What the inventory says now.
    pub now: String,
}

/// The ledger as this inventory needs it. `fresh_id` is 32 hexadecimal digits, used only if the cluster has no id yet.
///
/// # Errors
/// When the cluster runs and a founding fact changed.
pub fn settle(cluster: &Cluster, ledger: &Ledger, fresh_id: &str) -> Result<Ledger, Vec<FoundingChange>> {
    let mut next = ledger.clone();
    let k = &cluster.kubernetes;
    let old = ledger.founding.as_ref();
    let cluster_id = old.map_or_else(|| fresh_id.to_owned(), |f| f.cluster_id.clone());
    let founding = Founding {
        etcd_token: old.map_or_else(
            || format!("{}-{}", cluster.name, fresh_id.get(..8).unwrap_or(fresh_id)),
            |f| f.etcd_token.clone(),
        ),
        cluster_id,
        cluster_name: cluster.name.clone(),
        dns_domain: k.dns_domain.clone(),
        pod_subnet: k.pod_subnets.joined(),
        service_subnet: k.service_subnets.joined(),
        first_control_plane: first_control_plane(cluster, old),
        pki: (k.pki != PkiMode::Pregenerated).then(|| k.pki.as_str().to_owned()),
        ca_fingerprints: old.map(|f| f.ca_fingerprints.clone()).unwrap_or_default(),
    };
    if let (ClusterState::Running, Some(old)) = (cluster.state, old) {
        let changes = changes(old, &founding);
        if !changes.is_empty() {
            return Err(changes);
        }
    }
    next.founding = Some(founding);
    for host in &cluster.hosts {
        let record = next.hosts.entry(host.fqdn.clone()).or_default();
        if host.has(Role::Etcd) {
            record.etcd.get_or_insert(match cluster.state {
                ClusterState::New => EtcdMembership::Founding,
                ClusterState::Running if old.is_none() => EtcdMembership::Founding,
                ClusterState::Running => EtcdMembership::Added,
            });
        } else {
            record.etcd = None;
        }
    }
    for host in &cluster.retired {
        // A member that comes back is added like any other. Its VRRP priority stays taken.
        if let Some(record) = next.hosts.get_mut(&host.fqdn) {
            record.etcd = None;
        }
    }
    priorities(cluster, &mut next);
    Ok(next)
}

/// The first control plane runs `kubeadm init`. It stays while it is a control plane; while the cluster is new it moves
/// to the first by name when the former one is gone.
fn first_control_plane(cluster: &Cluster, old: Option<&Founding>) -> String {
    let still_there =
        old.filter(|f| cluster.with_role(Role::ControlPlane).any(|h| h.fqdn == f.first_control_plane));
    match (still_there, cluster.state, old) {
        (Some(f), _, _) => f.first_control_plane.clone(),
        // Once it runs, who came first is history, not a fact about today's hosts.
        (None, ClusterState::Running, Some(f)) => f.first_control_plane.clone(),
        _ => cluster.with_role(Role::ControlPlane).next().map(|h| h.fqdn.clone()).unwrap_or_default(),
    }
}

fn changes(old: &Founding, new: &Founding) -> Vec<FoundingChange> {
    let pki = |f: &Founding| f.pki.clone().unwrap_or_else(|| PkiMode::Pregenerated.as_str().to_owned());
    let (was, mut now) = (pki(old), pki(new));
    // Every control plane has the CAs once it has joined, so khagen may take over. Not the other way: install.sh would take
    // away what kubeadm would only bring to one that joins.
    if was == PkiMode::Kubeadm.as_str() && now == PkiMode::Pregenerated.as_str() {
        now.clone_from(&was);
    }
    let pairs = [
        ("kubernetes.pki", &was, &now),
        ("cluster.name", &old.cluster_name, &new.cluster_name),
        ("kubernetes.networking.dnsDomain", &old.dns_domain, &new.dns_domain),
        ("kubernetes.networking.podSubnet", &old.pod_subnet, &new.pod_subnet),
        ("kubernetes.networking.serviceSubnet", &old.service_subnet, &new.service_subnet),
    ];
    pairs
        .into_iter()
        .filter(|(_, was, now)| was != now)
        .map(|(setting, was, now)| FoundingChange { setting, was: was.clone(), now: now.clone() })
        .collect()
}

fn priorities(cluster: &Cluster, ledger: &mut Ledger) {
    let balancing = cluster.load_balancer.mode == LoadBalancerMode::Keepalived;
    for host in &cluster.hosts {
        if !(balancing && host.has(Role::LoadBalancer))
            && let Some(record) = ledger.hosts.get_mut(&host.fqdn)
        {
            record.vrrp_priority = None;
        }
    }
    if !balancing {
        return;
    }
    // A host that left keeps its priority in the ledger, so that nobody else gets it while it may still be advertising.
    let mut taken: BTreeSet<u8> = ledger.hosts.values().filter_map(|r| r.vrrp_priority).collect();
    for host in cluster.with_role(Role::LoadBalancer) {
        let record = ledger.hosts.entry(host.fqdn.clone()).or_default();
        if record.vrrp_priority.is_none() {
            let mut spaced = (1..=HIGHEST_PRIORITY).rev().step_by(PRIORITY_STEP.into());
            let free =
                spaced.find(|p| !taken.contains(p)).or_else(|| (1..=254).rev().find(|p| !taken.contains(p)));
            if let Some(priority) = free {
                taken.insert(priority);
                record.vrrp_priority = Some(priority);
            }
        }
    }
}
