//! Finds the documents of an inventory and reads their text, whatever else lies in the folder.
//!
//! Nothing is opened that is not a regular file, and nothing is opened in a way that could wait. Links are followed;
//! circles and dead ends are findings. The order is that of the bytes of the paths, on every file system.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

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
    let walk = WalkDir::new(dir).follow_links(true).min_depth(1).into_iter();
    for (number, entry) in walk.filter_entry(keep).enumerate() {
        if number >= MAX_ENTRIES {
            report.push(
                Diagnostic::error(
                    Code::TooLarge,
                    format!("the folder holds more than {MAX_ENTRIES} files and folders"),
                )
                .at(whole(dir, sources), "")
                .help("keep only the inventory in it; look for links from one folder into others"),
            );
            return Vec::new();
        }
        match entry {
            Ok(entry) => found.extend(document(&entry, dir, sources, report)),
            Err(error) => walk_error(&error, dir, sources, report),
        }
    }
    found.sort_by(|a, b| a.relative.as_os_str().as_bytes().cmp(b.relative.as_os_str().as_bytes()));
    found
}

fn hidden(name: &[u8]) -> bool {
    name.starts_with(b".")
}

fn keep(entry: &DirEntry) -> bool {
    if hidden(entry.file_name().as_bytes()) {
        return false;
    }
    if !entry.file_type().is_dir() {
        return true;
    }
    let skipped = SKIPPED_FOLDERS.iter().any(|name| entry.file_name() == *name);
    !skipped && entry.path().join(OUTPUT_MARK).symlink_metadata().is_err()
}

fn document(entry: &DirEntry, dir: &Path, sources: &mut Sources, report: &mut Report) -> Option<Found> {
    if entry.file_type().is_dir() {
        return None;
    }
    let Some(format) = format(entry.path()) else {
        let lower = PathBuf::from(entry.path().to_string_lossy().to_ascii_lowercase());
        if self::format(&lower).is_some() {
            report.push(
                Diagnostic::warning(
                    Code::UnreadExtension,
                    "this file is not read: its extension is in upper case",
                )
                .at(whole(entry.path(), sources), "")
                .help("rename it to end in .yaml, .yml or .toml, or move it out of the inventory"),
            );
        }
        return None;
    };
    let relative = entry.path().strip_prefix(dir).unwrap_or(entry.path()).to_owned();
    Some(Found { path: entry.path().to_owned(), relative, format })
}

fn walk_error(error: &walkdir::Error, dir: &Path, sources: &mut Sources, report: &mut Report) {
    let path = error.path().unwrap_or(dir);
    let name = path.file_name().map(OsStrExt::as_bytes).unwrap_or_default();
    // Editors leave such links behind: a lock is a hidden link to nothing.
    if hidden(name) && path != dir {
        return;
    }
    let link = path.symlink_metadata().is_ok_and(|kind| kind.file_type().is_symlink());
    let finding = match (error.loop_ancestor(), error.io_error()) {
        (Some(ancestor), _) => {
            Diagnostic::error(Code::LinkLoop, format!("this link leads back to `{}`", shown(ancestor)))
                .help("remove the link")
        }
        // ELOOP has no stable kind in the standard library; whatever a link fails with, it leads nowhere.
        (None, Some(cause)) if link && cause.kind() != io::ErrorKind::PermissionDenied => {
            Diagnostic::error(Code::LinkLoop, "this link leads nowhere").help("mend or remove the link")
        }
        (None, Some(cause)) => unreadable(cause),
        (None, None) => Diagnostic::error(Code::Unreadable, "cannot be read"),
    };
    report.push(finding.at(whole(path, sources), ""));
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
