//! YAML into the tree; with the reader of `diff::fields`, the only file that names the YAML crate.
//!
//! Reads the parser's events, not its values: every node then has a place, scalars keep their source text, and a
//! duplicate key, an anchor or a tag is a finding that does not hide the next one. Only a syntax error ends a
//! document. Aliases are refused without being followed, so no input grows on reading.

use serde_yaml::granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, StructureStyle};

use super::budget::Budget;
use super::findings;
use super::tree::{Entry, KeyIndex, Node, ScalarKind, Value};
use super::{Document, MAX_DEPTH};
use crate::diag::Report;
use crate::source::{SourceId, Span, Spanned};

mod syntax;

/// Reads one document.
pub(super) fn read(id: SourceId, text: &str, budget: &mut Budget, report: &mut Report) -> Document {
    let mut options = Options::default();
    options.emit_anchor_events = true;
    options.emit_unresolved_aliases = true;
    options.emit_comments = false;
    options.block_nesting_limit = MAX_DEPTH;
    options.flow_nesting_limit = MAX_DEPTH;
    // A key may be as long as a line; the default of 1024 would make longer flow keys a puzzling syntax error.
    options.simple_key_max_lookahead = 4096;
    let mut reader = Reader { id, text, report, open: Vec::new(), root: None, complete: true, last: 0 };
    let mut documents = 0;
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => return reader.syntax_error(&error),
        };
        let place = reader.place(span.byte_range());
        if let Event::DocumentStart(..) = event {
            documents += 1;
            if documents > 1 {
                reader.report.push(findings::several_documents(place));
                return Document { root: None, complete: false };
            }
        }
        let tag = span.tag_span().and_then(|span| span.byte_range());
        if event.tag().is_some() {
            let tag = reader.place(tag.or(span.byte_range()));
            reader.report.push(findings::tag(tag));
        }
        if event.is_node() && !budget.take(1, place, reader.report) {
            return Document { root: None, complete: false };
        }
        if !reader.event(event, place) {
            return Document { root: None, complete: false };
        }
    }
    Document { root: reader.root, complete: reader.complete }
}

/// A collection that is being read.
struct Open {
    value: Collection,
    style: StructureStyle,
    span: Span,
    /// It is, or is part of, something that stands where a key belongs.
    key: bool,
}

enum Collection {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, index: KeyIndex, key: Key },
}

/// What a map waits for.
enum Key {
    /// The next node is a key.
    Wanted,
    /// The next node is the value of this key.
    Read(Spanned<String>),
    /// The next node is the value of something that was reported already and is dropped.
    Refused,
    /// Likewise, and an alias as its value has been said with it.
    RefusedMerge,
}

struct Reader<'a> {
    id: SourceId,
    text: &'a str,
    report: &'a mut Report,
    open: Vec<Open>,
    root: Option<Node>,
    complete: bool,
    /// Where the last node ended; block collections end there, not at the next token.
    last: u32,
}

impl Reader<'_> {
    fn place(&self, range: Option<std::ops::Range<usize>>) -> Span {
        Span::new(self.id, range.unwrap_or(0..0))
    }

    /// Takes one event; false ends the document.
    fn event(&mut self, event: Event<'_>, place: Span) -> bool {
        match event {
            Event::Scalar(text, style, ..) => {
                self.last = place.end;
                self.scalar(&text, style, place);
            }
            Event::SequenceStart(style, ..) => return self.start(Collection::List(Vec::new()), style, place),
            Event::MappingStart(style, ..) => {
                let map =
                    Collection::Map { entries: Vec::new(), index: KeyIndex::default(), key: Key::Wanted };
                return self.start(map, style, place);
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(place),
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                self.last = place.end;
                self.complete = false;
                let merge = matches!(
                    self.open.last(),
                    Some(Open { value: Collection::Map { key: Key::RefusedMerge, .. }, .. })
                );
                if !merge {
                    self.report.push(findings::alias(place));
                }
                self.skip_node();
            }
            Event::Anchor(..) => self.report.push(findings::anchor(place)),
            _ => {}
        }
        true
    }

    fn start(&mut self, value: Collection, style: StructureStyle, span: Span) -> bool {
        if self.open.len() >= MAX_DEPTH {
            self.report.push(findings::too_deep(span));
            return false;
        }
        let inside = self.open.last().is_some_and(|open| open.key);
        let wanted =
            matches!(self.open.last(), Some(Open { value: Collection::Map { key: Key::Wanted, .. }, .. }));
        if wanted && !inside {
            // A list or map as a key: its parts are read and dropped with it.
            self.report.push(findings::bad_key(span));
            self.complete = false;
        }
        self.open.push(Open { value, style, span, key: wanted || inside });
        true
    }

    fn end(&mut self, place: Span) {
        let Some(Open { value, style, mut span, .. }) = self.open.pop() else { return };
        span.end = match style {
            StructureStyle::Flow => place.end,
            StructureStyle::Block => self.last.max(span.start),
        };
        self.last = span.end;
        let value = match value {
            Collection::List(items) => Value::List(items),
            Collection::Map { entries, .. } => Value::Map(entries),
        };
        if let Some(Open { value: Collection::Map { key: key @ Key::Wanted, .. }, .. }) = self.open.last_mut()
        {
            *key = Key::Refused;
            return;
        }
        self.put(Node { value, span });
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, place: Span) {
        let plain = matches!(style, ScalarStyle::Plain);
        // The parser says `~` for a value that is not written at all.
        let absent = plain && place.start == place.end;
        if let Some(Open { value: Collection::Map { key: key @ Key::Wanted, .. }, .. }) = self.open.last_mut()
        {
            if absent {
                self.report.push(findings::bad_key(place));
                self.complete = false;
                *key = Key::Refused;
            } else if plain && text == "<<" {
                self.report.push(findings::merge_key(place));
                self.complete = false;
                *key = Key::RefusedMerge;
            } else {
                *key = Key::Read(Spanned::new(text.to_owned(), place));
            }
            return;
        }
        let value = if plain {
            resolve(text)
        } else {
            Value::Scalar { text: text.to_owned(), kind: ScalarKind::Str }
        };
        self.put(Node { value, span: self.trim(place) });
    }

    /// Takes the indentation before and the line breaks after a block scalar out of its place.
    fn trim(&self, mut place: Span) -> Span {
        if let Some(written) = self.text.get(place.range()) {
            let kept = written.trim_end();
            let lead = written.len() - written.trim_start().len();
            if !kept.is_empty() {
                place.end = place.start + u32::try_from(kept.len()).unwrap_or(0);
                place.start += u32::try_from(lead).unwrap_or(0);
            }
        }
        place
    }

    /// Gives a finished node to the collection around it.
    fn put(&mut self, node: Node) {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return;
        };
        match &mut open.value {
            Collection::List(items) => items.push(node),
            Collection::Map { entries, index, key } => {
                let Key::Read(name) = std::mem::replace(key, Key::Wanted) else { return };
                match index.find(&name.value, entries.len(), |at| &entries[at].key.value) {
                    Some(first) => self.report.push(findings::duplicate_key(&name, entries[first].key.span)),
                    None => entries.push(Entry { key: name, value: node }),
                }
            }
        }
    }

    /// Goes on as if a refused node had not been written.
    fn skip_node(&mut self) {
        if let Some(Open { value: Collection::Map { key, .. }, .. }) = self.open.last_mut() {
            *key = if matches!(key, Key::Wanted) { Key::Refused } else { Key::Wanted };
        }
    }

    fn syntax_error(self, error: &ScanError) -> Document {
        let flow =
            self.open.iter().rev().find(|open| open.style == StructureStyle::Flow).map(|open| open.span);
        self.report.push(syntax::finding(self.id, self.text, error, flow));
        Document { root: None, complete: false }
    }
}

/// Resolves plain text by the core schema of YAML 1.2.2, section 10.3.2. `yes`, `no`, `on` and `off` are text there.
fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let kind = if is_int(text) {
        ScalarKind::Int
    } else if is_float(text) {
        ScalarKind::Float
    } else {
        ScalarKind::Str
    };
    Value::Scalar { text: text.to_owned(), kind }
}

fn is_int(text: &str) -> bool {
    let all =
        |digits: &str, allowed: fn(&u8) -> bool| !digits.is_empty() && digits.as_bytes().iter().all(allowed);
    if let Some(digits) = text.strip_prefix("0o") {
        return all(digits, |byte| (b'0'..=b'7').contains(byte));
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return all(digits, u8::is_ascii_hexdigit);
    }
    all(text.strip_prefix(['-', '+']).unwrap_or(text), u8::is_ascii_digit)
}

fn is_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent_fits = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty()) && exponent_fits
}

#[cfg(test)]
mod tests;
