//! Laws of the build: same inventory and same store give the same bytes, whoever builds, wherever and whenever; a change
//! reaches what follows from it and nothing else.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use support::{Need, built, can, copy_tree, khagen, scratch, text, tree};

/// Everything of an output but what the last build replaced.
fn output(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = tree(dir);
    files.retain(|path, _| !path.starts_with(".previous/"));
    files
}

#[test]
fn another_machine_builds_the_same_bytes() {
    let first = built("inventory");
    let reference = output(&first.out());
    assert!(reference.len() > 50, "{} files", reference.len());

    // Another folder, time zone, language, umask, number of cores, day, and order of files.
    let other = scratch();
    let inventory = other.path().join("elsewhere");
    fs::create_dir(&inventory).expect("create");
    let mut names: Vec<_> =
        fs::read_dir(first.inventory()).expect("read").map(|e| e.expect("entry").path()).collect();
    names.sort();
    names.reverse();
    for path in names {
        copy_tree(&path, &inventory.join(path.file_name().expect("name")));
    }
    let script = "umask 077; exec \"$0\" build elsewhere -o there";
    let mut command = std::process::Command::new("sh");
    command
        .args(["-c", script, env!("CARGO_BIN_EXE_khagen")])
        .current_dir(other.path())
        .env("TZ", "Pacific/Kiritimati")
        .env("LANG", "tr_TR.UTF-8")
        .env("LC_ALL", "tr_TR.UTF-8")
        .env("RAYON_NUM_THREADS", "7")
        .env("SOURCE_DATE_EPOCH", (now() + 40 * 86_400).to_string());
    if can("a build by another user", &[Need::Program("setpriv")]) && is_root() {
        let _ = std::process::Command::new("chown").args(["-R", "65534:65534"]).arg(other.path()).status();
        command = {
            let mut as_other = std::process::Command::new("setpriv");
            as_other.args(["--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c", script]);
            // The binary may lie where nobody else can enter.
            let copy = other.path().join("khagen");
            fs::copy(env!("CARGO_BIN_EXE_khagen"), &copy).expect("copy");
            fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).expect("mode");
            fs::set_permissions(other.path(), fs::Permissions::from_mode(0o755)).expect("mode");
            let _ = std::process::Command::new("chown").arg("65534:65534").arg(other.path()).status();
            as_other.arg("./khagen").current_dir(other.path()).env_clear().env("TZ", "Pacific/Kiritimati");
            as_other.env("LC_ALL", "tr_TR.UTF-8").env("RAYON_NUM_THREADS", "7").env("PATH", "/usr/bin:/bin");
            as_other.env("SOURCE_DATE_EPOCH", (now() + 40 * 86_400).to_string());
            as_other
        };
    }
    support::run(&mut command);
    compare(&reference, &output(&other.path().join("there")));
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0)
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs()
}

fn compare(a: &BTreeMap<String, Vec<u8>>, b: &BTreeMap<String, Vec<u8>>) {
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    for (path, bytes) in a {
        assert!(bytes == &b[path], "{path} differs");
    }
}

#[test]
fn an_unchanged_build_writes_nothing() {
    let b = built("inventory");
    let stat = |dir: &Path| -> BTreeMap<String, (u64, i64, i64, i64)> {
        walkdir::WalkDir::new(dir)
            .into_iter()
            .map(|e| e.expect("entry"))
            .map(|e| {
                let m = e.metadata().expect("metadata");
                (e.path().display().to_string(), (m.ino(), m.mtime_nsec(), m.ctime(), m.ctime_nsec()))
            })
            .collect()
    };
    let before = stat(b.dir.path());
    let said = text(&b.build().stdout);
    assert!(said.contains("nothing changed, nothing written"), "{said}");
    assert_eq!(before, stat(b.dir.path()));
    let dry = khagen()
        .arg("build")
        .arg(b.inventory())
        .arg("-o")
        .arg(b.out())
        .arg("--dry-run")
        .output()
        .expect("khagen");
    assert_eq!(dry.status.code(), Some(0), "{}", text(&dry.stdout));
    assert_eq!(before, stat(b.dir.path()));
}

#[test]
fn yaml_and_toml_say_the_same() {
    let yaml = built("inventory");
    let toml = support::Built { dir: scratch() };
    support::copy_inventory(&support::root().join("tests/inventories/eleven-toml"), &toml.inventory());
    copy_tree(&yaml.inventory().join("secrets"), &toml.inventory().join("secrets"));
    toml.build();
    compare(&output(&yaml.out()), &output(&toml.out()));
}

#[test]
fn a_new_worker_changes_no_other_hosts_bundle() {
    let b = built("inventory");
    let before = tree(&b.out().join("bundles"));
    append_host(&b.inventory(), "  - {name: k8sworker4, address: 192.168.13.68, roles: [worker]}\n");
    let said = text(&b.build().stdout);
    let after = tree(&b.out().join("bundles"));
    assert_eq!(after.len(), before.len() + 1, "{said}");
    for (name, bytes) in &before {
        if name != "operator.tar.gz" {
            assert!(bytes == &after[name], "{name} changed:\n{said}");
        }
    }
}

#[test]
fn a_new_host_changes_no_other_hosts_key() {
    for roles in ["etcd", "control-plane", "load-balancer", "worker"] {
        let b = built("inventory");
        let keys = |dir: &Path| -> BTreeMap<String, Vec<u8>> {
            tree(&dir.join("secrets/objects"))
                .into_iter()
                .filter(|(p, _)| p.contains("isociel.com"))
                .collect()
        };
        let before = keys(&b.inventory());
        append_host(
            &b.inventory(),
            &format!("  - {{name: newcomer, address: 192.168.13.99, roles: [{roles}]}}\n"),
        );
        let out = khagen().arg("build").arg(b.inventory()).arg("-o").arg(b.out()).output().expect("khagen");
        assert!(out.status.success(), "{roles}: {}", text(&out.stderr));
        let after = keys(&b.inventory());
        let secret = |path: &str| path.ends_with("key.pem") || path.ends_with("secret");
        for (path, bytes) in before.iter().filter(|(p, _)| secret(p)) {
            // A balancer's name and address stand in every API server's certificate, so those are issued again.
            if roles == "load-balancer" && path.starts_with("apiserver/") {
                continue;
            }
            assert!(after.get(path) == Some(bytes), "adding a {roles} changed {path}");
        }
    }
}

fn append_host(inventory: &Path, line: &str) {
    let path = inventory.join("hosts.yaml");
    let mut text = fs::read_to_string(&path).expect("hosts.yaml");
    text.push_str(line);
    fs::write(&path, text).expect("write");
}

#[test]
fn going_back_to_an_earlier_inventory_changes_only_what_it_must() {
    let b = built("inventory");
    let before = tree(&b.out().join("review"));
    let path = b.inventory().join("hosts.yaml");
    let original = fs::read_to_string(&path).expect("read");
    append_host(&b.inventory(), "  - {name: k8sworker4, address: 192.168.13.68, roles: [worker]}\n");
    b.build();
    fs::write(&path, original).expect("write");
    b.build();
    compare(&before, &tree(&b.out().join("review")));
    assert!(!b.out().join("bundles/k8sworker4.isociel.com.tar.gz").exists());
}

#[test]
fn entries_are_sorted_owned_by_root_and_of_one_time() {
    let b = built("inventory");
    for host in b.hosts() {
        let entries = b.bundle(&host);
        for (path, e) in &entries {
            assert_eq!((e.uid, e.gid, e.mtime), (0, 0, 315_532_800), "{host}: {path}");
            let is_secret = path.ends_with(".key") || path.ends_with(".conf") && path.contains("kubernetes/");
            if is_secret {
                assert_eq!(e.mode, 0o600, "{host}: {path}");
            }
        }
        let tarball = b.out().join(format!("bundles/{host}.tar.gz"));
        let listed = support::run(std::process::Command::new("tar").arg("-tzf").arg(&tarball));
        let names: Vec<&str> = listed.lines().collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        assert_eq!(names, sorted, "{host}");
        let mode = fs::metadata(&tarball).expect("metadata").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{host}");
        // The host checks itself with stock tools.
        let dir = scratch();
        let folder = support::unpack_to(&tarball, dir.path());
        support::run(
            std::process::Command::new("sha256sum").args(["-c", "--quiet", "SHA256SUMS"]).current_dir(folder),
        );
    }
    support::run(
        std::process::Command::new("sha256sum").args(["-c", "--quiet", "SHA256SUMS"]).current_dir(b.out()),
    );
}

#[test]
fn no_socket_is_opened() {
    if !can("a build that may not open sockets", &[Need::Program("strace")]) {
        return;
    }
    let dir = scratch();
    let inventory = dir.path().join("inventory");
    support::copy_inventory(&support::root().join("inventory"), &inventory);
    // Every socket call is answered with "not permitted", and the build passes all the same.
    let trace = dir.path().join("trace");
    let out = std::process::Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=%network", "-e", "inject=%network:error=EPERM", "-o"])
        .arg(&trace)
        .arg(env!("CARGO_BIN_EXE_khagen"))
        .arg("build")
        .arg(&inventory)
        .arg("-o")
        .arg(dir.path().join("out"))
        .output()
        .expect("strace");
    assert!(out.status.success(), "{}", text(&out.stderr));
    let calls = fs::read_to_string(&trace).expect("trace");
    assert!(!calls.contains("socket("), "{calls}");
}
