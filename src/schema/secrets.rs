//! Keys of `secrets`.

use super::{Format, Key, Kind, key};

pub(super) static KEYS: &[Key] = &[key(
    "recipients",
    Kind::List(&Kind::Leaf(Format::Text)),
    "Public keys (age1..., ssh-ed25519 ...) that the store is encrypted to. Empty: keys are files of mode 0600, outside git.",
)
.example("[]")];
