//! The calendar: every certificate and key of a cluster, where it lies, until when it holds and who renews it.
//!
//! It is made from the inventory and the store's clear part, and from what hosts reported where that is given
//! ([`facts`]). Nothing is decrypted, issued or written here; the time is handed in.

pub mod facts;
mod places;
pub mod show;

use std::collections::BTreeMap;

use time::OffsetDateTime;

use crate::content::ObjectId;
use crate::model::{Cluster, Host, PkiMode, Role};
use crate::pki::due::{self, DueState};
use crate::pki::object::{Kind, Record, instant};
use crate::pki::{Store, decide, rotation};
use crate::plan::{CertRequest, Profile, SecretRequest, certs, founding};
use crate::value::Value;
use facts::{Facts, Seen};

/// One cluster's certificates and keys.
#[derive(Debug, Clone)]
pub struct Calendar {
    /// kubeadm's cluster name.
    pub cluster: String,
    /// The ledger's id; empty before the first build.
    pub cluster_id: String,
    /// From how many days before its end a certificate is due.
    pub renew_before_days: u32,
    /// The first to end first; those without an end last.
    pub entries: Vec<Entry>,
    /// Objects of the store that nothing uses any more.
    pub unused: Vec<ObjectId>,
    /// What does not concern one entry.
    pub notes: Vec<String>,
}

/// A certificate, key or token.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The store's name for it; of what a host makes itself, one of the same shape.
    pub id: String,
    /// What it is.
    pub what: What,
    /// FQDN of its host, `operator`, or `cluster` where several hosts hold it.
    pub owner: String,
    /// What it is for.
    pub purpose: String,
    /// Where it lies.
    pub places: Vec<Place>,
    /// When khagen issued it.
    pub issued: Option<OffsetDateTime>,
    /// First second of its validity.
    pub not_before: Option<OffsetDateTime>,
    /// Last second of its validity: the host's certificate's where a host reported, the store's otherwise.
    pub not_after: Option<OffsetDateTime>,
    /// Whole days until then; negative once it has ended.
    pub days_left: Option<i64>,
    /// Whether something is to be done.
    pub state: State,
    /// Whether the next build issues it again.
    pub marked: bool,
    /// What else there is to know, a sentence each.
    pub notes: Vec<String>,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A CA's certificate and its key.
    Authority,
    /// A certificate and its key.
    Certificate,
    /// A key pair without a certificate.
    KeyPair,
    /// A token, a password or a symmetric key.
    Secret,
    /// A certificate that a host made or found somewhere else.
    HostMade,
}

impl What {
    /// The word in outputs.
    pub fn as_str(self) -> &'static str {
        match self {
            What::Authority => "ca",
            What::Certificate => "certificate",
            What::KeyPair => "key-pair",
            What::Secret => "secret",
            What::HostMade => "host-made",
        }
    }
}

/// Where an entry lies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// FQDN, `operator`, or the role of the hosts.
    pub on: String,
    /// Absolute on a host, below the operator's bundle otherwise.
    pub path: String,
}

/// Whether something is to be done. In order of urgency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It has no end that is known here.
    Undated,
    /// Nothing.
    Valid,
    /// The next build issues it.
    Missing,
    /// It ends within the inventory's `pki.renewBefore`.
    Due,
    /// It has ended.
    Expired,
}

impl State {
    /// The word in outputs.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Undated => "undated",
            State::Valid => "valid",
            State::Missing => "missing",
            State::Due => "due",
            State::Expired => "expired",
        }
    }
}

/// What external-CA mode costs.
pub const NO_SIGNER: &str = "nobody in the cluster can sign (kubernetes.pki: external-ca): kubelets' credentials are khagen's and \
     end like all others; renew and install them in time";

/// What `pki: kubeadm` costs.
pub const KUBEADM_SIGNS: &str = "kubeadm signs the control planes' certificates and kubeconfigs on the hosts (kubernetes.pki: kubeadm): \
     khagen knows no date of theirs without --facts, and renews none; `reconfigure.sh certificates` there does";

/// What there is to say of a cluster's way with its CAs.
pub fn of_mode(cluster: &Cluster) -> Option<String> {
    match cluster.kubernetes.pki {
        PkiMode::Pregenerated => None,
        PkiMode::ExternalCa => Some(NO_SIGNER.to_owned()),
        PkiMode::Kubeadm => Some(KUBEADM_SIGNS.to_owned()),
    }
}

impl Calendar {
    /// The most urgent state of all entries.
    pub fn state(&self) -> State {
        self.entries.iter().map(|e| e.state).max().unwrap_or(State::Undated)
    }
}

/// What is known of a cluster at a time. `facts` is what hosts reported.
pub fn calendar(cluster: &Cluster, store: &Store, facts: &Facts, now: OffsetDateTime) -> Calendar {
    let ledger = store.ledger();
    // A founding fact that changed is `check`'s and `build`'s concern; dates are of use all the same.
    let settled = founding::settle(cluster, ledger, "").unwrap_or_else(|_| ledger.clone());
    let first = settled.founding.as_ref().map(|f| f.first_control_plane.clone()).unwrap_or_default();
    let (requests, secrets) = (certs::certificates(cluster, &first), certs::secrets(cluster));
    let mut places = places::of_objects(cluster, store, &settled);
    let mut entries: Vec<Entry> = Vec::new();
    for request in &requests {
        let what = if request.profile == Profile::Ca { What::Authority } else { What::Certificate };
        let mut entry = stored(store, &request.id, what, request.purpose);
        entry.owner = match &request.host {
            Some(host) => host.clone(),
            None if request.profile == Profile::Ca || request.id.as_str() == certs::CONTROL_PLANE_ETCD => {
                "cluster".to_owned()
            }
            None => "operator".to_owned(),
        };
        entries.push(entry);
    }
    for request in &secrets {
        let what = if Kind::from(request.kind).is_key() { What::KeyPair } else { What::Secret };
        let mut entry = stored(store, &request.id, what, request.purpose);
        if request.id.as_str() == certs::BOOTSTRAP_TOKEN {
            entry.notes.push(format!(
                "lives {} from kubeadm init; open-joins.sh opens joining again",
                cluster.kubernetes.token_ttl
            ));
        }
        if request.id.as_str() == certs::CERTIFICATE_KEY {
            entry.notes.push(
                "what it opens lies in the cluster for two hours from kubeadm init, and from each `reconfigure.sh upload-certs`"
                    .to_owned(),
            );
        }
        if request.id.as_str() == certs::FINGERPRINT_KEY {
            entry.notes.push("every bundle carries it as fingerprint.key".to_owned());
        }
        entries.push(entry);
    }
    entries.extend(beside_roots(&requests, &secrets, store));
    for entry in &mut entries {
        entry.places = places.remove(entry.id.as_str()).unwrap_or_default();
    }
    for host in cluster.nodes() {
        let mut made = of_kubelet(cluster, host);
        if cluster.is_external_ca() {
            // kubelet.conf holds khagen's.
            made.retain(|e| !e.id.starts_with("kubelet-client/"));
        }
        entries.extend(made);
    }
    if cluster.is_kubeadm_pki() {
        for host in cluster.with_role(Role::ControlPlane) {
            entries.extend(of_kubeadm(cluster, host, first == host.fqdn));
        }
    }
    let mut notes = report(cluster, store, facts, &mut entries);
    notes.extend(store.notes().iter().cloned());
    notes.extend(of_mode(cluster));
    for entry in &mut entries {
        if let Some(end) = entry.not_after {
            entry.days_left = Some((end - now).whole_seconds().div_euclid(86_400));
            entry.state = match due::state(end, cluster.pki.renew_before_days, now) {
                Some(DueState::Expired) => State::Expired,
                Some(DueState::Due) => State::Due,
                None => State::Valid,
            };
        }
    }
    entries.sort_by(|a, b| {
        (a.not_after.is_none(), a.not_after, &a.id).cmp(&(b.not_after.is_none(), b.not_after, &b.id))
    });
    Calendar {
        cluster: cluster.name.clone(),
        cluster_id: ledger.founding.as_ref().map(|f| f.cluster_id.clone()).unwrap_or_default(),
        renew_before_days: cluster.pki.renew_before_days,
        entries,
        unused: decide::unused(&requests, &secrets, store)
            .into_iter()
            .filter(|id| !store.record(id).is_some_and(|r| rotation::is_beside(r.kind, id)))
            .collect(),
        notes,
    }
}

/// What the store knows of an object.
fn stored(store: &Store, id: &ObjectId, what: What, purpose: &str) -> Entry {
    let record = store.record(id);
    let validity = store.validity(id);
    Entry {
        id: id.as_str().to_owned(),
        what,
        owner: "cluster".to_owned(),
        purpose: purpose.to_owned(),
        places: Vec::new(),
        issued: record.map(|r| r.issued),
        not_before: validity.map(|v| v.not_before),
        not_after: validity.map(|v| v.not_after),
        days_left: None,
        state: if record.is_some() { State::Undated } else { State::Missing },
        marked: record.is_some_and(|r| r.renew),
        notes: imported(record).into_iter().collect(),
    }
}

/// The second root of each that is being rotated.
fn beside_roots(certs: &[CertRequest], secrets: &[SecretRequest], store: &Store) -> Vec<Entry> {
    let mut entries = Vec::new();
    for root in rotation::names(certs, secrets) {
        let purpose = certs
            .iter()
            .find(|c| c.id == root)
            .map(|c| (What::Authority, c.purpose))
            .or_else(|| secrets.iter().find(|s| s.id == root).map(|s| (What::KeyPair, s.purpose)));
        let Some((what, purpose)) = purpose else { continue };
        for id in rotation::by_age(store, &root).into_iter().filter(|id| *id != root) {
            let mut entry = stored(store, &id, what, purpose);
            entry.notes.push(if id == rotation::next_of(&root) {
                format!("rotation: will take the place of {root}, and is trusted already")
            } else {
                format!("rotation: {root} took its place; trusted until the rotation ends")
            });
            entries.push(entry);
        }
    }
    entries
}

/// Who renews what was made elsewhere.
fn imported(record: Option<&Record>) -> Option<String> {
    let record = record.filter(|r| r.imported)?;
    Some(match record.keyless {
        true => "imported without its key: whoever has it signs (`khagen pki csr`) and renews it".to_owned(),
        false if record.host.is_none() && record.made_from.as_ref().is_some_and(|m| m.issuer.is_none()) => {
            "imported: whoever made it renews it".to_owned()
        }
        false => return None,
    })
}

/// What kubeadm signs on a control plane where khagen does not (cmd/kubeadm/app/phases/certs/certlist.go, phases/kubeconfig).
fn of_kubeadm(cluster: &Cluster, host: &Host, first: bool) -> Vec<Entry> {
    let note =
        "made on the host by kubeadm; `reconfigure.sh certificates` there makes it anew when it is due";
    let mut made = vec![
        ("apiserver", "API server", "/etc/kubernetes/pki/apiserver.crt"),
        (
            "apiserver-kubelet-client",
            "API server to kubelets",
            "/etc/kubernetes/pki/apiserver-kubelet-client.crt",
        ),
        (
            "front-proxy-client",
            "API server to extension API servers",
            "/etc/kubernetes/pki/front-proxy-client.crt",
        ),
        ("admin", "admin.conf", "/etc/kubernetes/admin.conf"),
        ("controller-manager", "controller-manager.conf", "/etc/kubernetes/controller-manager.conf"),
        ("scheduler", "scheduler.conf", "/etc/kubernetes/scheduler.conf"),
    ];
    if first && cluster.kubernetes.version.line() >= (1, 29) {
        let conf = "/etc/kubernetes/super-admin.conf";
        made.push(("super-admin", "super-admin.conf of the first control plane", conf));
    }
    made.into_iter().map(|(id, purpose, path)| on_host(host, id, purpose, path, note)).collect()
}

/// A certificate that a host makes.
fn on_host(host: &Host, id: &str, purpose: &str, path: &str, note: &str) -> Entry {
    Entry {
        id: format!("{id}/{}", host.fqdn),
        what: What::HostMade,
        owner: host.fqdn.clone(),
        purpose: purpose.to_owned(),
        places: vec![Place { on: host.fqdn.clone(), path: path.to_owned() }],
        issued: None,
        not_before: None,
        not_after: None,
        days_left: None,
        state: State::Undated,
        marked: false,
        notes: vec![note.to_owned()],
    }
}

/// The certificates that a kubelet gets or makes itself (pkg/kubelet/certificate/kubelet.go).
fn of_kubelet(cluster: &Cluster, host: &Host) -> Vec<Entry> {
    let setting = |name: &str| {
        let own = host.kubelet.value.get(name);
        own.or_else(|| cluster.kubernetes.kubelet_config.get(name)).cloned()
    };
    let rotates = setting("rotateCertificates") != Some(Value::Bool(false));
    let asks = setting("serverTLSBootstrap") == Some(Value::Bool(true));
    let made = |id: &str, purpose: &str, file: &str, note: &str| {
        on_host(host, id, purpose, &format!("/var/lib/kubelet/pki/{file}"), note)
    };
    let client = if rotates {
        "made on the host by TLS bootstrap; the kubelet renews it before it ends"
    } else {
        "made on the host by TLS bootstrap; rotateCertificates is off, so that nobody renews it"
    };
    let (file, serving) = if asks {
        (
            "kubelet-server-current.pem",
            "made on the host; renewed by the kubelet once somebody approves its request",
        )
    } else {
        (
            "kubelet.crt",
            "made and signed by the kubelet itself, which makes no new one before the file is removed",
        )
    };
    vec![
        made("kubelet-client", "kubelet to API servers", "kubelet-client-current.pem", client),
        made("kubelet-serving", "API servers, metrics to the kubelet", file, serving),
    ]
}

/// Takes over what hosts reported: their date is the one that counts, since it is what is in use.
fn report(cluster: &Cluster, store: &Store, facts: &Facts, entries: &mut Vec<Entry>) -> Vec<String> {
    if facts.hosts.is_empty() {
        return Vec::new();
    }
    let mut notes: Vec<String> = Vec::new();
    let known = |name: &&String| cluster.hosts.iter().any(|h| h.fqdn == **name);
    for stranger in facts.hosts.keys().filter(|name| !known(name)) {
        notes.push(format!("{stranger} reported and is no host of this cluster"));
    }
    for silent in cluster.hosts.iter().filter(|h| !facts.hosts.contains_key(&h.fqdn)) {
        notes.push(format!("{} did not report", silent.fqdn));
    }
    // By host and path, the entry.
    let mut at: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (index, entry) in entries.iter().enumerate() {
        for place in &entry.places {
            match Role::parse(&place.on) {
                Some(role) => {
                    at.extend(
                        cluster.with_role(role).map(|h| ((h.fqdn.as_str(), place.path.as_str()), index)),
                    );
                }
                None => {
                    at.insert((&place.on, &place.path), index);
                }
            }
        }
    }
    let mut seen: BTreeMap<usize, Vec<(&str, &Seen)>> = BTreeMap::new();
    let mut others: Vec<Entry> = Vec::new();
    // A worker's copy of the CA, which kubeadm fetched, is the cluster's.
    let cas: Vec<(usize, String)> = entries
        .iter()
        .enumerate()
        .filter(|(_, e)| e.what == What::Authority)
        .filter_map(|(index, e)| Some((index, own_digest(store, &e.id)?)))
        .collect();
    for (fqdn, of_host) in facts.hosts.iter().filter(|(name, _)| known(name)) {
        for certificate in &of_host.certificates {
            let copy = cas.iter().find(|(_, sha256)| *sha256 == certificate.sha256).map(|(index, _)| *index);
            // First by what it is: a file may hold two roots.
            match copy.or_else(|| at.get(&(fqdn.as_str(), certificate.path.as_str())).copied()) {
                Some(index) => seen.entry(index).or_default().push((fqdn, certificate)),
                None => others.push(found(fqdn, certificate)),
            }
        }
    }
    for (index, reports) in seen {
        let Some(entry) = entries.get_mut(index) else { continue };
        let own = own_digest(store, &entry.id);
        let differ: Vec<&(&str, &Seen)> =
            reports.iter().filter(|(_, s)| own.as_ref().is_some_and(|own| *own != s.sha256)).collect();
        for (fqdn, s) in &differ {
            let newer = entry.not_after.is_some_and(|end| s.not_after > end);
            let why = if newer { "renewed on the host" } else { "the one of the store is not installed" };
            entry.notes.push(format!(
                "{fqdn} holds another one in {}, until {} ({why})",
                s.path,
                instant(s.not_after)
            ));
        }
        // What is in use decides; of several hosts' the first to end.
        if let Some((_, first)) = reports.iter().min_by_key(|(_, s)| s.not_after) {
            entry.not_before = Some(first.not_before);
            entry.not_after = Some(first.not_after);
        }
    }
    entries.extend(others);
    notes
}

/// SHA-256 of a stored certificate's DER.
fn own_digest(store: &Store, id: &str) -> Option<String> {
    let pem = store.cert_pem(&ObjectId::new(id))?;
    let der = crate::pki::read::der(pem).ok()?;
    crate::pki::read::remainder(&der).ok().map(|r| r.sha256)
}

/// A certificate that lies on a host and is nobody's in the plan.
fn found(fqdn: &str, seen: &Seen) -> Entry {
    Entry {
        id: format!("{fqdn}:{}", seen.path),
        what: What::HostMade,
        owner: fqdn.to_owned(),
        purpose: seen.subject.clone(),
        places: vec![Place { on: fqdn.to_owned(), path: seen.path.clone() }],
        issued: None,
        not_before: Some(seen.not_before),
        not_after: Some(seen.not_after),
        days_left: None,
        state: State::Undated,
        marked: false,
        notes: vec!["found on the host; khagen knows nothing of it".to_owned()],
    }
}
