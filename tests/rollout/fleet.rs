//! Hosts in network namespaces that are reached, distributed to and brought up by the operator's own scripts, over a
//! stand-in ssh that enters them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::support::net::Net;
use crate::support::{self, Built, copy_inventory, copy_tree, root, scratch, text, unpack_to};
use crate::{BALANCERS, BASTION, MEMBERS, SERVERS, VIP};

/// The hosts of the repository's inventory that a rollout touches here, and the bastion.
pub struct Fleet {
    // Dropped first: what runs on the hosts reads the folders below.
    pub net: Net,
    pub built: Built,
    pub dir: tempfile::TempDir,
}

impl Fleet {
    /// Nothing is installed yet. API servers are nginx with the bundles' certificates.
    pub fn new() -> Self {
        let built = Built { dir: scratch() };
        copy_inventory(&root().join("inventory"), &built.inventory());
        let mut fleet = Self { net: Net::new(), built, dir: scratch() };
        fleet.set("ens33", "eth0");
        fleet.net.host(BASTION, "192.168.13.9/24");
        let mut addresses = String::new();
        for (name, address) in MEMBERS.into_iter().chain(BALANCERS).chain(SERVERS) {
            fleet.net.host(name, &format!("{address}/24"));
            fleet.net.furnish(name);
            addresses.push_str(&format!("{address} {}\n", fleet.net.keeper(name)));
        }
        for (name, _) in MEMBERS {
            fleet.net.furnish_etcd(name);
        }
        fleet.net.furnish_etcd(BASTION);
        fs::write(fleet.net.path(BASTION, "/etc/keepers"), addresses).expect("write");
        // ssh: the remote words in a shell of the host that has the address.
        let ssh = "#!/bin/bash\nwhile [[ $1 != -- ]]; do shift; done\nat=${2#*@}\nshift 2\n\
            exec nsenter --target=\"$(awk -v at=\"$at\" '$1 == at { print $2 }' /etc/keepers)\" --mount --net --uts -- sh -c \"$*\"\n";
        fs::write(fleet.net.path(BASTION, "/usr/local/sbin/ssh"), ssh).expect("write");
        fleet.net.shell(
            BASTION,
            &format!("chmod 0755 /usr/local/sbin/ssh; echo '{VIP} k8sapi.isociel.com' >>/etc/hosts"),
        );
        fleet
    }

    /// Changes the inventory.
    pub fn set(&self, from: &str, to: &str) {
        let file = self.built.inventory().join("cluster.yaml");
        let before = fs::read_to_string(&file).expect("cluster.yaml");
        assert!(before.contains(from), "no {from:?} in {before}");
        fs::write(&file, before.replacen(from, to, 1)).expect("write");
    }

    /// Builds, and has the bundles carried to the hosts. Returns the operator's folder.
    pub fn distributed(&self, name: &str) -> PathBuf {
        self.built.build();
        let out = self.dir.path().join(name);
        copy_tree(&self.built.out(), &out);
        let operator = unpack_to(&out.join("bundles/operator.tar.gz"), &out.join("bundles"));
        self.done(&operator, "distribute.sh", &self.hosts());
        operator
    }

    pub fn hosts(&self) -> Vec<String> {
        let names = MEMBERS.iter().chain(&BALANCERS).map(|(name, _)| *name);
        names.flat_map(|name| ["--host".to_owned(), name.to_owned()]).collect()
    }

    pub fn script(&self, operator: &Path, name: &str, arguments: &[String]) -> Output {
        self.net.command(BASTION, "bash").arg(operator.join(name)).args(arguments).output().expect("bash")
    }

    pub fn done(&self, operator: &Path, name: &str, arguments: &[String]) -> String {
        let out = self.script(operator, name, arguments);
        let said = format!("{}{}", text(&out.stdout), text(&out.stderr));
        assert!(out.status.success(), "{name}: {}\n{said}", out.status);
        said
    }

    pub fn start_servers(&self, operator: &Path) {
        for (name, _) in SERVERS {
            let bundles = operator.parent().expect("a folder");
            let pki = unpack_to(&bundles.join(format!("{name}.isociel.com.tar.gz")), self.dir.path())
                .join("root/etc/kubernetes/pki");
            let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                .map(|kind| format!("{kind}_temp_path /run/{kind};"))
                .concat();
            let configuration = format!(
                "pid /run/api.pid; error_log /run/api.error; events {{}} http {{ access_log off; {temporary} server {{ \
                 listen 6443 ssl; ssl_certificate {0}/apiserver.crt; ssl_certificate_key {0}/apiserver.key; \
                 location / {{ return 200 ok; }} }} }}",
                pki.display()
            );
            fs::write(self.net.path(name, "/etc/api.conf"), configuration).expect("write");
            self.net.shell(name, "nginx -c /etc/api.conf -e /run/api.error");
        }
    }

    /// Waits until TLS through the VIP has worked several times in a row.
    pub fn settle(&self) {
        let ask = format!(
            "n=0; while [[ $n -lt 5 ]]; do if timeout 2 openssl s_client -connect {VIP}:6443 </dev/null >/dev/null 2>&1; \
             then n=$((n + 1)); else n=0; fi; sleep 0.3; done"
        );
        support::run(self.net.command(BASTION, "timeout").args(["60", "bash", "-c", &ask]));
    }

    /// etcdctl as the operator; the words before the command.
    pub fn etcdctl(operator: &Path) -> String {
        let etcd = operator.join("etcd");
        let endpoints = fs::read_to_string(etcd.join("endpoints")).expect("endpoints");
        format!(
            "etcdctl --endpoints={} --cacert={d}/ca.crt --cert={d}/operator.crt --key={d}/operator.key",
            endpoints.trim(),
            d = etcd.display()
        )
    }

    /// A setting as the running member was started with it.
    pub fn heartbeat(&self, member: &str) -> String {
        let script = "tr '\\0' '\\n' <\"/proc/$(cat /run/stand-in/etcd.service.pid)/environ\" | sed -n 's/^ETCD_HEARTBEAT_INTERVAL=//p'";
        self.net.shell(member, script).trim().to_owned()
    }
}
