//! Three real etcd from three installed bundles, each on a host of its own: who gets in, who does not, and a restore.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use support::net::Net;
use support::{Built, Need, can, copy_inventory, oracle, root, run, scratch, text, unpack_to};

const MEMBERS: [(&str, &str); 3] =
    [("k8setcd1", "192.168.13.35"), ("k8setcd2", "192.168.13.36"), ("k8setcd3", "192.168.13.37")];
/// A control plane of the inventory, and a machine that is none of its hosts.
const CONTROL_PLANE: &str = "k8smaster1";
const BASTION: &str = "bastion";

/// Certificate and key.
struct Identity {
    certificate: PathBuf,
    key: PathBuf,
}

impl Identity {
    fn new(dir: &Path, name: &str) -> Self {
        let identity =
            Self { certificate: dir.join(format!("{name}.crt")), key: dir.join(format!("{name}.key")) };
        assert!(identity.certificate.is_file() && identity.key.is_file(), "{name} in {}", dir.display());
        identity
    }
}

/// The hosts with their bundles installed, and the operator's bundle beside.
struct Etcd {
    // Dropped first: what runs on the hosts reads the folders below.
    net: Net,
    dir: tempfile::TempDir,
}

impl Etcd {
    /// Builds the repository's inventory, changed by `edit`, and installs the members' bundles with their own install.sh.
    fn installed(edit: impl Fn(String) -> String) -> Self {
        let built = Built { dir: scratch() };
        copy_inventory(&root().join("inventory"), &built.inventory());
        let file = built.inventory().join("cluster.yaml");
        fs::write(&file, edit(fs::read_to_string(&file).expect("cluster.yaml"))).expect("write");
        built.build();

        let mut etcd = Self { net: Net::new(), dir: scratch() };
        unpack_to(&built.out().join("bundles/operator.tar.gz"), etcd.dir.path());
        for host in [CONTROL_PLANE, "k8setcd1", "k8setcd2", "k8setcd3"] {
            unpack_to(&built.out().join(format!("bundles/{host}.isociel.com.tar.gz")), etcd.dir.path());
        }
        etcd.net.host(BASTION, "192.168.13.9/24");
        etcd.net.host(CONTROL_PLANE, "192.168.13.61/24");
        for (name, address) in MEMBERS {
            etcd.net.host(name, &format!("{address}/24"));
            etcd.net.furnish(name);
            etcd.net.furnish_etcd(name);
        }
        std::thread::scope(|scope| {
            let etcd = &etcd;
            for (name, _) in MEMBERS {
                scope.spawn(move || {
                    let script = etcd.bundle(name).join("install.sh");
                    let out = etcd.net.command(name, "bash").arg(script).output().expect("install.sh");
                    let said = format!("{}{}", text(&out.stdout), text(&out.stderr));
                    assert!(out.status.success(), "{name}: {said}\netcd: {}", etcd.log(name));
                });
            }
        });
        etcd
    }

    fn bundle(&self, host: &str) -> PathBuf {
        self.dir.path().join(format!("{host}.isociel.com"))
    }

    fn pki(&self, host: &str) -> PathBuf {
        self.bundle(host).join("root/etc/etcd/pki")
    }

    fn operator(&self) -> (PathBuf, Identity) {
        let dir = self.dir.path().join("operator/etcd");
        (dir.join("ca.crt"), Identity::new(&dir, "operator"))
    }

    fn apiserver(&self) -> Identity {
        Identity::new(&self.bundle(CONTROL_PLANE).join("root/etc/kubernetes/pki"), "apiserver-etcd-client")
    }

    /// etcdctl with an identity, at the endpoints that the operator's bundle names.
    fn etcdctl(&self, from: &str, ca: &Path, as_whom: &Identity, arguments: &[&str]) -> Output {
        let endpoints =
            fs::read_to_string(self.dir.path().join("operator/etcd/endpoints")).expect("endpoints");
        let mut command = self.net.command(from, "env");
        command
            .arg(oracle().expect("asked for").join("etcdctl"))
            .arg(format!("--endpoints={}", endpoints.trim()))
            .arg(format!("--cacert={}", ca.display()))
            .arg(format!("--cert={}", as_whom.certificate.display()))
            .arg(format!("--key={}", as_whom.key.display()))
            .args(["--dial-timeout=2s", "--command-timeout=4s"])
            .args(arguments);
        command.output().expect("etcdctl")
    }

    /// etcdctl as the operator, from the bastion; what it prints.
    fn ctl(&self, arguments: &[&str]) -> String {
        let (ca, operator) = self.operator();
        let out = self.etcdctl(BASTION, &ca, &operator, arguments);
        assert!(out.status.success(), "{arguments:?}: {}{}", text(&out.stdout), text(&out.stderr));
        text(&out.stdout)
    }

    fn curl(&self, from: &str, ca: &Path, as_whom: Option<&Identity>, url: &str, more: &[&str]) -> Output {
        let mut command = self.net.command(from, "curl");
        // Over HTTP/2, etcd's peer port speaks gRPC only.
        command
            .args(["-sS", "--http1.1", "--max-time", "5", "--noproxy", "*", "--cacert"])
            .arg(ca)
            .args(more);
        if let Some(identity) = as_whom {
            command.arg("--cert").arg(&identity.certificate).arg("--key").arg(&identity.key);
        }
        command.arg(url).output().expect("curl")
    }

    /// The server itself must end the handshake with an alert: no timeout, no closed port, no unknown server. s_client
    /// rather than curl, which with TLS 1.3 may meet the closed connection before it reads the alert.
    fn refuses(&self, from: &str, ca: &Path, as_whom: Option<&Identity>, at: &str) {
        let what = format!("{from} at {at} as {:?}", as_whom.map(|i| &i.certificate));
        let mut command = self.net.command(from, "timeout");
        command.args(["5", "openssl", "s_client", "-connect", at, "-verify_return_error", "-ign_eof"]);
        command.arg("-CAfile").arg(ca);
        if let Some(identity) = as_whom {
            command.arg("-cert").arg(&identity.certificate).arg("-key").arg(&identity.key);
        }
        let out = command.output().expect("s_client");
        let said = text(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{what}: {} {said}", text(&out.stdout));
        let alert = ["certificate required", "unknown ca", "bad certificate", "handshake failure"];
        assert!(alert.iter().any(|a| said.contains(&format!(" alert {a}"))), "{what}: {said}");
        // The member did show its own certificate, and it was the right one.
        assert!(text(&out.stdout).contains("Verification: OK"), "{what}: {}{said}", text(&out.stdout));
    }

    /// Waits until every member says that it is healthy.
    fn healthy(&self) -> Duration {
        let (ca, operator) = self.operator();
        let begin = Instant::now();
        loop {
            let out = self.etcdctl(BASTION, &ca, &operator, &["endpoint", "health", "--write-out=json"]);
            let said = text(&out.stdout);
            if out.status.success() {
                assert_eq!(said.matches("\"health\":true").count(), 3, "{said}");
                return begin.elapsed();
            }
            let logs: Vec<String> = MEMBERS.iter().map(|(name, _)| self.log(name)).collect();
            assert!(
                begin.elapsed() < Duration::from_secs(30),
                "{said}{}\n{}",
                text(&out.stderr),
                logs.join("\n")
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn log(&self, member: &str) -> String {
        fs::read_to_string(self.net.path(member, "/run/stand-in/etcd.service.log")).unwrap_or_default()
    }

    /// What etcd says of its environment and of who it is.
    fn settings_are_taken(&self) {
        for (name, address) in MEMBERS {
            let log = self.log(name);
            assert!(log.contains("ready to serve client requests"), "{log}");
            assert!(!log.contains("unrecognized environment variable"), "{name}: {log}");
            for taken in
                ["ETCD_NAME", "ETCD_PEER_CLIENT_CERT_AUTH", "ETCD_FEATURE_GATES", "ETCD_QUOTA_BACKEND_BYTES"]
            {
                assert!(log.contains(taken), "{name} does not say that it read {taken}: {log}");
            }
            let runs =
                self.net.shell(name, "ps -o user:20=,args= -p \"$(cat /run/stand-in/etcd.service.pid)\"");
            assert_eq!(
                runs.split_whitespace().collect::<Vec<_>>(),
                ["etcd", "/usr/local/bin/etcd"],
                "{runs}"
            );
            let listens = self.net.shell(name, "ss -H -l -t -n | awk '{ print $4 }' | sort");
            let expected = [
                "127.0.0.1:2379".to_owned(),
                "127.0.0.1:2381".to_owned(),
                format!("{address}:2379"),
                format!("{address}:2380"),
            ];
            assert_eq!(listens.lines().collect::<Vec<_>>(), expected, "{name}");
        }
    }

    /// A control plane's client gets in as a client, and not as a peer; a member's peer certificate does.
    fn clients_are_no_peers(&self, peer_ca: &str) {
        let (ca, operator) = self.operator();
        let apiserver = self.apiserver();
        let out = self.etcdctl(CONTROL_PLANE, &ca, &apiserver, &["put", "/registry/probe", "1"]);
        assert!(out.status.success(), "{}", text(&out.stderr));
        for (name, address) in MEMBERS {
            let peer_ca = self.pki(name).join(peer_ca);
            let url = format!("https://{address}:2380/members");
            // The same request with the certificate of a peer is answered, so it is the certificate that is refused below.
            for (peer, _) in MEMBERS {
                let own = Identity::new(&self.pki(peer), &format!("{peer}-peer"));
                let out = self.curl(peer, &peer_ca, Some(&own), &url, &["--fail"]);
                assert!(out.status.success(), "{peer} at {name}: {}", text(&out.stderr));
                assert_eq!(
                    text(&out.stdout).matches("\"name\":\"k8setcd").count(),
                    3,
                    "{}",
                    text(&out.stdout)
                );
            }
            let health = Identity::new(&self.pki(name), "etcd-health-client");
            for client in [&apiserver, &operator, &health] {
                self.refuses(CONTROL_PLANE, &peer_ca, Some(client), &format!("{address}:2380"));
            }
        }
    }
}

#[test]
fn three_bundles_form_a_cluster_and_survive_a_restore() {
    if !can("three real etcd from three bundles", &[Need::Oracle, Need::Namespaces, Need::Program("curl")]) {
        return;
    }
    let etcd = Etcd::installed(|text| text);
    let formed = etcd.healthy();
    etcd.settings_are_taken();

    // The operator writes, reads, deletes.
    assert_eq!(etcd.ctl(&["put", "/kept", "before the snapshot"]), "OK\n");
    assert_eq!(etcd.ctl(&["get", "/kept", "--print-value-only"]), "before the snapshot\n");
    etcd.ctl(&["put", "/gone", "soon"]);
    assert_eq!(etcd.ctl(&["del", "/gone"]), "1\n");
    assert_eq!(etcd.ctl(&["get", "/gone"]), "");

    strangers_are_refused(&etcd);
    etcd.clients_are_no_peers("etcd-peer-ca.crt");
    metrics_stay_at_home(&etcd);
    let restored = snapshot_and_restore(&etcd);
    eprintln!("etcd: healthy {formed:.1?} after install.sh, {restored:.1?} after the restore");
}

/// Without a certificate, or with somebody else's, nobody gets in.
fn strangers_are_refused(etcd: &Etcd) {
    let (ca, operator) = etcd.operator();
    let own = etcd.dir.path().join("stranger");
    fs::create_dir(&own).expect("create");
    run(Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", "/CN=etcd-operator", "-addext", "extendedKeyUsage=clientAuth"])
        .arg("-keyout")
        .arg(own.join("stranger.key"))
        .arg("-out")
        .arg(own.join("stranger.crt")));
    let stranger = Identity::new(&own, "stranger");
    for (name, address) in MEMBERS {
        let url = format!("https://{address}:2379/health");
        let out = etcd.curl(BASTION, &ca, Some(&operator), &url, &["--fail"]);
        assert!(text(&out.stdout).contains("\"health\":\"true\""), "{name}: {}", text(&out.stderr));
        let at = format!("{address}:2379");
        // A peer's certificate is none of a client's either: another CA signed it.
        let peer = Identity::new(&etcd.pki(name), &format!("{name}-peer"));
        for who in [None, Some(&stranger), Some(&peer)] {
            etcd.refuses(BASTION, &ca, who, &at);
        }
    }
}

/// Metrics and health answer without a certificate on the member itself, and nobody else.
fn metrics_stay_at_home(etcd: &Etcd) {
    let (ca, _) = etcd.operator();
    for (name, address) in MEMBERS {
        let health = etcd.curl(name, &ca, None, "http://127.0.0.1:2381/health", &["--fail"]);
        assert!(text(&health.stdout).contains("\"health\":\"true\""), "{name}: {}", text(&health.stderr));
        let metrics = etcd.curl(name, &ca, None, "http://127.0.0.1:2381/metrics", &["--fail"]);
        assert!(
            text(&metrics.stdout).contains("\netcd_server_has_leader 1\n"),
            "{name}: {}",
            text(&metrics.stderr)
        );
        for from in [BASTION, CONTROL_PLANE] {
            let out = etcd.curl(from, &ca, None, &format!("http://{address}:2381/health"), &[]);
            assert_eq!(out.status.code(), Some(7), "{from} at {name}: {}", text(&out.stderr));
            assert!(
                out.stdout.is_empty() && text(&out.stderr).contains("Failed to connect"),
                "{}",
                text(&out.stderr)
            );
        }
    }
}

fn revision(etcd: &Etcd) -> u64 {
    let status: serde_json::Value =
        serde_json::from_str(&etcd.ctl(&["get", "/kept", "--write-out=json"])).expect("JSON");
    status["header"]["revision"].as_u64().expect("a revision")
}

/// The emitted scripts: a snapshot on one member, its data on all three.
fn snapshot_and_restore(etcd: &Etcd) -> Duration {
    // As the timer starts it: the unit's user, nothing in the environment.
    etcd.net.shell("k8setcd2", "systemctl start khagen-etcd-snapshot.service");
    let snapshots = etcd
        .net
        .shell("k8setcd2", "cd /var/lib/khagen/etcd-snapshots && find . -type f -printf '%U %m %f\\n'");
    let user = etcd.net.shell("k8setcd2", "id -u etcd");
    let name = snapshots.split_whitespace().nth(2).expect("a snapshot").to_owned();
    assert_eq!(snapshots, format!("{} 600 {name}\n", user.trim()));
    assert!(name.starts_with("k8setcd2-") && name.ends_with("Z.db"), "{name}");
    let snapshot = etcd.dir.path().join("snapshot.db");
    fs::copy(etcd.net.path("k8setcd2", &format!("/var/lib/khagen/etcd-snapshots/{name}")), &snapshot)
        .expect("copy");

    etcd.ctl(&["put", "/kept", "after the snapshot"]);
    etcd.ctl(&["put", "/late", "lost"]);
    let before = revision(etcd);

    let restore = |host: &str, file: &Path, token: &str, more: &[&str]| {
        let mut command = etcd.net.command(host, "/usr/local/sbin/khagen-etcd-restore");
        command.arg(file).args(["--token", token]).args(more).output().expect("khagen-etcd-restore")
    };
    let code = |out: &Output, expected: i32| {
        assert_eq!(out.status.code(), Some(expected), "{}{}", text(&out.stdout), text(&out.stderr));
    };
    let running = restore("k8setcd1", &snapshot, "restored-1", &["--yes"]);
    code(&running, 6);
    assert!(text(&running.stderr).contains("etcd still runs"), "{}", text(&running.stderr));
    for (name, _) in MEMBERS {
        etcd.net.shell(name, "systemctl stop etcd");
    }
    let first = etcd.net.shell("k8setcd1", "sed -n 's/^ETCD_INITIAL_CLUSTER_TOKEN=//p' /etc/etcd/etcd.env");
    code(&restore("k8setcd1", &snapshot, first.trim(), &["--yes"]), 64);
    code(&restore("k8setcd1", &snapshot, "restored-1", &[]), 6);
    code(&restore("k8setcd1", &snapshot, "restored-1", &["--dry-run"]), 2);
    let mut bytes = fs::read(&snapshot).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let damaged = etcd.dir.path().join("damaged.db");
    fs::write(&damaged, bytes).expect("write");
    code(&restore("k8setcd1", &damaged, "restored-1", &["--dry-run"]), 4);
    code(&restore("k8setcd1", &damaged, "restored-1", &["--yes"]), 4);
    let data = etcd.net.shell("k8setcd1", "ls -A /var/lib | grep '^etcd'");
    assert_eq!(data, "etcd\n", "what was refused left something behind");

    for (name, _) in MEMBERS {
        code(&restore(name, &snapshot, "restored-1", &["--yes"]), 0);
        let data = etcd.net.shell(name, "stat -c '%U:%G %a' /var/lib/etcd; find /var/lib/etcd ! -user etcd; ls -d /var/lib/etcd.before-*/member | wc -l");
        assert_eq!(data, "etcd:etcd 700\n1\n", "{name}");
    }
    for (name, _) in MEMBERS {
        etcd.net.shell(name, "systemctl start --no-block etcd");
    }
    let restored = etcd.healthy();
    etcd.settings_are_taken();
    assert_eq!(etcd.ctl(&["get", "/kept", "--print-value-only"]), "before the snapshot\n");
    assert_eq!(etcd.ctl(&["get", "/late"]), "");
    let after = revision(etcd);
    assert!(after > before + 999_000_000, "{before}, then {after}");
    let members = etcd.ctl(&["member", "list"]);
    assert_eq!(members.lines().count(), 3, "{members}");
    for (name, address) in MEMBERS {
        let line = format!("started, {name}, https://{address}:2380, https://{address}:2379, false");
        assert!(members.contains(&line), "{members}");
    }
    // Who asks for a revision from before must hear that it is gone.
    let (ca, operator) = etcd.operator();
    let old = etcd.etcdctl(BASTION, &ca, &operator, &["get", "/kept", &format!("--rev={before}")]);
    assert!(text(&old.stderr).contains("compacted"), "{}{}", text(&old.stdout), text(&old.stderr));
    assert_eq!(etcd.ctl(&["put", "/kept", "and on"]), "OK\n");
    restored
}

#[test]
fn with_one_ca_clients_are_still_no_peers() {
    if !can("three real etcd with one CA", &[Need::Oracle, Need::Namespaces, Need::Program("curl")]) {
        return;
    }
    let etcd = Etcd::installed(|text| {
        assert!(text.contains("\netcd:\n"), "{text}");
        text.replacen("\netcd:\n", "\netcd:\n  peerCA: same\n", 1)
    });
    assert!(!etcd.pki("k8setcd1").join("etcd-peer-ca.crt").exists());
    let environment = fs::read_to_string(etcd.net.path("k8setcd1", "/etc/etcd/etcd.env")).expect("etcd.env");
    assert!(environment.contains("\nETCD_PEER_CERT_ALLOWED_HOSTNAME=etcd-peer\n"), "{environment}");
    etcd.healthy();
    etcd.settings_are_taken();
    etcd.clients_are_no_peers("etcd-ca.crt");
}
