//! The boxes and arrows of the cluster's page: who stands where, and who speaks to whom on which port.
//!
//! It decides what is drawn; how Mermaid writes it is the template's.

use super::{DRAWN, addresses, title};
use crate::model::{Cluster, Host, LoadBalancerMode, Role};

/// Hosts of the same roles, drawn in one frame.
pub(super) struct Group {
    pub id: String,
    pub title: String,
    pub hosts: Vec<GroupHost>,
}

/// A box.
pub(super) struct GroupHost {
    pub id: String,
    pub name: String,
    pub addresses: String,
}

/// A host is drawn once, under all of its roles together.
pub(super) fn groups(cluster: &Cluster) -> Vec<Group> {
    let mut groups: Vec<(Vec<Role>, Vec<&Host>)> = Vec::new();
    for host in &cluster.hosts {
        match groups.iter_mut().find(|(roles, _)| *roles == host.roles) {
            Some((_, hosts)) => hosts.push(host),
            None => groups.push((host.roles.clone(), vec![host])),
        }
    }
    groups.sort_by(|a, b| a.0.cmp(&b.0));
    groups
        .into_iter()
        .map(|(roles, hosts)| {
            let mut drawn: Vec<GroupHost> = hosts
                .iter()
                .take(DRAWN)
                .map(|h| GroupHost {
                    id: format!("h_{}", h.name.replace('-', "_")),
                    name: h.name.clone(),
                    addresses: addresses(h),
                })
                .collect();
            if hosts.len() > DRAWN {
                drawn.push(GroupHost {
                    id: format!("more_{}", group_id(&roles)),
                    name: format!("and {} more", hosts.len() - DRAWN),
                    addresses: "see the table".to_owned(),
                });
            }
            Group {
                id: group_id(&roles),
                title: roles.iter().map(|r| title(*r)).collect::<Vec<_>>().join(" + "),
                hosts: drawn,
            }
        })
        .collect()
}

fn group_id(roles: &[Role]) -> String {
    roles.iter().map(|r| r.as_str().replace('-', "_")).collect::<Vec<_>>().join("__")
}

/// The arrows, in Mermaid's words.
pub(super) fn edges(cluster: &Cluster) -> Vec<String> {
    let ids = |role: Role| {
        let mut found: Vec<String> = cluster.with_role(role).map(|h| group_id(&h.roles)).collect();
        found.sort();
        found.dedup();
        found
    };
    let mut edges = std::collections::BTreeSet::new();
    let k = &cluster.kubernetes;
    let balanced = cluster.load_balancer.mode == LoadBalancerMode::Keepalived;
    for entry in ids(if balanced { Role::LoadBalancer } else { Role::ControlPlane }) {
        edges.insert(format!("endpoint --> {entry}"));
    }
    let mut link = |from: Vec<String>, to: Vec<String>, port: u16| {
        for a in &from {
            for b in &to {
                if a != b {
                    edges.insert(format!("{a} -- \"{port}\" --> {b}"));
                }
            }
        }
    };
    if balanced {
        link(ids(Role::LoadBalancer), ids(Role::ControlPlane), k.bind_port);
    }
    link(ids(Role::ControlPlane), ids(Role::Etcd), cluster.etcd.client_port);
    for worker in ids(Role::Worker) {
        if !ids(Role::ControlPlane).contains(&worker) {
            edges.insert(format!("{worker} --> endpoint"));
        }
    }
    edges.into_iter().collect()
}
