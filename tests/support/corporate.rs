//! A company's CAs, made by openssl as a company makes them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// openssl in a folder; what it prints.
pub fn openssl(dir: &Path, arguments: &[&str]) -> String {
    let out = Command::new("openssl").current_dir(dir).args(arguments).stdin(Stdio::null()).output();
    let out = out.expect("openssl");
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "openssl {arguments:?}: {said}");
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// Makes a key in PKCS#8: `EC:curve` or `RSA:bits`.
pub fn key(dir: &Path, name: &str, kind: &str) -> PathBuf {
    let (algorithm, option) = match kind.split_once(':').expect("EC:curve or RSA:bits") {
        ("EC", curve) => ("EC", format!("ec_paramgen_curve:{curve}")),
        (_, bits) => ("RSA", format!("rsa_keygen_bits:{bits}")),
    };
    let file = format!("{name}.key");
    openssl(dir, &["genpkey", "-algorithm", algorithm, "-pkeyopt", &option, "-out", &file]);
    dir.join(file)
}

/// Signs a certificate: `name.key` gets `name.crt`, by `issuer` or by itself.
pub fn certificate(dir: &Path, name: &str, subject: &str, issuer: Option<&str>, extensions: &str) {
    fs::write(dir.join("extensions"), extensions).expect("write");
    // A configuration that adds nothing of its own.
    fs::write(dir.join("openssl.cnf"), "[req]\ndistinguished_name = dn\n[dn]\n").expect("write");
    let (key, csr, crt) = (format!("{name}.key"), format!("{name}.csr"), format!("{name}.crt"));
    openssl(
        dir,
        &[
            "req",
            "-new",
            "-utf8",
            "-config",
            "openssl.cnf",
            "-multivalue-rdn",
            "-key",
            &key,
            "-subj",
            subject,
            "-out",
            &csr,
        ],
    );
    let mut arguments =
        vec!["x509", "-req", "-in", &csr, "-out", &crt, "-days", "3650", "-sha256", "-extfile", "extensions"];
    let (cert, by) =
        (format!("{}.crt", issuer.unwrap_or_default()), format!("{}.key", issuer.unwrap_or_default()));
    match issuer {
        Some(_) => arguments.extend(["-CA", &cert, "-CAkey", &by, "-CAcreateserial"]),
        None => arguments.extend(["-signkey", &key]),
    }
    openssl(dir, &arguments);
}

/// Extensions of a CA.
pub const ROOT: &str = "basicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign, cRLSign\nsubjectKeyIdentifier = hash\n";
/// Of one that may make no CA below it.
pub const LAST: &str = "basicConstraints = critical, CA:TRUE, pathlen:0\nkeyUsage = critical, keyCertSign, cRLSign\nsubjectKeyIdentifier = hash\nauthorityKeyIdentifier = keyid\n";

/// The company's PKI: a root, and below it one CA for each of a cluster's four, as different as companies are. `CA.pem` holds
/// the CA with its root.
pub fn company(dir: &Path) {
    fs::create_dir_all(dir).expect("create");
    key(dir, "root", "EC:P-384");
    certificate(dir, "root", "/DC=com/DC=example/O=Example AG/CN=Example Root CA", None, ROOT);
    for (name, kind, subject, extensions) in [
        (
            "kubernetes",
            "RSA:2048",
            "/DC=com/DC=example/OU=PKI/OU=Kubernetes/CN=Example Issuing CA 7",
            LAST.to_owned(),
        ),
        ("front-proxy", "EC:P-384", "/O=Example AG/OU=Aggregation+CN=front proxy", LAST.to_owned()),
        ("etcd", "EC:P-521", "/C=CH/O=Größe \u{2603} AG/CN=etcd", LAST.to_owned()),
        // Of an old tool, without a key identifier.
        (
            "etcd-peer",
            "RSA:3072",
            "/DC=net/DC=corp/DC=example/CN=peers",
            LAST.replace("subjectKeyIdentifier = hash\n", "subjectKeyIdentifier = none\n"),
        ),
    ] {
        key(dir, name, kind);
        certificate(dir, name, subject, Some("root"), &extensions);
        let chain = fs::read_to_string(dir.join(format!("{name}.crt"))).expect("read")
            + &fs::read_to_string(dir.join("root.crt")).expect("read");
        fs::write(dir.join(format!("{name}.pem")), chain).expect("write");
    }
    // As people have keys.
    openssl(
        dir,
        &[
            "pkcs8",
            "-topk8",
            "-v2",
            "aes-256-cbc",
            "-in",
            "kubernetes.key",
            "-passout",
            "pass:correct horse",
            "-out",
            "kubernetes.enc.key",
        ],
    );
    fs::write(dir.join("passphrase"), "correct horse\n").expect("write");
    openssl(dir, &["ec", "-in", "front-proxy.key", "-out", "front-proxy.sec1.key"]);
    openssl(dir, &["rsa", "-traditional", "-in", "etcd-peer.key", "-out", "etcd-peer.pkcs1.key"]);
}
