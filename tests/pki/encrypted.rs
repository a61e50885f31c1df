//! A store that is encrypted: who opens it, what is noticed, what changes when recipients do.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use age::secrecy::ExposeSecret;
use khagen::env::Env;
use khagen::pki::identities::Identities;
use khagen::pki::issue::issue;
use khagen::pki::recipients::Recipients;
use khagen::pki::store::SetSecret;
use khagen::pki::{Action, IssueError, Store, StoreError};
use khagen::plan::Profile;
use khagen::secret::Secret;
use sha2::{Digest, Sha256};

use crate::cluster::{certs, env, id, leaf, ledger, secrets, snapshot};

/// Somebody with a key.
struct Person {
    dir: tempfile::TempDir,
    recipient: String,
}

impl Person {
    fn new() -> Person {
        let (dir, key) = (tempfile::tempdir().unwrap(), age::x25519::Identity::generate());
        fs::write(dir.path().join("key"), key.to_string().expose_secret()).unwrap();
        Person { dir, recipient: key.to_public().to_string() }
    }

    fn key_file(&self) -> PathBuf {
        self.dir.path().join("key")
    }

    fn identities(&self) -> Arc<Identities> {
        Arc::new(Identities::new(vec![self.key_file()], true, Box::new(|_| Err("nobody".to_owned()))))
    }
}

fn to(people: &[&Person]) -> Recipients {
    Recipients::new(people.iter().map(|p| p.recipient.clone()))
}

fn open(dir: &Path, recipients: &Recipients, who: Option<&Person>) -> Store {
    let mut store = Store::open(dir).unwrap();
    store.encrypt_to(recipients.clone());
    if let Some(who) = who {
        store.decrypt_with(who.identities());
    }
    store
}

fn built(recipients: &Recipients) -> (tempfile::TempDir, PathBuf) {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("secrets");
    let mut store = open(&dir, recipients, None);
    issue(&certs(), &secrets(), &mut store, &env()).unwrap();
    store.set_ledger(ledger());
    store.save().unwrap();
    (tmp, dir)
}

fn files(dir: &Path, end: &str) -> usize {
    snapshot(dir).iter().filter(|(path, ..)| path.to_str().unwrap().ends_with(end)).count()
}

#[test]
fn all_secrets_are_age_files_and_an_unchanged_build_needs_no_identity() {
    let ann = Person::new();
    let (_tmp, dir) = built(&to(&[&ann]));
    assert_eq!((files(&dir, "/key.pem"), files(&dir, "/secret")), (0, 0));
    assert_eq!(files(&dir, ".age"), certs().len() + secrets().len());
    let before = snapshot(&dir);
    let mut store = open(&dir, &to(&[&ann]), None);
    let decisions = issue(&certs(), &secrets(), &mut store, &env()).unwrap();
    assert!(decisions.iter().all(|d| d.action == Action::Keep));
    assert_eq!(store.save().unwrap(), Default::default());
    drop(store);
    assert_eq!(snapshot(&dir), before);
    let store = open(&dir, &to(&[&ann]), Some(&ann));
    for request in certs() {
        assert!(store.secret(&request.id).unwrap().expose().starts_with(b"-----BEGIN PRIVATE KEY-----\n"));
    }
}

#[test]
fn who_has_no_key_is_told_whose_is_needed_and_nothing_changes() {
    let (ann, eve) = (Person::new(), Person::new());
    let (_tmp, dir) = built(&to(&[&ann]));
    let before = snapshot(&dir);
    let mut more = certs();
    more.push(leaf("more", "ca/etcd", Profile::Client, "more"));
    for who in [None, Some(&eve)] {
        let mut store = open(&dir, &to(&[&ann]), who);
        let error = issue(&more, &secrets(), &mut store, &env()).unwrap_err();
        let IssueError::Store(StoreError::Closed { path, source }) = &error else { panic!("{error}") };
        assert!(path.ends_with("objects/ca/etcd/key.pem.age"), "{}", path.display());
        if who.is_some() {
            let said = source.to_string();
            assert!(said.contains(&ann.recipient) && said.contains(&eve.recipient), "{said}");
        }
        assert_eq!(store.save().unwrap(), Default::default());
    }
    assert_eq!(snapshot(&dir), before);
}

#[test]
fn each_encrypted_file_cut_emptied_deleted_or_swapped_is_named() {
    let ann = Person::new();
    let (_tmp, dir) = built(&to(&[&ann]));
    let mut seen = 0;
    for (path, good, _) in snapshot(&dir) {
        let name = path.to_str().unwrap().to_owned();
        if !name.ends_with(".age") {
            continue;
        }
        seen += 1;
        let damages = || {
            let before = snapshot(&dir);
            let error = Store::open(&dir).expect_err("a broken store");
            assert!(error.is_integrity());
            assert_eq!(snapshot(&dir), before);
            let StoreError::Damaged { damages, .. } = error else { panic!("{error}") };
            damages
        };
        let mut turned = good.clone();
        turned[60] ^= 1;
        let other = fs::read(dir.join("objects/ca/etcd/key.pem.age")).unwrap();
        let swapped = if other == good { b"x".to_vec() } else { other };
        let not_it = "is not the one that object.toml describes: it was cut, changed or swapped";
        for (bytes, what) in [
            (Some(&good[..good.len() / 2]), not_it),
            (Some(&turned), not_it),
            (Some(&swapped), not_it),
            (Some(b""), "is empty"),
            (None, "is missing"),
        ] {
            match bytes {
                Some(bytes) => fs::write(&path, bytes).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            let found = damages();
            assert_eq!((found.len(), &*found[0].path, &*found[0].what), (1, path.as_path(), what));
        }
        fs::write(&path, &good).unwrap();
        // A key in the clear beside it would go unnoticed into a backup, if not into git.
        let clear = PathBuf::from(name.strip_suffix(".age").unwrap());
        fs::write(&clear, "x").unwrap();
        let found = damages();
        assert_eq!((found.len(), &found[0].path), (1, &clear));
        assert!(found[0].what.starts_with("stands in the clear beside"), "{}", found[0].what);
        fs::remove_file(&clear).unwrap();
    }
    assert_eq!(seen, certs().len() + secrets().len());
    drop(Store::open(&dir).unwrap());
}

/// Writes a sidecar anew around other bytes of its secret, as somebody would who can write to the store.
fn forge(object: &Path, file: &str, cipher: &[u8]) {
    let hex = |bytes: &[u8]| Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect::<String>();
    let former = hex(&fs::read(object.join(file)).unwrap());
    let text = fs::read_to_string(object.join("object.toml")).unwrap();
    let body = text.split_inclusive('\n').filter(|l| !l.starts_with("# sha256 ")).collect::<String>();
    let body = body.replace(&former, &hex(cipher));
    fs::write(object.join("object.toml"), format!("{body}# sha256 {}\n", hex(body.as_bytes()))).unwrap();
    fs::write(object.join(file), cipher).unwrap();
}

#[test]
fn anybody_can_encrypt_to_a_recipient_and_is_caught_by_the_fingerprint() {
    let ann = Person::new();
    let (_tmp, dir) = built(&to(&[&ann]));
    let recipient: age::x25519::Recipient = ann.recipient.parse().unwrap();
    let (_other, other_dir) = built(&Recipients::default());
    for (object, file) in
        [("ca/etcd", "key.pem"), ("bootstrap-token", "secret"), ("fingerprint-key", "secret")]
    {
        let foreign = fs::read(other_dir.join("objects").join(object).join(file)).unwrap();
        let cipher = age::encrypt_and_armor(&recipient, &foreign).unwrap();
        let encrypted = format!("{file}.age");
        let folder = dir.join("objects").join(object);
        let good =
            (fs::read(folder.join(&encrypted)).unwrap(), fs::read(folder.join("object.toml")).unwrap());
        forge(&folder, &encrypted, cipher.as_bytes());
        let store = open(&dir, &to(&[&ann]), Some(&ann));
        let error = store.secret(&id(object)).unwrap_err();
        assert!(error.is_integrity(), "{error}");
        assert!(error.to_string().contains(&format!("that object.toml of {object} names")), "{error}");
        drop(store);
        // Encrypted to somebody else, under a sidecar that still says Ann.
        let eve: age::x25519::Recipient = Person::new().recipient.parse().unwrap();
        forge(&folder, &encrypted, age::encrypt_and_armor(&eve, &foreign).unwrap().as_bytes());
        let store = open(&dir, &to(&[&ann]), Some(&ann));
        let error = store.secret(&id(object)).unwrap_err();
        assert!(error.to_string().contains("is encrypted to others than object.toml says"), "{error}");
        drop(store);
        fs::write(folder.join(&encrypted), good.0).unwrap();
        fs::write(folder.join("object.toml"), good.1).unwrap();
    }
}

#[test]
fn recipients_come_and_go_and_only_ciphertexts_and_their_records_change() {
    let (ann, bob) = (Person::new(), Person::new());
    let (_tmp, dir) = built(&Recipients::default());
    let count = certs().len() + secrets().len();
    let clear = snapshot(&dir);
    let key = fs::read(dir.join("objects/ca/etcd/key.pem")).unwrap();
    let rekey = |recipients: &Recipients, who: Option<&Person>| {
        let mut store = open(&dir, recipients, who);
        let changed = store.encrypt_anew().unwrap().len();
        assert_eq!(store.save().unwrap().objects, changed);
        drop(store);
        let mut store = open(&dir, recipients, None);
        assert_eq!(store.encrypt_anew().unwrap(), [], "the second time changes nothing");
        changed
    };
    let reads = |who: &Person| {
        let store = open(&dir, &Recipients::default(), Some(who));
        store.secret(&id("ca/etcd")).is_ok_and(|s| s.expose() == key)
    };
    assert_eq!(rekey(&to(&[&ann]), None), count);
    assert!(reads(&ann) && !reads(&bob));
    assert_eq!((files(&dir, "/key.pem"), files(&dir, "/secret")), (0, 0));
    assert_eq!(rekey(&to(&[&ann, &bob]), Some(&ann)), count);
    assert!(reads(&ann) && reads(&bob));
    assert_eq!(rekey(&to(&[&bob]), Some(&bob)), count);
    assert!(!reads(&ann) && reads(&bob));
    // Who cannot read cannot change, and changes nothing.
    let before = snapshot(&dir);
    let mut store = open(&dir, &to(&[&ann]), Some(&ann));
    assert!(matches!(store.encrypt_anew(), Err(StoreError::Closed { .. })));
    assert_eq!(store.save().unwrap(), Default::default());
    drop(store);
    assert_eq!(snapshot(&dir), before);
    assert_eq!(rekey(&Recipients::default(), Some(&bob)), count);
    // Back in the clear, every byte is as it was.
    let bytes = |files: Vec<(PathBuf, Vec<u8>, std::time::SystemTime)>| -> Vec<_> {
        files.into_iter().map(|(path, bytes, _)| (path, bytes)).collect()
    };
    assert_eq!(bytes(snapshot(&dir)), bytes(clear));
}

#[test]
fn a_store_encrypted_in_part_goes_on_and_is_finished() {
    let ann = Person::new();
    let (_tmp, dir) = built(&Recipients::default());
    let mut more = certs();
    more.push(leaf("more", "ca/etcd", Profile::Client, "more"));
    let mut store = open(&dir, &to(&[&ann]), None);
    issue(&more, &secrets(), &mut store, &env()).unwrap();
    assert_eq!(
        store.encrypted_otherwise().len(),
        certs().len() + secrets().len() + 1,
        "the new one is not written yet"
    );
    store.save().unwrap();
    drop(store);
    assert_eq!(files(&dir, ".age"), 1, "what is there stays until somebody asks");
    let mut store = open(&dir, &to(&[&ann]), None);
    assert_eq!(store.encrypt_anew().unwrap().len(), certs().len() + secrets().len());
    store.save().unwrap();
    drop(store);
    // No recipients any more, perhaps because the inventory lost them: nothing is written in the clear.
    let store = open(&dir, &Recipients::default(), Some(&ann));
    assert!(matches!(store.guard_against_plain(), Err(StoreError::WouldBePlain { .. })));
}

#[test]
fn secrets_of_the_users_are_kept_and_follow_the_fingerprint_key() {
    let ann = Person::new();
    let (_tmp, dir) = built(&to(&[&ann]));
    let set = |name: &str, value: &str| {
        let mut store = open(&dir, &to(&[&ann]), Some(&ann));
        let done = store.set_user_secret(name, Secret::new(value.into()), &env()).unwrap();
        (done, store.save().unwrap().objects)
    };
    assert_eq!(set("registry", "one"), (SetSecret::New, 1));
    let before = snapshot(&dir);
    assert_eq!(set("registry", "one"), (SetSecret::Unchanged, 0));
    assert_eq!(snapshot(&dir), before);
    let fingerprint = || open(&dir, &to(&[&ann]), None).fingerprint(&id("user/registry")).unwrap().to_owned();
    let first = fingerprint();
    assert_eq!(set("registry", "two"), (SetSecret::Changed, 1));
    assert_ne!(fingerprint(), first);

    // Another fingerprint key: the secret stays, its fingerprint does not, and its file is not written again.
    let cipher = fs::read(dir.join("objects/user/registry/secret.age")).unwrap();
    let second = fingerprint();
    let mut store = open(&dir, &to(&[&ann]), Some(&ann));
    store.mark_for_renewal(&id("fingerprint-key")).unwrap();
    issue(&certs(), &secrets(), &mut store, &env()).unwrap();
    store.save().unwrap();
    drop(store);
    assert_ne!(fingerprint(), second);
    assert_eq!(fs::read(dir.join("objects/user/registry/secret.age")).unwrap(), cipher);
    let store = open(&dir, &to(&[&ann]), Some(&ann));
    assert_eq!(store.secret(&id("user/registry")).unwrap().expose(), b"two");
    drop(store);

    let mut store = open(&dir, &to(&[&ann]), None);
    assert!(store.remove_user_secret("registry") && !store.remove_user_secret("registry"));
    store.save().unwrap();
    drop(store);
    let store = open(&dir, &to(&[&ann]), None);
    assert!(store.object(&id("user/registry")).is_none() && store.notes().is_empty());
    assert!(!dir.join("objects/user/registry").exists());
}

#[test]
fn the_first_secret_may_come_before_the_first_build() {
    let (ann, tmp) = (Person::new(), tempfile::tempdir().unwrap());
    let dir = tmp.path().join("secrets");
    let mut store = open(&dir, &to(&[&ann]), Some(&ann));
    let env = Env::at(env().now());
    assert!(
        store.set_user_secret("secret", Secret::new(b"x".to_vec()), &env).is_err(),
        ".gitignore names it"
    );
    store.set_user_secret("oidc", Secret::new(b"x".to_vec()), &env).unwrap();
    store.save().unwrap();
    drop(store);
    let mut store = open(&dir, &to(&[&ann]), Some(&ann));
    issue(&certs(), &secrets(), &mut store, &env).unwrap();
    store.save().unwrap();
    assert_eq!(store.secret(&id("user/oidc")).unwrap().expose(), b"x");
}

#[test]
fn two_branches_of_an_encrypted_store_merge() {
    let ann = Person::new();
    let (tmp, dir) = built(&to(&[&ann]));
    let git = |arguments: &[&str]| {
        let settings =
            ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"];
        let out =
            std::process::Command::new("git").args(settings).args(arguments).current_dir(tmp.path()).output();
        let out = out.unwrap();
        assert!(out.status.success(), "{out:?}");
        String::from_utf8(out.stdout).unwrap()
    };
    git(&["init", "-q"]);
    git(&["add", "-A"]);
    git(&["commit", "-qm", "base"]);
    assert_eq!(
        git(&["ls-files", "*.age"]).lines().count(),
        certs().len() + secrets().len(),
        "git carries them"
    );
    for branch in ["one", "two"] {
        git(&["checkout", "-q", "-b", branch, "main"]);
        let mut more = certs();
        let host = format!("{branch}.example.com");
        more.push(leaf(&format!("etcd-server/{host}"), "ca/etcd", Profile::ServerAndClient, &host));
        let mut store = open(&dir, &to(&[&ann]), Some(&ann));
        issue(&more, &secrets(), &mut store, &env()).unwrap();
        let mut ledger = ledger();
        ledger.hosts.insert(host, Default::default());
        store.set_ledger(ledger);
        store.save().unwrap();
        drop(store);
        git(&["add", "-A"]);
        git(&["commit", "-qm", branch]);
    }
    git(&["merge", "-q", "-m", "both", "one"]);
    let store = open(&dir, &to(&[&ann]), Some(&ann));
    for branch in ["one", "two"] {
        assert!(store.secret(&id(&format!("etcd-server/{branch}.example.com"))).is_ok());
        assert!(store.ledger().hosts.contains_key(&format!("{branch}.example.com")));
    }
    drop(store);
    // An unchanged build leaves the work tree clean.
    let mut store = open(&dir, &to(&[&ann]), None);
    assert_eq!(store.save().unwrap(), Default::default());
    drop(store);
    assert_eq!(git(&["status", "--porcelain"]), "");
}
