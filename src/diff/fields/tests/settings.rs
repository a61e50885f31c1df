use super::{Format, changed, fields, format_of, same};

#[test]
fn environment_files() {
    let old = "# c\nETCD_NAME=a\nETCD_INITIAL_CLUSTER=a=https://1:2380,b=https://2:2380\nX=\"p q\"\n";
    let other = "X='p q'\n\n; c\nETCD_INITIAL_CLUSTER=\"b=https://2:2380,a=https://1:2380\"\nETCD_NAME=z\nETCD_NAME = a \n";
    same(Format::Env, old, other);
    assert_eq!(
        changed(Format::Env, old, &old.replace(",b=https://2:2380", "")),
        ["ETCD_INITIAL_CLUSTER: a=https://1:2380,b=https://2:2380 -> a=https://1:2380"]
    );
    assert_eq!(changed(Format::Env, old, &old.replace("p q", "p  q")), ["X: p q -> p  q"]);
    same(Format::Env, "A=x\\\ny\n", "A=xy\n");
    same(Format::Env, "A=\"a\\\"b\" c\n", "A='a\"bc'\n");
    assert_eq!(changed(Format::Env, "A=x\"y\"\n", "A=xy\n"), ["A: x\"y\" -> xy"]);
    // In double quotes only four characters can be escaped, outside all.
    assert_eq!(changed(Format::Env, "A=\"\\n\"\n", "A=\\n\n"), ["A: \\n -> n"]);
    for bad in ["A\n", "A=\"x\n", "# c\\\nA=x\n", "a b=c\n", "=x\n", "export A=x\n"] {
        assert!(fields(Format::Env, bad).is_err(), "{bad}");
    }
}

#[test]
fn units_by_section_and_key() {
    let old = "[Unit]\nAfter=a.service b.service\n[Service]\nExecStart=/bin/x a \\\n  b\nExecStartPost=/bin/one\nExecStartPost=/bin/two\nRestart=always\n[Install]\nWantedBy=multi-user.target\n";
    let other = "# c\n[Install]\nWantedBy = multi-user.target\n[Service]\nRestart=always\nExecStart=/bin/x a b\n[Unit]\nAfter=b.service\nAfter=a.service\n[Service]\nExecStartPost=/bin/one\n; c\nExecStartPost=/bin/two\n";
    same(Format::Unit, old, other);
    assert_eq!(
        changed(Format::Unit, old, &old.replace("Restart=always", "Restart=no")),
        ["[Service] Restart: always -> no"]
    );
    assert_eq!(changed(Format::Unit, old, &old.replace(" b.service", "")), ["- [Unit] After: b.service"]);
    assert_eq!(
        changed(
            Format::Unit,
            old,
            &old.replace("/bin/one", "/bin/x")
                .replace("/bin/two", "/bin/one")
                .replace("Post=/bin/x", "Post=/bin/two")
        ),
        ["[Service] ExecStartPost (order): \"/bin/one\", \"/bin/two\" -> \"/bin/two\", \"/bin/one\""]
    );
    for bad in ["A=b\n", "[Service]\nA\n", "[Service]\n=x\n"] {
        assert!(fields(Format::Unit, bad).is_err(), "{bad}");
    }
}

#[test]
fn an_empty_assignment_resets() {
    let of = |body: &str| format!("[Service]\n{body}");
    same(
        Format::Unit,
        &of("ExecStop=/bin/a\nExecStop=\nExecStop=/bin/b\n"),
        &of("ExecStop=\nExecStop=/bin/b\n"),
    );
    assert_eq!(
        changed(Format::Unit, &of("ExecStop=/bin/b\n"), &of("ExecStop=\nExecStop=/bin/b\n")),
        ["+ [Service] ExecStop: "]
    );
    assert_eq!(
        changed(Format::Unit, &of("ExecStop=\nExecStop=/bin/b\n"), &of("ExecStop=/bin/b\nExecStop=\n")),
        ["- [Service] ExecStop: /bin/b"]
    );
}

#[test]
fn sysctl_takes_the_last() {
    let old = "# c\nnet.ipv4.ip_forward = 1\nnet.ipv4.tcp_rmem = 1 2 3\n";
    same(
        Format::Sysctl,
        old,
        "net/ipv4/tcp_rmem=1\t2 3\n; c\nnet.ipv4.ip_forward=0\nnet.ipv4.ip_forward=1\n",
    );
    assert_eq!(
        changed(Format::Sysctl, old, &old.replace("forward = 1", "forward = 0")),
        ["net.ipv4.ip_forward: 1 -> 0"]
    );
    same(Format::Sysctl, "net/ipv4/conf/eth0.1/x = 1\n", "net.ipv4.conf.eth0/1.x = 1\n");
    assert_eq!(
        changed(Format::Sysctl, "a.b = 1\n", "-a.b = 1\n"),
        ["a.b: 1 -> 1 (a failure is passed over)"]
    );
    assert!(fields(Format::Sysctl, "a.b\n").is_err());
}

#[test]
fn hosts_are_pairs_of_names_and_addresses() {
    let old = "192.0.2.1 a.example a\n192.0.2.2 b.example b\n";
    same(Format::Hosts, old, "# c\n192.0.2.2\tB.example  b # c\n192.0.2.1 a.example\n192.0.2.1 a\n");
    assert_eq!(
        changed(Format::Hosts, old, &format!("{old}2001:DB8:0::3 c.example\n")),
        ["+ c.example: 2001:db8::3"]
    );
    assert_eq!(
        changed(Format::Hosts, old, &old.replace("2.2", "2.9")),
        ["b.example: 192.0.2.2 -> 192.0.2.9", "b: 192.0.2.2 -> 192.0.2.9",]
            .map(str::to_owned)
            .into_iter()
            .rev()
            .collect::<Vec<_>>()
    );
    assert_eq!(
        changed(Format::Hosts, old, &old.replace("a.example a", "a a.example")),
        ["192.0.2.1 (first name): a.example -> a"]
    );
    assert!(fields(Format::Hosts, "x y\n").is_err());
}

#[test]
fn lines_stand_for_themselves() {
    same(
        Format::Lines,
        "# c\nd /run/x 0755 root root -\nu a - \"b  c\"\n",
        "u a   - \"b  c\"\n\nd  /run/x 0755 root root -\n",
    );
    assert_eq!(
        changed(Format::Lines, "d /run/x 0755 root root -\n", "d /run/x 0750 root root -\n"),
        ["d /run/x: 0755 root root - -> 0750 root root -"]
    );
    assert_eq!(
        changed(Format::Lines, "f /x 0644 a a - p  q\n", "f /x 0644 a a - p q\n"),
        ["f /x: 0644 a a - p  q -> 0644 a a - p q"]
    );
    assert_eq!(changed(Format::Lines, "overlay\n", "br_netfilter\noverlay\n"), ["+ module: br_netfilter"]);
    assert!(fields(Format::Lines, "u a - \"b\nu c - d\n").is_err());
}

#[test]
fn toml_and_json() {
    same(Format::Toml, "a.b = 1\n[c]\nd = 'x'\n", "c = { d = \"x\" } # c\n[a]\nb = 0x1\n");
    assert_eq!(
        changed(Format::Toml, "[plugins.'io.x'.y]\nz = true\n", "[plugins.'io.x'.y]\nz = \"true\"\n"),
        ["plugins[io.x].y.z: true -> \"true\""]
    );
    same(Format::Json, "{\"a\": 1, \"b\": [\"\\u0041\"]}", "{\"b\":[\"A\"],\n\"a\":1}\n");
    assert_eq!(changed(Format::Json, "{\"a\": 1}", "{\"a\": \"1\"}"), ["a: 1 -> \"1\""]);
    let long = "{\"a\": 12345678901234567890123}";
    assert_eq!(changed(Format::Json, long, &long.replace("123}", "124}")).len(), 1);
    for bad in ["", "{", "{a: 1}", "{\"a\": 1}{", "{\"a\": 01}"] {
        assert!(fields(Format::Json, bad).is_err(), "{bad}");
    }
    assert!(fields(Format::Toml, "a = \n").is_err());
}

#[test]
fn formats_by_path_and_text() {
    for (path, text, format) in [
        ("/etc/kubernetes/kubeadm.yaml", "apiVersion: kubeadm.k8s.io/v1beta4\n", Format::Kubeadm),
        ("hosts/x/root/etc/kubernetes/patches/etcd+strategic.yaml", "spec: {}\n", Format::Kubeadm),
        ("/etc/kubernetes/audit.yaml", "apiVersion: audit.k8s.io/v1\nkind: Policy\n", Format::Yaml),
        ("/etc/kubernetes/admin.conf", "apiVersion: v1\nkind: Config\n", Format::Kubeconfig),
        ("operator/admin.conf", "kind: \"Config\" # x\napiVersion: v1\n", Format::Kubeconfig),
        ("/etc/etcd/pki/ca.crt", "-----BEGIN CERTIFICATE-----\n", Format::Certificate),
        ("/etc/kubernetes/pki/sa.pub", "-----BEGIN PUBLIC KEY-----\n", Format::PublicKey),
        ("/etc/kubernetes/pki/sa.key", "<secret service-account aa>", Format::Text),
        ("/etc/etcd/etcd.env", "", Format::Env),
        ("/etc/default/kubelet", "", Format::Env),
        ("root/etc/systemd/system/etcd.service", "", Format::Unit),
        ("/etc/systemd/system/nginx.service.d/khagen.conf", "", Format::Unit),
        ("/etc/nginx/nginx.conf", "", Format::Nginx),
        ("/etc/keepalived/keepalived.conf", "", Format::Keepalived),
        ("/etc/keepalived/check-api", "#!/bin/bash\n", Format::Text),
        ("root/etc/hosts", "", Format::Hosts),
        ("etc/hosts", "", Format::Hosts),
        ("/etc/sysctl.d/90-khagen.conf", "", Format::Sysctl),
        ("/etc/sysusers.d/etcd.conf", "", Format::Lines),
        ("/etc/modules-load.d/khagen.conf", "", Format::Lines),
        ("/etc/containerd/config.toml", "", Format::Toml),
        ("cluster.json", "{}", Format::Json),
        ("README.md", "", Format::Text),
        ("up.sh", "#!/bin/bash\n", Format::Text),
        ("hosts", "", Format::Text),
    ] {
        assert_eq!(format_of(path, text), format, "{path}");
    }
}
