//! Reads files of single settings, one a line: environment files, sysctl and hosts.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::Unread;
use super::tree::{Node, Parts, Step};

/// How the path of an address' first name ends.
pub(super) const FIRST_NAME: &str = " (first name)";

/// Reads an EnvironmentFile= as systemd.exec(5) describes it. Lines without `=`, which systemd passes over, are refused:
/// whoever wrote one meant something by it.
pub(super) fn env(text: &str) -> Result<Node, Unread> {
    let mut parts = Parts::default();
    let mut rest = text;
    while !rest.is_empty() {
        let start = rest.trim_start();
        if start.is_empty() {
            break;
        }
        if start.starts_with(['#', ';']) {
            let (comment, after) = start.split_once('\n').unwrap_or((start, ""));
            // Whether such a comment goes on is another matter from one release of systemd to the next.
            if comment.trim_end().ends_with('\\') {
                return Err(Unread("a comment ends in a backslash"));
            }
            rest = after;
            continue;
        }
        let (key, after) = start.split_once('=').ok_or(Unread("it holds a line without `=`"))?;
        let key = key.trim_end_matches([' ', '\t']);
        let fits = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
        if key.is_empty() || !key.bytes().all(fits) {
            return Err(Unread("it holds something that is no variable"));
        }
        let (value, after) = env_value(after)?;
        rest = after;
        let node = if is_set(key) && value.contains(',') {
            Node::Whole {
                members: value.split(',').map(|member| member.trim().to_owned()).collect(),
                text: value,
            }
        } else if is_set(key) {
            Node::Whole { members: BTreeSet::from([value.clone()]), text: value }
        } else {
            Node::text(value)
        };
        parts.set(Step::new(key), node);
    }
    Ok(parts.into_node())
}

/// Whether a variable is a comma-separated list whose order means nothing (etcd reads each into a map or tries all).
fn is_set(key: &str) -> bool {
    let etcd = key.strip_prefix("ETCD_").unwrap_or_default();
    etcd.ends_with("_URLS")
        || matches!(
            etcd,
            "INITIAL_CLUSTER" | "MEMBERS" | "FEATURE_GATES" | "CIPHER_SUITES" | "CORS" | "HOST_WHITELIST"
        )
        || matches!(key, "ETCDCTL_ENDPOINTS" | "NO_PROXY" | "no_proxy")
}

/// The value after `=`, and what follows its line. As systemd reads it (src/basic/env-file.c): quotes have a meaning only
/// where a value begins or another quote has just ended, and blanks are dropped there.
fn env_value(text: &str) -> Result<(String, &str), Unread> {
    let mut value = String::new();
    // How much of the value stays when blanks at its end are dropped.
    let mut kept = 0;
    let mut bare = false;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\n' => {
                value.truncate(kept);
                return Ok((value, &text[at + 1..]));
            }
            ' ' | '\t' | '\r' if bare => value.push(c),
            ' ' | '\t' | '\r' => {}
            '"' | '\'' if !bare => {
                quoted(c, &mut chars, &mut value)?;
                kept = value.len();
            }
            c => {
                bare = true;
                match if c == '\\' { chars.next().map(|(_, next)| next) } else { Some(c) } {
                    Some('\n') if c == '\\' => {}
                    Some(c) => value.push(c),
                    None => {}
                }
                kept = value.len();
            }
        }
    }
    value.truncate(kept);
    Ok((value, ""))
}

/// Reads up to the closing quote.
fn quoted(quote: char, chars: &mut std::str::CharIndices<'_>, value: &mut String) -> Result<(), Unread> {
    const OPEN: Unread = Unread("a quote is never closed");
    loop {
        match chars.next().ok_or(OPEN)?.1 {
            c if c == quote => return Ok(()),
            '\\' if quote == '"' => match chars.next().ok_or(OPEN)?.1 {
                '\n' => {}
                c @ ('"' | '\\' | '`' | '$') => value.push(c),
                c => value.extend(['\\', c]),
            },
            c => value.push(c),
        }
    }
}

/// Reads sysctl.d(5).
pub(super) fn sysctl(text: &str) -> Result<Node, Unread> {
    let mut parts = Parts::default();
    for line in lines(text, &['#', ';']) {
        let (key, value) = match line.split_once('=') {
            Some((key, value)) => (key.trim(), Some(value)),
            // A pattern to leave out: `-net.ipv4.conf.eth0.rp_filter`.
            None if line.starts_with('-') => (line, None),
            None => return Err(Unread("it holds a line without `=`")),
        };
        let (key, tolerant) = key.strip_prefix('-').map_or((key, false), |key| (key.trim_start(), true));
        // The separator that comes first is the separator; the other is then part of a name.
        let key = if key.find('/').unwrap_or(key.len()) < key.find('.').unwrap_or(key.len()) {
            let swap = |c| match c {
                '/' => '.',
                '.' => '/',
                c => c,
            };
            key.chars().map(swap).collect::<String>()
        } else {
            key.to_owned()
        };
        if key.is_empty() || key.contains(char::is_whitespace) {
            return Err(Unread("it holds something that is no setting"));
        }
        let words = value.map(|value| value.split_whitespace().collect::<Vec<_>>().join(" "));
        // What comes later replaces all that a line said.
        let value = match (words, tolerant) {
            (Some(words), false) => words,
            (Some(words), true) => format!("{words} (a failure is passed over)"),
            (None, _) => "(not set by patterns)".to_owned(),
        };
        parts.set(Step::new(key), Node::text(value));
    }
    Ok(parts.into_node())
}

/// Reads hosts(5): each name with its addresses in order, and what each address is called first, which is what it is
/// resolved back to.
pub(super) fn hosts(text: &str) -> Result<Node, Unread> {
    let mut parts = Parts::default();
    let mut seen = BTreeSet::new();
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(address) = words.next() else { continue };
        let address: IpAddr = address.parse().map_err(|_| Unread("it holds a line without an address"))?;
        let mut names = words.map(str::to_ascii_lowercase).peekable();
        let first = names.peek().cloned().ok_or(Unread("it holds an address without a name"))?;
        if seen.insert((address, String::new())) {
            parts.set(Step::new(format!("{address}{FIRST_NAME}")), Node::text(first));
        }
        for name in names {
            if seen.insert((address, name.clone())) {
                parts.repeat(Step::new(name), Node::text(address.to_string()));
            }
        }
    }
    Ok(parts.into_node())
}

/// Lines that say something.
pub(super) fn lines<'a>(text: &'a str, comments: &'a [char]) -> impl Iterator<Item = &'a str> {
    text.lines().map(str::trim).filter(move |line| !line.is_empty() && !line.starts_with(comments))
}
