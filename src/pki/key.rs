//! What is made from randomness: P-256 key pairs, tokens, passwords; and the fingerprints by which secrets
//! are told apart without being shown.
//!
//! All randomness comes from [`Env`]. Nothing here reads or writes a file.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use zeroize::{Zeroize, Zeroizing};

use super::sealed::{hex, sha256_hex};
use crate::env::{Env, EnvError};
use crate::secret::Secret;

/// DER of a SubjectPublicKeyInfo for P-256 up to the point itself (RFC 5480 section 2): both lengths are fixed.
const P256_SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// An uncompressed P-256 point.
const P256_POINT: usize = 65;

/// A new key, as PKCS#8 PEM, with its public half. Made once, never parsed back unless it must sign.
pub struct NewKey {
    /// PKCS#8 PEM (`PRIVATE KEY`), which kubeadm, etcd and openssl all read.
    pub pem: Secret,
    /// The public half, an uncompressed point.
    pub point: Vec<u8>,
}

/// Makes a P-256 key pair.
///
/// # Errors
/// When the system has no randomness.
pub fn generate(env: &Env) -> Result<NewKey, EnvError> {
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, env.random())
        .map_err(|_| EnvError::NoRandomness)?;
    // The document's last field is the public key (RFC 5915 section 3), so the point is its end.
    let der = document.as_ref();
    let point = der[der.len().saturating_sub(P256_POINT)..].to_vec();
    Ok(NewKey { pem: private_pem(der), point })
}

/// A key pair that can sign.
pub struct SigningKey(EcdsaKeyPair);

/// A text is no key that khagen can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not one PEM block `PRIVATE KEY`.
    #[error("is no PKCS#8 key in PEM form")]
    NotPem,
    /// ring refused it: another algorithm, or the two halves do not match.
    #[error("holds no P-256 key")]
    NotP256,
}

impl SigningKey {
    /// Reads PKCS#8 PEM. ring derives the public half anew, so a key whose halves differ is refused.
    ///
    /// # Errors
    /// When the text is no such key.
    pub fn parse(pem_text: &[u8], env_random: &dyn ring::rand::SecureRandom) -> Result<SigningKey, KeyError> {
        let block = pem::parse(pem_text).map_err(|_| KeyError::NotPem)?;
        if block.tag() != "PRIVATE KEY" {
            return Err(KeyError::NotPem);
        }
        let der = Zeroizing::new(block.into_contents());
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &der, env_random)
            .map(SigningKey)
            .map_err(|_| KeyError::NotP256)
    }

    /// The public half, an uncompressed point.
    pub fn point(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    /// Signs with SHA-256; the signature is DER.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn sign(
        &self,
        random: &dyn ring::rand::SecureRandom,
        message: &[u8],
    ) -> Result<Vec<u8>, ring::error::Unspecified> {
        self.0.sign(random, message).map(|s| s.as_ref().to_vec())
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<signing key>")
    }
}

/// DER SubjectPublicKeyInfo of a P-256 point.
pub fn spki(point: &[u8]) -> Vec<u8> {
    [&P256_SPKI_PREFIX[..], point].concat()
}

/// The fingerprint of a key: SHA-256 of its SPKI, as kubeadm's discovery hash is.
pub fn fingerprint(spki: &[u8]) -> String {
    sha256_hex(spki)
}

/// The fingerprint of a private key in PKCS#8 PEM; `None` if it is no key that khagen makes, or its halves do not match.
pub fn fingerprint_of_private_pem(pem_text: &[u8]) -> Option<String> {
    // ring asks for randomness to seed nonces of signatures; none is made here and nothing random comes out.
    let key = SigningKey::parse(pem_text, &ring::rand::SystemRandom::new()).ok()?;
    Some(fingerprint(&spki(key.point())))
}

/// The public half as PEM (`PUBLIC KEY`).
pub fn public_pem(point: &[u8]) -> String {
    pem::encode_config(
        &pem::Pem::new("PUBLIC KEY", spki(point)),
        pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF),
    )
}

/// PKCS#8 PEM, through buffers that are wiped.
fn private_pem(der: &[u8]) -> Secret {
    let mut base64 = Zeroizing::new(vec![0u8; der.len().div_ceil(3) * 4]);
    let used = STANDARD.encode_slice(der, &mut base64).unwrap_or(0);
    let mut text = Vec::with_capacity(used + used / 64 + 64);
    text.extend_from_slice(b"-----BEGIN PRIVATE KEY-----\n");
    for line in base64[..used].chunks(64) {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    text.extend_from_slice(b"-----END PRIVATE KEY-----\n");
    Secret::new(text)
}

/// The key of fingerprints: 32 bytes, written as hexadecimal.
pub struct FingerprintKey(hmac::Key);

/// What the key of fingerprints is fingerprinted by: an HMAC of this text under itself.
const OWN_LABEL: &[u8] = b"khagen fingerprint key";

impl FingerprintKey {
    /// Reads 64 hexadecimal digits. `openssl dgst -sha256 -mac HMAC -macopt hexkey:...` takes the same text.
    pub fn parse(text: &[u8]) -> Option<FingerprintKey> {
        if text.len() != 64 {
            return None;
        }
        let mut bytes = Zeroizing::new([0u8; 32]);
        for (byte, pair) in bytes.iter_mut().zip(text.chunks(2)) {
            let digit = |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok());
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(FingerprintKey(hmac::Key::new(hmac::HMAC_SHA256, &*bytes)))
    }

    /// The fingerprint of a secret that is no key pair.
    pub fn of(&self, secret: &[u8]) -> String {
        hex(hmac::sign(&self.0, secret).as_ref())
    }

    /// The fingerprint of this key itself.
    pub fn own(&self) -> String {
        self.of(OWN_LABEL)
    }
}

/// kubeadm's bootstrap token, `[a-z0-9]{6}.[a-z0-9]{16}`.
///
/// # Errors
/// When the system has no randomness.
pub fn bootstrap_token(env: &Env) -> Result<Secret, EnvError> {
    const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut text = Vec::with_capacity(23);
    pick(env, ALPHABET, 6, &mut text)?;
    text.push(b'.');
    pick(env, ALPHABET, 16, &mut text)?;
    Ok(Secret::new(text))
}

/// Eight letters and digits: keepalived's `auth_pass` is cut after eight characters.
///
/// # Errors
/// When the system has no randomness.
pub fn vrrp_password(env: &Env) -> Result<Secret, EnvError> {
    const ALPHABET: &[u8; 62] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let mut text = Vec::with_capacity(8);
    pick(env, ALPHABET, 8, &mut text)?;
    Ok(Secret::new(text))
}

/// 32 random bytes in hexadecimal.
///
/// # Errors
/// When the system has no randomness.
pub fn hmac_key(env: &Env) -> Result<Secret, EnvError> {
    let mut bytes = Zeroizing::new([0u8; 32]);
    env.fill(&mut *bytes)?;
    Ok(Secret::new(hex(&*bytes).into_bytes()))
}

/// Appends characters of an alphabet, each as likely as any other: bytes beyond its last whole multiple are drawn again.
fn pick(env: &Env, alphabet: &[u8], count: usize, into: &mut Vec<u8>) -> Result<(), EnvError> {
    let limit = 256 - 256 % alphabet.len();
    let mut pool = [0u8; 32];
    let goal = into.len() + count;
    while into.len() < goal {
        env.fill(&mut pool)?;
        let usable = pool.iter().map(|b| usize::from(*b)).filter(|b| *b < limit);
        into.extend(usable.map(|b| alphabet[b % alphabet.len()]).take(goal - into.len()));
    }
    pool.zeroize();
    Ok(())
}
