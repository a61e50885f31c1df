//! The rollout as numbered steps, with what serves meanwhile.

use super::names::{Hosts, Names};
use crate::diff::change::ClusterDiff;
use crate::diff::rollout::{Action, Gate, Step};

/// One step.
pub struct StepView {
    /// What it is linked by.
    pub id: String,
    /// Counted from 1.
    pub number: usize,
    /// The word in a rollout file.
    pub action: String,
    /// The action as a person would say it.
    pub title: String,
    /// Whether it takes something away.
    pub grave: bool,
    /// Absent for what is done at the bastion.
    pub hosts: Option<Hosts>,
    /// How many are done at once.
    pub together: String,
    /// What happens.
    pub note: String,
    /// What must hold before.
    pub before: Vec<&'static str>,
    /// What is awaited after.
    pub after: Vec<&'static str>,
    /// Who serves.
    pub meters: Vec<Meter>,
    /// A pause, in words.
    pub gap: String,
    /// By hand.
    pub commands: String,
}

/// How many of how many serve.
pub struct Meter {
    /// Of what.
    pub what: &'static str,
    /// Up.
    pub up: usize,
    /// Of how many.
    pub all: usize,
    /// Whether some do not serve.
    pub short: bool,
    /// One for each, true for up; empty where there are too many to draw.
    pub dots: Vec<bool>,
}

/// In order.
pub fn steps(key: &str, cluster: &ClusterDiff, names: &mut Names) -> Vec<StepView> {
    cluster.rollout.steps.iter().map(|s| step(key, s, names)).collect()
}

fn step(key: &str, step: &Step, names: &mut Names) -> StepView {
    let gates = |all: &[Gate]| all.iter().map(|g| gate(*g)).collect();
    let meter = |what, of: Option<(usize, usize)>| {
        of.map(|(up, all)| Meter {
            what,
            up,
            all,
            short: up < all,
            dots: if all <= 9 { (0..all).map(|n| n < up).collect() } else { Vec::new() },
        })
    };
    StepView {
        id: format!("{key}-step-{}", step.number),
        number: step.number,
        action: step.action.name(),
        title: title(&step.action),
        grave: matches!(step.action, Action::DeleteNode | Action::MemberRemove | Action::Uninstall),
        hosts: (!step.hosts.is_empty()).then(|| names.list(&step.hosts)),
        together: match step.hosts.len() {
            0 => "at the bastion".to_owned(),
            1 => String::new(),
            n => format!("{n} together"),
        },
        note: step.note.clone(),
        before: gates(&step.before),
        after: gates(&step.after),
        meters: [
            meter("etcd", step.serving.etcd),
            meter("API servers", step.serving.api_servers),
            meter("balancers", step.serving.balancers),
        ]
        .into_iter()
        .flatten()
        .collect(),
        gap: if step.serving.gap_ms > 0 { pause(step.serving.gap_ms) } else { String::new() },
        commands: step.commands.join("\n"),
    }
}

/// Seconds, to a tenth.
pub fn pause(ms: u32) -> String {
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}

fn title(action: &Action) -> String {
    match action {
        Action::Install => "Install".to_owned(),
        Action::Up => "Install and bring up".to_owned(),
        Action::Reconfigure(procedure) => format!("Reconfigure: {procedure}"),
        Action::Drain => "Drain".to_owned(),
        Action::Uncordon => "Uncordon".to_owned(),
        Action::DeleteNode => "Delete the node".to_owned(),
        Action::MemberRemove => "Remove the etcd member".to_owned(),
        Action::Uninstall => "Uninstall".to_owned(),
        Action::Label => "Set labels and taints".to_owned(),
        Action::Manual => "By hand".to_owned(),
    }
}

fn gate(gate: Gate) -> &'static str {
    match gate {
        Gate::Etcd => "etcd is healthy",
        Gate::Api => "the API answers",
        Gate::Vip => "the VIP answers",
        Gate::Apiserver => "its API server is ready",
        Gate::Node => "its node is Ready",
        Gate::Verify => "verify.sh agrees",
    }
}
