//! Roles, zones, balancers, ports.

use super::*;

fn without(names: &'static [&'static str]) -> impl FnOnce(&mut Cluster) {
    move |c| c.hosts.retain(|host| !names.contains(&host.name.as_str()))
}

fn no_balancer(c: &mut Cluster) {
    without(&["k8svrrp1", "k8svrrp2", "k8smaster2", "k8smaster3"])(c);
    c.load_balancer.mode = LoadBalancerMode::None;
    c.load_balancer.vips.clear();
    c.kubernetes.endpoint = Endpoint { host: "k8smaster1.isociel.com".to_owned(), port: 6443 };
}

#[test]
fn roles_that_the_cluster_needs_have_hosts() {
    assert_eq!(after(without(&["k8setcd1", "k8setcd2", "k8setcd3"])), ["KH0400 hosts"]);
    assert_eq!(after(without(&["k8smaster1", "k8smaster2", "k8smaster3"])), ["KH0400 hosts"]);
    assert_eq!(after(without(&["k8svrrp1", "k8svrrp2"])), ["KH0400 loadBalancer.mode"]);
    assert_eq!(after(without(&["k8sworker1", "k8sworker2", "k8sworker3"])), [""; 0]);
}

#[test]
fn a_host_that_retires_serves_nobody() {
    let retire = |names: &'static [&'static str]| {
        after(move |c| {
            c.state = ClusterState::Running;
            c.retire(names);
        })
    };
    assert_eq!(retire(&["k8sworker2"]), [""; 0]);
    assert_eq!(retire(&["k8smaster1"]), [""; 0]);
    assert_eq!(retire(&["k8smaster1", "k8smaster3"]), ["KH0406? hosts.k8smaster2"]);
    assert_eq!(retire(&["k8smaster1", "k8smaster2", "k8smaster3"]), ["KH0400 hosts.k8smaster1.state"]);
    assert_eq!(retire(&["k8setcd1", "k8setcd2", "k8setcd3"]), ["KH0400 hosts.k8setcd1.state"]);
    assert_eq!(retire(&["k8svrrp1"]), ["KH0407? hosts.k8svrrp2"]);
    assert_eq!(retire(&["k8svrrp1", "k8svrrp2"]), ["KH0400 loadBalancer.mode"]);
    // Before the cluster runs there is nothing to leave.
    assert_eq!(after(|c| c.retire(&["k8sworker1"])), ["KH0419? hosts.k8sworker1.state cluster.state"]);
}

#[test]
fn those_that_stay_are_a_majority_of_the_members() {
    let retire = |members: u32, names: &'static [&'static str]| {
        after(move |c| {
            c.state = ClusterState::Running;
            c.hosts.extend(
                (4..=members)
                    .map(|i| host(&format!("k8setcd{i}"), &format!("192.168.13.{}", 100 + i), Role::Etcd)),
            );
            if members == 2 {
                without(&["k8setcd3"])(c);
            }
            c.retire(names);
        })
    };
    assert_eq!(retire(3, &["k8setcd1"]), ["KH0404? hosts.k8setcd3"]);
    assert_eq!(retire(4, &["k8setcd1"]), [""; 0]);
    assert_eq!(retire(5, &["k8setcd1", "k8setcd2"]), [""; 0]);
    assert_eq!(
        retire(3, &["k8setcd1", "k8setcd2"]),
        ["KH0403? hosts.k8setcd3", "KH0420 hosts.k8setcd1.state hosts.k8setcd2.state"]
    );
    // Half is no majority, new members beside them or not.
    assert_eq!(
        retire(6, &["k8setcd1", "k8setcd2", "k8setcd3"]),
        ["KH0420 hosts.k8setcd1.state hosts.k8setcd2.state hosts.k8setcd3.state"]
    );
    assert_eq!(
        retire(4, &["k8setcd1", "k8setcd2"]),
        ["KH0404? hosts.k8setcd4", "KH0420 hosts.k8setcd1.state hosts.k8setcd2.state"]
    );
    // From two to one there is no other way.
    assert_eq!(retire(2, &["k8setcd2"]), ["KH0403? hosts.k8setcd1", "KH0420? hosts.k8setcd2.state"]);
}

#[test]
fn a_retired_host_keeps_its_name_and_address() {
    assert_eq!(
        after(|c| {
            c.state = ClusterState::Running;
            c.retire(&["k8sworker3"]);
            c.hosts.push(host("k8sworker4", "192.168.13.67", Role::Worker));
        }),
        [
            "KH0223 hosts.k8sworker4.address hosts.k8sworker3.address",
            "KH0227 hosts.k8sworker4.ssh.address hosts.k8sworker3.ssh.address"
        ]
    );
    assert_eq!(
        after(|c| {
            c.state = ClusterState::Running;
            c.retire(&["k8sworker3"]);
            c.load_balancer.vips = vec![vip("192.168.13.67/24", 70)];
        }),
        ["KH0306 loadBalancer.vips.0.address hosts.k8sworker3.address"]
    );
    // What only concerns a member is not asked of it.
    assert_eq!(
        after(|c| {
            c.state = ClusterState::Running;
            c.retire(&["k8smaster3"]);
            c.retired[0].addresses.cluster = vec![ip("2001:db8::3")];
            c.retired[0].node_name = "n".repeat(70);
        }),
        [""; 0]
    );
}

#[test]
fn what_survives_no_loss_is_said() {
    assert_eq!(after(without(&["k8setcd2", "k8setcd3"])), ["KH0403? hosts.k8setcd1"]);
    let mut c = cluster();
    without(&["k8setcd3"])(&mut c);
    assert_eq!(said(&c), ["KH0404? hosts.k8setcd2"]);
    assert_eq!(message(&c), "etcd has 2 members and survives the loss of 0, as 1 would");
    let more = |n: u32| {
        after(move |c| {
            c.hosts.extend(
                (4..=n).map(|i| host(&format!("k8setcd{i}"), &format!("192.168.13.{}", 100 + i), Role::Etcd)),
            );
        })
    };
    assert_eq!(more(4), ["KH0404? hosts.k8setcd4"]);
    assert_eq!(more(7), [""; 0]);
    assert_eq!(more(9), ["KH0405? hosts.k8setcd9"]);
    assert_eq!(after(without(&["k8smaster2", "k8smaster3"])), ["KH0406? hosts.k8smaster1"]);
    assert_eq!(after(without(&["k8smaster3"])), [""; 0]);
    assert_eq!(after(without(&["k8svrrp2"])), ["KH0407? hosts.k8svrrp1"]);
}

#[test]
fn no_zone_holds_a_majority() {
    let zones = |pairs: &'static [(&'static str, &'static str)]| {
        after(move |c| {
            for (name, zone) in pairs {
                c.host(name).zone = Some((*zone).to_owned());
            }
        })
    };
    assert_eq!(zones(&[("k8setcd1", "a"), ("k8setcd2", "b"), ("k8setcd3", "c")]), [""; 0]);
    assert_eq!(
        zones(&[("k8setcd1", "a"), ("k8setcd2", "b"), ("k8setcd3", "a")]),
        ["KH0408? hosts.k8setcd1.zone hosts.k8setcd3.zone"]
    );
    assert_eq!(zones(&[("k8svrrp1", "a"), ("k8svrrp2", "b")]), [""; 0]);
    assert_eq!(
        zones(&[("k8svrrp1", "a"), ("k8svrrp2", "a")]),
        ["KH0408? hosts.k8svrrp1.zone hosts.k8svrrp2.zone"]
    );
    assert_eq!(zones(&[("k8smaster1", "a"), ("k8smaster2", "a")]), [""; 0]);
    assert_eq!(
        zones(&[("k8smaster1", "a"), ("k8smaster2", "a"), ("k8smaster3", "a")]),
        ["KH0408? hosts.k8smaster1.zone hosts.k8smaster2.zone hosts.k8smaster3.zone"]
    );
}

#[test]
fn the_mode_fits_the_hosts() {
    assert_eq!(after(no_balancer), ["KH0406? hosts.k8smaster1"]);
    assert_eq!(
        after(|c| {
            no_balancer(c);
            c.hosts.push(host("k8smaster2", "192.168.13.62", Role::ControlPlane));
        }),
        ["KH0409 loadBalancer.mode hosts.k8smaster2"]
    );
    assert_eq!(
        after(|c| {
            no_balancer(c);
            c.load_balancer.vips = vec![vip("192.168.13.70/24", 70)];
        }),
        ["KH0406? hosts.k8smaster1", "KH0415 loadBalancer.vips.0.address loadBalancer.mode"]
    );
    assert_eq!(
        after(|c| c.load_balancer.mode = LoadBalancerMode::External),
        ["KH0401 hosts.k8svrrp1.roles loadBalancer.mode"]
    );
    assert_eq!(
        after(|c| {
            without(&["k8svrrp1", "k8svrrp2"])(c);
            c.load_balancer.mode = LoadBalancerMode::External;
            c.load_balancer.vips.clear();
            c.kubernetes.endpoint = Endpoint { host: "10.9.9.9".to_owned(), port: 443 };
        }),
        [""; 0]
    );
}

#[test]
fn the_endpoint_is_what_is_served() {
    assert_eq!(
        after(|c| c.kubernetes.endpoint.port = 8443),
        ["KH0412 kubernetes.controlPlaneEndpoint loadBalancer.port"]
    );
    assert_eq!(
        after(|c| c.kubernetes.endpoint.host = "192.168.13.69".to_owned()),
        ["KH0413 kubernetes.controlPlaneEndpoint loadBalancer.vips.0.address"]
    );
    assert_eq!(after(|c| c.kubernetes.endpoint.host = "192.168.13.70".to_owned()), [""; 0]);
    assert_eq!(
        after(|c| {
            no_balancer(c);
            c.kubernetes.bind_port = 7443;
        }),
        ["KH0406? hosts.k8smaster1", "KH0412 kubernetes.controlPlaneEndpoint kubernetes.apiServer.bindPort"]
    );
    assert_eq!(
        after(|c| {
            no_balancer(c);
            c.kubernetes.endpoint.host = "192.168.13.62".to_owned();
        }),
        ["KH0406? hosts.k8smaster1", "KH0413 kubernetes.controlPlaneEndpoint"]
    );
}

#[test]
fn balancers_can_hold_the_vip() {
    assert_eq!(
        after(|c| c.host("k8svrrp2").addresses.cluster = vec![ip("192.168.14.72")]),
        ["KH0308 hosts.k8svrrp2.address loadBalancer.vips.0.address"]
    );
    assert_eq!(
        after(|c| {
            c.host("k8svrrp2").addresses.cluster = vec![ip("192.168.14.72")];
            c.load_balancer.vips = vec![vip("192.168.13.70/22", 70)];
        }),
        [""; 0]
    );
    // A prefix of /32 says nothing about the network.
    assert_eq!(after(|c| c.load_balancer.vips = vec![vip("192.168.13.70/32", 70)]).len(), 2);
    assert_eq!(
        after(|c| c.load_balancer.vips.push(vip("2001:db8::70/64", 70))),
        [
            "KH0308 hosts.k8svrrp1.address loadBalancer.vips.1.address",
            "KH0308 hosts.k8svrrp2.address loadBalancer.vips.1.address"
        ]
    );
    assert_eq!(after(|c| c.load_balancer.vips.clear()), ["KH0414 loadBalancer.mode"]);
    assert_eq!(
        after(|c| {
            c.load_balancer.vips[0].interface = None;
            c.host("k8svrrp1").interface = Some("eth0".to_owned());
        }),
        ["KH0417 hosts.k8svrrp2 loadBalancer.vips.0.address"]
    );
}

#[test]
fn vrrp_instances_differ() {
    assert_eq!(
        after(|c| c.load_balancer.vips.push(vip("192.168.13.80/24", 70))),
        ["KH0416 loadBalancer.vips.1.virtualRouterId loadBalancer.vips.0.virtualRouterId"]
    );
    assert_eq!(after(|c| c.load_balancer.vips.push(vip("192.168.13.80/24", 80))), [""; 0]);
    assert_eq!(
        after(|c| {
            let mut other = vip("192.168.13.80/24", 70);
            other.interface = Some("ens34".to_owned());
            c.load_balancer.vips.push(other);
        }),
        [""; 0]
    );
    assert_eq!(
        after(|c| c.load_balancer.vips.push(vip("192.168.13.70/24", 80))),
        ["KH0307 loadBalancer.vips.1.address loadBalancer.vips.0.address"]
    );
}

/// Three hosts that are everything.
fn stacked(c: &mut Cluster, port: u16) {
    without(&["k8setcd1", "k8setcd2", "k8setcd3", "k8svrrp1", "k8svrrp2"])(c);
    for name in ["k8smaster1", "k8smaster2", "k8smaster3"] {
        c.host(name).roles = vec![Role::Etcd, Role::LoadBalancer, Role::ControlPlane];
    }
    c.load_balancer.port = port;
    c.kubernetes.endpoint.port = port;
}

#[test]
fn a_port_has_one_program() {
    assert_eq!(after(|c| stacked(c, 8443)), [""; 0]);
    assert_eq!(
        after(|c| stacked(c, 6443)),
        ["KH0410 loadBalancer.port kubernetes.apiServer.bindPort hosts.k8smaster1.roles"]
    );
    for (port, place) in [(2379, "etcd.clientPort"), (2380, "etcd.peerPort"), (2381, "etcd.metricsPort")] {
        assert_eq!(
            after(|c| stacked(c, port)),
            [format!("KH0410 loadBalancer.port {place} hosts.k8smaster1.roles")],
            "{port}"
        );
    }
    for port in [10248, 10249, 10250, 10256, 10257, 10259] {
        assert_eq!(
            after(|c| stacked(c, port)),
            ["KH0410 loadBalancer.port hosts.k8smaster1 hosts.k8smaster1.roles"],
            "{port}"
        );
    }
    assert_eq!(
        after(|c| stacked(c, 22)),
        ["KH0410 loadBalancer.port hosts.k8smaster1 hosts.k8smaster1.roles"]
    );
    // A CNI that replaces kube-proxy decides about its own ports.
    assert_eq!(
        after(|c| {
            stacked(c, 10256);
            c.kubernetes.kube_proxy_mode = KubeProxyMode::None;
        }),
        [""; 0]
    );
    assert_eq!(
        after(|c| c.etcd.peer_port = 2379),
        ["KH0410 etcd.clientPort etcd.peerPort hosts.k8setcd1.roles"]
    );
    // On hosts of their own the balancers may have any port.
    assert_eq!(
        after(|c| {
            c.load_balancer.port = 10250;
            c.kubernetes.endpoint.port = 10250;
        }),
        [""; 0]
    );
    assert_eq!(after(|c| stacked(c, 30443)), ["KH0411? loadBalancer.port"]);
    assert_eq!(
        after(|c| {
            stacked(c, 30443);
            c.server_arg("service-node-port-range", "31000-32767");
        }),
        [""; 0]
    );
}
