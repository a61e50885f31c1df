//! Values before and after, word by word, and patches line by line.

use similar::{ChangeTag, TextDiff};

/// A part of a value.
pub struct Piece {
    /// Whether it is only on this side.
    pub own: bool,
    /// The text.
    pub text: String,
}

/// A value before and after.
pub struct Pair {
    /// Before.
    pub old: Option<Vec<Piece>>,
    /// After.
    pub new: Option<Vec<Piece>>,
    /// Whether each needs lines of its own.
    pub long: bool,
}

/// A line of a patch.
pub struct Line {
    /// `add`, `del`, `at` or `same`.
    pub class: &'static str,
    /// The text, with its sign.
    pub text: String,
}

/// Beyond this a value is not compared word by word.
const WORDS: usize = 4096;

/// Compares two values.
pub fn pair(old: Option<&str>, new: Option<&str>) -> Pair {
    let long = [old, new].iter().flatten().any(|t| t.len() > 64 || t.contains('\n'));
    let whole = |text: &str| vec![Piece { own: false, text: text.to_owned() }];
    match (old, new) {
        (Some(a), Some(b)) if a.len() <= WORDS && b.len() <= WORDS => {
            let (old, new) = words(a, b);
            Pair { old: Some(old), new: Some(new), long }
        }
        (a, b) => Pair { old: a.map(whole), new: b.map(whole), long },
    }
}

fn words(a: &str, b: &str) -> (Vec<Piece>, Vec<Piece>) {
    let (a_words, b_words) = (split(a), split(b));
    let diff = TextDiff::configure().diff_slices(&a_words, &b_words);
    let (mut old, mut new, mut same) = (Vec::new(), Vec::new(), 0);
    for change in diff.iter_all_changes() {
        let text = change.value();
        match change.tag() {
            ChangeTag::Equal => {
                same += text.len();
                push(&mut old, false, text);
                push(&mut new, false, text);
            }
            ChangeTag::Delete => push(&mut old, true, text),
            ChangeTag::Insert => push(&mut new, true, text),
        }
    }
    // Two values that share next to nothing are read faster as wholes.
    if same * 3 < a.len().max(b.len()) {
        let whole = |text: &str| vec![Piece { own: false, text: text.to_owned() }];
        return (whole(a), whole(b));
    }
    (old, new)
}

/// Words and what separates them: an address or a name is one word.
fn split(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
        let end = match is_word(first) {
            true => rest.find(|c: char| !is_word(c)).unwrap_or(rest.len()),
            false => first.len_utf8(),
        };
        let (word, after) = rest.split_at(end);
        out.push(word);
        rest = after;
    }
    out
}

fn push(pieces: &mut Vec<Piece>, own: bool, text: &str) {
    match pieces.last_mut() {
        Some(last) if last.own == own => last.text.push_str(text),
        _ => pieces.push(Piece { own, text: text.to_owned() }),
    }
}

/// A patch by lines. Before its first hunk are the names of both sides; after it, `--- ` is a line that went.
pub fn patch(text: &str) -> Vec<Line> {
    let mut head = true;
    let mut class = |line: &str| {
        head &= !line.starts_with("@@");
        match line.as_bytes().first() {
            Some(b'+') if !head => "add",
            Some(b'-') if !head => "del",
            Some(b'@' | b'+' | b'-') => "at",
            _ => "same",
        }
    };
    text.lines().map(|l| Line { class: class(l), text: l.to_owned() }).collect()
}
