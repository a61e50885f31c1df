//! Whom the store is encrypted to: age's X25519 recipients and ssh-ed25519 public keys; and the encrypting.
//!
//! What comes out is an armored age file that `age` and `rage` decrypt. Opening one is [`super::identities`]' part.
//! Nothing here reads or writes a file.

use std::io::Write;
use std::str::FromStr;

use age::armor::{ArmoredWriter, Format};

/// Public keys in one spelling each, sorted, without doubles. None: the store is not encrypted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recipients(Vec<String>);

/// A text is no recipient that the store can be encrypted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecipientError {
    /// RSA keys of ssh.
    #[error(
        "ssh-rsa keys are not taken: decrypting with them leaks the key by its timing (RUSTSEC-2023-0071)"
    )]
    SshRsa,
    /// Keys that live in hardware, or other kinds.
    #[error(
        "of ssh's keys only ssh-ed25519 is taken: no other kind that age knows can decrypt without a plugin"
    )]
    SshOther,
    /// Recipients of plugins, and post-quantum ones.
    #[error(
        "only age's own X25519 recipients are taken, `age1` and 58 letters: others need a plugin or a newer age to decrypt"
    )]
    Plugin,
    /// Anything else.
    #[error("it is neither an age recipient (`age1` and 58 letters) nor a line of an id_ed25519.pub")]
    Unknown,
}

impl Recipients {
    /// Takes over what [`Recipients::parse`] gave.
    pub fn new(parsed: impl IntoIterator<Item = String>) -> Recipients {
        let mut list: Vec<String> = parsed.into_iter().collect();
        list.sort_unstable();
        list.dedup();
        Recipients(list)
    }

    /// Reads one recipient. A comment at the end of an ssh key is dropped.
    ///
    /// # Errors
    /// When the store cannot be encrypted to it.
    pub fn parse(text: &str) -> Result<String, RecipientError> {
        let mut words = text.split_whitespace();
        match (words.next().unwrap_or_default(), words.next()) {
            ("ssh-ed25519", Some(key)) => {
                let line = format!("ssh-ed25519 {key}");
                match age::ssh::Recipient::from_str(&line) {
                    Ok(age::ssh::Recipient::SshEd25519(..)) => Ok(line),
                    Ok(age::ssh::Recipient::SshRsa(..)) | Err(_) => Err(RecipientError::Unknown),
                }
            }
            ("ssh-rsa", _) => Err(RecipientError::SshRsa),
            (kind, Some(_))
                if kind.starts_with("ssh-") || kind.starts_with("ecdsa-") || kind.starts_with("sk-") =>
            {
                Err(RecipientError::SshOther)
            }
            (word, None) if word.starts_with("age1") => match age::x25519::Recipient::from_str(word) {
                Ok(recipient) => Ok(recipient.to_string()),
                // Bech32's separator is the last `1`; a plugin's name stands before it.
                Err(_) if word.len() != 62 || word[4..].contains('1') => Err(RecipientError::Plugin),
                Err(_) => Err(RecipientError::Unknown),
            },
            _ => Err(RecipientError::Unknown),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All, in order.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// Ready to encrypt many times.
    ///
    /// # Errors
    /// When one of them is none, which [`Recipients::parse`] excludes.
    pub(super) fn encrypter(&self) -> Result<Encrypter, RecipientError> {
        let parse = |text: &String| -> Result<Box<dyn age::Recipient + Send + Sync>, RecipientError> {
            if text.starts_with("ssh-") {
                let key = age::ssh::Recipient::from_str(text).map_err(|_| RecipientError::Unknown)?;
                return Ok(Box::new(key));
            }
            Ok(Box::new(age::x25519::Recipient::from_str(text).map_err(|_| RecipientError::Unknown)?))
        };
        Ok(Encrypter(self.0.iter().map(parse).collect::<Result<_, _>>()?))
    }
}

/// Recipients, parsed.
pub(super) struct Encrypter(Vec<Box<dyn age::Recipient + Send + Sync>>);

impl Encrypter {
    /// An armored age file. Its bytes differ each time: age draws a file key of its own, from the system.
    pub(super) fn encrypt(&self, plain: &[u8]) -> Result<Vec<u8>, String> {
        let recipients = self.0.iter().map(|r| &**r as &dyn age::Recipient);
        let encryptor = age::Encryptor::with_recipients(recipients).map_err(|e| e.to_string())?;
        let write = || -> std::io::Result<Vec<u8>> {
            let armor = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?;
            let mut writer = encryptor.wrap_output(armor)?;
            writer.write_all(plain)?;
            writer.finish()?.finish()
        };
        write().map_err(|e| e.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SSH: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
    const AGE: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

    #[test]
    fn a_recipient_has_one_spelling() {
        assert_eq!(Recipients::parse(&format!("  {SSH}   ops@bastion ")).as_deref(), Ok(SSH));
        assert_eq!(Recipients::parse(AGE).as_deref(), Ok(AGE));
        let list = Recipients::new([SSH.to_owned(), AGE.to_owned(), SSH.to_owned()]);
        assert_eq!(list.as_slice(), [AGE, SSH]);
    }

    #[test]
    fn what_cannot_be_encrypted_to_is_refused_with_its_reason() {
        let wrong = |text: &str| Recipients::parse(text).unwrap_err();
        assert_eq!(wrong("ssh-rsa AAAAB3NzaC1yc2E= x"), RecipientError::SshRsa);
        assert_eq!(wrong("sk-ssh-ed25519@openssh.com AAAA x"), RecipientError::SshOther);
        assert_eq!(wrong("ecdsa-sha2-nistp256 AAAA"), RecipientError::SshOther);
        assert_eq!(
            wrong("age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t"),
            RecipientError::Plugin
        );
        for text in ["", "ssh-ed25519", "ssh-ed25519 AAAA", "age1", "ops@example.com"] {
            assert!(matches!(wrong(text), RecipientError::Unknown | RecipientError::Plugin), "{text}");
        }
        // One letter of a good one changed: Bech32's checksum notices.
        assert_eq!(wrong(&AGE.replace("ql3", "qz3")), RecipientError::Unknown);
    }
}
