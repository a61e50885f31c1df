//! The calendar as iCalendar (RFC 5545): one event per certificate, at its end, with alarms before it.
//!
//! The same store gives the same bytes on every day. A renewed certificate keeps its event, which moves: the UID is made of
//! the cluster's id and the certificate's name, and SEQUENCE grows with the time of issue.

use std::fmt::Write;

use time::OffsetDateTime;

use crate::calendar::{Calendar, Entry};

/// Days before the end at which an alarm rings, beside the inventory's `pki.renewBefore`.
const ALARMS: [u32; 3] = [30, 7, 1];

/// All clusters in one calendar object.
pub fn ical(calendars: &[Calendar]) -> String {
    let mut out = String::new();
    for text in [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//khagen//certificates//EN",
        "CALSCALE:GREGORIAN",
        "METHOD:PUBLISH",
    ] {
        line(&mut out, text);
    }
    for calendar in calendars {
        let name = format!("certificates of {}", calendar.cluster);
        if calendars.len() == 1 {
            line(&mut out, &format!("X-WR-CALNAME:{}", escaped(&name)));
        }
        for entry in &calendar.entries {
            if let Some(end) = entry.not_after {
                event(&mut out, calendar, entry, end);
            }
        }
    }
    line(&mut out, "END:VCALENDAR");
    out
}

fn event(out: &mut String, calendar: &Calendar, entry: &Entry, end: OffsetDateTime) {
    let issued = entry.issued.or(entry.not_before).unwrap_or(end);
    // Minutes since 1970 grow with every issue and fit RFC 5545's 32-bit integer until the year 6053.
    let sequence = issued.unix_timestamp().div_euclid(60).max(0);
    let summary = format!("{}: {} ends", calendar.cluster, entry.id);
    let mut description = format!("{}\nOwner: {}", entry.purpose, entry.owner);
    for place in &entry.places {
        let _ = write!(description, "\n{}: {}", place.on, place.path);
    }
    let _ = write!(description, "\nRenew it with: khagen pki renew {}", entry.id);
    if entry.issued.is_none() {
        description.truncate(description.rfind('\n').unwrap_or(description.len()));
    }
    for note in &entry.notes {
        let _ = write!(description, "\n{note}");
    }
    line(out, "BEGIN:VEVENT");
    line(out, &format!("UID:{}", escaped(&format!("{}@{}.khagen", entry.id, calendar.cluster_id))));
    line(out, &format!("DTSTAMP:{}", utc(issued)));
    line(out, &format!("SEQUENCE:{sequence}"));
    line(out, &format!("DTSTART:{}", utc(end)));
    line(out, &format!("SUMMARY:{}", escaped(&summary)));
    line(out, &format!("DESCRIPTION:{}", escaped(&description)));
    line(out, "CATEGORIES:certificate");
    line(out, "TRANSP:TRANSPARENT");
    let first = calendar.renew_before_days;
    for days in std::iter::once(first).chain(ALARMS.into_iter().filter(|d| *d < first)) {
        line(out, "BEGIN:VALARM");
        line(out, "ACTION:DISPLAY");
        line(out, &format!("TRIGGER:-P{days}D"));
        line(out, &format!("DESCRIPTION:{}", escaped(&summary)));
        line(out, "END:VALARM");
    }
    line(out, "END:VEVENT");
}

/// A DATE-TIME in UTC (section 3.3.5).
fn utc(t: OffsetDateTime) -> String {
    format!(
        "{:04}{:02}{:02}T{:02}{:02}{:02}Z",
        t.year(),
        u8::from(t.month()),
        t.day(),
        t.hour(),
        t.minute(),
        t.second()
    )
}

/// A TEXT value (section 3.3.11). Control characters, which no TEXT may hold, become spaces.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | ';' | ',' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// A content line, folded so that none has more than 75 octets and no character is torn (section 3.1).
fn line(out: &mut String, text: &str) {
    let mut octets = 0;
    for c in text.chars() {
        if octets + c.len_utf8() > 75 {
            out.push_str("\r\n ");
            octets = 1;
        }
        out.push(c);
        octets += c.len_utf8();
    }
    out.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_folded_between_characters() {
        let mut out = String::new();
        let text = format!("SUMMARY:{}", "ä".repeat(100));
        line(&mut out, &text);
        assert!(out.split("\r\n").all(|l| l.len() <= 75), "{out}");
        assert_eq!(out.replace("\r\n ", ""), format!("{text}\r\n"));
    }

    #[test]
    fn text_is_escaped() {
        assert_eq!(escaped("a,b;c\\d\ne\r"), "a\\,b\\;c\\\\d\\ne ");
    }
}
