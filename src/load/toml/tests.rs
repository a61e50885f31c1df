use proptest::prelude::*;

use super::*;
use crate::diag::render;
use crate::source::Sources;

fn read_text(text: &str) -> (Document, Sources, Report) {
    let (mut sources, mut report) = (Sources::new(), Report::new());
    let id = sources.add("t.toml", text);
    let document = read(id, text, &mut Budget::new(), &mut report);
    (document, sources, report)
}

fn findings(text: &str) -> String {
    let (_, sources, report) = read_text(text);
    render::lines(&report, &sources)
}

#[test]
fn every_key_and_value_has_its_place_and_its_source_text() {
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
    let text =
        "\"ä\" = 'é'\nz.b = [1.30,\n 0x1F]\n[a]\nd = 2026-01-02 03:04:05\n[[h]]\nx = {y = true}\n[[h]]\n";
    let (document, sources, report) = read_text(text);
    assert_eq!(render::lines(&report, &sources), "");
    let mut out = Vec::new();
    walk(&document.root.unwrap(), &sources, &mut out);
    assert_eq!(
        out[1..],
        [
            "1:1 key ä",
            "1:7-1:10 Str é",
            "2:1 key z",
            "2:1-2:2 a map",
            "2:3 key b",
            "2:7-3:7 a list",
            "2:8-2:12 Float 1.30",
            "3:2-3:6 Int 0x1F",
            "4:2 key a",
            "4:1-4:4 a map",
            "5:1 key d",
            "5:5-5:24 Str 2026-01-02 03:04:05",
            "6:3 key h",
            "6:1-6:6 a list",
            "6:1-6:6 a map",
            "7:1 key x",
            "7:5-7:15 a map",
            "7:6 key y",
            "7:10-7:14 true or false",
            "8:1-8:6 a map",
        ]
    );
}

#[test]
fn duplicates_name_both_places_in_every_notation() {
    for (text, again, first) in [
        ("a = 1\na = 2\n", (2, 1), (1, 1)),
        ("a = 1\n\"a\" = 2\n", (2, 1), (1, 1)),
        ("[a]\n[b]\n[a]\n", (3, 2), (1, 2)),
        ("[a.b]\n[a]\n[a]\n", (3, 2), (2, 2)),
        ("[[a]]\n[a]\n", (2, 2), (1, 3)),
        ("[a]\n[[a]]\n", (2, 3), (1, 2)),
        ("a = []\n[[a]]\n", (2, 3), (1, 1)),
        ("a.b = 1\na = 2\n", (2, 1), (1, 1)),
        ("a = 1\na.b = 2\n", (2, 1), (1, 1)),
        ("a = {b = 1}\na.c = 2\n", (2, 1), (1, 1)),
        ("a = {b = 1, b = 2}\n", (1, 13), (1, 6)),
        ("[a]\nb.c = 1\n[a.b]\n", (3, 4), (2, 1)),
        ("[[h]]\nx = 1\n[[h]]\nx = 1\nx = 2\n", (5, 1), (4, 1)),
    ] {
        let (_, sources, report) = read_text(text);
        let found: Vec<_> = report.iter().collect();
        assert_eq!(found.len(), 1, "{text:?}");
        assert_eq!(found[0].code, Code::DuplicateKey, "{text:?}");
        assert_eq!(sources.line_col(found[0].primary.as_ref().unwrap().span), again, "{text:?}");
        assert_eq!(sources.line_col(found[0].secondary[0].span), first, "{text:?}");
    }
}

#[test]
fn several_syntax_errors_are_said_at_once() {
    let text = "a = \nb = 'x\nc = 1\n[d\ne = [1 2]\nf = 01\ng = yes\n";
    let (document, ..) = read_text(text);
    assert!(document.root.is_none() && !document.complete);
    let lines = findings(text);
    let places: Vec<&str> = lines.lines().map(|line| line.split(": error").next().unwrap()).collect();
    assert_eq!(
        places,
        ["t.toml:1:5", "t.toml:2:7", "t.toml:4:3", "t.toml:5:6", "t.toml:6:5", "t.toml:7:5"],
        "{lines}"
    );
    assert!(lines.lines().all(|line| line.contains("error[KH0022]: not valid TOML: ")), "{lines}");
    assert!(lines.starts_with("t.toml:1:5: error[KH0022]: not valid TOML: a value is missing\n"), "{lines}");
    assert!(
        lines.ends_with(
            "t.toml:7:5: error[KH0022]: not valid TOML: text must be in quotes, and lists need commas\n"
        ),
        "{lines}"
    );
}

#[test]
fn a_duplicate_before_a_syntax_error_is_kept_and_one_after_it_is_not_guessed() {
    let lines = findings("a = 1\na = 2\n[b\n[c]\nx = 1\nx = 2\n");
    assert!(
        lines.starts_with("t.toml:2:1: error[KH0101]: `a` is set twice in one map\nt.toml:3:"),
        "{lines}"
    );
    assert_eq!(lines.lines().count(), 2, "{lines}");
}

#[test]
fn nesting_ends_at_the_limit_in_every_notation() {
    let arrays = |depth: usize| format!("a = {}{}\n", "[".repeat(depth), "]".repeat(depth));
    let tables = |depth: usize| format!("a = {}{}\n", "{b=".repeat(depth) + "1", "}".repeat(depth));
    let dotted = |depth: usize| format!("{} = 1\n", vec!["a"; depth].join("."));
    let header = |depth: usize| format!("[{}]\n", vec!["a"; depth].join("."));
    for text in [arrays(60), tables(30), dotted(64), header(64)] {
        assert_eq!(findings(&text), "", "{text}");
    }
    for text in [
        arrays(65),
        arrays(1_000_000),
        tables(65),
        tables(100_000),
        dotted(65),
        header(65),
        dotted(100_000),
        format!("{}x.y=1\n", header(63)),
    ] {
        let lines = findings(&text);
        assert!(lines.contains("error[KH0023]"), "{}", &lines[..lines.len().min(300)]);
        assert_eq!(lines.matches("KH0023").count(), 1, "{}", &lines[..lines.len().min(300)]);
        assert!(read_text(&text).0.root.is_none());
    }
}

#[test]
fn line_breaks_of_other_systems_and_byte_order_marks_are_fine() {
    let (document, sources, report) = read_text("\u{feff}a = 1\r\nb = 2\r\n");
    assert!(report.is_empty());
    let root = document.root.unwrap();
    assert_eq!(sources.line_col(root.get("b").unwrap().key.span), (2, 1));
}

/// What toml says a document holds, in one notation with what we say.
fn theirs(value: &toml::de::DeValue<'_>) -> String {
    use toml::de::DeValue;
    match value {
        DeValue::String(text) => format!("Str({text})"),
        DeValue::Integer(number) => {
            format!(
                "Int({})",
                i128::from_str_radix(number.as_str(), number.radix())
                    .map_or("?".to_owned(), |n| n.to_string())
            )
        }
        DeValue::Float(_) => "Float".to_owned(),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(_) => "Time".to_owned(),
        DeValue::Array(items) => {
            format!("[{}]", items.iter().map(|item| theirs(item.get_ref())).collect::<Vec<_>>().join(","))
        }
        DeValue::Table(table) => {
            let mut entries: Vec<_> = table
                .iter()
                .map(|(key, value)| format!("{:?}:{}", key.get_ref(), theirs(value.get_ref())))
                .collect();
            entries.sort();
            format!("{{{}}}", entries.join(","))
        }
    }
}

fn ours(node: &Node) -> String {
    match &node.value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Scalar { text, kind: ScalarKind::Str } => format!("Str({text})"),
        Value::Scalar { text, kind: ScalarKind::Int } => {
            format!("Int({})", crate::load::tree::parse_int(text).map_or("?".to_owned(), |n| n.to_string()))
        }
        Value::Scalar { kind: ScalarKind::Float, .. } => "Float".to_owned(),
        Value::List(items) => format!("[{}]", items.iter().map(ours).collect::<Vec<_>>().join(",")),
        Value::Map(entries) => {
            let mut entries: Vec<_> =
                entries.iter().map(|entry| format!("{:?}:{}", entry.key.value, ours(&entry.value))).collect();
            entries.sort();
            format!("{{{}}}", entries.join(","))
        }
    }
}

/// A line of a document in which tables meet often: few names, every notation.
fn line() -> impl Strategy<Value = String> {
    let key = || {
        proptest::collection::vec(prop_oneof!["a", "b", "\"a\"", "c"], 1..4).prop_map(|parts| parts.join("."))
    };
    let value = prop_oneof![
        Just("1".to_owned()),
        Just("0x1F".to_owned()),
        Just("true".to_owned()),
        Just("'x'".to_owned()),
        Just("1.5".to_owned()),
        Just("[]".to_owned()),
        Just("[1, {a = 1}]".to_owned()),
        (key(), key()).prop_map(|(one, other)| format!("{{{one} = 1, {other} = {{}}}}")),
    ];
    prop_oneof![
        key().prop_map(|key| format!("[{key}]")),
        key().prop_map(|key| format!("[[{key}]]")),
        (key(), value).prop_map(|(key, value)| format!("{key} = {value}")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn tables_are_accepted_and_built_as_the_crate_does(lines in proptest::collection::vec(line(), 0..9)) {
        let text = lines.join("\n");
        let (document, sources, report) = read_text(&text);
        match toml::de::DeTable::parse(&text) {
            // The crate lets a dotted key reach into a list of tables if two keys follow, and not if one does. TOML
            // knows no such difference, so both are refused here.
            Ok(_) if report.has_errors() => {
                for found in report.iter() {
                    let (line, _) = sources.line_col(found.secondary[0].span);
                    prop_assert!(lines[line - 1].starts_with("[["), "{}", &text);
                }
            }
            Ok(table) => {
                prop_assert_eq!(render::lines(&report, &sources), "", "{}", &text);
                let table = toml::de::DeValue::Table(table.into_inner());
                prop_assert_eq!(ours(&document.root.unwrap()), theirs(&table), "{}", &text);
            }
            Err(_) => prop_assert!(report.has_errors(), "{}", &text),
        }
    }

    #[test]
    fn any_text_is_read_without_panic(text in "\\PC*|[-=.{}\\[\\],'\"\\\\ #\\na0_xe:tT+\\t\\r]{0,80}") {
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
