//! Where variables of the control plane's pods come from. They are static pods, which the kubelet starts without an API.

use super::Scope;
use crate::check::suggest;
use crate::diag::{Code, Diagnostic, Report};
use crate::value::Value;

/// What a static pod's variable can come from: the pod's own fields and resources.
const SOURCES: [&str; 2] = ["fieldRef", "resourceFieldRef"];

/// Why a static pod cannot have the others.
fn reason(source: &str) -> &'static str {
    match source {
        // kubelet, pkg/kubelet/config/common.go: HasAPIObjectReference; before 1.34 the container is never created.
        "configMapKeyRef" | "secretKeyRef" => {
            "the control plane's pods are static: the kubelet starts them before there is an API, and refuses one that refers to an object of it"
        }
        // k8s.io/api/core/v1 FileKeySelector: the volume must be an emptyDir.
        "fileKeyRef" => {
            "it reads from an emptyDir volume, and kubeadm gives these pods folders of the host only"
        }
        _ => "EnvVarSource has no such field, and kubeadm refuses the document",
    }
}

/// `value` and `valueFrom` of the variables of a component; `stem` is its place.
pub(super) fn check(scope: &Scope<'_>, variables: &[Value], stem: &str, report: &mut Report) {
    for (nth, variable) in variables.iter().enumerate() {
        let place = format!("{stem}.extraEnvs.{nth}.valueFrom");
        let Some(from) = variable.get("valueFrom") else { continue };
        let name = match variable.get("name") {
            Some(Value::Text(name)) => name.as_str(),
            _ => "",
        };
        if !scope.sound(&[&place]) {
            continue;
        }
        let refused = |message: String| Diagnostic::error(Code::StaticPodVariable, message);
        if variable.get("value").is_some() {
            let finding = refused(format!("the variable `{name}` has both `value` and `valueFrom`"))
                .reason("a pod with a variable that has both is not valid, and the kubelet does not start it")
                .help("remove one of them");
            report.push(scope.at(finding, &place, ""));
            continue;
        }
        let Value::Map(sources) = from else { continue };
        let known = |source: &str| SOURCES.contains(&source);
        for (source, _) in sources.iter().filter(|(source, _)| !known(source)) {
            let finding = refused(format!("the variable `{name}` cannot come from `{source}`"))
                .reason(reason(source))
                .help(match suggest::nearest(source, SOURCES) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "write its `value`, or take it from the pod itself with `fieldRef` or `resourceFieldRef`".to_owned(),
                });
            report.push(scope.at(finding, &format!("{place}.{source}"), ""));
        }
        if sources.len() != 1 && sources.iter().all(|(source, _)| known(source)) {
            let finding = refused(format!("the variable `{name}` has {} sources", sources.len()))
                .reason("a variable comes from exactly one place")
                .help("give it one of `fieldRef` and `resourceFieldRef`");
            report.push(scope.at(finding, &place, ""));
        }
    }
}
