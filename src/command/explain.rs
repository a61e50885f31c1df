//! `khagen explain`: what a finding's code means.

use super::{Exit, Failure, Streams};
use crate::cli::Explain;
use crate::diag::Code;

/// Prints one code's page, or the list of all.
pub fn run(args: &Explain, streams: &mut Streams) -> Result<Exit, Failure> {
    let Some(wanted) = &args.code else {
        for code in Code::ALL {
            streams.out(&format!("{code}  {}\n", code.title()));
        }
        return Ok(Exit::Done);
    };
    match Code::find(wanted) {
        Some(code) => {
            let examples = code.page().split_once("\n## ").map_or("", |(_, examples)| examples);
            streams.out(&format!("{code}: {}\n\n{}\n", code.title(), code.explanation()));
            if !examples.is_empty() {
                streams.out(&format!("\n{}", examples.replace("\n## ", "\n")));
            }
            Ok(Exit::Done)
        }
        None => Err(Failure {
            exit: Exit::Usage,
            message: format!("there is no code {wanted:?}"),
            help: Some("`khagen explain` lists all codes".to_owned()),
        }),
    }
}
