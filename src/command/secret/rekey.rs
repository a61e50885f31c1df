//! `khagen secret rekey`: encrypts what the store holds to what the inventory says now.

use std::collections::BTreeSet;

use super::{inventory, open, store_failure};
use crate::cli::SecretRekey;
use crate::command::{Exit, Failure, Streams};
use crate::pki::object::{Kind, profile_name};
use crate::pki::{Store, StoreError};
use crate::plan::Profile;

/// Runs the command.
pub fn run(args: &SecretRekey, streams: &mut Streams) -> Result<Exit, Failure> {
    let (inventory, env) = inventory(&args.store, streams)?;
    for cluster in &inventory.clusters {
        if args.store.cluster.is_some() && args.store.cluster != cluster.folder {
            continue;
        }
        let mut store = open(cluster, &env)?;
        if args.plain && !store.recipients().is_empty() {
            return Err(Failure::because(Exit::Usage, "the inventory names recipients").help(
                "take `secrets.recipients` out of the inventory, then --plain writes the keys in the clear",
            ));
        }
        if !args.plain {
            store.guard_against_plain().map_err(|e| store_failure(&e))?;
        }
        let former = Former::of(&store);
        let dir = store.dir().display().to_string();
        let ids = store.encrypt_anew().map_err(|e| failure(&e))?;
        if ids.is_empty() {
            // An interrupted run's leftovers go even so.
            store.save().map_err(|e| store_failure(&e))?;
            streams.out(&format!("store {dir}: {}; nothing was written\n", former.as_it_is(&store)));
            continue;
        }
        let wanted: BTreeSet<String> = store.recipients().as_slice().iter().cloned().collect();
        let added: Vec<&String> = wanted.difference(&former.recipients).collect();
        let removed: Vec<&String> = former.recipients.difference(&wanted).collect();
        store.save().map_err(|e| store_failure(&e))?;
        let how = match wanted.len() {
            0 => "written in the clear (mode 0600, kept out of git by .gitignore)".to_owned(),
            1 => "encrypted to 1 recipient".to_owned(),
            n => format!("encrypted to {n} recipients"),
        };
        let mut said = format!("store {dir}: {} of {} secrets {how}\n", ids.len(), former.all);
        added.iter().for_each(|r| said.push_str(&format!("  added    {r}\n")));
        removed.iter().for_each(|r| said.push_str(&format!("  removed  {r}\n")));
        streams.out(&said);
        if wanted.is_empty() {
            streams.err(
                "note: git's history still holds the encrypted files, and whoever could decrypt them still can.\n",
            );
        } else if former.plain > 0 {
            streams.err(
                "note: the keys were files in the clear until now: backups and copies of the folder still hold them so.\n",
            );
        }
        if !removed.is_empty() && !wanted.is_empty() {
            streams.err(&rotation(&store));
        }
    }
    Ok(Exit::Done)
}

fn failure(error: &StoreError) -> Failure {
    let failure = store_failure(error);
    match error {
        StoreError::Closed { .. } => failure.help(
            "only one who can decrypt the store can change its recipients: --identity FILE, or KHAGEN_IDENTITY=FILE; \
             without them ~/.ssh/id_ed25519 is tried",
        ),
        _ => failure,
    }
}

/// How the store was encrypted.
struct Former {
    recipients: BTreeSet<String>,
    plain: usize,
    all: usize,
}

impl Former {
    fn of(store: &Store) -> Former {
        let mut former = Former { recipients: BTreeSet::new(), plain: 0, all: 0 };
        for (_, object) in store.objects() {
            let recipients = object.record().recipients();
            former.recipients.extend(recipients.iter().cloned());
            former.plain += usize::from(recipients.is_empty());
            former.all += 1;
        }
        former
    }

    fn as_it_is(&self, store: &Store) -> String {
        match (self.all, store.recipients().as_slice().len()) {
            (0, _) => "is empty".to_owned(),
            (_, 0) => "all secrets are in the clear already".to_owned(),
            (n, _) => format!("all {n} secrets are encrypted as the inventory says"),
        }
    }
}

/// What one who was removed may have read: taking away a recipient takes away nothing that he has.
fn rotation(store: &Store) -> String {
    let mut cas = Vec::new();
    let (mut leaves, mut users) = (0, Vec::new());
    let mut others = Vec::new();
    for (id, object) in store.objects() {
        let record = object.record();
        match record.kind {
            Kind::Certificate
                if record.made_from.as_ref().is_some_and(|m| m.profile == profile_name(Profile::Ca)) =>
            {
                cas.push(id.as_str());
            }
            Kind::Certificate => leaves += 1,
            Kind::UserSecret => users.push(id.as_str().trim_start_matches("user/")),
            Kind::KeyPair
            | Kind::BootstrapToken
            | Kind::CertificateKey
            | Kind::HmacKey
            | Kind::VrrpPassword => others.push(id.as_str()),
        }
    }
    let mut out = String::from(
        "warning: who was removed could read all of this until now, and may have kept it; git's history still holds it for\n\
         \x20        that key. As far as you do not trust that person any more, rotate, in this order:\n",
    );
    for (what, ids) in [("authorities", &cas), ("keys and tokens", &others), ("your own secrets", &users)] {
        if !ids.is_empty() {
            out.push_str(&format!("  {what}: {}\n", ids.join(", ")));
        }
    }
    if leaves > 0 {
        out.push_str(&format!(
            "  {leaves} certificates and their keys; new authorities bring new ones with them\n"
        ));
    }
    out.push_str("  docs/store.md tells what a thief of each can do.\n");
    out
}
