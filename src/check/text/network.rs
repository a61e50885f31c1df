//! Addresses, networks, endpoints.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::{Fault, Read, names};
use crate::diag::Code;
use crate::model::{Endpoint, Family, Subnets};

const ADDRESS_EXAMPLES: &str = "write an address such as 192.0.2.10 or 2001:db8::10";

/// IPv4 with leading zeros, without them. inet_aton reads `013` as octal 11, most others as 13.
fn without_zeros(text: &str) -> Option<Ipv4Addr> {
    let plain: Vec<String> = text
        .split('.')
        .map(|part| {
            let trimmed = part.trim_start_matches('0');
            if trimmed.is_empty() && !part.is_empty() { "0".to_owned() } else { trimmed.to_owned() }
        })
        .collect();
    let address = plain.join(".").parse().ok()?;
    (plain.join(".") != text).then_some(address)
}

fn leading_zeros(text: &str, meant: &str) -> Fault {
    Fault::new(
        Code::NotAnAddress,
        format!("the address in `{text}` has leading zeros"),
        "some programs read such a number as octal, others as decimal, and the API server refuses it",
        format!("write {meant} if decimal numbers are meant"),
    )
}

/// An IP address: no zone, no port, no prefix length, no IPv4 inside IPv6.
pub fn address(text: &str) -> Read<IpAddr> {
    match text.parse::<IpAddr>() {
        Ok(IpAddr::V6(v6)) if v6.to_ipv4_mapped().is_some() => {
            let inner = v6.to_ipv4_mapped().map(|v4| v4.to_string()).unwrap_or_default();
            Err(Fault::new(
                Code::NotAnAddress,
                format!("`{text}` is an IPv4 address in the form of an IPv6 one"),
                "programs differ on which family it belongs to",
                format!("write {inner}"),
            ))
        }
        Ok(ip) => Ok(ip),
        Err(_) => Err(no_address(text)),
    }
}

fn no_address(text: &str) -> Fault {
    if let Some(meant) = without_zeros(text) {
        return leading_zeros(text, &meant.to_string());
    }
    let help = if let Ok(net) = text.parse::<IpNet>() {
        format!("write {} without the prefix length", net.addr())
    } else if let Ok(socket) = text.parse::<std::net::SocketAddr>() {
        format!("write {} without the port", socket.ip())
    } else if let Some(bare) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        format!("write {bare} without the brackets")
    } else {
        ADDRESS_EXAMPLES.to_owned()
    };
    let reason = "hosts are told apart by address, and no name is looked up at compile time";
    Fault::new(Code::NotAnAddress, format!("`{text}` is not an IP address"), reason, help)
}

/// A DNS name or an address.
pub fn host_or_address(text: &str) -> Read<String> {
    // Digits and dots alone are never meant as a name; WHATWG's and the C library's readers take them for an address.
    let numeric = text.contains(':') || text.bytes().all(|c| c.is_ascii_digit() || c == b'.');
    if numeric { address(text).map(|ip| ip.to_string()) } else { names::dns_name(text) }
}

/// Splits and reads a CIDR; host bits stay. Not by ipnet's own reader, which takes leading zeros.
fn cidr(text: &str, example: &str) -> Read<IpNet> {
    let reason = "a network is an address and the length of its prefix";
    let fault = |message: String, help: String| Err(Fault::new(Code::NotANetwork, message, reason, help));
    let Some((left, length)) = text.split_once('/') else {
        return match text.parse::<IpAddr>() {
            Ok(ip) => fault(
                format!("`{text}` has no prefix length"),
                format!("write {ip}/{} or another length", if ip.is_ipv4() { 24 } else { 64 }),
            ),
            Err(_) => fault(format!("`{text}` is not a network in CIDR form"), example.to_owned()),
        };
    };
    if let Some(meant) = without_zeros(left) {
        return Err(leading_zeros(text, &format!("{meant}/{length}")));
    }
    let Ok(ip) = left.parse::<IpAddr>() else {
        return fault(format!("`{text}` is not a network in CIDR form"), example.to_owned());
    };
    address(left)?;
    let plain = length.bytes().all(|c| c.is_ascii_digit()) && (length == "0" || !length.starts_with('0'));
    match length.parse::<u8>().ok().filter(|_| plain).and_then(|length| IpNet::new(ip, length).ok()) {
        Some(net) => Ok(net),
        None => fault(
            format!("`{length}` is not a prefix length"),
            format!("write a number from 0 to {}", if ip.is_ipv4() { 32 } else { 128 }),
        ),
    }
}

/// An address and the prefix length of its network.
pub fn address_in_network(text: &str) -> Read<IpNet> {
    cidr(text, "write an address and its prefix length, such as 192.0.2.70/24 or 2001:db8::70/64")
}

/// A network without host bits.
pub fn network(text: &str) -> Read<IpNet> {
    let net = cidr(text, "write a network such as 10.0.0.0/16 or 2001:db8::/64")?;
    if net.addr() == net.network() {
        return Ok(net);
    }
    Err(Fault::new(
        Code::HostBits,
        format!("`{text}` has bits set past its prefix of {}", net.prefix_len()),
        "one reader takes it for an address, another for a network, and the API server refuses it from 1.36 on",
        format!("write {} for the network, or another prefix length", net.trunc()),
    ))
}

/// One network, or one of each family joined by a comma.
pub fn subnets(text: &str) -> Read<Subnets> {
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    let nets = parts.iter().map(|part| network(part)).collect::<Read<Vec<IpNet>>>()?;
    one_of_each(nets.iter().map(IpNet::addr), text)?;
    Ok(Subnets(nets))
}

/// Says whether there is one of a family, or one of each.
pub fn one_of_each(addresses: impl Iterator<Item = IpAddr>, text: &str) -> Read<()> {
    let families: Vec<Family> = addresses.map(Family::of).collect();
    match families[..] {
        [_] => Ok(()),
        [a, b] if a != b => Ok(()),
        _ => Err(Fault::new(
            Code::FamilyPair,
            format!("`{text}` is neither one nor one of each family"),
            "a cluster uses IPv4, IPv6, or both: then one of each, the primary one first",
            "keep one, or one of IPv4 and one of IPv6",
        )),
    }
}

/// `host`, `host:port`, `[v6]:port` or a bare IPv6 address; the port may be left out.
pub fn endpoint(text: &str) -> Read<(String, Option<u16>)> {
    let reason =
        "every kubeconfig connects to it: a DNS name in lower case or an address, and a port from 1 to 65535";
    let fault = |message: String, help: &str| Err(Fault::new(Code::BadEndpoint, message, reason, help));
    if text.contains("://") {
        let bare = text.split("://").nth(1).unwrap_or_default().trim_end_matches('/');
        return fault(format!("`{text}` is a URL"), &format!("write `{bare}`"));
    }
    if let Ok(ip) = text.parse::<IpAddr>() {
        return address(text).map(|_| (ip.to_string(), None));
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((host, "")) => (host, None),
            Some((host, port)) if port.starts_with(':') => (host, Some(&port[1..])),
            _ => {
                return fault(
                    format!("the bracket in `{text}` does not close before the port"),
                    "write [address]:port",
                );
            }
        },
        None => match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = match port {
        None => None,
        Some(port) => match port.parse::<u16>() {
            Ok(number) if number > 0 && !port.starts_with(['0', '+']) => Some(number),
            _ => return fault(format!("`{port}` in `{text}` is not a port"), "write a port from 1 to 65535"),
        },
    };
    if text.starts_with('[') {
        return match host.parse::<std::net::Ipv6Addr>() {
            Ok(ip) => address(&ip.to_string()).map(|ip| (ip.to_string(), port)),
            Err(_) => {
                fault(format!("`{host}` is not an IPv6 address"), "brackets are for IPv6 addresses only")
            }
        };
    }
    if host.contains(':') {
        return fault(
            format!("`{text}` is not an endpoint"),
            "write an IPv6 address with a port as [address]:port",
        );
    }
    let host = host_or_address(host).map_err(|inner| Fault {
        code: Code::BadEndpoint,
        reason: reason.to_owned(),
        ..inner
    })?;
    Ok((host, port))
}

/// An endpoint with a port, the given one where it says none.
pub fn endpoint_with(text: &str, port: u16) -> Read<Endpoint> {
    endpoint(text).map(|(host, own)| Endpoint { host, port: own.unwrap_or(port) })
}
