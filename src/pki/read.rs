//! Reads certificates: the only file that names the parser. What it answers is enough to compare two certificates
//! and to judge one; it judges nothing itself.

pub mod authority;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use time::OffsetDateTime;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::sealed::{hex, sha256_hex};
use super::{key, p521};

/// A text is no certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Not one PEM block `CERTIFICATE`.
    #[error("is no certificate in PEM form")]
    NotPem,
    /// The DER inside cannot be read.
    #[error("is no X.509 certificate: {0}")]
    NotX509(String),
}

/// What is in a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertSummary {
    /// Raw DER of the subject.
    pub subject: Vec<u8>,
    /// The subject for people.
    pub subject_text: String,
    /// Raw DER of the issuer.
    pub issuer: Vec<u8>,
    /// The issuer for people.
    pub issuer_text: String,
    /// The serial number's bytes in hexadecimal.
    pub serial: String,
    /// SHA-256 of the SPKI, hexadecimal.
    pub spki_sha256: String,
    /// First second.
    pub not_before: OffsetDateTime,
    /// Last second.
    pub not_after: OffsetDateTime,
    /// DNS names.
    pub dns_sans: BTreeSet<String>,
    /// Addresses.
    pub ip_sans: BTreeSet<IpAddr>,
    /// Names of other kinds, as the parser shows them.
    pub other_sans: Vec<String>,
    /// Key usages, by RFC 5280's names.
    pub key_usage: Option<Critical<BTreeSet<&'static str>>>,
    /// Extended key usages: RFC 5280's names, OIDs for others.
    pub extended_key_usage: Option<Critical<BTreeSet<String>>>,
    /// Whether it is a CA, and how long a path may follow.
    pub basic_constraints: Option<Critical<BasicConstraints>>,
    /// Subject key identifier, hexadecimal.
    pub subject_key_id: Option<String>,
    /// Authority key identifier, hexadecimal.
    pub authority_key_id: Option<String>,
    /// OIDs of all other extensions.
    pub other_extensions: BTreeSet<String>,
}

/// An extension's value and whether it is critical.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Critical<T> {
    /// Whether a reader that does not know it must refuse the certificate.
    pub critical: bool,
    /// The value.
    pub value: T,
}

/// basicConstraints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BasicConstraints {
    /// cA.
    pub ca: bool,
    /// pathLenConstraint.
    pub path_len: Option<u32>,
}

/// The DER of the one certificate in a PEM text.
///
/// # Errors
/// When it is not one `CERTIFICATE`.
pub fn der(pem_text: &str) -> Result<Vec<u8>, ReadError> {
    let block = pem::parse(pem_text).map_err(|_| ReadError::NotPem)?;
    if block.tag() != "CERTIFICATE" {
        return Err(ReadError::NotPem);
    }
    Ok(block.into_contents())
}

/// A certificate as PEM.
pub fn pem(der: &[u8]) -> String {
    let block = pem::Pem::new("CERTIFICATE", der);
    pem::encode_config(&block, pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF))
}

/// Reads a certificate in DER.
///
/// # Errors
/// When it cannot be parsed, or something follows it.
pub fn summary(der: &[u8]) -> Result<CertSummary, ReadError> {
    let cert = parse(der)?;
    let instant = |t: x509_parser::time::ASN1Time| t.to_datetime();
    let mut summary = CertSummary {
        subject: cert.subject().as_raw().to_vec(),
        subject_text: cert.subject().to_string(),
        issuer: cert.issuer().as_raw().to_vec(),
        issuer_text: cert.issuer().to_string(),
        serial: hex(cert.raw_serial()),
        spki_sha256: key::fingerprint(cert.public_key().raw),
        not_before: instant(cert.validity().not_before),
        not_after: instant(cert.validity().not_after),
        dns_sans: BTreeSet::new(),
        ip_sans: BTreeSet::new(),
        other_sans: Vec::new(),
        key_usage: None,
        extended_key_usage: None,
        basic_constraints: None,
        subject_key_id: None,
        authority_key_id: None,
        other_extensions: BTreeSet::new(),
    };
    for extension in cert.extensions() {
        let critical = extension.critical;
        match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(san) => {
                san.general_names.iter().for_each(|name| add_name(&mut summary, name));
            }
            ParsedExtension::KeyUsage(ku) => {
                let named = [
                    (ku.digital_signature(), "digitalSignature"),
                    (ku.non_repudiation(), "nonRepudiation"),
                    (ku.key_encipherment(), "keyEncipherment"),
                    (ku.data_encipherment(), "dataEncipherment"),
                    (ku.key_agreement(), "keyAgreement"),
                    (ku.key_cert_sign(), "keyCertSign"),
                    (ku.crl_sign(), "cRLSign"),
                    (ku.encipher_only(), "encipherOnly"),
                    (ku.decipher_only(), "decipherOnly"),
                ];
                let value = named.into_iter().filter(|(on, _)| *on).map(|(_, name)| name).collect();
                summary.key_usage = Some(Critical { critical, value });
            }
            ParsedExtension::ExtendedKeyUsage(eku) => {
                let named = [
                    (eku.any, "anyExtendedKeyUsage"),
                    (eku.server_auth, "serverAuth"),
                    (eku.client_auth, "clientAuth"),
                    (eku.code_signing, "codeSigning"),
                    (eku.email_protection, "emailProtection"),
                    (eku.time_stamping, "timeStamping"),
                    (eku.ocsp_signing, "OCSPSigning"),
                ];
                let known = named.into_iter().filter(|(on, _)| *on).map(|(_, name)| name.to_owned());
                let value = known.chain(eku.other.iter().map(|oid| oid.to_id_string())).collect();
                summary.extended_key_usage = Some(Critical { critical, value });
            }
            ParsedExtension::BasicConstraints(bc) => {
                let value = BasicConstraints { ca: bc.ca, path_len: bc.path_len_constraint };
                summary.basic_constraints = Some(Critical { critical, value });
            }
            ParsedExtension::SubjectKeyIdentifier(id) => summary.subject_key_id = Some(hex(id.0)),
            ParsedExtension::AuthorityKeyIdentifier(aki) => {
                summary.authority_key_id = aki.key_identifier.as_ref().map(|id| hex(id.0));
            }
            _ => {
                summary.other_extensions.insert(extension.oid.to_id_string());
            }
        }
    }
    Ok(summary)
}

/// What a summary has no name for; enough to see that two certificates are not the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remainder {
    /// SHA-256 of the whole DER, hexadecimal.
    pub sha256: String,
    /// OID of the signature's algorithm.
    pub signature_algorithm: String,
    /// By OID, each extension that the parser does not know: whether it is critical, and its value in hexadecimal (its
    /// SHA-256 if it is long).
    pub extensions: BTreeMap<String, Critical<String>>,
}

/// Reads what [`summary`] leaves out.
///
/// # Errors
/// Those of [`summary`].
pub fn remainder(der: &[u8]) -> Result<Remainder, ReadError> {
    let cert = parse(der)?;
    let known = |extension: &ParsedExtension<'_>| {
        matches!(
            extension,
            ParsedExtension::SubjectAlternativeName(_)
                | ParsedExtension::KeyUsage(_)
                | ParsedExtension::ExtendedKeyUsage(_)
                | ParsedExtension::BasicConstraints(_)
                | ParsedExtension::SubjectKeyIdentifier(_)
                | ParsedExtension::AuthorityKeyIdentifier(_)
        )
    };
    let others = cert.extensions().iter().filter(|extension| !known(extension.parsed_extension()));
    let value = |bytes: &[u8]| {
        if bytes.len() <= 32 { hex(bytes) } else { format!("sha256:{}", sha256_hex(bytes)) }
    };
    Ok(Remainder {
        sha256: sha256_hex(der),
        signature_algorithm: cert.signature_algorithm.algorithm.to_id_string(),
        extensions: others
            .map(|extension| {
                let value = Critical { critical: extension.critical, value: value(extension.value) };
                (extension.oid.to_id_string(), value)
            })
            .collect(),
    })
}

/// Whether a certificate's signature was made by the key of another (or its own).
///
/// # Errors
/// When one cannot be parsed.
pub fn is_signed_by(der: &[u8], issuer: &[u8]) -> Result<bool, ReadError> {
    let (cert, issuer) = (parse(der)?, parse(issuer)?);
    let key = issuer.public_key();
    // ring knows no P-521, so its signatures are asked for elsewhere.
    let (body, signature) = (cert.tbs_certificate.as_ref(), &cert.signature_value.data);
    let hash = p521::Hash::of_signature(&cert.signature_algorithm.algorithm.to_id_string());
    Ok(cert.verify_signature(Some(key)).is_ok()
        || hash.is_some_and(|hash| p521::verify(hash, &key.subject_public_key.data, body, signature)))
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, ReadError> {
    let (rest, cert) = X509Certificate::from_der(der).map_err(|e| ReadError::NotX509(e.to_string()))?;
    if rest.is_empty() { Ok(cert) } else { Err(ReadError::NotX509("something follows it".to_owned())) }
}

fn add_name(summary: &mut CertSummary, name: &GeneralName<'_>) {
    match name {
        GeneralName::DNSName(dns) => {
            summary.dns_sans.insert((*dns).to_owned());
        }
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(|b| IpAddr::V4(Ipv4Addr::from(b)));
            let v6 = || <[u8; 16]>::try_from(*bytes).map(|b| IpAddr::V6(Ipv6Addr::from(b)));
            match v4.or_else(|_| v6()) {
                Ok(ip) => {
                    summary.ip_sans.insert(ip);
                }
                Err(_) => summary.other_sans.push(name.to_string()),
            }
        }
        other => summary.other_sans.push(other.to_string()),
    }
}
