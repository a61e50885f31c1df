//! `khagen pki rotate`: asks for the next stage of a trust root's rotation. Makes nothing: the next build does.

use std::fmt::Write;
use std::path::Path;

use super::{chosen, inventory, of_store, public_store};
use crate::cli::pki::Rotate;
use crate::command::{Exit, Failure, Streams};
use crate::content::ObjectId;
use crate::env::Env;
use crate::model::Cluster;
use crate::pki::Store;
use crate::pki::rotation::{self, Stage, Status};
use crate::plan::certs;
use crate::render::overview::date;

pub(super) fn run(args: &Rotate, streams: &mut Streams) -> Result<Exit, Failure> {
    let env = Env::system().map_err(|e| Failure::new(Exit::Error, &e))?;
    // Roots have five names, so that one word after --status is either of them or a folder.
    let folder = args.name.as_deref().filter(|name| args.status && !certs::is_root(name));
    let name = if folder.is_some() { None } else { args.name.as_deref() };
    if let Some(name) = name.filter(|name| !certs::is_root(name)) {
        return Err(Failure::because(Exit::Usage, format!("{name} is no trust root")).help(format!(
            "trust roots are {}; anything else is for `khagen pki renew`",
            certs::ROOTS.join(", ")
        )));
    }
    let path = folder.map_or(args.inventory.as_path(), Path::new);
    let Some(inventory) = inventory(path, &env, streams) else { return Ok(Exit::Invalid) };
    let mut exit = Exit::Done;
    for cluster in chosen(&inventory, args.cluster.as_deref())? {
        let mut store = public_store(cluster)?;
        let mut roots: Vec<&str> = certs::authorities(cluster);
        roots.push(certs::SERVICE_ACCOUNT);
        if let Some(name) = name {
            if !roots.contains(&name) {
                return Err(Failure::because(Exit::Usage, format!("cluster {} has no {name}", cluster.name)));
            }
            roots.retain(|root| *root == name);
        }
        streams.out(&format!("cluster {}\n", cluster.name));
        for root in roots {
            let id = ObjectId::new(root);
            let Some(status) = rotation::status(&store, &id).map_err(|e| of_store(&e))? else {
                if args.status {
                    streams.out(&format!("  {root}: not issued yet\n"));
                    continue;
                }
                return Err(Failure::because(Exit::Precondition, format!("{root} is not issued yet"))
                    .help("`khagen build` issues it"));
            };
            if !args.status && !args.undo && cluster.is_kubeadm_pki() && !certs::is_etcds(root) {
                return Err(Failure::because(
                    Exit::Precondition,
                    format!(
                        "{root} of cluster {}: `kubernetes.pki: kubeadm` gives it to the first control plane alone; what the others fetched when they joined no bundle replaces",
                        cluster.name
                    ),
                )
                .help("set `kubernetes.pki: pregenerated`, build and install on every control plane, then rotate (docs/rotation.md)"));
            }
            if args.status {
                streams.out(&told(&store, &id, status));
            } else {
                exit = step(args, cluster, &mut store, &id, status, streams)?;
            }
        }
    }
    Ok(exit)
}

/// Asks for the next stage of one root, or takes it back.
fn step(
    args: &Rotate,
    cluster: &Cluster,
    store: &mut Store,
    id: &ObjectId,
    status: Status,
    streams: &mut Streams,
) -> Result<Exit, Failure> {
    if args.undo {
        let Some(pending) = status.pending else {
            streams.out(&format!("  {id}: nothing was asked for that is not built\n"));
            return Ok(Exit::Done);
        };
        streams.out(&format!("  {id}: {} is no longer asked for\n", stage(pending)));
        if args.dry_run {
            return Ok(dry(streams));
        }
        rotation::take_back(store, id).map_err(|e| of_store(&e))?;
        store.save().map_err(|e| of_store(&e))?;
        return Ok(Exit::Done);
    }
    if let Some(pending) = status.pending {
        return Err(Failure::because(
            Exit::Precondition,
            format!("{id}: {} was asked for and is not built yet", stage(pending)),
        )
        .help(
            "`khagen build` makes it; install that on every host before the next stage. --undo takes it back",
        ));
    }
    let next = status.next();
    streams.out(&format!("  {id}: {}\n{}", stage(next), meaning(id, next)));
    if next != Stage::TrustBoth {
        let built = status.built.map(stage).unwrap_or_default();
        streams.out(&format!(
            "  be sure that {built} is installed on every host of cluster {}: whoever lacks it is shut out by this one\n",
            cluster.name
        ));
    }
    if args.dry_run {
        return Ok(dry(streams));
    }
    rotation::ask(store, id).map_err(|e| of_store(&e))?;
    store.save().map_err(|e| of_store(&e))?;
    streams.out("next: khagen build --diff shows what comes of it, khagen build makes it\n");
    Ok(Exit::Done)
}

fn dry(streams: &mut Streams) -> Exit {
    streams.out("dry run: nothing was written\n");
    Exit::Changes
}

fn stage(stage: Stage) -> String {
    format!("stage {} of 3 ({})", stage.number(), stage.as_str())
}

/// Where a root is, and what comes next.
fn told(store: &Store, id: &ObjectId, status: Status) -> String {
    let mut out = String::new();
    let here = match status.built {
        None => "no rotation under way".to_owned(),
        Some(built) => format!("{} is built", stage(built)),
    };
    let _ = writeln!(out, "  {id}: {here}");
    for root in rotation::signer_first(store, id) {
        let signs = if root == *id { "signs" } else { "is trusted" };
        let until =
            store.validity(&root).map(|v| format!(" until {}", date(v.not_after))).unwrap_or_default();
        let fingerprint = store.fingerprint(&root).and_then(|f| f.get(..16)).unwrap_or_default();
        let _ = writeln!(out, "      {root} {fingerprint} {signs}{until}");
    }
    match status.pending {
        Some(pending) => {
            let _ = writeln!(
                out,
                "      the next build makes {}\n{}",
                stage(pending),
                meaning(id, pending).trim_end()
            );
        }
        None => {
            let _ = writeln!(out, "      next: {}", stage(status.next()));
        }
    }
    out
}

/// What a stage's build brings, in words.
fn meaning(id: &ObjectId, stage: Stage) -> String {
    let key = id.as_str() == certs::SERVICE_ACCOUNT;
    let lines: &[&str] = match (stage, key) {
        (Stage::TrustBoth, false) => &[
            "a new CA is made, and every file that says whom to trust holds both",
            "nothing is signed anew; what reads such a file only when it starts is restarted, one host at a time",
        ],
        (Stage::TrustBoth, true) => &[
            "a new pair is made, and API servers accept what either signs",
            "tokens are signed by the former still",
        ],
        (Stage::Reissue, false) => &[
            "the new CA signs: everything that the former signed is issued again, with new keys",
            "both are trusted still",
        ],
        (Stage::Reissue, true) => &["the new pair signs tokens", "what the former signed is accepted still"],
        (Stage::Drop, false) => {
            &["the former CA leaves every file, and its key the store", "what it signed is refused"]
        }
        (Stage::Drop, true) => &["tokens that the former signed are refused", "its key leaves the store"],
    };
    lines.iter().map(|line| format!("      {line}\n")).collect()
}
