//! `khagen pki import`: a CA that somebody else made goes into the store, or certificates that they signed.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{full_store, inventory, requests, show, single};
use crate::cli::pki::{Import, ImportedCa};
use crate::command::identity::{self, identities};
use crate::command::secret::store_failure;
use crate::command::{Exit, Failure, Streams};
use crate::content::ObjectId;
use crate::diag::{Code, Diagnostic, Report};
use crate::env::Env;
use crate::model::{Cluster, PeerCa};
use crate::pki::import::authority::{self, Authority, Given, Needs};
use crate::pki::import::place::{self, Placing};
use crate::pki::request::PENDING;
use crate::pki::request::signed::{self, File};
use crate::plan::certs;

/// No certificate or key is larger; a device or a mistaken file would be.
const MAX_BYTES: u64 = 1 << 20;

pub(super) fn run(args: &Import, streams: &mut Streams) -> Result<Exit, Failure> {
    let env = Env::system().map_err(|e| Failure::new(Exit::Error, &e))?;
    let env = env.with_identities(identities(&args.identity));
    let (Some(ca), Some(cert)) = (args.ca, args.cert.as_deref()) else {
        return signed(args, &env, streams);
    };
    let path = match &args.paths[..] {
        [] => &args.inventory,
        [inventory] => inventory,
        [_, other, ..] => {
            let message = format!("{}: with --ca there is one inventory and nothing else", other.display());
            return Err(Failure::because(Exit::Usage, message));
        }
    };
    let Some(inventory) = inventory(path, &env, streams) else { return Ok(Exit::Invalid) };
    let cluster = single(&inventory, args.cluster.as_deref())?;
    let id = ObjectId::new(name(ca));
    if ca == ImportedCa::EtcdPeer && cluster.etcd.peer_ca == PeerCa::Same {
        return Err(Failure::because(Exit::Usage, "the cluster has no ca/etcd-peer (etcd.peerCA: same)")
            .help("ca/etcd signs for peers, too"));
    }
    let mut store = full_store(cluster, &env)?;
    let requests = requests(cluster, &store);
    let Some(request) = requests.iter().find(|r| r.id == id) else {
        return Err(Failure::because(Exit::Usage, format!("the cluster has no {id}")));
    };
    let mut report = Report::new();
    let given = read(cert, args.key.as_deref())?;
    let mut ask = || passphrase(args);
    let key = args.key.as_deref().map(|path| path.display().to_string());
    let cert = cert.display().to_string();
    let given = Given {
        cert_name: &cert,
        certs: &given.0,
        key: key.as_deref().zip(given.1.as_ref().map(|bytes| bytes.as_slice())),
    };
    let authority = authority::read(&given, &mut ask, &mut report);
    let Some(authority) = authority else {
        show(&report, streams);
        return Ok(refused(&report, streams));
    };
    let needs = Needs {
        requests: &requests,
        id: &id,
        validity_days: cluster.pki.validity_days,
        renew_before_days: cluster.pki.renew_before_days,
        now: env.now(),
    };
    authority::judge(&authority, &needs, &mut report);
    let placing = place::placing(&store, cluster, &id, &authority, args.replace, &mut report);
    if !report.is_empty() {
        show(&report, streams);
    }
    if report.has_errors() {
        return Ok(refused(&report, streams));
    }
    let text = said(&id, &authority, placing, cluster);
    if placing == Placing::Same {
        streams.out(&format!("{id}: is there already; nothing was written\n"));
        return Ok(Exit::Done);
    }
    if args.dry_run {
        streams.out(&format!("{text}dry run: nothing was written\n"));
        return Ok(Exit::Changes);
    }
    place::put(&mut store, request, authority, &env).map_err(|e| store_failure(&e))?;
    store.save().map_err(|e| store_failure(&e))?;
    streams.out(&text);
    Ok(Exit::Done)
}

/// The exit code of findings: another CA in the store is a state of affairs, everything else is wrong with the files.
pub(super) fn refused(report: &Report, streams: &mut Streams) -> Exit {
    streams.err("nothing was imported\n");
    let of_store = |d: &Diagnostic| matches!(d.code, Code::ImportOtherCa | Code::ImportKeyMissing);
    if report.iter().all(of_store) { Exit::Precondition } else { Exit::Error }
}

fn name(ca: ImportedCa) -> &'static str {
    match ca {
        ImportedCa::Kubernetes => certs::KUBERNETES_CA,
        ImportedCa::FrontProxy => certs::FRONT_PROXY_CA,
        ImportedCa::Etcd => certs::ETCD_CA,
        ImportedCa::EtcdPeer => certs::ETCD_PEER_CA,
    }
}

type Files = (Vec<u8>, Option<Zeroizing<Vec<u8>>>);

fn read(cert: &Path, key: Option<&Path>) -> Result<Files, Failure> {
    let certs = file(cert)?;
    let key = key.map(file).transpose()?;
    Ok((certs.to_vec(), key))
}

/// A small file, in a buffer that is wiped.
pub(super) fn file(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    use std::io::Read as _;
    let failed =
        |e: std::io::Error| Failure::because(Exit::Error, format!("cannot read {}: {e}", path.display()));
    let file = std::fs::File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(size.min(MAX_BYTES)).unwrap_or(0) + 1));
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Failure::because(Exit::Error, format!("{} is larger than 1 MiB", path.display())));
    }
    Ok(bytes)
}

/// From its file, or asked for on the terminal. The end of the line is no part of it.
fn passphrase(args: &Import) -> Result<Zeroizing<Vec<u8>>, String> {
    use age::secrecy::ExposeSecret as _;
    if let Some(path) = &args.passphrase_file {
        let mut bytes = file(path).map_err(|e| e.message)?;
        let end = bytes.iter().rposition(|b| !matches!(b, b'\n' | b'\r')).map_or(0, |at| at + 1);
        bytes.truncate(end);
        return Ok(bytes);
    }
    let key = args.key.as_deref().unwrap_or(Path::new(""));
    let asked = identity::ask(&format!("passphrase of {}: ", key.display()))?;
    Ok(Zeroizing::new(asked.expose_secret().as_bytes().to_vec()))
}

fn said(id: &ObjectId, authority: &Authority, placing: Placing, cluster: &Cluster) -> String {
    let s = &authority.summary;
    let mut out = format!("{id}: {}\n", s.subject_text);
    let date = crate::render::overview::date;
    out.push_str(&format!("  valid until {}\n", date(s.not_after)));
    match (authority.is_root(), authority.above.last()) {
        (true, _) => {}
        (false, None) => out.push_str(&format!("  signed by {}, which was not given\n", s.issuer_text)),
        (false, Some((_, last))) => {
            out.push_str(&format!(
                "  signed by {}; the chain was checked up to {}\n",
                s.issuer_text, last.subject_text
            ));
        }
    }
    if !authority.is_root() {
        out.push_str("  hosts trust this CA and not what is above it\n");
    }
    let key = match (&authority.key, cluster.recipients.as_slice().len()) {
        (None, _) => "no key: requests are written by `khagen pki csr`".to_owned(),
        (Some(_), 0) => "key in the store, in the clear, mode 0600".to_owned(),
        (Some(_), n) => {
            format!("key in the store, encrypted to {n} recipient{}", if n == 1 { "" } else { "s" })
        }
    };
    out.push_str(&format!("  {key}\n"));
    let change = match placing {
        Placing::New | Placing::Same => return out,
        Placing::KeyAdded => "the key is new".to_owned(),
        Placing::Renewed => "the same key with another certificate: what it signed stays".to_owned(),
        Placing::Replaced { signed: 0 } => "replaces a CA that has signed nothing".to_owned(),
        Placing::Replaced { signed } => {
            format!(
                "replaces another CA: the {signed} certificates that it signed are issued anew by the next build"
            )
        }
    };
    out.push_str(&format!("  {change}\n"));
    out
}

/// Takes signed certificates back.
fn signed(args: &Import, env: &Env, streams: &mut Streams) -> Result<Exit, Failure> {
    let Some(inventory) = inventory(&args.inventory, env, streams) else { return Ok(Exit::Invalid) };
    let cluster = single(&inventory, args.cluster.as_deref())?;
    let mut store = full_store(cluster, env)?;
    let requests = requests(cluster, &store);
    let mut files = Vec::new();
    for path in &args.paths {
        files.extend(signed_files(path)?);
    }
    let mut report = Report::new();
    let renew = cluster.pki.renew_before_days;
    let sorted = signed::sort(&files, &requests, &store, renew, env, &mut report);
    if !report.is_empty() {
        show(&report, streams);
    }
    if report.has_errors() {
        return Ok(refused(&report, streams));
    }
    for fitting in &sorted.fitting {
        streams.out(&format!("{}: as asked for\n", fitting.id));
    }
    if sorted.known > 0 {
        streams.out(&format!("{} are in the store already\n", sorted.known));
    }
    if sorted.fitting.is_empty() {
        streams.out("nothing was written\n");
        return Ok(Exit::Done);
    }
    if args.dry_run {
        streams.out("dry run: nothing was written\n");
        return Ok(Exit::Changes);
    }
    for fitting in &sorted.fitting {
        if let Some(request) = requests.iter().find(|r| r.id == fitting.id) {
            signed::put(&mut store, request, &fitting.der, env).map_err(|e| store_failure(&e))?;
        }
    }
    store.save().map_err(|e| store_failure(&e))?;
    let waiting = store.objects().filter(|(id, _)| id.as_str().starts_with(PENDING)).count();
    streams.out(&match waiting {
        0 => "next: khagen build\n".to_owned(),
        n => format!("{n} requests still wait for their certificates\n"),
    });
    Ok(Exit::Done)
}

/// A file, or those of a folder that are no requests. Folders in it are not looked into.
fn signed_files(path: &Path) -> Result<Vec<File>, Failure> {
    let failed =
        |e: std::io::Error| Failure::because(Exit::Error, format!("cannot read {}: {e}", path.display()));
    let of = |path: &Path| Ok(File { name: path.display().to_string(), bytes: file(path)?.to_vec() });
    if !path.is_dir() {
        return Ok(vec![of(path)?]);
    }
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        if path.is_file() && ["crt", "pem", "cer"].contains(&ending) {
            paths.push(path);
        }
    }
    paths.sort_unstable();
    if paths.is_empty() {
        let message = format!("{} holds no *.crt, *.pem or *.cer", path.display());
        return Err(Failure::because(Exit::Error, message));
    }
    paths.iter().map(|path| of(path)).collect()
}
