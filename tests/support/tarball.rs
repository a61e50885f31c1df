//! A tarball as blocks that a test may damage, which the readers of well-formed ones would not let through.

use std::io::{Read, Write};
use std::path::Path;

/// An entry: its header as it stands, and its content.
#[derive(Clone)]
pub struct Block {
    pub header: tar::Header,
    pub content: Vec<u8>,
}

impl Block {
    /// A regular ustar entry of root's, as khagen writes them; a folder where the path ends in a slash.
    pub fn new(path: &str, mode: u32, content: &[u8]) -> Block {
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(315_532_800);
        header.set_size(content.len() as u64);
        header.set_username("root").expect("short");
        header.set_groupname("root").expect("short");
        let folder = path.ends_with('/');
        header.set_entry_type(if folder { tar::EntryType::Directory } else { tar::EntryType::Regular });
        header.set_cksum();
        Block { header, content: content.to_vec() }
    }

    /// With another type.
    pub fn kind(mut self, kind: u8) -> Block {
        self.header.as_mut_bytes()[156] = kind;
        self.header.set_cksum();
        self
    }

    /// With bytes of the header overwritten, and a checksum that fits.
    pub fn patched(mut self, at: usize, bytes: &[u8]) -> Block {
        self.header.as_mut_bytes()[at..at + bytes.len()].copy_from_slice(bytes);
        self.header.set_cksum();
        self
    }

    /// Path with the top folder.
    pub fn path(&self) -> String {
        String::from_utf8(self.header.path_bytes().into_owned()).expect("UTF-8")
    }

    /// Path below the top folder.
    pub fn inside(&self) -> String {
        self.path().split_once('/').map_or(String::new(), |(_, rest)| rest.to_owned())
    }

    pub fn is_file(&self) -> bool {
        self.header.entry_type() == tar::EntryType::Regular
    }

    pub fn set(&mut self, content: &[u8]) {
        self.content = content.to_vec();
        self.header.set_size(content.len() as u64);
        self.header.set_cksum();
    }
}

/// All entries, in order.
#[derive(Clone)]
pub struct Tarball {
    pub blocks: Vec<Block>,
}

impl Tarball {
    pub fn read(path: &Path) -> Tarball {
        let tar = gunzip(&std::fs::read(path).expect("a tarball"));
        let mut archive = tar::Archive::new(&tar[..]);
        let blocks = archive.entries().expect("a tar").map(|entry| {
            let mut entry = entry.expect("an entry");
            let header = entry.header().clone();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).expect("content");
            Block { header, content }
        });
        Tarball { blocks: blocks.collect() }
    }

    pub fn top(&self) -> String {
        self.blocks[0].path().split('/').next().expect("a folder").to_owned()
    }

    pub fn tar(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for block in &self.blocks {
            out.extend_from_slice(block.header.as_bytes());
            out.extend_from_slice(&block.content);
            out.resize(out.len().next_multiple_of(512), 0);
        }
        out.resize(out.len() + 1024, 0);
        out
    }

    pub fn packed(&self) -> Vec<u8> {
        gzip(&self.tar())
    }

    pub fn write(&self, path: &Path) {
        std::fs::write(path, self.packed()).expect("write");
    }

    /// Where a file is, by its path below the top folder.
    pub fn at(&self, inside: &str) -> usize {
        self.blocks.iter().position(|b| b.inside() == inside).unwrap_or_else(|| panic!("no {inside}"))
    }

    pub fn text(&self, inside: &str) -> String {
        String::from_utf8(self.blocks[self.at(inside)].content.clone()).expect("UTF-8")
    }

    pub fn set(&mut self, inside: &str, content: &str) {
        let at = self.at(inside);
        self.blocks[at].set(content.as_bytes());
    }

    /// Makes MANIFEST.json and SHA256SUMS agree with the files, as somebody does who knows how khagen works.
    pub fn agree(&mut self) {
        let mut manifest = self.text("MANIFEST.json");
        for block in self.blocks.iter().filter(|b| b.is_file()) {
            let inside = block.inside();
            let key = match inside.strip_prefix("root/") {
                Some(path) => format!("{{\"path\": \"/{path}\", "),
                None => format!("{{\"file\": \"{inside}\", "),
            };
            let Some(line) = manifest.find(&key) else { continue };
            let at = line + manifest[line..].find("\"sha256\": \"").expect("a sum") + 11;
            manifest.replace_range(at..at + 64, &sha256(&block.content));
            let at = line + manifest[line..].find("\"mode\": \"").expect("a mode") + 9;
            manifest.replace_range(at..at + 4, &format!("{:04o}", block.header.mode().expect("mode")));
        }
        self.set("MANIFEST.json", &manifest);
        self.agree_sums();
    }

    /// Makes SHA256SUMS agree with the files.
    pub fn agree_sums(&mut self) {
        let mut sums: Vec<(String, String)> = self
            .blocks
            .iter()
            .filter(|b| b.is_file() && b.inside() != "SHA256SUMS")
            .map(|b| (b.inside(), sha256(&b.content)))
            .collect();
        sums.sort();
        let text: String = sums.iter().map(|(path, sum)| format!("{sum}  {path}\n")).collect();
        self.set("SHA256SUMS", &text);
    }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("compress");
    encoder.finish().expect("compress")
}

pub fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut out).expect("gzip");
    out
}

pub fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}
