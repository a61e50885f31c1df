//! What decides whether a certificate can be a CA of a cluster and is not in its summary: its key, how it was signed, what names
//! it may sign, and what verifiers would not understand.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use x509_parser::extensions::{GeneralName, GeneralSubtree, ParsedExtension};
use x509_parser::public_key::PublicKey;

use super::{ReadError, parse};

/// What a CA's certificate says besides its summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Details {
    /// Whether it is X.509 version 3; others have no extensions, so that nothing says what they are.
    pub version3: bool,
    /// What kind of key it certifies.
    pub key: KeyKind,
    /// OID of how it was signed itself.
    pub signed_with: String,
    /// Names that it may sign, where it says so.
    pub constraints: Option<Constraints>,
    /// OIDs of critical extensions that not every verifier of a cluster knows.
    pub unknown_critical: Vec<String>,
    /// Its common name.
    pub common_name: Option<String>,
    /// The bits of its SubjectPublicKeyInfo: a point, or an RSAPublicKey.
    pub public_bits: Vec<u8>,
}

/// What kind of key a certificate certifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA, by the OID of its curve.
    Ec(String),
    /// RSA, by bits.
    Rsa(usize),
    /// Anything else, by its OID.
    Other(String),
}

/// nameConstraints (RFC 5280 section 4.2.1.10).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Constraints {
    /// If any is of a name's kind, one must hold the name.
    pub permitted: Vec<Subtree>,
    /// None may hold the name.
    pub excluded: Vec<Subtree>,
}

/// A set of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subtree {
    /// A domain and all below it; with a dot in front only what is below it.
    Dns(String),
    /// A network: address and mask.
    Ip(IpAddr, IpAddr),
    /// Another kind, as the parser shows it.
    Other(String),
    /// E-mail addresses or URIs, which no certificate of ours has.
    Foreign,
}

/// Critical extensions that Go's verifier, OpenSSL and webpki all handle: keyUsage, subjectAltName, basicConstraints,
/// nameConstraints, extKeyUsage, authority and subject key identifier.
const KNOWN: [&str; 7] =
    ["2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.30", "2.5.29.37", "2.5.29.35", "2.5.29.14"];

/// Reads them.
///
/// # Errors
/// When the DER is no certificate.
pub fn details(der: &[u8]) -> Result<Details, ReadError> {
    let cert = parse(der)?;
    let key = cert.public_key();
    let algorithm = key.algorithm.algorithm.to_id_string();
    let curve = || key.algorithm.parameters.as_ref().and_then(|p| p.as_oid().ok()).map(|o| o.to_id_string());
    let kind = match key.parsed() {
        Ok(PublicKey::RSA(rsa)) => KeyKind::Rsa(rsa.key_size()),
        Ok(PublicKey::EC(_)) => KeyKind::Ec(curve().unwrap_or_default()),
        _ => KeyKind::Other(algorithm),
    };
    let mut constraints = None;
    let mut unknown_critical = Vec::new();
    for extension in cert.extensions() {
        let oid = extension.oid.to_id_string();
        if extension.critical && !KNOWN.contains(&oid.as_str()) {
            unknown_critical.push(oid);
        }
        if let ParsedExtension::NameConstraints(names) = extension.parsed_extension() {
            let trees = |trees: &Option<Vec<GeneralSubtree<'_>>>| -> Vec<Subtree> {
                trees.iter().flatten().map(|tree| subtree(&tree.base)).collect()
            };
            constraints = Some(Constraints {
                permitted: trees(&names.permitted_subtrees),
                excluded: trees(&names.excluded_subtrees),
            });
        }
    }
    let common_name = cert.subject().iter_common_name().next().and_then(|cn| cn.as_str().ok());
    Ok(Details {
        version3: cert.version().0 == 2,
        key: kind,
        signed_with: cert.signature_algorithm.algorithm.to_id_string(),
        constraints,
        unknown_critical,
        common_name: common_name.map(str::to_owned),
        public_bits: key.subject_public_key.data.to_vec(),
    })
}

fn subtree(name: &GeneralName<'_>) -> Subtree {
    match name {
        GeneralName::DNSName(dns) => Subtree::Dns(dns.to_ascii_lowercase()),
        GeneralName::RFC822Name(_) | GeneralName::URI(_) => Subtree::Foreign,
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 8]>::try_from(*bytes).map(|[a, b, c, d, e, f, g, h]| {
                (IpAddr::V4(Ipv4Addr::new(a, b, c, d)), IpAddr::V4(Ipv4Addr::new(e, f, g, h)))
            });
            let v6 = || {
                let (address, mask) = bytes.split_at_checked(16)?;
                let ip = |b: &[u8]| Some(IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(b).ok()?)));
                Some((ip(address)?, ip(mask)?))
            };
            match v4.ok().or_else(v6) {
                Some((address, mask)) => Subtree::Ip(address, mask),
                None => Subtree::Other(name.to_string()),
            }
        }
        other => Subtree::Other(other.to_string()),
    }
}
