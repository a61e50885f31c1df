//! What a change of a file or field brings about. The one table; `docs/effects.md` is made from it.
//!
//! What systemd does is not here: the manifest's units say which files restart or reload them, and install.sh reads the same
//! lines. Here is what systemd cannot know.

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

/// What the phases read that reconfigure.sh runs.
const CLUSTER_CONFIG: &[&str] = &["/etc/kubernetes/kubeadm-cluster.yaml"];
const NODE_CONFIG: &[&str] = &["/etc/kubernetes/kubeadm.yaml", "/etc/kubernetes/kubeadm-node.yaml"];
const KUBERNETES_CAS: &[&str] = &["/etc/kubernetes/pki/ca.crt", "/etc/kubernetes/pki/front-proxy-ca.crt"];
const CONTROL_PLANE_ROOTS: &[&str] =
    &["/etc/kubernetes/pki/ca.*", "/etc/kubernetes/pki/front-proxy-ca.*", "/etc/kubernetes/pki/sa.*"];
const ETCD_ENV: &[&str] = &["/etc/etcd/etcd.env"];

/// All rules, in the order in which they are tried.
pub const RULES: &[Rule] = &[
    // ---- etcd ----
    rule(
        "etcd-data-dir",
        ETCD_ENV,
        &["ETCD_DATA_DIR", "ETCD_WAL_DIR"],
        Class::Destructive,
        "the member would start without its data, as a stranger to the cluster; stop it and move the folder first, or replace the member",
        "etcd, server/embed/config.go: a data directory without a WAL is a new member",
    ),
    rule(
        "etcd-name",
        ETCD_ENV,
        &["ETCD_NAME"],
        Class::Recreate,
        "a member keeps the name it was made with; add a host of the new name and retire this one",
        "etcd, Documentation/op-guide/runtime-configuration: members are replaced, not renamed",
    ),
    rule(
        "etcd-peer-url",
        ETCD_ENV,
        &["ETCD_INITIAL_ADVERTISE_PEER_URLS", "ETCD_LISTEN_PEER_URLS"],
        Class::Recreate,
        "the cluster knows the member by its peer URL; add a host with the new one and retire this one",
        "etcd, Documentation/op-guide/runtime-configuration: update advertise peer URLs",
    ),
    rule(
        "etcd-initial",
        ETCD_ENV,
        &["ETCD_INITIAL_*"],
        Class::Inert,
        "read once, by a member without data; a member that has formed its cluster never looks at it again",
        "etcd, Documentation/op-guide/configuration: --initial-* are ignored after bootstrap",
    ),
    rule(
        "etcd-snapshot-settings",
        &["/etc/etcd/snapshot.env", "/etc/systemd/system/khagen-etcd-snapshot.service"],
        &[],
        Class::None,
        "read by the next snapshot",
        "systemd.exec(5), EnvironmentFile=: read when the unit starts",
    ),
    rule(
        "etcd-ca-more",
        &["/etc/etcd/pki/etcd-ca.crt", "/etc/etcd/pki/etcd-peer-ca.crt", "/etc/kubernetes/pki/etcd/*"],
        &["+certificate *"],
        Class::Reissue,
        "a further CA is trusted from now on, beside the former",
        "etcd-io/etcd#11555: the trusted CAs are read at start only",
    ),
    rule(
        "etcd-ca-fewer",
        &["/etc/etcd/pki/etcd-ca.crt", "/etc/etcd/pki/etcd-peer-ca.crt", "/etc/kubernetes/pki/etcd/*"],
        &["-certificate *"],
        Class::Reissue,
        "what this CA signed is refused from now on",
        "etcd-io/etcd#11555: the trusted CAs are read at start only",
    ),
    rule(
        "etcd-trust",
        ETCD_ENV,
        &["*TRUSTED_CA_FILE", "ETCD_PEER_CERT_ALLOWED_*", "*CLIENT_CERT_AUTH"],
        Class::Recreate,
        "members that trust different certificates do not talk to each other: a cluster of one kind cannot become one of the other member by member",
        "etcd, Documentation/op-guide/security",
    ),
    rule(
        "etcd-ca",
        &["/etc/etcd/pki/etcd-ca.crt", "/etc/etcd/pki/etcd-peer-ca.crt"],
        &["key", "certificate * > key", "subject", "+file", "-file"],
        Class::Recreate,
        "another CA: members and clients of the former one are strangers to those of the new one until all have both",
        "etcd-io/etcd#11555: the trusted CA is read at start only",
    ),
    rule(
        "etcd-ca-renewed",
        &["/etc/etcd/pki/etcd-ca.crt", "/etc/etcd/pki/etcd-peer-ca.crt"],
        &[],
        Class::Reissue,
        "the CA's certificate is issued again with the same key: what it signed stays valid",
        "RFC 5280 section 6.1: a path is checked by name and key",
    ),
    rule(
        "etcd-leaf",
        &["/etc/etcd/pki/*"],
        &[],
        Class::Reissue,
        "etcd reads its certificate and key anew at each handshake; nothing restarts",
        "etcd, client/pkg/transport/listener.go: TLSInfo.GetCertificate",
    ),
    rule(
        "calendar",
        &["/etc/khagen/certificates.conf", "/usr/local/sbin/khagen-certificates"],
        &[],
        Class::None,
        "read by the next khagen-certificates that a person or a timer runs",
        "nothing runs it by itself",
    ),
    // ---- trust of the Kubernetes cluster ----
    rule(
        KUBERNETES_CA_MORE,
        KUBERNETES_CAS,
        &["+certificate *"],
        Class::Reissue,
        "a further CA is trusted from now on, beside the former; API servers read it anew by themselves",
        "apiserver, pkg/server/dynamiccertificates: files are watched",
    ),
    rule(
        KUBERNETES_CA_FEWER,
        KUBERNETES_CAS,
        &["-certificate *"],
        Class::Reissue,
        "what this CA signed is refused from now on; API servers read the file anew by themselves",
        "apiserver, pkg/server/dynamiccertificates: files are watched",
    ),
    rule(
        "control-plane-roots-come",
        CONTROL_PLANE_ROOTS,
        &["+file"],
        Class::Reissue,
        "what khagen gives the host from now on; where kubeadm has brought it before, it is the same and nothing changes",
        "kubeadm, cmd/kubeadm/app/phases/copycerts: DownloadCerts writes these",
    ),
    rule(
        "kubernetes-ca-switched",
        &["/etc/kubernetes/pki/ca.*", "/etc/kubernetes/pki/front-proxy-ca.*"],
        &["order", "secret switched"],
        Class::Reissue,
        "the other of two trusted CAs signs from now on; the controller manager reads it anew for each request",
        "kubernetes, pkg/controller/certificates/signer/ca_provider.go: currentCA",
    ),
    rule(
        "kubernetes-ca-signing",
        &["/etc/kubernetes/pki/ca-signing.crt"],
        &[],
        Class::Reissue,
        "the CA that the controller manager signs with, alone in its file; read anew for each request",
        "kubernetes, pkg/controller/certificates/signer/ca_provider.go: setCA expects one certificate",
    ),
    rule(
        "kubernetes-ca",
        &["/etc/kubernetes/pki/ca.crt", "/etc/kubernetes/pki/front-proxy-ca.crt", "/etc/kubernetes/pki/ca.key", "/etc/kubernetes/pki/front-proxy-ca.key"],
        &["key", "certificate * > key", "subject", "secret"],
        Class::Recreate,
        "another CA: every certificate, kubeconfig and kubelet of the running cluster was signed by the former one",
        "kubernetes.io, Manual Rotation of CA Certificates",
    ),
    rule(
        "kubernetes-ca-renewed",
        &["/etc/kubernetes/pki/ca.crt", "/etc/kubernetes/pki/front-proxy-ca.crt"],
        &[],
        Class::Reissue,
        "the CA's certificate is issued again with the same key; API servers read it anew by themselves",
        "apiserver, pkg/server/dynamiccertificates: files are watched",
    ),
    rule(
        "service-account-more",
        &["/etc/kubernetes/pki/sa.pub"],
        &["+key *"],
        Class::Reissue,
        "tokens of a further key are accepted by API servers that started since",
        "kube-apiserver, --service-account-key-file: read at start",
    ),
    rule(
        "service-account-fewer",
        &["/etc/kubernetes/pki/sa.pub"],
        &["-key *"],
        Class::Reissue,
        "tokens of this key are refused by API servers that started since",
        "kube-apiserver, --service-account-key-file: read at start",
    ),
    rule(
        "service-account-switched",
        &["/etc/kubernetes/pki/sa.key"],
        &["secret switched"],
        Class::Reissue,
        "tokens are signed by the other of two accepted keys, by those that started since",
        "kube-apiserver, --service-account-signing-key-file: read at start",
    ),
    rule(
        "service-account-key",
        &["/etc/kubernetes/pki/sa.key", "/etc/kubernetes/pki/sa.pub"],
        &[],
        Class::Recreate,
        "tokens that the former key signed are refused once an API server has only the new one",
        "kube-apiserver, --service-account-key-file",
    ),
    rule(
        "apiserver-etcd-client",
        &["/etc/kubernetes/pki/apiserver-etcd-client.*"],
        &[],
        Class::Reissue,
        "the API server reads it anew for the next connection to etcd; nothing restarts",
        "etcd, client/pkg/transport/listener.go: TLSInfo.GetClientCertificate",
    ),
    rule(
        "control-plane-etcd-ca",
        &["/etc/kubernetes/pki/etcd/*"],
        &["key", "certificate * > key", "subject"],
        Class::Recreate,
        "another CA of etcd: the API server trusts only this one",
        "kube-apiserver, --etcd-cafile: read at start",
    ),
    rule(
        "certificate-key",
        &["/etc/kubernetes/kubeadm-certs.yaml"],
        &["InitConfiguration.certificateKey"],
        Class::Inert,
        "the next upload of the CAs is encrypted with it; who joins before that with the new key cannot read them",
        "kubeadm, cmd/kubeadm/app/phases/copycerts",
    ),
    rule(
        "kubeadm-server-names",
        &["/etc/kubernetes/kubeadm-certs.yaml"],
        &["ClusterConfiguration.apiServer.certSANs*"],
        Class::Reconfigure,
        "kubeadm signed the API server's certificate on the host and signs it anew there, one control plane at a time; a name that went stays in a certificate that has all that are wanted",
        "kubeadm, cmd/kubeadm/app/cmd/phases/init/certs.go: a certificate that is there is used",
    )
    .by("certificates", Scope::Host),
    rule(
        "kubeadm-signs",
        &["/etc/kubernetes/kubeadm-certs.yaml"],
        &[],
        Class::Inert,
        "read by reconfigure.sh upload-certs and certificates, whenever a person runs one",
        "kubeadm init phase upload-certs and certs",
    ),
    rule(
        "kubelet-credentials",
        &["/etc/kubernetes/kubelet.conf"],
        &[],
        Class::Reissue,
        "the node goes on under its own name with a new key",
        "kubelet, --kubeconfig: read at start",
    ),
    rule(
        "control-plane-certificates",
        &["/etc/kubernetes/pki/*", "/etc/kubernetes/*.conf"],
        &[],
        Class::Reconfigure,
        "kubeadm owns this file once the node is up, so install.sh leaves it alone; the procedure puts the new one in its place and keeps the former",
        "kubeadm, cmd/kubeadm/app/phases/certs: existing files are used",
    )
    .by("certificates", Scope::Host),
    // ---- kubeadm's documents ----
    rule(
        "kubeadm-document",
        NODE_CONFIG,
        &["+InitConfiguration", "-InitConfiguration", "+JoinConfiguration", "-JoinConfiguration"],
        Class::Inert,
        "read once, by kubeadm init or join; a node that is in the cluster never looks at it again",
        "kubeadm, v1beta4 InitConfiguration and JoinConfiguration",
    ),
    rule(
        "kubeadm-founding",
        CLUSTER_CONFIG,
        &[
            "ClusterConfiguration.networking.*",
            "ClusterConfiguration.clusterName",
            "ClusterConfiguration.controlPlaneEndpoint",
            "ClusterConfiguration.certificatesDir",
        ],
        Class::Recreate,
        "pods, services, certificates and kubeconfigs of the running cluster are made of it; a cluster with another value is a new cluster",
        "kubeadm, cmd/kubeadm/app/cmd/upgrade: not among what an upgrade changes",
    ),
    rule(
        "kubeadm-version",
        CLUSTER_CONFIG,
        &["ClusterConfiguration.kubernetesVersion"],
        Class::Reconfigure,
        "control planes are upgraded one at a time, then the other nodes; kubeadm of the new version must be there first",
        "kubernetes.io, Upgrading kubeadm clusters",
    )
    .by("upgrade", Scope::Nodes),
    rule(
        "kubeadm-signing",
        CLUSTER_CONFIG,
        &[
            "ClusterConfiguration.encryptionAlgorithm",
            "ClusterConfiguration.certificateValidityPeriod",
            "ClusterConfiguration.caCertificateValidityPeriod",
            "ClusterConfiguration.apiServer.certSANs*",
        ],
        Class::Reconfigure,
        "used when kubeadm signs next; khagen's own certificates are told apart from this",
        "kubeadm, v1beta4 ClusterConfiguration",
    )
    .by("upload-config", Scope::Once),
    rule(
        "kubeadm-dns",
        CLUSTER_CONFIG,
        &["ClusterConfiguration.dns*"],
        Class::Reconfigure,
        "CoreDNS is an object of the cluster; its addon is applied again",
        "kubeadm init phase addon coredns",
    )
    .by("coredns", Scope::Once),
    rule(
        "kubeadm-proxy-off",
        CLUSTER_CONFIG,
        &["ClusterConfiguration.proxy*"],
        Class::Reconfigure,
        "kube-proxy is an object of the cluster; its addon is applied again, or removed by hand",
        "kubeadm init phase addon kube-proxy",
    )
    .by("kube-proxy", Scope::Once),
    rule(
        "kubeadm-control-plane",
        CLUSTER_CONFIG,
        &["ClusterConfiguration", "ClusterConfiguration.*"],
        Class::Reconfigure,
        "the configuration is uploaded, then each control plane writes its static pods' manifests anew, one host at a time",
        "kubernetes.io, Reconfiguring a kubeadm cluster",
    )
    .by("control-plane", Scope::ControlPlanes),
    rule(
        "kubelet-configuration",
        CLUSTER_CONFIG,
        &["KubeletConfiguration", "KubeletConfiguration.*"],
        Class::Reconfigure,
        "the kubelet's configuration is an object of the cluster; each node fetches it and restarts its kubelet, pods stay",
        "kubeadm upgrade node phase kubelet-config",
    )
    .by("kubelet-config", Scope::Nodes),
    rule(
        "kube-proxy-configuration",
        CLUSTER_CONFIG,
        &["KubeProxyConfiguration", "KubeProxyConfiguration.*"],
        Class::Reconfigure,
        "kube-proxy's configuration is an object of the cluster; its pods are restarted",
        "kubeadm init phase addon kube-proxy",
    )
    .by("kube-proxy", Scope::Once),
    rule(
        "node-identity",
        NODE_CONFIG,
        &[
            "*.nodeRegistration.name",
            "*.nodeRegistration.criSocket",
            "*.localAPIEndpoint*",
            "*.nodeRegistration.kubeletExtraArgs[node-ip]*",
        ],
        Class::Recreate,
        "a node keeps the name, the runtime and the addresses it joined with; it leaves and joins anew",
        "kubeadm, v1beta4 NodeRegistrationOptions",
    )
    .by(REJOIN, Scope::Host),
    rule(
        "node-taints",
        NODE_CONFIG,
        &["*.nodeRegistration.taints*"],
        Class::Reconfigure,
        "the kubelet registers a node once; on a node that is there taints are changed by kubectl",
        "kubelet, --register-with-taints",
    )
    .by("label-workers.sh", Scope::Bastion),
    rule(
        "node-flags",
        NODE_CONFIG,
        &["*.nodeRegistration.kubeletExtraArgs*"],
        Class::Recreate,
        "kubeadm wrote the flags into /var/lib/kubelet/kubeadm-flags.env when the node joined, and nothing of kubeadm's writes them again; it leaves and joins anew",
        "kubeadm, cmd/kubeadm/app/phases/kubelet/flags.go",
    )
    .by(REJOIN, Scope::Host),
    rule(
        "kubeadm-joining",
        NODE_CONFIG,
        &[],
        Class::Inert,
        "read once, by kubeadm init or join; a node that is in the cluster never looks at it again",
        "kubeadm, v1beta4 InitConfiguration and JoinConfiguration",
    ),
    rule(
        "kubelet-patch",
        &["/etc/kubernetes/patches/kubeletconfiguration*"],
        &[],
        Class::Reconfigure,
        "kubeadm applies the patch when it writes the kubelet's configuration; the kubelet restarts, pods stay",
        "kubeadm upgrade node phase kubelet-config, --patches",
    )
    .by("kubelet-config", Scope::Host),
    rule(
        "static-pod-patch",
        &["/etc/kubernetes/patches/*"],
        &[],
        Class::Reconfigure,
        "kubeadm applies the patch when it writes the static pods' manifests",
        "kubeadm init phase control-plane, --patches",
    )
    .by("control-plane", Scope::Host),
    // ---- balancers ----
    rule(
        "vrrp-identity",
        &["/etc/keepalived/keepalived.conf"],
        &["*virtual_router_id*", "*auth_pass*", "*auth_type*", "*vrrp_version*"],
        Class::Reload,
        "balancers that do not agree on it both hold the VIP until the other has it too: install them one right after the other",
        "RFC 9568 section 7.1: advertisements of another router are discarded",
    ),
    rule(
        "vip",
        &["/etc/keepalived/keepalived.conf"],
        &["*virtual_ipaddress*"],
        Class::Reload,
        "the address moves; clients find the new one when the endpoint's name leads there",
        "keepalived.conf(5), virtual_ipaddress",
    ),
    rule(
        "keepalived-scripts",
        &["/etc/keepalived/check-*", "/etc/keepalived/notify"],
        &[],
        Class::None,
        "run anew each time",
        "keepalived.conf(5), vrrp_script",
    ),
    // ---- every host ----
    rule(
        "hosts-block",
        &["/etc/hosts"],
        &[],
        Class::None,
        "read at each lookup; the lines between the markers are replaced",
        "hosts(5)",
    ),
    rule(
        "sysctl",
        &["/etc/sysctl.d/*"],
        &[],
        Class::Reload,
        "install.sh applies it; what is no longer in it keeps its value until the host starts anew",
        "sysctl.d(5)",
    ),
    rule(
        "modules",
        &["/etc/modules-load.d/*"],
        &[],
        Class::Reload,
        "install.sh loads what is new; what is gone stays loaded until the host starts anew",
        "modules-load.d(5)",
    ),
    rule(
        "crictl",
        &["/etc/crictl.yaml"],
        &[],
        Class::None,
        "read by each call of crictl",
        "cri-tools",
    ),
    rule(
        "containerd-pulls",
        &["/etc/containerd/certs.d/*"],
        &[],
        Class::None,
        "read at each pull",
        "containerd, docs/hosts.md",
    ),
    // ---- the manifest and the bundle ----
    rule(
        "other-cluster",
        &["MANIFEST.json"],
        &["clusterId", "cluster"],
        Class::Recreate,
        "a host refuses a bundle of another cluster",
        "install.sh",
    ),
    rule(
        "host-identity",
        &["MANIFEST.json"],
        &["addresses", "name", "nodeName"],
        Class::Recreate,
        "certificates, members and nodes are known by it; a node leaves and joins anew, any other host is retired and a new one added",
        "install.sh",
    )
    .by(REJOIN, Scope::Host),
    rule(
        "etcd-state",
        &["MANIFEST.json"],
        &["etcdState", "kubeadm", "clusterState", "etcdEndpoints", "endpoint"],
        Class::Inert,
        "read by up.sh when the host comes up for the first time",
        "up.sh",
    ),
    rule(
        "node-version",
        &["MANIFEST.json"],
        &["kubernetesVersion"],
        Class::Reconfigure,
        "the node's kubeadm and kubelet go to the new version, after the control planes; kubeadm of that version must be there first",
        "kubernetes.io, Upgrading kubeadm clusters",
    )
    .by("upgrade", Scope::Nodes),
    rule(
        "carried-programs",
        &["MANIFEST.json"],
        &["binaries*from", "binaries*file", "binaries*size"],
        Class::None,
        "where it comes from; what it is, its digest says",
        "install.sh",
    ),
    rule(
        "carried-package-gone",
        &["MANIFEST.json"],
        &["-debs*"],
        Class::None,
        "what is installed stays: no script takes packages away",
        "install.sh",
    ),
    rule(
        "carried-kubelet",
        &["MANIFEST.json"],
        &["debs[kubelet].version", "+debs[kubelet]"],
        Class::None,
        "install.sh installs it from packages/; a running kubelet stays the former program until reconfigure.sh upgrade",
        "install.sh",
    ),
    rule(
        "carried-package",
        &["MANIFEST.json"],
        &["debs*version", "+debs*"],
        Class::Restart,
        "install.sh installs it from packages/ and restarts the units that it brings, if they run",
        "install.sh",
    ),
    rule(
        "packages",
        &["MANIFEST.json"],
        &["packages*", "commands*", "debs*"],
        Class::None,
        "install.sh asks for what it lacks before it touches anything",
        "install.sh",
    ),
    rule(
        "manifest",
        &["MANIFEST.json"],
        &[],
        Class::None,
        "install.sh does as the manifest says",
        "install.sh",
    ),
    rule(
        "labels",
        &["hosts.tsv"],
        &["*labels", "*taints"],
        Class::Reconfigure,
        "a node's labels and taints are the cluster's; they are set from the bastion",
        "kubectl label, kubectl taint",
    )
    .by("label-workers.sh", Scope::Bastion),
    rule(
        "operator-endpoints",
        &["etcd/endpoints", "retired.tsv"],
        &[],
        Class::None,
        "read by the operator's scripts",
        "the operator bundle's README.md",
    ),
    rule(
        "operator-credentials",
        &["admin.conf", "etcd/*", "bootstrap-token"],
        &[],
        Class::Reissue,
        "the person at the bastion uses it from now on; the former one stays valid until it expires",
        "x509 client certificates cannot be revoked in Kubernetes",
    ),
    rule(
        "bundle-file",
        &["*.sh", "README.md", "hosts.tsv", "fingerprint.key", "*.md"],
        &[],
        Class::None,
        "stays in the bundle",
        "install.sh lays what is below root/",
    ),
];

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
        for rule in RULES {
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
