//! A law: random edits of the requests issue exactly the predicted objects again, and no other byte changes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use khagen::content::ObjectId;
use khagen::model::KeyAlgorithm;
use khagen::pki::issue::issue;
use khagen::pki::{Action, Store};
use khagen::plan::{CertRequest, Profile};
use proptest::prelude::*;

use crate::cluster::{build, certs, env, leaf, secrets};

#[derive(Debug, Clone)]
enum Edit {
    AddDns(usize, u8),
    DropDns(usize),
    AddIp(usize, u8),
    DropIp(usize),
    Validity(usize, u32),
    CommonName(usize, u8),
    Organization(usize, Option<u8>),
    Profile(usize, u8),
    Algorithm(usize, bool),
    Issuer(usize, usize),
    // These are no inputs of a certificate.
    Purpose(usize),
    Host(usize),
    Reorder(usize),
    Rotate(usize),
    // These change which requests there are.
    Add(u8),
    Remove(usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = 0usize..64;
    prop_oneof![
        (at.clone(), any::<u8>()).prop_map(|(i, n)| Edit::AddDns(i, n)),
        at.clone().prop_map(Edit::DropDns),
        (at.clone(), any::<u8>()).prop_map(|(i, n)| Edit::AddIp(i, n)),
        at.clone().prop_map(Edit::DropIp),
        (at.clone(), 1u32..800).prop_map(|(i, d)| Edit::Validity(i, d)),
        (at.clone(), any::<u8>()).prop_map(|(i, n)| Edit::CommonName(i, n)),
        (at.clone(), any::<Option<u8>>()).prop_map(|(i, n)| Edit::Organization(i, n)),
        (at.clone(), 0u8..3).prop_map(|(i, p)| Edit::Profile(i, p)),
        (at.clone(), any::<bool>()).prop_map(|(i, large)| Edit::Algorithm(i, large)),
        (at.clone(), 0usize..4).prop_map(|(i, c)| Edit::Issuer(i, c)),
        at.clone().prop_map(Edit::Purpose),
        at.clone().prop_map(Edit::Host),
        at.clone().prop_map(Edit::Reorder),
        at.clone().prop_map(Edit::Rotate),
        any::<u8>().prop_map(Edit::Add),
        at.prop_map(Edit::Remove),
    ]
}

const CAS: [&str; 4] = ["ca/etcd", "ca/etcd-peer", "ca/kubernetes", "ca/front-proxy"];

fn apply(certs: &mut Vec<CertRequest>, edit: &Edit) {
    let count = certs.len();
    let is_ca = |c: &CertRequest| c.profile == Profile::Ca;
    match *edit {
        Edit::AddDns(i, n) => certs[i % count].dns_sans.push(format!("n{n}.example.com")),
        Edit::DropDns(i) => drop(certs[i % count].dns_sans.pop()),
        Edit::AddIp(i, n) => certs[i % count].ip_sans.push(IpAddr::from([10, 0, 0, n])),
        Edit::DropIp(i) => drop(certs[i % count].ip_sans.pop()),
        Edit::Validity(i, days) => certs[i % count].validity_days = days,
        Edit::CommonName(i, n) => certs[i % count].common_name = Some(format!("name {n}")),
        Edit::Organization(i, n) => certs[i % count].organization = n.map(|n| format!("group {n}")),
        Edit::Profile(i, p) if !is_ca(&certs[i % count]) && certs[i % count].common_name.is_some() => {
            certs[i % count].profile =
                [Profile::Server, Profile::Client, Profile::ServerAndClient][usize::from(p)];
        }
        Edit::Issuer(i, ca) if !is_ca(&certs[i % count]) => {
            certs[i % count].issuer = Some(ObjectId::new(CAS[ca]))
        }
        Edit::Algorithm(i, large) => {
            certs[i % count].algorithm = if large { KeyAlgorithm::P384 } else { KeyAlgorithm::P256 };
        }
        Edit::Profile(..) | Edit::Issuer(..) => {}
        Edit::Purpose(i) => certs[i % count].purpose = "another purpose",
        Edit::Host(i) => certs[i % count].host = Some("another.example.com".to_owned()),
        Edit::Reorder(i) => certs[i % count].dns_sans.reverse(),
        Edit::Rotate(i) => certs.rotate_left(i % count),
        Edit::Add(n) => {
            let name = format!("added/{n}");
            if certs.iter().all(|c| c.id.as_str() != name) {
                certs.push(leaf(&name, CAS[usize::from(n) % 4], Profile::Client, "added"));
            }
        }
        Edit::Remove(i) if !is_ca(&certs[i % count]) => drop(certs.remove(i % count)),
        Edit::Remove(_) => {}
    }
    // Names without doubles, as the plan makes them; their order is one of the edits.
    for cert in certs {
        let mut seen = BTreeSet::new();
        cert.dns_sans.retain(|d| seen.insert(d.clone()));
        let mut seen = BTreeSet::new();
        cert.ip_sans.retain(|d| seen.insert(*d));
        if cert.common_name.is_none() && cert.dns_sans.is_empty() {
            cert.dns_sans.push("nameless.example.com".to_owned());
        }
    }
}

/// All that a certificate is made from, written down without looking at how khagen does it.
/// How long a CA lives and what its key is are decided when it is made, and no reason to make it again.
fn inputs(c: &CertRequest) -> String {
    let dns: BTreeSet<_> = c.dns_sans.iter().collect();
    let ip: BTreeSet<_> = c.ip_sans.iter().collect();
    format!(
        "{:?} {:?} {:?} {:?} {dns:?} {ip:?} {:?}",
        c.issuer,
        c.profile,
        c.common_name,
        c.organization,
        c.issuer.as_ref().map(|_| (c.validity_days, c.algorithm))
    )
}

fn predicted(old: &[CertRequest], new: &[CertRequest]) -> BTreeSet<ObjectId> {
    let before: BTreeMap<_, _> = old.iter().map(|c| (&c.id, inputs(c))).collect();
    let changed: BTreeSet<&ObjectId> =
        new.iter().filter(|c| before.get(&c.id) != Some(&inputs(c))).map(|c| &c.id).collect();
    let by_changed_ca = |c: &&CertRequest| c.issuer.as_ref().is_some_and(|ca| changed.contains(ca));
    new.iter().filter(by_changed_ca).map(|c| &c.id).chain(changed.iter().copied()).cloned().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_edits_issue_exactly_what_they_touch(edits in prop::collection::vec(edit(), 0..6)) {
        let tmp = tempfile::tempdir().unwrap();
        let dir = tmp.path().join("secrets");
        drop(build(&dir, &certs(), &secrets()));
        let mut after = certs();
        edits.iter().for_each(|e| apply(&mut after, e));

        let mut store = Store::open(&dir).unwrap();
        let state = |store: &Store| -> BTreeMap<ObjectId, (String, String)> {
            let one = |o: &khagen::pki::object::Object| {
                (format!("{:?}", o.record()), format!("{:?}", o.cert_pem()))
            };
            store.objects().map(|(id, o)| (id.clone(), one(o))).collect()
        };
        let before = state(&store);
        let decisions = issue(&after, &secrets(), &mut store, &env()).unwrap();
        let issued: BTreeSet<ObjectId> =
            decisions.iter().filter(|d| d.action == Action::Issue).map(|d| d.id.clone()).collect();
        prop_assert_eq!(&issued, &predicted(&certs(), &after));
        prop_assert_eq!(store.save().unwrap().objects, issued.len());
        drop(store);

        let store = Store::open(&dir).unwrap();
        for (id, now) in state(&store) {
            let same = before.get(&id) == Some(&now);
            prop_assert_eq!(same, !issued.contains(&id), "{}", id);
            prop_assert!(store.secret(&id).is_ok());
        }
    }
}
