//! The operator's rollout.sh: what it refuses, where it stops, how it goes on; and a rollout walked on real etcd members and
//! balancers while somebody writes and somebody connects.

mod fleet;
#[path = "../support/mod.rs"]
mod support;
mod watch;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use fleet::Fleet;
use support::{Built, Need, can, copy_inventory, copy_tree, khagen, root, scratch, text, unpack_to};
use watch::{Seen, Watch};

const BASTION: &str = "bastion";
const MEMBERS: [(&str, &str); 3] =
    [("k8setcd1", "192.168.13.35"), ("k8setcd2", "192.168.13.36"), ("k8setcd3", "192.168.13.37")];
const BALANCERS: [(&str, &str); 2] = [("k8svrrp1", "192.168.13.71"), ("k8svrrp2", "192.168.13.72")];
const SERVERS: [(&str, &str); 3] =
    [("k8smaster1", "192.168.13.61"), ("k8smaster2", "192.168.13.62"), ("k8smaster3", "192.168.13.63")];
const VIP: &str = "192.168.13.70";

/// What is measured here is not to wait for the other tests of this file.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// For how long the plan says that writes, and connections through the VIP, may pause.
#[derive(Debug)]
struct Said {
    writes_ms: u64,
    vip_ms: u64,
}

#[test]
fn rollout_sh_stops_resumes_and_refuses() {
    let _alone = alone();
    if !can("the run of rollout.sh", &[Need::Namespaces]) {
        return;
    }
    let out = Command::new("bash").arg(root().join("tests/scripts/rollout.sh")).output().expect("bash");
    assert!(out.status.success(), "{}{}", text(&out.stdout), text(&out.stderr));
}

/// Every plan that khagen writes is one that rollout.sh takes; it is asked without doing anything.
#[test]
fn rollout_sh_takes_what_the_plan_says() {
    let _alone = alone();
    let keep = [("snapshot: {schedule: daily, keep: 7}", "snapshot: {schedule: daily, keep: 8}")];
    let flag = [("\nkubernetes:\n", "\nkubernetes:\n  apiServer: {extraArgs: {v: \"3\"}}\n")];
    let none = [];
    let retire = |name: &str| (format!("name: {name}\n"), format!("name: {name}\n    state: retired\n"));
    let leaving = [retire("k8setcd3"), retire("k8svrrp2"), retire("k8sworker3")];

    let quiet = plan_of(&keep, &[]);
    let members: Vec<String> = MEMBERS.map(|(name, _)| format!("install {name}.isociel.com")).to_vec();
    assert_eq!(quiet, members, "nothing restarts, and still one at a time");
    let flags = plan_of(&flag, &[]);
    assert!(flags.contains(&"reconfigure:control-plane k8smaster2.isociel.com".to_owned()), "{flags:?}");
    let gone = plan_of(&none, &leaving);
    let at =
        |step: &str| gone.iter().position(|s| s == step).unwrap_or_else(|| panic!("no {step} in {gone:?}"));
    // Others would no longer tell a balancer that leaves who is master.
    assert!(at("uninstall k8svrrp2.isociel.com") < at("install k8svrrp1.isociel.com"));
    assert!(at("member-remove k8setcd3.isociel.com") < at("uninstall k8setcd3.isociel.com"));
    assert!(at("drain k8sworker3.isociel.com") < at("delete-node k8sworker3.isociel.com"));
    assert_eq!(gone.iter().filter(|s| s.starts_with("uninstall ")).count(), 3, "{gone:?}");
}

/// Changes the running cluster's inventory, has the way planned and rollout.sh asked. Returns action and hosts of each step.
fn plan_of(cluster: &[(&str, &str)], hosts: &[(String, String)]) -> Vec<String> {
    let built = Built { dir: scratch() };
    copy_inventory(&root().join("inventory"), &built.inventory());
    let change = |file: &str, from: &str, to: &str| {
        let file = built.inventory().join(file);
        let before = fs::read_to_string(&file).expect("read");
        assert!(before.contains(from), "no {from:?} in {before}");
        fs::write(&file, before.replacen(from, to, 1)).expect("write");
    };
    change("cluster.yaml", "state: new ", "state: running ");
    built.build();
    let old = built.dir.path().join("old");
    copy_tree(&built.out(), &old);
    for (from, to) in cluster {
        change("cluster.yaml", from, to);
    }
    for (from, to) in hosts {
        change("hosts.yaml", from, to);
    }
    built.build();
    let file = built.dir.path().join("plan");
    let out =
        khagen().arg("diff").args([&old, &built.out()]).arg("--rollout").arg(&file).output().expect("khagen");
    assert_eq!(out.status.code(), Some(2), "{}", text(&out.stderr));
    let operator = unpack_to(&built.out().join("bundles/operator.tar.gz"), &built.dir.path().join("bastion"));
    let asked = Command::new("bash")
        .arg(operator.join("rollout.sh"))
        .arg(&file)
        .arg("--dry-run")
        .output()
        .expect("bash");
    let plan = fs::read_to_string(&file).expect("read");
    assert_eq!(asked.status.code(), Some(2), "{plan}\n{}", text(&asked.stderr));
    let columns = |line: &str| line.split('\t').skip(1).take(2).collect::<Vec<_>>().join(" ");
    plan.lines().filter(|line| !line.starts_with('#')).map(columns).collect()
}

/// What a rollout promises; the same for one that is walked and one that is not.
fn broken_promises(seen: &Seen, said: &Said) -> Vec<String> {
    let mut broken = Vec::new();
    if seen.no_quorum_ms > 0 {
        broken.push(format!("etcd had no quorum for {} ms", seen.no_quorum_ms));
    }
    if seen.writer_gap_ms > said.writes_ms {
        broken.push(format!("no write for {} ms, {} were said", seen.writer_gap_ms, said.writes_ms));
    }
    if seen.vip_gap_ms > said.vip_ms {
        broken.push(format!("no TLS through the VIP for {} ms, {} were said", seen.vip_gap_ms, said.vip_ms));
    }
    if !seen.lost.is_empty() {
        broken.push(format!("acknowledged and lost: {:?}", seen.lost));
    }
    broken
}

/// Has the way from one build to the next written, and what it promises.
fn planned(old: &Path, new: &Path, file: &Path) -> Said {
    let out = khagen()
        .arg("diff")
        .args([old, new])
        .args(["--format", "json", "--rollout"])
        .arg(file)
        .output()
        .expect("khagen");
    assert_eq!(out.status.code(), Some(2), "{}", text(&out.stderr));
    let diff: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    let steps = diff["clusters"][0]["rollout"]["steps"].as_array().expect("steps").clone();
    let most = |who: &str| {
        let gaps = steps.iter().filter(|s| s["serving"][who].is_array());
        gaps.map(|s| s["serving"]["gapMs"].as_u64().expect("a gap")).max().expect("a step")
    };
    assert_eq!(steps.len(), 5, "{steps:?}");
    Said { writes_ms: most("etcd"), vip_ms: most("balancers") }
}

#[test]
fn a_walked_rollout_keeps_its_promises_and_an_unwalked_one_does_not() {
    let _alone = alone();
    let needs = [
        Need::Namespaces,
        Need::Oracle,
        Need::Program("nginx"),
        Need::Program("keepalived"),
        Need::Program("openssl"),
        Need::Program("perl"),
    ];
    if !can("a rollout on real members and balancers", &needs) {
        return;
    }
    let fleet = Fleet::new();
    let first = fleet.distributed("first");
    // First, so that no balancer gives one up for a while.
    fleet.start_servers(&first);
    fleet.done(&first, "bring-up.sh", &fleet.hosts());

    // What restarts etcd, and what reloads nginx and keepalived.
    fleet.set("\netcd:\n", "\netcd:\n  heartbeatInterval: 120\n");
    fleet.set("\nloadBalancer:\n", "\nloadBalancer:\n  connectTimeout: 3s\n");
    let second = fleet.distributed("second");
    fleet.settle();
    let file = fleet.dir.path().join("plan");
    let promised = planned(&fleet.dir.path().join("first"), &fleet.dir.path().join("second"), &file);
    // A plan that says little of it is none.
    assert!(promised.writes_ms <= 5000 && promised.vip_ms <= 2000, "{promised:?}");
    let reloads = |name: &str| {
        fleet
            .net
            .shell(name, "ps -o lstart= -p \"$(cat /run/nginx.pid)\"; pgrep -P \"$(cat /run/nginx.pid)\"")
    };
    let before = BALANCERS.map(|(name, _)| reloads(name));
    let watch = Watch::begin(&fleet, &second, "walked");
    let begin = Instant::now();
    let said = fleet.done(&second, "rollout.sh", &[file.display().to_string(), "--wait".into(), "60".into()]);
    let took = begin.elapsed();
    let seen = watch.end();
    eprintln!("walked in {took:.1?}: {seen:?}\n{said}");
    assert_eq!(broken_promises(&seen, &promised), Vec::<String>::new(), "{said}");
    assert!(seen.acknowledged > 50 && seen.connections > 500, "{seen:?}");
    for (name, _) in MEMBERS {
        assert_eq!(fleet.heartbeat(name), "120", "{name} was not restarted");
    }
    for ((name, _), before) in BALANCERS.into_iter().zip(before) {
        let after = reloads(name);
        assert_eq!(before.lines().next(), after.lines().next(), "{name}: nginx was restarted");
        assert_ne!(before, after, "{name}: nginx was not reloaded");
    }

    // The same kind of change on all members at once: rollout.sh will not.
    fleet.set("heartbeatInterval: 120", "heartbeatInterval: 110");
    let third = fleet.distributed("third");
    let file = third.join("plan");
    let together = MEMBERS.map(|(name, _)| format!("{name}.isociel.com")).join(",");
    let plan = fs::read_to_string(fleet.dir.path().join("plan")).expect("read");
    let head: String =
        plan.lines().filter(|line| line.starts_with('#')).map(|line| format!("{line}\n")).collect();
    fs::write(&file, format!("{head}1\tinstall\t{together}\t-\t-\tall at once\n")).expect("write");
    let refused = fleet.script(&third, "rollout.sh", &[file.display().to_string()]);
    assert_eq!(refused.status.code(), Some(6), "{}", text(&refused.stderr));
    assert!(text(&refused.stderr).contains("0 of 3 members"), "{}", text(&refused.stderr));
    assert_eq!(fleet.heartbeat("k8setcd1"), "120");

    // Somebody does it all the same: what was promised above does not hold.
    let watch = Watch::begin(&fleet, &third, "at-once");
    std::thread::scope(|scope| {
        for (name, _) in MEMBERS {
            let fleet = &fleet;
            scope.spawn(move || {
                let script = format!("/var/lib/khagen/incoming/{name}.isociel.com/install.sh");
                let out = fleet.net.command(name, &script).output().expect("install.sh");
                assert!(out.status.success(), "{name}: {}{}", text(&out.stdout), text(&out.stderr));
            });
        }
    });
    let seen = watch.end();
    let broken = broken_promises(&seen, &promised);
    eprintln!("at once: {seen:?}: {broken:?}");
    assert!(broken.iter().any(|b| b.contains("no quorum")), "{seen:?}");
    for (name, _) in MEMBERS {
        assert_eq!(fleet.heartbeat(name), "110", "{name}");
    }
}
