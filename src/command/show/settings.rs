//! Every setting of a cluster with its value and where it comes from: a place in a document, or a default.
//!
//! Walks the description of the keys beside the merged tree, so that a key that is described is listed.

use crate::check::decode_name;
use crate::load::tree::{Node, Value};
use crate::model::{Cluster, Host};
use crate::schema::{self, Fallback, HOST, INVENTORY, Key, Kind};
use crate::source::Span;

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It stands there.
    Written(Span),
    /// khagen's default.
    Default,
    /// It follows from other settings; the text says how.
    Derived(&'static str),
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Dotted; a host's begins with `hosts.NAME`.
    pub path: String,
    /// In one line.
    pub value: String,
    /// Where from.
    pub origin: Origin,
}

/// The settings of a cluster, without those of its hosts, in the order of the reference.
pub fn of_cluster(root: &Node, cluster: &Cluster) -> Vec<Setting> {
    let mut out = Vec::new();
    let keys =
        || INVENTORY.iter().filter(|key| !matches!(key.name, "defaults" | "roles" | "groups" | "hosts"));
    for key in keys() {
        let layers: Vec<&Node> = root.get(key.name).map(|entry| &entry.value).into_iter().collect();
        list(key.name, key, &layers, &mut out);
    }
    for setting in &mut out {
        if setting.path == "kubernetes.kubeProxy.mode" {
            cluster.kubernetes.kube_proxy_mode.as_str().clone_into(&mut setting.value);
        }
    }
    out
}

/// The settings of a host, those that it has from `defaults`, `roles` and `groups` too.
pub fn of_host(root: &Node, host: &Host) -> Vec<Setting> {
    let child = |node: &'_ Node, key: &str| node.get(key).map(|entry| entry.value.clone());
    let mut layers: Vec<Node> = Vec::new();
    if let Some(Value::List(items)) = root.get("hosts").map(|entry| &entry.value.value) {
        let own = items.iter().enumerate().find(|(number, item)| decode_name(item, *number) == host.name);
        layers.extend(own.map(|(_, item)| item.clone()));
    }
    if let Some(group) = &host.group {
        layers.extend(child(root, "groups").and_then(|groups| child(&groups, group)));
    }
    let roles = child(root, "roles");
    for role in host.roles.iter().rev() {
        layers.extend(roles.as_ref().and_then(|roles| child(roles, role.as_str())));
    }
    layers.extend(child(root, "defaults"));
    let above = format!("hosts.{}", host.name);
    let mut out = Vec::new();
    for key in HOST {
        let layers: Vec<&Node> =
            layers.iter().filter_map(|layer| Some(&layer.get(key.name)?.value)).collect();
        list(&format!("{above}.{}", key.name), key, &layers, &mut out);
    }
    let addresses = host.addresses.cluster.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let domain = host.fqdn.strip_prefix(&format!("{}.", host.name)).unwrap_or_default().to_owned();
    for setting in &mut out {
        if !matches!(setting.origin, Origin::Derived(_)) {
            continue;
        }
        let known = match setting.path.strip_prefix(&above).unwrap_or_default() {
            ".address" => addresses.clone(),
            ".addresses.ssh" | ".ssh.address" => host.ssh.address.clone(),
            ".addresses.etcdPeer" => host.addresses.peer().to_string(),
            ".domain" => domain.clone(),
            ".nodeName" => host.node_name.clone(),
            _ => continue,
        };
        setting.value = known;
    }
    out
}

/// Lists a key. `layers` are what is written under it, the one that wins first.
fn list(path: &str, key: &'static Key, layers: &[&Node], out: &mut Vec<Setting>) {
    if key.coming.is_some() {
        return;
    }
    match &key.kind {
        Kind::Map(keys) => {
            for below in *keys {
                let layers: Vec<&Node> =
                    layers.iter().filter_map(|layer| Some(&layer.get(below.name)?.value)).collect();
                list(&format!("{path}.{}", below.name), below, &layers, out);
            }
        }
        Kind::Each { .. } | Kind::Foreign(_) => {
            let mut seen = std::collections::BTreeSet::new();
            for entry in layers.iter().flat_map(|layer| layer.entries()) {
                if seen.insert(&entry.key.value) {
                    out.push(Setting {
                        path: format!("{path}.{}", entry.key.value),
                        value: flow(&entry.value),
                        origin: Origin::Written(entry.value.span),
                    });
                }
            }
        }
        // Files of all layers go to the host, each path once.
        Kind::List(_) if key.name == "files" => {
            for (number, item) in layers.iter().rev().flat_map(|layer| items(layer)).enumerate() {
                let origin = Origin::Written(item.span);
                out.push(Setting { path: format!("{path}.{number}"), value: flow(item), origin });
            }
        }
        Kind::Leaf(_) | Kind::OneOrList(_) | Kind::LeafOrMap(..) | Kind::List(_) => {
            let written = layers.iter().find(|node| !matches!(node.value, Value::Null));
            let (value, origin) = match (written, key.fallback) {
                (Some(node), _) => (flow(node), Origin::Written(node.span)),
                (None, Fallback::Value(text)) => (text.to_owned(), Origin::Default),
                (None, Fallback::Derived(how)) => (String::new(), Origin::Derived(how)),
                (None, Fallback::Absent | Fallback::Required) => return,
            };
            out.push(Setting { path: path.to_owned(), value, origin });
        }
    }
}

fn items(node: &Node) -> &[Node] {
    match &node.value {
        Value::List(items) => items,
        _ => &[],
    }
}

/// A value in one line.
fn flow(node: &Node) -> String {
    match &node.value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Scalar { text, .. } if text.is_empty() || text.chars().any(char::is_control) => {
            format!("{text:?}")
        }
        Value::Scalar { text, .. } => text.clone(),
        Value::List(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Map(entries) => {
            let entries: Vec<String> =
                entries.iter().map(|entry| format!("{}: {}", entry.key.value, flow(&entry.value))).collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

/// Whether a path is of a described key, above one, or below one that describes nothing further; for telling a slip from
/// something that is merely not set.
pub fn is_known(path: &str) -> bool {
    let wanted: Vec<&str> = path.split('.').collect();
    let mut found = false;
    schema::walk(&mut |known, key| found |= fits(known, key.keys().is_none(), &wanted));
    found
}

/// A described path, such as `hosts[].labels` or `groups.<name>.taints`, against one that was asked for. Entries of a list are
/// asked for by number, hosts by name.
fn fits(known: &str, is_leaf: bool, wanted: &[&str]) -> bool {
    let mut wanted = wanted.iter().peekable();
    for part in known.split('.') {
        let name = part.trim_end_matches("[]");
        match wanted.next() {
            None => return true,
            Some(asked) if name != *asked && name != "<name>" => return false,
            Some(_) => {}
        }
        let is_entry = |asked: &&&str| part == "hosts[]" || asked.bytes().all(|c| c.is_ascii_digit());
        if part.ends_with("[]") {
            wanted.next_if(is_entry);
        }
    }
    is_leaf || wanted.peek().is_none()
}

#[cfg(test)]
mod tests {
    use super::is_known;

    #[test]
    fn slips_are_told_from_what_is_not_set() {
        for known in [
            "kubernetes",
            "kubernetes.networking.podSubnet",
            "kubernetes.kubelet.whatever.it.has",
            "loadBalancer.vips",
            "loadBalancer.vips.0",
            "loadBalancer.vips.0.address",
            "groups.gpu.labels",
            "hosts",
            "hosts.k8setcd1",
            "hosts.k8setcd1.labels",
            "hosts.k8setcd1.roles.0",
            "artifacts.hosts.x.packages",
        ] {
            assert!(is_known(known), "{known}");
        }
        for slip in
            ["kubernetes.netwroking", "kubernetes.networking.podSubnets", "hosts.k8setcd1.lables", "x", ""]
        {
            assert!(!is_known(slip), "{slip}");
        }
    }
}
