//! The form of the store's clear records: TOML whose last line is the digest of all lines before it.
//!
//! A record that lost its end, or two that a merge mixed, is then noticed: TOML alone would read the first
//! half of a file, or `validityDays = 36` where 365 stood.

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

const SEAL: &str = "# sha256 ";

/// SHA-256 in lower-case hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for b in bytes {
        text.push(char::from(DIGITS[usize::from(b >> 4)]));
        text.push(char::from(DIGITS[usize::from(b & 15)]));
    }
    text
}

/// The bytes of hexadecimal digits.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    text.as_bytes().chunks(2).map(pair).collect()
}

/// A record as it stands in its file.
pub fn write<T: Serialize>(record: &T) -> Result<String, toml::ser::Error> {
    let mut text = toml::to_string_pretty(record)?;
    let digest = sha256_hex(text.as_bytes());
    text.push_str(SEAL);
    text.push_str(&digest);
    text.push('\n');
    Ok(text)
}

/// Reads a record back, or says what is wrong with the file.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    let seal = text.rfind(SEAL).filter(|at| *at == 0 || text.as_bytes()[at - 1] == b'\n');
    let Some((body, digest)) = seal.map(|at| text.split_at(at)) else {
        return Err("has lost its last line, the digest: it was cut short".to_owned());
    };
    let digest = digest.strip_prefix(SEAL).and_then(|d| d.strip_suffix('\n')).unwrap_or_default();
    if digest.len() != 64 {
        return Err("has lost the end of its last line, the digest: it was cut short".to_owned());
    }
    if digest != sha256_hex(body.as_bytes()) {
        return Err(
            "does not match the digest in its last line: it was edited, or a merge mixed two versions \
                    (take one side whole)"
                .to_owned(),
        );
    }
    toml::from_str(body).map_err(|e| format!("is no record that this khagen understands: {}", e.message()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_cut_and_every_changed_byte_is_noticed() {
        let record = BTreeMap::from([("a", 365), ("b", 7)]);
        let text = write(&record).unwrap();
        assert_eq!(
            read::<BTreeMap<String, u32>>(&text).unwrap(),
            BTreeMap::from([("a".into(), 365), ("b".into(), 7)])
        );
        for end in 0..text.len() {
            assert!(read::<BTreeMap<String, u32>>(&text[..end]).is_err(), "cut at {end}");
        }
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let changed = String::from_utf8(bytes).unwrap();
            assert!(read::<BTreeMap<String, u32>>(&changed).is_err(), "changed at {at}");
        }
    }
}
