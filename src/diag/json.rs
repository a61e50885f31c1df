//! Findings for programs: one JSON array, a finding an object, places from 1, columns in characters. Waived ones stand at
//! its end, with `waived` for their severity.

use serde_json::{Value, json};

use super::{Diagnostic, Label, Report};
use crate::source::Sources;

/// Returns all findings as JSON, ending in a line break.
pub fn json(report: &Report, sources: &Sources) -> String {
    let said = report.sorted(sources).into_iter().map(|finding| object(finding, sources));
    let waived = report.waived(sources).into_iter().map(|waived| {
        let mut object = object(&waived.finding, sources);
        let (line, column) = sources.line_col(waived.by.place);
        object["severity"] = json!("waived");
        object["waived"] = json!({
            "reason": waived.by.reason,
            "until": waived.by.until.to_string(),
            "path": sources.path(waived.by.place.source),
            "line": line,
            "column": column,
        });
        object
    });
    let findings: Vec<Value> = said.chain(waived).collect();
    let mut text = serde_json::to_string_pretty(&findings).unwrap_or_else(|_| "[]".to_owned());
    text.push('\n');
    text
}

fn object(finding: &Diagnostic, sources: &Sources) -> Value {
    let mut object = json!({
        "code": finding.code.as_str(),
        "severity": finding.severity.word(),
        "message": finding.message,
        "reason": finding.reason,
        "help": finding.help,
        "related": finding.secondary.iter().map(|label| place(label, sources)).collect::<Vec<_>>(),
    });
    if let (Some(label), Some(object)) = (&finding.primary, object.as_object_mut())
        && let Value::Object(place) = place(label, sources)
    {
        object.extend(place);
    }
    object
}

fn place(label: &Label, sources: &Sources) -> Value {
    let (line, column) = sources.line_col(label.span);
    let (end_line, end_column) = sources.end_line_col(label.span);
    json!({
        "path": sources.path(label.span.source),
        "line": line,
        "column": column,
        "endLine": end_line,
        "endColumn": end_column,
        "label": label.text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Code;
    use crate::source::Span;

    #[test]
    fn a_finding_is_an_object_with_its_places() {
        let mut sources = Sources::new();
        let a = sources.add("a.yaml", "x: 1\ny: 2\n");
        let b = sources.add("b.toml", "é = 1\n");
        let mut report = Report::new();
        report.push(
            Diagnostic::error(Code::SetTwice, "m")
                .at(Span::new(b, 0..2), "again")
                .also(Span::new(a, 5..6), "first")
                .help("h"),
        );
        report.push(Diagnostic::warning(Code::NoCluster, "no place"));
        let parsed: Value = serde_json::from_str(&json(&report, &sources)).expect("our own JSON");
        assert_eq!(
            parsed,
            json!([
                {"code": "KH0009", "severity": "warning", "message": "no place", "reason": null, "help": null, "related": []},
                {"code": "KH0102", "severity": "error", "message": "m", "reason": null, "help": "h",
                 "path": "b.toml", "line": 1, "column": 1, "endLine": 1, "endColumn": 2, "label": "again",
                 "related": [
                    {"path": "a.yaml", "line": 2, "column": 1, "endLine": 2, "endColumn": 2, "label": "first"}]},
            ])
        );
    }
}
