//! Keys of `etcd`.

use super::{Format, Key, Kind, PORT, key};

/// 3.5 and later read these as unsigned 64-bit numbers; nothing sensible comes near.
const COUNT: Format = Format::Int { min: 1, max: 1_000_000_000 };

pub(super) static KEYS: &[Key] = &[
    key("version", Kind::Leaf(Format::Version), "The exact version of etcd on the hosts.").required().example("3.6.14"),
    key("clientPort", Kind::Leaf(PORT), "Where members serve clients, over TLS.").default("2379"),
    key("peerPort", Kind::Leaf(PORT), "Where members serve each other, over TLS.").default("2380"),
    key("metricsPort", Kind::Leaf(PORT), "Where /metrics and /health are served, on loopback only.").default("2381"),
    key("dataDir", Kind::Leaf(Format::Path), "Where a member keeps its data; best a fast disk of its own.")
        .default("/var/lib/etcd"),
    key("binDir", Kind::Leaf(Format::Path), "Where etcd, etcdctl and etcdutl lie.").default("/usr/local/bin"),
    key(
        "quotaBackendBytes",
        Kind::Leaf(Format::Size),
        "How large the database may grow before etcd refuses writes. etcd suggests 8 GiB at most; 0 is etcd's own 2 GiB.",
    )
    .default("8GiB"),
    key("heartbeatInterval", Kind::Leaf(Format::Int { min: 1, max: 10_000 }), "Milliseconds between the leader's heartbeats, about the round trip between members.")
        .default("100"),
    key(
        "electionTimeout",
        Kind::Leaf(Format::Int { min: 5, max: 50_000 }),
        "Milliseconds without a heartbeat until an election, ten times the round trip at least.",
    )
    .default("1000"),
    key("snapshotCount", Kind::Leaf(COUNT), "Committed transactions until etcd writes a snapshot of its own.").default("10000"),
    key(
        "autoCompaction",
        Kind::Map(&[
            key(
                "mode",
                Kind::Leaf(Format::Choice { options: &["periodic", "revision"], coming: &[] }),
                "Whether `retention` is a time or a number of revisions.",
            )
            .default("periodic"),
            key("retention", Kind::Leaf(Format::Retention), "How much history is kept: hours or a time like 8h, or revisions.")
                .required()
                .example("8h"),
        ]),
        "etcd's own compaction. The API server compacts every five minutes already, so it is off unless asked for.",
    ),
    key(
        "peerCA",
        Kind::Leaf(Format::Choice { options: &["separate", "same"], coming: &[] }),
        "Whether peers trust a CA of their own, or the one that signs clients too (for adopted clusters).",
    )
    .default("separate"),
    key(
        "snapshot",
        Kind::Map(&[
            key("schedule", Kind::Leaf(Format::Calendar), "When a member saves a snapshot, as systemd's OnCalendar.").default("daily"),
            key("keep", Kind::Leaf(Format::Int { min: 1, max: 10_000 }), "How many snapshots a member keeps.").default("7"),
            key("dir", Kind::Leaf(Format::Path), "Where a member keeps its snapshots.").default("/var/lib/khagen/etcd-snapshots"),
        ]),
        "Snapshots by a timer on every member.",
    ),
];
