//! `khagen completions`: what a shell completes.

use clap::CommandFactory;

use super::{Exit, Failure, Streams};
use crate::cli::{Cli, help::Completions};

/// Runs the command.
pub fn run(args: &Completions, streams: &mut Streams) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "khagen", &mut script);
    streams.out(&String::from_utf8_lossy(&script));
    Ok(Exit::Done)
}
