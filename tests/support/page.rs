//! docs/codes: a page for each code, made of the catalogue's text and the cases of tests/diagnostics. `khagen explain` shows them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use khagen::diag::Code;
use similar::TextDiff;

use super::{built_here, cases, code_of, member};

/// A file larger than this is not shown.
const SHOWN: u64 = 16 * 1024;

/// The text files of a member of a case, by the name that findings call them.
fn texts(path: &Path, name: &Path, found: &mut BTreeMap<PathBuf, String>) {
    let Ok(meta) = path.symlink_metadata() else { return };
    if meta.is_dir() {
        for entry in fs::read_dir(path).expect("a folder") {
            let entry = entry.expect("an entry");
            texts(&entry.path(), &name.join(entry.file_name()), found);
        }
    } else if meta.is_file()
        && meta.len() <= SHOWN
        && let Ok(text) = fs::read_to_string(path)
        && !text.contains(|c: char| c.is_control() && c != '\n')
        && !text.contains("-----BEGIN")
    {
        found.insert(name.to_owned(), text);
    }
}

/// What to change in the bad inventory so that the finding goes: the near miss beside it.
fn difference(case: &Path) -> String {
    let (bad, good) = (member(case, "bad"), member(case, "good"));
    let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
    texts(&bad, Path::new(""), &mut before);
    texts(&good, Path::new(""), &mut after);
    let mut out = String::new();
    for name in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        let (a, b) = (before.get(name).map_or("", |t| t), after.get(name).map_or("", |t| t));
        let label = |member: &Path| {
            let member = member.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.as_os_str().is_empty() { member } else { format!("{member}/{}", name.display()) }
        };
        let diff = TextDiff::from_lines(a, b);
        out += &diff.unified_diff().context_radius(2).header(&label(&bad), &label(&good)).to_string();
    }
    out
}

fn block(out: &mut String, text: &str) {
    out.push('\n');
    for line in text.trim_end().lines() {
        let _ = writeln!(out, "{}", format!("    {line}").trim_end());
    }
}

fn page(code: Code, cases: &[PathBuf], here: Option<&str>) -> String {
    let mut out = format!("# {code}: {}\n\n{}\n", code.title(), code.explanation());
    if Code::WAIVABLE.contains(&code) {
        out += "\nA warning; it can be [waived](../concepts.md).\n";
    }
    for case in cases {
        let said = fs::read_to_string(case.join("expected.txt")).expect("expected.txt");
        out += "\n## What it looks like\n";
        block(&mut out, &said);
        let difference = difference(case);
        if !difference.is_empty() {
            out += "\n## What passes instead\n";
            block(&mut out, &difference);
        }
    }
    if let Some(said) = here {
        out += "\n## What it looks like\n";
        block(&mut out, said);
    }
    out
}

/// openssl signs as of today.
fn without_day(line: &str) -> String {
    let is_time =
        |word: &str| word.len() > 19 && word.as_bytes().get(10) == Some(&b'T') && word.starts_with("20");
    let words = line.split(' ').map(|word| if is_time(word) { "DAY," } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// The first finding of a code without excerpts, whose files have names and digests of one run.
fn in_short(code: Code, said: &str) -> String {
    let own = format!("[{code}]: ");
    let finding = said.split("\n\n").find(|finding| finding.contains(&own)).unwrap_or_default();
    let lines = finding
        .lines()
        .filter(|l| l.starts_with("error") || l.contains("= help: ") || l.contains("= note: "));
    lines.map(without_day).collect::<Vec<_>>().join("\n")
}

fn pages() -> BTreeMap<String, String> {
    let mut by_code: BTreeMap<Code, Vec<PathBuf>> = BTreeMap::new();
    for case in cases() {
        by_code.entry(code_of(&case)).or_default().push(case);
    }
    let here: BTreeMap<Code, String> =
        built_here().into_iter().map(|(code, said)| (code, in_short(code, &said.text))).collect();
    let mut pages = BTreeMap::new();
    let mut index = String::from(
        "# Codes\n\n<!-- This folder is written by `KHAGEN_BLESS=1 cargo test --test diagnostics`. -->\n\n\
         What `khagen explain CODE` says, with the inventories of the tests as examples.\n\n| code | |\n|---|---|\n",
    );
    for code in Code::ALL {
        let cases = by_code.get(code).map(Vec::as_slice).unwrap_or_default();
        let here = if cases.is_empty() { here.get(code).map(String::as_str) } else { None };
        pages.insert(format!("{code}.md"), page(*code, cases, here));
        let _ = writeln!(index, "| [{code}]({code}.md) | {} |", code.title());
    }
    pages.insert("README.md".to_owned(), index);
    pages
}

#[test]
fn every_code_has_its_page() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/codes");
    let bless = std::env::var_os("KHAGEN_BLESS").is_some_and(|value| value == "1");
    let pages = pages();
    let mut wrong = Vec::new();
    for (name, text) in &pages {
        if bless {
            fs::create_dir_all(&dir).expect("the folder");
            fs::write(dir.join(name), text).expect("write");
        } else if fs::read_to_string(dir.join(name)).unwrap_or_default() != *text {
            wrong.push(format!("docs/codes/{name} is not what the catalogue and the cases say"));
        }
    }
    for entry in fs::read_dir(&dir).expect("the folder") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        if !pages.contains_key(&name) {
            wrong.push(format!("docs/codes/{name} is of no code"));
        }
    }
    assert!(wrong.is_empty(), "{}\n\nKHAGEN_BLESS=1 writes the pages anew", wrong.join("\n"));
}

/// A page shows the finding that it is about, and for an inventory how to get rid of it.
#[test]
fn every_page_has_examples() {
    let is_inventory = |code: &str| !["KH000", "KH06"].iter().any(|of| code.starts_with(of));
    for (name, text) in pages().iter().filter(|(name, _)| *name != "README.md") {
        let code = name.trim_end_matches(".md");
        assert!(text.contains(&format!("[{code}]: ")), "{name} does not show {code}:\n{text}");
        if is_inventory(code) {
            assert!(
                text.contains("## What passes instead\n\n    --- bad"),
                "{name} has no good example:\n{text}"
            );
        }
    }
}
