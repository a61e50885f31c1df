//! Whole inventories: layers, equal settings in both formats, one fault that stays one finding, no panic on anything.

use std::fs;
use std::path::Path;

use super::*;
use crate::diag::{json, render, sarif};
use crate::load::tree::{Entry, Node, ScalarKind, Value};
use crate::model::{Host, Layer, Role};
use crate::source::Spanned;

const BASE: &str = "\
schema: khagen/v1
cluster: {name: c1, domain: example.com}
kubernetes:
  version: 1.36.5
  controlPlaneEndpoint: api.example.com:6443
  networking: {podSubnet: 10.244.0.0/16, serviceSubnet: 10.96.0.0/16}
etcd: {version: 3.6.14}
loadBalancer: {vip: 192.0.2.10/24, virtualRouterId: 10, interface: eth0}
hosts:
  - {name: etcd1, address: 192.0.2.21, roles: [etcd]}
  - {name: etcd2, address: 192.0.2.22, roles: [etcd]}
  - {name: etcd3, address: 192.0.2.23, roles: [etcd]}
  - {name: lb1, address: 192.0.2.31, roles: [load-balancer]}
  - {name: lb2, address: 192.0.2.32, roles: [load-balancer]}
  - {name: master1, address: 192.0.2.41, roles: [control-plane]}
  - {name: master2, address: 192.0.2.42, roles: [control-plane]}
";

struct Checked {
    inventory: Option<Inventory>,
    report: Report,
    sources: Sources,
}

impl Checked {
    fn lines(&self) -> String {
        render::lines(&self.report, &self.sources)
    }

    fn cluster(&self) -> &Cluster {
        assert_eq!(self.lines(), "");
        &self.inventory.as_ref().unwrap().clusters[0]
    }

    fn host(&self, name: &str) -> &Host {
        self.cluster().hosts.iter().find(|host| host.name == name).unwrap()
    }
}

fn today() -> Date {
    Date::from_calendar_date(2026, time::Month::November, 22).unwrap()
}

fn check_at(path: &Path) -> Checked {
    let (mut sources, mut report) = (Sources::new(), Report::new());
    let loaded = crate::load::load(path, &mut sources, &mut report);
    let inventory = check(&loaded, &sources, today(), &mut report);
    Checked { inventory, report, sources }
}

fn check_files(files: &[(&str, &str)]) -> Checked {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    check_at(dir.path())
}

fn check_text(more: &str) -> Checked {
    check_files(&[("cluster.yaml", &format!("{BASE}{more}"))])
}

/// The model without the folder that it was read from.
fn plain(checked: &Checked) -> String {
    let mut inventory = checked.inventory.clone().unwrap_or_else(|| panic!("{}", checked.lines()));
    for cluster in &mut inventory.clusters {
        cluster.dir = "DIR".into();
    }
    format!("{inventory:#?}")
}

fn inventories() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/inventories")
}

#[test]
fn the_example_is_the_same_in_yaml_and_toml() {
    let yaml = check_at(&Path::new(env!("CARGO_MANIFEST_DIR")).join("inventory"));
    let toml = check_at(&inventories().join("eleven-toml"));
    assert!(yaml.report.is_empty() && toml.report.is_empty(), "{}{}", yaml.lines(), toml.lines());
    assert_eq!(yaml.cluster().hosts.len(), 11);
    assert_eq!(plain(&yaml), plain(&toml));
}

#[test]
fn the_inventories_for_tests_are_valid() {
    let mut seen = 0;
    for entry in fs::read_dir(inventories()).unwrap() {
        let checked = check_at(&entry.unwrap().path());
        assert!(checked.inventory.is_some(), "{}", checked.lines());
        seen += 1;
    }
    assert!(seen >= 7, "{seen}");
    let two = check_at(&inventories().join("two-clusters"));
    let folders: Vec<_> =
        two.inventory.iter().flat_map(|i| &i.clusters).map(|c| c.folder.as_deref()).collect();
    assert_eq!(folders, [Some("blue"), Some("green")]);
}

#[test]
fn later_layers_win_and_maps_merge() {
    let checked = check_text(
        "  - name: w1
    address: 192.0.2.51
    roles: [worker]
    group: gpu
    sysctls: {vm.c: 4}
    kubeletExtraArgs: {v: 4}
  - {name: w2, address: 192.0.2.52, roles: [worker]}
defaults:
  interface: ens1
  ignorePreflightErrors: [Mem]
  ssh: {user: ops, port: 2222}
  sysctls: {vm.a: 1, vm.b: 1, vm.c: 1}
  kubelet: {maxPods: 50, tracing: {x: 1, y: 1}}
  kubeletExtraArgs: {v: 2, feature: [a, b]}
roles:
  control-plane: {interface: ens2}
  worker: {interface: ens3, sysctls: {vm.b: 2}, taints: ['a=b:NoSchedule']}
groups:
  gpu: {ssh: {port: 22}, sysctls: {vm.c: 3}, kubelet: {tracing: {y: 2}}, taints: []}
",
    );
    let w1 = checked.host("w1");
    assert_eq!(w1.interface.as_deref(), Some("ens3"));
    assert_eq!(w1.ignore_preflight_errors, ["Mem"]);
    assert_eq!((w1.ssh.user.as_str(), w1.ssh.port, w1.ssh.address.as_str()), ("ops", 22, "192.0.2.51"));
    let sysctls: Vec<_> = w1.sysctls.value.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(sysctls, ["vm.a=1", "vm.b=2", "vm.c=4"]);
    assert_eq!(w1.sysctls.from, Layer::Host);
    let nested = w1.kubelet.value.get("tracing").unwrap();
    assert_eq!(nested.get("x"), Some(&crate::value::Value::Number("1".into())));
    assert_eq!(nested.get("y"), Some(&crate::value::Value::Number("2".into())));
    assert_eq!(w1.kubelet.from, Layer::Group);
    assert_eq!(w1.taints, Some(vec![]));
    let args: Vec<_> = w1.kubelet_extra_args.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(args, ["feature=a", "feature=b", "v=4"]);
    let w2 = checked.host("w2");
    assert_eq!((w2.sysctls.from, w2.kubelet.from), (Layer::Role, Layer::Defaults));
    assert_eq!(w2.taints.as_ref().map(Vec::len), Some(1));
    let etcd = checked.host("etcd1");
    assert_eq!((etcd.interface.as_deref(), etcd.sysctls.from), (Some("ens1"), Layer::Defaults));
    assert_eq!(checked.host("master1").interface.as_deref(), Some("ens2"));
    assert!(etcd.taints.is_none());
}

#[test]
fn the_roles_of_a_host_layer_in_their_own_order() {
    let checked = check_text(
        "  - {name: both, address: 192.0.2.51, roles: [worker, control-plane]}
roles: {worker: {zone: w}, control-plane: {zone: c, domain: other.example.com}}
",
    );
    let both = checked.host("both");
    assert_eq!(both.roles, [Role::ControlPlane, Role::Worker]);
    assert_eq!(both.zone.as_deref(), Some("w"));
    assert_eq!(both.fqdn, "both.other.example.com");
    assert_eq!(both.node_name, "both.other.example.com");
}

#[test]
fn flags_keep_their_source_text() {
    let text = BASE.replace(
        "  version: 1.36.5\n",
        "  version: 1.36.5\n  scheduler: {extraArgs: {v: 1.30, a: true, b: \"30\", c: [x, 2], d: 0x10}}\n",
    );
    let checked = check_files(&[("cluster.yaml", &text)]);
    let args: Vec<_> =
        checked.cluster().kubernetes.scheduler.extra_args.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(args, ["a=true", "b=30", "c=x", "c=2", "d=0x10", "v=1.30"]);
}

#[test]
fn variables_are_text_and_volumes_keep_their_kinds() {
    let text = BASE.replace(
        "  version: 1.36.5\n",
        "  version: 1.36.5\n  scheduler:\n    extraEnvs: [{name: A, value: 1.50}]\n    \
         extraVolumes: [{name: a, hostPath: /a, mountPath: /b, readOnly: true}]\n",
    );
    let checked = check_files(&[("cluster.yaml", &text)]);
    let scheduler = &checked.cluster().kubernetes.scheduler;
    assert_eq!(scheduler.extra_envs[0].get("value"), Some(&crate::value::Value::text("1.50")));
    assert_eq!(scheduler.extra_volumes[0].get("readOnly"), Some(&crate::value::Value::Bool(true)));
    let slip = check_files(&[("cluster.yaml", &text.replace("hostPath", "hostpath"))]);
    assert_eq!(slip.report.counts(), (1, 0), "{}", slip.lines());
}

#[test]
fn what_goes_to_other_programs_is_the_same_in_both_formats() {
    let top = BASE.replace("etcd: {version: 3.6.14}\n", "");
    let yaml = check_files(&[
        ("cluster.yaml", &top),
        (
            "x.yaml",
            "etcd: {version: 3.6.14}\nkubernetes: {kubelet: {tracing: {a: 16, b: 1000, c: 1.5, d: true, e: x, f: [1], g: 2.0}}}\n",
        ),
    ]);
    let toml = check_files(&[
        ("cluster.yaml", &top),
        (
            "x.toml",
            "etcd.version = '3.6.14'\n[kubernetes.kubelet.tracing]\ng = 2.0\nf = [1]\ne = 'x'\nd = true\nc = 15e-1\nb = 1_000\na = 0x10\n",
        ),
    ]);
    assert_eq!(plain(&yaml), plain(&toml));
}

#[test]
fn a_table_where_toml_wants_two_brackets_is_told() {
    let slip = check_files(&[("cluster.toml", "[hosts]\nname = 'a'\n")]);
    let help = slip.report.iter().find(|f| f.code == crate::diag::Code::WrongType).unwrap().help.clone();
    assert!(help.is_some_and(|help| help.ends_with("two brackets: `[[hosts]]`")), "{}", slip.lines());
}

#[test]
fn defaults_are_those_of_the_description() {
    let checked = check_text("");
    let cluster = checked.cluster();
    let (k, e, b, p) = (&cluster.kubernetes, &cluster.etcd, &cluster.load_balancer, &cluster.pki);
    assert_eq!(
        (k.bind_port, k.dns_domain.as_str(), k.token_ttl.as_str()),
        (6443, "cluster.local", "24h0m0s")
    );
    assert_eq!(k.kube_proxy_mode.as_str(), "nftables");
    assert_eq!((e.client_port, e.peer_port, e.metrics_port), (2379, 2380, 2381));
    assert_eq!((e.heartbeat_interval, e.election_timeout, e.quota_backend_bytes), (100, 1000, 8 << 30));
    assert_eq!((e.snapshot_schedule.as_str(), e.snapshot_keep), ("daily", 7));
    assert_eq!(e.snapshot_dir, "/var/lib/khagen/etcd-snapshots");
    assert_eq!((b.port, b.connect_timeout, b.idle_timeout, b.auth), (6443, 2, 86400, false));
    assert_eq!((p.ca_validity_days, p.validity_days, p.renew_before_days), (3650, 365, 90));
    assert_eq!((cluster.hosts[0].ssh.user.as_str(), cluster.hosts[0].ssh.port), ("root", 22));
}

#[test]
fn every_default_and_example_can_be_read() {
    use crate::schema::{Fallback, Format, Kind};
    schema::walk(&mut |path, key| {
        let (Kind::Leaf(format) | Kind::OneOrList(format) | Kind::LeafOrMap(format, _)) = key.kind else {
            return;
        };
        let default = match key.fallback {
            Fallback::Value(text) => Some(text),
            _ => None,
        };
        for text in default.into_iter().chain(Some(key.example).filter(|text| !text.is_empty())) {
            match format {
                Format::Int { min, max } => {
                    let number: i64 = text.parse().unwrap_or_else(|_| panic!("{path}: {text}"));
                    assert!((min..=max).contains(&number), "{path}: {text}");
                }
                Format::Bool => assert!(matches!(text, "true" | "false"), "{path}: {text}"),
                Format::Choice { options, .. } => assert!(options.contains(&text), "{path}: {text}"),
                _ => assert_eq!(text::judge(format, text), Ok(()), "{path}: {text}"),
            }
        }
    });
}

#[test]
fn one_fault_is_one_finding() {
    for (good, bad) in [
        ("192.0.2.21", "192.0.2.2x"),
        ("podSubnet: 10.244.0.0/16", "podSubnet: 10.244.0.0"),
        ("vip: 192.0.2.10/24", "vip: 192.0.2.10"),
        ("version: 1.36.5", "version: 1.36"),
        ("version: 3.6.14", "version: latest"),
        ("[etcd]}\n  - {name: etcd3", "[etdc]}\n  - {name: etcd3"),
        ("name: lb1", "name: LB1"),
        ("domain: example.com", "domian: example.com"),
        ("etcd: {version: 3.6.14}", "etcd: 3.6.14"),
        ("loadBalancer: {", "loadBalancer: {mode: keepalive, "),
        ("interface: eth0", "interface: eth:0"),
        ("address: 192.0.2.31", "address: [192.0.2.31, 192.0.2.33]"),
        ("api.example.com:6443", "API.example.com:6443"),
        ("virtualRouterId: 10", "virtualRouterId: 0"),
    ] {
        let checked = check_files(&[("cluster.yaml", &BASE.replacen(good, bad, 1))]);
        assert_eq!(checked.report.counts(), (1, 0), "{bad}: {}", checked.lines());
        assert!(checked.inventory.is_none());
    }
}

#[test]
fn a_tree_with_gaps_is_not_said_to_lack_anything() {
    let doubled = BASE.replace("etcd: {version: 3.6.14}\n", "etcd: {version: 3.6.14}\nkubernetes: {}\n");
    let checked = check_files(&[("cluster.yaml", &doubled)]);
    assert_eq!(checked.report.counts(), (1, 0), "{}", checked.lines());
    let broken = check_files(&[("cluster.yaml", BASE), ("hosts.yaml", "hosts: [")]);
    assert_eq!(broken.report.counts(), (1, 0), "{}", broken.lines());
}

#[test]
fn shared_documents_are_judged_once() {
    let (shared, hosts) = BASE.split_at(BASE.find("hosts:").unwrap());
    let shared = shared.replace("cluster: {name: c1, domain: example.com}\n", "").replace("1.36.5", "1.36");
    let blue = format!("cluster: {{name: blue, domain: b.example.com}}\n{hosts}");
    let green = format!("cluster: {{name: green, domain: g.example.com}}\n{hosts}");
    let checked = check_files(&[
        ("shared.yaml", &shared),
        ("blue/cluster.yaml", &blue),
        ("green/cluster.yaml", &green),
    ]);
    let lines = checked.lines();
    assert_eq!(lines.matches("KH0208").count(), 1, "{lines}");
}

#[test]
fn no_renderer_shows_a_secret() {
    let canary = "c4n4ry-hunter2";
    let pem = "MHcCAQEEIBc4n4ryKeyBytes";
    let text = format!(
        "{BASE}defaults:\n  kubelet: {{password: {canary}, list: [{{name: API_TOKEN, value: {canary}}}]}}\n  pasword: {canary}\n  \
         zone: {canary}!\n  token: {canary}\n  token: {canary}2\n  os: |\n    -----BEGIN EC PRIVATE KEY-----\n    {pem}\n    \
         -----END EC PRIVATE KEY-----\n  ssh: {{secret: {canary}}}\n"
    )
    .replace("  pasword: c4n4ry-hunter2\n", "")
    .replace(&format!("  zone: {canary}!\n"), "");
    let checked = check_files(&[("cluster.yaml", &text)]);
    let (report, sources) = (&checked.report, &checked.sources);
    assert!(report.counts().0 >= 4, "{}", checked.lines());
    for shown in [
        render::text(report, sources, render::Look::default()),
        render::text(report, sources, render::Look { colour: true, width: Some(80), waived: true }),
        render::lines(report, sources),
        json::json(report, sources),
        sarif::sarif(report, sources),
    ] {
        assert!(!shown.contains("hunter2") && !shown.contains(pem), "{shown}");
    }
}

/// Every node of a tree, one at a time, made into something else.
fn mutants(node: &Node, see: &mut dyn FnMut(Node)) {
    let with = |value: Value| Node { value, span: node.span };
    let text = |text: &str, kind| Value::Scalar { text: text.to_owned(), kind };
    let map = |key: &str| {
        let key = Spanned::new(key.to_owned(), node.span);
        Value::Map(vec![Entry { key, value: with(Value::Null) }])
    };
    for value in [
        Value::Null,
        Value::Bool(true),
        Value::List(vec![]),
        Value::List(vec![with(Value::Null), with(text("x", ScalarKind::Str))]),
        Value::Map(vec![]),
        map("secret"),
        map(""),
        map("a.b"),
        text("", ScalarKind::Str),
        text("-1", ScalarKind::Int),
        text("99999999999999999999", ScalarKind::Int),
        text("0644", ScalarKind::Int),
        text("nan", ScalarKind::Float),
        text("\u{1f980}\n\0%s{}\"'`$(x)", ScalarKind::Str),
    ] {
        see(with(value));
    }
    match &node.value {
        Value::List(items) => {
            for (at, item) in items.iter().enumerate() {
                mutants(item, &mut |mutant| {
                    let mut items = items.clone();
                    items[at] = mutant;
                    see(with(Value::List(items)));
                });
            }
        }
        Value::Map(entries) => {
            for (at, entry) in entries.iter().enumerate() {
                mutants(&entry.value, &mut |mutant| {
                    let mut entries = entries.clone();
                    entries[at].value = mutant;
                    see(with(Value::Map(entries)));
                });
                let mut fewer = entries.clone();
                fewer.remove(at);
                see(with(Value::Map(fewer)));
            }
        }
        _ => {}
    }
}

#[test]
fn nothing_that_can_be_written_makes_it_panic() {
    let text = format!(
        "{BASE}  - {{name: w, address: [192.0.2.51, '2001:db8::1'], addresses: {{ssh: x.example.com}}, roles: [worker], group: g, \
         taints: ['a=b:NoSchedule', {{key: a, effect: NoExecute}}], labels: {{a: b}}, sysctls: {{vm.a: 1}}, \
         files: [{{path: /a, source: a}}], kubelet: {{allowedUnsafeSysctls: [1]}}, kubeletExtraArgs: {{v: [1, 2]}}}}\n\
         groups: {{g: {{ssh: {{port: 1}}}}}}\npki: {{validity: 1y}}\nsecrets: {{recipients: []}}\n"
    );
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("files")).unwrap();
    fs::write(dir.path().join("files/a"), "a\n").unwrap();
    fs::write(dir.path().join("cluster.yaml"), text).unwrap();
    let (mut sources, mut report) = (Sources::new(), Report::new());
    let mut loaded = crate::load::load(dir.path(), &mut sources, &mut report);
    assert!(check(&loaded, &sources, today(), &mut report).is_some(), "{}", render::lines(&report, &sources));
    let original = loaded.clusters[0].root.clone();
    let (mut refused, mut total) = (0, 0);
    mutants(&original, &mut |mutant| {
        loaded.clusters[0].root = mutant;
        let mut report = Report::new();
        let inventory = check(&loaded, &sources, today(), &mut report);
        assert_eq!(inventory.is_none(), report.has_errors());
        refused += usize::from(inventory.is_none());
        total += 1;
    });
    assert!(total > 1000 && refused > total / 2, "{refused} of {total}");
}
