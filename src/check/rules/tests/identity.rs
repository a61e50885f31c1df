//! Names, addresses, and clusters beside each other.

use super::*;

#[test]
fn two_hosts_share_nothing() {
    assert_eq!(
        after(|c| c.host("k8setcd2").addresses.cluster = vec![ip("192.168.13.35")]),
        ["KH0223 hosts.k8setcd2.address hosts.k8setcd1.address"]
    );
    assert_eq!(
        after(|c| c.host("k8setcd2").addresses.etcd_peer = Some(ip("192.168.13.65"))),
        ["KH0223 hosts.k8sworker1.address hosts.k8setcd2.addresses.etcdPeer"]
    );
    // A peer address that is the host's own is only said twice.
    assert_eq!(after(|c| c.host("k8setcd2").addresses.etcd_peer = Some(ip("192.168.13.36"))), [""; 0]);
    assert_eq!(
        after(|c| c.host("k8sworker2").node_name = "k8sworker1.isociel.com".to_owned()),
        ["KH0222 hosts.k8sworker2.nodeName hosts.k8sworker1.nodeName"]
    );
    // Only nodes have node names.
    assert_eq!(after(|c| c.host("k8setcd2").node_name = "k8sworker1.isociel.com".to_owned()), [""; 0]);
    assert_eq!(
        after(|c| c.host("k8svrrp2").ssh.address = "192.168.13.71".to_owned()),
        ["KH0227 hosts.k8svrrp2.ssh.address hosts.k8svrrp1.ssh.address"]
    );
    // One address with forwarded ports leads to different machines.
    assert_eq!(
        after(|c| {
            let ssh = &mut c.host("k8svrrp2").ssh;
            (ssh.address, ssh.port) = ("192.168.13.71".to_owned(), 2222);
        }),
        [""; 0]
    );
}

#[test]
fn a_doubled_host_is_one_finding_with_both_places() {
    let mut cluster = cluster();
    cluster.hosts.push(cluster.hosts[0].clone());
    let desk = Desk::of(&cluster, "");
    let mut report = Report::new();
    check(&cluster, &desk.places, DAY(), &mut report);
    let found: Vec<_> = report.iter().filter(|f| f.code.as_str() == "KH0220").collect();
    assert_eq!(found.len(), 1);
    let (again, first) = (found[0].primary.as_ref().unwrap().span, found[0].secondary[0].span);
    assert!(first.start < again.start);
    // Its address is not a second finding.
    assert!(report.iter().all(|f| f.code.as_str() != "KH0223"));
}

#[test]
fn node_names_fit_their_label_and_their_certificate() {
    let named = |length: usize| {
        after(move |c| c.host("k8sworker1").node_name = format!("{}.example", "n".repeat(length - 8)))
    };
    assert_eq!(named(52), [""; 0]);
    assert_eq!(named(53), ["KH0225 hosts.k8sworker1.nodeName"]);
    assert_eq!(named(63), ["KH0225 hosts.k8sworker1.nodeName"]);
    assert_eq!(named(64), ["KH0224 hosts.k8sworker1.nodeName"]);
    assert_eq!(after(|c| c.host("k8setcd1").node_name = "n".repeat(70)), [""; 0]);
}

#[test]
fn some_names_are_taken() {
    assert_eq!(after(|c| c.host("k8setcd1").fqdn = "operator".to_owned()), ["KH0228 hosts.k8setcd1"]);
    assert_eq!(after(|c| c.host("k8setcd1").name = "etcd-ca".to_owned()), ["KH0228 hosts.etcd-ca"]);
    assert_eq!(after(|c| c.host("k8sworker1").name = "etcd-ca".to_owned()), [""; 0]);
    assert_eq!(
        after(|c| c.kubernetes.endpoint.host = "k8smaster1.isociel.com".to_owned()),
        ["KH0226 kubernetes.controlPlaneEndpoint hosts.k8smaster1"]
    );
}

#[test]
fn the_dns_domain_is_the_clusters_alone() {
    let dns = |domain: &'static str| after(move |c| c.kubernetes.dns_domain = domain.to_owned());
    assert_eq!(dns("isociel.com"), ["KH0229? kubernetes.networking.dnsDomain cluster.domain"]);
    assert_eq!(dns("com"), ["KH0229? kubernetes.networking.dnsDomain cluster.domain"]);
    assert_eq!(dns("k8s.isociel.com"), [""; 0]);
    assert_eq!(dns("ociel.com"), [""; 0]);
    assert_eq!(
        dns("k8sapi.isociel.com"),
        ["KH0229? kubernetes.networking.dnsDomain kubernetes.controlPlaneEndpoint"]
    );
}

#[test]
fn clusters_of_one_inventory_share_nothing() {
    assert_eq!(between(|_| {}), [""; 0]);
    assert_eq!(between(|c| c.name = "k8s-cluster1".to_owned()), ["KH0242 2:cluster.name"]);
    assert_eq!(
        between(|c| c.host("k8setcd1").fqdn = "k8setcd1.isociel.com".to_owned()),
        ["KH0240 2:hosts.k8setcd1"]
    );
    assert_eq!(
        between(|c| c.host("k8setcd1").addresses.cluster = vec![ip("192.168.13.61")]),
        ["KH0241 2:hosts.k8setcd1.address"]
    );
    assert_eq!(
        between(|c| c.host("k8setcd1").addresses.cluster = vec![ip("192.168.13.70")]),
        ["KH0241 2:hosts.k8setcd1.address"]
    );
    assert_eq!(
        between(|c| c.load_balancer.vips = vec![vip("192.168.13.70/24", 80)]),
        ["KH0316 2:loadBalancer.vips.0.address"]
    );
    assert_eq!(
        between(|c| c.load_balancer.vips = vec![vip("192.168.13.80/24", 70)]),
        ["KH0418 2:loadBalancer.vips.0.virtualRouterId"]
    );
    // Another network, another family: other neighbours.
    assert_eq!(between(|c| c.load_balancer.vips = vec![vip("192.168.14.80/24", 70)]), [""; 0]);
    assert_eq!(between(|c| c.load_balancer.vips = vec![vip("2001:db8::80/64", 70)]), [""; 0]);
}
