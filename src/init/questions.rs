//! What is asked where arguments leave something open: one list for the dialogue and for the message without a terminal.

use ipnet::IpNet;

use super::draft::{Draft, KUBERNETES};
use super::hosts;
use crate::check::text;
use crate::model::Role;
use crate::model::Version;
use crate::model::releases;
use crate::schema::Format;

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
                ("Name of the cluster", "kubectl and etcd know it by this name: a-z, 0-9 and `-`.")
            }
            Question::Domain => (
                "Domain of the hosts",
                "A host's full name, which its certificates carry, is its short name and this.",
            ),
            Question::Hosts(Role::ControlPlane) => (
                "Control planes",
                "Addresses, or NAME=ADDRESS, with commas between them. Three survive the loss of one.",
            ),
            Question::Hosts(Role::Etcd) => {
                ("etcd members", "An odd number. Enter alone: etcd runs on the control planes.")
            }
            Question::Hosts(Role::LoadBalancer) => (
                "Balancers",
                "nginx and keepalived. Two are enough. Enter alone: they run on the control planes.",
            ),
            Question::Hosts(Role::Worker) => {
                ("Workers", "Where pods run. Enter alone: they run on the control planes.")
            }
            Question::Vip => (
                "Virtual address",
                "An unused address in the balancers' network, with its prefix length, such as 192.0.2.70/24. keepalived moves it between them.",
            ),
            Question::Interface => (
                "Interface of the virtual address",
                "The balancers' interface in that network, as `ip -br link` shows it.",
            ),
            Question::Kubernetes => ("Version of Kubernetes", "Exact: nothing is looked up."),
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
        if let Some(format) = self.format().filter(|_| !text.is_empty()) {
            text::judge(format, text).map_err(|fault| match fault.help.as_str() {
                "" => fault.message,
                help => format!("{}: {help}", fault.message),
            })?;
        }
        match self {
            Question::Name => draft.name = or(self.fallback()),
            Question::Domain => draft.domain = or(None),
            Question::Vip => {
                vip(text, draft)?;
                draft.vip = or(None);
            }
            Question::Interface => draft.interface = or(None),
            Question::Kubernetes => {
                let chosen = or(self.fallback());
                known(chosen.as_deref().unwrap_or_default())?;
                draft.kubernetes = chosen;
            }
            Question::Hosts(role) if text.is_empty() => draft.share(role),
            Question::Hosts(role) => {
                // All of an answer or nothing of it, so that it can be given again.
                let mut machines = draft.machines.clone();
                let mut given = 0;
                for part in text.split([',', ' ']).filter(|part| !part.is_empty()) {
                    hosts::argument(part, role, &mut machines)?;
                    given += 1;
                    if machines.iter().filter(|machine| machine.roles.contains(&role)).count() < given {
                        return Err(format!("`{part}` is a host that was named before it"));
                    }
                }
                draft.machines = machines;
            }
        }
        Ok(())
    }

    /// What an answer must look like, where that is one value.
    fn format(self) -> Option<Format> {
        match self {
            Question::Name => Some(Format::Label),
            Question::Domain => Some(Format::DnsName),
            Question::Vip => Some(Format::AddressInNetwork),
            Question::Interface => Some(Format::Interface),
            Question::Kubernetes => Some(Format::Version),
            Question::Hosts(_) => None,
        }
    }

    /// What came of an answer that names hosts: the names that they have now.
    pub fn outcome(self, draft: &Draft) -> Option<String> {
        let Question::Hosts(role) = self else { return None };
        let hosts = draft.machines.iter().filter(|machine| machine.roles.contains(&role));
        let hosts: Vec<String> =
            hosts.map(|machine| format!("{} {}", machine.name, machine.address)).collect();
        Some(hosts.join(", "))
    }
}

/// The virtual address is nobody's own, and lies where the balancers are.
fn vip(text: &str, draft: &Draft) -> Result<(), String> {
    let Ok(vip) = text.parse::<IpNet>() else { return Ok(()) };
    if let Some(host) = draft.machines.iter().find(|machine| machine.address == vip.addr()) {
        return Err(format!(
            "{} is the address of {}: the virtual one must be unused",
            vip.addr(),
            host.name
        ));
    }
    let balancers = || draft.machines.iter().filter(|machine| machine.roles.contains(&Role::LoadBalancer));
    let away = balancers().find(|machine| !vip.contains(&machine.address));
    away.map_or(Ok(()), |host| {
        Err(format!("the balancer {} has {}, which is not in {}", host.name, host.address, vip.trunc()))
    })
}

/// The version is of a minor that khagen knows.
fn known(text: &str) -> Result<(), String> {
    let known = &releases::KUBERNETES;
    match (Version::parse(text), known.first(), known.last()) {
        (Some(version), Some(first), Some(last)) if releases::kubernetes(version).is_none() => {
            Err(format!("this khagen knows Kubernetes 1.{} to 1.{}", first.minor, last.minor))
        }
        _ => Ok(()),
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

    /// What the check would find when all is answered is found where it can still be answered again.
    #[test]
    fn an_answer_is_judged_at_once() {
        let mut draft = Draft::default();
        Question::Hosts(Role::ControlPlane)
            .answer("10.0.0.1, 10.0.0.2 10.0.0.3", &mut draft)
            .expect("an answer");
        Question::Hosts(Role::LoadBalancer).answer("", &mut draft).expect("an answer");
        for (question, answer, said) in [
            (Question::Name, "My_Cluster", "write `my-cluster`"),
            (Question::Domain, "lab..example.com", "is not a"),
            (Question::Interface, "eth 0", "has ' ' in it"),
            (Question::Kubernetes, "1.36", "add the patch level"),
            (Question::Kubernetes, "1.99.0", "this khagen knows Kubernetes 1."),
            (Question::Vip, "10.0.0.9", "write "),
            (Question::Vip, "10.0.0.2/24", "is the address of cp2"),
            (Question::Vip, "10.0.1.9/24", "the balancer cp1 has 10.0.0.1, which is not in 10.0.1.0/24"),
            (
                Question::Hosts(Role::Worker),
                "10.0.0.4,10.0.0.4",
                "`10.0.0.4` is a host that was named before it",
            ),
        ] {
            let error = question.answer(answer, &mut draft).expect_err(answer);
            assert!(error.contains(said), "{answer}: {error}");
        }
        assert_eq!(draft.machines.len(), 3);
        let named = Question::Hosts(Role::ControlPlane).outcome(&draft);
        assert_eq!(named.as_deref(), Some("cp1 10.0.0.1, cp2 10.0.0.2, cp3 10.0.0.3"));
    }
}
