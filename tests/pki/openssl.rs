//! openssl as the judge of what is issued.

use std::path::{Path, PathBuf};
use std::process::Command;

use khagen::model::KeyAlgorithm;
use khagen::pki::read;
use khagen::plan::{Profile, SecretKind};

use crate::cluster::{NOW, build, certs, id, secrets};

/// Runs openssl and answers its output; a failure is the test's.
fn openssl(arguments: &[&str]) -> String {
    let out = Command::new("openssl").args(arguments).output().expect("openssl is installed");
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    assert!(out.status.success(), "openssl {arguments:?}: {}{}", text(&out.stdout), text(&out.stderr));
    text(&out.stdout)
}

fn refused(arguments: &[&str]) -> bool {
    !Command::new("openssl").args(arguments).output().expect("openssl is installed").status.success()
}

fn file(dir: &Path, object: &str, name: &str) -> String {
    let path: PathBuf = dir.join("objects").join(object).join(name);
    path.to_str().unwrap().to_owned()
}

#[test]
fn every_chain_is_accepted_for_its_purpose_and_for_no_other() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("secrets");
    build(&dir, &certs(), &secrets());
    let now = NOW.to_string();
    for request in certs() {
        let cert = file(&dir, request.id.as_str(), "cert.pem");
        let ca = file(&dir, request.issuer.as_ref().unwrap_or(&request.id).as_str(), "cert.pem");
        let verify = ["verify", "-x509_strict", "-attime", &now, "-CAfile", &ca, "-purpose"];
        let accepts = |purpose: &str| !refused(&[&verify[..], &[purpose, &cert]].concat());
        let purposes: &[&str] = match request.profile {
            Profile::Ca => &["any"],
            Profile::Server => &["sslserver"],
            Profile::Client => &["sslclient"],
            Profile::ServerAndClient => &["sslserver", "sslclient"],
        };
        for purpose in purposes {
            openssl(&[&verify[..], &[purpose, &cert]].concat());
        }
        if request.profile != Profile::Ca {
            assert_eq!(accepts("sslserver"), purposes.contains(&"sslserver"), "{}", request.id);
            assert_eq!(accepts("sslclient"), purposes.contains(&"sslclient"), "{}", request.id);
            let other = if ca.contains("front-proxy") { "ca/etcd" } else { "ca/front-proxy" };
            let other = file(&dir, other, "cert.pem");
            assert!(refused(&["verify", "-attime", &now, "-CAfile", &other, &cert]), "{}", request.id);
        }
        for name in &request.dns_sans {
            let name = name.replace('*', "any");
            let out = openssl(&["x509", "-noout", "-in", &cert, "-checkhost", &name]);
            assert!(out.contains("does match"), "{} {out}", request.id);
        }
        for ip in &request.ip_sans {
            let out = openssl(&["x509", "-noout", "-in", &cert, "-checkip", &ip.to_string()]);
            assert!(out.contains("does match"), "{} {out}", request.id);
        }
    }
}

#[test]
fn keys_match_their_certificates_and_public_halves() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("secrets");
    let (store, _) = build(&dir, &certs(), &secrets());
    for request in certs() {
        let (cert, key) =
            (file(&dir, request.id.as_str(), "cert.pem"), file(&dir, request.id.as_str(), "key.pem"));
        let public = openssl(&["pkey", "-in", &key, "-pubout"]);
        assert_eq!(public, openssl(&["x509", "-in", &cert, "-noout", "-pubkey"]), "{}", request.id);
        openssl(&["pkey", "-in", &key, "-check", "-noout"]);
    }
    let public = openssl(&["pkey", "-in", &file(&dir, "service-account", "key.pem"), "-pubout"]);
    assert_eq!(public, std::fs::read_to_string(file(&dir, "service-account", "public.pem")).unwrap());
    assert_eq!(public, **store.public_pem(&id("service-account")).unwrap());
}

#[test]
fn a_cas_fingerprint_is_kubeadms_discovery_hash() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("secrets");
    let (store, _) = build(&dir, &certs(), &secrets());
    let public = tmp.path().join("ca.pub");
    let text = openssl(&["x509", "-in", &file(&dir, "ca/kubernetes", "cert.pem"), "-noout", "-pubkey"]);
    std::fs::write(&public, text).unwrap();
    let der = tmp.path().join("ca.der");
    let (public, der) = (public.to_str().unwrap(), der.to_str().unwrap());
    openssl(&["pkey", "-pubin", "-in", public, "-outform", "DER", "-out", der]);
    let hash = openssl(&["dgst", "-sha256", "-r", der]);
    assert_eq!(hash.split(' ').next(), store.fingerprint(&id("ca/kubernetes")));
}

#[test]
fn a_tokens_fingerprint_is_what_openssl_makes_of_it() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("secrets");
    let (store, _) = build(&dir, &certs(), &secrets());
    let key = std::fs::read_to_string(file(&dir, "fingerprint-key", "secret")).unwrap();
    let token = file(&dir, "bootstrap-token", "secret");
    let hexkey = format!("hexkey:{key}");
    let mac = openssl(&["dgst", "-sha256", "-mac", "HMAC", "-macopt", &hexkey, "-r", &token]);
    assert_eq!(mac.split(' ').next(), store.fingerprint(&id("bootstrap-token")));
}

#[test]
fn dates_serials_and_names_are_as_laid_down() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("secrets");
    let (store, _) = build(&dir, &certs(), &secrets());
    let mut serials = std::collections::BTreeSet::new();
    for request in certs() {
        let summary = read::summary(&read::der(store.cert_pem(&request.id).unwrap()).unwrap()).unwrap();
        let back = if request.profile == Profile::Ca { 7200 } else { 3600 };
        assert_eq!(summary.not_before.unix_timestamp(), NOW - back);
        assert_eq!(summary.not_after.unix_timestamp(), NOW + 86_400 * i64::from(request.validity_days));
        assert_eq!(summary.serial.len(), 32, "16 bytes");
        assert!(serials.insert(summary.serial), "a serial number twice");
        let ca = request.issuer.as_ref().unwrap_or(&request.id);
        let ca = read::summary(&read::der(store.cert_pem(ca).unwrap()).unwrap()).unwrap();
        assert_eq!(summary.issuer, ca.subject);
    }
}

#[test]
fn an_intermediate_signs_and_its_chain_is_accepted() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("secrets");
    let mut middle = crate::cluster::ca("ca/middle", "middle");
    middle.issuer = Some(id("ca/kubernetes"));
    let leaf = crate::cluster::leaf("leaf", "ca/middle", Profile::Client, "leaf");
    let root = crate::cluster::ca("ca/kubernetes", "kubernetes");
    // In an order in which nobody could sign.
    build(&dir, &[leaf, middle, root], &[]);
    let (root, middle) = (file(&dir, "ca/kubernetes", "cert.pem"), file(&dir, "ca/middle", "cert.pem"));
    let now = NOW.to_string();
    let verify = ["verify", "-x509_strict", "-attime", &now, "-purpose", "sslclient", "-CAfile", &root];
    openssl(&[&verify[..], &["-untrusted", &middle, &file(&dir, "leaf", "cert.pem")]].concat());
}

#[test]
fn every_algorithm_is_what_openssl_says_and_is_signed_by_any_other() {
    let now = NOW.to_string();
    for (algorithm, what) in [
        (KeyAlgorithm::P256, "NIST CURVE: P-256"),
        (KeyAlgorithm::P384, "NIST CURVE: P-384"),
        (KeyAlgorithm::Rsa2048, "Private-Key: (2048 bit"),
    ] {
        let tmp = tempfile::tempdir().unwrap();
        let dir = tmp.path().join("secrets");
        let small = |id: &str| ["ca/etcd", "operator/etcd", "web/nameless", "ca/kubernetes"].contains(&id);
        let mut requests: Vec<_> = certs().into_iter().filter(|c| small(c.id.as_str())).collect();
        requests.iter_mut().for_each(|c| c.algorithm = algorithm);
        let mut pairs = secrets();
        pairs
            .iter_mut()
            .filter(|s| matches!(s.kind, SecretKind::KeyPair(_)))
            .for_each(|s| s.kind = SecretKind::KeyPair(algorithm));
        drop(build(&dir, &requests, &pairs));
        let judge = |requests: &[khagen::plan::CertRequest]| {
            for request in requests {
                let id = request.id.as_str();
                let key = file(&dir, id, "key.pem");
                let cert = file(&dir, id, "cert.pem");
                let ca = file(&dir, request.issuer.as_ref().unwrap_or(&request.id).as_str(), "cert.pem");
                openssl(&["verify", "-x509_strict", "-attime", &now, "-CAfile", &ca, &cert]);
                openssl(&["pkey", "-in", &key, "-check", "-noout"]);
                let public = openssl(&["pkey", "-in", &key, "-pubout"]);
                assert_eq!(public, openssl(&["x509", "-in", &cert, "-noout", "-pubkey"]), "{id}");
                let usage = openssl(&["x509", "-in", &cert, "-noout", "-ext", "keyUsage"]);
                let enciphers = request.algorithm.is_rsa() && request.profile != Profile::Ca;
                assert_eq!(usage.contains("Key Encipherment"), enciphers, "{id}: {usage}");
            }
        };
        judge(&requests);
        for id in ["ca/etcd", "operator/etcd", "service-account"] {
            let text = openssl(&["pkey", "-in", &file(&dir, id, "key.pem"), "-noout", "-text"]);
            assert!(text.contains(what), "{id}: {text}");
        }
        let public = openssl(&["pkey", "-in", &file(&dir, "service-account", "key.pem"), "-pubout"]);
        assert_eq!(public, std::fs::read_to_string(file(&dir, "service-account", "public.pem")).unwrap());

        // Another algorithm later: authorities and the service account keep theirs, the rest is issued again by them.
        let other = if algorithm == KeyAlgorithm::P256 { KeyAlgorithm::P384 } else { KeyAlgorithm::P256 };
        requests.iter_mut().for_each(|c| c.algorithm = other);
        let (_, decisions) = build(&dir, &requests, &pairs);
        let issued: Vec<_> = decisions.iter().filter(|d| !d.reason.is_empty()).collect();
        assert!(issued.iter().all(|d| !d.id.as_str().starts_with("ca/")), "{issued:?}");
        assert_eq!(issued.len(), 2);
        let reason = format!("key {} -> {}", algorithm.as_str(), other.as_str());
        assert!(issued.iter().all(|d| d.reason == reason), "{issued:?}");
        requests.iter_mut().filter(|c| c.profile == Profile::Ca).for_each(|c| c.algorithm = algorithm);
        judge(&requests);
    }
}
