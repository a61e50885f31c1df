//! Findings for people: the long form with excerpts and carets, and one line each.
//!
//! The only file that names annotate-snippets. It returns text; whoever prints decides where and whether in colour.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use annotate_snippets::{AnnotationKind, Element, Level, Origin, Renderer, Snippet};

use super::excerpt::{self, Excerpt, printable};
use super::wrap::wrap;
use super::{Diagnostic, Report, Severity, Waived};
use crate::source::Sources;

/// How the long form looks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look {
    /// Escape sequences for colour.
    pub colour: bool,
    /// Columns of the terminal; none where it goes elsewhere, and sentences are not broken.
    pub width: Option<usize>,
    /// Waived warnings too.
    pub waived: bool,
}

/// Where excerpts are cut if there is no terminal.
const WIDTH: usize = 140;
/// What stands before a sentence: ` = note: ` after the width of a line's number, or `warning[KH0101]: `.
const MARGIN: usize = 17;
/// Below this many columns nothing is broken that a terminal would not break as well.
const LEAST: usize = 40;

/// Returns all findings in the long form, and a line that counts them.
pub fn text(report: &Report, sources: &Sources, look: Look) -> String {
    let renderer = if look.colour { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.term_width(look.width.unwrap_or(WIDTH));
    let mut out = String::new();
    for finding in report.sorted(sources) {
        let level = match finding.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        out.push_str(&one_text(finding, level, report, sources, &renderer, look));
        out.push_str("\n\n");
    }
    for Waived { finding, by } in report.waived(sources).into_iter().filter(|_| look.waived) {
        let accepted = format!("accepted until {}: {}", by.until, by.reason);
        let finding = finding.clone().also(by.place, accepted);
        out.push_str(&one_text(&finding, Level::NOTE.with_name(WAIVED), report, sources, &renderer, look));
        out.push_str("\n\n");
    }
    if let Some(summary) = summary(report) {
        out.push_str(&summary);
        out.push('\n');
    }
    out
}

/// The word that a waived finding begins with, in place of its severity.
const WAIVED: &str = "waived";

/// Returns all findings as `path:line:col: error[KH0101]: message`, a line each.
pub fn lines(report: &Report, sources: &Sources) -> String {
    let findings = report.sorted(sources).into_iter();
    findings.map(|finding| line(finding, finding.severity.word(), sources)).collect()
}

/// Returns the waived findings in the same form.
pub fn waived_lines(report: &Report, sources: &Sources) -> String {
    report.waived(sources).into_iter().map(|waived| line(&waived.finding, WAIVED, sources)).collect()
}

fn line(finding: &Diagnostic, word: &str, sources: &Sources) -> String {
    let place = finding.primary.as_ref().map(|label| {
        let (line, column) = sources.line_col(label.span);
        format!("{}:{line}:{column}: ", printable(sources.path(label.span.source)))
    });
    format!("{}{word}[{}]: {}\n", place.unwrap_or_default(), finding.code, printable(&finding.message))
}

/// Returns "2 errors, 1 warning, 3 waived", or nothing when there is no finding.
pub fn summary(report: &Report) -> Option<String> {
    let (errors, warnings) = report.counts();
    let number = |count: usize, word: &str| match count {
        0 => None,
        1 => Some(format!("1 {word}")),
        _ => Some(format!("{count} {word}s")),
    };
    let waived =
        Some(report.waived_count()).filter(|count| *count > 0).map(|count| format!("{count} {WAIVED}"));
    let parts: Vec<String> =
        [number(errors, "error"), number(warnings, "warning"), waived].into_iter().flatten().collect();
    let mut summary = parts.join(", ");
    if report.omitted() > 0 {
        let _ = write!(summary, "; the last {} are not shown", report.omitted());
    }
    let soon = report.iter_waived().filter(|waived| waived.by.ends_soon);
    let soon: BTreeSet<_> = soon.map(|waived| (waived.by.until, waived.finding.code)).collect();
    for (until, code) in soon {
        let _ = write!(summary, "; the waiver of {code} lapses after {until}");
    }
    (!summary.is_empty()).then_some(summary)
}

fn one_text(
    finding: &Diagnostic,
    level: Level<'_>,
    report: &Report,
    sources: &Sources,
    renderer: &Renderer,
    look: Look,
) -> String {
    // Broken after `printable`, which would show the breaks as signs.
    let broken = |text: &str| match look.width {
        Some(width) => wrap(&printable(text), width.max(LEAST) - MARGIN),
        None => printable(text),
    };
    let title = broken(&finding.message);
    let labels = finding.primary.iter().chain(&finding.secondary);
    let excerpts = excerpt::cut(labels, sources, report);
    let mut elements: Vec<Element<'_>> = Vec::new();
    let mut unseen = Vec::new();
    for excerpt in &excerpts {
        if excerpt.text.is_empty() {
            elements.push(origin(excerpt, sources).into());
            unseen.extend(
                excerpt.labels.iter().map(|(_, label)| label.text.as_str()).filter(|text| !text.is_empty()),
            );
        } else {
            elements.push(snippet(finding, excerpt, sources).into());
        }
    }
    elements.extend(unseen.into_iter().map(|text| Element::from(Level::NOTE.message(printable(text)))));
    elements.extend(finding.reason.iter().map(|reason| Element::from(Level::NOTE.message(broken(reason)))));
    elements.extend(finding.help.iter().map(|help| Element::from(Level::HELP.message(broken(help)))));
    let title = level.primary_title(title).id(finding.code.as_str());
    renderer.render(&[title.elements(elements)])
}

fn snippet<'a>(
    finding: &Diagnostic,
    excerpt: &'a Excerpt<'_>,
    sources: &Sources,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let annotations = excerpt.labels.iter().map(|(place, label)| {
        let primary = finding.primary.as_ref().is_some_and(|primary| std::ptr::eq(primary, *label));
        let kind = if primary { AnnotationKind::Primary } else { AnnotationKind::Context };
        let text = (!label.text.is_empty()).then(|| printable(&label.text));
        kind.span(place.clone()).label(text)
    });
    Snippet::source(excerpt.text.as_str())
        .line_start(excerpt.line)
        .path(printable(sources.path(excerpt.source)))
        .annotations(annotations)
}

/// The place without the text: a line that is too long, or a file that has none.
fn origin(excerpt: &Excerpt<'_>, sources: &Sources) -> Origin<'static> {
    let origin = Origin::path(printable(sources.path(excerpt.source)));
    match excerpt.labels.first() {
        Some((_, label)) => {
            let (line, column) = sources.line_col(label.span);
            origin.line(line).char_column(column)
        }
        None => origin,
    }
}

#[cfg(test)]
mod tests;
