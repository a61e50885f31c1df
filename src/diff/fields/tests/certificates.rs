use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, CustomExtension, DnType, KeyPair, KeyUsagePurpose, SerialNumber};

use super::{Format, changed, compare, fields, same};

fn key() -> &'static KeyPair {
    static KEY: OnceLock<KeyPair> = OnceLock::new();
    KEY.get_or_init(|| KeyPair::generate().unwrap())
}

/// A certificate, the same on every call but for its signature.
fn certificate(edit: impl FnOnce(&mut CertificateParams)) -> String {
    signed(edit, key())
}

fn signed(edit: impl FnOnce(&mut CertificateParams), key: &KeyPair) -> String {
    let mut params = CertificateParams::new(["a.example".to_owned(), "192.0.2.1".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "x");
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2027, 1, 1);
    params.serial_number = Some(SerialNumber::from(7_u64));
    edit(&mut params);
    params.self_signed(key).unwrap().pem()
}

fn one() -> &'static str {
    static ONE: OnceLock<String> = OnceLock::new();
    ONE.get_or_init(|| certificate(|_| {}))
}

/// A certificate as kubeconfigs have it.
pub(super) fn embedded() -> String {
    STANDARD.encode(one())
}

#[test]
fn each_property_is_a_change_of_its_own() {
    let later = certificate(|params| params.not_after = rcgen::date_time_ymd(2028, 1, 1));
    assert_eq!(
        changed(Format::Certificate, one(), &later),
        ["notAfter: 2027-01-01T00:00:00Z -> 2028-01-01T00:00:00Z"]
    );
    let begin = certificate(|params| params.not_before = rcgen::date_time_ymd(2026, 1, 2));
    assert_eq!(
        changed(Format::Certificate, one(), &begin),
        ["notBefore: 2026-01-01T00:00:00Z -> 2026-01-02T00:00:00Z"]
    );
    let serial = certificate(|params| params.serial_number = Some(SerialNumber::from(8_u64)));
    assert_eq!(changed(Format::Certificate, one(), &serial), ["serial: 07 -> 08"]);
    let named = certificate(|params| params.distinguished_name.push(DnType::CommonName, "y"));
    assert_eq!(
        changed(Format::Certificate, one(), &named),
        ["issuer: CN=x -> CN=y", "subject: CN=x -> CN=y"]
    );
    let sans = certificate(|params| {
        params.subject_alt_names = CertificateParams::new(["a.example".to_owned(), "b.example".to_owned()])
            .unwrap()
            .subject_alt_names;
    });
    assert_eq!(changed(Format::Certificate, one(), &sans), ["+ SAN: DNS:b.example", "- SAN: IP:192.0.2.1"]);
    let usage = certificate(|params| params.key_usages = vec![KeyUsagePurpose::DigitalSignature]);
    assert_eq!(changed(Format::Certificate, one(), &usage), ["+ keyUsage: critical, digitalSignature"]);
    let usage = certificate(|params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    });
    assert_eq!(changed(Format::Certificate, one(), &usage), ["+ extendedKeyUsage: serverAuth"]);
    let custom = |byte: u8| {
        certificate(|params| {
            let content = vec![4, 1, byte];
            params.custom_extensions =
                vec![CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 55555], content)];
        })
    };
    assert_eq!(
        changed(Format::Certificate, &custom(1), &custom(2)),
        ["extension 1.3.6.1.4.1.55555: 040101 -> 040102"]
    );
}

#[test]
fn another_key_is_seen() {
    let other = KeyPair::generate().unwrap();
    let changes = compare(Format::Certificate, one(), &signed(|_| {}, &other)).unwrap();
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!(changes[0].path, "key");
    assert_eq!(changes[0].new.as_ref().map(String::len), Some(64));
}

#[test]
fn a_new_signature_alone_is_said_and_otherwise_not() {
    let again = certificate(|_| {});
    let changes = compare(Format::Certificate, one(), &again).unwrap();
    assert_eq!(changes.iter().map(|change| change.path.as_str()).collect::<Vec<_>>(), ["signature"]);
    assert!(fields(Format::Certificate, one()).unwrap().iter().all(|(path, _)| path != "signature"));
}

#[test]
fn text_around_the_blocks_means_nothing() {
    same(Format::Certificate, one(), &format!("subject=CN=x\n{}", one()));
    same(Format::Certificate, one(), &one().replace('\n', "\r\n"));
}

#[test]
fn chains_are_aligned() {
    let (first, second) = (one(), certificate(|params| params.is_ca = rcgen::IsCa::ExplicitNoCa));
    let renewed = certificate(|params| {
        params.is_ca = rcgen::IsCa::ExplicitNoCa;
        params.not_after = rcgen::date_time_ymd(2028, 1, 1);
    });
    assert_eq!(
        changed(Format::Certificate, &format!("{first}{second}"), &format!("{first}{renewed}")),
        ["certificate 2 > notAfter: 2027-01-01T00:00:00Z -> 2028-01-01T00:00:00Z"]
    );
    let added = changed(Format::Certificate, first, &format!("{first}{second}"));
    assert!(added.iter().all(|line| line.starts_with("+ certificate 2 > ")), "{added:?}");
    let before = changed(Format::Certificate, first, &format!("{second}{first}"));
    assert!(
        before.contains(&"+ certificate 1 > basicConstraints: critical, CA:FALSE".to_owned()),
        "{before:?}"
    );
    assert!(before.iter().all(|line| line.starts_with("+ certificate 1 > ")), "{before:?}");
    let gone = changed(Format::Certificate, &format!("{first}{second}"), &second);
    assert!(gone.iter().all(|line| line.starts_with("- certificate 1 > ")), "{gone:?}");
}

/// Who comes first signs, so that another order is a change, and one only.
#[test]
fn another_order_of_the_same_certificates() {
    let (first, second) = (one(), certificate(|params| params.is_ca = rcgen::IsCa::ExplicitNoCa));
    let turned =
        compare(Format::Certificate, &format!("{first}{second}"), &format!("{second}{first}")).unwrap();
    assert_eq!(turned.iter().map(|change| change.path.as_str()).collect::<Vec<_>>(), ["order"]);
}

#[test]
fn what_is_no_certificate_is_not_read() {
    // A line's end lost at a boundary: the reader of PEM takes it, the programs on a host do not.
    let good = certificate(|_| {});
    for bad in [
        good.replacen("-----BEGIN CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----", 1),
        good.replacen("\n-----END", "-----END", 1),
    ] {
        assert_ne!(bad, good);
        assert!(fields(Format::Certificate, &bad).is_err(), "{bad}");
    }
    let key_block = "-----BEGIN EC PRIVATE KEY-----\nMAA=\n-----END EC PRIVATE KEY-----\n";
    for bad in ["", "x", key_block, &format!("{}{key_block}", one()), &one()[..one().len() - 30]] {
        assert!(fields(Format::Certificate, bad).is_err(), "{bad}");
        assert!(compare(Format::Certificate, one(), bad).is_err() || bad == one(), "{bad}");
    }
}

#[test]
fn public_keys_are_known_by_their_digest() {
    use rcgen::PublicKeyData as _;
    let pem = |der: Vec<u8>| pem::encode(&pem::Pem::new("PUBLIC KEY", der));
    let old = pem(key().subject_public_key_info());
    let new = pem(KeyPair::generate().unwrap().subject_public_key_info());
    assert_eq!(compare(Format::PublicKey, &old, &new).unwrap()[0].path, "key");
    same(Format::PublicKey, &old, &old.replace('\n', "\r\n"));
    let both = format!("{old}{new}");
    let paths = |a: &str, b: &str| {
        let changes = compare(Format::PublicKey, a, b).unwrap();
        changes.iter().map(|c| (c.path.clone(), c.old.is_some(), c.new.is_some())).collect::<Vec<_>>()
    };
    assert_eq!(paths(&old, &both), [("key 2 > key".to_owned(), false, true)]);
    assert_eq!(paths(&both, &new), [("key 1 > key".to_owned(), true, false)]);
    assert_eq!(paths(&both, &format!("{new}{old}")), [("order".to_owned(), true, true)]);
}

fn kubeconfig(certificate: &str, key: &str) -> String {
    let data = STANDARD.encode(certificate);
    format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: c\n  cluster:\n    server: https://a:6443\n    \
         certificate-authority-data: {data}\nusers:\n- name: admin\n  user:\n    client-certificate-data: {data}\n    \
         client-key-data: {key}\ncontexts:\n- name: admin@c\n  context: {{cluster: c, user: admin}}\n\
         current-context: admin@c\n"
    )
}

#[test]
fn kubeconfigs_show_their_certificates_and_hide_their_keys() {
    let later = certificate(|params| params.not_after = rcgen::date_time_ymd(2028, 1, 1));
    let old = kubeconfig(one(), "<secret admin/x aa>");
    assert_eq!(
        changed(Format::Kubeconfig, &old, &kubeconfig(&later, "<secret admin/x bb>")),
        [
            "clusters[c] > certificate authority > notAfter: 2027-01-01T00:00:00Z -> 2028-01-01T00:00:00Z",
            "users[admin] > client certificate > notAfter: 2027-01-01T00:00:00Z -> 2028-01-01T00:00:00Z",
            "users[admin] > client key: <secret admin/x aa> -> <secret admin/x bb>",
        ]
    );
    // A value that should not be here at all.
    let changes = changed(Format::Kubeconfig, &old, &kubeconfig(one(), "Q0FOQVJZ"));
    assert_eq!(changes.len(), 1);
    assert!(!changes[0].contains("Q0FOQVJZ") && changes[0].contains("-> sha256:"), "{changes:?}");
    assert!(fields(Format::Kubeconfig, &kubeconfig("x", "y")).is_err());
    assert_eq!(
        changed(Format::Kubeconfig, &old, &old.replace("https://a:", "https://b:")),
        ["clusters[c] > server: https://a:6443 -> https://b:6443"]
    );
}
