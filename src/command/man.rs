//! `khagen man`: manual pages, made from what `--help` is made from.

use clap::{Command, CommandFactory};

use super::{Exit, Failure, Streams};
use crate::cli::{Cli, help::Man};
use crate::fs::{self, FsError, Sync};

/// Runs the command.
pub fn run(args: &Man, streams: &mut Streams) -> Result<Exit, Failure> {
    let mut root = Cli::command();
    root.build();
    if let Some(dir) = &args.all {
        let failed = |e: FsError| Failure::new(Exit::Error, &e);
        fs::create_dirs(dir, 0o755).map_err(failed)?;
        let mut pages = Vec::new();
        all("khagen", &root, &mut pages);
        for (name, text) in &pages {
            let path = dir.join(format!("{name}.1"));
            fs::replace(&path, text.as_bytes(), 0o644, Sync::Later).map_err(failed)?;
        }
        streams.err(&format!("{} pages in {}\n", pages.len(), dir.display()));
        return Ok(Exit::Done);
    }
    let mut name = "khagen".to_owned();
    let mut command = &root;
    for word in &args.command {
        let Some(below) = command.find_subcommand(word) else {
            return Err(Failure::because(Exit::Usage, format!("`{name}` has no command {word:?}"))
                .help("`khagen --help` lists the commands"));
        };
        name = format!("{name}-{}", below.get_name());
        command = below;
    }
    streams.out(&page(&name, command));
    Ok(Exit::Done)
}

/// The pages of a command and of all below it.
fn all(name: &str, command: &Command, pages: &mut Vec<(String, String)>) {
    pages.push((name.to_owned(), page(name, command)));
    for below in command.get_subcommands().filter(|c| !c.is_hide_set() && c.get_name() != "help") {
        all(&format!("{name}-{}", below.get_name()), below, pages);
    }
}

fn page(name: &str, command: &Command) -> String {
    let mut text = Vec::new();
    let version = env!("CARGO_PKG_VERSION");
    let titled = command.clone().version(version);
    // Writing to memory does not fail.
    let _ = clap_mangen::Man::new(titled)
        .title(name.to_uppercase())
        .source(format!("khagen {version}"))
        .manual("khagen")
        .render(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}
