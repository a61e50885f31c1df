//! What every host has. Rules of the table of effects.

use super::{Rule, rule};
use crate::diff::change::Class;

pub(super) const RULES: &[Rule] = &[
    rule(
        "hosts-block",
        &["/etc/hosts"],
        &[],
        Class::None,
        "read at each lookup; the lines between the markers are replaced",
        "hosts(5)",
    ),
    rule(
        "sysctl",
        &["/etc/sysctl.d/*"],
        &[],
        Class::Reload,
        "install.sh applies it; what is no longer in it keeps its value until the host starts anew",
        "sysctl.d(5)",
    ),
    rule(
        "modules",
        &["/etc/modules-load.d/*"],
        &[],
        Class::Reload,
        "install.sh loads what is new; what is gone stays loaded until the host starts anew",
        "modules-load.d(5)",
    ),
    rule("crictl", &["/etc/crictl.yaml"], &[], Class::None, "read by each call of crictl", "cri-tools"),
    rule(
        "containerd-pulls",
        &["/etc/containerd/certs.d/*"],
        &[],
        Class::None,
        "read at each pull",
        "containerd, docs/hosts.md",
    ),
];
