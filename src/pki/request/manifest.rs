//! The page beside requests, for the person who decides whether to sign them.

use std::fmt::Write as _;

use time::OffsetDateTime;

use super::Csr;
use crate::model::Cluster;
use crate::pki::object::instant;
use crate::pki::store::Store;
use crate::pki::{read, verify};
use crate::plan::CertRequest;

/// The page's name.
pub const FILE: &str = "MANIFEST.txt";

/// The file of a request, without its ending. Parts of names hold letters, digits, `.`, `_` and `-`.
pub fn stem(request: &CertRequest) -> String {
    request.id.as_str().replace('/', ".")
}

/// RFC 5280's names of the key usages that a certificate shall have.
pub fn key_usage(request: &CertRequest) -> &'static str {
    if request.algorithm.is_rsa() { "digitalSignature, keyEncipherment" } else { "digitalSignature" }
}

/// The page.
pub fn text(cluster: &Cluster, store: &Store, requests: &[Csr<'_>], now: OffsetDateTime) -> String {
    let mut out = format!(
        "Certificate requests of cluster {}, written {}\n\n\
         Each .csr is a PKCS#10 request (RFC 2986). Sign each with the CA that is named, with exactly the subject, names and\n\
         usages that are listed, which the requests ask for as well, and CA:FALSE. Other extensions may be added if they are not critical. A\n\
         certificate that names more, or may do more, is not taken back. The keys have not left the store.\n",
        cluster.name,
        instant(now)
    );
    for csr in requests {
        let request = csr.request;
        let ca = request.issuer.as_ref();
        let subject = ca
            .and_then(|ca| store.cert_pem(ca))
            .and_then(|pem| read::summary(&read::der(pem).ok()?).ok())
            .map(|s| s.subject_text)
            .unwrap_or_default();
        let ca = ca.map_or("", |ca| ca.as_str());
        let _ = write!(out, "\n{}\n", request.id);
        let mut line = |name: &str, value: &str| {
            if !value.is_empty() {
                let _ = writeln!(out, "  {name:<20} {value}");
            }
        };
        line("request", &format!("{}.csr", stem(request)));
        line("CA", &format!("{ca} ({subject})"));
        line("purpose", request.purpose);
        line("host", request.host.as_deref().unwrap_or("operator"));
        line("why", &csr.reason);
        line("subject", &verify::subject_text(request));
        line("DNS names", &request.dns_sans.join(", "));
        let ips: Vec<String> = request.ip_sans.iter().map(ToString::to_string).collect();
        line("addresses", &ips.join(", "));
        line("key usage", &format!("{} (critical)", key_usage(request)));
        line("extended key usage", &verify::extended_key_usage(request.profile).join(", "));
        line("basic constraints", "CA:FALSE");
        line("days", &request.validity_days.to_string());
        line(
            "key",
            &format!("{}, SHA-256 of its public half {}", request.algorithm.as_str(), csr.fingerprint),
        );
    }
    out
}
