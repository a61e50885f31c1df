//! `khagen pki renew`: marks certificates in the store. Issues nothing: the next build does, with the mark as its reason.

use std::collections::{BTreeMap, BTreeSet};

use super::{chosen, inventory, of_store, public_store};
use crate::calendar::facts::Facts;
use crate::calendar::{Calendar, Entry, State, What, calendar};
use crate::cli::pki::Renew;
use crate::command::{Exit, Failure, Streams};
use crate::content::ObjectId;
use crate::diff::change::What as Change;
use crate::diff::effect::{self, Place};
use crate::env::Env;
use crate::model::{Cluster, ClusterState};
use crate::pki::{Store, rotation};
use crate::plan::certs;
use crate::render::overview::date;
use crate::snapshot::{Head, OPERATOR};

pub(super) fn run(args: &Renew, streams: &mut Streams) -> Result<Exit, Failure> {
    let env = Env::system().map_err(|e| Failure::new(Exit::Error, &e))?;
    let Some(inventory) = inventory(&args.inventory, &env, streams) else { return Ok(Exit::Invalid) };
    let mut picked = Vec::new();
    for cluster in chosen(&inventory, args.cluster.as_deref())? {
        let store = public_store(cluster)?;
        let calendar = calendar(cluster, &store, &Facts::default(), env.now());
        picked.push((cluster, store, calendar));
    }
    let calendars: Vec<&Calendar> = picked.iter().map(|(_, _, calendar)| calendar).collect();
    known(args, &calendars)?;
    let mut any = false;
    for (cluster, mut store, calendar) in picked {
        let entries: Vec<&Entry> =
            calendar.entries.iter().filter(|e| e.issued.is_some() && is_chosen(args, e)).collect();
        if !args.undo {
            refuse_imported(args, &store, &entries)?;
            refuse_roots(args, cluster, &store, &entries)?;
        }
        let entries: Vec<&Entry> = entries
            .into_iter()
            .filter(|e| e.marked == args.undo && (!is_root(e) || args.undo || args.names.contains(&e.id)))
            .collect();
        for entry in calendar.entries.iter().filter(|e| is_root(e) && is_pressing(e) && !e.marked) {
            if !entries.iter().any(|e| e.id == entry.id) && !args.undo {
                streams.err(&format!(
                    "note: {} ends on {} too. It is a trust root and is not renewed with the others\n",
                    entry.id,
                    entry.not_after.map(date).unwrap_or_default()
                ));
            }
        }
        if entries.is_empty() {
            continue;
        }
        any = true;
        streams.out(&text(args, cluster, &entries));
        if !args.dry_run {
            for entry in &entries {
                let id = ObjectId::new(&entry.id);
                let done = if args.undo { store.unmark(&id) } else { store.mark_for_renewal(&id) };
                done.map_err(|e| of_store(&e))?;
            }
            store.save().map_err(|e| of_store(&e))?;
        }
    }
    if !any {
        streams.out(if args.undo { "nothing is marked\n" } else { "nothing to mark\n" });
        return Ok(Exit::Done);
    }
    if args.dry_run {
        streams.out("dry run: nothing was written\n");
        return Ok(Exit::Changes);
    }
    if !args.undo {
        streams.out("next: khagen build --diff shows what comes of it, khagen build issues\n");
    }
    Ok(Exit::Done)
}

fn is_root(entry: &Entry) -> bool {
    entry.what == What::Authority || entry.id == certs::SERVICE_ACCOUNT
}

fn is_pressing(entry: &Entry) -> bool {
    matches!(entry.state, State::Due | State::Expired)
}

/// The first part of a name.
fn kind(id: &str) -> &str {
    id.split_once('/').map_or(id, |(kind, _)| kind)
}

fn is_named(args: &Renew) -> bool {
    !args.names.is_empty() || !args.host.is_empty() || !args.profile.is_empty()
}

fn is_chosen(args: &Renew, entry: &Entry) -> bool {
    if args.all {
        return entry.not_after.is_some();
    }
    if !is_named(args) {
        return is_pressing(entry) || args.undo;
    }
    if args.names.contains(&entry.id) {
        return true;
    }
    // --host and --profile narrow each other.
    let host = |wanted: &String| {
        entry.owner == *wanted || entry.owner.split_once('.').is_some_and(|(short, _)| short == wanted)
    };
    let by_host = args.host.is_empty() || args.host.iter().any(host);
    let by_profile = args.profile.is_empty() || args.profile.iter().any(|p| p == kind(&entry.id));
    !(args.host.is_empty() && args.profile.is_empty()) && by_host && by_profile && entry.not_after.is_some()
}

/// Refuses names that nothing has: a renewal that silently did nothing would be found out when it is too late.
fn known(args: &Renew, calendars: &[&Calendar]) -> Result<(), Failure> {
    let entries = || calendars.iter().flat_map(|c| &c.entries);
    let usage = |what: String, help: &str| Err(Failure::because(Exit::Usage, what).help(help));
    for name in &args.names {
        match entries().find(|e| e.id == *name) {
            None => return usage(format!("there is no {name}"), "`khagen pki list` shows the names"),
            Some(e) if e.what == What::HostMade => {
                return usage(
                    format!("{name} is made by its host"),
                    "the kubelet renews its client certificate by itself",
                );
            }
            Some(e) if e.issued.is_none() => {
                return usage(format!("{name} is not issued yet"), "the next build issues it without a mark");
            }
            Some(_) if rotation::root_of(&ObjectId::new(name)).is_some() => {
                return usage(
                    format!("{name} is part of a rotation"),
                    "`khagen pki rotate --status` tells of it",
                );
            }
            Some(_) => {}
        }
    }
    for host in &args.host {
        let is = |e: &Entry| e.owner == *host || e.owner.split_once('.').is_some_and(|(s, _)| s == host);
        if !entries().any(is) {
            return usage(format!("no host {host} has a certificate"), "`khagen pki list` shows the owners");
        }
    }
    for profile in &args.profile {
        if entries().any(|e| is_root(e) && kind(&e.id) == profile) && !args.undo {
            return usage(format!("{profile} is a trust root"), "trust roots are given by their full names");
        }
        if !entries().any(|e| e.not_after.is_some() && kind(&e.id) == profile) {
            let kinds: BTreeSet<&str> =
                entries().filter(|e| e.not_after.is_some()).map(|e| kind(&e.id)).collect();
            let kinds: Vec<&str> = kinds.into_iter().collect();
            return usage(format!("there is no kind {profile}"), &format!("kinds are {}", kinds.join(", ")));
        }
    }
    Ok(())
}

/// A CA that somebody else made is renewed by them: a new one of ours would be another.
fn refuse_imported(args: &Renew, store: &Store, entries: &[&Entry]) -> Result<(), Failure> {
    let imported = |e: &&&Entry| {
        let record = store.record(&ObjectId::new(&e.id));
        is_root(e) && args.names.contains(&e.id) && record.is_some_and(|r| r.imported)
    };
    match entries.iter().find(imported) {
        None => Ok(()),
        Some(ca) => Err(Failure::because(Exit::Precondition, format!("{} was imported", ca.id)).help(
            "have it renewed by whoever made it, with the same key and name, and import that: khagen pki import --ca",
        )),
    }
}

/// A trust root that a running cluster's hosts know cannot be exchanged by one build: whoever has the new one would be a
/// stranger to all that have the former.
fn refuse_roots(args: &Renew, cluster: &Cluster, store: &Store, entries: &[&Entry]) -> Result<(), Failure> {
    let root = entries.iter().find(|e| is_root(e) && args.names.contains(&e.id));
    let rotates = |id: &str| {
        let status = rotation::status(store, &ObjectId::new(id)).map_err(|e| of_store(&e))?;
        Ok::<bool, Failure>(status.is_some_and(|s| s.built.is_some() || s.pending.is_some()))
    };
    match root {
        Some(root) if rotates(&root.id)? => {
            Err(Failure::because(Exit::Precondition, format!("{} is being rotated", root.id))
                .help("`khagen pki rotate --status` tells how far it is"))
        }
        Some(root) if cluster.state == ClusterState::Running => Err(Failure::because(
            Exit::Precondition,
            format!("{} is a trust root of cluster {}, which runs", root.id, cluster.name),
        )
        .help(format!(
            "hosts with the new one and hosts with the former would not trust each other; `khagen pki rotate {}` does it in stages",
            root.id
        ))),
        _ => Ok(()),
    }
}

/// What is marked, and what comes of it once the next build is installed.
fn text(args: &Renew, cluster: &Cluster, entries: &[&Entry]) -> String {
    let verb = match (args.dry_run, args.undo) {
        (false, false) => "marked",
        (false, true) => "no longer marked",
        (true, false) => "would mark",
        (true, true) => "would take the mark off",
    };
    let mut out = format!("cluster {}\n", cluster.name);
    let width = entries.iter().map(|e| e.id.len()).max().unwrap_or(0);
    for entry in entries {
        let until = entry.not_after.map(date).map(|d| format!("  valid until {d}")).unwrap_or_default();
        out.push_str(&format!("  {verb}  {:<width$}{until}\n", entry.id));
    }
    if args.undo {
        return out;
    }
    let mut effects: BTreeMap<String, usize> = BTreeMap::new();
    for entry in entries {
        *effects.entry(meaning(entry)).or_default() += 1;
    }
    out.push_str("what the next build brings:\n");
    for (effect, n) in effects {
        out.push_str(&format!("  {n:>4}  {effect}\n"));
    }
    out
}

/// What comes of a new certificate, by the same table as `khagen diff`.
fn meaning(entry: &Entry) -> String {
    let head = Head::default();
    let change =
        Change::Field { field: "not after".to_owned(), old: Some(String::new()), new: Some(String::new()) };
    let rule = entry.places.iter().find_map(|place| {
        let policy = if place.on == OPERATOR { "" } else { "managed" };
        effect::rule_for(&Place { file: &place.path, policy, head: &head }, &change)
    });
    match (rule, entry.what) {
        (_, What::Authority) => "a new CA: everything that it signed is issued again".to_owned(),
        (Some(rule), _) => match rule.procedure {
            Some(procedure) => {
                format!("{} (reconfigure.sh {procedure}): {}", rule.class.as_str(), rule.reason)
            }
            None => format!("{}: {}", rule.class.as_str(), rule.reason),
        },
        (None, _) => "a new value in every file that holds it".to_owned(),
    }
}
