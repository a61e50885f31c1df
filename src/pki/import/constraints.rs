//! Whether a CA's name constraints let it sign what a cluster needs (RFC 5280 section 4.2.1.10).

use std::net::IpAddr;

use crate::pki::read::authority::{Constraints, Subtree};
use crate::plan::CertRequest;

/// Names that the constraints forbid, each once.
pub(super) fn forbidden<'a>(
    constraints: &Constraints,
    requests: impl Iterator<Item = &'a CertRequest>,
) -> Vec<String> {
    let mut names = Vec::new();
    for request in requests {
        names.extend(request.dns_sans.iter().filter(|n| !dns_allowed(constraints, n)).cloned());
        let addresses = request.ip_sans.iter().filter(|ip| !ip_allowed(constraints, **ip));
        names.extend(addresses.map(ToString::to_string));
    }
    names.sort_unstable();
    names.dedup();
    names
}

/// Constraints of kinds that verifiers of a cluster do not know; Go refuses such a CA as a whole.
pub(super) fn unknown(constraints: &Constraints) -> Vec<&str> {
    let all = constraints.permitted.iter().chain(&constraints.excluded);
    all.filter_map(|tree| match tree {
        Subtree::Other(text) => Some(text.as_str()),
        Subtree::Dns(_) | Subtree::Ip(..) | Subtree::Foreign => None,
    })
    .collect()
}

fn dns_allowed(constraints: &Constraints, name: &str) -> bool {
    let holds = |tree: &Subtree| match tree {
        Subtree::Dns(base) => Some(below(name, base)),
        _ => None,
    };
    allowed(constraints, holds)
}

fn ip_allowed(constraints: &Constraints, ip: IpAddr) -> bool {
    let holds = |tree: &Subtree| match tree {
        // A network of one family says nothing about the other's addresses but that they are not in it.
        Subtree::Ip(address, mask) => Some(within(ip, *address, *mask)),
        _ => None,
    };
    allowed(constraints, holds)
}

/// `holds` answers `None` for trees of other kinds.
fn allowed(constraints: &Constraints, holds: impl Fn(&Subtree) -> Option<bool>) -> bool {
    let mut permitted = constraints.permitted.iter().filter_map(&holds).peekable();
    let is_permitted = permitted.peek().is_none() || permitted.any(|held| held);
    is_permitted && !constraints.excluded.iter().filter_map(&holds).any(|held| held)
}

fn below(name: &str, base: &str) -> bool {
    let name = name.to_ascii_lowercase();
    match base.strip_prefix('.') {
        Some(base) => name.strip_suffix(base).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        None if base.is_empty() => true,
        None => name.strip_suffix(base).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')),
    }
}

fn within(ip: IpAddr, address: IpAddr, mask: IpAddr) -> bool {
    match (ip, address, mask) {
        (IpAddr::V4(ip), IpAddr::V4(a), IpAddr::V4(m)) => {
            ip.to_bits() & m.to_bits() == a.to_bits() & m.to_bits()
        }
        (IpAddr::V6(ip), IpAddr::V6(a), IpAddr::V6(m)) => {
            ip.to_bits() & m.to_bits() == a.to_bits() & m.to_bits()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_hold_what_is_below_them() {
        for (name, base, held) in [
            ("a.example.com", "example.com", true),
            ("example.com", "example.com", true),
            ("EXAMPLE.com", "example.com", true),
            ("badexample.com", "example.com", false),
            ("a.example.com", ".example.com", true),
            ("example.com", ".example.com", false),
            ("localhost", "", true),
            ("localhost", "example.com", false),
        ] {
            assert_eq!(below(name, base), held, "{name} {base}");
        }
    }

    #[test]
    fn a_kind_without_a_constraint_is_free() {
        let ip = |s: &str| s.parse::<IpAddr>().unwrap();
        let constraints = Constraints {
            permitted: vec![Subtree::Dns("example.com".into()), Subtree::Ip(ip("10.0.0.0"), ip("255.0.0.0"))],
            excluded: vec![Subtree::Ip(ip("10.1.0.0"), ip("255.255.0.0"))],
        };
        assert!(dns_allowed(&constraints, "a.example.com") && !dns_allowed(&constraints, "localhost"));
        assert!(ip_allowed(&constraints, ip("10.2.0.1")));
        assert!(!ip_allowed(&constraints, ip("10.1.0.1")) && !ip_allowed(&constraints, ip("::1")));
        let only_ip = Constraints { permitted: constraints.permitted[1..].to_vec(), excluded: vec![] };
        assert!(dns_allowed(&only_ip, "localhost"));
    }
}
