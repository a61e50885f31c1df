//! The control file of a Debian package (deb(5), deb-control(5)): an ar archive with a tarball of control files in it.

use std::io::{self, Read};
use std::path::Path;

/// What the control file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Control {
    /// Its name.
    pub package: String,
    /// Its version, with epoch and revision.
    pub version: String,
    /// `all`, or an architecture.
    pub architecture: String,
    /// Names of packages that must be there before this one is configured or, some, unpacked.
    pub needs: Vec<String>,
    /// Names that it answers to.
    pub provides: Vec<String>,
}

/// The largest control file that is read.
const MAX_CONTROL: u64 = 1 << 20;
/// ar's header of a member (deb(5), ar(5)).
const HEADER: usize = 60;

/// Reads the control file of a package.
///
/// # Errors
/// What is wrong, in words.
pub fn control(path: &Path) -> Result<Control, String> {
    let file = super::open(path).map_err(|e| format!("cannot be read: {e}"))?;
    read(io::BufReader::new(file))
}

fn read(mut from: impl Read) -> Result<Control, String> {
    let mut magic = [0; 8];
    if from.read_exact(&mut magic).is_err() || &magic != b"!<arch>\n" {
        return Err("is no Debian package: it does not begin as one (an ar archive)".to_owned());
    }
    loop {
        let mut header = [0; HEADER];
        from.read_exact(&mut header)
            .map_err(|_| "is no Debian package, or a damaged one: it holds no control.tar".to_owned())?;
        let text = |range: std::ops::Range<usize>| String::from_utf8_lossy(&header[range]).trim().to_owned();
        let name = text(0..16);
        let name = name.trim_end_matches('/');
        let size: u64 = text(48..58).parse().map_err(|_| "is damaged: ar's header has no size".to_owned())?;
        let member = (&mut from).take(size);
        if name.starts_with("control.tar") {
            let wanted = ["control".to_owned()].into();
            let mut found = None;
            super::members(member, &wanted, &mut |_, entry| {
                let mut bytes = Vec::new();
                entry.take(MAX_CONTROL).read_to_end(&mut bytes)?;
                found = Some(String::from_utf8_lossy(&bytes).into_owned());
                Ok(())
            })
            .map_err(|e| format!("has a {name} that cannot be read: {e}"))?;
            return parse(&found.ok_or("has no control file")?);
        }
        // Members begin at even places.
        let skipped = io::copy(&mut (&mut from).take(size + size % 2), &mut io::sink());
        skipped.map_err(|e| format!("cannot be read: {e}"))?;
    }
}

fn parse(text: &str) -> Result<Control, String> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                value.push_str(line);
            }
        } else if let Some((name, value)) = line.split_once(':') {
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        } else if line.is_empty() && !fields.is_empty() {
            break;
        }
    }
    let field = |name: &str| fields.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value.as_str());
    let control = Control {
        package: field("package").to_owned(),
        version: field("version").to_owned(),
        architecture: field("architecture").to_owned(),
        needs: names(field("pre-depends")).chain(names(field("depends"))).collect(),
        provides: names(field("provides")).collect(),
    };
    // deb-control(5), deb-version(7)
    let is = |text: &str, more: &str| {
        text.len() <= 255
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
    };
    for (name, value, more) in [
        ("Package", &control.package, "+-."),
        ("Version", &control.version, ".+-~:"),
        ("Architecture", &control.architecture, "-"),
    ] {
        if !is(value, more) {
            return Err(format!("has a control file whose {name} is {value:?}"));
        }
    }
    Ok(control)
}

/// The names in a list of relations: `a (>= 1) | b:any, c`.
fn names(list: &str) -> impl Iterator<Item = String> {
    list.split([',', '|']).filter_map(|one| {
        let name: String =
            one.trim().chars().take_while(|c| c.is_ascii_alphanumeric() || "+-.".contains(*c)).collect();
        (!name.is_empty()).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_file_is_read_with_its_continued_lines() {
        let control = parse(
            "Package: kubelet\nVersion: 1:1.36.5-1.1~x+b\nArchitecture: amd64\nDepends: iptables (>= 1.4.21), mount | util-linux:any,\n ethtool\nProvides: k (= 1)\nDescription: a\n b\n",
        )
        .unwrap();
        assert_eq!((control.package.as_str(), control.version.as_str()), ("kubelet", "1:1.36.5-1.1~x+b"));
        assert_eq!(control.needs, ["iptables", "mount", "util-linux", "ethtool"]);
        assert_eq!(control.provides, ["k"]);
    }

    #[test]
    fn what_goes_into_a_manifest_is_of_known_characters() {
        for odd in ["a|b", "a\"b", "", "a b", "-a", "a\u{1b}"] {
            let error = parse(&format!("Package: {odd}\nVersion: 1\nArchitecture: all\n")).unwrap_err();
            assert!(error.contains("Package"), "{error}");
            assert!(parse(&format!("Package: a\nVersion: {odd}\nArchitecture: all\n")).is_err());
        }
    }

    #[test]
    fn what_is_no_package_is_said_to_be_none() {
        for bytes in [&b""[..], b"!<arch>\n", b"\x1f\x8b........", b"!<arch>\ndebian-binary   0"] {
            assert!(read(bytes).unwrap_err().contains("is no Debian package"));
        }
    }
}
