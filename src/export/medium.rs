//! A medium as file systems of sticks are: names in any case that FAT takes, no modes, no links, files below 4 GiB; written
//! through, and read again from the medium itself rather than from memory.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{Advice, OFlags, fadvise, statvfs};
use sha2::{Digest, Sha256};

use crate::pack::bundle::hex;

/// Read and written at a time, and the alignment that direct reading asks for.
const BUFFER: usize = 1 << 20;
const ALIGNMENT: usize = 4096;

/// What has room there, in bytes, and what a file's length is rounded up to.
///
/// # Errors
/// When the system does not say.
pub fn room(dir: &Path) -> io::Result<(u64, u64)> {
    let found = statvfs(dir)?;
    Ok((found.f_bavail.saturating_mul(found.f_frsize), found.f_bsize.max(512)))
}

/// A name that FAT takes (Microsoft's FAT specification, long names): the characters that it does not are underscores, and
/// a dot at the end, which it would drop, too. It is told from every other by what stands before it.
pub fn fat_name(before: &str, name: &str) -> String {
    let name = name.strip_prefix(before).and_then(|n| n.strip_prefix('-')).unwrap_or(name);
    let legal = |c: char| if c.is_ascii_graphic() && !"\"*/:<>?\\|".contains(c) { c } else { '_' };
    let mut out: String = format!("{before}-{name}").chars().map(legal).take(200).collect();
    if out.ends_with('.') {
        out.pop();
        out.push('_');
    }
    out
}

/// Copies up to `limit` bytes and returns how many there were, with their SHA-256. What was written is on the medium.
///
/// # Errors
/// When reading or writing fails.
pub fn write_part(
    from: &mut dyn Read,
    limit: u64,
    to: &Path,
    mut seen: impl FnMut(&[u8]),
) -> io::Result<(u64, String)> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(to)?;
    let mut hash = Sha256::new();
    let mut size = 0;
    let mut buffer = vec![0; BUFFER];
    let mut from = from.take(limit);
    loop {
        let got = from.read(&mut buffer)?;
        if got == 0 {
            break;
        }
        hash.update(&buffer[..got]);
        seen(&buffer[..got]);
        file.write_all(&buffer[..got])?;
        size += got as u64;
    }
    file.sync_all()?;
    Ok((size, hex(&hash.finalize())))
}

/// The SHA-256 of a file as the medium has it: past the system's memory where the file system can, else after that was told
/// to forget the file.
///
/// # Errors
/// When it cannot be read.
pub fn digest_on_medium(path: &Path) -> io::Result<(u64, String)> {
    let direct = i32::try_from(OFlags::DIRECT.bits()).unwrap_or_default();
    if let Ok(file) = OpenOptions::new().read(true).custom_flags(direct).open(path)
        && let Ok(found) = digest(file)
    {
        return Ok(found);
    }
    let file = File::open(path)?;
    // Best effort: a file system in memory has nothing to forget.
    let _ = fadvise(&file, 0, None, Advice::DontNeed);
    digest(file)
}

fn digest(mut file: File) -> io::Result<(u64, String)> {
    let mut space = vec![0_u8; BUFFER + ALIGNMENT];
    let at = space.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
    let buffer = &mut space[at..at + BUFFER];
    let mut hash = Sha256::new();
    let mut size = 0;
    loop {
        match file.read(buffer) {
            Ok(0) => break,
            Ok(got) => {
                hash.update(&buffer[..got]);
                size += got as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok((size, hex(&hash.finalize())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_fat_takes() {
        assert_eq!(fat_name("0123", "a.tar.gz"), "0123-a.tar.gz");
        assert_eq!(fat_name("0123", "0123-nginx_1:1.2~x+b.deb"), "0123-nginx_1_1.2~x+b.deb");
        assert_eq!(fat_name("0123", "con."), "0123-con_");
        assert!(fat_name("0123", &"x".repeat(300)).len() <= 200);
    }

    #[test]
    fn a_file_is_split_and_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let text = vec![7_u8; 3 * BUFFER + 17];
        let (first, second) = (dir.path().join("1"), dir.path().join("2"));
        let mut from = &text[..];
        let one = write_part(&mut from, 2 * BUFFER as u64 + 5, &first, |_| {}).unwrap();
        let two = write_part(&mut from, u64::MAX, &second, |_| {}).unwrap();
        assert_eq!(one.0 + two.0, text.len() as u64);
        assert_eq!(digest_on_medium(&first).unwrap(), one);
        assert_eq!(digest_on_medium(&second).unwrap(), two);
    }
}
