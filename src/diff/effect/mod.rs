//! What comes of a change: the table's rule for its file and field, and what systemd does according to the manifest.

pub mod table;

use std::collections::BTreeSet;

use super::change::{Class, Effect, What};
use crate::snapshot::Head;
use table::{Rule, matches, rules};

/// Where a change is.
pub struct Place<'a> {
    /// Path on the host, or in the bundle, as in [`super::change::Change::file`] but with the host's own name.
    pub file: &'a str,
    /// How install.sh treats the file.
    pub policy: &'a str,
    /// The newer head, or the older of a host that is gone.
    pub head: &'a Head,
}

/// A change's effects, gravest first.
pub fn effects(place: &Place<'_>, what: &What) -> Vec<Effect> {
    let mut found = BTreeSet::new();
    match what {
        What::HostAdded { .. } => {
            found.insert(plain(
                Class::None,
                "host-added",
                "nothing that runs changes before install.sh and up.sh are run there",
            ));
        }
        What::HostRemoved { roles } => {
            found.insert(removed(roles));
        }
        What::HostRetired { .. } => {
            found.insert(plain(
                Class::Destructive,
                "host-retired",
                "it leaves: pods are drained, the member or node is taken out of the cluster, uninstall.sh puts back what was there",
            ));
        }
        _ => {
            let rule = rule_for(place, what);
            let unit =
                rule.filter(|r| r.name == "carried-package").and_then(|_| unit_of_package(place, what));
            found.extend(match (rule, unit) {
                (Some(rule), Some(unit)) => Some(Effect { unit: Some(unit), ..effect_of(rule) }),
                (rule, _) => rule.map(effect_of),
            });
            found.extend(units(place));
            if let (Some(path), None) =
                (program(place, what), rule_for(place, what).filter(|r| r.name == "carried-programs"))
            {
                found.extend(units(&Place { file: path, policy: "managed", head: place.head }));
            }
        }
    }
    if found.is_empty() {
        found.insert(plain(Class::None, "unread", "no unit of khagen's reads it"));
    }
    found.into_iter().rev().collect()
}

/// The unit of khagen's that a package brings: `nginx.service` is nginx's and nginx-light's, `containerd.service` containerd.io's.
fn unit_of_package(place: &Place<'_>, what: &What) -> Option<String> {
    let What::Field { field, .. } = what else { return None };
    let package = field.strip_prefix("debs[")?.split(']').next()?;
    let brings = |unit: &&str| {
        let stem = unit.strip_suffix(".service").unwrap_or(unit);
        package.strip_prefix(stem).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '.']))
    };
    place.head.known.units.iter().map(|u| u.unit.as_str()).find(brings).map(str::to_owned)
}

/// The path of a program that travels beside the bundle, whose line of the manifest changed.
fn program<'a>(place: &Place<'_>, what: &'a What) -> Option<&'a str> {
    let What::Field { field, new: Some(_), .. } = what else { return None };
    let inner = field.strip_prefix("binaries[").filter(|_| place.file == "MANIFEST.json")?;
    inner.split_once(']').map(|(path, _)| path)
}

/// The rule that a change falls under.
pub fn rule_for(place: &Place<'_>, what: &What) -> Option<&'static Rule> {
    let (field, signed) = match what {
        What::Field { field, old: None, .. } => (field.as_str(), format!("+{field}")),
        What::Field { field, new: None, .. } => (field.as_str(), format!("-{field}")),
        What::Field { field, .. } => (field.as_str(), String::new()),
        // The key of a CA, as a file of its own.
        What::Secret { how, .. } if how == "switched" => ("secret switched", String::new()),
        What::Secret { .. } => ("secret", String::new()),
        What::FileAdded { .. } => ("", "+file".to_owned()),
        What::FileRemoved { .. } => ("", "-file".to_owned()),
        _ => ("", String::new()),
    };
    let named = |pattern: &str| matches(pattern, field) || (!signed.is_empty() && matches(pattern, &signed));
    rules().find(|rule| {
        rule.files.iter().any(|pattern| matches(pattern, place.file))
            && (rule.fields.is_empty() || rule.fields.iter().any(|pattern| named(pattern)))
    })
}

fn effect_of(rule: &'static Rule) -> Effect {
    Effect {
        class: rule.class,
        unit: None,
        procedure: rule.procedure.map(str::to_owned),
        reason: rule.reason.to_owned(),
        rule: rule.name,
    }
}

fn plain(class: Class, rule: &'static str, reason: &str) -> Effect {
    Effect { class, unit: None, procedure: None, reason: reason.to_owned(), rule }
}

/// A host that vanishes without having been retired.
fn removed(roles: &[String]) -> Effect {
    let has = |role: &str| roles.iter().any(|r| r == role);
    let reason = if has("etcd") {
        "etcd still counts its member, whose loss costs a part of the quorum; put it back with `state: retired` to have it taken out in order"
    } else if has("control-plane") || has("worker") {
        "its node stays in the cluster with its pods; put it back with `state: retired` to have it drained and taken out in order"
    } else {
        "what was installed there stays and goes on running; put it back with `state: retired` to have it uninstalled"
    };
    plain(Class::Destructive, "host-removed", reason)
}

/// What systemd does: install.sh restarts and reloads by the same lines of the manifest.
fn units(place: &Place<'_>) -> Vec<Effect> {
    // What the host's own tools rewrite, and what only a one-time step reads, changes nothing that runs.
    if !matches!(place.policy, "managed" | "block" | "absent") {
        return Vec::new();
    }
    let reads = |paths: &[String]| {
        paths.iter().any(|p| p == place.file || (p.ends_with('/') && place.file.starts_with(p.as_str())))
    };
    let mut found = Vec::new();
    for unit in &place.head.known.units {
        let (class, reason) = if reads(&unit.restart_on) {
            (Class::Restart, "read when the unit starts")
        } else if reads(&unit.reload_on) {
            (Class::Reload, "read anew by the running unit")
        } else {
            continue;
        };
        found.push(Effect {
            class,
            unit: Some(unit.unit.clone()),
            procedure: None,
            reason: reason.to_owned(),
            rule: "systemd",
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(path: &str, old: Option<&str>, new: Option<&str>) -> What {
        What::Field { field: path.to_owned(), old: old.map(str::to_owned), new: new.map(str::to_owned) }
    }

    /// Rules for changes that no edit of an inventory makes by itself; the others are in the goldens of tests/pairs.
    #[test]
    fn rules_that_no_golden_shows() {
        let changed = |path: &str| field(path, Some("a"), Some("b"));
        let text = || What::Text { patch: String::new(), added: 1, removed: 1 };
        let key = |how: &str| What::Secret {
            secret: "ca/kubernetes".to_owned(),
            how: how.to_owned(),
            old: "a".to_owned(),
            new: "b".to_owned(),
        };
        let (secret, switched) = (|| key("re-keyed"), || key("switched"));
        for (file, what, rule, class) in [
            ("/etc/etcd/etcd.env", changed("ETCD_NAME"), "etcd-name", Class::Recreate),
            (
                "/etc/etcd/pki/etcd-ca.crt",
                field("certificate 2 > key", None, Some("b")),
                "etcd-ca-more",
                Class::Reissue,
            ),
            (
                "/etc/etcd/pki/etcd-ca.crt",
                field("certificate 2 > key", Some("a"), None),
                "etcd-ca-fewer",
                Class::Reissue,
            ),
            ("/etc/etcd/pki/etcd-ca.crt", changed("notAfter"), "etcd-ca-renewed", Class::Reissue),
            ("/etc/etcd/pki/etcd-ca.crt", changed("key"), "etcd-ca", Class::Recreate),
            ("/etc/kubernetes/pki/ca.key", secret(), "kubernetes-ca", Class::Recreate),
            (
                "/etc/kubernetes/pki/ca.crt",
                field("certificate 2 > key", None, Some("b")),
                "kubernetes-ca-more",
                Class::Reissue,
            ),
            (
                "/etc/kubernetes/pki/front-proxy-ca.crt",
                field("certificate 2 > key", Some("a"), None),
                "kubernetes-ca-fewer",
                Class::Reissue,
            ),
            ("/etc/kubernetes/pki/ca.crt", changed("order"), "kubernetes-ca-switched", Class::Reissue),
            ("/etc/kubernetes/pki/ca.key", switched(), "kubernetes-ca-switched", Class::Reissue),
            ("/etc/kubernetes/pki/ca-signing.crt", changed("key"), "kubernetes-ca-signing", Class::Reissue),
            (
                "/etc/kubernetes/pki/sa.pub",
                field("key 2 > key", None, Some("b")),
                "service-account-more",
                Class::Reissue,
            ),
            (
                "/etc/kubernetes/pki/sa.pub",
                field("key 1 > key", Some("a"), None),
                "service-account-fewer",
                Class::Reissue,
            ),
            ("/etc/kubernetes/pki/sa.key", switched(), "service-account-switched", Class::Reissue),
            ("/etc/kubernetes/pki/sa.key", secret(), "service-account-key", Class::Recreate),
            ("/etc/kubernetes/pki/sa.pub", changed("key"), "service-account-key", Class::Recreate),
            ("/etc/kubernetes/pki/ca.crt", changed("notAfter"), "kubernetes-ca-renewed", Class::Reissue),
            (
                "/etc/kubernetes/pki/etcd/etcd-ca.crt",
                changed("key"),
                "control-plane-etcd-ca",
                Class::Recreate,
            ),
            (
                "/etc/kubernetes/kubeadm-cluster.yaml",
                changed("ClusterConfiguration.dns.imageTag"),
                "kubeadm-dns",
                Class::Reconfigure,
            ),
            (
                "/etc/kubernetes/patches/kube-apiserver0+merge.yaml",
                text(),
                "static-pod-patch",
                Class::Reconfigure,
            ),
            ("/etc/keepalived/check-api", text(), "keepalived-scripts", Class::None),
            ("/etc/modules-load.d/khagen.conf", changed("br_netfilter"), "modules", Class::Reload),
            ("/etc/crictl.yaml", changed("timeout"), "crictl", Class::None),
            ("MANIFEST.json", changed("binaries[/usr/local/bin/etcd].from"), "carried-programs", Class::None),
            ("MANIFEST.json", changed("debs[kubelet].version"), "carried-kubelet", Class::None),
            ("MANIFEST.json", changed("debs[runc].version"), "carried-package", Class::Restart),
            ("MANIFEST.json", field("debs[kubelet]", Some("a"), None), "carried-package-gone", Class::None),
            (
                "/etc/containerd/certs.d/docker.io/hosts.toml",
                changed("server"),
                "containerd-pulls",
                Class::None,
            ),
        ] {
            let head = Head::default();
            let found = effects(&Place { file, policy: "managed", head: &head }, &what);
            assert_eq!((found[0].rule, found[0].class), (rule, class), "{file} {what:?}");
        }
    }

    /// What no rule and no unit knows is said to change nothing that khagen knows of.
    #[test]
    fn a_file_that_nobody_reads() {
        let head = Head::default();
        let place = Place { file: "/etc/motd", policy: "managed", head: &head };
        assert_eq!(effects(&place, &What::FileRemoved { policy: "managed".to_owned() })[0].rule, "unread");
    }
}
