//! Until when certificates are valid, before and after, on an axis: CAs apart, since they live ten times as long.
//!
//! Certificates of the same file that end on the same days are one row, so that a thousand hosts are readable.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::names::{Hosts, Names};
use crate::diff::change::{CertificateDates, ClusterDiff};
use crate::diff::show::layout::count;

/// Certificates with one axis.
pub struct Timeline {
    /// What it is linked by.
    pub id: String,
    /// What they are.
    pub title: &'static str,
    /// What a row's hosts are.
    pub of: &'static str,
    /// Marks on the axis.
    pub ticks: Vec<Tick>,
    /// Those with another date, first to end first.
    pub changed: Vec<Row>,
    /// The others.
    pub same: Vec<Row>,
    /// How many the others are.
    pub same_label: String,
}

/// A mark on the axis.
pub struct Tick {
    /// Tenths of a percent of the width, as `12.3`.
    pub at: String,
    /// The date.
    pub label: String,
}

/// Certificates that end on the same days.
pub struct Row {
    /// The file, with `<name>` for the host's.
    pub file: String,
    /// The subject.
    pub subject: String,
    /// Which hosts.
    pub hosts: Hosts,
    /// Before.
    pub old: Option<Mark>,
    /// After.
    pub new: Option<Mark>,
    /// `longer`, `shorter`, `same`, `new` or `gone`.
    pub class: &'static str,
    /// The line between both, if they differ.
    pub line: Option<(String, String)>,
}

/// A date on the axis.
pub struct Mark {
    /// As the row says it.
    pub text: String,
    /// As it is in the certificate, where all of the row agree.
    pub exact: String,
    /// Where on the axis.
    pub at: Option<String>,
}

/// More rows than this are put together by month, or by year.
const ROWS: usize = 300;

/// The day of a date.
pub fn day(date: &str) -> &str {
    date.split('T').next().unwrap_or(date)
}

/// A date with its time, for two of the same day.
fn minute(date: &str) -> String {
    date.replace('T', " ").replace('Z', "")
}

/// Leaves first, then CAs.
pub fn timelines(key: &str, cluster: &ClusterDiff, names: &mut Names) -> Vec<Timeline> {
    [(false, "leaves", "Of hosts and clients"), (true, "authorities", "Authorities")]
        .into_iter()
        .filter_map(|(ca, id, title)| {
            // A CA that many hosts have is told once, of the first.
            let of = if ca { "First of its hosts" } else { "Hosts" };
            let all: Vec<&CertificateDates> = cluster.certificates.iter().filter(|c| c.ca == ca).collect();
            (!all.is_empty()).then(|| timeline(format!("{key}-{id}"), title, of, &all, names))
        })
        .collect()
}

type Key<'a> = (Option<&'a str>, Option<&'a str>, String, String);

/// `length` characters of a date are what rows are put together by.
fn group<'a>(all: &[&'a CertificateDates], length: usize) -> BTreeMap<Key<'a>, Vec<&'a CertificateDates>> {
    let cut = |date: &'a Option<String>| date.as_deref().map(|d| d.get(..length).unwrap_or(d));
    let mut groups: BTreeMap<Key<'a>, Vec<&'a CertificateDates>> = BTreeMap::new();
    for one in all {
        let short = one.host.split('.').next().unwrap_or_default();
        let mask = |text: &str| {
            let text = text.replace(&*one.host, "<host>");
            // A short name stands alone, or is the first part of a file's name.
            match text.rsplit_once(['/', '=']) {
                _ if short.is_empty() => text,
                Some((_, last)) if last.starts_with(short) => {
                    let at = text.len() - last.len();
                    format!("{}<name>{}", &text[..at], &last[short.len()..])
                }
                _ => text,
            }
        };
        let (old, new) = (cut(&one.old_not_after), cut(&one.new_not_after));
        groups.entry((new.or(old), old, mask(&one.file), mask(&one.subject))).or_default().push(one);
    }
    groups
}

fn timeline(
    id: String,
    title: &'static str,
    of: &'static str,
    all: &[&CertificateDates],
    names: &mut Names,
) -> Timeline {
    // By day, else by month, else by year.
    let mut groups = group(all, 10);
    for length in [7, 4] {
        if groups.len() > ROWS {
            groups = group(all, length);
        }
    }
    let times: Vec<i64> = all
        .iter()
        .flat_map(|c| [&c.old_not_after, &c.new_not_after])
        .flatten()
        .filter_map(|d| seconds(d))
        .collect();
    let axis = Axis::new(&times);
    let (mut changed, mut same, mut unchanged) = (Vec::new(), Vec::new(), 0);
    for ((_, _, file, subject), members) in groups {
        let differs = members.iter().any(|m| m.old_not_after != m.new_not_after);
        if !differs {
            unchanged += members.len();
        }
        let row = row(file, subject, &members, axis.as_ref(), names);
        if differs { changed.push(row) } else { same.push(row) }
    }
    Timeline {
        id,
        title,
        of,
        ticks: axis.map(|a| a.ticks()).unwrap_or_default(),
        changed,
        same,
        same_label: count(unchanged, "certificate"),
    }
}

fn row(
    file: String,
    subject: String,
    members: &[&CertificateDates],
    axis: Option<&Axis>,
    names: &mut Names,
) -> Row {
    let hosts: Vec<Arc<str>> =
        members.iter().map(|m| m.host.clone()).collect::<BTreeSet<_>>().into_iter().collect();
    let mark = |of: &dyn Fn(&CertificateDates) -> Option<String>| {
        let dates: BTreeSet<String> = members.iter().filter_map(|m| of(m)).collect();
        let (first, last) = (dates.first()?, dates.last()?);
        Some(Mark {
            text: if day(first) == day(last) {
                day(first).to_owned()
            } else {
                format!("{} \u{2013} {}", day(first), day(last))
            },
            exact: if first == last { first.clone() } else { format!("{first} to {last}") },
            // The first to end is the one that matters.
            at: axis.zip(seconds(first)).map(|(a, t)| a.at(t)),
        })
    };
    let mut old = mark(&|m| m.old_not_after.clone());
    let mut new = mark(&|m| m.new_not_after.clone());
    if let (Some(a), Some(b)) = (&mut old, &mut new)
        && a.text == b.text
        && a.exact != b.exact
    {
        // The same day, but not the same.
        (a.text, b.text) = (minute(&a.exact), minute(&b.exact));
    }
    let class = match (&old, &new) {
        (Some(a), Some(b)) if a.exact == b.exact => "same",
        (Some(a), Some(b)) if a.exact < b.exact => "longer",
        (Some(_), Some(_)) => "shorter",
        (None, _) => "new",
        (_, None) => "gone",
    };
    let line = match (&old, &new) {
        (Some(Mark { at: Some(a), .. }), Some(Mark { at: Some(b), .. })) if a != b => {
            Some((a.clone(), b.clone()))
        }
        _ => None,
    };
    Row { file, subject, hosts: names.list(&hosts), old, new, class, line }
}

fn seconds(date: &str) -> Option<i64> {
    OffsetDateTime::parse(date, &Rfc3339).ok().map(OffsetDateTime::unix_timestamp)
}

/// From the first date to the last, with some room.
struct Axis {
    from: i64,
    to: i64,
}

impl Axis {
    fn new(times: &[i64]) -> Option<Axis> {
        const MONTH: i64 = 30 * 86_400;
        let (from, to) = (times.iter().min()?, times.iter().max()?);
        let room = ((to - from) / 16).max(3 * MONTH);
        Some(Axis { from: from - room, to: to + room })
    }

    fn at(&self, time: i64) -> String {
        let thousandths = (time - self.from) * 1000 / (self.to - self.from).max(1);
        let thousandths = thousandths.clamp(0, 1000);
        format!("{}.{}", thousandths / 10, thousandths % 10)
    }

    /// At most five, at the beginning of months or years, and not where the label would be cut.
    fn ticks(&self) -> Vec<Tick> {
        let month = |t: i64| {
            let date = OffsetDateTime::from_unix_timestamp(t).unwrap_or(OffsetDateTime::UNIX_EPOCH);
            i64::from(date.year()) * 12 + i64::from(u8::from(date.month())) - 1
        };
        let (first, last) = (month(self.from) + 1, month(self.to));
        let step = [1, 2, 3, 6, 12, 24, 60, 120, 240, 1200]
            .into_iter()
            .find(|s| (last - first) / s < 5)
            .unwrap_or(12_000);
        (first..=last)
            .filter(|m| m % step == 0)
            .filter_map(|m| {
                let (year, month) = (m.div_euclid(12), m.rem_euclid(12) + 1);
                let time = seconds(&format!("{year:04}-{month:02}-01T00:00:00Z"))?;
                let edge = (self.to - self.from) / 14;
                if time < self.from + edge || time > self.to - edge {
                    return None;
                }
                let label = if step % 12 == 0 { year.to_string() } else { format!("{year}-{month:02}") };
                Some(Tick { at: self.at(time), label })
            })
            .collect()
    }
}
