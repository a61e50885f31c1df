//! Old or new, never half: builds that fail, are killed, or meet something strange leave the former output as it was.

mod support;

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use support::{built, khagen, scratch, text, tree};

#[test]
fn an_invalid_inventory_writes_nothing() {
    let dir = scratch();
    let inventory = dir.path().join("inventory");
    support::copy_inventory(&support::root().join("inventory"), &inventory);
    let path = inventory.join("cluster.yaml");
    let broken = fs::read_to_string(&path).expect("read").replace("podSubnet:", "podSubnets:");
    fs::write(&path, broken).expect("write");
    let before = tree(dir.path());
    let out = khagen().current_dir(dir.path()).arg("build").output().expect("khagen");
    assert_eq!(out.status.code(), Some(3), "{}", text(&out.stderr));
    assert!(text(&out.stderr).contains("podSubnets"), "{}", text(&out.stderr));
    assert_eq!(tree(dir.path()), before);
    assert!(!dir.path().join("out").exists());
}

#[test]
fn a_foreign_folder_is_refused() {
    let b = built("inventory");
    let foreign = b.dir.path().join("foreign");
    fs::create_dir(&foreign).expect("create");
    fs::write(foreign.join("thesis.txt"), "years of work").expect("write");
    let out = khagen().arg("build").arg(b.inventory()).arg("-o").arg(&foreign).output().expect("khagen");
    assert_eq!(out.status.code(), Some(1), "{}", text(&out.stderr));
    assert!(text(&out.stderr).contains("was not written by khagen"), "{}", text(&out.stderr));
    assert_eq!(tree(&foreign).len(), 1);
}

#[test]
fn an_output_without_its_store_stops_the_build() {
    let b = built("inventory");
    let before = tree(&b.out());
    fs::rename(b.inventory().join("secrets"), b.dir.path().join("elsewhere")).expect("rename");
    let out = khagen().arg("build").arg(b.inventory()).arg("-o").arg(b.out()).output().expect("khagen");
    assert_eq!(out.status.code(), Some(4), "{}", text(&out.stderr));
    assert!(text(&out.stderr).contains("another CA"), "{}", text(&out.stderr));
    assert_eq!(tree(&b.out()), before);
    assert!(!b.inventory().join("secrets").exists(), "no new CA was made");
}

#[test]
fn a_damaged_key_is_named_and_nothing_is_replaced() {
    let b = built("inventory");
    let before = tree(&b.out());
    let key = b.inventory().join("secrets/objects/ca/kubernetes/key.pem");
    let other = b.inventory().join("secrets/objects/ca/front-proxy/key.pem");
    fs::copy(&other, &key).expect("copy");
    // Something must be packed for keys to be read at all.
    let hosts = b.inventory().join("hosts.yaml");
    let text_ = fs::read_to_string(&hosts).expect("read")
        + "  - {name: k8smaster4, address: 192.168.13.64, roles: [control-plane]}\n";
    fs::write(&hosts, text_).expect("write");
    let out = khagen().arg("build").arg(b.inventory()).arg("-o").arg(b.out()).output().expect("khagen");
    assert_eq!(out.status.code(), Some(4), "{}", text(&out.stderr));
    assert!(text(&out.stderr).contains("ca/kubernetes"), "{}", text(&out.stderr));
    assert_eq!(tree(&b.out()), before);
}

#[test]
fn a_killed_build_leaves_old_or_new() {
    let b = built("inventory");
    let old = tree(&b.out());
    let hosts = b.inventory().join("hosts.yaml");
    let original = fs::read_to_string(&hosts).expect("read");
    for delay in (0..60).step_by(3) {
        // Everything changes: every host gets a sysctl.
        fs::write(&hosts, format!("defaults: {{sysctls: {{vm.swappiness: \"{delay}\"}}}}\n{original}"))
            .expect("write");
        let mut child = khagen()
            .arg("build")
            .arg(b.inventory())
            .arg("-o")
            .arg(b.out())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("spawn");
        std::thread::sleep(Duration::from_millis(delay));
        let _ = child.kill();
        let _ = child.wait();
        // Whatever comes next finishes or discards it, and the result is whole.
        b.build();
        let sums = Command::new("sha256sum")
            .args(["-c", "--quiet", "SHA256SUMS"])
            .current_dir(b.out())
            .status()
            .expect("run");
        assert!(sums.success(), "killed after {delay} ms");
        assert!(!b.out().join(".khagen").exists());
    }
    fs::write(&hosts, original).expect("write");
    b.build();
    let strip = |mut t: std::collections::BTreeMap<String, Vec<u8>>| {
        t.retain(|p, _| p.starts_with("review/"));
        t
    };
    assert_eq!(strip(old), strip(tree(&b.out())));
}

#[test]
fn a_link_and_a_folder_with_only_lost_and_found_are_outputs() {
    let b = built("inventory");
    let real = b.dir.path().join("real");
    fs::create_dir_all(real.join("lost+found")).expect("create");
    let link = b.dir.path().join("link");
    std::os::unix::fs::symlink(&real, &link).expect("link");
    let out = khagen().arg("build").arg(b.inventory()).arg("-o").arg(&link).output().expect("khagen");
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert!(link.symlink_metadata().expect("metadata").is_symlink());
    assert!(real.join("BUILD.json").exists());
}

#[test]
fn replaced_files_are_kept() {
    let b = built("inventory");
    let hosts = b.inventory().join("hosts.yaml");
    let old = fs::read(b.out().join("bundles/operator.tar.gz")).expect("read");
    let text_ = fs::read_to_string(&hosts).expect("read")
        + "  - {name: k8sworker4, address: 192.168.13.68, roles: [worker]}\n";
    fs::write(&hosts, text_).expect("write");
    b.build();
    assert_eq!(fs::read(b.out().join(".previous/bundles/operator.tar.gz")).expect("kept"), old);
}

#[test]
fn the_output_of_a_cluster_that_is_gone_is_named() {
    let dir = scratch();
    let (inventory, out) = (dir.path().join("inventory"), dir.path().join("out"));
    for (cluster, third) in [("east", "20"), ("west", "30")] {
        let net = |host: &str| format!("192.168.{third}.{host}");
        let (vip, hosts) = (format!("{}/24", net("10")), [net("11"), net("12"), net("13")].join(","));
        support::run(
            khagen()
                .args([
                    "init",
                    "--name",
                    cluster,
                    "--domain",
                    &format!("{cluster}.example.com"),
                    "--vip",
                    &vip,
                ])
                .args(["--interface", "eth0", "--compact", "--no-recipient", "--control-plane", &hosts])
                .arg(inventory.join(cluster))
                .stdin(std::process::Stdio::null()),
        );
    }
    let build = || {
        let built = khagen().arg("build").arg(&inventory).arg("-o").arg(&out).output().expect("khagen");
        assert!(built.status.success(), "{}", text(&built.stderr));
        text(&built.stderr)
    };
    let said = build();
    assert!(!said.contains("the output of a cluster"), "{said}");
    let before = tree(&out.join("west"));

    fs::rename(inventory.join("west"), dir.path().join("west")).expect("rename");
    for _ in 0..2 {
        let said = build();
        let named = format!("warning: {} is the output of a cluster", out.join("west").display());
        assert_eq!(said.matches("the output of a cluster").count(), 1, "{said}");
        assert!(said.contains(&named), "{said}");
    }
    assert_eq!(tree(&out.join("west")), before);

    // From a folder of clusters to one cluster alone: the other way round.
    fs::create_dir(dir.path().join("kept")).expect("create");
    fs::rename(out.join("west"), dir.path().join("kept/west")).expect("rename");
    let said = build();
    assert!(!said.contains("the output of a cluster"), "{said}");
}
