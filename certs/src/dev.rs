//! The development PKI that `kouan quickstart` leaves behind, under `DIR/pki`.
//!
//! What is there is taken up and never overwritten, with one exception: a certificate or
//! revocation list that has ended, or ends within [`RENEW_WITHIN`], is signed anew for the key
//! that is there, since otherwise a quickstart of last quarter could never run again. Keys are
//! never replaced, revocations never forgotten, CRL numbers only rise.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use crate::authority::AuthorityError;
use crate::ca_dir::CaDirError;
use crate::files::{self, FileError};
use crate::identifiers::CertSha256;
use crate::spiffe::{Role, SpiffeId, SpiffeIdError, TrustDomain};
use crate::trust::TrustError;

mod shop;

use shop::Shop;

/// How long development certificates and revocation lists live.
pub const LENGTH: SignedDuration = SignedDuration::from_hours(24 * 90);
/// What ends this soon is renewed, so that a gateway started today does not fail tomorrow.
pub const RENEW_WITHIN: SignedDuration = SignedDuration::from_hours(24 * 14);

/// Why the development PKI cannot be made or taken up.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// A participant's authority.
    #[error("authority of `{id}`: {error}")]
    Authority {
        /// Whose.
        id: String,
        /// What is wrong.
        error: CaDirError,
    },
    /// A participant's trust bundle.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The server's authority.
    #[error("server authority (`trust.pem`, `trust.key`): {0}")]
    ServerAuthority(AuthorityError),
    /// A participant or principal whose name cannot be used.
    #[error("`{id}`: {error}")]
    Name {
        /// The participant.
        id: String,
        /// What is wrong.
        error: SpiffeIdError,
    },
    /// A participant's id that is no file name.
    #[error("participant id `{id}` is not 1 to 64 characters of `a-z`, `0-9`, `-`")]
    ParticipantId {
        /// The id.
        id: String,
    },
    /// A file that is there but is not what belongs there.
    #[error("`{}` is not usable: {reason}; move it away to have a new one made", path.display())]
    Unusable {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// A participant to make an authority and certificates for.
#[derive(Debug, Clone, Copy)]
pub struct DevParticipant<'a> {
    /// Its id and folder name, such as `hku`.
    pub id: &'a str,
    /// Its trust domain, such as `hku.hk`.
    pub trust_domain: &'a str,
    /// Its principals.
    pub principals: &'a [(Role, &'a str)],
}

/// A certificate and its key on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairPaths {
    /// The certificate.
    pub certificate: PathBuf,
    /// The key, mode 0600.
    pub key: PathBuf,
}

/// A principal with its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevPrincipal {
    /// Its name.
    pub spiffe: SpiffeId,
    /// Its files.
    pub paths: PairPaths,
    /// Digest of its certificate.
    pub cert_sha256: CertSha256,
    /// When it ends.
    pub not_after: Timestamp,
    /// Whether someone has revoked it, which is left as it is.
    pub revoked: bool,
}

/// A participant's authority with its files and principals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevAuthority {
    /// The participant.
    pub id: String,
    /// Its trust domain.
    pub trust_domain: TrustDomain,
    /// `ca.pem`.
    pub ca: PathBuf,
    /// `crl.pem`.
    pub crl: PathBuf,
    /// In the order that was asked for.
    pub principals: Vec<DevPrincipal>,
}

/// What was done to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It was not there.
    Created,
    /// It had ended or soon would have: signed anew for the same key.
    Renewed,
}

/// The development PKI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevPki {
    /// `DIR/pki`.
    pub dir: PathBuf,
    /// Verifies the server: `DIR/pki/trust.pem`.
    pub trust: PathBuf,
    /// The server's certificate for `localhost`, `127.0.0.1` and `::1`.
    pub server: PairPaths,
    /// In the order that was asked for.
    pub participants: Vec<DevAuthority>,
    /// Certificates and revocation lists that were made or renewed.
    pub changes: Vec<(PathBuf, Change)>,
}

/// Makes what is missing under `dir`/pki and takes up what is there. Running it again changes
/// nothing until something is about to end.
///
/// # Errors
///
/// [`DevError::Unusable`] names a file that is not what belongs there; nothing is overwritten.
pub fn ensure(dir: &Path, now: Timestamp, participants: &[DevParticipant<'_>]) -> Result<DevPki, DevError> {
    let mut shop = Shop { dir: dir.join("pki"), now, changes: Vec::new() };
    files::create_folder(&shop.dir)?;
    let server = shop.server()?;
    let participants =
        participants.iter().map(|participant| shop.participant(participant)).collect::<Result<Vec<_>, _>>()?;
    Ok(DevPki { trust: shop.dir.join("trust.pem"), server, participants, changes: shop.changes, dir: shop.dir })
}
