//! Trust of the Kubernetes cluster: CAs, what they sign, kubeconfigs. Rules of the table of effects.

use super::{KUBERNETES_CA_FEWER, KUBERNETES_CA_MORE, KUBERNETES_CA_SWITCHED, Rule, Scope, rule};
use crate::diff::change::Class;

const KUBERNETES_CAS: &[&str] = &["/etc/kubernetes/pki/ca.crt", "/etc/kubernetes/pki/front-proxy-ca.crt"];
const CONTROL_PLANE_ROOTS: &[&str] =
    &["/etc/kubernetes/pki/ca.*", "/etc/kubernetes/pki/front-proxy-ca.*", "/etc/kubernetes/pki/sa.*"];

pub(super) const RULES: &[Rule] = &[
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
        KUBERNETES_CA_SWITCHED,
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
];
