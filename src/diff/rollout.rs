//! From changes to what an operator does: ordered steps, which hosts one at a time and which together, and what serves
//! meanwhile. Pure: it knows roles and effects, not files.

mod plan;
mod walk;

pub use plan::{Host, Options, plan};
pub use walk::file;

use std::sync::Arc;

use serde::Serialize;

/// The plan.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// In order.
    pub steps: Vec<Step>,
    /// Why it must not be walked; empty for a plan that can be.
    pub refused: Vec<String>,
    /// etcd members when it begins.
    pub etcd_members: Vec<Arc<str>>,
}

/// One step: all its hosts together, and nothing else meanwhile.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// Counted from 1.
    pub number: usize,
    /// What is done.
    pub action: Action,
    /// FQDNs; empty for what is done at the bastion.
    pub hosts: Vec<Arc<str>>,
    /// What must hold before.
    pub before: Vec<Gate>,
    /// What is awaited after.
    pub after: Vec<Gate>,
    /// What happens, in words.
    pub note: String,
    /// Who serves meanwhile.
    pub serving: Serving,
    /// By hand.
    pub commands: Vec<String>,
}

/// Who serves while a step is under way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Serving {
    /// etcd members that are up, of how many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etcd: Option<(usize, usize)>,
    /// API servers that are up, of how many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_servers: Option<(usize, usize)>,
    /// Balancers that are up, of how many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub balancers: Option<(usize, usize)>,
    /// For how long writes, or the VIP, may pause at most, in milliseconds; 0 for not at all.
    pub gap_ms: u32,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub enum Action {
    /// install.sh of the new bundle.
    Install,
    /// install.sh, then up.sh.
    Up,
    /// A procedure of reconfigure.sh.
    Reconfigure(&'static str),
    /// Pods leave the node.
    Drain,
    /// Pods may come to the node again.
    Uncordon,
    /// The node is taken out of the cluster.
    DeleteNode,
    /// The member is taken out of etcd.
    MemberRemove,
    /// uninstall.sh.
    Uninstall,
    /// Labels and taints by kubectl.
    Label,
    /// A person does it.
    Manual,
}

impl From<Action> for String {
    fn from(action: Action) -> String {
        action.name()
    }
}

impl Action {
    /// The word in a rollout file.
    pub fn name(&self) -> String {
        match self {
            Action::Install => "install".to_owned(),
            Action::Up => "up".to_owned(),
            Action::Reconfigure(procedure) => format!("reconfigure:{procedure}"),
            Action::Drain => "drain".to_owned(),
            Action::Uncordon => "uncordon".to_owned(),
            Action::DeleteNode => "delete-node".to_owned(),
            Action::MemberRemove => "member-remove".to_owned(),
            Action::Uninstall => "uninstall".to_owned(),
            Action::Label => "label".to_owned(),
            Action::Manual => "manual".to_owned(),
        }
    }
}

/// What must hold between steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Gate {
    /// Every member that should serve is healthy.
    Etcd,
    /// /readyz through the endpoint.
    Api,
    /// TLS through the VIP.
    Vip,
    /// /readyz on the step's hosts.
    Apiserver,
    /// The hosts' nodes are Ready.
    Node,
    /// verify.sh on the step's hosts.
    Verify,
}

impl Gate {
    /// The word in a rollout file.
    pub fn as_str(self) -> &'static str {
        match self {
            Gate::Etcd => "etcd",
            Gate::Api => "api",
            Gate::Vip => "vip",
            Gate::Apiserver => "apiserver",
            Gate::Node => "node",
            Gate::Verify => "verify",
        }
    }
}
