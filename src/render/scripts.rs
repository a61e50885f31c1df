//! The scripts that khagen emits, put together from their parts.
//!
//! They are static: what differs between hosts stands in MANIFEST.json, so that every host's scripts are the same bytes
//! and are reviewed once. A line `# @include NAME` stands for another file of `templates/scripts`.

use std::sync::LazyLock;

macro_rules! parts {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../templates/scripts/", $name)))),*]
    };
}

/// The parts that scripts include.
const PARTS: &[(&str, &str)] = parts![
    "prelude.sh",
    "host.sh",
    "compare.sh",
    "probe.sh",
    "pods.sh",
    "upgrade.sh",
    "signing.sh",
    "trust.sh",
    "parts/packages.sh",
    "operator/fleet.sh",
    "operator/gates.sh",
    "operator/steps.sh",
];
const HOST: &[(&str, &str)] =
    parts!["install.sh", "up.sh", "verify.sh", "rollback.sh", "uninstall.sh", "reconfigure.sh"];
const OPERATOR: &[(&str, &str)] = parts![
    "operator/bring-up.sh",
    "operator/distribute.sh",
    "operator/label-workers.sh",
    "operator/open-joins.sh",
    "operator/rollout.sh",
    "operator/verify-cluster.sh",
];
const ETCD: &[(&str, &str)] =
    parts!["etcd/khagen-etcd-replace", "etcd/khagen-etcd-restore", "etcd/khagen-etcd-snapshot"];

const EVERYWHERE: &[(&str, &str)] = parts!["host/khagen-certificates"];

/// Name and text of every script of a host's bundle.
pub static HOST_SCRIPTS: LazyLock<Vec<(&'static str, String)>> = LazyLock::new(|| expand_all(HOST));

/// Name and text of every script of the operator's bundle.
pub static OPERATOR_SCRIPTS: LazyLock<Vec<(&'static str, String)>> = LazyLock::new(|| expand_all(OPERATOR));

/// Name and text of every script that is installed on etcd's hosts.
pub static ETCD_SCRIPTS: LazyLock<Vec<(&'static str, String)>> = LazyLock::new(|| expand_all(ETCD));

/// Name and text of every script that is installed on all hosts.
pub static EVERYWHERE_SCRIPTS: LazyLock<Vec<(&'static str, String)>> =
    LazyLock::new(|| expand_all(EVERYWHERE));

/// Names are without the folder that they have here.
fn expand_all(scripts: &[(&'static str, &'static str)]) -> Vec<(&'static str, String)> {
    scripts.iter().map(|(name, text)| (name.rsplit('/').next().unwrap_or(name), expand(text))).collect()
}

/// Replaces include lines, once: parts include nothing.
pub fn expand(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for line in text.lines() {
        let part =
            line.strip_prefix("# @include ").and_then(|name| PARTS.iter().find(|(n, _)| *n == name.trim()));
        match part {
            Some((_, part)) => out.push_str(part.trim_end()),
            None => out.push_str(line),
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_include_is_known() {
        for (name, text) in HOST_SCRIPTS
            .iter()
            .chain(OPERATOR_SCRIPTS.iter())
            .chain(ETCD_SCRIPTS.iter())
            .chain(EVERYWHERE_SCRIPTS.iter())
        {
            assert!(text.starts_with("#!/"), "{name}");
            assert!(!text.contains("\n# @include "), "{name} includes a part that is not there");
        }
    }
}
