//! Layout, merging across files, limits: what lies in a folder, not what stands in a document.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::*;
use crate::diag::render;

/// A folder with these documents.
fn folder(documents: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in documents {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

/// Loads, and returns the findings a line each, paths relative to the folder.
fn loaded(dir: &Path) -> (Loaded, String) {
    let (mut sources, mut report) = (Sources::new(), Report::new());
    let loaded = load(dir, &mut sources, &mut report);
    let lines = render::lines(&report, &sources);
    let parent = format!("{}/", dir.display());
    (loaded, lines.replace(&parent, "").replace(&dir.display().to_string(), "DIR"))
}

fn findings(documents: &[(&str, &str)]) -> String {
    let dir = folder(documents);
    loaded(dir.path()).1
}

/// The tree without its places, for comparing settings. Keys in order.
fn plain(node: &Node) -> String {
    match &node.value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Scalar { text, kind } => format!("{kind:?}({text})"),
        Value::List(items) => format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(", ")),
        Value::Map(entries) => {
            let mut entries: Vec<_> =
                entries.iter().map(|entry| format!("{}: {}", entry.key.value, plain(&entry.value))).collect();
            entries.sort();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

fn tree(documents: &[(&str, &str)]) -> String {
    let dir = folder(documents);
    let (loaded, lines) = loaded(dir.path());
    assert_eq!(lines, "");
    assert_eq!(loaded.clusters.len(), 1);
    assert!(loaded.clusters[0].complete);
    plain(&loaded.clusters[0].root)
}

const YAML: &str = "\
schema: khagen/v1
cluster: {name: c1, 'short': \"x\\ty\"}
kubernetes:
  version: 1.36.5
  minor: 1.30
  port: 6443
  mask: \"24\"
  on: yes
  ready: true
  since: 2026-01-02
hosts:
- name: a
  address: [10.0.0.1, 'fd00::1']
- name: b
  labels: {}
";

const TOML: &str = "\
schema = 'khagen/v1'
cluster = {name = \"c1\", short = \"x\\ty\"}
[kubernetes]
version = '1.36.5'
minor = 1.30
port = 6443
mask = '24'
on = 'yes'
ready = true
since = 2026-01-02
[[hosts]]
name = 'a'
address = ['10.0.0.1', 'fd00::1']
[[hosts]]
name = 'b'
[hosts.labels]
";

#[test]
fn both_formats_give_the_same_tree() {
    let yaml = tree(&[("cluster.yaml", YAML)]);
    assert_eq!(yaml, tree(&[("cluster.toml", TOML)]));
    assert!(yaml.contains("minor: Float(1.30)"), "{yaml}");
    assert!(yaml.contains("version: Str(1.36.5)"), "{yaml}");
    assert!(yaml.contains("on: Str(yes)"), "{yaml}");
    assert!(yaml.contains("since: Str(2026-01-02)"), "{yaml}");
}

#[test]
fn one_file_or_many_gives_the_same_tree() {
    let one = tree(&[("cluster.yaml", YAML)]);
    let many = tree(&[
        ("cluster.yaml", "schema: khagen/v1\ncluster: {short: \"x\\ty\"}\nkubernetes:\nhosts:\n"),
        ("a/hosts.yml", "hosts: [{name: a, address: [10.0.0.1, 'fd00::1']}]\n"),
        ("b/hosts.toml", "schema = 'khagen/v1'\n[[hosts]]\nname = 'b'\nlabels = {}\n"),
        ("k8s.toml", "cluster.name = 'c1'\n[kubernetes]\nversion = '1.36.5'\nminor = 1.30\nport = 6443\n"),
        ("z.yaml", "kubernetes: {mask: '24', on: 'yes', ready: true, since: 2026-01-02}\n"),
        ("empty.yaml", "# nothing yet\n"),
        ("empty.toml", ""),
    ]);
    assert_eq!(one, many);
}

#[test]
fn a_single_file_is_an_inventory() {
    let dir = folder(&[("any.toml", "cluster.name = 'x'\n"), ("other.yaml", "nonsense: true\n")]);
    let (loaded, lines) = loaded(&dir.path().join("any.toml"));
    assert_eq!(lines, "");
    assert_eq!(plain(&loaded.clusters[0].root), "{cluster: {name: Str(x)}}");
    assert_eq!(loaded.clusters[0].dir, dir.path());
    assert_eq!(loaded.clusters[0].files.len(), 1);
}

#[test]
fn the_same_setting_in_two_documents_names_both_places() {
    let dir = folder(&[
        ("cluster.yaml", "schema: khagen/v1\netcd:\n  version: 3.6.14\n  members: [a]\n"),
        ("more.toml", "schema = 'khagen/v2'\n[etcd]\nversion = '3.6.14'\nmembers = ['b']\n"),
    ]);
    let (mut sources, mut report) = (Sources::new(), Report::new());
    load(dir.path(), &mut sources, &mut report);
    let places: Vec<_> = report
        .sorted(&sources)
        .iter()
        .map(|finding| {
            let (first, again) = (&finding.secondary[0], finding.primary.as_ref().unwrap());
            assert!(sources.path(first.span.source).ends_with("cluster.yaml"));
            assert!(sources.path(again.span.source).ends_with("more.toml"));
            (
                finding.code,
                finding.message.clone(),
                sources.line_col(first.span),
                sources.line_col(again.span),
            )
        })
        .collect();
    assert_eq!(
        places,
        [
            (Code::SetTwice, "`schema` is set in two places".to_owned(), (1, 1), (1, 1)),
            (Code::SetTwice, "`etcd.version` is set in two places".to_owned(), (3, 3), (3, 1)),
            (Code::SetTwice, "`etcd.members` is set in two places".to_owned(), (4, 3), (4, 1)),
        ]
    );
}

#[test]
fn a_map_and_a_value_cannot_be_merged() {
    assert_eq!(
        findings(&[
            ("cluster.yaml", "etcd: {version: 3}\n"),
            ("e.yaml", "etcd: none\n"),
            ("h.yaml", "hosts: {a: b}\n"),
            ("i.yaml", "hosts: []\n")
        ]),
        "e.yaml:1:1: error[KH0103]: `etcd` is text here and a map elsewhere\n\
         i.yaml:1:1: error[KH0103]: `hosts` is a list here and a map elsewhere\n"
    );
}

#[test]
fn clusters_in_subfolders_share_what_lies_beside_them() {
    let dir = folder(&[
        ("shared.yaml", "kubernetes: {version: 1.36.5}\n"),
        ("common/etcd.yaml", "etcd: {version: 3.6.14}\n"),
        ("b/cluster.yaml", "cluster: {name: b}\n"),
        ("a/cluster.toml", "cluster.name = 'a'\n"),
        ("a/sub/hosts.yaml", "hosts: [{name: h}]\n"),
    ]);
    let (loaded, lines) = loaded(dir.path());
    assert_eq!(lines, "");
    let clusters: Vec<_> = loaded
        .clusters
        .iter()
        .map(|cluster| (cluster.folder.as_deref().unwrap(), plain(&cluster.root), cluster.files.len()))
        .collect();
    let shared = "etcd: {version: Str(3.6.14)}";
    let version = "kubernetes: {version: Str(1.36.5)}";
    assert_eq!(
        clusters,
        [
            (
                "a",
                format!("{{cluster: {{name: Str(a)}}, {shared}, hosts: [{{name: Str(h)}}], {version}}}"),
                4
            ),
            ("b", format!("{{cluster: {{name: Str(b)}}, {shared}, {version}}}"), 3),
        ]
    );
    assert_eq!(loaded.clusters[0].dir, dir.path().join("a"));
}

#[test]
fn a_fault_of_a_shared_document_is_said_once() {
    let lines = findings(&[
        ("shared.yaml", "etcd: {version: 1, version: 2}\n"),
        ("a/cluster.yaml", "cluster: {name: a}\n"),
        ("b/cluster.yaml", "cluster: {name: b}\netcd: {version: 3}\n"),
    ]);
    assert_eq!(
        lines,
        "b/cluster.yaml:2:8: error[KH0102]: `etcd.version` is set in two places\n\
         shared.yaml:1:20: error[KH0101]: `version` is set twice in one map\n"
    );
}

#[test]
fn clusters_must_not_nest() {
    let message = "error[KH0010]: a cluster's folder must lie directly in the inventory's\n";
    assert_eq!(
        findings(&[("cluster.yaml", "a: 1\n"), ("b/cluster.toml", "a = 1\n")]),
        format!("b/cluster.toml:1:1: {message}")
    );
    assert_eq!(
        findings(&[("a/cluster.yaml", "a: 1\n"), ("a/b/cluster.yaml", "a: 1\n")]),
        format!("a/b/cluster.yaml:1:1: {message}")
    );
    assert_eq!(findings(&[("x/a/cluster.yaml", "a: 1\n")]), format!("x/a/cluster.yaml:1:1: {message}"));
}

#[test]
fn what_is_no_inventory_is_said() {
    let dir = folder(&[]);
    assert_eq!(
        loaded(&dir.path().join("none")).1,
        "none:1:1: error[KH0001]: there is no inventory `none`\n"
            .replace("none:", "DIR:")
            .replace("`none`", "`DIR`")
    );
    assert_eq!(loaded(dir.path()).1, "DIR:1:1: error[KH0008]: `DIR` holds no settings\n");
    assert_eq!(
        findings(&[("cluster.yaml", "# nothing\n")]),
        "DIR:1:1: error[KH0008]: `DIR` holds no settings\n"
    );
    assert_eq!(
        findings(&[("cluster.toml", "# nothing\n")]),
        "DIR:1:1: error[KH0008]: `DIR` holds no settings\n"
    );
    assert_eq!(
        findings(&[("k8s.yaml", "a: 1\n")]),
        "DIR:1:1: error[KH0009]: `DIR` holds no `cluster.yaml`\n"
    );
    assert_eq!(
        findings(&[("BUILD.json", "{}"), ("cluster.yaml", "a: 1\n")]),
        "DIR:1:1: error[KH0011]: `DIR` is an output folder\n"
    );
    assert_eq!(
        findings(&[("cluster.yaml", "- a\n")]),
        "cluster.yaml:1:1: error[KH0027]: a document must be a map of keys, this is a list\n"
    );
}

#[test]
fn folders_that_hold_no_documents_are_skipped() {
    let bad = "a: [\n";
    let mut documents =
        vec![("cluster.yaml", "a: 1\n"), (".hidden.yaml", bad), (".git/x.yaml", bad), ("notes.txt", bad)];
    let skipped = [
        "secrets/x.yaml",
        "files/x.yaml",
        "patches/x.yaml",
        "manifests/x.yaml",
        "artifacts/x.yaml",
        "templates/x.yaml",
        "deep/files/x.yaml",
        "out/x.yaml",
        "out/BUILD.json",
    ];
    documents.extend(skipped.iter().map(|path| (*path, bad)));
    assert_eq!(tree(&documents), "{a: Int(1)}");
    // The same names are no obstacle for the inventory itself, nor for a file.
    let dir = folder(&[("files/cluster.yaml", "a: 1\n"), ("files/files.yaml", "b: 1\n")]);
    assert_eq!(loaded(&dir.path().join("files")).1, "");
}

#[test]
fn documents_are_read_in_byte_order_of_their_paths() {
    let dir = folder(&[
        ("cluster.yaml", "a: 1\n"),
        ("a/z.yaml", "b: 1\n"),
        ("a-b.yaml", "c: 1\n"),
        ("B.yaml", "d: 1\n"),
        ("ä.yaml", "e: 1\n"),
    ]);
    let (mut sources, mut report) = (Sources::new(), Report::new());
    let loaded = load(dir.path(), &mut sources, &mut report);
    let root = dir.path().display().to_string() + "/";
    let order: Vec<String> =
        loaded.clusters[0].files.iter().map(|id| sources.path(*id).replace(&root, "")).collect();
    assert_eq!(order, ["B.yaml", "a-b.yaml", "a/z.yaml", "cluster.yaml", "ä.yaml"]);
}

#[test]
fn pipes_sockets_and_devices_are_refused_without_waiting() {
    let dir = folder(&[("cluster.yaml", "a: 1\n")]);
    let pipe = dir.path().join("pipe.yaml");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
        .unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket.toml")).unwrap();
    symlink("/dev/zero", dir.path().join("zero.yaml")).unwrap();
    let lines = loaded(dir.path()).1;
    assert_eq!(
        lines,
        "pipe.yaml:1:1: error[KH0003]: a document must be a regular file, this is a named pipe\n\
         socket.toml:1:1: error[KH0003]: a document must be a regular file, this is a socket\n\
         zero.yaml:1:1: error[KH0003]: a document must be a regular file, this is a device\n"
    );
    assert!(loaded(&pipe).1.contains("KH0003"));
    assert!(loaded(Path::new("/dev/zero")).1.contains("KH0003"));
}

#[test]
fn links_are_followed_and_circles_and_dead_ends_said() {
    let elsewhere = folder(&[("hosts.yaml", "hosts: [{name: a}]\n")]);
    let dir = folder(&[("cluster.yaml", "a: 1\n"), ("sub/x.yaml", "b: 1\n")]);
    symlink(elsewhere.path(), dir.path().join("linked")).unwrap();
    assert_eq!(loaded(dir.path()).1, "");
    assert_eq!(loaded(dir.path()).0.clusters[0].files.len(), 3);

    symlink("nothing", dir.path().join(".#lock.yaml")).unwrap(); // an editor's lock
    symlink("..", dir.path().join("sub/up")).unwrap();
    symlink("nothing", dir.path().join("gone.yaml")).unwrap();
    symlink("self", dir.path().join("self")).unwrap();
    let (loaded, lines) = loaded(dir.path());
    assert_eq!(
        lines,
        "gone.yaml:1:1: error[KH0007]: this link leads nowhere\n\
         self:1:1: error[KH0007]: this link leads nowhere\n\
         sub/up:1:1: error[KH0007]: this leads back to `DIR`\n"
    );
    assert!(!loaded.clusters[0].complete);
}

#[test]
fn links_that_multiply_folders_are_refused() {
    let dir = folder(&[("cluster.yaml", "a: 1\n")]);
    // 2^30 paths lead to the last folder.
    for level in 0..30 {
        let here = dir.path().join(format!("d{level}"));
        fs::create_dir(&here).unwrap();
        for name in ["a", "b"] {
            symlink(format!("../d{}", level + 1), here.join(name)).unwrap();
        }
    }
    fs::create_dir(dir.path().join("d30")).unwrap();
    let lines = loaded(dir.path()).1;
    assert_eq!(lines.lines().count(), 60, "{lines}");
    assert!(
        lines.lines().all(|line| line.contains("error[KH0007]: this is the same folder as `")),
        "{lines}"
    );
}

#[test]
fn folders_of_too_many_files_are_refused() {
    let dir = folder(&[("cluster.yaml", "a: 1\n")]);
    for folder in 0..2 {
        let folder = dir.path().join(folder.to_string());
        fs::create_dir(&folder).unwrap();
        for number in 0..MAX_ENTRIES / 2 {
            fs::write(folder.join(number.to_string()), "").unwrap();
        }
    }
    assert_eq!(
        loaded(dir.path()).1,
        "DIR:1:1: error[KH0004]: the folder holds more than 50000 files and folders\n"
    );
}

#[test]
fn unreadable_files_are_said_and_the_rest_is_read() {
    let dir = folder(&[("cluster.yaml", "a: [\n"), ("closed.yaml", "b: 1\n"), ("closed/x.yaml", "c: 1\n")]);
    for name in ["closed.yaml", "closed"] {
        fs::set_permissions(dir.path().join(name), fs::Permissions::from_mode(0o000)).unwrap();
    }
    let readable = fs::read(dir.path().join("closed.yaml")).is_ok();
    let lines = loaded(dir.path()).1;
    fs::set_permissions(dir.path().join("closed"), fs::Permissions::from_mode(0o700)).unwrap();
    assert!(lines.contains("cluster.yaml:1:4: error[KH0021]"), "{lines}");
    if readable {
        // The superuser reads everything; then there is nothing to refuse.
        assert_eq!(lines.lines().count(), 1, "{lines}");
    } else {
        assert!(
            lines.contains("closed.yaml:1:1: error[KH0002]: cannot be read: Permission denied"),
            "{lines}"
        );
        assert!(lines.contains("closed:1:1: error[KH0002]: cannot be read: Permission denied"), "{lines}");
    }
}

#[test]
fn what_is_not_text_is_refused_with_its_place() {
    let dir = folder(&[("cluster.yaml", "a: 1\n"), ("nul.toml", "a = 1\nb = '\0'\n")]);
    fs::write(dir.path().join("latin.yaml"), b"a: 1\nb: caf\xe9\n").unwrap();
    fs::write(dir.path().join("utf16.yaml"), b"\xff\xfea\0:\0").unwrap();
    let (loaded, lines) = loaded(dir.path());
    assert_eq!(
        lines,
        "latin.yaml:2:7: error[KH0005]: not UTF-8 from here on\n\
         nul.toml:2:6: error[KH0006]: a NUL byte, which text never holds\n\
         utf16.yaml:1:1: error[KH0005]: not UTF-8 from here on\n"
    );
    assert!(!loaded.clusters[0].complete);
}

#[test]
fn too_many_bytes_are_refused_by_size() {
    let dir = folder(&[("cluster.yaml", "a: 1\n")]);
    let big = fs::File::create(dir.path().join("big.yaml")).unwrap();
    big.set_len(MAX_BYTES + 1).unwrap(); // sparse
    assert_eq!(
        loaded(dir.path()).1,
        "big.yaml:1:1: error[KH0004]: with this document the inventory exceeds 64 MiB\n"
    );
}

#[test]
fn an_extension_in_upper_case_is_warned_about() {
    assert_eq!(
        findings(&[("cluster.yaml", "a: 1\n"), ("hosts.YAML", "b: 1\n")]),
        "hosts.YAML:1:1: warning[KH0012]: this file is not read: its extension is in upper case\n"
    );
}
