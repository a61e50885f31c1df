//! Reads and writes single DER values (X.690 section 8.1): just enough to put a name or a key that somebody else made
//! into a structure of ours byte by byte. Whatever has a meaning is parsed by the libraries.

use zeroize::Zeroizing;

/// One value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tlv<'a> {
    /// Its tag.
    pub tag: u8,
    /// What is inside.
    pub content: &'a [u8],
    /// With tag and length.
    pub whole: &'a [u8],
}

/// The first value and what follows it. `None` where there is none, or its length is not DER's.
pub(super) fn read(bytes: &[u8]) -> Option<(Tlv<'_>, &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    // Tags above 30 take more bytes; nothing here has one.
    if tag & 0x1f == 0x1f {
        return None;
    }
    let (length, rest) = match usize::from(*first) {
        short @ 0..=0x7f => (short, rest),
        long @ 0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(long - 0x80)?;
            let length = digits.iter().fold(0usize, |n, b| n << 8 | usize::from(*b));
            (length, rest)
        }
        _ => return None,
    };
    let (content, after) = rest.split_at_checked(length)?;
    Some((Tlv { tag: *tag, content, whole: &bytes[..bytes.len() - after.len()] }, after))
}

/// All values in a row, or `None` if something is left over.
pub(super) fn all(mut bytes: &[u8]) -> Option<Vec<Tlv<'_>>> {
    let mut values = Vec::new();
    while !bytes.is_empty() {
        let (value, rest) = read(bytes)?;
        values.push(value);
        bytes = rest;
    }
    Some(values)
}

/// A value of parts that follow each other. Wiped when dropped, as keys are written with it too.
pub(super) fn write(tag: u8, parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let size: usize = parts.iter().map(|p| p.len()).sum();
    let bytes = size.to_be_bytes();
    let length = &bytes[bytes.iter().position(|b| *b != 0).unwrap_or(bytes.len() - 1)..];
    let mut out = Zeroizing::new(Vec::with_capacity(size + 10));
    out.push(tag);
    if size >= 0x80 {
        out.push(0x80 | length.len() as u8);
    }
    out.extend_from_slice(length);
    parts.iter().for_each(|p| out.extend_from_slice(p));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_every_cut_is_refused() {
        for size in [0usize, 1, 0x7f, 0x80, 0xff, 0x100, 70_000] {
            let content = vec![7u8; size];
            let (head, tail) = content.split_at(size / 2);
            let whole = write(0x30, &[head, tail]);
            let (value, rest) = read(&whole).unwrap();
            assert_eq!(
                (value.tag, value.content, value.whole, rest),
                (0x30, &content[..], &whole[..], &[][..])
            );
            let two = [&whole[..], &whole[..]].concat();
            assert_eq!(all(&two).unwrap().len(), 2);
            for cut in (0..whole.len()).step_by(whole.len().div_ceil(200)) {
                assert_eq!(read(&whole[..cut]), None, "{size} cut at {cut}");
            }
        }
        assert_eq!(read(&[0x30, 0x80, 0, 0]), None, "an indefinite length is BER");
    }
}
