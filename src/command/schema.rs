//! `khagen schema`: the inventory's JSON Schema. Reads nothing.

use super::{Exit, Failure, Streams};
use crate::cli::help::Schema;
use crate::schema::json::{self, Extent};

/// Runs the command.
pub fn run(args: &Schema, streams: &mut Streams) -> Result<Exit, Failure> {
    let extent = if args.whole { Extent::Whole } else { Extent::Document };
    streams.out(&json::schema(extent));
    Ok(Exit::Done)
}
