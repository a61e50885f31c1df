//! The store from outside: stock age, git and openssl read it, strace sees what is written, and a build that is killed,
//! or meets what it cannot use, leaves it whole.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use support::{Need, can, copy_inventory, khagen, root, run, scratch, text, tree};

/// An inventory with recipients, its output, and the keys of two people.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        let place = Place { dir: scratch() };
        copy_inventory(&root().join("inventory"), &place.inventory());
        place
    }

    /// With a key of age and one of ssh as recipients. The keys are made by their own programs.
    fn encrypted() -> Place {
        let place = Place::new();
        run(Command::new("age-keygen").arg("-o").arg(place.at("age.key")));
        run(Command::new("age-keygen").arg("-o").arg(place.at("eve.key")));
        let ssh = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "ops@bastion", "-f"])
            .arg(place.at("ssh.key"))
            .status();
        assert!(ssh.expect("ssh-keygen").success());
        place.recipients(&[&place.age("age.key"), &place.ssh()]);
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn inventory(&self) -> PathBuf {
        self.at("inventory")
    }

    fn store(&self) -> PathBuf {
        self.inventory().join("secrets")
    }

    fn age(&self, key: &str) -> String {
        run(Command::new("age-keygen").arg("-y").arg(self.at(key))).trim().to_owned()
    }

    fn ssh(&self) -> String {
        fs::read_to_string(self.at("ssh.key.pub")).expect("a public key").trim().to_owned()
    }

    fn recipients(&self, recipients: &[&str]) {
        let lines: String = recipients.iter().map(|r| format!("    - {r}\n")).collect();
        let path = self.inventory().join("recipients.yaml");
        if recipients.is_empty() {
            fs::remove_file(path).expect("remove");
        } else {
            fs::write(path, format!("secrets:\n  recipients:\n{lines}")).expect("write");
        }
    }

    /// khagen in this place, with no key of the caller's and no terminal.
    fn khagen(&self, args: &[&str]) -> Command {
        let mut command = Command::new("setsid");
        command.arg("--wait").arg(khagen().get_program()).args(args);
        command.current_dir(self.dir.path()).stdin(Stdio::null());
        command.env_remove("SOURCE_DATE_EPOCH").env_remove("KHAGEN_IDENTITY").env("NO_COLOR", "1");
        command.env("HOME", self.dir.path());
        command
    }

    fn ends(&self, args: &[&str], exit: i32) -> String {
        let out = self.khagen(args).output().expect("khagen");
        assert_eq!(out.status.code(), Some(exit), "{args:?}\n{}", said(&out));
        said(&out)
    }

    /// Fails as it should, says so, and changes nothing.
    fn refuses(&self, args: &[&str], exit: i32, what: &str) {
        let state = || (files(&self.inventory()), files(&self.at("out")));
        let before = state();
        let said = self.ends(args, exit);
        assert!(said.contains(what), "{args:?}: no {what:?} in\n{said}");
        assert!(before == state(), "{args:?} changed something");
    }

    fn secrets(&self, end: &str) -> Vec<PathBuf> {
        tree(&self.store()).into_keys().filter(|p| p.ends_with(end)).map(|p| self.store().join(p)).collect()
    }
}

fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    if dir.is_dir() { tree(dir) } else { BTreeMap::new() }
}

fn said(out: &Output) -> String {
    format!("{}{}", text(&out.stdout), text(&out.stderr))
}

const PROGRAMS: [Need; 3] = [Need::Program("age"), Need::Program("ssh-keygen"), Need::Program("setsid")];

#[test]
fn stock_age_decrypts_every_key_for_every_recipient() {
    if !can("a store that stock age decrypts", &[&PROGRAMS[..], &[Need::Program("openssl")]].concat()) {
        return;
    }
    let place = Place::encrypted();
    place.ends(&["build"], 0);
    let encrypted = place.secrets(".age");
    assert!(encrypted.len() > 35, "{encrypted:?}");
    assert!(place.secrets("/key.pem").is_empty() && place.secrets("/secret").is_empty());
    for path in encrypted {
        let decrypt = |key: &str| {
            let out =
                Command::new("age").arg("-d").arg("-i").arg(place.at(key)).arg(&path).output().expect("age");
            out.status.success().then_some(out.stdout)
        };
        let secret = decrypt("age.key").unwrap_or_else(|| panic!("age cannot decrypt {}", path.display()));
        assert_eq!(decrypt("ssh.key").as_ref(), Some(&secret), "{}", path.display());
        assert_eq!(decrypt("eve.key"), None);
        let cert = path.with_file_name("cert.pem");
        if cert.exists() {
            fs::write(place.at("plain"), &secret).expect("write");
            let public = run(Command::new("openssl").args(["pkey", "-pubout", "-in"]).arg(place.at("plain")));
            let certified = run(Command::new("openssl").args(["x509", "-noout", "-pubkey", "-in"]).arg(cert));
            assert_eq!(public, certified, "{}", path.display());
        }
    }
    // All of a build by each key: nothing is kept from the first.
    for key in ["age.key", "ssh.key"] {
        fs::remove_dir_all(place.at("out")).expect("remove");
        place.ends(&["build", "-i", key], 0);
        place.ends(&["verify"], 0);
    }
    // The usual ssh key, and the one that the environment names.
    fs::remove_dir_all(place.at("out")).expect("remove");
    place.refuses(&["build"], 6, "no identity to decrypt with, and there is no");
    fs::create_dir(place.at(".ssh")).expect("create");
    fs::copy(place.at("ssh.key"), place.at(".ssh/id_ed25519")).expect("copy");
    place.ends(&["build"], 0);
    fs::remove_dir_all(place.at("out")).expect("remove");
    let out = place.khagen(&["build"]).env("KHAGEN_IDENTITY", "eve.key").output().expect("khagen");
    assert_eq!(out.status.code(), Some(6), "{}", said(&out));
    assert!(said(&out).contains(&format!("{} in eve.key", place.age("eve.key"))), "{}", said(&out));
    assert!(!place.at("out").exists());
}

/// Runs a shell line with a terminal of its own on which answers are typed.
fn on_a_terminal(place: &Place, line: &str, answers: &[&str]) -> (Option<i32>, String) {
    // One at a time: what is typed before it is asked for is thrown away, as by getpass(3).
    let typed: String = answers.iter().map(|answer| format!("sleep 3; echo {answer}; ")).collect();
    let out = Command::new("bash")
        .arg("-c")
        .arg(format!("({typed} sleep 5) | script -qec \"$1\" /dev/null"))
        .arg("terminal")
        .arg(line)
        .current_dir(place.dir.path())
        .env("HOME", place.dir.path())
        .env_remove("KHAGEN_IDENTITY")
        .output()
        .expect("script");
    (out.status.code(), said(&out))
}

#[test]
fn passphrases_are_asked_for_on_the_terminal_and_nowhere_else() {
    if !can("passphrases of identities", &[&PROGRAMS[..], &[Need::Program("script")]].concat()) {
        return;
    }
    let place = Place::encrypted();
    place.ends(&["build"], 0);
    let locked = Command::new("ssh-keygen")
        .args(["-q", "-p", "-P", "", "-N", "geheim", "-f"])
        .arg(place.at("ssh.key"))
        .status();
    assert!(locked.expect("ssh-keygen").success());
    let (code, said) = on_a_terminal(&place, "age -p -o age.locked age.key", &["geheim", "geheim"]);
    assert_eq!(code, Some(0), "{said}");
    let program = khagen().get_program().to_string_lossy().into_owned();
    for key in ["ssh.key", "age.locked"] {
        fs::remove_dir_all(place.at("out")).expect("remove");
        let what =
            format!("the identity {key} is protected by a passphrase: there is no terminal to ask for it");
        place.refuses(&["build", "-i", key], 6, &what);
        let (code, said) =
            on_a_terminal(&place, &format!("{program} build -q -i {key} </dev/null"), &["geheim"]);
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(said.matches("Passphrase for").count(), 1, "{said}");
        assert!(!said.contains("geheim"), "the terminal shows it: {said}");
        place.ends(&["verify"], 0);
    }
    fs::remove_dir_all(place.at("out")).expect("remove");
    let (code, said) =
        on_a_terminal(&place, &format!("{program} build -q -i ssh.key </dev/null"), &["a", "b", "c"]);
    assert_eq!(code, Some(6), "{said}");
    assert!(said.contains("the passphrase is wrong") && !place.at("out").exists(), "{said}");
}

/// What a build writes, by strace: path and bytes of every write to a file.
fn written(place: &Place, args: &[&str]) -> Vec<(String, String)> {
    let log = place.at("log");
    let program = khagen().get_program().to_owned();
    let out = Command::new("strace")
        .args([
            "-f",
            "-qq",
            "-y",
            "-s",
            "100000",
            "-e",
            "trace=write,writev,pwrite64,pwritev,sendto,openat",
            "-o",
        ])
        .arg(&log)
        .arg(program)
        .args(args)
        .current_dir(place.dir.path())
        .env("HOME", place.dir.path())
        .env_remove("KHAGEN_IDENTITY")
        .output()
        .expect("strace");
    assert!(out.status.success(), "{}", said(&out));
    let log = fs::read_to_string(&log).expect("a log");
    for line in
        log.lines().filter(|l| l.contains("openat(") && l.contains("O_CREAT") && l.contains(".tar.gz"))
    {
        assert!(line.contains(", 0600)"), "a tarball that others may read: {line}");
    }
    log.lines()
        .filter_map(|line| {
            let call = line.split_once(' ')?.1.trim_start();
            let rest = call.strip_prefix("write").or_else(|| call.strip_prefix("pwrite"))?;
            let path = rest.split_once('<')?.1.split_once('>')?.0;
            Some((path.to_owned(), rest.to_owned()))
        })
        .collect()
}

#[test]
fn plaintext_never_touches_the_disk_when_there_are_recipients() {
    if !can("that no key is written in the clear", &[&PROGRAMS[..], &[Need::Program("strace")]].concat()) {
        return;
    }
    let shows = |writes: &[(String, String)]| -> Vec<String> {
        writes
            .iter()
            .filter(|(_, bytes)| bytes.contains("PRIVATE KEY-----"))
            .map(|(path, _)| path.clone())
            .collect()
    };
    let place = Place::encrypted();
    fs::write(place.at("value"), "Tr0ub4dor-and-3").expect("write");
    let mut writes = written(&place, &["build"]);
    writes.extend(written(&place, &["secret", "set", "registry", "--file", "value", "-i", "age.key"]));
    place.recipients(&[&place.age("age.key")]);
    writes.extend(written(&place, &["secret", "rekey", "-i", "ssh.key"]));
    assert!(writes.len() > 100);
    assert_eq!(shows(&writes), Vec::<String>::new());
    let token = run(Command::new("age")
        .arg("-d")
        .arg("-i")
        .arg(place.at("age.key"))
        .arg(place.store().join("objects/bootstrap-token/secret.age")));
    for secret in [token.as_str(), "Tr0ub4dor-and-3"] {
        let found: Vec<_> = writes.iter().filter(|(_, bytes)| bytes.contains(secret)).collect();
        assert!(found.is_empty(), "{found:?}");
    }
    // The same watch over a store in the clear does see keys.
    let place = Place::new();
    let seen = shows(&written(&place, &["build"]));
    assert!(seen.len() > 30 && seen.iter().all(|path| path.ends_with("/key.pem")), "{seen:?}");
}

/// Damages a file and expects a refusal that names it; both kinds of store.
#[test]
fn a_store_that_is_not_whole_stops_the_build_and_nothing_changes() {
    if !can("the guards of an encrypted store", &PROGRAMS) {
        return;
    }
    for place in [Place::new(), Place::encrypted()] {
        place.ends(&["build"], 0);
        let store = tree(&place.store());
        let is_read = |path: &str| {
            path.starts_with("objects/") || path.starts_with("ledger/") || path == "KHAGEN_STORE"
        };
        for (path, good) in store.iter().filter(|(path, _)| is_read(path)) {
            let file = place.store().join(path);
            let name = format!("inventory/secrets/{path}");
            fs::write(&file, "").expect("write");
            place.refuses(&["build"], 4, &name);
            if path.starts_with("objects/ca/") || path.starts_with("ledger/") {
                fs::write(&file, &good[..good.len() / 2]).expect("write");
                place.refuses(&["build"], 4, &name);
                fs::remove_file(&file).expect("remove");
                // A host's record that is gone is a host that is new to the ledger; what names it is not damaged.
                if !path.starts_with("ledger/hosts/") {
                    place.refuses(&["build"], 4, &name);
                }
            }
            fs::write(&file, good).expect("write");
        }
        place.ends(&["build"], 0);

        let marker = place.store().join("KHAGEN_STORE");
        fs::write(&marker, "khagen-store/v2\n").expect("write");
        place.refuses(&["build"], 6, "was written by a newer khagen (store version 2, this one knows 1)");
        fs::remove_file(&marker).expect("remove");
        place.refuses(&["build"], 1, "is not empty and has no KHAGEN_STORE file");
        fs::write(&marker, &store["KHAGEN_STORE"]).expect("write");

        // The output's CA is not in the store.
        let aside = place.at("aside");
        fs::rename(place.store(), &aside).expect("rename");
        place.refuses(&["build"], 4, "was built with another CA than the one in");
        fs::rename(&aside, place.store()).expect("rename");
        // Another khagen is at work.
        let lock =
            Command::new("flock").arg("--nonblock").arg(place.inventory()).args(["sleep", "13"]).spawn();
        let mut lock = lock.expect("flock");
        std::thread::sleep(std::time::Duration::from_millis(300));
        place.refuses(&["build"], 6, "another khagen is working on");
        lock.wait().expect("sleep");
        place.ends(&["build"], 0);
    }
}

#[test]
fn recipients_change_by_command_and_a_build_says_when_they_should() {
    if !can("changing recipients", &[&PROGRAMS[..], &[Need::Program("git")]].concat()) {
        return;
    }
    let place = Place::encrypted();
    let git = |args: &[&str]| {
        let settings =
            ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"];
        run(Command::new("git").args(settings).args(args).current_dir(place.dir.path()))
    };
    place.ends(&["build"], 0);
    git(&["init", "-q"]);
    git(&["add", "inventory", "out"]);
    git(&["commit", "-qm", "base"]);
    // Nobody's key is needed, and nothing is written.
    for args in
        [&["build"][..], &["build", "--dry-run"], &["build", "--review"], &["build", "--diff"], &["check"]]
    {
        let said = place.ends(args, 0);
        assert!(!said.contains("warning"), "{said}");
    }
    assert_eq!(git(&["status", "--porcelain", "inventory", "out"]), "");

    place.recipients(&[&place.age("age.key"), &place.ssh(), &place.age("eve.key")]);
    let said = place.ends(&["build"], 0);
    assert!(
        said.contains(
            "are not encrypted to what the inventory's `secrets.recipients` says now: khagen secret rekey"
        ),
        "{said}"
    );
    assert_eq!(git(&["status", "--porcelain", "inventory/secrets"]), "");
    place.refuses(
        &["secret", "rekey", "-i", "eve.key"],
        6,
        "only one who can decrypt the store can change its recipients",
    );
    let said = place.ends(&["secret", "rekey", "-i", "ssh.key"], 0);
    assert!(
        said.contains(&format!("added    {}", place.age("eve.key"))) && !said.contains("warning"),
        "{said}"
    );
    let changed = git(&["status", "--porcelain", "inventory/secrets"]);
    assert!(changed.lines().all(|l| l.ends_with(".age") || l.ends_with("object.toml")), "{changed}");
    let said = place.ends(&["build", "-i", "eve.key"], 0);
    assert!(said.contains("nothing changed, nothing written") && !said.contains("warning"), "{said}");

    place.recipients(&[&place.age("age.key")]);
    let said = place.ends(&["secret", "rekey", "-i", "age.key"], 0);
    assert!(said.contains(&format!("removed  {}", place.age("eve.key"))), "{said}");
    for what in ["could read all of this until now", "ca/kubernetes", "bootstrap-token", "docs/store.md"] {
        assert!(said.contains(what), "no {what:?} in\n{said}");
    }
    place.refuses(
        &["secret", "rekey", "-i", "age.key"],
        0,
        "are encrypted as the inventory says; nothing was written",
    );

    // Recipients lost from the inventory: no key is written in the clear unless somebody says so.
    place.recipients(&[]);
    place.refuses(&["build", "-i", "age.key"], 6, "is encrypted, and the inventory names no recipients");
    place.refuses(&["secret", "rekey", "-i", "age.key"], 6, "khagen secret rekey --plain");
    place.ends(&["secret", "rekey", "--plain", "-i", "age.key"], 0);
    assert!(place.secrets(".age").is_empty() && place.secrets("/key.pem").len() > 30);
    assert!(
        !git(&["status", "--porcelain", "inventory/secrets"]).contains("?? "),
        "keys in the clear are no file of git's"
    );
    place.ends(&["build"], 0);
    place.recipients(&[&place.ssh()]);
    place.refuses(&["secret", "rekey", "--plain"], 64, "the inventory names recipients");
    let said = place.ends(&["secret", "rekey"], 0);
    assert!(said.contains("backups and copies of the folder still hold them so"), "{said}");
    let said = place.ends(&["build"], 0);
    assert!(said.contains("nothing changed, nothing written"), "{said}");
}

#[test]
fn a_secret_of_the_users_reaches_its_hosts_and_raises_their_generation() {
    if !can("secrets of the user's", &PROGRAMS) {
        return;
    }
    for place in [Place::new(), Place::encrypted()] {
        let set = |value: &str| {
            let path = place.at("value");
            fs::write(&path, value).expect("write");
            place.ends(&["secret", "set", "registry", "--file", "value", "-i", "age.key"].map(|a| a), 0)
        };
        let plain = !place.at("age.key").exists();
        if plain {
            run(Command::new("age-keygen").arg("-o").arg(place.at("age.key")));
        }
        place.ends(&["build"], 0);
        let files = "roles:\n  worker:\n    files:\n      - {path: /etc/containerd/registry.json, source: {secret: registry}}\n";
        fs::write(place.inventory().join("files.yaml"), files).expect("write");
        place.refuses(&["build"], 3, "the store has no secret `registry`");
        let said = place.ends(&["secret", "list"], 0);
        assert!(
            said.contains("registry") && said.contains("not set") && said.contains("of 3 hosts"),
            "{said}"
        );
        place.refuses(&["secret", "set", "registry"], 64, "the value is empty");
        place.refuses(
            &["secret", "set", "Secret!", "--file", "value"],
            64,
            "this cannot be the name of a secret",
        );
        let said = set("{\"auths\": {}}\n");
        assert!(said.contains("new") && said.contains("the next build changes 3 hosts"), "{said}");
        assert!(said.contains(if plain { "in the clear" } else { "encrypted to 2 recipients" }), "{said}");
        place.ends(&["build", "-i", "age.key"], 0);
        let host = |name: &str| support::unpack(&place.at(&format!("out/bundles/{name}.isociel.com.tar.gz")));
        let entry = host("k8sworker1")["root/etc/containerd/registry.json"].clone();
        assert_eq!((entry.mode, entry.bytes.as_slice()), (0o600, &b"{\"auths\": {}}\n"[..]));
        assert!(!host("k8smaster1").contains_key("root/etc/containerd/registry.json"));
        let generations = || {
            let json: serde_json::Value =
                serde_json::from_slice(&fs::read(place.at("out/BUILD.json")).expect("read")).expect("JSON");
            let of = |name: &str| json["bundles"][format!("{name}.isociel.com")]["generation"].as_u64();
            [of("k8sworker1"), of("k8sworker3"), of("k8smaster1"), of("k8setcd1")]
        };
        assert_eq!(generations(), [Some(2), Some(2), Some(1), Some(1)]);

        assert!(set("{\"auths\": {}}\n").contains("has this value already; nothing was written"));
        set("{\"auths\": {\"r.example.com\": {\"auth\": \"czNjcjN0\"}}}\n");
        place.ends(&["build", "-i", "age.key"], 0);
        assert_eq!(generations(), [Some(3), Some(3), Some(1), Some(1)]);
        place.ends(&["verify"], 0);
        let shown = tree(&place.at("out/review"));
        assert!(shown.values().all(|bytes| !text(bytes).contains("czNjcjN0")));
        let listed = place.ends(&["secret", "list", "--format", "json"], 0);
        assert!(listed.contains("/etc/containerd/registry.json") && !listed.contains("czNjcjN0"), "{listed}");

        place.refuses(
            &["secret", "rm", "registry"],
            6,
            "/etc/containerd/registry.json of k8sworker1.isociel.com",
        );
        fs::remove_file(place.inventory().join("files.yaml")).expect("remove");
        place.ends(&["secret", "rm", "registry"], 0);
        place.refuses(&["secret", "rm", "registry"], 1, "the store has no secret registry");
        place.ends(&["build", "-i", "age.key"], 0);
        assert!(!host("k8sworker1").contains_key("root/etc/containerd/registry.json"));
    }
}

/// Kills khagen at its nth call that changes the disk. Answers whether it was.
fn killed(place: &Place, args: &[&str], nth: usize) -> bool {
    const CALLS: &str = "write,mkdir,rename,renameat2,unlink,unlinkat,rmdir,syncfs,fsync";
    let out = Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-e"])
        .arg(format!("trace={CALLS}"))
        .arg("-e")
        .arg(format!("inject={CALLS}:signal=KILL:when={nth}"))
        .arg(khagen().get_program())
        .args(args)
        .current_dir(place.dir.path())
        .env("HOME", place.dir.path())
        .env("RAYON_NUM_THREADS", "1")
        .env_remove("KHAGEN_IDENTITY")
        .output()
        .expect("strace");
    assert!(out.status.code() != Some(1), "{}", said(&out));
    !out.status.success()
}

#[test]
fn a_kill_at_any_write_leaves_a_store_that_goes_on() {
    if !can("killing khagen at its writes", &[&PROGRAMS[..], &[Need::Program("strace")]].concat()) {
        return;
    }
    let origin = Place::encrypted();
    let key = origin.age("age.key");
    let certificates = |place: &Place| -> BTreeMap<String, Vec<u8>> {
        files(&place.store()).into_iter().filter(|(path, _)| path.ends_with("cert.pem")).collect()
    };
    let copy = |from: &Place| {
        let place = Place { dir: scratch() };
        for name in ["inventory", "out", "age.key"] {
            if from.at(name).exists() {
                support::copy_tree(&from.at(name), &place.at(name));
            }
        }
        place
    };
    let mut kills = 0;
    // The first build: the store that is there afterwards is the one that the next build goes on with.
    for nth in (1..).step_by(29) {
        let place = copy(&origin);
        if !killed(&place, &["build", "-q"], nth) {
            break;
        }
        kills += 1;
        let kept = certificates(&place);
        place.ends(&["build", "-q", "-i", "age.key"], 0);
        let now = certificates(&place);
        // What was put in place under its name is kept.
        let is_hidden = |path: &str| path.split('/').any(|part| part.starts_with('.'));
        for (path, bytes) in kept.iter().filter(|(path, _)| !is_hidden(path)) {
            assert!(now.get(path) == Some(bytes), "kill {nth}: {path} was issued again");
        }
        assert!(!now.keys().any(|path| is_hidden(path)), "kill {nth}: leftovers stay");
        place.ends(&["verify"], 0);
    }
    // Changing recipients, from the clear and back: no certificate changes, no key is lost, and a second run finishes.
    let plain = Place::new();
    support::copy_tree(&origin.at("age.key"), &plain.at("age.key"));
    plain.ends(&["build", "-q"], 0);
    let issued = certificates(&plain);
    for (start, args) in
        [(1, &["secret", "rekey"][..]), (7, &["secret", "rekey", "--plain", "-i", "age.key"])]
    {
        let to_plain = args.len() > 2;
        plain.recipients(&[&key]);
        if to_plain {
            plain.ends(&["secret", "rekey"], 0);
            plain.recipients(&[]);
        }
        for nth in (start..).step_by(31) {
            let place = copy(&plain);
            if !killed(&place, args, nth) {
                break;
            }
            kills += 1;
            let args: Vec<&str> =
                if to_plain { args.to_vec() } else { vec!["secret", "rekey", "-i", "age.key"] };
            place.ends(&args, 0);
            assert!(certificates(&place) == issued, "kill {nth} of {args:?}");
            let (clear, encrypted) = (place.secrets("/key.pem").len(), place.secrets(".age").len());
            assert_eq!((clear > 0, encrypted > 0), (to_plain, !to_plain), "kill {nth} of {args:?}");
            fs::remove_dir_all(place.at("out")).expect("remove");
            place.ends(&["build", "-q", "-i", "age.key"], 0);
            place.ends(&["verify"], 0);
        }
    }
    assert!(kills > 20, "{kills} kills");
}
