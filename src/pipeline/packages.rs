//! Copies what travels beside the bundles into the output's `packages/`: once, however many hosts need it, and piece by
//! piece. The name holds a part of the digest, so a file of that name and length is left as it is, like a tarball.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::BuildError;
use crate::archive;
use crate::model::{Carried, Cluster};
use crate::output::Output;
use crate::output::record::PackageRecord;

/// Stages what the output lacks, removes what no host needs any more, and returns what there is then.
pub(super) fn write(
    cluster: &Cluster,
    output: &mut Output,
) -> Result<BTreeMap<String, PackageRecord>, BuildError> {
    let mut wanted: BTreeMap<&str, &Carried> = BTreeMap::new();
    for carried in cluster.hosts.iter().flat_map(|h| h.artifacts.carried()) {
        wanted.entry(&carried.file).or_insert(carried);
    }
    for (name, carried) in &wanted {
        let path = format!("packages/{name}");
        if output.is_wholesale() || !output.has(&path, carried.size) {
            output.put_with(&path, 0o644, |file| copy(carried, file))?;
        }
    }
    for path in output.list("packages") {
        if !path.strip_prefix("packages/").is_some_and(|name| wanted.contains_key(name)) {
            output.remove(&path);
        }
    }
    let record = |c: &Carried| PackageRecord { sha256: c.sha256.clone(), size: c.size };
    Ok(wanted.into_iter().map(|(name, c)| (name.to_owned(), record(c))).collect())
}

/// The bytes must be those that were checked.
fn copy(carried: &Carried, to: &mut std::fs::File) -> Result<(), BuildError> {
    let failed = |source: io::Error| BuildError::Artifact { origin: carried.origin(), source };
    let mut file = archive::open(&carried.disk).map_err(failed)?;
    let mut found = None;
    match &carried.member {
        None => found = Some(archive::digest(&mut file, to).map_err(failed)?),
        Some(member) => {
            archive::members(file, &BTreeSet::from([member.clone()]), &mut |_, entry| {
                found = Some(archive::digest(entry, to)?);
                Ok(())
            })
            .map_err(failed)?;
        }
    }
    match found {
        Some(found) if found.sha256 == carried.sha256 => Ok(()),
        _ => Err(BuildError::ArtifactChanged(carried.origin())),
    }
}
