//! The calendar in Prometheus' text format, for node_exporter's textfile collector or any other.
//!
//! Times are absolute, as Prometheus advises: `metric - time()` is what is left, and the file is the same on every day.

use std::fmt::Write;

use time::OffsetDateTime;

use crate::calendar::{Calendar, Entry};

/// All clusters, a metric after the other.
pub fn prometheus(calendars: &[Calendar]) -> String {
    let mut out = String::new();
    metric(
        &mut out,
        calendars,
        "khagen_certificate_not_before_timestamp_seconds",
        "First second of a certificate's validity.",
        |_, e| e.not_before.map(OffsetDateTime::unix_timestamp),
    );
    metric(
        &mut out,
        calendars,
        "khagen_certificate_not_after_timestamp_seconds",
        "Last second of a certificate's validity.",
        |_, e| e.not_after.map(OffsetDateTime::unix_timestamp),
    );
    metric(
        &mut out,
        calendars,
        "khagen_certificate_due_timestamp_seconds",
        "From when a certificate should be renewed.",
        |c, e| e.not_after.map(|end| end.unix_timestamp() - i64::from(c.renew_before_days) * 86_400),
    );
    out
}

fn metric(
    out: &mut String,
    calendars: &[Calendar],
    name: &str,
    help: &str,
    value: impl Fn(&Calendar, &Entry) -> Option<i64>,
) {
    let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} gauge\n");
    for calendar in calendars {
        for entry in &calendar.entries {
            let Some(value) = value(calendar, entry) else { continue };
            let labels = [
                ("cluster", calendar.cluster.as_str()),
                ("name", &entry.id),
                ("kind", entry.what.as_str()),
                ("owner", &entry.owner),
                ("purpose", &entry.purpose),
            ];
            let labels: Vec<String> = labels.iter().map(|(k, v)| format!("{k}=\"{}\"", escaped(v))).collect();
            let _ = writeln!(out, "{name}{{{}}} {value}", labels.join(","));
        }
    }
}

/// A label's value: backslash, quote and line feed are escaped.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn labels_are_escaped() {
        assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
