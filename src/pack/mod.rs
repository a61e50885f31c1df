//! From symbolic files to tarballs and review text. Knows nothing of clusters, clocks or the file system.

pub mod bundle;
mod gzip;
pub mod tarball;
