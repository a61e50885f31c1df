//! Arguments of the commands that say how khagen is used: `schema`, `completions`, `man`.

use std::path::PathBuf;

use clap_complete::Shell;

/// Arguments of `khagen schema`.
#[derive(Debug, clap::Args)]
#[command(after_help = SCHEMA_HELP)]
pub struct Schema {
    /// Of all documents merged, where what must be set is required
    #[arg(long)]
    pub whole: bool,
}

const SCHEMA_HELP: &str = "\
Without --whole it fits a single document of the folder: documents are merged, so none of them
must have everything. An editor with a language server completes and flags by it:
  # yaml-language-server: $schema=inventory-v1.json      first line of a YAML document
  #:schema ./inventory-v1.json                           first line of a TOML document

Examples:
  khagen schema > inventory-v1.json
  khagen schema --whole > whole.json
  check-jsonschema --schemafile whole.json inventory.json

What settings get wrong together is found by `khagen check` alone.";

/// Arguments of `khagen completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = COMPLETIONS_HELP)]
pub struct Completions {
    /// For which shell
    pub shell: Shell,
}

const COMPLETIONS_HELP: &str = "\
Examples:
  khagen completions bash > ~/.local/share/bash-completion/completions/khagen
  khagen completions zsh > ~/.zfunc/_khagen          with `fpath+=~/.zfunc` before compinit
  khagen completions fish > ~/.config/fish/completions/khagen.fish";

/// Arguments of `khagen man`.
#[derive(Debug, clap::Args)]
#[command(after_help = MAN_HELP)]
pub struct Man {
    /// Of which command; without one, of khagen
    pub command: Vec<String>,
    /// Write the pages of all commands into this folder instead
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    pub all: Option<PathBuf>,
}

const MAN_HELP: &str = "\
Examples:
  khagen man build | man -l -                        read one
  khagen man --all ~/.local/share/man/man1           install all";

/// What `khagen check --help` ends with.
pub const CHECK_HELP: &str = "\
Examples:
  khagen check                                       all findings, with what they point at
  khagen check --strict --format github              in a pull request's workflow
  khagen explain KH0102                              what a finding means

Exit codes: 0 nothing that forbids a build · 3 inventory invalid, or warnings under --strict";

/// What `khagen build --help` ends with.
pub const BUILD_HELP: &str = "\
Examples:
  khagen build                                       bundles in out/
  khagen build --dry-run                             what would be issued and written
  khagen build --diff --rollout steps                what changes, and in which order to install it";
