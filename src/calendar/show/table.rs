//! The calendar as a table. Where it would not fit the terminal, columns go, the least needed first, and then names are cut.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};

use crate::calendar::{Calendar, Entry, State, What};
use crate::render::overview::date;

/// How the table looks.
#[derive(Debug, Clone, Copy, Default)]
pub struct Look {
    /// Whether colour is shown.
    pub colour: bool,
    /// Columns of the terminal; `None` writes everything.
    pub width: Option<usize>,
}

const HEAD: [&str; 7] = ["STATE", "DAYS", "UNTIL", "NAME", "OWNER", "PURPOSE", "PATH"];
const DAYS: usize = 1;
const NAME: usize = 3;
/// The order in which columns go.
const EXPENDABLE: [usize; 3] = [6, 4, 5];
const GAP: usize = 2;

/// One table per cluster.
pub fn table(calendars: &[Calendar], look: Look) -> String {
    let mut out = String::new();
    for (i, calendar) in calendars.iter().enumerate() {
        if i > 0 {
            out.push('\n');
        }
        one(calendar, look, &mut out);
    }
    out
}

fn one(calendar: &Calendar, look: Look, out: &mut String) {
    let paint = |style: Style, text: &str| {
        if look.colour { format!("{style}{text}{style:#}") } else { text.to_owned() }
    };
    let title = format!("cluster {}", calendar.cluster);
    let _ = writeln!(out, "{}", paint(Style::new().bold(), &title));
    let rows: Vec<[String; 7]> = calendar.entries.iter().map(row).collect();
    let mut widths = HEAD.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut shown = [true; 7];
    let total = |shown: &[bool; 7], widths: &[usize; 7]| -> usize {
        let used: Vec<usize> = (0..7).filter(|i| shown[*i]).map(|i| widths[i]).collect();
        used.iter().sum::<usize>() + GAP * used.len().saturating_sub(1)
    };
    if let Some(width) = look.width {
        for column in EXPENDABLE {
            if total(&shown, &widths) > width {
                shown[column] = false;
            }
        }
        let over = total(&shown, &widths).saturating_sub(width);
        widths[NAME] = widths[NAME].saturating_sub(over).max(16);
    }
    let line = |cells: &[String; 7]| -> String {
        let mut text = String::new();
        for i in (0..7).filter(|i| shown[*i]) {
            let cell = cut(&cells[i], widths[i]);
            let pad = " ".repeat(widths[i].saturating_sub(cell.chars().count()));
            let (before, after) = if i == DAYS { (pad.as_str(), "") } else { ("", pad.as_str()) };
            let _ = write!(text, "{before}{cell}{after}{}", " ".repeat(GAP));
        }
        text.trim_end().to_owned()
    };
    let _ = writeln!(out, "{}", paint(Style::new().bold(), &line(&HEAD.map(str::to_owned))));
    for (entry, cells) in calendar.entries.iter().zip(&rows) {
        let text = line(cells);
        let style = match entry.state {
            State::Expired => AnsiColor::Red.on_default().bold(),
            State::Due => AnsiColor::Yellow.on_default(),
            State::Missing | State::Valid | State::Undated => Style::new(),
        };
        let _ = writeln!(out, "{}", if style == Style::new() { text } else { paint(style, &text) });
    }
    notes(calendar, out);
}

fn row(entry: &Entry) -> [String; 7] {
    let mut state = entry.state.as_str().to_owned();
    if entry.marked {
        state.push_str(", marked");
    }
    let until = match (entry.not_after, entry.what) {
        (Some(end), _) => date(end),
        (None, What::HostMade) => "on the host".to_owned(),
        (None, _) => "-".to_owned(),
    };
    let paths: Vec<&str> = entry.places.iter().map(|p| p.path.as_str()).collect();
    // Of a certificate with its key, and of what lies on many hosts under one path, the first says where to look.
    let path = match paths.as_slice() {
        [] => "-".to_owned(),
        [one] => (*one).to_owned(),
        [one, more @ ..] => format!("{one} (+{})", more.len()),
    };
    [
        state,
        entry.days_left.map_or_else(|| "-".to_owned(), |d| d.to_string()),
        until,
        entry.id.clone(),
        entry.owner.clone(),
        entry.purpose.clone(),
        path,
    ]
}

/// A text of at most so many characters; what is left out in the middle shows as one.
fn cut(text: &str, width: usize) -> String {
    let chars: Vec<char> = text.chars().collect();
    if chars.len() <= width {
        return text.to_owned();
    }
    let head = width.saturating_sub(1) / 2;
    let tail = width.saturating_sub(1) - head;
    chars.iter().take(head).chain(['…'].iter()).chain(chars.iter().skip(chars.len() - tail)).collect()
}

fn notes(calendar: &Calendar, out: &mut String) {
    let count = |state: State| calendar.entries.iter().filter(|e| e.state == state).count();
    let mut parts = Vec::new();
    for state in [State::Expired, State::Due, State::Missing, State::Valid, State::Undated] {
        let n = count(state);
        if n > 0 {
            parts.push(format!("{n} {}", state.as_str()));
        }
    }
    let _ = writeln!(out, "{} (due: {} days before the end)", parts.join(", "), calendar.renew_before_days);
    let made = calendar.entries.iter().filter(|e| e.what == What::HostMade && e.not_after.is_none()).count();
    if made > 0 {
        let _ = writeln!(
            out,
            "{made} certificates are made by the hosts themselves: --facts shows their dates (khagen-certificates --facts on each)"
        );
    }
    if !calendar.unused.is_empty() {
        let _ = writeln!(
            out,
            "{} objects of the store are of no use to this inventory any more",
            calendar.unused.len()
        );
    }
    for entry in calendar.entries.iter().filter(|e| e.what != What::HostMade || e.not_after.is_some()) {
        for note in &entry.notes {
            let _ = writeln!(out, "note: {}: {note}", entry.id);
        }
    }
    for note in &calendar.notes {
        let _ = writeln!(out, "note: {note}");
    }
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn the_middle_goes_first() {
        assert_eq!(cut("apiserver/a.example.com", 23), "apiserver/a.example.com");
        assert_eq!(cut("apiserver/a.example.com", 11), "apise…e.com");
        assert_eq!(cut("äöü", 2), "…ü");
    }
}
