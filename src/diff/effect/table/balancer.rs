//! nginx and keepalived. Rules of the table of effects.

use super::{Rule, rule};
use crate::diff::change::Class;

pub(super) const RULES: &[Rule] = &[
    rule(
        "vrrp-identity",
        &["/etc/keepalived/keepalived.conf"],
        &["*virtual_router_id*", "*auth_pass*", "*auth_type*", "*vrrp_version*"],
        Class::Reload,
        "balancers that do not agree on it both hold the VIP until the other has it too: install them one right after the other",
        "RFC 9568 section 7.1: advertisements of another router are discarded",
    ),
    rule(
        "vip",
        &["/etc/keepalived/keepalived.conf"],
        &["*virtual_ipaddress*"],
        Class::Reload,
        "the address moves; clients find the new one when the endpoint's name leads there",
        "keepalived.conf(5), virtual_ipaddress",
    ),
    rule(
        "keepalived-scripts",
        &["/etc/keepalived/check-*", "/etc/keepalived/notify"],
        &[],
        Class::None,
        "run anew each time",
        "keepalived.conf(5), vrrp_script",
    ),
];
