//! `khagen export`: a medium for the way into an air-gapped room.

use std::io::IsTerminal;

use super::report::size;
use super::{Exit, Failure, Streams};
use crate::cli::Export as Args;
use crate::export::{self, ExportError, Options, SourceError};

/// Runs the command.
pub fn run(args: &Args, streams: &mut Streams) -> Result<Exit, Failure> {
    let items = export::items(&args.from, &args.host).map_err(|e| failure(&e.into()))?;
    let options = Options { chunk: args.chunk, dry_run: args.dry_run };
    let shows = std::io::stderr().is_terminal() && !args.quiet;
    let mut percent = 101;
    let mut progress = |done: u64, all: u64| {
        let now = done.saturating_mul(100) / all.max(1);
        if shows && now != percent {
            percent = now;
            let end = if done >= all { "\n" } else { "" };
            streams.err(&format!("\r{now:>3} % of {} written and read again{end}", size(all / 2)));
        }
    };
    let done = export::export(&items, &args.dir, &options, &mut progress).map_err(|e| failure(&e))?;
    let dir = args.dir.display();
    if done.resumed && !args.quiet {
        streams.err("an earlier export there was cut off; what is whole of it is kept\n");
    }
    if args.dry_run {
        streams.out(&format!(
            "{dir}: {} files, {}: {} parts to write ({}), {} there already, {} of a former export to remove; nothing was written\n",
            done.files,
            size(done.bytes),
            done.written,
            size(done.written_bytes),
            done.kept,
            done.removed
        ));
        return Ok(if done.changed || done.resumed { Exit::Changes } else { Exit::Done });
    }
    if !done.changed && !done.resumed {
        streams.out(&format!("{dir}: holds this export already, whole: nothing to do\n"));
        return Ok(Exit::Done);
    }
    streams.out(&format!(
        "{dir}: {} files, {}, read again from the medium and whole ({} parts written, {} there already, {} removed)\n",
        done.files,
        size(done.bytes),
        done.written,
        done.kept,
        done.removed
    ));
    if !args.quiet {
        streams.err(&format!(
            "note: the medium holds private keys, and FAT keeps nobody from reading them: keep it under lock, and erase it afterwards.\n\
             next: unmount it; there, `sh {}/import.sh FOLDER` checks it and makes FOLDER with the right modes.\n",
            dir
        ));
    }
    Ok(Exit::Done)
}

fn failure(error: &ExportError) -> Failure {
    let exit = match error {
        ExportError::Source(SourceError::Damaged(_)) | ExportError::Medium { .. } => Exit::Integrity,
        ExportError::Source(SourceError::NoHost { .. }) => Exit::Usage,
        ExportError::Source(SourceError::NoOutput(_) | SourceError::Unfinished(_))
        | ExportError::Foreign { .. }
        | ExportError::Room { .. } => Exit::Precondition,
        _ => Exit::Error,
    };
    let failure = Failure::new(exit, error);
    match error {
        ExportError::Source(SourceError::Damaged(_)) => {
            failure.help("`khagen verify` says what is wrong with the output; `khagen build` mends it. What the medium held before it holds still")
        }
        ExportError::Source(SourceError::NoOutput(_)) => failure.help("build first, or name the output with --from"),
        ExportError::Source(SourceError::Unfinished(_)) => failure.help("run `khagen build` again: it finishes or discards what was begun"),
        ExportError::Foreign { .. } => failure.help("give a folder of its own, such as DIR/khagen, or an empty medium"),
        ExportError::Room { free, need, former, .. } => {
            let lacks = size(need.saturating_sub(*free));
            failure.help(match former {
                0 => format!("{lacks} are lacking: take a larger medium, or export single hosts with --host. Nothing was written"),
                _ => format!("{lacks} are lacking while the former export ({}) stays, as it does until the new one is whole: remove it first if it is of no use any more, or take a larger medium. Nothing was written", size(*former)),
            })
        }
        ExportError::Medium { .. } => failure.help("run the export again; if it happens again, take another medium"),
        _ => failure,
    }
}
