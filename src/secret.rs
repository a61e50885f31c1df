//! Bytes that must not be shown. Their `Debug` prints nothing of them, and they are wiped when the last holder
//! drops them. A clone shares the bytes, so that packing a thousand bundles copies no key a thousand times.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

/// A secret's bytes.
#[derive(Clone)]
pub struct Secret(Arc<Zeroizing<Vec<u8>>>);

impl Secret {
    /// Takes over bytes.
    pub fn new(bytes: Vec<u8>) -> Secret {
        Secret(Arc::new(Zeroizing::new(bytes)))
    }

    /// The bytes, for the one who packs, signs or encrypts; nothing else calls this.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}
