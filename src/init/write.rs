//! A draft as commented documents, in YAML or TOML.

use std::fmt::Write;

use super::Machine;
use super::draft::{Draft, ETCD, KUBERNETES};
use crate::model::Role;

/// What documents are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// YAML
    Yaml,
    /// TOML
    Toml,
}

/// The documents by name. Their first line names the schema beside them, for editors.
pub fn documents(draft: &Draft, language: Language) -> Vec<(&'static str, String)> {
    let (names, head) = match language {
        Language::Yaml => (["cluster.yaml", "hosts.yaml"], "# yaml-language-server: $schema=schema.json"),
        Language::Toml => (["cluster.toml", "hosts.toml"], "#:schema ./schema.json"),
    };
    let mut cluster = Writer::new(language, head);
    write_cluster(draft, &mut cluster);
    let mut hosts = Writer::new(language, head);
    write_hosts(draft, &mut hosts);
    vec![(names[0], cluster.text), (names[1], hosts.text)]
}

fn write_cluster(draft: &Draft, out: &mut Writer) {
    let (pods, services) = draft.subnets();
    let domain = draft.domain.as_deref().unwrap_or_default();
    out.comment("The cluster itself; the document beside this one lists its machines.");
    out.comment("Every *.yaml, *.yml and *.toml of this folder is read; how settings are spread over them is up to you.");
    out.top("schema", "khagen/v1");
    out.map("cluster");
    out.set("name", draft.name.as_deref().unwrap_or_default(), "");
    out.set("domain", domain, &format!("a host `node1` is node1.{domain}"));
    out.set(
        "state",
        "new",
        "set this to `running` once the cluster is up: it guards what cannot change then",
    );
    out.map("kubernetes");
    out.set("version", draft.kubernetes.as_deref().unwrap_or(KUBERNETES), "exact; nothing is looked up");
    let led = if draft.has_vip() {
        "hosts find the name in /etc/hosts; clients need it in DNS, leading to the VIP"
    } else {
        "what every node and every kubeconfig connects to"
    };
    out.set("controlPlaneEndpoint", &draft.endpoint(), led);
    out.map_in("kubernetes", "networking");
    out.note(
        "These, and the network of the hosts, must not overlap. They cannot change once the cluster runs.",
    );
    out.set("podSubnet", &pods, "the pods'; your network plugin must be given the same");
    out.set("serviceSubnet", &services, "the services'");
    out.map("etcd");
    out.set("version", ETCD, "");
    out.map("loadBalancer");
    if draft.has_vip() {
        out.set("mode", "keepalived", "nginx on hosts of ours; keepalived moves the VIP between them");
        out.set(
            "vip",
            draft.vip.as_deref().unwrap_or_default(),
            "an unused address in the balancers' own network",
        );
        out.number(
            "virtualRouterId",
            u32::from(draft.router_id()),
            "no other VRRP on that network may use this number",
        );
        out.set(
            "interface",
            draft.interface.as_deref().unwrap_or_default(),
            "where the balancers have that network",
        );
        let why = if draft.port() == super::draft::PORT {
            ""
        } else {
            "not 6443: the API servers on the same machines have that"
        };
        out.number("port", u32::from(draft.port()), why);
    } else {
        out.set("mode", "none", "one control plane, nothing before it");
    }
    out.map("pki");
    out.set("caValidity", "10y", "");
    out.set("validity", "1y", "");
    out.set("renewBefore", "90d", "from then on a build says that a certificate is due");
    out.map("secrets");
    if draft.recipients.is_empty() {
        out.note("Nobody: keys are files of mode 0600 in secrets/, which git must not see. With public keys (age1..., ssh-ed25519 ...)");
        out.note("here they are encrypted and can be committed.");
    } else {
        out.note("The store in secrets/ is encrypted to these public keys and can be committed; one private key of theirs builds.");
    }
    out.list("recipients", &draft.recipients);
}

fn write_hosts(draft: &Draft, out: &mut Writer) {
    out.comment("The machines. Order does not matter.");
    out.comment(
        "`defaults`, `roles` and `groups` give settings to many hosts at once; a host's own settings win.",
    );
    if out.language == Language::Yaml {
        out.comment("  defaults: {ssh: {user: ops}}");
        out.text.push_str("\nhosts:\n");
    }
    let mut machines: Vec<&Machine> = draft.machines.iter().collect();
    machines.sort_by_key(|machine| machine.roles.clone());
    let mut before: Option<&[Role]> = None;
    for machine in machines {
        if before != Some(&machine.roles) {
            let roles = machine.roles.iter().map(|role| heading(*role)).collect::<Vec<_>>().join(", ");
            if out.language == Language::Toml || before.is_some() {
                out.text.push('\n');
            }
            out.note_at_hosts(&roles);
            before = Some(&machine.roles);
        }
        out.machine(machine);
    }
}

fn heading(role: Role) -> &'static str {
    match role {
        Role::Etcd => "etcd (an odd number, so that a majority survives)",
        Role::LoadBalancer => "balancer",
        Role::ControlPlane => "control plane",
        Role::Worker => "worker",
    }
}

struct Writer {
    language: Language,
    text: String,
    indent: usize,
}

impl Writer {
    fn new(language: Language, head: &str) -> Writer {
        Writer { language, text: format!("{head}\n"), indent: 0 }
    }

    fn comment(&mut self, text: &str) {
        let _ = writeln!(self.text, "# {text}");
    }

    /// A comment among settings.
    fn note(&mut self, text: &str) {
        let _ = writeln!(self.text, "{:1$}# {text}", "", self.indent);
    }

    fn note_at_hosts(&mut self, roles: &str) {
        let indent = if self.language == Language::Yaml { 2 } else { 0 };
        let _ = writeln!(self.text, "{:indent$}# {roles}", "");
    }

    fn top(&mut self, key: &str, value: &str) {
        self.indent = 0;
        self.set(key, value, "");
    }

    fn map(&mut self, name: &str) {
        match self.language {
            Language::Yaml => {
                let _ = writeln!(self.text, "\n{name}:");
                self.indent = 2;
            }
            Language::Toml => {
                let _ = writeln!(self.text, "\n[{name}]");
            }
        }
    }

    fn map_in(&mut self, above: &str, name: &str) {
        match self.language {
            Language::Yaml => {
                let _ = writeln!(self.text, "  {name}:");
                self.indent = 4;
            }
            Language::Toml => self.map(&format!("{above}.{name}")),
        }
    }

    fn set(&mut self, key: &str, value: &str, comment: &str) {
        let value = quoted(value, self.language);
        self.raw(key, &value, comment);
    }

    fn number(&mut self, key: &str, value: u32, comment: &str) {
        self.raw(key, &value.to_string(), comment);
    }

    fn raw(&mut self, key: &str, value: &str, comment: &str) {
        let sign = if self.language == Language::Yaml { ": " } else { " = " };
        let _ = write!(self.text, "{:1$}{key}{sign}{value}", "", self.indent);
        if !comment.is_empty() {
            let _ = write!(self.text, "   # {comment}");
        }
        self.text.push('\n');
    }

    fn list(&mut self, key: &str, values: &[String]) {
        let values: Vec<String> = values.iter().map(|value| quoted(value, Language::Toml)).collect();
        self.raw(key, &format!("[{}]", values.join(", ")), "");
    }

    fn machine(&mut self, machine: &Machine) {
        let roles: Vec<String> =
            machine.roles.iter().map(|role| quoted(role.as_str(), self.language)).collect();
        let roles = format!("[{}]", roles.join(", "));
        let address = quoted(&machine.address.to_string(), self.language);
        let name = quoted(&machine.name, self.language);
        let mut ssh: Vec<(&str, String)> = Vec::new();
        ssh.extend(machine.ssh_address.as_ref().map(|text| ("address", quoted(text, self.language))));
        ssh.extend(machine.ssh_user.as_ref().map(|text| ("user", quoted(text, self.language))));
        ssh.extend(machine.ssh_port.map(|port| ("port", port.to_string())));
        match self.language {
            Language::Yaml => {
                let _ = write!(self.text, "  - name: {name}\n    address: {address}\n    roles: {roles}\n");
                if !ssh.is_empty() {
                    let parts: Vec<String> =
                        ssh.iter().map(|(key, value)| format!("{key}: {value}")).collect();
                    let _ = writeln!(self.text, "    ssh: {{{}}}", parts.join(", "));
                }
            }
            Language::Toml => {
                let _ = write!(self.text, "[[hosts]]\nname = {name}\naddress = {address}\nroles = {roles}\n");
                for (key, value) in ssh {
                    let _ = writeln!(self.text, "ssh.{key} = {value}");
                }
                self.text.push('\n');
            }
        }
    }
}

/// A text as both formats read it; in YAML without quotes where it cannot be anything else.
fn quoted(text: &str, language: Language) -> String {
    let plain = text.bytes().all(|c| c.is_ascii_alphanumeric() || b"-./_".contains(&c))
        && text.starts_with(|c: char| c.is_ascii_alphanumeric());
    // 1e3, 0x1f, 1.5, yes, null: what some reader takes for something else.
    let odd = text.parse::<f64>().is_ok()
        || text.bytes().next().is_some_and(|c| c.is_ascii_digit()) && !text.contains(['.', '-', 'y', 'd'])
        || ["true", "false", "yes", "no", "on", "off", "null", "y", "n"]
            .contains(&text.to_ascii_lowercase().as_str());
    if language == Language::Yaml && plain && !odd {
        return text.to_owned();
    }
    // JSON's escapes are YAML's and TOML's, too; neither takes DEL unescaped.
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}
