//! From merged documents to a valid [`crate::model::Inventory`]: every finding at once, nothing written.
//!
//! First each value for itself, against the description of its key ([`crate::schema`]), then the model, with
//! stand-ins where a value could not be read. What several settings together get wrong is said by rules over the model.

mod artifacts;
mod cluster;
mod decode;
mod findings;
mod host;
pub mod places;
pub mod rules;
mod secrets;
mod suggest;
pub(crate) mod text;
mod user_files;
mod view;
mod waivers;

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use time::Date;

use crate::diag::{Code, Diagnostic, Report, Waived};
use crate::load::tree::Value;
use crate::load::{Loaded, LoadedCluster};
use crate::model::{Cluster, Host, HostState, Inventory};
use crate::pki::recipients::Recipients;
use crate::schema;
use crate::source::{Sources, Span};
use artifacts::ArtifactSets;
use decode::Decoder;
use host::Hosts;
use places::Places;
use secrets::Secrets;
use user_files::UserFiles;
use view::View;

/// Checks every cluster. `None` when the report has errors, those of loading included. `today` decides only warnings.
pub fn check(loaded: &Loaded, sources: &Sources, today: Date, report: &mut Report) -> Option<Inventory> {
    check_with(loaded, sources, today, MissingSecrets::AreErrors, report)
}

/// What a secret is that the inventory names and the store does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingSecrets {
    /// Something that a build cannot do without.
    AreErrors,
    /// What the user is about to set.
    AreFine,
}

/// As [`check`], for commands that set secrets as well.
pub fn check_with(
    loaded: &Loaded,
    sources: &Sources,
    today: Date,
    missing: MissingSecrets,
    report: &mut Report,
) -> Option<Inventory> {
    let clusters = check_keeping_places(loaded, sources, today, missing, report)?;
    Some(Inventory { clusters: clusters.into_iter().map(|(cluster, _)| cluster).collect() })
}

/// As [`check_with`]; gives each cluster with the places where its settings stand, in the order of what was loaded.
pub fn check_keeping_places(
    loaded: &Loaded,
    sources: &Sources,
    today: Date,
    missing: MissingSecrets,
    report: &mut Report,
) -> Option<Vec<(Cluster, Places)>> {
    let mut clusters: Vec<(Cluster, Places)> = Vec::new();
    let mut waived = waivers::Judge::new(today);
    let judge = |loaded: &LoadedCluster, report: &mut Report| {
        let (cluster, places) = model(loaded, missing, report);
        report.accept(waived.everywhere(&cluster));
        rules::check(&cluster, &places, today, report);
        waivers::check(&cluster, &places, today, report);
        (cluster, places)
    };
    match &loaded.clusters[..] {
        [only] => {
            clusters.push(judge(only, report));
            rules::check_all(&both(&clusters), report);
            waived.apply(&both(&clusters), report);
        }
        several => {
            // Documents beside several clusters are part of each; what is wrong with them is said once.
            let reports: Vec<Report> = several
                .iter()
                .map(|loaded| {
                    let mut own = Report::new();
                    clusters.push(judge(loaded, &mut own));
                    own
                })
                .collect();
            waived.apply(&both(&clusters), report);
            let mut merged = Merged { report, said: HashSet::new(), waived: Vec::new() };
            for ((cluster, places), mut own) in clusters.iter().zip(reports) {
                waived.apply(&[(cluster, places)], &mut own);
                merged.add(own);
            }
            let mut between = Report::new();
            rules::check_all(&both(&clusters), &mut between);
            waived.apply(&both(&clusters), &mut between);
            merged.add(between);
            merged.finish();
        }
    }
    if !report.has_errors() {
        waived.unused(&both(&clusters), report);
    }
    if !report.is_empty() || report.waived_count() > 0 {
        secrets::conceal_texts(sources, report);
    }
    if report.has_errors() || clusters.is_empty() {
        return None;
    }
    Some(clusters)
}

fn both(clusters: &[(Cluster, Places)]) -> Vec<(&Cluster, &Places)> {
    clusters.iter().map(|(cluster, places)| (cluster, places)).collect()
}

/// The findings of several clusters, each once. What one cluster waives and another does not is said.
struct Merged<'a> {
    report: &'a mut Report,
    said: HashSet<(Code, Option<Span>, String)>,
    waived: Vec<Waived>,
}

impl Merged<'_> {
    fn key(finding: &Diagnostic) -> (Code, Option<Span>, String) {
        (finding.code, finding.primary.as_ref().map(|label| label.span), finding.message.clone())
    }

    fn add(&mut self, own: Report) {
        own.concealed().iter().for_each(|span| self.report.conceal(*span));
        for finding in own.iter().filter(|finding| self.said.insert(Self::key(finding))) {
            self.report.push(finding.clone());
        }
        self.waived.extend(own.iter_waived().cloned());
    }

    fn finish(mut self) {
        for waived in self.waived {
            if self.said.insert(Self::key(&waived.finding)) {
                self.report.push_waived(waived);
            }
        }
    }
}

/// A host's short name as the inventory has it, or a stand-in that no host can have.
pub fn decode_name(item: &crate::load::tree::Node, number: usize) -> String {
    decode::host_name(item, number).0
}

/// Fills the model of a cluster and says where its settings stand.
fn model(loaded: &LoadedCluster, missing: MissingSecrets, report: &mut Report) -> (Cluster, Places) {
    let root = &loaded.root;
    let mut places = Places::default();
    let secrets = Secrets::find(root, report);
    Decoder::new(&secrets, &mut places, report, loaded.complete).read(root);
    if !loaded.complete {
        // Hosts may be missing, so that nobody counts them; and what is not there may stand in what could not be read.
        places.mark_unsound("hosts");
        schema::walk(&mut |path, _| {
            let fixed = !path.contains(['[', '<']);
            if fixed && !places.is_written(path) {
                places.mark_unsound(path);
            }
        });
    }
    let files = UserFiles::read(root, &loaded.dir, &secrets, missing, report);
    let top = View::new(Some(root), schema::INVENTORY);
    let balancer_view = top.child("loadBalancer");
    let load_balancer = cluster::load_balancer(balancer_view, &mut places, report);
    let artifacts = ArtifactSets::read(root, &loaded.dir, report);
    let mut hosts = Hosts::new(top, files, artifacts, loaded.complete);
    let list = match top.node("hosts").map(|node| &node.value) {
        Some(Value::List(items)) => items.as_slice(),
        _ => &[],
    };
    let (hosts_that_leave, members): (Vec<Host>, Vec<Host>) =
        hosts.read(list, &mut places, report).into_iter().partition(|host| host.state == HostState::Retired);
    if loaded.complete {
        hosts.judge_artifacts(top.node("artifacts"), list, report);
    }
    let cluster = Cluster {
        folder: loaded.folder.clone(),
        dir: loaded.dir.clone(),
        name: top.child("cluster").read("name", text::names::label).unwrap_or_else(|| "invalid".to_owned()),
        domain: hosts.domain.clone(),
        state: cluster::state(top.child("cluster")),
        kubernetes: cluster::kubernetes(top.child("kubernetes"), &load_balancer, balancer_view),
        etcd: cluster::etcd(top.child("etcd")),
        load_balancer,
        pki: cluster::pki(top.child("pki")),
        recipients: Recipients::new(top.child("secrets").list("recipients", text::names::recipient)),
        hosts: members,
        retired: hosts_that_leave,
        waivers: waivers::read(top.node("waivers"), &places),
    };
    (cluster, places)
}
