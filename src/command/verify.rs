//! `khagen verify`: whether an output or a tarball is what it says, and what was reviewed.

use super::{Exit, Failure, Streams};
use crate::cli::Verify as Args;
use crate::snapshot;
use crate::verify::{self, Verified};

/// Runs the command.
pub fn run(args: &Args, streams: &mut Streams) -> Result<Exit, Failure> {
    let against = match &args.against {
        Some(name) => Some(snapshot::open(name).map_err(|e| Failure::new(Exit::Error, &e))?),
        None => None,
    };
    let verified = verify::verify(&args.path, against.as_ref()).map_err(|e| Failure::new(Exit::Error, &e))?;
    for problem in &verified.problems {
        streams.out(&format!("{problem}\n"));
    }
    streams.err(&summary(args, &verified));
    Ok(if verified.problems.is_empty() { Exit::Done } else { Exit::Integrity })
}

fn summary(args: &Args, v: &Verified) -> String {
    let s = |n: usize| if n == 1 { "" } else { "s" };
    let mut tarballs = format!("{} tarball{}, {} files", v.tarballs, s(v.tarballs), v.files);
    if v.packages > 0 {
        tarballs.push_str(&format!(", {} packages and programs beside them", v.packages));
    }
    let path = args.path.display();
    if !v.problems.is_empty() {
        return format!("{path}: {tarballs}: {} problem{}\n", v.problems.len(), s(v.problems.len()));
    }
    let review = match (&args.against, v.reviewed) {
        (_, 0) => String::new(),
        (Some(name), _) => format!(", and what {name} has is what they hold"),
        (None, _) => ", and the review tree is what they hold".to_owned(),
    };
    format!("{path}: {tarballs}: whole{review}\n")
}
