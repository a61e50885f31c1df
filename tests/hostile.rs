//! Tarballs, review trees and revisions that somebody made on purpose: each is refused by name, in bounded time and memory,
//! without a panic, and nothing is written or fetched.

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use khagen::snapshot::tarball;
use support::tarball::{Block, Tarball, gzip};
use support::{Built, Need, built, can, copy_tree, khagen, run, scratch, text};

const HOST: &str = "k8setcd1.isociel.com";

fn eleven() -> &'static Built {
    static BUILT: OnceLock<Built> = OnceLock::new();
    BUILT.get_or_init(|| built("inventory"))
}

fn whole() -> Tarball {
    Tarball::read(&eleven().out().join(format!("bundles/{HOST}.tar.gz")))
}

/// What the reader says of a tarball that it must refuse.
#[track_caller]
fn said_of(packed: &[u8]) -> String {
    let unpacked = tarball::unpack("x.tar.gz", packed);
    let read = unpacked.and_then(|u| tarball::read(&u).map(|_| ()));
    read.expect_err("refused").to_string()
}

/// Runs khagen with little memory and little patience.
fn bounded(args: &[&str], dir: &Path) -> Output {
    let start = Instant::now();
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -v 2000000; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_khagen")])
        .args(args)
        .env("NO_COLOR", "1")
        .current_dir(dir);
    let out = command.output().expect("khagen");
    assert!(start.elapsed() < Duration::from_secs(60), "{args:?} took {:?}", start.elapsed());
    let (stdout, stderr) = (text(&out.stdout), text(&out.stderr));
    assert!(out.status.code().is_some(), "{args:?} was killed: {stderr}");
    assert!(!stderr.contains("panicked"), "{args:?}: {stderr}");
    assert!(!stdout.contains('\u{1b}') && !stderr.contains('\u{1b}'), "{args:?}: {stdout}{stderr}");
    out
}

/// Both commands refuse it, by name, each with its exit code, and leave nothing behind.
#[track_caller]
fn refused_by_the_commands(packed: &[u8], words: &[&str]) {
    let dir = scratch();
    fs::write(dir.path().join("x.tar.gz"), packed).expect("write");
    let good = eleven().out().join(format!("bundles/{HOST}.tar.gz")).display().to_string();
    let before = support::tree(dir.path());
    for (args, code) in [
        (vec!["verify", "x.tar.gz"], 4),
        (vec!["diff", "x.tar.gz", &good], 1),
        (vec!["diff", &good, "x.tar.gz", "--format", "markdown"], 1),
    ] {
        let out = bounded(&args, dir.path());
        let said = format!("{}{}", text(&out.stdout), text(&out.stderr));
        assert_eq!(out.status.code(), Some(code), "{args:?}: {said}");
        for word in words {
            assert!(said.contains(word), "{args:?}: no {word} in {said}");
        }
    }
    assert_eq!(support::tree(dir.path()), before);
    assert!(!dir.path().parent().expect("a folder").join("evil").exists());
}

fn with(blocks: impl IntoIterator<Item = Block>) -> Vec<u8> {
    let mut tarball = whole();
    tarball.blocks.extend(blocks);
    tarball.packed()
}

fn at(inside: &str) -> String {
    format!("{HOST}/{inside}")
}

#[test]
fn entries_that_lead_elsewhere() {
    let regular = |path: &str| Block::new(path, 0o644, b"evil\n");
    let link = |path: &str, kind: u8| Block::new(path, 0o777, b"").kind(kind).patched(157, b"/etc/shadow\0");
    let cases: Vec<(Block, &str)> = vec![
        (regular("../evil"), "../evil: has a path that leads elsewhere"),
        (regular(&at("../../evil")), "../../evil: has a path that leads elsewhere"),
        (regular(&at("root/../../evil")), "has a path that leads elsewhere"),
        (regular(&at("./install.sh")), "has a path that leads elsewhere"),
        (regular(&at("root//etc/evil")), "has a path that leads elsewhere"),
        (regular(&at("root/etc/evil\\x")), "has a path that leads elsewhere"),
        (regular("/etc/evil"), "/etc/evil: has an absolute path"),
        (Block::new("/etc/", 0o755, b""), "/etc/: has an absolute path"),
        (Block::new("../", 0o755, b""), "has a path that leads elsewhere"),
        (regular("evil"), "evil: lies outside the folder"),
        (regular("other.example.com/install.sh"), "other.example.com/install.sh: lies outside the folder"),
        (Block::new("other.example.com/", 0o700, b""), "lies outside the folder k8setcd1.isociel.com"),
        (regular("\u{1b}[2Jevil/x"), "\\u{1b}[2Jevil/x: has a path that leads elsewhere"),
        (regular("@evil/x"), "@evil/x: lies in a folder whose name is no host's"),
        (regular(&at("root/etc/\u{1b}[2J")), "has a path that leads elsewhere"),
        (link(&at("root/etc/link"), b'2'), "root/etc/link: is a symbolic link"),
        (link(&at("root/etc/link"), b'1'), "root/etc/link: is a hard link"),
        (Block::new(&at("root/dev"), 0o666, b"").kind(b'3'), "root/dev: is a device"),
        (Block::new(&at("root/dev"), 0o666, b"").kind(b'4'), "root/dev: is a device"),
        (Block::new(&at("root/fifo"), 0o666, b"").kind(b'6'), "root/fifo: is a FIFO"),
        (regular(&at("root/sparse")).kind(b'S'), "root/sparse: is a sparse file"),
        (regular(&at("root/x")).kind(b'7'), "root/x: is an extended header"),
        (
            Block::new("PaxHeader", 0o644, b"20 path=../../evil1\n").kind(b'x'),
            "PaxHeader: is an extended header",
        ),
        (
            Block::new("pax_global", 0o644, b"20 path=../../evil1\n").kind(b'g'),
            "pax_global: is an extended header",
        ),
        (Block::new("././@LongLink", 0o644, b"../../evil\0").kind(b'L'), "@LongLink: is an extended header"),
        (Block::new("././@LongLink", 0o644, b"../../evil\0").kind(b'K'), "@LongLink: is an extended header"),
        (Block::new("label", 0o644, b"").kind(b'V'), "label: is an extended header"),
        (Block::new(&at("part"), 0o644, b"x").kind(b'M'), "part: is an extended header"),
        (regular(&at("root/gnu")).patched(257, b"ustar  \0"), "root/gnu: is no ustar entry"),
        (regular(&at("root/v7")).patched(257, &[0; 8]), "root/v7: is no ustar entry"),
        (regular(&at("install.sh")), "install.sh: is there twice"),
        (Block::new(&at("root/"), 0o700, b""), "root/: is there twice"),
        (Block::new(&at("install.sh/"), 0o700, b""), "install.sh/: is there twice"),
        (
            Block::new(&at("full/"), 0o700, b"hidden").patched(124, b"00000000006\0"),
            "is a folder with content",
        ),
        (regular(&at("a")).patched(108, b"0001750\0"), "a: belongs to another user than root"),
        (regular(&at("a")).patched(116, b"0001750\0"), "a: belongs to another group than root"),
        (regular(&at("a")).patched(265, b"mallory\0"), "a: belongs to another name than root"),
        (regular(&at("a")).patched(297, b"mallory\0"), "a: belongs to another name than root"),
        (regular(&at("a")).patched(at("").len(), b"\xff"), "has an entry whose name is no UTF-8"),
    ];
    for (i, (block, expected)) in cases.into_iter().enumerate() {
        let said = said_of(&with([block.clone()]));
        assert!(said.contains(expected), "case {i}, {expected}: {said}");
        // As the first entry, too, before anything says which folder the tarball is.
        let mut first = whole();
        first.blocks.insert(0, block.clone());
        said_of(&first.packed());
        // Alone.
        said_of(&Tarball { blocks: vec![block.clone()] }.packed());
        if i % 6 == 0 {
            let word = expected.split(": ").last().expect("a word");
            refused_by_the_commands(&with([block]), &[word]);
        }
    }
}

#[test]
fn sizes_that_lie() {
    let sizes: Vec<Vec<u8>> = vec![
        b"77777777777\0".to_vec(),
        b"00100000000\0".to_vec(),
        b"-0000000001\0".to_vec(),
        b"notanumber\0\0".to_vec(),
        [&[0x80, 0, 0, 0][..], &u64::MAX.to_be_bytes()].concat(),
        [&[0x80, 0, 0, 0][..], &(u64::MAX - 511).to_be_bytes()].concat(),
        [&[0x80, 0, 0, 0][..], &(u64::MAX - 200_000).to_be_bytes()].concat(),
        [&[0x80, 0, 0, 0][..], &(i64::MAX as u64).to_be_bytes()].concat(),
        [&[0xff; 4][..], &1u64.to_be_bytes()].concat(),
    ];
    for (i, size) in sizes.iter().enumerate() {
        let block = Block::new(&at("root/huge"), 0o644, b"x").patched(124, size);
        let packed = with([block]);
        let said = said_of(&packed);
        assert!(said.contains("x.tar.gz"), "{said}");
        if i % 3 == 1 {
            refused_by_the_commands(&packed, &["x.tar.gz"]);
        }
    }
    let large = Block::new(&at("root/large"), 0o644, &vec![b'a'; (16 << 20) + 1]);
    assert!(said_of(&with([large])).contains("root/large: is larger than 16 MiB: refused"));
    // A wrong checksum of a header.
    let mut block = Block::new(&at("root/x"), 0o644, b"x");
    block.header.as_mut_bytes()[0] ^= 1;
    assert!(said_of(&with([block])).contains("is damaged"));
}

#[test]
fn bombs() {
    // Zeros beyond what is unpacked, in little more than a thousandth of their size.
    let bomb = gzip(&vec![0; (256 << 20) + 4096]);
    assert!(bomb.len() < 4 << 20, "{}", bomb.len());
    refused_by_the_commands(&bomb, &["x.tar.gz: unpacks to more than 256 MiB: refused"]);

    let mut many = whole();
    many.blocks.extend((0..100_000).map(|i| Block::new(&at(&format!("root/{i}")), 0o644, b"")));
    refused_by_the_commands(&many.packed(), &["x.tar.gz: has more than 20000 entries: refused"]);

    let long = vec![0x1f; 65 << 20];
    refused_by_the_commands(&long, &["x.tar.gz: is larger than 64 MiB: refused"]);
    for no_gzip in [&b""[..], b"PK\x03\x04", b"\x1f\x8b", b"plain text\n", &[0; 512]] {
        refused_by_the_commands(no_gzip, &["x.tar.gz: is "]);
    }
    refused_by_the_commands(&gzip(b""), &["x.tar.gz: "]);
    refused_by_the_commands(&gzip(&[0; 10_240]), &["x.tar.gz: is empty"]);
}

#[test]
fn cut_off_anywhere() {
    let whole = whole();
    let packed = whole.packed();
    for end in (0..packed.len()).step_by(512).chain([packed.len() - 1]) {
        said_of(&packed[..end]);
    }
    let tar = whole.tar();
    let stored = |bytes: &[u8]| {
        use std::io::Write;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
        encoder.write_all(bytes).expect("compress");
        encoder.finish().expect("compress")
    };
    for end in (0..tar.len()).step_by(512).chain([tar.len() - 1, tar.len() - 700]) {
        said_of(&stored(&tar[..end]));
    }
    let label = "x.tar.gz";
    assert!(tarball::unpack(label, &stored(&tar)).is_ok());
    refused_by_the_commands(&packed[..packed.len() / 2], &["x.tar.gz: is damaged"]);
}

#[test]
fn more_than_a_tarball() {
    let packed = whole().packed();
    let with = |more: &[u8]| [&packed[..], more].concat();
    for more in [&b"x"[..], &[0; 512], &gzip(b"a second member"), &packed] {
        let said = said_of(&with(more));
        assert!(said.contains("has something after its end: refused"), "{said}");
    }
    // Behind the end of the tar, within gzip.
    for more in [&b"x"[..], &whole().tar()] {
        let said = said_of(&gzip(&[&whole().tar()[..], more].concat()));
        assert!(said.contains("does not end as a tar does: refused"), "{said}");
    }
    // Entries behind a block of zeros.
    let mut tar = whole().tar();
    let keep = tar.len() - 512;
    tar.truncate(keep);
    tar.extend(Tarball { blocks: vec![Block::new(&at("evil"), 0o755, b"x")] }.tar());
    assert!(said_of(&gzip(&tar)).contains("does not end as a tar does"), "{}", said_of(&gzip(&tar)));
    refused_by_the_commands(&with(&packed), &["has something after its end: refused"]);
}

#[test]
fn manifests_that_lie() {
    let original = whole().text("MANIFEST.json");
    let forged = |manifest: &str| {
        let mut tarball = whole();
        tarball.set("MANIFEST.json", manifest);
        // SHA256SUMS fits, so that it is the manifest that is judged.
        tarball.agree_sums();
        tarball.packed()
    };
    let (max, over) = (usize::MAX, u128::from(u64::MAX) + 1);
    let spans = |at: &str, length: &str| {
        original.replacen("\"at\": 0, \"length\": 241", &format!("\"at\": {at}, \"length\": {length}"), 1)
    };
    let double = |at: usize| {
        let span = original.find("{\"id\"").expect("a span");
        let end = span + original[span..].find('}').expect("its end") + 1;
        let again = original[span..end].replace("\"at\": 0", &format!("\"at\": {at}"));
        format!("{}, {again}{}", &original[..end], &original[end..])
    };
    let nested = |depth: usize| format!("{{\"x\": {}{}}}", "[".repeat(depth), "]".repeat(depth));
    let key = format!("{HOST}: root/etc/etcd/pki/etcd-health-client.key: ");
    let cases: Vec<(String, String)> = vec![
        (spans(&max.to_string(), "1"), format!("{key}the manifest's secrets overlap")),
        (spans("1", &max.to_string()), format!("{key}the manifest's secrets overlap")),
        (spans("0", &max.to_string()), format!("{key}the manifest's secrets lie beyond its end")),
        (spans("0", "242"), format!("{key}the manifest's secrets lie beyond its end")),
        (spans("240", "2"), format!("{key}the manifest's secrets lie beyond its end")),
        (spans("1", "0"), format!("{key}etcd-health-client/{HOST} is not the secret of its fingerprint")),
        (spans(&over.to_string(), "1"), format!("{HOST}: MANIFEST.json: ")),
        (spans("-1", "1"), format!("{HOST}: MANIFEST.json: ")),
        (spans("0.5", "1"), format!("{HOST}: MANIFEST.json: ")),
        (double(0), format!("{key}the manifest's secrets")),
        (double(100), format!("{key}the manifest's secrets")),
        (original.replace("\"encoding\": \"raw\"", "\"encoding\": \"rot13\""), "unknown encoding".to_owned()),
        (original.replace("\"secret\": true", "\"secret\": false"), "holds a secret".to_owned()),
        (original.replace(HOST, "other.example.com"), "is of other.example.com, not of".to_owned()),
        (nested(100_000), "MANIFEST.json: is no JSON".to_owned()),
        (nested(500_000), "MANIFEST.json: is no JSON".to_owned()),
        ("{".repeat(100_000), "MANIFEST.json: is no JSON".to_owned()),
        (format!("[{}0]", "0,".repeat(7 << 20)), "MANIFEST.json: is larger than 1 MiB".to_owned()),
        (format!("{{\"a\": {}}}", "9".repeat(1 << 19)), "MANIFEST.json: ".to_owned()),
        (String::new(), "MANIFEST.json: is no JSON".to_owned()),
        ("[]".to_owned(), "MANIFEST.json: is no JSON object".to_owned()),
        ("{}".to_owned(), "MANIFEST.json: ".to_owned()),
        ("{\"files\": 3}".to_owned(), "MANIFEST.json: ".to_owned()),
        (
            original.replace("\"path\": \"/etc/hosts\"", "\"path\": \"/../etc/hosts\""),
            "/etc/hosts: is ".to_owned(),
        ),
        (
            original.replace("\"path\": \"/etc/hosts\"", "\"path\": \"/etc/\\u001b[2J\""),
            "MANIFEST.json: ".to_owned(),
        ),
        (
            original.replace("\"generation\": 1", "\"generation\": 99999999999999999999"),
            "MANIFEST.json: ".to_owned(),
        ),
        (
            original.replace("\"generation\": 1,", "\"generation\": 1,\n\"generation\": 2,"),
            "MANIFEST.json: ".to_owned(),
        ),
    ];
    for (i, (manifest, expected)) in cases.into_iter().enumerate() {
        assert_ne!(manifest, original, "case {i}");
        let packed = forged(&manifest);
        let start = Instant::now();
        let said = said_of(&packed);
        assert!(said.contains(&expected), "case {i}, {expected}: {said}");
        assert!(start.elapsed() < Duration::from_secs(5), "case {i}: {:?}", start.elapsed());
        if i % 5 == 0 || i == 18 {
            refused_by_the_commands(&packed, &["MANIFEST.json: ", &expected][usize::from(i % 5 == 0)..]);
        }
    }
    // The forger's tools are not what is refused.
    assert!(tarball::unpack("x", &forged(&original)).and_then(|u| tarball::read(&u)).is_ok());
}

/// A review tree that may be damaged.
fn review() -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = scratch();
    copy_tree(&eleven().out().join("review"), dir.path());
    let path = dir.path().join("review");
    (dir, path)
}

fn no_tree(path: &Path, words: &[&str]) {
    let good = eleven().out();
    let dir = scratch();
    let shown = path.display().to_string();
    for args in [
        vec!["diff", shown.as_str(), good.to_str().expect("UTF-8")],
        vec!["diff", good.to_str().expect("UTF-8"), shown.as_str(), "--format", "json"],
    ] {
        let out = bounded(&args, dir.path());
        let said = format!("{}{}", text(&out.stdout), text(&out.stderr));
        assert_eq!(out.status.code(), Some(1), "{args:?}: {said}");
        assert!(!said.contains("canary-of-this-machine"), "{said}");
        for word in words {
            assert!(said.contains(word), "{args:?}: no {word} in {said}");
        }
    }
}

#[test]
fn review_trees_with_something_else_than_files() {
    let (_dir, tree) = review();
    let secret = tree.parent().expect("a folder").join("elsewhere");
    fs::create_dir_all(secret.join("root/etc")).expect("create");
    for file in ["root/etc/hosts", "install.sh", "FILES"] {
        fs::write(secret.join(file), "canary-of-this-machine\n").expect("write");
    }
    let hosts = "shared/all/root/etc/hosts";
    let own = format!("hosts/{HOST}/README.md");
    for path in [hosts, own.as_str()] {
        let file = tree.join(path);
        let kept = fs::read(&file).expect("read");
        let again = || {
            if fs::symlink_metadata(&file).is_ok_and(|m| m.is_dir()) {
                fs::remove_dir(&file).expect("remove");
            } else {
                fs::remove_file(&file).expect("remove");
            }
        };
        again();
        symlink(secret.join("install.sh"), &file).expect("link");
        no_tree(&tree, &[path, "is a symbolic link: refused"]);
        again();
        symlink("/dev/zero", &file).expect("link");
        no_tree(&tree, &[path, "is a symbolic link: refused"]);
        again();
        run(Command::new("mkfifo").arg(&file));
        no_tree(&tree, &[path, "is no regular file"]);
        again();
        fs::create_dir(&file).expect("create");
        no_tree(&tree, &[path, "is no regular file"]);
        again();
        fs::File::create(&file).and_then(|f| f.set_len(64 << 30)).expect("a sparse file");
        no_tree(&tree, &[path, "is larger than 16 MiB"]);
        again();
        fs::write(&file, b"\xff\xfe").expect("write");
        no_tree(&tree, &[path, "is no UTF-8"]);
        fs::write(&file, kept).expect("write");
    }
    // A folder that is a link shows what lies elsewhere.
    for (path, to) in [("shared/all", ""), ("shared/all/root/etc", "root/etc"), ("shared", ""), ("hosts", "")]
    {
        let folder = tree.join(path);
        fs::rename(&folder, tree.join("aside")).expect("rename");
        symlink(secret.join(to), &folder).expect("link");
        no_tree(&tree, &[path, "is a symbolic link: refused"]);
        fs::remove_file(&folder).expect("remove");
        fs::rename(tree.join("aside"), &folder).expect("rename");
    }
    // Names of hosts that would do something to a terminal or to a path.
    let evil = tree.join("hosts/\u{1b}[2Jevil");
    copy_tree(&tree.join("hosts").join(HOST), &evil);
    no_tree(&tree, &["is no name of a host"]);
    fs::remove_dir_all(&evil).expect("remove");

    // Lists that lead elsewhere.
    let files = tree.join("hosts").join(HOST).join("FILES");
    let text = fs::read_to_string(&files).expect("FILES");
    for line in [
        "0644 root:root managed here ../../../elsewhere/install.sh",
        "0644 root:root managed shared/../../elsewhere install.sh",
        "0644 root:root managed shared/all ../../../elsewhere/install.sh",
        "0644 root:root managed here /etc/passwd",
        "0644 root:root managed shared//etc passwd",
        "77777 root:root managed here README.md",
        "0644 root:root managed here root/etc/\u{1b}[2J",
        "0644 root managed here README.md",
        "",
    ] {
        fs::write(&files, format!("{text}{line}\n")).expect("write");
        no_tree(&tree, &[&format!("{HOST}: FILES:"), "is no line of a list of files"]);
    }
    fs::write(&files, &text).expect("write");
    let bundle = tree.join("hosts").join(HOST).join("BUNDLE.json");
    let nested = format!("{{\"x\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    for (json, word) in [
        (nested, "is no JSON"),
        ("[]".to_owned(), "is no JSON object"),
        (" ".repeat(2 << 20), "is larger than"),
    ] {
        fs::write(&bundle, json).expect("write");
        no_tree(&tree, &[&format!("{HOST}: BUNDLE.json"), word]);
    }
}

#[test]
fn nothing_that_can_be_named_hangs_or_panics() {
    let dir = scratch();
    let good = eleven().out().display().to_string();
    run(Command::new("mkfifo").arg(dir.path().join("fifo")));
    fs::create_dir_all(dir.path().join("record/bundles")).expect("create");
    run(Command::new("mkfifo").arg(dir.path().join("record/BUILD.json")));
    fs::create_dir_all(dir.path().join("loop/hosts")).expect("create");
    symlink("..", dir.path().join("loop/hosts/again")).expect("link");
    symlink("self", dir.path().join("self")).expect("link");
    fs::create_dir(dir.path().join("empty")).expect("create");
    for name in ["fifo", "missing", "self", "empty", "loop", "/dev/null", "/dev/zero", "git:", "record"] {
        let out = bounded(&["diff", name, &good], dir.path());
        assert_eq!(out.status.code(), Some(1), "diff {name}: {}", text(&out.stderr));
        let out = bounded(&["verify", &good, "--against", name], dir.path());
        assert_eq!(out.status.code(), Some(1), "against {name}: {}", text(&out.stderr));
        let out = bounded(&["verify", name], dir.path());
        let expected = if name == "record" { 4 } else { 1 };
        assert_eq!(
            out.status.code(),
            Some(expected),
            "verify {name}: {}{}",
            text(&out.stdout),
            text(&out.stderr)
        );
    }
}

#[test]
fn a_file_that_may_not_be_read() {
    if !can("a review tree that another user may not read", &[Need::Program("setpriv")]) {
        return;
    }
    let (dir, tree) = review();
    let path = tree.join("shared/all/root/etc/hosts");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).expect("mode");
    let program = dir.path().join("khagen");
    fs::copy(env!("CARGO_BIN_EXE_khagen"), &program).expect("copy");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("mode");
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    let out = command.arg(&program).arg("diff").arg(&tree).arg(&tree).output().expect("setpriv");
    // The same tree on both sides is still read.
    assert_eq!(out.status.code(), Some(1), "{}{}", text(&out.stdout), text(&out.stderr));
    assert!(
        text(&out.stderr).contains("shared/all/root/etc/hosts: Permission denied"),
        "{}",
        text(&out.stderr)
    );
}

#[test]
fn texts_say_nothing_to_the_terminal() {
    let (_dir, tree) = review();
    let file = tree.join("shared/all/install.sh");
    let changed = fs::read_to_string(&file).expect("read")
        + "# \u{1b}]0;owned\u{7}\u{1b}[8m\u{202e}hidden\u{9b}2J\rover\n";
    fs::write(&file, changed).expect("write");
    let file = tree.join("shared/etcd/root/etc/sysusers.d/etcd.conf");
    fs::write(&file, "u etcd - \"\u{1b}[2J\" /var/lib/etcd\n").expect("write");
    for args in [
        &["--format", "text", "-v"][..],
        &["--format", "markdown"],
        &["--format", "html"],
        &["--format", "json"],
    ] {
        // As on a terminal that shows colours.
        let out = Command::new(env!("CARGO_BIN_EXE_khagen"))
            .arg("diff")
            .arg(eleven().out())
            .arg(&tree)
            .args(args)
            .env_remove("NO_COLOR")
            .env("CLICOLOR_FORCE", "1")
            .output()
            .expect("khagen");
        assert_eq!(out.status.code(), Some(2), "{}", text(&out.stderr));
        let said = text(&out.stdout);
        assert!(said.contains("hidden"), "{args:?}: {said}");
        for bad in ["\u{1b}]", "\u{1b}[8m", "\u{1b}[2J", "\u{7}", "\u{9b}", "\r", "\u{202e}"] {
            assert!(!said.contains(bad), "{args:?} shows {bad:?}");
        }
    }
}

struct Repository {
    dir: tempfile::TempDir,
}

impl Repository {
    fn new() -> Repository {
        let repository = Repository { dir: scratch() };
        repository.git(&["init", "-q"]);
        fs::create_dir(repository.dir.path().join("out")).expect("create");
        copy_tree(&eleven().out().join("review"), &repository.dir.path().join("out"));
        repository.commit("first");
        repository
    }

    fn git(&self, args: &[&str]) -> String {
        let mut command = Command::new("git");
        command.args([
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.com",
            "-c",
            "protocol.file.allow=always",
        ]);
        run(command.args(args).current_dir(self.dir.path()))
    }

    fn commit(&self, message: &str) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
    }

    fn diff(&self, old: &str, new: &str) -> Output {
        bounded(&["diff", old, new], self.dir.path())
    }
}

#[test]
fn revisions_that_are_none() {
    let repository = Repository::new();
    let dir = repository.dir.path();
    assert_eq!(repository.diff("git:HEAD", "git:HEAD:out/review").status.code(), Some(0));
    assert_eq!(repository.diff("git:HEAD", "out").status.code(), Some(0));
    for rev in [
        "git:--upload-pack=touch evil",
        "git:--output=evil",
        "git:-h",
        "git:nowhere",
        "git:HEAD~7",
        "git:HEAD:",
        "git:HEAD:/",
        "git:HEAD:nowhere",
        "git:HEAD:../out",
        "git:HEAD:out/../out",
        "git:HEAD:out/review/CLUSTER.md",
        "git:HEAD::(top)out",
        "git:HEAD:--output=evil",
        "git:HEAD^{blob}",
        "git:$(touch evil)",
        "git:HEAD\n",
        "git:HEAD;touch evil",
        "git::/first",
        "git:ext::sh -c touch% evil",
    ] {
        let out = repository.diff(rev, "out");
        let said = format!("{}{}", text(&out.stdout), text(&out.stderr));
        // The root has one review tree below it, which is what was committed.
        if matches!(rev, "git:HEAD:" | "git:HEAD:/") {
            assert!(matches!(out.status.code(), Some(0 | 1)), "{rev}: {said}");
            continue;
        }
        assert_eq!(out.status.code(), Some(1), "{rev}: {said}");
        assert!(said.starts_with("khagen: "), "{rev}: {said}");
    }
    assert!(!dir.join("evil").exists());
    let nowhere = scratch();
    let out = bounded(&["diff", "git:HEAD", &eleven().out().display().to_string()], nowhere.path());
    assert_eq!(out.status.code(), Some(1), "{}", text(&out.stderr));
}

#[test]
fn commits_with_something_else_than_files() {
    let repository = Repository::new();
    let review = repository.dir.path().join("out/review");
    let file = review.join("shared/all/root/etc/hosts");
    let judged = |word: &str, place: &str| {
        repository.git(&["commit", "-qm", word]);
        for (old, new) in [("git:HEAD", "git:HEAD~1"), ("git:HEAD~1", "git:HEAD")] {
            let out = repository.diff(old, new);
            let said = text(&out.stderr);
            assert_eq!(out.status.code(), Some(1), "{word}: {said}");
            assert!(said.contains(word) && said.contains(place), "{word}: {said}");
        }
        repository.git(&["reset", "-q", "--hard", "HEAD~1"]);
    };
    let refused = |word: &str, place: &str| {
        repository.git(&["add", "-A"]);
        judged(word, place);
    };
    fs::remove_file(&file).expect("remove");
    symlink("/etc/passwd", &file).expect("link");
    refused("is no regular file", "shared/all/root/etc/hosts");

    fs::rename(review.join("shared/all"), review.join("aside")).expect("rename");
    symlink("../..", review.join("shared/all")).expect("link");
    refused("is no regular file", "shared/all");

    let head = repository.git(&["rev-parse", "HEAD"]);
    repository.git(&[
        "update-index",
        "--add",
        "--cacheinfo",
        &format!("160000,{},out/review/shared/module", head.trim()),
    ]);
    judged("is no regular file", "shared/module");

    fs::write(&file, vec![b'a'; (16 << 20) + 1]).expect("write");
    refused("is larger than 16 MiB", "shared/all/root/etc/hosts");

    fs::write(&file, b"\xff\n").expect("write");
    refused("is no UTF-8", "shared/all/root/etc/hosts");

    use std::os::unix::ffi::OsStrExt;
    let odd = review.join(std::ffi::OsStr::from_bytes(b"shared/\xff"));
    fs::write(odd, "x").expect("write");
    refused("has a name that is no UTF-8", "shared/\\xff");
    assert_eq!(repository.diff("git:HEAD", "out").status.code(), Some(0));
}

#[test]
fn a_partial_clone_fetches_nothing() {
    let origin = Repository::new();
    fs::write(origin.dir.path().join("out/review/shared/all/root/etc/hosts"), "10.0.0.1 x\n").expect("write");
    origin.commit("second");
    origin.git(&["config", "uploadpack.allowFilter", "true"]);
    let dir = scratch();
    let url = format!("file://{}", origin.dir.path().display());
    for filter in ["blob:none", "tree:0"] {
        let clone = dir.path().join(filter.replace(':', "-"));
        let shown = clone.display().to_string();
        origin.git(&["clone", "-q", "--no-checkout", &format!("--filter={filter}"), &url, &shown]);
        // A remote that tells when it is asked, and a configuration that allows all of it.
        let marker = dir.path().join("fetched");
        let script = dir.path().join("upload-pack");
        fs::write(&script, format!("#!/bin/sh\ntouch '{}'\nexec git-upload-pack \"$@\"\n", marker.display()))
            .expect("write");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("mode");
        for (key, value) in [
            ("remote.origin.uploadpack", script.display().to_string()),
            ("protocol.allow", "always".to_owned()),
            ("protocol.file.allow", "always".to_owned()),
        ] {
            run(Command::new("git").args(["config", key, &value]).current_dir(&clone));
        }
        let objects = || support::tree(&clone.join(".git/objects"));
        let before = objects();
        for args in [
            ["diff", "git:HEAD", "git:HEAD~1"],
            ["diff", "git:HEAD", "git:HEAD"],
            ["diff", "git:HEAD:out/review", "git:origin/HEAD"],
        ] {
            let out = bounded(&args, &clone);
            assert_eq!(
                out.status.code(),
                Some(1),
                "{filter} {args:?}: {}{}",
                text(&out.stdout),
                text(&out.stderr)
            );
            let said = text(&out.stderr);
            assert!(said.contains("git"), "{filter} {args:?}: {said}");
            assert!(!marker.exists(), "{filter} {args:?}: the remote was asked");
        }
        assert!(objects() == before, "{filter}: something was fetched");
        // The trap works: git itself walks into it.
        run(Command::new("git").args(["show", "HEAD:out/review/CLUSTER.md"]).current_dir(&clone));
        assert!(marker.exists(), "{filter}");
        fs::remove_file(&marker).expect("remove");
    }
    drop(khagen());
}
