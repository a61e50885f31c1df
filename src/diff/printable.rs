//! Makes visible what would be a command to a terminal, or hide text from a reader: control characters and those that turn
//! the direction of writing. Whatever is compared may come from somebody's branch.

use super::change::What;

/// In every text of a difference. Lines and tabs stay.
pub fn what(what: &mut What) {
    match what {
        What::HostAdded { roles, .. } | What::HostRemoved { roles } | What::HostRetired { roles } => {
            roles.iter_mut().for_each(text);
        }
        What::FileAdded { attributes, secret, .. } => {
            text(attributes);
            secret.iter_mut().for_each(text);
        }
        What::FileRemoved { policy } => text(policy),
        What::Mode { old, new } | What::Owner { old, new } | What::Policy { old, new } => {
            text(old);
            text(new);
        }
        What::Field { field, old, new } => {
            text(field);
            old.iter_mut().for_each(text);
            new.iter_mut().for_each(text);
        }
        What::Text { patch, .. } => text(patch),
        What::Secret { secret, how, old, new } => [secret, how, old, new].into_iter().for_each(text),
    }
}

/// In one text.
pub fn text(text: &mut String) {
    if !text.contains(is_hidden) {
        return;
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hidden(c) { shown.extend(c.escape_unicode()) } else { shown.push(c) }
    }
    *text = shown;
}

/// Unicode's bidirectional formatting characters are those of UAX #9, section 2.
fn is_hidden(c: char) -> bool {
    let bidirectional =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    (c.is_control() && c != '\n' && c != '\t') || bidirectional
}
