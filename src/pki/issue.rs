//! Issues: makes keys, certificates and tokens that [`decide`] asks for, and puts them into the store in memory.
//! The only file that names the library that makes certificates.
//!
//! Every issue makes a new key, a CA's too: a key never outlives the certificate it was made for, and what a CA
//! signed is issued again with it. Each certificate is judged before it is stored; a refused one stops the build.
//! Nothing is written here.

use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256, PublicKeyData, SanType,
    SerialNumber, SignatureAlgorithm,
};
use ring::rand::SystemRandom;
use time::{Duration, OffsetDateTime};

pub use super::decide::{Action, Decision, IssueError, decide, signed_elsewhere, unused};
use super::decide::{by_dependency, fingerprint_key, issuers_first};
use super::issuer::{self, Named};
use super::key::{self, FingerprintKey, NewKey, PublicKey, SigningKey};
use super::object::{CertificateRecord, Kind, MadeFrom, Object, Record, instant};
use super::read::{self, CertSummary};
use super::sealed::unhex;
use super::store::{Store, user_secret};
use super::verify;
use crate::content::ObjectId;
use crate::env::{Env, EnvError};
use crate::model::KeyAlgorithm;
use crate::plan::{CertRequest, Profile, SecretKind, SecretRequest};
use crate::secret::Secret;

/// How far a certificate's begin lies back, so that a host whose clock is slow accepts it at once.
const BACKDATED: Duration = Duration::hours(1);
/// CAs lie back further, so that what they sign lies inside their validity.
const CA_BACKDATED: Duration = Duration::hours(2);

/// Makes what is missing or whose inputs changed. What it makes is in the store's memory; [`Store::save`] writes it.
/// When nothing must be issued, no key is read.
///
/// # Errors
/// When a request cannot be met; the store is then as it was.
pub fn issue(
    certs: &[CertRequest],
    secrets: &[SecretRequest],
    store: &mut Store,
    env: &Env,
) -> Result<Vec<Decision>, IssueError> {
    let decisions = decide(certs, secrets, store)?;
    let reasons: BTreeMap<&ObjectId, &str> =
        decisions.iter().filter(|d| d.action == Action::Issue).map(|d| (&d.id, d.reason.as_str())).collect();
    let elsewhere = signed_elsewhere(certs, &decisions, store);
    if !elsewhere.is_empty() {
        return Err(IssueError::KeyElsewhere { wanted: elsewhere });
    }
    // Making an RSA key takes long enough to be worth all cores.
    let keys = certs
        .par_iter()
        .filter(|request| reasons.contains_key(&request.id))
        .map(|request| Ok((request.id.clone(), key::generate(env, request.algorithm)?)))
        .collect::<Result<BTreeMap<_, _>, EnvError>>()?;
    let mut issuing = Issuing { store, env, keys, fresh: BTreeMap::new(), signers: BTreeMap::new() };
    for request in by_dependency(secrets) {
        if let Some(reason) = reasons.get(&request.id) {
            issuing.secret(request, fingerprint_key(secrets), reason)?;
        }
    }
    for index in issuers_first(certs)? {
        let request = &certs[index];
        if let Some(reason) = reasons.get(&request.id) {
            issuing.certificate(request, reason)?;
        }
    }
    let fresh = issuing.fresh;
    // The user's secrets are not made here, so another fingerprint key must be told of them while both are known.
    let renamed = fingerprint_key(secrets).filter(|key| fresh.contains_key(*key)).cloned();
    if renamed.is_some() {
        let users: Vec<ObjectId> = store.user_secrets().map(|(name, _)| user_secret(name)).collect();
        store.open_secrets(&users)?;
    }
    for (id, object) in fresh {
        store.insert(id, object);
    }
    if let Some(key) = renamed {
        store.fingerprint_user_secrets(&key)?;
    }
    Ok(decisions)
}

/// One run of issuing: what it makes is kept apart until all of it is made.
struct Issuing<'a> {
    store: &'a Store,
    env: &'a Env,
    /// Made and not yet certified.
    keys: BTreeMap<ObjectId, NewKey>,
    fresh: BTreeMap<ObjectId, Object>,
    signers: BTreeMap<ObjectId, Arc<Signer>>,
}

/// A CA that signs.
struct Signer {
    key: CaKey,
    summary: CertSummary,
    der: Vec<u8>,
}

/// A key in the shape that rcgen signs with: a CA's, or that of a request; randomness comes from [`Env`].
pub(super) struct CaKey {
    pair: Arc<SigningKey>,
    random: SystemRandom,
}

impl CaKey {
    pub(super) fn new(pair: Arc<SigningKey>, env: &Env) -> CaKey {
        CaKey { pair, random: env.random().clone() }
    }
}

impl PublicKeyData for CaKey {
    fn der_bytes(&self) -> &[u8] {
        &self.pair.public().bytes
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        signature_algorithm(self.pair.public().algorithm)
    }
}

impl rcgen::SigningKey for CaKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.pair.sign(&self.random, message).map_err(|_| rcgen::Error::RingUnspecified)
    }
}

/// The public half of a leaf's key: the private half need not be parsed to be certified.
struct Certified<'a>(&'a PublicKey);

impl PublicKeyData for Certified<'_> {
    fn der_bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        signature_algorithm(self.0.algorithm)
    }
}

/// What a key signs with; in a certificate it also says what kind of key is certified.
fn signature_algorithm(algorithm: KeyAlgorithm) -> &'static SignatureAlgorithm {
    match algorithm {
        KeyAlgorithm::P256 => &PKCS_ECDSA_P256_SHA256,
        KeyAlgorithm::P384 => &PKCS_ECDSA_P384_SHA384,
        // rcgen knows none with ring. Only CAs have such keys, and `issuer` signs for them.
        KeyAlgorithm::P521 => &PKCS_ECDSA_P384_SHA384,
        KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => &PKCS_RSA_SHA256,
    }
}

impl Issuing<'_> {
    fn secret(
        &mut self,
        request: &SecretRequest,
        fingerprint_key: Option<&ObjectId>,
        reason: &str,
    ) -> Result<(), IssueError> {
        let SecretRequest { id, kind, purpose } = request;
        let mut public = None;
        let mut made_by = None;
        let (secret, fingerprint) = match kind {
            SecretKind::KeyPair(algorithm) => {
                let new = key::generate(self.env, *algorithm)?;
                public = Some(key::public_pem(&new.public));
                (new.pem, key::fingerprint(&key::spki(&new.public)))
            }
            SecretKind::HmacKey => {
                let secret = key::hmac_key(self.env)?;
                let own = FingerprintKey::parse(secret.expose()).map(|k| k.own());
                (secret, own.ok_or_else(|| make(id, "the fingerprint key is none"))?)
            }
            SecretKind::BootstrapToken | SecretKind::CertificateKey | SecretKind::VrrpPassword => {
                let secret = match kind {
                    SecretKind::BootstrapToken => key::bootstrap_token(self.env)?,
                    SecretKind::CertificateKey => key::certificate_key(self.env)?,
                    _ => key::vrrp_password(self.env)?,
                };
                let by = fingerprint_key.ok_or_else(|| make(id, "there is no fingerprint key"))?;
                let (key_secret, name) = self.fingerprint_secret(by)?;
                let key = FingerprintKey::parse(key_secret.expose());
                let fingerprint = key.map(|k| k.of(secret.expose()));
                made_by = Some(name);
                (secret, fingerprint.ok_or_else(|| make(id, "the fingerprint key cannot be read"))?)
            }
        };
        let record = Record {
            fingerprint_key: made_by,
            ..Record::new(id, Kind::from(*kind), purpose, fingerprint, reason.to_owned(), self.env.now())
        };
        self.fresh.insert(id.clone(), Object::fresh(record, None, public, Some(secret)));
        Ok(())
    }

    /// The fingerprint key's bytes and its own fingerprint.
    fn fingerprint_secret(&self, id: &ObjectId) -> Result<(Secret, String), IssueError> {
        if let Some(object) = self.fresh.get(id)
            && let Some(secret) = object.secret.get()
        {
            return Ok((secret.clone(), object.record.fingerprint.clone()));
        }
        let name = self.store.fingerprint(id).unwrap_or_default().to_owned();
        Ok((self.store.secret(id)?, name))
    }

    fn certificate(&mut self, request: &CertRequest, reason: &str) -> Result<(), IssueError> {
        let id = &request.id;
        let signer = request.issuer.as_ref().map(|ca| self.signer(ca)).transpose()?;
        let (not_before, not_after) = self.validity(request, signer.as_deref())?;
        let serial = self.serial()?;
        let params = params(request, not_before, not_after, Some(serial))?;
        let new = match self.keys.remove(id) {
            Some(key) => key,
            None => key::generate(self.env, request.algorithm)?,
        };
        let failed = |e: rcgen::Error| make(id, &e.to_string());
        let der = match &signer {
            Some(signer) => {
                let key_id = signer.summary.subject_key_id.as_deref().and_then(unhex);
                let named = Named {
                    subject: &signer.summary.subject,
                    key_id: key_id.as_deref(),
                    algorithm: signer.key.pair.public().algorithm,
                };
                let sign = |body: &[u8]| signer.key.pair.sign(&signer.key.random, body).ok();
                issuer::certify(params, &Certified(&new.public), &named, sign)
                    .map_err(|e| make(id, &e.to_string()))?
            }
            None => {
                let pair = SigningKey::parse(new.pem.expose(), self.env.random())
                    .map_err(|e| make(id, &e.to_string()))?;
                let key = CaKey { pair: Arc::new(pair), random: self.env.random().clone() };
                params.self_signed(&key).map_err(failed)?.der().to_vec()
            }
        };
        let summary = read::summary(&der).map_err(|source| IssueError::Read { id: id.clone(), source })?;
        let fingerprint = key::fingerprint(&key::spki(&new.public));
        let (issuer_summary, issuer_der) =
            signer.as_deref().map_or((&summary, der.as_slice()), |s| (&s.summary, s.der.as_slice()));
        let mut wrong = verify::check_parts(request, &summary, issuer_summary, &fingerprint);
        wrong.extend(verify::check_chain(request, &der, issuer_der, self.env.now()));
        if !wrong.is_empty() {
            return Err(IssueError::Refused { id: id.clone(), what: wrong });
        }
        let pem = read::pem(&der);
        let issuer_fingerprint = signer.as_ref().map(|s| s.summary.spki_sha256.clone());
        let now = self.env.now();
        let record = Record {
            host: request.host.clone(),
            certificate: Some(CertificateRecord::of(&pem, &summary)),
            made_from: Some(MadeFrom { issuer_fingerprint, ..MadeFrom::of(request) }),
            ..Record::new(id, Kind::Certificate, request.purpose, fingerprint, reason.to_owned(), now)
        };
        self.fresh.insert(id.clone(), Object::fresh(record, Some(pem), None, Some(new.pem)));
        Ok(())
    }

    /// A CA with its key, parsed once per run.
    fn signer(&mut self, id: &ObjectId) -> Result<Arc<Signer>, IssueError> {
        if let Some(signer) = self.signers.get(id) {
            return Ok(signer.clone());
        }
        let (pem, pair) = match self.fresh.get(id) {
            Some(object) => {
                let secret = object.secret.get().ok_or_else(|| make(id, "its key is not there"))?;
                let pair = SigningKey::parse(secret.expose(), self.env.random())
                    .map_err(|e| make(id, &e.to_string()))?;
                (object.cert.clone(), Arc::new(pair))
            }
            None => (self.store.cert_pem(id).cloned(), self.store.signer(id)?),
        };
        let unreadable = |source| IssueError::Read { id: id.clone(), source };
        let der = read::der(pem.as_deref().unwrap_or_default()).map_err(unreadable)?;
        let summary = read::summary(&der).map_err(unreadable)?;
        // rcgen checks neither that the key is the certificate's nor that the certificate is a CA's.
        if summary.spki_sha256 != key::fingerprint(&key::spki(pair.public())) {
            return Err(make(id, "its key does not belong to its certificate"));
        }
        if !summary.basic_constraints.as_ref().is_some_and(|bc| bc.value.ca) {
            return Err(make(id, "its certificate is no CA's"));
        }
        let key = CaKey { pair, random: self.env.random().clone() };
        let signer = Arc::new(Signer { key, summary, der });
        self.signers.insert(id.clone(), signer.clone());
        Ok(signer)
    }

    /// The first and the last second: backdated, and never outside the CA's.
    fn validity(
        &self,
        request: &CertRequest,
        signer: Option<&Signer>,
    ) -> Result<(OffsetDateTime, OffsetDateTime), IssueError> {
        let now = self.env.now();
        let back = if request.profile == Profile::Ca { CA_BACKDATED } else { BACKDATED };
        let outside = || make(&request.id, "its lifetime leaves the calendar");
        let mut not_before = now.checked_sub(back).ok_or_else(outside)?;
        let lifetime = Duration::days(i64::from(request.validity_days));
        let mut not_after = now.checked_add(lifetime).ok_or_else(outside)?;
        if let (Some(signer), Some(ca)) = (signer, &request.issuer) {
            not_before = not_before.max(signer.summary.not_before);
            not_after = not_after.min(signer.summary.not_after);
            if not_after <= now {
                let ended = instant(signer.summary.not_after);
                return Err(IssueError::CaEnded { id: request.id.clone(), ca: ca.clone(), ended });
            }
        }
        Ok((not_before, not_after))
    }

    /// 126 random bits: the top bit is clear (RFC 5280 section 4.1.2.2: positive), the next one set, so that all
    /// serial numbers have the same length.
    fn serial(&self) -> Result<SerialNumber, IssueError> {
        let mut bytes = [0u8; 16];
        self.env.fill(&mut bytes)?;
        bytes[0] = (bytes[0] & 0x7f) | 0x40;
        Ok(SerialNumber::from_slice(&bytes))
    }
}

fn make(id: &ObjectId, what: &str) -> IssueError {
    IssueError::Make { id: id.clone(), what: what.to_owned() }
}

/// A request in rcgen's words. Every field that has an unsafe default is set.
pub(super) fn params(
    request: &CertRequest,
    not_before: OffsetDateTime,
    not_after: OffsetDateTime,
    serial: Option<SerialNumber>,
) -> Result<CertificateParams, IssueError> {
    let mut params = CertificateParams::default();
    params.not_before = not_before;
    params.not_after = not_after;
    params.serial_number = serial;
    params.use_authority_key_identifier_extension = true;
    params.distinguished_name = DistinguishedName::new();
    if let Some(organization) = &request.organization {
        params.distinguished_name.push(DnType::OrganizationName, organization.as_str());
    }
    if let Some(common_name) = &request.common_name {
        params.distinguished_name.push(DnType::CommonName, common_name.as_str());
    }
    for dns in &request.dns_sans {
        let name =
            dns.as_str().try_into().map_err(|_| make(&request.id, &format!("{dns:?} is no DNS name")))?;
        params.subject_alt_names.push(SanType::DnsName(name));
    }
    params.subject_alt_names.extend(request.ip_sans.iter().map(|ip| SanType::IpAddress(*ip)));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    // An elliptic-curve key signs and nothing else; keyEncipherment is for RSA (RFC 8813 section 3).
    if request.algorithm.is_rsa() && request.profile != Profile::Ca {
        params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
    }
    params.is_ca = IsCa::ExplicitNoCa;
    match request.profile {
        Profile::Ca => {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages.extend([KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign]);
        }
        Profile::Server => params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth),
        Profile::Client => params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth),
        Profile::ServerAndClient => params
            .extended_key_usages
            .extend([ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth]),
    }
    Ok(params)
}
