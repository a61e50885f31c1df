//! Writes a bundle as a tarball: sorted entries, owner 0/0, one fixed time, nothing of this machine in it.
//!
//! The digest that names a tarball is that of the uncompressed tar, since compressors may change their bytes. Secrets
//! become bytes only here.

use std::cell::RefCell;
use std::collections::BTreeSet;

use base64::Engine;
use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use sha2::{Digest, Sha256};
use zeroize::Zeroize;

use super::bundle::{Bundle, BundleFile, hex};
use crate::content::{Encoding, ObjectId, Piece};
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

/// Packs a bundle as its `generation`th.
///
/// # Errors
/// When a secret cannot be had or a path is impossible.
pub fn pack(bundle: &Bundle, generation: u64, secrets: &impl Secrets) -> Result<Tarball, PackError> {
    let mut resolved: Vec<(&BundleFile, Bytes<'_>, String)> = Vec::with_capacity(bundle.files.len());
    for file in &bundle.files {
        let bytes = resolve(bundle, file, secrets)?;
        let digest = hex(&Sha256::digest(bytes.as_slice()));
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

    let mut entries: Vec<(&str, u32, &[u8])> =
        resolved.iter().map(|(f, b, _)| (&*f.path, f.mode, b.as_slice())).collect();
    entries.push(("MANIFEST.json", 0o600, manifest.as_bytes()));
    entries.push(("SHA256SUMS", 0o600, sums_text.as_bytes()));
    let mut tar = write_tar(bundle, &entries)?;
    let tar_digest = hex(&Sha256::digest(&tar));
    let bytes = gzip(&tar).ok_or_else(|| PackError::Compress { bundle: bundle.name.clone() })?;
    let tar_len = tar.len();
    tar.zeroize();
    let gz_digest = hex(&Sha256::digest(&bytes));
    Ok(Tarball { bytes, tar_digest, gz_digest, tar_len })
}

/// A file's bytes: borrowed where they are public text in one piece.
enum Bytes<'a> {
    Text(&'a str),
    Mixed(zeroize::Zeroizing<Vec<u8>>),
}

impl Bytes<'_> {
    fn as_slice(&self) -> &[u8] {
        match self {
            Bytes::Text(text) => text.as_bytes(),
            Bytes::Mixed(bytes) => bytes,
        }
    }
}

fn resolve<'a>(
    bundle: &Bundle,
    file: &'a BundleFile,
    secrets: &impl Secrets,
) -> Result<Bytes<'a>, PackError> {
    match file.content.pieces() {
        [] => Ok(Bytes::Text("")),
        [Piece::Text(text)] => Ok(Bytes::Text(text)),
        pieces => {
            let mut out = zeroize::Zeroizing::new(Vec::new());
            for piece in pieces {
                match piece {
                    Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                    Piece::Secret(id, encoding) => {
                        let secret = secrets.secret(id).map_err(|source| PackError::Secret {
                            bundle: bundle.name.clone(),
                            path: file.path.to_string(),
                            source,
                        })?;
                        encode(secret.expose(), *encoding, &mut out);
                    }
                }
            }
            Ok(Bytes::Mixed(out))
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
        .filter_map(|(file, _, digest)| {
            let on_host = file.on_host.as_ref()?;
            let layer = match &file.layer {
                crate::plan::FileLayer::Shared(layer) => layer,
                crate::plan::FileLayer::Host => "host",
            };
            Some(format!(
                "{{\"path\": \"{}\", \"mode\": \"{:04o}\", \"owner\": \"{}\", \"group\": \"{}\", \"policy\": \"{}\", \
                 \"layer\": \"{layer}\", \"secret\": {}, \"sha256\": \"{digest}\"}}",
                file.host_path()?,
                file.mode,
                on_host.owner,
                on_host.group,
                on_host.policy.as_str(),
                file.content.is_secret(),
            ))
        })
        .collect();
    out.push_str(&lines.join(",\n"));
    if !lines.is_empty() {
        out.push('\n');
    }
    out.push_str("]\n}\n");
    out
}

fn write_tar(bundle: &Bundle, entries: &[(&str, u32, &[u8])]) -> Result<Vec<u8>, PackError> {
    let mut all: Vec<(String, u32, Option<&[u8]>)> = Vec::with_capacity(entries.len() * 2);
    let mut folders = BTreeSet::new();
    folders.insert(format!("{}/", bundle.name));
    for (path, mode, bytes) in entries {
        let full = format!("{}/{path}", bundle.name);
        for (i, c) in full.char_indices() {
            if c == '/' {
                folders.insert(full[..=i].to_owned());
            }
        }
        all.push((full, *mode, Some(bytes)));
    }
    all.extend(folders.into_iter().map(|f| (f, 0o700, None)));
    all.sort_by(|a, b| a.0.cmp(&b.0));

    let size: usize = all.iter().map(|(_, _, b)| 512 + b.map_or(0, |b| b.len().next_multiple_of(512))).sum();
    let mut builder = tar::Builder::new(Vec::with_capacity(size + 1024));
    for (path, mode, bytes) in &all {
        let mut header = tar::Header::new_ustar();
        header.set_mode(*mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(MTIME);
        header.set_entry_type(if bytes.is_some() {
            tar::EntryType::Regular
        } else {
            tar::EntryType::Directory
        });
        header.set_size(bytes.map_or(0, |b| b.len() as u64));
        let fail = |source| PackError::Entry { bundle: bundle.name.clone(), path: path.clone(), source };
        header.set_username("root").map_err(fail)?;
        header.set_groupname("root").map_err(fail)?;
        builder.append_data(&mut header, path, bytes.unwrap_or_default()).map_err(fail)?;
    }
    builder.into_inner().map_err(|source| PackError::Entry {
        bundle: bundle.name.clone(),
        path: String::new(),
        source,
    })
}

thread_local! {
    /// Setting up the compressor costs as much as compressing a small bundle, so each thread keeps one.
    static DEFLATE: RefCell<Compress> = RefCell::new(Compress::new(Compression::new(6), false));
}

/// RFC 1952: no name, no time, unknown system. `None` if the compressor fails.
fn gzip(data: &[u8]) -> Option<Vec<u8>> {
    DEFLATE.with_borrow_mut(|deflate| {
        deflate.reset();
        let mut out = Vec::with_capacity(data.len() / 2 + 64);
        out.extend_from_slice(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
        loop {
            let done = usize::try_from(deflate.total_in()).ok()?;
            if out.capacity() - out.len() < 4096 {
                out.reserve(data.len() / 4 + 4096);
            }
            match deflate.compress_vec(data.get(done..)?, &mut out, FlushCompress::Finish).ok()? {
                Status::StreamEnd => break,
                Status::Ok | Status::BufError => {}
            }
        }
        let mut crc = Crc::new();
        crc.update(data);
        out.extend_from_slice(&crc.sum().to_le_bytes());
        out.extend_from_slice(&crc.amount().to_le_bytes());
        Some(out)
    })
}
