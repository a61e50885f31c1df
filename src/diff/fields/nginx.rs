//! Reads nginx's configuration by its own rules for words (ngx_conf_read_token).

use super::tree::{Node, Parts, Step};
use super::{MAX_DEPTH, Unread, words};

/// A directive; those with a block have one even if it is empty.
struct Directive {
    name: String,
    arguments: Vec<String>,
    block: Option<Vec<Directive>>,
}

/// Reads a configuration file.
pub(super) fn read(text: &str) -> Result<Node, Unread> {
    Ok(block(&parse(text)?))
}

fn parse(text: &str) -> Result<Vec<Directive>, Unread> {
    let mut open: Vec<(Vec<String>, Vec<Directive>)> = Vec::new();
    let mut directives = Vec::new();
    let mut words: Vec<String> = Vec::new();
    let mut tokens = Tokens { rest: text };
    while let Some(token) = tokens.next()? {
        match token {
            Token::Word(word) => words.push(word),
            Token::End => {
                directives.push(directive(std::mem::take(&mut words), None)?);
            }
            Token::Open => {
                if words.is_empty() {
                    return Err(Unread("a block has no name"));
                }
                if open.len() >= MAX_DEPTH {
                    return Err(Unread("it nests too deep"));
                }
                open.push((std::mem::take(&mut words), std::mem::take(&mut directives)));
            }
            Token::Close => {
                let (head, outer) = open.pop().ok_or(Unread("a block is closed that is not open"))?;
                if !words.is_empty() {
                    return Err(Unread("a directive has no `;`"));
                }
                let inner = std::mem::replace(&mut directives, outer);
                directives.push(directive(head, Some(inner))?);
            }
        }
    }
    if !open.is_empty() || !words.is_empty() {
        return Err(Unread("a block or directive is never ended"));
    }
    Ok(directives)
}

fn directive(mut words: Vec<String>, block: Option<Vec<Directive>>) -> Result<Directive, Unread> {
    if words.is_empty() {
        return Err(Unread("a `;` ends nothing"));
    }
    let name = words.remove(0);
    Ok(Directive { name, arguments: words, block })
}

/// The tree of a block. Order is kept among directives of one name, and where nginx goes by it across names: access rules
/// (first match decides), rewrite's own directives (done one after another) and regular expressions.
fn block(directives: &[Directive]) -> Node {
    let mut parts = Parts::default();
    let mut steps = Vec::new();
    let mut patterns = Vec::new();
    for Directive { name, arguments, block: inner } in directives {
        let line = words::join(arguments);
        if matches!(name.as_str(), "rewrite" | "set" | "if" | "return" | "break") {
            steps.push(format!("{name} {line}"));
        }
        let pattern = match name.as_str() {
            "location" => arguments.first().is_some_and(|kind| kind.starts_with('~')),
            name => name.starts_with('~'),
        };
        if pattern {
            patterns.push(format!("{name} {line}"));
        }
        match inner {
            Some(inner) if name == "server" && arguments.is_empty() => {
                parts.repeat(Step::keyed(" > server", listens(inner)), block(inner));
            }
            Some(inner) => {
                let head = if line.is_empty() { name.clone() } else { format!("{name} {line}") };
                parts.repeat(Step::new(format!(" > {head}")), block(inner));
            }
            None if matches!(name.as_str(), "allow" | "deny") => {
                parts.repeat(Step::new(" > allow, deny"), Node::text(format!("{name} {line}")));
            }
            None => parts.repeat(Step::new(format!(" > {name}")), Node::text(line)),
        }
    }
    for (what, order) in [("rewrite directives", steps), ("regular expressions", patterns)] {
        if order.len() > 1 {
            parts.set(Step::new(format!(" > order of {what}")), Node::text(order.join("; ")));
        }
    }
    parts.into_node()
}

/// What tells a server from its neighbours: where it listens, and its names.
fn listens(server: &[Directive]) -> String {
    let telling =
        server.iter().filter(|directive| matches!(directive.name.as_str(), "listen" | "server_name"));
    let mut words: Vec<String> =
        telling.filter_map(|directive| directive.arguments.first()).cloned().collect();
    words.sort();
    words::join(&words)
}

enum Token {
    Word(String),
    End,
    Open,
    Close,
}

struct Tokens<'a> {
    rest: &'a str,
}

impl Tokens<'_> {
    fn next(&mut self) -> Result<Option<Token>, Unread> {
        loop {
            self.rest = self.rest.trim_start();
            if !self.rest.starts_with('#') {
                break;
            }
            self.rest = self.rest.split_once('\n').map_or("", |(_, rest)| rest);
        }
        let Some(first) = self.rest.chars().next() else { return Ok(None) };
        let after = &self.rest[first.len_utf8()..];
        let token = match first {
            ';' => Token::End,
            '{' => Token::Open,
            '}' => Token::Close,
            '"' | '\'' => return self.quoted(first, after).map(Some),
            _ => return Ok(Some(self.bare())),
        };
        self.rest = after;
        Ok(Some(token))
    }

    fn quoted(&mut self, quote: char, inside: &str) -> Result<Token, Unread> {
        let offset = self.rest.len() - inside.len();
        let mut escaped = false;
        let end = inside.find(|c| {
            let closes = c == quote && !escaped;
            escaped = c == '\\' && !escaped;
            closes
        });
        let end = end.ok_or(Unread("a quote is never closed"))?;
        let word = unescaped(&inside[..end]);
        self.rest = &self.rest[offset + end + 1..];
        if !self.rest.starts_with([' ', '\t', '\r', '\n', ';', '{', ')']) {
            return Err(Unread("something follows a quote"));
        }
        Ok(Token::Word(word))
    }

    fn bare(&mut self) -> Token {
        let (mut escaped, mut variable) = (false, false);
        let end = self.rest.find(|c: char| {
            let within = escaped || (c == '{' && variable);
            let ends = !within && (c.is_ascii_whitespace() || c == ';' || c == '{');
            variable = c == '$' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        Token::Word(unescaped(word))
    }
}

/// nginx resolves these escapes in every word, quoted or not, and keeps all others.
fn unescaped(word: &str) -> String {
    let mut text = String::with_capacity(word.len());
    let mut chars = word.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match chars.next() {
            Some(next @ ('"' | '\'' | '\\')) => text.push(next),
            Some('t') => text.push('\t'),
            Some('r') => text.push('\r'),
            Some('n') => text.push('\n'),
            Some(next) => {
                text.push('\\');
                text.push(next);
            }
            None => text.push('\\'),
        }
    }
    text
}
