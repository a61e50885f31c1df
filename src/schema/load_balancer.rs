//! Keys of `loadBalancer`.

use super::{DAY, Format, Key, Kind, PORT, SECOND, key};

const VRID: Kind = Kind::Leaf(Format::Int { min: 1, max: 255 });
const INTERFACE: Kind = Kind::Leaf(Format::Interface);

const VIP: Kind = Kind::Map(&[
    key(
        "address",
        Kind::Leaf(Format::AddressInNetwork),
        "The address, with the prefix length of the balancers' network.",
    )
    .required()
    .example("192.168.13.70/24"),
    key("virtualRouterId", VRID, "The VRRP instance's number on this link.")
        .derived("`loadBalancer.virtualRouterId`")
        .example("70"),
    key("interface", INTERFACE, "The balancers' interface for this VIP.")
        .derived("`loadBalancer.interface`")
        .example("ens33"),
]);

pub(super) static KEYS: &[Key] = &[
    key(
        "mode",
        Kind::Leaf(Format::Choice { options: &["keepalived", "external", "none"], coming: &[] }),
        "Who serves the endpoint: balancers of this cluster with a VIP, somebody else, or the one control plane itself.",
    )
    .default("keepalived"),
    key("vip", Kind::Leaf(Format::AddressInNetwork), "The virtual address, with the prefix length of the balancers' network.")
        .example("192.168.13.70/24"),
    key("vips", Kind::List(&VIP), "Several virtual addresses instead of `vip`, one VRRP instance each."),
    key("port", Kind::Leaf(PORT), "Where the balancers listen.").default("6443"),
    key("virtualRouterId", VRID, "The VRRP instance's number, which no other cluster on the link may use.").example("70"),
    key("interface", INTERFACE, "The balancers' interface for the VIP, if it is the same on all.")
        .derived("each balancer's `interface`")
        .example("ens33"),
    key(
        "connectTimeout",
        Kind::Leaf(Format::Duration { min: SECOND, max: 75, step: SECOND }),
        "How long nginx tries a control plane before it takes the next (proxy_connect_timeout).",
    )
    .default("2s"),
    key(
        "idleTimeout",
        Kind::Leaf(Format::Duration { min: SECOND, max: 20 * DAY, step: SECOND }),
        "How long a connection may be silent (proxy_timeout); `kubectl logs -f` of a quiet pod is.",
    )
    .default("24h"),
    key("auth", Kind::Leaf(Format::Bool), "Whether VRRP adverts carry a password. It is sent in the clear and adds little to unicast.")
        .default("false"),
];
