//! The operator's rollout.sh: what it refuses, where it stops, how it goes on; and a rollout walked on real etcd members and
//! balancers while somebody writes and somebody connects.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use support::net::Net;
use support::{Built, Need, can, copy_inventory, copy_tree, khagen, root, scratch, text, unpack_to};

const BASTION: &str = "bastion";
const MEMBERS: [(&str, &str); 3] =
    [("k8setcd1", "192.168.13.35"), ("k8setcd2", "192.168.13.36"), ("k8setcd3", "192.168.13.37")];
const BALANCERS: [(&str, &str); 2] = [("k8svrrp1", "192.168.13.71"), ("k8svrrp2", "192.168.13.72")];
const SERVERS: [(&str, &str); 3] =
    [("k8smaster1", "192.168.13.61"), ("k8smaster2", "192.168.13.62"), ("k8smaster3", "192.168.13.63")];
const VIP: &str = "192.168.13.70";

/// For how long the plan says that writes, and connections through the VIP, may pause.
#[derive(Debug, PartialEq)]
struct Said {
    writes_ms: u64,
    vip_ms: u64,
}

#[test]
fn rollout_sh_stops_resumes_and_refuses() {
    if !can("the run of rollout.sh", &[Need::Namespaces]) {
        return;
    }
    let out = Command::new("bash").arg(root().join("tests/scripts/rollout.sh")).output().expect("bash");
    assert!(out.status.success(), "{}{}", text(&out.stdout), text(&out.stderr));
}

/// Every plan that khagen writes is one that rollout.sh takes; it is asked without doing anything.
#[test]
fn rollout_sh_takes_what_the_plan_says() {
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

/// The hosts of the repository's inventory that a rollout touches here, and the bastion.
struct Fleet {
    // Dropped first: what runs on the hosts reads the folders below.
    net: Net,
    built: Built,
    dir: tempfile::TempDir,
}

impl Fleet {
    /// Nothing is installed yet. API servers are nginx with the bundles' certificates.
    fn new() -> Self {
        let built = Built { dir: scratch() };
        copy_inventory(&root().join("inventory"), &built.inventory());
        let mut fleet = Self { net: Net::new(), built, dir: scratch() };
        fleet.set("ens33", "eth0");
        fleet.net.host(BASTION, "192.168.13.9/24");
        let mut addresses = String::new();
        for (name, address) in MEMBERS.into_iter().chain(BALANCERS).chain(SERVERS) {
            fleet.net.host(name, &format!("{address}/24"));
            fleet.net.furnish(name);
            addresses.push_str(&format!("{address} {}\n", fleet.net.keeper(name)));
        }
        for (name, _) in MEMBERS {
            fleet.net.furnish_etcd(name);
        }
        fleet.net.furnish_etcd(BASTION);
        fs::write(fleet.net.path(BASTION, "/etc/keepers"), addresses).expect("write");
        // ssh: the remote words in a shell of the host that has the address.
        let ssh = "#!/bin/bash\nwhile [[ $1 != -- ]]; do shift; done\nat=${2#*@}\nshift 2\n\
            exec nsenter --target=\"$(awk -v at=\"$at\" '$1 == at { print $2 }' /etc/keepers)\" --mount --net --uts -- sh -c \"$*\"\n";
        fs::write(fleet.net.path(BASTION, "/usr/local/sbin/ssh"), ssh).expect("write");
        fleet.net.shell(
            BASTION,
            &format!("chmod 0755 /usr/local/sbin/ssh; echo '{VIP} k8sapi.isociel.com' >>/etc/hosts"),
        );
        fleet
    }

    /// Changes the inventory.
    fn set(&self, from: &str, to: &str) {
        let file = self.built.inventory().join("cluster.yaml");
        let before = fs::read_to_string(&file).expect("cluster.yaml");
        assert!(before.contains(from), "no {from:?} in {before}");
        fs::write(&file, before.replacen(from, to, 1)).expect("write");
    }

    /// Builds, and has the bundles carried to the hosts. Returns the operator's folder.
    fn distributed(&self, name: &str) -> PathBuf {
        self.built.build();
        let out = self.dir.path().join(name);
        copy_tree(&self.built.out(), &out);
        let operator = unpack_to(&out.join("bundles/operator.tar.gz"), &out.join("bundles"));
        self.done(&operator, "distribute.sh", &self.hosts());
        operator
    }

    fn hosts(&self) -> Vec<String> {
        let names = MEMBERS.iter().chain(&BALANCERS).map(|(name, _)| *name);
        names.flat_map(|name| ["--host".to_owned(), name.to_owned()]).collect()
    }

    fn script(&self, operator: &Path, name: &str, arguments: &[String]) -> Output {
        self.net.command(BASTION, "bash").arg(operator.join(name)).args(arguments).output().expect("bash")
    }

    fn done(&self, operator: &Path, name: &str, arguments: &[String]) -> String {
        let out = self.script(operator, name, arguments);
        let said = format!("{}{}", text(&out.stdout), text(&out.stderr));
        assert!(out.status.success(), "{name}: {}\n{said}", out.status);
        said
    }

    fn start_servers(&self, operator: &Path) {
        for (name, _) in SERVERS {
            let bundles = operator.parent().expect("a folder");
            let pki = unpack_to(&bundles.join(format!("{name}.isociel.com.tar.gz")), self.dir.path())
                .join("root/etc/kubernetes/pki");
            let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                .map(|kind| format!("{kind}_temp_path /run/{kind};"))
                .concat();
            let configuration = format!(
                "pid /run/api.pid; error_log /run/api.error; events {{}} http {{ access_log off; {temporary} server {{ \
                 listen 6443 ssl; ssl_certificate {0}/apiserver.crt; ssl_certificate_key {0}/apiserver.key; \
                 location / {{ return 200 ok; }} }} }}",
                pki.display()
            );
            fs::write(self.net.path(name, "/etc/api.conf"), configuration).expect("write");
            self.net.shell(name, "nginx -c /etc/api.conf -e /run/api.error");
        }
    }

    /// Waits until TLS through the VIP has worked several times in a row.
    fn settle(&self) {
        let ask = format!(
            "n=0; while [[ $n -lt 5 ]]; do if timeout 2 openssl s_client -connect {VIP}:6443 </dev/null >/dev/null 2>&1; \
             then n=$((n + 1)); else n=0; fi; sleep 0.3; done"
        );
        support::run(self.net.command(BASTION, "timeout").args(["60", "bash", "-c", &ask]));
    }

    /// etcdctl as the operator; the words before the command.
    fn etcdctl(operator: &Path) -> String {
        let etcd = operator.join("etcd");
        let endpoints = fs::read_to_string(etcd.join("endpoints")).expect("endpoints");
        format!(
            "etcdctl --endpoints={} --cacert={d}/ca.crt --cert={d}/operator.crt --key={d}/operator.key",
            endpoints.trim(),
            d = etcd.display()
        )
    }

    /// A setting as the running member was started with it.
    fn heartbeat(&self, member: &str) -> String {
        let script = "tr '\\0' '\\n' <\"/proc/$(cat /run/stand-in/etcd.service.pid)/environ\" | sed -n 's/^ETCD_HEARTBEAT_INTERVAL=//p'";
        self.net.shell(member, script).trim().to_owned()
    }
}

/// Who writes and who connects, while something else happens.
struct Watch<'a> {
    fleet: &'a Fleet,
    operator: &'a Path,
    dir: PathBuf,
    writer: Child,
    probes: Vec<Child>,
}

/// What they saw.
#[derive(Debug)]
#[allow(dead_code, reason = "some of it is only printed")]
struct Seen {
    acknowledged: usize,
    not_acknowledged: usize,
    /// Acknowledged, and not there afterwards.
    lost: Vec<String>,
    writer_gap_ms: u64,
    connections: u64,
    vip_gap_ms: u64,
    /// For how long in all less than two members answered.
    no_quorum_ms: u64,
}

impl<'a> Watch<'a> {
    fn begin(fleet: &'a Fleet, operator: &'a Path, name: &str) -> Self {
        let dir = fleet.dir.path().join(format!("watch-{name}"));
        fs::create_dir(&dir).expect("create");
        // One attempt a key: an acknowledged one must be there for ever.
        let writer = format!(
            "n=0; while [[ ! -e {d}/stop ]]; do n=$((n + 1)); \
             if {ctl} --dial-timeout=1s --command-timeout=1s put /{name}/$n $n >/dev/null 2>>{d}/errors; \
             then echo \"$n $EPOCHREALTIME\" >>{d}/acknowledged; else echo $n >>{d}/failed; fi; sleep 0.02; done",
            d = dir.display(),
            ctl = Fleet::etcdctl(operator)
        );
        let writer = fleet.net.command(BASTION, "bash").args(["-uc", &writer]).spawn().expect("the writer");
        let probe = |address: &str, port: &str| {
            fleet
                .net
                .command(BASTION, "perl")
                .arg(root().join("tests/judges/probe.pl"))
                .args([address, port, "600"])
                .arg(dir.join(address))
                .stdout(Stdio::piped())
                .spawn()
                .expect("perl")
        };
        let mut probes = vec![probe(VIP, "6443")];
        probes.extend(MEMBERS.iter().map(|(_, address)| probe(address, "2379")));
        let watch = Self { fleet, operator, dir, writer, probes };
        watch.until_written(5);
        watch
    }

    fn acknowledged(&self) -> Vec<(String, f64)> {
        let lines = fs::read_to_string(self.dir.join("acknowledged")).unwrap_or_default();
        let parse = |line: &str| {
            let (key, time) = line.split_once(' ').expect("two words");
            (key.to_owned(), time.parse().expect("a time"))
        };
        lines.lines().map(parse).collect()
    }

    fn until_written(&self, more: usize) {
        let (begin, wanted) = (Instant::now(), self.acknowledged().len() + more);
        while self.acknowledged().len() < wanted {
            let errors = fs::read_to_string(self.dir.join("errors")).unwrap_or_default();
            assert!(begin.elapsed() < Duration::from_secs(30), "the writer does not get on: {errors}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends it once writes go on again.
    fn end(mut self) -> Seen {
        self.until_written(5);
        fs::write(self.dir.join("stop"), "").expect("write");
        self.writer.wait().expect("the writer");
        let mut said = Vec::new();
        for probe in self.probes.drain(..) {
            support::run(Command::new("kill").arg(probe.id().to_string()));
            let out = probe.wait_with_output().expect("perl");
            said.push(text(&out.stdout));
        }
        // "probes N failed N gap MS"
        let number = |line: &str, at: usize| line.split_whitespace().nth(at).and_then(|w| w.parse().ok());
        let acknowledged = self.acknowledged();
        let name = self.dir.file_name().and_then(|n| n.to_str()).expect("a name").replace("watch-", "");
        let there = format!("{} get /{name}/ --prefix --keys-only", Fleet::etcdctl(self.operator));
        let there = self.fleet.net.shell(BASTION, &there);
        let there: Vec<&str> = there.lines().filter_map(|l| l.strip_prefix(&format!("/{name}/"))).collect();
        let gap = acknowledged.windows(2).map(|w| w[1].1 - w[0].1).fold(0.0, f64::max);
        Seen {
            lost: acknowledged.iter().map(|(k, _)| k.clone()).filter(|k| !there.contains(&&**k)).collect(),
            acknowledged: acknowledged.len(),
            not_acknowledged: fs::read_to_string(self.dir.join("failed")).unwrap_or_default().lines().count(),
            writer_gap_ms: (gap * 1000.0) as u64,
            connections: number(&said[0], 1).expect("a count"),
            vip_gap_ms: number(&said[0], 5).expect("a gap"),
            no_quorum_ms: self.without_quorum(),
        }
    }

    /// Adds up when two members or more did not answer.
    fn without_quorum(&self) -> u64 {
        let mut edges: Vec<(f64, i32)> = Vec::new();
        for (_, address) in MEMBERS {
            for line in fs::read_to_string(self.dir.join(address)).expect("outages").lines() {
                let (from, until) = line.split_once(' ').expect("two times");
                edges.push((from.parse().expect("a time"), 1));
                edges.push((until.parse().expect("a time"), -1));
            }
        }
        edges.sort_by(|a, b| a.partial_cmp(b).expect("numbers"));
        let (mut out, mut total) = (0, 0.0);
        for (n, (time, change)) in edges.iter().enumerate() {
            if out >= 2 {
                total += time - edges[n - 1].0;
            }
            out += change;
        }
        (total * 1000.0) as u64
    }
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
    assert_eq!(promised, Said { writes_ms: 3000, vip_ms: 1000 });
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
