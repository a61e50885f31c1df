//! What is fed with a stranger's bytes, and what must hold whatever they are: no panic, no hang, and the laws asserted here.
//!
//! Shared by the fuzzer (fuzz_targets/) and by tests/fuzz.rs, which replays the corpus and changes it a little.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use khagen::diag::{Report, render};
use khagen::diff::fields;
use khagen::snapshot::{Snapshot, tarball::Tarballs};
use khagen::source::Sources;

/// A folder in memory, emptied before each use.
fn folder() -> PathBuf {
    thread_local!(static DIR: OnceCell<tempfile::TempDir> = const { OnceCell::new() });
    let path = DIR.with(|dir| {
        let made = || {
            let mut builder = tempfile::Builder::new();
            builder.prefix("khagen-fuzz-");
            builder.tempdir_in("/dev/shm").or_else(|_| builder.tempdir()).expect("a folder")
        };
        dir.get_or_init(made).path().join("it")
    });
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).expect("a folder");
    path
}

fn said(report: &Report, sources: &Sources) {
    let text = render::text(report, sources, render::Look::default());
    let lines = render::lines(report, sources);
    assert!(
        !text.chars().chain(lines.chars()).any(|c| c.is_control() && c != '\n'),
        "a finding drives the terminal"
    );
    khagen::diag::json::json(report, sources);
    khagen::diag::sarif::sarif(report, sources);
}

fn inventory(name: &str, data: &[u8], whole: bool) {
    let dir = folder();
    fs::write(dir.join(name), data).expect("a document");
    let (mut sources, mut report) = (Sources::new(), Report::new());
    let loaded = khagen::load::load(&dir, &mut sources, &mut report);
    if whole {
        let today = time::Date::from_calendar_date(2026, time::Month::November, 22).expect("a day");
        let inventory = khagen::check::check(&loaded, &sources, today, &mut report);
        assert_eq!(inventory.is_some(), report.counts().0 == 0, "an inventory is what has no error");
    }
    said(&report, &sources);
}

/// A YAML document: read, its findings written in every format.
pub fn yaml(data: &[u8]) {
    inventory("cluster.yaml", data, false);
}

/// A TOML document.
pub fn toml(data: &[u8]) {
    inventory("cluster.toml", data, false);
}

/// The whole check of a YAML document.
pub fn check(data: &[u8]) {
    inventory("cluster.yaml", data, true);
}

/// A bundle, packed or (then it is packed here) as a tar.
pub fn tarball(data: &[u8]) {
    let packed = if data.starts_with(&[0x1f, 0x8b]) {
        data.to_vec()
    } else {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
        gz.write_all(data).expect("memory");
        gz.finish().expect("memory")
    };
    let Ok(tarballs) = Tarballs::one("it.tar.gz", packed) else { return };
    for name in tarballs.names().keys() {
        let _ = tarballs.head(name);
        let _ = tarballs.bundle(name);
    }
}

/// A package or archive of the user's.
pub fn archive(data: &[u8]) {
    let path = folder().join("it.deb");
    fs::write(&path, data).expect("a package");
    let _ = khagen::archive::deb::control(&path);
    let _ = khagen::archive::digests(&path, &BTreeSet::from(["etcd".to_owned(), "a/etcd".to_owned()]));
    let _ = khagen::archive::digest(&mut Cursor::new(data), &mut std::io::sink());
}

/// A certificate, as PEM or as DER.
pub fn pem(data: &[u8]) {
    let der = match std::str::from_utf8(data).map(khagen::pki::read::der) {
        Ok(Ok(der)) => der,
        _ => data.to_vec(),
    };
    let _ = khagen::pki::read::summary(&der);
    let _ = khagen::pki::read::remainder(&der);
    let _ = khagen::pki::read::is_signed_by(&der, &der);
}

/// A store: files, each a line with its path, a line with its length, its bytes.
pub fn store(data: &[u8]) {
    let dir = folder();
    let mut rest = data;
    let line = |rest: &mut &[u8]| -> Option<String> {
        let end = rest.iter().position(|b| *b == b'\n')?;
        let line = String::from_utf8(rest[..end].to_vec()).ok()?;
        *rest = &rest[end + 1..];
        Some(line)
    };
    while let (Some(path), Some(length)) = (line(&mut rest), line(&mut rest)) {
        let Ok(length) = length.parse::<usize>() else { break };
        let Some(bytes) = rest.get(..length) else { break };
        rest = &rest[length..];
        let inside = Path::new(&path).components().all(|c| matches!(c, std::path::Component::Normal(_)));
        if !inside || path.len() > 200 || path.contains('\0') {
            break;
        }
        let path = dir.join(path);
        let Some(parent) = path.parent() else { break };
        if fs::create_dir_all(parent).is_err() || fs::write(&path, bytes).is_err() {
            break;
        }
    }
    if let Ok(store) = khagen::pki::store::Store::open(&dir) {
        let ids: Vec<_> = store.objects().map(|(id, _)| id.clone()).collect();
        for id in ids {
            let _ = store.secret(&id);
            let _ = store.validity(&id);
        }
    }
}

/// Two texts of one kind of file, the file's path before them and a line of `----` between them: what differs, the same from
/// both sides, and nothing differs from itself.
pub fn compare(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some((path, rest)) = text.split_once('\n') else { return };
    let (old, new) = rest.split_once("\n----\n").unwrap_or((rest, ""));
    let format = fields::format_of(path, new);
    let there = fields::compare(format, old, new);
    let back = fields::compare(format, new, old);
    if let (Ok(there), Ok(back)) = (&there, &back) {
        let mut mirrored: Vec<_> = back.iter().map(|c| (&c.path, &c.new, &c.old)).collect();
        mirrored.sort();
        let mut there: Vec<_> = there.iter().map(|c| (&c.path, &c.old, &c.new)).collect();
        there.sort();
        assert_eq!(there, mirrored, "the other way round it is another difference");
    }
    assert_eq!(there.is_ok(), back.is_ok());
    assert!(fields::compare(format, new, new).is_ok_and(|changes| changes.is_empty()));
}
