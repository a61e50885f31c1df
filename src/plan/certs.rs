//! Every certificate and secret of a cluster, and all that each is made from.
//!
//! Subjects, usages and SANs are kubeadm's where kubeadm has them (cmd/kubeadm/app/phases/certs/certlist.go and
//! pkiutil/pki_helpers.go). A control plane's own name and address stand only in its own certificate, so adding one
//! issues nobody else's again.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{CertRequest, Profile, SecretKind, SecretRequest};
use crate::content::ObjectId;
use crate::model::{Cluster, Host, LoadBalancerMode, PeerCa, Role};

/// The Kubernetes CA.
pub const KUBERNETES_CA: &str = "ca/kubernetes";
/// The CA of the API aggregation layer; must differ from the Kubernetes CA.
pub const FRONT_PROXY_CA: &str = "ca/front-proxy";
/// The CA of etcd's servers and clients.
pub const ETCD_CA: &str = "ca/etcd";
/// The CA of etcd's peers.
pub const ETCD_PEER_CA: &str = "ca/etcd-peer";
/// The service-account key pair.
pub const SERVICE_ACCOUNT: &str = "service-account";
/// kubeadm's bootstrap token.
pub const BOOTSTRAP_TOKEN: &str = "bootstrap-token";
/// The key that kubeadm encrypts the CAs with between control planes, where it spreads them.
pub const CERTIFICATE_KEY: &str = "certificate-key";
/// The API servers' client of etcd where kubeadm spreads it: what a control plane fetches when it joins is the one that
/// another has, certificate and key (cmd/kubeadm/app/phases/copycerts), so there is one for all.
pub const CONTROL_PLANE_ETCD: &str = "control-plane/etcd-client";
/// A kubelet's client, where khagen issues it.
pub const KUBELET: &str = "kubelet";
/// The key of fingerprints of short secrets.
pub const FINGERPRINT_KEY: &str = "fingerprint-key";
/// The VRRP password.
pub const VRRP_PASSWORD: &str = "vrrp-password";
/// The operator's admin kubeconfig.
pub const OPERATOR_ADMIN: &str = "operator/admin";
/// The operator's client of etcd.
pub const OPERATOR_ETCD: &str = "operator/etcd-client";

/// Every trust root that a cluster may have.
pub const ROOTS: [&str; 5] = [ETCD_CA, ETCD_PEER_CA, KUBERNETES_CA, FRONT_PROXY_CA, SERVICE_ACCOUNT];

/// Whether a name is a trust root's.
pub fn is_root(name: &str) -> bool {
    ROOTS.contains(&name)
}

/// Whether a root is etcd's own, and no control plane signs with it.
pub fn is_etcds(root: &str) -> bool {
    matches!(root, ETCD_CA | ETCD_PEER_CA)
}

/// A name that only etcd's peers carry; asked for where one CA signs clients and peers.
pub const PEER_NAME: &str = "etcd-peer";

/// The organization whose members are cluster administrators: kubeadm made it its own in 1.29 (ClusterAdminsGroup).
fn cluster_admins(cluster: &Cluster) -> &'static str {
    if cluster.kubernetes.version.line() >= (1, 29) { "kubeadm:cluster-admins" } else { "system:masters" }
}

/// An object of one host.
pub fn of_host(kind: &str, host: &Host) -> ObjectId {
    ObjectId::new(format!("{kind}/{}", host.fqdn))
}

/// The CA that signs etcd's peer certificates.
pub fn peer_ca(cluster: &Cluster) -> &'static str {
    match cluster.etcd.peer_ca {
        PeerCa::Separate => ETCD_PEER_CA,
        PeerCa::Same => ETCD_CA,
    }
}

/// All CAs that a cluster has.
pub fn authorities(cluster: &Cluster) -> Vec<&'static str> {
    let mut cas = vec![KUBERNETES_CA, FRONT_PROXY_CA, ETCD_CA];
    if cluster.etcd.peer_ca == PeerCa::Separate {
        cas.push(ETCD_PEER_CA);
    }
    cas
}

/// Every certificate of a cluster, CAs first. `first` is the FQDN of the control plane that runs `kubeadm init`.
pub fn certificates(cluster: &Cluster, first: &str) -> Vec<CertRequest> {
    let mut out = Vec::new();
    for ca in authorities(cluster) {
        let (name, purpose) = match ca {
            KUBERNETES_CA => ("kubernetes", "Kubernetes CA: API servers, their clients, kubelets"),
            FRONT_PROXY_CA => ("front-proxy-ca", "CA of the API aggregation layer"),
            ETCD_CA => ("etcd-ca", "CA of etcd's servers and clients"),
            _ => ("etcd-peer-ca", "CA of etcd's peers"),
        };
        out.push(CertRequest {
            id: ObjectId::new(ca),
            issuer: None,
            profile: Profile::Ca,
            common_name: Some(name.to_owned()),
            organization: None,
            dns_sans: vec![name.to_owned()],
            ip_sans: Vec::new(),
            algorithm: cluster.pki.algorithm,
            validity_days: cluster.pki.ca_validity_days,
            purpose,
            host: None,
        });
    }
    for host in cluster.with_role(Role::Etcd) {
        etcd_member(cluster, host, &mut out);
    }
    if !cluster.is_kubeadm_pki() {
        for host in cluster.with_role(Role::ControlPlane) {
            control_plane(cluster, host, first == host.fqdn, &mut out);
        }
    }
    if cluster.is_external_ca() {
        for host in cluster.nodes() {
            // kubeadm's and the node authorizer's names (k8s.io, Using Node Authorization).
            let name = format!("system:node:{}", host.node_name);
            let client = Client { cluster, host: Some(host) };
            let id = of_host(KUBELET, host);
            out.push(client.request(
                id.as_str(),
                KUBERNETES_CA,
                &name,
                Some("system:nodes"),
                "kubelet.conf: kubelet to API servers",
            ));
        }
    }
    let client = Client { cluster, host: None };
    if cluster.is_kubeadm_pki() {
        out.push(client.request(
            CONTROL_PLANE_ETCD,
            ETCD_CA,
            "kube-apiserver-etcd-client",
            None,
            "API servers to etcd",
        ));
    }
    out.push(client.request(
        OPERATOR_ADMIN,
        KUBERNETES_CA,
        "kubernetes-operator",
        Some(cluster_admins(cluster)),
        "operator's kubeconfig",
    ));
    out.push(client.request(OPERATOR_ETCD, ETCD_CA, "etcd-operator", None, "operator's etcd client"));
    out
}

/// Every secret of a cluster that is no certificate's key.
pub fn secrets(cluster: &Cluster) -> Vec<SecretRequest> {
    let mut out = vec![
        SecretRequest {
            id: ObjectId::new(FINGERPRINT_KEY),
            kind: SecretKind::HmacKey,
            purpose: "key of the fingerprints of short secrets",
        },
        SecretRequest {
            id: ObjectId::new(SERVICE_ACCOUNT),
            kind: SecretKind::KeyPair(cluster.pki.algorithm),
            purpose: "signs service-account tokens",
        },
        SecretRequest {
            id: ObjectId::new(BOOTSTRAP_TOKEN),
            kind: SecretKind::BootstrapToken,
            purpose: "lets nodes join",
        },
    ];
    // Where nobody signs, a token would let a kubelet ask in vain.
    if cluster.is_external_ca() {
        out.retain(|s| s.kind != SecretKind::BootstrapToken);
    }
    if cluster.is_kubeadm_pki() {
        out.push(SecretRequest {
            id: ObjectId::new(CERTIFICATE_KEY),
            kind: SecretKind::CertificateKey,
            purpose: "encrypts the CAs on their way to control planes that join",
        });
    }
    if cluster.load_balancer.auth && cluster.load_balancer.mode == LoadBalancerMode::Keepalived {
        out.push(SecretRequest {
            id: ObjectId::new(VRRP_PASSWORD),
            kind: SecretKind::VrrpPassword,
            purpose: "VRRP adverts",
        });
    }
    out
}

fn etcd_member(cluster: &Cluster, host: &Host, out: &mut Vec<CertRequest>) {
    let mut ips: BTreeSet<IpAddr> = host.addresses.cluster.iter().copied().collect();
    ips.insert(IpAddr::V4(Ipv4Addr::LOCALHOST));
    ips.insert(IpAddr::V6(Ipv6Addr::LOCALHOST));
    ips.insert(host.addresses.peer());
    let names: BTreeSet<String> = [host.name.clone(), host.fqdn.clone(), "localhost".to_owned()].into();
    let member = |kind: &str, issuer: &str, purpose: &'static str| CertRequest {
        id: of_host(kind, host),
        issuer: Some(ObjectId::new(issuer)),
        profile: Profile::ServerAndClient,
        common_name: server_name(&host.fqdn),
        organization: None,
        dns_sans: names.iter().cloned().collect(),
        ip_sans: ips.iter().copied().collect(),
        algorithm: cluster.pki.algorithm,
        validity_days: cluster.pki.validity_days,
        purpose,
        host: Some(host.fqdn.clone()),
    };
    // etcd's JSON gateway is a client of its own server certificate, so both usages are needed.
    out.push(member("etcd-server", ETCD_CA, "etcd server"));
    let mut peer = member("etcd-peer", peer_ca(cluster), "etcd peer");
    if cluster.etcd.peer_ca == PeerCa::Same {
        peer.dns_sans.push(PEER_NAME.to_owned());
        peer.dns_sans.sort();
    }
    out.push(peer);
    let client = Client { cluster, host: Some(host) };
    out.push(client.request(
        of_host("etcd-health-client", host).as_str(),
        ETCD_CA,
        "etcd-health-client",
        None,
        "health checks and snapshots on the member",
    ));
}

fn control_plane(cluster: &Cluster, host: &Host, first: bool, out: &mut Vec<CertRequest>) {
    let mut names: BTreeSet<String> = shared_dns_sans(cluster);
    let mut ips: BTreeSet<IpAddr> = shared_ip_sans(cluster);
    names.extend([host.name.clone(), host.fqdn.clone(), host.node_name.clone()]);
    ips.extend(host.addresses.cluster.iter().copied());
    out.push(CertRequest {
        id: of_host("apiserver", host),
        issuer: Some(ObjectId::new(KUBERNETES_CA)),
        profile: Profile::Server,
        common_name: Some("kube-apiserver".to_owned()),
        organization: None,
        dns_sans: names.into_iter().collect(),
        ip_sans: ips.into_iter().collect(),
        algorithm: cluster.pki.algorithm,
        validity_days: cluster.pki.validity_days,
        purpose: "API server",
        host: Some(host.fqdn.clone()),
    });
    let client = Client { cluster, host: Some(host) };
    let mut add =
        |kind: &str, issuer: &str, name: &str, organization: Option<&str>, purpose: &'static str| {
            out.push(client.request(of_host(kind, host).as_str(), issuer, name, organization, purpose));
        };
    let admins = cluster_admins(cluster);
    add(
        "apiserver-kubelet-client",
        KUBERNETES_CA,
        "kube-apiserver-kubelet-client",
        Some(admins),
        "API server to kubelets",
    );
    add(
        "front-proxy-client",
        FRONT_PROXY_CA,
        "front-proxy-client",
        None,
        "API server to extension API servers",
    );
    add("apiserver-etcd-client", ETCD_CA, "kube-apiserver-etcd-client", None, "API server to etcd");
    add("admin", KUBERNETES_CA, "kubernetes-admin", Some(admins), "admin.conf");
    // Without the CA's key kubeadm wants it for any phase of init (kubeconfigphase.ValidateKubeconfigsForExternalCA), and
    // phases of init are what reconfigure.sh runs on every control plane.
    if (first || cluster.is_external_ca()) && cluster.kubernetes.version.line() >= (1, 29) {
        add(
            "super-admin",
            KUBERNETES_CA,
            "kubernetes-super-admin",
            Some("system:masters"),
            if cluster.is_external_ca() {
                "super-admin.conf, for kubeadm's phases of init"
            } else {
                "super-admin.conf of the first control plane"
            },
        );
    }
    add(
        "controller-manager",
        KUBERNETES_CA,
        "system:kube-controller-manager",
        None,
        "controller-manager.conf",
    );
    add("scheduler", KUBERNETES_CA, "system:kube-scheduler", None, "scheduler.conf");
}

/// DNS names in every API server's certificate: the service's, the endpoint, the balancers and the user's.
pub fn shared_dns_sans(cluster: &Cluster) -> BTreeSet<String> {
    let k = &cluster.kubernetes;
    let mut names: BTreeSet<String> = [
        "kubernetes".to_owned(),
        "kubernetes.default".to_owned(),
        "kubernetes.default.svc".to_owned(),
        format!("kubernetes.default.svc.{}", k.dns_domain),
    ]
    .into();
    names.extend(cluster_dns_sans(cluster));
    names
}

/// The names of [`shared_dns_sans`] that kubeadm does not add by itself.
fn cluster_dns_sans(cluster: &Cluster) -> BTreeSet<String> {
    let k = &cluster.kubernetes;
    let mut names: BTreeSet<String> =
        k.cert_sans.iter().filter(|s| s.parse::<IpAddr>().is_err()).cloned().collect();
    if k.endpoint.ip().is_none() {
        names.insert(k.endpoint.host.clone());
    }
    names.extend(balancers(cluster).map(|h| h.fqdn.clone()));
    names
}

/// Addresses in every API server's certificate: the service's first, the VIPs, the balancers and the user's.
pub fn shared_ip_sans(cluster: &Cluster) -> BTreeSet<IpAddr> {
    let mut ips = cluster_ip_sans(cluster);
    ips.extend(cluster.kubernetes.service_subnets.nth_each(1));
    ips
}

fn cluster_ip_sans(cluster: &Cluster) -> BTreeSet<IpAddr> {
    let k = &cluster.kubernetes;
    let mut ips: BTreeSet<IpAddr> = k.cert_sans.iter().filter_map(|s| s.parse().ok()).collect();
    ips.extend(k.endpoint.ip());
    ips.extend(cluster.load_balancer.vips.iter().map(|v| v.address.addr()));
    ips.extend(balancers(cluster).flat_map(|h| h.addresses.cluster.iter().copied()));
    ips
}

/// Balancers that are not control planes as well: those are named in their own certificate already, and naming them in
/// everybody's would issue all again when one is added.
fn balancers(cluster: &Cluster) -> impl Iterator<Item = &Host> {
    cluster.with_role(Role::LoadBalancer).filter(|h| !h.has(Role::ControlPlane))
}

/// `apiServer.certSANs` of ClusterConfiguration: names first, then addresses, each sorted.
pub fn cert_sans(cluster: &Cluster) -> Vec<String> {
    let ips = cluster_ip_sans(cluster).into_iter().map(|ip| ip.to_string());
    cluster_dns_sans(cluster).into_iter().chain(ips).collect()
}

/// RFC 5280's ub-common-name is 64; a server is known by its SANs, so a longer name is left out.
fn server_name(fqdn: &str) -> Option<String> {
    (fqdn.len() <= 64).then(|| fqdn.to_owned())
}

struct Client<'a> {
    cluster: &'a Cluster,
    host: Option<&'a Host>,
}

impl Client<'_> {
    fn request(
        &self,
        id: &str,
        issuer: &str,
        name: &str,
        organization: Option<&str>,
        purpose: &'static str,
    ) -> CertRequest {
        CertRequest {
            id: ObjectId::new(id),
            issuer: Some(ObjectId::new(issuer)),
            profile: Profile::Client,
            common_name: Some(name.to_owned()),
            organization: organization.map(str::to_owned),
            dns_sans: Vec::new(),
            ip_sans: Vec::new(),
            algorithm: self.cluster.pki.algorithm,
            validity_days: self.cluster.pki.validity_days,
            purpose,
            host: self.host.map(|h| h.fqdn.clone()),
        }
    }
}
