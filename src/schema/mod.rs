//! What keys an inventory has: name, what it holds, a sentence, the default, an example. No logic.
//!
//! One description, read by the decoder (unknown keys, types, defaults, suggestions) and by whoever writes a schema or
//! a reference. A key is added in the table of its part, and nowhere else before something reads it. Whether a text is
//! an address or a duration is decided in [`crate::check`]; here it only has a name, [`Format`].

mod artifacts;
mod cluster;
mod etcd;
mod host;
pub mod json;
mod kubernetes;
mod load_balancer;
pub mod page;
mod pki;
mod secrets;
mod waivers;

pub use host::HOST;

/// The value of `schema` in an inventory that this khagen reads.
pub const SCHEMA: &str = "khagen/v1";

/// One key of a map.
#[derive(Debug)]
pub struct Key {
    /// As written.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// What holds when it is not written.
    pub fallback: Fallback,
    /// What it is for, in a sentence or two.
    pub doc: &'static str,
    /// A value as one would write it; empty for maps, whose keys have theirs.
    pub example: &'static str,
    /// Why this khagen refuses it, if it does.
    pub coming: Option<&'static str>,
    /// A host's own: not in `defaults`, `roles` and `groups`.
    pub own: bool,
}

/// What holds when a key is not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// It must be written.
    Required,
    /// Nothing: the setting is absent.
    Absent,
    /// A value, as it would be written.
    Value(&'static str),
    /// A value that follows from others; the text says how.
    Derived(&'static str),
}

/// What a key holds.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Text, a number, or true or false.
    Leaf(Format),
    /// One, or a list of them.
    OneOrList(Format),
    /// A list.
    List(&'static Kind),
    /// A map of these keys.
    Map(&'static [Key]),
    /// Text, or the same spelled out as a map.
    LeafOrMap(Format, &'static [Key]),
    /// A map of keys that the user chooses.
    Each {
        /// What such a key is.
        key: Format,
        /// What each holds.
        value: &'static Kind,
    },
    /// A map that goes to another program as it is.
    Foreign(&'static str),
}

/// What a leaf is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Int {
        /// The least one.
        min: i64,
        /// The greatest one.
        max: i64,
    },
    /// One of a few words.
    Choice {
        /// Those that work.
        options: &'static [&'static str],
        /// Those that have a name and are refused until they work.
        coming: &'static [&'static str],
    },
    /// One line of text.
    Text,
    /// The value of a flag: a scalar in its source text.
    Argument,
    /// The name of a flag, without dashes.
    ArgumentName,
    /// A name in camel case: a feature gate, a timeout.
    CamelName,
    /// A DNS-1123 label.
    Label,
    /// A DNS-1123 subdomain.
    DnsName,
    /// A DNS name, wildcard or address in a certificate.
    San,
    /// A DNS name or an address.
    HostOrAddress,
    /// An IP address.
    Address,
    /// An address with the prefix length of its network.
    AddressInNetwork,
    /// A network in CIDR form.
    Network,
    /// A network, or "v4,v6".
    Subnets,
    /// host or host:port.
    Endpoint,
    /// A network interface.
    Interface,
    /// `major.minor.patch`.
    Version,
    /// A time span.
    Duration {
        /// The least one, in seconds.
        min: u64,
        /// The greatest one, in seconds.
        max: u64,
        /// What it must be a multiple of, in seconds.
        step: u64,
    },
    /// Bytes, as a number or with KiB, MiB, GiB.
    Size,
    /// etcd's auto-compaction-retention.
    Retention,
    /// systemd's OnCalendar.
    Calendar,
    /// An absolute path on a host.
    Path,
    /// A path below the inventory's `files/`.
    Source,
    /// The tag of an image.
    ImageTag,
    /// A path below the inventory's `artifacts/`, or in a tarball there.
    Artifact,
    /// As [`Format::Artifact`], or with a slash at the end a folder.
    ArtifactOrFolder,
    /// Permission bits in octal.
    Mode,
    /// A user or group of the host.
    UserName,
    /// `none`, `restart UNIT` or `reload UNIT`.
    Effect,
    /// Key of a node label.
    LabelKey,
    /// Value of a node label.
    LabelValue,
    /// `key=value:Effect`.
    Taint,
    /// Name of a kernel setting.
    SysctlName,
    /// An image's registry and path, without tag.
    ImageRepository,
    /// A check of kubeadm's preflight.
    PreflightCheck,
    /// kubeadm's name of a kind of key.
    KeyAlgorithm,
    /// A public key that the store is encrypted to.
    Recipient,
    /// The code of a finding that may be a warning.
    FindingCode,
    /// A day, as ISO 8601 writes it.
    Date,
}

/// A TCP or UDP port.
pub const PORT: Format = Format::Int { min: 1, max: 65535 };
/// A second, and the least of a duration where nothing less makes sense.
pub const SECOND: u64 = 1;
/// Seconds of an hour.
pub const HOUR: u64 = 3600;
/// Seconds of a day.
pub const DAY: u64 = 24 * HOUR;
/// Seconds of a year, as kubeadm counts them (8760h).
pub const YEAR: u64 = 365 * DAY;

/// Begins a key's description; without more said it is optional and absent by default.
const fn key(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key { name, kind, fallback: Fallback::Absent, doc, example: "", coming: None, own: false }
}

impl Key {
    const fn required(mut self) -> Key {
        self.fallback = Fallback::Required;
        self
    }

    const fn default(mut self, text: &'static str) -> Key {
        self.fallback = Fallback::Value(text);
        self
    }

    const fn derived(mut self, how: &'static str) -> Key {
        self.fallback = Fallback::Derived(how);
        self
    }

    const fn example(mut self, text: &'static str) -> Key {
        self.example = text;
        self
    }

    const fn coming(mut self, what: &'static str) -> Key {
        self.coming = Some(what);
        self
    }

    const fn own(mut self) -> Key {
        self.own = true;
        self
    }

    /// The keys of the map that this key holds, if their names are fixed.
    pub fn keys(&self) -> Option<&'static [Key]> {
        self.kind.keys()
    }
}

impl Kind {
    /// The keys of such a map, or of the maps in such a list, if their names are fixed.
    pub fn keys(&self) -> Option<&'static [Key]> {
        match self {
            Kind::Map(keys) | Kind::LeafOrMap(_, keys) => Some(keys),
            Kind::List(of) | Kind::Each { value: of, .. } => of.keys(),
            _ => None,
        }
    }
}

/// Finds a key of a map.
pub fn find(keys: &'static [Key], name: &str) -> Option<&'static Key> {
    keys.iter().find(|key| key.name == name)
}

/// Calls `see` with the dotted path of every key; `<name>` stands for a key that the user chooses.
pub fn walk(see: &mut dyn FnMut(&str, &'static Key)) {
    walk_keys("", INVENTORY, see);
}

fn walk_keys(above: &str, keys: &'static [Key], see: &mut dyn FnMut(&str, &'static Key)) {
    for key in keys {
        let mut path = if above.is_empty() { key.name.to_owned() } else { format!("{above}.{}", key.name) };
        see(&path, key);
        let mut kind = &key.kind;
        while let Kind::List(of) | Kind::Each { value: of, .. } = kind {
            path.push_str(if matches!(kind, Kind::List(_)) { "[]" } else { ".<name>" });
            kind = of;
        }
        if let Some(keys) = kind.keys() {
            walk_keys(&path, keys, see);
        }
    }
}

/// Whether these are the keys of a host. By name: a constant may be stored twice, so that addresses say nothing.
fn is_host(keys: &[Key]) -> bool {
    keys.len() == HOST.len() && keys.iter().zip(HOST).all(|(a, b)| a.name == b.name)
}

const HOST_MAP: Kind = Kind::Map(HOST);

/// The keys at the top of an inventory.
pub static INVENTORY: &[Key] = &[
    key("schema", Kind::Leaf(Format::Choice { options: &[SCHEMA], coming: &[] }), "Version of this format.")
        .required()
        .example(SCHEMA),
    key("cluster", Kind::Map(cluster::KEYS), "Names of the cluster, and whether it runs.").required(),
    key("kubernetes", Kind::Map(kubernetes::KEYS), "The Kubernetes cluster, in kubeadm's words.").required(),
    key("etcd", Kind::Map(etcd::KEYS), "The external etcd, in etcd's words.").required(),
    key(
        "loadBalancer",
        Kind::Map(load_balancer::KEYS),
        "The way to the API servers: nginx, and VIPs by keepalived.",
    ),
    key("pki", Kind::Map(pki::KEYS), "What certificates are made of, and how long they last."),
    key("secrets", Kind::Map(secrets::KEYS), "How the store keeps keys."),
    key("defaults", HOST_MAP, "Settings of every host. Roles, groups and the host itself override them."),
    key(
        "roles",
        Kind::Map(&[
            key("etcd", HOST_MAP, "Settings of etcd members."),
            key("load-balancer", HOST_MAP, "Settings of balancers."),
            key("control-plane", HOST_MAP, "Settings of control planes."),
            key("worker", HOST_MAP, "Settings of workers."),
        ]),
        "Settings of every host of a role; where a host has several, in the order etcd, load-balancer, control-plane, worker.",
    ),
    key(
        "groups",
        Kind::Each { key: Format::Label, value: &HOST_MAP },
        "Settings of every host whose `group` is this one.",
    ),
    key("hosts", Kind::List(&HOST_MAP), "The machines.").required(),
    key(
        "artifacts",
        Kind::Map(artifacts::KEYS),
        "Packages and programs that travel beside the bundles, below the inventory's `artifacts/` with their digests in `artifacts/SHA256SUMS`.",
    ),
    key(
        "waivers",
        Kind::List(&Kind::Map(waivers::KEYS)),
        "Warnings that are accepted, each with a reason and a last day. Lists of several documents are joined.",
    ),
    key("images", Kind::Foreign("images"), "Container images in the bundles.")
        .coming("carrying container images in the bundles"),
    key("registry", Kind::Foreign("registry"), "A registry of the user's.").coming("registries and mirrors"),
    key("proxy", Kind::Foreign("proxy"), "HTTP proxies.").coming("HTTP proxies"),
    key("time", Kind::Foreign("time"), "Time servers.").coming("time servers"),
    key("manifests", Kind::Foreign("manifests"), "Manifests to apply once the cluster runs.")
        .coming("manifests to apply once the cluster runs"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_says_what_it_is_for_and_shows_a_value() {
        walk(&mut |path, key| {
            assert!(key.doc.ends_with('.'), "{path}: a sentence ends with a full stop");
            let map = key.keys().is_some() && !matches!(key.kind, Kind::LeafOrMap(..))
                || matches!(key.kind, Kind::Foreign(_));
            let shown = !key.example.is_empty() || matches!(key.fallback, Fallback::Value(_));
            assert!(map || shown, "{path}: an example or a default");
        });
    }

    #[test]
    fn no_map_has_a_key_twice() {
        let mut seen = std::collections::BTreeSet::new();
        walk(&mut |path, _| assert!(seen.insert(path.to_owned()), "{path}"));
        assert!(seen.contains("hosts[].name") && seen.contains("groups.<name>.ssh.port"), "{seen:?}");
    }
}
