//! Reads a review tree: FILES says what a bundle holds, the texts are beside it or below `shared/`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use super::tree::Tree;
use super::{Body, Bundle, File, Head, Identity, OPERATOR, Problem, Snapshot, SnapshotError};

/// A review tree.
pub struct Review {
    tree: Box<dyn Tree>,
    names: BTreeMap<Arc<str>, Option<Identity>>,
    /// Shared texts, read once. A hash map would do as well; nothing is ever listed from it.
    shared: RwLock<BTreeMap<String, Arc<str>>>,
    /// Small words that every line repeats.
    words: RwLock<BTreeSet<Arc<str>>>,
}

impl Review {
    /// Opens a tree; texts are read when they are asked for.
    ///
    /// # Errors
    /// When it has no hosts, or cannot be listed.
    pub fn open(tree: Box<dyn Tree>) -> Result<Review, SnapshotError> {
        let identities = tree.identities();
        let mut names: BTreeMap<Arc<str>, Option<Identity>> = BTreeMap::new();
        for name in tree.folders("hosts")? {
            if !is_host_name(&name) {
                return Err(SnapshotError::one(format!("review/hosts/{name}"), "is no name of a host"));
            }
            let name: Arc<str> = Arc::from(name);
            let identity = identities.get(&name).cloned();
            names.insert(name, identity);
        }
        if tree.read("operator/FILES")?.is_some() {
            names.insert(Arc::from(OPERATOR), identities.get(OPERATOR).cloned());
        }
        if names.is_empty() {
            return Err(SnapshotError::one("review", "holds no hosts: this is no review tree"));
        }
        Ok(Review { tree, names, shared: RwLock::default(), words: RwLock::default() })
    }

    /// A review tree in a folder.
    ///
    /// # Errors
    /// When it is none.
    pub fn folder(dir: &std::path::Path) -> Result<Review, SnapshotError> {
        Review::open(Box::new(super::tree::Folder::new(dir)))
    }

    fn path_of(name: &str) -> String {
        if name == OPERATOR { OPERATOR.to_owned() } else { format!("hosts/{name}") }
    }

    fn shared_text(&self, path: &str) -> Result<Option<Arc<str>>, SnapshotError> {
        let known = self.shared.read().unwrap_or_else(PoisonError::into_inner).get(path).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let text = self.tree.read(path)?;
        if let Some(text) = &text {
            let mut shared = self.shared.write().unwrap_or_else(PoisonError::into_inner);
            // Another thread may have been first; all bundles then share its copy.
            return Ok(Some(shared.entry(path.to_owned()).or_insert_with(|| text.clone()).clone()));
        }
        Ok(None)
    }

    fn word(&self, text: &str) -> Arc<str> {
        if let Some(word) = self.words.read().unwrap_or_else(PoisonError::into_inner).get(text) {
            return word.clone();
        }
        let word: Arc<str> = Arc::from(text);
        self.words.write().unwrap_or_else(PoisonError::into_inner).insert(word.clone());
        word
    }

    fn listed(&self, name: &str) -> Result<Arc<str>, SnapshotError> {
        let path = format!("{}/FILES", Review::path_of(name));
        self.tree.read(&path)?.ok_or_else(|| SnapshotError::one(name, "FILES is missing"))
    }
}

/// FILES lists what is written from all the other files, without a text.
const DERIVED: [&str; 2] =
    ["0600 root:root bundle derived MANIFEST.json", "0600 root:root bundle derived SHA256SUMS"];

/// What a build writes beside the bundles' texts, for people and for tools.
const PAGES: [&str; 2] = ["CLUSTER.md", "cluster.json"];

/// A line of FILES.
struct Line<'a> {
    mode: u32,
    owner: &'a str,
    group: &'a str,
    policy: &'a str,
    place: Place<'a>,
    path: &'a str,
}

enum Place<'a> {
    Here,
    Shared(&'a str),
    Secret { id: &'a str, fingerprint: &'a str },
    Derived,
}

impl Line<'_> {
    fn parse(text: &str) -> Option<Line<'_>> {
        if text.starts_with('#') {
            return None;
        }
        let mut words = text.splitn(5, ' ');
        let mode = u32::from_str_radix(words.next()?, 8).ok().filter(|m| *m <= 0o7777)?;
        let (owner, group) = words.next()?.split_once(':')?;
        let policy = words.next()?;
        let place = match words.next()? {
            "here" => Place::Here,
            "derived" => Place::Derived,
            other => match (other.strip_prefix("shared/"), other.strip_prefix("secret:")) {
                (Some(layer), _) if is_file_path(layer) => Place::Shared(layer),
                (_, Some(secret)) => {
                    let (id, fingerprint) = secret.rsplit_once(':')?;
                    Place::Secret { id, fingerprint }
                }
                _ => return None,
            },
        };
        let path = words.next().filter(|p| is_file_path(p))?;
        Some(Line { mode, owner, group, policy, place, path })
    }
}

/// Whether a path can be one of a bundle's files: below its folder, and of characters that mean nothing to a shell, a
/// terminal or a line of a list.
pub fn is_file_path(path: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || "._@/+-".contains(c);
    is_plain(path) && path.chars().all(known)
}

/// Letters, digits, dots and dashes: an FQDN, or `operator`.
pub fn is_host_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    !name.is_empty() && name.len() <= 253 && name.chars().all(plain)
}

/// Whether a path stays below where it is joined.
pub fn is_plain(path: &str) -> bool {
    !path.is_empty()
        && !path.contains(['\0', '\n', '\\'])
        && path.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
}

impl Snapshot for Review {
    fn names(&self) -> &BTreeMap<Arc<str>, Option<Identity>> {
        &self.names
    }

    fn head(&self, name: &str) -> Result<Head, SnapshotError> {
        let path = format!("{}/BUNDLE.json", Review::path_of(name));
        let text =
            self.tree.read(&path)?.ok_or_else(|| SnapshotError::one(name, "BUNDLE.json is missing"))?;
        Head::parse(&text).map_err(|what| SnapshotError::one(format!("{name}: BUNDLE.json"), what))
    }

    fn bundle(&self, name: &str) -> Result<Bundle, SnapshotError> {
        let head = self.head(name)?;
        let folder = Review::path_of(name);
        let mut files: BTreeMap<Arc<str>, File> = BTreeMap::new();
        let mut problems = Vec::new();
        let mut problem = |place: String, what: &str| problems.push(Problem { place, what: what.to_owned() });
        let mut derived = BTreeSet::from(DERIVED);
        for (i, text) in self.listed(name)?.lines().enumerate() {
            if text.starts_with('#') {
                continue;
            }
            let Some(line) = Line::parse(text) else {
                problem(format!("{name}: FILES:{}", i + 1), "is no line of a list of files");
                continue;
            };
            let body = match line.place {
                Place::Derived => {
                    if !derived.remove(text) {
                        problem(format!("{name}: FILES:{}", i + 1), "is not what is derived from the others");
                    }
                    continue;
                }
                Place::Secret { id, fingerprint } => {
                    Body::Secret { id: self.word(id), fingerprint: self.word(fingerprint) }
                }
                Place::Here | Place::Shared(_) => {
                    let text = match line.place {
                        Place::Shared(layer) => self.shared_text(&format!("shared/{layer}/{}", line.path))?,
                        _ => self.tree.read(&format!("{folder}/{}", line.path))?,
                    };
                    match text {
                        Some(text) => Body::Text(text),
                        None => {
                            problem(format!("{name}: {}", line.path), "is listed in FILES but is not there");
                            continue;
                        }
                    }
                }
            };
            let file = File {
                mode: line.mode,
                owner: self.word(line.owner),
                group: self.word(line.group),
                policy: self.word(line.policy),
                body,
            };
            if files.insert(self.word(line.path), file).is_some() {
                problem(format!("{name}: {}", line.path), "is listed twice in FILES");
            }
        }
        for line in derived {
            problem(format!("{name}: FILES"), &format!("lacks the line `{line}`"));
        }
        match SnapshotError::all(problems) {
            Some(error) => Err(error),
            None => Ok(Bundle { name: Arc::from(name), head, files }),
        }
    }

    /// Files that no FILES mentions.
    fn strays(&self) -> Result<Vec<Problem>, SnapshotError> {
        let mut wanted: BTreeSet<String> = BTreeSet::new();
        for name in self.names.keys() {
            let folder = Review::path_of(name);
            wanted.insert(format!("{folder}/FILES"));
            wanted.insert(format!("{folder}/BUNDLE.json"));
            for line in self.listed(name)?.lines().filter_map(Line::parse) {
                match line.place {
                    Place::Here => wanted.insert(format!("{folder}/{}", line.path)),
                    Place::Shared(layer) => wanted.insert(format!("shared/{layer}/{}", line.path)),
                    Place::Secret { .. } | Place::Derived => false,
                };
            }
        }
        let mut problems = Vec::new();
        for path in self.tree.list("")? {
            if !wanted.contains(&path) && !PAGES.contains(&path.as_str()) {
                let what = "no bundle holds this file".to_owned();
                problems.push(Problem { place: format!("review/{path}"), what });
            }
        }
        Ok(problems)
    }
}
