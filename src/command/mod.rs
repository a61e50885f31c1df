//! One file per command. The only place that prints, reads the environment and decides exit codes.

mod build;
mod check;
mod completions;
mod diff;
mod explain;
mod export;
mod identity;
mod images;
mod init;
mod man;
mod pki;
mod report;
mod schema;
mod secret;
mod show;
mod verify;

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::panic::{self, UnwindSafe};
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use crate::cli::{Cli, Command, layout};
use crate::diag::render::Look;

/// Exit codes, for commands and emitted scripts alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done, or no change.
    Done = 0,
    /// Something failed.
    Error = 1,
    /// Changes are present.
    Changes = 2,
    /// The inventory is invalid.
    Invalid = 3,
    /// Something is not what it was written as.
    Integrity = 4,
    /// Something must be done first, or has expired.
    Precondition = 6,
    /// The call is wrong.
    Usage = 64,
    /// A bug.
    Bug = 70,
}

/// A command failed: what to print and how to end.
pub struct Failure {
    /// How to end.
    pub exit: Exit,
    /// One line, without a code.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Failure {
    /// A failure with an error's chain as its message.
    pub fn new(exit: Exit, error: &dyn std::error::Error) -> Failure {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            if !message.ends_with(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            source = cause.source();
        }
        Failure { exit, message, help: None }
    }

    /// A failure that is no error of a library's.
    pub fn because(exit: Exit, message: impl Into<String>) -> Failure {
        Failure { exit, message: message.into(), help: None }
    }

    /// With a way out.
    pub fn help(mut self, help: impl Into<String>) -> Failure {
        self.help = Some(help.into());
        self
    }
}

/// Where output goes; a reader that went away ends the run quietly.
pub struct Streams {
    out: anstream::AutoStream<io::Stdout>,
    err: anstream::AutoStream<io::Stderr>,
}

impl Streams {
    fn new() -> Streams {
        Streams { out: anstream::stdout(), err: anstream::stderr() }
    }

    /// Results.
    pub fn out(&mut self, text: &str) {
        // A closed pipe (`| head`) is the reader's choice and no error of ours.
        let _ = self.out.write_all(text.as_bytes());
    }

    /// Everything else.
    pub fn err(&mut self, text: &str) {
        let _ = self.err.write_all(text.as_bytes());
    }

    /// Whether standard error shows colour.
    pub fn err_colour(&self) -> bool {
        self.err.current_choice() != anstream::ColorChoice::Never
    }

    /// Whether standard output shows colour.
    pub fn out_colour(&self) -> bool {
        self.out.current_choice() != anstream::ColorChoice::Never
    }

    /// How findings look on standard error.
    pub fn err_look(&self) -> Look {
        Look { colour: self.err_colour(), width: columns(io::stderr()), ..Look::default() }
    }

    /// How findings look on standard output.
    pub fn out_look(&self) -> Look {
        Look { colour: self.out_colour(), width: columns(io::stdout()), ..Look::default() }
    }
}

/// Columns of a terminal, if it is one.
fn columns(stream: impl AsFd) -> Option<usize> {
    terminal_size::terminal_size_of(stream).map(|(width, _)| usize::from(width.0)).filter(|width| *width > 0)
}

/// Runs the command line.
pub fn main() -> ExitCode {
    guarded(run)
}

/// Runs to an exit code, whatever happens. A panic is a bug; of its message only what stands in the source is shown, since
/// one that was formatted may hold anything.
pub fn guarded(run: impl FnOnce() -> ExitCode + UnwindSafe) -> ExitCode {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        let said = info.payload().downcast_ref::<&'static str>().map_or(String::new(), |s| format!(" ({s})"));
        let version = env!("CARGO_PKG_VERSION");
        let _ = writeln!(
            io::stderr(),
            "khagen: this is a bug, please report it: khagen {version} panicked at {place}{said}"
        );
    }));
    panic::catch_unwind(run).unwrap_or(ExitCode::from(Exit::Bug as u8))
}

fn run() -> ExitCode {
    let mut streams = Streams::new();
    // As clap finds it, which breaks what is wider: of whichever stream is a terminal.
    let width = terminal_size::terminal_size().map_or(layout::WIDEST, |(width, _)| usize::from(width.0));
    let width = width.min(layout::WIDEST);
    let parsed = layout::laid_out(Cli::command(), width)
        .try_get_matches()
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(e) => {
            let text = e.render();
            let shown = if streams.err_colour() { text.ansi().to_string() } else { text.to_string() };
            if e.use_stderr() {
                streams.err(&shown);
                return ExitCode::from(Exit::Usage as u8);
            }
            streams.out(&shown);
            return ExitCode::SUCCESS;
        }
    };
    let result = match &cli.command {
        Command::Init(args) => init::run(args, &mut streams),
        Command::Check(args) => check::run(args, &mut streams),
        Command::Build(args) => build::run(args, &mut streams),
        Command::Diff(args) => diff::run(args, &mut streams),
        Command::Verify(args) => verify::run(args, &mut streams),
        Command::Images(args) => images::run(args, &mut streams),
        Command::Secret(args) => secret::run(args, &mut streams),
        Command::Export(args) => export::run(args, &mut streams),
        Command::Pki(args) => pki::run(args, &mut streams),
        Command::Show(args) => show::run(args, &mut streams),
        Command::Explain(args) => explain::run(args, &mut streams),
        Command::Schema(args) => schema::run(args, &mut streams),
        Command::Completions(args) => completions::run(args, &mut streams),
        Command::Man(args) => man::run(args, &mut streams),
    };
    let exit = result.unwrap_or_else(|failure| {
        streams.err(&format!("khagen: {}\n", failure.message));
        if let Some(help) = &failure.help {
            streams.err(&format!("  = help: {help}\n"));
        }
        failure.exit
    });
    ExitCode::from(exit as u8)
}
