//! Sizes: what kubeadm and the controller manager refuse, and whether the hosts and their pods fit.

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::networks::{POD, SERVICE};
use super::{Scope, count, named, path};
use crate::diag::{Code, Diagnostic, Report};
use crate::model::{Host, Subnets};
use crate::value::Value;

/// kubeadm's MinimumAddressesInServiceSubnet.
const MIN_SERVICE: u128 = 10;
/// kubeadm's MaximumBitsForServiceSubnet.
const MAX_SERVICE_BITS: u8 = 20;
/// kubeadm's MinimumAddressesInPodSubnet.
const MIN_POD: u128 = 14;
/// kubeadm's PodSubnetNodeMaskMaxDiff.
const MAX_MASK_DIFFERENCE: u8 = 16;
/// The controller manager's defaults.
const NODE_MASK_V4: u8 = 24;
const NODE_MASK_V6: u8 = 64;
/// The kubelet's default.
const MAX_PODS: u64 = 110;
/// 2^7 - 2 is the first that holds them.
const MAX_PODS_BITS: u8 = 7;

const MASK: &str = "node-cidr-mask-size";
const MASK_V4: &str = "node-cidr-mask-size-ipv4";
const MASK_V6: &str = "node-cidr-mask-size-ipv6";

pub(super) fn check(scope: &Scope<'_>, report: &mut Report) {
    let kubernetes = &scope.cluster.kubernetes;
    if scope.sound(&[SERVICE]) {
        services(scope, &kubernetes.service_subnets, report);
    }
    if !scope.sound(&[POD, &flag_place(MASK), &flag_place(MASK_V4), &flag_place(MASK_V6)]) {
        return;
    }
    let pods = &kubernetes.pod_subnets;
    for net in pods.0.iter().filter(|net| addresses(net) < MIN_POD) {
        let message =
            format!("podSubnet {net} has {} addresses, kubeadm wants {MIN_POD} at least", addresses(net));
        let finding = Diagnostic::error(Code::PodSubnetSize, message)
            .reason("kubeadm refuses a pod subnet that cannot hold its own pods")
            .help("choose a larger podSubnet, /16 for instance");
        report.push(scope.at(finding, POD, ""));
    }
    // Someone else hands out the ranges then, and kubeadm checks no mask either.
    let allocated = argument(scope, "allocate-node-cidrs").is_none_or(|value| value != "false");
    if !allocated || !mask_flags(scope, pods, report) {
        return;
    }
    for net in &pods.0 {
        let Some((mask, place)) = node_mask(scope, net, pods.0.len() > 1) else { continue };
        if node_mask_fits(scope, net, mask, &place, report) {
            capacity(scope, net, mask, &place, report);
            max_pods(scope, net, mask, report);
        }
    }
}

/// How many addresses a network has; one more than fits a u128 counts as the most that does.
fn addresses(net: &IpNet) -> u128 {
    1u128.checked_shl(u32::from(net.max_prefix_len() - net.prefix_len())).unwrap_or(u128::MAX)
}

fn services(scope: &Scope<'_>, subnets: &Subnets, report: &mut Report) {
    for net in &subnets.0 {
        let bits = net.max_prefix_len() - net.prefix_len();
        let (message, reason, help) = if addresses(net) < MIN_SERVICE {
            (
                format!(
                    "serviceSubnet {net} has {} addresses, kubeadm wants {MIN_SERVICE} at least",
                    addresses(net)
                ),
                "the API server's service takes the first address and CoreDNS the tenth",
                format!("choose a /{} or larger", net.max_prefix_len() - 4),
            )
        } else if bits > MAX_SERVICE_BITS {
            let least = net.max_prefix_len() - MAX_SERVICE_BITS;
            (
                format!(
                    "serviceSubnet {net} leaves {bits} bits for services, kubeadm takes {MAX_SERVICE_BITS} at most"
                ),
                "the API server keeps a bitmap of service addresses",
                format!("choose a /{least} or smaller"),
            )
        } else {
            continue;
        };
        let finding = Diagnostic::error(Code::ServiceSubnetSize, message).reason(reason).help(help);
        report.push(scope.at(finding, SERVICE, ""));
    }
}

fn flag_place(name: &str) -> String {
    format!("kubernetes.controllerManager.extraArgs.{name}")
}

fn argument<'a>(scope: &Scope<'a>, name: &str) -> Option<&'a str> {
    let args = &scope.cluster.kubernetes.controller_manager.extra_args;
    args.iter().rev().find(|(flag, _)| flag == name).map(|(_, value)| value.as_str())
}

/// Which of the three flags may stand beside which subnets (the controller manager's setNodeCIDRMaskSizes).
fn mask_flags(scope: &Scope<'_>, pods: &Subnets, report: &mut Report) -> bool {
    let Some(first) = pods.0.first() else { return false };
    let dual = pods.0.len() > 1;
    let v6 = first.addr().is_ipv6();
    let given = |name| argument(scope, name).is_some();
    let (wrong, message, help) = if dual && given(MASK) {
        (
            MASK,
            format!("`{MASK}` cannot be used with two pod subnets, {}", pods.joined()),
            format!("use `{MASK_V4}` and `{MASK_V6}`"),
        )
    } else if !dual && given(MASK) && (given(MASK_V4) || given(MASK_V6)) {
        let other = if given(MASK_V4) { MASK_V4 } else { MASK_V6 };
        (other, format!("`{MASK}` and `{other}` cannot be used together"), format!("remove `{MASK}`"))
    } else if !dual && v6 && given(MASK_V4) {
        (
            MASK_V4,
            format!("`{MASK_V4}` cannot be used with the IPv6 podSubnet {first}"),
            format!("use `{MASK_V6}`"),
        )
    } else if !dual && !v6 && given(MASK_V6) {
        (
            MASK_V6,
            format!("`{MASK_V6}` cannot be used with the IPv4 podSubnet {first}"),
            format!("use `{MASK_V4}`"),
        )
    } else {
        return true;
    };
    let finding = Diagnostic::error(Code::NodeMaskFlags, message)
        .reason("kube-controller-manager does not start with these flags")
        .help(help);
    let finding = scope.at(finding, &flag_place(wrong), "");
    report.push(scope.also(finding, POD, ""));
    false
}

/// The mask that nodes get, and the place that decided it.
fn node_mask(scope: &Scope<'_>, net: &IpNet, dual: bool) -> Option<(u8, String)> {
    let (by_family, default) =
        if net.addr().is_ipv6() { (MASK_V6, NODE_MASK_V6) } else { (MASK_V4, NODE_MASK_V4) };
    let name = if !dual && argument(scope, MASK).is_some() { MASK } else { by_family };
    match argument(scope, name) {
        None => Some((default, POD.to_owned())),
        Some(text) => text.parse().ok().map(|mask| (mask, flag_place(name))),
    }
}

/// kubeadm's ValidatePodSubnetNodeMask, for the mask that nodes will get; kubeadm itself does not look at the plain
/// `node-cidr-mask-size` and judges by its default then, so both must pass.
fn node_mask_fits(scope: &Scope<'_>, net: &IpNet, mask: u8, place: &str, report: &mut Report) -> bool {
    let by_flag = place == flag_place(MASK);
    let default = if net.addr().is_ipv6() { NODE_MASK_V6 } else { NODE_MASK_V4 };
    let masks = if by_flag { vec![mask, default] } else { vec![mask] };
    for (n, seen) in masks.into_iter().enumerate() {
        let whose = if n == 1 {
            format!("kubeadm judges by its default /{seen}, since it does not read `{MASK}`")
        } else {
            format!("a node's range is a /{seen}")
        };
        let (message, help) = if seen > net.max_prefix_len() {
            (
                format!("a node's range cannot be a /{seen}"),
                format!("write a mask of {} at most", net.max_prefix_len()),
            )
        } else if seen < net.prefix_len() {
            (
                format!("podSubnet {net} is smaller than a node's range: {whose}"),
                if n == 1 {
                    let flag = if net.addr().is_ipv6() { MASK_V6 } else { MASK_V4 };
                    format!("write `{flag}` instead of `{MASK}`")
                } else {
                    "choose a larger podSubnet, or a longer mask for nodes".to_owned()
                },
            )
        } else if seen - net.prefix_len() > MAX_MASK_DIFFERENCE {
            (
                format!(
                    "podSubnet {net} is {} bits larger than a node's range, kubeadm takes {MAX_MASK_DIFFERENCE} at most: {whose}",
                    seen - net.prefix_len()
                ),
                format!(
                    "choose a podSubnet of /{} or smaller, or a shorter mask for nodes",
                    seen - MAX_MASK_DIFFERENCE
                ),
            )
        } else {
            continue;
        };
        let finding = Diagnostic::error(Code::NodeMask, message)
            .reason(
                "kube-controller-manager cuts podSubnet into one range per node and keeps a bitmap of them",
            )
            .help(help);
        let finding = scope.at(finding, POD, net.to_string());
        report.push(scope.also(finding, place, "the nodes' mask"));
        return false;
    }
    true
}

fn capacity(scope: &Scope<'_>, net: &IpNet, mask: u8, place: &str, report: &mut Report) {
    let nodes = scope.nodes().len();
    let bits = mask - net.prefix_len();
    // The mask is at most 16 bits longer by now.
    let ranges = 1usize << bits;
    if !scope.roles_sound() {
        return;
    }
    if nodes <= ranges {
        return nearly_full(scope, net, mask, nodes, ranges, report);
    }
    let need = (usize::BITS - (nodes - 1).leading_zeros()) as u8;
    let message = format!(
        "podSubnet {net} has room for {}, the cluster has {nodes}: 2^({mask}-{}) = {ranges} ranges of /{mask}",
        count(ranges, "node"),
        net.prefix_len()
    );
    // A mask that leaves no room for the kubelet's usual number of pods would only be the next finding.
    let longer = net.prefix_len() + need;
    let holds_pods = longer + MAX_PODS_BITS <= net.max_prefix_len();
    let help = match (need <= mask, holds_pods) {
        (true, true) => {
            format!(
                "choose a podSubnet of /{} or larger, or a mask for nodes of {longer} or longer",
                mask - need
            )
        }
        (true, false) => format!("choose a podSubnet of /{} or larger", mask - need),
        (false, _) => "choose a larger podSubnet".to_owned(),
    };
    let finding = Diagnostic::error(Code::PodSubnetTooSmall, message)
        .reason(
            "kube-controller-manager gives every node a range of its own; a node without one runs no pods",
        )
        .help(help);
    let finding = scope.at(finding, POD, format!("{ranges} ranges"));
    report.push(scope.also(finding, place, format!("a node's range is a /{mask}")));
}

/// Room for fewer than one node in ten more.
fn nearly_full(scope: &Scope<'_>, net: &IpNet, mask: u8, nodes: usize, ranges: usize, report: &mut Report) {
    let free = ranges - nodes;
    if free > 0 && free * 10 >= nodes {
        return;
    }
    let length = net.prefix_len();
    let more = if free == 0 {
        "no room for another node".to_owned()
    } else {
        format!("room for {} more", count(free, "node"))
    };
    let message = format!(
        "podSubnet {net} has {more}: 2^({mask}-{length}) = {ranges} ranges of /{mask}, {nodes} of them taken"
    );
    let finding = Diagnostic::warning(Code::PodSubnetNearlyFull, message)
        .reason("every node takes a range, one that is replaced too until the old Node object is gone, and the subnet cannot change later")
        .help(format!("while the cluster is new, choose a podSubnet of /{} or larger", length.saturating_sub(1)));
    report.push(scope.at(finding, POD, format!("{ranges} ranges")));
}

/// A range's first address is the network's, and of IPv4 its last the broadcast's. Hosts that take the number from one
/// place are one finding.
fn max_pods(scope: &Scope<'_>, net: &IpNet, mask: u8, report: &mut Report) {
    let bits = net.max_prefix_len() - mask;
    let room = if bits >= 63 { u64::MAX } else { (1u64 << bits).saturating_sub(2) };
    let everywhere = "kubernetes.kubelet.maxPods";
    let all = number(scope.cluster.kubernetes.kubelet_config.get("maxPods"));
    let mut over: BTreeMap<(String, u64), Vec<&Host>> = BTreeMap::new();
    for host in scope.nodes() {
        let own_place = path(host, "kubelet.maxPods");
        if !scope.sound(&[&own_place, everywhere]) {
            continue;
        }
        let (pods, place) = match (number(host.kubelet.value.get("maxPods")), all) {
            (Some(pods), _) => (pods, own_place),
            (None, Some(pods)) => (pods, everywhere.to_owned()),
            (None, None) => (MAX_PODS, POD.to_owned()),
        };
        if pods > room {
            over.entry((place, pods)).or_default().push(host);
        }
    }
    for ((place, pods), hosts) in over {
        let default = if place == POD { " (the kubelet's default)" } else { "" };
        let message = format!(
            "a node takes {pods} pods{default} and its range has room for {room}: a /{mask} of {net} has 2^{bits} - 2 \
             addresses; so on {}",
            named(hosts.iter().map(|host| host.name.as_str())),
        );
        let finding = Diagnostic::error(Code::MaxPods, message)
            .reason("the scheduler fills a node up to maxPods, and pods without an address never start")
            .help(format!(
                "set `kubelet.maxPods` to {room} or less, or use a shorter mask for nodes; \
                 with a CNI that hands out addresses itself, set `allocate-node-cidrs: \"false\"`"
            ));
        report.push(scope.at(finding, &place, ""));
    }
}

fn number(value: Option<&Value>) -> Option<u64> {
    match value {
        Some(Value::Number(text) | Value::Text(text)) => text.parse().ok(),
        _ => None,
    }
}
