//! Rotation of trust roots: real etcd members and clients through all stages, the store when it is killed, merged or
//! encrypted, and every leaf against every trust file by openssl and kubeadm.

#[path = "../support/mod.rs"]
mod support;

mod docs;
mod etcd;
mod rollout;
mod store;
mod trust;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use support::{copy_inventory, khagen, root, run, scratch, text, unpack_to};

/// An inventory of the repository and what is built from it.
pub struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    /// The repository's own inventory, or one of tests/inventories, of a running cluster.
    fn running(name: &str) -> Place {
        let from =
            if name == "inventory" { root().join(name) } else { root().join("tests/inventories").join(name) };
        let place = Place { dir: scratch() };
        copy_inventory(&from, &place.inventory());
        for entry in fs::read_dir(place.inventory()).expect("read") {
            let path = entry.expect("entry").path();
            if path.is_file() {
                let said = fs::read_to_string(&path).expect("read");
                fs::write(&path, said.replace("state: new", "state: running")).expect("write");
            }
        }
        place
    }

    /// With an encrypted store.
    fn encrypted(name: &str) -> Place {
        let place = Place::running(name);
        run(Command::new("age-keygen").arg("-o").arg(place.at("age.key")));
        let key = run(Command::new("age-keygen").arg("-y").arg(place.at("age.key")));
        fs::write(
            place.inventory().join("recipients.yaml"),
            format!("secrets:\n  recipients: [{}]\n", key.trim()),
        )
        .expect("write");
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn inventory(&self) -> PathBuf {
        self.at("inventory")
    }

    fn object(&self, name: &str) -> PathBuf {
        self.inventory().join("secrets/objects").join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(khagen().get_program());
        command.args(args).current_dir(self.dir.path()).stdin(Stdio::null());
        command.env_remove("SOURCE_DATE_EPOCH").env_remove("KHAGEN_IDENTITY").env("NO_COLOR", "1");
        command.env("HOME", self.dir.path());
        if self.at("age.key").exists() {
            command.env("KHAGEN_IDENTITY", "age.key");
        }
        command
    }

    fn ends(&self, args: &[&str], exit: i32) -> String {
        let out = self.command(args).output().expect("khagen");
        assert_eq!(out.status.code(), Some(exit), "{args:?}\n{}", said(&out));
        said(&out)
    }

    /// Asks for the next stage of some roots and builds it.
    fn advance(&self, roots: &[&str]) -> String {
        for root in roots {
            self.ends(&["pki", "rotate", root], 0);
        }
        self.ends(&["build"], 0)
    }

    /// Unpacks what is built now to a folder. Answers the folder.
    fn unpacked(&self, to: &Path, hosts: &[&str]) -> PathBuf {
        for host in hosts {
            let name = if *host == "operator" { (*host).to_owned() } else { format!("{host}.isociel.com") };
            unpack_to(&self.at(&format!("out/bundles/{name}.tar.gz")), to);
        }
        to.to_owned()
    }
}

fn said(out: &Output) -> String {
    format!("{}{}", text(&out.stdout), text(&out.stderr))
}
