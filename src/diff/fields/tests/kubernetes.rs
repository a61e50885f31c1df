use super::{Format, changed, compare, fields, same};

const CLUSTER: &str = "\
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v1.36.5
apiServer:
  certSANs:
  - api.example
  - 192.0.2.1
  extraArgs:
  - name: audit-log-maxage
    value: \"30\"
  - name: v
    value: \"2\"
  extraVolumes:
  - name: audit
    hostPath: /var/log/audit
    mountPath: /var/log/audit
  - name: policy
    hostPath: /etc/policy
    mountPath: /etc/policy
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
clusterDNS:
- 10.96.0.10
- 10.96.0.11
";

#[test]
fn what_means_nothing_in_kubeadms_documents() {
    let reordered = "\
# A comment.
kind: KubeletConfiguration
apiVersion: \"kubelet.config.k8s.io/v1beta1\"
clusterDNS: ['10.96.0.10', 10.96.0.11]
---
kind: ClusterConfiguration
apiVersion: kubeadm.k8s.io/v1beta4
apiServer:
    extraVolumes:
    - {name: policy, mountPath: /etc/policy, hostPath: /etc/policy}
    - {name: audit, mountPath: /var/log/audit, hostPath: /var/log/audit}
    extraArgs:
    - {name: v, value: '2'}
    - {value: '30', name: audit-log-maxage}
    certSANs: [192.0.2.1, api.example, api.example]
kubernetesVersion: \"v1.36.5\"
";
    same(Format::Kubeadm, CLUSTER, reordered);
}

#[test]
fn fields_have_the_documents_names() {
    let edited = CLUSTER
        .replace("\"30\"", "\"60\"")
        .replace("  - 192.0.2.1\n", "  - 192.0.2.2\n")
        .replace("hostPath: /etc/policy", "hostPath: /srv/policy")
        .replace("- 10.96.0.11", "- 10.96.0.12");
    assert_eq!(
        changed(Format::Kubeadm, CLUSTER, &edited),
        [
            "+ ClusterConfiguration.apiServer.certSANs: 192.0.2.2",
            "- ClusterConfiguration.apiServer.certSANs: 192.0.2.1",
            "ClusterConfiguration.apiServer.extraArgs[audit-log-maxage]: 30 -> 60",
            "ClusterConfiguration.apiServer.extraVolumes[policy].hostPath: /etc/policy -> /srv/policy",
            "KubeletConfiguration.clusterDNS: 10.96.0.11 -> 10.96.0.12",
        ]
    );
}

#[test]
fn order_counts_where_it_does() {
    let swapped = CLUSTER.replace("- 10.96.0.10\n- 10.96.0.11\n", "- 10.96.0.11\n- 10.96.0.10\n");
    assert_eq!(
        changed(Format::Kubeadm, CLUSTER, &swapped),
        [
            "KubeletConfiguration.clusterDNS (order): \"10.96.0.10\", \"10.96.0.11\" -> \"10.96.0.11\", \"10.96.0.10\""
        ]
    );
    let twice = |first: &str, second: &str| {
        format!(
            "kind: ClusterConfiguration\nscheduler:\n  extraArgs:\n  - {{name: a, value: {first}}}\n  \
             - {{name: b, value: x}}\n  - {{name: a, value: {second}}}\n"
        )
    };
    assert_eq!(
        changed(Format::Kubeadm, &twice("p", "q"), &twice("q", "p")),
        ["ClusterConfiguration.scheduler.extraArgs[a] (order): \"p\", \"q\" -> \"q\", \"p\""]
    );
}

#[test]
fn an_argument_is_the_same_in_both_versions_of_the_interface() {
    let beta3 = "kind: ClusterConfiguration\nscheduler:\n  extraArgs:\n    a: x\n";
    let beta4 = "kind: ClusterConfiguration\nscheduler:\n  extraArgs:\n  - name: a\n    value: x\n";
    same(Format::Kubeadm, beta3, beta4);
}

#[test]
fn taints_are_known_by_key_and_effect() {
    let of = |taints: &str| format!("kind: JoinConfiguration\nnodeRegistration:\n  taints: {taints}\n");
    let one = of("[{key: a, effect: NoSchedule}]");
    same(
        Format::Kubeadm,
        &of("[{key: a, effect: NoSchedule}, {key: b, effect: NoExecute, value: v}]"),
        &of("[{key: b, value: v, effect: NoExecute}, {effect: NoSchedule, key: a}]"),
    );
    assert_eq!(
        changed(Format::Kubeadm, &one, &of("[{key: a, effect: NoSchedule, value: x}]")),
        ["JoinConfiguration.nodeRegistration.taints[a:NoSchedule]:  -> x"]
    );
    assert_eq!(
        changed(Format::Kubeadm, &of("[]"), &one),
        ["+ JoinConfiguration.nodeRegistration.taints[a:NoSchedule]: "]
    );
    // No list asks for kubeadm's default, an empty one for none.
    assert_eq!(
        changed(Format::Kubeadm, "kind: JoinConfiguration\nnodeRegistration:\n  name: x\n", &of("[]")),
        ["- JoinConfiguration.nodeRegistration.name: x", "+ JoinConfiguration.nodeRegistration.taints: []"]
    );
}

#[test]
fn a_rotated_token_is_one_change() {
    let of = |secret: &str| {
        format!(
            "kind: InitConfiguration\nbootstrapTokens:\n- token: {secret}\n  ttl: 24h0m0s\n  groups: [a]\n"
        )
    };
    assert_eq!(
        changed(Format::Kubeadm, &of("<secret bootstrap-token aa>"), &of("<secret bootstrap-token bb>")),
        [
            "InitConfiguration.bootstrapTokens[0].token: <secret bootstrap-token aa> -> <secret bootstrap-token bb>"
        ]
    );
}

#[test]
fn documents_come_and_go_by_kind() {
    let (cluster, kubelet) = CLUSTER.split_once("---\n").unwrap();
    let changes = compare(Format::Kubeadm, CLUSTER, cluster).unwrap();
    assert_eq!(changes.len(), 3);
    assert!(
        changes.iter().all(|change| change.path.starts_with("KubeletConfiguration.") && change.new.is_none())
    );
    same(Format::Kubeadm, kubelet, &format!("---\n{kubelet}---\n# nothing\n"));
}

#[test]
fn scalars_differ_as_they_do_for_yaml() {
    for same_values in [
        ["x", "\"x\""],
        ["1.36.5", "'1.36.5'"],
        ["100.64.0.0/10", "\"100.64.0.0/10\""],
        ["~", "null"],
        ["True", "true"],
        ["\"a\\x20b\"", "a b"],
        [">-\n  a\n  b", "a b"],
        ["2001:db8::1", "\"2001:db8::1\""],
    ] {
        let [a, b] = same_values.map(|value| format!("k: {value}\n"));
        same(Format::Yaml, &a, &b);
    }
    for (a, b, shown) in [
        ("1.30", "\"1.30\"", "k: 1.30 -> \"1.30\""),
        ("true", "\"true\"", "k: true -> \"true\""),
        ("no", "\"no\"", "k: no -> \"no\""),
        ("1_0", "\"1_0\"", "k: 1_0 -> \"1_0\""),
        ("1:30", "\"1:30\"", "k: 1:30 -> \"1:30\""),
        ("2026-01-02", "\"2026-01-02\"", "k: 2026-01-02 -> \"2026-01-02\""),
        ("null", "\"\"", "k: null -> \"\""),
        ("1.30", "1.3", "k: 1.30 -> 1.3"),
        ("{}", "[]", "k: {} -> []"),
        ("\"{}\"", "{}", "k: {} -> {}"),
        ("\"a\\nb\"", "a\\nb", "k: \"a\\nb\" -> \"a\\\\nb\""),
    ] {
        let (a, b) = (format!("k: {a}\n"), format!("k: {b}\n"));
        let lines = changed(Format::Yaml, &a, &b);
        if shown != "k: {} -> {}" {
            assert_eq!(lines, [shown], "{a} {b}");
        } else {
            assert_eq!(lines, ["+ k: {}", "- k: {}"]);
        }
    }
}

#[test]
fn other_lists_go_by_position_and_insertions_are_recognised() {
    let old = "list:\n- {a: 1, b: x}\n- {a: 2, b: y}\n- {a: 3, b: z}\n";
    let inserted = "list:\n- {a: 0, b: w}\n- {a: 1, b: x}\n- {a: 2, b: y}\n- {a: 3, b: z}\n";
    assert_eq!(changed(Format::Yaml, old, inserted), ["+ list[0].a: 0", "+ list[0].b: w"]);
    let edited = inserted.replace("b: z", "b: zz");
    assert_eq!(
        changed(Format::Yaml, old, &edited),
        ["+ list[0].a: 0", "+ list[0].b: w", "list[3].b: z -> zz"]
    );
    let nested = "list:\n- [1, 2]\n- [3]\n";
    assert_eq!(changed(Format::Yaml, nested, "list:\n- [1, 2]\n- [4]\n"), ["list[1]: 3 -> 4"]);
}

#[test]
fn keys_that_are_no_plain_names_stand_in_brackets() {
    assert_eq!(
        fields(Format::Yaml, "a.b: 1\n\"\": 2\n\"x]\": 3\nc: {d-e: 4}\n").unwrap(),
        [("[\"x]\"]", "3"), ("[]", "2"), ("[a.b]", "1"), ("c.d-e", "4")]
            .map(|(path, value)| (path.to_owned(), value.to_owned()))
    );
}

#[test]
fn what_yaml_can_do_beyond_values_is_not_read() {
    for text in [
        "a: &x 1\n",
        "a: *x\n",
        "a: !t 1\n",
        "<<: {a: 1}\n",
        "a: 1\na: 2\n",
        "[a]: 1\n",
        ": 1\n",
        "a: [\n",
        "a:\n\tb: 1\n",
    ] {
        assert!(fields(Format::Yaml, text).is_err(), "{text}");
        assert!(compare(Format::Kubeadm, "a: 1\n", text).is_err(), "{text}");
    }
}

#[test]
fn patches_of_pods_merge_by_name() {
    let of = |image: &str, swap: bool| {
        let (a, b) = (format!("  - name: a\n    image: {image}\n"), "  - name: b\n    image: i\n");
        let containers = if swap { format!("{b}{a}") } else { format!("{a}{b}") };
        format!("apiVersion: v1\nkind: Pod\nspec:\n  containers:\n{containers}")
    };
    same(Format::Kubeadm, &of("i", false), &of("i", true));
    assert_eq!(
        changed(Format::Kubeadm, &of("i", false), &of("j", true)),
        ["Pod.spec.containers[a].image: i -> j"]
    );
    // A JSON patch is a list whose order counts.
    let patch = "- {op: add, path: /a, value: 1}\n- {op: remove, path: /b}\n";
    assert_eq!(changed(Format::Kubeadm, patch, &patch.replace("/b", "/c")), ["[1].path: /b -> /c"]);
}
