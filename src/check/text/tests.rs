//! Tables of what single values may say.

use super::*;
use crate::check::text::{names, network, quantity};

fn accepts<T: std::fmt::Debug>(read: impl Fn(&str) -> Read<T>, texts: &[&str]) {
    for text in texts {
        assert!(read(text).is_ok(), "{text:?}: {:?}", read(text));
    }
}

fn refuses<T: std::fmt::Debug>(read: impl Fn(&str) -> Read<T>, code: Code, texts: &[&str]) {
    for text in texts {
        match read(text) {
            Err(fault) => {
                assert_eq!(fault.code, code, "{text:?}");
                let way_out = !fault.reason.is_empty() || !fault.help.is_empty();
                assert!(!fault.message.is_empty() && way_out, "{text:?}: {fault:?}");
            }
            Ok(value) => panic!("{text:?} was taken for {value:?}"),
        }
    }
}

fn help<T: std::fmt::Debug>(read: Read<T>) -> String {
    read.unwrap_err().help
}

#[test]
fn host_names_are_dns_1123_labels() {
    let long = "a".repeat(63);
    accepts(names::label, &["a", "k8smaster1", "a-b", "1", "0a0", &long]);
    let longer = "a".repeat(64);
    refuses(names::label, Code::NotALabel, &["", "-a", "a-", "A", "a_b", "a.b", "ä", "a b", &longer, "a\n"]);
    assert_eq!(help(names::label("K8S_Master1")), "write `k8s-master1`");
    assert_eq!(help(names::label("ä")), "");
    assert!(help(names::label("n1.example.net")).ends_with("`n1` alone, with the rest in `domain`"));
}

#[test]
fn domains_are_dns_1123_subdomains() {
    accepts(names::dns_name, &["a", "example.com", "a.b.c-d.e1", "cluster.local"]);
    let long = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(62)].join(".");
    refuses(
        names::dns_name,
        Code::NotADnsName,
        &["", ".", "a.", ".a", "a..b", "A.b", "a_b.c", "*.a", "-a.b", "a-.b", &long],
    );
    assert_eq!(help(names::dns_name("Example.COM.")), "write `example.com`");
}

#[test]
fn interfaces_are_what_the_kernel_takes() {
    accepts(
        names::interface,
        &["ens33", "eth0.100", "bond0", "enp0s31f6", "123456789012345", "wg-k8s", "..a"],
    );
    refuses(
        names::interface,
        Code::BadInterface,
        &["", ".", "..", "1234567890123456", "a/b", "eth0:1", "a b", "a\tb", "eth%d", "ünter", "a\"b"],
    );
}

#[test]
fn paths_are_absolute_and_clean() {
    accepts(names::path, &["/a", "/etc/kubernetes/audit.yaml", "/a/b_c/d@e+f-g", "/.../x"]);
    refuses(
        names::path,
        Code::BadPath,
        &["", "/", "a", "./a", "/a/", "/a//b", "/a/./b", "/a/../b", "/a b", "/a;b", "/a$b", "/ä", "/a\n"],
    );
    accepts(names::source, &["audit.yaml", "a/b c.txt", "ä"]);
    refuses(
        names::source,
        Code::BadPath,
        &["", "/etc/passwd", "../x", "a/../../b", "./a", "a//b", "a/", "a\0b"],
    );
}

#[test]
fn addresses_are_plain() {
    accepts(network::address, &["192.168.13.61", "0.0.0.0", "::1", "2001:DB8::1", "fe80::1"]);
    refuses(
        network::address,
        Code::NotAnAddress,
        &[
            "",
            "1.2.3",
            "1.2.3.256",
            "1.2.3.04",
            "host",
            "1.2.3.4/24",
            "1.2.3.4:80",
            "[::1]",
            "fe80::1%eth0",
            "::ffff:1.2.3.4",
            " 1.2.3.4",
        ],
    );
    assert_eq!(help(network::address("192.168.013.061")), "write 192.168.13.61 if decimal numbers are meant");
    assert_eq!(help(network::address("10.0.0.1/8")), "write 10.0.0.1 without the prefix length");
    assert_eq!(help(network::address("[2001:db8::1]:22")), "write 2001:db8::1 without the port");
}

#[test]
fn networks_have_no_host_bits_and_a_vip_keeps_them() {
    accepts(network::network, &["10.0.0.0/8", "0.0.0.0/0", "2001:db8::/32", "192.0.2.1/32"]);
    refuses(network::network, Code::HostBits, &["10.1.2.3/16", "2001:db8::1/64"]);
    refuses(
        network::network,
        Code::NotANetwork,
        &[
            "",
            "10.0.0.0",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.0/",
            "a/8",
            "10.0.0.0/255.0.0.0",
            "10.0.0.0/8/8",
            "10.0.0.0/08",
            "10.0.0.0/+8",
        ],
    );
    refuses(network::network, Code::NotAnAddress, &["010.0.0.0/8", "::ffff:10.0.0.0/104"]);
    assert_eq!(
        help(network::network("10.1.2.3/16")),
        "write 10.1.0.0/16 for the network, or another prefix length"
    );
    accepts(network::address_in_network, &["192.168.13.70/24", "2001:db8::70/64"]);
}

#[test]
fn subnets_are_one_or_one_of_each_family() {
    accepts(network::subnets, &["10.0.0.0/8", "10.0.0.0/8,fd00::/48", "fd00::/48, 10.0.0.0/8"]);
    refuses(network::subnets, Code::FamilyPair, &["10.0.0.0/8,11.0.0.0/8", "10.0.0.0/8,fd00::/48,fd01::/48"]);
    refuses(network::subnets, Code::NotANetwork, &["", "10.0.0.0/8,", ","]);
}

#[test]
fn endpoints_are_kubeadms() {
    for (text, host, port) in [
        ("k8sapi.isociel.com:6443", "k8sapi.isociel.com", Some(6443)),
        ("k8sapi", "k8sapi", None),
        ("192.168.13.70:6443", "192.168.13.70", Some(6443)),
        ("192.168.13.70", "192.168.13.70", None),
        ("[2001:DB8::70]:6443", "2001:db8::70", Some(6443)),
        ("[2001:db8::70]", "2001:db8::70", None),
        ("2001:db8::70", "2001:db8::70", None),
    ] {
        assert_eq!(network::endpoint(text), Ok((host.to_owned(), port)), "{text}");
    }
    refuses(
        network::endpoint,
        Code::BadEndpoint,
        &[
            "",
            "https://api.example.com:6443",
            "API.example.com",
            "a_b.example.com:6443",
            "api:0",
            "api:65536",
            "api:",
            "api:x",
            "api:+1",
            "api:06443",
            "[::1",
            "[::1]x",
            "[api]:6443",
            "1.2.3.4.5:6443",
            "1:2:3",
            "*.example.com",
            "192.168.013.70:6443",
            "api:6443/x",
        ],
    );
    assert_eq!(help(network::endpoint("https://api.example.com:6443/")), "write `api.example.com:6443`");
}

#[test]
fn versions_are_exact() {
    accepts(quantity::version, &["1.36.5", "v1.36.5", "3.6.14", "1.36.0"]);
    refuses(
        quantity::version,
        Code::BadVersion,
        &["", "1.36", "1", "latest", "stable-1", "1.36.5-rc.0", "1.36.05", "1.36.5.1", "1.36.x", "v", "1..2"],
    );
    assert_eq!(help(quantity::version("1.36")), "add the patch level, such as 1.36.1");
}

#[test]
fn times_have_units() {
    for (text, seconds) in [
        ("1y", 31_536_000),
        ("10y", 315_360_000),
        ("90d", 7_776_000),
        ("2w", 1_209_600),
        ("8760h", 31_536_000),
        ("1h30m", 5400),
        ("1d1h1m1s", 90061),
        ("0s", 0),
    ] {
        assert_eq!(quantity::duration(text), Ok(seconds), "{text}");
    }
    refuses(
        quantity::duration,
        Code::BadDuration,
        &[
            "",
            "1",
            "h",
            "1x",
            "1h1h",
            "1m1h",
            "-1h",
            "1.5h",
            "1 h",
            "99999999999999999999s",
            "9999999999999y",
            "1ms",
        ],
    );
    refuses(
        |text| quantity::duration_within(text, 86400, 864_000, 86400),
        Code::BadDuration,
        &["0d", "11d", "36h"],
    );
    assert_eq!(quantity::duration_within("24h", 86400, 864_000, 86400), Ok(86400));
    for (seconds, text) in
        [(0, "0s"), (59, "59s"), (60, "1m0s"), (900, "15m0s"), (86400, "24h0m0s"), (5400, "1h30m0s")]
    {
        assert_eq!(quantity::go_duration(seconds), text);
    }
}

#[test]
fn sizes_modes_and_retentions() {
    for (text, bytes) in
        [("0", 0), ("8GiB", 8 << 30), ("512 MiB", 512 << 20), ("8589934592", 8 << 30), ("4KiB", 4096)]
    {
        assert_eq!(quantity::size(text), Ok(bytes), "{text}");
    }
    refuses(
        quantity::size,
        Code::BadSize,
        &["", "8G", "8GB", "GiB", "-1", "1.5GiB", "101GiB", "99999999999999999999"],
    );
    for (text, bits) in [("0644", 0o644), ("644", 0o644), ("0o600", 0o600), ("000", 0)] {
        assert_eq!(quantity::mode(text), Ok(bits), "{text}");
    }
    refuses(quantity::mode, Code::BadMode, &["", "64", "0888", "4755", "1777", "rw-r--r--", "00644", "+644"]);
    accepts(quantity::retention, &["8", "8h", "30m", "1000"]);
    refuses(quantity::retention, Code::BadDuration, &["", "8d", "-1", "x", "1h1h"]);
}

#[test]
fn timers_are_systemds() {
    accepts(
        quantity::calendar,
        &[
            "daily",
            "hourly",
            "*-*-* 03:00:00",
            "03:00",
            "*:0/15",
            "Mon..Fri 02:30",
            "Sat,Sun *-*-* 04:00 UTC",
            "Mon *-*-01,15 00:00:00 Europe/Berlin",
            "*-*~03",
            "2027-01-01",
            "*-*-* 00/6:00:00",
        ],
    );
    refuses(
        quantity::calendar,
        Code::BadCalendar,
        &[
            "",
            "daly",
            "24:00",
            "*-13-01",
            "every day",
            "0 3 * * *",
            "03:00; rm",
            "daily\n",
            " daily",
            "*-*-* 03",
            "Mon..Foo 02:30",
            "*:0/0",
        ],
    );
}

#[test]
fn taints_labels_and_effects() {
    let read = names::taint("dedicated=gpu:NoSchedule").unwrap();
    assert_eq!((&*read.key, &*read.value, &*read.effect), ("dedicated", "gpu", "NoSchedule"));
    accepts(
        names::taint,
        &["node-role.kubernetes.io/control-plane:NoSchedule", "a=:NoExecute", "a:PreferNoSchedule"],
    );
    refuses(
        names::taint,
        Code::BadTaint,
        &["", "a", "a=b", "a=b:Never", "=b:NoSchedule", "a=b c:NoSchedule", "a:b:c"],
    );
    accepts(names::label_key, &["a", "example.com/a_b.c", "A-1"]);
    refuses(names::label_key, Code::BadNodeLabel, &["", "/a", "a/", "a/b/c", "Ex.com/a", "-a", "a b"]);
    accepts(names::label_value, &["", "a", "Rack_1.a"]);
    refuses(names::label_value, Code::BadNodeLabel, &["-a", "a b", &"a".repeat(64), "ä"]);
    assert_eq!(names::effect("none"), Ok(None));
    let read = names::effect("restart kubelet.service").unwrap().unwrap();
    assert!(read.restart && read.unit == "kubelet.service");
    assert!(!names::effect("reload a@b.service").unwrap().unwrap().restart);
    refuses(
        names::effect,
        Code::BadEffect,
        &["", "restart", "restart kubelet", "stop a.service", "restart a b.service", "restart .service"],
    );
}

#[test]
fn names_for_other_programs() {
    accepts(names::user, &["root", "etcd", "_apt", "a-b1"]);
    refuses(names::user, Code::BadUser, &["", "0", "1a", "Root", "a b", "a:b", "-a", &"a".repeat(33)]);
    accepts(names::argument_name, &["audit-log-maxage", "v"]);
    refuses(names::argument_name, Code::BadText, &["", "--v", "a=b", "A", "1a", "a b"]);
    assert_eq!(help(names::argument_name("--audit-log-maxage=30")), "write `audit-log-maxage`");
    accepts(names::sysctl, &["vm.swappiness", "net.ipv4.conf.eth0/100.rp_filter", "net.core.somaxconn"]);
    refuses(names::sysctl, Code::BadText, &["", "vm", "vm..x", ".vm.x", "vm.x=1", "/proc/sys/vm.x", "a b.c"]);
    accepts(
        names::image_repository,
        &["registry.k8s.io", "registry.example.com:5000/a/b-c", "localhost/k8s"],
    );
    refuses(
        names::image_repository,
        Code::BadText,
        &["", "https://a.b", "A.b/c", "a.b/C", "a.b/c:tag", "a.b/", "a.b:0/c", "a.b//c"],
    );
    accepts(names::preflight_check, &["NumCPU", "all", "FileAvailable--etc-kubernetes-manifests-etcd.yaml"]);
    refuses(names::preflight_check, Code::BadText, &["", "a b", "a,b"]);
    refuses(names::camel, Code::BadText, &["", "a-b", "a.b"]);
    refuses(names::line, Code::BadText, &["", " ", "a\nb"]);
    refuses(names::argument, Code::BadText, &["a\nb"]);
}
