//! Fields of KubeletConfiguration and KubeProxyConfiguration that the version does not have, or that hold another kind of value.

use std::collections::BTreeSet;

use super::{Scope, path};
use crate::check::suggest::nearest;
use crate::diag::{Code, Diagnostic, Report};
use crate::model::component_fields::{ComponentField, FieldKind, KUBE_PROXY, KUBELET};
use crate::model::releases::KUBERNETES;
use crate::source::Span;
use crate::value::Value;

pub(super) fn check(scope: &Scope<'_>, report: &mut Report) {
    if !scope.sound(&["kubernetes.version"]) {
        return;
    }
    let k = &scope.cluster.kubernetes;
    let mut said = BTreeSet::new();
    let kubelet = Table { kind: "KubeletConfiguration", fields: &KUBELET };
    kubelet.check(scope, &k.kubelet_config, "kubernetes.kubelet", &mut said, report);
    for host in scope.nodes() {
        kubelet.check(scope, &host.kubelet.value, &path(host, "kubelet"), &mut said, report);
    }
    let proxy = Table { kind: "KubeProxyConfiguration", fields: &KUBE_PROXY };
    proxy.check(scope, &k.kube_proxy_config, "kubernetes.kubeProxy.config", &mut said, report);
}

struct Table {
    kind: &'static str,
    fields: &'static [ComponentField],
}

impl Table {
    /// A layer that many hosts share is one place and one finding.
    fn check(
        &self,
        scope: &Scope<'_>,
        config: &Value,
        stem: &str,
        said: &mut BTreeSet<(Option<Span>, String)>,
        report: &mut Report,
    ) {
        let Value::Map(entries) = config else { return };
        for (name, value) in
            entries.iter().filter(|(name, _)| !matches!(name.as_str(), "apiVersion" | "kind"))
        {
            let place = format!("{stem}.{name}");
            let Some(finding) = self.judge(scope, name, value) else { continue };
            if scope.sound(&[&place]) && said.insert((scope.places.at(&place), name.clone())) {
                report.push(scope.at(finding, &place, ""));
            }
        }
    }

    fn judge(&self, scope: &Scope<'_>, name: &str, value: &Value) -> Option<Diagnostic> {
        // Of a minor older than all that are known it is only known that it is too old, which is said already.
        let oldest = KUBERNETES.first().map_or(0, |known| known.minor);
        let minor = scope.cluster.kubernetes.version.minor.max(oldest);
        let kind = self.kind;
        let Some(field) = self.fields.iter().find(|f| f.name == name) else {
            let known = self.fields.iter().filter(|f| f.since <= minor).map(|f| f.name);
            let help = match nearest(name, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => {
                    "remove it; the reference of the component's configuration lists the fields".to_owned()
                }
            };
            return Some(
                Diagnostic::error(Code::ComponentField, format!("{kind} has no field `{name}`"))
                    .reason("kubeadm would drop it with no more than a warning, and the default would hold")
                    .help(help),
            );
        };
        if field.since > minor {
            let message = format!("{kind} of Kubernetes 1.{} has no field `{name}`", minor);
            return Some(
                Diagnostic::error(Code::ComponentField, message)
                    .reason(format!("it came with 1.{}; an older kubeadm would drop it", field.since))
                    .help(format!("remove it, or use Kubernetes 1.{} or newer", field.since)),
            );
        }
        let (fits, wanted) = fits(field.kind, value);
        (!fits).then(|| {
            Diagnostic::error(Code::ComponentFieldKind, format!("`{name}` of {kind} must be {wanted}"))
                .reason("the component would refuse the whole document and not start")
                .help(format!("write {wanted}"))
        })
    }
}

/// Whether a value is of a kind, and what that is called. `null` leaves a field at its default.
fn fits(kind: FieldKind, value: &Value) -> (bool, &'static str) {
    use FieldKind as F;
    let whole = |text: &str| text.parse::<i64>().is_ok();
    let (fits, wanted) = match (kind, value) {
        (F::Bool, value) => (matches!(value, Value::Bool(_)), "true or false"),
        (F::Int, value) => (matches!(value, Value::Number(n) if whole(n)), "a whole number"),
        (F::Number, value) => (matches!(value, Value::Number(_)), "a number"),
        (F::Text, value) => (matches!(value, Value::Text(_)), "text"),
        (F::Duration, value) => (
            matches!(value, Value::Text(text) if is_go_duration(text)),
            "a time as Go writes it, such as 10s or 1h30m",
        ),
        (F::List, value) => (matches!(value, Value::List(_)), "a list"),
        (F::Map, value) => (matches!(value, Value::Map(_)), "a map"),
    };
    (fits || matches!(value, Value::Null), wanted)
}

/// Whether Go's time.ParseDuration takes it.
fn is_go_duration(text: &str) -> bool {
    const UNITS: [&str; 8] = ["ns", "us", "\u{b5}s", "\u{3bc}s", "ms", "s", "m", "h"];
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return true;
    }
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let before = digits(rest);
        rest = &rest[before..];
        let mut after = 0;
        if let Some(fraction) = rest.strip_prefix('.') {
            after = digits(fraction);
            rest = &fraction[after..];
        }
        let letters = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
        if before + after == 0 || !UNITS.contains(&&rest[..letters]) {
            return false;
        }
        rest = &rest[letters..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        for good in ["0", "10s", "1h30m", "1.5h", ".5h", "1.h", "-5m", "+5m", "300ms", "2\u{b5}s", "1h1h"] {
            assert!(is_go_duration(good), "{good}");
        }
        for bad in ["", "5", "1d", "m", "-", ".", ".s", "1 s", "1h-1m", "1H", "1s5"] {
            assert!(!is_go_duration(bad), "{bad}");
        }
    }

    #[test]
    fn the_tables_are_sorted() {
        for fields in [KUBELET.as_slice(), KUBE_PROXY.as_slice()] {
            assert!(
                fields.is_sorted_by_key(|f| f.name.to_ascii_lowercase())
                    || fields.is_sorted_by_key(|f| f.name)
            );
        }
    }
}
