//! What travels beside a bundle, as the manifest lists it: a package or program a change, not one for each of its columns.
//!
//! It only puts changes of the manifest together; what comes of them is the table's.

use std::collections::BTreeMap;

use super::change::What;
use super::compare::Item;

/// Columns by which a row is known to have changed, the first that did standing for it.
const TELLING: [&str; 3] = ["version", "sha256", "mode"];

/// `debs[nginx].version` is column `version` of row `debs[nginx]`.
fn split(field: &str) -> Option<(&str, &str)> {
    let (row, column) = field.rsplit_once("].")?;
    let listed = row.starts_with("debs[") || row.starts_with("binaries[");
    listed.then(|| (field.get(..=row.len()).unwrap_or(field), column))
}

/// A row that came or went becomes one change; of one that stays, what follows from its version or digest is minor.
pub fn rows(items: Vec<Item>) -> Vec<Item> {
    let mut rows: BTreeMap<String, Vec<Item>> = BTreeMap::new();
    let mut out = Vec::with_capacity(items.len());
    for item in items {
        let row = match &item.what {
            What::Field { field, .. } => split(field).map(|(row, _)| row.to_owned()),
            _ => None,
        };
        match row {
            Some(row) => rows.entry(row).or_default().push(item),
            None => out.push(item),
        }
    }
    for (row, items) in rows {
        out.extend(one(&row, items));
    }
    out
}

fn column(item: &Item) -> (&str, Option<&String>, Option<&String>) {
    match &item.what {
        What::Field { field, old, new } => (split(field).map_or("", |(_, c)| c), old.as_ref(), new.as_ref()),
        _ => ("", None, None),
    }
}

fn one(row: &str, mut items: Vec<Item>) -> Vec<Item> {
    let whole = |gone: bool| {
        items.iter().all(|i| match column(i) {
            (_, old, None) => gone && old.is_some(),
            (_, None, Some(_)) => !gone,
            _ => false,
        })
    };
    for gone in [false, true] {
        if !whole(gone) {
            continue;
        }
        // A package is known by its version, a program by the file it is from.
        let value = ["version", "from"].iter().find_map(|wanted| {
            items
                .iter()
                .map(column)
                .find(|(c, ..)| c == wanted)
                .and_then(|(_, old, new)| old.or(new))
                .cloned()
        });
        let (Some(value), Some(mut item)) = (value, items.first().cloned()) else { break };
        let (old, new) = if gone { (Some(value), None) } else { (None, Some(value)) };
        item.what = What::Field { field: row.to_owned(), old, new };
        return vec![item];
    }
    let telling = TELLING
        .iter()
        .find(|wanted| items.iter().any(|i| column(i).0 == **wanted))
        .copied()
        .unwrap_or_default();
    for item in &mut items {
        let own = column(item).0;
        item.minor = !telling.is_empty() && own != telling && own != "mode";
    }
    items
}
