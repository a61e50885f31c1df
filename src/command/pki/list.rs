//! `khagen pki list`: the calendar of certificates and keys.

use std::io::IsTerminal;

use super::{inventory, public_store};
use crate::calendar::facts::{self, Facts};
use crate::calendar::show::{ical, json, prometheus, table};
use crate::calendar::{Calendar, State, calendar};
use crate::cli::pki::{List, ListFormat};
use crate::command::{Exit, Failure, Streams};
use crate::env::Env;

pub(super) fn run(args: &List, streams: &mut Streams) -> Result<Exit, Failure> {
    let env = Env::system().map_err(|e| Failure::new(Exit::Error, &e))?;
    let facts = match &args.facts {
        Some(dir) => facts::read(dir).map_err(|e| {
            Failure::new(Exit::Error, &e)
                .help("each file is what `khagen-certificates --facts` printed on one host")
        })?,
        None => Facts::default(),
    };
    let Some(inventory) = inventory(&args.inventory, &env, streams) else { return Ok(Exit::Invalid) };
    let mut calendars: Vec<Calendar> = Vec::new();
    for cluster in &inventory.clusters {
        calendars.push(calendar(cluster, &public_store(cluster)?, &facts, env.now()));
    }
    let text = match args.format {
        ListFormat::Table => {
            let width = std::io::stdout().is_terminal().then(terminal_width).flatten();
            table::table(&calendars, table::Look { colour: streams.out_colour(), width })
        }
        ListFormat::Json => json::json(&calendars, env.now()),
        ListFormat::Ical => ical::ical(&calendars),
        ListFormat::Prometheus => prometheus::prometheus(&calendars),
    };
    streams.out(&text);
    let state = calendars.iter().map(Calendar::state).max();
    Ok(match state {
        Some(State::Expired) => Exit::Precondition,
        Some(State::Due) => Exit::Changes,
        Some(State::Missing | State::Valid | State::Undated) | None => Exit::Done,
    })
}

/// Columns of the terminal that standard output is.
fn terminal_width() -> Option<usize> {
    terminal_size::terminal_size().map(|(terminal_size::Width(w), _)| usize::from(w)).filter(|w| *w > 0)
}
