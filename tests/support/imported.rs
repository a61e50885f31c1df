//! Cases of what is imported: a CA's certificate and key in a case's folder, judged as one of the repository's example
//! cluster on the tests' day; and those that depend on what the store has.

use std::fs;
use std::path::{Path, PathBuf};

use khagen::content::ObjectId;
use khagen::diag::{Code, Report, render};
use khagen::env::Env;
use khagen::model::{Cluster, Inventory};
use khagen::pki::import::adopt::{self, collected::Collected};
use khagen::pki::import::authority::{self, Authority, Given, Needs};
use khagen::pki::import::place::{self, Placing};
use khagen::pki::request;
use khagen::pki::request::signed::{self, File};
use khagen::pki::{Store, issue};
use khagen::plan::{CertRequest, certs};
use khagen::source::Sources;
use time::{Date, Month, Time};

use super::{Said, corporate};

pub fn env() -> Env {
    let day = Date::from_calendar_date(2026, Month::November, 22).expect("a date");
    Env::at(day.with_time(Time::MIDNIGHT).assume_utc())
}

pub fn example() -> Inventory {
    let (mut sources, mut report) = (Sources::new(), Report::new());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("inventory");
    let loaded = khagen::load::load(&path, &mut sources, &mut report);
    khagen::check::check(&loaded, &sources, env().now().date(), &mut report).expect("the example is valid")
}

pub fn requests(cluster: &Cluster) -> Vec<CertRequest> {
    certs::certificates(cluster, "k8smaster1.isociel.com")
}

fn read(dir: &Path, with_key: bool, report: &mut Report) -> Option<Authority> {
    let certs = fs::read(dir.join("ca.pem")).expect("ca.pem");
    let key = fs::read(dir.join("ca.key")).expect("ca.key");
    let given = Given { cert_name: "ca.pem", certs: &certs, key: with_key.then_some(("ca.key", &key)) };
    authority::read(&given, &mut || Err("there is no terminal".to_owned()), report)
}

fn said(report: Report) -> Said {
    let text = render::text(&report, &Sources::new(), render::Look::default());
    let inventory = (!report.has_errors()).then(example);
    Said { text, report, inventory }
}

/// Judges a folder as the example's `ca/etcd`.
pub fn judge(dir: &Path) -> Said {
    let inventory = example();
    let (cluster, id, mut report) = (&inventory.clusters[0], ObjectId::new(certs::ETCD_CA), Report::new());
    let requests = requests(cluster);
    if let Some(authority) = read(dir, true, &mut report) {
        let needs = Needs {
            requests: &requests,
            id: &id,
            validity_days: cluster.pki.validity_days,
            renew_before_days: cluster.pki.renew_before_days,
            now: env().now(),
        };
        authority::judge(&authority, &needs, &mut report);
    }
    said(report)
}

/// A good CA of the cases.
fn good(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics").join(name).join("good")
}

/// What a store makes of a good CA: the example's, in which everything is issued.
fn placed(
    ca: &str,
    with_key: bool,
    replace: bool,
    prepare: impl FnOnce(&mut Store, &[CertRequest]),
) -> (Said, Option<Placing>) {
    let inventory = example();
    let (cluster, id, mut report) = (&inventory.clusters[0], ObjectId::new(ca), Report::new());
    let requests = requests(cluster);
    let dir = tempfile::tempdir().expect("a folder");
    let mut store = Store::open(&dir.path().join("secrets")).expect("a store");
    prepare(&mut store, &requests);
    let authority = read(&good("KH0621-import-other-key"), with_key, &mut report).expect("a good CA");
    let placing = place::placing(&store, cluster, &id, &authority, replace, &mut report);
    let placing = (!report.has_errors()).then_some(placing);
    (said(report), placing)
}

/// Issues everything of the example.
fn issued(store: &mut Store, requests: &[CertRequest]) {
    issue::issue(requests, &[], store, &env()).expect("issued");
}

/// Imports the same good CA as another one.
fn twin(store: &mut Store, requests: &[CertRequest]) {
    let authority = read(&good("KH0621-import-other-key"), true, &mut Report::new()).expect("a good CA");
    let request = requests.iter().find(|r| r.id.as_str() == certs::ETCD_PEER_CA).expect("the request");
    place::put(store, request, authority, &env()).expect("put");
}

/// What is said to a certificate that was signed on other terms than its request's: the subject, the names, what more it says,
/// and its days. `None` for what the request asks for.
struct Terms<'a> {
    subject: Option<&'a str>,
    names: Option<&'a str>,
    more: &'a str,
    days: &'a str,
    by_another: bool,
}

const AS_ASKED: Terms<'static> =
    Terms { subject: None, names: None, more: "", days: "365", by_another: false };

/// Has the request of an etcd member's client signed by openssl and judges what comes back.
fn signed(terms: &Terms<'_>, change: impl FnOnce(&mut Cluster)) -> Said {
    let mut inventory = example();
    let env = Env::at(time::OffsetDateTime::now_utc());
    let (cluster, mut report) = (&mut inventory.clusters[0], Report::new());
    let dir = tempfile::tempdir().expect("a folder");
    let mut store = Store::open(&dir.path().join("secrets")).expect("a store");
    let asked = requests(cluster);
    let ca = read(&good("KH0621-import-other-key"), false, &mut report).expect("a good CA");
    place::put(&mut store, asked.iter().find(|r| r.id.as_str() == certs::ETCD_CA).expect("the CA"), ca, &env)
        .expect("put");
    let server =
        asked.iter().find(|r| r.id.as_str() == "etcd-server/k8setcd1.isociel.com").expect("the request");
    let csr = request::write(server, "new".to_owned(), &mut store, &env).expect("a request");
    let names = server
        .dns_sans
        .iter()
        .map(|n| format!("DNS:{n}"))
        .chain(server.ip_sans.iter().map(|ip| format!("IP:{ip}")));
    let names = terms.names.map_or_else(|| names.collect::<Vec<_>>().join(","), str::to_owned);
    let usage = if terms.more.contains("extendedKeyUsage") {
        ""
    } else {
        "extendedKeyUsage = serverAuth, clientAuth\n"
    };
    let base =
        "basicConstraints = critical, CA:FALSE\nkeyUsage = critical, digitalSignature, keyEncipherment\n";
    let extensions = format!("{base}{usage}subjectAltName = {names}\n{}\n", terms.more);
    fs::write(dir.path().join("ext"), extensions).expect("write");
    fs::write(dir.path().join("csr"), &csr.pem).expect("write");
    let from = good("KH0621-import-other-key");
    let by = if terms.by_another { good("KH0622-import-no-ca") } else { from };
    let (cert, key) = (by.join("ca.pem"), by.join("ca.key"));
    let mut arguments =
        vec!["x509", "-req", "-in", "csr", "-out", "member.crt", "-days", terms.days, "-extfile", "ext"];
    arguments.extend([
        "-CA",
        cert.to_str().expect("utf-8"),
        "-CAkey",
        key.to_str().expect("utf-8"),
        "-set_serial",
        "4711",
    ]);
    arguments.extend(terms.subject.iter().flat_map(|s| ["-subj", s]));
    corporate::openssl(dir.path(), &arguments);
    let bytes = fs::read(dir.path().join("member.crt")).expect("signed");
    change(cluster);
    // What was signed just now holds from this second on.
    let env = Env::at(time::OffsetDateTime::now_utc() + time::Duration::minutes(1));
    let files = [File { name: "member.crt".to_owned(), bytes }];
    let sorted = signed::sort(&files, &requests(cluster), &store, 90, &env, &mut report);
    assert!(report.has_errors() || sorted.fitting.len() == 1);
    said(report)
}

#[test]
fn each_deviation_of_a_signed_certificate_is_found() {
    let all = "DNS:k8setcd1,DNS:k8setcd1.isociel.com,DNS:localhost,IP:127.0.0.1,IP:::1,IP:192.168.13.35";
    let (wild, mail) = (format!("{all},DNS:*.isociel.com"), format!("{all},email:a@b.c"));
    let terms = |names, more, days| Terms { names, more, days, ..AS_ASKED };
    assert_eq!(signed(&terms(Some(all), "", "365"), |_| ()).text, "");
    // What the request did not ask for and what does no harm.
    assert_eq!(
        signed(&terms(None, "crlDistributionPoints = URI:http://pki.example/crl", "365"), |_| ()).text,
        ""
    );
    for (terms, expected) in [
        (
            terms(Some("DNS:k8setcd1"), "", "365"),
            "lacks the names 127.0.0.1, 192.168.13.35, ::1, k8setcd1.isociel.com, localhost",
        ),
        (terms(Some(&wild), "", "365"), "has names that nobody asked for: *.isociel.com"),
        (terms(Some(&mail), "", "365"), "has names of other kinds"),
        (
            terms(None, "extendedKeyUsage = serverAuth", "365"),
            "has the extended key usage serverAuth where clientAuth, serverAuth was asked for",
        ),
        (
            terms(None, "1.3.6.1.4.1.55555.1 = critical, ASN1:UTF8String:ours", "365"),
            "has critical extensions that nobody asked for",
        ),
        (terms(None, "", "80"), "so that it would be due at once"),
        (terms(None, "", "20000"), "after its CA"),
    ] {
        let said = signed(&terms, |_| ());
        assert!(said.text.contains(expected), "{expected}: {}", said.text);
    }
    let short = signed(&terms(None, "", "200"), |_| ());
    assert!(
        short.text.starts_with("warning[KH0634]") && short.text.contains("sooner than the 365 days"),
        "{}",
        short.text
    );
}

/// A collection of files without content.
fn adopted(paths: &[&str]) -> Said {
    let (inventory, mut report) = (example(), Report::new());
    let cluster = &inventory.clusters[0];
    let mut collected = Collected::default();
    paths.iter().for_each(|path| collected.add(path, &Default::default(), &mut report));
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::open(&dir.path().join("secrets")).expect("a store");
    assert!(adopt::judge(&collected, cluster, &requests(cluster), &store, &env(), &mut report).is_none());
    said(report)
}

pub fn of_the_store() -> Vec<(Code, Said)> {
    let more_names = |cluster: &mut Cluster| cluster.pki.validity_days = 30;
    let stranger = Terms { subject: Some("/O=system:masters/CN=k8setcd1.isociel.com"), ..AS_ASKED };
    vec![
        (Code::ImportOtherCa, placed(certs::ETCD_CA, true, false, issued).0),
        (Code::ImportSharedCa, placed(certs::ETCD_CA, true, false, twin).0),
        (Code::ImportKeyMissing, placed(certs::KUBERNETES_CA, false, false, |_, _| ()).0),
        (Code::ImportNoRequest, signed(&AS_ASKED, more_names)),
        (Code::ImportNotAsked, signed(&stranger, |_| ())),
        (Code::ImportSignedValidity, signed(&Terms { days: "30", ..AS_ASKED }, |_| ())),
        (Code::ImportNotSigned, signed(&Terms { by_another: true, ..AS_ASKED }, |_| ())),
        (
            Code::AdoptStacked,
            adopted(&["pki/ca.crt", "pki/etcd/ca.crt", "pki/etcd/ca.key", "pki/etcd/server.crt"]),
        ),
        (Code::AdoptIncomplete, adopted(&[])),
        // Files of etcd hosts that kubeadm made are no stacked cluster's.
        (Code::AdoptOtherwise, adopted(&["k8setcd1/pki/etcd/ca.crt", "k8setcd1/pki/etcd/server.crt"])),
    ]
}

#[test]
fn the_stores_findings_have_their_text() {
    for ((code, said), expected) in of_the_store().into_iter().zip([
        "error[KH0628]: the store has another ca/etcd, which signed 10 certificates\n",
        "error[KH0630]: ca/etcd would have the key of ca/etcd-peer\n",
        "error[KH0631]: ca/kubernetes without its key: every control plane holds it (kubernetes.pki: pregenerated)\n",
        "error[KH0632]: member.crt: CN=k8setcd1.isociel.com is for etcd-server/k8setcd1.isociel.com, and the inventory has changed since its request was written\n",
        "error[KH0633]: member.crt: etcd-server/k8setcd1.isociel.com has the subject \"O=system:masters, CN=k8setcd1.isociel.com\" where \"CN=k8setcd1.isociel.com\" was asked for\n",
        "error[KH0634]: member.crt: etcd-server/k8setcd1.isociel.com ends on ",
        "error[KH0635]: member.crt: etcd-server/k8setcd1.isociel.com is not signed by the key of CN=corp-etcd-ca\n",
        "error[KH0636]: pki/etcd/server.crt: this is a stacked cluster: etcd runs on its control planes\n",
        "error[KH0637]: the certificate of ca/kubernetes was not found\n",
        "error[KH0638]: the inventory says cluster.state: new\n",
    ]) {
        assert!(said.text.contains(expected), "{code}: {}", said.text);
        assert!(said.text.contains("= help: "), "{code}: {}", said.text);
    }
}

#[test]
fn near_misses_of_the_store_pass() {
    assert_eq!(placed(certs::ETCD_CA, true, false, |_, _| ()).1, Some(Placing::New));
    assert_eq!(placed(certs::ETCD_CA, true, true, issued).1, Some(Placing::Replaced { signed: 10 }));
    assert_eq!(placed(certs::ETCD_PEER_CA, true, false, twin).1, Some(Placing::Same));
    assert_eq!(placed(certs::ETCD_CA, false, false, |_, _| ()).1, Some(Placing::New));
}
