//! No network in khagen: no crate in its tree opens a socket, and no source of its own names one.

mod support;

use std::fs;

/// Crates whose purpose is the network. The same list as deny.toml's.
const BANNED: [&str; 15] = [
    "tokio",
    "async-std",
    "smol",
    "mio",
    "socket2",
    "hyper",
    "reqwest",
    "ureq",
    "curl",
    "attohttpc",
    "native-tls",
    "rustls",
    "openssl-sys",
    "trust-dns-resolver",
    "hickory-resolver",
];

#[test]
fn no_crate_in_the_tree_opens_a_socket() {
    let lock = fs::read_to_string(support::root().join("Cargo.lock")).expect("Cargo.lock");
    let names: Vec<&str> =
        lock.lines().filter_map(|l| l.strip_prefix("name = \"")?.strip_suffix('"')).collect();
    assert!(names.len() > 50, "{}", names.len());
    let deny = fs::read_to_string(support::root().join("deny.toml")).expect("deny.toml");
    for banned in BANNED {
        assert!(!names.contains(&banned), "{banned} is in Cargo.lock");
        assert!(deny.contains(&format!("crate = \"{banned}\"")), "deny.toml does not name {banned}");
    }
}

#[test]
fn no_source_names_a_socket() {
    let types = [
        "TcpStream",
        "TcpListener",
        "UdpSocket",
        "UnixStream",
        "UnixListener",
        "UnixDatagram",
        "ToSocketAddrs",
    ];
    let mut read = 0;
    for (path, bytes) in support::tree(&support::root().join("src")) {
        // The loader's tests make a socket to see that it is refused.
        if path.ends_with("tests.rs") || path.contains("/tests/") {
            continue;
        }
        let source = support::text(&bytes);
        for name in types {
            assert!(!source.contains(name), "{path} names {name}");
        }
        read += 1;
    }
    assert!(read > 40, "{read}");
}
