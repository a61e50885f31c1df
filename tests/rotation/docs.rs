//! docs/rotation.md: each command that it names is run as it stands there.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::support::{Need, can, khagen, oracle, root, run, text};
use super::{Place, said};

/// The page's commands, in order.
fn commands() -> Vec<String> {
    let page = fs::read_to_string(root().join("docs/rotation.md")).expect("the page");
    page.lines().filter_map(|l| l.strip_prefix("    ")).map(str::to_owned).collect()
}

fn shell(dir: &Path, script: &str) -> std::process::Output {
    let program = Path::new(khagen().get_program()).parent().expect("a folder").to_owned();
    let path = format!(
        "{}:{}:{}",
        dir.join("bin").display(),
        program.display(),
        std::env::var("PATH").expect("PATH")
    );
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", script]).current_dir(dir).env("PATH", path).env("HOME", dir);
    command.env_remove("KHAGEN_IDENTITY").env("NO_COLOR", "1").output().expect("bash")
}

#[test]
fn every_command_of_the_page() {
    let needs = [Need::Oracle, Need::Namespaces, Need::Program("git"), Need::Program("openssl")];
    if !can("the commands of docs/rotation.md", &needs) {
        return;
    }
    let place = Place::running("inventory");
    let dir = place.dir.path();
    place.ends(&["build", "-q"], 0);
    let git = |args: &[&str]| {
        let settings =
            ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"];
        run(Command::new("git").args(settings).args(args).current_dir(dir))
    };
    git(&["init", "-q"]);
    git(&["add", "-A"]);
    git(&["commit", "-qm", "before"]);
    let mut ran = 0;
    let all = commands();
    // Those of khagen, as they are.
    for line in all.iter().filter(|l| l.starts_with("khagen ")) {
        let out = shell(dir, line);
        let expected = if line.contains(" --diff") || line.contains(" diff ") { 2 } else { 0 };
        assert_eq!(out.status.code(), Some(expected), "{line}: {}", said(&out));
        ran += 1;
    }
    assert!(place.ends(&["pki", "list"], 0).contains("ca/etcd.next"));
    assert!(place.at("steps").exists());

    // Those for nodes and the bastion: with a node's files, which kubeadm makes, and a cluster that is not there.
    let bin = place.at("bin");
    fs::create_dir(&bin).expect("create");
    let stand_in = |name: &str, text: &str| {
        fs::write(bin.join(name), format!("#!/bin/bash\n{text}\n")).expect("write");
        run(Command::new("chmod").arg("+x").arg(bin.join(name)));
    };
    stand_in("systemctl", "echo \"$@\" >>systemctl.log");
    stand_in(
        "kubectl",
        "echo \"$@\" >>kubectl.log; case \" $* \" in *' get '*) cat cluster-info;; *' replace '*) cat >replaced;; esac",
    );
    let bundles = place.unpacked(&place.at("stage0"), &["k8smaster1", "operator"]);
    let kubernetes = |stage: &Path| stage.join("k8smaster1.isociel.com/root/etc/kubernetes");
    let kubeadm = |stage: &Path, arguments: &str| {
        let own = kubernetes(stage);
        let both = ["kubeadm-node.yaml", "kubeadm-cluster.yaml"]
            .map(|f| fs::read_to_string(own.join(f)).expect("read"));
        fs::write(own.join("both.yaml"), both.join("---\n")).expect("write");
        let program = oracle().expect("probed").join("kubeadm");
        format!(
            "{} --rootfs {} {arguments}",
            program.display(),
            stage.join("k8smaster1.isociel.com/root").display()
        )
    };
    // A node that joined before the rotation.
    run(Command::new("bash").args([
        "-c",
        &kubeadm(&bundles, "init phase kubeconfig kubelet --config /etc/kubernetes/both.yaml"),
    ]));
    let node = place.at("node");
    fs::create_dir(&node).expect("create");
    fs::copy(kubernetes(&bundles).join("kubelet.conf"), node.join("kubelet.conf")).expect("copy");
    fs::write(
        place.at("cluster-info"),
        format!("data:\n  kubeconfig: |\n{}", fs::read_to_string(node.join("kubelet.conf")).expect("read")),
    )
    .expect("write");
    place.advance(&["ca/kubernetes"]);
    let one = place.unpacked(&place.at("stage1"), &["k8smaster1", "operator"]);
    place.advance(&["ca/kubernetes"]);
    let two = place.unpacked(&place.at("stage2"), &["k8smaster1", "operator"]);
    fs::create_dir(node.join("pki")).expect("create");
    fs::copy(kubernetes(&one).join("pki/ca.crt"), node.join("pki/ca.crt")).expect("copy");
    fs::copy(one.join("operator/admin.conf"), place.at("admin.conf")).expect("copy");
    let trusts = |config: &str| {
        let line =
            config.lines().find_map(|l| l.trim().strip_prefix("certificate-authority-data: ")).expect("a CA");
        fs::write(place.at("coded"), line.trim_matches('"')).expect("write");
        let ca = run(Command::new("openssl").args(["base64", "-d", "-A", "-in"]).arg(place.at("coded")));
        fs::write(place.at("ca"), ca).expect("write");
        [&bundles, &one, &two].map(|stage| {
            let leaf = kubernetes(stage).join("pki/apiserver.crt");
            let out =
                Command::new("openssl").args(["verify", "-CAfile"]).arg(place.at("ca")).arg(leaf).output();
            out.expect("openssl").status.success()
        })
    };
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert_eq!(trusts(&read(&node.join("kubelet.conf"))), [true, true, false]);
    assert_eq!(trusts(&read(&place.at("cluster-info"))), [true, true, false]);
    for line in all.iter().filter(|l| !l.starts_with("khagen ")) {
        let line = match line.strip_prefix("kubeadm ") {
            Some(arguments) => kubeadm(&two, arguments),
            None => line.replace("/etc/kubernetes", &node.display().to_string()),
        };
        let out = shell(dir, &line);
        assert!(out.status.success(), "{line}: {}", said(&out));
        ran += 1;
    }
    assert_eq!(ran, all.len());
    assert_eq!(trusts(&read(&node.join("kubelet.conf"))), [true; 3]);
    assert_eq!(trusts(&read(&place.at("replaced"))), [true; 3]);
    assert_eq!(read(&place.at("systemctl.log")), "restart kubelet.service\n");
    // kubeadm's kubeconfig for a node: a certificate that the new CA signed, and only that one is trusted.
    let config = read(&place.at("kubelet.conf"));
    assert_eq!(trusts(&config), [false, false, true]);
    let line = config
        .lines()
        .find_map(|l| l.trim().strip_prefix("client-certificate-data: "))
        .expect("a certificate");
    fs::write(place.at("coded"), line).expect("write");
    let leaf = run(Command::new("openssl").args(["base64", "-d", "-A", "-in"]).arg(place.at("coded")));
    fs::write(place.at("leaf"), leaf).expect("write");
    let signing = kubernetes(&two).join("pki/ca-signing.crt");
    run(Command::new("openssl").args(["verify", "-CAfile"]).arg(signing).arg(place.at("leaf")));
    let subject =
        run(Command::new("openssl").args(["x509", "-noout", "-subject", "-in"]).arg(place.at("leaf")));
    assert!(
        subject.contains("system:nodes") && subject.contains("system:node:k8sworker1.isociel.com"),
        "{subject}"
    );
    assert!(
        text(&fs::read(place.at("kubectl.log")).expect("read"))
            .contains("extension-apiserver-authentication")
    );
}
