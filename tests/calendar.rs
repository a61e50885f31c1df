//! The calendar of certificates, read by others: openssl for every date, the exit codes around an end, promtool and the
//! rules of iCalendar for the formats.

mod support;

use std::collections::BTreeSet;
use std::process::{Command, Output, Stdio};

use support::{Built, Need, built, can, khagen, run, text};

/// When the cluster of these tests is built.
const NOW: i64 = 1_795_000_000;
const DAY: i64 = 86_400;

fn cluster() -> Built {
    let built = Built { dir: support::scratch() };
    support::copy_inventory(&support::root().join("inventory"), &built.inventory());
    let out = khagen()
        .arg("build")
        .arg(built.inventory())
        .arg("-o")
        .arg(built.out())
        .env("SOURCE_DATE_EPOCH", NOW.to_string())
        .output()
        .expect("khagen");
    assert!(out.status.success(), "{}", text(&out.stderr));
    built
}

fn list(built: &Built, at: i64, arguments: &[&str]) -> Output {
    khagen()
        .args(["pki", "list"])
        .arg(built.inventory())
        .args(arguments)
        .env("SOURCE_DATE_EPOCH", at.to_string())
        .output()
        .expect("khagen")
}

fn json(built: &Built, at: i64, arguments: &[&str]) -> serde_json::Value {
    let out = list(built, at, &[&["--format", "json"], arguments].concat());
    serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(&out.stderr)))
}

/// A day of openssl's, as RFC 3339.
fn rfc3339(openssl: &str) -> String {
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let parts: Vec<&str> = openssl.split_whitespace().collect();
    let [month, day, time, year, "GMT"] = parts[..] else { panic!("{openssl}") };
    let month = months.iter().position(|m| *m == month).expect("a month") + 1;
    format!("{year}-{month:02}-{day:0>2}T{time}Z")
}

#[test]
fn openssl_agrees_on_every_date_and_every_path_is_the_bundles() {
    let built = cluster();
    let value = json(&built, NOW, &[]);
    let entries = value["clusters"][0]["entries"].as_array().expect("entries");
    let mut dated = 0;
    let mut named = BTreeSet::new();
    for entry in entries {
        let id = entry["id"].as_str().expect("id");
        for place in entry["paths"].as_array().expect("paths") {
            named.insert((
                place["on"].as_str().expect("on").to_owned(),
                place["path"].as_str().expect("path").to_owned(),
            ));
        }
        let cert = built.inventory().join("secrets/objects").join(id).join("cert.pem");
        if !cert.is_file() {
            assert!(entry["notAfter"].is_null(), "{id}");
            continue;
        }
        dated += 1;
        let said = run(Command::new("openssl").args(["x509", "-noout", "-dates", "-in"]).arg(&cert));
        let date = |key: &str| {
            let line = said.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix('='));
            rfc3339(line.expect("a date"))
        };
        assert_eq!(entry["notBefore"], date("notBefore"), "{id}");
        assert_eq!(entry["notAfter"], date("notAfter"), "{id}");
    }
    let stored = walkdir::WalkDir::new(built.inventory().join("secrets/objects"));
    let stored = stored.into_iter().filter(|e| e.as_ref().is_ok_and(|e| e.file_name() == "cert.pem")).count();
    assert_eq!(dated, stored);
    // What a bundle holds of certificates and keys, the calendar names.
    for host in built.hosts() {
        for (path, entry) in built.bundle(&host) {
            let Some(on_host) = path.strip_prefix("root").filter(|_| !entry.folder) else { continue };
            let holds = ["PRIVATE KEY-----", "BEGIN CERTIFICATE", "client-key-data", "token: "];
            if holds.iter().any(|h| text(&entry.bytes).contains(h)) {
                let known = named.iter().any(|(on, p)| p == on_host && (*on == host || !on.contains('.')));
                assert!(known, "{host}: {path}");
            }
        }
    }
}

#[test]
fn exit_codes_around_the_end() {
    let built = cluster();
    let end = NOW + 365 * DAY;
    for (at, code, state) in [
        (end - 91 * DAY, 0, "valid"),
        (end - 90 * DAY - 1, 0, "valid"),
        (end - 90 * DAY, 2, "due"),
        (end - 30 * DAY, 2, "due"),
        (end - DAY, 2, "due"),
        (end, 2, "due"),
        (end + 1, 6, "expired"),
        (end + DAY, 6, "expired"),
    ] {
        let out = list(&built, at, &[]);
        assert_eq!(out.status.code(), Some(code), "{at}: {}", text(&out.stderr));
        assert_eq!(json(&built, at, &[])["clusters"][0]["state"], state, "{at}");
    }
}

#[test]
fn no_key_is_needed_and_nothing_is_written() {
    let built = cluster();
    let secrets = built.inventory().join("secrets");
    for entry in walkdir::WalkDir::new(&secrets) {
        let entry = entry.expect("entry");
        if entry.file_name() == "key.pem" || entry.file_name() == "secret" {
            std::fs::remove_file(entry.path()).expect("remove");
        }
    }
    let before = support::tree(built.dir.path());
    let out = list(&built, NOW, &[]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert_eq!(before, support::tree(built.dir.path()));
}

#[test]
fn before_the_first_build_everything_is_missing() {
    let built = Built { dir: support::scratch() };
    support::copy_inventory(&support::root().join("inventory"), &built.inventory());
    let value = json(&built, NOW, &[]);
    let entries = value["clusters"][0]["entries"].as_array().expect("entries");
    assert!(entries.iter().any(|e| e["id"] == "ca/etcd" && e["state"] == "missing"));
    assert!(!built.inventory().join("secrets").exists());
}

#[test]
fn icalendar_keeps_its_form_and_its_bytes() {
    let built = cluster();
    let ical = list(&built, NOW, &["--format", "ical"]).stdout;
    assert_eq!(
        ical,
        list(&built, NOW + 300 * DAY, &["--format", "ical"]).stdout,
        "a day that passes changes nothing"
    );
    let ical = text(&ical);
    assert!(ical.ends_with("\r\n") && !ical.replace("\r\n", "").contains(['\r', '\n']));
    assert!(ical.split("\r\n").all(|l| l.len() <= 75));
    let unfolded = ical.replace("\r\n ", "");
    let uids: Vec<&str> = unfolded.lines().filter(|l| l.starts_with("UID:")).collect();
    assert_eq!(uids.len(), uids.iter().collect::<BTreeSet<_>>().len());
    assert_eq!(uids.len(), unfolded.matches("BEGIN:VEVENT").count());
    assert_eq!(unfolded.matches("BEGIN:VALARM").count(), 4 * uids.len());
    assert!(unfolded.contains("DTSTART:20271118T110640Z"));
}

#[test]
fn promtool_accepts_the_metrics() {
    if !can("promtool_accepts_the_metrics", &[Need::Program("promtool")]) {
        return;
    }
    let built = cluster();
    let metrics = list(&built, NOW, &["--format", "prometheus"]).stdout;
    let mut judge = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool");
    std::io::Write::write_all(judge.stdin.as_mut().expect("stdin"), &metrics).expect("write");
    let out = judge.wait_with_output().expect("promtool");
    assert!(out.status.success(), "{}{}", text(&out.stdout), text(&out.stderr));
}

#[test]
fn damage_is_said_as_everywhere() {
    let built = built("inventory");
    std::fs::write(built.inventory().join("secrets/objects/ca/etcd/cert.pem"), "x").expect("write");
    let out = khagen().args(["pki", "list"]).arg(built.inventory()).output().expect("khagen");
    assert_eq!(out.status.code(), Some(4), "{}", text(&out.stderr));
    assert!(text(&out.stderr).contains("objects/ca/etcd/cert.pem"));
}
