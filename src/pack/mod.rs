//! From symbolic files to tarballs and review text. Knows nothing of clusters, clocks or the file system.

pub mod bundle;
pub mod tarball;
