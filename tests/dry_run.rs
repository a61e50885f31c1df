//! What `build --dry-run` says is what `build` then does.

mod support;

use std::fs;
use std::path::Path;

use serde_json::Value;
use support::{copy_inventory, khagen, root, scratch, text, tree};

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new(inventory: &str) -> Place {
        let place = Place { dir: scratch() };
        copy_inventory(&root().join(inventory), &place.dir.path().join("inventory"));
        place
    }

    fn build(&self, more: &[&str], code: &[i32]) -> Value {
        let mut command = khagen();
        command.current_dir(self.dir.path()).args(["build", "--format", "json"]).args(more);
        let out = command.output().expect("khagen");
        assert!(
            out.status.code().is_some_and(|c| code.contains(&c)),
            "{}{}",
            text(&out.stdout),
            text(&out.stderr)
        );
        serde_json::from_slice(&out.stdout).expect("JSON")
    }

    fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.dir.path().join("inventory").join(file);
        let before = fs::read_to_string(&path).expect("read");
        assert!(before.contains(from), "{file} has no {from}");
        fs::write(path, before.replace(from, to)).expect("write");
    }

    /// Says, then does. Answers how many bundles were to change.
    fn agrees(&self, what: &str) -> usize {
        let before = tree(self.dir.path());
        let said = self.build(&["--dry-run"], &[0, 2]);
        assert_eq!(tree(self.dir.path()), before, "{what}: a dry run wrote something");
        let done = self.build(&[], &[0]);
        let (said, done) = (&said["clusters"][0], &done["clusters"][0]);
        let each = |of: &Value, keys: &[&str]| -> Vec<Vec<String>> {
            let bundles = of["bundles"].as_array().expect("bundles");
            bundles.iter().map(|b| keys.iter().map(|k| b[*k].to_string()).collect()).collect()
        };
        let keys = ["name", "change", "generation"];
        assert_eq!(each(said, &keys), each(done, &keys), "{what}");
        assert_eq!(decisions(said), decisions(done), "{what}");
        let mut changed = 0;
        let (said, done) = (said["bundles"].as_array(), done["bundles"].as_array());
        for (said, done) in said.into_iter().flatten().zip(done.into_iter().flatten()) {
            if said["change"] == "unchanged" {
                assert_eq!(said["tarSha256"], done["tarSha256"], "{what}");
            } else {
                assert_eq!(said["tarSha256"], "", "{what}: a digest of what is not made yet");
                changed += 1;
            }
        }
        changed
    }
}

fn decisions(of: &Value) -> Vec<(String, String)> {
    let all = of["decisions"].as_array().expect("decisions");
    all.iter().map(|d| (d["id"].to_string(), d["action"].to_string())).collect()
}

#[test]
fn a_dry_run_says_what_the_build_does() {
    let place = Place::new("inventory");
    assert_eq!(place.agrees("the first build"), 12);
    assert_eq!(place.agrees("nothing"), 0);
    place.edit(
        "hosts.yaml",
        "  - name: k8sworker1\n",
        "  - name: k8sworker9\n    address: 192.168.13.99\n    roles: [worker]\n  - name: k8sworker1\n",
    );
    assert!(place.agrees("a worker that comes") > 1);
    place.edit("cluster.yaml", "kubernetes:\n", "kubernetes:\n  apiServer: {certSANs: [api.example.com]}\n");
    assert!(place.agrees("a name of the API server") >= 3);
    place.edit("cluster.yaml", "kubernetes:\n", "kubernetes:\n  imageRepository: registry.example.com/k8s\n");
    assert!(place.agrees("nothing issued, much changed") >= 7);
    // All three, and what the build does with certificates at the same time.
    place.edit("cluster.yaml", "api.example.com", "api.example.org");
    place.edit("cluster.yaml", "registry.example.com", "registry.example.org");
    place.edit("hosts.yaml", "192.168.13.99", "192.168.13.98");
    assert_eq!(place.agrees("all at once"), 12 - 5 + 1);
    fs::remove_file(place.dir.path().join("out/bundles/operator.tar.gz")).expect("remove");
    place.agrees("a tarball that is gone");
}

#[test]
fn retired_hosts_and_several_inventories() {
    for inventory in
        ["tests/inventories/retired", "tests/inventories/compact", "tests/inventories/dual-stack"]
    {
        let place = Place::new(inventory);
        assert!(Path::new(&place.dir.path().join("inventory")).is_dir());
        place.agrees(inventory);
        assert_eq!(place.agrees(inventory), 0);
    }
}
