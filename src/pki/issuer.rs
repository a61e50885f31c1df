//! A certificate under its CA's name, byte by byte.
//!
//! A verifier compares a certificate's issuer with its CA's subject (RFC 5280 section 6.1.3 (a)(4)). The library that makes
//! certificates keeps a name as a map: of `DC=com, DC=example` one half is lost, of a T61String or a multi-valued
//! RDN the kind. So it drafts the certificate, the name is put in as it stands in the CA, and the result is signed here. It also knows no
//! P-521. Every certificate is judged afterwards like any other.

use rcgen::{CertificateParams, Issuer, KeyIdMethod, PublicKeyData, SignatureAlgorithm};

use super::der;
use crate::model::KeyAlgorithm;

/// SEQUENCE.
const SEQUENCE: u8 = 0x30;

/// What a CA's certificate says that those it signs repeat.
pub(super) struct Named<'a> {
    /// Raw DER of its subject.
    pub subject: &'a [u8],
    /// Its subject key identifier, where it has one.
    pub key_id: Option<&'a [u8]>,
    /// What its key is.
    pub algorithm: KeyAlgorithm,
}

/// A certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum SignError {
    /// The library refused to draft it.
    #[error(transparent)]
    Draft(#[from] rcgen::Error),
    /// The draft is not what a certificate looks like.
    #[error("the draft cannot be read")]
    Shape,
    /// The key did not sign.
    #[error("the CA's key cannot sign")]
    Key,
}

/// Stands for the CA while a certificate is drafted; what it signs is thrown away.
struct Draft<'a, K>(&'a K);

impl<K: PublicKeyData> PublicKeyData for Draft<'_, K> {
    fn der_bytes(&self) -> &[u8] {
        self.0.der_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.0.algorithm()
    }
}

impl<K: PublicKeyData> rcgen::SigningKey for Draft<'_, K> {
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(Vec::new())
    }
}

/// Makes a certificate for a public key; `sign` signs with the CA's key. Answers its DER.
pub(super) fn certify(
    mut params: CertificateParams,
    key: &impl PublicKeyData,
    ca: &Named<'_>,
    sign: impl FnOnce(&[u8]) -> Option<Vec<u8>>,
) -> Result<Vec<u8>, SignError> {
    let mut issuer = CertificateParams::default();
    match ca.key_id {
        Some(id) => issuer.key_identifier_method = KeyIdMethod::PreSpecified(id.to_vec()),
        // RFC 5280 section 4.2.1.1 asks for the identifier, but there is none to repeat.
        None => params.use_authority_key_identifier_extension = false,
    }
    let draft = params.signed_by(key, &Issuer::new(issuer, Draft(key)))?;
    let body = of_draft(draft.der(), ca).ok_or(SignError::Shape)?;
    let signature = sign(&body).ok_or(SignError::Key)?;
    let bits = der::write(0x03, &[&[0], &signature]);
    Ok(der::write(SEQUENCE, &[&body, signed_with(ca.algorithm), &bits]).to_vec())
}

/// The TBSCertificate of a draft with the CA's name and the CA's way of signing (RFC 5280 section 4.1).
fn of_draft(draft: &[u8], ca: &Named<'_>) -> Option<Vec<u8>> {
    let (certificate, _) = der::read(draft)?;
    let (body, _) = der::read(certificate.content)?;
    let fields = der::all(body.content)?;
    let [version, serial, _signed_with, _issuer, rest @ ..] = &fields[..] else { return None };
    // An explicit version, or the fields would be others.
    if version.tag != 0xa0 {
        return None;
    }
    let mut parts = vec![version.whole, serial.whole, signed_with(ca.algorithm), ca.subject];
    parts.extend(rest.iter().map(|field| field.whole));
    Some(der::write(SEQUENCE, &parts).to_vec())
}

/// DER of the AlgorithmIdentifier of a signature: ecdsa-with-SHA256, -SHA384, -SHA512 (RFC 5758 section 3.2),
/// sha256WithRSAEncryption (RFC 4055 section 5).
fn signed_with(algorithm: KeyAlgorithm) -> &'static [u8] {
    match algorithm {
        KeyAlgorithm::P256 => b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02",
        KeyAlgorithm::P384 => b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03",
        KeyAlgorithm::P521 => b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x04",
        KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => {
            b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00"
        }
    }
}
