//! Networks, families, sizes.

use super::*;

const POD: &str = "kubernetes.networking.podSubnet";
const SERVICE: &str = "kubernetes.networking.serviceSubnet";

fn pods(subnets: &'static [&'static str]) -> Vec<String> {
    after(|c| c.kubernetes.pod_subnets = Subnets(nets(subnets)))
}

fn services(subnets: &'static [&'static str]) -> Vec<String> {
    after(|c| c.kubernetes.service_subnets = Subnets(nets(subnets)))
}

fn dual(c: &mut Cluster) {
    c.kubernetes.pod_subnets = Subnets(nets(&["100.64.0.0/10", "fd00:1::/56"]));
    c.kubernetes.service_subnets = Subnets(nets(&["198.18.0.0/16", "fd00:2::/112"]));
    for (host, n) in c.hosts.iter_mut().zip(1..) {
        host.addresses.cluster.push(ip(&format!("2001:db8::{n}")));
    }
}

#[test]
fn networks_do_not_meet() {
    assert_eq!(services(&["100.64.0.0/16"]), [format!("KH0303 {SERVICE} {POD}")]);
    assert_eq!(services(&["100.128.0.0/16"]), [""; 0]);
    assert_eq!(
        after(|c| c.kubernetes.external_subnets = nets(&["198.18.128.0/17"])),
        [format!("KH0303 kubernetes.networking.externalSubnet {SERVICE}")]
    );
    assert_eq!(
        after(|c| c.kubernetes.external_subnets = nets(&["198.19.0.0/16", "198.19.4.0/24"])),
        ["KH0303 kubernetes.networking.externalSubnet"]
    );
}

#[test]
fn hosts_and_vips_are_in_none_of_them() {
    // .13.35 to .13.37 and no other host; the VIP is .13.70.
    assert_eq!(
        after(|c| c.kubernetes.external_subnets = nets(&["192.168.13.32/29"])),
        [
            "KH0304 kubernetes.networking.externalSubnet hosts.k8setcd1.address hosts.k8setcd2.address hosts.k8setcd3.address"
        ]
    );
    assert_eq!(after(|c| c.kubernetes.external_subnets = nets(&["192.168.13.40/29"])), [""; 0]);
    assert_eq!(
        after(|c| c.kubernetes.external_subnets = nets(&["192.168.13.70/32"])),
        ["KH0305 loadBalancer.vips.0.address kubernetes.networking.externalSubnet"]
    );
    assert_eq!(
        after(|c| c.load_balancer.vips = vec![vip("192.168.13.61/24", 70)]),
        ["KH0306 loadBalancer.vips.0.address hosts.k8smaster1.address"]
    );
}

#[test]
fn addresses_lead_somewhere() {
    for bad in ["127.0.0.1", "0.0.0.0", "224.0.0.18", "169.254.1.1", "255.255.255.255"] {
        assert_eq!(
            after(|c| c.host("k8setcd1").addresses.cluster = vec![ip(bad)]),
            ["KH0309 hosts.k8setcd1.address"],
            "{bad}"
        );
    }
    assert_eq!(
        after(|c| c.load_balancer.vips = vec![vip("192.168.13.0/24", 70)]),
        ["KH0309 loadBalancer.vips.0.address"]
    );
    assert_eq!(
        after(|c| c.load_balancer.vips = vec![vip("192.168.13.255/24", 70)]),
        ["KH0309 loadBalancer.vips.0.address"]
    );
    assert_eq!(after(|c| c.load_balancer.vips = vec![vip("192.168.13.255/22", 70)]), [""; 0]);
}

#[test]
fn families_go_together() {
    assert_eq!(after(dual), [""; 0]);
    assert_eq!(
        after(|c| {
            dual(c);
            c.kubernetes.service_subnets.0.pop();
        }),
        [format!("KH0300 {SERVICE} {POD}")]
    );
    assert_eq!(
        after(|c| {
            dual(c);
            c.kubernetes.pod_subnets.0.reverse();
        }),
        [format!("KH0300 {SERVICE} {POD}")]
    );
    assert_eq!(
        after(|c| {
            dual(c);
            c.host("k8sworker1").addresses.cluster.pop();
        }),
        [format!("KH0301 hosts.k8sworker1.address {SERVICE}")]
    );
    assert_eq!(
        after(|c| {
            dual(c);
            c.host("k8smaster1").addresses.cluster.reverse();
        }),
        [format!("KH0301 hosts.k8smaster1.address {SERVICE}")]
    );
    // etcd and the balancers need no second family.
    assert_eq!(
        after(|c| {
            dual(c);
            for host in ["k8setcd1", "k8svrrp1"] {
                c.host(host).addresses.cluster.pop();
            }
        }),
        [""; 0]
    );
    assert_eq!(
        after(|c| c.host("k8setcd1").addresses.cluster = vec![ip("2001:db8::1")]),
        [
            "KH0302 hosts.k8setcd1.address hosts.k8setcd2.address",
            "KH0302 hosts.k8setcd1.address hosts.k8smaster1"
        ]
    );
    assert_eq!(
        after(|c| c.host("k8setcd3").addresses.etcd_peer = Some(ip("fd00:3::1"))),
        ["KH0302 hosts.k8setcd3.addresses.etcdPeer hosts.k8setcd1.address"]
    );
    assert_eq!(
        after(|c| {
            for (name, n) in [("k8setcd1", 1), ("k8setcd2", 2), ("k8setcd3", 3)] {
                c.host(name).addresses.etcd_peer = Some(ip(&format!("fd00:3::{n}")));
            }
        }),
        [""; 0]
    );
}

#[test]
fn service_subnets_are_of_a_size_that_kubeadm_takes() {
    assert_eq!(services(&["198.18.0.0/28"]), [""; 0]);
    assert_eq!(services(&["198.18.0.0/29"]), [format!("KH0310 {SERVICE}")]);
    assert_eq!(services(&["10.16.0.0/12"]), [""; 0]);
    assert_eq!(services(&["10.0.0.0/11"]), [format!("KH0310 {SERVICE}")]);
}

#[test]
fn pod_subnets_are_of_a_size_that_kubeadm_takes() {
    assert_eq!(pods(&["10.244.0.0/16"]), [""; 0]);
    assert_eq!(pods(&["10.0.0.0/8"]), [""; 0]);
    assert_eq!(pods(&["10.0.0.0/7"]), [format!("KH0312 {POD}")]);
    assert_eq!(pods(&["10.244.0.0/25"]), [format!("KH0312 {POD}")]);
    assert_eq!(pods(&["10.244.0.0/29"]), [format!("KH0311 {POD}"), format!("KH0312 {POD}")]);
    // Nobody cuts the subnet then.
    assert_eq!(
        after(|c| {
            c.kubernetes.pod_subnets = Subnets(nets(&["10.0.0.0/7"]));
            c.manager_arg("allocate-node-cidrs", "false");
        }),
        [""; 0]
    );
}

#[test]
fn every_node_has_a_range() {
    assert_eq!(pods(&["10.244.0.0/21"]), [""; 0]);
    assert_eq!(pods(&["10.244.0.0/22"]), [format!("KH0314 {POD}")]);
    let mut c = cluster();
    c.kubernetes.pod_subnets = Subnets(nets(&["10.244.0.0/22"]));
    assert_eq!(
        message(&c),
        "podSubnet 10.244.0.0/22 has room for 4 nodes, the cluster has 6: 2^(24-22) = 4 ranges of /24"
    );
    c.manager_arg("node-cidr-mask-size-ipv4", "25");
    assert_eq!(said(&c), [""; 0]);
    c.kubernetes.controller_manager.extra_args.clear();
    c.manager_arg("node-cidr-mask-size", "25");
    assert_eq!(said(&c), [""; 0]);
}

#[test]
fn mask_flags_are_those_that_the_controller_manager_takes() {
    let flag = |name: &str| format!("kubernetes.controllerManager.extraArgs.{name}");
    assert_eq!(
        after(|c| {
            dual(c);
            c.manager_arg("node-cidr-mask-size", "24");
        }),
        [format!("KH0313 {} {POD}", flag("node-cidr-mask-size"))]
    );
    assert_eq!(
        after(|c| c.manager_arg("node-cidr-mask-size-ipv6", "80")),
        [format!("KH0313 {} {POD}", flag("node-cidr-mask-size-ipv6"))]
    );
    assert_eq!(
        after(|c| {
            c.manager_arg("node-cidr-mask-size", "25");
            c.manager_arg("node-cidr-mask-size-ipv4", "25");
        }),
        [format!("KH0313 {} {POD}", flag("node-cidr-mask-size-ipv4"))]
    );
    // kubeadm does not read the plain flag and compares a /25 with its own /24.
    assert_eq!(
        after(|c| {
            c.kubernetes.pod_subnets = Subnets(nets(&["10.244.0.0/25"]));
            c.manager_arg("node-cidr-mask-size", "28");
            c.kubernetes.kubelet_config.set("maxPods", Value::Number("14".to_owned()));
        }),
        [format!("KH0312 {POD} {}", flag("node-cidr-mask-size"))]
    );
    assert_eq!(
        after(|c| {
            c.kubernetes.pod_subnets = Subnets(nets(&["10.244.0.0/25"]));
            c.manager_arg("node-cidr-mask-size-ipv4", "28");
            c.kubernetes.kubelet_config.set("maxPods", Value::Number("14".to_owned()));
        }),
        [""; 0]
    );
}

#[test]
fn a_range_holds_the_pods_of_its_node() {
    let max = |n: &str| Value::map().with("maxPods", Value::Number(n.to_owned()));
    assert_eq!(after(|c| c.kubernetes.kubelet_config = max("254")), [""; 0]);
    assert_eq!(after(|c| c.kubernetes.kubelet_config = max("255")), ["KH0315 kubernetes.kubelet"]);
    assert_eq!(
        after(|c| c.host("k8sworker2").kubelet.value = max("300")),
        ["KH0315 hosts.k8sworker2.kubelet"]
    );
    let mut c = cluster();
    c.manager_arg("node-cidr-mask-size-ipv4", "26");
    assert_eq!(
        message(&c),
        "a node takes 110 pods (the kubelet's default) and its range has room for 62: a /26 of 100.64.0.0/10 has \
         2^6 - 2 addresses; so on `k8smaster1`, `k8smaster2`, `k8smaster3`, `k8sworker1` and 2 more"
    );
}
