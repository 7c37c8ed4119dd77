//! The identity profile: who a certificate names, which authority may say so, and how the
//! certificates, revocation lists and TLS configurations of Kouan are made.
//!
//! A principal is the one URI SAN `spiffe://<trust domain>/<role>/<name>` of a client
//! certificate. A trust domain belongs to one participant, and only the authorities and
//! revocation lists of that trust domain can vouch for it (SPIFFE federation).
//!
//! Module by module: [`spiffe`] names; [`signature`] signs messages of our own, [`jws`] documents;
//! [`trust`] verifies; [`rustls_verifier`] and [`tls`] put it into handshakes; [`authority`] issues; [`ca_dir`], [`command`] and [`dev`] keep an
//! authority on disk. Everything but [`files`], [`ca_dir`], [`command`] and [`dev`] is free
//! of file I/O, and `now` is always an argument.

pub mod authority;
pub mod ca_dir;
pub mod command;
pub mod crl;
pub mod denied;
pub mod dev;
pub mod files;
pub mod identifiers;
pub mod jws;
pub mod keys;
pub mod p12;
pub mod rustls_verifier;
pub mod signature;
pub mod spiffe;
pub mod tls;
pub mod trust;

mod path;
mod pem;
mod profile;
mod x509;

pub use crate::denied::Denied;
pub use crate::identifiers::{CertSha256, CrlNumber, IssuerKey, Serial};
pub use crate::spiffe::{Role, SpiffeId, SpiffeIdError, TrustDomain};
pub use crate::trust::{TrustError, TrustStore, TrustStoreBuilder, Verified};
