//! The store through a rotation: what it says, what it refuses, what a kill or a merge leaves of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use super::support::{Need, can, copy_tree, khagen, run, scratch, text, tree};
use super::{Place, said};

impl Place {
    /// Every certificate of the store by object.
    fn certificates(&self) -> BTreeMap<String, Vec<u8>> {
        let of = |path: String| path.strip_suffix("/cert.pem").map(str::to_owned);
        let all = tree(&self.inventory().join("secrets/objects"));
        all.into_iter().filter_map(|(path, bytes)| Some((of(path)?, bytes))).collect()
    }

    /// Ends as it should and writes nothing.
    fn says(&self, args: &[&str], exit: i32, what: &str) {
        let before = tree(self.dir.path());
        let found = self.ends(args, exit);
        assert!(found.contains(what), "{args:?}: no {what:?} in\n{found}");
        assert!(before == tree(self.dir.path()), "{args:?} changed something");
    }

    fn built(&self, host: &str, path: &str) -> Vec<u8> {
        let bundle = super::support::unpack(&self.at(&format!("out/bundles/{host}.tar.gz")));
        bundle.get(path).unwrap_or_else(|| panic!("{host} has no {path}")).bytes.clone()
    }
}

fn differing(old: &BTreeMap<String, Vec<u8>>, new: &BTreeMap<String, Vec<u8>>) -> BTreeSet<String> {
    let names = old.keys().chain(new.keys());
    names.filter(|name| old.get(*name) != new.get(*name)).cloned().collect()
}

#[test]
fn each_stage_is_asked_for_and_read_from_the_store() {
    let place = Place::running("inventory");
    place.says(&["pki", "rotate", "ca/etcd"], 6, "ca/etcd is not issued yet");
    place.ends(&["build"], 0);
    let (start, store) = (place.certificates(), tree(&place.inventory()));
    let trust = |place: &Place| text(&place.built("k8setcd1.isociel.com", "root/etc/etcd/pki/etcd-ca.crt"));
    let pem = |certificates: &BTreeMap<String, Vec<u8>>, name: &str| text(&certificates[name]);

    place.says(&["pki", "rotate"], 64, "required");
    place.says(&["pki", "rotate", "ca/other"], 64, "ca/other is no trust root");
    place.says(&["pki", "rotate", "apiserver/k8smaster1.isociel.com"], 64, "is for `khagen pki renew`");
    place.says(&["pki", "renew", "ca/etcd"], 6, "`khagen pki rotate ca/etcd` does it in stages");
    place.says(&["pki", "rotate", "ca/etcd", "--dry-run"], 2, "stage 1 of 3 (trust both)");
    place.says(&["pki", "rotate", "ca/etcd", "--undo"], 0, "nothing was asked for");
    place.says(&["pki", "rotate", "--status"], 0, "ca/front-proxy: no rotation under way");
    place.says(&["pki", "rotate", "--status", "inventory"], 0, "service-account: no rotation under way");

    // Asked for, not built, taken back: the store is what it was.
    place.ends(&["pki", "rotate", "ca/etcd"], 0);
    let sidecar = "secrets/objects/ca/etcd/object.toml".to_owned();
    assert_eq!(differing(&store, &tree(&place.inventory())), BTreeSet::from([sidecar]));
    place.says(
        &["pki", "rotate", "ca/etcd"],
        6,
        "stage 1 of 3 (trust both) was asked for and is not built yet",
    );
    place.says(&["pki", "rotate", "--status", "ca/etcd"], 0, "the next build makes stage 1 of 3");
    place.says(&["build", "--dry-run"], 2, "would issue");
    place.says(&["build", "--review"], 6, "ca/etcd.next: rotation of ca/etcd");
    place.says(&["build", "--diff"], 2, "a further CA is trusted from now on");
    place.ends(&["pki", "rotate", "ca/etcd", "--undo"], 0);
    assert!(store == tree(&place.inventory()), "--undo left something");

    // Stage 1: one certificate more, none anew, and a second build does nothing.
    place.advance(&["ca/etcd"]);
    let one = place.certificates();
    assert_eq!(differing(&start, &one), BTreeSet::from(["ca/etcd.next".to_owned()]));
    assert_eq!(trust(&place), pem(&one, "ca/etcd") + &pem(&one, "ca/etcd.next"));
    place.says(&["build"], 0, "nothing changed, nothing written");
    place.says(&["build", "--review"], 0, "is what the inventory builds");
    place.says(&["verify"], 0, "");
    place.says(&["pki", "list"], 0, "ca/etcd.next");
    place.says(&["pki", "list", "--format", "json"], 0, "\"id\": \"ca/etcd.next\"");
    place.says(&["pki", "renew", "ca/etcd"], 6, "ca/etcd is being rotated");
    place.says(&["pki", "renew", "ca/etcd.next"], 64, "ca/etcd.next is part of a rotation");
    place.says(&["pki", "rotate", "--status", "ca/etcd"], 0, "ca/etcd: stage 1 of 3 (trust both) is built");

    // Stage 2: what the former signed, and nothing else; the trust file stays as it is.
    let said = place.advance(&["ca/etcd"]);
    assert!(said.contains("rotation of ca/etcd: the new one signs from now on"), "{said}");
    let two = place.certificates();
    assert_eq!(
        (pem(&two, "ca/etcd"), pem(&two, "ca/etcd.former")),
        (pem(&one, "ca/etcd.next"), pem(&one, "ca/etcd"))
    );
    let mut expected: BTreeSet<String> =
        ["ca/etcd", "ca/etcd.next", "ca/etcd.former", "operator/etcd-client"].map(str::to_owned).into();
    for (kinds, host) in
        [(&["etcd-server", "etcd-health-client"][..], "k8setcd"), (&["apiserver-etcd-client"], "k8smaster")]
    {
        expected
            .extend(kinds.iter().flat_map(|k| (1..=3).map(move |n| format!("{k}/{host}{n}.isociel.com"))));
    }
    assert_eq!(differing(&one, &two), expected);
    assert_eq!(trust(&place), pem(&start, "ca/etcd") + &pem(&two, "ca/etcd"));
    place.says(&["build"], 0, "nothing changed, nothing written");
    place.says(&["pki", "list"], 0, "ca/etcd.former");

    // Stage 3: the former is gone from everywhere.
    place.advance(&["ca/etcd"]);
    let three = place.certificates();
    assert_eq!(differing(&two, &three), BTreeSet::from(["ca/etcd.former".to_owned()]));
    assert!(!place.object("ca/etcd.former").exists() && !place.object("ca/etcd.next").exists());
    assert_eq!(trust(&place), pem(&two, "ca/etcd"));
    place.says(&["build"], 0, "nothing changed, nothing written");
    place.says(&["pki", "rotate", "--status", "ca/etcd"], 0, "no rotation under way");
    place.says(&["verify"], 0, "");
    // And once more.
    place.advance(&["ca/etcd"]);
    assert_eq!(differing(&three, &place.certificates()), BTreeSet::from(["ca/etcd.next".to_owned()]));
}

/// Kills khagen at its nth call that changes the disk. Answers whether it was.
fn killed(place: &Place, args: &[&str], nth: usize) -> bool {
    const CALLS: &str = "write,mkdir,rename,renameat2,unlink,unlinkat,rmdir,syncfs,fsync";
    let command = place.command(args);
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e"]).arg(format!("trace={CALLS}")).arg("-e");
    strace.arg(format!("inject={CALLS}:signal=KILL:when={nth}")).arg(khagen().get_program()).args(args);
    strace.current_dir(place.dir.path()).env("HOME", place.dir.path()).env("RAYON_NUM_THREADS", "1");
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            strace.env(name, value);
        }
    }
    let out = strace.output().expect("strace");
    assert!(out.status.code() != Some(1), "{}", said(&out));
    !out.status.success()
}

#[test]
fn a_kill_at_any_write_loses_no_root() {
    if !can("killing khagen in a rotation", &[Need::Program("strace"), Need::Program("age")]) {
        return;
    }
    let place = Place::encrypted("compact");
    place.ends(&["build", "-q"], 0);
    let roots = ["ca/etcd", "service-account"];
    let mut kills = 0;
    for stage in 1..=3 {
        for root in roots {
            place.ends(&["pki", "rotate", root], 0);
        }
        let before = place.certificates();
        let old = &before[if stage == 3 { "ca/etcd.former" } else { "ca/etcd" }];
        // Most of the writes to the store come first; those to the output are many and alike.
        for nth in (1..40).step_by(4).chain((40..).step_by(71)) {
            let copy = Place { dir: scratch() };
            for name in ["inventory", "out", "age.key"] {
                copy_tree(&place.at(name), &copy.at(name));
            }
            if !killed(&copy, &["build", "-q"], nth) {
                break;
            }
            kills += 1;
            copy.ends(&["build", "-q"], 0);
            copy.ends(&["verify"], 0);
            let status = copy.ends(&["pki", "rotate", "--status", "ca/etcd"], 0);
            let now = copy.certificates();
            let trust = copy.built("node1.lab.example.com", "root/etc/etcd/pki/etcd-ca.crt");
            let trusted = text(&trust).contains(&text(old));
            match stage {
                1 => {
                    assert!(status.contains("stage 1 of 3 (trust both) is built") && trusted, "kill {nth}");
                    assert!(now["ca/etcd"] == *old, "kill {nth}");
                }
                2 => {
                    assert!(status.contains("stage 2 of 3 (re-issue) is built") && trusted, "kill {nth}");
                    assert!(
                        now["ca/etcd.former"] == *old && now["ca/etcd"] == before["ca/etcd.next"],
                        "kill {nth}"
                    );
                    assert!(!now.contains_key("ca/etcd.next"), "kill {nth}");
                }
                _ => assert!(status.contains("no rotation under way") && !trusted, "kill {nth}"),
            }
            assert!(!now.keys().any(|path| path.contains("/.")), "kill {nth}: leftovers stay");
            copy.says(&["build", "-q"], 0, "");
        }
        place.ends(&["build", "-q"], 0);
    }
    eprintln!("{kills} kills");
    assert!(kills > 25, "{kills} kills");
}

#[test]
fn a_branch_that_adds_a_host_meets_one_that_rotates() {
    if !can("two branches in a rotation", &[Need::Program("git"), Need::Program("age")]) {
        return;
    }
    let place = Place::encrypted("inventory");
    let try_git = |args: &[&str]| {
        let settings =
            ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"];
        Command::new("git").args(settings).args(args).current_dir(place.dir.path()).output().expect("git")
    };
    let git = |args: &[&str]| {
        let out = try_git(args);
        assert!(out.status.success(), "{args:?}: {}", said(&out));
        text(&out.stdout)
    };
    place.ends(&["build", "-q"], 0);
    place.advance(&["ca/etcd"]);
    git(&["init", "-q"]);
    git(&["add", "inventory"]);
    git(&["commit", "-qm", "stage 1"]);

    git(&["checkout", "-qb", "host"]);
    let more = "hosts: [{name: k8smaster4, address: 192.168.13.64, roles: [control-plane]}]\n";
    fs::write(place.inventory().join("more.yaml"), more).expect("write");
    place.ends(&["build", "-q"], 0);
    git(&["add", "inventory"]);
    git(&["commit", "-qm", "a host"]);
    let of_former =
        fs::read(place.object("apiserver-etcd-client/k8smaster4.isociel.com/cert.pem")).expect("read");

    git(&["checkout", "-q", "main"]);
    place.advance(&["ca/etcd"]);
    git(&["add", "-A", "inventory"]);
    git(&["commit", "-qm", "stage 2"]);
    let merged = try_git(&["merge", "-q", "-m", "both", "host"]);
    // Hosts whose bundles both changed have a generation on each side; keys and certificates do not conflict.
    for path in git(&["diff", "--name-only", "--diff-filter=U"]).lines() {
        assert!(path.starts_with("inventory/secrets/ledger/hosts/"), "{path}: {}", said(&merged));
        git(&["checkout", "--ours", path]);
        git(&["add", path]);
    }
    if !merged.status.success() {
        git(&["commit", "-qm", "both"]);
    }
    let said = place.ends(&["build", "-v"], 0);
    let line = "apiserver-etcd-client/k8smaster4.isociel.com: it was signed by another key of its CA ca/etcd";
    assert!(said.contains(line), "{said}");
    let now = fs::read(place.object("apiserver-etcd-client/k8smaster4.isociel.com/cert.pem")).expect("read");
    assert!(now != of_former);
    fs::write(place.at("trust"), place.certificates()["ca/etcd"].clone()).expect("write");
    fs::write(place.at("leaf"), now).expect("write");
    run(Command::new("openssl").args(["verify", "-CAfile"]).arg(place.at("trust")).arg(place.at("leaf")));

    // Two that rotate at once: each has another new root. git says so, or the build does.
    let coming = place.object("ca/etcd.next");
    copy_tree(&place.object("ca/etcd-peer"), &coming);
    let record = fs::read_to_string(coming.join("object.toml")).expect("read");
    fs::write(coming.join("object.toml"), sealed(&record.replace("\"ca/etcd-peer\"", "\"ca/etcd.next\"")))
        .expect("write");
    place.says(&["build"], 4, "two rotations of ca/etcd were merged");
    place.says(&["pki", "rotate", "ca/etcd"], 4, "two rotations of ca/etcd were merged");
}

/// A record with its digest.
fn sealed(record: &str) -> String {
    let body = &record[..record.rfind("# sha256 ").expect("a digest")];
    let digest = {
        use sha2::Digest;
        sha2::Sha256::digest(body.as_bytes()).iter().map(|b| format!("{b:02x}")).collect::<String>()
    };
    format!("{body}# sha256 {digest}\n")
}
