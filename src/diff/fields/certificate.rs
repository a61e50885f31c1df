//! Reads certificates and public keys in PEM: by property, never by byte.

use std::collections::BTreeSet;

use time::format_description::well_known::Rfc3339;

use super::Unread;
use super::tree::{Kind, Node, Parts, Step};
use crate::pki::key::fingerprint;
use crate::pki::read::{Critical, remainder, summary};

/// RFC 7468, section 3: a boundary is a line of its own. The reader here would take one that runs into its block, and the
/// programs on a host would not, so such a text is no certificate for a comparison.
fn boundaries_stand_alone(text: &str) -> Result<(), Unread> {
    let alone = |line: &str| {
        let line = line.trim_end();
        let label = line.strip_prefix("-----BEGIN ").or_else(|| line.strip_prefix("-----END "));
        label.and_then(|rest| rest.strip_suffix("-----")).is_some_and(|label| !label.contains("-----"))
    };
    if text.lines().filter(|line| line.contains("-----")).all(alone) {
        return Ok(());
    }
    Err(Unread("a boundary of it is no line of its own"))
}

/// Reads one certificate or a chain.
pub(super) fn read(text: &str) -> Result<Node, Unread> {
    boundaries_stand_alone(text)?;
    let blocks = pem::parse_many(text).map_err(|_| Unread("it is not valid PEM"))?;
    if blocks.is_empty() || blocks.len() != text.matches("-----BEGIN ").count() {
        return Err(Unread("it holds no certificate in PEM form"));
    }
    let certificates: Result<Vec<Node>, Unread> = blocks
        .iter()
        .map(|block| match block.tag() {
            "CERTIFICATE" => certificate(block.contents()),
            _ => Err(Unread("it holds PEM blocks that are no certificates")),
        })
        .collect();
    Ok(Node::List(Kind::Chain, certificates?))
}

/// Reads one public key, or several.
pub(super) fn public_key(text: &str) -> Result<Node, Unread> {
    boundaries_stand_alone(text)?;
    let blocks = pem::parse_many(text).map_err(|_| Unread("it is not valid PEM"))?;
    let all = blocks.iter().all(|block| block.tag() == "PUBLIC KEY");
    if blocks.is_empty() || !all || text.matches("-----BEGIN ").count() != blocks.len() {
        return Err(Unread("it holds no public key in PEM form"));
    }
    let key = |block: &pem::Pem| {
        let mut parts = Parts::default();
        parts.set(Step::new(" > key"), Node::text(fingerprint(block.contents())));
        parts.into_node()
    };
    Ok(Node::List(Kind::Keys, blocks.iter().map(key).collect()))
}

/// Fingerprints of the keys of all blocks that are certificates or public keys.
pub(super) fn keys(text: &str) -> Vec<String> {
    let blocks = pem::parse_many(text).unwrap_or_default();
    let key = |block: &pem::Pem| match block.tag() {
        "PUBLIC KEY" => Some(fingerprint(block.contents())),
        "CERTIFICATE" => summary(block.contents()).ok().map(|cert| cert.spki_sha256),
        _ => None,
    };
    blocks.iter().filter_map(key).collect()
}

fn certificate(der: &[u8]) -> Result<Node, Unread> {
    const BROKEN: Unread = Unread("it holds something that is no X.509 certificate");
    let read = summary(der).map_err(|_| BROKEN)?;
    let rest = remainder(der).map_err(|_| BROKEN)?;
    let mut parts = Parts::default();
    let mut set = |name: &str, node: Node| parts.set(Step::new(format!(" > {name}")), node);
    set("notBefore", Node::text(read.not_before.format(&Rfc3339).map_err(|_| BROKEN)?));
    set("notAfter", Node::text(read.not_after.format(&Rfc3339).map_err(|_| BROKEN)?));
    set("key", Node::text(read.spki_sha256));
    set("subject", Node::text(read.subject_text));
    set("issuer", Node::text(read.issuer_text));
    set("serial", Node::text(read.serial));
    set("signature algorithm", Node::text(rest.signature_algorithm));
    if let Some(id) = read.authority_key_id {
        set("issuer key", Node::text(id));
    }
    if let Some(id) = read.subject_key_id {
        set("subject key", Node::text(id));
    }
    let dns = read.dns_sans.iter().map(|name| format!("DNS:{name}"));
    let ips = read.ip_sans.iter().map(|ip| format!("IP:{ip}"));
    let names: BTreeSet<String> = dns.chain(ips).chain(read.other_sans).collect();
    if !names.is_empty() {
        set("SAN", Node::Set(names));
    }
    if let Some(usage) = read.key_usage {
        set("keyUsage", Node::text(shown(usage.critical, usage.value.into_iter().map(str::to_owned))));
    }
    if let Some(usage) = read.extended_key_usage {
        set("extendedKeyUsage", Node::text(shown(usage.critical, usage.value)));
    }
    if let Some(Critical { critical, value }) = read.basic_constraints {
        let length = value.path_len.map(|length| format!("pathlen:{length}"));
        let ca = if value.ca { "CA:TRUE" } else { "CA:FALSE" };
        set("basicConstraints", Node::text(shown(critical, [ca.to_owned()].into_iter().chain(length))));
    }
    for (oid, Critical { critical, value }) in rest.extensions {
        set(&format!("extension {oid}"), Node::text(shown(critical, [value])));
    }
    Ok(Node::Sealed { properties: parts.into_map(), seal: format!("sha256:{}", rest.sha256) })
}

/// Values as openssl lists them, `critical` first.
fn shown(critical: bool, values: impl IntoIterator<Item = String>) -> String {
    let critical = critical.then(|| "critical".to_owned());
    critical.into_iter().chain(values).collect::<Vec<_>>().join(", ")
}
