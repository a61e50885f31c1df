//! Reads packages and tarballs of the user's, streamed: digests, members, the control file of a Debian package.
//!
//! What is read here was made by others: every length is bounded and nothing is kept in memory but a control file. Nothing
//! here writes, and nothing knows what the files are for.

pub mod deb;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::pack::bundle::hex;

/// More than any program or image that is carried, unpacked.
const MAX_UNPACKED: u64 = 16 << 30;
/// More than xz or zstd ask for at their highest usual levels.
const MAX_WINDOW: u32 = 128 << 20;
const BUFFER: usize = 128 << 10;

/// A file or a member of a tarball, read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digested {
    /// Bytes.
    pub size: u64,
    /// SHA-256, hexadecimal.
    pub sha256: String,
    /// For what machine it is, if it is an ELF program: Debian's name of the architecture.
    pub machine: Option<&'static str>,
}

/// Reads to the end, handing what is read on to `to`.
///
/// # Errors
/// When reading or writing fails.
pub fn digest(from: &mut dyn Read, to: &mut dyn Write) -> io::Result<Digested> {
    let mut hash = Sha256::new();
    let mut size = 0;
    let mut head = Vec::with_capacity(20);
    let mut buffer = vec![0; BUFFER];
    loop {
        let got = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(got) => &buffer[..got],
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        let missing = 20_usize.saturating_sub(head.len()).min(got.len());
        head.extend_from_slice(&got[..missing]);
        hash.update(got);
        to.write_all(got)?;
        size += got.len() as u64;
    }
    Ok(Digested { size, sha256: hex(&hash.finalize()), machine: machine(&head) })
}

/// `e_machine` of an ELF header (System V ABI, figure 4-3; EM_X86_64 62, EM_AARCH64 183), little endian.
fn machine(head: &[u8]) -> Option<&'static str> {
    if !head.starts_with(b"\x7fELF") {
        return None;
    }
    match (head.get(5)?, head.get(18)?, head.get(19)?) {
        (1, 62, 0) => Some("amd64"),
        (1, 183, 0) => Some("arm64"),
        _ => Some("another machine"),
    }
}

/// Opens a file for reading, whatever it is called; a pipe or device is refused rather than waited for.
///
/// # Errors
/// When it cannot be opened or is no regular file.
pub fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let flags = rustix::fs::OFlags::NONBLOCK.bits();
    let file =
        File::options().read(true).custom_flags(i32::try_from(flags).unwrap_or_default()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("is not a regular file"));
    }
    Ok(file)
}

/// What a stream holds, unpacked if it begins as gzip, xz or zstd do.
///
/// # Errors
/// When it cannot be read.
pub fn unpacked<'a>(from: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut from = BufReader::with_capacity(BUFFER, from);
    let head = io::BufRead::fill_buf(&mut from)?;
    if head.starts_with(b"\x1f\x8b") {
        Ok(Box::new(flate2::bufread::MultiGzDecoder::new(from).take(MAX_UNPACKED)))
    } else if head.starts_with(b"\xfd7zXZ\0") {
        let reader = lzma_rust2::XzReader::new_mem_limit(from, true, MAX_WINDOW >> 10);
        Ok(Box::new(reader.take(MAX_UNPACKED)))
    } else if head.starts_with(b"\x28\xb5\x2f\xfd") {
        let reader =
            ruzstd::decoding::StreamingDecoder::new_with_max_window_size(from, u64::from(MAX_WINDOW));
        Ok(Box::new(reader.map_err(io::Error::other)?.take(MAX_UNPACKED)))
    } else {
        Ok(Box::new(from))
    }
}

/// Hands each regular file of a tarball that is named in `wanted` to `see`, until all were seen. Returns those that were not.
///
/// # Errors
/// When it cannot be read, or is no tarball.
pub fn members(
    from: impl Read,
    wanted: &BTreeSet<String>,
    see: &mut dyn FnMut(&str, &mut dyn Read) -> io::Result<()>,
) -> io::Result<BTreeSet<String>> {
    let mut left = wanted.clone();
    let mut archive = tar::Archive::new(unpacked(from)?);
    for entry in archive.entries()? {
        if left.is_empty() {
            break;
        }
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().into_owned();
        let path = path.strip_prefix("./").unwrap_or(&path).to_owned();
        if entry.header().entry_type().is_file() && left.remove(&path) {
            see(&path, &mut entry)?;
        }
    }
    Ok(left)
}

/// Digests of members of a tarball on disk; those that are not there are left out.
///
/// # Errors
/// When it cannot be read, or is no tarball.
pub fn digests(path: &Path, wanted: &BTreeSet<String>) -> io::Result<BTreeMap<String, Digested>> {
    let mut found = BTreeMap::new();
    members(open(path)?, wanted, &mut |name, entry| {
        found.insert(name.to_owned(), digest(entry, &mut io::sink())?);
        Ok(())
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_are_read_from_elf_headers_only() {
        let elf = |machine: u8| {
            let mut head = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0".to_vec();
            head.extend([machine, 0]);
            head
        };
        assert_eq!(machine(&elf(62)), Some("amd64"));
        assert_eq!(machine(&elf(183)), Some("arm64"));
        assert_eq!(machine(&elf(8)), Some("another machine"));
        assert_eq!(machine(b"#!/bin/sh\n"), None);
        assert_eq!(machine(b"\x7fELF"), None);
    }

    #[test]
    fn members_are_found_whatever_is_around_them() {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, text) in [("./a/b", "one"), ("a/c", "three")] {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_cksum();
            // `append_data` would clean the path.
            header.set_path(path).unwrap();
            header.set_cksum();
            tar.append(&header, text.as_bytes()).unwrap();
        }
        let bytes = tar.into_inner().unwrap();
        let wanted = BTreeSet::from(["a/b".to_owned(), "a/d".to_owned()]);
        let mut seen = Vec::new();
        let left = members(&bytes[..], &wanted, &mut |name, entry| {
            let mut text = String::new();
            entry.read_to_string(&mut text)?;
            seen.push((name.to_owned(), text));
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, [("a/b".to_owned(), "one".to_owned())]);
        assert_eq!(left, BTreeSet::from(["a/d".to_owned()]));
        assert!(members(&b"no tarball at all, but long enough"[..], &wanted, &mut |_, _| Ok(())).is_err());
    }
}
