//! The catalogue of findings: code, title, explanation, one line of the table each.
//!
//! Hundreds group by subject: KH00 reading files, KH01 keys, types and merging, KH02 names and addresses, KH03
//! networks, KH04 topology, roles and ports, KH05 versions, kubeadm and etcd, KH06 certificates, secrets and the
//! store. A code is never used again for something else. To add one, add its entry where its number belongs.

macro_rules! catalogue {
    ($($name:ident $code:literal $title:literal $explanation:literal;)*) => {
        /// A rule that an inventory can break. The names are for this code base, the numbers for the reader.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = concat!($code, ": ", $title)] $name,)*
        }

        impl Code {
            /// Every code, in the order of the numbers.
            pub const ALL: &[Code] = &[$(Code::$name,)*];

            /// Returns the code as printed, `KH0101`.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $code,)* }
            }

            /// Returns the rule in a few words.
            pub fn title(self) -> &'static str {
                match self { $(Code::$name => $title,)* }
            }

            /// Returns why the rule exists and what to do, in a few sentences.
            pub fn explanation(self) -> &'static str {
                match self { $(Code::$name => $explanation,)* }
            }
        }
    };
}

catalogue! {
    // KH00: reading files.
    NotFound "KH0001" "the inventory does not exist"
        "The path given is neither a folder nor a file. Without one, khagen reads `inventory` in the current folder.";
    Unreadable "KH0002" "a file or folder cannot be read"
        "The operating system refused to open or read it. Khagen never builds from a part of an inventory.";
    NotAFile "KH0003" "not a regular file"
        "A document must be a regular file. Devices, sockets and named pipes have no fixed content, and reading one can wait for ever.";
    TooLarge "KH0004" "the inventory is too large"
        "Documents may hold 64 MiB and four million values together, far more than ten thousand hosts need.";
    NotUtf8 "KH0005" "not UTF-8"
        "YAML and TOML documents are UTF-8 text. Editors call it `UTF-8`; other encodings and binary files are refused.";
    NulByte "KH0006" "a NUL byte in a document"
        "A NUL byte never belongs in text; it usually means a binary or damaged file.";
    LinkLoop "KH0007" "a symbolic link leads in a circle or nowhere"
        "Links to files and folders are followed. One that leads back to a folder around it, or to nothing, has no content.";
    EmptyInventory "KH0008" "the inventory is empty"
        "No `*.yaml`, `*.yml` or `*.toml` document was found, or none that says anything. Hidden files and the folders secrets, files, patches, manifests, artifacts and templates hold no documents.";
    NoCluster "KH0009" "no cluster in the inventory"
        "A folder with a `cluster.yaml` (or .yml, .toml) is one cluster; a folder whose subfolders have one is several.";
    ClusterInCluster "KH0010" "a cluster inside or beside another"
        "Either the inventory's own folder has a `cluster.*`, or its direct subfolders have. Otherwise it is not clear which documents belong to which cluster.";
    OutputAsInventory "KH0011" "an output folder is given as the inventory"
        "A folder with a BUILD.json was written by `khagen build` and holds no inventory.";
    UnreadExtension "KH0012" "a document that is not read because of its name"
        "Only `*.yaml`, `*.yml` and `*.toml` in lower case are read, on every machine alike.";
    YamlSyntax "KH0021" "not valid YAML"
        "The YAML reader stopped here. Later faults of the same document show up once this one is mended.";
    TomlSyntax "KH0022" "not valid TOML"
        "The TOML reader could not make sense of this place.";
    TooDeep "KH0023" "nested too deeply"
        "No setting is nested more than a few levels; 64 is the limit.";
    YamlAnchor "KH0024" "YAML anchors and aliases are not accepted"
        "An alias makes one place of the inventory mean what another says, so a reviewer of the one does not see a change of the other, and a few lines can expand to gigabytes. Values that hosts share belong in `defaults`, `roles` or `groups`.";
    YamlTag "KH0025" "YAML tags are not accepted"
        "A tag (`!!str`, `!Ref`) changes what a value is. Quote a value to make it text; keys say what they need otherwise.";
    YamlDocuments "KH0026" "more than one YAML document in a file"
        "A file is one document, so that no reader stops at the first `---`. Use one file per document.";
    NotAMap "KH0027" "a document must be a map"
        "At its top a document has keys like `cluster:`, `kubernetes:` or `hosts:`.";
    BadKey "KH0028" "a key must be text"
        "Keys are plain names. A list, a map or nothing at all cannot be one.";

    // KH01: keys, types, merging.
    DuplicateKey "KH0101" "the same key twice in one map"
        "Most YAML readers silently keep the last of two equal keys. Khagen refuses both, so that no host or setting vanishes unseen.";
    SetTwice "KH0102" "the same setting in two documents"
        "Documents are merged key by key and the order of files has no meaning, so a setting can have one place only. Only `hosts` lists are appended; `schema` may repeat if it is equal.";
    MergeKind "KH0103" "two documents disagree on what a key holds"
        "A map can only be merged with a map. One of the two places is mistaken.";
    UnknownKey "KH0104" "a key that khagen does not know"
        "A misspelled key would be a setting that is silently not made. `khagen schema` lists all keys.";
    WrongType "KH0105" "a value of the wrong kind"
        "Each key holds text, a number, true or false, a list or a map. Numbers stand without quotes, text may stand in them.";
    MissingKey "KH0106" "a setting is missing"
        "The key has no default, since khagen cannot know it.";
    NotBuiltYet "KH0107" "a setting that this khagen does not act on yet"
        "The name is reserved so that inventories stay valid when it comes. Until then it is refused rather than ignored.";
    NotAChoice "KH0108" "not one of the words that a key takes"
        "The key takes one of a few words, in this spelling.";
    OutOfRange "KH0109" "a number out of range"
        "The program that reads the number accepts only this range.";
    SecretValue "KH0110" "a secret in the inventory"
        "The inventory is reviewed and committed, so no key, password or token may stand in it. khagen makes the cluster's own and keeps them in the store. What looks like a secret is never printed.";
    UnknownGroup "KH0111" "a group that is not there"
        "A host's `group` names an entry of `groups`, which may be empty: `groups: {gpu: {}}`.";
    Exclusive "KH0112" "two keys that exclude each other"
        "Both say the same thing, and which of them counts would be a guess.";
    EmptyList "KH0113" "a list that needs an entry"
        "Leave the key out to get its default, or give the list an entry.";
    Repeated "KH0114" "the same thing twice in one list"
        "The second entry says nothing, or contradicts the first.";
    OnlyOnHost "KH0115" "a setting of one host given to several"
        "Names, addresses and roles belong to one host and stand in its own entry under `hosts`.";
    UserFile "KH0116" "a file of the user's that cannot be taken"
        "`source` names a regular file of UTF-8 text, 1 MiB at most, inside the inventory's `files/` folder.";
    AmbiguousNumber "KH0117" "a number that programs read differently"
        "`0644` is 420 to YAML 1.1, 644 to YAML 1.2 and an error to TOML. Quote it to make it text.";

    // KH02: names and addresses. Up to KH0219: single values.
    NotALabel "KH0201" "not a DNS-1123 label"
        "1 to 63 characters, a-z, 0-9 and `-`, not at the ends. Such a name is part of a DNS name, a certificate, a file name.";
    NotADnsName "KH0202" "not a DNS name"
        "A DNS-1123 subdomain: labels of a-z, 0-9 and `-` joined by dots, 253 characters at most. Kubernetes refuses upper case and `_`.";
    NotAnAddress "KH0203" "not an IP address"
        "IPv4 as four decimal numbers without leading zeros, or IPv6. No name, port, prefix length or zone.";
    NotANetwork "KH0204" "not a network in CIDR form"
        "An address, `/`, and the length of the prefix: 10.0.0.0/16, 2001:db8::/64.";
    HostBits "KH0205" "a network with host bits"
        "In 10.1.2.3/16 the last two numbers are past the prefix. kubeadm accepts it, the API server refuses it from 1.36 on (StrictIPCIDRValidation). A VIP keeps them: it is an address in a network.";
    BadEndpoint "KH0206" "not an endpoint"
        "controlPlaneEndpoint is a DNS name in lower case or an address, and perhaps a port: api.example.com:6443, 192.0.2.10:6443, [2001:db8::10]:6443.";
    BadInterface "KH0207" "not an interface that the kernel would take"
        "1 to 15 bytes, no `/`, no `:`, no white space, neither `.` nor `..` (dev_valid_name in net/core/dev.c).";
    BadVersion "KH0208" "not an exact version"
        "Versions are major.minor.patch. Nothing resolves `latest`, `stable` or a bare minor.";
    BadDuration "KH0209" "not a time span"
        "Numbers with units, the larger first: y (365 days), w, d, h, m, s. Each setting has bounds.";
    BadSize "KH0210" "not a size"
        "Bytes as a number, or a whole number with KiB, MiB or GiB.";
    BadPath "KH0211" "not a clean path"
        "A path on a host is absolute, of letters, digits and . _ @ / + -, without `.`, `..` and doubled slashes. A source lies inside `files/`.";
    BadCalendar "KH0212" "not a time for a systemd timer"
        "See systemd.time(7), CALENDAR EVENTS. `systemd-analyze calendar TEXT` tells when it comes next.";
    BadTaint "KH0213" "not a taint"
        "`key=value:Effect`, `key:Effect`, or a map of key, value and effect.";
    BadNodeLabel "KH0214" "not a label's key or value"
        "Kubernetes' rules: a name of up to 63 letters, digits, `-`, `_`, `.`, before it perhaps a DNS name and `/`; values likewise, or empty.";
    FamilyPair "KH0215" "neither one address nor one of each family"
        "One address or network, or one of IPv4 and one of IPv6. The first is the primary family.";
    BadMode "KH0216" "not a file's mode"
        "Three octal digits, perhaps after a 0, best in quotes: \"0644\".";
    BadEffect "KH0217" "not an effect of a file's change"
        "`none`, `restart UNIT` or `reload UNIT`, with the unit's full name.";
    BadText "KH0218" "text that its reader would not take"
        "One line without control characters; names of flags, gates and checks are narrower.";
    BadUser "KH0219" "not a user's or group's name"
        "Names as useradd makes them everywhere: a-z, 0-9, `_`, `-`, 32 characters at most, no digit first. Ids differ between hosts, so names are used.";
}

impl std::fmt::Display for Code {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl Code {
    /// Finds a code by what is printed, in any case and with or without the letters.
    pub fn find(text: &str) -> Option<Code> {
        let text = text.trim().to_ascii_uppercase();
        let digits = text.strip_prefix("KH").unwrap_or(&text);
        Code::ALL.iter().copied().find(|code| code.as_str().strip_prefix("KH") == Some(digits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_complete() {
        for pair in Code::ALL.windows(2) {
            assert!(pair[0].as_str() < pair[1].as_str(), "{} stands before {}", pair[0], pair[1]);
        }
        for code in Code::ALL {
            let text = code.as_str();
            assert!(text.len() == 6 && text.starts_with("KH"), "{text}");
            assert!(text[2..].bytes().all(|byte| byte.is_ascii_digit()), "{text}");
            assert!(!code.title().is_empty() && !code.title().ends_with('.'), "{code}: {}", code.title());
            assert!(code.explanation().ends_with('.'), "{code}: an explanation is made of sentences");
        }
    }

    #[test]
    fn a_code_is_found_by_what_is_printed() {
        assert_eq!(Code::find("KH0102"), Some(Code::SetTwice));
        assert_eq!(Code::find("kh0102"), Some(Code::SetTwice));
        assert_eq!(Code::find("0102"), Some(Code::SetTwice));
        assert_eq!(Code::find("KH9999"), None);
    }
}
