//! Findings as workflow commands of GitHub Actions, which shows them beside the lines of a pull request.
//!
//! Form and escapes: docs.github.com, "Workflow commands", and actions/toolkit's `command.ts`.

use std::fmt::Write;

use super::{Report, Severity};
use crate::source::Sources;

/// Returns all findings, one a line.
pub fn github(report: &Report, sources: &Sources) -> String {
    let mut out = String::new();
    for finding in report.sorted(sources) {
        let level = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let mut message = finding.message.clone();
        for part in finding.reason.iter().chain(&finding.help) {
            message.push('\n');
            message.push_str(part);
        }
        let _ = write!(out, "::{level} ");
        if let Some(label) = &finding.primary {
            let (line, column) = sources.line_col(label.span);
            let (end_line, end_column) = sources.end_line_col(label.span);
            let path = property(sources.path(label.span.source));
            let _ = write!(out, "file={path},line={line},endLine={end_line},");
            // Columns are taken on one line only.
            if line == end_line {
                let _ = write!(out, "col={column},endColumn={end_column},");
            }
        }
        let title = format!("{}: {}", finding.code.as_str(), finding.code.title());
        let _ = writeln!(out, "title={}::{}", property(&title), data(&message));
    }
    out
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::{Code, Diagnostic};
    use crate::source::Span;

    #[test]
    fn nothing_in_a_finding_ends_its_command() {
        let mut sources = Sources::new();
        let id = sources.add("a,b:c.yaml", "x: 1\nx: 2\n");
        let mut report = Report::new();
        report.push(
            Diagnostic::error(Code::DuplicateKey, "100%\r::error::x").at(Span::new(id, 5..6), "").help("h"),
        );
        report.push(Diagnostic::warning(Code::NoCluster, "no place"));
        let said = github(&report, &sources);
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("::warning title=KH0009%3A "), "{said}");
        let title = Code::DuplicateKey.title();
        assert_eq!(
            lines[1],
            format!(
                "::error file=a%2Cb%3Ac.yaml,line=2,endLine=2,col=1,endColumn=2,title=KH0101%3A {title}::100%25%0D::error::x%0Ah"
            )
        );
    }
}
