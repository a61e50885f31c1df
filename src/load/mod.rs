//! Reads an inventory folder into one merged tree per cluster.
//!
//! Every fault of reading, of syntax and of merging becomes a finding in the report; nothing here fails, panics or
//! waits for ever, whatever lies in the folder. What the keys mean is decided elsewhere.

mod budget;
mod files;
mod findings;
mod merge;
mod toml;
pub mod tree;
mod yaml;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use budget::{MAX_BYTES, MAX_ENTRIES, MAX_VALUES};

use crate::diag::{Code, Diagnostic, Report};
use crate::source::{SourceId, Sources, Span};
use budget::Budget;
use files::{Format, Found};
use tree::{Node, Value};

/// How deep maps and lists may nest.
pub const MAX_DEPTH: usize = 64;

/// The clusters of an inventory.
#[derive(Debug, Default)]
pub struct Loaded {
    /// In byte order of their folders. Empty when the report has errors that left nothing to check.
    pub clusters: Vec<LoadedCluster>,
}

/// One cluster: the merged tree of its documents.
#[derive(Debug)]
pub struct LoadedCluster {
    /// The subfolder's name when the inventory holds several clusters.
    pub folder: Option<String>,
    /// Where `secrets/`, `files/` and `patches/` of this cluster lie.
    pub dir: PathBuf,
    /// All documents merged: maps by key, `hosts` and `waivers` appended.
    pub root: Node,
    /// The documents it was merged from, in the order they were read.
    pub files: Vec<SourceId>,
    /// False when something that is written is not in the tree (the report says what): a check that finds a setting
    /// missing then knows nothing and says nothing.
    pub complete: bool,
}

/// What a reader made of one document.
#[derive(Debug)]
struct Document {
    /// Nothing for an empty document or one that cannot be read.
    root: Option<Node>,
    /// Whether everything that is written is in the tree.
    complete: bool,
}

/// Documents joined so far.
#[derive(Clone, Debug)]
struct Joined {
    root: Option<Node>,
    files: Vec<SourceId>,
    complete: bool,
}

/// Reads one text as YAML, whatever it is for. `None` when nothing of it can be used; the report says why.
pub fn document(path: &str, text: &str, sources: &mut Sources, report: &mut Report) -> Option<Node> {
    let id = sources.add(path, text);
    yaml::read(id, text, &mut Budget::new(), report).root
}

/// Reads the inventory `dir`, a folder or a single document.
pub fn load(dir: &Path, sources: &mut Sources, report: &mut Report) -> Loaded {
    let errors = report.counts().0;
    let found = files::find(dir, sources, report);
    // A folder or link that could not be followed may have held documents.
    let complete = report.counts().0 == errors;
    if found.is_empty() {
        if complete {
            report.push(empty(dir, sources));
        }
        return Loaded::default();
    }
    let single = dir.is_file();
    let mut budget = Budget::new();
    let Some(layout) = Layout::of(&found, single, dir, sources, report) else { return Loaded::default() };
    let mut shared = Joined { root: None, files: Vec::new(), complete };
    for document in layout.shared {
        shared.add(document, &mut budget, sources, report);
    }
    let mut loaded = Loaded::default();
    for (folder, documents) in layout.clusters {
        // Shared documents are joined once, so that a fault among them is said once, and counted for every cluster.
        if let Some(root) = &shared.root
            && !budget.take(count(root), root.span, report)
        {
            break;
        }
        let mut joined = shared.clone();
        for document in documents {
            joined.add(document, &mut budget, sources, report);
        }
        let base = if single { dir.parent().unwrap_or(dir) } else { dir };
        let dir = folder.as_ref().map_or(base.to_owned(), |folder| base.join(folder));
        let Some(root) = joined.root.filter(|root| !root.entries().is_empty() || !joined.complete) else {
            if joined.complete {
                report.push(empty(&dir, sources));
            }
            continue;
        };
        loaded.clusters.push(LoadedCluster {
            folder,
            dir,
            root,
            files: joined.files,
            complete: joined.complete,
        });
    }
    loaded
}

impl Joined {
    fn add(&mut self, found: &Found, budget: &mut Budget, sources: &mut Sources, report: &mut Report) {
        if budget.bytes == 0 {
            self.complete = false;
            return;
        }
        let Some(id) = files::read(found, budget, sources, report) else {
            self.complete = false;
            return;
        };
        self.files.push(id);
        let document = match found.format {
            Format::Yaml => yaml::read(id, sources.text(id), budget, report),
            Format::Toml => toml::read(id, sources.text(id), budget, report),
        };
        self.complete &= document.complete;
        let Some(root) = document.root else { return };
        match (&root.value, &mut self.root) {
            (Value::Null, _) => {}
            (Value::Map(_), Some(into)) => merge::merge(into, root, report),
            (Value::Map(_), None) => self.root = Some(root),
            _ => {
                self.complete = false;
                let first = Span { end: root.span.start, ..root.span };
                report.push(findings::not_a_map(first, root.kind_name()));
            }
        }
    }
}

fn empty(dir: &Path, sources: &mut Sources) -> Diagnostic {
    Diagnostic::error(Code::EmptyInventory, format!("`{}` holds no settings", files::shown(dir)))
        .at(files::whole(dir, sources), "")
        .reason("every *.yaml, *.yml and *.toml in it is read, and there is none, or none that says anything")
        .help("write a `cluster.yaml` in it, or let `khagen init` write one")
}

fn count(node: &Node) -> usize {
    match &node.value {
        Value::List(items) => 1 + items.iter().map(count).sum::<usize>(),
        Value::Map(entries) => 1 + entries.iter().map(|entry| count(&entry.value)).sum::<usize>(),
        _ => 1,
    }
}

/// Which documents belong to which cluster.
struct Layout<'a> {
    /// Documents beside the clusters' folders, part of each.
    shared: Vec<&'a Found>,
    clusters: BTreeMap<Option<String>, Vec<&'a Found>>,
}

impl<'a> Layout<'a> {
    fn of(
        found: &'a [Found],
        single: bool,
        dir: &Path,
        sources: &mut Sources,
        report: &mut Report,
    ) -> Option<Layout<'a>> {
        let named: Vec<&Found> = found.iter().filter(|document| document.names_cluster()).collect();
        let one = named.iter().find(|document| document.folders().is_empty());
        if single || one.is_some() {
            let mut misplaced = named.iter().filter(|document| !document.folders().is_empty()).peekable();
            if let (Some(one), Some(_)) = (one, misplaced.peek()) {
                let first = files::whole(&one.path, sources);
                for document in misplaced {
                    report.push(
                        cluster_in_cluster(document, sources)
                            .also(first, "the inventory's own folder is a cluster already"),
                    );
                }
                return None;
            }
            return Some(Layout {
                shared: Vec::new(),
                clusters: BTreeMap::from([(None, found.iter().collect())]),
            });
        }
        let mut clusters: BTreeMap<Option<String>, Vec<&Found>> = BTreeMap::new();
        let mut misplaced = false;
        for document in &named {
            match document.folders()[..] {
                [folder] => {
                    let Some(folder) = folder.to_str() else {
                        report.push(
                            Diagnostic::error(Code::NotUtf8, "the name of a cluster's folder is not UTF-8")
                                .at(files::whole(&document.path, sources), "")
                                .help("rename the folder"),
                        );
                        misplaced = true;
                        continue;
                    };
                    clusters.entry(Some(folder.to_owned())).or_default();
                }
                _ => {
                    misplaced = true;
                    report.push(cluster_in_cluster(document, sources));
                }
            }
        }
        if misplaced {
            return None;
        }
        if clusters.is_empty() {
            report.push(
                Diagnostic::error(
                    Code::NoCluster,
                    format!("`{}` holds no `cluster.yaml`", files::shown(dir)),
                )
                .at(files::whole(dir, sources), "")
                .reason("a folder is a cluster when it holds `cluster.yaml`, `cluster.yml` or `cluster.toml`")
                .help("name the document that holds `cluster:` so"),
            );
            return None;
        }
        let mut shared = Vec::new();
        for document in found {
            let folder = document.folders().first().and_then(|folder| folder.to_str()).map(str::to_owned);
            match clusters.get_mut(&folder) {
                Some(documents) => documents.push(document),
                None => shared.push(document),
            }
        }
        Some(Layout { shared, clusters })
    }
}

fn cluster_in_cluster(document: &Found, sources: &mut Sources) -> Diagnostic {
    Diagnostic::error(Code::ClusterInCluster, "a cluster's folder must lie directly in the inventory's")
        .at(files::whole(&document.path, sources), "")
        .reason("it would not be clear which documents belong to which cluster")
        .help("give every cluster a folder of its own, directly in the inventory's, or rename this document")
}

#[cfg(test)]
mod tests;
