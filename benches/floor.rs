//! The bare loop: what a build costs at the least. Generates keys, signs, formats, hashes, packs, compresses and writes the
//! same files as a given output of khagen, on one core, and prints the CPU seconds of that loop alone.
//!
//! Usage: floor OUTPUT TARGET CERTIFICATES. OUTPUT is read before the clock starts.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256};
use sha2::{Digest, Sha256};

struct Entry {
    path: String,
    mode: u32,
    folder: bool,
    bytes: Vec<u8>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [output, target, certificates] = args.as_slice() else {
        return Err("usage: floor OUTPUT TARGET CERTIFICATES".into());
    };
    let (output, target, certificates) =
        (Path::new(output), Path::new(target), certificates.parse::<usize>()?);
    let tarballs = read_tarballs(&output.join("bundles"))?;
    let mut texts = Vec::new();
    read_texts(output, output, &mut texts)?;
    fs::create_dir(target)?;

    let began = cpu()?;
    issue(certificates)?;
    let mut deflate = Compress::new(Compression::new(6), false);
    fs::create_dir(target.join("bundles"))?;
    let mut sums = String::new();
    for (name, entries) in &tarballs {
        let packed = pack(entries, &mut deflate)?;
        sums.push_str(&format!("{}  bundles/{name}\n", hex(&Sha256::digest(&packed))));
        write(&target.join("bundles").join(name), &packed, 0o600)?;
    }
    let mut made = std::collections::BTreeSet::new();
    for (path, bytes) in &texts {
        let path = target.join(path);
        if let Some(parent) = path.parent()
            && made.insert(parent.to_owned())
        {
            fs::create_dir_all(parent)?;
        }
        write(&path, &bytes.clone(), 0o644)?;
    }
    write(&target.join("sums"), sums.as_bytes(), 0o644)?;
    let spent = cpu()? - began;
    let mut out = std::io::stdout();
    writeln!(out, "{spent:.6}")?;
    Ok(())
}

/// CPU seconds of this thread, the only one (proc(5), schedstat: nanoseconds on the processor).
fn cpu() -> Result<f64, Box<dyn std::error::Error>> {
    let text = fs::read_to_string("/proc/self/schedstat")?;
    let nanos = text.split(' ').next().unwrap_or_default().parse::<f64>()?;
    Ok(nanos / 1e9)
}

fn issue(certificates: usize) -> Result<(), rcgen::Error> {
    let ca_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::new(vec!["ca".to_owned()])?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.self_signed(&ca_key)?;
    let issuer = Issuer::new(params, ca_key);
    for i in 1..certificates {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::new(vec![format!("host{i}.example.com")])?;
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &issuer)?;
        std::hint::black_box((certificate.pem(), key.serialize_pem()));
    }
    Ok(())
}

fn pack(entries: &[Entry], deflate: &mut Compress) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let mut builder = tar::Builder::new(Vec::new());
    for entry in entries {
        // A copy stands for formatting the text.
        let bytes = entry.bytes.clone();
        std::hint::black_box(Sha256::digest(&bytes));
        let mut header = tar::Header::new_ustar();
        header.set_mode(entry.mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(315_532_800);
        header.set_entry_type(if entry.folder { tar::EntryType::Directory } else { tar::EntryType::Regular });
        header.set_size(bytes.len() as u64);
        header.set_username("root")?;
        header.set_groupname("root")?;
        builder.append_data(&mut header, &entry.path, bytes.as_slice())?;
    }
    let tar = builder.into_inner()?;
    std::hint::black_box(Sha256::digest(&tar));
    deflate.reset();
    let mut out = Vec::with_capacity(tar.len() / 2 + 64);
    out.extend_from_slice(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
    loop {
        let done = usize::try_from(deflate.total_in())?;
        if out.capacity() - out.len() < 4096 {
            out.reserve(tar.len() / 4 + 4096);
        }
        if deflate.compress_vec(&tar[done..], &mut out, FlushCompress::Finish)? == Status::StreamEnd {
            break;
        }
    }
    let mut crc = Crc::new();
    crc.update(&tar);
    out.extend_from_slice(&crc.sum().to_le_bytes());
    out.extend_from_slice(&crc.amount().to_le_bytes());
    Ok(out)
}

/// A tarball's file name and its entries.
type Tarball = (String, Vec<Entry>);

fn read_tarballs(folder: &Path) -> Result<Vec<Tarball>, Box<dyn std::error::Error>> {
    let mut tarballs = Vec::new();
    for found in fs::read_dir(folder)? {
        let path = found?.path();
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(fs::File::open(&path)?));
        let mut entries = Vec::new();
        for entry in archive.entries()? {
            let mut entry = entry?;
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            entries.push(Entry {
                path: entry.path()?.to_string_lossy().into_owned(),
                mode: entry.header().mode()?,
                folder: entry.header().entry_type().is_dir(),
                bytes,
            });
        }
        tarballs.push((path.file_name().unwrap_or_default().to_string_lossy().into_owned(), entries));
    }
    tarballs.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(tarballs)
}

fn read_texts(
    root: &Path,
    folder: &Path,
    texts: &mut Vec<(PathBuf, Vec<u8>)>,
) -> Result<(), Box<dyn std::error::Error>> {
    for found in fs::read_dir(folder)? {
        let path = found?.path();
        if path.ends_with("bundles") || path.ends_with(".previous") {
            continue;
        }
        if path.is_dir() {
            read_texts(root, &path, texts)?;
        } else {
            texts.push((path.strip_prefix(root)?.to_owned(), fs::read(&path)?));
        }
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> std::io::Result<()> {
    fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?.write_all(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
