//! Tables of a TOML document while it is read, and when one is defined twice.
//!
//! TOML 1.1: a table may be defined once. A header may fill a table that only longer headers mentioned; dotted keys
//! may extend what dotted keys began; an inline table is closed with its brace.

use crate::load::tree::{Entry, KeyIndex, Node, Value};
use crate::source::{Span, Spanned};

/// The parts of a dotted key.
pub(super) type Keys = Vec<Spanned<String>>;

/// What stands under a key.
#[derive(Debug)]
pub(super) enum Item {
    /// A scalar or an array written in brackets.
    Value(Node),
    /// A table in any notation.
    Table(Table),
    /// `[[…]]`.
    Tables(Vec<Table>, Span),
}

/// How a table came to be, which decides who may still add to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// A longer header mentioned it: `[a.b]` makes `a`.
    Mentioned,
    /// Its own header.
    Header,
    /// Dotted keys.
    Dotted,
    /// Braces.
    Inline,
}

/// A key that is set, or a table that is defined, a second time.
#[derive(Debug)]
pub(super) struct Redefined {
    pub(super) again: Spanned<String>,
    pub(super) first: Span,
}

impl Redefined {
    fn new(again: &Spanned<String>, first: Span) -> Self {
        Redefined { again: again.clone(), first }
    }
}

#[derive(Debug)]
pub(super) struct Table {
    entries: Vec<(Spanned<String>, Item)>,
    index: KeyIndex,
    origin: Origin,
    pub(super) span: Span,
}

impl Item {
    pub(super) fn into_node(self) -> Node {
        match self {
            Item::Value(node) => node,
            Item::Table(table) => table.into_node(),
            Item::Tables(tables, span) => {
                Node { value: Value::List(tables.into_iter().map(Table::into_node).collect()), span }
            }
        }
    }
}

impl Table {
    pub(super) fn header(span: Span) -> Self {
        Self::new(Origin::Header, span)
    }

    pub(super) fn inline(span: Span) -> Self {
        Self::new(Origin::Inline, span)
    }

    fn new(origin: Origin, span: Span) -> Self {
        Table { entries: Vec::new(), index: KeyIndex::default(), origin, span }
    }

    fn into_node(self) -> Node {
        let entries = self.entries.into_iter().map(|(key, item)| Entry { key, value: item.into_node() });
        Node { value: Value::Map(entries.collect()), span: self.span }
    }

    fn find(&mut self, key: &str) -> Option<usize> {
        let entries = &self.entries;
        self.index.find(key, entries.len(), |at| &entries[at].0.value)
    }

    /// Returns the table that a header opened: the last one where the header, or a part of it, is a list.
    pub(super) fn locate(&mut self, header: &[Spanned<String>]) -> Option<&mut Table> {
        let mut table = self;
        for key in header {
            let at = table.find(&key.value)?;
            table = match &mut table.entries[at].1 {
                Item::Table(inner) => inner,
                Item::Tables(list, _) => list.last_mut()?,
                Item::Value(_) => return None,
            };
        }
        Some(table)
    }

    /// Opens the table of a header, or appends to a list of tables.
    pub(super) fn open(&mut self, keys: &[Spanned<String>], list: bool, span: Span) -> Result<(), Redefined> {
        let Some((last, path)) = keys.split_last() else { return Ok(()) };
        let parent = self.descend(path, false)?;
        let Some(at) = parent.find(&last.value) else {
            let table = Table::header(span);
            let item = if list { Item::Tables(vec![table], span) } else { Item::Table(table) };
            parent.entries.push((last.clone(), item));
            return Ok(());
        };
        let (first, item) = &mut parent.entries[at];
        match item {
            Item::Tables(tables, _) if list => tables.push(Table::header(span)),
            Item::Table(table) if !list && table.origin == Origin::Mentioned => {
                table.origin = Origin::Header;
                table.span = span;
                *first = last.clone();
            }
            _ => return Err(Redefined::new(last, first.span)),
        }
        Ok(())
    }

    /// Sets a key, dotted or not.
    pub(super) fn set(&mut self, keys: &[Spanned<String>], item: Item) -> Result<(), Redefined> {
        let Some((last, path)) = keys.split_last() else { return Ok(()) };
        let parent = self.descend(path, true)?;
        if let Some(at) = parent.find(&last.value) {
            return Err(Redefined::new(last, parent.entries[at].0.span));
        }
        parent.entries.push((last.clone(), item));
        Ok(())
    }

    fn descend(&mut self, path: &[Spanned<String>], dotted: bool) -> Result<&mut Table, Redefined> {
        let origin = if dotted { Origin::Dotted } else { Origin::Mentioned };
        let mut table = self;
        for key in path {
            let at = match table.find(&key.value) {
                Some(at) => at,
                None => {
                    table.entries.push((key.clone(), Item::Table(Table::new(origin, key.span))));
                    table.entries.len() - 1
                }
            };
            let (first, item) = &mut table.entries[at];
            let refused = || Err(Redefined::new(key, first.span));
            table = match item {
                Item::Value(_) => return refused(),
                Item::Tables(tables, _) => match tables.last_mut() {
                    Some(last) if !dotted => last,
                    _ => return refused(),
                },
                Item::Table(inner) => {
                    match (inner.origin, dotted) {
                        (Origin::Inline, _) | (Origin::Header, true) => return refused(),
                        (Origin::Mentioned, true) => inner.origin = Origin::Dotted,
                        _ => {}
                    }
                    inner
                }
            };
        }
        Ok(table)
    }
}
