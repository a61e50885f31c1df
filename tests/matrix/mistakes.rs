//! The same mistake in the inventory and in kubeadm's document: does khagen refuse it, does kubeadm?
//!
//! What only khagen refuses must be a rule of its own that is listed here with its reason; what only kubeadm refuses is
//! listed too, or khagen has a hole.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use khagen::diag::{Report, Severity};
use khagen::source::Sources;
use rayon::prelude::*;
use serde_json::Value;
use time::{Date, Month};

use crate::fields::{FIELDS, Field, How, put};
use crate::judge::refused;
use crate::support::{Need, built, can, copy_tree, oracle, root, scratch, unpack_to};

/// How many are made of each field's values, at least.
const EACH: usize = 75;

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
fn values(field: &Field, numbers: &mut Numbers) -> Vec<String> {
    let mut all: BTreeSet<String> = field.values.iter().map(|v| (*v).to_owned()).collect();
    let letters: Vec<char> = "0123456789abcz.:/,-_ AZ".chars().collect();
    let digits: Vec<char> = "0123456789-".chars().collect();
    let letters = if matches!(field.how, How::Number) { digits } else { letters };
    for _ in 0..EACH * 20 {
        if all.len() >= EACH {
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
fn khagen_refuses(dir: &Path, inventory: &Value) -> BTreeSet<String> {
    fs::write(dir.join("cluster.yaml"), serde_json::to_string_pretty(inventory).expect("JSON"))
        .expect("write");
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
    field: &'static Field,
    value: String,
    codes: BTreeSet<String>,
    kubeadm: Option<String>,
}

fn tried() -> Vec<Mistake> {
    let base = root().join("tests/inventories/settings");
    let source = fs::read_to_string(base.join("cluster.yaml")).expect("the inventory");
    let mut inventory: Value = serde_yaml::from_str(&source).expect("YAML");
    // What a mistake needs around it.
    put(&mut inventory, "hosts/5/taints/0/key", How::Text, "dedicated");
    put(&mut inventory, "hosts/5/taints/0/effect", How::Text, "NoSchedule");
    put(&mut inventory, "hosts/5/ignorePreflightErrors/1", How::Text, "Swap");
    put(&mut inventory, "hosts/5/ignorePreflightErrors/0", How::Text, "NumCPU");

    let b = built("settings");
    let dir = scratch();
    let folder = unpack_to(&b.out().join("bundles/master1.settings.example.com.tar.gz"), dir.path());
    let good = fs::read_to_string(folder.join("root/etc/kubernetes/kubeadm.yaml")).expect("read");
    let mut documents: Vec<Value> =
        good.split("\n---\n").map(|d| serde_yaml::from_str(d).expect("YAML")).collect();
    for document in documents.iter_mut().filter(|d| d["kind"] == "InitConfiguration") {
        put(document, "nodeRegistration/taints/0/key", How::Text, "dedicated");
        put(document, "nodeRegistration/taints/0/effect", How::Text, "NoSchedule");
        put(document, "nodeRegistration/ignorePreflightErrors/1", How::Text, "Swap");
    }

    let mut numbers = Numbers(0x6b68_6167_656e);
    let mut tried = Vec::new();
    let mut files: Vec<PathBuf> = Vec::new();
    for field in FIELDS {
        for value in values(field, &mut numbers) {
            let mut theirs = documents.clone();
            let document = theirs.iter_mut().find(|d| d["kind"] == field.kind).expect("the kind");
            put(document, field.field, field.how, &field.around.replace("{}", &value));
            let file = dir.path().join(format!("{:05}.yaml", files.len()));
            let texts: Vec<String> = theirs.iter().map(|d| serde_json::to_string(d).expect("JSON")).collect();
            fs::write(&file, texts.join("\n---\n")).expect("write");
            files.push(file);
            tried.push((field, value));
        }
    }
    let wrong = refused(&oracle().expect("probed"), &files);
    let judged: Vec<(usize, BTreeSet<String>)> = tried
        .par_iter()
        .enumerate()
        .map(|(i, (field, value))| {
            let own = scratch();
            copy_tree(&base.join("patches"), own.path());
            let mut ours = inventory.clone();
            put(&mut ours, field.key, field.how, value);
            (i, khagen_refuses(own.path(), &ours))
        })
        .collect();
    judged
        .into_iter()
        .map(|(i, codes)| {
            let (field, value) = &tried[i];
            Mistake { field, value: value.clone(), codes, kubeadm: wrong.get(&files[i]).cloned() }
        })
        .collect()
}

/// Why khagen refuses with a code what kubeadm takes.
fn why_khagen_alone(code: &str) -> Option<&'static str> {
    Some(match code {
        "KH0108" => {
            "kubeadm hands words on (effects of taints, types of volumes, an empty mode), and the API server or the kubelet refuses them later"
        }
        "KH0109" => "kubeadm takes port 0 for its default",
        "KH0114" => "the same name twice in one list",
        "KH0201" => "kubeadm does not look at a volume's name; the API server refuses the mirror pod",
        "KH0202" => {
            "an empty name is kubeadm's default, and kubeadm lowers the case of a node name that the kubelet then has otherwise"
        }
        "KH0203" => {
            "kubeadm takes leading zeros (and etcd's endpoints unseen), the API server of 1.36 does not"
        }
        "KH0204" | "KH0206" => "an empty value, or a name of digits that resolvers take for an address",
        "KH0205" => "kubeadm takes a network with host bits, the API server of 1.36 does not",
        "KH0209" => "negative and fractional times: khagen takes whole seconds",
        "KH0211" => "kubeadm writes any text as a path into the manifest; the kubelet refuses the pod",
        "KH0214" => "kubeadm hands taints to the kubelet unseen",
        "KH0218" => "kubeadm does not look into images' names and into names of checks",
        "KH0223" => "two hosts of one address",
        "KH0300" | "KH0301" | "KH0302" => {
            "families that do not go together: kubeadm sees one document, not the hosts"
        }
        "KH0303" | "KH0304" | "KH0305" => "kubeadm does not compare networks",
        "KH0309" => "an address that no host can have",
        "KH0312" => "a mask for the nodes that another component refuses",
        "KH0314" | "KH0315" => "kubeadm counts neither hosts nor pods",
        "KH0410" | "KH0412" | "KH0413" => {
            "kubeadm does not know what else listens, and who serves the endpoint"
        }
        "KH0522" => "refused by kubeadm's command, which the judge does not run: `all` beside others",
        _ => return None,
    })
}

/// Why kubeadm refuses, of a key, what khagen takes.
fn why_kubeadm_alone(key: &str, value: &str) -> Option<&'static str> {
    Some(match key {
        "kubernetes/bootstrapToken/ttl" | "kubernetes/timeouts/discovery"
            if value.ends_with(['d', 'w', 'y']) =>
        {
            "khagen knows days, weeks and years and writes hours"
        }
        "kubernetes/kubeProxy/config/metricsBindAddress" => {
            "values within kube-proxy's own fields are kube-proxy's to judge"
        }
        "kubernetes/kubeProxy/config/iptables/minSyncPeriod" => {
            "fields within kube-proxy's fields are kube-proxy's to judge"
        }
        "kubernetes/kubelet/maxPods" | "kubernetes/kubelet/imageGCHighThresholdPercent" => {
            "the range of a kubelet's number is the kubelet's to judge"
        }
        _ => return None,
    })
}

#[test]
fn khagen_and_kubeadm_refuse_the_same() {
    if !can("khagen and kubeadm on the same mistakes", &[Need::Oracle]) {
        return;
    }
    let tried = tried();
    assert!(tried.len() >= 2_000, "only {} mistakes", tried.len());
    let mut counts: BTreeMap<(&str, String, &str), Vec<&str>> = BTreeMap::new();
    let mut unexplained = Vec::new();
    let (mut both, mut neither) = (0, 0);
    for m in &tried {
        match (m.codes.is_empty(), &m.kubeadm) {
            (false, Some(_)) => both += 1,
            (true, None) => neither += 1,
            (false, None) => match m.codes.iter().find_map(|code| Some((code, why_khagen_alone(code)?))) {
                Some((code, why)) => counts.entry(("khagen", code.clone(), why)).or_default().push(&m.value),
                None => {
                    unexplained.push(format!("{} {:?}: only khagen: {:?}", m.field.key, m.value, m.codes))
                }
            },
            (true, Some(reason)) => match why_kubeadm_alone(m.field.key, &m.value) {
                Some(why) => {
                    counts.entry(("kubeadm", m.field.key.to_owned(), why)).or_default().push(&m.value);
                }
                None => unexplained.push(format!("{} {:?}: only kubeadm: {reason}", m.field.key, m.value)),
            },
        }
    }
    println!("{} mistakes: both refuse {both}, both take {neither}", tried.len());
    for ((who, what, why), values) in &counts {
        println!("only {who:<7} {:>4}  {what}: {why}; such as {:?}", values.len(), values[0]);
    }
    // A comparison in which nobody refuses anything would pass as well.
    assert!(both > 300 && neither > 300, "both {both}, neither {neither}");
    assert!(unexplained.is_empty(), "{} unexplained:\n{}", unexplained.len(), unexplained.join("\n"));
}
