//! `khagen pki csr`: requests for what a CA must sign whose key is kept elsewhere.

use std::path::Path;

use super::{full_store, inventory, requests, single};
use crate::cli::pki::Csr;
use crate::command::identity::identities;
use crate::command::secret::{issue_failure, store_failure};
use crate::command::{Exit, Failure, Streams};
use crate::env::Env;
use crate::fs::{self, PUBLIC, PUBLIC_DIR, Sync};
use crate::pki::request::{self, manifest};
use crate::plan::certs;

pub(super) fn run(args: &Csr, streams: &mut Streams) -> Result<Exit, Failure> {
    let env = Env::system().map_err(|e| Failure::new(Exit::Error, &e))?;
    let env = env.with_identities(identities(&args.identity));
    let Some(inventory) = inventory(&args.inventory, &env, streams) else { return Ok(Exit::Invalid) };
    let cluster = single(&inventory, args.cluster.as_deref())?;
    let mut store = full_store(cluster, &env)?;
    let (requests, secrets) = (requests(cluster, &store), certs::secrets(cluster));
    let renew = cluster.pki.renew_before_days;
    let wanted =
        request::wanted(&requests, &secrets, &store, renew, env.now()).map_err(|e| issue_failure(&e))?;
    for id in request::stale(&store, &wanted) {
        store.take_out(&id);
    }
    if wanted.is_empty() {
        store.save().map_err(|e| store_failure(&e))?;
        let none = !store.objects().any(|(_, o)| o.record().keyless);
        streams.out(if none {
            "no CA's key is kept elsewhere: `khagen build` issues\n"
        } else {
            "nothing is to be signed\n"
        });
        return Ok(Exit::Done);
    }
    let old = former(&args.output)?;
    let mut written = Vec::new();
    for (request, reason) in wanted {
        written.push(request::write(request, reason, &mut store, &env).map_err(|e| issue_failure(&e))?);
    }
    // A request whose key was not kept would be signed in vain.
    store.save().map_err(|e| store_failure(&e))?;
    let failed = |e: fs::FsError| Failure::new(Exit::Error, &e);
    fs::create_dirs(&args.output, PUBLIC_DIR).map_err(failed)?;
    for csr in &written {
        let path = args.output.join(format!("{}.csr", manifest::stem(csr.request)));
        fs::replace(&path, csr.pem.as_bytes(), PUBLIC, Sync::Later).map_err(failed)?;
    }
    let text = manifest::text(cluster, &store, &written, env.now());
    fs::replace(&args.output.join(manifest::FILE), text.as_bytes(), PUBLIC, Sync::Later).map_err(failed)?;
    for path in old {
        let is_new = |stem: &str| written.iter().any(|w| manifest::stem(w.request) == stem);
        if !path.file_stem().and_then(|s| s.to_str()).is_some_and(is_new) {
            fs::remove_file(&path).map_err(failed)?;
        }
    }
    for csr in &written {
        streams.out(&format!("{}: {}\n", csr.request.id, csr.reason));
    }
    streams.out(&format!(
        "{0} requests in {1}; MANIFEST.txt tells what each is for\nnext: have them signed, then khagen pki import {1}\n",
        written.len(),
        args.output.display(),
    ));
    Ok(Exit::Done)
}

/// Requests that an earlier run wrote; a folder with other things in it is refused.
fn former(dir: &Path) -> Result<Vec<std::path::PathBuf>, Failure> {
    let failed =
        |e: std::io::Error| Failure::because(Exit::Error, format!("cannot read {}: {e}", dir.display()));
    let mut paths = Vec::new();
    if !dir.exists() {
        return Ok(paths);
    }
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    if !paths.is_empty() && !dir.join(manifest::FILE).is_file() {
        let message = format!("{} holds other things: no {} is there", dir.display(), manifest::FILE);
        return Err(Failure::because(Exit::Error, message).help("give a folder that is new or empty"));
    }
    paths.retain(|p| p.extension().is_some_and(|e| e == "csr"));
    paths.sort_unstable();
    Ok(paths)
}
