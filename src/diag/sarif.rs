//! Findings for code hosts: SARIF 2.1.0 (OASIS), with the rules that occur and their explanations. Waived ones are
//! suppressed results.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Code, Diagnostic, Label, Report, Severity};
use crate::source::Sources;

/// Returns all findings as one SARIF log, ending in a line break.
pub fn sarif(report: &Report, sources: &Sources) -> String {
    let findings = report.sorted(sources);
    let waived = report.waived(sources);
    let codes: BTreeSet<Code> =
        findings.iter().copied().chain(waived.iter().map(|waived| &waived.finding)).map(|f| f.code).collect();
    let rules: Vec<Value> = codes
        .iter()
        .map(|code| {
            json!({
                "id": code.as_str(),
                "shortDescription": {"text": code.title()},
                "fullDescription": {"text": code.explanation()},
            })
        })
        .collect();
    let mut results: Vec<Value> = findings.into_iter().map(|finding| result(finding, sources)).collect();
    // If one result of a run has suppressions, each has (SARIF 3.27.23); an empty list says that it is not suppressed.
    if !waived.is_empty() {
        results.iter_mut().for_each(|result| result["suppressions"] = json!([]));
    }
    results.extend(waived.into_iter().map(|waived| {
        let mut result = result(&waived.finding, sources);
        let place = Label { span: waived.by.place, text: String::new() };
        result["suppressions"] = json!([{
            "kind": "external",
            "status": "accepted",
            "justification": format!("{} (until {})", waived.by.reason, waived.by.until),
            "location": location(&place, sources),
        }]);
        result
    }));
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "khagen", "version": env!("CARGO_PKG_VERSION"), "rules": rules}},
            // Columns are counted in characters, as everywhere else (SARIF 3.14.17).
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    let mut text = serde_json::to_string_pretty(&log).unwrap_or_else(|_| "{}".to_owned());
    text.push('\n');
    text
}

fn result(finding: &Diagnostic, sources: &Sources) -> Value {
    let mut message = finding.message.clone();
    for part in finding.reason.iter().chain(&finding.help) {
        message.push('\n');
        message.push_str(part);
    }
    let related = finding.secondary.iter().enumerate().map(|(number, label)| {
        let mut location = location(label, sources);
        location["id"] = json!(number + 1);
        location["message"] = json!({"text": label.text});
        location
    });
    json!({
        "ruleId": finding.code.as_str(),
        "level": match finding.severity { Severity::Error => "error", Severity::Warning => "warning" },
        "message": {"text": message},
        "locations": finding.primary.iter().map(|label| location(label, sources)).collect::<Vec<_>>(),
        "relatedLocations": related.collect::<Vec<_>>(),
    })
}

fn location(label: &Label, sources: &Sources) -> Value {
    let (line, column) = sources.line_col(label.span);
    let (end_line, end_column) = sources.end_line_col(label.span);
    json!({
        "physicalLocation": {
            "artifactLocation": {"uri": uri(sources.path(label.span.source))},
            "region": {"startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column},
        },
    })
}

/// Writes a path as a URI reference (RFC 3986, section 4.2): everything but unreserved characters and `/` is escaped.
fn uri(path: &str) -> String {
    let mut uri = String::new();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Span;

    #[test]
    fn a_log_names_rules_and_places() {
        let mut sources = Sources::new();
        let id = sources.add("my inventory/a.yaml", "x: 1\nx: 2\n");
        let mut report = Report::new();
        report.push(
            Diagnostic::error(Code::DuplicateKey, "m")
                .at(Span::new(id, 5..6), "again")
                .also(Span::new(id, 0..1), "first"),
        );
        let log: Value = serde_json::from_str(&sarif(&report, &sources)).expect("our own JSON");
        let run = &log["runs"][0];
        assert_eq!(log["version"], "2.1.0");
        assert_eq!(run["tool"]["driver"]["rules"][0]["id"], "KH0101");
        let result = &run["results"][0];
        assert_eq!(result["ruleId"], "KH0101");
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "my%20inventory/a.yaml");
        assert_eq!(place["region"], json!({"startLine": 2, "startColumn": 1, "endLine": 2, "endColumn": 2}));
        assert_eq!(result["relatedLocations"][0]["physicalLocation"]["region"]["startLine"], 1);
    }
}
