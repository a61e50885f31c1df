//! What a change of a file or field brings about. The one table; `docs/effects.md` is made from it.
//!
//! What systemd does is not here: the manifest's units say which files restart or reload them, and install.sh reads the same
//! lines. Here is what systemd cannot know.

mod balancer;
mod bundle;
mod etcd;
mod host;
mod kubeadm;
mod trust;

use crate::diff::change::Class;

/// A rule. The first one that matches a change's file and field is the change's.
pub struct Rule {
    /// Stable name, printed with the effect.
    pub name: &'static str,
    /// Patterns of paths on the host, or in the bundle without a slash at the front; `*` stands for anything.
    pub files: &'static [&'static str],
    /// Patterns of fields; empty: whatever changes in the file. `+field` and `-field` are for one that came or went, `+file`
    /// and `-file` for the file itself.
    pub fields: &'static [&'static str],
    /// What comes of it.
    pub class: Class,
    /// What brings it in, where something must.
    pub procedure: Option<&'static str>,
    /// Where the procedure is run.
    pub scope: Scope,
    /// Why.
    pub reason: &'static str,
    /// Where that is from.
    pub source: &'static str,
}

/// On which hosts a procedure is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// On the hosts that changed.
    Host,
    /// On one control plane: it changes an object of the cluster.
    Once,
    /// On every control plane, one at a time.
    ControlPlanes,
    /// On every node.
    Nodes,
    /// At the bastion.
    Bastion,
}

const fn rule(
    name: &'static str,
    files: &'static [&'static str],
    fields: &'static [&'static str],
    class: Class,
    reason: &'static str,
    source: &'static str,
) -> Rule {
    Rule { name, files, fields, class, procedure: None, scope: Scope::Host, reason, source }
}

impl Rule {
    const fn by(mut self, procedure: &'static str, scope: Scope) -> Rule {
        self.procedure = Some(procedure);
        self.scope = scope;
        self
    }
}

/// Not a procedure of reconfigure.sh but steps of a rollout: drain, uninstall, forget, join.
pub const REJOIN: &str = "rejoin";

/// A rotation's first stage, which a rollout has more to do for than these files.
pub const KUBERNETES_CA_MORE: &str = "kubernetes-ca-more";
/// A rotation's last stage.
pub const KUBERNETES_CA_FEWER: &str = "kubernetes-ca-fewer";
/// Another of several trusted Kubernetes CAs signs.
pub const KUBERNETES_CA_SWITCHED: &str = "kubernetes-ca-switched";

/// The groups of rules, in the order in which they are tried.
const GROUPS: &[&[Rule]] =
    &[etcd::RULES, trust::RULES, kubeadm::RULES, balancer::RULES, host::RULES, bundle::RULES];

/// All rules, in the order in which they are tried.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    GROUPS.iter().copied().flatten()
}

/// Whether a text matches a pattern, in which `*` stands for anything.
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut parts = parts.peekable();
    let open = pattern.contains('*');
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    open || rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("/etc/hosts", "/etc/hosts", true),
            ("/etc/hosts", "/etc/hosts.d", false),
            ("/etc/etcd/pki/*", "/etc/etcd/pki/a.crt", true),
            ("*.sh", "install.sh", true),
            ("*.sh", "/etc/x.conf", false),
            ("*.nodeRegistration.taints*", "JoinConfiguration.nodeRegistration.taints[a]", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn names_are_unique_and_reasons_are_told() {
        let mut seen = std::collections::BTreeSet::new();
        for rule in rules() {
            assert!(seen.insert(rule.name), "{} twice", rule.name);
            assert!(!rule.reason.is_empty() && !rule.source.is_empty(), "{}", rule.name);
            let by = if rule.class == Class::Recreate {
                rule.procedure == Some(REJOIN)
            } else {
                rule.procedure.is_some()
            };
            assert!(
                rule.class == Class::Recreate || (rule.class == Class::Reconfigure) == by,
                "{}",
                rule.name
            );
        }
    }
}
