//! Which keys of the operator's decrypt the store, and how a passphrase is asked for.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;

use age::secrecy::SecretString;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::cli::Identity;
use crate::pki::identities::Identities;

/// Names an identity file where no `--identity` does.
const VARIABLE: &str = "KHAGEN_IDENTITY";

/// The files of `--identity`; without them that of KHAGEN_IDENTITY; without it the usual ssh key. Nothing is opened yet.
pub fn identities(args: &Identity) -> Identities {
    if !args.identity.is_empty() {
        return Identities::new(args.identity.clone(), true, Box::new(ask));
    }
    if let Some(file) = std::env::var_os(VARIABLE).filter(|file| !file.is_empty()) {
        return Identities::new(vec![file.into()], true, Box::new(ask));
    }
    let usual = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".ssh/id_ed25519"));
    Identities::new(usual.into_iter().collect(), false, Box::new(ask))
}

/// Gives the terminal its echo back.
struct Echo<'a> {
    terminal: &'a File,
    before: rustix::termios::Termios,
}

impl Drop for Echo<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
    }
}

/// Asks on the terminal, wherever standard input and output go.
pub(super) fn ask(prompt: &str) -> Result<SecretString, String> {
    let terminal = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/tty")
        .map_err(|_| "there is no terminal to ask for it".to_owned())?;
    let failed = |e: std::io::Error| format!("it could not be asked for: {e}");
    let before = tcgetattr(&terminal).map_err(|e| failed(e.into()))?;
    let mut silent = before.clone();
    silent.local_modes -= LocalModes::ECHO;
    tcsetattr(&terminal, OptionalActions::Flush, &silent).map_err(|e| failed(e.into()))?;
    let echo = Echo { terminal: &terminal, before };
    (&terminal).write_all(prompt.as_bytes()).map_err(failed)?;
    let mut line = Zeroizing::new(String::with_capacity(256));
    let read = BufReader::with_capacity(256, &terminal).read_line(&mut line);
    drop(echo);
    let _ = (&terminal).write_all(b"\n");
    if read.map_err(failed)? == 0 {
        return Err("nothing was entered".to_owned());
    }
    Ok(SecretString::from(line.trim_end_matches(['\n', '\r']).to_owned()))
}
