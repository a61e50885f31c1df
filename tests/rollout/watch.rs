//! Who writes to etcd and who connects through the VIP while something else happens, and what they saw.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::fleet::Fleet;
use crate::support::{self, root, text};
use crate::{BASTION, MEMBERS, VIP};

/// Who writes and who connects, while something else happens.
pub struct Watch<'a> {
    fleet: &'a Fleet,
    operator: &'a Path,
    dir: PathBuf,
    writer: Child,
    probes: Vec<Child>,
}

/// What they saw.
#[derive(Debug)]
#[allow(dead_code, reason = "some of it is only printed")]
pub struct Seen {
    pub acknowledged: usize,
    pub not_acknowledged: usize,
    /// Acknowledged, and not there afterwards.
    pub lost: Vec<String>,
    pub writer_gap_ms: u64,
    pub connections: u64,
    pub vip_gap_ms: u64,
    /// For how long in all less than two members answered.
    pub no_quorum_ms: u64,
}

impl<'a> Watch<'a> {
    pub fn begin(fleet: &'a Fleet, operator: &'a Path, name: &str) -> Self {
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
    pub fn end(mut self) -> Seen {
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
