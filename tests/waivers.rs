//! Waivers from the outside: what is printed, counted and forgiven, on which day, and that no host hears of them.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;
use support::{khagen, run, scratch, text, tree};

/// 2026-11-22.
const TODAY: &str = "1795305600";
/// 2027-03-10: three weeks before the waivers' last day.
const NEAR: &str = "1804636800";
/// 2027-03-31, an hour before midnight.
const LAST: &str = "1806534000";
/// 2027-04-01, midnight.
const AFTER: &str = "1806537600";

const LAB: &str = "\
schema: khagen/v1
cluster: {name: lab, domain: example.com}
kubernetes:
  version: 1.37.2
  controlPlaneEndpoint: lab.example.com:6443
  networking: {podSubnet: 100.64.0.0/10, serviceSubnet: 198.18.0.0/16}
etcd: {version: 3.6.14}
loadBalancer: {mode: none}
hosts:
  - {name: one, address: 192.168.13.61, roles: [etcd, control-plane, worker]}
";

const WAIVERS: &str = "\
waivers:
  - {code: KH0403, reason: a lab on one machine, until: 2027-03-31}
  - {code: KH0406, reason: a lab on one machine, until: 2027-03-31, path: hosts.one}
";

fn inventory(dir: &Path, documents: &[(&str, &str)]) -> PathBuf {
    let inventory = dir.join("inventory");
    for (name, text) in documents {
        let path = inventory.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("create");
        fs::write(path, text).expect("write");
    }
    inventory
}

fn check(inventory: &Path, day: &str, args: &[&str]) -> Output {
    let mut command = khagen();
    command.env("SOURCE_DATE_EPOCH", day).arg("check").arg(inventory).args(args);
    command.output().expect("khagen")
}

#[test]
fn a_waived_warning_is_counted_and_strict_passes() {
    let dir = scratch();
    let bare = inventory(dir.path(), &[("cluster.yaml", LAB)]);
    let said = check(&bare, TODAY, &["--strict"]);
    assert_eq!((said.status.code(), text(&said.stdout).contains("2 warnings")), (Some(3), true));
    let waived = inventory(dir.path(), &[("waivers.yaml", WAIVERS)]);
    let said = check(&waived, TODAY, &["--strict"]);
    assert_eq!(
        (said.status.code(), text(&said.stdout), text(&said.stderr)),
        (Some(0), "2 waived\n".to_owned(), "no findings but those that are waived\n".to_owned())
    );
    let lines = text(&check(&waived, TODAY, &["--format", "lines", "--waived"]).stdout);
    assert_eq!(lines.matches(": waived[KH040").count(), 2, "{lines}");
    let long = text(&check(&waived, TODAY, &["--waived"]).stdout);
    for words in [
        "waived[KH0403]: etcd has one member",
        "accepted until 2027-03-31: a lab on one machine",
        "2 waived\n",
    ] {
        assert!(long.contains(words), "{words}: {long}");
    }
    let build = khagen()
        .env("SOURCE_DATE_EPOCH", TODAY)
        .args(["build", "--strict", "--dry-run"])
        .arg(&waived)
        .arg("-o")
        .arg(dir.path().join("out"))
        .output();
    let build = build.expect("khagen");
    assert_eq!((build.status.code(), text(&build.stderr)), (Some(2), "2 waived\n".to_owned()));
}

#[test]
fn programs_see_what_is_waived() {
    let dir = scratch();
    let waived = inventory(dir.path(), &[("cluster.yaml", LAB), ("waivers.yaml", WAIVERS)]);
    let json = |day, format| -> Value {
        serde_json::from_slice(&check(&waived, day, &["--format", format]).stdout).expect("JSON")
    };
    let list = json(TODAY, "json");
    assert_eq!(list[0]["severity"], "waived");
    assert_eq!(list[0]["waived"]["until"], "2027-03-31");
    assert_eq!(list[0]["waived"]["line"], 2);
    assert!(list[0]["waived"]["path"].as_str().is_some_and(|path| path.ends_with("waivers.yaml")));
    let results = json(TODAY, "sarif")["runs"][0]["results"].clone();
    let kinds: Vec<&Value> =
        results.as_array().expect("a list").iter().map(|result| &result["suppressions"][0]["kind"]).collect();
    assert_eq!(kinds, ["external", "external"]);
    assert_eq!(results[0]["suppressions"][0]["justification"], "a lab on one machine (until 2027-03-31)");
    let lapsed = json(AFTER, "sarif")["runs"][0]["results"].clone();
    assert!(
        lapsed.as_array().is_some_and(|all| all.iter().all(|result| result.get("suppressions").is_none()))
    );
    assert_eq!(json(AFTER, "json")[0]["severity"], "warning");
}

#[test]
fn a_waiver_holds_on_its_last_day_and_not_on_the_next() {
    let dir = scratch();
    let waived = inventory(dir.path(), &[("cluster.yaml", LAB), ("waivers.yaml", WAIVERS)]);
    let near = check(&waived, NEAR, &["--strict"]);
    assert_eq!(
        (near.status.code(), text(&near.stdout).as_str()),
        (
            Some(0),
            "2 waived; the waiver of KH0403 lapses after 2027-03-31; the waiver of KH0406 lapses after 2027-03-31\n"
        )
    );
    assert_eq!(check(&waived, LAST, &["--strict"]).status.code(), Some(0));
    let after = check(&waived, AFTER, &["--strict"]);
    let said = text(&after.stdout);
    assert_eq!(after.status.code(), Some(3), "{said}");
    assert!(said.contains("warning[KH0406]") && said.contains("2 warnings\n"), "{said}");
    assert_eq!(said.matches("its waiver lapsed after 2027-03-31").count(), 2, "{said}");
    assert!(said.contains("waivers.yaml:2:57"), "{said}");
}

#[test]
fn waivers_beside_several_clusters_are_for_each_and_used_by_one() {
    let dir = scratch();
    let three = LAB.replace("lab", "big").replace(
        "loadBalancer: {mode: none}",
        "loadBalancer: {vip: 192.168.14.70/24, virtualRouterId: 70, interface: e, port: 8443}",
    );
    let three = three.split("hosts:").next().expect("a head").replace(":6443", ":8443")
        + "hosts:\n"
        + &(1..4)
            .map(|n| format!("  - {{name: n{n}, address: 192.168.14.{n}, roles: [etcd, load-balancer, control-plane]}}\n"))
            .collect::<String>();
    let waived = inventory(
        dir.path(),
        &[("waivers.yaml", WAIVERS), ("lab/cluster.yaml", LAB), ("big/cluster.yaml", &three)],
    );
    let said = check(&waived, TODAY, &["--strict"]);
    assert_eq!(
        (said.status.code(), text(&said.stdout).as_str()),
        (Some(0), "2 waived\n"),
        "{}",
        text(&said.stderr)
    );
    // A waiver of one cluster takes nothing of another.
    fs::remove_file(waived.join("waivers.yaml")).expect("remove");
    fs::write(waived.join("big/waivers.yaml"), WAIVERS).expect("write");
    let said = text(&check(&waived, TODAY, &["--format", "lines"]).stdout);
    let found: Vec<&str> =
        ["KH0403", "KH0406", "KH0705"].into_iter().filter(|code| said.contains(code)).collect();
    assert_eq!((said.lines().count(), found.len()), (4, 3), "{said}");
}

#[test]
fn no_host_hears_of_a_waiver() {
    let dir = scratch();
    let bare = inventory(dir.path(), &[("cluster.yaml", LAB)]);
    let build = |out: &str| {
        run(khagen()
            .env("SOURCE_DATE_EPOCH", TODAY)
            .arg("build")
            .arg(&bare)
            .arg("-o")
            .arg(dir.path().join(out)));
    };
    build("before");
    inventory(dir.path(), &[("waivers.yaml", WAIVERS)]);
    build("after");
    let (before, after) = (tree(&dir.path().join("before")), tree(&dir.path().join("after")));
    let changed: Vec<&String> =
        after.iter().filter(|(path, bytes)| before.get(*path) != Some(bytes)).map(|(p, _)| p).collect();
    assert_eq!(changed, ["review/CLUSTER.md", "review/cluster.json"]);
    assert!(before.keys().eq(after.keys()));
    let page = text(&after["review/CLUSTER.md"]);
    assert!(
        page.contains("| KH0406 | one control plane | `hosts.one` | 2027-03-31 | a lab on one machine |"),
        "{page}"
    );
    let compared = khagen().arg("diff").arg(dir.path().join("before")).arg(dir.path().join("after")).output();
    assert_eq!(compared.expect("khagen").status.code(), Some(0));
    let shown = run(khagen().env("SOURCE_DATE_EPOCH", TODAY).args(["show", "--inventory"]).arg(&bare));
    assert!(
        shown.contains(
            "accepted findings\n  KH0403, one etcd member, until 2027-03-31: a lab on one machine\n"
        ),
        "{shown}"
    );
}

/// What a reason may hold is the person's, and what it looks like in a page is khagen's.
#[test]
fn a_reason_breaks_no_table() {
    let dir = scratch();
    let odd = WAIVERS.replacen("a lab on one machine", "'a|b <img src=x> [l](u) `c` \\'", 1);
    let bare = inventory(dir.path(), &[("cluster.yaml", LAB), ("waivers.yaml", &odd)]);
    let out = dir.path().join("out");
    run(khagen().env("SOURCE_DATE_EPOCH", TODAY).arg("build").arg(&bare).arg("-o").arg(&out));
    let page = fs::read_to_string(out.join("review/CLUSTER.md")).expect("a page");
    let row = page.lines().find(|line| line.starts_with("| KH0403")).expect("a row");
    assert!(row.ends_with(r"| a\|b \<img src=x\> \[l\](u) \`c\` \\ |"), "{row}");
}
