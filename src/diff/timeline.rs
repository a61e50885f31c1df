//! How long the certificates of a build are valid.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base64::Engine;
use time::OffsetDateTime;

use super::change::CertificateDates;
use super::compare::shown;
use crate::pki::read;
use crate::snapshot::{Body, Bundle, Head, OPERATOR};

/// Whether a bundle is worth opening for its certificates: a worker gets one only where khagen issues kubelets' credentials.
pub fn has_certificates(name: &str, head: &Head) -> bool {
    let issued = head.all.contains_key("kubeletCredentials");
    name == OPERATOR || head.has("etcd") || head.has("control-plane") || issued
}

/// The certificates of both sides of one bundle, by file.
pub fn dates(old: Option<&Bundle>, new: Option<&Bundle>) -> Vec<CertificateDates> {
    let (a, b) = (old.map(found).unwrap_or_default(), new.map(found).unwrap_or_default());
    let Some(host) = new.or(old).map(|b| b.name.clone()) else { return Vec::new() };
    let files: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    files
        .into_iter()
        .filter_map(|file| {
            let (x, y) = (a.get(file), b.get(file));
            let shown = y.or(x)?;
            Some(CertificateDates {
                host: host.clone(),
                file: file.clone(),
                subject: shown.subject.clone(),
                ca: shown.ca,
                old_not_after: x.map(|c| c.not_after.clone()),
                new_not_after: y.map(|c| c.not_after.clone()),
            })
        })
        .collect()
}

/// By date, then host and file. A CA that many hosts have is told once, of the first.
pub fn sort(certificates: &mut Vec<CertificateDates>) {
    certificates.sort_by(|a, b| {
        let date = |c: &CertificateDates| c.new_not_after.clone().or_else(|| c.old_not_after.clone());
        (date(a), &a.host, &a.file).cmp(&(date(b), &b.host, &b.file))
    });
    let mut seen: BTreeSet<(String, String, Option<String>)> = BTreeSet::new();
    certificates
        .retain(|c| !c.ca || seen.insert((c.subject.clone(), c.file.clone(), c.new_not_after.clone())));
}

struct Found {
    subject: String,
    ca: bool,
    not_after: String,
}

fn found(bundle: &Bundle) -> BTreeMap<String, Found> {
    let mut out = BTreeMap::new();
    for (path, file) in &bundle.files {
        let Body::Text(text) = &file.body else { continue };
        let pem: Option<Arc<str>> = if path.ends_with(".crt") {
            Some(text.clone())
        } else if path.ends_with(".conf") {
            client_certificate(text)
        } else {
            None
        };
        let Some(mut summary) = pem.and_then(|pem| read::summary(&read::der(&pem).ok()?).ok()) else {
            continue;
        };
        super::printable::text(&mut summary.subject_text);
        out.insert(
            shown(path),
            Found {
                subject: summary.subject_text,
                ca: summary.basic_constraints.is_some_and(|b| b.value.ca),
                not_after: timestamp(summary.not_after),
            },
        );
    }
    out
}

/// A kubeconfig's certificate; there is one user in ours.
fn client_certificate(text: &str) -> Option<Arc<str>> {
    let line = text.lines().find_map(|l| l.trim_start().strip_prefix("client-certificate-data:"))?;
    let bytes = base64::engine::general_purpose::STANDARD.decode(line.trim()).ok()?;
    String::from_utf8(bytes).ok().map(Arc::from)
}

fn timestamp(t: OffsetDateTime) -> String {
    let (year, month, day) = t.to_calendar_date();
    format!("{year:04}-{:02}-{day:02}T{:02}:{:02}:{:02}Z", u8::from(month), t.hour(), t.minute(), t.second())
}
