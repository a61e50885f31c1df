//! What holds for every format, over texts of real builds and over any bytes.

use proptest::prelude::*;

use super::*;

const ALL: [Format; 15] = [
    Format::Kubeadm,
    Format::Yaml,
    Format::Kubeconfig,
    Format::Certificate,
    Format::PublicKey,
    Format::Env,
    Format::Unit,
    Format::Nginx,
    Format::Keepalived,
    Format::Sysctl,
    Format::Hosts,
    Format::Toml,
    Format::Json,
    Format::Lines,
    Format::Text,
];

#[test]
fn every_generated_file_is_read() {
    let files = goldens();
    for format in [
        Format::Kubeadm,
        Format::Kubeconfig,
        Format::Env,
        Format::Unit,
        Format::Nginx,
        Format::Keepalived,
        Format::Sysctl,
        Format::Hosts,
        Format::Toml,
        Format::Json,
        Format::Lines,
    ] {
        assert!(files.iter().any(|file| file.2 == format), "no golden is {format:?}");
    }
    for (path, text, format) in files {
        let fields = fields(format, &text).unwrap_or_else(|e| panic!("{path}: {e}"));
        assert!(!fields.is_empty(), "{path}");
        let unsaid =
            ["  ", "\n", "\t"].iter().any(|blank| fields.iter().any(|(path, _)| path.contains(blank)));
        assert!(!unsaid, "{path}: {fields:?}");
    }
}

/// Bytes of values and keys: letters and digits outside of comments and embedded certificates.
fn meaningful(text: &str, format: Format) -> Vec<usize> {
    let mut places = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let comment = match format {
            Format::Json => line.len(),
            _ if line.trim_start().starts_with(['#', ';']) => 0,
            _ => line.find(" #").unwrap_or(line.len()),
        };
        if !line.contains("-data: ") {
            places.extend((start..start + comment).filter(|at| text.as_bytes()[*at].is_ascii_alphanumeric()));
        }
        start += line.len();
    }
    places
}

#[test]
fn no_letter_or_digit_can_change_unseen() {
    let mut seen = std::collections::BTreeSet::new();
    for (path, text, format) in goldens() {
        // Of large files and of many alike, some places are enough.
        let places = meaningful(&text, format);
        let name = path.rsplit('/').next().unwrap_or_default().to_owned();
        let wanted = if seen.insert(name) { 100_000 / (text.len() + 1_000) } else { 3 };
        let step = places.len() / wanted.max(5) + 1;
        for at in places.into_iter().step_by(step) {
            let mut bytes = text.clone().into_bytes();
            // Never to the same letter in another case, never to what a number could mean as well.
            bytes[at] = if bytes[at] == b'7' { b'3' } else { b'7' };
            let edited = String::from_utf8(bytes).unwrap();
            let changes = compare(format, &text, &edited);
            let line = text[..at].matches('\n').count() + 1;
            assert!(changes.as_ref().map_or(true, |changes| !changes.is_empty()), "{path}:{line} byte {at}");
            assert_eq!(compare(format, &edited, &text).map(mirrored), changes, "{path}:{line} byte {at}");
        }
    }
}

#[test]
fn no_line_can_be_left_out_unseen() {
    for (path, text, format) in goldens().into_iter().step_by(3) {
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        for at in 0..lines.len() {
            let line = lines[at].trim();
            if line.is_empty()
                || line.starts_with(['#', ';'])
                || line == "---"
                || (line.starts_with('[') && line.ends_with(']'))
            {
                continue;
            }
            let rest = [&lines[..at], &lines[at + 1..]].concat().concat();
            let changes = compare(format, &text, &rest);
            assert!(changes.as_ref().map_or(true, |changes| !changes.is_empty()), "{path}:{}", at + 1);
            assert_eq!(compare(format, &rest, &text).map(mirrored), changes, "{path}:{}", at + 1);
        }
    }
}

#[test]
fn comments_blank_lines_and_line_ends_mean_nothing() {
    for (path, text, format) in goldens() {
        let commented = match format {
            Format::Json => text.replace('\n', "\n\n"),
            Format::Certificate | Format::PublicKey => format!("Comment\n{text}"),
            Format::Nginx => text.replace(";\n", ";\n# a comment { \" ;\n\n"),
            Format::Keepalived => text.replace("{\n", "{ ! a comment }\n\n# another\n"),
            Format::Yaml | Format::Kubeadm | Format::Kubeconfig => {
                format!("# a comment\n\n{text}\n# another\n")
            }
            _ => text.replace('\n', "\n# a comment\n\n"),
        };
        assert_ne!(commented, text, "{path}");
        assert_eq!(compare(format, &text, &commented), Ok(Vec::new()), "{path}");
        let crlf = text.replace('\n', "\r\n");
        assert_eq!(compare(format, &text, &crlf), Ok(Vec::new()), "{path}");
    }
}

#[test]
fn an_added_file_is_a_change_from_nothing() {
    for (path, text, format) in goldens() {
        if matches!(format, Format::Certificate | Format::PublicKey | Format::Json | Format::Kubeconfig) {
            continue;
        }
        let added: Vec<(String, String)> = compare(format, "", &text)
            .unwrap()
            .into_iter()
            .map(|change| {
                assert_eq!(change.old, None, "{path}");
                (change.path, change.new.unwrap())
            })
            .collect();
        assert_eq!(added, fields(format, &text).unwrap(), "{path}");
    }
}

#[test]
fn hostile_texts_end_in_an_error() {
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(30_000), close.repeat(30_000));
    let bomb = (0..40).fold("a: &a [x]\n".to_owned(), |text, at| format!("{text}b{at}: &b{at} [*a, *a]\n"));
    let wide = format!(
        "? \"{}\"\n: {{{}}}\n",
        "k".repeat(300_000),
        (0..20_000).map(|at| format!("a{at}: 1, ")).collect::<String>()
    );
    let texts = [
        deep("[", "]"),
        deep("{a: ", "}"),
        deep("a {\n", "}\n"),
        deep("- ", ""),
        deep("a:\n ", ""),
        "a = [".repeat(20_000),
        "\"".repeat(100_001),
        "a: b\0\n".to_owned(),
        "x".repeat(MAX_BYTES + 1),
        bomb,
        wide,
        "-----BEGIN CERTIFICATE-----\n".repeat(10_000),
        "\u{feff}\u{2028}<<: *x".to_owned(),
    ];
    for (at, text) in texts.iter().enumerate() {
        for format in ALL {
            let began = std::time::Instant::now();
            // A text may be harmless in one format; then it is read, and in time.
            let _ = fields(format, text);
            let _ = compare(format, text, "a=1\n");
            assert!(began.elapsed().as_secs() < 20, "text {at} as {format:?}");
        }
    }
    for format in [Format::Yaml, Format::Kubeadm, Format::Kubeconfig, Format::Json] {
        // The others are text to YAML, in words over many lines.
        for at in [0, 1, 3, 7, 8, 9, 10] {
            assert!(fields(format, &texts[at]).is_err(), "{format:?} {at}");
        }
    }
    for format in ALL {
        assert!(fields(format, &texts[7]).is_err() && fields(format, &texts[8]).is_err(), "{format:?}");
    }
    for format in [Format::Nginx, Format::Keepalived] {
        assert!(fields(format, &texts[2]).is_err(), "{format:?}");
    }
}

#[test]
fn long_lists_are_compared_in_time() {
    let list = |from: usize| (from..from + 20_000).map(|at| format!("- {{a: {at}}}\n")).collect::<String>();
    let changes = compare(Format::Yaml, &list(0), &list(10_000)).unwrap();
    assert!(!changes.is_empty());
    assert_eq!(compare(Format::Yaml, &list(10_000), &list(0)).map(mirrored), Ok(changes));
}

#[test]
fn reordering_means_nothing_where_it_does_not() {
    let mut tried = std::collections::BTreeSet::new();
    for (path, text, format) in goldens() {
        // Where the order of lines of one name counts, only different names are moved.
        let (separator, ends) = match format {
            Format::Env | Format::Sysctl | Format::Lines => ("\n", "\n"),
            Format::Hosts if !path.contains("dual-stack") => ("\n", "\n"),
            Format::Kubeadm => ("\n---\n", "\n---\n"),
            Format::Unit => ("\n[", "\n\n["),
            Format::Keepalived => ("\n}\n", "\n}\n"),
            _ => continue,
        };
        let text = text.trim_end_matches('\n');
        let mut parts: Vec<&str> = text.split(separator).collect();
        // What stands before the first section, and what follows the last block, belongs there.
        match format {
            Format::Unit => parts[1..].reverse(),
            Format::Keepalived => {
                let last = parts.pop().unwrap().trim_end_matches('}').trim_end();
                parts.push(last);
                parts.reverse();
            }
            _ => parts.reverse(),
        }
        let mut reversed = parts.join(ends);
        if format == Format::Keepalived {
            reversed.push_str("\n}\n");
        }
        if parts.len() > 2 {
            tried.insert(format);
        }
        assert_eq!(compare(format, text, &reversed), Ok(Vec::new()), "{path}\n{reversed}");
    }
    assert_eq!(tried.len(), 7, "{tried:?}");
}

/// A value, and whether its maps are written in order.
fn values() -> impl Strategy<Value = crate::value::Value> {
    use crate::value::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i32>().prop_map(|number| Value::Number(number.to_string())),
        "[ -~\n]{0,8}".prop_map(Value::text),
        proptest::sample::select(vec![
            "1.30",
            "no",
            "~",
            "0x1",
            "1:30",
            "2026-01-01",
            "1e3",
            "null",
            "a: b",
            "- a",
            "#"
        ])
        .prop_map(Value::text),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            proptest::collection::btree_map("[a-c.\\[\" ]{1,3}", inner, 0..4)
                .prop_map(|entries| Value::Map(entries.into_iter().collect())),
        ]
    })
}

/// The same value as JSON, keys the other way round.
fn json(value: &crate::value::Value) -> String {
    use crate::value::Value;
    let join = |parts: Vec<String>| parts.join(" , ");
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(text) => text.clone(),
        Value::Text(text) => serde_json::to_string(text).unwrap(),
        Value::Secret(..) => panic!("none is made"),
        Value::List(items) => format!("[{}]", join(items.iter().map(json).collect())),
        Value::Map(entries) => {
            let entry = |(key, value): &(String, Value)| {
                format!("{}: {}", serde_json::to_string(key).unwrap(), json(value))
            };
            format!("{{{}}}", join(entries.iter().rev().map(entry).collect()))
        }
    }
}

fn yaml(value: &crate::value::Value) -> String {
    let content = crate::value::documents(std::slice::from_ref(value));
    content
        .pieces()
        .iter()
        .map(|piece| match piece {
            crate::content::Piece::Text(text) => text.as_str(),
            crate::content::Piece::Secret(..) => panic!("none is made"),
        })
        .collect()
}

/// Texts that look like something in each format.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[ -~\\n]{0,12}",
        Just("\n".to_owned()),
        Just("a: ".to_owned()),
        Just("- ".to_owned()),
        Just("  ".to_owned()),
        Just(" {\n".to_owned()),
        Just("}\n".to_owned()),
        Just(";\n".to_owned()),
        Just("[Unit]\n".to_owned()),
        Just("After=".to_owned()),
        Just("kind: X\n".to_owned()),
        Just("---\n".to_owned()),
        Just("\"".to_owned()),
        Just("\\".to_owned()),
        Just("#".to_owned()),
        Just("é\u{7f}".to_owned()),
        Just("server".to_owned()),
        Just("10.0.0.1 ".to_owned()),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn words() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec("[a-d]( [xy])?", 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn any_texts_are_compared_without_panic_and_mirrored(old in pieces(), new in pieces()) {
        for format in ALL {
            prop_assert_eq!(compare(format, &old, &old), Ok(Vec::new()));
            let there = compare(format, &old, &new);
            let back = compare(format, &new, &old).map(mirrored);
            match (there, back) {
                (Ok(there), Ok(back)) => prop_assert_eq!(there, back),
                (there, back) => prop_assert_eq!(there.is_err(), back.is_err()),
            }
            if let Ok(fields) = fields(format, &old) {
                let control = fields.iter().any(|(path, value)| path.chars().chain(value.chars()).any(char::is_control));
                prop_assert!(!control, "{:?}", fields);
            }
        }
    }

    #[test]
    fn lists_differ_exactly_when_they_do(old in words(), new in words()) {
        let yaml = |words: &[String]| {
            words.iter().fold("l:\n- end\n".to_owned(), |text, word| format!("{text}- \"{word}\"\n"))
        };
        let maps = |words: &[String]| {
            words.iter().fold("l:\n- {e: 1}\n".to_owned(), |text, word| format!("{text}- {{w: \"{word}\"}}\n"))
        };
        let unit = |words: &[String]| {
            words.iter().fold("[Service]\n".to_owned(), |text, word| format!("{text}ExecStart={word}\n"))
        };
        let nginx = |words: &[String]| words.iter().map(|word| format!("server {word};\n")).collect::<String>();
        for (format, old_text, new_text) in [
            (Format::Yaml, yaml(&old), yaml(&new)),
            (Format::Yaml, maps(&old), maps(&new)),
            (Format::Unit, unit(&old), unit(&new)),
            (Format::Nginx, nginx(&old), nginx(&new)),
        ] {
            let changes = compare(format, &old_text, &new_text).unwrap();
            prop_assert_eq!(changes.is_empty(), old == new, "{:?}", changes);
            for change in &changes {
                prop_assert_ne!(&change.old, &change.new);
            }
        }
        let set = |words: &[String]| format!("[Unit]\nAfter=z {}\n", words.join(" "));
        let members = |words: &[String]| {
            words.iter().flat_map(|word| word.split(' ')).map(str::to_owned).collect::<std::collections::BTreeSet<_>>()
        };
        let changes = compare(Format::Unit, &set(&old), &set(&new)).unwrap();
        prop_assert_eq!(changes.is_empty(), members(&old) == members(&new), "{:?}", changes);
    }

    #[test]
    fn one_value_in_two_notations_is_the_same(old in values(), new in values()) {
        let wrap = |value: &crate::value::Value| crate::value::Value::map().with("top", value.clone());
        let (old, new) = (wrap(&old), wrap(&new));
        prop_assert_eq!(compare(Format::Yaml, &yaml(&old), &json(&old)), Ok(Vec::new()), "{}", yaml(&old));
        let by_yaml = compare(Format::Yaml, &yaml(&old), &yaml(&new)).unwrap();
        prop_assert_eq!(by_yaml.is_empty(), old == new, "{:?}", by_yaml);
        let by_json = compare(Format::Json, &json(&old), &json(&new)).unwrap();
        prop_assert_eq!(by_json.is_empty(), old == new, "{:?}", by_json);
    }

    #[test]
    fn environment_values_survive_quoting(value in "[ -~]{0,20}") {
        // Both ways to write any text that systemd.exec(5) gives.
        let single = (!value.contains('\'')).then(|| format!("A='{value}'\n"));
        let double = format!(
            "A=\"{}\"\n",
            value.chars().map(|c| if "\"\\`$".contains(c) { format!("\\{c}") } else { c.to_string() }).collect::<String>()
        );
        prop_assert_eq!(fields(Format::Env, &double).unwrap(), vec![("A".to_owned(), value.clone())]);
        if let Some(single) = single {
            prop_assert_eq!(compare(Format::Env, &single, &double), Ok(Vec::new()));
        }
    }
}
