//! Khagen compiles an inventory into one installable bundle per host.
