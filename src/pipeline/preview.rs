//! The bundles that a build would make, in memory: the newer side of `build --diff`.

use std::collections::BTreeSet;
use std::path::Path;

use rayon::prelude::*;

use super::BuildError;
use super::prepared::{Prepared, foresee};
use crate::content::ObjectId;
use crate::env::Env;
use crate::model::Cluster;
use crate::pack::bundle::{Bundle, Fingerprints};
use crate::pki::store::Access;
use crate::pki::{Action, Decision, Store, read};
use crate::render::bundles::{RenderError, Shared};
use crate::snapshot::{self, Identity, Memory, TextCache};

/// What a build would make of an inventory.
pub struct Preview {
    /// Its bundles.
    pub bundles: Memory,
    /// What would be issued, and why.
    pub issues: Vec<Decision>,
    /// Values of what was issued for this preview only: the build itself makes others.
    pub passing: BTreeSet<String>,
}

/// Renders all bundles and writes nothing. Keys are needed only where something would be issued.
///
/// # Errors
/// See [`BuildError`].
pub fn preview(cluster: &Cluster, out: &Path, env: &Env) -> Result<Preview, BuildError> {
    // A root that takes another's place in a rotation counts as issued, and is in the store already.
    let there: BTreeSet<String> = {
        let store = Store::open_with(&cluster.dir.join("secrets"), Access::Public)?;
        store.objects().filter_map(|(id, _)| store.fingerprint(id).map(str::to_owned)).collect()
    };
    let Prepared { store, ledger, requests, mut outcome, .. } = foresee(cluster, out, env)?;
    outcome.decisions.retain(|d| d.action == Action::Issue);
    let shared = Shared::render(cluster, &ledger, &requests, &store)?;
    let hosts = cluster.with_retired();
    let mut bundles: Vec<Bundle> =
        hosts.par_iter().map(|host| shared.host(host)).collect::<Result<_, RenderError>>()?;
    bundles.push(shared.operator()?);
    let known = Planned { store: &store, there, issued: outcome.decisions.iter().map(|d| &d.id).collect() };
    let mut texts = TextCache::default();
    let mut found = Vec::with_capacity(bundles.len());
    for bundle in &bundles {
        let digest = bundle.digest(|file| shared.text_digest(file));
        let snapshot = snapshot::of_build(bundle, &known, &mut texts).map_err(BuildError::Snapshot)?;
        found.push((snapshot, Some(Identity::Content(digest))));
    }
    let passing = outcome.decisions.iter().flat_map(|d| values(&d.id, &store)).collect();
    Ok(Preview { bundles: Memory::new(found), issues: outcome.decisions, passing })
}

/// What stands for values that only the build itself will make.
pub const TO_BE_ISSUED: &str = "(to be issued)";

struct Planned<'a> {
    store: &'a Store,
    /// Fingerprints of what the store has.
    there: BTreeSet<String>,
    issued: BTreeSet<&'a ObjectId>,
}

impl Fingerprints for Planned<'_> {
    fn fingerprint(&self, id: &ObjectId) -> Option<&str> {
        match self.store.fingerprint(id) {
            Some(known) if self.there.contains(known) => Some(known),
            _ if self.issued.contains(id) => Some(TO_BE_ISSUED),
            other => other,
        }
    }
}

/// The values of an issued object by which a comparison would show it.
fn values(id: &ObjectId, store: &Store) -> Vec<String> {
    let mut out: Vec<String> = store.fingerprint(id).map(str::to_owned).into_iter().collect();
    let summary = store.cert_pem(id).and_then(|pem| read::summary(&read::der(pem).ok()?).ok());
    if let Some(summary) = summary {
        out.push(summary.serial);
        out.extend(summary.subject_key_id);
    }
    out
}

/// Replaces values that will be others by the time they are issued.
pub fn pass(diff: &mut crate::diff::change::ClusterDiff, passing: &BTreeSet<String>) {
    use crate::diff::change::What;
    if passing.is_empty() {
        return;
    }
    // A key's identifier may be the head of its fingerprint.
    let mut passing: Vec<&String> = passing.iter().collect();
    passing.sort_by_key(|value| std::cmp::Reverse(value.len()));
    let replace = |text: &mut Option<String>| {
        if let Some(text) = text {
            for value in &passing {
                if text.contains(value.as_str()) {
                    *text = text.replace(value.as_str(), TO_BE_ISSUED);
                }
            }
        }
    };
    for change in &mut diff.changes {
        if let What::Field { new, .. } = &mut change.what {
            replace(new);
        }
        for each in &mut change.each {
            replace(&mut each.new);
        }
    }
}
