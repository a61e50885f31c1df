//! What a single value looks like: types, words and patterns.
//!
//! Patterns are those of ECMA 262 with the `u` flag, which editors use. Texts that look like numbers are read as they
//! are written, so a name `7` is a number to JSON and a text to khagen: where such a text is taken, so is a number.
//! Where a pattern would be a page long (calendars, IPv6), it is wider than `check::text`, and never narrower.
//!
//! What has a pattern is a definition of its own with a sentence for editors, which nobody can read the pattern from.

use serde_json::{Value, json};

use super::super::{Format, Kind};
use crate::diag::Code;

const LABEL: &str = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?";
const QUALIFIED: &str = "[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?";
const V4: &str =
    "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])(\\.(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])){3}";
const V6: &str = "[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*";
const NO_CONTROL: &str = "[^\\u0000-\\u001f\\u007f-\\u009f]";

/// The schema of a leaf: its definition, or what it is where that is shorter.
pub fn of(format: Format) -> Value {
    match named(format) {
        Some((name, _)) => json!({"$ref": format!("#/$defs/{name}")}),
        None => inline(format),
    }
}

/// The definition of a format that has one, by name.
pub fn definition(format: Format) -> Option<(&'static str, Value)> {
    let (name, words) = named(format)?;
    let mut form = inline(format);
    // Not JSON Schema's own: the language servers of YAML and JSON show it in place of the pattern.
    form["patternErrorMessage"] = json!(words);
    Some((name, form))
}

/// The name of a format's definition, and what an editor says of a value that is none.
fn named(format: Format) -> Option<(&'static str, &'static str)> {
    Some(match format {
        Format::Bool
        | Format::Int { .. }
        | Format::Choice { .. }
        | Format::KeyAlgorithm
        | Format::FindingCode => return None,
        Format::Text => ("text", "Expected one line of text."),
        Format::Argument => ("argument", "Expected one line."),
        Format::ArgumentName => ("argumentName", "Expected the name of a flag without its dashes."),
        Format::CamelName => ("camelName", "Expected a name of letters and digits."),
        Format::Label => ("label", "Expected a DNS label: up to 63 of a-z, 0-9 and `-`, no `-` at its ends."),
        Format::DnsName => ("dnsName", "Expected a DNS name in lower case, such as lab.example.com."),
        Format::San => {
            ("san", "Expected a DNS name in lower case, a wildcard such as *.example.com, or an address.")
        }
        Format::HostOrAddress => ("hostOrAddress", "Expected a DNS name in lower case, or an address."),
        Format::Address => ("address", "Expected an address such as 192.0.2.10 or 2001:db8::10."),
        Format::AddressInNetwork => (
            "addressInNetwork",
            "Expected an address with the prefix length of its network, such as 192.0.2.70/24.",
        ),
        Format::Network => ("network", "Expected a network such as 10.0.0.0/16 or 2001:db8::/64."),
        Format::Subnets => {
            ("subnets", "Expected a network such as 10.0.0.0/16, or one of each family, with a comma.")
        }
        Format::Endpoint => {
            ("endpoint", "Expected a name or an address, and perhaps a port: api.example.com:6443.")
        }
        Format::Interface => {
            ("interface", "Expected the name of a network interface, as `ip -br link` shows it.")
        }
        Format::Version => ("version", "Expected an exact version, such as 1.36.5."),
        Format::Duration { .. } => (
            "duration",
            "Expected a time: numbers with y (365 days), w, d, h, m, s, the larger first, such as 90d or 1h30m.",
        ),
        Format::Size => ("size", "Expected bytes, or a whole number with KiB, MiB or GiB, such as 8GiB."),
        Format::Retention => ("retention", "Expected a number, or a time in h, m and s, such as 8h."),
        Format::Calendar => ("calendar", "Expected systemd's OnCalendar, such as daily or *-*-* 03:00:00."),
        Format::Path => ("path", "Expected an absolute path of letters, digits and ._@+-, without `..`."),
        Format::Source => ("source", "Expected a path below the inventory's `files/`."),
        Format::ImageTag => ("imageTag", "Expected the tag alone, such as v1.14.2."),
        Format::Artifact => ("artifact", "Expected a path below the inventory's `artifacts/`."),
        Format::ArtifactOrFolder => (
            "artifactOrFolder",
            "Expected a path below the inventory's `artifacts/`; with a slash at its end, a folder.",
        ),
        Format::Mode => ("mode", "Expected permission bits in octal, such as \"0644\"."),
        Format::UserName => ("userName", "Expected the name of a user or group, such as root."),
        Format::Effect => (
            "effect",
            "Expected `none`, `restart UNIT` or `reload UNIT`, the unit in full, such as kubelet.service.",
        ),
        Format::LabelKey => ("labelKey", "Expected the key of a Kubernetes label, such as example.com/rack."),
        Format::LabelValue => {
            ("labelValue", "Expected the value of a Kubernetes label: up to 63 letters, digits and ._-.")
        }
        Format::Taint => (
            "taint",
            "Expected key=value:Effect, with NoSchedule, PreferNoSchedule or NoExecute, such as gpu=yes:NoSchedule.",
        ),
        Format::SysctlName => {
            ("sysctlName", "Expected a name as `sysctl -a` shows it, such as net.core.somaxconn.")
        }
        Format::ImageRepository => (
            "imageRepository",
            "Expected a registry and a path without tag, such as registry.example.com/k8s.",
        ),
        Format::PreflightCheck => {
            ("preflightCheck", "Expected the name of a check of kubeadm's, such as NumCPU.")
        }
        Format::Date => ("date", "Expected a day, such as 2026-12-31."),
        Format::Recipient => ("recipient", "Expected a public key: age1... or ssh-ed25519 ...."),
    })
}

fn inline(format: Format) -> Value {
    let dns = format!("{LABEL}(\\.{LABEL})*");
    let address = format!("({V4}|{V6})");
    match format {
        Format::Bool => json!({"type": "boolean"}),
        Format::Int { min, max } => json!({"type": "integer", "minimum": min, "maximum": max}),
        Format::Choice { options, .. } => {
            let mut words: Vec<Value> = options.iter().map(|word| json!(word)).collect();
            words.extend(options.iter().filter_map(|word| number(word)));
            json!({"enum": words})
        }
        Format::Text => limited(
            text_or("number", &format!("^{NO_CONTROL}*[^\\s\\u0000-\\u001f\\u007f-\\u009f]{NO_CONTROL}*$")),
            1024,
        ),
        Format::Argument => limited(
            json!({"type": ["string", "number", "boolean"], "pattern": format!("^{NO_CONTROL}*$")}),
            65536,
        ),
        Format::ArgumentName => text("^[a-z][a-z0-9_-]{0,127}$"),
        Format::CamelName => counted("integer", "^[A-Za-z0-9]{1,128}$"),
        Format::Label => counted("integer", &format!("^{LABEL}$")),
        Format::DnsName => limited(counted("number", &format!("^{dns}$")), 253),
        Format::San => limited(counted("number", &format!("^((\\*\\.)?{dns}|{address})$")), 253),
        Format::HostOrAddress => limited(text(&format!("^({dns}|{address})$")), 253),
        Format::Address => text(&format!("^{address}$")),
        Format::AddressInNetwork | Format::Network => text(&format!("^{address}/[0-9]{{1,3}}$")),
        Format::Subnets => {
            text(&format!("^\\s*{address}/[0-9]{{1,3}}\\s*(,\\s*{address}/[0-9]{{1,3}}\\s*)?$"))
        }
        Format::Endpoint => text(&format!("^(({dns}|\\[{V6}\\])(:[1-9][0-9]{{0,4}})?|{V6})$")),
        Format::Interface => text_or("number", "^(?!\\.{1,2}$)[!#$&-.0-9;-\\[\\]-~]{1,15}$"),
        Format::Version => text("^v?(0|[1-9][0-9]*)(\\.(0|[1-9][0-9]*)){2}$"),
        Format::Duration { .. } => {
            let units: String =
                ["y", "w", "d", "h", "m", "s"].map(|unit| format!("([0-9]+{unit})?")).concat();
            let mut time = text(&format!("^{units}$"));
            time["minLength"] = json!(2);
            time
        }
        Format::Size => counted("integer", "^[0-9]+(\\s*[KMG]iB)?$"),
        Format::Retention => {
            let mut time = counted("integer", "^([0-9]{1,18}|([0-9]+h)?([0-9]+m)?([0-9]+s)?)$");
            time["minLength"] = json!(1);
            time
        }
        Format::Calendar => limited(text("^\\S(.*\\S)?$"), 256),
        Format::Path => limited(text("^(/(?!\\.{1,2}(/|$))[A-Za-z0-9._@+-]+)+$"), 1024),
        Format::Source => {
            let part = "(?!\\.{1,2}(/|$))[^/\\\\\\u0000-\\u001f\\u007f-\\u009f]+";
            text_or("number", &format!("^{part}(/{part})*$"))
        }
        Format::ImageTag => counted("number", "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$"),
        Format::Artifact => artifact(""),
        Format::ArtifactOrFolder => artifact("/?"),
        // 0644 is the number 644 to YAML 1.2 and 420 to YAML 1.1; what is written is what counts.
        Format::Mode => {
            json!({"type": ["string", "integer"], "pattern": "^(0o)?0?[0-7]{3}$", "minimum": 0, "maximum": 777})
        }
        Format::UserName => text("^[a-z_][a-z0-9_-]{0,31}$"),
        Format::Effect => text(
            "^(none|(restart|reload) [A-Za-z0-9:_.@-]+\\.(service|socket|timer|path|mount|target|slice))$",
        ),
        Format::LabelKey => counted("number", &format!("^({dns}/)?{QUALIFIED}$")),
        Format::LabelValue => counted("number", &format!("^({QUALIFIED})?$")),
        Format::Taint => {
            text(&format!("^({dns}/)?{QUALIFIED}(=({QUALIFIED})?)?:(NoSchedule|PreferNoSchedule|NoExecute)$"))
        }
        Format::SysctlName => limited(text("^(?!/)[A-Za-z0-9_/-]+(\\.[A-Za-z0-9_/-]+)+$"), 255),
        Format::ImageRepository => {
            let part = "[a-z0-9]([a-z0-9._-]*[a-z0-9])?";
            counted("number", &format!("^{dns}(:[0-9]{{1,5}})?(/{part})*$"))
        }
        Format::PreflightCheck => text_or("number", "^[A-Za-z0-9_./-]+$"),
        // Words for editors to offer; case does not matter.
        Format::KeyAlgorithm => json!({"anyOf": [
            {"enum": ["ECDSA-P256", "ECDSA-P384", "RSA-2048", "RSA-3072", "RSA-4096"]},
            {"type": "string", "pattern": "^([Ee][Cc][Dd][Ss][Aa]-[Pp](256|384)|[Rr][Ss][Aa]-(2048|3072|4096))$"},
        ]}),
        Format::Recipient => text("^\\s*(age1[0-9a-z]{58}|ssh-ed25519\\s+[A-Za-z0-9+/]+=*(\\s.*)?)\\s*$"),
        Format::FindingCode => {
            json!({"enum": Code::WAIVABLE.iter().map(|code| code.as_str()).collect::<Vec<_>>()})
        }
        Format::Date => text("^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"),
    }
}

fn artifact(end: &str) -> Value {
    let part = "(?!\\.{1,2}(/|$))[A-Za-z0-9._@+~:=][A-Za-z0-9._@+~:=-]*";
    limited(counted("number", &format!("^{part}(/{part})*{end}$")), 513)
}

fn text(pattern: &str) -> Value {
    json!({"type": "string", "pattern": pattern})
}

fn text_or(other: &str, pattern: &str) -> Value {
    json!({"type": ["string", other], "pattern": pattern})
}

/// A text, or a number without a sign.
fn counted(other: &str, pattern: &str) -> Value {
    json!({"type": ["string", other], "pattern": pattern, "minimum": 0})
}

fn limited(mut value: Value, most: usize) -> Value {
    value["maxLength"] = json!(most);
    value
}

fn number(text: &str) -> Option<Value> {
    let number: Value = serde_json::from_str(text).ok()?;
    number.is_number().then_some(number)
}

/// A default or an example as it would be written: of a number or a switch without quotes.
pub fn typed(kind: Kind, text: &str) -> Value {
    let plain = matches!(
        kind,
        Kind::Leaf(Format::Bool | Format::Int { .. } | Format::Size) | Kind::OneOrList(Format::Int { .. })
    );
    let value =
        serde_json::from_str(text).ok().filter(|value: &Value| value.is_number() || value.is_boolean());
    match value {
        Some(value) if plain => value,
        _ => json!(text),
    }
}
