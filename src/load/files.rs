//! Finds the documents of an inventory and reads their text, whatever else lies in the folder.
//!
//! Nothing is opened that is not a regular file, and nothing is opened in a way that could wait. Links are followed;
//! circles and dead ends are findings. The order is that of the bytes of the paths, on every file system.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::budget::{Budget, MAX_BYTES, MAX_ENTRIES};
use crate::diag::{Code, Diagnostic, Report};
use crate::source::{SourceId, Sources, Span};

/// Folders that belong to an inventory and hold no documents (DESIGN, "The inventory").
const SKIPPED_FOLDERS: [&str; 6] = ["secrets", "files", "patches", "manifests", "artifacts", "templates"];
/// What `khagen build` writes into every output folder.
const OUTPUT_MARK: &str = "BUILD.json";

/// The format of a document, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Yaml,
    Toml,
}

/// A document that was found and not read yet.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    /// Relative to the inventory folder.
    pub(super) relative: PathBuf,
    pub(super) format: Format,
}

impl Found {
    /// Returns whether this document makes its folder a cluster.
    pub(super) fn names_cluster(&self) -> bool {
        self.relative.file_stem().is_some_and(|stem| stem == "cluster")
    }

    /// Returns the folders between the inventory and the document.
    pub(super) fn folders(&self) -> Vec<&std::ffi::OsStr> {
        self.relative.parent().map(|parent| parent.iter().collect()).unwrap_or_default()
    }
}

/// Returns a path as messages print it.
pub(super) fn shown(path: &Path) -> String {
    let path = path.strip_prefix(".").ok().filter(|rest| !rest.as_os_str().is_empty()).unwrap_or(path);
    path.to_string_lossy().into_owned()
}

/// Returns the place of a file or folder as a whole.
pub(super) fn whole(path: &Path, sources: &mut Sources) -> Span {
    Span::new(sources.add(shown(path), ""), 0..0)
}

fn format(path: &Path) -> Option<Format> {
    match path.extension()?.to_str()? {
        "yaml" | "yml" => Some(Format::Yaml),
        "toml" => Some(Format::Toml),
        _ => None,
    }
}

/// Returns every document under `dir`, or the one document that `dir` is.
pub(super) fn find(dir: &Path, sources: &mut Sources, report: &mut Report) -> Vec<Found> {
    let kind = match std::fs::metadata(dir) {
        Ok(kind) => kind,
        Err(error) => {
            let finding = if error.kind() == io::ErrorKind::NotFound {
                Diagnostic::error(Code::NotFound, format!("there is no inventory `{}`", shown(dir)))
                    .help("name the inventory's folder, or write a first one with `khagen init`")
            } else {
                unreadable(&error)
            };
            report.push(finding.at(whole(dir, sources), ""));
            return Vec::new();
        }
    };
    if kind.is_dir() {
        return walk(dir, sources, report);
    }
    if !kind.is_file() {
        report.push(not_a_file(&kind).at(whole(dir, sources), ""));
        return Vec::new();
    }
    let Some(format) = format(dir) else {
        report.push(
            Diagnostic::error(
                Code::UnreadExtension,
                "an inventory file must be named *.yaml, *.yml or *.toml",
            )
            .at(whole(dir, sources), "")
            .help("rename the file"),
        );
        return Vec::new();
    };
    let relative = dir.file_name().map(PathBuf::from).unwrap_or_default();
    vec![Found { path: dir.to_owned(), relative, format }]
}

fn walk(dir: &Path, sources: &mut Sources, report: &mut Report) -> Vec<Found> {
    if dir.join(OUTPUT_MARK).symlink_metadata().is_ok() {
        report.push(
            Diagnostic::error(Code::OutputAsInventory, format!("`{}` is an output folder", shown(dir)))
                .at(whole(dir, sources), "")
                .reason(format!("it holds {OUTPUT_MARK}, which `khagen build` writes"))
                .help("name the inventory's folder instead"),
        );
        return Vec::new();
    }
    let mut found = Vec::new();
    // Every folder once, whatever links lead to it: linked folders cannot multiply, and nothing is read twice.
    let mut seen: BTreeMap<(u64, u64), PathBuf> = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    let mut looked_at = 0;
    while let Some(folder) = folders.pop() {
        let entries = match enter(&folder, &mut seen)
            .and_then(|()| list(&folder).map_err(|error| Box::new(unreadable(&error))))
        {
            Ok(entries) => entries,
            Err(finding) => {
                report.push(finding.at(whole(&folder, sources), ""));
                continue;
            }
        };
        let mut inner = Vec::new();
        for path in entries {
            looked_at += 1;
            if looked_at > MAX_ENTRIES {
                report.push(
                    Diagnostic::error(
                        Code::TooLarge,
                        format!("the folder holds more than {MAX_ENTRIES} files and folders"),
                    )
                    .at(whole(dir, sources), "")
                    .help("keep only the inventory in it"),
                );
                return Vec::new();
            }
            match std::fs::metadata(&path) {
                Ok(kind) if kind.is_dir() => {
                    if holds_documents(&path) {
                        inner.push(path);
                    }
                }
                Ok(_) => found.extend(document(path, dir, sources, report)),
                Err(error) => report.push(no_metadata(&path, &error).at(whole(&path, sources), "")),
            }
        }
        // The stack gives the last one first.
        folders.extend(inner.into_iter().rev());
    }
    found.sort_by(|a, b| a.relative.as_os_str().as_bytes().cmp(b.relative.as_os_str().as_bytes()));
    found
}

/// Notes that a folder is being read, or says that it was already.
fn enter(folder: &Path, seen: &mut BTreeMap<(u64, u64), PathBuf>) -> Result<(), Box<Diagnostic>> {
    let kind = std::fs::metadata(folder).map_err(|error| Box::new(unreadable(&error)))?;
    match seen.entry((kind.dev(), kind.ino())) {
        Entry::Vacant(free) => {
            free.insert(folder.to_owned());
            Ok(())
        }
        Entry::Occupied(first) => {
            let first = first.get();
            let how = if folder.starts_with(first) { "leads back to" } else { "is the same folder as" };
            Err(Box::new(
                Diagnostic::error(Code::LinkLoop, format!("this {how} `{}`", shown(first)))
                    .reason("its documents would be read more than once")
                    .help("remove the link"),
            ))
        }
    }
}

/// Returns what a folder holds, by name, without hidden files: version control, editors' locks and copies.
fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)?.take(MAX_ENTRIES + 1) {
        let entry = entry?;
        if !entry.file_name().as_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

fn holds_documents(folder: &Path) -> bool {
    let skipped = SKIPPED_FOLDERS.iter().any(|name| folder.file_name().is_some_and(|own| own == *name));
    !skipped && folder.join(OUTPUT_MARK).symlink_metadata().is_err()
}

fn document(path: PathBuf, dir: &Path, sources: &mut Sources, report: &mut Report) -> Option<Found> {
    let Some(format) = format(&path) else {
        let lower = PathBuf::from(path.to_string_lossy().to_ascii_lowercase());
        if self::format(&lower).is_some() {
            report.push(
                Diagnostic::warning(
                    Code::UnreadExtension,
                    "this file is not read: its extension is in upper case",
                )
                .at(whole(&path, sources), "")
                .help("rename it to end in .yaml, .yml or .toml, or move it out of the inventory"),
            );
        }
        return None;
    };
    let relative = path.strip_prefix(dir).unwrap_or(&path).to_owned();
    Some(Found { path, relative, format })
}

fn no_metadata(path: &Path, error: &io::Error) -> Diagnostic {
    let link = path.symlink_metadata().is_ok_and(|kind| kind.file_type().is_symlink());
    // A link to itself fails with ELOOP, which has no stable kind in the standard library.
    if link && error.kind() != io::ErrorKind::PermissionDenied {
        return Diagnostic::error(Code::LinkLoop, "this link leads nowhere").help("mend or remove the link");
    }
    unreadable(error)
}

fn unreadable(cause: &io::Error) -> Diagnostic {
    Diagnostic::error(Code::Unreadable, format!("cannot be read: {cause}"))
        .help("make it readable for the user that runs khagen, or move it out of the inventory")
}

fn not_a_file(kind: &Metadata) -> Diagnostic {
    use std::os::unix::fs::FileTypeExt;
    let kind = kind.file_type();
    let what = if kind.is_fifo() {
        "a named pipe"
    } else if kind.is_socket() {
        "a socket"
    } else if kind.is_dir() {
        "a folder"
    } else {
        "a device"
    };
    Diagnostic::error(Code::NotAFile, format!("a document must be a regular file, this is {what}"))
        .help("remove it, or replace it by a file")
}

/// Reads a document's text into the sources, or says why not.
pub(super) fn read(
    found: &Found,
    budget: &mut Budget,
    sources: &mut Sources,
    report: &mut Report,
) -> Option<SourceId> {
    let bytes = match open(&found.path).and_then(|(file, kind)| {
        if !kind.is_file() {
            return Ok(Err(not_a_file(&kind)));
        }
        let mut bytes = Vec::new();
        file.take(budget.bytes + 1).read_to_end(&mut bytes)?;
        Ok(Ok(bytes))
    }) {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(finding)) => {
            report.push(finding.at(whole(&found.path, sources), ""));
            return None;
        }
        Err(error) => {
            report.push(unreadable(&error).at(whole(&found.path, sources), ""));
            return None;
        }
    };
    let length = bytes.len() as u64;
    if length > budget.bytes {
        report.push(
            Diagnostic::error(
                Code::TooLarge,
                format!("with this document the inventory exceeds {} MiB", MAX_BYTES >> 20),
            )
            .at(whole(&found.path, sources), "")
            .help("move what is not a setting out of the inventory, or split it into several"),
        );
        budget.bytes = 0;
        return None;
    }
    budget.bytes -= length;
    let (text, fault) = match String::from_utf8(bytes) {
        Ok(text) => match text.find('\0') {
            Some(at) => (text, Some((at, 1, Code::NulByte))),
            None => (text, None),
        },
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            // What precedes the fault is kept, so that it has a line and a column.
            let valid = error.into_bytes().get(..at).map(|valid| String::from_utf8_lossy(valid).into_owned());
            (valid.unwrap_or_default(), Some((at, 0, Code::NotUtf8)))
        }
    };
    let id = sources.add(shown(&found.path), text);
    let Some((at, length, code)) = fault else { return Some(id) };
    let span = Span::new(id, at..at + length);
    report.push(match code {
        Code::NulByte => Diagnostic::error(code, "a NUL byte, which text never holds")
            .at(span, "")
            .help("remove it; if the file is binary, move it out of the inventory"),
        _ => Diagnostic::error(code, "not UTF-8 from here on").at(span, "").help("save the file as UTF-8"),
    });
    None
}

/// Opens without waiting: opening a named pipe would otherwise block until someone writes to it. The kind is asked of
/// the open file, so nothing can be exchanged in between.
fn open(path: &Path) -> io::Result<(File, Metadata)> {
    let kind = std::fs::metadata(path)?;
    let file = if kind.is_file() {
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
        OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?
    } else {
        // Devices can act on being opened. An empty file stands in; the caller refuses by kind.
        File::open("/dev/null")?
    };
    let kind = if kind.is_file() { file.metadata()? } else { kind };
    Ok((file, kind))
}
