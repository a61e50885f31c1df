//! Keys of an entry of `waivers`.

use super::{Format, Key, Kind, key};

pub(super) static KEYS: &[Key] = &[
    key("code", Kind::Leaf(Format::FindingCode), "The finding's code. Errors cannot be accepted.")
        .required()
        .example("KH0406"),
    key(
        "reason",
        Kind::Leaf(Format::Text),
        "Why it is accepted, for the reviewer and for whoever finds it when it lapses.",
    )
    .required()
    .example("a lab, one control plane is meant"),
    key(
        "until",
        Kind::Leaf(Format::Date),
        "The last day on which it holds (UTC). After it the finding comes back.",
    )
    .required()
    .example("2027-03-31"),
    key(
        "path",
        Kind::Leaf(Format::Text),
        "The setting, host or group it is limited to, such as `kubernetes.version`, `hosts.k8smaster1` or `defaults.kubelet`: one of the places that the finding shows must lie there.",
    )
    .derived("every finding of that code")
    .example("hosts.k8smaster1"),
];
