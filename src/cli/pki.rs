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
    /// Every certificate and key, where it lies and until when it holds; needs no key
    List(List),
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
