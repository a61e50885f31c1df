//! What a generated file is made of: public text and secrets by name.
//!
//! A secret stays symbolic here; its bytes are put in only while a tarball is packed. So rendering needs no key,
//! and nothing that prints, compares or diffs a `Content` can leak one.

use std::fmt;
use std::sync::Arc;

/// Names an object of the store, for example `ca/kubernetes` or `apiserver/k8smaster1.isociel.com`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(Arc<str>);

impl ObjectId {
    /// Names an object. Parts are separated by `/` and become folders in the store.
    pub fn new(id: impl AsRef<str>) -> ObjectId {
        ObjectId(Arc::from(id.as_ref()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a secret's bytes stand in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// As they are in the store.
    Raw,
    /// Standard base64 on one line, as kubeconfigs have it.
    Base64,
}

impl Encoding {
    /// The name in manifests.
    pub fn as_str(self) -> &'static str {
        match self {
            Encoding::Raw => "raw",
            Encoding::Base64 => "base64",
        }
    }
}

/// A piece of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Public text.
    Text(String),
    /// A secret of the store.
    Secret(ObjectId, Encoding),
}

/// A file's content, symbolic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    pieces: Vec<Piece>,
}

impl Content {
    /// A file of public text.
    pub fn text(text: impl Into<String>) -> Content {
        Content { pieces: vec![Piece::Text(text.into())] }
    }

    /// A file that is one secret.
    pub fn secret(id: ObjectId) -> Content {
        Content { pieces: vec![Piece::Secret(id, Encoding::Raw)] }
    }

    /// Appends text.
    pub fn push_str(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if let Some(Piece::Text(last)) = self.pieces.last_mut() {
            last.push_str(text);
        } else {
            self.pieces.push(Piece::Text(text.to_owned()));
        }
    }

    /// Appends a secret.
    pub fn push_secret(&mut self, id: ObjectId, encoding: Encoding) {
        self.pieces.push(Piece::Secret(id, encoding));
    }

    /// The pieces, in order.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Whether any piece is a secret.
    pub fn is_secret(&self) -> bool {
        self.pieces.iter().any(|p| matches!(p, Piece::Secret(..)))
    }

    /// The secrets that the file names.
    pub fn secrets(&self) -> impl Iterator<Item = &ObjectId> {
        self.pieces.iter().filter_map(|p| match p {
            Piece::Secret(id, _) => Some(id),
            Piece::Text(_) => None,
        })
    }
}
