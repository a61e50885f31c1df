//! Where every piece of the inventory came from: files by number, and ranges in them.
//!
//! A [`Span`] is twelve bytes and says nothing by itself; [`Sources`] turns it into the path, line and column
//! that a person reads. Positions are byte offsets everywhere else, so that no step has to count lines.
//! This module reads no files and knows no format.

use std::ops::Range;

/// One document of the inventory, by its number in [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(u32);

/// A range of bytes in one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The document.
    pub source: SourceId,
    /// Offset of the first byte.
    pub start: u32,
    /// Offset after the last byte.
    pub end: u32,
}

impl Span {
    /// Returns the span of a byte range. Offsets past 4 GiB cannot occur: the loader reads 64 MiB at most.
    pub fn new(source: SourceId, range: Range<usize>) -> Self {
        let clip = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        Span { source, start: clip(range.start), end: clip(range.end.max(range.start)) }
    }

    /// Returns the byte range within the document.
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// A value and the place that gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it is written.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// Joins a value to its place.
    pub fn new(value: T, span: Span) -> Self {
        Spanned { value, span }
    }
}

/// The documents that were read: path as printed, and text.
#[derive(Debug, Default)]
pub struct Sources {
    documents: Vec<Document>,
}

#[derive(Debug)]
struct Document {
    path: String,
    text: String,
    /// Offset of the first byte of every line, so that a thousand findings in one file cost a thousand searches.
    lines: Vec<u32>,
}

impl Sources {
    /// Returns an empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a document. `path` is relative to where the user stands, as messages print it.
    pub fn add(&mut self, path: impl Into<String>, text: impl Into<String>) -> SourceId {
        let text = text.into();
        let mut lines = vec![0];
        lines.extend(text.bytes().zip(1u32..).filter(|(byte, _)| *byte == b'\n').map(|(_, next)| next));
        let id = SourceId(u32::try_from(self.documents.len()).unwrap_or(u32::MAX));
        self.documents.push(Document { path: path.into(), text, lines });
        id
    }

    /// Returns the path of a document, as messages print it.
    pub fn path(&self, id: SourceId) -> &str {
        self.documents.get(id.0 as usize).map_or("", |document| &document.path)
    }

    /// Returns the text of a document.
    pub fn text(&self, id: SourceId) -> &str {
        self.documents.get(id.0 as usize).map_or("", |document| &document.text)
    }

    /// Returns the documents in the order they were read.
    pub fn ids(&self) -> impl Iterator<Item = SourceId> + '_ {
        (0u32..).zip(&self.documents).map(|(number, _)| SourceId(number))
    }

    /// Returns line and column of a span's start, both from 1, the column in characters.
    pub fn line_col(&self, span: Span) -> (usize, usize) {
        self.line_col_at(span.source, span.start as usize)
    }

    /// Returns line and column of a span's end (the place after its last character).
    pub fn end_line_col(&self, span: Span) -> (usize, usize) {
        self.line_col_at(span.source, span.end as usize)
    }

    fn line_col_at(&self, id: SourceId, offset: usize) -> (usize, usize) {
        let Some(document) = self.documents.get(id.0 as usize) else { return (1, 1) };
        let mut offset = offset.min(document.text.len());
        while !document.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let line = document.lines.partition_point(|start| *start as usize <= offset).max(1);
        let start = document.lines[line - 1] as usize;
        (line, document.text[start..offset].chars().count() + 1)
    }

    /// Returns the bytes of a line (from 1), without its line break.
    pub fn line_range(&self, id: SourceId, line: usize) -> Range<usize> {
        let Some(document) = self.documents.get(id.0 as usize) else { return 0..0 };
        let Some(start) = line.checked_sub(1).and_then(|index| document.lines.get(index)) else {
            return 0..0;
        };
        let start = *start as usize;
        let end = document.lines.get(line).map_or(document.text.len(), |next| *next as usize - 1);
        start..end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_lines_start_at_one() {
        let mut sources = Sources::new();
        let id = sources.add("a.yaml", "näme: x\nb: ü!\n");
        let at = |start| sources.line_col(Span::new(id, start..start));
        assert_eq!(at(0), (1, 1));
        assert_eq!(at(3), (1, 3)); // after the two-byte ä
        assert_eq!(at(9), (2, 1));
        assert_eq!(at(14), (2, 5));
        assert_eq!(at(15), (2, 6)); // the line break itself
        assert_eq!(at(16), (3, 1)); // end of the text
        assert_eq!(at(99), (3, 1)); // past it
        assert_eq!(at(2), (1, 2)); // inside a character: its start
        assert_eq!(sources.line_range(id, 2), 9..15);
        assert_eq!(sources.line_range(id, 3), 16..16);
        assert_eq!(sources.line_range(id, 4), 0..0);
    }

    #[test]
    fn an_empty_document_has_one_place() {
        let mut sources = Sources::new();
        let id = sources.add("a.yaml", "");
        assert_eq!(sources.line_col(Span::new(id, 0..0)), (1, 1));
        assert_eq!(sources.path(id), "a.yaml");
    }
}
