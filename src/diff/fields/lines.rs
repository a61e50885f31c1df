//! Reads files of independent lines: sysusers.d, tmpfiles.d and modules-load.d.

use super::Unread;
use super::settings::lines;
use super::tree::{Node, Parts, Step};

/// How many fields a line has before its argument, which is taken as it is (tmpfiles.d(5)).
const FIELDS: usize = 6;

/// Reads the lines; the first two fields say what a line is about.
pub(super) fn read(text: &str) -> Result<Node, Unread> {
    let mut parts = Parts::default();
    for line in lines(text, &['#', ';']) {
        let (mut words, rest) = split(line)?;
        words.extend(rest);
        match words.as_slice() {
            // modules-load.d: a name alone.
            [name] => parts.collect(Step::new("module"), [(*name).to_owned()]),
            [kind, name, more @ ..] => {
                parts.repeat(Step::new(format!("{kind} {name}")), Node::text(more.join(" ")));
            }
            [] => {}
        }
    }
    Ok(parts.into_node())
}

/// The fields, quotes kept, and what follows them.
fn split(line: &str) -> Result<(Vec<&str>, Option<&str>), Unread> {
    let mut words = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        if words.len() == FIELDS {
            return Ok((words, Some(rest)));
        }
        let mut quote = None;
        let mut escaped = false;
        let end = rest.find(|c: char| {
            match (quote, c) {
                _ if escaped => escaped = false,
                (_, '\\') => escaped = true,
                (Some(open), _) if open == c => quote = None,
                (None, '"' | '\'') => quote = Some(c),
                (None, _) if c.is_whitespace() => return true,
                _ => {}
            }
            false
        });
        if end.is_none() && quote.is_some() {
            return Err(Unread("a quote is never closed"));
        }
        let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
        words.push(word);
        rest = after.trim_start();
    }
    Ok((words, None))
}
