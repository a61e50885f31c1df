//! Keys of `pki`.

use super::{DAY, Format, Key, Kind, YEAR, key};

const DAYS: Kind = Kind::Leaf(Format::Duration { min: DAY, max: 100 * YEAR, step: DAY });

pub(super) static KEYS: &[Key] = &[
    key("caValidity", DAYS, "How long certificate authorities last.").default("10y"),
    key("validity", DAYS, "How long every other certificate lasts.").default("1y"),
    key("renewBefore", DAYS, "From how long before its end a certificate is reported as due.").default("90d"),
    key(
        "algorithm",
        Kind::Leaf(Format::KeyAlgorithm),
        "Of new keys: ECDSA-P256, ECDSA-P384, RSA-2048, RSA-3072 or RSA-4096. Authorities and the service-account key keep theirs.",
    )
    .default("ECDSA-P256"),
];
