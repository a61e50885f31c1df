//! Opening a store: reads every clear file, checks it against its sidecar, and reports all damage at once.
//! Never writes, and never opens a file that holds a secret in the clear: of those it looks at presence and size. An
//! encrypted one is held against its digest; nothing is decrypted.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rayon::prelude::*;

use super::{Access, Damage, MARKER, Store, StoreError, VERSION};
use crate::content::ObjectId;
use crate::fs::Lock;
use crate::pki::object::{self, CERTIFICATE, Kind, Object, PUBLIC, Record, SIDECAR, State};
use crate::pki::{ledger, sealed};

/// How long another khagen at work on the same store is waited for: longer than any build takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// What an interrupted write left behind.
#[derive(Debug, Clone)]
pub(super) enum Leftover {
    /// Staged, never put in place, or replaced already.
    Discard(PathBuf),
    /// The object's former folder, which was moved aside and whose successor never came.
    PutBack { from: PathBuf, to: PathBuf },
}

pub(super) fn open(dir: &Path, access: Access) -> Result<Store, StoreError> {
    let above = match dir.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    };
    let lock = if above.is_dir() { Some(Lock::folder(above, PATIENCE)?) } else { None };
    let mut store = Store::empty(dir, lock);
    store.marked = read_marker(dir)?;
    let mut found = Found::default();
    if !store.marked {
        for (name, _) in entries(dir)? {
            leftover_file(dir, &name, &mut found.leftovers);
        }
        store.keep_leftovers(found.leftovers);
        return Ok(store);
    }
    walk(&dir.join("objects"), "", &mut found)?;
    for folder in [dir.to_owned(), dir.join("ledger"), dir.join("ledger/hosts")] {
        for (name, _) in entries(&folder)? {
            leftover_file(&folder, &name, &mut found.leftovers);
        }
    }
    let mut damages = Vec::new();
    let read: Vec<Result<(ObjectId, Object), Vec<Damage>>> = found
        .objects
        .into_par_iter()
        .map(|(id, at)| read_object(id, &at, access))
        .collect::<Result<_, StoreError>>()?;
    for object in read {
        match object {
            Ok((id, object)) => {
                store.objects.insert(id, object);
            }
            Err(more) => damages.extend(more),
        }
    }
    store.ledger = ledger::read(dir, &mut damages)?;
    if damages.is_empty() {
        missing(&store, &mut damages);
    }
    if !damages.is_empty() {
        damages.sort_by(|a, b| a.path.cmp(&b.path));
        return Err(StoreError::Damaged { dir: dir.to_owned(), damages });
    }
    store.ledger_on_disk = store.ledger.clone();
    store.keep_leftovers(found.leftovers);
    Ok(store)
}

impl Store {
    fn keep_leftovers(&mut self, leftovers: Vec<Leftover>) {
        self.notes = leftovers.iter().map(note).collect();
        self.leftovers = leftovers;
    }
}

/// What must be there because of what is: objects are never deleted, so those that others were made with, and the
/// cluster's record where there are hosts'.
fn missing(store: &Store, damages: &mut Vec<Damage>) {
    let mut wanted: BTreeMap<ObjectId, String> = BTreeMap::new();
    for ca in store.ledger.founding.iter().flat_map(|f| f.ca_fingerprints.keys()) {
        wanted.insert(ObjectId::new(ca), "the ledger names it".to_owned());
    }
    for (id, object) in &store.objects {
        if let Some(issuer) = object.record.made_from.as_ref().and_then(|m| m.issuer.as_deref()) {
            wanted.entry(ObjectId::new(issuer)).or_insert_with(|| format!("{id} was signed by it"));
        }
    }
    for (id, why) in wanted.into_iter().filter(|(id, _)| !store.objects.contains_key(id)) {
        damages.push(Damage { path: store.object_dir(&id), what: format!("is missing, though {why}") });
    }
    if store.ledger.founding.is_none() && !store.ledger.hosts.is_empty() {
        let path = ledger::founding_path(&store.dir);
        damages.push(Damage { path, what: "is missing, though the ledger knows hosts".to_owned() });
    }
    let keys: Vec<&str> = store
        .objects
        .values()
        .filter(|o| o.record.kind == Kind::HmacKey)
        .map(|o| o.record.fingerprint.as_str())
        .collect();
    let orphan = |o: &Object| o.record.fingerprint_key.as_deref().is_some_and(|by| !keys.contains(&by));
    for (id, _) in store.objects.iter().filter(|(_, o)| orphan(o)) {
        damages.push(Damage {
            path: store.object_dir(id),
            what: "has a fingerprint made by a fingerprint key that is missing".to_owned(),
        });
    }
}

fn note(leftover: &Leftover) -> String {
    match leftover {
        Leftover::Discard(path) => {
            format!("{} is left from an interrupted write and is discarded", path.display())
        }
        Leftover::PutBack { from, to } => {
            format!(
                "{} was moved aside by an interrupted write and is put back as {}",
                from.display(),
                to.display()
            )
        }
    }
}

/// Whether the folder is a store. A missing or empty folder is not, and that is fine.
fn read_marker(dir: &Path) -> Result<bool, StoreError> {
    let path = dir.join(MARKER);
    let Some(text) = read_text(&path)? else {
        let others = entries(dir)?;
        return if others.iter().all(|(name, _)| is_own_hidden(name)) {
            Ok(false)
        } else {
            Err(StoreError::NotAStore { dir: dir.to_owned() })
        };
    };
    let version = text.strip_prefix("khagen-store/v").and_then(|v| v.trim_end().parse::<u64>().ok());
    match version {
        Some(v) if v == u64::from(VERSION) => Ok(true),
        Some(v) if v > u64::from(VERSION) => Err(StoreError::Newer { path, version: v }),
        _ => Err(StoreError::Damaged {
            dir: dir.to_owned(),
            damages: vec![Damage {
                path,
                what: "does not name a version: it was cut short or is another file".into(),
            }],
        }),
    }
}

/// What the very first save may have left before it wrote the marker.
fn is_own_hidden(name: &str) -> bool {
    name == ".gitignore" || name == ".gitattributes" || name.ends_with(".new")
}

#[derive(Default)]
struct Found {
    /// Where each object's folder is.
    objects: BTreeMap<String, PathBuf>,
    leftovers: Vec<Leftover>,
}

/// Finds the folders that are objects: those that hold a file. Folders above them only group.
fn walk(dir: &Path, id: &str, found: &mut Found) -> Result<(), StoreError> {
    let mut aside = Vec::new();
    for (name, is_dir) in entries(dir)? {
        let path = dir.join(&name);
        if name.starts_with('.') {
            if is_dir && name.ends_with(".old") {
                aside.push((name, path));
            } else if is_dir && name.ends_with(".new") {
                found.leftovers.push(Leftover::Discard(path));
            } else {
                leftover_file(dir, &name, &mut found.leftovers);
            }
        } else if is_dir {
            let below = if id.is_empty() { name } else { format!("{id}/{name}") };
            walk(&path, &below, found)?;
        } else if !id.is_empty() {
            found.objects.insert(id.to_owned(), dir.to_owned());
        }
    }
    for (name, from) in aside {
        let name = name.trim_start_matches('.').trim_end_matches(".old");
        let to = dir.join(name);
        if to.is_dir() {
            found.leftovers.push(Leftover::Discard(from));
        } else {
            let below = if id.is_empty() { name.to_owned() } else { format!("{id}/{name}") };
            found.objects.insert(below, from.clone());
            found.leftovers.push(Leftover::PutBack { from, to });
        }
    }
    Ok(())
}

/// A file that was written aside and never renamed.
fn leftover_file(dir: &Path, name: &str, leftovers: &mut Vec<Leftover>) {
    if name.starts_with('.') && name.ends_with(".new") {
        leftovers.push(Leftover::Discard(dir.join(name)));
    }
}

type ReadObject = Result<(ObjectId, Object), Vec<Damage>>;

fn read_object(id: String, dir: &Path, access: Access) -> Result<ReadObject, StoreError> {
    let mut damages = Vec::new();
    let mut damaged = |file: &str, what: String| damages.push(Damage { path: dir.join(file), what });
    let Some(text) = read_text(&dir.join(SIDECAR))? else {
        damaged(SIDECAR, "is missing".to_owned());
        return Ok(Err(damages));
    };
    let record = match sealed::read::<Record>(&text) {
        Ok(record) => record,
        Err(what) => {
            damaged(SIDECAR, what);
            return Ok(Err(damages));
        }
    };
    let name = ObjectId::new(&id);
    if record.id != id {
        damaged(
            SIDECAR,
            format!("is the record of {}: the folder or the file was moved or swapped", record.id),
        );
    } else if !object::is_valid_id(&name) {
        damaged(SIDECAR, format!("stands in a folder whose name cannot be an object's: {id:?}"));
    }
    let mut clear = |file: &str, sha256: Option<&str>| -> Result<Option<Arc<str>>, StoreError> {
        let Some(sha256) = sha256 else { return Ok(None) };
        let what = match read_text(&dir.join(file))? {
            None => "is missing".to_owned(),
            Some(text) if text.is_empty() => "is empty".to_owned(),
            Some(text) if sealed::sha256_hex(text.as_bytes()) == sha256 => return Ok(Some(Arc::from(text))),
            Some(_) => format!("is not the one that {SIDECAR} describes: it was cut, changed or swapped"),
        };
        damaged(file, what);
        Ok(None)
    };
    let cert = clear(CERTIFICATE, record.certificate.as_ref().map(|c| c.sha256.as_str()))?;
    let public = clear(PUBLIC, record.public_sha256.as_deref())?;
    let complete = match record.kind {
        Kind::Certificate => record.certificate.is_some() && record.made_from.is_some(),
        Kind::KeyPair => record.public_sha256.is_some(),
        Kind::BootstrapToken | Kind::CertificateKey | Kind::VrrpPassword | Kind::UserSecret => {
            record.fingerprint_key.is_some()
        }
        Kind::HmacKey => true,
    };
    if !complete {
        damaged(SIDECAR, format!("lacks what the record of a {} must have", record.kind.as_str()));
    }
    if access == Access::Full && !record.keyless {
        let file = record.secret_file();
        let wrong = match &record.encrypted {
            None => wrong_with_secret(&dir.join(file), record.secret_size)?,
            Some(encrypted) => wrong_with_encrypted(&dir.join(file), &encrypted.sha256)?,
        };
        if let Some(what) = wrong {
            damaged(file, what);
        }
    }
    let clear = record.kind.secret_file();
    if record.encrypted.is_some() && dir.join(clear).symlink_metadata().is_ok() {
        damaged(clear, format!("stands in the clear beside {}: remove it", record.secret_file()));
    }
    if !damages.is_empty() {
        return Ok(Err(damages));
    }
    let object = Object {
        record,
        cert,
        public,
        secret: OnceLock::new(),
        signer: OnceLock::new(),
        state: State::Saved,
    };
    Ok(Ok((name, object)))
}

/// Looks at a secret's file without opening it.
fn wrong_with_secret(path: &Path, size: u64) -> Result<Option<String>, StoreError> {
    match std::fs::symlink_metadata(path) {
        Ok(m) if !m.is_file() => Ok(Some("is no plain file".to_owned())),
        Ok(m) if m.len() == 0 => Ok(Some("is empty".to_owned())),
        Ok(m) if m.len() != size => {
            Ok(Some(format!("has {} bytes where {SIDECAR} says {size}: it was cut or replaced", m.len())))
        }
        Ok(_) => Ok(None),
        Err(e) if e.kind() == ErrorKind::NotFound => {
            Ok(Some("is missing (git does not carry key files: bring it from where it was made)".to_owned()))
        }
        Err(source) => Err(StoreError::Read { path: path.to_owned(), source }),
    }
}

/// Holds an encrypted secret against its digest.
fn wrong_with_encrypted(path: &Path, sha256: &str) -> Result<Option<String>, StoreError> {
    match std::fs::read(path) {
        Ok(bytes) if bytes.is_empty() => Ok(Some("is empty".to_owned())),
        Ok(bytes) if sealed::sha256_hex(&bytes) != sha256 => {
            Ok(Some(format!("is not the one that {SIDECAR} describes: it was cut, changed or swapped")))
        }
        Ok(_) => Ok(None),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(Some("is missing".to_owned())),
        Err(source) => Err(StoreError::Read { path: path.to_owned(), source }),
    }
}

/// A file's text; `None` when it is not there. What is no UTF-8 will not match any digest.
pub(in crate::pki) fn read_text(path: &Path) -> Result<Option<String>, StoreError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(e) => String::from_utf8_lossy(e.as_bytes()).into_owned(),
        })),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StoreError::Read { path: path.to_owned(), source }),
    }
}

/// Names in a folder and whether each is a folder, in order; a folder that is not there has none.
pub(in crate::pki) fn entries(dir: &Path) -> Result<Vec<(String, bool)>, StoreError> {
    let fail = |source| StoreError::Read { path: dir.to_owned(), source };
    let listed = match std::fs::read_dir(dir) {
        Ok(listed) => listed,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(fail(e)),
    };
    let mut names = Vec::new();
    for entry in listed {
        let entry = entry.map_err(fail)?;
        let is_dir = entry.file_type().map_err(fail)?.is_dir();
        names.push((entry.file_name().to_string_lossy().into_owned(), is_dir));
    }
    names.sort_unstable();
    Ok(names)
}
