use super::*;

mod certificates;
mod directives;
mod kubernetes;
mod laws;
mod settings;

/// The changes as lines: `path: old -> new`, with `+` and `-` before what is new or gone.
fn changed(format: Format, old: &str, new: &str) -> Vec<String> {
    let shown = |change: &FieldChange| match (&change.old, &change.new) {
        (Some(old), Some(new)) => format!("{}: {old} -> {new}", change.path),
        (None, Some(new)) => format!("+ {}: {new}", change.path),
        (Some(old), None) => format!("- {}: {old}", change.path),
        (None, None) => panic!("{} changes from nothing to nothing", change.path),
    };
    let changes = compare(format, old, new).unwrap();
    assert_eq!(mirrored(compare(format, new, old).unwrap()), changes, "mirrored");
    changes.iter().map(shown).collect()
}

fn same(format: Format, old: &str, new: &str) {
    assert_eq!(changed(format, old, new), [""; 0]);
}

fn mirrored(mut changes: Vec<FieldChange>) -> Vec<FieldChange> {
    changes.iter_mut().for_each(|change| std::mem::swap(&mut change.old, &mut change.new));
    changes.sort();
    changes
}

/// Texts of real builds: path and text, those without fields left out.
fn goldens() -> Vec<(String, String, Format)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens");
    let mut files = Vec::new();
    for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
        let entry = entry.unwrap();
        if entry.file_type().is_file() {
            let text = std::fs::read_to_string(entry.path()).unwrap();
            // Goldens stand for base64 with a word; any base64 that is no certificate would be refused.
            let text = text.replace("(base64)", &certificates::embedded());
            let path = entry.path().to_str().unwrap().to_owned();
            let format = format_of(&path, &text);
            files.push((path, text, format));
        }
    }
    assert!(files.len() > 100, "the goldens are gone");
    files.retain(|(_, _, format)| *format != Format::Text);
    files
}
