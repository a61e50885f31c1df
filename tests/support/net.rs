//! Hosts for tests: network namespaces on a bridge, each with a mount namespace in which it may write.
//!
//! The bridge lies in a namespace of its own, so that the machine's own interfaces and routes are never touched. A host's
//! /etc, /usr and /var are overlays with their upper layers in memory: what is installed on it is gone with it. Everything
//! goes when the value is dropped, also when a test panics. Needs root: ask `Need::Namespaces` first.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{oracle, root, run, scratch, text};

/// Runs in the host's new mount namespace, then stays as the process that keeps it.
const KEEPER: &str = r#"
set -e
mount -t tmpfs -o mode=0755 tmpfs "$1"
for top in etc usr var; do
    mkdir "$1/$top" "$1/$top.work"
    mount -t overlay -o "lowerdir=/$top,upperdir=$1/$top,workdir=$1/$top.work" overlay "/$top"
done
# A new host, whatever the machine has.
rm -rf /etc/etcd /etc/kubernetes /var/lib/etcd /var/lib/khagen /var/log/khagen
mount -t tmpfs -o mode=0755 tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /var/tmp
hostname "$2"
echo ready
exec sleep infinity
"#;

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// A network of stand-in hosts.
pub struct Net {
    prefix: String,
    keepers: BTreeMap<String, Child>,
    /// Where the hosts' memory is mounted, each in its own mount namespace only.
    mount_points: tempfile::TempDir,
}

impl Net {
    /// A bridge and nothing on it.
    pub fn new() -> Self {
        let prefix = format!("kh{}x{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let net = Self { prefix, keepers: BTreeMap::new(), mount_points: scratch() };
        let switch = net.namespace("switch");
        ip(&["netns", "add", &switch]);
        ip(&["-n", &switch, "link", "add", "br0", "type", "bridge", "stp_state", "0"]);
        ip(&["-n", &switch, "link", "set", "br0", "up"]);
        net
    }

    fn namespace(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    /// A host on the bridge; its address with the length of the network.
    pub fn host(&mut self, name: &str, address: &str) {
        let (switch, namespace) = (self.namespace("switch"), self.namespace(name));
        let port = format!("port{}", self.keepers.len());
        let mount_point = self.mount_points.path().join(name);
        std::fs::create_dir(&mount_point).expect("create");
        ip(&["netns", "add", &namespace]);
        let mut keeper = Command::new("ip")
            .args([
                "netns",
                "exec",
                &namespace,
                "unshare",
                "--mount",
                "--uts",
                "--propagation",
                "private",
                "sh",
                "-c",
            ])
            .args([KEEPER, "keeper"])
            .arg(&mount_point)
            .arg(name)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("ip netns exec");
        let mut said = String::new();
        BufReader::new(keeper.stdout.take().expect("piped")).read_line(&mut said).expect("the keeper's word");
        // Before any assertion, so that whatever was made is removed.
        self.keepers.insert(name.to_owned(), keeper);
        assert_eq!(said, "ready\n", "{name} did not come up");
        ip(&[
            "-n", &namespace, "link", "add", "eth0", "type", "veth", "peer", "name", &port, "netns", &switch,
        ]);
        ip(&["-n", &switch, "link", "set", &port, "master", "br0", "up"]);
        ip(&["-n", &namespace, "link", "set", "lo", "up"]);
        ip(&["-n", &namespace, "link", "set", "eth0", "up"]);
        ip(&["-n", &namespace, "addr", "add", address, "dev", "eth0"]);
    }

    /// A command that will run on a host.
    pub fn command(&self, host: &str, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={}", self.keeper(host)));
        command.args(["--mount", "--net", "--uts", "--", program]).stdin(Stdio::null());
        command
    }

    /// Runs a script of bash on a host and expects success.
    pub fn shell(&self, host: &str, script: &str) -> String {
        run(self.command(host, "bash").args(["-euo", "pipefail", "-c", script]))
    }

    /// What a host has before a bundle comes: something that answers to `systemctl`, and no disk to wait for.
    pub fn furnish(&self, host: &str) {
        let systemctl = root().join("tests/support/systemctl");
        let script = format!(
            "install -m 0755 {} /usr/local/sbin/systemctl; install -m 0755 /bin/true /usr/local/sbin/sync",
            systemctl.display()
        );
        self.shell(host, &script);
    }

    /// etcd's programs on a host.
    pub fn furnish_etcd(&self, host: &str) {
        let programs = oracle().expect("asked for");
        for name in ["etcd", "etcdctl", "etcdutl"] {
            // Bound, not linked: etcd's user cannot pass through the folder where they are. Bound over a program, because
            // install.sh has the units read in an overlay, which does not see through mounts.
            let program = programs.join(name);
            let script = format!(
                "f=/usr/local/bin/{name}; install -m 0755 /bin/true $f; mount --bind {} $f",
                program.display()
            );
            self.shell(host, &script);
        }
    }

    /// The process whose namespaces a host is.
    pub fn keeper(&self, host: &str) -> u32 {
        self.keepers[host].id()
    }

    /// A host's file as the test can open it.
    pub fn path(&self, host: &str, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.keeper(host)))
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        // No assertion here: a panic while panicking would leave the rest behind.
        for (name, keeper) in &mut self.keepers {
            let namespace = format!("{}-{name}", self.prefix);
            if let Ok(pids) = Command::new("ip").args(["netns", "pids", &namespace]).output() {
                let _ =
                    Command::new("kill").arg("-KILL").args(text(&pids.stdout).split_whitespace()).output();
            }
            let _ = keeper.kill();
            let _ = keeper.wait();
            let _ = Command::new("ip").args(["netns", "del", &namespace]).output();
        }
        let _ = Command::new("ip").args(["netns", "del", &self.namespace("switch")]).output();
    }
}

fn ip(arguments: &[&str]) {
    run(Command::new("ip").args(arguments));
}
