//! Whether a certificate that somebody else issued is what its request asked for: its key, subject and names, no more and no
//! fewer; what it may do; whom it was signed by; how long it holds.
//!
//! What does no harm is accepted: extensions that are not critical, keyEncipherment, another order of the subject's parts,
//! no subject key identifier. Pure; all findings at once.

use std::collections::BTreeSet;

use time::{Duration, OffsetDateTime};

use crate::diag::Code;
use crate::pki::object::instant;
use crate::pki::read::authority::details;
use crate::pki::read::{self, CertSummary};
use crate::pki::verify;
use crate::plan::CertRequest;

/// What a certificate is held against.
pub struct Against<'a> {
    /// What was asked for.
    pub request: &'a CertRequest,
    /// Fingerprint of the key that it was asked for.
    pub key: &'a str,
    /// DER of its CA.
    pub ca: &'a [u8],
    /// The time.
    pub now: OffsetDateTime,
    /// Days before an end from which renewal is due.
    pub renew_before_days: u32,
}

/// Something that is wrong, or that should be known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// Which rule.
    pub code: Code,
    /// Whether the certificate can be used all the same.
    pub tolerable: bool,
    /// What, continuing a sentence that the certificate's name begins.
    pub what: String,
}

/// Judges a certificate in DER.
pub fn judge(der: &[u8], against: &Against<'_>) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    let mut add = |code, what: String| wrong.push(Wrong { code, tolerable: false, what });
    let (Ok(cert), Ok(ca), Ok(more)) = (read::summary(der), read::summary(against.ca), details(der)) else {
        add(Code::ImportUnreadable, "cannot be read".to_owned());
        return wrong;
    };
    let request = against.request;
    if cert.spki_sha256 != against.key {
        add(Code::ImportNotAsked, "has another key".to_owned());
    }
    as_asked(&cert, request, &mut |what| add(Code::ImportNotAsked, what));
    if !more.unknown_critical.is_empty() {
        let what =
            format!("has critical extensions that nobody asked for: {}", more.unknown_critical.join(", "));
        add(Code::ImportNotAsked, what);
    }
    if cert.issuer != ca.subject {
        let what = format!("was issued by {}, not by {}", cert.issuer_text, ca.subject_text);
        add(Code::ImportNotSigned, what);
    } else if !read::is_signed_by(der, against.ca).unwrap_or(false) {
        add(Code::ImportNotSigned, format!("is not signed by the key of {}", ca.subject_text));
    }
    if cert.authority_key_id.is_some() && cert.authority_key_id != ca.subject_key_id {
        add(Code::ImportNotSigned, "names another key identifier than its CA has".to_owned());
    }
    let sound = wrong.is_empty();
    wrong.extend(validity(&cert, &ca, against));
    // An independent verifier has the last word.
    if sound && wrong.iter().all(|w| w.tolerable) {
        let refused = verify::check_chain(request, der, against.ca, against.now);
        let code = Code::ImportNotSigned;
        wrong.extend(refused.into_iter().map(|what| Wrong {
            code,
            tolerable: false,
            what: format!("is refused: {what}"),
        }));
    }
    wrong
}

fn as_asked(cert: &CertSummary, request: &CertRequest, add: &mut dyn FnMut(String)) {
    let parts = |text: &str| text.split(", ").map(str::to_owned).collect::<BTreeSet<String>>();
    let subject = verify::subject_text(request);
    if parts(&cert.subject_text) != parts(&subject) {
        add(format!("has the subject {:?} where {subject:?} was asked for", cert.subject_text));
    }
    let found: BTreeSet<String> =
        cert.dns_sans.iter().cloned().chain(cert.ip_sans.iter().map(ToString::to_string)).collect();
    let asked: BTreeSet<String> =
        request.dns_sans.iter().cloned().chain(request.ip_sans.iter().map(ToString::to_string)).collect();
    let list = |names: Vec<&String>| names.into_iter().cloned().collect::<Vec<_>>();
    let (more, fewer) = (list(found.difference(&asked).collect()), list(asked.difference(&found).collect()));
    if !more.is_empty() {
        add(format!("has names that nobody asked for: {}", more.join(", ")));
    }
    if !fewer.is_empty() {
        add(format!("lacks the names {}", fewer.join(", ")));
    }
    if !cert.other_sans.is_empty() {
        add(format!("has names of other kinds: {}", cert.other_sans.join(", ")));
    }
    let wanted: BTreeSet<String> =
        verify::extended_key_usage(request.profile).iter().map(|s| (*s).to_owned()).collect();
    let found = cert.extended_key_usage.as_ref().map(|eku| eku.value.clone()).unwrap_or_default();
    if found != wanted {
        let said = |set: &BTreeSet<String>| match set.len() {
            0 => "none".to_owned(),
            _ => set.iter().cloned().collect::<Vec<_>>().join(", "),
        };
        add(format!("has the extended key usage {} where {} was asked for", said(&found), said(&wanted)));
    }
    let usage = cert.key_usage.as_ref().map(|ku| ku.value.clone()).unwrap_or_default();
    let allowed = ["digitalSignature", "keyEncipherment"];
    if !usage.contains("digitalSignature") {
        add("lacks the key usage digitalSignature".to_owned());
    }
    let beyond: Vec<&str> = usage.into_iter().filter(|u| !allowed.contains(u)).collect();
    if !beyond.is_empty() {
        add(format!("has key usages that nobody asked for: {}", beyond.join(", ")));
    }
    if cert.basic_constraints.as_ref().is_some_and(|bc| bc.value.ca) {
        add("is a CA's".to_owned());
    }
}

fn validity(cert: &CertSummary, ca: &CertSummary, against: &Against<'_>) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    let mut add =
        |tolerable, what: String| wrong.push(Wrong { code: Code::ImportSignedValidity, tolerable, what });
    let (from, until, now) = (cert.not_before, cert.not_after, against.now);
    let days = |n: u32| Duration::days(i64::from(n));
    if from > now {
        add(false, format!("is not valid before {}", instant(from)));
    } else if until <= now {
        add(false, format!("ended on {}", instant(until)));
    } else if until - now <= days(against.renew_before_days) {
        let what = format!(
            "ends on {}, so that it would be due at once (pki.renewBefore: {} days)",
            instant(until),
            against.renew_before_days
        );
        add(false, what);
    } else if until > ca.not_after {
        add(
            false,
            format!("ends on {}, after its CA, which ends on {}", instant(until), instant(ca.not_after)),
        );
    } else {
        // Whoever signs counts from another hour, and perhaps from another time zone.
        let asked = days(against.request.validity_days);
        let wanted = against.request.validity_days;
        if until - now < asked - Duration::days(2) {
            add(
                true,
                format!("ends on {}, sooner than the {wanted} days that were asked for", instant(until)),
            );
        } else if until - now > asked + Duration::days(2) {
            add(
                true,
                format!("ends on {}, later than the {wanted} days that were asked for", instant(until)),
            );
        }
    }
    wrong
}
