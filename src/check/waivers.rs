//! Which warnings a person accepted: sets them apart in the report, and says which waivers are wrong or not needed.
//!
//! A waiver takes the findings of its code, all of them or those with a place below its path. One whose last day has
//! passed takes none, and its findings say so. Nothing but the report depends on any of it.

use std::collections::{BTreeSet, HashMap};

use time::{Date, Duration};

use super::places::Places;
use super::text::{finding, names};
use super::view::{View, items};
use crate::diag::{Acceptance, Code, Diagnostic, Label, Report};
use crate::load::tree::Node;
use crate::model::{Cluster, Waiver};
use crate::schema::{self, Key};
use crate::source::Span;

/// From how many days before its last one a waiver that is used is mentioned.
const SOON: i64 = 30;
/// For how many days from now one may hold: two years.
const LONGEST: i64 = 731;

/// The entries of `waivers` that could be read.
pub fn read(list: Option<&Node>, places: &Places) -> Vec<Waiver> {
    let keys = schema::find(schema::INVENTORY, "waivers").and_then(Key::keys).unwrap_or_default();
    let mut waivers: Vec<Waiver> = list
        .map(items)
        .unwrap_or_default()
        .iter()
        .enumerate()
        .filter_map(|(number, node)| {
            let view = View::new(Some(node), keys);
            let waiver = Waiver {
                number,
                code: view.written("code", finding::code)?,
                reason: view.written("reason", names::line)?.trim().to_owned(),
                until: view.written("until", finding::date)?,
                path: view.written("path", names::line).map(|path| path.trim().to_owned()),
            };
            places.is_sound(&of(&waiver, "path")).then_some(waiver)
        })
        .collect();
    waivers.sort_by(|a, b| (a.code, &a.path, a.until, a.number).cmp(&(b.code, &b.path, b.until, b.number)));
    waivers
}

/// The path of a waiver's setting.
fn of(waiver: &Waiver, key: &str) -> String {
    format!("waivers.{}.{key}", waiver.number)
}

/// Judges the waivers of a cluster by themselves.
pub fn check(cluster: &Cluster, places: &Places, today: Date, report: &mut Report) {
    for pair in cluster.waivers.windows(2) {
        let [first, second] = pair else { continue };
        if (first.code, &first.path) == (second.code, &second.path) {
            report.push(twice(first, second, places));
        }
    }
    for waiver in &cluster.waivers {
        let days = (waiver.until - today).whole_days();
        if days > LONGEST {
            let finding = Diagnostic::warning(
                Code::WaiverTooLong,
                format!("the waiver of {} holds until {}, for {days} days", waiver.code, waiver.until),
            )
            .reason("nobody would look at it again; two years are the most")
            .help(format!("end it on {} or earlier", today.saturating_add(Duration::days(LONGEST))));
            report.push(at(finding, places, &of(waiver, "until"), ""));
        }
    }
}

fn twice(first: &Waiver, second: &Waiver, places: &Places) -> Diagnostic {
    let limit = first.path.as_ref().map(|path| format!(" at `{path}`")).unwrap_or_default();
    let message = format!("{} is waived twice{limit}", first.code);
    let (first, second) = if first.number < second.number { (first, second) } else { (second, first) };
    let finding = Diagnostic::error(Code::WaiverTwice, message)
        .reason("which of the two reasons and days counts would be a guess")
        .help("keep one of them, or limit them to different places with `path`");
    let finding = at(finding, places, &of(second, "code"), "again here");
    match places.at(&of(first, "code")) {
        Some(span) => finding.also(span, "first here"),
        None => finding,
    }
}

fn at(finding: Diagnostic, places: &Places, path: &str, text: &str) -> Diagnostic {
    match places.at(path) {
        Some(span) => finding.at(span, text),
        None => finding,
    }
}

/// Decides which findings of a report are waived, and remembers which waivers were of use.
#[derive(Debug)]
pub struct Judge {
    today: Date,
    /// By the place of the waiver's code, since one that stands beside several clusters is part of each.
    used: BTreeSet<Span>,
}

impl Judge {
    /// Decides as of a day.
    pub fn new(today: Date) -> Judge {
        Judge { today, used: BTreeSet::new() }
    }

    /// The codes that are accepted wherever they are found.
    pub fn everywhere<'a>(&self, cluster: &'a Cluster) -> impl Iterator<Item = Code> + use<'a> {
        let today = self.today;
        let whole = cluster.waivers.iter().filter(move |w| w.path.is_none() && today <= w.until);
        whole.map(|waiver| waiver.code)
    }

    /// Sets apart what the waivers of these clusters take.
    pub fn apply(&mut self, clusters: &[(&Cluster, &Places)], report: &mut Report) {
        let scopes: Vec<Waivers<'_>> =
            clusters.iter().map(|&(cluster, places)| Waivers::of(cluster, places)).collect();
        if scopes.iter().all(|scope| scope.by_code.is_empty()) {
            return;
        }
        let today = self.today;
        report.waive(|finding| {
            let fitting: Vec<(&Waiver, &Places)> =
                scopes.iter().flat_map(|scope| scope.fitting(finding)).collect();
            self.used.extend(fitting.iter().filter_map(|(waiver, places)| places.at(&of(waiver, "code"))));
            let (waiver, places) = fitting.into_iter().max_by_key(|(waiver, _)| waiver.until)?;
            if waiver.until < today {
                if let Some(place) = places.at(&of(waiver, "until")) {
                    finding.secondary.push(Label {
                        span: place,
                        text: format!("its waiver lapsed after {}", waiver.until),
                    });
                }
                return None;
            }
            Some(Acceptance {
                place: places.at(&of(waiver, "code"))?,
                reason: waiver.reason.clone(),
                until: waiver.until,
                ends_soon: (waiver.until - today).whole_days() < SOON,
            })
        });
    }

    /// Says which waivers were of no use. Only of a report without errors: where something is wrong, rules are silent.
    pub fn unused(&self, clusters: &[(&Cluster, &Places)], report: &mut Report) {
        let mut findings = Vec::new();
        let mut said = self.used.clone();
        for &(cluster, places) in clusters {
            for waiver in &cluster.waivers {
                let Some(place) = places.at(&of(waiver, "code")) else { continue };
                if said.insert(place) {
                    findings.push(unused(waiver, place, clusters, report));
                }
            }
        }
        report.extend(findings);
    }
}

fn unused(waiver: &Waiver, place: Span, clusters: &[(&Cluster, &Places)], report: &Report) -> Diagnostic {
    let limit = waiver.path.as_ref().map(|path| format!(" at `{path}`")).unwrap_or_default();
    let message = format!("no finding {} is there{limit} to be waived", waiver.code);
    let finding = Diagnostic::warning(Code::WaiverUnused, message)
        .at(place, waiver.code.title())
        .reason("left in place it would silently accept the next finding of that code");
    let elsewhere: BTreeSet<&str> = report
        .iter()
        .filter(|finding| finding.code == waiver.code)
        .filter_map(|finding| finding.primary.as_ref())
        .flat_map(|label| clusters.iter().flat_map(|(_, places)| places.paths_at(label.span)))
        .collect();
    match elsewhere.first() {
        Some(path) => finding
            .help(format!("{} is found at `{path}`: correct `path`, or remove the waiver", waiver.code)),
        None => finding.help("remove the waiver"),
    }
}

/// The waivers of a cluster, by what they take.
struct Waivers<'a> {
    places: &'a Places,
    by_code: HashMap<(Code, Option<&'a str>), &'a Waiver>,
    /// The settings at a place; only where a waiver names a path.
    paths: HashMap<Span, Vec<&'a str>>,
}

impl<'a> Waivers<'a> {
    fn of(cluster: &'a Cluster, places: &'a Places) -> Waivers<'a> {
        // They are sorted by their day: of two that are alike the later counts.
        let by_code: HashMap<_, _> =
            cluster.waivers.iter().map(|waiver| ((waiver.code, waiver.path.as_deref()), waiver)).collect();
        let limited = by_code.keys().any(|(_, path)| path.is_some());
        let paths = if limited { places.by_span() } else { HashMap::new() };
        Waivers { places, by_code, paths }
    }

    /// The waivers that a finding falls under.
    fn fitting(&self, finding: &Diagnostic) -> Vec<(&'a Waiver, &'a Places)> {
        let mut fitting: Vec<&Waiver> =
            self.by_code.get(&(finding.code, None)).copied().into_iter().collect();
        for label in finding.primary.iter().chain(&finding.secondary) {
            for path in self.paths.get(&label.span).into_iter().flatten() {
                let ends = path.match_indices('.').map(|(dot, _)| dot).chain([path.len()]);
                fitting.extend(ends.filter_map(|end| self.by_code.get(&(finding.code, Some(&path[..end])))));
            }
        }
        fitting.into_iter().map(|waiver| (waiver, self.places)).collect()
    }
}
