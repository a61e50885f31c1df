//! Packages and programs that travel beside the bundles: read from `artifacts/`, once each, and judged.
//!
//! Beside `user_files` the only file of this step that reads the disk. A source cannot lead out of `artifacts/`; its digest
//! must stand in `artifacts/SHA256SUMS`, which is reviewed in place of the bytes.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use super::decode::text_of;
use super::findings::finding;
use super::suggest::nearest;
use super::text::{Fault, names, quantity};
use super::view::View;
use crate::archive::deb::{self, Control};
use crate::archive::{self, Digested};
use crate::diag::{Code, Diagnostic, Report};
use crate::load::tree::{Node, Value};
use crate::model::{Artifacts, Binary, Carried, Deb, Role};
use crate::schema::{self, Key};
use crate::source::Span;

/// The list of digests, as sha256sum(1) writes and reads it.
const SUMS: &str = "SHA256SUMS";
/// Longer than any list that a person reviews.
const MAX_SUMS: u64 = 4 << 20;

/// What each entry of `artifacts` names.
#[derive(Default)]
pub struct ArtifactSets {
    /// By entry: `all`, `worker`, `groups.gpu`, `hosts.k8smaster1`.
    sets: BTreeMap<String, Set>,
    /// Findings that were made for another host already.
    said: RefCell<HashSet<(Span, Span)>>,
}

#[derive(Default)]
struct Set {
    debs: Vec<(Arc<Deb>, Arc<Control>, Span)>,
    binaries: Vec<(Arc<Binary>, Option<&'static str>, Span)>,
}

/// A host as far as its artifacts go.
pub struct Target<'a> {
    /// Short name.
    pub name: &'a str,
    /// Sorted.
    pub roles: &'a [Role],
    /// Its group.
    pub group: Option<&'a str>,
    /// Its architecture, if the inventory says it.
    pub arch: Option<(&'a str, Span)>,
}

/// What was asked for at one place.
enum Wish {
    Package(Span),
    Binary {
        at: Span,
        place: String,
        member: Option<String>,
        path: String,
        mode: u32,
        effect: Option<crate::model::FileEffect>,
    },
}

/// A source after reading.
struct Source {
    whole: Digested,
    control: Option<Result<Control, String>>,
    members: BTreeMap<String, Digested>,
    members_fault: Option<String>,
}

impl ArtifactSets {
    /// Reads and digests every file that `artifacts` names.
    pub fn read(root: &Node, dir: &Path, report: &mut Report) -> ArtifactSets {
        let Some(key) = schema::find(schema::INVENTORY, "artifacts") else { return ArtifactSets::default() };
        let Some(entry) = root.get("artifacts") else { return ArtifactSets::default() };
        let node = &entry.value;
        let folder = dir.join("artifacts");
        let sums = sums(&folder, node.span, report);
        let mut wishes: Vec<(String, String, Wish)> = Vec::new();
        let fields: &[Key] = key.keys().unwrap_or_default();
        for entry in node.entries() {
            let name = entry.key.value.as_str();
            let Some(key) = fields.iter().find(|k| k.name == name) else { continue };
            let keys = key.keys().unwrap_or_default();
            if matches!(name, "groups" | "hosts") {
                for inner in entry.value.entries() {
                    let set = format!("{name}.{}", inner.key.value);
                    collect(&set, &inner.value, keys, &folder, &sums, &mut wishes, report);
                }
            } else {
                collect(name, &entry.value, keys, &folder, &sums, &mut wishes, report);
            }
        }
        let mut members: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for (_, source, wish) in &wishes {
            let wanted = members.entry(source).or_default();
            if let Wish::Binary { member: Some(member), .. } = wish {
                wanted.insert(member.clone());
            }
        }
        let read: Vec<(&str, Result<Source, Fault>)> = members
            .into_par_iter()
            .map(|(source, wanted)| (source, look(&folder, source, &wanted)))
            .collect();
        let read: HashMap<&str, Result<Source, Fault>> = read.into_iter().collect();
        let mut found = ArtifactSets::default();
        let mut reported = HashSet::new();
        for (set, name, wish) in &wishes {
            let (Wish::Package(at) | Wish::Binary { at, .. }) = wish;
            let fault = match read.get(name.as_str()) {
                Some(Ok(source)) => match is_listed(name, &source.whole, &sums) {
                    Ok(()) => found.add(set, &folder, name, source, wish).err(),
                    Err(fault) => Some(fault),
                },
                Some(Err(fault)) => Some(fault.clone()),
                None => None,
            };
            if let Some(fault) = fault
                && reported.insert(fault.message.clone())
            {
                report.push(finding(fault, *at));
            }
        }
        found
    }

    fn add(
        &mut self,
        set: &str,
        folder: &Path,
        name: &str,
        source: &Source,
        wish: &Wish,
    ) -> Result<(), Fault> {
        let carried = |d: &Digested, path: &str, member: Option<&String>| Carried {
            file: Carried::name(&d.sha256, path),
            disk: folder.join(name),
            source: name.to_owned(),
            member: member.cloned(),
            size: d.size,
            sha256: d.sha256.clone(),
        };
        let set = self.sets.entry(set.to_owned()).or_default();
        match wish {
            Wish::Package(at) => {
                let control = match &source.control {
                    Some(Ok(control)) => control,
                    Some(Err(what)) => {
                        return Err(unusable(name, what, "fetch the package again, or name another file"));
                    }
                    None => {
                        let help = "name a file that ends in .deb; a program goes under `binaries`";
                        return Err(unusable(name, "is no Debian package", help));
                    }
                };
                let deb = Deb {
                    carried: carried(&source.whole, name, None),
                    package: control.package.clone(),
                    version: control.version.clone(),
                    architecture: control.architecture.clone(),
                };
                set.debs.push((Arc::new(deb), Arc::new(control.clone()), *at));
            }
            Wish::Binary { at, place, member, path, mode, effect } => {
                let digested = match member {
                    None => &source.whole,
                    Some(member) => match source.members.get(member) {
                        Some(digested) => digested,
                        None => {
                            let what = match &source.members_fault {
                                Some(what) => what.clone(),
                                None => format!("holds no file `{member}`"),
                            };
                            let help = format!("`tar -tf artifacts/{name}` lists what it holds");
                            return Err(unusable(name, &what, &help));
                        }
                    },
                };
                let binary = Binary {
                    carried: carried(digested, member.as_deref().unwrap_or(name), member.as_ref()),
                    path: path.clone(),
                    mode: *mode,
                    effect: effect.clone(),
                    place: place.clone(),
                };
                set.binaries.push((Arc::new(binary), digested.machine, *at));
            }
        }
        Ok(())
    }

    /// Entries under `groups` and `hosts` that no host is in.
    pub fn judge_names(&self, node: Option<&Node>, groups: &[&str], hosts: &[&str], report: &mut Report) {
        for (kind, known) in [("groups", groups), ("hosts", hosts)] {
            let entries = node.and_then(|n| n.get(kind)).map(|e| e.value.entries()).unwrap_or_default();
            for entry in entries.iter().filter(|e| !known.contains(&e.key.value.as_str())) {
                let name = &entry.key.value;
                let (one, code) =
                    if kind == "groups" { ("group", Code::UnknownGroup) } else { ("host", Code::UnknownKey) };
                let help = match nearest(name, known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "remove it".to_owned(),
                };
                report.push(
                    Diagnostic::error(code, format!("there is no {one} `{name}`"))
                        .at(entry.key.span, "")
                        .reason("nobody would get what is named here")
                        .help(help),
                );
            }
        }
    }

    /// What a host gets: of every entry that fits it.
    pub fn of(&self, host: &Target<'_>, report: &mut Report) -> Artifacts {
        if self.sets.is_empty() {
            return Artifacts::default();
        }
        let is_node = host.roles.iter().any(|r| matches!(r, Role::ControlPlane | Role::Worker));
        let mut keys = vec!["all".to_owned()];
        keys.extend(is_node.then(|| "kubernetes".to_owned()));
        keys.extend(host.roles.iter().map(|r| r.as_str().to_owned()));
        keys.extend(host.group.map(|g| format!("groups.{g}")));
        keys.push(format!("hosts.{}", host.name));
        let mut debs: BTreeMap<&str, &(Arc<Deb>, Arc<Control>, Span)> = BTreeMap::new();
        let mut binaries: BTreeMap<&str, &(Arc<Binary>, Option<&'static str>, Span)> = BTreeMap::new();
        for set in keys.iter().filter_map(|k| self.sets.get(k)) {
            for one in &set.debs {
                let first = *debs.entry(&one.0.package).or_insert(one);
                if first.0.carried.sha256 != one.0.carried.sha256 {
                    let what = format!(
                        "{} would get package {} twice: {} and {}",
                        host.name, one.0.package, first.0.version, one.0.version
                    );
                    self.twice(what, one.2, first.2, report);
                }
            }
            for one in &set.binaries {
                let first = *binaries.entry(&one.0.path).or_insert(one);
                let same = |a: &Binary, b: &Binary| {
                    (&a.carried.sha256, a.mode, &a.effect) == (&b.carried.sha256, b.mode, &b.effect)
                };
                if !same(&first.0, &one.0) {
                    let what = format!("{} would get two programs at {}", host.name, one.0.path);
                    self.twice(what, one.2, first.2, report);
                }
            }
        }
        self.judge_architecture(host, &debs, &binaries, report);
        Artifacts { debs: ordered(&debs), binaries: binaries.values().map(|one| one.0.clone()).collect() }
    }

    fn once(&self, at: Span, with: Span) -> bool {
        self.said.borrow_mut().insert((at, with))
    }

    fn twice(&self, what: String, at: Span, first: Span, report: &mut Report) {
        if self.once(at, first) {
            report.push(
                Diagnostic::error(Code::ArtifactTwice, what)
                    .at(at, "again here")
                    .also(first, "first here")
                    .reason("a host gets what all entries that fit it name, together; of two, which one is installed would be a guess")
                    .help("keep one of them, or move them to entries that have no host in common"),
            );
        }
    }

    fn judge_architecture(
        &self,
        host: &Target<'_>,
        debs: &BTreeMap<&str, &(Arc<Deb>, Arc<Control>, Span)>,
        binaries: &BTreeMap<&str, &(Arc<Binary>, Option<&'static str>, Span)>,
        report: &mut Report,
    ) {
        let of_debs = debs.values().map(|d| (d.0.carried.origin(), d.0.architecture.as_str(), d.2));
        let of_binaries = binaries.values().filter_map(|b| Some((b.0.carried.origin(), b.1?, b.2)));
        let all: Vec<_> = of_debs.filter(|(_, arch, _)| *arch != "all").chain(of_binaries).collect();
        // Without `arch` the host has one all the same.
        let (wanted, said_at) = match (host.arch, all.first()) {
            (Some((arch, span)), _) => (arch.to_owned(), span),
            (None, Some((_, arch, span))) => ((*arch).to_owned(), *span),
            (None, None) => return,
        };
        for (origin, arch, at) in all.iter().filter(|(_, arch, _)| *arch != wanted) {
            if !self.once(*at, said_at) {
                continue;
            }
            let also = if host.arch.is_some() {
                "the host's architecture"
            } else {
                "another architecture for the same host"
            };
            report.push(
                Diagnostic::error(
                    Code::ArtifactArchitecture,
                    format!("{origin} is for {arch}, and host {} is {wanted}", host.name),
                )
                .at(*at, "")
                .also(said_at, also)
                .reason("neither dpkg installs nor the kernel runs what was made for another machine")
                .help("fetch it for the host's architecture, set the host's `arch`, or give it to hosts that can use it by `groups` or `hosts`"),
            );
        }
    }
}

/// Packages so that what another needs comes before it; in a circle, and otherwise, by name.
fn ordered(debs: &BTreeMap<&str, &(Arc<Deb>, Arc<Control>, Span)>) -> Vec<Arc<Deb>> {
    let mut by_name: HashMap<&str, &str> = HashMap::new();
    for (name, (_, control, _)) in debs {
        for provided in &control.provides {
            by_name.entry(provided).or_insert(name);
        }
    }
    by_name.extend(debs.keys().map(|name| (*name, *name)));
    let mut left: BTreeSet<&str> = debs.keys().copied().collect();
    let mut out = Vec::with_capacity(debs.len());
    while let Some(first) = left.first().copied() {
        let waits = |name: &&str| {
            let needs = debs.get(name).map(|d| d.1.needs.as_slice()).unwrap_or_default();
            needs.iter().filter_map(|n| by_name.get(n.as_str())).any(|n| n != name && left.contains(n))
        };
        let next = left.iter().copied().find(|name| !waits(name)).unwrap_or(first);
        left.remove(next);
        out.extend(debs.get(next).map(|d| d.0.clone()));
    }
    out
}

fn collect(
    set: &str,
    node: &Node,
    keys: &'static [Key],
    folder: &Path,
    sums: &BTreeMap<String, String>,
    wishes: &mut Vec<(String, String, Wish)>,
    report: &mut Report,
) {
    let view = View::new(Some(node), keys);
    for item in view.items("packages") {
        let Some(text) = text_of(item, true).filter(|t| names::artifact(t.trim_end_matches('/')).is_ok())
        else {
            continue;
        };
        let Some(below) = text.strip_suffix('/') else {
            wishes.push((set.to_owned(), text, Wish::Package(item.span)));
            continue;
        };
        let found = packages_in(folder, below, sums);
        if found.is_empty() {
            let help =
                format!("put packages (*.deb) into `{}`, or remove the entry", folder.join(below).display());
            report.push(finding(unusable(&text, "holds no packages", &help), item.span));
        }
        wishes.extend(found.into_iter().map(|name| (set.to_owned(), name, Wish::Package(item.span))));
    }
    let binary_keys = schema::find(keys, "binaries").and_then(Key::keys).unwrap_or_default();
    for (number, item) in view.items("binaries").iter().enumerate() {
        if !matches!(item.value, Value::Map(_)) {
            continue;
        }
        let view = View::new(Some(item), binary_keys);
        let (Some(path), Some(source)) =
            (view.read("path", names::path), view.written("source", names::artifact))
        else {
            continue;
        };
        let at = view.node("source").map_or(item.span, |n| n.span);
        let wish = Wish::Binary {
            at,
            place: format!("artifacts.{set}.binaries.{number}"),
            member: view.written("member", names::artifact),
            path,
            mode: view.read("mode", quantity::mode).unwrap_or(0o755),
            effect: view.read("effect", names::effect).flatten(),
        };
        wishes.push((set.to_owned(), source, wish));
    }
}

/// The packages of a folder: those that lie there, and those that the list of digests has, so that none is missed.
fn packages_in(folder: &Path, below: &str, sums: &BTreeMap<String, String>) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder.join(below)).into_iter().flatten().filter_map(Result::ok);
    let there =
        entries.filter_map(|e| e.file_name().into_string().ok()).map(|name| format!("{below}/{name}"));
    let is_inside = |name: &str| {
        name.strip_prefix(below).and_then(|n| n.strip_prefix('/')).is_some_and(|n| !n.contains('/'))
    };
    let listed = sums.keys().filter(|name| is_inside(name)).cloned();
    there.chain(listed).filter(|name| name.ends_with(".deb")).collect()
}

fn unusable(name: &str, what: &str, help: &str) -> Fault {
    Fault {
        code: Code::Artifact,
        message: format!("`artifacts/{name}` {what}"),
        reason: "it travels beside the bundles, and install.sh installs it without a network".to_owned(),
        help: help.to_owned(),
    }
}

/// Reads a source to its end, and the members of it that are asked for.
fn look(folder: &Path, name: &str, members: &BTreeSet<String>) -> Result<Source, Fault> {
    let unreadable = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            let help = format!("put it into `{}`, or mend the name", folder.display());
            unusable(name, "does not exist", &help)
        }
        _ => unusable(name, &format!("cannot be read: {error}"), "make it readable"),
    };
    let inside: PathBuf = folder.canonicalize().map_err(unreadable)?;
    let path = folder.join(name).canonicalize().map_err(unreadable)?;
    if !path.starts_with(&inside) {
        return Err(unusable(
            name,
            "leads out of `artifacts/`",
            "put the file itself there instead of a link",
        ));
    }
    if !path.is_file() {
        return Err(unusable(name, "is not a regular file", "name a file, not a folder, pipe or device"));
    }
    let mut file = archive::open(&path).map_err(unreadable)?;
    let whole = archive::digest(&mut file, &mut std::io::sink()).map_err(unreadable)?;
    let control = name.ends_with(".deb").then(|| deb::control(&path));
    let (found, fault) = match archive::digests(&path, members) {
        _ if members.is_empty() => (BTreeMap::new(), None),
        Ok(found) => (found, None),
        Err(e) => (BTreeMap::new(), Some(format!("cannot be read as a tarball: {e}"))),
    };
    Ok(Source { whole, control, members: found, members_fault: fault })
}

fn is_listed(name: &str, found: &Digested, sums: &BTreeMap<String, String>) -> Result<(), Fault> {
    match sums.get(name) {
        Some(sum) if *sum == found.sha256 => Ok(()),
        Some(sum) => Err(Fault {
            code: Code::ArtifactDamaged,
            message: format!("`artifacts/{name}` is not the file that `artifacts/{SUMS}` names"),
            reason: format!("its SHA-256 is {}, the list has {sum}", found.sha256),
            help: "fetch it again; if it is meant to be another one, check where it comes from and change the line".to_owned(),
        }),
        None => Err(Fault {
            code: Code::ArtifactNoDigest,
            message: format!("`artifacts/{SUMS}` has no digest of `{name}`"),
            reason: "the list is what is reviewed and what the hosts check; the files themselves need not be in git".to_owned(),
            help: format!(
                "compare the digest with the one its publisher gives, then add this line to `artifacts/{SUMS}`: {}  {name}",
                found.sha256
            ),
        }),
    }
}

/// The list of digests by path; `./` before a path and the `*` of binary mode mean nothing.
fn sums(folder: &Path, at: Span, report: &mut Report) -> BTreeMap<String, String> {
    let path = folder.join(SUMS);
    let is_sane = std::fs::metadata(&path).is_ok_and(|m| m.is_file() && m.len() <= MAX_SUMS);
    let text = if is_sane { std::fs::read_to_string(&path).unwrap_or_default() } else { String::new() };
    let mut sums = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let parsed = line.split_once([' ', '\t']).and_then(|(sum, name)| {
            let name = name.trim_start().trim_start_matches('*');
            let name = name.strip_prefix("./").unwrap_or(name).trim_end();
            let is_sum = sum.len() == 64 && sum.bytes().all(|b| b.is_ascii_hexdigit());
            (is_sum && !name.is_empty()).then(|| (name.to_owned(), sum.to_ascii_lowercase()))
        });
        let wrong = match parsed {
            None => "is no line of sha256sum: 64 hexadecimal digits, two blanks, a path",
            Some((name, sum)) => match sums.insert(name, sum.clone()) {
                Some(other) if other != sum => "gives another digest for a file that has one",
                _ => continue,
            },
        };
        report.push(
            Diagnostic::error(
                Code::ArtifactNoDigest,
                format!("`artifacts/{SUMS}`, line {}: {wrong}", number + 1),
            )
            .at(at, "")
            .reason("the list is what is reviewed and what the hosts check")
            .help("write it with `cd artifacts && sha256sum FILE... >SHA256SUMS`"),
        );
    }
    sums
}
