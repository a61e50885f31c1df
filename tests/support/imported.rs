//! Cases of what is imported: a CA's certificate and key in a case's folder, judged as one of the repository's example
//! cluster on the tests' day; and those that depend on what the store has.

use std::fs;
use std::path::{Path, PathBuf};

use khagen::content::ObjectId;
use khagen::diag::{Code, Report, render};
use khagen::env::Env;
use khagen::model::{Cluster, Inventory};
use khagen::pki::import::authority::{self, Authority, Given, Needs};
use khagen::pki::import::place::{self, Placing};
use khagen::pki::{Store, issue};
use khagen::plan::{CertRequest, certs};
use khagen::source::Sources;
use time::{Date, Month, Time};

use super::Said;

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

pub fn of_the_store() -> Vec<(Code, Said)> {
    vec![
        (Code::ImportOtherCa, placed(certs::ETCD_CA, true, false, issued).0),
        (Code::ImportSharedCa, placed(certs::ETCD_CA, true, false, twin).0),
        (Code::ImportKeyMissing, placed(certs::KUBERNETES_CA, false, false, |_, _| ()).0),
    ]
}

#[test]
fn the_stores_findings_have_their_text() {
    for ((code, said), expected) in of_the_store().into_iter().zip([
        "error[KH0628]: the store has another ca/etcd, which signed 10 certificates\n",
        "error[KH0630]: ca/etcd would have the key of ca/etcd-peer\n",
        "error[KH0631]: ca/kubernetes without its key: every control plane holds it (kubernetes.pki: pregenerated)\n",
    ]) {
        assert!(said.text.starts_with(expected), "{code}: {}", said.text);
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
