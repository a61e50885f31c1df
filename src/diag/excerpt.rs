//! What of a document may be shown: whole lines around labels, with what looks secret masked.
//!
//! Every renderer takes text from here, so that a concealed place is concealed in all of them.

use std::ops::Range;

use super::{Label, Report};
use crate::source::{SourceId, Sources};

/// Lines longer than this are named and not shown.
const LONGEST_LINE: usize = 1000;
/// Labels of one document that are farther apart are shown in excerpts of their own.
const NEAR: usize = 50;
/// A label over more lines than this is shown on its first line only.
const TALLEST: usize = 8;

/// A few lines of a document.
pub(super) struct Excerpt<'a> {
    pub(super) source: SourceId,
    /// Number of the first line.
    pub(super) line: usize,
    /// Empty when the document has no text to show.
    pub(super) text: String,
    /// The labels, with their place within the text; the first is the one that counts most.
    pub(super) labels: Vec<(Range<usize>, &'a Label)>,
}

/// Cuts the excerpts that show these labels: one per document and neighbourhood, in the order of the labels.
pub(super) fn cut<'a>(
    labels: impl Iterator<Item = &'a Label>,
    sources: &Sources,
    report: &Report,
) -> Vec<Excerpt<'a>> {
    let mut groups: Vec<(SourceId, Range<usize>, Vec<&Label>)> = Vec::new();
    for label in labels {
        let first = sources.line_col(label.span).0;
        let last = sources.end_line_col(label.span).0;
        let last = if last - first < TALLEST { last } else { first };
        let near = groups.iter_mut().find(|(source, lines, _)| {
            *source == label.span.source && first <= lines.end + NEAR && last + NEAR >= lines.start
        });
        match near {
            Some((_, lines, labels)) => {
                *lines = lines.start.min(first)..lines.end.max(last);
                labels.push(label);
            }
            None => groups.push((label.span.source, first..last, vec![label])),
        }
    }
    groups.into_iter().map(|(source, lines, labels)| show(source, &lines, labels, sources, report)).collect()
}

fn show<'a>(
    source: SourceId,
    lines: &Range<usize>,
    labels: Vec<&'a Label>,
    sources: &Sources,
    report: &Report,
) -> Excerpt<'a> {
    let bytes = sources.line_range(source, lines.start).start..sources.line_range(source, lines.end).end;
    let too_long =
        (lines.start..=lines.end).any(|line| sources.line_range(source, line).len() > LONGEST_LINE);
    let mut text = if too_long { String::new() } else { sources.text(source)[bytes.clone()].to_owned() };
    mask(&mut text, source, bytes.start, report);
    // The renderer shows C0 as symbols and lets C1 through, where U+009B begins a command to the terminal. As long in bytes,
    // so that the places stay true.
    if text.contains(is_c1) {
        text = text.replace(is_c1, "\u{a4}");
    }
    let labels = labels.into_iter().map(|label| {
        let clip = |offset: usize| offset.saturating_sub(bytes.start).min(text.len());
        let end = if label.span.range().end > bytes.end {
            // Too tall: to the end of its first line.
            text.find('\n').unwrap_or(text.len())
        } else {
            clip(label.span.range().end)
        };
        let start = clip(label.span.range().start);
        (start..end.max(start), label)
    });
    let labels = labels.collect();
    Excerpt { source, line: lines.start, text, labels }
}

/// Writes `*` over what must not be seen, byte for byte, so that the places stay true.
fn mask(text: &mut String, source: SourceId, offset: usize, report: &Report) {
    for span in report.concealed().iter().filter(|span| span.source == source) {
        let range = span.range();
        let mut start = range.start.saturating_sub(offset).min(text.len());
        let mut end = range.end.saturating_sub(offset).min(text.len());
        // Rather a letter too many than none.
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        while !text.is_char_boundary(end) {
            end += 1;
        }
        if let Some(secret) = text.get(start..end) {
            let masked: String = secret.bytes().map(|byte| if byte == b'\n' { '\n' } else { '*' }).collect();
            text.replace_range(start..end, &masked);
        }
    }
}

fn is_c1(letter: char) -> bool {
    matches!(letter, '\u{80}'..='\u{9f}')
}

/// Makes text safe for a terminal: what a file name or a key holds must not move the cursor.
pub(super) fn printable(text: &str) -> String {
    let harmless = |letter: char| {
        !letter.is_control()
            && !matches!(letter, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        if harmless(letter) { safe.push(letter) } else { safe.extend(letter.escape_default()) }
    }
    safe
}
