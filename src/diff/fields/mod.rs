//! Compares two versions of one file by what they mean to the program that reads the file.
//!
//! Pure: text in, changes out. Every format has a reader here that makes a tree of the text; trees are compared in
//! one place. A reader drops what its program cannot notice (see [`MEANINGLESS`]) and refuses what it does not
//! understand, so that a difference is never lost: the caller shows such texts line by line. Texts are symbolic, a
//! secret stands in them as `<secret NAME FINGERPRINT>`; nothing here looks into one.

mod align;
mod certificate;
mod format;
mod keepalived;
mod kubeconfig;
mod kubernetes;
mod lines;
mod nginx;
mod settings;
mod tables;
mod tree;
mod unit;
mod walk;
mod words;
mod yaml;

pub use format::{Format, format_of};

use tree::Node;
use walk::Diff;

/// How much text of one file is read; more is compared as text.
const MAX_BYTES: usize = 1 << 20;
/// How deep a text may nest.
const MAX_DEPTH: usize = 64;

/// A meaningful difference between two texts of one file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldChange {
    /// Where, in the format's own terms: `ClusterConfiguration.apiServer.extraArgs[audit-log-maxage]`,
    /// `[Service] LimitNOFILE`, `stream > server > listen`, `vrrp_instance VI_1 > priority`, `ETCD_LISTEN_CLIENT_URLS`.
    pub path: String,
    /// Before; `None` for what is new.
    pub old: Option<String>,
    /// After; `None` for what is gone.
    pub new: Option<String>,
}

/// A text cannot be read as its format. Says nothing of what is in the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot be compared by field: {0}")]
pub struct Unread(pub &'static str);

/// Compares by meaning. An empty answer: nothing that a reader of the file could notice differs. Sorted, and mirrored
/// when the arguments are swapped.
///
/// # Errors
/// When one of the texts cannot be read as this format; the caller falls back to a text diff.
pub fn compare(format: Format, old: &str, new: &str) -> Result<Vec<FieldChange>, Unread> {
    if old == new {
        return Ok(Vec::new());
    }
    // Lists are aligned in one of several ways that are equally short. Always going from the text that sorts first
    // picks the same one in both directions.
    let swapped = old > new;
    let (first, second) = if swapped { (new, old) } else { (old, new) };
    let (first, second) = (read(format, first)?, read(format, second)?);
    let mut diff = Diff::default();
    diff.pair(&first, &second);
    let mut changes = diff.finish()?;
    if swapped {
        changes.iter_mut().for_each(|change| std::mem::swap(&mut change.old, &mut change.new));
    }
    if format == Format::Hosts {
        // What an address is called first matters only while it stays; its coming and going is said by its names.
        changes.retain(|change| {
            !change.path.ends_with(settings::FIRST_NAME) || (change.old.is_some() && change.new.is_some())
        });
    }
    changes.sort();
    Ok(changes)
}

/// All fields of a text, for files that are added or removed.
///
/// # Errors
/// When the text cannot be read as this format.
pub fn fields(format: Format, text: &str) -> Result<Vec<(String, String)>, Unread> {
    let node = read(format, text)?;
    let mut diff = Diff::default();
    diff.come(&node);
    let mut fields: Vec<(String, String)> =
        diff.finish()?.into_iter().filter_map(|change| Some((change.path, change.new?))).collect();
    if format == Format::Hosts {
        fields.retain(|(path, _)| !path.ends_with(settings::FIRST_NAME));
    }
    fields.sort();
    Ok(fields)
}

/// Fingerprints of the keys in a text of certificates or public keys.
pub fn keys(text: &str) -> Vec<String> {
    certificate::keys(text)
}

fn read(format: Format, text: &str) -> Result<Node, Unread> {
    if text.len() > MAX_BYTES {
        return Err(Unread("it is larger than 1 MiB"));
    }
    if text.contains('\0') {
        return Err(Unread("it holds a NUL byte"));
    }
    match format {
        Format::Kubeadm => kubernetes::read(text),
        Format::Yaml => kubernetes::plain(text),
        Format::Kubeconfig => kubeconfig::read(text),
        Format::Certificate => certificate::read(text),
        Format::PublicKey => certificate::public_key(text),
        Format::Env => settings::env(text),
        Format::Unit => unit::read(text),
        Format::Nginx => nginx::read(text),
        Format::Keepalived => keepalived::read(text),
        Format::Sysctl => settings::sysctl(text),
        Format::Hosts => settings::hosts(text),
        Format::Toml => tables::toml(text),
        Format::Json => tables::json(text),
        Format::Lines => lines::read(text),
        Format::Text => Err(Unread("it is text without fields")),
    }
}

/// Differences that mean nothing, by format.
pub const MEANINGLESS: &[(&str, &str)] = &[
    (
        "kubeadm, kubelet and kube-proxy documents",
        "order of documents of different kinds, and all that means nothing in YAML; order and repetition in certSANs, \
         ignorePreflightErrors, etcd endpoints and other lists that are sets; order of arguments of different names, \
         of volumes, environment variables and taints",
    ),
    (
        "YAML",
        "order of keys, comments, quoting and block style of the same text, indentation, line breaks between values, \
         spelling of null and of true and false",
    ),
    (
        "kubeconfigs",
        "order of clusters, users and contexts, all that means nothing in YAML, line breaks in embedded certificates and text \
         around them",
    ),
    ("certificates", "text around the PEM blocks, line breaks in them"),
    ("public keys", "text around the PEM blocks, line breaks in them"),
    (
        "environment files",
        "order of variables, comments, blank lines, quoting of the same value, assignments that a later one \
         overrides; order and repetition in etcd's comma-separated lists",
    ),
    (
        "systemd units",
        "order of sections and of different keys, comments, blank lines, line continuations, blanks around `=`; \
         order, repetition and grouping of the names in dependencies such as After= and WantedBy=; assignments that a \
         later empty one resets",
    ),
    (
        "nginx",
        "comments, indentation, line breaks, quoting of the same word; order of different directives, and of blocks \
         of different names or parameters (but not of regular expressions)",
    ),
    (
        "keepalived",
        "comments, indentation, quoting of the same word; order of different directives and of blocks of different \
         names; order and repetition in lists of peers, addresses, routes, rules and things tracked",
    ),
    ("sysctl", "order of settings, comments, blanks, `/` for `.`, settings that a later one overrides"),
    (
        "hosts",
        "comments, blanks, order of lines that name different hosts, capital letters, spelling of addresses",
    ),
    ("TOML", "order of keys and tables, comments, inline or full tables, spelling of the same value"),
    ("JSON", "order of keys, white space, escapes of the same text"),
    (
        "sysusers.d, tmpfiles.d, modules-load.d",
        "comments, blank lines, blanks between fields, order of different lines",
    ),
];

#[cfg(test)]
mod tests;
