//! One object of the store: a certificate with its key, a key pair, or a token; and its sidecar, the clear record
//! of what it is, what it was made from and why.
//!
//! Only data and its rules. [`super::store`] reads and writes it.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::key::SigningKey;
use super::read::CertSummary;
use super::rotation::Rotation;
use super::sealed::sha256_hex;
use crate::content::ObjectId;
use crate::model::KeyAlgorithm;
use crate::plan::{CertRequest, Profile, SecretKind};
use crate::secret::Secret;

/// The file of the sidecar.
pub const SIDECAR: &str = "object.toml";
/// The file of a certificate.
pub const CERTIFICATE: &str = "cert.pem";
/// The file of the public half of a key pair that has no certificate.
pub const PUBLIC: &str = "public.pem";

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A certificate and its key.
    Certificate,
    /// A key pair without a certificate.
    KeyPair,
    /// kubeadm's bootstrap token.
    BootstrapToken,
    /// The key of fingerprints.
    HmacKey,
    /// kubeadm's key of upload-certs.
    CertificateKey,
    /// keepalived's password.
    VrrpPassword,
    /// A secret of the user's, which the inventory names by `{secret: NAME}`.
    UserSecret,
}

impl Kind {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Certificate => "certificate",
            Kind::KeyPair => "key pair",
            Kind::BootstrapToken => "bootstrap token",
            Kind::HmacKey => "fingerprint key",
            Kind::CertificateKey => "certificate key",
            Kind::VrrpPassword => "VRRP password",
            Kind::UserSecret => "secret",
        }
    }

    /// The file that holds the secret in the clear.
    pub fn secret_file(self) -> &'static str {
        if self.is_key() { "key.pem" } else { "secret" }
    }

    /// The file that holds the secret encrypted. Another name, so that what keeps keys in the clear out of git lets
    /// these in.
    pub fn encrypted_file(self) -> &'static str {
        if self.is_key() { "key.pem.age" } else { "secret.age" }
    }

    /// What its secret is called in messages.
    pub(super) fn secret_name(self) -> &'static str {
        if self.is_key() { "key" } else { self.as_str() }
    }

    /// Whether the fingerprint is that of a public half.
    pub fn is_key(self) -> bool {
        matches!(self, Kind::Certificate | Kind::KeyPair)
    }
}

impl From<SecretKind> for Kind {
    fn from(kind: SecretKind) -> Kind {
        match kind {
            SecretKind::KeyPair(_) => Kind::KeyPair,
            SecretKind::BootstrapToken => Kind::BootstrapToken,
            SecretKind::HmacKey => Kind::HmacKey,
            SecretKind::CertificateKey => Kind::CertificateKey,
            SecretKind::VrrpPassword => Kind::VrrpPassword,
        }
    }
}

/// The sidecar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    /// The object's name; a folder that was moved or swapped is noticed by it.
    pub id: String,
    /// What it is.
    pub kind: Kind,
    /// What it is for.
    pub purpose: String,
    /// FQDN of the host that holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Of a key: SHA-256 of the SPKI. Of any other secret: HMAC under the store's fingerprint key.
    pub fingerprint: String,
    /// The fingerprint of the fingerprint key that made the fingerprint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint_key: Option<String>,
    /// Why it was issued.
    pub reason: String,
    /// When it was issued.
    #[serde(with = "instant")]
    pub issued: OffsetDateTime,
    /// Set when the operator asked for a new one; the next build issues it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub renew: bool,
    /// It was made elsewhere and taken in. An imported CA is never issued again here: its owner renews it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub imported: bool,
    /// Its key is kept elsewhere, so that nothing can be signed with it here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keyless: bool,
    /// Size of the file that holds the secret, so that one that was cut is noticed without being read.
    pub secret_size: u64,
    /// Absent where the secret is a file in the clear.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<EncryptedRecord>,
    /// Of a certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateRecord>,
    /// Of a key pair: SHA-256 of `public.pem`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_sha256: Option<String>,
    /// Of a certificate: what it was made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made_from: Option<MadeFrom>,
    /// Of a trust root that was or is being rotated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
}

impl Record {
    /// What every object has. The rest is empty, for whoever makes the object to fill in.
    pub(super) fn new(
        id: &ObjectId,
        kind: Kind,
        purpose: &str,
        fingerprint: String,
        reason: String,
        issued: OffsetDateTime,
    ) -> Record {
        Record {
            id: id.as_str().to_owned(),
            kind,
            purpose: purpose.to_owned(),
            host: None,
            fingerprint,
            fingerprint_key: None,
            reason,
            issued,
            renew: false,
            imported: false,
            keyless: false,
            secret_size: 0,
            encrypted: None,
            certificate: None,
            public_sha256: None,
            made_from: None,
            rotation: None,
        }
    }

    /// The file that holds the secret.
    pub fn secret_file(&self) -> &'static str {
        if self.encrypted.is_some() { self.kind.encrypted_file() } else { self.kind.secret_file() }
    }

    /// Whom the secret is encrypted to; nobody where it is in the clear.
    pub fn recipients(&self) -> &[String] {
        self.encrypted.as_ref().map(|e| e.recipients.as_slice()).unwrap_or_default()
    }
}

/// What is recorded of an encrypted secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EncryptedRecord {
    /// SHA-256 of the age file.
    pub sha256: String,
    /// Whom it is encrypted to, sorted.
    pub recipients: Vec<String>,
}

/// What is recorded of a certificate itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CertificateRecord {
    /// SHA-256 of `cert.pem`.
    pub sha256: String,
    /// Hexadecimal.
    pub serial: String,
    /// First second of its validity.
    #[serde(with = "instant")]
    pub not_before: OffsetDateTime,
    /// Last second of its validity.
    #[serde(with = "instant")]
    pub not_after: OffsetDateTime,
}

impl CertificateRecord {
    /// Of a certificate and what was read in it.
    pub(super) fn of(pem: &str, summary: &CertSummary) -> CertificateRecord {
        CertificateRecord {
            sha256: sha256_hex(pem.as_bytes()),
            serial: summary.serial.clone(),
            not_before: summary.not_before,
            not_after: summary.not_after,
        }
    }
}

/// The inputs of a certificate: as long as they are the same, it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MadeFrom {
    /// The CA that signed it; absent where it is self-signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The fingerprint of that CA's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer_fingerprint: Option<String>,
    /// `ca`, `server`, `client`, `server-and-client`.
    pub profile: String,
    /// Common name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub common_name: Option<String>,
    /// Organization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// DNS names, sorted.
    pub dns_sans: Vec<String>,
    /// Addresses, sorted.
    pub ip_sans: Vec<IpAddr>,
    /// Days asked for; the CA's end may have cut them.
    pub validity_days: u32,
    /// Of the key, by kubeadm's name.
    #[serde(default = "p256", skip_serializing_if = "is_p256")]
    pub algorithm: String,
}

impl MadeFrom {
    /// The inputs that a request asks for, apart from the CA's key.
    pub fn of(request: &CertRequest) -> MadeFrom {
        let CertRequest {
            id: _,
            issuer,
            profile,
            common_name,
            organization,
            dns_sans,
            ip_sans,
            validity_days,
            algorithm,
            purpose: _,
            host: _,
        } = request;
        MadeFrom {
            issuer: issuer.as_ref().map(|i| i.as_str().to_owned()),
            issuer_fingerprint: None,
            profile: profile_name(*profile).to_owned(),
            common_name: common_name.clone(),
            organization: organization.clone(),
            dns_sans: sorted(dns_sans),
            ip_sans: sorted(ip_sans),
            validity_days: *validity_days,
            algorithm: algorithm.as_str().to_owned(),
        }
    }
}

/// What records say that say nothing: the first khagen made no other keys.
fn p256() -> String {
    KeyAlgorithm::P256.as_str().to_owned()
}

fn is_p256(algorithm: &String) -> bool {
    algorithm == KeyAlgorithm::P256.as_str()
}

fn sorted<T: Ord + Clone>(values: &[T]) -> Vec<T> {
    let mut values = values.to_vec();
    values.sort_unstable();
    values.dedup();
    values
}

/// The name of a profile in records and reasons.
pub fn profile_name(profile: Profile) -> &'static str {
    match profile {
        Profile::Ca => "ca",
        Profile::Server => "server",
        Profile::Client => "client",
        Profile::ServerAndClient => "server-and-client",
    }
}

/// The days between which a certificate holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// First second.
    pub not_before: OffsetDateTime,
    /// Last second.
    pub not_after: OffsetDateTime,
}

/// An object in memory. Its secret is there only if it was made or asked for in this run.
#[derive(Debug)]
pub struct Object {
    pub(super) record: Record,
    pub(super) cert: Option<Arc<str>>,
    pub(super) public: Option<Arc<str>>,
    pub(super) secret: OnceLock<Secret>,
    pub(super) signer: OnceLock<Arc<SigningKey>>,
    pub(super) state: State,
}

/// How an object in memory differs from the one on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Not at all.
    Saved,
    /// Only its sidecar.
    Marked,
    /// It is not on disk, or another one is.
    New,
}

impl Object {
    /// One that is not on disk. The record gets the secret's size and the digest of the public half.
    pub(super) fn fresh(
        record: Record,
        cert: Option<String>,
        public: Option<String>,
        secret: Option<Secret>,
    ) -> Object {
        Object {
            record: Record {
                secret_size: secret.as_ref().map_or(0, |s| s.expose().len() as u64),
                public_sha256: public.as_ref().map(|p| sha256_hex(p.as_bytes())),
                ..record
            },
            cert: cert.map(Arc::from),
            public: public.map(Arc::from),
            secret: secret.map_or_else(OnceLock::new, OnceLock::from),
            signer: OnceLock::new(),
            state: State::New,
        }
    }

    /// The sidecar.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The certificate.
    pub fn cert_pem(&self) -> Option<&Arc<str>> {
        self.cert.as_ref()
    }
}

/// Whether a name can be an object's: parts of `[A-Za-z0-9._-]` between slashes, none starting with a dot.
/// Parts become folders, so this is also what keeps the store inside its folder.
pub fn is_valid_id(id: &ObjectId) -> bool {
    let part = |p: &str| {
        !p.is_empty()
            && p.len() <= 200
            && !p.starts_with('.')
            && p.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    };
    id.as_str().split('/').all(part)
}

/// An absolute time to the second, as records and messages have it.
pub fn instant(time: OffsetDateTime) -> String {
    time.to_offset(time::UtcOffset::UTC)
        .format(&Rfc3339)
        .unwrap_or_else(|_| time.unix_timestamp().to_string())
}

mod instant {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};
    use time::OffsetDateTime;
    use time::format_description::well_known::Rfc3339;

    pub fn serialize<S: Serializer>(time: &OffsetDateTime, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::instant(*time))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<OffsetDateTime, D::Error> {
        let text = String::deserialize(from)?;
        OffsetDateTime::parse(&text, &Rfc3339).map_err(|_| D::Error::custom(format!("{text:?} is no time")))
    }
}
