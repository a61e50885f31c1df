//! Whom the store is encrypted to: setting it, telling what differs, encrypting anew. Files are written by `save`.

use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::prelude::*;

use super::{Store, StoreError};
use crate::content::ObjectId;
use crate::pki::identities::Identities;
use crate::pki::object::{EncryptedRecord, Object, Record, State};
use crate::pki::recipients::Recipients;
use crate::pki::sealed::sha256_hex;

impl Store {
    /// From now on, what is written is encrypted to these. What is there stays as it is: see [`Store::encrypt_anew`].
    pub fn encrypt_to(&mut self, recipients: Recipients) {
        self.recipients = recipients;
    }

    /// With what secrets are decrypted when they are asked for.
    pub fn decrypt_with(&mut self, identities: Arc<Identities>) {
        self.identities = identities;
    }

    /// Whom what is written is encrypted to.
    pub fn recipients(&self) -> &Recipients {
        &self.recipients
    }

    /// Objects whose secret is encrypted to others than [`Store::recipients`], or is not encrypted and should be, or the
    /// other way round.
    pub fn encrypted_otherwise(&self) -> Vec<ObjectId> {
        let differs = |record: &Record| !record.keyless && record.recipients() != self.recipients.as_slice();
        self.objects.iter().filter(|(_, o)| differs(&o.record)).map(|(id, _)| id.clone()).collect()
    }

    /// Refuses to go on where keys would be written in the clear beside encrypted ones: a `secrets` that was lost from
    /// the inventory must not open the store.
    ///
    /// # Errors
    /// When it is so.
    pub fn guard_against_plain(&self) -> Result<(), StoreError> {
        if self.recipients.is_empty() && self.objects.values().any(|o| o.record.encrypted.is_some()) {
            return Err(StoreError::WouldBePlain { dir: self.dir.clone() });
        }
        Ok(())
    }

    /// Reads and decrypts secrets, on all cores, so that what is wrong with one shows before anything is written.
    ///
    /// # Errors
    /// As [`Store::secret`].
    pub fn open_secrets<'a>(&self, ids: impl IntoIterator<Item = &'a ObjectId>) -> Result<(), StoreError> {
        let ids: Vec<&ObjectId> = ids.into_iter().collect();
        ids.into_par_iter().try_for_each(|id| self.secret(id).map(drop))
    }

    /// Decrypts what is encrypted otherwise; the next save writes it encrypted as it should be, or in the clear.
    ///
    /// # Errors
    /// As [`Store::secret`]; nothing is changed then.
    pub fn encrypt_anew(&mut self) -> Result<Vec<ObjectId>, StoreError> {
        let ids = self.encrypted_otherwise();
        self.open_secrets(&ids)?;
        for id in &ids {
            if let Some(object) = self.objects.get_mut(id) {
                object.state = State::New;
            }
        }
        Ok(ids)
    }

    /// Encrypts the secrets of what is to be written, and notes it in their records.
    pub(super) fn encrypt(&mut self, dirty: &[ObjectId]) -> Result<BTreeMap<ObjectId, Vec<u8>>, StoreError> {
        let holds = |o: &Object| o.state == State::New && !o.record.keyless;
        let fresh: Vec<&ObjectId> =
            dirty.iter().filter(|id| self.objects.get(id).is_some_and(holds)).collect();
        let failed = |id: &ObjectId, what: String| StoreError::Encrypt { id: id.clone(), what };
        let mut encrypted = BTreeMap::new();
        if let (false, Some(first)) = (self.recipients.is_empty(), fresh.first()) {
            let encrypter = self.recipients.encrypter().map_err(|e| failed(first, e.to_string()))?;
            encrypted = fresh
                .par_iter()
                .map(|id| {
                    let secret = self.secret(id)?;
                    let bytes = encrypter.encrypt(secret.expose()).map_err(|what| failed(id, what))?;
                    Ok(((*id).clone(), bytes))
                })
                .collect::<Result<BTreeMap<_, _>, StoreError>>()?;
        }
        let fresh: Vec<ObjectId> = fresh.into_iter().cloned().collect();
        for id in &fresh {
            let Some(object) = self.objects.get_mut(id) else { continue };
            let bytes = encrypted.get(id);
            object.record.encrypted = bytes.map(|bytes| EncryptedRecord {
                sha256: sha256_hex(bytes),
                recipients: self.recipients.as_slice().to_vec(),
            });
            let clear = object.secret.get().map_or(0, |s| s.expose().len());
            object.record.secret_size = bytes.map_or(clear, Vec::len) as u64;
        }
        Ok(encrypted)
    }
}
