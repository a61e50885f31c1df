//! A review tree in a commit, read through the git on the machine, which is kept from fetching anything.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use super::tree::{MAX_FILE, Tree};
use super::{Identity, SnapshotError};

/// `git:REV[:PATH]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rev {
    /// Anything that git resolves to a commit or tree.
    pub rev: String,
    /// From the repository's root.
    pub path: Option<String>,
}

impl Rev {
    /// Reads what follows `git:`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Rev, String> {
        let (rev, path) = match text.split_once(':') {
            Some((rev, path)) => (rev, Some(path.trim_matches('/').to_owned())),
            None => (text, None),
        };
        if rev.is_empty() || rev.starts_with('-') {
            return Err(format!("{rev:?} is no revision; write git:REV or git:REV:PATH"));
        }
        if path.as_deref().is_some_and(|p| !p.is_empty() && !super::review::is_plain(p)) {
            return Err("the path must be one from the repository's root, without `..`".to_owned());
        }
        Ok(Rev { rev: rev.to_owned(), path })
    }
}

/// A commit's files and folders, and a git that hands out their bytes.
pub struct Repository {
    files: BTreeMap<String, String>,
    folders: BTreeMap<String, String>,
    cat: Arc<Mutex<Cat>>,
    name: String,
}

/// `git cat-file --batch`.
struct Cat {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Drop for Cat {
    fn drop(&mut self) {
        // It only reads; there is nothing to lose.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A git that opens no connection, takes no lock and asks nobody.
fn git() -> Command {
    let mut command = Command::new("git");
    command
        .args(["-c", "core.fsmonitor=false", "--no-pager"])
        // Git before 2.45 does not know the variable; no protocol is then allowed to it, whatever its configuration says.
        .env("GIT_NO_LAZY_FETCH", "1")
        .env("GIT_ALLOW_PROTOCOL", "")
        .env("GIT_LITERAL_PATHSPECS", "1")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_NO_REPLACE_OBJECTS", "1")
        .stdin(Stdio::null());
    command
}

fn run(name: &str, args: &[&str]) -> Result<Vec<u8>, SnapshotError> {
    let out = git().args(args).output().map_err(|e| {
        SnapshotError::one(name, format!("git cannot be run ({e}); it reads what is in a repository"))
    })?;
    if out.status.success() {
        return Ok(out.stdout);
    }
    let said = String::from_utf8_lossy(&out.stderr);
    let said = said.lines().next().unwrap_or("git failed").trim_start_matches("fatal: ");
    Err(SnapshotError::one(name, format!("git says: {said}")))
}

impl Repository {
    /// Lists a revision's files below a path, in the repository of the current folder.
    ///
    /// # Errors
    /// When there is no git, no repository or no such revision or path.
    pub fn open(rev: &Rev) -> Result<Repository, SnapshotError> {
        let name = format!("git:{}", rev.rev);
        let tree = format!("{}^{{tree}}", rev.rev);
        let id = run(&name, &["rev-parse", "--verify", "--quiet", "--end-of-options", &tree]).map_err(
            |e| match e.problems.first() {
                Some(p) if p.what.ends_with("git failed") => {
                    SnapshotError::one(&name, "git knows no such revision here (nothing is fetched)")
                }
                _ => e,
            },
        )?;
        let id = String::from_utf8_lossy(&id).trim().to_owned();
        let mut args = vec!["ls-tree", "-r", "-t", "-z", "--full-tree", &id];
        let below = rev.path.as_deref().filter(|p| !p.is_empty());
        if let Some(path) = below {
            args.extend(["--", path]);
        }
        let listing = run(&name, &args)?;
        let (mut files, mut folders) = (BTreeMap::new(), BTreeMap::new());
        for entry in listing.split(|b| *b == 0).filter(|e| !e.is_empty()) {
            let Ok(entry) = std::str::from_utf8(entry) else {
                let place = format!("{name}:{}", entry.escape_ascii());
                return Err(SnapshotError::one(place, "has a name that is no UTF-8"));
            };
            let Some((meta, path)) = entry.split_once('\t') else { continue };
            let mut words = meta.split(' ');
            let (mode, kind, object) = (words.next(), words.next(), words.next());
            let Some(object) = object else { continue };
            match (mode, kind) {
                (_, Some("tree")) => folders.insert(path.to_owned(), object.to_owned()),
                (Some("100644" | "100755"), Some("blob")) => files.insert(path.to_owned(), object.to_owned()),
                _ => return Err(SnapshotError::one(format!("{name}:{path}"), "is no regular file")),
            };
        }
        if files.is_empty() {
            let what = format!("has nothing at {}", below.unwrap_or("its root"));
            return Err(SnapshotError::one(name, what));
        }
        let mut child = git()
            .args(["cat-file", "--batch"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| SnapshotError::one(&name, e.to_string()))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(SnapshotError::one(name, "git has no pipes"));
        };
        let cat = Arc::new(Mutex::new(Cat { child, input, output: BufReader::new(output) }));
        Ok(Repository { files, folders, cat, name })
    }

    /// Every folder that has a folder `hosts` directly below: the review trees.
    pub fn review_trees(&self) -> Vec<String> {
        let of_root = self.folders.contains_key("hosts").then(String::new);
        let deeper = self.folders.keys().filter_map(|f| f.strip_suffix("/hosts")).map(str::to_owned);
        // A host's own tree may hold a folder of that name; a review tree has FILES directly below its hosts.
        let is_review = |path: &String| {
            let prefix = if path.is_empty() { "hosts/".to_owned() } else { format!("{path}/hosts/") };
            self.files.range(prefix.clone()..).take_while(|(f, _)| f.starts_with(&prefix)).any(|(f, _)| {
                f.strip_prefix(&prefix).and_then(|f| f.split_once('/')).is_some_and(|(_, f)| f == "FILES")
            })
        };
        of_root.into_iter().chain(deeper).filter(is_review).collect()
    }

    /// One of the review trees.
    pub fn at(self: &Arc<Self>, root: String) -> GitTree {
        GitTree { repository: self.clone(), root }
    }

    fn blob(&self, path: &str) -> Result<Option<Vec<u8>>, SnapshotError> {
        let Some(id) = self.files.get(path) else { return Ok(None) };
        let place = format!("{}:{path}", self.name);
        let fail = |what: String| SnapshotError::one(&place, what);
        let mut cat = self.cat.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(cat.input, "{id}").and_then(|()| cat.input.flush()).map_err(|e| fail(e.to_string()))?;
        let mut line = String::new();
        cat.output.read_line(&mut line).map_err(|e| fail(e.to_string()))?;
        let size = line.trim_end().strip_prefix(&format!("{id} blob ")).and_then(|n| n.parse::<u64>().ok());
        let Some(size) = size else {
            return Err(fail(
                "git does not have its content here (a partial clone?), and nothing is fetched".to_owned(),
            ));
        };
        let mut content = cat.output.by_ref().take(size.saturating_add(1));
        if size > MAX_FILE {
            // What follows is another file's.
            std::io::copy(&mut content, &mut std::io::sink()).map_err(|e| fail(e.to_string()))?;
            return Err(fail(format!("is larger than {} MiB", MAX_FILE >> 20)));
        }
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes).map_err(|e| fail(e.to_string()))?;
        bytes.pop();
        Ok(Some(bytes))
    }
}

/// A review tree in a commit.
pub struct GitTree {
    repository: Arc<Repository>,
    root: String,
}

impl GitTree {
    fn full(&self, path: &str) -> String {
        if self.root.is_empty() { path.to_owned() } else { format!("{}/{path}", self.root) }
    }
}

impl Tree for GitTree {
    fn list(&self, below: &str) -> Result<Vec<String>, SnapshotError> {
        let full = self.full(below);
        let prefix = if full.is_empty() { full } else { format!("{}/", full.trim_end_matches('/')) };
        let cut = if self.root.is_empty() { 0 } else { self.root.len() + 1 };
        let found = self.repository.files.range(prefix.clone()..).map(|(path, _)| path);
        Ok(found
            .take_while(|p| p.starts_with(&prefix))
            .filter_map(|p| p.get(cut..))
            .map(str::to_owned)
            .collect())
    }

    fn folders(&self, below: &str) -> Result<Vec<String>, SnapshotError> {
        let prefix = format!("{}/", self.full(below));
        let found = self.repository.folders.range(prefix.clone()..).map(|(path, _)| path);
        Ok(found
            .take_while(|p| p.starts_with(&prefix))
            .filter_map(|p| p.strip_prefix(&prefix))
            .filter(|rest| !rest.contains('/'))
            .map(str::to_owned)
            .collect())
    }

    fn read(&self, path: &str) -> Result<Option<Arc<str>>, SnapshotError> {
        let full = self.full(path);
        let Some(bytes) = self.repository.blob(&full)? else { return Ok(None) };
        let text = String::from_utf8(bytes)
            .map_err(|_| SnapshotError::one(format!("{}:{full}", self.repository.name), "is no UTF-8"))?;
        Ok(Some(Arc::from(text)))
    }

    /// Equal folders of a host and equal shared texts are an equal bundle.
    fn identities(&self) -> BTreeMap<Arc<str>, Identity> {
        let folders = &self.repository.folders;
        let Some(shared) = folders.get(&self.full("shared")) else { return BTreeMap::new() };
        let mut identities = BTreeMap::new();
        for name in self.folders("hosts").unwrap_or_default() {
            if let Some(id) = folders.get(&self.full(&format!("hosts/{name}"))) {
                identities.insert(Arc::from(name), Identity::Git(format!("{id} {shared}")));
            }
        }
        if let Some(id) = folders.get(&self.full("operator")) {
            identities.insert(Arc::from(super::OPERATOR), Identity::Git(format!("{id} {shared}")));
        }
        identities
    }
}
