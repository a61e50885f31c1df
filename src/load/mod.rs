//! Reads an inventory folder into one merged tree per cluster.
//!
//! Every fault of reading, of syntax and of merging becomes a finding in the report; nothing here fails, panics or
//! waits for ever, whatever lies in the folder. What the keys mean is decided elsewhere.

pub mod tree;

use std::path::PathBuf;

use crate::source::SourceId;
use tree::Node;

/// The clusters of an inventory.
#[derive(Debug, Default)]
pub struct Loaded {
    /// In byte order of their folders. Empty when the report has errors that left nothing to check.
    pub clusters: Vec<LoadedCluster>,
}

/// One cluster: the merged tree of its documents.
#[derive(Debug)]
pub struct LoadedCluster {
    /// The subfolder's name when the inventory holds several clusters.
    pub folder: Option<String>,
    /// Where `secrets/`, `files/` and `patches/` of this cluster lie.
    pub dir: PathBuf,
    /// All documents merged: maps by key, `hosts` appended.
    pub root: Node,
    /// The documents it was merged from, in the order they were read.
    pub files: Vec<SourceId>,
}
