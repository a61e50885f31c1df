//! What `khagen diff` makes of each stage: nothing is refused, what restarts does so one host at a time, and what a person
//! must do stands where it must be done.

use std::collections::BTreeSet;
use std::fs;

use super::Place;

/// The rollout's steps: action, hosts and note.
fn steps(place: &Place) -> Vec<(String, String, String)> {
    let said = place.ends(&["diff", "former", "out", "--rollout", "steps"], 2);
    assert!(!said.contains("cannot be rolled out"), "{said}");
    let file = fs::read_to_string(place.at("steps")).expect("steps");
    let rows = file.lines().filter(|l| !l.starts_with('#')).map(|l| l.split('\t').collect::<Vec<_>>());
    rows.map(|r| (r[1].to_owned(), r[2].to_owned(), r[5].to_owned())).collect()
}

/// Hosts whose bundle is another one.
fn changed(place: &Place) -> BTreeSet<String> {
    let [former, now] = ["former", "out"].map(|out| {
        let record = fs::read_to_string(place.at(out).join("BUILD.json")).expect("BUILD.json");
        let record: serde_json::Value = serde_json::from_str(&record).expect("JSON");
        record["bundles"].as_object().expect("bundles").clone()
    });
    let other = |name: &&String| former.get(*name).map(|b| &b["tarSha256"]) != Some(&now[*name]["tarSha256"]);
    now.keys().filter(other).filter(|name| *name != "operator").cloned().collect()
}

/// Rules by name that a comparison names.
fn rules(place: &Place) -> String {
    let json = place.ends(&["diff", "former", "out", "--format", "json"], 2);
    let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let schema = fs::read_to_string(super::root().join("docs/schema/diff-v1.json")).expect("the schema");
    let validator =
        jsonschema::validator_for(&serde_json::from_str(&schema).expect("JSON")).expect("a schema");
    assert!(validator.is_valid(&value), "the schema does not know this comparison");
    json
}

#[test]
fn every_stage_of_every_root_can_be_rolled_out() {
    let place = Place::running("inventory");
    place.ends(&["build", "-q"], 0);
    let stage = |root: &str| {
        let former = place.at("former");
        if former.exists() {
            fs::remove_dir_all(&former).expect("remove");
        }
        super::support::copy_tree(&place.at("out"), &former);
        // What is previewed is no stranger than what is built.
        place.ends(&["pki", "rotate", root], 0);
        let preview = place.ends(&["build", "--diff"], 2);
        assert!(!preview.contains("cannot be rolled out"), "{root}: {preview}");
        place.ends(&["build"], 0);
        let steps = steps(&place);
        // A host that the rollout leaves alone has the bundle that it had.
        let installed: BTreeSet<&str> = steps
            .iter()
            .filter(|(a, _, _)| a == "install")
            .flat_map(|(_, hosts, _)| hosts.split(','))
            .collect();
        assert_eq!(changed(&place), installed.into_iter().map(str::to_owned).collect(), "{root}: {steps:#?}");
        (steps, rules(&place))
    };
    // Each action with how many steps it has, in the order of the first.
    let actions = |steps: &[(String, String, String)]| {
        let mut found: Vec<(String, usize)> = Vec::new();
        for (action, _, _) in steps {
            match found.iter_mut().find(|(a, _)| a == action) {
                Some((_, n)) => *n += 1,
                None => found.push((action.clone(), 1)),
            }
        }
        found.iter().map(|(a, n)| format!("{n} {a}")).collect::<Vec<_>>().join(", ")
    };
    let restarts = |steps: &[(String, String, String)]| {
        let of = steps.iter().filter(|(_, _, note)| note.contains("restarts etcd.service"));
        let hosts: Vec<&str> = of.map(|(_, hosts, _)| hosts.as_str()).collect();
        assert!(hosts.iter().all(|h| !h.contains(',')), "{hosts:?} together");
        hosts.len()
    };
    let install = "install, 3 reconfigure:control-plane";
    let kubelets = "6 reconfigure:kubelet-credentials, 1 reconfigure:cluster-info";
    for (root, expected) in [
        (
            "ca/etcd",
            [
                (format!("4 {install}"), 3, "etcd-ca-more"),
                ("4 install".to_owned(), 0, "etcd-leaf"),
                (format!("4 {install}"), 3, "etcd-ca-fewer"),
            ],
        ),
        (
            "ca/etcd-peer",
            [
                ("3 install".to_owned(), 3, "etcd-ca-more"),
                ("3 install".to_owned(), 0, "etcd-leaf"),
                ("3 install".to_owned(), 3, "etcd-ca-fewer"),
            ],
        ),
        (
            "service-account",
            [
                (format!("1 {install}"), 0, "service-account-more"),
                (format!("1 {install}"), 0, "service-account-switched"),
                (format!("1 {install}"), 0, "service-account-fewer"),
            ],
        ),
        (
            "ca/front-proxy",
            [
                ("1 install".to_owned(), 0, "kubernetes-ca-more"),
                ("1 install, 3 reconfigure:certificates".to_owned(), 0, "kubernetes-ca-switched"),
                ("1 install".to_owned(), 0, "kubernetes-ca-fewer"),
            ],
        ),
        (
            "ca/kubernetes",
            [
                (
                    format!(
                        "2 install, 1 reconfigure:upload-config, 3 reconfigure:control-plane, 3 reconfigure:certificates, {kubelets}"
                    ),
                    0,
                    "kubernetes-ca-more",
                ),
                (format!("2 install, 3 reconfigure:certificates, {kubelets}"), 0, "kubernetes-ca-switched"),
                (
                    format!(
                        "1 manual, 2 install, 3 reconfigure:certificates, 3 reconfigure:control-plane, {kubelets}"
                    ),
                    0,
                    "kubernetes-ca-fewer",
                ),
            ],
        ),
    ] {
        for (n, (wanted, restarting, rule)) in expected.into_iter().enumerate() {
            let (steps, json) = stage(root);
            assert_eq!(actions(&steps), wanted, "{root}, stage {}: {steps:#?}", n + 1);
            assert_eq!(restarts(&steps), restarting, "{root}, stage {}", n + 1);
            assert!(json.contains(&format!("\"rule\": \"{rule}\"")), "{root}, stage {}: {rule}", n + 1);
            assert!(!json.contains("\"recreate\""), "{root}, stage {}", n + 1);
            // One control plane at a time.
            let alone = steps.iter().filter(|(a, _, _)| a.starts_with("reconfigure:"));
            assert!(alone.clone().all(|(_, hosts, _)| !hosts.contains(',')), "{steps:#?}");
        }
    }
}

/// Without the stages it stays refused: a root in another's place makes strangers of the hosts.
#[test]
fn another_root_at_once_is_still_refused() {
    let place = Place::running("inventory");
    place.ends(&["build", "-q"], 0);
    let all = ["ca/etcd", "ca/etcd-peer", "ca/kubernetes", "ca/front-proxy", "service-account"];
    for root in all {
        let former = place.at("former");
        if former.exists() {
            fs::remove_dir_all(&former).expect("remove");
        }
        super::support::copy_tree(&place.at("out"), &former);
        // From the beginning to the end, and never the middle.
        for _ in 0..3 {
            place.advance(&[root]);
        }
        let said = place.ends(&["diff", "former", "out", "--rollout", "none"], 6);
        assert!(said.contains("cannot be rolled out as it is"), "{root}: {said}");
        assert!(!place.at("none").exists());
    }
}
