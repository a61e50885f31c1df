//! A comparison for a terminal.

use std::fmt::Write;
use std::sync::Arc;

use anstyle::{AnsiColor, Style};

use super::layout::{self, FileBlock};
use crate::diff::change::{Change, Class, ClusterDiff, Diff, What};

/// How it is shown.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// With colours.
    pub colour: bool,
    /// With minor changes and each host's own values.
    pub verbose: bool,
    /// Columns at which lists of hosts are wrapped.
    pub width: usize,
}

/// Columns of a terminal that nobody widened.
pub const WIDTH: usize = 100;

/// The comparison.
pub fn text(diff: &Diff, look: Look) -> String {
    let mut out = String::new();
    for cluster in &diff.clusters {
        one(&mut out, cluster, look);
    }
    if diff.is_empty() {
        let name = |c: &ClusterDiff| c.name.clone();
        let names: Vec<String> = diff.clusters.iter().map(name).collect();
        let _ = writeln!(out, "no change: {} is the same in {} and {}", names.join(", "), diff.old, diff.new);
    }
    out
}

fn paint(look: Look, style: Style, text: &str) -> String {
    if look.colour { format!("{style}{text}{style:#}") } else { text.to_owned() }
}

fn style(class: Class) -> Style {
    match class {
        Class::None | Class::Inert => AnsiColor::BrightBlack.on_default(),
        Class::Reload | Class::Reissue => AnsiColor::Cyan.on_default(),
        Class::Restart | Class::Reconfigure => AnsiColor::Yellow.on_default(),
        Class::Recreate | Class::Destructive => AnsiColor::Red.on_default().bold(),
    }
}

fn one(out: &mut String, cluster: &ClusterDiff, look: Look) {
    if cluster.changes.is_empty() && cluster.issues.is_empty() {
        return;
    }
    let bold = Style::new().bold();
    let _ = writeln!(out, "{}", paint(look, bold, &format!("cluster {}", cluster.name)));
    let _ = writeln!(out, "  {}", layout::summary(cluster).join(" · "));
    if !cluster.issues.is_empty() {
        let _ = writeln!(out, "\n{}", paint(look, bold, "would be issued"));
        for issue in &cluster.issues {
            let _ = writeln!(out, "  {}: {}", issue.id, issue.reason);
        }
    }
    for block in layout::blocks(cluster, look.verbose) {
        let _ = writeln!(out, "\n{}", paint(look, bold, &hosts(block.hosts, look.width)));
        for file in &block.files {
            file_block(out, file, look);
        }
    }
    let minor = cluster.changes.iter().filter(|c| c.minor).count();
    if minor > 0 && !look.verbose {
        let what = if minor == 1 { "follows from these is" } else { "follow from these are" };
        let _ = writeln!(out, "\n{} that {what} not shown (-v)", layout::count(minor, "minor change"));
    }
    rollout(out, cluster, look);
}

/// Names in full, wrapped.
fn hosts(names: &[Arc<str>], width: usize) -> String {
    let mut out = String::new();
    let mut column = 0;
    for (i, name) in names.iter().enumerate() {
        let comma = if i + 1 < names.len() { "," } else { "" };
        if column > 0 && column + name.len() + 2 > width {
            out.push('\n');
            column = 0;
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(name);
        out.push_str(comma);
        column += name.len() + comma.len();
    }
    if names.len() > 1 {
        let _ = write!(out, " ({})", layout::count(names.len(), "host"));
    }
    out
}

fn file_block(out: &mut String, file: &FileBlock<'_>, look: Look) {
    let class = file.class();
    let tag = paint(look, style(class), &format!("{:<11}", class.as_str()));
    if file.file.is_empty() {
        for change in &file.changes {
            let _ = writeln!(out, "  {tag} {}", layout::words(&change.what));
        }
    } else {
        let _ = writeln!(out, "  {tag} {}", file.file);
        for change in &file.changes {
            self::change(out, change, look);
        }
    }
    for effect in &file.effects {
        let _ =
            writeln!(out, "                {}", paint(look, Style::new().dimmed(), &layout::effect(effect)));
    }
}

fn change(out: &mut String, change: &Change, look: Look) {
    let _ = writeln!(out, "              {}", layout::words(&change.what));
    if let What::Text { patch, .. } = &change.what {
        for line in patch.lines() {
            let style = match line.chars().next() {
                Some('+') => AnsiColor::Green.on_default(),
                Some('-') => AnsiColor::Red.on_default(),
                Some('@') => AnsiColor::Cyan.on_default(),
                _ => Style::new(),
            };
            let _ = writeln!(out, "                {}", paint(look, style, line));
        }
    }
    if look.verbose && !matches!(change.what, What::Text { .. }) {
        for each in &change.each {
            let old = each.old.as_deref().map_or("–".to_owned(), layout::value);
            let new = each.new.as_deref().map_or("–".to_owned(), layout::value);
            let _ = writeln!(out, "                {} {}: {old} → {new}", each.host, each.file);
        }
    }
}

fn rollout(out: &mut String, cluster: &ClusterDiff, look: Look) {
    let plan = &cluster.rollout;
    if !plan.refused.is_empty() {
        let heading = paint(look, style(Class::Destructive), "this cannot be rolled out as it is");
        let _ = writeln!(out, "\n{heading}");
        for reason in &plan.refused {
            let _ = writeln!(out, "  {reason}");
        }
    }
    if plan.steps.is_empty() {
        return;
    }
    let heading = if plan.refused.is_empty() { "rollout" } else { "steps, if it could be" };
    let _ = writeln!(out, "\n{}", paint(look, Style::new().bold(), heading));
    for step in &plan.steps {
        let names =
            if step.hosts.is_empty() { "at the bastion".to_owned() } else { hosts(&step.hosts, look.width) };
        let _ = writeln!(
            out,
            "  {:>3}. {} {}",
            step.number,
            step.action.name(),
            names.replace('\n', "\n       ")
        );
        let serving = layout::serving(step);
        let note = if serving.is_empty() { step.note.clone() } else { format!("{}; {serving}", step.note) };
        let _ = writeln!(out, "       {}", paint(look, Style::new().dimmed(), &note));
    }
}
