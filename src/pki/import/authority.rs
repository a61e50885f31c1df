//! Reads a CA that somebody else made and judges whether it can be one of a cluster: a certificate, perhaps the chain above
//! it, and its key unless that is kept elsewhere.
//!
//! Pure: bytes, a time and the cluster's certificates in; findings out. The store is not asked; see [`super::place`].

use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use super::{constraints, keys, some};
use crate::content::ObjectId;
use crate::diag::{Code, Diagnostic, Report};
use crate::pki::key::{self, SigningKey};
use crate::pki::object::instant;
use crate::pki::read::authority::{Details, KeyKind, details};
use crate::pki::read::{self, CertSummary};
use crate::plan::{CertRequest, Profile};
use crate::secret::Secret;

/// Files as they were given.
pub struct Given<'a> {
    /// The certificates' file, as messages name it.
    pub cert_name: &'a str,
    /// Its content.
    pub certs: &'a [u8],
    /// The key's file with its content; `None` where the key is kept elsewhere.
    pub key: Option<(&'a str, &'a [u8])>,
}

/// What the cluster needs of the CA.
pub struct Needs<'a> {
    /// All certificates of the cluster.
    pub requests: &'a [CertRequest],
    /// The CA's name in the store.
    pub id: &'a ObjectId,
    /// Days that what it signs shall hold.
    pub validity_days: u32,
    /// Days before an end from which renewal is due.
    pub renew_before_days: u32,
    /// The time.
    pub now: OffsetDateTime,
}

impl Needs<'_> {
    fn leafs(&self) -> impl Iterator<Item = &CertRequest> {
        self.requests.iter().filter(|r| r.issuer.as_ref() == Some(self.id))
    }
}

/// A CA that was read.
pub struct Authority {
    /// DER of its certificate.
    pub der: Vec<u8>,
    /// What it says.
    pub summary: CertSummary,
    /// What else it says.
    pub details: Details,
    /// Its key, as PKCS#8 PEM.
    pub key: Option<Secret>,
    /// What signed it, and what signed that, as far as it was given.
    pub above: Vec<(Vec<u8>, CertSummary)>,
}

impl Authority {
    /// Whether it is its own issuer.
    pub fn is_root(&self) -> bool {
        self.summary.subject == self.summary.issuer
    }
}

/// How a passphrase is got.
pub type Ask<'a> = &'a mut dyn FnMut() -> Result<Zeroizing<Vec<u8>>, String>;

/// Reads a CA. `None` after a finding.
pub fn read(given: &Given<'_>, ask: Ask<'_>, report: &mut Report) -> Option<Authority> {
    let mut certs = certificates(given, report)?;
    let key = match given.key {
        None => None,
        Some((name, text)) => {
            // The first is the CA's by custom; only a key that leaves its public half out depends on it.
            let point = certs.first().map(|(_, _, d)| d.public_bits.clone()).unwrap_or_default();
            Some(own_key(name, text, &point, ask, report)?)
        }
    };
    let own = match &key {
        None => Some(0),
        Some((_, fingerprint)) => certs.iter().position(|(_, s, _)| s.spki_sha256 == *fingerprint),
    };
    let Some(own) = own else {
        let name = given.key.map_or("", |(name, _)| name);
        let subjects: Vec<&str> = certs.iter().map(|(_, s, _)| s.subject_text.as_str()).collect();
        let message = format!("{name}: the key does not belong to {}", some(&subjects));
        let finding = Diagnostic::error(Code::ImportOtherKey, message)
            .reason("what it signed would be refused by everybody who trusts the certificate")
            .help("give the key that the certificate was made for; `openssl pkey -pubout -in KEY` and `openssl x509 -pubkey -noout -in CERT` print the same then");
        report.push(finding);
        return None;
    };
    let (der, summary, details) = certs.remove(own);
    let above = chain(given.cert_name, &der, &summary, certs, report);
    Some(Authority { der, summary, details, key: key.map(|(secret, _)| secret), above })
}

type Read = (Vec<u8>, CertSummary, Details);

fn certificates(given: &Given<'_>, report: &mut Report) -> Option<Vec<Read>> {
    let name = given.cert_name;
    let unreadable = |what: String| {
        Diagnostic::error(Code::ImportUnreadable, format!("{name}: {what}"))
            .help("give the CA's certificate in PEM form, and those above it in the same file if it is an intermediate; `openssl x509 -inform der` turns DER into PEM")
    };
    let blocks = pem::parse_many(given.certs).unwrap_or_default();
    let ders: Vec<Vec<u8>> =
        blocks.into_iter().filter(|b| b.tag() == "CERTIFICATE").map(pem::Pem::into_contents).collect();
    if ders.is_empty() {
        report.push(unreadable("holds no certificate in PEM form".to_owned()));
        return None;
    }
    let mut certs = Vec::new();
    for (n, der) in ders.into_iter().enumerate() {
        match (read::summary(&der), details(&der)) {
            (Ok(summary), Ok(details)) => certs.push((der, summary, details)),
            (Err(e), _) | (_, Err(e)) => report.push(unreadable(format!("certificate {} {e}", n + 1))),
        }
    }
    (!certs.is_empty()).then_some(certs)
}

/// The key as PKCS#8 PEM and its fingerprint.
fn own_key(
    name: &str,
    text: &[u8],
    point: &[u8],
    ask: Ask<'_>,
    report: &mut Report,
) -> Option<(Secret, String)> {
    let refused = |what: String, code| {
        Diagnostic::error(code, format!("{name}: {what}"))
            .reason("kubeadm loads RSA and ECDSA keys; khagen signs with ECDSA P-256, P-384, P-521 and RSA of 2048 to 4096 bits")
    };
    let secret = match keys::read(text, point, ask) {
        Ok(secret) => secret,
        Err(e) => {
            let code = if matches!(e, keys::KeyRefused::Kind(_)) {
                Code::ImportWeak
            } else {
                Code::ImportUnreadable
            };
            report.push(refused(e.to_string(), code));
            return None;
        }
    };
    // Nothing random comes out: ring seeds nonces of signatures that are never made here.
    match SigningKey::parse(secret.expose(), &ring::rand::SystemRandom::new()) {
        Ok(pair) => Some((secret, key::fingerprint(&key::spki(pair.public())))),
        Err(e) => {
            report.push(refused(e.to_string(), Code::ImportWeak));
            None
        }
    }
}

/// Orders what is above a CA by who signed whom.
fn chain(
    name: &str,
    der: &[u8],
    summary: &CertSummary,
    mut others: Vec<Read>,
    report: &mut Report,
) -> Vec<(Vec<u8>, CertSummary)> {
    let mut above: Vec<(Vec<u8>, CertSummary)> = Vec::new();
    let broken = |message: String| {
        Diagnostic::error(Code::ImportChain, format!("{name}: {message}"))
            .reason("a certificate that its issuer did not sign was changed, or stands beside another CA's")
            .help("give the CA's certificate and exactly those above it, each signed by the next")
    };
    loop {
        let (der, summary) = above.last().map_or((der, summary), |(d, s)| (d.as_slice(), s));
        if summary.subject == summary.issuer {
            if !read::is_signed_by(der, der).unwrap_or(false) {
                report.push(broken(format!("{} is not signed by its own key", summary.subject_text)));
            }
            break;
        }
        let named: Vec<usize> =
            (0..others.len()).filter(|i| others[*i].1.subject == summary.issuer).collect();
        let Some(first) = named.first().copied() else { break };
        let signed = named.into_iter().find(|i| read::is_signed_by(der, &others[*i].0).unwrap_or(false));
        if signed.is_none() {
            report.push(broken(format!(
                "{} is not signed by the {} beside it",
                summary.subject_text, summary.issuer_text
            )));
        }
        let (der, summary, _) = others.remove(signed.unwrap_or(first));
        above.push((der, summary));
    }
    for (_, stranger, _) in others {
        report.push(broken(format!("{} is not above the CA", stranger.subject_text)));
    }
    above
}

/// Judges whether a CA can sign what the cluster needs. All findings at once.
pub fn judge(authority: &Authority, needs: &Needs<'_>, report: &mut Report) {
    let summary = &authority.summary;
    let subject = if summary.subject_text.is_empty() { "the certificate" } else { &summary.subject_text };
    is_ca(authority, subject, report);
    may_sign(authority, needs, subject, report);
    validity(authority, needs, subject, report);
    strength(authority, subject, report);
    names(authority, needs, subject, report);
    let unknown = &authority.details.unknown_critical;
    if !unknown.is_empty() {
        let message =
            format!("{subject} has critical extensions that not every program knows: {}", some(unknown));
        report.push(
            Diagnostic::error(Code::ImportExtension, message)
                .reason("a verifier must refuse a certificate with a critical extension that it does not know (RFC 5280 section 4.2), and a cluster has Go's, OpenSSL's and webpki's")
                .help("have the CA issued without them, or with them not critical"),
        );
    }
}

fn is_ca(authority: &Authority, subject: &str, report: &mut Report) {
    let bc = authority.summary.basic_constraints.as_ref();
    let what = if !authority.details.version3 {
        "is no X.509 version 3 certificate"
    } else if bc.is_none() {
        "has no basic constraints"
    } else if bc.is_some_and(|bc| !bc.value.ca) {
        "says CA:FALSE"
    } else if authority.summary.subject.len() <= 2 {
        "has an empty subject"
    } else {
        return;
    };
    report.push(
        Diagnostic::error(Code::ImportNoCa, format!("{subject} {what}: it is no CA"))
            .reason("nobody accepts what a certificate signs that is no CA's (RFC 5280 section 6.1.4 (k))")
            .help("give a CA's certificate: basicConstraints CA:TRUE, keyUsage keyCertSign"),
    );
}

fn may_sign(authority: &Authority, needs: &Needs<'_>, subject: &str, report: &mut Report) {
    let mut forbid = |message: String, help: &str| {
        let reason =
            "verifiers apply what the CA's certificate says to all that it signs (RFC 5280 section 6.1.4)";
        report.push(Diagnostic::error(Code::ImportMayNotSign, message).reason(reason).help(help));
    };
    let summary = &authority.summary;
    if let Some(usage) = &summary.key_usage
        && !usage.value.contains("keyCertSign")
    {
        let has: Vec<&str> = usage.value.iter().copied().collect();
        let message = format!("{subject} may not sign certificates: its key usage is {}", has.join(", "));
        forbid(message, "have it issued with keyUsage keyCertSign");
    }
    if let Some(usage) =
        summary.extended_key_usage.as_ref().filter(|u| !u.value.contains("anyExtendedKeyUsage"))
    {
        let is = |profiles: &[Profile]| needs.leafs().any(|r| profiles.contains(&r.profile));
        let server = is(&[Profile::Server, Profile::ServerAndClient]);
        let client = is(&[Profile::Client, Profile::ServerAndClient]);
        let lacks: Vec<&str> = [(server, "serverAuth"), (client, "clientAuth")]
            .into_iter()
            .filter(|(needed, name)| *needed && !usage.value.contains(*name))
            .map(|(_, name)| name)
            .collect();
        if !lacks.is_empty() {
            let message = format!(
                "{subject} may not sign for {}: its extended key usage leaves it out",
                lacks.join(", ")
            );
            forbid(
                message,
                "have it issued without an extended key usage, or with serverAuth and clientAuth",
            );
        }
    }
    for (distance, (_, above)) in (1u32..).zip(&authority.above) {
        let limit = above.basic_constraints.as_ref().map(|bc| bc.value);
        if limit.is_none_or(|bc| !bc.ca) {
            forbid(
                format!("{} above {subject} is no CA", above.subject_text),
                "give the chain that signed it",
            );
        } else if let Some(limit) = limit.and_then(|bc| bc.path_len).filter(|limit| *limit < distance) {
            let message =
                format!("{} allows {limit} CAs below it, and {subject} is one too many", above.subject_text);
            forbid(message, "have the CA issued by one with a longer path length");
        }
    }
}

fn validity(authority: &Authority, needs: &Needs<'_>, subject: &str, report: &mut Report) {
    let summary = &authority.summary;
    let (from, until, now) = (summary.not_before, summary.not_after, needs.now);
    let days = |n: u32| Duration::days(i64::from(n));
    let error = |what: String| {
        Diagnostic::error(Code::ImportValidity, format!("{subject} {what}"))
            .reason("a chain is valid only while all of it is (RFC 5280 section 6.1.3)")
            .help("have the CA renewed; with the same key and name, what it signed stays valid")
    };
    if from > now {
        report.push(error(format!("is not valid before {}", instant(from))));
    } else if until <= now {
        report.push(error(format!("ended on {}", instant(until))));
    } else if until - now <= days(needs.renew_before_days) {
        report.push(error(format!(
            "ends on {}, so that all it signs would be due at once (pki.renewBefore: {} days)",
            instant(until),
            needs.renew_before_days
        )));
    } else if until - now < days(needs.validity_days) {
        report.push(
            Diagnostic::warning(
                Code::ImportValidity,
                format!("{subject} ends on {}: what it signs ends then, too", instant(until)),
            )
            .reason(format!("pki.validity asks for {} days", needs.validity_days)),
        );
    }
    for (_, above) in authority.above.iter().filter(|(_, above)| above.not_after <= now) {
        report.push(
            Diagnostic::warning(
                Code::ImportValidity,
                format!("{} above {subject} ended on {}", above.subject_text, instant(above.not_after)),
            )
            .reason("hosts trust the CA itself, not what is above it, so that the cluster does not notice; others may"),
        );
    }
}

/// OIDs of signatures by MD2, MD5 and SHA-1: RSA, DSA, ECDSA (RFC 3279), and the OIW's name for SHA-1 with RSA.
const WEAK: [&str; 6] = [
    "1.2.840.113549.1.1.2",
    "1.2.840.113549.1.1.4",
    "1.2.840.113549.1.1.5",
    "1.2.840.10040.4.3",
    "1.2.840.10045.4.1",
    "1.3.14.3.2.29",
];

/// OIDs of P-256, P-384 and P-521 (RFC 5480 section 2.1.1.1).
const CURVES: [&str; 3] = ["1.2.840.10045.3.1.7", "1.3.132.0.34", "1.3.132.0.35"];

fn strength(authority: &Authority, subject: &str, report: &mut Report) {
    // ring signs with 4096 bits at most, and verifies with 8192.
    let most = if authority.key.is_some() { 4096 } else { 8192 };
    let what = match &authority.details.key {
        KeyKind::Rsa(bits) if *bits < 2048 => {
            Some(format!("has an RSA key of {bits} bits, which is too short"))
        }
        KeyKind::Rsa(bits) if *bits > most => {
            Some(format!("has an RSA key of {bits} bits; {most} is the limit"))
        }
        KeyKind::Ec(curve) if !CURVES.contains(&curve.as_str()) => {
            Some(format!("has a key on another curve ({curve})"))
        }
        KeyKind::Other(oid) => Some(format!("has a key that is neither RSA nor ECDSA ({oid})")),
        KeyKind::Rsa(_) | KeyKind::Ec(_) => None,
    };
    if let Some(what) = what {
        report.push(
            Diagnostic::error(Code::ImportWeak, format!("{subject} {what}"))
                .reason("kubeadm, Go's TLS and khagen take RSA of 2048 bits and more, and ECDSA on P-256, P-384 and P-521")
                .help("have a CA issued for such a key"),
        );
    }
    if WEAK.contains(&authority.details.signed_with.as_str()) {
        let message = format!("{subject} is signed with MD5 or SHA-1");
        // Nobody looks at the signature of a root that is trusted by itself.
        report.push(if authority.is_root() {
            Diagnostic::warning(Code::ImportWeak, message)
                .reason("hosts trust it as it stands, so that its own signature is not looked at; scanners will name it")
        } else {
            Diagnostic::error(Code::ImportWeak, message)
                .reason("who verifies it up to its root refuses it: Go since 1.18, OpenSSL from security level 1")
                .help("have the CA issued anew, signed with SHA-256")
        });
    }
}

fn names(authority: &Authority, needs: &Needs<'_>, subject: &str, report: &mut Report) {
    let Some(limits) = &authority.details.constraints else { return };
    let unknown = constraints::unknown(limits);
    if !unknown.is_empty() {
        report.push(
            Diagnostic::error(
                Code::ImportConstraints,
                format!("{subject} has name constraints that Go does not know: {}", some(&unknown)),
            )
            .reason("kubeadm, the API server and etcd refuse a CA with a critical extension that they cannot apply")
            .help("have the CA issued with constraints on DNS names and addresses only, or with none"),
        );
    }
    let forbidden = constraints::forbidden(limits, needs.leafs());
    if !forbidden.is_empty() {
        report.push(
            Diagnostic::error(
                Code::ImportConstraints,
                format!("{subject} may not sign {}", some(&forbidden)),
            )
            .reason("its name constraints leave these names out, and certificates of this cluster need them")
            .help("have them permitted: localhost, 127.0.0.1 and ::1 for etcd's members; kubernetes, kubernetes.default and so on for API servers"),
        );
    }
}
