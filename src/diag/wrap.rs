//! Breaks sentences at spaces, for terminals. What is longer than a line stays whole, so that it can be copied; what is
//! indented stays so.

/// Breaks a text into lines of at most so many characters, where it has spaces.
pub fn wrap(text: &str, width: usize) -> String {
    let mut out = String::with_capacity(text.len());
    for (number, line) in text.split('\n').enumerate() {
        if number > 0 {
            out.push('\n');
        }
        let words = line.trim_start_matches(' ');
        let indent = &line[..line.len() - words.len()];
        out.push_str(indent);
        let mut column = indent.len();
        for (place, word) in words.split(' ').enumerate() {
            let length = word.chars().count();
            if place > 0 && column + 1 + length > width {
                out.push('\n');
                out.push_str(indent);
                column = indent.len();
            } else if place > 0 {
                out.push(' ');
                column += 1;
            }
            out.push_str(word);
            column += length;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::wrap;

    #[test]
    fn lines_break_at_spaces_and_words_stay_whole() {
        assert_eq!(wrap("one two three", 7), "one two\nthree");
        assert_eq!(wrap("größer als alles", 10), "größer als\nalles");
        assert_eq!(wrap("a 192.168.20.10/24 b", 5), "a\n192.168.20.10/24\nb");
        assert_eq!(wrap("one\ntwo three", 80), "one\ntwo three");
        assert_eq!(wrap("  one two three", 9), "  one two\n  three");
        assert_eq!(wrap("", 0), "");
    }
}
