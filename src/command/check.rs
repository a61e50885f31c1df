//! `khagen check`: every finding at once, nothing written.

use std::path::Path;

use super::{Exit, Failure, Streams};
use crate::check::MissingSecrets;
use crate::cli::{Check, CheckFormat};
use crate::diag::{self, Report};
use crate::env::Env;
use crate::model::Inventory;
use crate::source::Sources;

/// What reading and checking an inventory gives.
pub struct Checked {
    /// `None` when the report has errors.
    pub inventory: Option<Inventory>,
    /// All findings.
    pub report: Report,
    /// What the findings point into.
    pub sources: Sources,
}

/// Reads and checks an inventory. The date decides only which versions are past their end of life.
pub fn checked(path: &Path, env: &Env) -> Checked {
    checked_with(path, env, MissingSecrets::AreErrors)
}

/// As [`checked`], for commands that set secrets as well.
pub fn checked_with(path: &Path, env: &Env, missing: MissingSecrets) -> Checked {
    let (mut sources, mut report) = (Sources::new(), Report::new());
    let loaded = crate::load::load(path, &mut sources, &mut report);
    let inventory = crate::check::check_with(&loaded, &sources, env.now().date(), missing, &mut report);
    let inventory = if report.has_errors() { None } else { inventory };
    Checked { inventory, report, sources }
}

/// Runs the command.
pub fn run(args: &Check, streams: &mut Streams) -> Result<Exit, Failure> {
    let env = Env::system().map_err(|e| Failure::new(Exit::Error, &e))?;
    let checked = checked(&args.inventory, &env);
    let (report, sources) = (&checked.report, &checked.sources);
    match args.format {
        CheckFormat::Text => {
            let look = diag::render::Look { waived: args.waived, ..streams.out_look() };
            streams.out(&diag::render::text(report, sources, look));
        }
        CheckFormat::Lines => {
            streams.out(&diag::render::lines(report, sources));
            if args.waived {
                streams.out(&diag::render::waived_lines(report, sources));
            }
        }
        CheckFormat::Json => streams.out(&diag::json::json(report, sources)),
        CheckFormat::Sarif => streams.out(&diag::sarif::sarif(report, sources)),
        CheckFormat::Github => streams.out(&diag::github::github(report, sources)),
    }
    if report.is_empty() {
        streams.err(match report.waived_count() {
            0 => "no findings\n",
            _ => "no findings but those that are waived\n",
        });
    }
    Ok(if is_invalid(&checked, args.strict) { Exit::Invalid } else { Exit::Done })
}

/// Whether an inventory cannot be built.
pub fn is_invalid(checked: &Checked, strict: bool) -> bool {
    checked.inventory.is_none() || (strict && !checked.report.is_empty())
}
