//! A cluster to be found: what its API server and its etcd would answer, from the bundles' own certificates and documents.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::{aead, hmac};
use serde_json::{Value as Json, json};

use crate::support::{Built, oracle, run, scratch, unpack_to};

/// An output folder, its hosts unpacked, and an nginx that answers for the cluster.
pub struct Cluster {
    /// Everything that is written.
    pub dir: tempfile::TempDir,
    facts: Json,
    documents: Vec<String>,
    _built: Built,
}

/// A host with a kubelet.
pub struct Host {
    pub fqdn: String,
    /// Its host name, short as the installed one is.
    pub name: String,
    /// `init`, or what it joins as: `control-plane` or `worker`.
    pub role: &'static str,
    /// Where its API server will listen.
    pub bind_port: u16,
}

impl Cluster {
    /// Unpacks what was built and writes the answers.
    pub fn of(built: Built) -> Cluster {
        let dir = scratch();
        let facts = fs::read(built.out().join("review/cluster.json")).expect("cluster.json");
        let facts: Json = serde_json::from_slice(&facts).expect("json");
        let mut cluster = Cluster { dir, facts, documents: Vec::new(), _built: built };
        for host in cluster.hosts("") {
            unpack_to(&cluster._built.out().join(format!("bundles/{host}.tar.gz")), cluster.dir.path());
        }
        let shared = cluster.root(&cluster.first()).join("etc/kubernetes/kubeadm-cluster.yaml");
        let shared = fs::read_to_string(shared).expect("kubeadm-cluster.yaml");
        cluster.documents = shared.split("---\n").map(str::to_owned).collect();
        for (host, version) in cluster
            .hosts("control-plane")
            .iter()
            .chain(&cluster.hosts("worker"))
            .map(|h| (h, cluster.version()))
        {
            // It is asked for its version only.
            let kubelet = cluster.root(host).join("opt/stand-in/kubelet");
            fs::create_dir_all(kubelet.parent().expect("a folder")).expect("create");
            fs::write(&kubelet, format!("#!/bin/sh\necho 'Kubernetes {version}'\n")).expect("write");
            std::fs::set_permissions(&kubelet, std::os::unix::fs::PermissionsExt::from_mode(0o755))
                .expect("mode");
        }
        cluster.answers();
        cluster
    }

    /// FQDNs of a role, or of all.
    fn hosts(&self, role: &str) -> Vec<String> {
        let all = self.facts["hosts"].as_array().expect("hosts").iter();
        all.filter(|h| role.is_empty() || h["roles"].as_array().expect("roles").iter().any(|r| r == role))
            .map(|h| h["fqdn"].as_str().expect("fqdn").to_owned())
            .collect()
    }
    /// A host's files.
    pub fn root(&self, host: &str) -> PathBuf {
        self.dir.path().join(host).join("root")
    }
    /// Its first address.
    pub fn address(&self, host: &str) -> String {
        let all = self.facts["hosts"].as_array().expect("hosts");
        let host = all.iter().find(|h| h["fqdn"] == host).expect("a host");
        host["addresses"][0].as_str().expect("an address").to_owned()
    }
    fn read(&self, host: &str, path: &str) -> String {
        let file = self.root(host).join(path);
        fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
    }
    /// The control plane whose certificates the cluster answers with: the first. That of a running cluster joins like any other.
    fn first(&self) -> String {
        self.facts["firstControlPlane"].as_str().expect("a control plane").to_owned()
    }
    /// Hosts with a kubelet.
    pub fn nodes(&self) -> Vec<Host> {
        let mut names = self.hosts("control-plane");
        names.extend(self.hosts("worker"));
        names.sort();
        names.dedup();
        let first = self.first();
        let bind_port = self.field_of(&first, "bindPort: ").parse().expect("a port");
        names
            .into_iter()
            .map(|fqdn| {
                let document = self.read(&fqdn, "etc/kubernetes/kubeadm.yaml");
                let role = match document.as_str() {
                    d if d.contains("kind: InitConfiguration") => "init",
                    d if d.contains(
                        "
controlPlane:",
                    ) =>
                    {
                        "control-plane"
                    }
                    d => {
                        assert!(
                            d.contains("kind: JoinConfiguration"),
                            "{fqdn}:
{d}"
                        );
                        "worker"
                    }
                };
                let name = fqdn.split('.').next().unwrap_or_default().to_owned();
                Host { name, role, bind_port, fqdn }
            })
            .collect()
    }
    fn field_of(&self, host: &str, key: &str) -> String {
        field(&self.read(host, "etc/kubernetes/kubeadm.yaml"), key)
    }
    fn document(&self, kind: &str) -> Option<&String> {
        self.documents.iter().find(|d| d.contains(&format!("kind: {kind}\n")))
    }
    fn version(&self) -> String {
        field(self.document("ClusterConfiguration").expect("a document"), "kubernetesVersion: ")
    }
    /// `1.36`.
    pub fn minor(&self) -> String {
        self.version().trim_start_matches('v').split('.').take(2).collect::<Vec<_>>().join(".")
    }
    /// The port that the cluster answers on.
    pub fn port(&self) -> u16 {
        let endpoint = self.facts["endpoint"].as_str().expect("endpoint");
        endpoint.rsplit_once(':').expect("a port").1.parse().expect("a port")
    }
    /// etcd's URLs in the cluster's settings.
    pub fn etcd_endpoints(&self) -> Vec<String> {
        let document = self.document("ClusterConfiguration").expect("a document");
        let lines = document.lines().map(|l| l.trim_start_matches(['-', ' ']).trim_matches(['"', '\'']));
        let found: Vec<String> = lines.filter(|l| l.starts_with("https://")).map(str::to_owned).collect();
        assert_eq!(found.len(), self.hosts("etcd").len(), "{document}");
        found
    }
    /// What was asked: status, path, and who nginx held the client for.
    pub fn log(&self) -> String {
        let log = fs::read_to_string(self.dir.path().join("access")).unwrap_or_default();
        log + &fs::read_to_string(self.dir.path().join("nginx.error")).unwrap_or_default()
    }

    fn config_map(&self, folder: &str, name: &str, data: &Json) {
        let file = self.dir.path().join("api/v1/namespaces").join(folder).join("configmaps").join(name);
        fs::create_dir_all(file.parent().expect("a folder")).expect("create");
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": data,
            "metadata": {"name": name, "namespace": folder, "uid": "1", "resourceVersion": "1"}});
        fs::write(file, map.to_string()).expect("write");
    }

    /// Whether control planes fetch the CAs from the cluster.
    pub fn is_spread(&self) -> bool {
        self.read(&self.first(), "etc/kubernetes/kubeadm.yaml").contains("certificateKey: ")
    }

    /// The first control plane's certificates after `kubeadm init phase certs`, in a folder of their own.
    fn signed_by_kubeadm(&self, first: &str) -> PathBuf {
        let copy = self.dir.path().join("signed");
        run(Command::new("cp").arg("-a").arg(self.root(first)).arg(&copy));
        let kubeadm = oracle().expect("probed").join("kubeadm");
        run(Command::new(kubeadm).arg("--rootfs").arg(&copy).args([
            "init",
            "phase",
            "certs",
            "all",
            "--config",
            "/etc/kubernetes/kubeadm.yaml",
        ]));
        copy.join("etc/kubernetes/pki")
    }

    /// The Secret as `kubeadm init phase upload-certs` leaves it: AES-256-GCM, the nonce in front (cmd/kubeadm/app/util/crypto).
    fn uploaded(&self, first: &str) {
        let key = self.field_of(first, "certificateKey: ");
        let bytes: Vec<u8> = (0..key.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&key[at..at + 2], 16).expect("hexadecimal"))
            .collect();
        let key = aead::UnboundKey::new(&aead::AES_256_GCM, &bytes).expect("32 bytes");
        let key = aead::LessSafeKey::new(key);
        let mut data = serde_json::Map::new();
        for (number, (name, path)) in FETCHED.iter().enumerate() {
            let nonce = [u8::try_from(number).expect("few"); aead::NONCE_LEN];
            let mut text = fs::read(self.root(first).join(path)).expect("read");
            key.seal_in_place_append_tag(
                aead::Nonce::assume_unique_for_key(nonce),
                aead::Aad::empty(),
                &mut text,
            )
            .expect("sealed");
            let sealed = [nonce.as_slice(), &text].concat();
            data.insert((*name).to_owned(), json!(STANDARD.encode(sealed)));
        }
        let file = self.secret();
        fs::create_dir_all(file.parent().expect("a folder")).expect("create");
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "data": data,
            "metadata": {"name": "kubeadm-certs", "namespace": "kube-system", "uid": "1", "resourceVersion": "1"}});
        fs::write(file, secret.to_string()).expect("write");
    }

    /// Where the cluster has what control planes fetch.
    pub fn secret(&self) -> PathBuf {
        self.dir.path().join(Path::new("api/v1/namespaces/kube-system/secrets/kubeadm-certs"))
    }

    fn answers(&self) {
        let dir = self.dir.path();
        let first = self.first();
        let document = self.document("ClusterConfiguration").expect("a document");
        self.config_map("kube-system", "kubeadm-config", &json!({"ClusterConfiguration": document}));
        let kubelet = self.document("KubeletConfiguration").expect("a document");
        self.config_map("kube-system", "kubelet-config", &json!({"kubelet": kubelet}));
        if let Some(proxy) = self.document("KubeProxyConfiguration") {
            self.config_map("kube-system", "kube-proxy", &json!({"config.conf": proxy}));
        }
        // Whoever has the cluster's token, or a certificate of the cluster's CA, may read kube-system.
        let init = self.read(&first, "etc/kubernetes/kubeadm.yaml");
        let mut token = "none".to_owned();
        if init.contains("token: ") {
            token = field(&init, "token: ");
            let (id, secret) = token.split_once('.').expect("a token");
            let ca = STANDARD.encode(self.read(&first, "etc/kubernetes/pki/ca.crt"));
            let server = self.facts["endpoint"].as_str().expect("endpoint");
            let config = format!(
                "apiVersion: v1\nkind: Config\nclusters:\n- name: \"\"\n  cluster:\n    server: https://{server}\n    \
                 certificate-authority-data: {ca}\n"
            );
            let signature = format!("jws-kubeconfig-{id}");
            self.config_map(
                "kube-public",
                "cluster-info",
                &json!({"kubeconfig": config, signature: signed(&config, id, secret)}),
            );
        }
        // Without the phase bootstrap-token no role grants these two to a node, and an API server authorizes before it looks:
        // forbidden, whether or not they are there. kubeadm goes on after that; a 404 it would ask again until it gives up.
        let mut forbidden = String::new();
        if token == "none" {
            for path in ["kube-public/configmaps/cluster-info", "kube-system/configmaps/kube-proxy"] {
                forbidden += &format!("location = /api/v1/namespaces/{path} {{ return 403; }}\n");
            }
        }
        let mut pki = self.root(&first).join("etc/kubernetes/pki");
        if self.is_spread() {
            pki = self.signed_by_kubeadm(&first);
            self.uploaded(&first);
        }
        let pki = pki.display();
        let mut servers = format!(
            "server {{
                listen 0.0.0.0:{port} ssl; listen [::]:{port} ssl ipv6only=on;
                ssl_certificate {pki}/apiserver.crt; ssl_certificate_key {pki}/apiserver.key;
                ssl_client_certificate {pki}/ca.crt; ssl_verify_client optional; ssl_verify_depth 3;
                {forbidden}
                location /api/v1/namespaces/kube-public/ {{ root {dir}; default_type application/json; }}
                location /api/v1/namespaces/kube-system/ {{
                    root {dir}; default_type application/json;
                    set $may \"$http_authorization $ssl_client_verify\";
                    if ($may !~ \"^Bearer {token} |SUCCESS\") {{ return 403; }}
                    error_page 404 = @none;
                }}
                location / {{ error_page 404 = @none; return 404; }}
                location @none {{
                    default_type application/json;
                    return 404 '{{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\",\"reason\":\"NotFound\",\"code\":404}}';
                }}
            }}\n",
            port = self.port(),
            dir = dir.display(),
        );
        for host in self.hosts("etcd") {
            let pki = self.root(&host).join("etc/etcd/pki");
            let pki = pki.display();
            let short = host.split('.').next().unwrap_or_default();
            let address = self.address(&host);
            let listen = if address.contains(':') { format!("[{address}]") } else { address };
            servers += &format!(
                "server {{
                    listen {listen}:2379 ssl;
                    ssl_certificate {pki}/{short}.crt; ssl_certificate_key {pki}/{short}.key;
                    ssl_client_certificate {pki}/etcd-ca.crt; ssl_verify_client on; ssl_verify_depth 3;
                    location = /version {{ default_type application/json; return 200 '{{\"etcdserver\":\"{version}\",\"etcdcluster\":\"{version}\"}}'; }}
                }}\n",
                version = self.facts["etcd"].as_str().expect("etcd"),
            );
        }
        let conf = format!(
            "user root;\nworker_processes 1;\npid {dir}/nginx.pid;\nevents {{}}\nhttp {{
                log_format asked '$status $uri $ssl_client_verify $ssl_client_s_dn'; access_log {dir}/access asked;
                client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2; fastcgi_temp_path {dir}/t3;
                uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;
                {servers}
            }}\n",
            dir = dir.display()
        );
        fs::write(dir.join("nginx.conf"), conf).expect("write");

        let mut addresses: Vec<String> = Vec::new();
        for host in self.facts["hosts"].as_array().expect("hosts") {
            let own = host["addresses"].as_array().expect("addresses").iter();
            addresses.extend(own.map(|a| a.as_str().expect("an address").to_owned()));
        }
        let vips = self.facts["vips"].as_array().expect("vips").iter();
        addresses.extend(vips.map(|v| {
            let vip = v["address"].as_str().expect("an address");
            vip.split('/').next().unwrap_or_default().to_owned()
        }));
        // The endpoint, wherever the hosts look for it.
        let hosts = self.read(&first, "etc/hosts");
        addresses.extend(hosts.lines().filter_map(|l| l.split_whitespace().next()).map(str::to_owned));
        addresses.sort();
        addresses.dedup();
        fs::write(dir.join("addresses"), addresses.join("\n") + "\n").expect("write");
    }
}

/// The Secret's entries and what they become on a control plane (cmd/kubeadm/app/phases/copycerts, certsToTransfer).
pub const FETCHED: [(&str, &str); 9] = [
    ("ca.crt", "etc/kubernetes/pki/ca.crt"),
    ("ca.key", "etc/kubernetes/pki/ca.key"),
    ("front-proxy-ca.crt", "etc/kubernetes/pki/front-proxy-ca.crt"),
    ("front-proxy-ca.key", "etc/kubernetes/pki/front-proxy-ca.key"),
    ("sa.pub", "etc/kubernetes/pki/sa.pub"),
    ("sa.key", "etc/kubernetes/pki/sa.key"),
    ("external-etcd-ca.crt", "etc/kubernetes/pki/etcd/etcd-ca.crt"),
    ("external-etcd.crt", "etc/kubernetes/pki/apiserver-etcd-client.crt"),
    ("external-etcd.key", "etc/kubernetes/pki/apiserver-etcd-client.key"),
];

/// What follows a key at its first place.
fn field(document: &str, key: &str) -> String {
    let line = document.lines().map(|l| l.trim_start_matches(['-', ' '])).find(|l| l.starts_with(key));
    line.unwrap_or_else(|| panic!("no {key} in\n{document}"))[key.len()..].trim_matches('"').to_owned()
}

/// A signature as the controller-manager's bootstrap signer makes it: JWS with the content detached, HS256 with the token's secret
/// (RFC 7515 appendix F).
fn signed(content: &str, id: &str, secret: &str) -> String {
    let header = URL_SAFE_NO_PAD.encode(format!("{{\"alg\":\"HS256\",\"kid\":\"{id}\"}}"));
    let payload = URL_SAFE_NO_PAD.encode(content);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("{header}.{payload}").as_bytes());
    format!("{header}..{}", URL_SAFE_NO_PAD.encode(tag))
}
