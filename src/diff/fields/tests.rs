use super::*;

/// The changes as lines `path: old -> new`, `+` and `-` for what is new or gone.
fn changed(format: Format, old: &str, new: &str) -> Vec<String> {
    let shown = |change: &FieldChange| match (&change.old, &change.new) {
        (Some(old), Some(new)) => format!("{}: {old} -> {new}", change.path),
        (None, Some(new)) => format!("+ {}: {new}", change.path),
        (Some(old), None) => format!("- {}: {old}", change.path),
        (None, None) => panic!("{} changes from nothing to nothing", change.path),
    };
    compare(format, old, new).unwrap().iter().map(shown).collect()
}

#[test]
fn arguments_are_known_by_name() {
    let old = "kind: ClusterConfiguration\napiServer:\n  extraArgs:\n  - name: a\n    value: \"1\"\n";
    let new = "kind: ClusterConfiguration\napiServer:\n  extraArgs:\n  - {name: b, value: x}\n  - {name: a, value: \"2\"}\n";
    assert_eq!(
        changed(Format::Kubeadm, old, new),
        [
            "ClusterConfiguration.apiServer.extraArgs[a]: 1 -> 2",
            "+ ClusterConfiguration.apiServer.extraArgs[b]: x"
        ]
        .map(str::to_owned)
        .as_slice()
    );
}
