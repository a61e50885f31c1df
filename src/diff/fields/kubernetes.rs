//! Reads YAML: kubeadm's, the kubelet's and kube-proxy's documents with what their lists mean, others as they are.

use std::collections::{BTreeMap, BTreeSet};

use super::Unread;
use super::tree::{Kind, Node, Parts, Step};
use super::yaml::{Raw, documents};

/// What the members of a list are to its reader.
#[derive(Debug, Clone, Copy)]
enum Members {
    /// Texts whose order and repetition mean nothing.
    Set,
    /// `name` and `value`; those of one name keep their order (kubeadm v1beta4's Arg), or a map (v1beta3).
    Arguments,
    /// Maps that these fields identify together.
    Keyed(&'static [&'static str]),
}

/// Lists by the field they stand in. Sources: kubeadm.k8s.io/v1beta4 (Arg, HostPathMount, EnvVar, certSANs),
/// kubelet.config.k8s.io/v1beta1, the patchMergeKeys of core/v1 for patches of pods.
fn members(field: &str) -> Option<Members> {
    Some(match field {
        "certSANs"
        | "ignorePreflightErrors"
        | "endpoints"
        | "serverCertSANs"
        | "peerCertSANs"
        | "caCertHashes"
        | "usages"
        | "groups"
        | "skipPhases"
        | "enforceNodeAllocatable"
        | "allowedUnsafeSysctls"
        | "tlsCipherSuites"
        | "nodePortAddresses"
        | "excludeCIDRs" => Members::Set,
        "extraArgs" | "kubeletExtraArgs" => Members::Arguments,
        "extraVolumes" | "extraEnvs" | "env" | "volumes" | "containers" | "initContainers"
        | "imagePullSecrets" => Members::Keyed(&["name"]),
        "volumeMounts" => Members::Keyed(&["mountPath"]),
        "taints" | "registerWithTaints" => Members::Keyed(&["key", "effect"]),
        "reservedMemory" => Members::Keyed(&["numaNode"]),
        _ => return None,
    })
}

/// Reads a stream of documents, each known by its kind.
pub(super) fn read(text: &str) -> Result<Node, Unread> {
    stream(text, &members)
}

/// Reads YAML of which nothing is known.
pub(super) fn plain(text: &str) -> Result<Node, Unread> {
    stream(text, &|_| None)
}

fn stream(text: &str, rules: &dyn Fn(&str) -> Option<Members>) -> Result<Node, Unread> {
    let documents = documents(text)?;
    if let [only] = documents.as_slice()
        && kind(only).is_none()
    {
        return Ok(node(only, "", rules));
    }
    let mut parts = Parts::default();
    for mut document in documents {
        let kind = kind(&document);
        if let (Some(_), Raw::Map(entries)) = (&kind, &mut document) {
            entries.remove("kind");
        }
        let step = Step::new(kind.unwrap_or_else(|| "document".to_owned()));
        parts.repeat(step, node(&document, "", rules));
    }
    Ok(parts.into_node())
}

/// What a document is: its kind, and its name if it is an object.
fn kind(document: &Raw) -> Option<String> {
    let kind = document.get("kind")?.scalar()?;
    let metadata = document.get("metadata");
    let of = |field| metadata.and_then(|metadata| metadata.get(field)).and_then(Raw::scalar);
    Some(match (of("namespace"), of("name")) {
        (Some(namespace), Some(name)) => format!("{kind} {namespace}/{name}"),
        (None, Some(name)) => format!("{kind} {name}"),
        _ => kind.to_owned(),
    })
}

/// The tree of a value that is known to mean nothing special.
pub(super) fn tree(raw: &Raw) -> Node {
    node(raw, "", &|_| None)
}

fn node(raw: &Raw, field: &str, rules: &dyn Fn(&str) -> Option<Members>) -> Node {
    let special = rules(field).and_then(|members| match (members, raw) {
        (Members::Set, Raw::List(items)) => set(items),
        (Members::Arguments, Raw::List(items)) => keyed(items, &["name"], rules),
        (Members::Arguments, Raw::Map(entries)) => arguments(entries),
        (Members::Keyed(keys), Raw::List(items)) => keyed(items, keys, rules),
        _ => None,
    });
    special.unwrap_or_else(|| match raw {
        Raw::List(items) => Node::List(Kind::Items, items.iter().map(|item| node(item, "", rules)).collect()),
        Raw::Map(entries) => {
            let part = |(key, value): (&String, &Raw)| (Step::new(field_step(key)), node(value, key, rules));
            Node::Map(entries.iter().map(part).collect())
        }
        Raw::Text(text) => Node::text(text),
        Raw::Plain(text) => Node::number(text),
    })
}

/// `.field`, or `[some.other key]`.
pub(super) fn field_step(key: &str) -> String {
    let simple = |c: u8| c.is_ascii_alphanumeric() || c == b'_' || c == b'-';
    if !key.is_empty() && key.bytes().all(simple) { format!(".{key}") } else { bracketed(key) }
}

fn bracketed(key: &str) -> String {
    let odd = key.contains(['[', ']', '"']) || key.chars().any(char::is_control);
    if odd { format!("[{key:?}]") } else { format!("[{key}]") }
}

fn set(items: &[Raw]) -> Option<Node> {
    let texts = |item: &Raw| if let Raw::Text(text) = item { Some(text.clone()) } else { None };
    items.iter().map(texts).collect::<Option<BTreeSet<String>>>().map(Node::Set)
}

fn keyed(items: &[Raw], keys: &[&str], rules: &dyn Fn(&str) -> Option<Members>) -> Option<Node> {
    if items.is_empty() {
        return None;
    }
    let mut parts = Parts::default();
    for item in items {
        let Raw::Map(entries) = item else { return None };
        let mut rest = entries.clone();
        let mut names = Vec::new();
        for key in keys {
            match rest.remove(*key) {
                Some(Raw::Text(name)) => names.push(name),
                Some(Raw::Plain(name)) if name != "null" => names.push(name),
                Some(_) => return None,
                None => names.push(String::new()),
            }
        }
        let only = rest.len() <= usize::from(rest.contains_key("value"));
        let value = match rest.get("value") {
            None if only => Some(Node::text("")),
            Some(value) if only => value.leaf(),
            _ => None,
        };
        parts.repeat(
            Step::new(bracketed(&names.join(":"))),
            value.unwrap_or_else(|| node(&Raw::Map(rest), "", rules)),
        );
    }
    Some(parts.into_node())
}

fn arguments(entries: &BTreeMap<String, Raw>) -> Option<Node> {
    let mut parts = Parts::default();
    for (name, value) in entries {
        parts.repeat(Step::new(bracketed(name)), value.leaf()?);
    }
    Some(parts.into_node())
}
