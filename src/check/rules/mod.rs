//! Rules over the typed model: what several settings together get wrong.
//!
//! The decoder has read every value by then; a rule that needs one that could not be read says nothing, since it would
//! judge a stand-in. A rule has its code in [`crate::diag::code`], points at both places and says the way out. No rule
//! reads a clock: the day is given, and only warnings depend on it, so that what is built does not.

mod balancers;
mod between;
mod component_config;
mod components;
mod identity;
mod kubeadm;
mod kubelet;
mod networks;
mod nodes;
mod paths;
mod pki;
mod ports;
mod proxy;
mod subnets;
#[cfg(test)]
mod tests;
mod topology;
mod unused;
mod variables;
mod versions;

use time::Date;

use crate::check::places::Places;
use crate::diag::{Diagnostic, Report};
use crate::model::{Cluster, Host, Role};

/// Judges one cluster.
pub fn check(cluster: &Cluster, places: &Places, today: Date, report: &mut Report) {
    let scope = Scope { cluster, places };
    identity::check(&scope, report);
    networks::check(&scope, report);
    subnets::check(&scope, report);
    topology::check(&scope, report);
    balancers::check(&scope, report);
    ports::check(&scope, report);
    versions::check(&scope, today, report);
    proxy::check(&scope, report);
    components::check(&scope, report);
    kubeadm::check(&scope, report);
    kubelet::check(&scope, report);
    component_config::check(&scope, report);
    nodes::check(&scope, report);
    paths::check(&scope, report);
    pki::check(&scope, report);
    unused::check(&scope, report);
}

/// Judges the clusters of one inventory beside each other.
pub fn check_all(clusters: &[(&Cluster, &Places)], report: &mut Report) {
    let scopes: Vec<Scope<'_>> =
        clusters.iter().map(|&(cluster, places)| Scope { cluster, places }).collect();
    between::check(&scopes, report);
}

/// A cluster and where its settings stand.
struct Scope<'a> {
    cluster: &'a Cluster,
    places: &'a Places,
}

impl<'a> Scope<'a> {
    /// Whether the model holds what the user wrote at all of these paths.
    fn sound(&self, paths: &[&str]) -> bool {
        paths.iter().all(|path| self.places.is_sound(path))
    }

    /// Points the finding at a setting.
    fn at(&self, finding: Diagnostic, path: &str, text: impl Into<String>) -> Diagnostic {
        match self.places.at(path) {
            Some(span) => finding.at(span, text),
            None => finding,
        }
    }

    /// Points the finding at another setting too; at the place it points at already, the arrow would say nothing.
    fn also(&self, finding: Diagnostic, path: &str, text: impl Into<String>) -> Diagnostic {
        match self.places.at(path) {
            Some(span) if finding.primary.is_none() => finding.at(span, text),
            Some(span) if finding.primary.as_ref().is_some_and(|label| label.span == span) => finding,
            Some(span) => finding.also(span, text),
            None => finding,
        }
    }

    /// Hosts that belong to the cluster, in order of FQDN.
    fn hosts(&self) -> impl Iterator<Item = &'a Host> + use<'a> {
        self.cluster.hosts.iter()
    }

    /// These and those that leave, in order of FQDN: all whose names and addresses are taken.
    fn machines(&self) -> Vec<&'a Host> {
        self.cluster.with_retired()
    }

    /// Hosts of a role that belong to the cluster.
    fn with_role(&self, role: Role) -> Vec<&'a Host> {
        self.hosts().filter(|host| host.has(role)).collect()
    }

    /// Hosts that run a kubelet and belong to the cluster.
    fn nodes(&self) -> Vec<&'a Host> {
        self.hosts().filter(|host| host.is_node()).collect()
    }

    /// Whether the hosts and their roles are known, so that they may be counted.
    fn roles_sound(&self) -> bool {
        let machines = self.machines();
        let some = !machines.is_empty() || self.places.is_sound("hosts");
        some && machines
            .iter()
            .all(|host| ["roles", "state"].iter().all(|key| self.places.is_sound(&path(host, key))))
    }
}

/// The path of a host's setting.
fn path(host: &Host, key: &str) -> String {
    format!("hosts.{}.{key}", host.name)
}

/// The path of the host itself.
fn own(host: &Host) -> String {
    format!("hosts.{}", host.name)
}

/// A few names, and how many more there are.
fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 4;
    let names: Vec<&str> = names.into_iter().collect();
    let quoted: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => match quoted.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
            _ => quoted.concat(),
        },
        more => format!("{} and {more} more", quoted.join(", ")),
    }
}

/// `1 host`, `2 hosts`.
fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}
