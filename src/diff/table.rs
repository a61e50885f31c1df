//! The operator's hosts.tsv: a line per host, columns named by the first line.

use std::collections::{BTreeMap, BTreeSet};

use super::change::What;

type Rows<'a> = BTreeMap<&'a str, Vec<&'a str>>;

/// Differences by host and column; `None` if one is no such table, or only their order differs (which is the order of work). A
/// table of an earlier khagen may lack the last columns: it says nothing there.
pub fn compare(old: &str, new: &str) -> Option<Vec<What>> {
    let ((old_columns, mut a), (columns, b)) = (read(old)?, read(new)?);
    if !columns.starts_with(&old_columns) {
        return None;
    }
    for row in a.values_mut() {
        row.resize(columns.len(), "-");
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

#[cfg(test)]
mod tests {
    use super::compare;
    use crate::diff::change::What;

    const OLD: &str = "# fqdn\tnode name\tlabels\na.x\ta\t-\nb.x\tb\tdisk=ssd\n";

    fn said(old: &str, new: &str) -> Option<Vec<String>> {
        let shown = |what: What| match what {
            What::Field { field, old, new } => {
                format!("{field}: {} -> {}", old.unwrap_or_default(), new.unwrap_or_default())
            }
            other => format!("{other:?}"),
        };
        compare(old, new).map(|found| found.into_iter().map(shown).collect())
    }

    #[test]
    fn a_table_without_the_last_column_says_nothing_there() {
        let new = "# fqdn\tnode name\tlabels\ttaints\na.x\ta\t-\t-\nb.x\tb\tdisk=hdd\tgpu:NoSchedule\n";
        assert_eq!(
            said(OLD, new),
            Some(vec![
                "b.x > labels: disk=ssd -> disk=hdd".to_owned(),
                "b.x > taints:  -> gpu:NoSchedule".to_owned()
            ])
        );
        // the column alone is a text that changed, and no host's
        assert_eq!(said(OLD, "# fqdn\tnode name\tlabels\ttaints\na.x\ta\t-\t-\nb.x\tb\tdisk=ssd\t-\n"), None);
        assert_eq!(said(new, OLD), None);
        assert_eq!(said(OLD, "# fqdn\tlabels\tnode name\na.x\t-\ta\n"), None);
    }
}
