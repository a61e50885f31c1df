//! Saving a store: objects whole and first, then the ledger, each by rename, flushed. Nothing changed, nothing written.

use std::path::PathBuf;

use super::open::Leftover;
use super::{MARKER, Store, StoreError, VERSION};
use crate::content::ObjectId;
use crate::fs::{self, PUBLIC, PUBLIC_DIR, SECRET, SECRET_DIR, Sync};
use crate::pki::object::{CERTIFICATE, Kind, Object, PUBLIC as PUBLIC_HALF, SIDECAR, State, profile_name};
use crate::pki::{ledger, rotation, sealed};
use crate::plan::Profile;

/// Keys and tokens stay out of git as long as they are not encrypted; so do half-written folders.
const GITIGNORE: &str = "# Written by khagen. Keys and tokens in the clear do not belong into git.\nkey.pem\nsecret\n.*.new\n.*.old\n";
/// The digests in the records are over bytes, so git must not change line ends.
const GITATTRIBUTES: &str = "# Written by khagen. Digests are over bytes.\n* -text\n";

const README: &str = include_str!("../../../templates/store/README.md");

/// The rank of what nothing else in the store depends on.
const OTHERS: u8 = 3;

/// What others depend on goes first: a store in which a CA is missing that signed something is damaged.
fn rank(object: &Object) -> u8 {
    let made_from = object.record.made_from.as_ref();
    match object.record.kind {
        // Before the root that takes its place: a store must not lose the one that hosts still trust.
        Kind::Certificate | Kind::KeyPair if rotation::is_former(&object.record.id) => 0,
        Kind::HmacKey => 1,
        Kind::Certificate if made_from.is_some_and(|m| m.issuer.is_none()) => 1,
        Kind::Certificate if made_from.is_some_and(|m| m.profile == profile_name(Profile::Ca)) => 2,
        Kind::Certificate
        | Kind::KeyPair
        | Kind::BootstrapToken
        | Kind::CertificateKey
        | Kind::VrrpPassword
        | Kind::UserSecret => OTHERS,
    }
}

/// The ledger's files, written and not yet in place. The cluster's comes before the hosts'.
#[derive(Default)]
struct StagedLedger {
    files: usize,
    moves: Vec<(PathBuf, PathBuf)>,
    removals: Vec<PathBuf>,
}

/// What a save wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Saved {
    /// Objects.
    pub objects: usize,
    /// Files of the ledger.
    pub ledger: usize,
}

impl Store {
    /// Writes what changed since the store was opened or last saved. Objects come first, so that a crash leaves a
    /// ledger that is too old rather than one that names what is not there.
    ///
    /// # Errors
    /// When something cannot be written; what is on disk is then a store that opens.
    pub fn save(&mut self) -> Result<Saved, StoreError> {
        let changes = ledger::changes(&self.dir, &self.ledger_on_disk, &self.ledger)?;
        let mut dirty: Vec<ObjectId> =
            self.objects.iter().filter(|(_, o)| o.state != State::Saved).map(|(id, _)| id.clone()).collect();
        dirty.sort_by_key(|id| self.objects.get(id).map(rank));
        if changes.is_empty() && dirty.is_empty() && self.removed.is_empty() && self.leftovers.is_empty() {
            return Ok(Saved::default());
        }
        for change in &changes {
            let name = change.path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with('.')
                || change.path.parent().is_none_or(|p| !p.starts_with(self.dir.join("ledger")))
            {
                return Err(StoreError::BadName { name: name.into_owned() });
            }
        }
        let encrypted = self.encrypt(&dirty)?;
        self.prepare()?;
        self.clear_leftovers()?;

        let staged = dirty
            .iter()
            .map(|id| self.stage(id, encrypted.get(id).map(Vec::as_slice)))
            .collect::<Result<Vec<_>, _>>()?;
        let ledger = self.stage_ledger(changes)?;
        // Bytes before names: after a power cut no new name may stand for an empty file.
        fs::sync_filesystem(&self.dir)?;
        let mut olds = Vec::new();
        for (id, (aside, target)) in dirty.iter().zip(staged) {
            if aside.is_dir() {
                olds.extend(fs::replace_dir(&aside, &target)?);
            } else {
                fs::rename(&aside, &target)?;
            }
            if self.objects.get(id).is_some_and(|o| rank(o) < OTHERS) {
                fs::sync_parent(&target)?;
            }
        }
        for (aside, target) in &ledger.moves {
            fs::rename(aside, target)?;
        }
        for path in &ledger.removals {
            fs::remove_file(path)?;
        }
        for id in std::mem::take(&mut self.removed) {
            // Under the name of a staged folder: if nothing more is done, the next run discards it.
            let target = self.object_dir(&id);
            let aside = fs::aside(&target, "new");
            fs::remove_tree(&aside)?;
            fs::rename(&target, &aside)?;
            olds.push(aside);
        }
        for old in olds {
            fs::remove_tree(&old)?;
        }
        fs::sync_filesystem(&self.dir)?;

        for id in &dirty {
            if let Some(object) = self.objects.get_mut(id) {
                object.state = State::Saved;
            }
        }
        self.ledger_on_disk = self.ledger.clone();
        Ok(Saved { objects: dirty.len(), ledger: ledger.files })
    }

    /// Makes the folders and the marker. Nothing but hidden files comes before the marker: until it stands, the folder
    /// counts as empty.
    fn prepare(&mut self) -> Result<(), StoreError> {
        fs::create_dirs(&self.dir, SECRET_DIR)?;
        if !self.marked {
            let marker = format!("khagen-store/v{VERSION}\n");
            fs::replace(&self.dir.join(".gitignore"), GITIGNORE.as_bytes(), PUBLIC, Sync::Later)?;
            fs::replace(&self.dir.join(".gitattributes"), GITATTRIBUTES.as_bytes(), PUBLIC, Sync::Later)?;
            fs::replace(&self.dir.join(MARKER), marker.as_bytes(), PUBLIC, Sync::Now)?;
            fs::replace(&self.dir.join("README.md"), README.as_bytes(), PUBLIC, Sync::Later)?;
            self.marked = true;
        }
        Ok(fs::create_dirs(&self.dir.join("ledger"), PUBLIC_DIR)?)
    }

    fn clear_leftovers(&mut self) -> Result<(), StoreError> {
        for leftover in std::mem::take(&mut self.leftovers) {
            match leftover {
                Leftover::Discard(path) if path.is_dir() => fs::remove_tree(&path)?,
                Leftover::Discard(path) => fs::remove_file(&path)?,
                Leftover::PutBack { from, to } => fs::rename(&from, &to)?,
            }
        }
        Ok(())
    }

    /// Writes the ledger's files aside. The first save stages the hosts' folder whole: one rename, not one per host.
    fn stage_ledger(&self, changes: Vec<ledger::Change>) -> Result<StagedLedger, StoreError> {
        let mut staged = StagedLedger { files: changes.len(), ..StagedLedger::default() };
        let hosts = ledger::hosts_dir(&self.dir);
        let whole = (!hosts.exists()).then(|| fs::aside(&hosts, "new"));
        for ledger::Change { path, text } in changes {
            let Some(text) = text else {
                staged.removals.push(path);
                continue;
            };
            let aside = match &whole {
                Some(whole) if path.parent() == Some(&hosts) => {
                    if !whole.is_dir() {
                        fs::create_dirs(whole, PUBLIC_DIR)?;
                        staged.moves.push((whole.clone(), hosts.clone()));
                    }
                    whole.join(path.file_name().unwrap_or_default())
                }
                _ => {
                    let aside = fs::aside(&path, "new");
                    fs::remove_file(&aside)?;
                    staged.moves.push((aside.clone(), path));
                    aside
                }
            };
            fs::create(&aside, text.as_bytes(), PUBLIC, Sync::Later)?;
        }
        Ok(staged)
    }

    /// Writes an object aside. Answers what is to be renamed to what.
    fn stage(&self, id: &ObjectId, encrypted: Option<&[u8]>) -> Result<(PathBuf, PathBuf), StoreError> {
        let object = self.objects.get(id).ok_or_else(|| StoreError::NoSuchObject { id: id.clone() })?;
        let dir = self.object_dir(id);
        let sidecar = sealed::write(&object.record)?;
        if object.state == State::Marked {
            let target = dir.join(SIDECAR);
            let aside = fs::aside(&target, "new");
            fs::remove_file(&aside)?;
            fs::create(&aside, sidecar.as_bytes(), PUBLIC, Sync::Later)?;
            return Ok((aside, target));
        }
        let aside = fs::aside(&dir, "new");
        fs::remove_tree(&aside)?;
        fs::create_dirs(&aside, PUBLIC_DIR)?;
        let Object { record, cert, public, secret, signer: _, state: _ } = object;
        if let Some(cert) = cert {
            fs::create(&aside.join(CERTIFICATE), cert.as_bytes(), PUBLIC, Sync::Later)?;
        }
        if let Some(public) = public {
            fs::create(&aside.join(PUBLIC_HALF), public.as_bytes(), PUBLIC, Sync::Later)?;
        }
        if !record.keyless {
            let Some(secret) = secret.get() else { return Err(StoreError::NoSuchObject { id: id.clone() }) };
            let bytes = encrypted.unwrap_or_else(|| secret.expose());
            fs::create(&aside.join(record.secret_file()), bytes, SECRET, Sync::Later)?;
        }
        fs::create(&aside.join(SIDECAR), sidecar.as_bytes(), PUBLIC, Sync::Later)?;
        Ok((aside, dir))
    }
}
