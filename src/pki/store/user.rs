//! The user's own secrets: objects below `user/`, which the inventory names by `{secret: NAME}`.

use super::{Store, StoreError};
use crate::content::ObjectId;
use crate::env::Env;
use crate::pki::decide::IssueError;
use crate::pki::issue;
use crate::pki::key::FingerprintKey;
use crate::pki::object::{Kind, Object, Record, State};
use crate::plan::certs::FINGERPRINT_KEY;
use crate::plan::{SecretKind, SecretRequest};
use crate::secret::Secret;

/// What setting a secret did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetSecret {
    /// There was none.
    New,
    /// It had another value.
    Changed,
    /// It has this value already.
    Unchanged,
}

/// The object of a user's secret.
pub fn user_secret(name: &str) -> ObjectId {
    ObjectId::new(format!("user/{name}"))
}

/// Whether a secret can have a name. It becomes a folder, also on file systems that do not tell case; `secret` and
/// `key.pem` are what the store's .gitignore keeps out of git.
pub fn is_secret_name(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.' | b'_'))
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !matches!(name, "secret" | "key.pem")
}

impl Store {
    /// Names of the user's secrets.
    pub fn user_secrets(&self) -> impl Iterator<Item = (&str, &Record)> {
        self.objects
            .iter()
            .filter(|(_, o)| o.record.kind == Kind::UserSecret)
            .filter_map(|(id, o)| Some((id.as_str().strip_prefix("user/")?, &o.record)))
    }

    /// Gives a secret of the user's a value. Its fingerprint is made by the store's fingerprint key, which is made now
    /// if there is none yet.
    ///
    /// # Errors
    /// When the name cannot be one, or the fingerprint key cannot be read.
    pub fn set_user_secret(&mut self, name: &str, value: Secret, env: &Env) -> Result<SetSecret, IssueError> {
        if !is_secret_name(name) {
            return Err(StoreError::BadName { name: name.to_owned() }.into());
        }
        let (id, by) = (user_secret(name), ObjectId::new(FINGERPRINT_KEY));
        if self.object(&by).is_none() {
            let purpose = "key of the fingerprints of short secrets";
            let request = SecretRequest { id: by.clone(), kind: SecretKind::HmacKey, purpose };
            issue::issue(&[], &[request], self, env)?;
        }
        let key = FingerprintKey::parse(self.secret(&by)?.expose());
        let fingerprint = key.map(|k| k.of(value.expose())).unwrap_or_default();
        let former = self.record(&id);
        if former.is_some_and(|r| r.fingerprint == fingerprint) {
            return Ok(SetSecret::Unchanged);
        }
        let done = if former.is_some() { SetSecret::Changed } else { SetSecret::New };
        let record = Record {
            fingerprint_key: self.fingerprint(&by).map(str::to_owned),
            ..Record::new(&id, Kind::UserSecret, "the user's", fingerprint, "set".to_owned(), env.now())
        };
        self.insert(id, Object::fresh(record, None, None, Some(value)));
        Ok(done)
    }

    /// Takes a secret of the user's out of the store. Answers whether there was one.
    pub fn remove_user_secret(&mut self, name: &str) -> bool {
        let id = user_secret(name);
        match self.objects.remove(&id) {
            None => false,
            Some(object) => {
                if object.state != State::New || self.object_dir(&id).is_dir() {
                    self.removed.push(id);
                }
                true
            }
        }
    }

    /// Fingerprints of the user's secrets under a fingerprint key that replaces the former one. Their files stay.
    pub(in crate::pki) fn fingerprint_user_secrets(&mut self, by: &ObjectId) -> Result<(), StoreError> {
        let Some(name) = self.fingerprint(by).map(str::to_owned) else { return Ok(()) };
        let Some(key) = FingerprintKey::parse(self.secret(by)?.expose()) else { return Ok(()) };
        for object in self.objects.values_mut().filter(|o| o.record.kind == Kind::UserSecret) {
            let Some(secret) = object.secret.get() else { continue };
            object.record.fingerprint = key.of(secret.expose());
            object.record.fingerprint_key = Some(name.clone());
            if object.state == State::Saved {
                object.state = State::Marked;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folders_that_git_carries() {
        for good in ["a", "registry", "oidc-client.v2", "9_x"] {
            assert!(is_secret_name(good), "{good}");
        }
        for bad in ["", "secret", "key.pem", "A", ".a", "-a", "a/b", "..", "ä", &"a".repeat(64)] {
            assert!(!is_secret_name(bad), "{bad}");
        }
    }
}
