//! Files and programs of the user's on paths that somebody else writes.

use std::collections::{BTreeMap, BTreeSet};

use super::{Scope, path};
use crate::diag::{Code, Diagnostic, Report};
use crate::plan::paths;
use crate::source::Span;

pub(super) fn check(scope: &Scope<'_>, report: &mut Report) {
    let mut said: BTreeSet<(Option<Span>, String)> = BTreeSet::new();
    for host in scope.hosts().filter(|host| scope.sound(&[&path(host, "roles")])) {
        if host.files.is_empty() && host.artifacts.binaries.is_empty() {
            continue;
        }
        // Of a program that takes a file's place, the file is told: it was there first.
        let mut taken: BTreeMap<String, (&str, Option<String>)> = BTreeMap::new();
        for own in paths::of_host(scope.cluster, host).into_iter().chain(paths::while_rotating(host)) {
            taken.insert(own, ("khagen itself writes", None));
        }
        let files = host.files.iter().map(|f| {
            (f.path.as_str(), path(host, &format!("files.{}.path", f.nth)), "a file of `files` has")
        });
        let programs = host.artifacts.binaries.iter();
        let programs =
            programs.map(|b| (b.path.as_str(), format!("{}.path", b.place), "a program of `artifacts` has"));
        for (wanted, place, what) in files.chain(programs) {
            let owner = taken.get_key_value(wanted).or_else(|| around(&taken, wanted));
            // Of two files in one list the decoder tells.
            let told =
                |(owned, (who, _)): &(&String, &(&str, Option<String>))| *owned == wanted && *who == what;
            if let Some((owned, (who, owners_place))) = owner.filter(|owner| !told(owner)) {
                let at = scope.places.at(&place);
                let message = match owned == wanted {
                    true => format!("`{wanted}` on host `{}` is a path that {who}", host.name),
                    false => {
                        format!("`{wanted}` on host `{}` is in the way of `{owned}`, which {who}", host.name)
                    }
                };
                if said.insert((at, owned.clone())) {
                    let mut finding = Diagnostic::error(Code::PathTaken, message)
                        .reason("a path on a host has one owner; of two contents one would be lost")
                        .help("give it another path, or take it out; what khagen writes follows from the inventory's settings");
                    finding = scope.at(finding, &place, "");
                    if let Some(owners_place) = owners_place {
                        finding = scope.also(finding, owners_place, "written by this one");
                    }
                    report.push(finding);
                }
            }
            taken.entry(wanted.to_owned()).or_insert((what, Some(place)));
        }
    }
}

/// A path that would have to be a folder and a file at once.
fn around<'a, V>(taken: &'a BTreeMap<String, V>, wanted: &str) -> Option<(&'a String, &'a V)> {
    let below = format!("{wanted}/");
    let inside = taken.range(below.clone()..).next().filter(|(path, _)| path.starts_with(&below));
    inside.or_else(|| {
        let above = wanted.char_indices().filter(|(_, c)| *c == '/').map(|(at, _)| &wanted[..at]);
        above.filter_map(|parent| taken.get_key_value(parent)).next()
    })
}
