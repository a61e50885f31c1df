//! Labels and taints that the operator's script and kubeadm put on nodes.

use std::collections::BTreeSet;

use super::{Scope, path};
use crate::diag::{Code, Diagnostic, Report};
use crate::model::{Host, Role};
use crate::source::Span;

/// The kubelet writes these itself and puts them back at every start (updateDefaultLabels).
const KUBELETS: [&str; 5] = [
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/os",
    "kubernetes.io/arch",
    "kubernetes.io/hostname",
    "kubernetes.io/os",
];
const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";
const ZONE: &str = "topology.kubernetes.io/zone";

pub(super) fn check(scope: &Scope<'_>, report: &mut Report) {
    let mut said = BTreeSet::new();
    for host in scope.hosts().filter(|host| scope.sound(&[&path(host, "roles")])) {
        labels(scope, host, &mut said, report);
        taints(scope, host, &mut said, report);
    }
}

fn labels(scope: &Scope<'_>, host: &Host, said: &mut BTreeSet<(Option<Span>, String)>, report: &mut Report) {
    for (key, value) in &host.labels {
        let place = path(host, &format!("labels.{key}"));
        if !scope.sound(&[&place]) {
            continue;
        }
        let (message, reason, help) = if KUBELETS.contains(&key.as_str()) {
            (
                format!("the label `{key}` cannot be set"),
                "the kubelet sets it and puts its own value back at every start".to_owned(),
                "remove it".to_owned(),
            )
        } else if key == CONTROL_PLANE && host.is_node() && !host.has(Role::ControlPlane) {
            (
                format!("the label `{key}` marks host `{}`, which is no control plane", host.name),
                "kubeadm counts control planes by that label, and upgrades take the node for one".to_owned(),
                "remove it, or give the host the role `control-plane`".to_owned(),
            )
        } else if key == ZONE && host.zone.as_ref().is_some_and(|zone| zone != value) {
            (
                format!(
                    "host `{}` is in zone `{}`, and its label `{ZONE}` is `{value}`",
                    host.name,
                    host.zone.as_deref().unwrap_or_default()
                ),
                "the scheduler spreads pods by the label, and khagen judges zones by `zone`".to_owned(),
                "remove the label, or make the two equal".to_owned(),
            )
        } else {
            continue;
        };
        if said.insert((scope.places.at(&place), message.clone())) {
            let finding = Diagnostic::error(Code::LabelReserved, message).reason(reason).help(help);
            let finding = scope.at(finding, &place, "");
            report.push(if key == ZONE {
                scope.also(finding, &path(host, "zone"), "the zone")
            } else {
                finding
            });
        }
    }
}

fn taints(scope: &Scope<'_>, host: &Host, said: &mut BTreeSet<(Option<Span>, String)>, report: &mut Report) {
    let taints = host.taints.as_deref().unwrap_or_default();
    let place = |n: usize| path(host, &format!("taints.{n}"));
    for (n, taint) in taints.iter().enumerate() {
        let mut before = taints.iter().take(n);
        let Some(first) = before.position(|other| other.key == taint.key && other.effect == taint.effect)
        else {
            continue;
        };
        let message = format!("the taint `{}` with effect {} is there twice", taint.key, taint.effect);
        if !scope.sound(&[&place(n), &place(first)])
            || !said.insert((scope.places.at(&place(n)), message.clone()))
        {
            continue;
        }
        let finding = Diagnostic::error(Code::TaintTwice, message)
            .reason("a node has one taint of a key and effect, and the API server refuses two")
            .help("remove one of them");
        let finding = scope.at(finding, &place(n), "again");
        report.push(scope.also(finding, &place(first), "first"));
    }
}
