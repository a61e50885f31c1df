//! docs/rotation.md: each command that it names is run as it stands there.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::support::{Need, can, khagen, root, run, text};
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
    if !can("the commands of docs/rotation.md", &[Need::Program("git")]) {
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

    // Those for the bastion, to a cluster that is not there.
    let bin = place.at("bin");
    fs::create_dir(&bin).expect("create");
    fs::write(bin.join("kubectl"), "#!/bin/bash\necho \"$@\" >>kubectl.log\n").expect("write");
    run(Command::new("chmod").arg("+x").arg(bin.join("kubectl")));
    for line in all.iter().filter(|l| !l.starts_with("khagen ")) {
        let out = shell(dir, line);
        assert!(out.status.success(), "{line}: {}", said(&out));
        ran += 1;
    }
    assert_eq!(ran, all.len());
    assert!(
        text(&fs::read(place.at("kubectl.log")).expect("read"))
            .contains("delete configmap extension-apiserver-authentication")
    );
}
