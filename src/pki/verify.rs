//! Judges a certificate: whether it is what was asked for, whether it belongs to its key and its CA, and whether an
//! independent verifier accepts it. kubeadm's `init` checks neither names nor keys of certificates that it finds
//! (it only follows the chain), so khagen does.
//!
//! Answers all that is wrong, in words; never repairs.

use std::collections::BTreeSet;

use pki_types::{CertificateDer, ServerName, SignatureVerificationAlgorithm, UnixTime};
use time::OffsetDateTime;
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, KeyUsage};

use super::p521;
use super::read::{self, BasicConstraints, CertSummary};
use crate::plan::{CertRequest, Profile};

/// Compares a certificate with its request, its CA and its key. `issuer` is the certificate itself where it is
/// self-signed; `key` is the SHA-256 of the SPKI of the private key.
pub fn check_parts(
    request: &CertRequest,
    cert: &CertSummary,
    issuer: &CertSummary,
    key: &str,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut check = |holds: bool, what: &str| {
        if !holds {
            wrong.push(what.to_owned());
        }
    };
    check(cert.spki_sha256 == key, "the key does not belong to it");
    // Byte for byte (RFC 5280 section 6.1.3 (a)(4)): rcgen drops repeated attributes of a CA's name.
    check(cert.issuer == issuer.subject, "its issuer is not its CA's subject");
    // An imported CA may have none.
    check(
        cert.authority_key_id == issuer.subject_key_id,
        "its authority key identifier is not its CA's subject key identifier",
    );
    check(cert.subject_key_id.is_some(), "it has no subject key identifier");
    check(cert.not_before >= issuer.not_before, "it begins before its CA");
    check(cert.not_after <= issuer.not_after, "it ends after its CA");
    // RFC 5280 section 4.1.2.2: positive, 20 bytes at most. At least 64 random bits, as the CA/B forum asks.
    let serial = cert.serial.len() / 2;
    check(
        (8..=20).contains(&serial) && cert.serial.as_bytes()[0] < b'8',
        "its serial number is out of range",
    );

    let wanted: BTreeSet<String> = request.dns_sans.iter().cloned().collect();
    check(cert.dns_sans == wanted, "its DNS names are not those asked for");
    check(cert.ip_sans == request.ip_sans.iter().copied().collect(), "its addresses are not those asked for");
    check(cert.other_sans.is_empty(), "it has names that nobody asked for");
    check(cert.subject_text == subject_text(request), "its subject is not the one asked for");

    let is_ca = request.profile == Profile::Ca;
    let key_usage: BTreeSet<&str> = if is_ca {
        ["digitalSignature", "keyCertSign", "cRLSign"].into()
    } else if request.algorithm.is_rsa() {
        ["digitalSignature", "keyEncipherment"].into()
    } else {
        ["digitalSignature"].into()
    };
    check(
        cert.key_usage.as_ref().is_some_and(|ku| ku.critical && ku.value == key_usage),
        "its key usage is not its profile's",
    );
    check(
        cert.basic_constraints
            .as_ref()
            .is_some_and(|bc| bc.critical && bc.value == BasicConstraints { ca: is_ca, path_len: None }),
        "its basic constraints are not its profile's",
    );
    let found = cert.extended_key_usage.as_ref().map(|eku| &eku.value);
    let extended: BTreeSet<String> =
        extended_key_usage(request.profile).iter().map(|s| (*s).to_owned()).collect();
    check(found == (!is_ca).then_some(&extended), "its extended key usage is not its profile's");
    check(cert.other_extensions.is_empty(), "it has extensions that nobody asked for");
    wrong
}

/// RFC 5280's names of a profile's extended key usages.
pub fn extended_key_usage(profile: Profile) -> &'static [&'static str] {
    match profile {
        Profile::Ca => &[],
        Profile::Server => &["serverAuth"],
        Profile::Client => &["clientAuth"],
        Profile::ServerAndClient => &["serverAuth", "clientAuth"],
    }
}

/// The subject that a request asks for, for people.
pub fn subject_text(request: &CertRequest) -> String {
    let o = request.organization.as_ref().map(|o| format!("O={o}"));
    let cn = request.common_name.as_ref().map(|cn| format!("CN={cn}"));
    o.into_iter().chain(cn).collect::<Vec<_>>().join(", ")
}

/// Accepts a profile's extended key usages, no fewer and no more, in one walk along the chain.
struct Exactly(Profile);

impl ExtendedKeyUsageValidator for Exactly {
    fn validate(&self, usages: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        let mut found = BTreeSet::new();
        for usage in usages {
            found.insert(usage?.to_decoded_oid());
        }
        let wanted: &[&[usize]] = match self.0 {
            Profile::Ca => &[],
            Profile::Server => &[KeyUsage::SERVER_AUTH_REPR],
            Profile::Client => &[KeyUsage::CLIENT_AUTH_REPR],
            Profile::ServerAndClient => &[KeyUsage::SERVER_AUTH_REPR, KeyUsage::CLIENT_AUTH_REPR],
        };
        if found.iter().map(Vec::as_slice).eq(wanted.iter().copied()) {
            return Ok(());
        }
        let required =
            if self.0 == Profile::Client { KeyUsage::client_auth() } else { KeyUsage::server_auth() };
        let present = found.into_iter().collect();
        Err(webpki::Error::RequiredEkuNotFoundContext(webpki::RequiredEkuNotFoundContext {
            required,
            present,
        }))
    }
}

/// All that webpki knows, and P-521.
fn algorithms() -> Vec<&'static dyn SignatureVerificationAlgorithm> {
    let p521 = p521::ALL.iter().map(|a| a as &dyn SignatureVerificationAlgorithm);
    webpki::ALL_VERIFICATION_ALGS.iter().copied().chain(p521).collect()
}

/// Asks an independent verifier for the chain, the usage and every name, at a time.
pub fn check_chain(request: &CertRequest, der: &[u8], issuer: &[u8], now: OffsetDateTime) -> Vec<String> {
    if request.profile == Profile::Ca {
        // webpki takes no CA as an end entity; what is left to check is the signature.
        return match read::is_signed_by(der, issuer) {
            Ok(true) => Vec::new(),
            Ok(false) => vec!["its signature is not its CA's".to_owned()],
            Err(e) => vec![format!("it {e}")],
        };
    }
    let (der, issuer) = (CertificateDer::from(der), CertificateDer::from(issuer));
    let cert = match EndEntityCert::try_from(&der) {
        Ok(cert) => cert,
        Err(e) => return vec![format!("webpki cannot read it: {e}")],
    };
    let anchors = match webpki::anchor_from_trusted_cert(&issuer) {
        Ok(anchor) => [anchor],
        Err(e) => return vec![format!("webpki cannot read its CA: {e}")],
    };
    let seconds = u64::try_from(now.unix_timestamp()).unwrap_or(0);
    let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
    let mut wrong = Vec::new();
    let (algorithms, usages) = (algorithms(), Exactly(request.profile));
    if let Err(e) = cert.verify_for_usage(&algorithms, &anchors, &[], time, usages, None, None) {
        wrong.push(format!("webpki refuses the chain: {e}"));
    }
    let addresses = request.ip_sans.iter().map(|ip| ServerName::from(*ip));
    // A wildcard stands for one label (RFC 6125 section 6.4.3).
    let names = request.dns_sans.iter().map(|dns| (dns, dns.replacen('*', "any", 1)));
    for (dns, name) in names {
        match ServerName::try_from(name) {
            Ok(name) if cert.verify_is_valid_for_subject_name(&name).is_ok() => {}
            Ok(_) => wrong.push(format!("webpki does not accept it for {dns}")),
            Err(_) => wrong.push(format!("{dns} is no DNS name")),
        }
    }
    for address in addresses {
        if cert.verify_is_valid_for_subject_name(&address).is_err() {
            wrong.push(format!("webpki does not accept it for {}", address.to_str()));
        }
    }
    wrong
}
