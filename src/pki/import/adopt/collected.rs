//! What was collected from hosts: certificates, keys and kubeconfigs, known by their content, and by their paths where the
//! content does not say what they are for.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::diag::{Code, Diagnostic, Report};
use crate::pki::import::keys;
use crate::pki::key::{self, SigningKey};
use crate::pki::read::{self, CertSummary};
use crate::pki::sealed::sha256_hex;
use crate::plan::certs;
use crate::secret::Secret;

/// A certificate.
pub struct Cert {
    /// The file, below the folder that was given.
    pub path: String,
    /// Its DER.
    pub der: Vec<u8>,
    /// What it says.
    pub summary: CertSummary,
}

impl Cert {
    /// Whether it says that it is a CA's.
    pub fn is_ca(&self) -> bool {
        self.summary.basic_constraints.as_ref().is_some_and(|bc| bc.value.ca)
    }
}

/// A private key.
pub struct Key {
    /// The file.
    pub path: String,
    /// PKCS#8 PEM.
    pub secret: Secret,
    /// SHA-256 of its SPKI.
    pub fingerprint: String,
    /// By kubeadm's name.
    pub algorithm: &'static str,
}

/// Everything.
#[derive(Default)]
pub struct Collected {
    /// All paths, also of files that hold nothing of interest.
    pub paths: Vec<String>,
    /// Certificates.
    pub certs: Vec<Cert>,
    /// Keys.
    pub keys: Vec<Key>,
    /// Public keys: path and fingerprint.
    pub publics: Vec<(String, String)>,
}

impl Collected {
    /// The key of a certificate.
    pub fn key_of(&self, fingerprint: &str) -> Option<&Key> {
        self.keys.iter().find(|k| k.fingerprint == fingerprint)
    }

    /// Sorts a file in. Paths are below the folder that was given.
    pub fn add(&mut self, path: &str, bytes: &Zeroizing<Vec<u8>>, report: &mut Report) {
        self.paths.push(path.to_owned());
        if path.ends_with(".conf") {
            self.add_kubeconfig(path, bytes, report);
        } else if [".crt", ".pem", ".key", ".pub", ".cer"].iter().any(|ending| path.ends_with(ending)) {
            self.add_pem(path, bytes, report);
        }
    }

    fn add_pem(&mut self, path: &str, bytes: &[u8], report: &mut Report) {
        let tags: Vec<(String, Vec<u8>)> = pem::parse_many(bytes)
            .unwrap_or_default()
            .into_iter()
            .filter(|b| !b.tag().ends_with("PRIVATE KEY"))
            .map(|b| (b.tag().to_owned(), b.into_contents()))
            .collect();
        for (tag, der) in tags {
            match tag.as_str() {
                "CERTIFICATE" => match read::summary(&der) {
                    Ok(summary) => self.certs.push(Cert { path: path.to_owned(), der, summary }),
                    Err(e) => report.push(unreadable(path, &e.to_string())),
                },
                "PUBLIC KEY" => self.publics.push((path.to_owned(), sha256_hex(&der))),
                _ => {}
            }
        }
        let holds_key = bytes.windows(12).any(|w| w == b"PRIVATE KEY-");
        if !holds_key {
            return;
        }
        let refuse = || Err("adopted keys are not encrypted".to_owned());
        match keys::read(bytes, &[], &mut { refuse }) {
            Ok(secret) => match SigningKey::parse(secret.expose(), &ring::rand::SystemRandom::new()) {
                Ok(pair) => {
                    let fingerprint = key::fingerprint(&key::spki(pair.public()));
                    let algorithm = pair.public().algorithm.as_str();
                    self.keys.push(Key { path: path.to_owned(), secret, fingerprint, algorithm });
                }
                Err(e) => report.push(unreadable(path, &e.to_string())),
            },
            Err(e) => report.push(unreadable(path, &e.to_string())),
        }
    }

    /// A kubeconfig holds a certificate and its key in base64, a line each.
    fn add_kubeconfig(&mut self, path: &str, bytes: &[u8], report: &mut Report) {
        let mut pem = Zeroizing::new(Vec::new());
        for line in bytes.split(|b| *b == b'\n') {
            let line = line.trim_ascii();
            let value = line
                .strip_prefix(b"client-certificate-data:")
                .or_else(|| line.strip_prefix(b"client-key-data:"));
            let Some(value) = value else { continue };
            let value: Vec<u8> =
                value.iter().copied().filter(|b| !b.is_ascii_whitespace() && *b != b'"').collect();
            let value = Zeroizing::new(value);
            if let Ok(text) = STANDARD.decode(value.as_slice()) {
                pem.extend_from_slice(&Zeroizing::new(text));
            }
        }
        if !pem.is_empty() {
            self.add_pem(path, &pem, report);
        }
    }
}

fn unreadable(path: &str, what: &str) -> Diagnostic {
    Diagnostic::error(Code::ImportUnreadable, format!("{path}: {what}"))
        .help("leave files out that are not of this cluster")
}

/// The last part of a path.
pub fn file_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// Which CA a file holds, by kubeadm's and the tutorial's names.
pub fn role(path: &str) -> Option<&'static str> {
    let of_etcd = path.split('/').any(|part| part == "etcd");
    match file_name(path) {
        "front-proxy-ca.crt" => Some(certs::FRONT_PROXY_CA),
        "etcd-peer-ca.crt" => Some(certs::ETCD_PEER_CA),
        "etcd-ca.crt" => Some(certs::ETCD_CA),
        "ca.crt" | "ca.pem" if of_etcd => Some(certs::ETCD_CA),
        "ca.crt" => Some(certs::KUBERNETES_CA),
        _ => None,
    }
}

/// Where a CA's certificate usually is.
pub(super) fn usual(ca: &str) -> &'static str {
    match ca {
        certs::KUBERNETES_CA => "/etc/kubernetes/pki/ca.crt of any control plane, and ca.key beside it",
        certs::FRONT_PROXY_CA => {
            "/etc/kubernetes/pki/front-proxy-ca.crt of any control plane, and its key beside it"
        }
        _ => {
            "etcd-ca.crt in /etc/etcd/pki of a member or in /etc/kubernetes/pki/etcd, and its key where etcd's certificates were made"
        }
    }
}
