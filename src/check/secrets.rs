//! Finds what looks like a secret among the values of an inventory, and conceals it before anything else looks.
//!
//! The inventory is reviewed and committed, so a false alarm costs a renamed key, and a miss costs a cluster. No
//! message here or elsewhere repeats such a value: whoever reports a value asks [`Secrets::holds`] first.

use std::collections::HashSet;
use std::ops::Range;

use crate::diag::{Code, Diagnostic, Report};
use crate::load::tree::{Node, Value};
use crate::pki::store::is_secret_name;
use crate::source::{SourceId, Sources, Span};

/// The places that hold what looks like a secret.
#[derive(Debug, Default)]
pub struct Secrets {
    spans: HashSet<Span>,
}

impl Secrets {
    /// Looks through a tree, conceals and reports.
    pub fn find(root: &Node, report: &mut Report) -> Secrets {
        let mut secrets = Secrets::default();
        secrets.look(root, None, report);
        secrets
    }

    /// Whether the value at a place must not be repeated.
    pub fn holds(&self, span: Span) -> bool {
        self.spans.contains(&span)
    }

    fn look(&mut self, node: &Node, key: Option<&str>, report: &mut Report) {
        match &node.value {
            Value::Null | Value::Bool(_) => {}
            Value::Scalar { text, .. } => {
                let named = key.filter(|key| names_a_secret(key) && !is_harmless(text));
                let what = match (looks_secret(text), named) {
                    (Some(what), _) => what.to_owned(),
                    (None, Some(key)) => format!("`{key}` is the name of a secret, and a value stands here"),
                    (None, None) => return,
                };
                self.report(node.span, &what, report);
            }
            Value::List(items) => items.iter().for_each(|item| self.look(item, key, report)),
            Value::Map(entries) => {
                // Environment variables: {name: DB_PASSWORD, value: ...}.
                let name = match entries
                    .iter()
                    .find(|entry| entry.key.value == "name")
                    .map(|entry| &entry.value.value)
                {
                    Some(Value::Scalar { text, .. }) => Some(text.as_str()),
                    _ => None,
                };
                // {secret: NAME} names a secret of the store.
                let reference = entries.len() == 1 && entries[0].key.value == "secret";
                let is_name =
                    |value: &Value| matches!(value, Value::Scalar { text, .. } if is_secret_name(text));
                if reference && !is_name(&entries[0].value.value) {
                    // Whoever misreads it as a place for the secret itself need not see it printed.
                    report.conceal(entries[0].value.span);
                }
                for entry in entries {
                    let key = entry.key.value.as_str();
                    if looks_secret(key).is_some() {
                        self.report(entry.key.span, "a key looks like a secret", report);
                    }
                    let key = match name {
                        Some(name) if key == "value" => Some(name),
                        _ if reference => None,
                        _ => Some(key),
                    };
                    self.look(&entry.value, key, report);
                }
            }
        }
    }

    fn report(&mut self, span: Span, what: &str, report: &mut Report) {
        report.conceal(span);
        self.spans.insert(span);
        report.push(
            Diagnostic::error(Code::SecretValue, format!("this looks like a secret: {what}"))
                .at(span, "not shown")
                .reason("the inventory is meant to be reviewed and committed, and khagen makes the cluster's own keys and tokens")
                .help("take it out of the inventory, and change it where it is used if it was ever committed"),
        );
    }
}

/// Conceals what looks like a secret in the text of every document: what is not in a tree (a doubled key, a document
/// that cannot be read) may still stand beside the place of a finding.
pub fn conceal_texts(sources: &Sources, report: &mut Report) {
    for id in sources.ids() {
        conceal_text(id, sources.text(id), report);
    }
}

fn conceal_text(id: SourceId, text: &str, report: &mut Report) {
    let mut start = 0;
    let mut in_key = false;
    for line in text.split_inclusive('\n') {
        let begins = line.contains("-----BEGIN ") && line.contains("PRIVATE KEY");
        if begins || in_key {
            let end = line.trim_end_matches('\n').len();
            report.conceal(Span::new(id, start..start + end));
            // A block without an end takes no more with it than what looks like one.
            in_key = !line.contains("-----END ") && is_key_text(line);
        } else {
            for range in secret_values(line) {
                report.conceal(Span::new(id, start + range.start..start + range.end));
            }
        }
        start += line.len();
    }
}

/// Whether a line can be part of a PEM block, perhaps indented or quoted.
fn is_key_text(line: &str) -> bool {
    line.contains("-----")
        || line.trim().bytes().all(|c| c.is_ascii_alphanumeric() || b"+/=\"',:- ".contains(&c))
}

/// What stands behind `password:` and the like in a line, and words that are secrets by themselves.
fn secret_values(line: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (at, _) in line.match_indices([':', '=']) {
        let key = line[..at].trim_end().trim_end_matches(['"', '\'']);
        let name = key.rfind(|c: char| !(c.is_ascii_alphanumeric() || "_.-".contains(c)));
        let key =
            &key[name.map_or(0, |before| before + key[before..].chars().next().map_or(1, char::len_utf8))..];
        if key.is_empty() || !names_a_secret(key) {
            continue;
        }
        let rest = &line[at + 1..];
        let value = rest.trim_start();
        let begin = at + 1 + (rest.len() - value.len());
        let value = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => match value[1..].find(quote) {
                Some(end) => &value[..end + 2],
                None => value.trim_end(),
            },
            Some('{' | '[' | '#') | None => continue,
            Some(_) => value[..value.find([',', '}', ']']).unwrap_or(value.len())].trim_end(),
        };
        if !is_harmless(value.trim_matches(['"', '\''])) {
            found.push(begin..begin + value.len());
        }
    }
    let is_word = |c: char| c.is_ascii_alphanumeric() || "+/_=.-".contains(c);
    let mut start = 0;
    for piece in line.split_inclusive(|c: char| !is_word(c)) {
        let word = piece.trim_end_matches(|c: char| !is_word(c));
        if looks_secret(word).is_some() {
            found.push(start..start + word.len());
        }
        start += piece.len();
    }
    found
}

/// Whether a text must not enter the inventory, and what it looks like.
pub fn looks_secret(text: &str) -> Option<&'static str> {
    if text.contains("PRIVATE KEY-----") || text.contains("PGP PRIVATE KEY BLOCK") {
        return Some("a private key");
    }
    if text.contains("AGE-SECRET-KEY-1") {
        return Some("an age identity");
    }
    if text.contains("-----BEGIN ") {
        // Certificates and public keys.
        return None;
    }
    let is_word = |c: char| c.is_ascii_alphanumeric() || "+/_=.-".contains(c);
    text.split(|c: char| !is_word(c)).filter(|word| word.len() >= 20).find_map(|word| {
        if word.split(['=', '/']).any(is_bootstrap_token) {
            Some("a bootstrap token")
        } else if is_web_token(word) {
            Some("a JSON web token")
        } else if is_random_hex(word, text) {
            Some("a key in hexadecimal")
        } else if is_random_base64(word) {
            Some("a long random text")
        } else {
            None
        }
    })
}

/// kubeadm's form: six, a dot, sixteen. A name like `worker.internalclusters` has no digit.
fn is_bootstrap_token(word: &str) -> bool {
    let part = |part: &str| part.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let digit = |part: &str| part.bytes().any(|c| c.is_ascii_digit());
    let letter = |part: &str| part.bytes().any(|c| c.is_ascii_lowercase());
    word.split_once('.').is_some_and(|(id, secret)| {
        id.len() == 6 && secret.len() == 16 && part(id) && part(secret) && digit(secret) && letter(secret)
    })
}

fn is_web_token(word: &str) -> bool {
    word.starts_with("eyJ") && word.matches(".eyJ").count() == 1 && word.len() >= 40
}

/// 128 bits and more. Digests are no secrets and say so.
fn is_random_hex(word: &str, text: &str) -> bool {
    word.len() >= 32
        && word.len().is_multiple_of(2)
        && word.bytes().all(|c| c.is_ascii_hexdigit())
        && entropy(word) > 3.0
        && !text.contains("sha256:")
        && !text.contains("sha512:")
}

fn is_random_base64(word: &str) -> bool {
    let word = word.trim_matches(['-', '.', '_']);
    let has = |class: fn(&u8) -> bool| word.as_bytes().iter().any(class);
    word.len() >= 32
        && !word.contains(['.', '-']) | word.contains('+')
        && !word.starts_with('/')
        // Public keys of ssh.
        && !word.starts_with("AAAA")
        && has(u8::is_ascii_lowercase)
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_digit)
        && entropy(word) >= 4.2
}

/// Bits per letter.
fn entropy(text: &str) -> f64 {
    let mut counts = [0u32; 256];
    for byte in text.bytes() {
        counts[usize::from(byte)] += 1;
    }
    #[expect(clippy::cast_precision_loss, reason = "a text has few letters")]
    let total = text.len() as f64;
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| f64::from(*count) / total)
        .map(|p| -p * p.log2())
        .sum()
}

/// Whether a key, a flag or a variable is named as secrets are.
fn names_a_secret(key: &str) -> bool {
    const ENDS: [&str; 15] = [
        "password",
        "passwd",
        "passphrase",
        "token",
        "secret",
        "privatekey",
        "apikey",
        "accesskey",
        "secretkey",
        "certificatekey",
        "encryptionkey",
        "credentials",
        "credential",
        "authpass",
        "keydata",
    ];
    let plain: String =
        key.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    ENDS.iter().any(|end| plain.ends_with(end))
}

/// A switch, or where a secret lies rather than what it is.
fn is_harmless(text: &str) -> bool {
    let word = text.trim().to_ascii_lowercase();
    matches!(word.as_str(), "" | "true" | "false" | "yes" | "no" | "none" | "on" | "off")
        || text.starts_with('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_told_from_what_is_public() {
        for secret in [
            "-----BEGIN PRIVATE KEY-----\nMC4CAQ==\n-----END PRIVATE KEY-----",
            "-----BEGIN OPENSSH PRIVATE KEY-----",
            "AGE-SECRET-KEY-1QQQQ",
            "abcdef.0123456789abcdef",
            "--token=abcdef.0123456789abcdef",
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl",
            "x7Rk2Vq9LmZt4WcB8nYd3HsFj6PgKa1QeUoT5iXy",
            "x7Rk2Vq9/mZt4WcB8nYd+HsFj6PgKa1QeUoT5iXyZ==",
        ] {
            assert!(looks_secret(secret).is_some(), "{secret}");
        }
        for public in [
            "",
            "worker.internalclusters",
            "master1.k8s.example.com",
            "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl ops@bastion",
            "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p",
            "/var/lib/khagen/etcd-snapshots/Very/Long/Path/With/Upper/And/1/2/3",
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
            "2001:db8:1234:5678:9abc:def0:1234:5678",
            "InPlacePodVerticalScalingExclusiveCPUs=true",
            "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUK2n1Xq9LmZt4WcB8nYd3HsFj6PgwCgYIKoZIzj0EAwIw\n",
            "https://hooks.example.com/services/alerts/on-call/kubernetes/cluster1",
        ] {
            assert_eq!(looks_secret(public), None, "{public}");
        }
    }

    #[test]
    fn texts_are_masked_where_no_tree_holds_them() {
        let values = |line: &str| -> Vec<String> {
            secret_values(line).into_iter().map(|range| line[range].to_owned()).collect()
        };
        assert_eq!(values("password: hunter2\n"), ["hunter2"]);
        assert_eq!(values("  - {name: x, db_password: 'hunter 2', a: b}"), ["'hunter 2'"]);
        assert_eq!(values("token = \"x\" # y"), ["\"x\""]);
        assert_eq!(values("\"secret\": x, ä-token: ü}"), ["x", "ü"]);
        assert_eq!(values("x: abcdef.0123456789abcdef"), ["abcdef.0123456789abcdef"]);
        for line in
            ["bootstrapToken: {ttl: 24h}", "token: # none", "secret: /etc/x", "name: x", "password:", ""]
        {
            assert!(values(line).is_empty(), "{line}");
        }
        let mut sources = Sources::new();
        let text = "a: |\n  -----BEGIN PRIVATE KEY-----\n  MC4CAQAw\n  -----END PRIVATE KEY-----\nb: c\n";
        sources.add("a.yaml", text);
        let mut report = Report::new();
        conceal_texts(&sources, &mut report);
        let hidden: Vec<&str> = report.concealed().iter().map(|span| &text[span.range()]).collect();
        assert_eq!(hidden, ["  -----BEGIN PRIVATE KEY-----", "  MC4CAQAw", "  -----END PRIVATE KEY-----"]);
    }

    #[test]
    fn names_of_secrets_are_known_in_every_spelling() {
        for name in [
            "password",
            "DB_PASSWORD",
            "bootstrap-token",
            "clientSecret",
            "private_key",
            "auth.pass",
            "apiKey",
        ] {
            assert!(names_a_secret(name), "{name}");
        }
        for name in
            ["bootstrapToken.ttl", "tlsPrivateKeyFile", "token-auth-file", "key", "secrets", "tokens", "auth"]
        {
            assert!(!names_a_secret(name), "{name}");
        }
        for text in ["/etc/kubernetes/oidc.key", "true", ""] {
            assert!(is_harmless(text), "{text}");
        }
    }
}
