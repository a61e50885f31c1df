//! Keys of `artifacts`: packages and programs that travel beside the bundles.

use super::{Format, Key, Kind, key};

const BINARY: Kind = Kind::Map(&[
    key("path", Kind::Leaf(Format::Path), "Where the program goes on the host.")
        .required()
        .example("/usr/local/bin/etcd"),
    key(
        "source",
        Kind::Leaf(Format::Artifact),
        "The file below the inventory's `artifacts/`: the program itself, or a tarball (gzip, xz or zstd) that holds it.",
    )
    .required()
    .example("etcd-v3.6.14-linux-amd64.tar.gz"),
    key("member", Kind::Leaf(Format::Artifact), "The program's path in the tarball.")
        .example("etcd-v3.6.14-linux-amd64/etcd"),
    key("mode", Kind::Leaf(Format::Mode), "Permission bits in octal; root owns it.").default("0755"),
    key(
        "effect",
        Kind::Leaf(Format::Effect),
        "What a change of it asks for: `restart UNIT`, `reload UNIT` or `none`. etcd's own is known.",
    )
    .default("none"),
]);

const SET: Kind = Kind::Map(&[
    key(
        "packages",
        Kind::List(&Kind::Leaf(Format::ArtifactOrFolder)),
        "Files of packages (.deb) below the inventory's `artifacts/`; a name that ends in `/` is all of a folder.",
    )
    .example("[kubernetes/, containerd_2.1.4-1_amd64.deb]"),
    key("binaries", Kind::List(&BINARY), "Programs that no package brings."),
]);

/// A host has what every entry that fits it names, together.
pub(super) static KEYS: &[Key] = &[
    key("all", SET, "What every host gets."),
    key("kubernetes", SET, "What every node gets: control planes and workers."),
    key("etcd", SET, "What etcd members get."),
    key("load-balancer", SET, "What balancers get."),
    key("control-plane", SET, "What control planes get."),
    key("worker", SET, "What workers get."),
    key("groups", Kind::Each { key: Format::Label, value: &SET }, "What the hosts of a group get."),
    key("hosts", Kind::Each { key: Format::Label, value: &SET }, "What single hosts get, by short name."),
];
