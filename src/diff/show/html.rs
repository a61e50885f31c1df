//! A comparison as one HTML file that needs nothing else: no request, no font, no clock.
//!
//! Everything in it is written by the server's side of things, that is here; the script only folds, filters and copies, so that
//! the report can be read without it. Whatever comes from files is hostile: one escaper for every template, and a content
//! security policy that allows the one style and the one script by their digests. The same comparison gives the same bytes.

mod changes;
mod names;
mod rollout;
mod summary;
#[cfg(test)]
mod tests;
mod timeline;
mod topology;
mod trust;
mod values;

use std::fmt;

use askama::Template;
use base64::Engine;
use sha2::{Digest, Sha256};

use self::changes::Section;
use self::names::{HostRow, Names, Set};
use self::rollout::StepView;
use self::summary::Summary;
use self::timeline::Timeline;
use self::topology::Topology;
use crate::diff::change::{ClusterDiff, Diff, Issue};

const STYLE: &str = include_str!("../../../templates/diff/report.css");
const SCRIPT: &str = include_str!("../../../templates/diff/report.js");

/// The report.
pub fn html(diff: &Diff) -> String {
    let clusters: Vec<ClusterView<'_>> =
        diff.clusters.iter().enumerate().map(|(n, c)| ClusterView::new(n + 1, c)).collect();
    let title = match clusters.as_slice() {
        [one] => one.cluster.name.clone(),
        many => format!("{} clusters", many.len()),
    };
    let report = Report {
        title,
        old: &diff.old,
        new: &diff.new,
        minor: diff.clusters.iter().flat_map(|c| &c.changes).filter(|c| c.minor).count(),
        clusters,
        style: STYLE,
        script: SCRIPT,
        style_digest: digest(STYLE),
        script_digest: digest(SCRIPT),
    };
    // Writing to a string does not fail, and no value in the template does.
    report.render().unwrap_or_default()
}

/// As a content security policy names it.
fn digest(text: &str) -> String {
    format!("sha256-{}", base64::engine::general_purpose::STANDARD.encode(Sha256::digest(text)))
}

#[derive(Template)]
#[template(path = "diff/report.html", config = "templates/diff/askama.toml")]
struct Report<'a> {
    title: String,
    old: &'a str,
    new: &'a str,
    minor: usize,
    clusters: Vec<ClusterView<'a>>,
    style: &'static str,
    script: &'static str,
    style_digest: String,
    script_digest: String,
}

/// One cluster as the template wants it.
struct ClusterView<'a> {
    /// What ids of this cluster begin with.
    key: String,
    cluster: &'a ClusterDiff,
    summary: Summary,
    topology: Topology,
    sections: Vec<Section>,
    issues: &'a [Issue],
    refused: &'a [String],
    steps: Vec<StepView>,
    timelines: Vec<Timeline>,
    hosts: Vec<HostRow>,
    sets: Vec<Set>,
}

impl<'a> ClusterView<'a> {
    fn new(number: usize, cluster: &'a ClusterDiff) -> ClusterView<'a> {
        let key = format!("k{number}");
        let mut names = Names::new(&key, cluster);
        let sections = changes::sections(&key, cluster, &mut names);
        let steps = rollout::steps(&key, cluster, &mut names);
        let summary = summary::summary(&key, cluster, &sections, &mut names);
        let timelines = timeline::timelines(&key, cluster, &mut names);
        ClusterView {
            summary,
            topology: topology::topology(cluster, &names),
            sections,
            issues: &cluster.issues,
            refused: &cluster.rollout.refused,
            steps,
            timelines,
            hosts: names.rows(cluster),
            sets: names.sets(),
            cluster,
            key,
        }
    }
}

/// Writes text so that it can be nothing but text, and so that the reader sees what is there: characters that are
/// invisible, or that turn the order of what follows around, are spelled out.
#[derive(Debug, Clone, Copy, Default)]
pub struct Visible;

impl askama::filters::Escaper for Visible {
    fn write_escaped_str<W: fmt::Write>(&self, mut dest: W, string: &str) -> fmt::Result {
        let mut plain = 0;
        for (at, c) in string.char_indices() {
            let with = match c {
                '&' => "&amp;",
                '<' => "&lt;",
                '>' => "&gt;",
                '"' => "&quot;",
                '\'' => "&#39;",
                '\n' | '\t' => continue,
                c if c.is_control() || is_hidden(c) => "",
                _ => continue,
            };
            dest.write_str(&string[plain..at])?;
            match with {
                "" => write!(dest, "\u{27e8}U+{:04X}\u{27e9}", u32::from(c))?,
                with => dest.write_str(with)?,
            }
            plain = at + c.len_utf8();
        }
        dest.write_str(&string[plain..])
    }
}

/// Characters without a shape of their own, among them those that reorder text (Unicode Standard Annex 9, section 2).
fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}
