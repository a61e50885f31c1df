//! Every way to break the store has its own message, and changes nothing.

use std::fs;
use std::path::{Path, PathBuf};

use khagen::pki::issue::issue;
use khagen::pki::{Store, StoreError};

use crate::cluster::{build, certs, env, id, ledger, secrets, snapshot};

fn built() -> (tempfile::TempDir, PathBuf) {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("secrets");
    drop(build(&dir, &certs(), &secrets()));
    (tmp, dir)
}

/// Opens a broken store: the message, and the proof that nothing was changed.
fn message(dir: &Path) -> String {
    let before = snapshot(dir);
    let error = Store::open(dir).expect_err("a broken store");
    assert_eq!(snapshot(dir), before);
    error.to_string()
}

fn cut(bytes: &[u8]) -> Vec<u8> {
    bytes[..bytes.len() / 2].to_vec()
}

#[test]
fn each_file_cut_emptied_or_deleted_is_named_with_what_is_wrong() {
    let (_tmp, dir) = built();
    let certificate = dir.join("objects/apiserver/cp1.example.com");
    let cases = [
        (
            certificate.join("object.toml"),
            ["has lost its last line, the digest: it was cut short", "is empty", "is missing"],
        ),
        (
            certificate.join("cert.pem"),
            [
                "is not the one that object.toml describes: it was cut, changed or swapped",
                "is empty",
                "is missing",
            ],
        ),
        (
            certificate.join("key.pem"),
            [
                "bytes where object.toml says",
                "is empty",
                "is missing (git does not carry key files: bring it from where it was made)",
            ],
        ),
        (
            dir.join("objects/service-account/public.pem"),
            [
                "is not the one that object.toml describes: it was cut, changed or swapped",
                "is empty",
                "is missing",
            ],
        ),
        (
            dir.join("objects/bootstrap-token/secret"),
            [
                "bytes where object.toml says",
                "is empty",
                "is missing (git does not carry key files: bring it from where it was made)",
            ],
        ),
        (
            dir.join("ledger/cluster.toml"),
            [
                "has lost its last line, the digest: it was cut short",
                "is empty",
                "is missing, though the ledger knows hosts",
            ],
        ),
    ];
    for (path, [when_cut, when_empty, when_gone]) in cases {
        let good = fs::read(&path).unwrap();
        let expect = |what: &str| {
            let said = message(&dir);
            let line = said.lines().find(|l| l.trim_start().starts_with(path.to_str().unwrap()));
            assert!(line.is_some_and(|l| l.contains(what)), "{what:?} of {} in\n{said}", path.display());
            assert_eq!(said.lines().count(), 2, "one damage:\n{said}");
        };
        fs::write(&path, cut(&good)).unwrap();
        expect(when_cut);
        fs::write(&path, b"").unwrap();
        expect(when_empty);
        fs::remove_file(&path).unwrap();
        expect(when_gone);
        fs::write(&path, &good).unwrap();
        drop(Store::open(&dir).unwrap());
    }
}

#[test]
fn swapped_files_and_folders_are_named() {
    let (tmp, dir) = built();
    let (a, b) = (
        dir.join("objects/etcd-server/etcd1.example.com"),
        dir.join("objects/etcd-server/etcd2.example.com"),
    );
    let swap = |x: &Path, y: &Path| {
        let aside = tmp.path().join("aside");
        fs::rename(x, &aside).unwrap();
        fs::rename(y, x).unwrap();
        fs::rename(&aside, y).unwrap();
    };
    for (what, expected) in [
        (
            "object.toml",
            "is the record of etcd-server/etcd2.example.com: the folder or the file was moved or swapped",
        ),
        ("cert.pem", "is not the one that object.toml describes"),
    ] {
        swap(&a.join(what), &b.join(what));
        let said = message(&dir);
        assert!(said.contains(expected), "{said}");
        for side in [&a, &b] {
            assert!(said.contains(side.to_str().unwrap()), "both sides are named:\n{said}");
        }
        swap(&a.join(what), &b.join(what));
    }
    swap(&a, &b);
    assert!(message(&dir).contains("is the record of etcd-server/etcd2.example.com"));
    swap(&a, &b);
    let hosts = dir.join("ledger/hosts");
    swap(&hosts.join("etcd1.example.com.toml"), &hosts.join("etcd2.example.com.toml"));
    assert!(message(&dir).contains("etcd1.example.com.toml is the record of etcd2.example.com"));
    swap(&hosts.join("etcd1.example.com.toml"), &hosts.join("etcd2.example.com.toml"));

    // Keys have one size: a swap shows when one is asked for.
    swap(&a.join("key.pem"), &b.join("key.pem"));
    let store = Store::open(&dir).unwrap();
    let error = store.secret(&id("etcd-server/etcd1.example.com")).unwrap_err();
    assert!(error.is_integrity());
    let expected = "key.pem is not the key that object.toml of etcd-server/etcd1.example.com names";
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn all_damage_is_reported_at_once() {
    let (_tmp, dir) = built();
    fs::remove_file(dir.join("objects/ca/etcd/cert.pem")).unwrap();
    fs::write(dir.join("objects/ca/etcd/key.pem"), "").unwrap();
    fs::write(dir.join("ledger/hosts/etcd3.example.com.toml"), "x").unwrap();
    let StoreError::Damaged { damages, .. } = Store::open(&dir).unwrap_err() else { panic!() };
    let files: Vec<_> =
        damages.iter().map(|d| d.path.strip_prefix(&dir).unwrap().to_str().unwrap()).collect();
    assert_eq!(
        files,
        ["ledger/hosts/etcd3.example.com.toml", "objects/ca/etcd/cert.pem", "objects/ca/etcd/key.pem"]
    );
}

#[test]
fn a_ca_that_is_gone_is_not_made_anew() {
    let (_tmp, dir) = built();
    fs::remove_dir_all(dir.join("objects/ca/etcd")).unwrap();
    let said = message(&dir);
    assert!(said.contains("objects/ca/etcd is missing, though"), "{said}");
    assert!(said.contains("was signed by it"), "{said}");
    let (_tmp, dir) = built();
    fs::remove_dir_all(dir.join("objects/fingerprint-key")).unwrap();
    assert!(message(&dir).contains("has a fingerprint made by a fingerprint key that is missing"));
    let (_tmp, dir) = built();
    fs::remove_dir_all(dir.join("objects")).unwrap();
    assert!(message(&dir).contains("objects/ca/kubernetes is missing, though the ledger names it"));
}

#[test]
fn a_changed_secret_is_noticed_when_it_is_read() {
    let (_tmp, dir) = built();
    let said = |object: &str, file: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let path = dir.join("objects").join(object).join(file);
        let good = fs::read(&path).unwrap();
        let mut bytes = good.clone();
        change(&mut bytes);
        fs::write(&path, bytes).unwrap();
        let error = Store::open(&dir).unwrap().secret(&id(object)).unwrap_err();
        assert!(error.is_integrity(), "{error}");
        fs::write(&path, good).unwrap();
        error.to_string()
    };
    let turn = |b: &mut Vec<u8>| b[0] = if b[0] == b'a' { b'b' } else { b'a' };
    assert!(said("bootstrap-token", "secret", &turn).contains("is not the bootstrap token that object.toml"));
    assert!(said("vrrp", "secret", &turn).contains("is not the VRRP password that object.toml"));
    assert!(said("fingerprint-key", "secret", &turn).contains("is not the fingerprint key that object.toml"));
    assert!(said("fingerprint-key", "secret", &|b| b[0] = b'x').contains("is not 64 hexadecimal digits"));
    assert!(said("ca/etcd", "key.pem", &|b| b.fill(b'x')).contains("is no PKCS#8 key in PEM form"));
    // One character of the private half only: the public half no longer follows from it.
    let other = |b: &mut Vec<u8>| b[100] = if b[100] == b'A' { b'B' } else { b'A' };
    assert!(said("ca/etcd", "key.pem", &other).contains("holds no key that khagen can use"));
}

#[test]
fn a_damaged_ca_key_signs_nothing() {
    let (_tmp, dir) = built();
    let (a, b) = (dir.join("objects/ca/etcd/key.pem"), dir.join("objects/ca/etcd-peer/key.pem"));
    fs::copy(&b, &a).unwrap();
    let mut store = Store::open(&dir).unwrap();
    let mut certs = certs();
    certs.iter_mut().filter(|c| c.id.as_str() == "operator/etcd").for_each(|c| c.validity_days = 1);
    let error = issue(&certs, &secrets(), &mut store, &env()).unwrap_err();
    assert!(
        error.to_string().contains("key.pem is not the key that object.toml of ca/etcd names"),
        "{error}"
    );
    assert_eq!(store.save().unwrap(), Default::default());
}

#[test]
fn other_folders_and_newer_stores_are_refused() {
    let (_tmp, dir) = built();
    fs::write(dir.join("KHAGEN_STORE"), "khagen-store/v2\n").unwrap();
    assert!(message(&dir).contains("was written by a newer khagen (store version 2, this one knows 1)"));
    for bad in ["", "khagen-store/v", "khagen-store/v0\n", "hello\n"] {
        fs::write(dir.join("KHAGEN_STORE"), bad).unwrap();
        assert!(message(&dir).contains("KHAGEN_STORE does not name a version"), "{bad:?}");
    }
    fs::remove_file(dir.join("KHAGEN_STORE")).unwrap();
    assert!(message(&dir).contains("is not empty and has no KHAGEN_STORE file"));
    let empty = tempfile::tempdir().unwrap();
    fs::create_dir(empty.path().join("secrets")).unwrap();
    assert!(Store::open(&empty.path().join("secrets")).unwrap().is_empty());
}

#[test]
fn leftovers_of_an_interrupted_write_are_discarded_with_a_note() {
    let (_tmp, dir) = built();
    let object = dir.join("objects/ca/etcd");
    // Staged and never put in place; written aside and never renamed; replaced and never removed.
    for path in ["objects/ca/.etcd.new", "objects/ca/.etcd.old", "objects/new/.thing.new"] {
        fs::create_dir_all(dir.join(path)).unwrap();
        fs::write(dir.join(path).join("key.pem"), "half").unwrap();
    }
    for path in ["ledger/.cluster.toml.new", "ledger/hosts/.x.toml.new", "objects/ca/etcd/.object.toml.new"] {
        fs::write(dir.join(path), "half").unwrap();
    }
    let before = snapshot(&dir);
    let mut store = Store::open(&dir).unwrap();
    assert_eq!(store.notes().len(), 6, "{:?}", store.notes());
    assert!(store.notes().iter().all(|n| n.ends_with("is left from an interrupted write and is discarded")));
    assert_eq!(snapshot(&dir), before, "opening writes nothing");
    store.save().unwrap();
    drop(store);
    assert!(Store::open(&dir).unwrap().notes().is_empty());
    assert!(object.join("key.pem").exists());
    assert!(!snapshot(&dir).iter().any(|(p, ..)| p.to_str().unwrap().contains("/.etcd")));
}

#[test]
fn an_object_that_was_moved_aside_is_put_back() {
    let (_tmp, dir) = built();
    fs::rename(dir.join("objects/ca/etcd"), dir.join("objects/ca/.etcd.old")).unwrap();
    let mut store = Store::open(&dir).unwrap();
    assert_eq!(store.notes().len(), 1);
    assert!(store.notes()[0].contains("is put back as"));
    store.secret(&id("ca/etcd")).unwrap();
    let mut more = certs();
    more.push(crate::cluster::leaf("more", "ca/etcd", khagen::plan::Profile::Client, "more"));
    issue(&more, &secrets(), &mut store, &env()).unwrap();
    store.save().unwrap();
    drop(store);
    let store = Store::open(&dir).unwrap();
    assert!(store.notes().is_empty());
    assert!(dir.join("objects/ca/etcd/key.pem").exists());
}

#[test]
fn a_first_save_that_was_killed_before_its_marker_is_an_empty_store() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("secrets");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join(".gitignore"), "").unwrap();
    fs::write(dir.join(".KHAGEN_STORE.77-0.new"), "").unwrap();
    assert!(Store::open(&dir).unwrap().is_empty());
    drop(build(&dir, &certs(), &secrets()));
    assert!(Store::open(&dir).is_ok());
}

#[test]
fn two_branches_that_each_add_something_merge() {
    let tmp = tempfile::tempdir().unwrap();
    let git = |arguments: &[&str]| {
        let identity =
            ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"];
        let out = std::process::Command::new("git")
            .args(identity)
            .args(arguments)
            .current_dir(tmp.path())
            .output()
            .unwrap();
        assert!(out.status.success(), "{out:?}");
    };
    let dir = tmp.path().join("secrets");
    git(&["init", "-q"]);
    drop(build(&dir, &certs(), &secrets()));
    // As an encrypted store would: keys go along.
    fs::write(dir.join(".gitignore"), "").unwrap();
    git(&["add", "-A"]);
    git(&["commit", "-qm", "base"]);
    for branch in ["one", "two"] {
        git(&["checkout", "-q", "-b", branch, "main"]);
        let mut more = certs();
        more.push(crate::cluster::leaf(
            &format!("new/{branch}"),
            "ca/etcd",
            khagen::plan::Profile::Client,
            branch,
        ));
        let mut store = Store::open(&dir).unwrap();
        issue(&more, &secrets(), &mut store, &env()).unwrap();
        let mut ledger = ledger();
        ledger.hosts.insert(branch.to_owned(), Default::default());
        store.set_ledger(ledger);
        store.save().unwrap();
        git(&["add", "-A"]);
        git(&["commit", "-qm", branch]);
    }
    git(&["merge", "-q", "-m", "both", "one"]);
    let store = Store::open(&dir).unwrap();
    for branch in ["one", "two"] {
        assert!(store.secret(&id(&format!("new/{branch}"))).is_ok());
        assert!(store.ledger().hosts.contains_key(branch));
    }
}
