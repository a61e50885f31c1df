//! Writes a bundle as a tarball: sorted entries, owner 0/0, one fixed time, nothing of this machine in it.
//!
//! The digest that names a tarball is that of the uncompressed tar, since compressors may change their bytes. Secrets
//! become bytes only here.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use base64::Engine;
use sha2::{Digest, Sha256};
use zeroize::Zeroize;

use super::bundle::{Bundle, BundleFile, Fingerprints, hex};
use super::gzip::{Part, Segment, gzip};
use crate::content::{Content, Encoding, ObjectId, Piece};
use crate::secret::Secret;

/// 1980-01-01, the oldest time that every medium (FAT too) can hold.
const MTIME: u64 = 315_532_800;

/// A packed bundle.
pub struct Tarball {
    /// gzip'ed tar. Holds keys.
    pub bytes: Vec<u8>,
    /// SHA-256 of the uncompressed tar.
    pub tar_digest: String,
    /// SHA-256 of `bytes`.
    pub gz_digest: String,
    /// Size of the uncompressed tar.
    pub tar_len: usize,
}

/// Packing failed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The store did not give a secret.
    #[error("{bundle}: {path}")]
    Secret {
        /// The bundle.
        bundle: String,
        /// The file in it.
        path: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A path that tar's header cannot hold.
    #[error("{bundle}: {path} cannot be an entry of a tarball")]
    Entry {
        /// The bundle.
        bundle: String,
        /// The file in it.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The compressor failed; it is given all the room it needs, so this is a bug.
    #[error("{bundle}: compression failed")]
    Compress {
        /// The bundle.
        bundle: String,
    },
}

/// Gives secrets' bytes.
pub trait Secrets: Sync {
    /// A secret's bytes.
    ///
    /// # Errors
    /// When it is not there or not what its fingerprint says.
    fn secret(&self, id: &ObjectId) -> Result<Secret, Box<dyn std::error::Error + Send + Sync>>;
}

/// Public texts that many bundles carry, hashed and compressed once.
#[derive(Default)]
pub struct Ready {
    texts: HashMap<usize, (String, Option<Segment>)>,
}

/// Texts shorter than this compress better together with what stands around them.
const WORTH_A_SEGMENT: usize = 2048;

impl Ready {
    /// Prepares texts. The caller keeps them alive while this is used: they are known by their address.
    pub fn new<'a>(contents: impl IntoIterator<Item = &'a Arc<Content>>) -> Ready {
        let mut texts = HashMap::new();
        for content in contents {
            if let [Piece::Text(text)] = content.pieces() {
                let digest = hex(&Sha256::digest(text.as_bytes()));
                let segment =
                    (text.len() >= WORTH_A_SEGMENT).then(|| Segment::new(text.as_bytes())).flatten();
                texts.insert(Arc::as_ptr(content) as usize, (digest, segment));
            }
        }
        Ready { texts }
    }

    fn get(&self, content: &Arc<Content>) -> Option<&(String, Option<Segment>)> {
        self.texts.get(&(Arc::as_ptr(content) as usize))
    }
}

/// Packs a bundle as its `generation`th.
///
/// # Errors
/// When a secret cannot be had or a path is impossible.
pub fn pack(
    bundle: &Bundle,
    generation: u64,
    ready: &Ready,
    secrets: &(impl Secrets + Fingerprints),
) -> Result<Tarball, PackError> {
    let mut resolved: Vec<(&BundleFile, Bytes<'_>, String)> = Vec::with_capacity(bundle.files.len());
    for file in &bundle.files {
        let bytes = resolve(bundle, file, secrets)?;
        let known = ready.get(&file.content).map(|(digest, _)| digest.clone());
        let digest = known.unwrap_or_else(|| hex(&Sha256::digest(bytes.as_slice())));
        resolved.push((file, bytes, digest));
    }
    let manifest = manifest(bundle, generation, &resolved);
    let mut sums: Vec<(&str, String)> =
        resolved.iter().map(|(f, _, digest)| (&*f.path, digest.clone())).collect();
    sums.push(("MANIFEST.json", hex(&Sha256::digest(manifest.as_bytes()))));
    sums.sort();
    let mut sums_text = String::new();
    for (path, digest) in sums {
        sums_text.push_str(&format!("{digest}  {path}\n"));
    }

    let mut entries: Vec<Entry<'_>> = resolved
        .iter()
        .map(|(file, bytes, _)| Entry {
            path: &file.path,
            mode: file.mode,
            bytes: bytes.as_slice(),
            segment: ready.get(&file.content).and_then(|(_, segment)| segment.as_ref()),
        })
        .collect();
    entries.push(Entry { path: "MANIFEST.json", mode: 0o600, bytes: manifest.as_bytes(), segment: None });
    entries.push(Entry { path: "SHA256SUMS", mode: 0o600, bytes: sums_text.as_bytes(), segment: None });
    let (mut tar, placed) = write_tar(bundle, &entries)?;
    let tar_digest = hex(&Sha256::digest(&tar));
    let bytes =
        gzip(&parts(&tar, &placed)).ok_or_else(|| PackError::Compress { bundle: bundle.name.clone() })?;
    let tar_len = tar.len();
    tar.zeroize();
    let gz_digest = hex(&Sha256::digest(&bytes));
    Ok(Tarball { bytes, tar_digest, gz_digest, tar_len })
}

/// A file's bytes: borrowed where they are public text in one piece.
enum Bytes<'a> {
    Text(&'a str),
    /// With the manifest's list of the secrets in it.
    Mixed(zeroize::Zeroizing<Vec<u8>>, String),
}

impl Bytes<'_> {
    fn as_slice(&self) -> &[u8] {
        match self {
            Bytes::Text(text) => text.as_bytes(),
            Bytes::Mixed(bytes, _) => bytes,
        }
    }

    /// The end of the file's line in the manifest: where its secrets stand and by which fingerprint they are known.
    fn secrets(&self) -> String {
        match self {
            Bytes::Text(_) => String::new(),
            Bytes::Mixed(_, spans) => format!(", \"secrets\": [{spans}]"),
        }
    }
}

fn resolve<'a>(
    bundle: &Bundle,
    file: &'a BundleFile,
    secrets: &(impl Secrets + Fingerprints),
) -> Result<Bytes<'a>, PackError> {
    match file.content.pieces() {
        [] => Ok(Bytes::Text("")),
        [Piece::Text(text)] => Ok(Bytes::Text(text)),
        pieces => {
            let mut out = zeroize::Zeroizing::new(Vec::new());
            let mut spans: Vec<String> = Vec::new();
            for piece in pieces {
                match piece {
                    Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                    Piece::Secret(id, encoding) => {
                        let secret = secrets.secret(id).map_err(|source| PackError::Secret {
                            bundle: bundle.name.clone(),
                            path: file.path.to_string(),
                            source,
                        })?;
                        let at = out.len();
                        encode(secret.expose(), *encoding, &mut out);
                        spans.push(format!(
                            "{{\"id\": \"{id}\", \"fingerprint\": \"{}\", \"at\": {at}, \"length\": {}, \"encoding\": \"{}\"}}",
                            secrets.fingerprint(id).unwrap_or("unknown"),
                            out.len() - at,
                            encoding.as_str(),
                        ));
                    }
                }
            }
            Ok(Bytes::Mixed(out, spans.join(", ")))
        }
    }
}

fn encode(secret: &[u8], encoding: Encoding, out: &mut Vec<u8>) {
    match encoding {
        Encoding::Raw => out.extend_from_slice(secret),
        Encoding::Base64 => {
            let text = zeroize::Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(secret));
            out.extend_from_slice(text.as_bytes());
        }
    }
}

/// One entry per line, so that a host's awk can read it.
fn manifest(bundle: &Bundle, generation: u64, files: &[(&BundleFile, Bytes<'_>, String)]) -> String {
    let mut out = String::from("{\n\"schema\": \"khagen-manifest/v1\",\n");
    out.push_str(&format!("\"generation\": {generation},\n"));
    for (key, value) in &bundle.head {
        out.push_str(&format!("\"{key}\": {value},\n"));
    }
    out.push_str("\"files\": [\n");
    let lines: Vec<String> = files
        .iter()
        .filter_map(|(file, bytes, digest)| {
            let on_host = file.on_host.as_ref()?;
            let layer = match &file.layer {
                crate::plan::FileLayer::Shared(layer) => layer,
                crate::plan::FileLayer::Host => "host",
            };
            Some(format!(
                "{{\"path\": \"{}\", \"mode\": \"{:04o}\", \"owner\": \"{}\", \"group\": \"{}\", \"policy\": \"{}\", \
                 \"layer\": \"{layer}\", \"secret\": {}, \"sha256\": \"{digest}\"{}}}",
                file.host_path()?,
                file.mode,
                on_host.owner,
                on_host.group,
                on_host.policy.as_str(),
                file.content.is_secret(),
                bytes.secrets(),
            ))
        })
        .collect();
    // What stays in the bundle: for khagen verify, which finds here what SHA256SUMS does not say.
    let kept: Vec<String> = files
        .iter()
        .filter(|(file, ..)| file.on_host.is_none())
        .map(|(file, bytes, digest)| {
            format!(
                "{{\"file\": \"{}\", \"mode\": \"{:04o}\", \"sha256\": \"{digest}\"{}}}",
                file.path,
                file.mode,
                bytes.secrets()
            )
        })
        .collect();
    let list =
        |lines: &[String]| format!("{}{}", lines.join(",\n"), if lines.is_empty() { "" } else { "\n" });
    out.push_str(&list(&lines));
    out.push_str("],\n\"bundleFiles\": [\n");
    out.push_str(&list(&kept));
    out.push_str("]\n}\n");
    out
}

/// A file of a tarball.
struct Entry<'a> {
    path: &'a str,
    mode: u32,
    bytes: &'a [u8],
    segment: Option<&'a Segment>,
}

/// A text that stands at an offset of the tar and was compressed before.
struct Placed<'a> {
    at: usize,
    len: usize,
    segment: &'a Segment,
}

/// The tar cut at its ready segments.
fn parts<'a>(tar: &'a [u8], placed: &'a [Placed<'a>]) -> Vec<Part<'a>> {
    let mut parts = Vec::with_capacity(placed.len() * 2 + 1);
    let mut from = 0;
    for p in placed {
        parts.push(Part::Plain(tar.get(from..p.at).unwrap_or_default()));
        parts.push(Part::Ready(p.segment));
        from = p.at + p.len;
    }
    parts.push(Part::Plain(tar.get(from..).unwrap_or_default()));
    parts
}

fn write_tar<'a>(bundle: &Bundle, entries: &[Entry<'a>]) -> Result<(Vec<u8>, Vec<Placed<'a>>), PackError> {
    let mut all: Vec<(String, Option<&Entry<'a>>)> = Vec::with_capacity(entries.len() * 2);
    let mut folders = BTreeSet::new();
    folders.insert(format!("{}/", bundle.name));
    for entry in entries {
        let full = format!("{}/{}", bundle.name, entry.path);
        for (i, c) in full.char_indices() {
            if c == '/' && !folders.contains(&full[..=i]) {
                folders.insert(full[..=i].to_owned());
            }
        }
        all.push((full, Some(entry)));
    }
    all.extend(folders.into_iter().map(|folder| (folder, None)));
    all.sort_by(|a, b| a.0.cmp(&b.0));

    let size: usize =
        all.iter().map(|(_, e)| 512 + e.map_or(0, |e| e.bytes.len().next_multiple_of(512))).sum();
    let mut builder = tar::Builder::new(Vec::with_capacity(size + 1024));
    let mut placed = Vec::new();
    for (path, entry) in &all {
        let mut header = tar::Header::new_ustar();
        header.set_mode(entry.map_or(0o700, |e| e.mode));
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(MTIME);
        header.set_entry_type(match entry {
            Some(_) => tar::EntryType::Regular,
            None => tar::EntryType::Directory,
        });
        let bytes = entry.map_or(&[][..], |e| e.bytes);
        header.set_size(bytes.len() as u64);
        let fail = |source| PackError::Entry { bundle: bundle.name.clone(), path: path.clone(), source };
        header.set_username("root").map_err(fail)?;
        header.set_groupname("root").map_err(fail)?;
        builder.append_data(&mut header, path, bytes).map_err(fail)?;
        if let Some(segment) = entry.and_then(|e| e.segment) {
            let end = builder.get_ref().len();
            placed.push(Placed { at: end - bytes.len().next_multiple_of(512), len: bytes.len(), segment });
        }
    }
    let tar = builder.into_inner().map_err(|source| PackError::Entry {
        bundle: bundle.name.clone(),
        path: String::new(),
        source,
    })?;
    Ok((tar, placed))
}
