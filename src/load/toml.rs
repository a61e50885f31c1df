//! TOML into the tree; the only file that names the TOML crate.
//!
//! The parser gives tokens with places and every syntax error of a document; what a table is, and when it is
//! defined twice, is decided here, because the crate's own documents drop the order of keys, the notation of
//! numbers and the place of the first of two equal keys. The rules are those of TOML 1.1, sections "Keys", "Table"
//! and "Array of Tables"; a test compares them with the crate's.

use toml_parser::decoder::ScalarKind as Scalar;
use toml_parser::parser::{Event, EventKind, RecursionGuard, ValidateWhitespace};
use toml_parser::{ErrorSink, Expected, ParseError};

use super::budget::{Budget, MAX_VALUES};
use super::findings;
use super::tree::{Node, ScalarKind, Value};
use super::{Document, MAX_DEPTH};
use crate::diag::{Code, Diagnostic, Report};
use crate::source::{SourceId, Span, Spanned};
use table::{Item, Keys, Redefined, Table};

mod table;

/// How many tokens a document may have; they cost memory before any value does.
const MAX_TOKENS: usize = 2 * MAX_VALUES;
/// How many syntax errors of one document are worth reading.
const MAX_ERRORS: usize = 100;

/// What toml_parser says of anything that is no value, or of none.
const UNQUOTED: &str = "string values must be quoted";
/// And of what begins as a number.
const NUMBERS: [&str; 3] = ["invalid float", "invalid integer number", "invalid date-time"];

/// Reads one document.
pub(super) fn read(id: SourceId, text: &str, budget: &mut Budget, report: &mut Report) -> Document {
    let source = toml_parser::Source::new(text);
    let tokens: Vec<_> = source.lex().take(MAX_TOKENS + 1).collect();
    if let Some(last) = tokens.get(MAX_TOKENS) {
        let at = Span::new(id, last.span().start()..last.span().end());
        report.push(
            Diagnostic::error(Code::TooLarge, format!("the document has more than {MAX_TOKENS} tokens"))
                .at(at, "the limit is reached here")
                .help("split the inventory into several, one per group of clusters"),
        );
        return Document { root: None, complete: false };
    }
    let mut errors = Errors { kept: Vec::new(), first: usize::MAX };
    let mut events: Vec<Event> = Vec::with_capacity(tokens.len());
    let mut keep = |event: Event| events.push(event);
    let mut checked = ValidateWhitespace::new(&mut keep, source);
    let depth = u32::try_from(MAX_DEPTH).unwrap_or(u32::MAX);
    toml_parser::parser::parse_document(&tokens, &mut RecursionGuard::new(&mut checked, depth), &mut errors);
    drop(tokens);

    let root = Table::header(Span::new(id, 0..text.len().min(1)));
    let mut reader = Reader {
        id,
        source,
        events: &events,
        next: 0,
        errors,
        too_deep: false,
        root,
        budget,
        report,
        spent: false,
    };
    reader.document();
    reader.finish()
}

/// Syntax errors: the first hundred, and where the first of all stands.
struct Errors {
    kept: Vec<ParseError>,
    first: usize,
}

impl ErrorSink for Errors {
    fn report_error(&mut self, error: ParseError) {
        let at = error.unexpected().or(error.context()).map_or(0, |span| span.start());
        self.first = self.first.min(at);
        if self.kept.len() < MAX_ERRORS {
            self.kept.push(error);
        }
    }
}

struct Reader<'a> {
    id: SourceId,
    source: toml_parser::Source<'a>,
    events: &'a [Event],
    next: usize,
    errors: Errors,
    /// Something was left out because of its depth.
    too_deep: bool,
    root: Table,
    budget: &'a mut Budget,
    report: &'a mut Report,
    /// The budget is used up.
    spent: bool,
}

impl Reader<'_> {
    fn place(&self, span: toml_parser::Span) -> Span {
        Span::new(self.id, span.start()..span.end())
    }

    fn peek(&self) -> Option<&Event> {
        self.events.get(self.next)
    }

    fn document(&mut self) {
        // The keys of the header that is in force; nothing after a header that was refused.
        let mut header: Option<Keys> = Some(Vec::new());
        while let Some(event) = self.peek() {
            if self.spent {
                return;
            }
            match event.kind() {
                EventKind::StdTableOpen => header = self.header(false),
                EventKind::ArrayTableOpen => header = self.header(true),
                EventKind::SimpleKey => {
                    let keys = self.keys();
                    let depth = header.as_ref().map_or(0, Vec::len) + keys.len();
                    let Some(value) = self.assigned(depth) else { continue };
                    if let (Some(header), Some(key)) = (&header, keys.last()) {
                        if depth > MAX_DEPTH {
                            self.deep(key.span);
                        } else if let Some(table) = self.root.locate(header)
                            && let Err(twice) = table.set(&keys, value)
                        {
                            self.duplicate(&twice);
                        }
                    }
                }
                _ => self.next += 1,
            }
        }
    }

    /// Reads `[a.b]` or `[[a.b]]`.
    fn header(&mut self, list: bool) -> Option<Keys> {
        let open = self.peek()?.span();
        self.next += 1;
        let keys = self.keys();
        let mut place = self.place(open);
        if let Some(close) = self
            .peek()
            .filter(|event| matches!(event.kind(), EventKind::StdTableClose | EventKind::ArrayTableClose))
        {
            place = self.place(open.append(close.span()));
            self.next += 1;
        }
        let last = keys.last()?;
        if keys.len() > MAX_DEPTH {
            self.deep(last.span);
            return None;
        }
        self.take(place);
        match self.root.open(&keys, list, place) {
            Ok(()) => Some(keys),
            Err(twice) => {
                self.duplicate(&twice);
                None
            }
        }
    }

    /// Reads `a."b".c`.
    fn keys(&mut self) -> Keys {
        let mut keys = Vec::new();
        while let Some(event) = self.peek().copied() {
            match event.kind() {
                EventKind::SimpleKey => {
                    let mut name = std::borrow::Cow::Borrowed("");
                    if let Some(raw) = self.source.get(event) {
                        raw.decode_key(&mut name, &mut self.errors);
                    }
                    keys.push(Spanned::new(name.into_owned(), self.place(event.span())));
                }
                EventKind::KeySep | EventKind::Whitespace => {}
                _ => break,
            }
            self.next += 1;
        }
        keys
    }

    /// Reads `= value`; nothing when a syntax error stands in its place.
    fn assigned(&mut self, depth: usize) -> Option<Item> {
        if self.peek()?.kind() != EventKind::KeyValSep {
            return None;
        }
        self.next += 1;
        while self.peek()?.kind() == EventKind::Whitespace {
            self.next += 1;
        }
        self.value(depth)
    }

    fn value(&mut self, depth: usize) -> Option<Item> {
        let event = *self.peek()?;
        let place = self.place(event.span());
        if !self.take(place) {
            return None;
        }
        match event.kind() {
            EventKind::Scalar => {
                self.next += 1;
                Some(Item::Value(Node { value: self.scalar(&event), span: place }))
            }
            EventKind::ArrayOpen | EventKind::InlineTableOpen if depth >= MAX_DEPTH => {
                self.deep(place);
                self.next += 1;
                None
            }
            EventKind::ArrayOpen => {
                self.next += 1;
                Some(self.array(place, depth + 1))
            }
            EventKind::InlineTableOpen => {
                self.next += 1;
                Some(self.inline_table(place, depth + 1))
            }
            _ => None,
        }
    }

    fn array(&mut self, mut span: Span, depth: usize) -> Item {
        let mut items = Vec::new();
        while let Some(event) = self.peek() {
            match event.kind() {
                EventKind::ArrayClose => {
                    span.end = self.place(event.span()).end;
                    self.next += 1;
                    break;
                }
                EventKind::Scalar | EventKind::ArrayOpen | EventKind::InlineTableOpen => {
                    match self.value(depth) {
                        Some(item) => items.push(item.into_node()),
                        None => break,
                    }
                }
                _ => self.next += 1,
            }
        }
        Item::Value(Node { value: Value::List(items), span })
    }

    fn inline_table(&mut self, span: Span, depth: usize) -> Item {
        let mut table = Table::inline(span);
        while let Some(event) = self.peek() {
            match event.kind() {
                EventKind::InlineTableClose => {
                    table.span.end = self.place(event.span()).end;
                    self.next += 1;
                    break;
                }
                EventKind::SimpleKey => {
                    let keys = self.keys();
                    if let (true, Some(key)) = (depth + keys.len() > MAX_DEPTH, keys.last()) {
                        self.deep(key.span);
                        break;
                    }
                    if let Some(value) = self.assigned(depth + keys.len() - 1)
                        && let Err(twice) = table.set(&keys, value)
                    {
                        self.duplicate(&twice);
                    }
                }
                _ => self.next += 1,
            }
        }
        Item::Table(table)
    }

    fn scalar(&mut self, event: &Event) -> Value {
        let Some(raw) = self.source.get(event) else { return Value::Null };
        let mut text = std::borrow::Cow::Borrowed("");
        let kind = match raw.decode_scalar(&mut text, &mut self.errors) {
            Scalar::Boolean(value) => return Value::Bool(value),
            Scalar::String => return Value::Scalar { text: text.into_owned(), kind: ScalarKind::Str },
            Scalar::DateTime => ScalarKind::Str,
            Scalar::Float => ScalarKind::Float,
            Scalar::Integer(_) => ScalarKind::Int,
        };
        Value::Scalar { text: raw.as_str().to_owned(), kind }
    }

    /// Reports a key that is set twice. After a syntax error, keys may seem to belong where they do not; the events
    /// are read in order, so whatever error precedes this key is known by now.
    fn duplicate(&mut self, twice: &Redefined) {
        if (twice.again.span.start as usize) < self.errors.first {
            self.report.push(findings::duplicate_key(&twice.again, twice.first));
        }
    }

    /// Reports a place that is nested too deeply, once per document.
    fn deep(&mut self, at: Span) {
        if !self.too_deep {
            self.report.push(findings::too_deep(at));
        }
        self.too_deep = true;
    }

    fn take(&mut self, place: Span) -> bool {
        self.spent = self.spent || !self.budget.take(1, place, self.report);
        !self.spent
    }

    /// Reports the syntax errors. A document that has one gives no tree, for what it would hold is a guess.
    fn finish(self) -> Document {
        let mut errors: Vec<(Span, Diagnostic)> =
            self.errors.kept.iter().map(|error| self.finding(error)).collect();
        errors.retain(|(_, finding)| !(self.too_deep && finding.code == Code::TooDeep));
        errors.sort_by_key(|(at, _)| *at);
        // One slip often makes the parser stumble twice; the first stumble of a line tells it.
        let text = self.source.input().as_bytes();
        errors.dedup_by(|(later, _), (earlier, _)| {
            !text.get(earlier.start as usize..later.start as usize).unwrap_or_default().contains(&b'\n')
        });
        let faulty = !errors.is_empty() || self.too_deep || self.spent;
        self.report.extend(errors.into_iter().map(|(_, finding)| finding));
        if faulty {
            return Document { root: None, complete: false };
        }
        Document { root: Some(Item::Table(self.root).into_node()), complete: true }
    }

    fn finding(&self, error: &ParseError) -> (Span, Diagnostic) {
        let span =
            error.unexpected().or(error.context()).map_or(Span::new(self.id, 0..0), |span| self.place(span));
        // The words of toml_parser's RecursionGuard.
        if error.description().starts_with("cannot recurse") {
            return (span, findings::too_deep(span));
        }
        if error.description() == UNQUOTED {
            let text = self.source.input().get(span.range()).unwrap_or_default();
            let finding = if text.trim().is_empty() {
                Diagnostic::error(Code::TomlSyntax, "not valid TOML: a value is missing")
                    .help("write one, or remove the key: TOML has no empty values")
            } else {
                Diagnostic::error(
                    Code::TomlSyntax,
                    "not valid TOML: text must be in quotes, and lists need commas",
                )
                .help("write `\"text\"`; numbers, dates, `true` and `false` stand alone")
            };
            return (span, finding.at(span, ""));
        }
        let mut message = format!("not valid TOML: {}", error.description());
        let expected: Vec<String> =
            error.expected().unwrap_or_default().iter().filter_map(expected).collect();
        match expected.split_last() {
            None => {}
            Some((only, [])) => message.push_str(&format!("; expected {only}")),
            Some((last, others)) => message.push_str(&format!("; expected {} or {last}", others.join(", "))),
        }
        let mut finding = Diagnostic::error(Code::TomlSyntax, message).at(span, "");
        if NUMBERS.contains(&error.description()) {
            // 3.6.14, 10.0.0.1, 10.0.0.0/16.
            finding = finding.help("write it in quotes if it is a text: versions and addresses are");
        }
        if let Some(context) = error.context().filter(|context| Some(*context) != error.unexpected()) {
            finding = finding.also(self.place(context), "in this");
        }
        (span, finding)
    }
}

fn expected(expected: &Expected) -> Option<String> {
    match expected {
        Expected::Literal("\n") => Some("a line break".to_owned()),
        Expected::Literal(text) => Some(format!("`{text}`")),
        Expected::Description(text) => Some((*text).to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
