//! Every JoinConfiguration as the real `kubeadm join` takes it, up to where it needs a kubelet: the document is loaded, the host
//! is checked, the cluster is found by token and CA hash (or by the kubelet's own certificate), its settings are fetched, and
//! a control plane's certificates, kubeconfigs and manifests are prepared from what the bundle holds. The first control plane's
//! InitConfiguration comes as far as its checks, of which one asks every etcd member for its version with the API server's
//! certificate.
//!
//! The cluster that it finds is nginx with the bundles' own certificates and answers that never change. It asks for the token or
//! the certificate as an API server does. No API server is judged here, and the checks of the runtime and the kernel are not
//! khagen's: they are the list IGNORED.

#[path = "../support/mod.rs"]
mod support;

mod cluster;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use cluster::{Cluster, FETCHED};
use support::{Need, built, can, oracle, root, text};

const INVENTORIES: [&str; 11] = [
    "inventory",
    "compact",
    "dual-stack",
    "ipv6",
    "cilium",
    "settings",
    "external-ca",
    "pki-kubeadm",
    "retired",
    "single",
    "tutorial",
];
/// There is no container runtime here, and kernel, memory and processors are the machine's.
const IGNORED: &str = "CRI,ContainerRuntimeVersion,ImagePull,SystemVerification,NumCPU,Mem,Swap";

/// kubeadm of a minor: of `KHAGEN_MINORS`, or the oracle's own. Those that `./test` builds must be there when any is.
fn kubeadm(minor: &str) -> Option<PathBuf> {
    let listed = std::env::var("KHAGEN_MINORS").unwrap_or_default();
    let of = listed.split_whitespace().filter_map(|entry| entry.split_once('='));
    let found = of.filter(|(name, _)| *name == minor).map(|(_, dir)| PathBuf::from(dir)).next();
    found.or_else(|| (minor == "1.36").then(oracle).flatten()).map(|dir| dir.join("kubeadm"))
}

fn able(test: &str) -> bool {
    let needs = [Need::Oracle, Need::Minors, Need::Namespaces, Need::Program("nginx"), Need::Program("ip")];
    can(test, &needs)
}

/// A host with a kubelet: its files, and what became of it.
struct Joined {
    name: String,
    role: &'static str,
    root: PathBuf,
    said: String,
    taken: bool,
}

/// All nodes of a cluster, with the kubeadm of its minor.
fn join(cluster: &Cluster, kubeadm: &Path) -> Vec<Joined> {
    let dir = cluster.dir.path();
    let mut hosts = Vec::new();
    let mut lines = String::new();
    for host in cluster.nodes() {
        let root = cluster.root(&host.fqdn);
        let mut ignored = IGNORED.to_owned();
        if cluster.port() == host.bind_port {
            // In the lab and in life these are two machines.
            ignored += &format!(",Port-{}", host.bind_port);
        }
        lines += &format!("{} {} {} {ignored}\n", root.display(), host.name, host.role);
        hosts.push((host, root));
    }
    fs::write(dir.join("hosts"), lines).expect("write");
    let out = Command::new("unshare")
        .args(["--net", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"])
        .arg("--")
        .arg(self::root().join("tests/join/joining.sh"))
        .arg(dir)
        .arg(kubeadm)
        .output()
        .expect("unshare");
    assert!(out.status.success(), "{}{}", text(&out.stdout), text(&out.stderr));
    hosts
        .into_iter()
        .map(|(host, root)| {
            let beside = |end: &str| PathBuf::from(format!("{}.{end}", root.display()));
            Joined {
                said: fs::read_to_string(beside("said")).expect("said"),
                taken: fs::read_to_string(beside("code")).expect("code").trim() == "0",
                name: host.fqdn,
                role: host.role,
                root,
            }
        })
        .collect()
}

#[test]
fn every_host_joins_up_to_its_kubelet() {
    if !able("kubeadm join of every host") {
        return;
    }
    let mut joined = 0;
    for name in INVENTORIES {
        let cluster = Cluster::of(built(name));
        let minor = cluster.minor();
        let Some(kubeadm) = kubeadm(&minor) else {
            // tests/matrix tells the same of minors that are no longer supported.
            assert!(!["1.35", "1.36", "1.37"].contains(&&*minor), "{name}: no kubeadm {minor}");
            let _ =
                writeln!(std::io::stderr(), "kubeadm join: {name} needs kubeadm {minor} in KHAGEN_MINORS");
            continue;
        };
        let hosts = join(&cluster, &kubeadm);
        assert!(!hosts.is_empty(), "{name}");
        for host in &hosts {
            let at = format!("{name}, {}", host.name);
            assert!(host.taken, "{at}:\n{}\n{}", host.said, cluster.log());
            for made in ["[certs] Generating", "[kubeconfig] Writing"].iter().filter(|_| !cluster.is_spread())
            {
                assert!(
                    !host.said.contains(*made),
                    "{at}: kubeadm made something of its own:
{}",
                    host.said
                );
            }
            if host.role == "control-plane" {
                if cluster.is_spread() {
                    fetched(&cluster, host, &at);
                } else {
                    prepared(&cluster, host, &at);
                }
                manifest(&cluster, host, &at);
            }
        }
        let log = cluster.log();
        let asked: BTreeSet<&str> = log.lines().filter_map(|l| l.split_whitespace().nth(1)).collect();
        let joining = hosts.iter().filter(|h| h.role != "init").count();
        if joining > 0 {
            for what in ["kubeadm-config", "kubelet-config"] {
                let path = format!("/api/v1/namespaces/kube-system/configmaps/{what}");
                assert!(asked.contains(&*path), "{name}: nobody asked for {what}\n{log}");
            }
            let status = if name == "external-ca" { "403" } else { "200" };
            let found = format!("{status} /api/v1/namespaces/kube-public/configmaps/cluster-info ");
            assert!(log.contains(&found), "{name}: {log}");
        }
        let by_certificate = log.lines().filter(|l| l.starts_with("200 /version SUCCESS ")).count();
        let asking = hosts.len() - joining;
        assert_eq!(by_certificate, asking * cluster.etcd_endpoints().len(), "{name}: etcd was asked\n{log}");
        joined += joining;
        let _ = writeln!(std::io::stderr(), "kubeadm {minor}: {name}: init on {asking}, join on {joining}");
    }
    assert!(joined >= 20, "only {joined} hosts");
}

/// A control plane's part: everything was there before.
fn prepared(cluster: &Cluster, host: &Joined, at: &str) {
    let valid = "Valid certificates and keys now exist in \"/etc/kubernetes/pki\"";
    assert!(host.said.contains(valid), "{at}:\n{}", host.said);
    // Without the CA's key kubeadm looks at them all and names none.
    if cluster.root(&host.name).join("etc/kubernetes/pki/ca.key").exists() {
        for kept in ["apiserver", "apiserver-kubelet-client", "front-proxy-client"] {
            let used = format!("Using the existing \"{kept}\" certificate and key");
            assert!(host.said.contains(&used), "{at}: {used}:\n{}", host.said);
        }
    }
    assert!(host.said.contains("Using the existing \"sa\" key"), "{at}:\n{}", host.said);
    for kept in ["admin.conf", "controller-manager.conf", "scheduler.conf"] {
        let used = format!("Using existing kubeconfig file: \"/etc/kubernetes/{kept}\"");
        let external = format!("External CA mode: Using user provided {kept}");
        assert!(host.said.contains(&used) || host.said.contains(&external), "{at}: {kept}:\n{}", host.said);
    }
}

/// With `pki: kubeadm`: the CAs came from the cluster, as the first control plane has them, and kubeadm signed the rest with
/// them. What khagen had laid it leaves as it was, down to modes.
fn fetched(cluster: &Cluster, host: &Joined, at: &str) {
    let downloaded = "[download-certs] Saving the certificates to the folder: \"/etc/kubernetes/pki\"";
    assert!(host.said.contains(downloaded), "{at}:\n{}", host.said);
    for made in ["apiserver", "apiserver-kubelet-client", "front-proxy-client"] {
        assert!(
            host.said.contains(&format!("Generating \"{made}\" certificate and key")),
            "{at}: {made}:\n{}",
            host.said
        );
    }
    for made in ["admin.conf", "controller-manager.conf", "scheduler.conf"] {
        let wrote = format!("[kubeconfig] Writing \"{made}\" kubeconfig file");
        assert!(host.said.contains(&wrote), "{at}: {made}:\n{}", host.said);
    }
    for (_, path) in FETCHED {
        let own = host.root.join(path);
        let theirs = cluster.root("k8smaster1.isociel.com").join(path);
        let text = |file: &Path| fs::read(file).unwrap_or_else(|e| panic!("{at}: {}: {e}", file.display()));
        assert!(text(&own) == text(&theirs), "{at}: {path} is another");
        let mode = |file: &Path| {
            std::os::unix::fs::PermissionsExt::mode(&fs::metadata(file).expect("metadata").permissions())
        };
        assert_eq!(mode(&own), mode(&theirs), "{at}: {path}");
    }
}

/// The manifests are this host's.
fn manifest(cluster: &Cluster, host: &Joined, at: &str) {
    let manifest = host.root.join("etc/kubernetes/manifests/kube-apiserver.yaml");
    let manifest =
        fs::read_to_string(&manifest).unwrap_or_else(|e| panic!("{at}: {}: {e}", manifest.display()));
    let address = cluster.address(&host.name);
    assert!(manifest.contains(&format!("--advertise-address={address}")), "{at}:\n{manifest}");
    for endpoint in cluster.etcd_endpoints() {
        assert!(manifest.contains(&endpoint), "{at}: {endpoint}:\n{manifest}");
    }
}

/// What lapses after two hours, or was encrypted with another key, keeps a control plane out and no worker; up.sh knows the
/// former by kubeadm's words.
#[test]
fn a_control_plane_does_not_join_without_the_uploaded_cas() {
    if !able("kubeadm join without uploaded CAs") {
        return;
    }
    let kubeadm = kubeadm("1.36").expect("the oracle's");
    let up = fs::read_to_string(root().join("templates/scripts/up.sh")).expect("up.sh");
    let words = "\"kubeadm-certs\" was not found";
    assert!(up.contains(words));
    let said = |change: &dyn Fn(&Cluster)| {
        let cluster = Cluster::of(built("pki-kubeadm"));
        change(&cluster);
        let hosts = join(&cluster, &kubeadm);
        for host in &hosts {
            assert_eq!(host.taken, host.role != "control-plane", "{}:\n{}", host.name, host.said);
        }
        hosts.into_iter().find(|h| h.role == "control-plane").expect("one").said
    };
    let lapsed = said(&|cluster| fs::remove_file(cluster.secret()).expect("remove"));
    assert!(lapsed.contains(words), "{lapsed}");
    let other = said(&|cluster| {
        for host in ["k8smaster2.isociel.com", "k8smaster3.isociel.com"] {
            let file = cluster.root(host).join("etc/kubernetes/kubeadm.yaml");
            let text = fs::read_to_string(&file).expect("read");
            let (before, after) = text.split_once("certificateKey: ").expect("the key");
            let rest = after.trim_start_matches(|c: char| c != '\n');
            let key = "0".repeat(64);
            fs::write(&file, format!("{before}certificateKey: \"{key}\"{rest}")).expect("write");
        }
    });
    assert!(other.contains("error decoding secret data with provided key"), "{other}");
}

/// Without these the test above would say nothing.
#[test]
fn a_host_with_a_mistake_does_not_join() {
    if !able("kubeadm join with mistakes") {
        return;
    }
    let kubeadm = kubeadm("1.36").expect("the oracle's");
    let cluster = Cluster::of(built("inventory"));
    let document = |host: &str| cluster.root(host).join("etc/kubernetes/kubeadm.yaml");
    let edit = |host: &str, from: &str, to: &str| {
        let file = document(host);
        let good = fs::read_to_string(&file).expect("read");
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{host}: {from}");
        // A cluster that cannot be found is looked for this long.
        fs::write(&file, bad + "timeouts:\n  discovery: 4s\n").expect("write");
    };
    edit("k8sworker1.isociel.com", "token: ", "token: zzzzzz.zzzzzzzzzzzzzzzz # ");
    edit(
        "k8sworker2.isociel.com",
        "- sha256:",
        "- sha256:0000000000000000000000000000000000000000000000000000000000000000 # ",
    );
    edit("k8sworker3.isociel.com", "apiServerEndpoint: k8sapi", "apiServerEndpoint: k8setcd1");
    fs::remove_file(cluster.root("k8smaster2.isociel.com").join("etc/kubernetes/pki/sa.key"))
        .expect("remove");
    // A certificate of the same CA for another host: kubeadm compares the names.
    let pki = |host: &str| cluster.root(host).join("etc/kubernetes/pki");
    for end in ["crt", "key"] {
        let file = format!("apiserver.{end}");
        fs::copy(pki("k8smaster1.isociel.com").join(&file), pki("k8smaster3.isociel.com").join(&file))
            .expect("copy");
    }
    let reasons = [
        ("k8smaster2.isociel.com", "sa.key"),
        ("k8smaster3.isociel.com", "not k8smaster3.isociel.com"),
        ("k8sworker1.isociel.com", "zzzzzz"),
        ("k8sworker2.isociel.com", "sha256"),
        ("k8sworker3.isociel.com", "certificate"),
    ];
    let hosts = join(&cluster, &kubeadm);
    assert_eq!(hosts.len(), reasons.len() + 1);
    for host in hosts.iter().filter(|h| h.role != "init") {
        let (_, reason) = reasons.iter().find(|(name, _)| *name == host.name).expect("a reason");
        assert!(!host.taken, "{} joins:\n{}", host.name, host.said);
        assert!(host.said.contains(reason), "{}: not for {reason}:\n{}", host.name, host.said);
    }
}
