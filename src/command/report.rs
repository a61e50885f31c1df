//! What a build says on the terminal, and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use serde_json::json;

use crate::pipeline::{BundleChange, Outcome};
use crate::pki::Action;
use crate::pki::due::DueState;
use crate::render::overview::date;

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Decisions of the same kind in one line.
    Summary,
    /// Every decision.
    Full,
}

/// More lines of one kind than this are folded into one.
const FOLD: usize = 12;

/// The outcome for people.
pub fn text(outcome: &Outcome, detail: Detail, dry_run: bool, colour: bool) -> String {
    let mut out = String::new();
    let paint =
        |style: Style, text: &str| if colour { format!("{style}{text}{style:#}") } else { text.to_owned() };
    let strong = Style::new().bold();
    let fresh = AnsiColor::Green.on_default();
    let _ = writeln!(out, "{}", paint(strong, &format!("cluster {}", outcome.cluster)));

    decisions(&mut out, outcome, detail, dry_run);
    for note in &outcome.notes {
        let _ = writeln!(out, "  store     note: {note}");
    }

    let width = outcome.bundles.iter().map(|b| b.name.len()).max().unwrap_or(0);
    let roles = outcome.bundles.iter().map(|b| b.roles.len()).max().unwrap_or(0);
    let unchanged = outcome.bundles.iter().filter(|b| b.change == BundleChange::Unchanged).count();
    let fold = detail == Detail::Summary && unchanged > FOLD;
    for b in &outcome.bundles {
        if fold && b.change == BundleChange::Unchanged {
            continue;
        }
        let word = format!("{:<9}", b.change.as_str());
        let word = if b.change == BundleChange::Unchanged { word } else { paint(fresh, &word) };
        let _ = write!(
            out,
            "  bundle    {:<width$}  {:<roles$}  {word}  generation {}",
            b.name, b.roles, b.record.generation
        );
        if !b.record.tar_sha256.is_empty() {
            let digest = b.record.tar_sha256.get(..12).unwrap_or_default();
            let _ = write!(out, "  {:>9}  sha256:{digest}", size(b.record.size));
        }
        out.push('\n');
    }
    if fold {
        let _ = writeln!(out, "  bundle    {unchanged} more unchanged (-v lists them)");
    }
    if dry_run {
        let changed = outcome.bundles.len() - unchanged;
        let _ = writeln!(
            out,
            "  dry run   {changed} of {} bundles would be written; nothing was",
            outcome.bundles.len()
        );
    } else if outcome.written == 0 && outcome.removed == 0 {
        let _ = writeln!(out, "  output    {}: nothing changed, nothing written", outcome.output.display());
    } else {
        let removed =
            if outcome.removed > 0 { format!(", {} removed", outcome.removed) } else { String::new() };
        let _ = writeln!(
            out,
            "  output    {}: {} files written{removed}",
            outcome.output.display(),
            outcome.written
        );
    }
    out
}

fn decisions(out: &mut String, outcome: &Outcome, detail: Detail, dry_run: bool) {
    let issued: Vec<_> = outcome.decisions.iter().filter(|d| d.action == Action::Issue).collect();
    let kept = outcome.decisions.len() - issued.len();
    let would = if dry_run { "would issue" } else { "issued" };
    let _ = writeln!(
        out,
        "  store     {}: {kept} keys and certificates kept, {} {would}",
        outcome.store.display(),
        issued.len()
    );
    if detail == Detail::Full {
        for d in &outcome.decisions {
            let word = if d.action == Action::Issue { "issue" } else { "keep " };
            let _ = writeln!(out, "  {word}     {}: {}", d.id, d.reason);
        }
        return;
    }
    let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for d in &issued {
        by_reason.entry(&d.reason).or_default().push(d.id.as_str());
    }
    for (reason, ids) in by_reason {
        if ids.len() > FOLD {
            let _ = writeln!(out, "  issue     {} of them: {reason} (-v lists them)", ids.len());
        } else {
            for id in ids {
                let _ = writeln!(out, "  issue     {id}: {reason}");
            }
        }
    }
}

/// What a review build wrote.
pub fn review(outcome: &Outcome) -> String {
    let folder = outcome.output.join("review");
    if outcome.written == 0 && outcome.removed == 0 {
        return format!("cluster {}: {} is what the inventory builds\n", outcome.cluster, folder.display());
    }
    format!(
        "cluster {}: {}: {} files written, {} removed; bundles are as they were\n",
        outcome.cluster,
        folder.display(),
        outcome.written,
        outcome.removed
    )
}

/// Certificates that come to their end, for standard error.
pub fn due(outcome: &Outcome) -> String {
    let mut out = String::new();
    for d in outcome.due.iter().filter(|d| d.state == DueState::Due) {
        let _ = writeln!(out, "warning: {} is valid until {} and should be renewed", d.id, date(d.not_after));
    }
    out
}

/// Secrets that are encrypted to others than the inventory names, for standard error.
pub fn recipients(outcome: &Outcome) -> String {
    if outcome.encrypted_otherwise == 0 {
        return String::new();
    }
    format!(
        "warning: {} secrets of {} are not encrypted to what the inventory's `secrets.recipients` says now: \
         khagen secret rekey\n",
        outcome.encrypted_otherwise,
        outcome.store.display()
    )
}

/// The outcomes as JSON.
pub fn json(outcomes: &[Outcome], dry_run: bool) -> String {
    let clusters: Vec<serde_json::Value> = outcomes
        .iter()
        .map(|o| {
            json!({
                "cluster": o.cluster,
                "store": o.store.display().to_string(),
                "output": o.output.display().to_string(),
                "decisions": o.decisions.iter().map(|d| json!({
                    "id": d.id.as_str(),
                    "action": if d.action == Action::Issue { "issue" } else { "keep" },
                    "reason": d.reason,
                })).collect::<Vec<_>>(),
                "due": o.due.iter().map(|d| json!({"id": d.id.as_str(), "notAfter": date(d.not_after)})).collect::<Vec<_>>(),
                "notes": o.notes,
                "recipients": o.recipients,
                "encryptedOtherwise": o.encrypted_otherwise,
                "bundles": o.bundles.iter().map(|b| json!({
                    "name": b.name,
                    "change": b.change.as_str(),
                    "generation": b.record.generation,
                    "size": b.record.size,
                    "tarSha256": b.record.tar_sha256,
                })).collect::<Vec<_>>(),
                "written": o.written,
                "removed": o.removed,
            })
        })
        .collect();
    let mut text = serde_json::to_string_pretty(&json!({
        "schema": "khagen-build-result/v1",
        "dryRun": dry_run,
        "clusters": clusters,
    }))
    .unwrap_or_default();
    text.push('\n');
    text
}

/// Bytes for people: three digits and a unit.
pub fn size(bytes: u64) -> String {
    let tenths = |unit: u64| format!("{}.{}", bytes / unit, bytes % unit / (unit / 10));
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => tenths(1_000) + " kB",
        1_000_000..1_000_000_000 => tenths(1_000_000) + " MB",
        _ => tenths(1_000_000_000) + " GB",
    }
}
