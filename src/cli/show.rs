//! Arguments of `khagen show`.

use std::path::PathBuf;

use super::ListFormat;

/// Arguments of `khagen show`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Show {
    /// A host by short name or FQDN, all of it; without one, the clusters and their hosts
    pub host: Option<String>,
    /// Folder of YAML and TOML documents, or one document
    #[arg(long, value_name = "DIR", default_value = "inventory")]
    pub inventory: PathBuf,
    /// List every setting with its value and the place that it comes from
    #[arg(long)]
    pub settings: bool,
    /// Only settings whose path begins so, such as kubernetes.networking or hosts.k8smaster1
    #[arg(long, value_name = "PATH")]
    pub path: Option<String>,
    /// How it is written; json holds everything
    #[arg(long, value_enum, default_value_t = ListFormat::Text)]
    pub format: ListFormat,
}

const HELP: &str = "\
Needs neither a build nor a key: it says what follows from the inventory.

Examples:
  khagen show                                        clusters, hosts, roles, addresses
  khagen show k8setcd1                               ports, certificates and settings of a host
  khagen show --settings                             all values: file:line:column, or default
  khagen show --path kubernetes.networking           where these come from";
