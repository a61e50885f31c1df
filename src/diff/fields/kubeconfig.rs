//! Reads kubeconfigs: what is in them by name, and the certificates embedded in them as certificates.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::tree::{Node, Parts, Step};
use super::yaml::{Raw, documents};
use super::{Unread, certificate, kubernetes};
use crate::pki::key::fingerprint;

/// Reads one document of kind Config.
pub(super) fn read(text: &str) -> Result<Node, Unread> {
    let documents = documents(text)?;
    let [Raw::Map(entries)] = documents.as_slice() else { return Err(Unread("it is no kubeconfig")) };
    let mut parts = Parts::default();
    for (key, value) in entries {
        let (list, inner) = match key.as_str() {
            "clusters" => (value, "cluster"),
            "users" => (value, "user"),
            "contexts" => (value, "context"),
            _ => {
                parts.set(Step::new(format!(" > {key}")), kubernetes::tree(value));
                continue;
            }
        };
        let Raw::List(items) = list else { return Err(Unread("it is no kubeconfig")) };
        for item in items {
            let name = item.get("name").and_then(Raw::scalar).ok_or(Unread("it is no kubeconfig"))?;
            let Raw::Map(named) = item else { return Err(Unread("it is no kubeconfig")) };
            let mut of = Parts::default();
            for (field, value) in named.iter().filter(|(field, _)| *field != "name") {
                match value {
                    Raw::Map(fields) if field == inner => {
                        for (field, value) in fields {
                            let (step, node) = credential(field, value)?;
                            of.set(Step::new(format!(" > {step}")), node);
                        }
                    }
                    _ => of.set(Step::new(format!(" > {field}")), kubernetes::tree(value)),
                }
            }
            parts.repeat(Step::new(format!("{key}[{name}]")), of.into_node());
        }
    }
    Ok(parts.into_node())
}

/// A field of a cluster, user or context.
fn credential<'a>(field: &'a str, value: &Raw) -> Result<(&'a str, Node), Unread> {
    Ok(match field {
        "certificate-authority-data" => ("certificate authority", embedded(value)?),
        "client-certificate-data" => ("client certificate", embedded(value)?),
        "client-key-data" => ("client key", secret(value)?),
        "token" | "password" => (field, secret(value)?),
        _ => (field, kubernetes::tree(value)),
    })
}

fn embedded(value: &Raw) -> Result<Node, Unread> {
    const NO_CERTIFICATE: Unread = Unread("it embeds something that is no certificate");
    let text = value.scalar().ok_or(NO_CERTIFICATE)?;
    let pem = STANDARD.decode(text.trim()).map_err(|_| NO_CERTIFICATE)?;
    certificate::read(std::str::from_utf8(&pem).map_err(|_| NO_CERTIFICATE)?)
}

/// A placeholder as it is. Anything else would be the secret itself, of which only the digest is shown.
fn secret(value: &Raw) -> Result<Node, Unread> {
    let text = value.scalar().ok_or(Unread("it is no kubeconfig"))?;
    let symbolic = text.starts_with("<secret ") && text.ends_with('>');
    Ok(Node::text(if symbolic {
        text.to_owned()
    } else {
        format!("sha256:{}", fingerprint(text.as_bytes()))
    }))
}
