//! The operator's keys that open an encrypted store: age identity files and ssh-ed25519 keys, either perhaps protected
//! by a passphrase.
//!
//! Files are read when the first secret is decrypted and not before, and a passphrase is asked for only if its key is
//! one that the secret is encrypted to; what was opened stays open for the run. Nothing here writes, prints, or looks
//! at the environment: whoever makes an [`Identities`] says which files and how to ask.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use age::armor::ArmoredReader;
use age::secrecy::SecretString;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// How often a passphrase may be wrong.
const TRIES: usize = 3;
/// An identity file is short; whatever else was named is not read to its end.
const MAX_BYTES: u64 = 1 << 20;

/// Asks for the passphrase of a file.
pub type Ask = dyn Fn(&str) -> Result<SecretString, String> + Send + Sync;

/// No identity opens the secret. Nothing is wrong with the store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// No file was named, and the usual one is not there.
    #[error("no identity to decrypt with{}", not_there(looked))]
    None {
        /// Where one was looked for.
        looked: Vec<PathBuf>,
    },
    /// All that were found open something else.
    #[error(
        "none of the identities can decrypt it: it is encrypted to{}\n  and the identities are{}",
        lines(wanted),
        lines(held)
    )]
    Wrong {
        /// Recipients of the secret.
        wanted: Vec<String>,
        /// What was found, with files.
        held: Vec<String>,
    },
    /// A file cannot be used.
    #[error("the identity {} {what}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong, continuing the sentence.
        what: String,
    },
    /// A passphrase could not be asked for, or was wrong.
    #[error("the identity {} is protected by a passphrase: {what}", path.display())]
    Passphrase {
        /// The file.
        path: PathBuf,
        /// Why it stays closed.
        what: String,
    },
}

fn lines(items: &[String]) -> String {
    items.iter().map(|item| format!("\n    {item}")).collect()
}

fn not_there(looked: &[PathBuf]) -> String {
    looked.iter().map(|path| format!(", and there is no {}", path.display())).collect()
}

/// Why a ciphertext stays closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Closed {
    /// Nobody here has the key.
    Identity(IdentityError),
    /// It is no age file, or not the one that its sidecar describes.
    Damaged(String),
}

type Opener = Arc<dyn age::Identity + Send + Sync>;

/// Where identities come from; what of them is open.
pub struct Identities {
    files: Vec<PathBuf>,
    /// Whether a file that is not there is an error: it is if somebody named it.
    named: bool,
    ask: Box<Ask>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    read: bool,
    /// With the recipient that each opens.
    open: Vec<(String, Opener)>,
    locked: Vec<Locked>,
    /// For messages.
    held: Vec<String>,
    absent: Vec<PathBuf>,
    /// Said once, so that not every secret asks for the passphrase again.
    failed: Option<IdentityError>,
}

/// A key behind a passphrase.
struct Locked {
    path: PathBuf,
    /// The recipient, where it is known without the passphrase.
    recipient: Option<String>,
    key: LockedKey,
}

enum LockedKey {
    Ssh(Box<age::ssh::Identity>),
    /// An identity file that is itself an age file.
    Age(Vec<u8>),
}

impl std::fmt::Debug for Identities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identities").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Identities {
    /// No identity at all.
    pub fn none() -> Identities {
        Identities::new(Vec::new(), false, Box::new(|_| Err("there is nobody to ask".to_owned())))
    }

    /// Identities in files. `named` says that a person named them: then each must be there.
    pub fn new(files: Vec<PathBuf>, named: bool, ask: Box<Ask>) -> Identities {
        Identities { files, named, ask, state: Mutex::default() }
    }

    /// Decrypts an age file whose sidecar names its recipients.
    pub(super) fn decrypt(&self, cipher: &[u8], recipients: &[String]) -> Result<Secret, Closed> {
        let opener = self.opener(recipients).map_err(Closed::Identity)?;
        let damaged = |what: &dyn std::fmt::Display| {
            Closed::Damaged(format!("is no age file that can be read: {what}"))
        };
        let decryptor = age::Decryptor::new(ArmoredReader::new(cipher)).map_err(|e| damaged(&e))?;
        let mut reader =
            decryptor.decrypt(std::iter::once(&*opener as &dyn age::Identity)).map_err(|e| match e {
                age::DecryptError::NoMatchingKeys => {
                    Closed::Damaged("is encrypted to others than object.toml says".to_owned())
                }
                other => damaged(&other),
            })?;
        let mut plain = Zeroizing::new(Vec::with_capacity(cipher.len()));
        reader.read_to_end(&mut plain).map_err(|e| damaged(&e))?;
        Ok(Secret::new(std::mem::take(&mut *plain)))
    }

    /// An open identity for one of the recipients.
    fn opener(&self, recipients: &[String]) -> Result<Opener, IdentityError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = &state.failed {
            return Err(error.clone());
        }
        let found = self.find(&mut state, recipients);
        if let Err(error @ (IdentityError::File { .. } | IdentityError::Passphrase { .. })) = &found {
            state.failed = Some(error.clone());
        }
        found
    }

    fn find(&self, state: &mut State, recipients: &[String]) -> Result<Opener, IdentityError> {
        if !state.read {
            for path in &self.files {
                self.read(path, state)?;
            }
            state.read = true;
        }
        let opens = |state: &State| {
            state
                .open
                .iter()
                .find(|(recipient, _)| recipients.contains(recipient))
                .map(|(_, open)| open.clone())
        };
        if let Some(open) = opens(state) {
            return Ok(open);
        }
        // Keys whose public half says that they fit come before files that say nothing.
        let fits = |l: &Locked| l.recipient.as_ref().is_some_and(|r| recipients.contains(r));
        while let Some(at) = state
            .locked
            .iter()
            .position(fits)
            .or_else(|| state.locked.iter().position(|l| l.recipient.is_none()))
        {
            let locked = state.locked.swap_remove(at);
            let opened = self.unlock(&locked)?;
            if locked.recipient.is_none() {
                state.held.extend(opened.iter().map(|(r, _)| format!("{r} in {}", locked.path.display())));
            }
            state.open.extend(opened);
            if let Some(open) = opens(state) {
                return Ok(open);
            }
        }
        if state.held.is_empty() {
            return Err(IdentityError::None { looked: state.absent.clone() });
        }
        Err(IdentityError::Wrong { wanted: recipients.to_vec(), held: state.held.clone() })
    }

    fn read(&self, path: &Path, state: &mut State) -> Result<(), IdentityError> {
        let wrong = |what: String| IdentityError::File { path: path.to_owned(), what };
        let mut bytes = Zeroizing::new(Vec::new());
        let read = std::fs::File::open(path).and_then(|f| f.take(MAX_BYTES + 1).read_to_end(&mut bytes));
        match read {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && !self.named => {
                state.absent.push(path.to_owned());
                return Ok(());
            }
            Err(e) => return Err(wrong(format!("cannot be read: {e}"))),
            Ok(_) if bytes.len() as u64 > MAX_BYTES => return Err(wrong("is larger than 1 MiB".to_owned())),
            Ok(_) => {}
        }
        if bytes.starts_with(b"age-encryption.org/")
            || bytes.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----")
        {
            let key = LockedKey::Age(bytes.to_vec());
            state.locked.push(Locked { path: path.to_owned(), recipient: None, key });
            return Ok(());
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| wrong("is no text".to_owned()))?;
        if !text.trim_start().starts_with("-----BEGIN ") {
            let keys = identities(text).map_err(wrong)?;
            state.held.extend(keys.iter().map(|(r, _)| format!("{r} in {}", path.display())));
            state.open.extend(keys);
            return Ok(());
        }
        // The usual key of a person may be of a kind that opens nothing; that is no error unless it was named.
        let recipient = match ssh_recipient(text) {
            Ok(recipient) => recipient,
            Err(what) if self.named => return Err(wrong(what)),
            Err(what) => {
                state.held.push(format!("{}, which {what}", path.display()));
                return Ok(());
            }
        };
        state.held.push(format!("{recipient} in {}", path.display()));
        let identity = age::ssh::Identity::from_buffer(text.as_bytes(), None)
            .map_err(|_| wrong("is no ssh key that can be read".to_owned()))?;
        match identity {
            age::ssh::Identity::Unencrypted(_) => state.open.push((recipient, Arc::new(identity))),
            age::ssh::Identity::Encrypted(_) => state.locked.push(Locked {
                path: path.to_owned(),
                recipient: Some(recipient),
                key: LockedKey::Ssh(Box::new(identity)),
            }),
            age::ssh::Identity::Unsupported(_) => {
                return Err(wrong(
                    "is protected in a way that age does not know; `ssh-keygen -p` writes it anew".to_owned(),
                ));
            }
        }
        Ok(())
    }

    fn unlock(&self, locked: &Locked) -> Result<Vec<(String, Opener)>, IdentityError> {
        let closed = |what: String| IdentityError::Passphrase { path: locked.path.clone(), what };
        for _ in 0..TRIES {
            let passphrase =
                (self.ask)(&format!("Passphrase for {}: ", locked.path.display())).map_err(closed)?;
            match &locked.key {
                LockedKey::Ssh(identity) => {
                    let age::ssh::Identity::Encrypted(key) = &**identity else { continue };
                    if let Ok(open) = key.decrypt(passphrase) {
                        let recipient = locked.recipient.clone().unwrap_or_default();
                        return Ok(vec![(recipient, Arc::new(age::ssh::Identity::from(open)))]);
                    }
                }
                LockedKey::Age(cipher) => {
                    let wrong = |what: String| IdentityError::File { path: locked.path.clone(), what };
                    let decryptor = age::Decryptor::new(ArmoredReader::new(cipher.as_slice()))
                        .map_err(|e| wrong(format!("cannot be read: {e}")))?;
                    if !decryptor.is_scrypt() {
                        return Err(wrong("is encrypted to another identity; decrypt it first".to_owned()));
                    }
                    let key = age::scrypt::Identity::new(passphrase);
                    match decryptor.decrypt(std::iter::once(&key as &dyn age::Identity)) {
                        Ok(mut reader) => {
                            let mut text = Zeroizing::new(String::new());
                            reader
                                .read_to_string(&mut text)
                                .map_err(|e| wrong(format!("cannot be read: {e}")))?;
                            return identities(&text).map_err(wrong);
                        }
                        Err(age::DecryptError::ExcessiveWork { .. }) => {
                            return Err(wrong(
                                "takes too long to open with a passphrase on this machine".to_owned(),
                            ));
                        }
                        Err(_) => {}
                    }
                }
            }
        }
        Err(closed("the passphrase is wrong".to_owned()))
    }
}

/// The keys of an identity file as `age-keygen` writes it. Messages name lines, never what stands there.
fn identities(text: &str) -> Result<Vec<(String, Opener)>, String> {
    let mut found: Vec<(String, Opener)> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match age::x25519::Identity::from_str(line) {
            Ok(key) => found.push((key.to_public().to_string(), Arc::new(key))),
            Err(_) if line.starts_with("AGE-PLUGIN-") => {
                return Err(format!("has a key of a plugin in line {}, and khagen runs none", number + 1));
            }
            Err(_) if line.starts_with("ssh-") || line.starts_with("age1") => {
                return Err(format!("has a public key in line {}; the private one is needed", number + 1));
            }
            Err(_) => return Err(format!("has no age identity in line {}", number + 1)),
        }
    }
    if found.is_empty() { Err("holds no key".to_owned()) } else { Ok(found) }
}

/// The public half of an OpenSSH private key, which stands in it in the clear (OpenSSH's PROTOCOL.key).
fn ssh_recipient(text: &str) -> Result<String, String> {
    const MAGIC: &[u8] = b"openssh-key-v1\0";
    let body = text
        .trim()
        .strip_prefix("-----BEGIN OPENSSH PRIVATE KEY-----")
        .and_then(|rest| rest.strip_suffix("-----END OPENSSH PRIVATE KEY-----"))
        .ok_or("is neither an age identity file nor an OpenSSH private key")?;
    let base64: Zeroizing<String> = Zeroizing::new(body.split_whitespace().collect());
    let cut = || "is an OpenSSH private key that was cut or changed".to_owned();
    let bytes = Zeroizing::new(STANDARD.decode(base64.as_bytes()).map_err(|_| cut())?);
    let mut rest = bytes.strip_prefix(MAGIC).ok_or_else(cut)?;
    // Cipher, key derivation, its options; how many keys; the first one's public half.
    for _ in 0..3 {
        field(&mut rest).ok_or_else(cut)?;
    }
    rest = rest.get(4..).ok_or_else(cut)?;
    let public = field(&mut rest).ok_or_else(cut)?;
    let kind = field(&mut &*public).ok_or_else(cut)?;
    if kind != b"ssh-ed25519" {
        return Err(format!("is a {} key, and only ssh-ed25519 can decrypt", String::from_utf8_lossy(kind)));
    }
    Ok(format!("ssh-ed25519 {}", STANDARD.encode(public)))
}

/// A length of four bytes and as many bytes (RFC 4251 section 5).
fn field<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_at_checked(4)?;
    let length = usize::try_from(u32::from_be_bytes(length.try_into().ok()?)).ok()?;
    let (field, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(field)
}

#[cfg(test)]
mod tests {
    use super::super::recipients::Recipients;
    use super::*;

    fn in_file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("identity");
        std::fs::write(&path, text).unwrap();
        (dir, path)
    }

    fn nobody() -> Box<Ask> {
        Box::new(|_| Err("there is no terminal to ask on".to_owned()))
    }

    fn key() -> (String, String) {
        use age::secrecy::ExposeSecret;
        let key = age::x25519::Identity::generate();
        (key.to_string().expose_secret().to_owned(), key.to_public().to_string())
    }

    #[test]
    fn a_secret_comes_back_and_nobody_else_opens_it() {
        let ((one, one_public), (two, _)) = (key(), key());
        let to = Recipients::new([one_public.clone()]);
        let cipher = to.encrypter().unwrap().encrypt(b"top secret").unwrap();
        assert!(cipher.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----\n"));
        let (_dir, path) = in_file(&format!("# created: today\n{one}\n"));
        let open = Identities::new(vec![path], true, nobody());
        assert_eq!(open.decrypt(&cipher, to.as_slice()).unwrap().expose(), b"top secret");
        let (_dir, path) = in_file(&two);
        let wrong = Identities::new(vec![path], true, nobody());
        let Closed::Identity(error) = wrong.decrypt(&cipher, to.as_slice()).unwrap_err() else { panic!() };
        assert!(error.to_string().contains(&one_public), "{error}");
        for end in 0..cipher.len() - 1 {
            assert!(
                matches!(open.decrypt(&cipher[..end], to.as_slice()), Err(Closed::Damaged(_))),
                "cut at {end}"
            );
        }
    }

    #[test]
    fn files_that_are_no_identities_are_named_with_the_reason() {
        let (secret, public) = key();
        let said = |text: &str| {
            let (_dir, path) = in_file(text);
            let identities = Identities::new(vec![path], true, nobody());
            let Err(Closed::Identity(error)) = identities.decrypt(b"", &[]) else { panic!("{text}") };
            assert!(!error.to_string().contains("AGE-SECRET"), "{error}");
            error.to_string()
        };
        assert!(said("").contains("holds no key"));
        assert!(said(&public).contains("has a public key in line 1"));
        assert!(said(&format!("{secret}\nAGE-PLUGIN-YUBIKEY-1QQQ")).contains("a plugin in line 2"));
        assert!(said(&format!("{secret}x")).contains("has no age identity in line 1"));
        assert!(said("-----BEGIN RSA PRIVATE KEY-----").contains("is neither an age identity file nor"));
        assert!(
            said("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----")
                .contains("was cut or changed")
        );
        let gone = Identities::new(vec!["/nowhere/id".into()], true, nobody());
        assert!(matches!(gone.decrypt(b"", &[]), Err(Closed::Identity(IdentityError::File { .. }))));
        let usual = Identities::new(vec!["/nowhere/id".into()], false, nobody());
        let Err(Closed::Identity(error)) = usual.decrypt(b"", &[]) else { panic!() };
        assert_eq!(error.to_string(), "no identity to decrypt with, and there is no /nowhere/id");
    }

    #[test]
    fn a_passphrase_is_asked_for_once_and_only_where_it_helps() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let (secret, public) = key();
        let mut lock = age::scrypt::Recipient::new(SecretString::from("right".to_owned()));
        lock.set_work_factor(4);
        let protected = age::encrypt_and_armor(&lock, secret.as_bytes()).unwrap();
        let to = Recipients::new([public]);
        let cipher = to.encrypter().unwrap().encrypt(b"x").unwrap();
        let (_dir, path) = in_file(&protected);
        let asked = Arc::new(AtomicUsize::new(0));
        let counting = |answer: &'static str| -> Box<Ask> {
            let asked = asked.clone();
            Box::new(move |_| {
                asked.fetch_add(1, Ordering::Relaxed);
                Ok(SecretString::from(answer.to_owned()))
            })
        };
        let open = Identities::new(vec![path.clone()], true, counting("right"));
        for _ in 0..3 {
            assert!(open.decrypt(&cipher, to.as_slice()).is_ok());
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        let wrong = Identities::new(vec![path.clone()], true, counting("wrong"));
        for _ in 0..2 {
            let Err(Closed::Identity(error)) = wrong.decrypt(&cipher, to.as_slice()) else { panic!() };
            assert!(error.to_string().contains("the passphrase is wrong"), "{error}");
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1 + TRIES, "asked again after it was wrong");
        let silent = Identities::new(vec![path], true, nobody());
        let Err(Closed::Identity(error)) = silent.decrypt(&cipher, to.as_slice()) else { panic!() };
        assert!(error.to_string().ends_with("there is no terminal to ask on"), "{error}");
    }
}
