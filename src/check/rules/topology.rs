//! How many hosts of which role, and what the cluster survives.

use std::collections::BTreeMap;

use super::{Scope, count, named, own, path};
use crate::diag::{Code, Diagnostic, Report};
use crate::model::{ClusterState, Host, LoadBalancerMode, Role};

/// Beyond this many members every write waits for more disks than it gains in safety (etcd's FAQ on cluster size).
const MANY_MEMBERS: usize = 7;

pub(super) fn check(scope: &Scope<'_>, report: &mut Report) {
    if !scope.roles_sound() {
        return;
    }
    let etcd = scope.with_role(Role::Etcd);
    let control_planes = scope.with_role(Role::ControlPlane);
    present(scope, Role::Etcd, &etcd, "the API servers keep everything in it", report);
    present(scope, Role::ControlPlane, &control_planes, "it runs the API server", report);
    members(scope, &etcd, report);
    retiring(scope, &etcd, report);
    single_control_plane(scope, &control_planes, report);
    if scope.sound(&["loadBalancer.mode"]) {
        balancers(scope, &control_planes, report);
    }
    zones(scope, report);
}

fn present(scope: &Scope<'_>, role: Role, hosts: &[&Host], why: &str, report: &mut Report) {
    if hosts.is_empty() {
        let word = role.as_str();
        let Some(leaving) = scope.cluster.retired.iter().find(|host| host.has(role)) else {
            let finding = Diagnostic::error(Code::RoleMissing, format!("no host has the role `{word}`"))
                .reason(format!("a cluster cannot do without: {why}"))
                .help(format!("give one host or more `roles: [{word}]`"));
            report.push(scope.at(finding, "hosts", ""));
            return;
        };
        let message = format!("no host with the role `{word}` stays, `{}` retires", leaving.name);
        let finding = Diagnostic::error(Code::RoleMissing, message)
            .reason(format!("a cluster cannot do without: {why}"))
            .help(format!("give another host `roles: [{word}]`, install it, and retire this one afterwards"));
        report.push(scope.at(finding, &path(leaving, "state"), ""));
    }
}

/// What leaves must leave something that works behind.
fn retiring(scope: &Scope<'_>, etcd: &[&Host], report: &mut Report) {
    let cluster = scope.cluster;
    if let (Some(first), true) = (cluster.retired.first(), scope.sound(&["cluster.state"]))
        && cluster.state == ClusterState::New
    {
        let message = match cluster.retired.len() {
            1 => format!("host `{}` retires, and `cluster.state` is new", first.name),
            n => format!("{} retire, and `cluster.state` is new", count(n, "host")),
        };
        let finding = Diagnostic::warning(Code::RetiredFromNew, message)
            .reason("a cluster that does not run yet has nobody who leaves it, and its founding facts may still change")
            .help("set `cluster.state: running` once the cluster runs; before that, remove the entry");
        let finding = scope.at(finding, &path(first, "state"), "");
        report.push(scope.also(finding, "cluster.state", "new"));
    }
    let leaving: Vec<&Host> = cluster.retired.iter().filter(|host| host.has(Role::Etcd)).collect();
    let (stay, all) = (etcd.len(), etcd.len() + leaving.len());
    // With none left the role is missing, which is said already.
    if leaving.is_empty() || stay == 0 || stay > all / 2 {
        return;
    }
    let message = format!(
        "{} of {} retire, and the {stay} that {} no majority",
        leaving.len(),
        count(all, "etcd member"),
        if stay == 1 { "stays is" } else { "stay are" }
    );
    // From two there is no other way to one.
    let (new, help) = match (all - 1) / 2 {
        0 => (
            Diagnostic::warning as fn(Code, String) -> Diagnostic,
            "take the member out with `etcdctl member remove` while both are healthy, before it stops"
                .to_owned(),
        ),
        most => (
            Diagnostic::error as fn(Code, String) -> Diagnostic,
            format!("retire {most} at most, and remove the entries of members that have left already"),
        ),
    };
    let mut finding = new(Code::EtcdRetiresTooMany, message)
        .reason(format!(
            "etcd works as long as a majority does: if those that leave stop before they are taken out, {} of {all} are needed",
            all / 2 + 1
        ))
        .help(help);
    for host in leaving.iter().take(4) {
        finding = scope.also(finding, &path(host, "state"), format!("`{}`", host.name));
    }
    report.push(finding);
}

fn members(scope: &Scope<'_>, etcd: &[&Host], report: &mut Report) {
    let n = etcd.len();
    let survives = n.saturating_sub(1) / 2;
    let Some(last) = etcd.last() else { return };
    let (code, message, help) = if n == 1 {
        (
            Code::SingleEtcd,
            format!("etcd has one member, `{}`, and survives the loss of none", last.name),
            "give three hosts the role `etcd`, so that one may fail",
        )
    } else if n.is_multiple_of(2) {
        (
            Code::EvenEtcd,
            format!("etcd has {n} members and survives the loss of {survives}, as {} would", n - 1),
            "use an odd number of members, one more or one fewer",
        )
    } else if n > MANY_MEMBERS {
        (
            Code::ManyEtcd,
            format!("etcd has {n} members; every write waits for {} of them", n / 2 + 1),
            "use three, five or seven members",
        )
    } else {
        return;
    };
    let finding = Diagnostic::warning(code, message)
        .reason(format!("etcd works as long as a majority does: {} of {n}", n / 2 + 1))
        .help(help);
    report.push(scope.at(finding, &own(last), ""));
}

fn single_control_plane(scope: &Scope<'_>, hosts: &[&Host], report: &mut Report) {
    let [only] = hosts else { return };
    let message =
        format!("the cluster has one control plane, `{}`, and survives the loss of none", only.name);
    let finding = Diagnostic::warning(Code::SingleControlPlane, message)
        .reason("without an API server nothing is scheduled, healed or changed; beside an external etcd any number from two on survives the loss of all but one")
        .help("give two hosts or more the role `control-plane`");
    report.push(scope.at(finding, &own(only), ""));
}

fn balancers(scope: &Scope<'_>, control_planes: &[&Host], report: &mut Report) {
    let hosts = scope.with_role(Role::LoadBalancer);
    let mode = scope.cluster.load_balancer.mode;
    match (mode, hosts.as_slice()) {
        (LoadBalancerMode::Keepalived, []) => {
            let finding = Diagnostic::error(
                Code::RoleMissing,
                "no host has the role `load-balancer`, and `loadBalancer.mode` is keepalived",
            )
            .reason("the VIP would be on no host")
            .help("give two hosts `roles: [load-balancer]`, or set `loadBalancer.mode` to external or none");
            report.push(scope.at(finding, "loadBalancer.mode", ""));
        }
        (LoadBalancerMode::Keepalived, [only]) => {
            let message =
                format!("the cluster has one balancer, `{}`, and survives the loss of none", only.name);
            let finding = Diagnostic::warning(Code::SingleBalancer, message)
                .reason(
                    "with the only balancer gone no host reaches the VIP, however many control planes live",
                )
                .help("give a second host the role `load-balancer`");
            report.push(scope.at(finding, &own(only), ""));
        }
        (LoadBalancerMode::External | LoadBalancerMode::None, [first, ..]) => {
            let word = mode_word(mode);
            let message = format!(
                "{} the role `load-balancer`, and `loadBalancer.mode` is {word}",
                if hosts.len() == 1 {
                    format!("host `{}` has", first.name)
                } else {
                    format!("{} have", named(hosts.iter().map(|host| host.name.as_str())))
                }
            );
            let finding = Diagnostic::error(Code::BalancerUnused, message)
                .reason("khagen sets up balancers in mode keepalived only, so the host would get nothing for that role")
                .help("remove the role, or set `loadBalancer.mode: keepalived`");
            let finding = scope.at(finding, &path(first, "roles"), "");
            report.push(scope.also(finding, "loadBalancer.mode", word));
        }
        _ => {}
    }
    if mode == LoadBalancerMode::None && control_planes.len() > 1 {
        let message = format!(
            "`loadBalancer.mode` is none, and the cluster has {}",
            count(control_planes.len(), "control plane")
        );
        let finding = Diagnostic::error(Code::NoBalancer, message)
            .reason(
                "without a balancer controlPlaneEndpoint leads to one of them, and the others serve nobody",
            )
            .help("set `loadBalancer.mode` to keepalived or external, or keep one control plane");
        let finding = scope.at(finding, "loadBalancer.mode", "");
        report.push(match control_planes.get(1) {
            Some(second) => scope.also(finding, &own(second), "the second control plane"),
            None => finding,
        });
    }
}

pub(super) fn mode_word(mode: LoadBalancerMode) -> &'static str {
    match mode {
        LoadBalancerMode::Keepalived => "keepalived",
        LoadBalancerMode::External => "external",
        LoadBalancerMode::None => "none",
    }
}

/// A zone is what fails at once. Only zones that the user named are judged.
fn zones(scope: &Scope<'_>, report: &mut Report) {
    for (role, what) in [
        (Role::Etcd, "etcd members"),
        (Role::LoadBalancer, "balancers"),
        (Role::ControlPlane, "control planes"),
    ] {
        let hosts = scope.with_role(role);
        let n = hosts.len();
        let mut by_zone: BTreeMap<&str, Vec<&Host>> = BTreeMap::new();
        for host in hosts.iter().filter(|host| scope.sound(&[&path(host, "zone")])) {
            if let Some(zone) = &host.zone {
                by_zone.entry(zone).or_default().push(host);
            }
        }
        // One host is in one zone whatever one does; so are two members of three.
        let (least, fatal) = if role == Role::Etcd { (3, n / 2 + 1) } else { (2, n) };
        let Some((zone, within)) = by_zone.iter().find(|(_, within)| n >= least && within.len() >= fatal)
        else {
            continue;
        };
        let (message, reason, help) = if role == Role::Etcd {
            (
                format!("zone `{zone}` holds {} of {n} {what}", within.len()),
                format!("etcd needs {fatal} of {n} members, so it stops when that zone fails"),
                format!("spread the members over three zones or more, {} in one at most", n - fatal),
            )
        } else {
            (
                format!("zone `{zone}` holds all {n} {what}"),
                "they all fail when that zone does".to_owned(),
                "move one of them to another zone".to_owned(),
            )
        };
        let mut finding = Diagnostic::warning(Code::ZoneMajority, message).reason(reason).help(help);
        for host in within.iter().take(5) {
            finding = scope.also(finding, &path(host, "zone"), format!("`{}`", host.name));
        }
        report.push(finding);
    }
}
