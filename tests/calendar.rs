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
            let file = !entry.folder && !entry.bytes.starts_with(b"#!");
            let Some(on_host) = path.strip_prefix("root").filter(|_| file) else { continue };
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

fn renew(built: &Built, at: i64, arguments: &[&str]) -> Output {
    khagen()
        .args(["pki", "renew", "--inventory"])
        .arg(built.inventory())
        .args(arguments)
        .env("SOURCE_DATE_EPOCH", at.to_string())
        .output()
        .expect("khagen")
}

fn marked(built: &Built, at: i64) -> BTreeSet<String> {
    let value = json(built, at, &[]);
    let entries = value["clusters"][0]["entries"].as_array().expect("entries").clone();
    entries.iter().filter(|e| e["marked"] == true).map(|e| e["id"].as_str().expect("id").to_owned()).collect()
}

fn build_at(built: &Built, at: i64, arguments: &[&str]) -> Output {
    khagen()
        .arg("build")
        .arg(built.inventory())
        .arg("-o")
        .arg(built.out())
        .args(arguments)
        .env("SOURCE_DATE_EPOCH", at.to_string())
        .output()
        .expect("khagen")
}

#[test]
fn a_mark_is_issued_by_the_next_build_and_nothing_else_is() {
    let built = cluster();
    let later = NOW + 10 * DAY;
    let before = support::tree(&built.inventory().join("secrets"));
    // A dry run, and a mark that is taken off again, leave the store as it was.
    let dry = renew(&built, later, &["--dry-run", "apiserver/k8smaster1.isociel.com"]);
    assert_eq!(dry.status.code(), Some(2), "{}", text(&dry.stderr));
    assert!(text(&dry.stdout).contains("reconfigure.sh certificates"), "{}", text(&dry.stdout));
    let args = ["--host", "k8smaster1", "--profile", "apiserver"];
    assert!(renew(&built, later, &args).status.success());
    assert_eq!(marked(&built, later), ["apiserver/k8smaster1.isociel.com".to_owned()].into());
    assert!(renew(&built, later, &["--undo"]).status.success());
    assert_eq!(before, support::tree(&built.inventory().join("secrets")));
    // Marked again, without any key at hand: then exactly that one is issued, with the reason.
    assert!(renew(&built, later, &args).status.success());
    let out = text(&build_at(&built, later, &["--format", "json"]).stdout);
    let value: serde_json::Value = serde_json::from_str(&out).expect("json");
    let issued: Vec<(&str, &str)> = value["clusters"][0]["decisions"]
        .as_array()
        .expect("decisions")
        .iter()
        .filter(|d| d["action"] == "issue")
        .map(|d| (d["id"].as_str().expect("id"), d["reason"].as_str().expect("reason")))
        .collect();
    assert_eq!(issued, [("apiserver/k8smaster1.isociel.com", "marked for renewal")]);
    let after = support::tree(&built.inventory().join("secrets"));
    let changed: Vec<&String> = after.keys().filter(|p| before.get(*p) != after.get(*p)).collect();
    assert!(
        changed
            .iter()
            .all(|p| p.starts_with("objects/apiserver/k8smaster1.")
                || p.starts_with("ledger/hosts/k8smaster1.")),
        "{changed:?}"
    );
    assert_eq!(marked(&built, later), BTreeSet::new());
}

#[test]
fn all_that_is_due_is_marked_and_an_expired_cluster_is_built_again() {
    let built = cluster();
    let end = NOW + 365 * DAY;
    assert_eq!(text(&renew(&built, NOW, &[]).stdout), "nothing to mark\n");
    // Past the end a build refuses and names the way out.
    let refused = build_at(&built, end + DAY, &[]);
    assert_eq!(refused.status.code(), Some(6));
    assert!(text(&refused.stderr).contains("khagen pki renew"), "{}", text(&refused.stderr));
    assert!(renew(&built, end + DAY, &[]).status.success());
    assert_eq!(marked(&built, end + DAY).len(), 33);
    for way in [&["--dry-run"][..], &["--diff"], &[]] {
        let out = build_at(&built, end + DAY, way);
        assert_eq!(
            out.status.code(),
            Some(if way.is_empty() { 0 } else { 2 }),
            "{way:?} {}",
            text(&out.stderr)
        );
    }
    assert_eq!(list(&built, end + DAY, &[]).status.code(), Some(0));
}

#[test]
fn trust_roots_and_strangers_are_refused() {
    let built = cluster();
    for (arguments, code, says) in [
        (&["no/such"][..], 64, "there is no no/such"),
        (&["--host", "k8smaster9"], 64, "no host k8smaster9"),
        (&["--profile", "apiservers"], 64, "kinds are admin, apiserver,"),
        (&["--profile", "ca"], 64, "full names"),
        (&["kubelet-client/k8sworker1.isociel.com"], 64, "made by its host"),
        (&["--all", "ca/etcd"], 64, "cannot be used with"),
    ] {
        let out = renew(&built, NOW, arguments);
        assert_eq!(out.status.code(), Some(code), "{arguments:?}");
        assert!(text(&out.stderr).contains(says), "{arguments:?}: {}", text(&out.stderr));
    }
    // While the cluster is new a CA may be made anew; once it runs, not in one step.
    assert_eq!(renew(&built, NOW, &["--dry-run", "ca/etcd"]).status.code(), Some(2));
    let file = built.inventory().join("cluster.yaml");
    let inventory = std::fs::read_to_string(&file).expect("read");
    std::fs::write(&file, inventory.replace("state: new", "state: running")).expect("write");
    let out = renew(&built, NOW, &["ca/etcd"]);
    assert_eq!(out.status.code(), Some(6), "{}{}", text(&out.stdout), text(&out.stderr));
    assert!(marked(&built, NOW).is_empty());
    assert!(renew(&built, NOW, &["--all"]).status.success());
    let marked = marked(&built, NOW);
    assert_eq!(marked.len(), 33);
    assert!(!marked.iter().any(|id| id.starts_with("ca/")));
}

/// The bundle's files as on a host, and what the host's own script says of them.
fn on_host(built: &Built, host: &str, dir: &std::path::Path) -> std::path::PathBuf {
    support::unpack_to(&built.out().join(format!("bundles/{host}.tar.gz")), dir).join("root")
}

fn script(shell: &[&str], root: &std::path::Path, host: &str, arguments: &[&str]) -> Output {
    Command::new(shell[0])
        .args(&shell[1..])
        .arg(root.join("usr/local/sbin/khagen-certificates"))
        .arg("--root")
        .arg(root)
        .args(["--host", host])
        .args(arguments)
        .output()
        .expect("a shell")
}

#[test]
fn the_hosts_script_says_the_same_in_every_shell() {
    let shells: [&[&str]; 3] = [&["dash"], &["busybox", "sh"], &["bash"]];
    if !can(
        "the hosts' calendar",
        &[Need::Program("dash"), Need::Program("busybox"), Need::Program("openssl")],
    ) {
        return;
    }
    let built = cluster();
    let dir = support::scratch();
    let facts = dir.path().join("facts");
    std::fs::create_dir(&facts).expect("create");
    let end = NOW + 365 * DAY;
    for host in built.hosts().iter().filter(|h| *h != "operator") {
        let root = on_host(&built, host, dir.path());
        let mut reports = BTreeSet::new();
        // Each kind of host in every shell, all hosts in one.
        let enough = if host.contains('1') { &shells[..] } else { &shells[..1] };
        for shell in enough {
            let at = NOW.to_string();
            let out = script(shell, &root, host, &["--facts", "--at", &at]);
            assert_eq!(out.status.code(), Some(0), "{shell:?} {host}: {}", text(&out.stderr));
            reports.insert(text(&out.stdout));
        }
        assert_eq!(reports.len(), 1, "{host}");
        let report = reports.pop_first().expect("one");
        assert!(!report.contains("PRIVATE"));
        std::fs::write(facts.join(host), report).expect("write");
    }
    let holder = dir.path().join("k8smaster1.isociel.com/root");
    for shell in shells {
        for (at, code) in [(end - 91 * DAY, 0), (end - 30 * DAY, 2), (end - DAY, 2), (end, 2), (end + 1, 6)] {
            let out = script(shell, &holder, "k8smaster1.isociel.com", &["--at", &at.to_string()]);
            assert_eq!(
                out.status.code(),
                Some(code),
                "{shell:?} {at}: {}{}",
                text(&out.stdout),
                text(&out.stderr)
            );
        }
        let out = script(shell, &holder, "k8smaster1.isociel.com", &["--days"]);
        assert_eq!(out.status.code(), Some(64), "{shell:?}");
        assert!(text(&out.stderr).starts_with("Usage: khagen-certificates"), "{}", text(&out.stderr));
    }
    // Every certificate that the calendar places on a host is in that host's report, with the same dates.
    let without = json(&built, NOW, &[]);
    let with = json(&built, NOW, &["--facts", facts.to_str().expect("utf-8")]);
    assert_eq!(without["clusters"][0]["entries"], with["clusters"][0]["entries"]);
    assert_eq!(with["clusters"][0]["notes"], serde_json::json!([]));
}

#[test]
fn what_hosts_report_counts() {
    let built = cluster();
    let dir = support::scratch();
    let facts = dir.path().join("facts");
    std::fs::create_dir(&facts).expect("create");
    let host = "k8smaster1.isociel.com";
    let root = on_host(&built, host, dir.path());
    // A kubelet's certificate with its key in one file, and an API server's that kubeadm renewed.
    let kubelet = root.join("var/lib/kubelet/pki");
    std::fs::create_dir_all(&kubelet).expect("create");
    let make = |key: &std::path::Path, cert: &std::path::Path, subject: &str, days: &str| {
        run(Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-subj",
                subject,
            ])
            .args(["-days", days, "-keyout"])
            .arg(key)
            .arg("-out")
            .arg(cert));
    };
    let (key, cert) = (dir.path().join("key"), dir.path().join("cert"));
    make(&key, &cert, "/O=system:nodes/CN=system:node:k8smaster1", "20");
    let both = std::fs::read_to_string(&key).expect("key") + &std::fs::read_to_string(&cert).expect("cert");
    std::fs::write(kubelet.join("kubelet-client-current.pem"), both).expect("write");
    make(&key, &root.join("etc/kubernetes/pki/apiserver.crt"), "/CN=kube-apiserver", "3000");
    let out = script(&["dash"], &root, host, &["--facts"]);
    assert!(!text(&out.stdout).contains("PRIVATE"));
    std::fs::write(facts.join(host), &out.stdout).expect("write");

    let at = time::OffsetDateTime::now_utc().unix_timestamp() + 60;
    let value = json(&built, at, &["--facts", facts.to_str().expect("utf-8")]);
    let entries = value["clusters"][0]["entries"].as_array().expect("entries");
    let entry = |id: &str| entries.iter().find(|e| e["id"] == id).unwrap_or_else(|| panic!("{id}"));
    let kubelet = entry("kubelet-client/k8smaster1.isociel.com");
    assert_eq!((&kubelet["state"], &kubelet["daysLeft"]), (&"due".into(), &19.into()), "{kubelet}");
    let apiserver = entry("apiserver/k8smaster1.isociel.com");
    assert!(apiserver["daysLeft"].as_i64().expect("days") > 2900, "{apiserver}");
    assert!(apiserver["notes"][0].as_str().expect("a note").contains("renewed on the host"), "{apiserver}");
    let notes = value["clusters"][0]["notes"].to_string();
    assert!(notes.contains("k8sworker1.isociel.com did not report"), "{notes}");

    // A report that was cut is refused, not half believed.
    std::fs::write(facts.join(host), &out.stdout[..out.stdout.len() - "# end\n".len()]).expect("write");
    let refused = list(&built, NOW, &["--facts", facts.to_str().expect("utf-8")]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("the report was cut"), "{}", text(&refused.stderr));
}
