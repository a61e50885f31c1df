//! Keys of `secrets`.

use super::{Format, Key, Kind, key};

pub(super) static KEYS: &[Key] = &[key(
    "recipients",
    Kind::List(&Kind::Leaf(Format::Recipient)),
    "Public keys (age1..., ssh-ed25519 ...) that the store is encrypted to. Empty: keys are files of mode 0600, outside git. `khagen secret rekey` applies a change to what is there.",
)
.example("[age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p]")];
