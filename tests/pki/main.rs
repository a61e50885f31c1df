//! Keys and certificates from outside: what is issued is judged by openssl, what is stored survives being opened,
//! broken and left alone.

mod broken;
mod cluster;
mod edits;
mod kept;
mod openssl;
