//! What a dry run tells of bundles.

use super::{BuildError, BundleChange, BundleOutcome, Outcome, roles_of};
use crate::content::ObjectId;
use crate::ledger::Ledger;
use crate::model::Cluster;
use crate::output::record::BuildRecord;
use crate::pki::Action;
use crate::render::retired;

/// A dry run before certificates exist: a host changes if one of its certificates is issued or it is new.
pub(super) fn plan_only(
    cluster: &Cluster,
    ledger: &Ledger,
    former: Option<&BuildRecord>,
    requests: &[crate::plan::CertRequest],
    outcome: &mut Outcome,
) -> Result<(), BuildError> {
    let issued: Vec<&ObjectId> =
        outcome.decisions.iter().filter(|d| d.action == Action::Issue).map(|d| &d.id).collect();
    let ca_issued = issued.iter().any(|id| id.as_str().starts_with("ca/"));
    for host in &cluster.hosts {
        let own = requests.iter().any(|r| r.host.as_ref() == Some(&host.fqdn) && issued.contains(&&r.id));
        let known = former.and_then(|f| f.bundles.get(&host.fqdn)).cloned();
        let change = match known {
            None => BundleChange::New,
            Some(_) if own || ca_issued => BundleChange::Changed,
            Some(_) => BundleChange::Unchanged,
        };
        let mut record = known.unwrap_or_default();
        let generation = ledger.hosts.get(&host.fqdn).map_or(0, |r| r.generation);
        record.generation = if change == BundleChange::Unchanged { generation } else { generation + 1 };
        let roles = roles_of(cluster, &host.fqdn);
        outcome.bundles.push(BundleOutcome { name: host.fqdn.clone(), roles, change, record });
    }
    // These hold nothing that is issued, so what becomes of them is known.
    for host in &cluster.retired {
        let digest = retired::digest(cluster, ledger, host)?;
        let kept = ledger.hosts.get(&host.fqdn);
        let (generation, same) = kept.map_or((0, false), |r| (r.generation, r.digest == digest));
        let known = former.and_then(|f| f.bundles.get(&host.fqdn)).cloned();
        let change = match (same, &known) {
            (_, None) => BundleChange::New,
            (false, _) => BundleChange::Changed,
            (true, _) => BundleChange::Unchanged,
        };
        let mut record = known.unwrap_or_default();
        record.generation = if same { generation } else { generation + 1 };
        let roles = roles_of(cluster, &host.fqdn);
        outcome.bundles.push(BundleOutcome { name: host.fqdn.clone(), roles, change, record });
    }
    outcome.bundles.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(())
}
