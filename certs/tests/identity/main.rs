//! The identity profile from outside: what is refused and why, in the store, in a real
//! handshake, on disk, and in the eyes of OpenSSL.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod bundles;
mod commands;
mod development;
mod fuzz;
mod handshake;
mod lists;
mod openssl;
mod paths;
mod pki;
mod refusals;
