//! `khagen init`: what it writes checks without a warning and builds, from every source; nothing is ever overwritten.

mod support;

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use support::{Need, can, khagen, run, scratch, text, tree};

const ELEVEN: &str = "\
# name address roles
k8setcd1.isociel.com    192.168.13.35  etcd
k8setcd2.isociel.com    192.168.13.36  etcd
k8setcd3.isociel.com    192.168.13.37  etcd
k8svrrp1.isociel.com    192.168.13.71  load-balancer
k8svrrp2.isociel.com    192.168.13.72  load-balancer
k8smaster1.isociel.com  192.168.13.61  control-plane
k8smaster2.isociel.com  192.168.13.62  control-plane
k8smaster3.isociel.com  192.168.13.63  control-plane
k8sworker1.isociel.com  192.168.13.65  worker
k8sworker2.isociel.com  192.168.13.66  worker
k8sworker3.isociel.com  192.168.13.67  worker
";

const ANSIBLE: &str = "\
[kube_control_plane]
node1.lab.example.com ansible_host=10.1.0.11
node2.lab.example.com ansible_host=10.1.0.12
node3.lab.example.com ansible_host=10.1.0.13
[etcd:children]
kube_control_plane
[kube_node]
node4.lab.example.com ansible_host=198.51.100.14 ip=10.1.0.14 ansible_port=2222
[all:vars]
ansible_user=ops
";

const COMPACT: [&str; 11] = [
    "--name",
    "lab",
    "--domain",
    "lab.example.com",
    "--vip",
    "192.168.20.10/24",
    "--interface",
    "eth0",
    "--compact",
    "--control-plane",
    "192.168.20.11,192.168.20.12,192.168.20.13",
];

/// A user with an ssh key, in a folder of their own.
fn user(dir: &Path) {
    fs::create_dir_all(dir.join(".ssh")).expect("create");
    let key = dir.join(".ssh/id_ed25519");
    run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "me@desk", "-f"]).arg(key));
}

fn init(dir: &Path, args: &[&str]) -> Output {
    let mut command = khagen();
    command.arg("init").args(args).current_dir(dir).env("HOME", dir).stdin(Stdio::null());
    command.output().expect("khagen")
}

/// The inventory has no finding at all, builds, and the second build needs nothing.
#[track_caller]
fn is_clean(dir: &Path, hosts: usize) {
    let khagen = |args: &[&str]| {
        let out = khagen().args(args).current_dir(dir).env("HOME", dir).output().expect("khagen");
        assert!(out.status.success(), "{args:?}: {}{}", text(&out.stdout), text(&out.stderr));
        out
    };
    let out = khagen(&["check", "--strict"]);
    assert_eq!(text(&out.stderr), "no findings\n", "{}", text(&out.stdout));
    khagen(&["build", "--strict", "--quiet"]);
    let bundles = fs::read_dir(dir.join("out/bundles")).expect("bundles").count();
    // One for each host, one for the operator.
    assert_eq!(bundles, hosts + 1);
    khagen(&["build", "--dry-run"]);
}

#[test]
fn three_hosts_from_arguments_in_both_formats() {
    let mut shown = Vec::new();
    for format in ["yaml", "toml"] {
        let dir = scratch();
        user(dir.path());
        let mut args = COMPACT.to_vec();
        args.extend(["--format", format]);
        let out = init(dir.path(), &args);
        assert_eq!(out.status.code(), Some(0), "{}{}", text(&out.stdout), text(&out.stderr));
        assert_eq!(
            text(&out.stdout),
            format!("inventory/cluster.{format}\ninventory/hosts.{format}\ninventory/schema.json\n")
        );
        is_clean(dir.path(), 3);
        let store = fs::read_dir(dir.path().join("inventory/secrets")).expect("a store").count();
        assert!(store > 0);
        let show =
            khagen().args(["show", "--format", "json"]).current_dir(dir.path()).output().expect("khagen");
        let mut value: serde_json::Value = serde_json::from_str(&text(&show.stdout)).expect("JSON");
        // Places differ, and so do keys.
        value["clusters"][0]["settings"] = serde_json::Value::Null;
        shown.push(value);
    }
    assert_eq!(shown[0], shown[1]);
}

#[test]
fn eleven_hosts_from_a_list() {
    let dir = scratch();
    fs::write(dir.path().join("hosts.txt"), ELEVEN).expect("write");
    let out = init(
        dir.path(),
        &[
            "--hosts",
            "hosts.txt",
            "--name",
            "k8s",
            "--vip",
            "192.168.13.70/24",
            "--interface",
            "ens33",
            "--no-recipient",
        ],
    );
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    is_clean(dir.path(), 11);
    let cluster = fs::read_to_string(dir.path().join("inventory/cluster.yaml")).expect("read");
    for line in [
        "domain: isociel.com",
        "virtualRouterId: 70",
        "port: 6443",
        "controlPlaneEndpoint: \"api.isociel.com:6443\"",
    ] {
        assert!(cluster.contains(line), "{line}: {cluster}");
    }
}

#[test]
fn hosts_of_ansible() {
    let dir = scratch();
    fs::write(dir.path().join("hosts.ini"), ANSIBLE).expect("write");
    let out = init(
        dir.path(),
        &["--ansible", "hosts.ini", "--name", "k8s", "--vip", "10.1.0.10/24", "--interface", "eth0"],
    );
    let said = text(&out.stderr);
    assert_eq!(out.status.code(), Some(0), "{said}");
    assert!(said.contains("no host has the role load-balancer; the control planes get it"), "{said}");
    is_clean(dir.path(), 4);
    let hosts = fs::read_to_string(dir.path().join("inventory/hosts.yaml")).expect("read");
    assert!(hosts.contains("ssh: {address: 198.51.100.14, user: ops, port: 2222}"), "{hosts}");
}

#[test]
fn without_a_terminal_what_is_missing_is_named() {
    let dir = scratch();
    let out = init(dir.path(), &["--name", "x", "--control-plane", "10.0.0.1,10.0.0.2,10.0.0.3"]);
    assert_eq!(out.status.code(), Some(64));
    let said = text(&out.stderr);
    assert!(said.contains("missing: --domain, --etcd, --load-balancer\n"), "{said}");
    assert!(said.contains("--compact"), "{said}");
    let out = init(dir.path(), &["--etcd", "nowhere"]);
    assert_eq!(out.status.code(), Some(64));
    assert!(
        text(&out.stderr).contains("`nowhere` is no address; write NAME=ADDRESS"),
        "{}",
        text(&out.stderr)
    );
    assert!(tree(dir.path()).is_empty());
}

#[test]
fn nothing_is_overwritten_and_nothing_is_left_half() {
    let dir = scratch();
    fs::create_dir(dir.path().join("inventory")).expect("create");
    fs::write(dir.path().join("inventory/mine"), "x").expect("write");
    let before = tree(dir.path());
    let out = init(dir.path(), &COMPACT);
    assert_eq!(out.status.code(), Some(6), "{}", text(&out.stderr));
    assert!(
        text(&out.stderr).contains("inventory is not empty; nothing was written"),
        "{}",
        text(&out.stderr)
    );
    assert_eq!(tree(dir.path()), before);
    fs::remove_dir_all(dir.path().join("inventory")).expect("remove");

    let mut args = COMPACT.to_vec();
    args[1] = "No_Name";
    let out = init(dir.path(), &args);
    let said = text(&out.stderr);
    assert_eq!(out.status.code(), Some(3), "{said}");
    assert!(said.contains("KH0201") && said.contains("inventory/cluster.yaml:"), "{said}");
    assert!(tree(dir.path()).is_empty());

    // An empty folder is as good as none.
    fs::create_dir(dir.path().join("inventory")).expect("create");
    assert_eq!(init(dir.path(), &COMPACT).status.code(), Some(0));
    assert_eq!(init(dir.path(), &COMPACT).status.code(), Some(6));
}

/// Runs `khagen init` on a terminal of so many columns, with these keys. Returns its exit code and what stood there.
fn dialogue(dir: &Path, columns: u32, args: &str, keys: &str) -> (Option<i32>, String) {
    let line = format!("stty rows 30 cols {columns}; '{}' init {args}", env!("CARGO_BIN_EXE_khagen"));
    let mut child = Command::new("timeout")
        .args(["120", "script", "-qec", &line, "/dev/null"])
        .current_dir(dir)
        .env("HOME", dir)
        .env("NO_COLOR", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(keys.as_bytes()).expect("write");
    let out = child.wait_with_output().expect("script");
    drop(stdin);
    (out.status.code(), text(&out.stdout).replace('\r', ""))
}

const DIALOGUE: [Need; 2] = [Need::Program("script"), Need::Program("stty")];

#[test]
fn the_dialogue_on_a_terminal() {
    if !can("the dialogue of init", &DIALOGUE) {
        return;
    }
    let dir = scratch();
    user(dir.path());
    // What cannot be used is asked for again.
    let answers = [
        "",
        "lab.example.com",
        "node1",
        "10.0.0.1, 10.0.0.2, b=10.0.0.3",
        "",
        "",
        "",
        "10.0.0.2/24",
        "10.0.0.9/24",
        "eth0",
        "1.36",
        "",
    ];
    let (code, screen) = dialogue(dir.path(), 80, "", &(answers.join("\n") + "\n"));
    assert_eq!(code, Some(0), "{screen}");
    for words in [
        "Enter alone takes what stands in brackets",
        "Name of the cluster [k8s]: ",
        "  `node1` is no address; write NAME=ADDRESS",
        "  cp1 10.0.0.1, cp2 10.0.0.2, b 10.0.0.3\n",
        "etcd members [the control planes]: ",
        "  10.0.0.2 is the address of cp2: the virtual one must be unused\nVirtual address: ",
        "  `1.36` is not an exact version: add the patch level, such as 1.36.1\n",
        "the store will be encrypted to ",
        "  controlPlaneEndpoint  api.lab.example.com:8443\n",
        "  khagen build   bundles for 3 hosts, in out/\n",
    ] {
        assert!(screen.contains(words), "{words}: {screen}");
    }
    assert!(!screen.contains('\x1b'), "colours under NO_COLOR: {screen:?}");
    is_clean(dir.path(), 3);
}

#[test]
fn the_dialogue_for_eleven_hosts_on_a_narrow_terminal() {
    if !can("the dialogue of init", &DIALOGUE) {
        return;
    }
    let dir = scratch();
    let answers = [
        "prod",
        "isociel.com",
        "192.168.13.61,192.168.13.62,192.168.13.63",
        "192.168.13.35,192.168.13.36,192.168.13.37",
        "192.168.13.71,192.168.13.72",
        "192.168.13.65,192.168.13.66,w3=192.168.13.67",
        "192.168.13.70/24",
        "ens33",
        "",
    ];
    let (code, screen) = dialogue(dir.path(), 60, "--no-recipient", &(answers.join("\n") + "\n"));
    assert_eq!(code, Some(0), "{screen}");
    assert!(
        screen.contains("  worker1 192.168.13.65, worker2 192.168.13.66, w3\n  192.168.13.67\n"),
        "{screen}"
    );
    // The terminal itself shows what was typed in advance, which no line of ours is.
    let asked = screen.split_once("Enter alone").expect("questions").1;
    for line in asked.lines().filter(|line| !line.contains(": ")) {
        assert!(line.chars().count() <= 60, "{line}");
    }
    is_clean(dir.path(), 11);
}

#[test]
fn answers_that_make_no_inventory_are_not_lost() {
    if !can("the dialogue of init", &DIALOGUE) {
        return;
    }
    let dir = scratch();
    let keys = "lab.example.com\n10.0.0.1,10.0.0.2\n10.0.0.3\n\n\n10.0.0.9/24\neth0\n\n";
    let args = "--no-recipient --name lab --pod-subnet 10.0.0.0/16 mine";
    let (code, screen) = dialogue(dir.path(), 80, args, keys);
    assert_eq!(code, Some(3), "{screen}");
    assert!(screen.contains("error[KH0304]") && screen.contains("nothing was written"), "{screen}");
    assert!(tree(dir.path()).is_empty());
    let (_, again) = screen.split_once("  khagen init ").expect("a command line");
    let again = again.replace("10.0.0.0/16", "10.99.0.0/16");
    let line = format!("'{}' init {again}", env!("CARGO_BIN_EXE_khagen"));
    run(Command::new("sh").args(["-c", &line]).current_dir(dir.path()).stdin(Stdio::null()));
    let cluster = fs::read_to_string(dir.path().join("mine/cluster.yaml")).expect("an inventory");
    assert!(cluster.contains("podSubnet: 10.99.0.0/16"), "{cluster}");
}

#[test]
fn answers_that_end_write_nothing() {
    if !can("the dialogue of init", &DIALOGUE) {
        return;
    }
    let dir = scratch();
    // Ctrl-D on a line of its own.
    let (code, screen) = dialogue(dir.path(), 80, "", "lab\n\x04");
    assert_eq!(code, Some(64), "{screen}");
    assert!(screen.contains("nothing was written"), "{screen}");
    assert!(tree(dir.path()).is_empty());
}

#[test]
fn an_interrupt_writes_nothing() {
    if !can("the dialogue of init", &DIALOGUE) {
        return;
    }
    let dir = scratch();
    let line = format!("exec '{}' init", env!("CARGO_BIN_EXE_khagen"));
    let mut child = Command::new("timeout")
        .args(["60", "script", "-qec", &line, "/dev/null"])
        .current_dir(dir.path())
        .env("HOME", dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(b"lab\n").expect("write");
    // The signal goes to who reads the terminal: not before the second question.
    let mut screen = Vec::new();
    let mut out = child.stdout.take().expect("a pipe");
    while !text(&screen).contains("Domain of the hosts: ") {
        let mut some = [0; 256];
        let read = out.read(&mut some).expect("read");
        assert!(read > 0, "{}", text(&screen));
        screen.extend_from_slice(&some[..read]);
    }
    stdin.write_all(b"\x03").expect("write");
    assert_eq!(child.wait().expect("script").code(), Some(130));
    assert!(tree(dir.path()).is_empty());
}
