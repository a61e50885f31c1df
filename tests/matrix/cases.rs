//! The inventories that every minor is asked about: those of tests/inventories, and what an edit makes of them.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Map, Value, json};

use crate::mutate::{set, take};
use crate::support::{copy_inventory, corporate, khagen, root, run};

/// An inventory.
pub struct Case {
    /// Its name in the table.
    pub name: &'static str,
    /// What it is there for.
    pub shows: &'static str,
    /// The folder that it is made of: `inventory`, or one of tests/inventories.
    pub base: &'static str,
    /// What is changed there.
    pub edit: fn(&mut Value),
    /// Below this minor khagen refuses it with this code.
    pub refused: Option<(u32, &'static str)>,
    /// Whether a company's CAs are imported.
    pub own_ca: bool,
    /// Whether `kubeadm init phase certs` and `kubeconfig` run in the bundle of the first control plane.
    pub phases: bool,
}

const fn case(name: &'static str, shows: &'static str, base: &'static str, edit: fn(&mut Value)) -> Case {
    Case { name, shows, base, edit, refused: None, own_ca: false, phases: false }
}

fn as_it_is(_: &mut Value) {}

/// The table's inventories, in its order.
pub const CASES: [Case; 20] = [
    Case {
        phases: true,
        ..case("eleven", "eleven hosts, kube-proxy in the minor's default mode", "inventory", |v| {
            take(v, "kubernetes/kubeProxy/mode");
        })
    },
    Case { phases: true, ..case("compact", "three hosts that are everything", "compact", as_it_is) },
    case("single", "one host, no balancer", "single", as_it_is),
    case(
        "large",
        "5 etcd members, 2 balancers, 5 control planes, 200 workers: every host's document",
        "inventory",
        large,
    ),
    case("dual-stack", "IPv4 and IPv6, extraArgs, extraVolumes, certSANs", "dual-stack", as_it_is),
    case("ipv6", "IPv6 only; the endpoint is an address", "ipv6", as_it_is),
    case("proxy-none", "no kube-proxy, an external balancer, no addresses by Kubernetes", "cilium", as_it_is),
    case("proxy-iptables", "kube-proxy in iptables mode", "inventory", |v| {
        set(v, "kubernetes/kubeProxy/mode", json!("iptables"));
    }),
    Case {
        refused: Some((31, "KH0504")),
        ..case("proxy-nftables", "kube-proxy in nftables mode", "inventory", as_it_is)
    },
    case("proxy-ipvs", "kube-proxy in ipvs mode", "inventory", |v| {
        set(v, "kubernetes/kubeProxy/mode", json!("ipvs"));
    }),
    case(
        "args-single",
        "extraArgs, extraVolumes, patches, skipPhases, timeouts, taints, labels: what every minor takes",
        "settings",
        single_args,
    ),
    Case {
        refused: Some((31, "KH0510")),
        ..case("args-repeated", "a flag given twice, which v1beta4 brought", "inventory", |v| {
            take(v, "kubernetes/kubeProxy/mode");
            set(
                v,
                "kubernetes/apiServer/extraArgs",
                json!({"service-account-issuer": ["https://a.example.com", "https://b.example.com"]}),
            );
        })
    },
    Case {
        refused: Some((31, "KH0511")),
        ..case(
            "settings",
            "args-single, and whatever v1beta4 brought: extraEnvs, every timeout, pull order",
            "settings",
            as_it_is,
        )
    },
    case(
        "cert-sans",
        "names, wildcards and addresses of both families in the certificate",
        "inventory",
        |v| {
            take(v, "kubernetes/kubeProxy/mode");
            set(
                v,
                "kubernetes/apiServer/certSANs",
                json!(["api.example.com", "*.api.example.com", "203.0.113.10", "2001:db8::10", "localhost"]),
            );
        },
    ),
    Case {
        own_ca: true,
        phases: true,
        ..case("own-ca", "a company's four CAs, imported with their keys", "inventory", |v| {
            take(v, "kubernetes/kubeProxy/mode");
        })
    },
    Case {
        phases: true,
        ..case(
            "external-ca",
            "nobody in the cluster has a CA's key; nodes join with issued credentials",
            "external-ca",
            |v| {
                take(v, "kubernetes/kubeProxy/mode");
            },
        )
    },
    case(
        "pki-kubeadm",
        "kubeadm signs on the hosts and hands the CAs on (upload-certs)",
        "pki-kubeadm",
        |v| {
            take(v, "kubernetes/kubeProxy/mode");
        },
    ),
    case(
        "registry",
        "a private registry for everything, another for CoreDNS and its tag",
        "inventory",
        |v| {
            take(v, "kubernetes/kubeProxy/mode");
            set(v, "kubernetes/imageRepository", json!("registry.example.com:5000/mirror/k8s"));
            set(v, "kubernetes/dns", json!({"imageRepository": "registry.example.com:5000/coredns"}));
        },
    ),
    case("external-balancer", "somebody else's balancer serves the endpoint", "inventory", |v| {
        take(v, "kubernetes/kubeProxy/mode");
        set(v, "loadBalancer", json!({"mode": "external", "vip": "192.168.13.70/24", "port": 6443}));
        let hosts = v["hosts"].as_array_mut().expect("hosts");
        hosts.retain(|h| h["roles"][0] != "load-balancer");
    }),
    Case {
        phases: true,
        ..case(
            "tutorial",
            "the tutorial's cluster of 1.28.2: ipvs, one CA for etcd, its SANs",
            "tutorial",
            as_it_is,
        )
    },
];

/// `settings` without what v1beta3 does not have.
pub fn single_args(v: &mut Value) {
    set(v, "kubernetes/apiServer/extraArgs/service-account-issuer", json!("https://a.example.com"));
    set(v, "kubernetes/timeouts", json!({"controlPlaneComponentHealthCheck": "10m", "discovery": "15m"}));
    take(v, "defaults/imagePullSerial");
    for component in ["apiServer", "controllerManager", "scheduler"] {
        take(v, &format!("kubernetes/{component}/extraEnvs"));
    }
    // The target came with 1.31.
    let patches = v["roles"]["control-plane"]["patches"].as_array_mut().expect("patches");
    patches.retain(|p| p["target"] != "corednsdeployment");
}

fn large(v: &mut Value) {
    take(v, "kubernetes/kubeProxy/mode");
    set(v, "kubernetes/networking/podSubnet", json!("10.128.0.0/9"));
    set(v, "loadBalancer/vip", json!("10.50.0.100/16"));
    set(v, "loadBalancer/virtualRouterId", json!(50));
    let mut hosts = Vec::new();
    for (role, name, count, net) in [
        ("etcd", "etcd", 5, "10.50.1"),
        ("load-balancer", "lb", 2, "10.50.2"),
        ("control-plane", "master", 5, "10.50.3"),
        ("worker", "worker", 200, "10.50.4"),
    ] {
        for i in 1..=count {
            hosts.push(
                json!({"name": format!("{name}{i}"), "address": format!("{net}.{i}"), "roles": [role]}),
            );
        }
    }
    set(v, "hosts", json!(hosts));
}

fn folder(base: &str) -> std::path::PathBuf {
    if base == "inventory" { root().join(base) } else { root().join("tests/inventories").join(base) }
}

/// An inventory as one tree: the maps of its documents joined.
pub fn read(base: &str) -> Value {
    let mut all = Map::new();
    for entry in fs::read_dir(folder(base)).expect("an inventory") {
        let path = entry.expect("entry").path();
        if path.extension().is_some_and(|e| e == "yaml") {
            let part: Value = serde_yaml::from_str(&fs::read_to_string(&path).expect("read")).expect("YAML");
            all.extend(part.as_object().expect("a map").clone());
        }
    }
    Value::Object(all)
}

/// Puts an inventory into a folder: the files beside the base's documents, and the tree in place of these.
pub fn write(base: &str, inventory: &Value, to: &Path) {
    copy_inventory(&folder(base), to);
    for entry in fs::read_dir(to).expect("the copy") {
        let path = entry.expect("entry").path();
        if path.extension().is_some_and(|e| e == "yaml") {
            fs::remove_file(path).expect("remove");
        }
    }
    rewrite(inventory, to);
}

/// Writes the tree anew.
pub fn rewrite(inventory: &Value, to: &Path) {
    // JSON is YAML.
    let text = serde_json::to_string_pretty(inventory).expect("JSON");
    fs::write(to.join("cluster.yaml"), text).expect("write");
}

/// Imports a company's CAs, which are made beside the inventory.
pub fn import(inventory: &Path) {
    let pki = inventory.parent().expect("a folder").join("pki");
    corporate::company(&pki);
    for (ca, cert, key) in [
        ("ca/kubernetes", "kubernetes.pem", "kubernetes.enc.key"),
        ("front-proxy-ca", "front-proxy.pem", "front-proxy.sec1.key"),
        ("etcd", "etcd.pem", "etcd.key"),
        ("etcd-peer-ca", "etcd-peer.pem", "etcd-peer.pkcs1.key"),
    ] {
        let mut import: Command = khagen();
        import.current_dir(&pki).args(["pki", "import", "--ca", ca, "--cert", cert, "--key", key]);
        if key.ends_with(".enc.key") {
            import.args(["--passphrase-file", "passphrase"]);
        }
        run(import.arg(inventory));
    }
}
