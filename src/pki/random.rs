//! The run's randomness in the shape that the crates `rsa` and `p521` take, which knows no failure.
//!
//! Whoever uses it asks afterwards whether it failed, and throws away what was made if so. Nothing here makes a key.

use ring::rand::SecureRandom;
use rsa::rand_core;

/// Random bytes, and whether the system failed to give some. Those after a failure are no secret: they only let a search for
/// primes or for a nonce come to its end.
pub(super) struct Random<'a> {
    random: &'a dyn SecureRandom,
    failed: Option<u64>,
}

impl<'a> Random<'a> {
    pub(super) fn new(random: &'a dyn SecureRandom) -> Random<'a> {
        Random { random, failed: None }
    }

    /// Whether what was made with it must be thrown away.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.is_some()
    }
}

impl rand_core::RngCore for Random<'_> {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill_bytes(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        if self.failed.is_none() && self.random.fill(bytes).is_ok() {
            return;
        }
        // They differ from each other: a search over equal bytes would not end.
        let mut state = self.failed.unwrap_or(0);
        for byte in bytes {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = state.to_be_bytes()[0];
        }
        self.failed = Some(state);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl rand_core::CryptoRng for Random<'_> {}
