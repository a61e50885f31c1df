//! The operator's hosts.tsv: a line per host, columns named by the first line.

use std::collections::{BTreeMap, BTreeSet};

use super::change::What;

type Rows<'a> = BTreeMap<&'a str, Vec<&'a str>>;

/// Differences by host and column; `None` if one is no such table, or only their order differs (which is the order of work).
pub fn compare(old: &str, new: &str) -> Option<Vec<What>> {
    let ((columns, a), (new_columns, b)) = (read(old)?, read(new)?);
    if columns != new_columns {
        return None;
    }
    let mut found = Vec::new();
    let hosts: BTreeSet<&&str> = a.keys().chain(b.keys()).collect();
    for host in hosts {
        let field = |column: &str| format!("{host} > {column}");
        match (a.get(*host), b.get(*host)) {
            (Some(x), Some(y)) => {
                for ((column, x), y) in columns.iter().zip(x).zip(y).filter(|((_, x), y)| x != y) {
                    let value = |v: &str| (v != "-").then(|| v.to_owned());
                    found.push(What::Field { field: field(column), old: value(x), new: value(y) });
                }
            }
            (x, y) => found.push(What::Field {
                field: (*host).to_string(),
                old: x.map(|row| row.join(" ")),
                new: y.map(|row| row.join(" ")),
            }),
        }
    }
    (!found.is_empty() || old == new).then_some(found)
}

fn read(text: &str) -> Option<(Vec<&str>, Rows<'_>)> {
    let mut lines = text.lines();
    let columns: Vec<&str> = lines.next()?.strip_prefix("# ")?.split('\t').skip(1).collect();
    let mut rows = Rows::new();
    for line in lines {
        let mut cells = line.split('\t');
        let host = cells.next()?;
        let row: Vec<&str> = cells.collect();
        if row.len() != columns.len() || rows.insert(host, row).is_some() {
            return None;
        }
    }
    Some((columns, rows))
}
