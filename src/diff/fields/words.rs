//! Words of a directive, as nginx and keepalived write them.

/// Joins words so that different lists look different: a word that would not stand alone is put in quotes.
pub(super) fn join(words: &[String]) -> String {
    let mut line = String::new();
    for word in words {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&shown(word));
    }
    line
}

fn shown(word: &str) -> String {
    let symbolic = word.starts_with("<secret ") && word.ends_with('>');
    let odd =
        |c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '\\' | ';' | '{' | '}' | '#');
    if !word.is_empty() && (symbolic || !word.contains(odd)) { word.to_owned() } else { format!("{word:?}") }
}
