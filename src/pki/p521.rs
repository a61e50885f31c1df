//! P-521, which ring does not know: signing and verifying with CAs that others made. khagen makes no such key.

use p521::ecdsa::signature::RandomizedSigner as _;
use p521::ecdsa::signature::hazmat::PrehashVerifier as _;
use p521::ecdsa::{DerSignature, Signature, SigningKey, VerifyingKey};
use p521::elliptic_curve::sec1::ToEncodedPoint as _;
use p521::pkcs8::DecodePrivateKey as _;
use pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm};
use ring::rand::SecureRandom;
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::random::Random;

/// A key that signs.
pub(super) struct P521Key(SigningKey);

impl P521Key {
    /// Reads PKCS#8 in DER, with the public half as an uncompressed point. Halves that do not match are refused.
    pub(super) fn from_pkcs8(der: &[u8]) -> Option<(P521Key, Vec<u8>)> {
        let secret = p521::SecretKey::from_pkcs8_der(der).ok()?;
        let point = secret.public_key().to_encoded_point(false).as_bytes().to_vec();
        Some((P521Key(SigningKey::from_bytes(&secret.to_bytes()).ok()?), point))
    }

    /// ecdsa-with-SHA512, as DER.
    pub(super) fn sign(&self, random: &dyn SecureRandom, message: &[u8]) -> Option<Vec<u8>> {
        let mut random = Random::new(random);
        let signature: Signature = self.0.try_sign_with_rng(&mut random, message).ok()?;
        // A nonce that somebody can guess gives the key away.
        (!random.has_failed()).then(|| signature.to_der().as_bytes().to_vec())
    }
}

/// What a message was hashed with before it was signed. khagen takes SHA-512; scripts of others often leave it at SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    /// By the OID of the signature's algorithm (RFC 5758 section 3.2).
    pub(super) fn of_signature(oid: &str) -> Option<Hash> {
        match oid {
            "1.2.840.10045.4.3.2" => Some(Hash::Sha256),
            "1.2.840.10045.4.3.3" => Some(Hash::Sha384),
            "1.2.840.10045.4.3.4" => Some(Hash::Sha512),
            _ => None,
        }
    }

    /// The digest as a number of the field's size: shorter ones are filled up in front (SEC 1 section 4.1.4).
    fn digest(self, message: &[u8]) -> [u8; 66] {
        let mut field = [0; 66];
        let mut fill = |digest: &[u8]| field[66 - digest.len()..].copy_from_slice(digest);
        match self {
            Hash::Sha256 => fill(&Sha256::digest(message)),
            Hash::Sha384 => fill(&Sha384::digest(message)),
            Hash::Sha512 => fill(&Sha512::digest(message)),
        }
        field
    }
}

/// Whether a signature was made by the key of an uncompressed point.
pub(super) fn verify(hash: Hash, point: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let Ok(key) = VerifyingKey::from_sec1_bytes(point) else { return false };
    let Ok(signature) = DerSignature::from_bytes(signature) else { return false };
    let Ok(signature) = Signature::try_from(signature) else { return false };
    key.verify_prehash(&hash.digest(message), &signature).is_ok()
}

/// P-521 for webpki.
#[derive(Debug)]
pub(super) struct EcdsaP521(Hash);

/// With every hash that a signature may be over.
pub(super) static ALL: [EcdsaP521; 3] =
    [EcdsaP521(Hash::Sha512), EcdsaP521(Hash::Sha384), EcdsaP521(Hash::Sha256)];

impl SignatureVerificationAlgorithm for EcdsaP521 {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        if verify(self.0, public_key, message, signature) { Ok(()) } else { Err(InvalidSignature) }
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        pki_types::alg_id::ECDSA_P521
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        match self.0 {
            Hash::Sha256 => pki_types::alg_id::ECDSA_SHA256,
            Hash::Sha384 => pki_types::alg_id::ECDSA_SHA384,
            Hash::Sha512 => pki_types::alg_id::ECDSA_SHA512,
        }
    }
}
