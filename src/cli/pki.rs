//! Arguments of `khagen pki`.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

/// Arguments of `khagen pki`.
#[derive(Debug, clap::Args)]
pub struct Pki {
    /// What to do.
    #[command(subcommand)]
    pub command: PkiCommand,
}

/// What to do with keys and certificates.
#[derive(Debug, Subcommand)]
pub enum PkiCommand {
    /// Take over the CAs, the service-account pair and fitting certificates of a cluster that somebody else made
    Adopt(Adopt),
    /// Write a request for every certificate that a CA must sign whose key is kept elsewhere
    Csr(Csr),
    /// Take in a CA that somebody else made, or certificates that they signed
    Import(Import),
    /// Every certificate and key, where it lies and until when it holds; needs no key
    List(List),
    /// Mark certificates, so that the next build issues them again
    Renew(Renew),
    /// Begin or advance the rotation of a trust root: a CA or the service-account pair
    Rotate(Rotate),
}

/// Arguments of `khagen pki list`.
#[derive(Debug, clap::Args)]
#[command(after_help = LIST_HELP)]
pub struct List {
    /// Folder of YAML and TOML documents, or one document
    #[arg(default_value = "inventory")]
    pub inventory: PathBuf,
    /// How the calendar is written
    #[arg(long, value_enum, default_value_t = ListFormat::Table)]
    pub format: ListFormat,
    /// Folder of what `khagen-certificates --facts` printed on the hosts, a file each
    #[arg(long, value_name = "DIR")]
    pub facts: Option<PathBuf>,
}

const LIST_HELP: &str = "\
Exit codes: 0 nothing to do · 1 error · 2 something is due · 3 inventory invalid · 4 store damaged ·
6 something has expired";

/// How the calendar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// For people
    Table,
    /// JSON
    Json,
    /// iCalendar, with alarms
    Ical,
    /// Prometheus' text format
    Prometheus,
}

/// Arguments of `khagen pki renew`.
#[derive(Debug, clap::Args)]
#[command(after_help = RENEW_HELP)]
pub struct Renew {
    /// Names as `khagen pki list` shows them; without any, and without --host, --profile and --all, all that is due
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Folder of YAML and TOML documents, or one document
    #[arg(long, value_name = "DIR", default_value = "inventory")]
    pub inventory: PathBuf,
    /// The cluster's folder, where the inventory has several
    #[arg(long, value_name = "FOLDER")]
    pub cluster: Option<String>,
    /// Every certificate of a host
    #[arg(long, value_name = "HOST")]
    pub host: Vec<String>,
    /// Every certificate of a kind, by the first part of its name: apiserver, etcd-peer, admin, ...
    #[arg(long, value_name = "KIND")]
    pub profile: Vec<String>,
    /// Every certificate but the CAs'
    #[arg(long, conflicts_with_all = ["names", "host", "profile"])]
    pub all: bool,
    /// Take the mark off again
    #[arg(long)]
    pub undo: bool,
    /// Say what would be marked; write nothing. Exit 2 if anything would be
    #[arg(long)]
    pub dry_run: bool,
}

const RENEW_HELP: &str = "\
Nothing is issued here: the mark stands in the store, the next build issues, and what comes of it on the
hosts is shown by `khagen build --diff`. No key is needed.

Exit codes: 0 done, or nothing to mark · 1 error · 2 a dry run found something · 3 inventory invalid ·
4 store damaged · 6 a trust root of a running cluster · 64 usage";

/// Arguments of `khagen pki rotate`.
#[derive(Debug, clap::Args)]
#[command(after_help = ROTATE_HELP)]
pub struct Rotate {
    /// ca/etcd, ca/etcd-peer, ca/kubernetes, ca/front-proxy or service-account
    #[arg(value_name = "NAME", required_unless_present = "status")]
    pub name: Option<String>,
    /// Folder of YAML and TOML documents, or one document
    #[arg(value_name = "INVENTORY", default_value = "inventory")]
    pub inventory: PathBuf,
    /// The cluster's folder, where the inventory has several
    #[arg(long, value_name = "FOLDER")]
    pub cluster: Option<String>,
    /// Say how far the rotations are and what comes next; ask for nothing. Without NAME, of every root
    #[arg(long, conflicts_with_all = ["undo", "dry_run"])]
    pub status: bool,
    /// Take back what was asked for and not built
    #[arg(long)]
    pub undo: bool,
    /// Say what would be asked for; write nothing. Exit 2 if anything would be
    #[arg(long)]
    pub dry_run: bool,
}

const ROTATE_HELP: &str = "\
Three stages: trust both, re-issue, drop the former. Each is asked for by this command, made by the next
`khagen build` and installed on every host, in any order, before the next one is asked for. Nothing is
issued here and no key is needed. docs/rotation.md tells what each stage brings.

Exit codes: 0 done · 1 error · 2 a dry run found something · 3 inventory invalid · 4 store damaged ·
6 the former stage is not built yet · 64 usage";

/// Arguments of `khagen pki import`.
#[derive(Debug, clap::Args)]
#[command(after_help = IMPORT_HELP)]
pub struct Import {
    /// With --ca the inventory, instead of --inventory; without it files with signed certificates, or folders of them
    #[arg(value_name = "PATH", required_unless_present = "ca")]
    pub paths: Vec<PathBuf>,
    /// Which CA it shall be
    #[arg(long, value_enum, value_name = "NAME", requires = "cert")]
    pub ca: Option<ImportedCa>,
    /// The CA's certificate in PEM form, with those above it if it is an intermediate
    #[arg(long, value_name = "FILE", requires = "ca")]
    pub cert: Option<PathBuf>,
    /// Its key: PKCS#8, also encrypted, SEC1 or PKCS#1; without it, whoever has the key signs requests
    #[arg(long, value_name = "FILE", requires = "ca")]
    pub key: Option<PathBuf>,
    /// Holds the passphrase of an encrypted key; otherwise it is asked for on the terminal
    #[arg(long, value_name = "FILE", requires = "key")]
    pub passphrase_file: Option<PathBuf>,
    /// Take the place of another CA, while the cluster does not run: all that it signed is issued anew
    #[arg(long, requires = "ca")]
    pub replace: bool,
    /// Folder of YAML and TOML documents, or one document
    #[arg(long, value_name = "DIR", default_value = "inventory")]
    pub inventory: PathBuf,
    /// The cluster's folder, where the inventory has several
    #[arg(long, value_name = "FOLDER")]
    pub cluster: Option<String>,
    /// Judge only; write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// What decrypts the store.
    #[command(flatten)]
    pub identity: super::Identity,
}

/// A CA by its name in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ImportedCa {
    /// API servers, their clients, kubelets
    #[value(name = "ca/kubernetes", aliases = ["kubernetes-ca", "kubernetes"])]
    Kubernetes,
    /// The API aggregation layer
    #[value(name = "ca/front-proxy", aliases = ["front-proxy-ca", "front-proxy"])]
    FrontProxy,
    /// etcd's servers and clients
    #[value(name = "ca/etcd", aliases = ["etcd-ca", "etcd"])]
    Etcd,
    /// etcd's peers
    #[value(name = "ca/etcd-peer", aliases = ["etcd-peer-ca", "etcd-peer"])]
    EtcdPeer,
}

const IMPORT_HELP: &str = "\
Everything is judged before anything is written, and all that is wrong is said at once; `khagen explain CODE`
tells more. While the store is encrypted no key is written in the clear.

Exit codes: 0 done · 1 refused, or an error · 3 inventory invalid · 4 store damaged · 6 the store has another CA,
or no identity · 64 usage";

/// Arguments of `khagen pki csr`.
#[derive(Debug, clap::Args)]
#[command(after_help = CSR_HELP)]
pub struct Csr {
    /// Folder of YAML and TOML documents, or one document
    #[arg(default_value = "inventory")]
    pub inventory: PathBuf,
    /// Folder for the requests and their MANIFEST.txt; what an earlier run wrote there is replaced
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
    /// The cluster's folder, where the inventory has several
    #[arg(long, value_name = "FOLDER")]
    pub cluster: Option<String>,
    /// What decrypts the store.
    #[command(flatten)]
    pub identity: super::Identity,
}

const CSR_HELP: &str = "\
The keys stay in the store. A request that was lost is written again for the same key.

Exit codes: 0 done, or nothing to sign · 1 error · 3 inventory invalid · 4 store damaged · 6 no identity · 64 usage";

/// Arguments of `khagen pki adopt`.
#[derive(Debug, clap::Args)]
#[command(after_help = ADOPT_HELP)]
pub struct Adopt {
    /// What was collected: the hosts' /etc/kubernetes and /etc/etcd/pki, best in a folder per host
    pub dir: PathBuf,
    /// Folder of YAML and TOML documents, or one document
    #[arg(default_value = "inventory")]
    pub inventory: PathBuf,
    /// The cluster's folder, where the inventory has several
    #[arg(long, value_name = "FOLDER")]
    pub cluster: Option<String>,
    /// Judge only; write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// What decrypts the store.
    #[command(flatten)]
    pub identity: super::Identity,
}

const ADOPT_HELP: &str = "\
For clusters with an external etcd. The inventory says `cluster.state: running` and describes the cluster as it is.

Exit codes: 0 done · 1 refused, or an error · 2 a dry run found something · 3 inventory invalid · 4 store damaged ·
6 the store has another CA, or no identity · 64 usage";
