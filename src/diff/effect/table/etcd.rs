//! etcd: its settings, certificates and programs. Rules of the table of effects.

use super::{Rule, rule};
use crate::diff::change::Class;

const ETCD_ENV: &[&str] = &["/etc/etcd/etcd.env"];

pub(super) const RULES: &[Rule] = &[
    rule(
        "etcd-data-dir",
        ETCD_ENV,
        &["ETCD_DATA_DIR", "ETCD_WAL_DIR"],
        Class::Destructive,
        "the member would start without its data, as a stranger to the cluster; stop it and move the folder first, or replace the member",
        "etcd, server/embed/config.go: a data directory without a WAL is a new member",
    ),
    rule(
        "etcd-name",
        ETCD_ENV,
        &["ETCD_NAME"],
        Class::Recreate,
        "a member keeps the name it was made with; add a host of the new name and retire this one",
        "etcd, Documentation/op-guide/runtime-configuration: members are replaced, not renamed",
    ),
    rule(
        "etcd-peer-url",
        ETCD_ENV,
        &["ETCD_INITIAL_ADVERTISE_PEER_URLS", "ETCD_LISTEN_PEER_URLS"],
        Class::Recreate,
        "the cluster knows the member by its peer URL; add a host with the new one and retire this one",
        "etcd, Documentation/op-guide/runtime-configuration: update advertise peer URLs",
    ),
    rule(
        "etcd-initial",
        ETCD_ENV,
        &["ETCD_INITIAL_*"],
        Class::Inert,
        "read once, by a member without data; a member that has formed its cluster never looks at it again",
        "etcd, Documentation/op-guide/configuration: --initial-* are ignored after bootstrap",
    ),
    rule(
        "etcd-snapshot-settings",
        &["/etc/etcd/snapshot.env", "/etc/systemd/system/khagen-etcd-snapshot.service"],
        &[],
        Class::None,
        "read by the next snapshot",
        "systemd.exec(5), EnvironmentFile=: read when the unit starts",
    ),
    rule(
        "etcd-ca-more",
        &["/etc/etcd/pki/etcd-ca.crt", "/etc/etcd/pki/etcd-peer-ca.crt", "/etc/kubernetes/pki/etcd/*"],
        &["+certificate *"],
        Class::Reissue,
        "a further CA is trusted from now on, beside the former",
        "etcd-io/etcd#11555: the trusted CAs are read at start only",
    ),
    rule(
        "etcd-ca-fewer",
        &["/etc/etcd/pki/etcd-ca.crt", "/etc/etcd/pki/etcd-peer-ca.crt", "/etc/kubernetes/pki/etcd/*"],
        &["-certificate *"],
        Class::Reissue,
        "what this CA signed is refused from now on",
        "etcd-io/etcd#11555: the trusted CAs are read at start only",
    ),
    rule(
        "etcd-trust",
        ETCD_ENV,
        &["*TRUSTED_CA_FILE", "ETCD_PEER_CERT_ALLOWED_*", "*CLIENT_CERT_AUTH"],
        Class::Recreate,
        "members that trust different certificates do not talk to each other: a cluster of one kind cannot become one of the other member by member",
        "etcd, Documentation/op-guide/security",
    ),
    rule(
        "etcd-ca",
        &["/etc/etcd/pki/etcd-ca.crt", "/etc/etcd/pki/etcd-peer-ca.crt"],
        &["key", "certificate * > key", "subject", "+file", "-file"],
        Class::Recreate,
        "another CA: members and clients of the former one are strangers to those of the new one until all have both",
        "etcd-io/etcd#11555: the trusted CA is read at start only",
    ),
    rule(
        "etcd-ca-renewed",
        &["/etc/etcd/pki/etcd-ca.crt", "/etc/etcd/pki/etcd-peer-ca.crt"],
        &[],
        Class::Reissue,
        "the CA's certificate is issued again with the same key: what it signed stays valid",
        "RFC 5280 section 6.1: a path is checked by name and key",
    ),
    rule(
        "etcd-leaf",
        &["/etc/etcd/pki/*"],
        &[],
        Class::Reissue,
        "etcd reads its certificate and key anew at each handshake; nothing restarts",
        "etcd, client/pkg/transport/listener.go: TLSInfo.GetCertificate",
    ),
    rule(
        "calendar",
        &["/etc/khagen/certificates.conf", "/usr/local/sbin/khagen-certificates"],
        &[],
        Class::None,
        "read by the next khagen-certificates that a person or a timer runs",
        "nothing runs it by itself",
    ),
];
