//! Findings: what is wrong with an inventory, where, why, and the way out.
//!
//! One [`Diagnostic`] per finding, collected in a [`Report`], drawn by several renderers. A finding is never an
//! error of the run: those are `Result`s. Nothing here prints, and no secret may enter a message.

pub mod code;
mod excerpt;
pub mod github;
pub mod json;
pub mod render;
pub mod sarif;
mod waived;
pub mod wrap;

pub use code::Code;
pub use waived::{Acceptance, Waived};

use std::collections::BTreeSet;

use crate::source::{Sources, Span};

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing is built.
    Error,
    /// The build goes on; fatal under `--strict`.
    Warning,
}

impl Severity {
    /// Returns the word that messages begin with.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// A place and what is to be said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// What stands under it; may be empty.
    pub text: String,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Which rule.
    pub code: Code,
    /// How much it weighs.
    pub severity: Severity,
    /// The rule, with both values.
    pub message: String,
    /// The place to look at first.
    pub primary: Option<Label>,
    /// Other places that matter.
    pub secondary: Vec<Label>,
    /// Why the rule exists, in the field's terms.
    pub reason: Option<String>,
    /// The way out, as an imperative.
    pub help: Option<String>,
}

impl Diagnostic {
    /// Starts an error.
    pub fn error(code: Code, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Error, message)
    }

    /// Starts a warning.
    pub fn warning(code: Code, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Warning, message)
    }

    fn new(code: Code, severity: Severity, message: impl Into<String>) -> Self {
        Diagnostic {
            code,
            severity,
            message: message.into(),
            primary: None,
            secondary: Vec::new(),
            reason: None,
            help: None,
        }
    }

    /// Names the place to look at first.
    #[must_use]
    pub fn at(mut self, span: Span, text: impl Into<String>) -> Self {
        self.primary = Some(Label { span, text: text.into() });
        self
    }

    /// Names another place that matters.
    #[must_use]
    pub fn also(mut self, span: Span, text: impl Into<String>) -> Self {
        self.secondary.push(Label { span, text: text.into() });
        self
    }

    /// Says why the rule exists.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// By path, offset and code; what has no place comes first.
    fn order(&self, sources: &Sources) -> impl Ord + use<> {
        let place = self.primary.as_ref().map(|label| {
            (sources.path(label.span.source).as_bytes().to_vec(), label.span.start, label.span.end)
        });
        (place, self.code, self.message.clone())
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// How many findings a report keeps. A file of a million faults is one fault of the file; memory and time stay
/// bounded, and the renderers say how many were left out.
pub const MAX_FINDINGS: usize = 10_000;

/// All findings of a run, in the order they were made.
#[derive(Debug, Default)]
pub struct Report {
    findings: Vec<Diagnostic>,
    waived: Vec<Waived>,
    /// Codes that are accepted wherever they are found.
    accepted: BTreeSet<Code>,
    accepted_unkept: usize,
    concealed: Vec<Span>,
    errors: usize,
    warnings: usize,
}

impl Report {
    /// Returns an empty report.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a finding. Past [`MAX_FINDINGS`] it is counted and not kept.
    pub fn push(&mut self, finding: Diagnostic) {
        let full = self.findings.len() >= MAX_FINDINGS;
        if full && finding.severity == Severity::Warning && self.accepted.contains(&finding.code) {
            self.accepted_unkept += 1;
            return;
        }
        match finding.severity {
            Severity::Error => self.errors += 1,
            Severity::Warning => self.warnings += 1,
        }
        if !full {
            self.findings.push(finding);
        }
    }

    /// Says which warnings [`Report::waive`] will take wherever they are found, so that those past [`MAX_FINDINGS`] count
    /// as waived.
    pub fn accept(&mut self, codes: impl IntoIterator<Item = Code>) {
        self.accepted.extend(codes);
    }

    /// Sets warnings apart: those for which `judge` gives a reason. It may add to those that stay.
    pub fn waive(&mut self, mut judge: impl FnMut(&mut Diagnostic) -> Option<Acceptance>) {
        for mut finding in std::mem::take(&mut self.findings) {
            match if finding.severity == Severity::Warning { judge(&mut finding) } else { None } {
                Some(by) => {
                    self.warnings -= 1;
                    self.waived.push(Waived { finding, by });
                }
                None => self.findings.push(finding),
            }
        }
    }

    /// Adds a warning that is waived.
    pub fn push_waived(&mut self, waived: Waived) {
        if self.waived.len() < MAX_FINDINGS {
            self.waived.push(waived);
        } else {
            self.accepted_unkept += 1;
        }
    }

    /// Returns the warnings that are waived by path, offset and code.
    pub fn waived(&self, sources: &Sources) -> Vec<&Waived> {
        let mut waived: Vec<&Waived> = self.waived.iter().collect();
        waived.sort_by_cached_key(|waived| waived.finding.order(sources));
        waived
    }

    /// Returns the warnings that are waived in the order they were made.
    pub fn iter_waived(&self) -> std::slice::Iter<'_, Waived> {
        self.waived.iter()
    }

    /// Returns how many warnings are waived, those not kept included.
    pub fn waived_count(&self) -> usize {
        self.waived.len() + self.accepted_unkept
    }

    /// Adds findings.
    pub fn extend(&mut self, findings: impl IntoIterator<Item = Diagnostic>) {
        for finding in findings {
            self.push(finding);
        }
    }

    /// Marks a place whose text looks secret: no renderer shows it, in whichever finding's excerpt it falls.
    pub fn conceal(&mut self, span: Span) {
        self.concealed.push(span);
    }

    /// Returns the places that no renderer may show.
    pub fn concealed(&self) -> &[Span] {
        &self.concealed
    }

    /// Returns whether anything forbids building.
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Returns whether there is no finding at all.
    pub fn is_empty(&self) -> bool {
        self.errors + self.warnings == 0
    }

    /// Returns the numbers of errors and of warnings, those not kept included.
    pub fn counts(&self) -> (usize, usize) {
        (self.errors, self.warnings)
    }

    /// Returns how many findings were counted and not kept.
    pub fn omitted(&self) -> usize {
        self.errors + self.warnings - self.findings.len()
    }

    /// Returns the findings in the order they were made.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.findings.iter()
    }

    /// Returns the findings by path, offset and code; those without a place come first.
    pub fn sorted(&self, sources: &Sources) -> Vec<&Diagnostic> {
        let mut findings: Vec<&Diagnostic> = self.findings.iter().collect();
        findings.sort_by_cached_key(|finding| finding.order(sources));
        findings
    }
}

#[cfg(test)]
mod tests {
    use time::Date;

    use super::*;

    #[test]
    fn findings_sort_by_path_then_offset_then_code() {
        let mut sources = Sources::new();
        let b = sources.add("b.yaml", "0123456789");
        let a = sources.add("a.yaml", "0123456789");
        let mut report = Report::new();
        report.push(Diagnostic::error(Code::SetTwice, "third").at(Span::new(b, 1..2), ""));
        report.push(Diagnostic::warning(Code::DuplicateKey, "second").at(Span::new(b, 1..2), ""));
        report.push(Diagnostic::error(Code::SetTwice, "first").at(Span::new(a, 5..6), ""));
        report.push(Diagnostic::error(Code::NoCluster, "zeroth"));
        let order: Vec<&str> = report.sorted(&sources).iter().map(|f| f.message.as_str()).collect();
        assert_eq!(order, ["zeroth", "first", "second", "third"]);
        assert_eq!(report.counts(), (3, 1));
        assert!(report.has_errors());
    }

    #[test]
    fn accepted_warnings_past_the_limit_count_as_waived() {
        let mut report = Report::new();
        report.accept([Code::EvenEtcd]);
        report.extend((0..MAX_FINDINGS + 7).map(|_| Diagnostic::warning(Code::EvenEtcd, "x")));
        report.push(Diagnostic::error(Code::EvenEtcd, "an error is never waived"));
        let place = Span::new(Sources::new().add("a", ""), 0..0);
        let until = Date::MIN;
        report.waive(|_| Some(Acceptance { place, reason: String::new(), until, ends_soon: false }));
        assert_eq!((report.counts(), report.waived_count()), ((1, 0), MAX_FINDINGS + 7));
        assert!(report.has_errors());
    }

    #[test]
    fn findings_past_the_limit_are_counted() {
        let mut report = Report::new();
        report.extend((0..MAX_FINDINGS + 7).map(|_| Diagnostic::error(Code::NoCluster, "x")));
        assert_eq!(report.iter().count(), MAX_FINDINGS);
        assert_eq!(report.omitted(), 7);
        assert_eq!(report.counts(), (MAX_FINDINGS + 7, 0));
    }
}
