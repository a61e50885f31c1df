//! Private keys as people have them, turned into the one form that the store keeps: PKCS#8, unencrypted in memory only.
//!
//! PKCS#8, encrypted PKCS#8, SEC1 and PKCS#1 in PEM. What is read is taken apart and written anew, so that attributes and
//! optional fields, which not every reader knows, do not reach a host. Nothing is written to disk here.

use zeroize::Zeroizing;

use crate::model::KeyAlgorithm;
use crate::pki::der::{self, Tlv};
use crate::pki::key;
use crate::secret::Secret;

/// A key cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyRefused {
    /// No PEM block that is a private key.
    #[error("holds no private key in PEM form")]
    NoKey,
    /// More than one.
    #[error("holds {0} private keys")]
    Several(usize),
    /// OpenSSL's own encryption, derived by MD5, or another program's format.
    #[error("{what}; turn it into PKCS#8: {command}")]
    Format {
        /// What it is.
        what: &'static str,
        /// What makes PKCS#8 of it.
        command: &'static str,
    },
    /// The passphrase is missing.
    #[error("is encrypted, and there is no passphrase: {0}")]
    NoPassphrase(String),
    /// The passphrase is wrong, or the way of encrypting is unknown.
    #[error(
        "cannot be decrypted: the passphrase is wrong, or it is not PBES2 with PBKDF2 or scrypt and AES or 3DES"
    )]
    Encrypted,
    /// The DER inside is not what the label says.
    #[error("is damaged: its content is no key")]
    Damaged,
    /// A kind of key that khagen or kubeadm cannot use.
    #[error("is a key of a kind that cannot be used: {0}")]
    Kind(String),
}

/// Reads the one private key of a PEM text as PKCS#8 PEM. `point` is the public half of a key on an elliptic curve, for files
/// that leave it out; `passphrase` is asked for only where the key is encrypted.
///
/// # Errors
/// See [`KeyRefused`].
pub fn read(
    text: &[u8],
    point: &[u8],
    passphrase: &mut dyn FnMut() -> Result<Zeroizing<Vec<u8>>, String>,
) -> Result<Secret, KeyRefused> {
    let blocks = pem::parse_many(text).map_err(|_| KeyRefused::NoKey)?;
    let mut keys = blocks.into_iter().filter(|b| b.tag().ends_with("PRIVATE KEY"));
    let Some(block) = keys.next() else { return Err(KeyRefused::NoKey) };
    let others = keys.count();
    if others > 0 {
        return Err(KeyRefused::Several(others + 1));
    }
    if block.headers().iter().any(|(name, _)| name == "DEK-Info") {
        return Err(KeyRefused::Format {
            what: "is encrypted in OpenSSL's own way, which derives its key by MD5",
            command: "openssl pkcs8 -topk8 -in KEY -out NEW",
        });
    }
    let tag = block.tag().to_owned();
    let content = Zeroizing::new(block.into_contents());
    match tag.as_str() {
        "PRIVATE KEY" => of_pkcs8(&content, point),
        "ENCRYPTED PRIVATE KEY" => {
            let encrypted = pkcs8::EncryptedPrivateKeyInfo::try_from(content.as_slice())
                .map_err(|_| KeyRefused::Encrypted)?;
            let passphrase = passphrase().map_err(KeyRefused::NoPassphrase)?;
            let document = encrypted.decrypt(passphrase.as_slice()).map_err(|_| KeyRefused::Encrypted)?;
            of_pkcs8(document.as_bytes(), point)
        }
        "EC PRIVATE KEY" => of_sec1(&content, None, point),
        "RSA PRIVATE KEY" => Ok(rsa(&content)),
        "OPENSSH PRIVATE KEY" => Err(KeyRefused::Format {
            what: "is in OpenSSH's own format",
            command: "ssh-keygen -p -m PKCS8 -f COPY",
        }),
        other => Err(KeyRefused::Kind(other.to_owned())),
    }
}

/// OIDs in DER: id-ecPublicKey, rsaEncryption, and those of the curves.
const EC: &[u8] = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01";
const RSA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
const CURVES: [(&[u8], KeyAlgorithm, usize); 3] = [
    (b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07", KeyAlgorithm::P256, 32),
    (b"\x06\x05\x2b\x81\x04\x00\x22", KeyAlgorithm::P384, 48),
    (b"\x06\x05\x2b\x81\x04\x00\x23", KeyAlgorithm::P521, 66),
];

/// RFC 5958's OneAsymmetricKey: version, algorithm, key; attributes and a second public key are left behind.
fn of_pkcs8(bytes: &[u8], point: &[u8]) -> Result<Secret, KeyRefused> {
    let fields = sequence(bytes)?;
    let [version, algorithm, key, ..] = &fields[..] else { return Err(KeyRefused::Damaged) };
    if version.tag != 0x02 || key.tag != 0x04 {
        return Err(KeyRefused::Damaged);
    }
    let parts = sequence(algorithm.whole)?;
    match parts.first().map(|oid| oid.whole) {
        Some(EC) => of_sec1(key.content, parts.get(1).map(|curve| curve.whole), point),
        Some(RSA) => Ok(rsa(key.content)),
        Some(other) => Err(KeyRefused::Kind(named(other))),
        None => Err(KeyRefused::Damaged),
    }
}

/// RFC 5915's ECPrivateKey: version, key, and perhaps curve and public half.
fn of_sec1(bytes: &[u8], curve: Option<&[u8]>, point: &[u8]) -> Result<Secret, KeyRefused> {
    let fields = sequence(bytes)?;
    let [version, key, optional @ ..] = &fields[..] else { return Err(KeyRefused::Damaged) };
    if version.content != [1] || key.tag != 0x04 {
        return Err(KeyRefused::Damaged);
    }
    let own_curve = optional.iter().find(|f| f.tag == 0xa0).map(|f| f.content);
    let curve =
        curve.or(own_curve).ok_or_else(|| KeyRefused::Kind("one that does not name its curve".into()))?;
    let known = CURVES.iter().find(|(oid, ..)| *oid == curve);
    let Some((_, algorithm, size)) = known else { return Err(KeyRefused::Kind(named(curve))) };
    // Some writers leave out leading zeros.
    let digits = &key.content[key.content.iter().position(|b| *b != 0).unwrap_or(0)..];
    let padding = size.checked_sub(digits.len()).ok_or(KeyRefused::Damaged)?;
    let zeros = vec![0u8; padding];
    // A bit string begins with the number of unused bits.
    let own_point = optional.iter().find(|f| f.tag == 0xa1).and_then(|f| der::read(f.content));
    let own_point = own_point.and_then(|(bits, _)| bits.content.strip_prefix(&[0]));
    let point = own_point.filter(|p| p.first() == Some(&4)).unwrap_or(point);
    let bits = der::write(0x03, &[&[0], point]);
    let private = der::write(
        0x30,
        &[&[0x02, 0x01, 0x01], &der::write(0x04, &[&zeros, digits]), &der::write(0xa1, &[&bits])],
    );
    Ok(pkcs8(*algorithm, &private))
}

/// RFC 8017's RSAPrivateKey, as it is.
fn rsa(bytes: &[u8]) -> Secret {
    pkcs8(KeyAlgorithm::Rsa2048, bytes)
}

fn pkcs8(algorithm: KeyAlgorithm, private: &[u8]) -> Secret {
    let (version, key) = ([0x02, 0x01, 0x00], der::write(0x04, &[private]));
    key::private_pem(&der::write(0x30, &[&version, key::algorithm_identifier(algorithm), &key]))
}

fn sequence(bytes: &[u8]) -> Result<Vec<Tlv<'_>>, KeyRefused> {
    let (outer, _) = der::read(bytes).filter(|(outer, _)| outer.tag == 0x30).ok_or(KeyRefused::Damaged)?;
    der::all(outer.content).ok_or(KeyRefused::Damaged)
}

/// An OID for people.
fn named(oid: &[u8]) -> String {
    match oid {
        b"\x06\x03\x2b\x65\x70" => "Ed25519; kubeadm loads RSA and ECDSA keys only".to_owned(),
        b"\x06\x03\x2b\x65\x71" => "Ed448; kubeadm loads RSA and ECDSA keys only".to_owned(),
        b"\x06\x05\x2b\x81\x04\x00\x0a" => "secp256k1, which Go's TLS does not know".to_owned(),
        b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a" => "RSA for PSS only".to_owned(),
        other => format!("algorithm {}", crate::pki::sealed::hex(other.get(2..).unwrap_or_default())),
    }
}
