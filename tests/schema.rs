//! The published JSON Schemas are what the description of the keys says, and agree with the compiler.
//!
//! What the schema refuses the compiler refuses. What the compiler refuses for a key, a type or a word the schema refuses;
//! [`SHAPE`] lists those codes, and [`is_semantic`] the few places where a rule over several settings uses one of them.

mod support;

use std::collections::BTreeMap;
use std::fs;

use jsonschema::Validator;
use khagen::diag::{Code, Report, Severity};
use khagen::schema::json::{self, Extent};
use khagen::schema::{Format, HOST, INVENTORY, Key, Kind};
use khagen::source::Sources;
use serde_json::{Map, Value, json};
use support::{khagen, root, run, scratch};
use time::{Date, Month};

const SHAPE: [Code; 9] = [
    Code::UnknownKey,
    Code::WrongType,
    Code::MissingKey,
    Code::NotBuiltYet,
    Code::NotAChoice,
    Code::OutOfRange,
    Code::EmptyList,
    Code::Repeated,
    Code::OnlyOnHost,
];

/// A rule over several settings that says so with a code of the decoder's.
fn is_semantic(code: Code, message: &str) -> bool {
    match code {
        // What a mode or a role asks for.
        // A taint may be a text or a map, and equal maps are a rule's to find.
        Code::Repeated => message.contains(".taints`"),
        // `artifacts.hosts.NAME` of no host.
        Code::UnknownKey => message.starts_with("there is no "),
        Code::MissingKey => SEMANTIC_MISSING.iter().any(|part| message.contains(part)),
        _ => false,
    }
}

const SEMANTIC_MISSING: [&str; 2] = [".address`", "`loadBalancer.virtualRouterId`"];

fn validator(extent: Extent) -> Validator {
    jsonschema::validator_for(&json::value(extent)).expect("a schema")
}

#[test]
fn the_published_schemas_are_current() {
    for extent in [Extent::Document, Extent::Whole] {
        let path = root().join("docs/schema").join(extent.file());
        let schema = json::schema(extent);
        if std::env::var_os("KHAGEN_BLESS").is_some() {
            fs::write(&path, &schema).expect("write");
        }
        assert!(
            fs::read_to_string(&path).unwrap_or_default() == schema,
            "{} is not what src/schema says: KHAGEN_BLESS=1 cargo test --test schema",
            path.display()
        );
    }
    let printed = run(khagen().arg("schema"));
    assert_eq!(printed, json::schema(Extent::Document));
    assert_eq!(run(khagen().args(["schema", "--whole"])), json::schema(Extent::Whole));
    let schema = json::value(Extent::Whole);
    let meta = jsonschema::meta::validate(&schema);
    assert!(meta.is_ok(), "{:?}", meta.err());
}

#[test]
fn every_default_and_example_is_one() {
    let mut wrong = Vec::new();
    visit(&json::value(Extent::Whole), "", &mut |path, schema| {
        let root = json!({"$defs": {"foreign": {}}, "allOf": [schema]});
        let validator = jsonschema::validator_for(&root).expect("a schema");
        let shown =
            schema.get("default").into_iter().chain(schema["examples"].as_array().into_iter().flatten());
        for value in shown {
            if !validator.is_valid(value) {
                wrong.push(format!("{path}: {value}"));
            }
        }
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn visit(schema: &Value, path: &str, see: &mut dyn FnMut(&str, &Value)) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        if property.get("examples").is_some() || property.get("default").is_some() {
            see(&path, property);
        }
        visit(property, &path, see);
        visit(&property["items"], &format!("{path}[]"), see);
    }
    for (name, def) in schema["$defs"].as_object().into_iter().flatten() {
        visit(def, name, see);
    }
}

/// Numbers that look random and are the same in each run.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        // Steele, Lea and Flood's SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % (below.max(1) as u64)).expect("small")
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.next(of.len())]
    }
}

/// Three hosts with every role, valid.
fn base() -> Value {
    let host = |n: usize| {
        json!({"name": format!("n{n}"), "address": format!("192.168.13.{n}"),
            "roles": ["etcd", "load-balancer", "control-plane"]})
    };
    json!({
        "schema": "khagen/v1",
        "cluster": {"name": "lab", "domain": "example.com"},
        "kubernetes": {
            "version": "1.36.5", "controlPlaneEndpoint": "api.example.com:8443",
            "networking": {"podSubnet": "100.64.0.0/10", "serviceSubnet": "198.18.0.0/16"},
        },
        "etcd": {"version": "3.6.14"},
        "loadBalancer": {"vip": "192.168.13.70/24", "virtualRouterId": 70, "interface": "ens33", "port": 8443},
        "hosts": [host(1), host(2), host(3)],
    })
}

/// A value of a format, or one that may be none.
fn leaf(format: Format, random: &mut Random) -> Value {
    let pool: Vec<Value> = match format {
        Format::Bool => vec![json!(true), json!(false), json!("true"), json!("yes")],
        Format::Int { min, max } => {
            vec![json!(min), json!(max), json!(min - 1), json!(max + 1), json!(min.to_string())]
        }
        Format::Choice { options, coming } => options
            .iter()
            .chain(coming)
            .map(|word| json!(word))
            .chain([json!("nftable"), json!("Etcd"), json!(2)])
            .collect(),
        Format::Duration { .. } => {
            ["1d", "90d", "1h30m", "10y", "365d", "30m1h", "", "1", "2s"].map(|v| json!(v)).to_vec()
        }
        Format::Version => {
            ["1.36.5", "v1.36.4", "3.6.14", "1.36", "latest", "01.2.3"].map(|v| json!(v)).to_vec()
        }
        Format::Size => {
            vec![json!(0), json!("8GiB"), json!("8 GiB"), json!("8GB"), json!(-1), json!(1_000_000)]
        }
        Format::Address => {
            ["192.168.13.9", "2001:db8::9", "192.168.13.09", "::ffff:1.2.3.4", "x"].map(|v| json!(v)).to_vec()
        }
        Format::AddressInNetwork | Format::Network | Format::Subnets => [
            "192.168.13.70/24",
            "10.0.0.0/16",
            "10.0.0.0/16,fd00::/48",
            "10.0.0.0",
            "fd00::/48",
            "10.0.0.0/33",
        ]
        .map(|v| json!(v))
        .to_vec(),
        Format::Endpoint | Format::HostOrAddress | Format::San | Format::DnsName | Format::Label => [
            "a",
            "a.example.com:6443",
            "a.example.com",
            "A",
            "-a",
            "a_b",
            "*.a.example",
            "10.0.0.1",
            "[fd00::1]:6443",
            "a..b",
        ]
        .map(|v| json!(v))
        .into_iter()
        .chain([json!(7)])
        .collect(),
        Format::Path => {
            ["/a/b", "/a/../b", "a", "/", "/a//b", "/a/", "/a b", "/.a/..b"].map(|v| json!(v)).to_vec()
        }
        Format::Source | Format::Artifact | Format::ArtifactOrFolder => {
            vec![
                json!("a"),
                json!("../a"),
                json!("a/b/"),
                json!("/a"),
                json!(5),
                json!({"secret": "a"}),
                json!({"secret": "A b"}),
            ]
        }
        Format::Mode => vec![
            json!("0644"),
            json!("644"),
            json!("0o600"),
            json!("7777"),
            json!(644),
            json!(-1),
            json!("rw"),
        ],
        Format::Effect => ["none", "restart kubelet.service", "reload x", "restart", "restart a.timer"]
            .map(|v| json!(v))
            .to_vec(),
        Format::Taint => {
            ["a=b:NoSchedule", "a:NoExecute", "x.y/a=:NoSchedule", "a=b", "a=b:no"].map(|v| json!(v)).to_vec()
        }
        Format::LabelKey | Format::LabelValue => {
            vec![
                json!("a"),
                json!("x.y/a"),
                json!(""),
                json!("-"),
                json!(7),
                json!(true),
                json!("a".repeat(64)),
            ]
        }
        Format::SysctlName | Format::ArgumentName | Format::CamelName | Format::UserName => {
            ["vm.swappiness", "a", "a-b", "--a", "aB", "root", "A", "", "a.b/c"].map(|v| json!(v)).to_vec()
        }
        Format::Argument | Format::Text | Format::PreflightCheck => {
            vec![
                json!("x"),
                json!(""),
                json!(" "),
                json!("a\nb"),
                json!(5),
                json!(-5),
                json!(true),
                json!("NumCPU"),
            ]
        }
        Format::KeyAlgorithm => ["ECDSA-P256", "rsa-2048", "ed25519", "RSA"].map(|v| json!(v)).to_vec(),
        Format::Recipient => {
            ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p", "age1x", "ssh-rsa AAAA"]
                .map(|v| json!(v))
                .to_vec()
        }
        Format::FindingCode => {
            ["KH0406", "KH0404", "KH0303", "KH0705", "kh0406", "KH9999", ""].map(|v| json!(v)).to_vec()
        }
        Format::Date => ["2027-03-31", "2027-02-30", "2027-3-1", "31.3.2027", "2027-03-31T00:00:00Z"]
            .map(|v| json!(v))
            .to_vec(),
        Format::Calendar => ["daily", "Mon..Fri 02:30", "often", " daily"].map(|v| json!(v)).to_vec(),
        Format::Retention => vec![json!("8h"), json!(8), json!("8"), json!("1d"), json!("")],
        Format::Interface => {
            ["ens33", "a/b", ".", "bond0.5", "averyveryverylongname"].map(|v| json!(v)).to_vec()
        }
        Format::ImageTag | Format::ImageRepository => {
            ["v1.14.2", "registry.example.com/k8s", "https://x", "a:5000/b", "-x", "A/b"]
                .map(|v| json!(v))
                .to_vec()
        }
    };
    random.one(&pool).clone()
}

/// Something that no key of the inventory expects, most of the time.
fn junk(random: &mut Random) -> Value {
    let long = "x".repeat(1100);
    random
        .one(&[
            json!(null),
            json!(true),
            json!(7),
            json!(-3),
            json!(1.5),
            json!("x"),
            json!(""),
            json!([]),
            json!({}),
            json!(["x"]),
            json!({"a": 1}),
            json!({"secret": "x"}),
            json!([null]),
            json!([[1]]),
            json!(long),
            json!({"a": {"secret": "x"}}),
        ])
        .clone()
}

fn made(kind: &'static Kind, random: &mut Random, depth: usize) -> Value {
    if random.next(12) == 0 {
        return junk(random);
    }
    match kind {
        Kind::Leaf(format) => leaf(*format, random),
        Kind::OneOrList(format) => match random.next(3) {
            0 => leaf(*format, random),
            _ => Value::Array((0..random.next(3)).map(|_| leaf(*format, random)).collect()),
        },
        Kind::List(of) => Value::Array((0..random.next(3)).map(|_| made(of, random, depth + 1)).collect()),
        Kind::Map(keys) => map(keys, random, depth),
        Kind::LeafOrMap(format, keys) => match random.next(2) {
            0 => leaf(*format, random),
            _ => map(keys, random, depth),
        },
        Kind::Each { key, value } => {
            let mut map = Map::new();
            for _ in 0..random.next(3) {
                if let Value::String(name) = leaf(*key, random) {
                    map.insert(name, made(value, random, depth + 1));
                }
            }
            Value::Object(map)
        }
        Kind::Foreign(_) => random
            .one(&[
                json!({"maxPods": 200}),
                json!({"a": {"b": [1, {"c": null}]}}),
                json!({"a": {"secret": "x"}}),
            ])
            .clone(),
    }
}

fn map(keys: &'static [Key], random: &mut Random, depth: usize) -> Value {
    let mut map = Map::new();
    for key in keys {
        let required = key.fallback == khagen::schema::Fallback::Required;
        if random.next(10) < if required { 9 } else { 2 } && depth < 6 {
            map.insert(key.name.to_owned(), made(&key.kind, random, depth + 1));
        }
    }
    Value::Object(map)
}

/// Changes one thing somewhere.
fn mutate(value: &mut Value, keys: &'static [Key], random: &mut Random) {
    let Value::Object(object) = value else { return };
    let key = random.one(keys);
    if let Some(below) = object.get_mut(key.name)
        && random.next(5) > 0
    {
        match (&key.kind, below) {
            (Kind::Map(keys), below @ Value::Object(_)) => return mutate(below, keys, random),
            (Kind::List(_), Value::Array(items)) if key.name == "hosts" && !items.is_empty() => {
                let at = random.next(items.len());
                return mutate(&mut items[at], HOST, random);
            }
            _ => {}
        }
    }
    match random.next(8) {
        0 => drop(object.remove(key.name)),
        1 => drop(object.insert(format!("{}s", key.name), json!("x"))),
        2 => drop(object.insert(key.name.to_owned(), junk(random))),
        _ => drop(object.insert(key.name.to_owned(), made(&key.kind, random, 0))),
    }
}

fn said(path: &std::path::Path) -> Vec<(Code, String)> {
    let (mut sources, mut report) = (Sources::new(), Report::new());
    let loaded = khagen::load::load(path, &mut sources, &mut report);
    let today = Date::from_calendar_date(2026, Month::November, 22).expect("a date");
    khagen::check::check(&loaded, &sources, today, &mut report);
    let errors = report.iter().filter(|finding| finding.severity == Severity::Error);
    errors.map(|finding| (finding.code, finding.message.clone())).collect()
}

#[test]
fn schema_and_compiler_agree_on_ten_thousand_documents() {
    let whole = validator(Extent::Whole);
    let document = validator(Extent::Document);
    let dir = scratch();
    let path = dir.path().join("cluster.yaml");
    let mut random = Random(7);
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    assert!(whole.is_valid(&base()));
    for number in 0..10_000 {
        let mut value = base();
        for _ in 0..=random.next(3) {
            mutate(&mut value, INVENTORY, &mut random);
        }
        // JSON is YAML 1.2.
        fs::write(&path, value.to_string()).expect("write");
        let errors = said(&path);
        let refused: Vec<String> =
            whole.iter_errors(&value).map(|e| format!("{}: {e}", e.instance_path())).collect();
        let shape =
            errors.iter().find(|(code, message)| SHAPE.contains(code) && !is_semantic(*code, message));
        *seen
            .entry(match (refused.is_empty(), errors.is_empty()) {
                (true, true) => "both take it",
                (false, false) => "both refuse it",
                (true, false) => "a rule refuses it",
                (false, true) => "disagreement",
            })
            .or_default() += 1;
        if !refused.is_empty() && errors.is_empty() {
            wrong.push(format!("{number}: the schema alone refuses {value}\n  {}", refused.join("\n  ")));
        }
        if let (true, Some((code, message))) = (refused.is_empty(), shape) {
            wrong.push(format!("{number}: the schema takes {value}\n  {code} {message}"));
        }
        // A document by itself is held to no more than all of them together.
        if refused.is_empty() && !document.is_valid(&value) {
            wrong.push(format!("{number}: as a document alone refused: {value}"));
        }
        if refused.is_empty() {
            for (key, part) in value.as_object().into_iter().flatten() {
                assert!(document.is_valid(&json!({key: part})), "{number}: {key}: {part}");
            }
        }
    }
    assert!(wrong.is_empty(), "{} of them\n{}", wrong.len(), wrong[..wrong.len().min(12)].join("\n"));
    // The generator makes enough of each kind to mean something.
    for kind in ["both take it", "both refuse it", "a rule refuses it"] {
        assert!(seen.get(kind).is_some_and(|count| *count > 100), "{seen:?}");
    }
}

#[test]
fn the_samples_name_the_schema_and_fit_it() {
    for name in ["cluster.yaml", "hosts.yaml"] {
        let path = root().join("inventory").join(name);
        let sample = fs::read_to_string(&path).expect("a sample");
        assert!(
            sample.starts_with("# yaml-language-server: $schema=../docs/schema/inventory-v1.json\n"),
            "{name} does not name its schema"
        );
    }
}
