//! `khagen export` and what becomes of it: on a real FAT file system, cut off anywhere, damaged, without room; and the way
//! from the inventory's artifacts to it.

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use support::{Built, Need, can, copy_inventory, khagen, root, scratch, text};

/// A small program for each host, a package of dpkg-deb's for the nodes.
fn with_artifacts() -> Built {
    let built = Built { dir: scratch() };
    copy_inventory(&root().join("inventory"), &built.inventory());
    let folder = built.inventory().join("artifacts");
    fs::create_dir_all(folder.join("kubernetes")).expect("create");
    fs::write(folder.join("tool"), "#!/bin/sh\necho one\n").expect("write");
    let script = "set -e; mkdir -p d/DEBIAN t/etcd-v; \
        printf 'Package: kubelet\\nVersion: 1:1.36.5-1.1\\nArchitecture: amd64\\nMaintainer: n <n@example.com>\\nDescription: t\\n' >d/DEBIAN/control; \
        dpkg-deb -Zxz --build d kubernetes/kubelet_1:1.36.5-1.1_amd64.deb >/dev/null; \
        head -c 70000 /dev/urandom >t/etcd-v/etcd; tar -C t -czf etcd.tar.gz etcd-v; rm -r d t; \
        sha256sum tool etcd.tar.gz kubernetes/* >SHA256SUMS";
    let done = Command::new("sh").args(["-c", script]).current_dir(&folder).output().expect("sh");
    assert!(done.status.success(), "{}", text(&done.stderr));
    let keys = "artifacts:\n  all:\n    binaries: [{path: /usr/local/bin/tool, source: tool}]\n  kubernetes:\n    packages: [kubernetes/]\n  etcd:\n    binaries: [{path: /usr/local/bin/etcd, source: etcd.tar.gz, member: etcd-v/etcd}]\n";
    fs::write(built.inventory().join("artifacts.yaml"), keys).expect("write");
    built.build();
    built
}

fn export(built: &Built, stick: &Path, more: &[&str]) -> Output {
    khagen().arg("export").arg(stick).arg("--from").arg(built.out()).args(more).output().expect("khagen")
}

fn code(out: &Output) -> i32 {
    out.status.code().unwrap_or_else(|| panic!("{}{}", text(&out.stdout), text(&out.stderr)))
}

fn import(stick: &Path, target: &Path) -> Output {
    Command::new("sh").arg(stick.join("import.sh")).arg(target).output().expect("sh")
}

#[test]
fn artifacts_travel_beside_the_bundles() {
    let built = with_artifacts();
    let out = built.out();
    let mut names: Vec<String> = fs::read_dir(out.join("packages"))
        .expect("packages")
        .map(|e| e.expect("entry").file_name().into_string().expect("utf-8"))
        .collect();
    names.sort_by_key(|n| n.split_once('-').map(|(_, rest)| rest.to_owned()));
    let bare: Vec<&str> = names.iter().filter_map(|n| Some(n.split_once('-')?.1)).collect();
    assert_eq!(bare, ["etcd", "kubelet_1:1.36.5-1.1_amd64.deb", "tool"]);
    // Every digest agrees, and no bundle holds the bytes.
    let sums = Command::new("sha256sum")
        .args(["--quiet", "-c", "SHA256SUMS"])
        .current_dir(&out)
        .status()
        .expect("sums");
    assert!(sums.success());
    let bundle = built.bundle("k8sworker1.isociel.com");
    let manifest = text(&bundle["MANIFEST.json"].bytes);
    assert!(
        manifest
            .contains("\"package\": \"kubelet\", \"version\": \"1:1.36.5-1.1\", \"architecture\": \"amd64\""),
        "{manifest}"
    );
    assert!(
        manifest.contains("{\"path\": \"/usr/local/bin/tool\", \"mode\": \"0755\", \"from\": \"tool\""),
        "{manifest}"
    );
    assert!(!manifest.contains("/usr/local/bin/etcd"), "{manifest}");
    let etcd = built.bundle("k8setcd1.isociel.com");
    let head = text(&etcd["MANIFEST.json"].bytes);
    assert!(head.contains("\"from\": \"etcd.tar.gz:etcd-v/etcd\"") && !head.contains("\"debs\""), "{head}");
    assert!(head.contains("\"/usr/local/bin/etcd\"], \"reloadOn\""), "etcd restarts for its program: {head}");
    let list = text(&built.bundle("operator")["packages.tsv"].bytes);
    assert_eq!(list.lines().filter(|l| l.ends_with("-tool")).count(), 11);
    assert_eq!(list.lines().filter(|l| l.ends_with(".deb")).count(), 6);
    // The same again: nothing is written, and what was damaged since is found.
    assert!(text(&built.build().stdout).contains("nothing changed, nothing written"));
    let verified = |built: &Built| khagen().arg("verify").arg(built.out()).output().expect("khagen");
    assert_eq!(code(&verified(&built)), 0);
    let tool = out.join("packages").join(names.iter().find(|n| n.ends_with("-tool")).expect("tool"));
    fs::write(&tool, "#!/bin/sh\necho two\n").expect("write");
    let said = verified(&built);
    assert!(code(&said) == 4 && text(&said.stdout).contains("-tool: is damaged"), "{}", text(&said.stdout));
    fs::remove_file(&tool).expect("remove");
    built.build();
    assert_eq!(code(&verified(&built)), 0);
    // Another program: its digest is what the review shows, and etcd restarts for its own.
    let former = built.dir.path().join("former");
    support::copy_tree(&out, &former);
    let folder = built.inventory().join("artifacts");
    let script = "mkdir -p t/etcd-v; head -c 70000 /dev/urandom >t/etcd-v/etcd; tar -C t -czf etcd.tar.gz etcd-v; rm -r t; sha256sum tool etcd.tar.gz kubernetes/* >SHA256SUMS";
    assert!(Command::new("sh").args(["-c", script]).current_dir(folder).status().expect("sh").success());
    built.build();
    let diff = khagen().arg("diff").arg(&former).arg(&out).arg("-v").output().expect("khagen");
    let said = text(&diff.stdout);
    assert_eq!(code(&diff), 2, "{said}");
    assert!(
        said.contains("binaries[/usr/local/bin/etcd].sha256") && said.contains("restart etcd.service"),
        "{said}"
    );
    assert_eq!(fs::read_dir(out.join("packages")).expect("packages").count(), 3, "the former program goes");
}

#[test]
fn a_stick_of_fat() {
    let needs = [Need::Namespaces, Need::Program("mkfs.vfat"), Need::Program("fusefat")];
    if !can("export to a FAT file system", &needs) {
        return;
    }
    let built = with_artifacts();
    let work = scratch();
    let out = Command::new(root().join("tests/export/stick.sh"))
        .arg(env!("CARGO_BIN_EXE_khagen"))
        .arg(built.out())
        .arg(work.path())
        .output()
        .expect("stick.sh");
    assert!(out.status.success(), "{}{}", text(&out.stdout), text(&out.stderr));
}

/// Killed at each rename and each sync: the medium gives the former export or the new one, and the next run ends it.
#[test]
fn old_or_new_whenever_it_is_killed() {
    if !can("export killed anywhere", &[Need::Program("strace")]) {
        return;
    }
    let built = with_artifacts();
    let dir = scratch();
    let (first, stick) = (dir.path().join("first"), dir.path().join("stick"));
    assert_eq!(code(&export(&built, &first, &["--chunk", "30000"])), 0);
    let former = dir.path().join("former");
    support::copy_tree(&built.out(), &former);
    // Another generation of every bundle.
    let list = built.inventory().join("cluster.yaml");
    let changed =
        fs::read_to_string(&list).expect("cluster.yaml").replace("k8sapi.isociel.com", "k8sapi2.isociel.com");
    fs::write(&list, changed).expect("write");
    built.build();
    let is = |out: &Path, taken: &Path| {
        fs::read(out.join("SHA256SUMS")).expect("sums") == fs::read(taken.join("SHA256SUMS")).expect("sums")
    };
    let (mut killed, mut old, mut new) = (0, 0, 0);
    for call in ["rename", "fsync", "unlink"] {
        for n in (1..).step_by(if call == "rename" { 1 } else { 5 }) {
            let _ = fs::remove_dir_all(&stick);
            support::copy_tree(&first, &stick);
            let run = Command::new("strace")
                .args([
                    "-qq",
                    "-f",
                    "-o",
                    "/dev/null",
                    "-e",
                    &format!("trace={call}"),
                    "-e",
                    &format!("inject={call}:signal=KILL:when={n}"),
                ])
                .arg(env!("CARGO_BIN_EXE_khagen"))
                .arg("export")
                .arg(&stick)
                .arg("--from")
                .arg(built.out())
                .args(["--chunk", "30000"])
                .output()
                .expect("strace");
            if run.status.success() {
                break;
            }
            killed += 1;
            let taken = dir.path().join("taken");
            let _ = fs::remove_dir_all(&taken);
            let imported = import(&stick, &taken);
            assert_eq!(code(&imported), 0, "{call} {n}: {}", text(&imported.stderr));
            match (is(&former, &taken), is(&built.out(), &taken)) {
                (true, false) => old += 1,
                (false, true) => new += 1,
                _ => panic!("{call} {n}: neither old nor new"),
            }
            let again = export(&built, &stick, &["--chunk", "30000"]);
            assert_eq!(code(&again), 0, "{call} {n}: {}", text(&again.stderr));
            let imported = import(&stick, &taken);
            assert!(code(&imported) == 0 && is(&built.out(), &taken), "{call} {n}: not converged");
            let left = Command::new("find")
                .arg(&stick)
                .args(["-name", "*.tmp", "-o", "-name", "UNFINISHED*"])
                .output();
            assert_eq!(text(&left.expect("find").stdout), "");
        }
    }
    assert!(killed > 20 && old > 10 && new > 0, "{killed} killed, {old} old, {new} new");
}

#[test]
fn what_is_refused() {
    let built = with_artifacts();
    let dir = scratch();
    let foreign = dir.path().join("foreign");
    fs::create_dir(&foreign).expect("create");
    fs::create_dir(foreign.join("System Volume Information")).expect("create");
    fs::write(foreign.join("holiday.jpg"), "x").expect("write");
    let said = export(&built, &foreign, &[]);
    assert!(code(&said) == 6 && text(&said.stderr).contains("holiday.jpg"), "{}", text(&said.stderr));
    fs::remove_file(foreign.join("holiday.jpg")).expect("remove");
    assert_eq!(code(&export(&built, &foreign, &[])), 0);
    // One host: its bundle, what it needs, the pages.
    let one = dir.path().join("one");
    assert_eq!(code(&export(&built, &one, &["--host", "k8sworker1"])), 0);
    let taken = dir.path().join("taken");
    assert_eq!(code(&import(&one, &taken)), 0);
    let names = |path: &str| {
        let mut names: Vec<String> = fs::read_dir(taken.join(path))
            .expect("folder")
            .map(|e| e.expect("entry").file_name().into_string().expect("utf-8"))
            .collect();
        names.sort();
        names
    };
    assert_eq!(names("bundles"), ["k8sworker1.isociel.com.tar.gz"]);
    assert!(names("packages").len() == 2 && !names("packages").iter().any(|n| n.ends_with("-etcd")));
    let said = export(&built, &one, &["--host", "nobody"]);
    assert!(code(&said) == 64 && text(&said.stderr).contains("nobody"), "{}", text(&said.stderr));
    // An output that is none, or damaged: by name, and the medium stays as it was.
    let said =
        khagen().arg("export").arg(&one).arg("--from").arg(dir.path().join("no")).output().expect("khagen");
    assert_eq!(code(&said), 6);
    let tarball = built.out().join("bundles/k8sworker1.isociel.com.tar.gz");
    let mut bytes = fs::read(&tarball).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&tarball, bytes).expect("write");
    let said = export(&built, &dir.path().join("fresh"), &[]);
    assert!(
        code(&said) == 4 && text(&said.stderr).contains("k8sworker1.isociel.com.tar.gz"),
        "{}",
        text(&said.stderr)
    );
    let _ = fs::remove_dir_all(&taken);
    assert_eq!(code(&import(&one, &taken)), 0);
    // A part that the medium lost a bit of is written anew by the next export, which says where.
    let part =
        fs::read_dir(foreign.join("packages")).expect("packages").next().expect("one").expect("entry").path();
    let mut bytes = fs::read(&part).expect("read");
    bytes[0] ^= 1;
    fs::write(&part, bytes).expect("write");
    built.build();
    fs::remove_file(&tarball).expect("remove");
    built.build();
    let said = export(&built, &foreign, &[]);
    let name = part.file_name().and_then(|n| n.to_str()).expect("a name");
    assert!(code(&said) == 4 && text(&said.stderr).contains(name), "{}", text(&said.stderr));
    assert_eq!(code(&export(&built, &foreign, &[])), 0);
    let _ = fs::remove_dir_all(&taken);
    assert_eq!(code(&import(&foreign, &taken)), 0);
}

/// The table that a check has before anything is rendered, against what is rendered.
#[test]
fn the_table_of_paths_is_what_bundles_hold() {
    use std::collections::BTreeSet;
    for name in ["inventory", "compact", "dual-stack", "external-ca"] {
        let built = support::built(name);
        let inventory = support::understood(&built.inventory());
        let mut written: BTreeSet<String> = BTreeSet::new();
        let mut tabled: BTreeSet<String> = BTreeSet::new();
        for cluster in &inventory.clusters {
            for host in &cluster.hosts {
                let own: BTreeSet<String> = khagen::plan::paths::of_host(cluster, host).into_iter().collect();
                let users: BTreeSet<&str> = host.files.iter().map(|f| f.path.as_str()).collect();
                let found = built.bundle(&host.fqdn);
                let found =
                    found.iter().filter(|(_, e)| !e.folder).filter_map(|(path, _)| path.strip_prefix("root"));
                for path in found.filter(|p| !users.contains(p)) {
                    assert!(own.contains(path), "{name}: {}: {path} is not in the table", host.fqdn);
                    written.insert(path.to_owned());
                }
                tabled.extend(own);
            }
        }
        // What a setting of this inventory turns off.
        let off =
            ["/etc/sysctl.d/95-khagen-user.conf", "/etc/kubernetes/patches/kubeletconfiguration+merge.yaml"];
        let more: Vec<&String> = tabled.difference(&written).filter(|p| !off.contains(&p.as_str())).collect();
        assert!(more.is_empty(), "{name}: nobody writes {more:?}");
    }
}

#[test]
fn the_import_script_is_plain_sh() {
    let script = root().join("templates/scripts/import.sh");
    let said = fs::read_to_string(&script).expect("read");
    assert!(said.starts_with("#!/bin/sh\n") && !said.contains("shellcheck disable"));
    // Every way out is finish; awk programs may end as they like.
    let exits = said
        .lines()
        .filter(|l| l.trim_start().starts_with("exit ") || l.contains("; exit ") || l.contains("then exit "));
    assert_eq!(exits.count(), 2, "finish, and the trap");
    if can("shellcheck of import.sh", &[Need::Program("shellcheck")]) {
        let out = Command::new("shellcheck").arg(&script).output().expect("shellcheck");
        assert!(out.status.success(), "{}", text(&out.stdout));
    }
}
