//! A comparison as a comment on a pull request: the summary first, details folded, never longer than code hosts take.
//!
//! What does not fit loses detail, step by step: other hosts' values, patches, fields, reasons. Hosts are never dropped; when
//! their names alone are too long they are written as ranges, which loses nothing.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use super::layout::{self, Block};
use crate::diff::change::{ClusterDiff, Diff, What};

/// What GitHub takes for a comment, in characters. GitLab takes more.
pub const LIMIT: usize = 65_536;

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Detail {
    /// Files only, hosts as ranges.
    Ranges,
    /// Files only.
    Bare,
    /// Files and effects.
    Files,
    /// Fields too.
    Fields,
    /// Patches too.
    Patches,
}

/// The comparison, at most `limit` characters.
pub fn markdown(diff: &Diff, limit: usize) -> String {
    let mut text = String::new();
    for detail in [Detail::Patches, Detail::Fields, Detail::Files, Detail::Bare, Detail::Ranges] {
        text = render(diff, detail);
        if text.chars().count() <= limit {
            return text;
        }
    }
    // Names without any order, more of them than fit: said, and cut where a line ends.
    let note = "\n\nToo long for a comment: `khagen diff --format html` has all of it.\n";
    let room = limit.saturating_sub(note.chars().count());
    let cut = text.char_indices().nth(room).map_or(text.len(), |(at, _)| at);
    let end = text[..cut].rfind('\n').unwrap_or(cut);
    text.truncate(end);
    text.push_str(note);
    text
}

fn render(diff: &Diff, detail: Detail) -> String {
    let mut out = String::new();
    if diff.is_empty() {
        let _ = writeln!(
            out,
            "### khagen: no change\n\n{} and {} are the same build.",
            code(&diff.old),
            code(&diff.new)
        );
        return out;
    }
    for cluster in diff.clusters.iter().filter(|c| !c.changes.is_empty() || !c.issues.is_empty()) {
        one(&mut out, cluster, detail);
    }
    let _ = write!(out, "\n<sub>`khagen diff` of {} and {}", code(&diff.old), code(&diff.new));
    if detail < Detail::Patches {
        out.push_str("; details were left out to fit: `--format html` has them");
    }
    out.push_str("</sub>\n");
    out
}

/// Host sets that several blocks share are named once, below.
struct Sets<'a> {
    names: BTreeMap<&'a [Arc<str>], String>,
    order: Vec<&'a [Arc<str>]>,
}

/// Up to this many hosts are written where they are spoken of.
const INLINE: usize = 4;

impl<'a> Sets<'a> {
    fn name(&mut self, hosts: &'a [Arc<str>]) -> String {
        if hosts.len() <= INLINE {
            return hosts.iter().map(|h| code(h)).collect::<Vec<_>>().join(", ");
        }
        if let Some(name) = self.names.get(hosts) {
            return name.clone();
        }
        let name = format!("**hosts {}** ({})", letters(self.order.len()), hosts.len());
        self.names.insert(hosts, name.clone());
        self.order.push(hosts);
        name
    }
}

impl Sets<'_> {
    /// Who is meant. Sets overlap, so each is given as groups that do not: every host is written once.
    fn legend(&self, out: &mut String, detail: Detail) {
        if self.order.is_empty() {
            return;
        }
        let mut member_of: BTreeMap<&Arc<str>, Vec<usize>> = BTreeMap::new();
        for (i, hosts) in self.order.iter().enumerate() {
            for host in *hosts {
                member_of.entry(host).or_default().push(i);
            }
        }
        let mut groups: BTreeMap<Vec<usize>, Vec<Arc<str>>> = BTreeMap::new();
        for (host, sets) in member_of {
            groups.entry(sets).or_default().push(host.clone());
        }
        let list = |hosts: &[Arc<str>]| {
            if detail == Detail::Ranges { layout::ranges(hosts) } else { hosts.join(", ") }
        };
        let _ = writeln!(out, "\n<details><summary>The hosts</summary>\n");
        let alone = groups.keys().all(|sets| sets.len() == 1) && groups.len() == self.order.len();
        for (i, hosts) in self.order.iter().enumerate() {
            let name = self.names.get(*hosts).cloned().unwrap_or_default();
            if alone {
                let _ = writeln!(out, "- {name}: {}", list(hosts));
                continue;
            }
            let numbers: Vec<String> = groups
                .keys()
                .enumerate()
                .filter(|(_, sets)| sets.contains(&i))
                .map(|(n, _)| (n + 1).to_string())
                .collect();
            let word = if numbers.len() == 1 { "group" } else { "groups" };
            let _ = writeln!(out, "- {name}: {word} {}", numbers.join(", "));
        }
        if !alone {
            out.push('\n');
            for (n, hosts) in groups.values().enumerate() {
                let _ = writeln!(out, "- group {} ({}): {}", n + 1, hosts.len(), list(hosts));
            }
        }
        let _ = writeln!(out, "\n</details>");
    }
}

/// A, B, … Z, AA, AB, …
fn letters(mut n: usize) -> String {
    let mut out = String::new();
    loop {
        out.insert(0, char::from(b'A' + u8::try_from(n % 26).unwrap_or(0)));
        match n / 26 {
            0 => return out,
            more => n = more - 1,
        }
    }
}

fn one(out: &mut String, cluster: &ClusterDiff, detail: Detail) {
    let mut sets = Sets { names: BTreeMap::new(), order: Vec::new() };
    let _ = writeln!(out, "### khagen: cluster {}\n", code(&cluster.name));
    for line in layout::summary(cluster) {
        let _ = writeln!(out, "- {}", escape(&line));
    }
    if !cluster.rollout.refused.is_empty() {
        let _ = writeln!(out, "\n> [!CAUTION]\n> This cannot be rolled out as it is:");
        for reason in &cluster.rollout.refused {
            let _ = writeln!(out, "> - {}", escape(reason));
        }
    }
    if !cluster.issues.is_empty() {
        let _ = writeln!(out, "\n<details><summary>{} would be issued</summary>\n", cluster.issues.len());
        for issue in &cluster.issues {
            let _ = writeln!(out, "- {}: {}", code(&issue.id), escape(&issue.reason));
        }
        let _ = writeln!(out, "\n</details>");
    }
    let _ = writeln!(out, "\n| effect | file | hosts |\n|---|---|---|");
    let blocks = layout::blocks(cluster, false);
    for block in &blocks {
        let hosts = sets.name(block.hosts);
        for file in &block.files {
            let what = if file.file.is_empty() {
                file.changes.iter().map(|c| escape(&layout::words(&c.what))).collect::<Vec<_>>().join("; ")
            } else {
                code(file.file)
            };
            let _ = writeln!(out, "| {} | {} | {} |", file.class().as_str(), cell(&what), cell(&hosts));
        }
    }
    if detail > Detail::Bare {
        for block in &blocks {
            details(out, block, &mut sets, detail);
        }
    }
    rollout(out, cluster, &mut sets, detail);
    sets.legend(out, detail);
}

fn details<'a>(out: &mut String, block: &Block<'a>, sets: &mut Sets<'a>, detail: Detail) {
    let summary = sets.name(block.hosts).replace("**", "");
    let files = layout::count(block.files.len(), "file");
    // Markdown is not read inside <summary>.
    let _ = writeln!(
        out,
        "\n<details><summary>{}: {files}, {}</summary>\n",
        html_code(&summary),
        block.class().as_str()
    );
    for file in &block.files {
        if !file.file.is_empty() {
            let _ = writeln!(out, "**{}**\n", code(file.file));
        }
        if detail >= Detail::Fields {
            for change in &file.changes {
                let _ = writeln!(out, "- {}", code(&layout::words(&change.what)));
                if let (What::Text { patch, .. }, true) = (&change.what, detail >= Detail::Patches) {
                    let fence = fence(patch);
                    let _ = writeln!(out, "\n{fence}diff\n{}\n{fence}\n", patch.trim_end());
                }
            }
        }
        for effect in &file.effects {
            let text = if detail >= Detail::Files {
                layout::effect(effect)
            } else {
                effect.class.as_str().to_owned()
            };
            let _ = writeln!(out, "- _{}_", escape(&text));
        }
        out.push('\n');
    }
    let _ = writeln!(out, "</details>");
}

fn rollout<'a>(out: &mut String, cluster: &'a ClusterDiff, sets: &mut Sets<'a>, detail: Detail) {
    let plan = &cluster.rollout;
    if plan.steps.is_empty() {
        return;
    }
    let refused = if plan.refused.is_empty() { "" } else { " (refused)" };
    let _ = writeln!(
        out,
        "\n<details><summary>Rollout in {}{refused}</summary>\n",
        layout::count(plan.steps.len(), "step")
    );
    for step in &plan.steps {
        let hosts = if step.hosts.is_empty() { "at the bastion".to_owned() } else { sets.name(&step.hosts) };
        let _ = write!(out, "{}. {} {hosts}: {}", step.number, code(&step.action.name()), escape(&step.note));
        let serving = layout::serving(step);
        if !serving.is_empty() {
            let _ = write!(out, "; {serving}");
        }
        if detail >= Detail::Fields && !step.commands.is_empty() && step.hosts.len() <= INLINE {
            let _ =
                write!(out, " ({})", step.commands.iter().map(|c| code(c)).collect::<Vec<_>>().join(", "));
        }
        out.push('\n');
    }
    let _ = writeln!(out, "\n</details>");
}

/// A code span, in which nothing is markup and nobody is mentioned.
fn code(text: &str) -> String {
    let text = text.replace(['\n', '\r'], "⏎");
    let longest = runs(&text);
    let ticks = "`".repeat(longest + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') || text.is_empty() { " " } else { "" };
    format!("{ticks}{pad}{text}{pad}{ticks}")
}

fn fence(text: &str) -> String {
    "`".repeat(runs(text).max(2) + 1)
}

/// The longest run of backticks.
fn runs(text: &str) -> usize {
    let (mut longest, mut run) = (0, 0);
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

/// Code spans as HTML.
fn html_code(text: &str) -> String {
    let mut out = String::new();
    for (i, part) in text.split('`').enumerate() {
        let escaped = part.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        if i % 2 == 1 {
            let _ = write!(out, "<code>{escaped}</code>");
        } else {
            out.push_str(&escaped);
        }
    }
    out
}

/// Text in which nothing is markup.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // A zero-width joiner keeps a name from being a mention.
            '@' => out.push_str("@\u{200d}"),
            '*' | '_' | '`' | '[' | ']' | '|' | '\\' | '#' => {
                out.push('\\');
                out.push(c);
            }
            '\n' | '\r' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// A cell of a table ends at a bar, in code spans too; one that is escaped already stays so.
fn cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut escaped = false;
    for c in text.chars() {
        if c == '|' && !escaped {
            out.push('\\');
        }
        escaped = c == '\\' && !escaped;
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::change::{Change, Class, ClusterDiff, Diff, Effect, HostDiff, Presence, SCHEMA};
    use crate::diff::rollout::Rollout;

    fn big(hosts: usize) -> Diff {
        let names: Vec<Arc<str>> =
            (0..hosts).map(|i| Arc::from(format!("k8sworker{i}.isociel.com"))).collect();
        let effect = Effect {
            class: Class::Reload,
            unit: None,
            procedure: None,
            reason: "because | of `this` <b> @somebody".to_owned(),
            rule: "sysctl",
        };
        let change = |n: usize, some: &[Arc<str>]| Change {
            file: format!("/etc/sysctl.d/{n}`|.conf"),
            what: What::Text { patch: "+```\n-x\n".repeat(50), added: 1, removed: 1 },
            hosts: some.to_vec(),
            each: Vec::new(),
            minor: false,
            effects: vec![effect.clone()],
        };
        let changes = (0..40).map(|n| change(n, names.get(n % 7..).unwrap_or(&names))).collect();
        let host = |name: &Arc<str>| HostDiff {
            name: name.clone(),
            roles: vec!["worker".to_owned()],
            addresses: Vec::new(),
            presence: Presence::Changed,
            effect: Class::Reload,
        };
        let cluster = ClusterDiff {
            folder: String::new(),
            name: "big".to_owned(),
            cluster_id: String::new(),
            hosts: names.iter().map(host).collect(),
            changes,
            issues: Vec::new(),
            rollout: Rollout::default(),
            certificates: Vec::new(),
        };
        Diff { schema: SCHEMA, old: "a".to_owned(), new: "b".to_owned(), clusters: vec![cluster] }
    }

    #[test]
    fn never_longer_than_the_limit_and_no_host_is_lost() {
        for hosts in [1, 50, 1000, 100_000] {
            let text = markdown(&big(hosts), LIMIT);
            assert!(text.chars().count() <= LIMIT, "{hosts} hosts: {}", text.chars().count());
            let last = hosts - 1;
            let told = text.contains(&format!("k8sworker{last}.isociel.com"))
                || text.contains(&format!("-{last}].isociel.com"));
            assert!(told, "{hosts} hosts: the last one is not named");
            assert!(!text.contains("@somebody") && !text.contains("<b>"), "markup came through");
        }
    }

    #[test]
    fn details_are_balanced_and_code_stays_code() {
        let text = markdown(&big(3), LIMIT);
        assert_eq!(text.matches("<details>").count(), text.matches("</details>").count());
        assert_eq!(code("a`b"), "``a`b``");
        assert_eq!(code("`"), "`` ` ``");
        assert_eq!(fence("```"), "````");
        assert_eq!(cell("a|b\\|c"), "a\\|b\\|c");
    }
}
