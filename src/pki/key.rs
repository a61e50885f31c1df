//! What is made from randomness: key pairs, tokens, passwords; and the fingerprints by which secrets are told apart
//! without being shown.
//!
//! All randomness comes from [`Env`]. Nothing here reads or writes a file. The `rsa` crate makes RSA keys, which ring
//! cannot, and does nothing else with them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use ring::rand::SecureRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _,
    RSA_PKCS1_SHA256, RsaKeyPair,
};
use rsa::pkcs8::EncodePrivateKey;
use zeroize::{Zeroize, Zeroizing};

use super::der;
use super::p521::P521Key;
use super::random::Random;
use super::sealed::{hex, sha256_hex};
use crate::env::{Env, EnvError};
use crate::model::KeyAlgorithm;
use crate::secret::Secret;

/// DER of the AlgorithmIdentifier of a SubjectPublicKeyInfo: id-ecPublicKey with secp256r1, 384 or 521 (RFC 5480
/// section 2.1.1), rsaEncryption with NULL (RFC 3279 section 2.3.1).
pub(super) fn algorithm_identifier(algorithm: KeyAlgorithm) -> &'static [u8] {
    match algorithm {
        KeyAlgorithm::P256 => {
            b"\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"
        }
        KeyAlgorithm::P384 => b"\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22",
        KeyAlgorithm::P521 => b"\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x23",
        KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => {
            b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00"
        }
    }
}

/// The public half of a key pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// What it is for.
    pub algorithm: KeyAlgorithm,
    /// An uncompressed point, or DER of an RSAPublicKey: what the SPKI's bit string holds.
    pub bytes: Vec<u8>,
}

/// A new key, as PKCS#8 PEM, with its public half. Made once, never parsed back unless it must sign.
pub struct NewKey {
    /// PKCS#8 PEM (`PRIVATE KEY`), which kubeadm, etcd and openssl all read.
    pub pem: Secret,
    /// The public half.
    pub public: PublicKey,
}

/// Makes a key pair.
///
/// # Errors
/// When the system has no randomness.
pub fn generate(env: &Env, algorithm: KeyAlgorithm) -> Result<NewKey, EnvError> {
    let (curve, point) = match algorithm {
        KeyAlgorithm::P256 => (&ECDSA_P256_SHA256_ASN1_SIGNING, 65),
        KeyAlgorithm::P384 => (&ECDSA_P384_SHA384_ASN1_SIGNING, 97),
        KeyAlgorithm::Rsa2048 => return generate_rsa(env, algorithm, 2048),
        KeyAlgorithm::Rsa3072 => return generate_rsa(env, algorithm, 3072),
        KeyAlgorithm::Rsa4096 => return generate_rsa(env, algorithm, 4096),
        // Nothing asks for one: it is no choice of the inventory's.
        KeyAlgorithm::P521 => return generate(env, KeyAlgorithm::P384),
    };
    let document = EcdsaKeyPair::generate_pkcs8(curve, env.random()).map_err(|_| EnvError::NoRandomness)?;
    // The document's last field is the public key (RFC 5915 section 3), so the point is its end.
    let der = document.as_ref();
    let bytes = der[der.len().saturating_sub(point)..].to_vec();
    Ok(NewKey { pem: private_pem(der), public: PublicKey { algorithm, bytes } })
}

fn generate_rsa(env: &Env, algorithm: KeyAlgorithm, bits: usize) -> Result<NewKey, EnvError> {
    let mut random = Random::new(env.random());
    let made = rsa::RsaPrivateKey::new(&mut random, bits);
    if random.has_failed() {
        return Err(EnvError::NoRandomness);
    }
    let der = made.ok().and_then(|key| key.to_pkcs8_der().ok()).ok_or(EnvError::NoRandomness)?;
    let pair = RsaKeyPair::from_pkcs8(der.as_bytes()).map_err(|_| EnvError::NoRandomness)?;
    let bytes = pair.public_key().as_ref().to_vec();
    Ok(NewKey { pem: private_pem(der.as_bytes()), public: PublicKey { algorithm, bytes } })
}

/// A key pair that can sign.
pub struct SigningKey {
    pair: Pair,
    public: PublicKey,
}

enum Pair {
    Ecdsa(Box<EcdsaKeyPair>),
    Rsa(Box<RsaKeyPair>),
    P521(Box<P521Key>),
}

/// A text is no key that khagen can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not one PEM block `PRIVATE KEY`.
    #[error("is no PKCS#8 key in PEM form")]
    NotPem,
    /// ring refused it: another algorithm, or the two halves do not match.
    #[error(
        "holds no key that khagen can use: ECDSA P-256, P-384 or P-521, or RSA of 2048 to 4096 bits, whose halves match"
    )]
    Unusable,
}

impl SigningKey {
    /// Reads PKCS#8 PEM. ring derives the public half anew, so a key whose halves differ is refused.
    ///
    /// # Errors
    /// When the text is no such key.
    pub fn parse(pem_text: &[u8], random: &dyn SecureRandom) -> Result<SigningKey, KeyError> {
        let block = pem::parse(pem_text).map_err(|_| KeyError::NotPem)?;
        if block.tag() != "PRIVATE KEY" {
            return Err(KeyError::NotPem);
        }
        let der = Zeroizing::new(block.into_contents());
        for (algorithm, curve) in [
            (KeyAlgorithm::P256, &ECDSA_P256_SHA256_ASN1_SIGNING),
            (KeyAlgorithm::P384, &ECDSA_P384_SHA384_ASN1_SIGNING),
        ] {
            if let Ok(pair) = EcdsaKeyPair::from_pkcs8(curve, &der, random) {
                let bytes = pair.public_key().as_ref().to_vec();
                return Ok(SigningKey {
                    pair: Pair::Ecdsa(Box::new(pair)),
                    public: PublicKey { algorithm, bytes },
                });
            }
        }
        if let Some((pair, bytes)) = P521Key::from_pkcs8(&der) {
            let public = PublicKey { algorithm: KeyAlgorithm::P521, bytes };
            return Ok(SigningKey { pair: Pair::P521(Box::new(pair)), public });
        }
        let pair = RsaKeyPair::from_pkcs8(&der).map_err(|_| KeyError::Unusable)?;
        let bytes = pair.public_key().as_ref().to_vec();
        let algorithm = match pair.public().modulus_len() {
            ..384 => KeyAlgorithm::Rsa2048,
            384..512 => KeyAlgorithm::Rsa3072,
            _ => KeyAlgorithm::Rsa4096,
        };
        Ok(SigningKey { pair: Pair::Rsa(Box::new(pair)), public: PublicKey { algorithm, bytes } })
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs: ECDSA with the hash of the curve's size, as DER; RSA as PKCS#1 v1.5 with SHA-256.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn sign(
        &self,
        random: &dyn SecureRandom,
        message: &[u8],
    ) -> Result<Vec<u8>, ring::error::Unspecified> {
        match &self.pair {
            Pair::Ecdsa(pair) => pair.sign(random, message).map(|s| s.as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, random, message, &mut signature)?;
                Ok(signature)
            }
            Pair::P521(pair) => pair.sign(random, message).ok_or(ring::error::Unspecified),
        }
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<signing key>")
    }
}

/// DER SubjectPublicKeyInfo of a public half (RFC 5280 section 4.1).
pub fn spki(key: &PublicKey) -> Vec<u8> {
    let mut bits = vec![0];
    bits.extend_from_slice(&key.bytes);
    der::write(0x30, &[algorithm_identifier(key.algorithm), &der::write(0x03, &[&bits])]).to_vec()
}

/// The fingerprint of a key: SHA-256 of its SPKI, as kubeadm's discovery hash is.
pub fn fingerprint(spki: &[u8]) -> String {
    sha256_hex(spki)
}

/// The fingerprint of a private key in PKCS#8 PEM; `None` if it is no key that khagen makes, or its halves do not match.
pub fn fingerprint_of_private_pem(pem_text: &[u8]) -> Option<String> {
    // ring asks for randomness to seed nonces of signatures; none is made here and nothing random comes out.
    let key = SigningKey::parse(pem_text, &ring::rand::SystemRandom::new()).ok()?;
    Some(fingerprint(&spki(key.public())))
}

/// The public half as PEM (`PUBLIC KEY`).
pub fn public_pem(key: &PublicKey) -> String {
    pem::encode_config(
        &pem::Pem::new("PUBLIC KEY", spki(key)),
        pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF),
    )
}

/// PKCS#8 PEM, through buffers that are wiped.
pub(super) fn private_pem(der: &[u8]) -> Secret {
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

/// kubeadm's key of upload-certs: 32 bytes of AES, written as hexadecimal (CertificateKeySize of kubeadm's constants.go).
///
/// # Errors
/// When the system has no randomness.
pub fn certificate_key(env: &Env) -> Result<Secret, EnvError> {
    hmac_key(env)
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
