//! What hosts reported: the output of `khagen-certificates --facts`, a file per host.
//!
//! It was written on other machines, so nothing in it is believed beyond its form: every line is checked, sizes are
//! bounded, and no control character gets through to a terminal.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

/// More bytes than a report of any host has.
const LIMIT: u64 = 1 << 20;
const HEAD: &str = "# khagen-certificates\tv1";

/// By FQDN.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// What each host reported.
    pub hosts: BTreeMap<String, HostFacts>,
}

/// One host's report.
#[derive(Debug, Clone)]
pub struct HostFacts {
    /// When it was made.
    pub time: OffsetDateTime,
    /// The certificates that lie there.
    pub certificates: Vec<Seen>,
}

/// A certificate on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Where.
    pub path: String,
    /// First second of its validity.
    pub not_before: OffsetDateTime,
    /// Last second of its validity.
    pub not_after: OffsetDateTime,
    /// SHA-256 of its DER, hexadecimal.
    pub sha256: String,
    /// Its subject, as openssl prints it.
    pub subject: String,
}

/// A report cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line is not what khagen-certificates writes.
    #[error("{}:{line}: {what}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// Two reports of one host.
    #[error("{}: {host} reported twice; leave the newer report only", path.display())]
    Twice {
        /// The second file.
        path: PathBuf,
        /// The host.
        host: String,
    },
}

/// Reads every file of a folder that is not hidden, or one file.
///
/// # Errors
/// When one is no report.
pub fn read(path: &Path) -> Result<Facts, FactsError> {
    let fail = |at: &Path, source| FactsError::Read { path: at.to_owned(), source };
    let mut files = vec![path.to_owned()];
    if path.is_dir() {
        files.clear();
        for entry in std::fs::read_dir(path).map_err(|e| fail(path, e))? {
            let entry = entry.map_err(|e| fail(path, e))?;
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            if !hidden && entry.path().is_file() {
                files.push(entry.path());
            }
        }
        files.sort();
    }
    let mut facts = Facts::default();
    for file in files {
        let size = std::fs::metadata(&file).map_err(|e| fail(&file, e))?.len();
        if size > LIMIT {
            let what = format!("has {size} bytes, which no report has");
            return Err(FactsError::Line { path: file, line: 1, what });
        }
        let bytes = std::fs::read(&file).map_err(|e| fail(&file, e))?;
        let (host, found) = parse(&String::from_utf8_lossy(&bytes))
            .map_err(|(line, what)| FactsError::Line { path: file.clone(), line, what })?;
        if facts.hosts.insert(host.clone(), found).is_some() {
            return Err(FactsError::Twice { path: file, host });
        }
    }
    Ok(facts)
}

type Wrong = (usize, String);

fn parse(text: &str) -> Result<(String, HostFacts), Wrong> {
    let mut lines = text.lines().enumerate().map(|(i, l)| (i + 1, l));
    match lines.next() {
        Some((_, HEAD)) => {}
        _ => return Err((1, "is no report of `khagen-certificates --facts` of version 1".to_owned())),
    }
    let (mut host, mut time, mut ended) = (None, None, false);
    let mut certificates = Vec::new();
    for (line, text) in lines {
        let wrong = |what: &str| (line, what.to_owned());
        if let Some(bad) = text.chars().find(|c| c.is_control() && *c != '\t') {
            return Err(wrong(&format!("holds {bad:?}")));
        }
        if ended {
            return Err(wrong("something follows the end"));
        }
        if let Some(head) = text.strip_prefix("# ") {
            match head.split_once('\t') {
                Some(("host", name)) if is_name(name) => host = Some(name.to_owned()),
                Some(("time", t)) => time = Some(instant(t).ok_or_else(|| wrong("is no time"))?),
                None if head == "end" => ended = true,
                _ => return Err(wrong("is no line of a report's head")),
            }
            continue;
        }
        let columns: Vec<&str> = text.split('\t').collect();
        let [path, before, after, sha256, subject] = columns[..] else {
            return Err(wrong("has not the five columns path, notBefore, notAfter, sha256, subject"));
        };
        let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        if !path.starts_with('/') {
            return Err(wrong("begins with no absolute path"));
        }
        if sha256.len() != 64 || !sha256.chars().all(hex) {
            return Err(wrong("has no SHA-256 in the fourth column"));
        }
        certificates.push(Seen {
            path: path.to_owned(),
            not_before: instant(before).ok_or_else(|| wrong("has no time in the second column"))?,
            not_after: instant(after).ok_or_else(|| wrong("has no time in the third column"))?,
            sha256: sha256.to_owned(),
            subject: subject.to_owned(),
        });
    }
    let last = text.lines().count();
    if !ended {
        return Err((last, "the report was cut: its last line is not `# end`".to_owned()));
    }
    let host = host.ok_or_else(|| (last, "names no host".to_owned()))?;
    let time = time.ok_or_else(|| (last, "names no time".to_owned()))?;
    Ok((host, HostFacts { time, certificates }))
}

fn is_name(name: &str) -> bool {
    let ok = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-');
    !name.is_empty() && name.len() <= 253 && name.bytes().all(ok)
}

fn instant(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok().filter(|t| t.offset() == UtcOffset::UTC)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed step of a test is its failure")]
mod tests {
    use super::*;

    const GOOD: &str = "# khagen-certificates\tv1\n# host\ta.example.com\n# time\t2026-11-22T10:00:00Z\n\
        /etc/x.crt\t2026-11-22T10:00:00Z\t2027-11-22T10:00:00Z\t0000000000000000000000000000000000000000000000000000000000000000\tCN=x\n# end\n";

    #[test]
    fn a_report_is_read() {
        let (host, facts) = parse(GOOD).unwrap();
        assert_eq!(host, "a.example.com");
        assert_eq!(facts.certificates.len(), 1);
        assert_eq!(facts.certificates[0].subject, "CN=x");
    }

    #[test]
    fn what_is_no_report_is_refused_with_its_line() {
        let cases = [
            ("", 1),
            (&GOOD.replace("\tv1", "\tv2"), 1),
            (&GOOD.replace("a.example.com", "a\u{1b}[2J"), 2),
            (&GOOD.replace("a.example.com", "../a"), 2),
            (&GOOD.replace("2027-11-22T10:00:00Z", "tomorrow"), 4),
            (&GOOD.replace("/etc/x.crt", "etc/x.crt"), 4),
            (&GOOD.replace("\tCN=x", ""), 4),
            (&GOOD.replace("0000\tCN", "000\tCN"), 4),
            (&GOOD.replace("# end\n", ""), 4),
            (&format!("{GOOD}/etc/y"), 6),
            (&GOOD.replace("# host\ta.example.com\n", ""), 4),
        ];
        for (text, line) in cases {
            assert_eq!(parse(text).unwrap_err().0, line, "{text}");
        }
        for cut in 0..GOOD.len() - 1 {
            assert!(parse(&GOOD[..cut]).is_err(), "{cut}");
        }
    }
}
