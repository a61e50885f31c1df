//! The ledger's files: `ledger/cluster.toml` for the cluster, `ledger/hosts/<fqdn>.toml` for each host, so that two
//! branches that each add a host touch different files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::sealed;
use super::store::{Damage, StoreError};
use crate::ledger::{Founding, HostRecord, Ledger};

/// A host's file; the name inside tells a file that was moved or swapped.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct HostFile {
    host: String,
    record: HostRecord,
}

/// A file that is to be written, or removed where there is no text.
pub(super) struct Change {
    pub path: PathBuf,
    pub text: Option<String>,
}

/// The cluster's file.
pub(super) fn founding_path(dir: &Path) -> PathBuf {
    dir.join("ledger/cluster.toml")
}

/// The folder of the hosts' files.
pub(super) fn hosts_dir(dir: &Path) -> PathBuf {
    dir.join("ledger/hosts")
}

fn host_path(dir: &Path, host: &str) -> PathBuf {
    hosts_dir(dir).join(format!("{host}.toml"))
}

/// Reads the ledger; what is wrong with a file is added to `damages`.
pub(super) fn read(dir: &Path, damages: &mut Vec<Damage>) -> Result<Ledger, StoreError> {
    let path = founding_path(dir);
    let founding = match super::store::read_text(&path)? {
        None => None,
        Some(text) => {
            sealed::read::<Founding>(&text).map_err(|what| damages.push(Damage { path, what })).ok()
        }
    };
    let hosts = hosts_dir(dir);
    let mut files: Vec<PathBuf> = super::store::entries(&hosts)?
        .into_iter()
        .filter(|(name, is_dir)| !is_dir && !name.starts_with('.') && name.ends_with(".toml"))
        .map(|(name, _)| hosts.join(name))
        .collect();
    files.sort_unstable();
    let read: Vec<Result<(String, HostRecord), Damage>> =
        files.into_par_iter().map(read_host).collect::<Result<_, StoreError>>()?;
    let mut hosts = BTreeMap::new();
    for host in read {
        match host {
            Ok((name, record)) => {
                hosts.insert(name, record);
            }
            Err(damage) => damages.push(damage),
        }
    }
    Ok(Ledger { founding, hosts })
}

fn read_host(path: PathBuf) -> Result<Result<(String, HostRecord), Damage>, StoreError> {
    let text = super::store::read_text(&path)?.unwrap_or_default();
    let read = sealed::read::<HostFile>(&text).and_then(|file| {
        let named = path.file_stem().and_then(|s| s.to_str());
        if named == Some(file.host.as_str()) {
            Ok((file.host, file.record))
        } else {
            Err(format!("is the record of {}: it was moved or swapped", file.host))
        }
    });
    Ok(read.map_err(|what| Damage { path, what }))
}

/// What must be written so that the folder holds `new` where it holds `old`.
pub(super) fn changes(dir: &Path, old: &Ledger, new: &Ledger) -> Result<Vec<Change>, toml::ser::Error> {
    let mut changes = Vec::new();
    if old.founding != new.founding {
        let text = new.founding.as_ref().map(sealed::write).transpose()?;
        changes.push(Change { path: founding_path(dir), text });
    }
    for (host, record) in &new.hosts {
        if old.hosts.get(host) != Some(record) {
            let file = HostFile { host: host.clone(), record: record.clone() };
            changes.push(Change { path: host_path(dir, host), text: Some(sealed::write(&file)?) });
        }
    }
    for host in old.hosts.keys().filter(|h| !new.hosts.contains_key(*h)) {
        changes.push(Change { path: host_path(dir, host), text: None });
    }
    Ok(changes)
}
