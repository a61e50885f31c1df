//! What is asked where arguments leave something open: one list for the dialogue and for the message without a terminal.

use super::draft::{Draft, KUBERNETES};
use super::hosts;
use crate::model::Role;

/// Something that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// The cluster's name.
    Name,
    /// The domain.
    Domain,
    /// Hosts of a role.
    Hosts(Role),
    /// The VIP.
    Vip,
    /// Its interface.
    Interface,
    /// The version.
    Kubernetes,
}

/// In the order of asking.
pub const ALL: [Question; 9] = [
    Question::Name,
    Question::Domain,
    Question::Hosts(Role::ControlPlane),
    Question::Hosts(Role::Etcd),
    Question::Hosts(Role::LoadBalancer),
    Question::Hosts(Role::Worker),
    Question::Vip,
    Question::Interface,
    Question::Kubernetes,
];

impl Question {
    /// The argument that answers it.
    pub fn flag(self) -> &'static str {
        match self {
            Question::Name => "--name",
            Question::Domain => "--domain",
            Question::Hosts(Role::ControlPlane) => "--control-plane",
            Question::Hosts(Role::Etcd) => "--etcd",
            Question::Hosts(Role::LoadBalancer) => "--load-balancer",
            Question::Hosts(Role::Worker) => "--worker",
            Question::Vip => "--vip",
            Question::Interface => "--interface",
            Question::Kubernetes => "--kubernetes",
        }
    }

    /// What is asked, and why.
    pub fn text(self) -> (&'static str, &'static str) {
        match self {
            Question::Name => {
                ("Name of the cluster", "kubectl and etcd know it by this name; a-z, 0-9 and `-`")
            }
            Question::Domain => (
                "Domain of the hosts",
                "short name and domain are a host's full name, which its certificates carry",
            ),
            Question::Hosts(Role::ControlPlane) => (
                "Control planes",
                "addresses, or NAME=ADDRESS, separated by commas; three survive the loss of one",
            ),
            Question::Hosts(Role::Etcd) => {
                ("etcd members", "an odd number; without an answer etcd runs on the control planes")
            }
            Question::Hosts(Role::LoadBalancer) => (
                "Balancers",
                "nginx and keepalived; two are enough; without an answer they run on the control planes",
            ),
            Question::Hosts(Role::Worker) => {
                ("Workers", "where pods run; without an answer they run on the control planes")
            }
            Question::Vip => (
                "Virtual address",
                "an unused address in the balancers' network, with its prefix length, such as 192.0.2.70/24",
            ),
            Question::Interface => (
                "Interface of the virtual address",
                "the balancers' interface in that network, as `ip -br link` shows it",
            ),
            Question::Kubernetes => ("Version of Kubernetes", "exact; nothing is looked up"),
        }
    }

    /// What an empty answer means; nothing where there must be one.
    pub fn fallback(self) -> Option<&'static str> {
        match self {
            Question::Name => Some("k8s"),
            Question::Hosts(Role::Etcd | Role::LoadBalancer | Role::Worker) => Some("the control planes"),
            Question::Kubernetes => Some(KUBERNETES),
            Question::Domain | Question::Hosts(Role::ControlPlane) | Question::Vip | Question::Interface => {
                None
            }
        }
    }

    /// Whether it is open.
    pub fn is_open(self, draft: &Draft) -> bool {
        match self {
            Question::Name => draft.name.is_none(),
            Question::Domain => draft.domain.is_none(),
            // One control plane needs no balancer before it.
            Question::Hosts(Role::LoadBalancer) => {
                draft.control_planes() > 1 && !draft.has(Role::LoadBalancer)
            }
            Question::Hosts(role) => !draft.has(role),
            Question::Vip => draft.has_vip() && draft.vip.is_none(),
            Question::Interface => draft.has_vip() && draft.interface.is_none(),
            Question::Kubernetes => draft.kubernetes.is_none(),
        }
    }

    /// Takes an answer; an empty one is the fallback.
    ///
    /// # Errors
    /// With what is wrong with it.
    pub fn answer(self, text: &str, draft: &mut Draft) -> Result<(), String> {
        let text = text.trim();
        if text.chars().any(char::is_control) {
            return Err("that is not one line of text".to_owned());
        }
        if text.is_empty() && self.fallback().is_none() {
            return Err("this has no default".to_owned());
        }
        let or = |fallback: Option<&str>| {
            Some(if text.is_empty() { fallback.unwrap_or_default().to_owned() } else { text.to_owned() })
        };
        match self {
            Question::Name => draft.name = or(self.fallback()),
            Question::Domain => draft.domain = or(None),
            Question::Vip => {
                text.parse::<ipnet::IpNet>().map_err(|_| {
                    format!("`{text}` is no address with a prefix length, such as 192.0.2.70/24")
                })?;
                draft.vip = or(None);
            }
            Question::Interface => draft.interface = or(None),
            Question::Kubernetes => draft.kubernetes = or(self.fallback()),
            Question::Hosts(role) if text.is_empty() => draft.share(role),
            Question::Hosts(role) => {
                // All of an answer or nothing of it, so that it can be given again.
                let mut machines = draft.machines.clone();
                for part in text.split(',').filter(|part| !part.trim().is_empty()) {
                    hosts::argument(part, role, &mut machines)?;
                }
                draft.machines = machines;
            }
        }
        Ok(())
    }
}

/// What arguments must say where nobody can be asked.
pub fn missing(draft: &Draft) -> Vec<Question> {
    ALL.into_iter()
        .filter(|question| question.is_open(draft) && !matches!(question, Question::Kubernetes))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_close_questions_in_order() {
        let mut draft = Draft::default();
        let mut asked = Vec::new();
        let answers =
            ["", "example.com", "10.0.0.1,10.0.0.2,10.0.0.3", "", "", "", "10.0.0.9/24", "eth0", ""];
        for answer in answers {
            let question = ALL.into_iter().find(|question| question.is_open(&draft)).expect("open");
            question.answer(answer, &mut draft).expect("an answer");
            asked.push(question);
        }
        assert_eq!(asked, ALL);
        assert!(ALL.iter().all(|question| !question.is_open(&draft)));
        assert_eq!(draft.machines.len(), 3);
        assert!(draft.machines.iter().all(|machine| machine.roles == Role::ALL), "{draft:?}");
    }

    #[test]
    fn one_control_plane_needs_neither_balancer_nor_vip() {
        let mut draft = Draft::default();
        Question::Hosts(Role::ControlPlane).answer("10.0.0.1", &mut draft).expect("an answer");
        assert!(!missing(&draft).contains(&Question::Vip));
        assert!(!missing(&draft).contains(&Question::Hosts(Role::LoadBalancer)));
    }

    #[test]
    fn wrong_answers_leave_everything_as_it_was() {
        let mut draft = Draft::default();
        assert!(Question::Hosts(Role::Etcd).answer("10.0.0.1,x", &mut draft).is_err());
        assert!(Question::Domain.answer("", &mut draft).is_err());
        assert!(Question::Vip.answer("10.0.0.1", &mut draft).is_err());
        assert!(draft.machines.is_empty() && draft.vip.is_none());
    }
}
