//! The third of the summary's answers: whether certificates or trust change, and until when they are valid.

use std::collections::{BTreeMap, BTreeSet};

use super::changes::Section;
use super::names::Names;
use super::summary::{Answer, Entry, LINES, entry};
use super::timeline::day;
use crate::diff::change::{CertificateDates, ClusterDiff, What};
use crate::diff::show::layout::count;

/// The answer.
pub fn trust(key: &str, cluster: &ClusterDiff, sections: &[Section], names: &mut Names) -> Answer {
    let rows = &cluster.certificates;
    let is = |ca: bool| rows.iter().filter(move |r| r.ca == ca);
    let renewed =
        |r: &&CertificateDates| matches!((&r.old_not_after, &r.new_not_after), (Some(a), Some(b)) if a != b);
    let added = |r: &&CertificateDates| r.old_not_after.is_none();
    let gone = |r: &&CertificateDates| r.new_not_after.is_none();
    let mut lines = Vec::new();
    // A CA with another key can have the same dates, so that its file's changes count, not only the dates.
    let ca_files: BTreeSet<&str> = is(true).map(|r| r.file.as_str()).collect();
    let ca_changes: BTreeSet<&str> = cluster
        .changes
        .iter()
        .filter(|c| !c.minor && ca_files.contains(c.file.as_str()))
        .map(|c| c.file.as_str())
        .collect();
    let trust = !ca_changes.is_empty() || is(true).any(|r| renewed(&r) || added(&r) || gone(&r));
    for file in &ca_changes {
        lines.push(Entry { note: "changes".to_owned(), ..entry("reissue", format!("CA {file}")) });
    }
    let dates = |rows: &[&CertificateDates]| {
        let all: BTreeSet<&str> = rows.iter().filter_map(|r| r.new_not_after.as_deref()).map(day).collect();
        match (all.first(), all.last()) {
            (Some(a), Some(b)) if a == b => format!("until {a}"),
            (Some(a), Some(b)) => format!("until {a} to {b}"),
            _ => String::new(),
        }
    };
    let mut counts = Vec::new();
    let link = |file: &str| {
        let of = |s: &Section| s.files.iter().find(|f| f.title == file).map(|f| f.id.clone());
        sections.iter().find_map(of).unwrap_or_default()
    };
    // One that is issued again has another serial number, whatever its dates are.
    let mut issued = 0;
    for change in cluster.changes.iter().filter(|c| !ca_files.contains(c.file.as_str())) {
        if matches!(&change.what, What::Field { field, .. } if field.ends_with("serial")) {
            issued += change.hosts.len();
            lines.push(Entry {
                note: format!("issued again on {}", names.label(&change.hosts)),
                link: link(&change.file),
                ..entry("", change.file.clone())
            });
        }
    }
    let found = lines.len();
    if found > LINES {
        lines.truncate(LINES);
        lines.push(entry("", format!("and {} more files", found - LINES)));
    }
    if issued > 0 {
        counts.push(format!("{issued} issued again"));
    }
    for (rows, word) in [
        (is(false).filter(renewed).collect::<Vec<_>>(), "with another date"),
        (is(false).filter(added).collect(), "new"),
        (is(false).filter(gone).collect(), "gone"),
    ] {
        if !rows.is_empty() {
            if issued == 0 || word != "with another date" {
                counts.push(format!("{} {word}", rows.len()));
            }
            let what = format!("{} {word}", count(rows.len(), "certificate"));
            lines.push(Entry { note: dates(&rows), ..entry("", what) });
        }
    }
    let mut secrets: BTreeMap<&str, usize> = BTreeMap::new();
    for change in &cluster.changes {
        if let What::Secret { how, .. } = &change.what {
            *secrets.entry(how).or_default() += change.hosts.len();
        }
    }
    for (how, n) in secrets {
        lines.push(Entry { note: how.to_owned(), ..entry("", count(n, "secret")) });
    }
    let first = is(false).filter(|r| r.new_not_after.is_some()).min_by_key(|r| r.new_not_after.clone());
    if let Some(row) = first {
        lines.push(Entry {
            note: format!(
                "{}: {} on {}",
                row.new_not_after.as_deref().map(day).unwrap_or_default(),
                row.file,
                row.host
            ),
            link: names.id(&row.host),
            ..entry("", "First to expire afterwards".to_owned())
        });
    }
    if !cluster.issues.is_empty() {
        lines.push(Entry {
            note: "by the next build".to_owned(),
            link: format!("{key}-issues"),
            ..entry("", format!("{} to be issued", cluster.issues.len()))
        });
    }
    Answer {
        question: "Do certificates or trust change?",
        headline: match (trust, counts.is_empty()) {
            (true, _) => "Trust changes".to_owned(),
            (false, true) => "No".to_owned(),
            (false, false) => format!("Certificates: {}; trust stays", counts.join(", ")),
        },
        class: if trust { "recreate" } else { "" },
        lines,
        more: (!rows.is_empty()).then(|| (format!("{key}-certificates"), "The timeline")),
    }
}
