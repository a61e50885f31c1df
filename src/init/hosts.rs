//! Hosts from arguments and from a plain list: `NAME=ADDRESS`, or a line of name, address and roles.

use std::net::IpAddr;

use super::{Machine, split_name};
use crate::model::Role;

/// Reads `NAME=ADDRESS`, or an address alone, which gets the next name of its role.
///
/// # Errors
/// With what is wrong, for a person.
pub fn argument(text: &str, role: Role, machines: &mut Vec<Machine>) -> Result<(), String> {
    let text = text.trim();
    let (name, address) = match text.split_once('=') {
        Some((name, address)) => (Some(split_name(name.trim()).0), address.trim()),
        None => (None, text),
    };
    let Ok(address) = address.parse::<IpAddr>() else {
        return Err(format!(
            "`{text}` is no address; write NAME=ADDRESS, such as {}1=192.0.2.11",
            stem(role)
        ));
    };
    place(name, address, &[role], machines)
}

/// Adds a machine, or roles to one that is there already by its address.
///
/// # Errors
/// When a name is given to two machines, or two names to one.
pub fn place(
    name: Option<String>,
    address: IpAddr,
    roles: &[Role],
    machines: &mut Vec<Machine>,
) -> Result<(), String> {
    let at = match machines.iter().position(|machine| machine.address == address) {
        Some(at) => at,
        None => {
            let stem = roles.first().map_or("node", |role| stem(*role));
            let named = name.clone().unwrap_or_else(|| free(stem, machines));
            if machines.iter().any(|machine| machine.name == named) {
                return Err(format!("`{named}` is the name of two hosts"));
            }
            machines.push(Machine::new(named, address));
            machines.len() - 1
        }
    };
    let machine = &mut machines[at];
    if let Some(name) = name.filter(|name| *name != machine.name) {
        return Err(format!("{address} is the address of both `{}` and `{name}`", machine.name));
    }
    roles.iter().for_each(|role| machine.add(*role));
    Ok(())
}

fn stem(role: Role) -> &'static str {
    match role {
        Role::Etcd => "etcd",
        Role::LoadBalancer => "lb",
        Role::ControlPlane => "cp",
        Role::Worker => "worker",
    }
}

fn free(stem: &str, machines: &[Machine]) -> String {
    let taken = |name: &String| machines.iter().any(|machine| machine.name == *name);
    (1..).map(|number| format!("{stem}{number}")).find(|name| !taken(name)).unwrap_or_default()
}

/// Reads a list: a host on a line as name, address, roles; `#` begins a comment. Returns the machines and their domain.
///
/// # Errors
/// With the line.
pub fn list(text: &str) -> Result<(Vec<Machine>, Option<String>), String> {
    let mut machines = Vec::new();
    let mut domains = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default();
        let words: Vec<&str> = line.split([' ', '\t', ',', ';']).filter(|word| !word.is_empty()).collect();
        let failed = |what: String| format!("line {}: {what}", number + 1);
        let [name, address, roles @ ..] = words.as_slice() else {
            if words.is_empty() {
                continue;
            }
            return Err(failed("write a name, an address and roles".to_owned()));
        };
        let (short, domain) = split_name(name);
        let address = address.parse::<IpAddr>().map_err(|_| failed(format!("`{address}` is no address")))?;
        let roles = roles.iter().map(|word| role(word).map_err(&failed)).collect::<Result<Vec<Role>, _>>()?;
        if roles.is_empty() {
            return Err(failed(format!("`{name}` has no role: {}", names())));
        }
        domains.push(domain);
        place(Some(short), address, &roles, &mut machines).map_err(failed)?;
    }
    Ok((machines, one_domain(&domains)))
}

/// The domain that all names have.
pub fn one_domain(domains: &[Option<String>]) -> Option<String> {
    let first = domains.first()?.as_ref()?;
    domains.iter().all(|domain| domain.as_ref() == Some(first)).then(|| first.clone())
}

fn names() -> String {
    Role::ALL.map(Role::as_str).join(", ")
}

/// A role by its name, or one of those that others use for it.
fn role(word: &str) -> Result<Role, String> {
    let plain = word.to_ascii_lowercase().replace('_', "-");
    Role::parse(&plain)
        .or(match plain.as_str() {
            "lb" | "balancer" | "loadbalancer" | "vip" => Some(Role::LoadBalancer),
            "master" | "controlplane" | "cp" | "kube-control-plane" => Some(Role::ControlPlane),
            "node" | "kube-node" => Some(Role::Worker),
            _ => None,
        })
        .ok_or_else(|| format!("`{word}` is no role: {}", names()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_gives_machines_and_their_domain() {
        let text = "# all\nk8setcd1.lab.example.com 10.0.0.1 etcd # disk\n\nM1.lab.example.com\t10.0.0.2 master,worker\n";
        let (machines, domain) = list(text).expect("a list");
        assert_eq!(domain.as_deref(), Some("lab.example.com"));
        assert_eq!(machines[1].name, "m1");
        assert_eq!(machines[1].roles, [Role::ControlPlane, Role::Worker]);
    }

    #[test]
    fn what_is_no_list_is_said_with_its_line() {
        for (text, said) in [
            ("a\n", "line 1: write a name"),
            ("a 10.0.0.1\n", "line 1: `a` has no role"),
            ("\na x etcd\n", "line 2: `x` is no address"),
            ("a 10.0.0.1 boss\n", "`boss` is no role"),
            ("a 10.0.0.1 etcd\na 10.0.0.2 etcd\n", "line 2: `a` is the name of two hosts"),
            ("a 10.0.0.1 etcd\nb 10.0.0.1 etcd\n", "both `a` and `b`"),
        ] {
            let error = list(text).expect_err(text);
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn the_same_address_in_two_roles_is_one_machine() {
        let mut machines = Vec::new();
        for (text, role) in
            [("a=10.0.0.1", Role::Etcd), ("10.0.0.1", Role::Worker), ("10.0.0.2", Role::Worker)]
        {
            argument(text, role, &mut machines).expect("a host");
        }
        assert_eq!(machines.len(), 2);
        assert_eq!((machines[0].roles.len(), machines[1].name.as_str()), (2, "worker1"));
        assert!(
            argument("node9", Role::Worker, &mut machines).expect_err("no address").contains("NAME=ADDRESS")
        );
    }
}
