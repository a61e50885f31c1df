//! The same mistake in the inventory and in kubeadm's document: does khagen refuse it, does kubeadm?
//!
//! `KHAGEN_MISTAKES` says how many values are tried of each key. Every difference must have its reason in reasons.rs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use khagen::diag::{Report, Severity};
use khagen::source::Sources;
use rayon::prelude::*;
use serde_json::{Value, json};
use time::{Date, Month};

use crate::cases;
use crate::fields::Field;
use crate::grounds::{GROUNDS, Ground};
use crate::judge::{Minor, minors, verdict};
use crate::mutate::{How, place, put, set};
use crate::reasons::{REASONS, Who, plain};
use crate::support::{Need, can, khagen, run, scratch, text, unpack};

/// How many values are tried of each key at each minor, if nothing is said; those of the table are tried all.
const EACH: usize = 15;

/// Numbers that are the same on every run (xorshift64*, Vigna 2016).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(number).expect("31 bits") % n.max(1)
    }
}

/// The field's values, and what one, two or three slips of the finger make of them.
fn values(field: &Field, each: usize, numbers: &mut Numbers) -> Vec<String> {
    let mut all: BTreeSet<String> = field.values.iter().map(|v| (*v).to_owned()).collect();
    let letters: Vec<char> = "0123456789abcz.:/,-_ AZ".chars().collect();
    let digits: Vec<char> = "0123456789-".chars().collect();
    let letters = if matches!(field.how, How::Number) { digits } else { letters };
    for _ in 0..each * 20 {
        if all.len() >= each {
            break;
        }
        let mut value: Vec<char> = field.values[numbers.below(field.values.len())].chars().collect();
        for _ in 0..=numbers.below(3) {
            let at = numbers.below(value.len() + 1);
            let letter = letters[numbers.below(letters.len())];
            match numbers.below(4) {
                0 if at < value.len() => drop(value.remove(at)),
                1 if at < value.len() => value[at] = letter,
                2 if at + 1 < value.len() => value.swap(at, at + 1),
                _ => value.insert(at, letter),
            }
        }
        let value: String = value.into_iter().collect();
        // Some numbers no JSON can hold as such (`007`, `1-`), and then it is not the same mistake on both sides.
        if !matches!(field.how, How::Number) || value.parse::<i64>().is_ok_and(|n| n.to_string() == value) {
            all.insert(value);
        }
    }
    all.into_iter().collect()
}

/// What khagen says of an inventory: nothing, or the codes of its errors.
pub fn khagen_refuses(dir: &Path, inventory: &Value) -> BTreeSet<String> {
    cases::rewrite(inventory, dir);
    let (mut sources, mut report) = (Sources::new(), Report::new());
    let loaded = khagen::load::load(dir, &mut sources, &mut report);
    let today = Date::from_calendar_date(2026, Month::November, 22).expect("a date");
    let inventory = khagen::check::check(&loaded, &sources, today, &mut report);
    let codes: BTreeSet<String> =
        report.iter().filter(|f| f.severity == Severity::Error).map(|f| f.code.to_string()).collect();
    assert_eq!(inventory.is_none(), !codes.is_empty(), "an inventory without an error is a model");
    codes
}

struct Mistake {
    minor: String,
    ground: &'static str,
    field: &'static Field,
    value: String,
    codes: BTreeSet<String>,
    kubeadm: Option<String>,
}

/// kubeadm's documents of the host that a field is of: the one that it names, else the one that runs init, or a worker.
fn host_of(field: &Field) -> usize {
    let named = field.key.strip_prefix("hosts/").and_then(|rest| rest.split('/').next()?.parse().ok());
    match (field.kind, named) {
        ("JoinConfiguration", Some(host)) => host,
        // What only a control plane has when it joins.
        ("JoinConfiguration", None) if field.field.starts_with("controlPlane/") => 6,
        ("JoinConfiguration", None) => 7,
        _ => 5,
    }
}

/// The good documents of some hosts.
fn documents(
    at: &Path,
    inventory: &Value,
    hosts: &BTreeSet<usize>,
    dir: &Path,
) -> BTreeMap<usize, Vec<Value>> {
    let out = dir.join("out");
    run(khagen().arg("build").arg(at).arg("-o").arg(&out));
    let domain = inventory["cluster"]["domain"].as_str().expect("a domain");
    let of = |host: &usize| {
        let name = inventory["hosts"][host]["name"].as_str().expect("a name");
        let bundle = unpack(&out.join(format!("bundles/{name}.{domain}.tar.gz")));
        let file = |name: &str| Some(text(&bundle.get(&format!("root/etc/kubernetes/{name}"))?.bytes));
        let good = file("kubeadm.yaml").expect("kubeadm.yaml");
        let mut documents: Vec<Value> =
            good.split("\n---\n").map(|d| serde_yaml::from_str(d).expect("YAML")).collect();
        for document in &mut documents {
            if document["discovery"].get("file").is_some() {
                // kubeadm looks at the file.
                let there = dir.join(format!("{name}.kubelet.conf"));
                fs::write(&there, file("kubelet.conf").expect("kubelet.conf")).expect("write");
                set(document, "discovery/file/kubeConfigPath", json!(there.to_str()));
            }
        }
        (*host, documents)
    };
    hosts.iter().map(of).collect()
}

fn tried(ground: &'static Ground, minor: &Minor, each: usize) -> Vec<Mistake> {
    let dir = scratch();
    let mut inventory = ground.inventory();
    set(&mut inventory, "kubernetes/version", json!(minor.version));
    let at = dir.path().join("inventory");
    cases::write(ground.base, &inventory, &at);
    let fields: Vec<&'static Field> =
        ground.fields.iter().flat_map(|some| some.iter()).filter(|f| f.since <= minor.minor).collect();
    let hosts = fields.iter().map(|field| host_of(field)).collect();
    let good = documents(&at, &inventory, &hosts, dir.path());

    // Other values at each minor.
    let mut numbers = Numbers(0x6b68_6167_656e ^ u64::from(minor.minor));
    let mut tried = Vec::new();
    let mut files: Vec<PathBuf> = Vec::new();
    for field in fields {
        for value in values(field, each, &mut numbers) {
            let mut theirs = good[&host_of(field)].clone();
            let document = theirs.iter_mut().find(|d| d["kind"] == field.kind).expect("the kind");
            if matches!(field.how, How::Flag) && place(document, field.field).is_null() {
                let v1beta3 = document["apiVersion"] == "kubeadm.k8s.io/v1beta3";
                set(document, field.field, if v1beta3 { json!({}) } else { json!([]) });
            }
            put(document, field.field, field.how, &field.around.replace("{}", &value));
            let file = dir.path().join(format!("{:05}.yaml", files.len()));
            let texts: Vec<String> = theirs.iter().map(|d| serde_json::to_string(d).expect("JSON")).collect();
            fs::write(&file, texts.join("\n---\n")).expect("write");
            files.push(file);
            tried.push((field, value));
        }
    }
    let wrong = verdict(&minor.dir, &files).refused;
    // A folder for some of them in turn: what lies beside the inventory's document stays as it is.
    let folder = || {
        let own = scratch();
        cases::write(ground.base, &inventory, own.path());
        own
    };
    let codes: Vec<BTreeSet<String>> = tried
        .par_iter()
        .map_init(folder, |own, (field, value)| {
            let mut ours = inventory.clone();
            put(&mut ours, field.key, field.how, value);
            khagen_refuses(own.path(), &ours)
        })
        .collect();
    let mistake = |((field, value), codes, file): ((&'static Field, String), _, PathBuf)| Mistake {
        minor: minor.name.clone(),
        ground: ground.name,
        field,
        value,
        codes,
        kubeadm: wrong.get(&file).cloned(),
    };
    tried.into_iter().zip(codes).zip(files).map(|((t, c), f)| mistake((t, c, f))).collect()
}

/// What was found of a reason.
#[derive(Default)]
struct Seen<'a> {
    count: usize,
    keys: BTreeSet<String>,
    value: &'a str,
}

#[test]
fn khagen_and_kubeadm_refuse_the_same() {
    if !can("khagen and kubeadm on the same mistakes", &[Need::Minors]) {
        return;
    }
    let whole = std::env::var("KHAGEN_MISTAKES").ok();
    let each = whole.as_ref().map_or(EACH, |n| n.parse().expect("KHAGEN_MISTAKES is a number"));
    let minors = minors();
    let mut all = Vec::new();
    for minor in &minors {
        for ground in GROUNDS.iter().filter(|g| (g.since..=g.until).contains(&minor.minor)) {
            all.extend(tried(ground, minor, each));
        }
    }
    let mut seen: BTreeMap<usize, Seen> = BTreeMap::new();
    let mut unexplained = Vec::new();
    let mut tally: BTreeMap<(&str, &str), [usize; 4]> = BTreeMap::new();
    for m in &all {
        let counts = tally.entry((&m.minor, m.ground)).or_default();
        let (who, codes): (_, Vec<&str>) = match (m.codes.is_empty(), &m.kubeadm) {
            (false, Some(_)) => {
                counts[0] += 1;
                continue;
            }
            (true, None) => {
                counts[1] += 1;
                continue;
            }
            (false, None) => (Who::Khagen, m.codes.iter().map(String::as_str).collect()),
            (true, Some(_)) => (Who::Kubeadm, vec![""]),
        };
        counts[if who == Who::Khagen { 2 } else { 3 }] += 1;
        let reason = REASONS
            .iter()
            .position(|r| codes.iter().any(|code| r.explains(who, code, m.field.key, &m.value)));
        let Some(reason) = reason else {
            let said = m.kubeadm.as_deref().unwrap_or("kubeadm takes it");
            unexplained.push(format!(
                "{} {}: {} {:?}: {:?}: {said}",
                m.minor, m.ground, m.field.key, m.value, m.codes
            ));
            continue;
        };
        let found = seen.entry(reason).or_default();
        found.count += 1;
        found.keys.insert(plain(m.field.key));
        found.value = &m.value;
    }
    println!("{} mistakes", all.len());
    println!(
        "{:<6} {:<20} {:>12} {:>10} {:>12} {:>13}",
        "minor", "inventory", "both refuse", "both take", "only khagen", "only kubeadm"
    );
    for ((minor, ground), [refuse, take, khagen, kubeadm]) in &tally {
        println!("{minor:<6} {ground:<20} {refuse:>12} {take:>10} {khagen:>12} {kubeadm:>13}");
    }
    for (reason, found) in &seen {
        let r = &REASONS[*reason];
        let who = if r.who == Who::Khagen { r.code } else { "kubeadm" };
        println!(
            "{who:<7} {:>6}  {}; such as {:?} of {}",
            found.count,
            r.why,
            found.value,
            found.keys.iter().cloned().collect::<Vec<_>>().join(", ")
        );
    }
    assert!(unexplained.is_empty(), "{} unexplained:\n{}", unexplained.len(), unexplained.join("\n"));
    // A comparison in which nobody refuses anything would pass as well.
    let sum = |i: usize| tally.values().map(|counts| counts[i]).sum::<usize>();
    assert!(
        sum(0) > 120 * minors.len() && sum(1) > 120 * minors.len(),
        "both {}, neither {}",
        sum(0),
        sum(1)
    );
    if minors.len() >= 3 {
        assert!(all.len() >= 2_000, "only {} mistakes", all.len());
    }
    // A reason that nothing needs any more is taken off the list.
    if whole.is_some() && minors.len() >= 10 {
        let idle: Vec<&str> =
            (0..REASONS.len()).filter(|i| !seen.contains_key(i)).map(|i| REASONS[i].why).collect();
        assert!(idle.is_empty(), "reasons that explain nothing: {idle:#?}");
    }
}
