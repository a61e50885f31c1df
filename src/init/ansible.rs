//! Hosts from an Ansible inventory, INI or YAML: names, addresses and groups, and how Ansible logs in.
//!
//! Read are host names and ranges, groups and their children, and `ansible_host`, `ip`, `access_ip`, `ansible_user`,
//! `ansible_port`. Everything else is Ansible's. Sources: Ansible's inventory guide; group names as kubespray and others
//! use them.

mod ini;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::{Machine, hosts, split_name};
use crate::diag::Report;
use crate::load;
use crate::load::tree::{Node, Value};
use crate::model::Role;
use crate::source::Sources;

/// Variables by name.
type Vars = BTreeMap<String, String>;

/// A group as written.
#[derive(Debug, Default)]
struct Group {
    hosts: Vec<String>,
    children: Vec<String>,
    vars: Vars,
}

/// An inventory as written.
#[derive(Debug, Default)]
struct Groups {
    groups: BTreeMap<String, Group>,
    /// In the order of their first mention.
    order: Vec<String>,
    vars: BTreeMap<String, Vars>,
}

impl Groups {
    fn host(&mut self, group: &str, name: &str, vars: Vars) {
        if !self.order.iter().any(|known| known == name) {
            self.order.push(name.to_owned());
        }
        let hosts = &mut self.groups.entry(group.to_owned()).or_default().hosts;
        if !hosts.iter().any(|known| known == name) {
            hosts.push(name.to_owned());
        }
        self.vars.entry(name.to_owned()).or_default().extend(vars);
    }

    /// The hosts of a group and of all below it.
    fn members<'a>(&'a self, group: &'a str, seen: &mut BTreeSet<&'a str>, out: &mut BTreeSet<&'a str>) {
        let Some(known) = self.groups.get(group).filter(|_| seen.insert(group)) else { return };
        out.extend(known.hosts.iter().map(String::as_str));
        for child in &known.children {
            self.members(child, seen, out);
        }
    }

    /// A variable of a host: its own, else of a group that it is in, else of all.
    fn var<'a>(&'a self, host: &str, name: &str) -> Option<&'a str> {
        if let Some(value) = self.vars.get(host).and_then(|vars| vars.get(name)) {
            return Some(value);
        }
        let holds = |group: &str| {
            let mut members = BTreeSet::new();
            self.members(group, &mut BTreeSet::new(), &mut members);
            members.contains(host)
        };
        let mut found = self.groups.iter().filter(|(group, known)| {
            group.as_str() != "all" && known.vars.contains_key(name) && holds(group)
        });
        let group = found.next().map(|(_, group)| group).or_else(|| self.groups.get("all"));
        group?.vars.get(name).map(String::as_str)
    }
}

fn role_of(group: &str) -> Option<Role> {
    Some(match group.to_ascii_lowercase().replace('-', "_").as_str() {
        "etcd" | "etcds" | "etcd_cluster" => Role::Etcd,
        "kube_control_plane" | "kube_master" | "kube_masters" | "control_plane" | "control_planes"
        | "controlplane" | "master" | "masters" => Role::ControlPlane,
        "kube_node" | "kube_nodes" | "node" | "nodes" | "worker" | "workers" | "kube_worker" => Role::Worker,
        "load_balancer" | "load_balancers" | "loadbalancer" | "loadbalancers" | "lb" | "haproxy"
        | "balancers" | "keepalived" => Role::LoadBalancer,
        _ => return None,
    })
}

/// What an inventory says of the cluster to be.
#[derive(Debug)]
pub struct Found {
    /// The hosts that have a role.
    pub machines: Vec<Machine>,
    /// The domain that all their names share.
    pub domain: Option<String>,
    /// The hosts that have none.
    pub without: Vec<String>,
}

/// Reads an inventory.
///
/// # Errors
/// With what is wrong, for a person.
pub fn read(text: &str) -> Result<Found, String> {
    let groups = if is_yaml(text) { yaml(text)? } else { ini::read(text)? };
    let mut roles: BTreeMap<&str, BTreeSet<Role>> = BTreeMap::new();
    for (group, role) in groups.groups.keys().filter_map(|group| Some((group, role_of(group)?))) {
        let mut members = BTreeSet::new();
        groups.members(group, &mut BTreeSet::new(), &mut members);
        for host in members {
            roles.entry(host).or_default().insert(role);
        }
    }
    if roles.is_empty() {
        let known: Vec<&str> = groups.groups.keys().map(String::as_str).collect();
        return Err(format!(
            "no group is named as one of khagen's roles (etcd, kube_control_plane, kube_node, load_balancer); there are: {}",
            if known.is_empty() { "none".to_owned() } else { known.join(", ") }
        ));
    }
    let (mut machines, mut domains, mut without) = (Vec::new(), Vec::new(), Vec::new());
    for host in &groups.order {
        let Some(roles) = roles.get(host.as_str()) else {
            without.push(host.clone());
            continue;
        };
        let var = |name| groups.var(host, name).filter(|value| !value.contains("{{"));
        let as_address = |text: &str| text.parse::<IpAddr>().ok();
        let login = var("ansible_host").or(var("ansible_ssh_host"));
        let own = as_address(host);
        let address = ["ip", "access_ip"].into_iter().find_map(|name| as_address(var(name)?));
        let Some(address) = address.or_else(|| as_address(login?)).or(own) else {
            return Err(format!(
                "`{host}` has no address: give it `ip=` or an `ansible_host=` that is one (khagen looks no name up)"
            ));
        };
        let name = own.is_none().then(|| split_name(host));
        domains.push(name.as_ref().and_then(|(_, domain)| domain.clone()));
        let roles: Vec<Role> = roles.iter().copied().collect();
        hosts::place(name.map(|(short, _)| short), address, &roles, &mut machines)?;
        if let Some(machine) = machines.iter_mut().find(|machine| machine.address == address) {
            let elsewhere = login.filter(|login| as_address(login) != Some(address));
            machine.ssh_address = elsewhere.map(str::to_owned);
            let user = var("ansible_user").or(var("ansible_ssh_user")).filter(|user| *user != "root");
            machine.ssh_user = user.map(str::to_owned);
            let port = var("ansible_port").or(var("ansible_ssh_port")).and_then(|port| port.parse().ok());
            machine.ssh_port = port.filter(|port| *port != 22);
        }
    }
    Ok(Found { machines, domain: hosts::one_domain(&domains), without })
}

/// Whether the first line that says something begins a YAML map.
fn is_yaml(text: &str) -> bool {
    let line =
        text.lines().map(str::trim_end).find(|line| !line.trim().is_empty() && !line.starts_with(['#', ';']));
    line.is_some_and(|line| {
        line == "---" || (line.ends_with(':') && !line.starts_with('[')) || line.starts_with('{')
    })
}

fn yaml(text: &str) -> Result<Groups, String> {
    let (mut sources, mut report) = (Sources::new(), Report::new());
    let root = load::document("ansible", text, &mut sources, &mut report);
    let Some(root) = root else {
        let first = report.sorted(&sources).first().map(|finding| {
            let place = finding.primary.as_ref().map(|label| sources.line_col(label.span));
            let line = place.map(|(line, _)| format!("line {line}: ")).unwrap_or_default();
            format!("{line}{}", finding.message)
        });
        return Err(first.unwrap_or_else(|| "the file is empty".to_owned()));
    };
    let mut groups = Groups::default();
    for entry in root.entries() {
        group(&entry.key.value, &entry.value, &mut groups);
    }
    Ok(groups)
}

fn group(name: &str, node: &Node, groups: &mut Groups) {
    groups.groups.entry(name.to_owned()).or_default();
    for entry in node.get("hosts").map_or(&[][..], |hosts| hosts.value.entries()) {
        for host in ini::expand(&entry.key.value) {
            groups.host(name, &host, vars(&entry.value));
        }
    }
    let own = node.get("vars").map(|entry| vars(&entry.value)).unwrap_or_default();
    groups.groups.entry(name.to_owned()).or_default().vars.extend(own);
    for entry in node.get("children").map_or(&[][..], |children| children.value.entries()) {
        groups.groups.entry(name.to_owned()).or_default().children.push(entry.key.value.clone());
        group(&entry.key.value, &entry.value, groups);
    }
}

fn vars(node: &Node) -> Vars {
    let text = |value: &Value| match value {
        Value::Scalar { text, .. } => Some(text.clone()),
        _ => None,
    };
    node.entries()
        .iter()
        .filter_map(|entry| Some((entry.key.value.clone(), text(&entry.value.value)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const INI: &str = "\
[all]
node1.lab.example.com ansible_host=203.0.113.1 ip=10.0.0.1 ansible_user=\"ops\"
node[2:3].lab.example.com
bastion ansible_host=203.0.113.9

[all:vars]
ansible_port=2222

[kube_control_plane]
node1.lab.example.com
node2.lab.example.com ansible_host=10.0.0.2 ; the second
[etcd:children]
kube_control_plane
[kube_node]
node3.lab.example.com ip=10.0.0.3
[k8s_cluster:children]
kube_control_plane
kube_node
";

    #[test]
    fn ini_and_yaml_give_the_same() {
        let Found { machines, domain, without } = read(INI).expect("an inventory");
        assert_eq!(domain.as_deref(), Some("lab.example.com"));
        assert_eq!(without, ["bastion"]);
        let shown: Vec<String> = machines
            .iter()
            .map(|m| format!("{} {} {:?} {:?}", m.name, m.address, m.roles, m.ssh_address))
            .collect();
        assert_eq!(
            shown,
            [
                "node1 10.0.0.1 [Etcd, ControlPlane] Some(\"203.0.113.1\")",
                "node2 10.0.0.2 [Etcd, ControlPlane] None",
                "node3 10.0.0.3 [Worker] None",
            ]
        );
        assert!(machines.iter().all(|m| m.ssh_port == Some(2222)));
        let yaml = "\
---
all:
  vars: {ansible_port: 2222}
  hosts:
    node1.lab.example.com: {ansible_host: 203.0.113.1, ip: 10.0.0.1, ansible_user: ops}
    node[2:3].lab.example.com:
    bastion: {ansible_host: 203.0.113.9}
  children:
    kube_control_plane:
      hosts:
        node1.lab.example.com:
        node2.lab.example.com: {ansible_host: 10.0.0.2}
    etcd: {children: {kube_control_plane: }}
    kube_node: {hosts: {node3.lab.example.com: {ip: 10.0.0.3}}}
";
        let again = read(yaml).expect("an inventory");
        assert_eq!((again.machines, again.domain, again.without), (machines, domain, without));
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        for (text, said) in [
            ("[web]\na ansible_host=10.0.0.1\n", "there are: web"),
            ("[etcd]\na\n", "`a` has no address"),
            ("[etcd\na\n", "line 1: "),
            ("all: {a: [}\n", "no group is named"),
            ("all:\n  - [\n", "line "),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
