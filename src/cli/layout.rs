//! What stands below a command's options, at the width of a terminal: paragraphs flow, and examples whose explanations do
//! not fit beside them have them below.

use clap::Command;

use crate::diag::wrap::wrap;

/// Above this many columns lines are hard to read.
pub const WIDEST: usize = 100;

/// Lays out the texts of a command and of all below it.
pub fn laid_out(command: Command, width: usize) -> Command {
    let text = command.get_after_help().map(|text| layout(&text.to_string(), width));
    let command = match text {
        Some(text) => command.after_help(text),
        None => command,
    };
    command.mut_subcommands(|below| laid_out(below, width))
}

/// Lays out a text. Lines that are indented are examples; others are paragraphs, ended by an empty line or a colon.
pub fn layout(text: &str, width: usize) -> String {
    let mut out: Vec<String> = Vec::new();
    let mut paragraph = String::new();
    let mut examples: Vec<&str> = Vec::new();
    for line in text.lines().chain([""]) {
        let example = line.starts_with(' ');
        if !example && !examples.is_empty() {
            out.extend(aligned(&std::mem::take(&mut examples), width));
        }
        if (example || line.is_empty()) && !paragraph.is_empty() {
            out.push(wrap(&std::mem::take(&mut paragraph), width));
        }
        if example {
            examples.push(line);
        } else if line.is_empty() {
            out.push(String::new());
        } else {
            if !paragraph.is_empty() {
                paragraph.push(' ');
            }
            paragraph.push_str(line);
            if line.ends_with(':') {
                out.push(wrap(&std::mem::take(&mut paragraph), width));
            }
        }
    }
    out.join("\n").trim_end().to_owned()
}

/// Examples with their explanations, which are told from them by two spaces or more.
fn aligned(lines: &[&str], width: usize) -> Vec<String> {
    let parts: Vec<(&str, &str)> = lines
        .iter()
        .map(|line| {
            let begin = line.len() - line.trim_start().len();
            match line[begin..].find("  ") {
                Some(gap) => (&line[..begin + gap], line[begin + gap..].trim()),
                None => (*line, ""),
            }
        })
        .collect();
    let length = |text: &str| text.chars().count();
    if lines.iter().all(|line| length(line) <= width) {
        return lines.iter().map(|line| (*line).to_owned()).collect();
    }
    let column = parts.iter().map(|(example, _)| length(example)).max().unwrap_or_default() + 3;
    let beside = parts.iter().all(|(_, what)| column + length(what) <= width);
    let one = |(example, what): &(&str, &str)| match *what {
        "" => vec![(*example).to_owned()],
        what if beside => vec![format!("{example:column$}{what}")],
        what => vec![(*example).to_owned(), wrap(&format!("      {what}"), width)],
    };
    parts.iter().flat_map(one).collect()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn paragraphs_flow_and_examples_stand() {
        let text =
            "One two\nthree: four.\n\nExamples:\n  a b        what it is\n  c --long   more\n\nCodes: 0\n1";
        assert_eq!(
            layout(text, 16),
            "One two three:\nfour.\n\nExamples:\n  a b\n      what it is\n  c --long\n      more\n\nCodes: 0 1"
        );
        assert!(layout(text, 24).contains("  a b        what it is\n"));
        assert!(layout("  a            what it is\n  b  x", 16).starts_with("  a   what it is\n  b   x"));
    }

    /// No line is longer than the terminal, and no word is lost.
    #[test]
    fn every_command_fits_eighty_columns() {
        fn see(command: &Command) {
            let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let shown = layout(&text, 80);
            for line in shown.lines() {
                assert!(line.chars().count() <= 80, "{}: {line}", command.get_name());
            }
            assert!(text.split_whitespace().eq(shown.split_whitespace()), "{}", command.get_name());
            command.get_subcommands().for_each(see);
        }
        see(&Cli::command());
    }
}
