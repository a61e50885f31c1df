//! Inventories that nobody writes by hand: as large as a file system gives, as deep, as wide, with what is no text. The command
//! itself says what is wrong, within 1 GiB and two minutes of one core, and ends with its documented code.

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use support::{scratch, text};

const HEAD: &str = "schema: khagen/v1\ncluster: {name: c1, domain: example.com}\n";

/// What `khagen check` says of a folder with this document, and its exit code.
#[track_caller]
fn checked(name: &str, document: impl AsRef<[u8]>) -> String {
    let dir = scratch();
    fs::write(dir.path().join(name), document).expect("write");
    said(dir.path())
}

#[track_caller]
fn said(dir: &Path) -> String {
    let out = Command::new("sh")
        .args(["-c", "ulimit -v 1048576; ulimit -t 120; exec \"$0\" check .", env!("CARGO_BIN_EXE_khagen")])
        .env("NO_COLOR", "1")
        .current_dir(dir)
        .output()
        .expect("khagen");
    let stderr = text(&out.stderr);
    assert_eq!(out.status.code(), Some(3), "{}", stderr.get(..2000).unwrap_or(&stderr));
    let stdout = text(&out.stdout);
    assert!(stdout.len() + stderr.len() < 4 << 20, "an answer that nobody reads: {} bytes", stdout.len());
    stdout + &stderr
}

#[test]
fn sixty_four_megabytes() {
    let mut hosts = String::from(HEAD) + "hosts:\n";
    for i in 0..1_100_000_u32 {
        let [_, b, c, d] = i.to_be_bytes();
        hosts.push_str(&format!("  - {{name: h{i:07}, address: 10.{b}.{c}.{d}, roles: [worker]}}\n"));
    }
    assert!(hosts.len() > 64_000_000);
    let said = checked("cluster.yaml", hosts);
    assert!(said.contains("error[KH"), "{said}");
}

#[test]
fn a_million_keys_that_nobody_knows() {
    let keys: String = (0..1_000_000).map(|i| format!("k{i:07}: v\n")).collect();
    let said = checked("cluster.yaml", HEAD.to_owned() + &keys);
    assert!(said.contains("KH0104") && said.contains("are not shown"), "{}", &said[said.len() - 300..]);
    let keys: String = (0..300_000).map(|i| format!("k{i:07} = 1\n")).collect();
    let said = checked("cluster.toml", keys);
    assert!(said.contains("are not shown"), "{}", &said[said.len() - 300..]);
}

#[test]
fn deeper_than_any_setting() {
    for document in [
        "a: ".to_owned() + &"[".repeat(200_000),
        (0..2000).map(|i| " ".repeat(i) + "a:\n").collect::<String>(),
    ] {
        let said = checked("cluster.yaml", document);
        assert!(said.contains("KH0023"), "{said}");
    }
    let said = checked("cluster.toml", "a = ".to_owned() + &"[".repeat(200_000));
    assert!(said.contains("error[KH00"), "{said}");
}

#[test]
fn aliases_that_multiply() {
    let mut bomb = String::from("a: &a [x, x, x, x, x, x, x, x, x]\n");
    for (from, to) in ('a'..'y').zip('b'..'z') {
        let nine = vec![format!("*{from}"); 9].join(", ");
        bomb.push_str(&format!("{to}: &{to} [{nine}]\n"));
    }
    let said = checked("cluster.yaml", bomb);
    assert!(said.contains("KH0024"), "{said}");
}

#[test]
fn one_word_without_end() {
    let said = checked("cluster.yaml", HEAD.to_owned() + &"x".repeat(30_000_000));
    assert!(said.contains("KH0021"), "{}", said.get(..2000).unwrap_or(&said));
    assert!(said.len() < 20_000, "the excerpt is cut: {} bytes", said.len());
}

#[test]
fn what_is_no_text() {
    for (bytes, code) in [(&b"cluster: \0"[..], "KH0006"), (b"cluster: \xff\xfe", "KH0005")] {
        for name in ["cluster.yaml", "cluster.toml"] {
            let said = checked(name, bytes);
            assert!(said.contains(code), "{name}: {said}");
        }
    }
}

#[test]
fn what_is_no_file() {
    let dir = scratch();
    symlink("b", dir.path().join("a")).expect("a link");
    symlink("a", dir.path().join("b")).expect("a link");
    symlink(".", dir.path().join("again")).expect("a link");
    let made = Command::new("mkfifo").arg(dir.path().join("cluster.yaml")).status().expect("mkfifo");
    assert!(made.success());
    let said = said(dir.path());
    assert!(said.contains("cluster.yaml") && said.contains("error[KH00"), "{said}");
}
