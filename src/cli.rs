//! The command line's types: raw arguments, in the order of `--help`. Nothing is resolved here.

pub mod help;
pub mod init;
pub mod layout;
pub mod pki;
pub mod show;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

/// Compiles an inventory into one installable bundle per host of a highly available Kubernetes cluster.
#[derive(Debug, Parser)]
#[command(name = "khagen", version, max_term_width = 100, arg_required_else_help = true, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, or no change · 1 error · 2 changes present (diff, dry runs) · 3 inventory invalid ·
4 integrity · 5 wrong host, cluster or generation · 6 precondition not met · 64 usage · 70 a bug

Khagen opens no network connection.";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a commented inventory from arguments, questions, a list of hosts or an Ansible inventory
    Init(Box<init::Init>),
    /// Report every finding in an inventory at once; write nothing
    Check(Check),
    /// Check, issue what is missing, and write one bundle per host
    Build(Build),
    /// Say what one build changes of another, what comes of it, and in which order to install it
    Diff(Diff),
    /// Prove that an output or a tarball is whole, and that it is what was reviewed
    Verify(Verify),
    /// List the container images and packages that the hosts need
    Images(Images),
    /// Keep your own secrets in the store, and say to whom it is encrypted
    Secret(Secret),
    /// Prepare a stick: copy bundles and packages to a medium, and read them again from it
    Export(Export),
    /// Keys and certificates: what there is, until when it holds, and its upkeep
    Pki(pki::Pki),
    /// Say what khagen understood: hosts, ports, certificates, every value and where it comes from
    Show(show::Show),
    /// Say what a finding's code means
    Explain(Explain),
    /// Print the inventory's JSON Schema, for editors
    Schema(help::Schema),
    /// Print completions for a shell
    Completions(help::Completions),
    /// Print a manual page, or write all of them
    Man(help::Man),
}

/// Arguments of `khagen check`.
#[derive(Debug, clap::Args)]
#[command(after_help = help::CHECK_HELP)]
pub struct Check {
    /// Folder of YAML and TOML documents, or one document
    #[arg(default_value = "inventory")]
    pub inventory: PathBuf,
    /// How findings are written
    #[arg(long, value_enum, default_value_t = CheckFormat::Text)]
    pub format: CheckFormat,
    /// Warnings are errors
    #[arg(long)]
    pub strict: bool,
    /// List the warnings that `waivers` accepts too; json and sarif always have them
    #[arg(long)]
    pub waived: bool,
}

/// Arguments of `khagen build`.
#[derive(Debug, clap::Args)]
#[command(after_help = help::BUILD_HELP)]
pub struct Build {
    /// Folder of YAML and TOML documents, or one document
    #[arg(default_value = "inventory")]
    pub inventory: PathBuf,
    /// Folder to write
    #[arg(short, long, value_name = "OUT", default_value = "out")]
    pub output: PathBuf,
    /// Say what would be issued and written; write nothing. Exit 2 if anything would be
    #[arg(long)]
    pub dry_run: bool,
    /// Write the review tree only; needs no key. Exit 6 where something would have to be issued
    #[arg(long, conflicts_with_all = ["dry_run", "diff"])]
    pub review: bool,
    /// Compare the last output with what would be built now; write nothing. Exit 2 if they differ
    #[arg(long, conflicts_with = "dry_run")]
    pub diff: bool,
    /// With --diff, write the steps to this file, for rollout.sh of the operator bundle
    #[arg(long, value_name = "FILE", requires = "diff")]
    pub rollout: Option<PathBuf>,
    /// With --diff, plan steps that stop etcd as a whole, as a cluster of one or two members must
    #[arg(long, requires = "diff")]
    pub accept_outage: bool,
    /// Warnings are errors
    #[arg(long)]
    pub strict: bool,
    /// How the result is written; markdown and html with --diff only
    #[arg(long, value_enum, default_value_t = BuildFormat::Text)]
    pub format: BuildFormat,
    /// Print errors and warnings only
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Print every decision, those to keep too
    #[arg(short, long)]
    pub verbose: bool,
    /// Keys that decrypt the store
    #[command(flatten)]
    pub identity: Identity,
    /// Do not wait for the disk. For benchmarks: a power cut may then lose the build
    #[arg(long, hide = true)]
    pub no_sync: bool,
}

/// Which keys decrypt the store.
#[derive(Debug, Default, clap::Args)]
pub struct Identity {
    /// A key that decrypts the store: an age identity file or an ssh-ed25519 private key; may be repeated
    /// [default: $KHAGEN_IDENTITY, else ~/.ssh/id_ed25519]
    #[arg(short, long, value_name = "FILE")]
    pub identity: Vec<PathBuf>,
}

/// Arguments of `khagen secret`.
#[derive(Debug, clap::Args)]
pub struct Secret {
    /// What to do.
    #[command(subcommand)]
    pub command: SecretCommand,
}

/// What to do with secrets.
#[derive(Debug, Subcommand)]
pub enum SecretCommand {
    /// Give a secret a value, read from standard input or a file; files of hosts name it by `source: {secret: NAME}`
    Set(SecretSet),
    /// List secrets, set or wanted, and what is made of them; shows no value
    List(SecretList),
    /// Take a secret out of the store
    Rm(SecretRemove),
    /// Encrypt the store to what `secrets.recipients` says now
    Rekey(SecretRekey),
}

/// Which store.
#[derive(Debug, clap::Args)]
pub struct InStore {
    /// Folder of YAML and TOML documents, or one document
    #[arg(long, value_name = "DIR", default_value = "inventory")]
    pub inventory: PathBuf,
    /// The cluster's folder, where the inventory has several
    #[arg(long, value_name = "FOLDER")]
    pub cluster: Option<String>,
    /// Keys that decrypt the store
    #[command(flatten)]
    pub identity: Identity,
}

/// Arguments of `khagen secret set`.
#[derive(Debug, clap::Args)]
pub struct SecretSet {
    /// The secret's name
    pub name: String,
    /// Where the value is read from, byte by byte as it is; without it, from standard input
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Which store.
    #[command(flatten)]
    pub store: InStore,
}

/// Arguments of `khagen secret list`.
#[derive(Debug, clap::Args)]
pub struct SecretList {
    /// How the list is written
    #[arg(long, value_enum, default_value_t = SecretFormat::Text)]
    pub format: SecretFormat,
    /// Which store.
    #[command(flatten)]
    pub store: InStore,
}

/// Arguments of `khagen secret rm`.
#[derive(Debug, clap::Args)]
pub struct SecretRemove {
    /// The secret's name
    pub name: String,
    /// Which store.
    #[command(flatten)]
    pub store: InStore,
}

/// Arguments of `khagen secret rekey`.
#[derive(Debug, clap::Args)]
pub struct SecretRekey {
    /// Write the keys in the clear, where the inventory names no recipients any more
    #[arg(long)]
    pub plain: bool,
    /// Which store.
    #[command(flatten)]
    pub store: InStore,
}

/// How secrets are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SecretFormat {
    /// For people
    Text,
    /// JSON
    Json,
}

/// Arguments of `khagen diff`.
#[derive(Debug, clap::Args)]
#[command(after_help = DIFF_HELP)]
pub struct Diff {
    /// What is installed: an output folder, a review tree, a tarball, or git:REV[:PATH]
    pub old: String,
    /// What would be installed; of the same kinds
    pub new: String,
    /// How the result is written
    #[arg(long, value_enum, default_value_t = DiffFormat::Text)]
    pub format: DiffFormat,
    /// Write the steps to this file, for rollout.sh of the operator bundle
    #[arg(long, value_name = "FILE")]
    pub rollout: Option<PathBuf>,
    /// Plan steps that stop etcd as a whole, as a cluster of one or two members must
    #[arg(long)]
    pub accept_outage: bool,
    /// Show minor changes and every value
    #[arg(short, long)]
    pub verbose: bool,
}

const DIFF_HELP: &str = "\
Exit codes: 0 no change · 1 error · 2 changes · 6 the rollout was refused · 64 usage

Examples:
  khagen diff git:origin/main out                    what a pull request changes
  khagen diff git:origin/main out --format markdown  the same as a comment
  khagen diff /media/stick/out out --rollout steps   what is installed against what was built";

/// Arguments of `khagen verify`.
#[derive(Debug, clap::Args)]
pub struct Verify {
    /// An output folder, a folder of tarballs, or a tarball
    #[arg(default_value = "out")]
    pub path: PathBuf,
    /// What was reviewed: a review tree, an output folder, or git:REV[:PATH]
    #[arg(long, value_name = "REVIEW")]
    pub against: Option<String>,
}

/// Arguments of `khagen images`.
#[derive(Debug, clap::Args)]
#[command(after_help = IMAGES_HELP)]
pub struct Images {
    /// Folder of YAML and TOML documents, or one document
    #[arg(default_value = "inventory")]
    pub inventory: PathBuf,
    /// List what the hosts need of packages instead, one line for all hosts of the same roles
    #[arg(long)]
    pub packages: bool,
    /// How the list is written; json has images and packages
    #[arg(long, value_enum, default_value_t = ListFormat::Text)]
    pub format: ListFormat,
}

const IMAGES_HELP: &str = "\
Needs neither a build nor a network: the versions follow from the inventory.

Examples:
  khagen images
      what `kubeadm config images list` says, one a line
  khagen images | xargs -I{} skopeo inspect --raw docker://{}
      whether a registry has them
  khagen images --packages
      what to carry into a room without a network";

/// How a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// One a line
    Text,
    /// JSON
    Json,
}
/// Arguments of `khagen export`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXPORT_HELP)]
pub struct Export {
    /// Folder on the medium; made if it is missing, and otherwise empty or of an earlier export
    pub dir: PathBuf,
    /// Output folder to carry
    #[arg(long, value_name = "OUT", default_value = "out")]
    pub from: PathBuf,
    /// Carry only this bundle and what travels beside it (short name, FQDN, or `operator`); may be repeated
    #[arg(long, value_name = "NAME")]
    pub host: Vec<String>,
    /// Say what would be written, and whether it has room; write nothing. Exit 2 if anything would be
    #[arg(long)]
    pub dry_run: bool,
    /// Split files into parts of this many bytes; FAT32 holds no file of 4 GiB
    #[arg(long, value_name = "BYTES", default_value_t = 3 << 30, value_parser = clap::value_parser!(u64).range(512..))]
    pub chunk: u64,
    /// Print errors and the result only
    #[arg(short, long)]
    pub quiet: bool,
}

const EXPORT_HELP: &str = "\
The medium may be FAT: files get names that it takes, modes are kept in a list, what is larger
than a part is split. Everything is read again from the medium before the list is written; until
then the medium holds what it held before. What was cut off is gone on with by the next export.
The bundles hold private keys, and so does the medium.

There, import.sh checks all of it, joins it, and makes a folder with the right modes; the medium
may be read-only and noexec:
  khagen export /media/stick/khagen
  sh /media/stick/khagen/import.sh ~/bundles

Exit codes: 0 done, or all there already · 1 error · 2 changes present (dry run) ·
4 the output or the medium is damaged · 6 no output, no room, or something else in the folder ·
64 usage";

/// Arguments of `khagen explain`.
#[derive(Debug, clap::Args)]
pub struct Explain {
    /// A code as printed, such as KH0102; without one, all codes are listed
    pub code: Option<String>,
}

/// How findings are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    /// With excerpts of the source
    Text,
    /// One line each, path:line:column first
    Lines,
    /// JSON
    Json,
    /// SARIF 2.1.0, for code hosts
    Sarif,
    /// Workflow commands of GitHub Actions: annotations of a pull request's lines
    Github,
}

/// How a comparison is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DiffFormat {
    /// For a terminal
    Text,
    /// For a comment on a pull request, at most 65,536 characters
    Markdown,
    /// JSON, with the schema docs/schema/diff-v1.json
    Json,
    /// A self-contained page
    Html,
}

/// How a build's result is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BuildFormat {
    /// For people
    Text,
    /// JSON
    Json,
    /// With --diff, for a comment on a pull request
    Markdown,
    /// With --diff, a self-contained page
    Html,
}
