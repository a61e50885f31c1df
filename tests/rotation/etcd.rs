//! Three real etcd through the rotation of both their CAs, installed host by host in random order, with writers attached.
//!
//! A write is a put that is tried at one endpoint after the other until one acknowledges it. It may fail at an endpoint only
//! while a member (or the writer itself) restarts, and no write may take longer than [`PATIENCE`]. One writer is a new client
//! each time; the other goes through etcd's own gRPC proxy, which, like an API server, reads whom it trusts when it starts and
//! its own certificate at each handshake. (That certificate is signed here by the CA of the store, since the proxy refuses
//! one with a common name.)

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::Place;
use super::support::net::Net;
use super::support::{Need, can, oracle, run, scratch, text};

const MEMBERS: [(&str, &str); 3] =
    [("k8setcd1", "192.168.13.35"), ("k8setcd2", "192.168.13.36"), ("k8setcd3", "192.168.13.37")];
const CONTROL_PLANE: &str = "k8smaster1";
const BASTION: &str = "bastion";
const HOSTS: [&str; 5] = ["k8setcd1", "k8setcd2", "k8setcd3", CONTROL_PLANE, "operator"];
const ROOTS: [&str; 2] = ["ca/etcd", "ca/etcd-peer"];
/// For an election, and for a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(15);
const PROXY: &str = "http://127.0.0.1:23790";

/// Whom a client trusts, and who it is.
struct Client {
    from: &'static str,
    ca: PathBuf,
    certificate: PathBuf,
}

/// One try of a write at one endpoint.
struct Try {
    begin: Instant,
    end: Instant,
    what: String,
    failed: Option<String>,
}

/// From when to when something went on.
type Window = (Instant, Instant);

struct Cluster {
    net: Net,
    dir: tempfile::TempDir,
    tries: Mutex<Vec<Try>>,
    /// While something restarts.
    windows: Mutex<Vec<Window>>,
    /// While files of the control plane are exchanged.
    laid: Mutex<Vec<Window>>,
    stop: AtomicBool,
}

impl Cluster {
    fn new() -> Cluster {
        let mut cluster = Cluster {
            net: Net::new(),
            dir: scratch(),
            tries: Mutex::default(),
            windows: Mutex::default(),
            laid: Mutex::default(),
            stop: AtomicBool::new(false),
        };
        cluster.net.host(BASTION, "192.168.13.9/24");
        cluster.net.host(CONTROL_PLANE, "192.168.13.61/24");
        for (name, address) in MEMBERS {
            cluster.net.host(name, &format!("{address}/24"));
            cluster.net.furnish(name);
            cluster.net.furnish_etcd(name);
        }
        cluster
    }

    /// The bundles of a stage.
    fn stage(&self, stage: usize) -> PathBuf {
        self.dir.path().join(format!("stage{stage}"))
    }

    fn bundle(&self, stage: usize, host: &str) -> PathBuf {
        self.stage(stage).join(format!("{host}.isociel.com"))
    }

    fn operator(&self, stage: usize) -> Client {
        let dir = self.stage(stage).join("operator/etcd");
        Client { from: BASTION, ca: dir.join("ca.crt"), certificate: dir.join("operator.crt") }
    }

    /// What the control plane holds now.
    fn control_plane(&self) -> Client {
        let pki = Path::new("/etc/kubernetes/pki");
        Client {
            from: CONTROL_PLANE,
            ca: pki.join("etcd/etcd-ca.crt"),
            certificate: pki.join("apiserver-etcd-client.crt"),
        }
    }

    fn etcdctl(&self, client: &Client, endpoints: &str, arguments: &[&str]) -> Output {
        let mut command = self.net.command(client.from, "env");
        command.arg(oracle().expect("asked for").join("etcdctl")).arg(format!("--endpoints={endpoints}"));
        if endpoints.starts_with("https") {
            command
                .arg(format!("--cacert={}", client.ca.display()))
                .arg(format!("--cert={}", client.certificate.display()))
                .arg(format!("--key={}", client.certificate.with_extension("key").display()));
        }
        command.args(["--dial-timeout=2s", "--command-timeout=3s"]).args(arguments).output().expect("etcdctl")
    }

    fn install(&self, stage: usize, member: &str) {
        let script = self.bundle(stage, member).join("install.sh");
        let out = self.net.command(member, "bash").arg(script).output().expect("install.sh");
        let said = format!("{}{}", text(&out.stdout), text(&out.stderr));
        assert!(out.status.success(), "{member}: {said}\netcd: {}", self.log(member));
    }

    fn log(&self, member: &str) -> String {
        fs::read_to_string(self.net.path(member, "/run/stand-in/etcd.service.log")).unwrap_or_default()
    }

    fn pid(&self, member: &str) -> String {
        fs::read_to_string(self.net.path(member, "/run/stand-in/etcd.service.pid")).expect("a pid")
    }

    /// Waits until every member says to a client that it is healthy.
    fn healthy(&self, client: &Client) {
        let begin = Instant::now();
        loop {
            let out = self.etcdctl(client, &all(), &["endpoint", "health", "--write-out=json"]);
            if out.status.success() && text(&out.stdout).matches("\"health\":true").count() == 3 {
                return;
            }
            let logs: Vec<String> = MEMBERS.iter().map(|(name, _)| self.log(name)).collect();
            assert!(
                begin.elapsed() < Duration::from_secs(40),
                "{}{}\n{}",
                text(&out.stdout),
                text(&out.stderr),
                logs.join("\n")
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// What install.sh would lay on the control plane of what belongs to etcd.
    fn lay_control_plane(&self, stage: usize) {
        let begin = Instant::now();
        let from = self.bundle(stage, CONTROL_PLANE).join("root/etc/kubernetes/pki");
        let script = format!(
            "install -d -m 0755 /etc/kubernetes/pki/etcd && cd {} && for f in etcd/etcd-ca.crt \
             apiserver-etcd-client.crt apiserver-etcd-client.key; do \
             cp $f /etc/kubernetes/pki/$f.new && mv /etc/kubernetes/pki/$f.new /etc/kubernetes/pki/$f; done; \
             cp {}/proxy.crt {}/proxy.key /etc/kubernetes/pki/",
            from.display(),
            self.stage(stage).display(),
            self.stage(stage).display()
        );
        self.net.shell(CONTROL_PLANE, &script);
        self.laid.lock().expect("lock").push((begin, Instant::now()));
    }

    /// The proxy's own certificate, of the CA that signs in a stage.
    fn sign_proxy(&self, place: &Place, stage: usize) {
        let at = |name: &str| self.stage(stage).join(name);
        let ca = place.object("ca/etcd");
        let key =
            run(Command::new("age").arg("-d").arg("-i").arg(place.at("age.key")).arg(ca.join("key.pem.age")));
        fs::write(at("ca.key"), key).expect("write");
        fs::write(at("extensions"), "extendedKeyUsage=clientAuth\nauthorityKeyIdentifier=keyid\n")
            .expect("write");
        let openssl =
            |what: &str| run(Command::new("openssl").args(what.split(' ')).current_dir(self.stage(stage)));
        openssl(
            "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /O=proxy -keyout proxy.key -out proxy.csr",
        );
        openssl(&format!(
            "x509 -req -in proxy.csr -CA {} -CAkey ca.key -CAcreateserial -CAserial serial -days 2 -extfile extensions -out proxy.crt",
            ca.join("cert.pem").display()
        ));
    }

    /// etcd's gRPC proxy on the control plane, in place of an API server.
    fn proxy(&self) -> Child {
        let client = self.control_plane();
        let log = fs::File::create(self.dir.path().join("proxy.log")).expect("create");
        let mut command = self.net.command(CONTROL_PLANE, "env");
        command
            .arg(oracle().expect("asked for").join("etcd"))
            .args([
                "grpc-proxy",
                "start",
                "--listen-addr=127.0.0.1:23790",
                "--advertise-client-url=127.0.0.1:23790",
            ])
            .arg(format!("--endpoints={}", all()))
            .arg(format!("--cacert={}", client.ca.display()))
            .args(["--cert=/etc/kubernetes/pki/proxy.crt", "--key=/etc/kubernetes/pki/proxy.key"])
            .stdout(log.try_clone().expect("clone"))
            .stderr(log);
        let child = command.spawn().expect("grpc-proxy");
        let begin = Instant::now();
        while !self.etcdctl(&client, PROXY, &["get", "/none"]).status.success() {
            let log = || fs::read_to_string(self.dir.path().join("proxy.log")).unwrap_or_default();
            assert!(begin.elapsed() < Duration::from_secs(20), "the proxy does not serve: {}", log());
            std::thread::sleep(Duration::from_millis(100));
        }
        child
    }

    /// Runs something during which endpoints may be gone.
    fn restarting(&self, work: impl FnOnce()) {
        let begin = Instant::now();
        work();
        self.windows.lock().expect("lock").push((begin, Instant::now()));
    }

    /// Writes until it is told to stop. Answers how many writes were acknowledged, and the longest.
    fn write(&self, who: &str, endpoints: &[String]) -> (usize, Duration) {
        let client = self.control_plane();
        let (mut n, mut longest) = (0, Duration::ZERO);
        while !self.stop.load(Ordering::Relaxed) {
            let begin = Instant::now();
            for turn in n.. {
                let endpoint = &endpoints[turn % endpoints.len()];
                let (key, value) = (format!("/{who}/{n}"), n.to_string());
                let at = Instant::now();
                let out = self.etcdctl(&client, endpoint, &["put", &key, &value]);
                let done = out.status.success();
                let failed = (!done).then(|| text(&out.stderr));
                let what = format!("{who} {n} at {endpoint}");
                self.tries.lock().expect("lock").push(Try { begin: at, end: Instant::now(), what, failed });
                if done {
                    break;
                }
                assert!(begin.elapsed() < PATIENCE, "write {n} of {who} failed: {}", text(&out.stderr));
                std::thread::sleep(Duration::from_millis(100));
            }
            longest = longest.max(begin.elapsed());
            n += 1;
        }
        (n, longest)
    }

    /// Every try that failed did so while something restarted. But who begins between the two renames of a certificate
    /// and its key reads a pair that is none; etcdctl gives up at that, where an API server shakes hands again.
    fn judge_tries(&self) -> (usize, usize) {
        let tries = self.tries.lock().expect("lock");
        let (windows, laid) = (self.windows.lock().expect("lock"), self.laid.lock().expect("lock"));
        let mut failed = 0;
        for one in tries.iter() {
            let Some(said) = &one.failed else { continue };
            failed += 1;
            let met = |all: &[Window]| all.iter().any(|(begin, end)| one.begin <= *end && one.end >= *begin);
            let excused =
                met(&windows) || (said.contains("private key does not match public key") && met(&laid));
            assert!(excused, "{} failed while nothing restarted: {said}", one.what);
        }
        (tries.len(), failed)
    }

    /// The server ends the handshake itself, with an alert.
    fn refuses(&self, ca: &Path, certificate: &Path, at: &str) {
        let mut command = self.net.command(BASTION, "timeout");
        command.args(["5", "openssl", "s_client", "-connect", at, "-verify_return_error", "-ign_eof"]);
        command.arg("-CAfile").arg(ca).arg("-cert").arg(certificate);
        let out = command.arg("-key").arg(certificate.with_extension("key")).output().expect("s_client");
        let said = text(&out.stderr);
        let alert = ["unknown ca", "bad certificate"];
        assert!(
            alert.iter().any(|a| said.contains(&format!(" alert {a}"))),
            "{at}: {}{said}",
            text(&out.stdout)
        );
        assert!(text(&out.stdout).contains("Verification: OK"), "{at}: {}{said}", text(&out.stdout));
    }
}

fn all() -> String {
    endpoints().join(",")
}

fn endpoints() -> Vec<String> {
    MEMBERS.iter().map(|(_, address)| format!("https://{address}:2379")).collect()
}

/// A random order, from a seed that is printed.
fn shuffled(seed: &mut u64) -> Vec<&'static str> {
    let mut hosts: Vec<&str> = HOSTS.to_vec();
    for i in (1..hosts.len()).rev() {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let j = usize::try_from(*seed >> 33).expect("31 bits") % (i + 1);
        hosts.swap(i, j);
    }
    hosts
}

#[test]
fn three_members_with_writers_survive_the_rotation_of_both_cas() {
    let needs = [Need::Oracle, Need::Namespaces, Need::Program("openssl"), Need::Program("age")];
    if !can("three real etcd through the rotation of their CAs", &needs) {
        return;
    }
    let mut seed = std::env::var("KHAGEN_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock");
        u64::try_from(now.as_millis()).expect("64 bits")
    });
    eprintln!("KHAGEN_SEED={seed}");
    let place = Place::encrypted("inventory");
    let file = place.inventory().join("cluster.yaml");
    let running = fs::read_to_string(&file).expect("read");
    fs::write(&file, running.replace("state: running", "state: new")).expect("write");
    place.ends(&["build"], 0);
    let cluster = Cluster::new();
    place.unpacked(&cluster.stage(0), &HOSTS);
    cluster.sign_proxy(&place, 0);
    // Members that found a cluster wait for one another.
    std::thread::scope(|scope| {
        for (name, _) in MEMBERS {
            let cluster = &cluster;
            scope.spawn(move || cluster.install(0, name));
        }
    });
    cluster.lay_control_plane(0);
    cluster.healthy(&cluster.operator(0));
    fs::write(&file, running).expect("write");
    let mut proxy = cluster.proxy();

    let written = std::thread::scope(|scope| {
        let cluster = &cluster;
        let direct = scope.spawn(move || cluster.write("direct", &endpoints()));
        let proxied = scope.spawn(move || cluster.write("proxied", &[PROXY.to_owned()]));
        // Whatever fails below must end the writers too.
        let stages = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for stage in 1..=3 {
                place.advance(&ROOTS);
                place.unpacked(&cluster.stage(stage), &HOSTS);
                cluster.sign_proxy(&place, stage);
                let order = shuffled(&mut seed);
                eprintln!("stage {stage}: {}", order.join(", "));
                rotate(cluster, stage, &mut proxy, &order);
            }
        }));
        cluster.stop.store(true, Ordering::Relaxed);
        let written = [("direct", direct.join()), ("proxied", proxied.join())];
        if let Err(panic) = stages {
            std::panic::resume_unwind(panic);
        }
        written.map(|(who, done)| (who, done.expect("a writer")))
    });
    let (tries, failed) = cluster.judge_tries();
    let new = cluster.operator(3);
    for (who, (n, longest)) in written {
        let out =
            cluster.etcdctl(&new, &all(), &["get", &format!("/{who}/"), "--prefix", "--print-value-only"]);
        let mut kept: Vec<usize> = text(&out.stdout).lines().map(|l| l.parse().expect("a number")).collect();
        kept.sort_unstable();
        assert_eq!(kept, (0..n).collect::<Vec<_>>(), "writes of {who} that were acknowledged are gone");
        assert!(n > 20, "{who} wrote only {n} times");
        eprintln!("{who}: {n} writes, none lost, the longest {longest:.1?}");
    }
    eprintln!("{failed} of {tries} tries failed, all while a member or the proxy restarted");
    for (name, _) in MEMBERS {
        for wrong in ["unknown authority", "bad certificate", "unknown ca", "expired"] {
            assert!(!cluster.log(name).contains(wrong), "{name} met a stranger: {wrong}");
        }
    }

    // The former CAs' clients and peers are refused, the new ones' are not.
    let old = cluster.operator(1);
    let peer = cluster.bundle(1, "k8setcd1").join("root/etc/etcd/pki/k8setcd1-peer.crt");
    let peer_ca = cluster.bundle(3, "k8setcd1").join("root/etc/etcd/pki/etcd-peer-ca.crt");
    for (_, address) in MEMBERS {
        let at = format!("https://{address}:2379");
        assert!(cluster.etcdctl(&new, &at, &["put", "/after", "1"]).status.success(), "{at}");
        let mut stranger = cluster.operator(1);
        stranger.ca.clone_from(&new.ca);
        assert!(!cluster.etcdctl(&stranger, &at, &["get", "/after"]).status.success(), "{at}");
        cluster.refuses(&new.ca, &old.certificate, &format!("{address}:2379"));
        cluster.refuses(&peer_ca, &peer, &format!("{address}:2380"));
        // And who trusts only the former CA is shown a stranger.
        let trusting = Client { ca: cluster.operator(0).ca, ..cluster.operator(3) };
        assert!(!cluster.etcdctl(&trusting, &at, &["get", "/after"]).status.success(), "{at}");
    }
    proxy.kill().expect("kill");
    proxy.wait().expect("wait");
}

/// Installs a stage on every host in random order. Only what the rollout says restarts does.
fn rotate(cluster: &Cluster, stage: usize, proxy: &mut Child, order: &[&str]) {
    // The operator's credentials may be those of the former stage or of this one at any time.
    let operators = [cluster.operator(stage - 1), cluster.operator(stage)];
    let mut operator = &operators[0];
    for host in order.iter().copied() {
        let before: Vec<String> = MEMBERS.iter().map(|(name, _)| cluster.pid(name)).collect();
        match host {
            "operator" => operator = &operators[1],
            CONTROL_PLANE if stage == 2 => cluster.lay_control_plane(stage),
            CONTROL_PLANE => cluster.restarting(|| {
                cluster.lay_control_plane(stage);
                proxy.kill().expect("kill");
                proxy.wait().expect("wait");
                *proxy = cluster.proxy();
            }),
            member if stage == 2 => cluster.install(stage, member),
            member => cluster.restarting(|| {
                cluster.install(stage, member);
                cluster.healthy(operator);
            }),
        }
        for ((name, _), before) in MEMBERS.iter().zip(before) {
            let restarts = stage != 2 && *name == host;
            assert_eq!(cluster.pid(name) != before, restarts, "stage {stage} on {host}: {name}");
        }
        cluster.healthy(operator);
        std::thread::sleep(Duration::from_millis(700));
    }
    for operator in &operators[if stage == 3 { 1 } else { 0 }..] {
        cluster.healthy(operator);
    }
}
