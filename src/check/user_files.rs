//! The user's own files and kubeadm patches: read from `files/` and `patches/`, once each, and judged. A file may be made
//! of a secret instead, which must be in the store.
//!
//! The only file of this step that reads the disk. A source cannot lead out of its folder, neither by `..` nor by a
//! link, and reading cannot wait: only regular files are opened.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::MissingSecrets;
use super::decode::{secret_name, text_of};
use super::findings::finding;
use super::secrets::{Secrets, looks_secret};
use super::text::{Fault, names, quantity};
use super::view::{View, items};
use crate::diag::{Code, Diagnostic, Report};
use crate::load::tree::{Node, Value};
use crate::model::UserContent;
use crate::pki::object::SIDECAR;
use crate::pki::store::is_secret_name;
use crate::schema::{self, HOST};
use crate::source::Span;

/// The largest file that is taken.
const MAX_BYTES: u64 = 1 << 20;

/// Sources by the place that names them.
#[derive(Default)]
pub struct UserFiles {
    by_place: HashMap<Span, UserContent>,
    by_source: HashMap<(&'static str, String), Result<Arc<str>, Fault>>,
}

impl UserFiles {
    /// Reads the sources of every `files` and `patches` list of a cluster's tree. `unsound` is told the places that give none.
    pub fn read(
        root: &Node,
        dir: &Path,
        secrets: &Secrets,
        missing: MissingSecrets,
        report: &mut Report,
    ) -> UserFiles {
        let mut files = UserFiles::default();
        let top = View::new(Some(root), schema::INVENTORY);
        let mut holders: Vec<&Node> = Vec::new();
        holders.extend(top.node("defaults"));
        for key in ["roles", "groups"] {
            holders
                .extend(top.node(key).into_iter().flat_map(|node| node.entries()).map(|entry| &entry.value));
        }
        if let Some(Node { value: Value::List(hosts), .. }) = top.node("hosts") {
            holders.extend(hosts);
        }
        for holder in holders {
            if let Some(entry) = holder.get("files") {
                files.list(&entry.value, dir, secrets, missing, report);
            }
            if let Some(entry) = holder.get("patches") {
                files.patches(&entry.value, dir, secrets, report);
            }
        }
        files
    }

    /// What the file is made of that a place names.
    pub fn at(&self, source: Span) -> Option<UserContent> {
        self.by_place.get(&source).cloned()
    }

    /// The text that a place names, where it cannot be a secret.
    pub fn text_at(&self, source: Span) -> Option<Arc<str>> {
        match self.by_place.get(&source)? {
            UserContent::Text(text) => Some(text.clone()),
            UserContent::Secret(_) => None,
        }
    }

    fn list(
        &mut self,
        list: &Node,
        dir: &Path,
        secrets: &Secrets,
        missing: MissingSecrets,
        report: &mut Report,
    ) {
        let keys = schema::find(HOST, "files").and_then(schema::Key::keys).unwrap_or_default();
        let mut seen: HashMap<String, Span> = HashMap::new();
        for item in items(list) {
            let view = View::new(Some(item), keys);
            if let (Some(path), Some(node)) = (view.written("path", names::path), view.node("path")) {
                if let Some(first) = seen.get(&path) {
                    report.push(
                        Diagnostic::error(Code::Repeated, format!("`{path}` stands twice in `files`"))
                            .at(node.span, "again here")
                            .also(*first, "first here")
                            .reason("one path on a host has one content")
                            .help("keep one of them"),
                    );
                }
                seen.entry(path).or_insert(node.span);
            }
            if let Some(node) = view.node("source")
                && let Some(name) = secret_name(node)
            {
                self.secret(view, node.span, name, dir, missing, report);
                continue;
            }
            self.source(view, "files", dir, secrets, report);
        }
    }

    /// A file that is made of a secret. A name that is none was reported by the decoder.
    fn secret(
        &mut self,
        view: View<'_>,
        source: Span,
        name: &Node,
        dir: &Path,
        missing: MissingSecrets,
        report: &mut Report,
    ) {
        let Some(text) = text_of(name, false).filter(|text| is_secret_name(text)) else { return };
        let is_there = dir.join("secrets/objects/user").join(&text).join(SIDECAR).is_file();
        if !is_there && missing == MissingSecrets::AreErrors {
            report.push(missing_secret(&text, name.span));
        }
        if let Some(mode) = view.node("mode")
            && view.written("mode", quantity::mode).is_some_and(|bits| bits & 0o007 != 0)
        {
            report.push(open_to_all(mode.span));
        }
        self.by_place.insert(source, UserContent::Secret(text));
    }

    fn patches(&mut self, list: &Node, dir: &Path, secrets: &Secrets, report: &mut Report) {
        let keys = schema::find(HOST, "patches").and_then(schema::Key::keys).unwrap_or_default();
        for item in items(list) {
            let view = View::new(Some(item), keys);
            let Some((text, span)) = self.source(view, "patches", dir, secrets, report) else { continue };
            let source = view.written("source", names::source).unwrap_or_default();
            if let Err(what) = patch(&text, &view.word("type")) {
                let help = "see kubeadm's page on patches; what is patched is a pod, a deployment or a KubeletConfiguration";
                report.push(finding(fault("patches", &source, &what, help), span));
                self.by_place.remove(&span);
            }
        }
    }

    /// The text of what `source` names, if it can be taken.
    fn source(
        &mut self,
        view: View<'_>,
        folder: &'static str,
        dir: &Path,
        secrets: &Secrets,
        report: &mut Report,
    ) -> Option<(Arc<str>, Span)> {
        let node = view.node("source").filter(|node| !secrets.holds(node.span))?;
        let source = view.written("source", names::source)?;
        let read = |(folder, source): &(&'static str, String)| read(&dir.join(folder), folder, source);
        match self.by_source.entry((folder, source)).or_insert_with_key(read) {
            Ok(text) => {
                self.by_place.insert(node.span, UserContent::Text(text.clone()));
                Some((text.clone(), node.span))
            }
            Err(fault) => {
                report.push(finding(fault.clone(), node.span));
                None
            }
        }
    }
}

/// Whether a text is what kubeadm takes for a patch (cmd/kubeadm/app/util/patches): a map, or a list of operations.
fn patch(text: &str, kind: &str) -> Result<(), String> {
    use serde_json::Value;
    let value: Value = serde_yaml::from_str(text).map_err(|error| {
        format!("is neither YAML nor JSON: {}", error.to_string().lines().next().unwrap_or_default())
    })?;
    match (kind, &value) {
        ("json", Value::Array(operations)) => {
            let known = ["add", "remove", "replace", "move", "copy", "test"];
            for (i, operation) in operations.iter().enumerate() {
                let op = operation.get("op").and_then(Value::as_str).unwrap_or_default();
                let path = operation.get("path").and_then(Value::as_str);
                if !known.contains(&op) || !path.is_some_and(|p| p.is_empty() || p.starts_with('/')) {
                    return Err(format!(
                        "is no JSON patch: operation {} wants `op` and a `path` that begins with /",
                        i + 1
                    ));
                }
            }
            Ok(())
        }
        ("json", _) => Err("is no JSON patch: that is a list of operations".to_owned()),
        (_, Value::Object(map)) if !map.is_empty() => Ok(()),
        _ => Err("is no patch: that is a map of what changes".to_owned()),
    }
}

fn missing_secret(name: &str, span: Span) -> Diagnostic {
    Diagnostic::error(Code::SecretMissing, format!("the store has no secret `{name}`"))
        .at(span, "")
        .reason("the file on the host is made of it")
        .help(format!("put it there: khagen secret set {name} < FILE"))
}

fn open_to_all(mode: Span) -> Diagnostic {
    Diagnostic::error(Code::BadMode, "a secret that every user of the host could read")
        .at(mode, "")
        .reason("the file is made of a secret of the store")
        .help("leave `mode` out (0600), or give a group access: \"0640\"")
}

fn fault(folder: &str, source: &str, what: &str, help: &str) -> Fault {
    Fault {
        code: Code::UserFile,
        message: format!("`{folder}/{source}` {what}"),
        reason: "a bundle holds the file's text, and the review shows it".to_owned(),
        help: help.to_owned(),
    }
}

fn read(dir: &Path, folder: &str, source: &str) -> Result<Arc<str>, Fault> {
    let fault = |what: &str, help: &str| fault(folder, source, what, help);
    let unreadable = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            fault("does not exist", &format!("put it into `{}`, or mend `source`", dir.display()))
        }
        _ => fault(&format!("cannot be read: {error}"), "make it readable"),
    };
    let inside: PathBuf = dir.canonicalize().map_err(unreadable)?;
    let path = dir.join(source).canonicalize().map_err(unreadable)?;
    if !path.starts_with(&inside) {
        return Err(fault(
            &format!("leads out of `{folder}/`"),
            "put the file itself there instead of a link",
        ));
    }
    let meta = path.metadata().map_err(unreadable)?;
    if !meta.is_file() {
        return Err(fault("is not a regular file", "name a file, not a folder, pipe or device"));
    }
    let too_large = || fault("is larger than 1 MiB", "carry large files by a package or an image");
    if meta.len() > MAX_BYTES {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    File::open(&path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(too_large());
    }
    let text =
        String::from_utf8(bytes).map_err(|_| fault("is not UTF-8 text", "only text can be reviewed"))?;
    // Certificates are welcome, keys are not. Random text is none of our business here: files hold anything.
    if let Some(what @ ("a private key" | "an age identity" | "a bootstrap token")) = looks_secret(&text) {
        return Err(Fault {
            code: Code::SecretValue,
            ..fault(
                &format!("holds what looks like {what}"),
                "take it out; the review would show it to everybody",
            )
        });
    }
    Ok(text.into())
}
