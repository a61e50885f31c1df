//! What `khagen init` proposes: from arguments, answers, a list of hosts or an Ansible inventory to a commented inventory.
//!
//! Pure text to text. Whether the proposal is valid is not decided here: the command holds it against the check like any
//! other inventory. Nothing here reads a file, asks or prints.

pub mod ansible;
pub mod draft;
pub mod hosts;
pub mod questions;
pub mod write;

use std::net::IpAddr;

use crate::model::Role;

/// A machine of a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Short name.
    pub name: String,
    /// Its address.
    pub address: IpAddr,
    /// In order, each once.
    pub roles: Vec<Role>,
    /// Where the bastion reaches it, if elsewhere.
    pub ssh_address: Option<String>,
    /// Who logs in, if not root.
    pub ssh_user: Option<String>,
    /// Where sshd listens, if not at 22.
    pub ssh_port: Option<u16>,
}

impl Machine {
    /// A machine with an address and nothing else.
    pub fn new(name: String, address: IpAddr) -> Machine {
        Machine { name, address, roles: Vec::new(), ssh_address: None, ssh_user: None, ssh_port: None }
    }

    /// Adds a role, once.
    pub fn add(&mut self, role: Role) {
        if !self.roles.contains(&role) {
            self.roles.push(role);
            self.roles.sort();
        }
    }
}

/// A host's name as the inventory takes it: the part before the first dot, in lower case, and the domain after it.
pub fn split_name(text: &str) -> (String, Option<String>) {
    let lower = text.to_ascii_lowercase().replace('_', "-");
    match lower.split_once('.') {
        Some((short, domain)) => (short.to_owned(), Some(domain.to_owned())),
        None => (lower, None),
    }
}
