//! Every code of the catalogue on a bad inventory, with its exact text, and a near miss that passes.
//!
//! `tests/diagnostics/<CODE>-<slug>/` holds `bad` and `good`, each a document or a folder, and `expected.txt`, and `today` where the
//! day matters. With
//! KHAGEN_BLESS=1 the expected texts are written anew, and the pages of docs/codes, to be reviewed as a diff. What no file can show (a pipe, a file
//! that nobody may read) is built here.

#[path = "support/corporate.rs"]
#[allow(dead_code, reason = "a part of it is used here")]
mod corporate;
#[path = "support/imported.rs"]
mod import;
#[path = "support/page.rs"]
mod page;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use khagen::diag::{Code, Report, Severity, render};
use khagen::model::Inventory;
use khagen::source::Sources;
use time::{Date, Month};

/// What khagen says about an inventory; paths relative to `base`.
struct Said {
    text: String,
    report: Report,
    inventory: Option<Inventory>,
}

fn judge(path: &Path, base: &Path) -> Said {
    if path.join("ca.pem").is_file() {
        return import::judge(path);
    }
    let (mut sources, mut report) = (Sources::new(), Report::new());
    let loaded = khagen::load::load(path, &mut sources, &mut report);
    let inventory = khagen::check::check(&loaded, &sources, today(base), &mut report);
    let text = render::text(&report, &sources, render::Look::default());
    let text = text.replace(&format!("{}/", base.display()), "");
    Said { text, report, inventory }
}

/// Findings about versions and waivers depend on the day: the case's own, in `today`, or 2026-11-22.
fn today(case: &Path) -> Date {
    let Ok(text) = fs::read_to_string(case.join("today")) else {
        return Date::from_calendar_date(2026, Month::November, 22).expect("a date");
    };
    let numbers: Vec<u16> = text.trim().split('-').map(|part| part.parse().expect("a number")).collect();
    let month = Month::try_from(u8::try_from(numbers[1]).expect("small")).expect("a month");
    let day = u8::try_from(numbers[2]).expect("small");
    Date::from_calendar_date(i32::from(numbers[0]), month, day).expect("a date")
}

fn cases() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics");
    let mut cases: Vec<PathBuf> =
        fs::read_dir(dir).expect("cases").map(|entry| entry.expect("a case").path()).collect();
    cases.sort();
    cases
}

fn code_of(case: &Path) -> Code {
    let name = case.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let text = name.split('-').next().unwrap_or_default();
    Code::find(text).unwrap_or_else(|| panic!("{name}: there is no such code"))
}

/// `bad` or `good` of a case: a document or a folder.
fn member(case: &Path, name: &str) -> PathBuf {
    ["", ".yaml", ".toml", ".yml", ".YAML"]
        .iter()
        .map(|ending| case.join(format!("{name}{ending}")))
        .find(|path| path.symlink_metadata().is_ok())
        .unwrap_or_else(|| panic!("{}: `{name}` is missing", case.display()))
}

#[test]
fn each_bad_inventory_gets_its_exact_text_and_no_model() {
    let bless = std::env::var_os("KHAGEN_BLESS").is_some_and(|value| value == "1");
    let mut wrong = Vec::new();
    for case in cases() {
        let name = case.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let code = code_of(&case);
        let said = judge(&member(&case, "bad"), &case);
        let own: Vec<_> = said.report.iter().filter(|finding| finding.code == code).collect();
        if own.is_empty() {
            wrong.push(format!("{name}: does not show {code}:\n{}", said.text));
            continue;
        }
        if own.iter().any(|finding| finding.severity == Severity::Error) == said.inventory.is_some() {
            wrong.push(format!("{name}: an error gives no inventory, a warning gives one"));
        }
        let expected = case.join("expected.txt");
        if bless {
            fs::write(&expected, &said.text).expect("write");
        } else if fs::read_to_string(&expected).unwrap_or_default() != said.text {
            wrong.push(format!("{name}: expected.txt differs from\n{}", said.text));
        }
    }
    assert!(wrong.is_empty(), "{}\n\nKHAGEN_BLESS=1 writes the texts anew", wrong.join("\n"));
}

#[test]
fn each_near_miss_passes() {
    for case in cases() {
        let said = judge(&member(&case, "good"), &case);
        let code = code_of(&case);
        let own = said.report.iter().filter(|finding| finding.code == code).count();
        assert_eq!(own, 0, "{}: {}", case.display(), said.text);
        assert!(said.inventory.is_some(), "{}: {}", case.display(), said.text);
    }
}

/// Inventories that no file in a repository can be, and what needs a store.
fn built_here() -> Vec<(Code, Said)> {
    let mut all = unreadable();
    all.extend(import::of_the_store());
    all
}

fn unreadable() -> Vec<(Code, Said)> {
    let dir = tempfile::tempdir().expect("a folder");
    let base = dir.path();
    let big = base.join("big.yaml");
    fs::File::create(&big).and_then(|file| file.set_len(khagen::load::MAX_BYTES + 1)).expect("a sparse file");
    let pipe = base.join("pipe.yaml");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
        .expect("a pipe");
    vec![
        (Code::NotFound, judge(&base.join("nowhere"), base)),
        // A path through a file: the superuser cannot look there either.
        (Code::Unreadable, judge(&big.join("x"), base)),
        (Code::NotAFile, judge(&pipe, base)),
        (Code::TooLarge, judge(&big, base)),
    ]
}

#[test]
fn what_no_file_can_show_is_said_too() {
    for ((code, said), expected) in unreadable().into_iter().zip([
        "error[KH0001]: there is no inventory `nowhere`",
        "error[KH0002]: cannot be read: Not a directory",
        "error[KH0003]: a document must be a regular file, this is a named pipe",
        "error[KH0004]: with this document the inventory exceeds 64 MiB",
    ]) {
        let text = said.text.replace("`/", "`").replace('\n', " ");
        assert!(said.text.contains(expected) || text.contains(expected), "{code}: {}", said.text);
        assert!(said.inventory.is_none(), "{code}");
    }
}

#[test]
fn every_code_has_a_case() {
    let mut shown: BTreeSet<Code> = cases().iter().map(|case| code_of(case)).collect();
    for (code, said) in built_here() {
        assert!(said.report.iter().any(|finding| finding.code == code), "{code}: {}", said.text);
        shown.insert(code);
    }
    let missing: Vec<String> = Code::ALL
        .iter()
        .filter(|code| !shown.contains(code))
        .map(|code| format!("{code} ({})", code.title()))
        .collect();
    assert!(missing.is_empty(), "codes without a bad inventory: {}", missing.join(", "));
}

/// What may be waived is what is a warning in some case, and a waiver can name the setting that it points at.
#[test]
fn every_warning_may_be_waived_where_it_stands() {
    let mut warnings = BTreeSet::new();
    for case in cases().iter().filter(|case| !member(case, "bad").join("ca.pem").is_file()) {
        for name in ["bad", "good"] {
            let (mut sources, mut report) = (Sources::new(), Report::new());
            let loaded = khagen::load::load(&member(case, name), &mut sources, &mut report);
            let missing = khagen::check::MissingSecrets::AreErrors;
            let clusters =
                khagen::check::check_keeping_places(&loaded, &sources, today(case), missing, &mut report);
            let about_waivers = |code: Code| code.as_str().starts_with("KH07");
            let found = report.iter().filter(|f| f.severity == Severity::Warning && !about_waivers(f.code));
            for finding in found {
                warnings.insert(finding.code);
                let Some(clusters) = &clusters else { continue };
                let known = clusters.iter().any(|(_, places)| {
                    finding.primary.as_ref().is_some_and(|label| places.paths_at(label.span).next().is_some())
                });
                // A file that is not read has no setting.
                assert!(known || finding.code == Code::UnreadExtension, "{}: {finding:?}", case.display());
            }
        }
    }
    assert_eq!(warnings, Code::WAIVABLE.iter().copied().collect());
    assert!(Code::WAIVABLE.is_sorted());
}
