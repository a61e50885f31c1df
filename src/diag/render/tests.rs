use super::*;
use crate::diag::Code;
use crate::source::Span;

fn shown(report: &Report, sources: &Sources) -> String {
    text(report, sources, Look::default())
}

#[test]
fn two_files_in_one_message() {
    let mut sources = Sources::new();
    let yaml = sources.add("inventory/cluster.yaml", "cluster:\n  name: a\netcd:\n  version: 3.6.14\n");
    let toml = sources.add("inventory/etcd.toml", "[etcd]\nversion = '3.6.14'\n");
    let mut report = Report::new();
    report.push(
        Diagnostic::error(Code::SetTwice, "`etcd.version` is set in two places")
            .at(Span::new(toml, 7..14), "set again here")
            .also(Span::new(yaml, 27..34), "first set here")
            .reason("the order of files has no meaning")
            .help("keep one of them"),
    );
    assert_eq!(
        shown(&report, &sources),
        "\
error[KH0102]: `etcd.version` is set in two places
 --> inventory/etcd.toml:2:1
  |
2 | version = '3.6.14'
  | ^^^^^^^ set again here
  |
 ::: inventory/cluster.yaml:4:3
  |
4 |   version: 3.6.14
  |   ------- first set here
  |
  = note: the order of files has no meaning
  = help: keep one of them

1 error
"
    );
    assert_eq!(
        lines(&report, &sources),
        "inventory/etcd.toml:2:1: error[KH0102]: `etcd.version` is set in two places\n"
    );
}

#[test]
fn columns_are_characters_in_every_form() {
    let mut sources = Sources::new();
    let id = sources.add("a.yaml", "# größer\nä: {ö: ü}\n");
    let at = sources.text(id).find('ö').unwrap() + "# grö".len() - "# grö".len();
    let at = sources.text(id)[at + 2..].find('ö').map_or(at, |more| at + 2 + more);
    let mut report = Report::new();
    report.push(Diagnostic::warning(Code::NoCluster, "m").at(Span::new(id, at..at + 2), "here"));
    assert!(shown(&report, &sources).contains("--> a.yaml:2:5\n"), "{}", shown(&report, &sources));
    assert!(lines(&report, &sources).starts_with("a.yaml:2:5: warning[KH0009]"));
}

#[test]
fn a_file_without_text_is_named() {
    let mut sources = Sources::new();
    let id = sources.add("inventory/pipe.yaml", "");
    let mut report = Report::new();
    report.push(Diagnostic::error(Code::NotAFile, "m").at(Span::new(id, 0..0), "").help("h"));
    assert_eq!(
        shown(&report, &sources),
        "error[KH0003]: m\n--> inventory/pipe.yaml:1:1\n = help: h\n\n1 error\n"
    );
}

#[test]
fn concealed_text_is_shown_by_no_finding() {
    let mut sources = Sources::new();
    let text = "token: hunter2\npassword: hunter2\n";
    let id = sources.add("a.yaml", text);
    let mut report = Report::new();
    report.conceal(Span::new(id, 7..14));
    report.conceal(Span::new(id, 25..32));
    report.push(Diagnostic::error(Code::SetTwice, "m").at(Span::new(id, 7..14), "a secret"));
    report.push(
        Diagnostic::error(Code::SetTwice, "m")
            .at(Span::new(id, 15..23), "unknown")
            .also(Span::new(id, 0..5), ""),
    );
    for form in [
        shown(&report, &sources),
        lines(&report, &sources),
        crate::diag::json::json(&report, &sources),
        crate::diag::sarif::sarif(&report, &sources),
    ] {
        assert!(!form.contains("hunter2"), "{form}");
    }
    assert!(shown(&report, &sources).contains("token: *******\n"));
}

#[test]
fn names_cannot_steer_the_terminal() {
    let mut sources = Sources::new();
    let id = sources.add("a\u{1b}[2J.yaml", "k\u{1b}]0;x\u{7}: 1\n");
    let mut report = Report::new();
    report.push(
        Diagnostic::error(Code::SetTwice, "`k\u{1b}[1m` \u{202e}")
            .at(Span::new(id, 0..1), "\u{1b}[31m")
            .help("\u{7}"),
    );
    for form in
        [shown(&report, &sources), lines(&report, &sources), crate::diag::json::json(&report, &sources)]
    {
        assert!(!form.contains(['\u{1b}', '\u{7}']), "{form:?}");
    }
}

#[test]
fn long_lines_are_named_and_not_shown() {
    let mut sources = Sources::new();
    let id = sources.add("a.yaml", format!("a: [{}]\n", "1, ".repeat(100_000)));
    let mut report = Report::new();
    report.push(Diagnostic::error(Code::SetTwice, "m").at(Span::new(id, 30_004..30_005), "this one"));
    assert_eq!(
        shown(&report, &sources),
        "error[KH0102]: m\n--> a.yaml:1:30005\n = note: this one\n\n1 error\n"
    );
}

#[test]
fn far_places_of_one_file_are_shown_apart_and_tall_ones_cut() {
    let mut sources = Sources::new();
    let id = sources.add("a.yaml", "line: 1\n".repeat(1000));
    let mut report = Report::new();
    report.push(
        Diagnostic::error(Code::SetTwice, "m")
            .at(Span::new(id, 7200..8000), "again")
            .also(Span::new(id, 0..4), "first"),
    );
    assert_eq!(
        shown(&report, &sources),
        "\
error[KH0102]: m
   --> a.yaml:901:1
    |
901 | line: 1
    | ^^^^^^^ again
    |
   ::: a.yaml:1:1
    |
  1 | line: 1
    | ---- first

1 error
"
    );
}

#[test]
fn ten_thousand_findings_in_a_large_file_are_drawn_at_once() {
    let mut sources = Sources::new();
    let id = sources.add("a.yaml", "line: 1\n".repeat(500_000));
    let mut report = Report::new();
    for number in 0..crate::diag::MAX_FINDINGS + 1 {
        let at = 8 * number;
        report.push(
            Diagnostic::error(Code::SetTwice, "m")
                .at(Span::new(id, at..at + 4), "")
                .also(Span::new(id, 3_000_000..3_000_004), ""),
        );
    }
    let begin = std::time::Instant::now();
    let drawn = shown(&report, &sources);
    assert!(drawn.ends_with("10001 errors; the last 1 are not shown\n"));
    assert!(begin.elapsed() < std::time::Duration::from_secs(60));
}

/// Found by fuzzing: U+009B begins a command to many terminals, as ESC [ does.
#[test]
fn no_excerpt_drives_the_terminal() {
    let mut sources = Sources::new();
    let written = "a: \u{9b}2J\u{8c}\u{1b}[2J\u{7f}\u{202e}x\u{0e}\n";
    let id = sources.add("a.yaml", written);
    let mut report = Report::new();
    let all = Span::new(id, 3..written.len() - 1);
    report.push(Diagnostic::error(Code::WrongType, format!("not `{written}`")).at(all, "\u{9b}m"));
    for said in [shown(&report, &sources), lines(&report, &sources)] {
        assert!(!said.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'), "{said:?}");
    }
}
