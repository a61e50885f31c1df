//! A packed file's bytes as a reviewer sees them: each secret replaced by its symbol, after its fingerprint was found right.
//!
//! The one place that looks at secrets on their way to a reader. What looks like a key and is not named as one is refused,
//! since all that comes out of here is shown.

use std::sync::Arc;

use base64::Engine;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::Body;
use crate::pki::key;

/// Where a secret stands in a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    id: String,
    fingerprint: String,
    at: usize,
    length: usize,
    encoding: String,
}

impl Span {
    /// As the manifest has it.
    pub fn written(&self) -> String {
        format!(
            "{{\"id\": \"{}\", \"fingerprint\": \"{}\", \"at\": {}, \"length\": {}, \"encoding\": \"{}\"}}",
            self.id, self.fingerprint, self.at, self.length, self.encoding
        )
    }
}

/// Reads a file with the secrets that the manifest says are in it.
///
/// # Errors
/// What is wrong with it; nothing of what is in it.
pub fn read(bytes: &[u8], spans: &[Span], key: Option<&key::FingerprintKey>) -> Result<Body, String> {
    let mut text = String::new();
    let mut from = 0;
    for span in spans {
        let plain = bytes.get(from..span.at).ok_or("the manifest's secrets overlap")?;
        let end = span.at.checked_add(span.length).ok_or("the manifest's secrets overlap")?;
        let secret = bytes.get(span.at..end).ok_or("the manifest's secrets lie beyond its end")?;
        let raw = match span.encoding.as_str() {
            "raw" => Zeroizing::new(secret.to_vec()),
            "base64" => Zeroizing::new(
                base64::engine::general_purpose::STANDARD
                    .decode(secret)
                    .map_err(|_| format!("{} is no base64", span.id))?,
            ),
            other => return Err(format!("{} has the unknown encoding {other:?}", span.id)),
        };
        if raw.starts_with(b"-----BEGIN") && !is_one_block(&raw) {
            return Err(format!("{} is more than a key", span.id));
        }
        if fingerprint(&raw, key).as_deref() != Some(span.fingerprint.as_str()) {
            return Err(format!("{} is not the secret of its fingerprint", span.id));
        }
        if spans.len() == 1 && span.at == 0 && end == bytes.len() && span.encoding == "raw" {
            return Ok(Body::Secret {
                id: Arc::from(span.id.as_str()),
                fingerprint: Arc::from(span.fingerprint.as_str()),
            });
        }
        text.push_str(std::str::from_utf8(plain).map_err(|_| "is no UTF-8")?);
        text.push_str(&format!("<secret {} {}>", span.id, span.fingerprint));
        from = end;
    }
    let rest = bytes.get(from..).unwrap_or_default();
    text.push_str(std::str::from_utf8(rest).map_err(|_| "is no UTF-8")?);
    if holds_private_key(&text) {
        return Err("holds a private key of which the manifest says nothing".to_owned());
    }
    Ok(Body::Text(Arc::from(text)))
}

/// One PEM block and nothing else: a fingerprint says nothing of what stands around it.
fn is_one_block(pem: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(pem) else { return false };
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.ends_with("-----END PRIVATE KEY-----")
        && text.matches("-----BEGIN").count() == 1
        && text.matches("-----END").count() == 1
}

/// Whether a text has a key in it, in the clear or as kubeconfigs have them.
fn holds_private_key(text: &str) -> bool {
    const ENCODED: [&str; 3] =
        ["LS0tLS1CRUdJTiBQUklWQVRF", "LS0tLS1CRUdJTiBFQyBQUklW", "LS0tLS1CRUdJTiBSU0EgUFJJV"];
    let begins = |line: &str| line.trim_start().starts_with("-----BEGIN") && line.contains("PRIVATE KEY");
    text.contains("-----BEGIN") && text.lines().any(begins)
        || text.contains("LS0tLS1CRUdJTi") && ENCODED.iter().any(|e| text.contains(e))
}

/// Of a private key that of its public half; of the key of fingerprints its own; of all else an HMAC.
fn fingerprint(secret: &[u8], key: Option<&key::FingerprintKey>) -> Option<String> {
    if secret.starts_with(b"-----BEGIN") {
        return key::fingerprint_of_private_pem(secret);
    }
    let own = key::FingerprintKey::parse(secret).map(|k| k.own());
    match (own, key) {
        (Some(own), Some(key)) if own == key.own() => Some(own),
        (_, key) => key.map(|k| k.of(secret)),
    }
}
