//! The description of the keys as a page for people: docs/inventory.md, made by a test.

use std::fmt::Write;

use super::{Fallback, Format, INVENTORY, Key, Kind};

/// The page.
pub fn page() -> String {
    let mut out = String::from(
        "# The inventory, key by key\n\n\
         Made from the descriptions that `khagen check` and `khagen schema` read; a test keeps it current. How documents are\n\
         merged and settings layered is told in [concepts](concepts.md).\n\n\
         *Required* keys must stand somewhere in the folder, not in each of its documents. Times are numbers with units (`90d`,\n\
         `1h30m`; a year has 365 days), sizes bytes or whole KiB, MiB, GiB.\n",
    );
    let _ = writeln!(out, "\n## At the top\n");
    head(&mut out);
    INVENTORY.iter().for_each(|key| row(&mut out, key.name, key));
    for key in INVENTORY.iter().filter(|key| key.coming.is_none()) {
        let Some(keys) = key.keys() else { continue };
        if super::is_host(keys) && key.name != "hosts" || key.name == "roles" {
            continue;
        }
        let _ = writeln!(out, "\n## `{}`\n\n{}\n", key.name, key.doc);
        if key.name == "hosts" {
            out.push_str(
                "`defaults`, `roles.ROLE` and `groups.NAME` hold the same keys, but for those marked *host only*.\n\n",
            );
        }
        if key.name == "groups" {
            out.push_str("Keys are names of groups; each holds the keys of [`hosts`](#hosts).\n");
            continue;
        }
        head(&mut out);
        rows(&mut out, "", keys);
    }
    out
}

fn head(out: &mut String) {
    out.push_str("| key | holds | default | what it is for |\n|---|---|---|---|\n");
}

fn rows(out: &mut String, above: &str, keys: &'static [Key]) {
    for key in keys {
        let path = format!("{above}{}", key.name);
        row(out, &path, key);
        let (mut end, mut kind) = (String::new(), &key.kind);
        while let Kind::List(of) | Kind::Each { value: of, .. } = kind {
            end.push_str(if matches!(kind, Kind::List(_)) { "[]" } else { ".NAME" });
            kind = of;
        }
        if let Some(below) = kind.keys() {
            rows(out, &format!("{path}{end}."), below);
        }
    }
}

fn row(out: &mut String, path: &str, key: &Key) {
    if let Some(what) = key.coming {
        let _ = writeln!(out, "| `{path}` | | | Not possible yet: {}. |", cell(what));
        return;
    }
    let fallback = match key.fallback {
        Fallback::Required => "*required*".to_owned(),
        Fallback::Absent => String::new(),
        Fallback::Value(text) => format!("`{}`", cell(text)),
        Fallback::Derived(how) => cell(how),
    };
    let mut doc = cell(key.doc);
    if !key.example.is_empty() {
        let _ = write!(doc, " Such as `{}`.", cell(key.example));
    }
    if key.own {
        doc.push_str(" *Host only.*");
    }
    let _ = writeln!(out, "| `{path}` | {} | {fallback} | {doc} |", cell(&holds(&key.kind)));
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn holds(kind: &Kind) -> String {
    match kind {
        Kind::Leaf(format) => word(*format),
        Kind::OneOrList(format) => format!("{}, or a list", word(*format)),
        Kind::List(of) => format!("list of {}", holds(of)),
        Kind::Map(_) => "map".to_owned(),
        Kind::LeafOrMap(format, _) => format!("{}, or a map", word(*format)),
        Kind::Each { key, value } => format!("{} by {}", holds(value), word(*key)),
        Kind::Foreign(what) => format!("map ({what})"),
    }
}

/// A format in a word or two.
fn word(format: Format) -> String {
    match format {
        Format::Bool => "`true` or `false`",
        Format::Int { min, max } => return format!("{min} to {max}"),
        Format::Choice { options, .. } => {
            return options.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
        }
        Format::Text => "text",
        Format::Argument => "value",
        Format::ArgumentName => "flag",
        Format::CamelName => "name",
        Format::Label => "DNS label",
        Format::DnsName => "DNS name",
        Format::San => "name, wildcard or address",
        Format::HostOrAddress => "name or address",
        Format::Address => "address",
        Format::AddressInNetwork => "address/length",
        Format::Network => "network",
        Format::Subnets => "network, or \"v4,v6\"",
        Format::Endpoint => "name[:port]",
        Format::Interface => "interface",
        Format::Version => "version",
        Format::Duration { .. } => "time",
        Format::Size => "size",
        Format::Retention => "number or time",
        Format::Calendar => "systemd calendar",
        Format::Path => "absolute path",
        Format::Source => "path",
        Format::ImageTag => "tag",
        Format::Artifact | Format::ArtifactOrFolder => "path below `artifacts/`",
        Format::Mode => "octal mode",
        Format::UserName => "user",
        Format::Effect => "effect",
        Format::LabelKey => "label key",
        Format::LabelValue => "label value",
        Format::Taint => "taint",
        Format::SysctlName => "kernel setting",
        Format::ImageRepository => "registry/path",
        Format::PreflightCheck => "check",
        Format::KeyAlgorithm => "kind of key",
        Format::Recipient => "public key",
        Format::FindingCode => "code",
        Format::Date => "date",
    }
    .to_owned()
}
