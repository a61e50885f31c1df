//! No secret's value leaves the store but in a bundle: everything that comparing, verifying and building say or write is
//! searched for every secret, in every form in which it could leak, at every verbosity, in errors and in a panic.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use khagen::content::ObjectId;
use khagen::pki::Store;
use support::tarball::Tarball;
use support::{Built, built, copy_tree, khagen, scratch, text, tree};

/// Every form of every secret, found in one pass over a text.
struct Canaries {
    forms: BTreeMap<[u8; 8], Vec<(String, Vec<u8>)>>,
    /// By the first two bytes, so that most places are passed quickly.
    begins: Vec<bool>,
}

impl Canaries {
    fn new(secrets: &BTreeMap<String, Vec<u8>>) -> Canaries {
        let mut canaries = Canaries { forms: BTreeMap::new(), begins: vec![false; 1 << 16] };
        for (name, secret) in secrets {
            for (form, bytes) in forms(secret) {
                assert!(bytes.len() >= 8, "{name} as {form} is too short to be told from chance");
                canaries.begins[usize::from(bytes[0]) << 8 | usize::from(bytes[1])] = true;
                let begin = bytes[..8].try_into().expect("eight");
                canaries.forms.entry(begin).or_default().push((format!("{name} as {form}"), bytes));
            }
        }
        canaries
    }

    /// The first form that is in a text.
    fn find(&self, bytes: &[u8]) -> Option<&str> {
        for (at, w) in bytes.windows(8).enumerate() {
            if !self.begins[usize::from(w[0]) << 8 | usize::from(w[1])] {
                continue;
            }
            let Some(forms) = self.forms.get(w) else { continue };
            let hit = forms.iter().find(|(_, form)| bytes[at..].starts_with(form));
            if let Some((name, _)) = hit {
                return Some(name);
            }
        }
        None
    }

    #[track_caller]
    fn assert_absent(&self, place: &str, bytes: &[u8]) {
        assert_eq!(self.find(bytes), None, "in {place}");
    }
}

/// Base64 of bytes that stand somewhere inside something longer: the characters that depend on nothing else.
fn base64_at(offset: usize, bytes: &[u8], engine: &impl Engine) -> Vec<u8> {
    let padded = [&vec![0; offset][..], bytes].concat();
    let encoded = engine.encode(&padded);
    let (from, to) = ((offset * 8).div_ceil(6), padded.len() * 8 / 6);
    encoded.as_bytes()[from..to].to_vec()
}

fn url(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for b in bytes {
        if b.is_ascii_alphanumeric() || b"-._~".contains(b) {
            out.push(*b);
        } else {
            out.extend(format!("%{b:02X}").bytes());
        }
    }
    out
}

/// The forms of a secret, each with its name.
fn forms(secret: &[u8]) -> Vec<(String, Vec<u8>)> {
    let secret = secret.trim_ascii();
    let as_text = text(secret);
    // What is random in it, as bytes; and the texts in which it is kept.
    let (core, lines): (Vec<u8>, Vec<String>) = if as_text.contains("PRIVATE KEY") {
        let lines: Vec<String> =
            as_text.lines().filter(|l| !l.starts_with("-----")).map(str::to_owned).collect();
        let der = STANDARD.decode(lines.concat()).expect("a PEM body");
        // The private scalar of a P-256 key follows this (RFC 5915's ECPrivateKey).
        let at = der.windows(5).position(|w| w == [0x02, 0x01, 0x01, 0x04, 0x20]).expect("a P-256 key") + 5;
        // The third line has only the public half.
        (der[at..at + 32].to_vec(), lines.into_iter().take(2).collect())
    } else if secret.len() == 64 && secret.iter().all(u8::is_ascii_hexdigit) {
        let raw = (0..32).map(|i| u8::from_str_radix(&as_text[i * 2..i * 2 + 2], 16).expect("hexadecimal"));
        (raw.collect(), vec![as_text.clone()])
    } else {
        (secret.to_vec(), vec![as_text.clone()])
    };
    let mut forms = Vec::new();
    let mut texts: Vec<(String, Vec<u8>)> =
        lines.iter().enumerate().map(|(i, l)| (format!("line {i}"), l.as_bytes().to_vec())).collect();
    texts.push(("its bytes".to_owned(), core.clone()));
    for (name, bytes) in texts {
        let hex = |upper: bool, between: &str| {
            let digits = bytes.iter().map(|b| if upper { format!("{b:02X}") } else { format!("{b:02x}") });
            digits.collect::<Vec<_>>().join(between).into_bytes()
        };
        forms.push((format!("{name}, hexadecimal"), hex(false, "")));
        forms.push((format!("{name}, hexadecimal capitals"), hex(true, "")));
        forms.push((format!("{name}, hexadecimal with colons"), hex(true, ":")));
        for offset in 0..3 {
            let as_is = base64_at(offset, &bytes, &STANDARD);
            forms.push((format!("{name}, base64 at {offset}"), as_is));
            forms.push((format!("{name}, base64url at {offset}"), base64_at(offset, &bytes, &URL_SAFE)));
        }
        forms.push((format!("{name}, in a URL"), url(&bytes)));
        let decimal: Vec<String> = bytes.iter().take(12).map(u8::to_string).collect();
        forms.push((format!("{name}, printed by a debugger"), decimal.join(", ").into_bytes()));
        // A part of a line, for texts that wrap or cut. The second line of a key ends in its public half.
        let part = match name.as_str() {
            "line 0" => bytes[bytes.len() - bytes.len().min(16)..].to_vec(),
            _ => bytes[..bytes.len().min(16)].to_vec(),
        };
        forms.push((format!("{name}, a part"), part));
        forms.push((name, bytes));
    }
    forms
}

/// Every secret of a store, by its file; all kinds must be there.
fn secrets(store: &Path) -> BTreeMap<String, Vec<u8>> {
    let found: BTreeMap<String, Vec<u8>> = tree(&store.join("objects"))
        .into_iter()
        .filter(|(path, _)| ["cert.pem", "object.toml", "public.pem"].iter().all(|p| !path.ends_with(p)))
        .collect();
    for kind in
        ["ca/", "service-account", "bootstrap-token", "fingerprint-key", "vrrp", "admin/", "etcd-server/"]
    {
        assert!(found.keys().any(|k| k.starts_with(kind)), "no {kind} in {:?}", found.keys());
    }
    assert!(found.len() > 35, "{}", found.len());
    found
}

/// A cluster with every kind of secret, its first output in `old`, and a second one after settings were changed and secrets
/// of each kind made anew.
struct Planted {
    built: Built,
    old: PathBuf,
    canaries: Canaries,
    secrets: BTreeMap<String, Vec<u8>>,
}

fn planted() -> &'static Planted {
    static PLANTED: OnceLock<Planted> = OnceLock::new();
    PLANTED.get_or_init(|| {
        let built = built("inventory");
        fs::write(built.inventory().join("auth.yaml"), "loadBalancer: {auth: true}\n").expect("write");
        built.build();
        let old = built.dir.path().join("old");
        fs::rename(built.out(), &old).expect("rename");
        copy_tree(&old, &built.out());
        let store = built.inventory().join("secrets");
        let mut all: BTreeMap<String, Vec<u8>> =
            secrets(&store).into_iter().map(|(k, v)| (format!("old {k}"), v)).collect();
        for id in ["bootstrap-token", "admin", "etcd-server", "vrrp-password", "scheduler"] {
            fs::remove_dir_all(store.join("objects").join(id)).unwrap_or_else(|e| panic!("{id}: {e}"));
        }
        let path = built.inventory().join("cluster.yaml");
        let changed =
            fs::read_to_string(&path).expect("read").replace("192.168.13.70/24", "192.168.13.69/24");
        fs::write(&path, changed).expect("write");
        built.build();
        all.extend(secrets(&store));
        let canaries = Canaries::new(&all);
        Planted { built, old, canaries, secrets: all }
    })
}

/// Runs khagen and searches all that it says.
fn search(args: &[&str], codes: &[i32]) -> String {
    let planted = planted();
    let mut command = khagen();
    command.args(args).env("RUST_BACKTRACE", "full").current_dir(planted.built.dir.path());
    let out = command.output().expect("khagen");
    let code = out.status.code().expect("an end");
    let said = format!("{}{}", text(&out.stdout), text(&out.stderr));
    assert!(codes.contains(&code), "{args:?}: {code}: {said}");
    planted.canaries.assert_absent(&format!("standard output of {args:?}"), &out.stdout);
    planted.canaries.assert_absent(&format!("standard error of {args:?}"), &out.stderr);
    said
}

#[test]
fn the_searcher_finds_every_form() {
    let p = planted();
    let mut tried = 0;
    for (name, secret) in &p.secrets {
        for (form, bytes) in forms(secret) {
            // In the middle of something else, and at both ends.
            for hidden in [
                [b"x = \"", &bytes[..], b"\"\n"].concat(),
                [&bytes[..], b"\n"].concat(),
                [&b"\x00\xff"[..], &bytes[..]].concat(),
            ] {
                assert!(p.canaries.find(&hidden).is_some(), "{name} as {form}");
            }
            // What is cut in its middle is not it.
            tried += 1;
        }
        // As a kubeconfig embeds a whole file, at each of the three offsets, and as a debugger prints it.
        for offset in 0..3 {
            let file = [&vec![b' '; offset][..], secret].concat();
            assert!(
                p.canaries.find(STANDARD.encode(&file).as_bytes()).is_some(),
                "{name} embedded at {offset}"
            );
        }
        assert!(p.canaries.find(format!("{secret:?}").as_bytes()).is_some(), "{name} printed");
        assert!(p.canaries.find(&url(secret)).is_some(), "{name} in a URL");
    }
    assert!(tried > 1000, "{tried}");
    assert_eq!(p.canaries.find(b"nothing of the kind, however long it may be"), None);
    // Every secret but those that never leave the store is found where it belongs.
    let mut found = BTreeSet::new();
    for out in [&p.old, &p.built.out()] {
        for tarball in khagen::snapshot::tarballs_in(&out.join("bundles")) {
            for block in Tarball::read(&tarball).blocks {
                if let Some(name) = p.canaries.find(&block.content) {
                    assert_eq!(block.header.mode().expect("mode") & 0o077, 0, "{}: {name}", block.path());
                    found.insert(name.to_owned());
                }
            }
        }
    }
    assert!(found.len() > 50, "{found:?}");
}

#[test]
fn nothing_that_is_written_beside_the_bundles() {
    let p = planted();
    for out in [&p.old, &p.built.out()] {
        for (path, bytes) in tree(out).into_iter().filter(|(path, _)| !path.contains("bundles/")) {
            p.canaries.assert_absent(&path, &bytes);
        }
    }
    // The store's public part.
    for (path, bytes) in tree(&p.built.inventory().join("secrets")) {
        if ["cert.pem", "object.toml", "public.pem", ".toml"].iter().any(|end| path.ends_with(end)) {
            p.canaries.assert_absent(&path, &bytes);
        }
    }
}

#[test]
fn comparisons() {
    let p = planted();
    let tarball = |out: &Path, host: &str| out.join(format!("bundles/{host}.tar.gz")).display().to_string();
    let new = p.built.out();
    let mut pairs: Vec<(String, String)> = Vec::new();
    for part in ["", "review", "bundles"] {
        pairs.push((p.old.join(part).display().to_string(), new.join(part).display().to_string()));
    }
    for host in ["k8smaster1.isociel.com", "k8setcd1.isociel.com", "k8svrrp1.isociel.com", "operator"] {
        pairs.push((tarball(&p.old, host), tarball(&new, host)));
    }
    // Of two hosts: every secret is another, and files come and go.
    pairs.push((tarball(&new, "k8smaster1.isociel.com"), tarball(&new, "k8setcd1.isociel.com")));
    let steps = p.built.dir.path().join("steps");
    let rollout = steps.display().to_string();
    for (i, (old, new)) in pairs.iter().enumerate() {
        for format in ["text", "markdown", "json", "html"] {
            let said = search(&["diff", old, new, "--format", format], &[2]);
            assert!(said.len() > 100, "{old} {new} {format}: {said}");
            if i < 2 || format == "text" {
                search(&["diff", old, new, "--format", format, "-v"], &[2]);
                search(&["diff", new, old, "--format", format, "-v"], &[2]);
            }
        }
    }
    let (old, new) = &pairs[0];
    let said = search(&["diff", old, new, "-v"], &[2]);
    for word in ["bootstrap-token", "re-keyed", "rotated"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    search(&["diff", old, new, "--accept-outage", "--rollout", &rollout], &[2, 6]);
    if steps.exists() {
        p.canaries.assert_absent("the rollout", &fs::read(&steps).expect("read"));
    }
}

#[test]
fn builds_that_only_say_something() {
    let p = planted();
    let dir = scratch();
    let inventory = dir.path().join("inventory");
    copy_tree(&p.built.inventory(), dir.path());
    copy_tree(&p.built.out(), dir.path());
    let (source, out) = (inventory.display().to_string(), dir.path().join("out").display().to_string());
    fs::write(inventory.join("more.yaml"), "kubernetes: {apiServer: {certSANs: [x.example.com]}}\n")
        .expect("write");
    for format in ["text", "markdown", "json", "html"] {
        for more in [&[][..], &["-v"]] {
            search(&[&["build", &source, "-o", &out, "--diff", "--format", format], more].concat(), &[2]);
        }
    }
    for format in ["text", "json"] {
        search(&["build", &source, "-o", &out, "--dry-run", "-v", "--format", format], &[2]);
        search(&["build", &source, "-o", &out, "--review", "--format", format], &[6]);
    }
    fs::remove_file(inventory.join("more.yaml")).expect("remove");
    let fresh = dir.path().join("fresh");
    search(&["build", &source, "-o", &fresh.display().to_string(), "--review", "-v"], &[0]);
    let written = tree(&fresh);
    assert!(written.len() > 100, "{}", written.len());
    for (path, bytes) in &written {
        p.canaries.assert_absent(path, bytes);
    }
}

#[test]
fn errors_of_damaged_tarballs() {
    let p = planted();
    let (_dir, path) = {
        let dir = scratch();
        let path = dir.path().join("k8smaster1.isociel.com.tar.gz");
        (dir, path)
    };
    let original = Tarball::read(&p.built.out().join("bundles/k8smaster1.isociel.com.tar.gz"));
    let shown = path.display().to_string();
    let review = p.built.out().join("review").display().to_string();
    let good = p.old.join("bundles/k8smaster1.isociel.com.tar.gz").display().to_string();
    let judge = |tarball: &Tarball| {
        tarball.write(&path);
        search(&["verify", &shown], &[0, 4]);
        search(&["verify", &shown, "--against", &review], &[4]);
        search(&["diff", &good, &shown, "-v"], &[1, 2]);
        search(&["diff", &good, &shown, "--format", "json"], &[1, 2]);
    };
    // Every file that holds a secret, damaged at its end, with and without sums that agree.
    let holders: Vec<usize> = (0..original.blocks.len())
        .filter(|i| original.blocks[*i].is_file() && p.canaries.find(&original.blocks[*i].content).is_some())
        .collect();
    assert!(holders.len() > 10, "{}", holders.len());
    for at in holders {
        let mut damaged = original.clone();
        let mut content = damaged.blocks[at].content.clone();
        let last = content.len() - 40;
        content[last] ^= 1;
        damaged.blocks[at].set(&content);
        if at % 3 == 0 {
            judge(&damaged);
        }
        damaged.agree();
        judge(&damaged);
    }
    // Manifests that say that a secret is elsewhere, shorter, or none, so that some of it would be text.
    let manifest = original.text("MANIFEST.json");
    let forge = |from: &str, to: &str| {
        let mut forged = original.clone();
        let changed = manifest.replace(from, to);
        assert_ne!(changed, manifest, "{from}");
        forged.set("MANIFEST.json", &changed);
        forged.agree_sums();
        judge(&forged);
    };
    forge("\"at\": 0, \"length\": 241", "\"at\": 0, \"length\": 100");
    forge("\"at\": 0, \"length\": 241", "\"at\": 1, \"length\": 240");
    forge("\"at\": 0, \"length\": 241", "\"at\": 200, \"length\": 41");
    forge("\"at\": 0, \"length\": 241", "\"at\": 0, \"length\": 0");
    forge("\"encoding\": \"raw\"", "\"encoding\": \"base64\"");
    forge("\"encoding\": \"base64\"", "\"encoding\": \"raw\"");
    let mut bare = String::new();
    for line in manifest.lines() {
        match line.find(", \"secrets\": [") {
            Some(at) => {
                let end = if line.ends_with("},") { "}," } else { "}" };
                bare.push_str(&line[..at].replace("\"secret\": true", "\"secret\": false"));
                bare.push_str(end);
            }
            None => bare.push_str(line),
        }
        bare.push('\n');
    }
    let mut forged = original.clone();
    forged.set("MANIFEST.json", &bare);
    forged.agree_sums();
    forged.write(&path);
    let said = search(&["diff", &good, &shown, "-v"], &[1]);
    assert!(said.contains("holds a private key of which the manifest says nothing"), "{said}");
    search(&["verify", &shown], &[4]);
    // Cut off in the middle of a key.
    let tar = original.packed();
    for end in [tar.len() / 3, tar.len() / 2, tar.len() - 9] {
        fs::write(&path, &tar[..end]).expect("write");
        search(&["verify", &shown], &[4]);
        search(&["diff", &good, &shown], &[1]);
    }
}

#[test]
fn errors_of_a_damaged_store() {
    let p = planted();
    let dir = scratch();
    copy_tree(&p.built.inventory(), dir.path());
    copy_tree(&p.built.out(), dir.path());
    let objects = dir.path().join("inventory/secrets/objects");
    let source = dir.path().join("inventory").display().to_string();
    let out = dir.path().join("out").display().to_string();
    let mut seen = BTreeSet::new();
    let all = secrets(&dir.path().join("inventory/secrets"));
    for (file, original) in all {
        let kind = file.split('/').next().expect("a kind").to_owned();
        if !seen.insert(kind) {
            continue;
        }
        let path = objects.join(&file);
        // A character, the end, something behind it, something before it, and all of it but a canary of another kind.
        let mut flipped = original.clone();
        let at = original.len() / 2;
        flipped[at] = if flipped[at] == b'a' { b'b' } else { b'a' };
        let damages = [
            flipped,
            original[..original.len() * 2 / 3].to_vec(),
            [&original[..], b"x"].concat(),
            [b"x", &original[..]].concat(),
        ];
        for (i, damaged) in damages.into_iter().enumerate() {
            fs::write(&path, damaged).expect("write");
            let fresh = dir.path().join("fresh").display().to_string();
            let commands: [&[&str]; 4] = [
                &["build", &source, "-o", &fresh, "-v", "--no-sync"],
                &["build", &source, "-o", &out, "--diff", "-v"],
                &["build", &source, "-o", &out, "--dry-run", "-v", "--format", "json"],
                &["build", &source, "-o", &out, "--review", "-v"],
            ];
            let commands = if i == 0 { &commands[..] } else { &commands[..1] };
            for args in commands {
                search(args, &[0, 1, 2, 4, 6]);
            }
            let _ = fs::remove_dir_all(&fresh);
        }
        fs::write(&path, original).expect("write");
    }
    assert!(seen.len() >= 8, "{seen:?}");
    // A record that says that a secret is another one.
    let record = objects.join("bootstrap-token/object.toml");
    let changed = fs::read_to_string(&record)
        .expect("read")
        .replace('a', "b")
        .replace("fingerprint = \"", "fingerprint = \"0");
    fs::write(&record, changed).expect("write");
    search(&["build", &source, "-o", &out, "-v"], &[1, 4]);
}

const PANIC: &str = "KHAGEN_TEST_PANIC";

/// Started by the test below in a process of its own: panics with secrets at hand, and tries to show them.
#[test]
fn panics_with_secrets_at_hand() {
    let Ok(store) = std::env::var(PANIC) else { return };
    let code = khagen::command::guarded(move || -> ExitCode {
        let store = Store::open(Path::new(&store)).expect("the store");
        let secrets: Vec<_> = ["bootstrap-token", "service-account", "fingerprint-key"]
            .into_iter()
            .map(|id| store.secret(&ObjectId::new(id)).expect("a secret"))
            .collect();
        let shown: Vec<String> = secrets.iter().map(|s| text(s.expose())).collect();
        panic!("nothing of this is shown: {secrets:?} {shown:?}");
    });
    assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(70)));
}

#[test]
fn a_panic() {
    let p = planted();
    let dir = scratch();
    copy_tree(&p.built.inventory().join("secrets"), dir.path());
    let out = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "panics_with_secrets_at_hand", "--nocapture"])
        .env(PANIC, dir.path().join("secrets"))
        .env("RUST_BACKTRACE", "full")
        .output()
        .expect("this program");
    let said = format!("{}{}", text(&out.stdout), text(&out.stderr));
    assert!(out.status.success(), "{said}");
    assert!(said.contains("this is a bug, please report it: khagen"), "{said}");
    assert!(said.contains("tests/canaries.rs:"), "{said}");
    p.canaries.assert_absent("a panic", said.as_bytes());
    // And without the guard, the type itself says nothing.
    let secret = khagen::secret::Secret::new(p.secrets["bootstrap-token/secret"].clone());
    let caught = std::panic::catch_unwind(|| panic!("{:?}", (&secret, Some(&secret)))).expect_err("a panic");
    let message = caught.downcast_ref::<String>().expect("a message");
    assert_eq!(message, "(<secret>, Some(<secret>))");
}
