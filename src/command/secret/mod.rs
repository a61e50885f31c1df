//! `khagen secret`: the user's own secrets, and whom the store is encrypted to.

mod rekey;

use std::collections::BTreeMap;
use std::io::{IsTerminal, Read};

use serde_json::json;
use zeroize::Zeroizing;

use super::check::{Checked, checked_with};
use super::identity::identities;
use super::{Exit, Failure, Streams};
use crate::check::MissingSecrets;
use crate::cli::{InStore, Secret, SecretCommand, SecretFormat, SecretList, SecretRemove, SecretSet};
use crate::diag;
use crate::env::Env;
use crate::fs::FsError;
use crate::model::{Cluster, Inventory, UserContent};
use crate::pki::object::instant;
use crate::pki::store::{SetSecret, is_secret_name};
use crate::pki::{IssueError, Store, StoreError};

/// A secret is a short text; larger files belong elsewhere.
const MAX_BYTES: u64 = 1 << 20;

/// Runs the command.
pub fn run(args: &Secret, streams: &mut Streams) -> Result<Exit, Failure> {
    match &args.command {
        SecretCommand::Set(args) => set(args, streams),
        SecretCommand::List(args) => list(args, streams),
        SecretCommand::Rm(args) => remove(args, streams),
        SecretCommand::Rekey(args) => rekey::run(args, streams),
    }
}

/// The inventory, whether or not its secrets are set yet; findings go to standard error.
fn inventory(args: &InStore, streams: &mut Streams) -> Result<(Inventory, Env), Failure> {
    let env = Env::system().map_err(|e| Failure::new(Exit::Error, &e))?;
    let Checked { inventory, report, sources } = checked_with(&args.inventory, &env, MissingSecrets::AreFine);
    match inventory {
        Some(inventory) => Ok((inventory, env.with_identities(identities(&args.identity)))),
        None => {
            let look = streams.err_look();
            streams.err(&diag::render::text(&report, &sources, look));
            Err(Failure::because(Exit::Invalid, "nothing was changed"))
        }
    }
}

/// The cluster that is meant.
fn cluster<'a>(inventory: &'a Inventory, folder: Option<&str>) -> Result<&'a Cluster, Failure> {
    let names = || -> Vec<&str> { inventory.clusters.iter().filter_map(|c| c.folder.as_deref()).collect() };
    match (folder, &inventory.clusters[..]) {
        (None, [only]) => Ok(only),
        (None, _) => Err(Failure::because(Exit::Usage, "the inventory has several clusters")
            .help(format!("say which with --cluster: {}", names().join(", ")))),
        (Some(folder), all) => all.iter().find(|c| c.folder.as_deref() == Some(folder)).ok_or_else(|| {
            Failure::because(Exit::Usage, format!("the inventory has no cluster in a folder {folder:?}"))
                .help(format!("there are: {}", names().join(", ")))
        }),
    }
}

/// A cluster's store, encrypting to what its inventory names.
fn open(cluster: &Cluster, env: &Env) -> Result<Store, Failure> {
    let mut store = Store::open(&cluster.dir.join("secrets")).map_err(|e| store_failure(&e))?;
    store.encrypt_to(cluster.recipients.clone());
    store.decrypt_with(env.identities());
    Ok(store)
}

/// What is wrong with a store, with its exit code and the way out.
pub(super) fn store_failure(error: &StoreError) -> Failure {
    let exit = match error {
        e if e.is_integrity() => Exit::Integrity,
        StoreError::Closed { .. } | StoreError::WouldBePlain { .. } | StoreError::Newer { .. } => {
            Exit::Precondition
        }
        StoreError::Write(FsError::Busy { .. }) => Exit::Precondition,
        StoreError::BadName { .. } => Exit::Usage,
        _ => Exit::Error,
    };
    let failure = Failure::new(exit, error);
    match error {
        StoreError::Closed { .. } => failure.help(
            "name a file that holds the private key of a recipient: --identity FILE, or KHAGEN_IDENTITY=FILE; \
             without them ~/.ssh/id_ed25519 is tried",
        ),
        StoreError::WouldBePlain { .. } => failure.help(
            "put `secrets.recipients` back; or, if the keys shall be files in the clear: khagen secret rekey --plain",
        ),
        StoreError::Newer { .. } => failure.help("take the khagen that wrote it, or a later one"),
        _ => failure,
    }
}

pub(super) fn issue_failure(error: &IssueError) -> Failure {
    match error {
        IssueError::Store(e) => store_failure(e),
        e => Failure::new(Exit::Error, e),
    }
}

fn bad_name(name: &str) -> Option<Failure> {
    (!is_secret_name(name)).then(|| {
        Failure::because(Exit::Usage, "this cannot be the name of a secret").help(
            "1 to 63 of a-z, 0-9, `-`, `_` and `.`, beginning with a letter or digit; `secret` and `key.pem` are taken",
        )
    })
}

/// Which hosts' files are made of each secret.
fn uses(cluster: &Cluster) -> BTreeMap<&str, Vec<(&str, &str)>> {
    let mut uses: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for host in &cluster.hosts {
        for file in &host.files {
            if let UserContent::Secret(name) = &file.content {
                uses.entry(name).or_default().push((&host.fqdn, &file.path));
            }
        }
    }
    uses
}

fn set(args: &SecretSet, streams: &mut Streams) -> Result<Exit, Failure> {
    if let Some(failure) = bad_name(&args.name) {
        return Err(failure);
    }
    let (inventory, env) = inventory(&args.store, streams)?;
    let cluster = cluster(&inventory, args.store.cluster.as_deref())?;
    let value = value(args)?;
    let mut store = open(cluster, &env)?;
    store.guard_against_plain().map_err(|e| store_failure(&e))?;
    let done = store.set_user_secret(&args.name, value, &env).map_err(|e| issue_failure(&e))?;
    if done == SetSecret::Unchanged {
        streams.out(&format!("secret {}: has this value already; nothing was written\n", args.name));
        return Ok(Exit::Done);
    }
    store.save().map_err(|e| store_failure(&e))?;
    let how = match store.recipients().as_slice().len() {
        0 => "in the clear, mode 0600".to_owned(),
        1 => "encrypted to 1 recipient".to_owned(),
        n => format!("encrypted to {n} recipients"),
    };
    let verb = if done == SetSecret::New { "new" } else { "changed" };
    let hosts: Vec<&str> =
        uses(cluster).get(args.name.as_str()).into_iter().flatten().map(|(host, _)| *host).collect();
    let next = match hosts.len() {
        0 => format!("no file is made of it yet: `source: {{secret: {}}}`", args.name),
        n => format!("the next build changes {n} host{}", if n == 1 { "" } else { "s" }),
    };
    streams.out(&format!("secret {}: {verb}, {how}; {next}\n", args.name));
    Ok(Exit::Done)
}

/// The value, from a file or standard input, byte by byte as it is.
fn value(args: &SecretSet) -> Result<crate::secret::Secret, Failure> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    let read = match &args.file {
        Some(path) => {
            std::fs::File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        }
        None if std::io::stdin().is_terminal() => {
            return Err(Failure::because(
                Exit::Usage,
                "the value is read from standard input, which is a terminal",
            )
            .help(format!(
                "khagen secret set {0} < FILE, or: khagen secret set {0} --file FILE",
                args.name
            )));
        }
        None => std::io::stdin().lock().take(MAX_BYTES + 1).read_to_end(&mut bytes),
    };
    if let Err(error) = read {
        let from = args.file.as_ref().map_or("standard input".to_owned(), |path| path.display().to_string());
        return Err(Failure::because(Exit::Error, format!("cannot read {from}: {error}")));
    }
    if bytes.is_empty() {
        return Err(Failure::because(Exit::Usage, "the value is empty").help("nothing was changed"));
    }
    if bytes.len() as u64 > MAX_BYTES {
        return Err(
            Failure::because(Exit::Usage, "the value is larger than 1 MiB").help("nothing was changed")
        );
    }
    Ok(crate::secret::Secret::new(std::mem::take(&mut *bytes)))
}

fn list(args: &SecretList, streams: &mut Streams) -> Result<Exit, Failure> {
    let (inventory, env) = inventory(&args.store, streams)?;
    let mut lines = String::new();
    let mut rows = Vec::new();
    for cluster in &inventory.clusters {
        if args.store.cluster.is_some() && args.store.cluster != cluster.folder {
            continue;
        }
        let store = open(cluster, &env)?;
        let uses = uses(cluster);
        let mut names: BTreeMap<&str, Option<_>> = uses.keys().map(|name| (*name, None)).collect();
        names.extend(store.user_secrets().map(|(name, record)| (name, Some(record))));
        let width = names.keys().map(|n| n.len()).max().unwrap_or(0);
        for (name, record) in names {
            let files: Vec<&(&str, &str)> = uses.get(name).into_iter().flatten().collect();
            let state = match record {
                None => "not set".to_owned(),
                Some(r) => format!("set {}", instant(r.issued)),
            };
            let used = match &files[..] {
                [] => "unused".to_owned(),
                [(host, path)] => format!("{path} of {host}"),
                [(_, path), more @ ..] => {
                    let paths = if more.iter().all(|(_, p)| p == path) {
                        (*path).to_owned()
                    } else {
                        format!("{path} and others")
                    };
                    format!("{paths} of {} hosts", files.len())
                }
            };
            let folder = cluster.folder.as_ref().map(|f| format!("{f}: ")).unwrap_or_default();
            lines.push_str(&format!("{folder}{name:<width$}  {state:<24}  {used}\n"));
            rows.push(json!({
                "cluster": cluster.name,
                "name": name,
                "set": record.map(|r| instant(r.issued)),
                "recipients": record.map(|r| r.recipients()),
                "files": files.iter().map(|(host, path)| json!({"host": host, "path": path})).collect::<Vec<_>>(),
            }));
        }
    }
    match args.format {
        SecretFormat::Json => {
            let all = json!({"schema": "khagen-secrets/v1", "secrets": rows});
            streams.out(&format!("{}\n", serde_json::to_string_pretty(&all).unwrap_or_default()));
        }
        SecretFormat::Text if lines.is_empty() => streams.err("no secrets: khagen secret set NAME < FILE\n"),
        SecretFormat::Text => streams.out(&lines),
    }
    Ok(Exit::Done)
}

fn remove(args: &SecretRemove, streams: &mut Streams) -> Result<Exit, Failure> {
    if let Some(failure) = bad_name(&args.name) {
        return Err(failure);
    }
    let (inventory, env) = inventory(&args.store, streams)?;
    let cluster = cluster(&inventory, args.store.cluster.as_deref())?;
    if let Some(files) = uses(cluster).get(args.name.as_str()) {
        let mut message = format!("the secret {} is in use", args.name);
        for (host, path) in files {
            message.push_str(&format!("\n  {path} of {host}"));
        }
        return Err(Failure::because(Exit::Precondition, message)
            .help("take it out of the inventory's `files` first"));
    }
    let mut store = open(cluster, &env)?;
    if !store.remove_user_secret(&args.name) {
        return Err(Failure::because(Exit::Error, format!("the store has no secret {}", args.name))
            .help("`khagen secret list` shows what there is"));
    }
    store.save().map_err(|e| store_failure(&e))?;
    streams.out(&format!(
        "secret {}: removed. Git's history and backups still hold it: where it was in use, change it there too\n",
        args.name
    ));
    Ok(Exit::Done)
}
