//! Fills the model of a host: its own entry laid over its group, its roles, and the defaults.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::artifacts::{ArtifactSets, Target};
use super::decode::{host_name, text_of};
use super::findings::{finding, missing};
use super::places::Places;
use super::suggest::nearest;
use super::text::{names, network, quantity};
use super::user_files::UserFiles;
use super::view::{View, arguments, foreign, items, texts};
use crate::diag::{Code, Diagnostic, Report};
use crate::load::tree::{Node, Value};
use crate::model::{
    Artifacts, Host, HostAddresses, HostState, KeyedText, Layer, Layered, Patch, Role, Ssh, Taint,
    UserContent, UserFile,
};
use crate::schema::{self, HOST};
use crate::source::Span;
use crate::value;

/// What all hosts of a cluster share.
pub struct Hosts<'a> {
    /// `cluster.domain`.
    pub domain: String,
    /// `cluster.nodeName` is `short`.
    pub short_node_names: bool,
    /// The user's files.
    pub files: UserFiles,
    /// Packages and programs.
    artifacts: ArtifactSets,
    /// False when something that is written is not in the tree.
    pub complete: bool,
    layers: LayerNodes<'a>,
    named: HashMap<Membership, Arc<[String]>>,
}

/// A host's roles and group, which decide its layers.
type Membership = (Vec<Role>, Option<String>);

/// The maps under `defaults`, `roles` and `groups`.
struct LayerNodes<'a> {
    defaults: Option<&'a Node>,
    roles: BTreeMap<Role, &'a Node>,
    groups: HashMap<&'a str, &'a Node>,
}

/// A host's layers, lowest first, its own entry last.
struct Stack<'a> {
    layers: Vec<(Layer, &'a Node)>,
}

impl<'a> Stack<'a> {
    /// What each layer says about a key, lowest first.
    fn all(&self, key: &str) -> impl Iterator<Item = (Layer, &'a Node)> {
        debug_assert!(schema::find(HOST, key).is_some(), "{key} is not described");
        let found: Vec<_> = self
            .layers
            .iter()
            .filter_map(|(layer, node)| Some((*layer, &node.get(key)?.value)))
            .filter(|(_, node)| !matches!(node.value, Value::Null))
            .collect();
        found.into_iter()
    }

    /// What the highest layer says that says anything.
    fn top(&self, key: &str) -> Option<(Layer, &'a Node)> {
        self.all(key).last()
    }

    /// A text by its reader, of the highest layer that says it.
    fn read<T>(&self, key: &str, read: impl Fn(&str) -> super::text::Read<T>) -> Option<T> {
        read(&text_of(self.top(key)?.1, true)?).ok()
    }

    /// Text by key, merged.
    fn texts(&self, key: &str) -> Layered<KeyedText> {
        let mut merged = Layered { value: KeyedText::new(), from: Layer::Builtin };
        for (layer, node) in self.all(key) {
            merged.value.extend(texts(node));
            if !node.entries().is_empty() {
                merged.from = layer;
            }
        }
        merged
    }

    /// A map for another program, merged.
    fn foreign(&self, key: &str) -> Layered<value::Value> {
        let mut merged = Layered { value: value::Value::map(), from: Layer::Builtin };
        for (layer, node) in self.all(key).filter(|(_, node)| !node.entries().is_empty()) {
            merged.value.merge(&foreign(node));
            merged.from = layer;
        }
        merged.value = merged.value.sorted();
        merged
    }

    /// Flags, merged by name.
    fn arguments(&self, key: &str) -> Vec<(String, String)> {
        let mut merged: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (_, node) in self.all(key) {
            merged.extend(arguments(node));
        }
        let repeat = |(name, values): (String, Vec<String>)| {
            values.into_iter().map(move |value| (name.clone(), value))
        };
        merged.into_iter().flat_map(repeat).collect()
    }
}

impl<'a> Hosts<'a> {
    /// Takes what the hosts share from the top of a tree.
    pub fn new(top: View<'a>, files: UserFiles, artifacts: ArtifactSets, complete: bool) -> Hosts<'a> {
        let cluster = top.child("cluster");
        let entries = |key| top.node(key).map(Node::entries).unwrap_or_default();
        Hosts {
            domain: cluster.read("domain", names::dns_name).unwrap_or_else(|| "invalid".to_owned()),
            short_node_names: cluster.word("nodeName") == "short",
            files,
            artifacts,
            complete,
            layers: LayerNodes {
                defaults: top.node("defaults"),
                roles: entries("roles")
                    .iter()
                    .filter_map(|entry| Some((Role::parse(&entry.key.value)?, &entry.value)))
                    .collect(),
                groups: entries("groups")
                    .iter()
                    .map(|entry| (entry.key.value.as_str(), &entry.value))
                    .collect(),
            },
            named: HashMap::new(),
        }
    }

    /// Reads every host, sorted by FQDN.
    pub fn read(&mut self, list: &'a [Node], places: &mut Places, report: &mut Report) -> Vec<Host> {
        let mut hosts: Vec<Host> =
            list.iter().enumerate().map(|(number, node)| self.host(node, number, places, report)).collect();
        // Hosts of one FQDN keep the order of the documents; a rule reports them.
        hosts.sort_by(|a, b| a.fqdn.cmp(&b.fqdn));
        hosts
    }

    fn host(&mut self, node: &'a Node, number: usize, places: &mut Places, report: &mut Report) -> Host {
        let (name, at) = host_name(node, number);
        let path = format!("hosts.{name}");
        let own = View::new(Some(node), HOST);
        let roles = self.roles(own, &path, at, places, report);
        let group = self.group(own, &path, places, report);
        let stack = self.stack(node, &roles, group.as_deref());
        let layers = self.layer_names(&roles, group.as_ref());
        if !layers.is_empty() {
            places.inherit(path.clone(), layers);
        }
        let domain = stack.read("domain", names::dns_name).unwrap_or_else(|| self.domain.clone());
        let fqdn = format!("{name}.{domain}");
        let node_name = own
            .written("nodeName", names::dns_name)
            .unwrap_or_else(|| if self.short_node_names { name.clone() } else { fqdn.clone() });
        let addresses = self.addresses(own, &path, at, places, report);
        let ssh = ssh(own, &stack, &addresses, &path, places, report);
        let state = if own.word("state") == "retired" { HostState::Retired } else { HostState::Active };
        let artifacts = match state {
            HostState::Retired => Artifacts::default(),
            HostState::Active => {
                let arch = stack.top("arch").and_then(|(_, node)| Some((text_of(node, false)?, node.span)));
                let arch = arch.as_ref().map(|(text, span)| (text.as_str(), *span));
                let target = Target { name: &name, roles: &roles, group: group.as_deref(), arch };
                self.artifacts.of(&target, report)
            }
        };
        Host {
            fqdn,
            node_name,
            zone: stack.read("zone", names::label_value).filter(|zone| !zone.is_empty()),
            interface: stack.read("interface", names::interface),
            state,
            labels: stack.texts("labels").value,
            taints: stack.top("taints").map(|(_, node)| items(node).iter().filter_map(taint).collect()),
            kubelet: stack.foreign("kubelet"),
            sysctls: stack.texts("sysctls"),
            files: self.user_files(&stack),
            patches: self.patches(&stack),
            image_pull_policy: stack
                .top("imagePullPolicy")
                .and_then(|(_, node)| text_of(node, false))
                .unwrap_or_else(|| "IfNotPresent".to_owned()),
            image_pull_serial: stack.top("imagePullSerial").and_then(|(_, node)| match node.value {
                Value::Bool(serial) => Some(serial),
                _ => None,
            }),
            artifacts,
            kubelet_extra_args: stack.arguments("kubeletExtraArgs"),
            ignore_preflight_errors: stack
                .top("ignorePreflightErrors")
                .map(|(_, node)| items(node).iter().filter_map(|item| text_of(item, false)).collect())
                .unwrap_or_default(),
            name,
            roles,
            group,
            addresses,
            ssh,
        }
    }

    /// Entries of `artifacts` that name a group or host that is not there.
    pub fn judge_artifacts(&self, node: Option<&Node>, list: &[Node], report: &mut Report) {
        let groups: Vec<&str> = self.layers.groups.keys().copied().collect();
        let names: Vec<String> =
            list.iter().enumerate().map(|(number, node)| host_name(node, number).0).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.artifacts.judge_names(node, &groups, &names, report);
    }

    fn roles(
        &self,
        own: View<'_>,
        path: &str,
        at: Span,
        places: &mut Places,
        report: &mut Report,
    ) -> Vec<Role> {
        let mut roles: Vec<Role> = own
            .items("roles")
            .iter()
            .filter_map(|item| match &item.value {
                Value::Scalar { text, .. } => Role::parse(text),
                _ => None,
            })
            .collect();
        roles.sort();
        roles.dedup();
        if let Some(Node { value: Value::List(items), span }) = own.node("roles")
            && items.is_empty()
        {
            let span = if span.start == span.end { at } else { *span };
            report.push(
                Diagnostic::error(Code::EmptyList, format!("`{path}.roles` is an empty list"))
                    .at(span, "")
                    .reason("a host without a role gets nothing")
                    .help("add etcd, load-balancer, control-plane or worker, or remove the host"),
            );
            places.mark_unsound(format!("{path}.roles"));
        }
        roles
    }

    fn group(&self, own: View<'_>, path: &str, places: &mut Places, report: &mut Report) -> Option<String> {
        let group = own.written("group", names::label)?;
        if !self.layers.groups.contains_key(group.as_str()) && self.complete {
            let mut known: Vec<&str> = self.layers.groups.keys().copied().collect();
            known.sort_unstable();
            let help = match nearest(&group, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("add `{group}: {{}}` to `groups`"),
            };
            let place = format!("{path}.group");
            if let Some(span) = places.at(&place) {
                report.push(
                    Diagnostic::error(Code::UnknownGroup, format!("there is no group `{group}`"))
                        .at(span, "")
                        .reason("a host takes settings from the entry of `groups` that it names")
                        .help(help),
                );
            }
            places.mark_unsound(place);
        }
        Some(group)
    }

    fn stack(&self, node: &'a Node, roles: &[Role], group: Option<&str>) -> Stack<'a> {
        let mut layers = Vec::new();
        layers.extend(self.layers.defaults.map(|node| (Layer::Defaults, node)));
        layers.extend(roles.iter().filter_map(|role| Some((Layer::Role, *self.layers.roles.get(role)?))));
        layers.extend(group.and_then(|group| Some((Layer::Group, *self.layers.groups.get(group)?))));
        layers.push((Layer::Host, node));
        Stack { layers }
    }

    /// The paths of a host's layers, the latest first; one list for all hosts alike.
    fn layer_names(&mut self, roles: &[Role], group: Option<&String>) -> Arc<[String]> {
        let key = (roles.to_vec(), group.cloned());
        if let Some(names) = self.named.get(&key) {
            return names.clone();
        }
        let mut names = Vec::new();
        names.extend(
            group
                .filter(|group| self.layers.groups.contains_key(group.as_str()))
                .map(|group| format!("groups.{group}")),
        );
        let known = roles.iter().rev().filter(|role| self.layers.roles.contains_key(role));
        names.extend(known.map(|role| format!("roles.{}", role.as_str())));
        names.extend(self.layers.defaults.map(|_| "defaults".to_owned()));
        self.named.entry(key).or_insert(names.into()).clone()
    }

    fn addresses(
        &self,
        own: View<'_>,
        path: &str,
        at: Span,
        places: &mut Places,
        report: &mut Report,
    ) -> HostAddresses {
        let by_use = own.child("addresses");
        let (mut place, mut node) = (format!("{path}.address"), own.node("address"));
        match (node, by_use.node("cluster")) {
            (Some(one), Some(other)) => {
                report.push(
                    Diagnostic::error(Code::Exclusive, "`address` and `addresses.cluster` are both set")
                        .at(other.span, "the cluster's address")
                        .also(one.span, "and here")
                        .reason("they mean the same")
                        .help("keep one of them"),
                );
                places.mark_unsound(place.clone());
            }
            (None, Some(other)) => {
                place = format!("{path}.addresses.cluster");
                // Rules point at `address`.
                places.put(format!("{path}.address"), other.span);
                node = Some(other);
            }
            (None, None) => {
                if self.complete
                    && places.is_sound(&place)
                    && let Some(key) = schema::find(HOST, "address")
                {
                    report.push(missing(&place, key, at));
                }
                places.mark_unsound(place.clone());
            }
            (Some(_), None) => {}
        }
        let written = node.map(items).unwrap_or_default();
        let read: Vec<IpAddr> =
            written.iter().filter_map(|item| network::address(&text_of(item, false)?).ok()).collect();
        if let Some(node) = node
            && read.len() == written.len()
            && !read.is_empty()
            && let Err(fault) = network::one_of_each(
                read.iter().copied(),
                &read.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", "),
            )
        {
            report.push(finding(fault, node.span));
            places.mark_unsound(place.clone());
        }
        if !places.is_sound(&place) {
            places.mark_unsound(format!("{path}.address"));
        }
        let cluster = if read.is_empty() { vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED)] } else { read };
        HostAddresses { cluster, etcd_peer: by_use.written("etcdPeer", network::address) }
    }

    fn patches(&self, stack: &Stack<'_>) -> Layered<Vec<Patch>> {
        let Some((from, list)) = stack.top("patches") else {
            return Layered { value: Vec::new(), from: Layer::Builtin };
        };
        let keys = schema::find(HOST, "patches").and_then(schema::Key::keys).unwrap_or_default();
        let read = |item: &Node| {
            let view = View::new(Some(item), keys);
            Some(Patch {
                target: view.word("target").into_owned(),
                kind: view.word("type").into_owned(),
                content: self.files.text_at(view.node("source")?.span)?,
            })
        };
        Layered { value: items(list).iter().filter_map(read).collect(), from }
    }

    fn user_files(&self, stack: &Stack<'_>) -> Vec<UserFile> {
        let Some((from, list)) = stack.top("files") else { return Vec::new() };
        let keys = schema::find(HOST, "files").and_then(schema::Key::keys).unwrap_or_default();
        let mut files: Vec<UserFile> = items(list)
            .iter()
            .enumerate()
            .filter_map(|(nth, item)| {
                let view = View::new(Some(item), keys);
                let content = self.files.at(view.node("source")?.span)?;
                Some(UserFile {
                    nth,
                    path: view.read("path", names::path)?,
                    mode: match (&content, view.written("mode", quantity::mode)) {
                        (UserContent::Secret(_), None) => 0o600,
                        (_, written) => {
                            written.or_else(|| view.read("mode", quantity::mode)).unwrap_or(0o600)
                        }
                    },
                    owner: view.read("owner", names::user).unwrap_or_default(),
                    group: view.read("group", names::user).unwrap_or_default(),
                    effect: view.read("effect", names::effect).flatten(),
                    content,
                    from,
                })
            })
            .collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files
    }
}

fn ssh(
    own: View<'_>,
    stack: &Stack<'_>,
    addresses: &HostAddresses,
    path: &str,
    places: &mut Places,
    report: &mut Report,
) -> Ssh {
    let keys = schema::find(HOST, "ssh").and_then(schema::Key::keys).unwrap_or_default();
    let layers: Vec<View<'_>> = stack.all("ssh").map(|(_, node)| View::new(Some(node), keys)).collect();
    let says = |key: &str| layers.iter().rev().copied().find(|view| view.node(key).is_some());
    let none = View::new(None, keys);
    let (short, by_use) = (own.child("ssh").node("address"), own.child("addresses").node("ssh"));
    if let (Some(one), Some(other)) = (short, by_use) {
        report.push(
            Diagnostic::error(Code::Exclusive, "`ssh.address` and `addresses.ssh` are both set")
                .at(other.span, "reached here")
                .also(one.span, "and here")
                .reason("they mean the same")
                .help("keep one of them"),
        );
        places.mark_unsound(format!("{path}.ssh.address"));
    }
    if let (None, Some(other)) = (short, by_use) {
        places.put(format!("{path}.ssh.address"), other.span);
        if !places.is_sound(&format!("{path}.addresses.ssh")) {
            places.mark_unsound(format!("{path}.ssh.address"));
        }
    }
    let address = own
        .child("ssh")
        .written("address", network::host_or_address)
        .or_else(|| own.child("addresses").written("ssh", network::host_or_address))
        .unwrap_or_else(|| addresses.primary().to_string());
    Ssh {
        address,
        user: says("user").unwrap_or(none).read("user", names::user).unwrap_or_default(),
        port: says("port").unwrap_or(none).number("port"),
    }
}

fn taint(node: &Node) -> Option<Taint> {
    match &node.value {
        Value::Scalar { text, .. } => names::taint(text).ok(),
        Value::Map(_) => {
            let text = |key: &str| text_of(&node.get(key)?.value, false);
            Some(Taint {
                key: text("key")?,
                value: text("value").unwrap_or_default(),
                effect: text("effect")?,
            })
        }
        _ => None,
    }
}
