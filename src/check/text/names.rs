//! Names: of hosts, domains, interfaces, users, units, labels, paths.

use super::{Fault, Read};
use crate::diag::Code;
use crate::model::{FileEffect, KeyAlgorithm, Taint};
use crate::pki::recipients::Recipients;

const LABEL_RULE: &str =
    "a DNS-1123 label has 1 to 63 characters, a-z, 0-9 and `-`, and neither begins nor ends with `-`";

fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// What a mistaken name could have been meant to be.
fn mended(text: &str, dots: bool) -> Option<String> {
    let keep = |c: char| match c.to_ascii_lowercase() {
        c if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' => Some(c),
        '.' if dots => Some('.'),
        '_' | ' ' | '.' => Some('-'),
        _ => None,
    };
    let mended: Option<String> = text.trim().chars().map(keep).collect();
    let mended = mended?.trim_matches(['-', '.']).to_owned();
    let good = if dots { is_dns_name(&mended) } else { is_label(&mended) };
    (good && mended != text).then_some(mended)
}

fn suggestion(text: &str, dots: bool) -> String {
    mended(text, dots).map(|name| format!("write `{name}`")).unwrap_or_default()
}

/// A DNS-1123 label.
pub fn label(text: &str) -> Read<String> {
    if is_label(text) {
        return Ok(text.to_owned());
    }
    let message = match text.len() {
        0 => "an empty name".to_owned(),
        64.. if text.is_ascii() => format!("the name has {} characters, 63 are allowed", text.len()),
        _ => format!("`{text}` is not a DNS-1123 label"),
    };
    let mut help = suggestion(text, false);
    if let Some((first, _)) = text.split_once('.')
        && is_label(first)
        && is_dns_name(text)
    {
        help.push_str(&format!("; if it is a host, `{first}` alone, with the rest in `domain`"));
    }
    Err(Fault::new(Code::NotALabel, message, LABEL_RULE, help))
}

fn is_dns_name(text: &str) -> bool {
    (1..=253).contains(&text.len()) && text.split('.').all(is_label)
}

/// A DNS-1123 subdomain: labels joined by dots.
pub fn dns_name(text: &str) -> Read<String> {
    if is_dns_name(text) {
        return Ok(text.to_owned());
    }
    let message = match text.len() {
        0 => "an empty name".to_owned(),
        254.. if text.is_ascii() => format!("the name has {} characters, 253 are allowed", text.len()),
        _ => format!("`{text}` is not a DNS name"),
    };
    let reason = "a DNS-1123 subdomain is labels of a-z, 0-9 and `-` (63 characters each at most), joined by dots, none at the end";
    Err(Fault::new(Code::NotADnsName, message, reason, suggestion(text, true)))
}

/// A network interface, as the kernel's dev_valid_name takes it; no `%` either, which its name patterns use.
pub fn interface(text: &str) -> Read<String> {
    let odd = text
        .chars()
        .find(|c| c.is_whitespace() || c.is_control() || matches!(c, '/' | ':' | '%' | '"' | '\\'));
    let message = match (text, odd) {
        ("", _) => "an empty interface name".to_owned(),
        ("." | "..", _) => format!("`{text}` cannot be an interface"),
        (_, Some(c)) => format!("the interface name {text:?} has {c:?} in it"),
        _ if text.len() > 15 => {
            format!("the interface name `{text}` has {} bytes, 15 are allowed", text.len())
        }
        _ if !text.is_ascii() => format!("the interface name `{text}` is not plain ASCII"),
        _ => return Ok(text.to_owned()),
    };
    let reason = "the kernel takes 1 to 15 bytes without `/`, `:` and white space";
    Err(Fault::new(Code::BadInterface, message, reason, "write the name as `ip -br link` shows it"))
}

/// An absolute path without `.`, `..`, doubled slashes and anything that a shell or a unit would read.
pub fn path(text: &str) -> Read<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._@/+-".contains(c);
    let fault = |message: String, help: &str| {
        Err(Fault::new(
            Code::BadPath,
            message,
            "paths go into scripts, units and manifests as they are",
            help,
        ))
    };
    if !text.starts_with('/') {
        return fault(format!("`{text}` is not an absolute path"), "begin it with `/`");
    }
    if let Some(odd) = text.chars().find(|&c| !plain(c)) {
        return fault(
            format!("the path {text:?} has {odd:?} in it"),
            "use letters, digits and . _ @ / + - only",
        );
    }
    if text.len() > 1024 {
        return fault(format!("the path has {} bytes, 1024 are allowed", text.len()), "shorten it");
    }
    if text == "/" || text.split('/').skip(1).any(|part| matches!(part, "" | "." | "..")) {
        return fault(
            format!("`{text}` is not a clean path"),
            "leave out `.`, `..`, `//` and a slash at the end",
        );
    }
    Ok(text.to_owned())
}

/// A name, wildcard or address in a certificate (kubeadm's ValidateCertSANs).
pub fn san(text: &str) -> Read<()> {
    let name = text.strip_prefix("*.").unwrap_or(text);
    if is_dns_name(name) && text.len() <= 253 || text.parse::<std::net::IpAddr>().is_ok() {
        return Ok(());
    }
    Err(Fault::new(
        Code::NotADnsName,
        format!("{text:?} is neither a DNS name, nor one that begins with `*.`, nor an address"),
        "kubeadm refuses anything else in apiServer.certSANs, upper case and `_` too",
        suggestion(text, true),
    ))
}

/// The tag of an image (the grammar of github.com/distribution/reference).
pub fn image_tag(text: &str) -> Read<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let good = text.len() <= 128
        && text.chars().next().is_some_and(word)
        && text.chars().all(|c| word(c) || matches!(c, '.' | '-'));
    if good {
        return Ok(text.to_owned());
    }
    Err(Fault::new(
        Code::BadText,
        format!("{text:?} is not the tag of an image"),
        "a tag has letters, digits, `_`, `.` and `-`, begins with a letter, digit or `_`, and has 128 characters at most",
        "write the tag alone, such as v1.14.2, without a registry or a digest",
    ))
}

/// A path below `files/` or `patches/`.
pub fn source(text: &str) -> Read<String> {
    let clean = !text.is_empty()
        && !text.chars().any(|c| c.is_control() || c == '\\')
        && text.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if clean {
        return Ok(text.to_owned());
    }
    Err(Fault::new(
        Code::BadPath,
        format!("{text:?} is not a path below `files/` or `patches/`"),
        "a source is a file in the inventory's own folder for such files and cannot lie outside",
        "put the file there and write its path from that folder on, without `.` and `..`",
    ))
}

/// A kind of key, by kubeadm's name.
pub fn key_algorithm(text: &str) -> Read<KeyAlgorithm> {
    if let Some(algorithm) = KeyAlgorithm::ALL.into_iter().find(|a| a.as_str().eq_ignore_ascii_case(text)) {
        return Ok(algorithm);
    }
    let reason = if text.to_ascii_lowercase().replace(['-', '_'], "").contains("ed25519") {
        // cmd/kubeadm/app/util/pkiutil/pki_helpers.go, TryLoadKeyFromDisk.
        "kubeadm reads keys of RSA and ECDSA only, and stops at any other"
    } else {
        "kubeadm, etcd and the programs that verify their certificates all know these"
    };
    let names: Vec<&str> = KeyAlgorithm::ALL.iter().map(|a| a.as_str()).collect();
    Err(Fault::new(
        Code::KeyAlgorithm,
        format!("keys cannot be of the kind {text:?}"),
        reason,
        format!("write one of {}", names.join(", ")),
    ))
}

/// A public key that the store is encrypted to, in its one spelling.
pub fn recipient(text: &str) -> Read<String> {
    Recipients::parse(text).map_err(|error| {
        Fault::new(
            Code::Recipient,
            format!("{text:?} is nothing that the store can be encrypted to"),
            error.to_string(),
            "write what `age-keygen -y` prints, or a line of an id_ed25519.pub",
        )
    })
}

/// A path below `artifacts/`: of characters that mean nothing to a shell, a manifest or SHA256SUMS.
pub fn artifact(text: &str) -> Read<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._@/+~:=-".contains(c);
    let clean = text.chars().all(plain)
        && text.len() <= 512
        && text.split('/').all(|part| !matches!(part, "" | "." | "..") && !part.starts_with('-'));
    if clean {
        return Ok(text.to_owned());
    }
    Err(Fault::new(
        Code::BadPath,
        format!("{text:?} is not a path below `artifacts/`"),
        "it goes into manifests and lists of digests as it is, and cannot lie outside the inventory's own `artifacts/`",
        "write the path without `artifacts/`, with letters, digits and . _ @ / + ~ : = - only",
    ))
}

/// A user or group, as useradd takes it everywhere.
pub fn user(text: &str) -> Read<String> {
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_' || c == b'-';
    let first = text.bytes().next().is_some_and(|c| c.is_ascii_lowercase() || c == b'_');
    if first && text.len() <= 32 && text.bytes().all(inner) {
        return Ok(text.to_owned());
    }
    Err(Fault::new(
        Code::BadUser,
        format!("{text:?} is not a user's or group's name"),
        "such a name has 1 to 32 characters, a-z, 0-9, `_` and `-`, and begins with a letter or `_`; ids differ between hosts",
        "",
    ))
}

/// One line of text.
pub fn line(text: &str) -> Read<String> {
    if !text.trim().is_empty() && text.len() <= 1024 && !text.chars().any(char::is_control) {
        return Ok(text.to_owned());
    }
    Err(Fault::new(
        Code::BadText,
        "not one line of text",
        "it goes into files and messages as it is",
        "write 1 to 1024 characters on one line",
    ))
}

/// The value of a flag or of a kernel setting.
pub fn argument(text: &str) -> Read<String> {
    if text.len() <= 65536 && !text.chars().any(char::is_control) {
        return Ok(text.to_owned());
    }
    Err(Fault::new(
        Code::BadText,
        "a flag's value must be one line",
        "a line break would end it in the file it goes into",
        "",
    ))
}

/// The name of a flag.
pub fn argument_name(text: &str) -> Read<String> {
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'_';
    let good = text.bytes().all(inner) && text.bytes().next().is_some_and(|c| c.is_ascii_lowercase());
    if good && text.len() <= 128 {
        return Ok(text.to_owned());
    }
    let bare = text.trim_start_matches('-').split('=').next().unwrap_or_default();
    let help = if bare != text && !bare.is_empty() { format!("write `{bare}`") } else { String::new() };
    Err(Fault::new(
        Code::BadText,
        format!("{text:?} is not the name of a flag"),
        "kubeadm adds the dashes; names have a-z, 0-9 and `-`",
        help,
    ))
}

/// A feature gate or a field.
pub fn camel(text: &str) -> Read<String> {
    if !text.is_empty() && text.len() <= 128 && text.bytes().all(|c| c.is_ascii_alphanumeric()) {
        return Ok(text.to_owned());
    }
    Err(Fault::new(
        Code::BadText,
        format!("{text:?} is not such a name"),
        "kubeadm's names are letters and digits",
        "",
    ))
}

/// A check that kubeadm's preflight names.
pub fn preflight_check(text: &str) -> Read<String> {
    if !text.is_empty() && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_./".contains(&c)) {
        return Ok(text.to_owned());
    }
    let reason = "kubeadm names its checks like NumCPU or FileAvailable--etc-kubernetes-kubelet.conf";
    Err(Fault::new(Code::BadText, format!("{text:?} is not the name of a check"), reason, ""))
}

/// systemd's unit names, with the suffix that says what kind.
pub fn unit(text: &str) -> bool {
    const KINDS: [&str; 7] = ["service", "socket", "timer", "path", "mount", "target", "slice"];
    text.len() <= 255
        && text.bytes().all(|c| c.is_ascii_alphanumeric() || b":_.@-\\".contains(&c) && c != b'\\')
        && text.rsplit_once('.').is_some_and(|(stem, kind)| !stem.is_empty() && KINDS.contains(&kind))
}

/// `none`, `restart UNIT` or `reload UNIT`.
pub fn effect(text: &str) -> Read<Option<FileEffect>> {
    if text == "none" {
        return Ok(None);
    }
    let effect = |restart, name: &str| unit(name).then(|| FileEffect { restart, unit: name.to_owned() });
    let read = match text.split_once(' ') {
        Some(("restart", name)) => effect(true, name),
        Some(("reload", name)) => effect(false, name),
        _ => None,
    };
    read.map(Some).ok_or_else(|| {
        Fault::new(
            Code::BadEffect,
            format!("{text:?} is not an effect"),
            "the installer must know what a changed file asks for",
            "write `none`, `restart UNIT` or `reload UNIT`, the unit in full, such as kubelet.service",
        )
    })
}

/// Value of a label: apimachinery's IsValidLabelValue.
pub fn label_value(text: &str) -> Read<String> {
    if text.is_empty() || is_qualified(text, 63) {
        return Ok(text.to_owned());
    }
    Err(Fault::new(
        Code::BadNodeLabel,
        format!("{text:?} cannot be the value of a label"),
        "such a value has up to 63 characters, letters, digits, `-`, `_` and `.`, and begins and ends with a letter or digit",
        "",
    ))
}

fn is_qualified(text: &str, most: usize) -> bool {
    let alnum = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.len() <= most
        && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(&c))
        && alnum(text.chars().next())
        && alnum(text.chars().next_back())
}

fn is_label_key(text: &str) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => is_dns_name(prefix) && is_qualified(name, 63),
        None => is_qualified(text, 63),
    }
}

/// Key of a label or taint: apimachinery's IsQualifiedName.
pub fn label_key(text: &str) -> Read<String> {
    if is_label_key(text) {
        return Ok(text.to_owned());
    }
    Err(Fault::new(
        Code::BadNodeLabel,
        format!("{text:?} cannot be the key of a label or taint"),
        "such a key is a name of up to 63 letters, digits, `-`, `_` and `.`, before it perhaps a DNS name and `/`",
        "",
    ))
}

/// `key=value:Effect` or `key:Effect`.
pub fn taint(text: &str) -> Read<Taint> {
    let read = || {
        let (left, effect) = text.rsplit_once(':')?;
        let (key, value) = left.split_once('=').unwrap_or((left, ""));
        let good = matches!(effect, "NoSchedule" | "PreferNoSchedule" | "NoExecute");
        (good && is_label_key(key) && label_value(value).is_ok()).then(|| Taint {
            key: key.to_owned(),
            value: value.to_owned(),
            effect: effect.to_owned(),
        })
    };
    read().ok_or_else(|| {
        Fault::new(
            Code::BadTaint,
            format!("{text:?} is not a taint"),
            "the kubelet registers the node with its taints and refuses one that it cannot read",
            "write `key=value:Effect` or `key:Effect`, the effect being NoSchedule, PreferNoSchedule or NoExecute",
        )
    })
}

/// A kernel setting, as sysctl.d takes it.
pub fn sysctl(text: &str) -> Read<String> {
    let inner = |c: u8| c.is_ascii_alphanumeric() || b"._-/".contains(&c);
    let dotted = text.contains('.') && text.split('.').all(|part| !part.is_empty() && part != "/");
    if dotted
        && text.len() <= 255
        && text.bytes().all(inner)
        && !text.contains("..")
        && !text.starts_with('/')
    {
        return Ok(text.to_owned());
    }
    Err(Fault::new(
        Code::BadText,
        format!("{text:?} is not the name of a kernel setting"),
        "it names a file under /proc/sys, its folders joined by dots",
        "write it as `sysctl -a` shows it, such as net.core.somaxconn",
    ))
}

/// An image's registry and path (distribution/reference), neither scheme nor tag.
pub fn image_repository(text: &str) -> Read<String> {
    let (host, path) = text.split_once('/').unwrap_or((text, ""));
    let (name, port) = host.split_once(':').unwrap_or((host, "1"));
    let component = |part: &str| {
        let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"._-".contains(&c);
        let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        part.bytes().all(inner) && ends(part.chars().next()) && ends(part.chars().next_back())
    };
    let path_good = text == host || path.split('/').all(component);
    if is_dns_name(name) && port.parse::<u16>().is_ok_and(|port| port > 0) && path_good {
        return Ok(text.to_owned());
    }
    let bare = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let help = bare.map(|bare| format!("write `{}`", bare.trim_end_matches('/'))).unwrap_or_default();
    Err(Fault::new(
        Code::BadText,
        format!("{text:?} is not where images can come from"),
        "kubeadm makes image names of it: registry, perhaps a port and a path in lower case, no scheme, no tag",
        help,
    ))
}
