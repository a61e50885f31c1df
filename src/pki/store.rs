//! The store: keys, certificates, tokens and the ledger, which persist between builds.
//!
//! ```text
//! secrets/
//!   KHAGEN_STORE             names the format's version
//!   .gitignore               keeps key files out of git
//!   objects/<id>/            object.toml, cert.pem or public.pem, and key.pem or secret (0600) or, where the
//!                            inventory names recipients, key.pem.age or secret.age
//!   ledger/cluster.toml  ledger/hosts/<fqdn>.toml
//! ```
//!
//! Opening reads only what is clear and checks every file against its sidecar; a secret is read when it is asked
//! for, and checked against its fingerprint. All changes stay in memory until [`Store::save`], which writes what
//! changed and nothing else. Nothing here decides what to issue, and nothing is ever repaired by guessing: what is
//! damaged is reported, all of it at once.

mod encrypting;
mod open;
mod rotating;
mod save;
mod user;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ring::rand::SystemRandom;

pub(super) use open::{entries, read_text};
pub use save::Saved;
pub use user::{SetSecret, is_secret_name, user_secret};

use super::identities::{Closed, Identities, IdentityError};
use super::key::{self, FingerprintKey, SigningKey};
use super::object::{Kind, Object, Record, State, Validity};
use super::recipients::Recipients;
use super::sealed::sha256_hex;
use crate::content::ObjectId;
use crate::fs::{FsError, Lock};
use crate::ledger::Ledger;
use crate::secret::Secret;

/// The marker file's name.
pub const MARKER: &str = "KHAGEN_STORE";
/// The version of the store's format that this khagen reads and writes.
pub const VERSION: u32 = 1;

/// Something is wrong with one file of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// What is wrong, continuing the sentence that its path begins.
    pub what: String,
}

/// The store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Files are missing, cut, swapped or mixed. Nothing was changed.
    #[error("the store {} is damaged; restore these files from a backup or from git:{}", dir.display(), list(damages))]
    Damaged {
        /// The store's folder.
        dir: PathBuf,
        /// All of them.
        damages: Vec<Damage>,
    },
    /// A secret does not match its fingerprint.
    #[error("{} {what}", path.display())]
    Integrity {
        /// The secret's file.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
    /// A secret is encrypted, and nobody here can decrypt it.
    #[error("cannot decrypt {}: {source}", path.display())]
    Closed {
        /// The secret's file.
        path: PathBuf,
        /// Why.
        source: IdentityError,
    },
    /// A CA's key is kept elsewhere.
    #[error("the store has no key of {id}: it was imported without")]
    Keyless {
        /// The CA.
        id: ObjectId,
    },
    /// A secret could not be encrypted.
    #[error("cannot encrypt {id}: {what}")]
    Encrypt {
        /// The object.
        id: ObjectId,
        /// What the library said.
        what: String,
    },
    /// Keys would be written in the clear beside encrypted ones.
    #[error("the store {} is encrypted, and the inventory names no recipients", dir.display())]
    WouldBePlain {
        /// The store's folder.
        dir: PathBuf,
    },
    /// A newer khagen wrote it.
    #[error("{} was written by a newer khagen (store version {version}, this one knows {VERSION})", path.display())]
    Newer {
        /// The marker file.
        path: PathBuf,
        /// The version it names.
        version: u64,
    },
    /// A folder with something else in it.
    #[error("{} is not empty and has no {MARKER} file: it is no store of khagen", dir.display())]
    NotAStore {
        /// The folder.
        dir: PathBuf,
    },
    /// Somebody asked for an object that is not there.
    #[error("the store has no object {id}")]
    NoSuchObject {
        /// Its name.
        id: ObjectId,
    },
    /// A name that cannot be a file's.
    #[error("{name:?} cannot be a file name in the store")]
    BadName {
        /// The name.
        name: String,
    },
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file could not be written, or the store is locked.
    #[error(transparent)]
    Write(#[from] FsError),
    /// A record could not be written as TOML.
    #[error("cannot write a record of the store as TOML")]
    Toml(#[from] toml::ser::Error),
}

fn list(damages: &[Damage]) -> String {
    damages.iter().map(|d| format!("\n  {} {}", d.path.display(), d.what)).collect()
}

impl StoreError {
    /// Whether the store contradicts itself, as against a system that does not let us read or write.
    pub fn is_integrity(&self) -> bool {
        matches!(self, StoreError::Damaged { .. } | StoreError::Integrity { .. })
    }
}

/// What of the store this run may touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everything.
    Full,
    /// Only what is clear: a review build works where the key files are not.
    Public,
}

/// The store of one cluster, in memory.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    /// Held until the store is dropped, so that two builds never write one store.
    _lock: Option<Lock>,
    marked: bool,
    objects: BTreeMap<ObjectId, Object>,
    /// Objects that are on disk and shall not be.
    removed: Vec<ObjectId>,
    ledger: Ledger,
    ledger_on_disk: Ledger,
    /// Whom what is written is encrypted to.
    recipients: Recipients,
    identities: Arc<Identities>,
    /// What an interrupted write left; the next save removes it.
    leftovers: Vec<open::Leftover>,
    notes: Vec<String>,
    random: SystemRandom,
}

impl Store {
    /// Opens the store in a folder; one that is not there is an empty store. Writes nothing.
    ///
    /// The folder above is locked until the store is dropped; another khagen at work there is waited for, some seconds.
    ///
    /// # Errors
    /// When it is damaged, no store, a newer khagen's, locked, or unreadable.
    pub fn open(dir: &Path) -> Result<Store, StoreError> {
        Store::open_with(dir, Access::Full)
    }

    /// As [`Store::open`], with less access.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_with(dir: &Path, access: Access) -> Result<Store, StoreError> {
        open::open(dir, access)
    }

    /// The store's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether there is nothing in it, neither on disk nor in memory.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.ledger == Ledger::default()
    }

    /// What the operator should know about the opening: discarded leftovers.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// An object.
    pub fn object(&self, id: &ObjectId) -> Option<&Object> {
        self.objects.get(id)
    }

    /// All objects, by name.
    pub fn objects(&self) -> impl Iterator<Item = (&ObjectId, &Object)> {
        self.objects.iter()
    }

    /// An object's sidecar.
    pub fn record(&self, id: &ObjectId) -> Option<&Record> {
        self.objects.get(id).map(Object::record)
    }

    /// A certificate.
    pub fn cert_pem(&self, id: &ObjectId) -> Option<&Arc<str>> {
        self.objects.get(id)?.cert.as_ref()
    }

    /// The public half of a key pair that has no certificate.
    pub fn public_pem(&self, id: &ObjectId) -> Option<&Arc<str>> {
        self.objects.get(id)?.public.as_ref()
    }

    /// Whether an object's key is kept elsewhere.
    pub fn is_keyless(&self, id: &ObjectId) -> bool {
        self.objects.get(id).is_some_and(|o| o.record.keyless)
    }

    /// By what an object's secret is told from others: see [`Record::fingerprint`].
    pub fn fingerprint(&self, id: &ObjectId) -> Option<&str> {
        self.objects.get(id).map(|o| o.record.fingerprint.as_str())
    }

    /// The days between which a certificate holds.
    pub fn validity(&self, id: &ObjectId) -> Option<Validity> {
        let certificate = self.objects.get(id)?.record.certificate.as_ref()?;
        Some(Validity { not_before: certificate.not_before, not_after: certificate.not_after })
    }

    /// The ledger.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Replaces the ledger; [`Store::save`] writes the files that differ.
    pub fn set_ledger(&mut self, ledger: Ledger) {
        self.ledger = ledger;
    }

    /// Asks for a new one of an object: the next build issues it.
    ///
    /// # Errors
    /// When there is no such object.
    pub fn mark_for_renewal(&mut self, id: &ObjectId) -> Result<(), StoreError> {
        let object = self.objects.get_mut(id).ok_or_else(|| StoreError::NoSuchObject { id: id.clone() })?;
        if !object.record.renew {
            object.record.renew = true;
            if object.state == State::Saved {
                object.state = State::Marked;
            }
        }
        Ok(())
    }

    /// Takes a mark for renewal off again.
    ///
    /// # Errors
    /// When there is no such object.
    pub fn unmark(&mut self, id: &ObjectId) -> Result<(), StoreError> {
        let object = self.objects.get_mut(id).ok_or_else(|| StoreError::NoSuchObject { id: id.clone() })?;
        if object.record.renew {
            object.record.renew = false;
            if object.state == State::Saved {
                object.state = State::Marked;
            }
        }
        Ok(())
    }

    /// Takes over what was issued.
    pub(super) fn insert(&mut self, id: ObjectId, object: Object) {
        self.objects.insert(id, object);
    }

    /// A secret's bytes: read when first asked for, checked against the fingerprint, then kept.
    ///
    /// # Errors
    /// When it cannot be read or is not the one that the sidecar names.
    pub fn secret(&self, id: &ObjectId) -> Result<Secret, StoreError> {
        let object = self.objects.get(id).ok_or_else(|| StoreError::NoSuchObject { id: id.clone() })?;
        if let Some(secret) = object.secret.get() {
            return Ok(secret.clone());
        }
        if object.record.keyless {
            return Err(StoreError::Keyless { id: id.clone() });
        }
        let path = self.secret_path(id, &object.record);
        let bytes = std::fs::read(&path).map_err(|source| StoreError::Read { path: path.clone(), source })?;
        let secret = match &object.record.encrypted {
            None => Secret::new(bytes),
            Some(encrypted) => {
                let integrity = |what: String| StoreError::Integrity { path: path.clone(), what };
                if sha256_hex(&bytes) != encrypted.sha256 {
                    return Err(integrity(format!("is not the file that object.toml of {id} describes")));
                }
                self.identities.decrypt(&bytes, &encrypted.recipients).map_err(|closed| match closed {
                    Closed::Identity(source) => StoreError::Closed { path: path.clone(), source },
                    Closed::Damaged(what) => integrity(what),
                })?
            }
        };
        self.check(id, object, &secret, &path)?;
        Ok(object.secret.get_or_init(|| secret).clone())
    }

    fn check(&self, id: &ObjectId, object: &Object, secret: &Secret, path: &Path) -> Result<(), StoreError> {
        let integrity = |what: &str| StoreError::Integrity { path: path.to_owned(), what: what.to_owned() };
        let fingerprint = match object.record.kind {
            Kind::Certificate | Kind::KeyPair => {
                let pair = SigningKey::parse(secret.expose(), &self.random)
                    .map_err(|e| integrity(&format!("{e}: it was cut, or is another file")))?;
                let fingerprint = key::fingerprint(&key::spki(pair.public()));
                let _ = object.signer.set(Arc::new(pair));
                fingerprint
            }
            Kind::HmacKey => FingerprintKey::parse(secret.expose())
                .ok_or_else(|| integrity("is not 64 hexadecimal digits"))?
                .own(),
            Kind::BootstrapToken | Kind::CertificateKey | Kind::VrrpPassword | Kind::UserSecret => {
                let by = object.record.fingerprint_key.as_deref().unwrap_or_default();
                self.fingerprint_key(by)?
                    .ok_or_else(|| integrity("has a fingerprint made by a key that the store does not have"))?
                    .of(secret.expose())
            }
        };
        if fingerprint == object.record.fingerprint {
            return Ok(());
        }
        Err(integrity(&format!(
            "is not the {} that object.toml of {id} names",
            object.record.kind.secret_name()
        )))
    }

    /// The store's fingerprint key that has a fingerprint.
    fn fingerprint_key(&self, fingerprint: &str) -> Result<Option<FingerprintKey>, StoreError> {
        let is_it = |o: &Object| o.record.kind == Kind::HmacKey && o.record.fingerprint == fingerprint;
        let Some((id, _)) = self.objects.iter().find(|(_, o)| is_it(o)) else { return Ok(None) };
        Ok(FingerprintKey::parse(self.secret(id)?.expose()))
    }

    /// The key pair of a CA, parsed once.
    pub(super) fn signer(&self, id: &ObjectId) -> Result<Arc<SigningKey>, StoreError> {
        let secret = self.secret(id)?;
        let object = self.objects.get(id).ok_or_else(|| StoreError::NoSuchObject { id: id.clone() })?;
        if let Some(pair) = object.signer.get() {
            return Ok(pair.clone());
        }
        let pair = SigningKey::parse(secret.expose(), &self.random).map_err(|e| StoreError::Integrity {
            path: self.secret_path(id, &object.record),
            what: e.to_string(),
        })?;
        Ok(object.signer.get_or_init(|| Arc::new(pair)).clone())
    }

    fn object_dir(&self, id: &ObjectId) -> PathBuf {
        self.dir.join("objects").join(id.as_str())
    }

    /// Where a secret is to be read; an object that waits to be put back is still aside.
    fn secret_path(&self, id: &ObjectId, record: &Record) -> PathBuf {
        let dir = self.object_dir(id);
        let aside = self.leftovers.iter().find_map(|l| match l {
            open::Leftover::PutBack { from, to } if *to == dir => Some(from.clone()),
            open::Leftover::PutBack { .. } | open::Leftover::Discard(_) => None,
        });
        aside.unwrap_or(dir).join(record.secret_file())
    }

    fn empty(dir: &Path, lock: Option<Lock>) -> Store {
        Store {
            dir: dir.to_owned(),
            _lock: lock,
            marked: false,
            objects: BTreeMap::new(),
            removed: Vec::new(),
            ledger: Ledger::default(),
            ledger_on_disk: Ledger::default(),
            recipients: Recipients::default(),
            identities: Arc::new(Identities::none()),
            leftovers: Vec::new(),
            notes: Vec::new(),
            random: SystemRandom::new(),
        }
    }
}
