//! gzip made of segments, some of them compressed before.
//!
//! Most of a bundle's bytes are scripts and files that every host of a layer has. Compressing them for each host is most
//! of a build's work, so a shared text is compressed once, from an empty window and up to a byte boundary (a full flush,
//! RFC 1951 section 3.2.3), and its bytes are copied into every bundle. The result is one ordinary gzip member.

use std::cell::RefCell;

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

thread_local! {
    /// Setting up the compressor costs as much as compressing a small bundle, so each thread keeps one.
    static DEFLATE: RefCell<Compress> = RefCell::new(Compress::new(Compression::new(6), false));
}

/// A text that was compressed before.
pub struct Segment {
    deflated: Vec<u8>,
    crc: Crc,
    len: usize,
}

impl Segment {
    /// Compresses a text so that it can stand anywhere in a stream. `None` if the compressor fails.
    pub fn new(data: &[u8]) -> Option<Segment> {
        let mut deflated = Vec::with_capacity(data.len() / 2 + 64);
        DEFLATE.with_borrow_mut(|d| {
            d.reset();
            deflate(d, data, &mut deflated, FlushCompress::Full)
        })?;
        let mut crc = Crc::new();
        crc.update(data);
        Some(Segment { deflated, crc, len: data.len() })
    }
}

/// A part of the data to compress.
pub enum Part<'a> {
    /// As it is.
    Plain(&'a [u8]),
    /// Compressed before.
    Ready(&'a Segment),
}

/// One gzip member of all parts (RFC 1952): no name, no time, unknown system. `None` if the compressor fails.
pub fn gzip(parts: &[Part<'_>]) -> Option<Vec<u8>> {
    let size: usize = parts
        .iter()
        .map(|p| match p {
            Part::Plain(bytes) => bytes.len() / 2 + 64,
            Part::Ready(segment) => segment.deflated.len(),
        })
        .sum();
    let mut out = Vec::with_capacity(size + 64);
    out.extend_from_slice(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
    let mut crc = Crc::new();
    let mut len: usize = 0;
    DEFLATE.with_borrow_mut(|d| {
        d.reset();
        for part in parts {
            match part {
                Part::Plain([]) => {}
                Part::Plain(bytes) => {
                    // What stands before is forgotten: a later block must not point across a segment put between.
                    deflate(d, bytes, &mut out, FlushCompress::Full)?;
                    crc.update(bytes);
                    len += bytes.len();
                }
                Part::Ready(segment) => {
                    out.extend_from_slice(&segment.deflated);
                    crc.combine(&segment.crc);
                    len += segment.len;
                }
            }
        }
        deflate(d, &[], &mut out, FlushCompress::Finish)
    })?;
    out.extend_from_slice(&crc.sum().to_le_bytes());
    // The length modulo 2^32, RFC 1952 section 2.3.1.
    out.extend_from_slice(&u32::try_from(len & 0xffff_ffff).ok()?.to_le_bytes());
    Some(out)
}

fn deflate(d: &mut Compress, data: &[u8], out: &mut Vec<u8>, flush: FlushCompress) -> Option<()> {
    let start = d.total_in();
    loop {
        let done = usize::try_from(d.total_in() - start).ok()?;
        if out.capacity() - out.len() < 1024 {
            out.reserve(data.len() / 4 + 4096);
        }
        let status = d.compress_vec(data.get(done..)?, out, flush).ok()?;
        let consumed = usize::try_from(d.total_in() - start).ok()? == data.len();
        match flush {
            FlushCompress::Finish if status == Status::StreamEnd => return Some(()),
            // A flush is complete when the compressor had room left for more (zlib's manual, deflate()).
            FlushCompress::Full if consumed && out.len() < out.capacity() => return Some(()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use proptest::prelude::*;

    use super::*;

    fn gunzip(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        flate2::read::GzDecoder::new(bytes).read_to_end(&mut out).expect("gzip");
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        /// Whatever is mixed, one reader of one member gets it back, lengths and checksum included.
        #[test]
        fn mixed_parts_come_back(parts in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..3000), 1usize..40), 0..8)) {
            let texts: Vec<(bool, Vec<u8>)> = parts.into_iter().map(|(ready, bytes, times)| (ready, bytes.repeat(times))).collect();
            let segments: Vec<Segment> = texts.iter().map(|(_, t)| Segment::new(t).expect("compressed")).collect();
            let parts: Vec<Part<'_>> = texts.iter().zip(&segments)
                .map(|((ready, text), segment)| if *ready { Part::Ready(segment) } else { Part::Plain(text) })
                .collect();
            let packed = gzip(&parts).expect("compressed");
            let expected: Vec<u8> = texts.iter().flat_map(|(_, t)| t.clone()).collect();
            prop_assert_eq!(gunzip(&packed), expected);
            prop_assert_eq!(gzip(&parts).expect("compressed"), packed);
        }
    }
}
