use proptest::prelude::*;

use super::*;
use crate::diag::render;
use crate::source::Sources;

fn read_text(text: &str) -> (Document, Sources, Report) {
    let (mut sources, mut report) = (Sources::new(), Report::new());
    let id = sources.add("t.yaml", text);
    let document = read(id, text, &mut Budget::new(), &mut report);
    (document, sources, report)
}

fn findings(text: &str) -> String {
    let (_, sources, report) = read_text(text);
    render::lines(&report, &sources)
}

/// Every node with its place: `1:4-1:5 Int 1`.
fn places(text: &str) -> Vec<String> {
    fn walk(node: &Node, sources: &Sources, out: &mut Vec<String>) {
        let ((line, column), (end_line, end)) =
            (sources.line_col(node.span), sources.end_line_col(node.span));
        let what = match &node.value {
            Value::Scalar { text, kind } => format!("{kind:?} {text}"),
            _ => node.kind_name().to_owned(),
        };
        out.push(format!("{line}:{column}-{end_line}:{end} {what}"));
        match &node.value {
            Value::List(items) => items.iter().for_each(|item| walk(item, sources, out)),
            Value::Map(entries) => {
                for entry in entries {
                    let (line, column) = sources.line_col(entry.key.span);
                    out.push(format!("{line}:{column} key {}", entry.key.value));
                    walk(&entry.value, sources, out);
                }
            }
            _ => {}
        }
    }
    let (document, sources, report) = read_text(text);
    assert_eq!(render::lines(&report, &sources), "");
    let mut out = Vec::new();
    walk(&document.root.unwrap(), &sources, &mut out);
    out
}

#[test]
fn every_key_and_value_has_its_place() {
    assert_eq!(
        places("ä: \"é\"\nb:\n  - 1.30\n  - {x: y}\n  -\nc: |\n  one\n  two\n\nd: 'q'\n"),
        [
            "1:1-10:7 a map",
            "1:1 key ä",
            "1:4-1:7 Str é",
            "2:1 key b",
            "3:3-5:4 a list",
            "3:5-3:9 Float 1.30",
            "4:5-4:11 a map",
            "4:6 key x",
            "4:9-4:10 Str y",
            "5:4-5:4 nothing",
            "6:1 key c",
            "7:3-8:6 Str one\ntwo\n",
            "10:1 key d",
            "10:4-10:7 Str q",
        ]
    );
}

#[test]
fn plain_text_resolves_by_the_core_schema() {
    let kind = |text: &str| match resolve(text) {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Scalar { kind, .. } => format!("{kind:?}"),
        _ => unreachable!(),
    };
    for (texts, expected) in [
        (&["", "~", "null", "NULL"][..], "null"),
        (&["true", "True", "TRUE"], "true"),
        (&["false"], "false"),
        (&["0", "12", "-3", "+4", "0644", "0x1F", "0o17"], "Int"),
        (&["1.30", "1.", ".5", "1e3", "-1.5E-3", ".inf", "-.INF", ".nan"], "Float"),
        (
            &[
                "yes",
                "no",
                "on",
                "off",
                "Yes",
                "y",
                "1.36.5",
                "nULL",
                "0x",
                "-",
                "+",
                ".",
                "e3",
                "1e",
                "1_000",
                "10:20",
                "0b1",
                "-.nan",
                "2026-01-01",
                "1.2e3.4",
            ],
            "Str",
        ),
    ] {
        for text in texts {
            assert_eq!(kind(text), expected, "{text:?}");
        }
    }
}

#[test]
fn duplicate_keys_name_both_places_and_do_not_hide_each_other() {
    let (document, sources, report) = read_text("a: 1\nb: {x: 1, y: 2, \"x\": 3}\na: 2\na: 3\n");
    let places: Vec<_> = report
        .iter()
        .map(|found| {
            assert_eq!(found.code, crate::diag::Code::DuplicateKey);
            (
                sources.line_col(found.primary.as_ref().unwrap().span),
                sources.line_col(found.secondary[0].span),
            )
        })
        .collect();
    assert_eq!(places, [((2, 17), (2, 5)), ((3, 1), (1, 1)), ((4, 1), (1, 1))]);
    assert!(document.complete);
    assert_eq!(document.root.unwrap().entries().len(), 2);
}

#[test]
fn anchors_aliases_merge_keys_and_tags_are_refused_all_at_once() {
    assert_eq!(
        findings("a: &x {p: 1}\nb: *x\nc:\n  <<: *x\n  q: !!str 5\n  r: *nope\nd: [*x]\n'<<': 1\n"),
        "t.yaml:1:4: error[KH0024]: YAML anchors are not accepted\n\
         t.yaml:2:4: error[KH0024]: YAML aliases are not accepted\n\
         t.yaml:4:3: error[KH0024]: YAML merge keys are not accepted\n\
         t.yaml:5:6: error[KH0025]: YAML tags are not accepted\n\
         t.yaml:6:6: error[KH0024]: YAML aliases are not accepted\n\
         t.yaml:7:5: error[KH0024]: YAML aliases are not accepted\n"
    );
    let (document, ..) = read_text("a: &x 1\nb: *x\nc: 3\n");
    assert!(!document.complete);
    let keys: Vec<_> =
        document.root.as_ref().unwrap().entries().iter().map(|e| e.key.value.as_str()).collect();
    assert_eq!(keys, ["a", "c"]);
}

#[test]
fn an_alias_bomb_stays_small() {
    let mut text = "a0: &a0 [x, x]\n".to_owned();
    for level in 1..60 {
        text.push_str(&format!(
            "a{level}: &a{level} [{}]\n",
            vec![format!("*a{}", level - 1); 10].join(", ")
        ));
    }
    let (_, _, report) = read_text(&text);
    assert_eq!(report.counts().0, 60 + 59 * 10);
}

#[test]
fn keys_must_be_text() {
    assert_eq!(
        findings("? [a, b]\n: 1\n? {c: d}\n: {e: f}\n: x\ng: 1\n"),
        "t.yaml:1:3: error[KH0028]: a key must be text\n\
         t.yaml:3:3: error[KH0028]: a key must be text\n\
         t.yaml:5:1: error[KH0028]: a key must be text\n"
    );
    let (document, ..) = read_text("? [a, b]\n: 1\ng: 1\n1: x\ntrue: y\n");
    let keys: Vec<_> =
        document.root.as_ref().unwrap().entries().iter().map(|e| e.key.value.as_str()).collect();
    assert_eq!(keys, ["g", "1", "true"]);
}

#[test]
fn one_document_per_file() {
    assert_eq!(findings("---\na: 1\n...\n"), "");
    assert_eq!(
        findings("a: 1\n---\nb: 1\n"),
        "t.yaml:2:1: error[KH0026]: a second document begins in this file\n"
    );
    assert_eq!(findings("a: 1\n---\n"), "t.yaml:2:1: error[KH0026]: a second document begins in this file\n");
}

#[test]
fn syntax_errors_are_said_plainly_and_in_place() {
    for (text, expected) in [
        ("a: 1\nb:\n\tc: 1\n", "3:1: error[KH0021]: a tab where only spaces may stand"),
        ("a: 1\n\tb: 1\n", "2:1: error[KH0021]: a tab where only spaces may stand"),
        ("a: \"x\nb: 1\n", "1:4: error[KH0021]: a quote is never closed"),
        ("a: [1, 2\n", "1:4: error[KH0021]: `[` is never closed"),
        ("a: [1, 2}\n", "1:4: error[KH0021]: `[` is closed by `}`"),
        ("a: b: c\n", "1:5: error[KH0021]: a key is not expected here"),
        ("a: [1, 2\nb: 3\n", "2:2: error[KH0021]: a key is not expected here"),
        ("a:\n  b: 1\n c: 2\n", "3:2: error[KH0021]: the indentation matches nothing above"),
        ("a: @x\n", "1:4: error[KH0021]: `@` cannot begin a value"),
        ("a: 1\nb\n", "2:1: error[KH0021]: a `:` is missing after a key"),
        ("a: \"\\q\"\n", "1:4: error[KH0021]: an escape that YAML does not know"),
    ] {
        assert_eq!(findings(text), format!("t.yaml:{expected}\n"), "{text:?}");
    }
}

#[test]
fn nesting_ends_at_the_limit_in_every_notation() {
    let nested = |depth: usize| format!("{}{}\n", "[".repeat(depth), "]".repeat(depth));
    let block =
        |depth: usize| (0..depth).map(|level| format!("{}a:\n", " ".repeat(level))).collect::<String>();
    let inside =
        |depth: usize| format!("{}{}{}{}\n", block(40), " ".repeat(40), "[".repeat(depth), "]".repeat(depth));
    for text in [nested(64), block(64), inside(24)] {
        assert_eq!(findings(&text), "", "{text}");
    }
    for text in [
        nested(65),
        nested(1_000_000),
        block(65),
        inside(25),
        "- ".repeat(100_000),
        "? ".repeat(100_000),
        "{a: ".repeat(100_000),
    ] {
        let lines = findings(&text);
        // The keys that are no text begin with a finding of their own.
        let keys = usize::from(text.starts_with('?'));
        assert_eq!(lines.lines().count(), 1 + keys, "{lines}");
        assert!(lines.contains("error[KH0023]"), "{lines}");
    }
}

#[test]
fn line_breaks_of_other_systems_and_byte_order_marks_are_fine() {
    assert_eq!(
        places("\u{feff}a: 1\r\nb: x\r\n")[1..],
        ["1:2 key a", "1:5-1:6 Int 1", "2:1 key b", "2:4-2:5 Str x"]
    );
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic(text in "\\PC*|[-:?{}\\[\\],&*!|>'\"%@ #\\na<~.\\t\\r]{0,80}") {
        let (_, sources, report) = read_text(&text);
        render::text(&report, &sources, render::Look::default());
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let text = String::from_utf8_lossy(&bytes);
        let (_, sources, report) = read_text(&text);
        render::text(&report, &sources, render::Look::default());
    }
}
