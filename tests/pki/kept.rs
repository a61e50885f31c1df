//! What is unchanged is left alone, keys are read only when asked for, and nothing shows a secret.

use std::os::unix::fs::PermissionsExt;

use khagen::env::Env;
use khagen::pki::due::{DueState, due};
use khagen::pki::issue::{decide, issue, unused};
use khagen::pki::store::{Access, Saved};
use khagen::pki::{Action, Store};
use khagen::plan::{Profile, SecretKind};
use time::{Duration, OffsetDateTime};

use crate::cluster::{NOW, build, certs, env, id, leaf, ledger, secrets, snapshot};

#[test]
fn an_unchanged_build_changes_no_byte_and_no_time_and_reads_no_key() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("secrets");
    drop(build(&dir, &certs(), &secrets()));
    // Keys that are no keys, of the right size: whoever read one would notice.
    for file in snapshot(&dir) {
        if file.0.ends_with("key.pem") || file.0.ends_with("secret") {
            std::fs::write(&file.0, vec![b'x'; file.1.len()]).unwrap();
        }
    }
    let before = snapshot(&dir);
    let mut store = Store::open(&dir).unwrap();
    let later = Env::at(OffsetDateTime::from_unix_timestamp(NOW + 300 * 86_400).unwrap());
    let decisions = issue(&certs(), &secrets(), &mut store, &later).unwrap();
    assert!(decisions.iter().all(|d| d.action == Action::Keep && d.reason.is_empty()), "{decisions:?}");
    assert_eq!(decisions.len(), certs().len() + secrets().len());
    store.set_ledger(ledger());
    assert_eq!(store.save().unwrap(), Saved::default());
    assert_eq!(snapshot(&dir), before);
    let error = store.secret(&id("apiserver/cp1.example.com")).unwrap_err();
    assert!(error.is_integrity(), "{error}");
}

#[test]
fn what_was_saved_is_what_is_opened() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("secrets");
    let (first, decisions) = build(&dir, &certs(), &secrets());
    assert!(decisions.iter().all(|d| d.action == Action::Issue && d.reason == "first build"));
    let kept: Vec<_> =
        first.objects().map(|(id, o)| (id.clone(), o.record().clone(), first.secret(id).unwrap())).collect();
    drop(first);
    let second = Store::open(&dir).unwrap();
    assert_eq!(second.objects().count(), kept.len());
    assert_eq!(*second.ledger(), ledger());
    for (id, record, secret) in kept {
        assert_eq!(second.record(&id), Some(&record));
        assert_eq!(second.secret(&id).unwrap().expose(), secret.expose());
    }
}

#[test]
fn key_files_are_private() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("secrets");
    build(&dir, &certs(), &secrets());
    assert_eq!(std::fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
    let mut keys = 0;
    for (path, ..) in snapshot(&dir) {
        if path.ends_with("key.pem") || path.ends_with("secret") {
            keys += 1;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{path:?}");
        }
    }
    assert_eq!(keys, certs().len() + secrets().len());
}

#[test]
fn git_takes_no_key() {
    let tmp = tempfile::tempdir().unwrap();
    let git = |arguments: &[&str]| {
        let out = std::process::Command::new("git").args(arguments).current_dir(tmp.path()).output().unwrap();
        assert!(out.status.success(), "{out:?}");
        String::from_utf8(out.stdout).unwrap()
    };
    git(&["init", "-q"]);
    build(&tmp.path().join("secrets"), &certs(), &secrets());
    git(&["add", "-A"]);
    let staged = git(&["diff", "--cached", "--name-only"]);
    assert!(staged.contains("secrets/objects/ca/etcd/cert.pem"), "{staged}");
    assert!(staged.contains("secrets/ledger/hosts/etcd1.example.com.toml"), "{staged}");
    assert!(!staged.lines().any(|l| l.ends_with("key.pem") || l.ends_with("/secret")), "{staged}");
}

#[test]
fn a_clone_without_keys_opens_for_review_only() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("secrets");
    drop(build(&dir, &certs(), &secrets()));
    std::fs::remove_file(dir.join("objects/ca/etcd/key.pem")).unwrap();
    assert!(Store::open(&dir).unwrap_err().to_string().contains("ca/etcd/key.pem is missing"));
    let store = Store::open_with(&dir, Access::Public).unwrap();
    assert!(store.cert_pem(&id("ca/etcd")).is_some());
    assert!(store.secret(&id("ca/etcd")).is_err());
}

#[test]
fn nothing_that_can_be_printed_shows_a_secret() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("secrets");
    let (store, decisions) = build(&dir, &certs(), &secrets());
    let ca = store.secret(&id("ca/etcd")).unwrap();
    let mut shown = format!("{store:?}{store:#?}{decisions:?}{ca:?}");
    for (path, bytes, _) in snapshot(&dir) {
        if !path.ends_with("key.pem") && !path.ends_with("secret") {
            shown.push_str(&String::from_utf8(bytes).unwrap());
        }
    }
    let mut canaries = 0;
    for (id, _) in store.objects() {
        let secret = store.secret(id).unwrap();
        for line in std::str::from_utf8(secret.expose()).unwrap().lines().filter(|l| !l.starts_with("-----"))
        {
            canaries += 1;
            assert!(!shown.contains(line), "{id} shows");
        }
        assert!(!shown.contains(&format!("{:?}", secret.expose())), "{id} shows as bytes");
    }
    assert!(canaries > certs().len());
}

#[test]
fn tokens_have_kubeadms_form_and_use_the_whole_alphabet() {
    let mut seen = [0u32; 256];
    for _ in 0..400 {
        let token = khagen::pki::key::bootstrap_token(&env()).unwrap();
        let (name, secret) = std::str::from_utf8(token.expose()).unwrap().split_once('.').unwrap();
        assert_eq!((name.len(), secret.len()), (6, 16));
        for b in name.bytes().chain(secret.bytes()) {
            assert!(b.is_ascii_lowercase() || b.is_ascii_digit());
            seen[usize::from(b)] += 1;
        }
    }
    // 8,800 characters over 36: 244 each, standard deviation 15. `byte % 36` would give the first four 14 % more.
    assert!(seen.iter().filter(|n| **n > 0).all(|n| (150..340).contains(n)), "{seen:?}");
    assert_eq!(seen.iter().filter(|n| **n > 0).count(), 36);
}

#[test]
fn what_ends_soon_is_due_and_what_has_ended_is_expired() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("secrets");
    let mut certs = certs();
    certs.iter_mut().filter(|c| c.id.as_str() == "operator/etcd").for_each(|c| c.validity_days = 30);
    let (store, _) = build(&dir, &certs, &secrets());
    let end = OffsetDateTime::from_unix_timestamp(NOW + 30 * 86_400).unwrap();
    let states = |now| due(&store, 20, now).into_iter().map(|d| (d.id, d.state)).collect::<Vec<_>>();
    assert_eq!(states(end - Duration::days(20) - Duration::SECOND), vec![]);
    assert_eq!(states(end - Duration::days(20)), vec![(id("operator/etcd"), DueState::Due)]);
    assert_eq!(states(end), vec![(id("operator/etcd"), DueState::Due)]);
    assert_eq!(states(end + Duration::SECOND), vec![(id("operator/etcd"), DueState::Expired)]);
}

#[test]
fn a_mark_issues_once_and_a_marked_ca_takes_its_leafs_along() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("secrets");
    let (mut store, _) = build(&dir, &certs(), &secrets());
    store.mark_for_renewal(&id("operator/etcd")).unwrap();
    store.mark_for_renewal(&id("ca/front-proxy")).unwrap();
    assert_eq!(store.save().unwrap().objects, 2);
    drop(store);
    let (store, decisions) = build(&dir, &certs(), &secrets());
    let mut issued: Vec<_> = decisions
        .iter()
        .filter(|d| d.action == Action::Issue)
        .map(|d| (d.id.as_str(), d.reason.as_str()))
        .collect();
    issued.sort_unstable();
    assert_eq!(
        issued,
        [
            ("ca/front-proxy", "marked for renewal"),
            ("front-proxy/cp1.example.com", "its CA ca/front-proxy was issued again"),
            ("front-proxy/cp2.example.com", "its CA ca/front-proxy was issued again"),
            ("operator/etcd", "marked for renewal"),
        ]
    );
    assert!(decide(&certs(), &secrets(), &store).unwrap().iter().all(|d| d.action == Action::Keep));
}

#[test]
fn reasons_name_what_changed() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("secrets");
    let (store, _) = build(&dir, &certs(), &secrets());
    let reason = |change: &dyn Fn(&mut khagen::plan::CertRequest)| {
        let mut certs = certs();
        let apiserver = certs.iter_mut().find(|c| c.id.as_str() == "apiserver/cp1.example.com").unwrap();
        change(apiserver);
        let mut issued = decide(&certs, &secrets(), &store).unwrap();
        issued.retain(|d| d.action == Action::Issue);
        assert_eq!(issued.len(), 1);
        issued.remove(0).reason
    };
    assert_eq!(reason(&|c| c.ip_sans.push("10.0.0.1".parse().unwrap())), "SAN 10.0.0.1 added");
    assert_eq!(reason(&|c| c.dns_sans.retain(|d| d != "kubernetes")), "SAN kubernetes removed");
    assert_eq!(reason(&|c| c.validity_days = 730), "validity 365d -> 730d");
    assert_eq!(reason(&|c| c.organization = Some("x".into())), "O none -> x");
    assert_eq!(
        reason(&|c| {
            c.common_name = Some("y".into());
            c.profile = Profile::ServerAndClient;
        }),
        "profile server -> server-and-client, CN kube-apiserver -> y"
    );
    assert_eq!(reason(&|c| c.issuer = Some(id("ca/etcd"))), "CA ca/kubernetes -> ca/etcd");
}

#[test]
fn what_nobody_asks_for_stays() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("secrets");
    drop(build(&dir, &certs(), &secrets()));
    let before = snapshot(&dir);
    let fewer: Vec<_> = certs().into_iter().filter(|c| !c.id.as_str().contains("cp2")).collect();
    let (store, decisions) = build(&dir, &fewer, &secrets());
    assert!(decisions.iter().all(|d| d.action == Action::Keep));
    assert_eq!(snapshot(&dir), before);
    let names: Vec<_> = unused(&fewer, &secrets(), &store).iter().map(|i| i.as_str().to_owned()).collect();
    assert_eq!(names, ["admin/cp2.example.com", "apiserver/cp2.example.com", "front-proxy/cp2.example.com"]);
}

#[test]
fn a_leaf_never_outlives_its_ca_and_an_ended_ca_signs_nothing() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("secrets");
    drop(build(&dir, &certs(), &secrets()));
    let at = |days: i64| Env::at(OffsetDateTime::from_unix_timestamp(NOW + days * 86_400).unwrap());
    let mut more = certs();
    more.push(leaf("late", "ca/etcd", Profile::Client, "late"));
    let mut store = Store::open(&dir).unwrap();
    let error = issue(&more, &secrets(), &mut store, &at(3650)).unwrap_err().to_string();
    assert_eq!(error, "late: its CA ca/etcd ended on 2036-11-19T10:00:00Z; mark ca/etcd for renewal");
    assert!(store.object(&id("late")).is_none(), "a failed run leaves the store as it was");
    issue(&more, &secrets(), &mut store, &at(3600)).unwrap();
    assert_eq!(
        store.validity(&id("late")).unwrap().not_after,
        store.validity(&id("ca/etcd")).unwrap().not_after
    );
}

#[test]
fn requests_that_nothing_could_hold_are_refused() {
    let tmp = tempfile::tempdir().unwrap();
    let store = Store::open(&tmp.path().join("secrets")).unwrap();
    let refused = |change: &dyn Fn(&mut Vec<khagen::plan::CertRequest>)| {
        let mut certs = certs();
        change(&mut certs);
        decide(&certs, &secrets(), &store).unwrap_err().to_string()
    };
    let with = |name: &'static str| leaf(name, "ca/etcd", Profile::Client, "x");
    assert_eq!(refused(&|c| c.push(with("../../etc"))), "../../etc: cannot be the name of an object");
    assert_eq!(refused(&|c| c.push(with("ca/etcd"))), "ca/etcd: is asked for twice");
    assert_eq!(
        refused(&|c| c.push(with("ca/etcd/x"))),
        "ca/etcd/x: ca/etcd is an object and cannot hold another"
    );
    assert_eq!(
        refused(&|c| c.push(leaf("x", "operator/etcd", Profile::Client, "x"))),
        "x: its CA operator/etcd is not among the requests"
    );
    assert_eq!(
        refused(&|c| c.push(leaf("x", "ca/etcd", Profile::Client, &"x".repeat(65)))),
        "x: the common name must have 1 to 64 characters"
    );
    assert_eq!(refused(&|c| c[0].issuer = Some(id("ca/etcd"))), "ca/etcd: signs itself through others");
    assert_eq!(
        refused(&|c| c[4].common_name = None),
        "operator/etcd: only a server certificate may do without a common name"
    );
    let lonely = secrets().into_iter().filter(|s| s.kind != SecretKind::HmacKey).collect::<Vec<_>>();
    let error = decide(&certs(), &lonely, &store).unwrap_err().to_string();
    assert_eq!(error, "bootstrap-token: no fingerprint key is asked for");
}

#[test]
fn a_second_build_on_one_store_waits_for_the_first() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("secrets");
    let (first, _) = build(&dir, &certs(), &secrets());
    let second = std::thread::scope(|scope| {
        let second = scope.spawn(|| Store::open(&dir).map(|s| s.objects().count()));
        std::thread::sleep(std::time::Duration::from_millis(100));
        assert!(!second.is_finished());
        drop(first);
        second.join().unwrap()
    });
    assert_eq!(second.unwrap(), certs().len() + secrets().len());
}
