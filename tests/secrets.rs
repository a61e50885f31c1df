//! No secret is where it must not be: every private key and token of the store is searched for in everything that may be
//! shown, in every form in which it could leak. And openssl agrees with every certificate.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use base64::Engine;
use support::{Built, built, run, scratch, text, tree, unpack_to};

/// Every secret of the store by name.
fn secrets(b: &Built) -> BTreeMap<String, Vec<u8>> {
    let found: BTreeMap<String, Vec<u8>> = tree(&b.inventory().join("secrets/objects"))
        .into_iter()
        .filter(|(path, _)| {
            !path.ends_with("cert.pem") && !path.ends_with("object.toml") && !path.ends_with("public.pem")
        })
        .collect();
    assert!(found.len() > 35, "{:?}", found.keys());
    found
}

/// The forms in which a secret could appear: raw, its PEM body, base64 at three offsets, hexadecimal.
fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = Vec::new();
    let trimmed = secret.trim_ascii();
    let mut cores = vec![trimmed.to_vec()];
    let as_text = text(trimmed);
    if as_text.contains("PRIVATE KEY") {
        let body: String = as_text.lines().filter(|l| !l.starts_with("-----")).collect();
        let der = base64::engine::general_purpose::STANDARD.decode(&body).expect("a PEM body");
        // PKCS#8 of a P-256 key: the 32 bytes of the private scalar follow this (RFC 5915's ECPrivateKey).
        let at = der.windows(5).position(|w| w == [0x02, 0x01, 0x01, 0x04, 0x20]).expect("a P-256 key") + 5;
        cores = vec![der[at..at + 32].to_vec()];
        forms.extend(
            as_text.lines().filter(|l| !l.starts_with("-----")).take(2).map(|l| l.as_bytes().to_vec()),
        );
    }
    for core in cores {
        let hex: String = core.iter().map(|b| format!("{b:02x}")).collect();
        forms.push(hex.to_uppercase().into_bytes());
        forms.push(hex.into_bytes());
        for skip in 0..3 {
            // Base64 of the secret inside something longer: the middle is the same whatever surrounds it.
            let mut padded = vec![0; skip];
            padded.extend_from_slice(&core);
            let encoded = base64::engine::general_purpose::STANDARD.encode(&padded);
            let end = encoded.trim_end_matches('=').len() - 4;
            forms.push(encoded.as_bytes()[4..end].to_vec());
        }
        forms.push(core);
    }
    forms
}

fn assert_absent(name: &str, forms: &[Vec<u8>], place: &str, bytes: &[u8]) {
    for form in forms {
        let found = bytes.windows(form.len()).any(|w| w == form.as_slice());
        assert!(!found, "{name} is in {place}");
    }
}

#[test]
fn no_secret_in_review_record_or_terminal() {
    let b = built("inventory");
    // Change something, so that there is something to say, at every verbosity.
    let path = b.inventory().join("cluster.yaml");
    let changed = fs::read_to_string(&path).expect("read").replace("192.168.13.70/24", "192.168.13.69/24");
    let mut shown: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    fs::write(&path, changed).expect("write");
    for args in [vec!["--dry-run", "-v"], vec!["-v"], vec![], vec!["--format", "json"], vec!["-q"]] {
        let out = support::khagen()
            .arg("build")
            .arg(b.inventory())
            .arg("-o")
            .arg(b.out())
            .args(&args)
            .output()
            .expect("run");
        shown.insert(format!("stdout of build {args:?}"), out.stdout);
        shown.insert(format!("stderr of build {args:?}"), out.stderr);
    }
    shown.extend(tree(&b.out().join("review")));
    for file in ["BUILD.json", "README.md", "SHA256SUMS"] {
        shown.insert(file.to_owned(), fs::read(b.out().join(file)).expect("read"));
    }
    let secrets = secrets(&b);
    for (name, secret) in &secrets {
        let forms = forms(secret);
        for (place, bytes) in &shown {
            assert_absent(name, &forms, place, bytes);
        }
    }
    // The same search finds them where they belong, so it can fail.
    let mut found = 0;
    for host in b.hosts() {
        for (path, entry) in b.bundle(&host) {
            for (name, secret) in &secrets {
                if forms(secret).iter().any(|f| entry.bytes.windows(f.len()).any(|w| w == f.as_slice())) {
                    found += 1;
                    assert_eq!(entry.mode & 0o077, 0, "{host}: {path} holds {name} and others may read it");
                }
            }
        }
    }
    assert!(found > 40, "{found}");
}

#[test]
fn ca_keys_are_only_where_they_must_be() {
    let b = built("inventory");
    let secrets = secrets(&b);
    for host in b.hosts() {
        let is_control_plane = host.starts_with("k8smaster");
        for (path, entry) in b.bundle(&host) {
            for (name, secret) in secrets.iter().filter(|(n, _)| n.starts_with("ca/")) {
                let there =
                    forms(secret).iter().any(|f| entry.bytes.windows(f.len()).any(|w| w == f.as_slice()));
                let allowed = is_control_plane && !name.starts_with("ca/etcd");
                assert!(!there || allowed, "{name} is in {path} of {host}");
            }
        }
    }
}

#[test]
fn no_private_key_is_in_two_bundles_but_the_shared_ones() {
    let b = built("inventory");
    let secrets = secrets(&b);
    let mut holders: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for host in b.hosts() {
        let bundle = b.bundle(&host);
        for (name, secret) in &secrets {
            let forms = forms(secret);
            if bundle
                .values()
                .any(|e| forms.iter().any(|f| e.bytes.windows(f.len()).any(|w| w == f.as_slice())))
            {
                holders.entry(name).or_default().push(host.clone());
            }
        }
    }
    for (name, hosts) in holders {
        let shared =
            ["ca/kubernetes", "ca/front-proxy", "service-account", "bootstrap-token", "fingerprint-key"];
        if !shared.iter().any(|s| name.starts_with(s)) {
            assert_eq!(hosts.len(), 1, "{name} is in {hosts:?}");
        }
    }
}

#[test]
fn openssl_accepts_every_chain_for_its_purpose_and_keys_match() {
    let b = built("inventory");
    let dir = scratch();
    let ca = |host: &std::path::Path, path: &str| host.join("root").join(path);
    let mut checked = 0;
    for host in b.hosts() {
        let folder = unpack_to(&b.out().join(format!("bundles/{host}.tar.gz")), dir.path());
        let name = host.split('.').next().expect("a name");
        let mut pairs: Vec<(String, String, Vec<&str>)> = Vec::new();
        if host.starts_with("k8setcd") {
            let etcd = "etc/etcd/pki";
            pairs.push((
                format!("{etcd}/{name}"),
                format!("{etcd}/etcd-ca.crt"),
                vec!["sslserver", "sslclient"],
            ));
            pairs.push((
                format!("{etcd}/{name}-peer"),
                format!("{etcd}/etcd-peer-ca.crt"),
                vec!["sslserver", "sslclient"],
            ));
            pairs.push((
                format!("{etcd}/etcd-health-client"),
                format!("{etcd}/etcd-ca.crt"),
                vec!["sslclient"],
            ));
        }
        if host.starts_with("k8smaster") {
            let pki = "etc/kubernetes/pki";
            for (leaf, ca, purpose) in [
                ("apiserver", "ca.crt", "sslserver"),
                ("apiserver-kubelet-client", "ca.crt", "sslclient"),
                ("front-proxy-client", "front-proxy-ca.crt", "sslclient"),
                ("apiserver-etcd-client", "etcd/etcd-ca.crt", "sslclient"),
            ] {
                pairs.push((format!("{pki}/{leaf}"), format!("{pki}/{ca}"), vec![purpose]));
            }
            let public = run(Command::new("openssl")
                .args(["pkey", "-pubout", "-in"])
                .arg(ca(&folder, &format!("{pki}/sa.key"))));
            assert_eq!(
                public,
                fs::read_to_string(ca(&folder, &format!("{pki}/sa.pub"))).expect("sa.pub"),
                "{host}"
            );
        }
        for (pair, issuer, purposes) in pairs {
            let (crt, key) = (ca(&folder, &format!("{pair}.crt")), ca(&folder, &format!("{pair}.key")));
            for purpose in purposes {
                let said = run(Command::new("openssl")
                    .args(["verify", "-x509_strict", "-purpose", purpose, "-CAfile"])
                    .arg(ca(&folder, &issuer))
                    .arg(&crt));
                assert!(said.trim_end().ends_with(": OK"), "{host}: {pair}: {said}");
            }
            let of_cert = run(Command::new("openssl").args(["x509", "-noout", "-pubkey", "-in"]).arg(&crt));
            let of_key = run(Command::new("openssl").args(["pkey", "-pubout", "-in"]).arg(&key));
            assert_eq!(of_cert, of_key, "{host}: {pair}");
            checked += 1;
        }
    }
    assert_eq!(checked, 3 * 3 + 3 * 4);
}
