//! What a run has from outside: the only doors to time and randomness, used only when something is issued, and the keys
//! that decrypt the store, used only when a secret is needed.

use std::path::PathBuf;
use std::sync::Arc;

use ring::rand::{SecureRandom, SystemRandom};
use time::OffsetDateTime;

use crate::pki::identities::Identities;

/// Time, randomness and the operator's keys of one run.
pub struct Env {
    now: OffsetDateTime,
    random: SystemRandom,
    identities: Arc<Identities>,
}

/// The system gave no randomness, or a clock setting that is no time.
#[derive(Debug, thiserror::Error)]
pub enum EnvError {
    /// getrandom failed.
    #[error("the system gave no randomness")]
    NoRandomness,
    /// SOURCE_DATE_EPOCH is set but is no number of seconds that a certificate can carry.
    #[error("SOURCE_DATE_EPOCH is {0:?}, which is no number of seconds since 1970")]
    BadEpoch(String),
}

/// The operator's own ssh public key, if it is of the kind that the store can be encrypted to, and where it lies.
pub fn ssh_public_key() -> Option<(PathBuf, String)> {
    let path = PathBuf::from(std::env::var_os("HOME")?).join(".ssh/id_ed25519.pub");
    let text = std::fs::read_to_string(&path).ok()?;
    Some((path, text.lines().next()?.to_owned()))
}

impl Env {
    /// The machine's clock, or SOURCE_DATE_EPOCH (seconds since 1970) where that is set; the system's randomness.
    ///
    /// # Errors
    /// When SOURCE_DATE_EPOCH is no time.
    pub fn system() -> Result<Env, EnvError> {
        let now = match std::env::var("SOURCE_DATE_EPOCH") {
            Ok(text) if !text.is_empty() => {
                let seconds = text.parse::<i64>().ok().filter(|s| (0..=253_370_764_800).contains(s));
                seconds
                    .and_then(|s| OffsetDateTime::from_unix_timestamp(s).ok())
                    .ok_or(EnvError::BadEpoch(text))?
            }
            _ => OffsetDateTime::now_utc(),
        };
        Ok(Env::at(now))
    }

    /// A fixed time, for tests.
    pub fn at(now: OffsetDateTime) -> Env {
        Env { now, random: SystemRandom::new(), identities: Arc::new(Identities::none()) }
    }

    /// With keys that decrypt the store.
    pub fn with_identities(self, identities: Identities) -> Env {
        Env { identities: Arc::new(identities), ..self }
    }

    /// The keys that decrypt the store.
    pub fn identities(&self) -> Arc<Identities> {
        self.identities.clone()
    }

    /// When the run began, to the second, UTC.
    pub fn now(&self) -> OffsetDateTime {
        self.now.replace_nanosecond(0).unwrap_or(self.now)
    }

    /// The generator that ring's signers take.
    pub fn random(&self) -> &SystemRandom {
        &self.random
    }

    /// Random bytes.
    ///
    /// # Errors
    /// When the system has none.
    pub fn fill(&self, bytes: &mut [u8]) -> Result<(), EnvError> {
        self.random.fill(bytes).map_err(|_| EnvError::NoRandomness)
    }
}
