//! Inventories made from the description of the keys: some valid, most nearly so.

use khagen::schema::{Fallback, Format, Key, Kind};
use serde_json::{Map, Value, json};

/// Numbers that look random and are the same in each run.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self, below: usize) -> usize {
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
pub fn base() -> Value {
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
        "waivers": [{"code": "KH0404", "reason": "two racks", "until": "2027-03-31", "path": "hosts"}],
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
            ["KH0406", "KH0404", "KH0403", "KH0501", "KH0303", "KH0705", "kh0406", "KH9999"]
                .map(|v| json!(v))
                .to_vec()
        }
        Format::Date => [
            "2027-03-31",
            "2026-01-01",
            "2028-02-29",
            "2099-12-31",
            "2027-02-30",
            "2027-3-1",
            "2027-03-31T00:00:00Z",
        ]
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
        let required = key.fallback == Fallback::Required;
        if random.next(10) < if required { 9 } else { 2 } && depth < 6 {
            map.insert(key.name.to_owned(), made(&key.kind, random, depth + 1));
        }
    }
    Value::Object(map)
}

/// Changes one thing somewhere.
pub fn mutate(value: &mut Value, keys: &'static [Key], random: &mut Random) {
    let Value::Object(object) = value else { return };
    let key = random.one(keys);
    if let Some(below) = object.get_mut(key.name)
        && random.next(5) > 0
    {
        match (&key.kind, below) {
            (Kind::Map(keys), below @ Value::Object(_)) => return mutate(below, keys, random),
            (Kind::List(of), Value::Array(items))
                if ["hosts", "waivers"].contains(&key.name) && !items.is_empty() =>
            {
                let at = random.next(items.len());
                return mutate(&mut items[at], of.keys().expect("a map"), random);
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
