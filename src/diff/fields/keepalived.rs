//! Reads keepalived's configuration (keepalived.conf(5)): one statement a line, blocks in braces.

use super::tree::{Node, Parts, Step};
use super::{MAX_DEPTH, Unread, words};

/// A line, and the block that follows it.
struct Statement {
    words: Vec<String>,
    block: Option<Vec<Statement>>,
}

/// Reads a configuration file.
pub(super) fn read(text: &str) -> Result<Node, Unread> {
    Ok(block(&parse(text)?))
}

enum Token {
    Word(String),
    Line,
    Open,
    Close,
}

fn parse(text: &str) -> Result<Vec<Statement>, Unread> {
    let mut open: Vec<(Vec<String>, Vec<Statement>)> = Vec::new();
    let mut statements = Vec::new();
    let mut words: Vec<String> = Vec::new();
    // The line has ended; its brace may still stand on the next.
    let mut ended = false;
    for token in tokens(text)? {
        if !words.is_empty() && (matches!(token, Token::Close) || (ended && matches!(token, Token::Word(_))))
        {
            statements.push(Statement { words: std::mem::take(&mut words), block: None });
        }
        match token {
            Token::Word(word) => {
                words.push(word);
                ended = false;
            }
            Token::Line => ended = true,
            Token::Open => {
                if words.is_empty() {
                    return Err(Unread("a block has no name"));
                }
                if open.len() >= MAX_DEPTH {
                    return Err(Unread("it nests too deep"));
                }
                open.push((std::mem::take(&mut words), std::mem::take(&mut statements)));
            }
            Token::Close => {
                let (words, outer) = open.pop().ok_or(Unread("a block is closed that is not open"))?;
                let inner = std::mem::replace(&mut statements, outer);
                statements.push(Statement { words, block: Some(inner) });
            }
        }
    }
    if !words.is_empty() {
        statements.push(Statement { words, block: None });
    }
    if open.is_empty() { Ok(statements) } else { Err(Unread("a block is never closed")) }
}

fn tokens(text: &str) -> Result<Vec<Token>, Unread> {
    let mut tokens = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '"' {
            let word = word.get_or_insert_default();
            loop {
                match chars.next() {
                    Some('"') => break,
                    None | Some('\n') => return Err(Unread("a quote is never closed")),
                    Some('\\') => word.extend(['\\'].into_iter().chain(chars.next())),
                    Some(c) => word.push(c),
                }
            }
            continue;
        }
        let token = match c {
            '\n' | '#' | '!' => Token::Line,
            '{' => Token::Open,
            '}' => Token::Close,
            c if c.is_whitespace() => {
                tokens.extend(word.take().map(Token::Word));
                continue;
            }
            // Takes the meaning from what follows: from `#` as well.
            '\\' => {
                word.get_or_insert_default().extend([c].into_iter().chain(chars.next()));
                continue;
            }
            c => {
                word.get_or_insert_default().push(c);
                continue;
            }
        };
        tokens.extend(word.take().map(Token::Word));
        tokens.push(token);
        if c == '#' || c == '!' {
            let _ = chars.find(|c| *c == '\n');
        }
    }
    tokens.extend(word.map(Token::Word));
    Ok(tokens)
}

fn block(statements: &[Statement]) -> Node {
    let mut parts = Parts::default();
    for Statement { words, block: inner } in statements {
        let Some((name, arguments)) = words.split_first() else { continue };
        match inner {
            Some(inner)
                if arguments.is_empty()
                    && is_set(name)
                    && inner.iter().all(|member| member.block.is_none()) =>
            {
                let members = inner.iter().map(|member| words::join(&member.words));
                parts.collect(Step::new(format!(" > {name}")), members);
            }
            Some(inner) => parts.repeat(Step::new(format!(" > {}", words::join(words))), block(inner)),
            None => parts.repeat(Step::new(format!(" > {name}")), Node::text(words::join(arguments))),
        }
    }
    parts.into_node()
}

/// Blocks that hold one member a line, in any order. With a name behind it, a block of the same word defines something.
fn is_set(block: &str) -> bool {
    matches!(
        block,
        "unicast_peer"
            | "virtual_ipaddress"
            | "virtual_ipaddress_excluded"
            | "virtual_routes"
            | "virtual_rules"
            | "static_ipaddress"
            | "static_routes"
            | "static_rules"
            | "track_interface"
            | "track_script"
            | "track_file"
            | "track_process"
            | "track_bfd"
            | "group"
            | "notification_email"
    )
}
