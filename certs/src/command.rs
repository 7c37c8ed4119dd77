//! What `kouan cert ca|issue|revoke|crl|show|p12` do. The command line parses and prints.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::authority::{AuthorityError, Issued, RevocationReason, ServerNames};
use crate::ca_dir::{CaDir, CaDirError, CreateOptions, WrittenCrl};
use crate::files::{self, FileError};
use crate::identifiers::{CertSha256, CrlNumber, Serial};
use crate::keys::{Algorithm, PrivateKey};
use crate::p12::P12Error;
use crate::pem::{self, PemError};
use crate::spiffe::{SpiffeId, TrustDomain};
use crate::x509::{Facts, Unreadable};

mod bundle;
mod show;

pub use bundle::{MakeP12, P12Written, make_p12};
pub use show::{CertificateKind, Shown, ShownCertificate, ShownCrl, ShownRevoked, show};

/// How long an authority lives if nothing else is asked.
pub const DEFAULT_CA_LENGTH: SignedDuration = SignedDuration::from_hours(24 * 3650);
/// How long a leaf lives if nothing else is asked.
pub const DEFAULT_LEAF_LENGTH: SignedDuration = SignedDuration::from_hours(24 * 365);
/// How long a revocation list lives if nothing else is asked: when it is stale, every
/// certificate of the authority is denied, so sign a fresh one well before.
pub const DEFAULT_CRL_LENGTH: SignedDuration = SignedDuration::from_hours(24 * 30);

const PEM_BYTES_MAX: u64 = 1 << 20;

/// Why a `kouan cert` command did nothing, or not all.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The authority's folder.
    #[error(transparent)]
    CaDir(#[from] CaDirError),
    /// A file that was named.
    #[error(transparent)]
    File(#[from] FileError),
    /// A PEM file that was named.
    #[error("`{}`: {error}", path.display())]
    Pem {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        error: PemError,
    },
    /// A certificate that was named.
    #[error("`{}`: {error}", path.display())]
    Certificate {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        error: Unreadable,
    },
    /// A revocation list that was named.
    #[error("`{}`: {error}", path.display())]
    Crl {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        error: crate::crl::CrlError,
    },
    /// The key could not be made.
    #[error(transparent)]
    Key(#[from] crate::keys::KeyError),
    /// The bundle could not be made.
    #[error(transparent)]
    P12(#[from] P12Error),
    /// Revoking by a certificate of another authority.
    #[error("`{}` was not issued by the authority of `{}`", path.display(), dir.display())]
    OtherIssuer {
        /// The certificate.
        path: PathBuf,
        /// The authority's folder.
        dir: PathBuf,
    },
    /// A PEM file with neither certificate nor CRL.
    #[error("`{}` holds neither a certificate nor a CRL in PEM", path.display())]
    NothingToShow {
        /// Which.
        path: PathBuf,
    },
}

impl From<AuthorityError> for CommandError {
    fn from(error: AuthorityError) -> Self {
        Self::CaDir(error.into())
    }
}

/// `kouan cert ca`.
#[derive(Debug, Clone)]
pub struct CreateCa<'a> {
    /// The authority's folder, made if need be.
    pub dir: &'a Path,
    /// Whose authority.
    pub trust_domain: &'a TrustDomain,
    /// Kind of its key.
    pub algorithm: Algorithm,
    /// How long it lives.
    pub length: SignedDuration,
    /// How long its first revocation list lives.
    pub crl_length: SignedDuration,
}

/// What `kouan cert ca` made.
#[derive(Debug, Clone, Serialize)]
pub struct CaCreated {
    /// Whose authority.
    pub trust_domain: TrustDomain,
    /// `ca.pem`: give it to the gateways.
    pub ca: PathBuf,
    /// `ca.key`, mode 0600: give it to nobody.
    pub key: PathBuf,
    /// `crl.pem`: give it to the gateways too.
    pub crl: PathBuf,
    /// The authority's serial.
    pub serial: Serial,
    /// Digest of `ca.pem`.
    pub x5t_s256: CertSha256,
    /// When the authority ends.
    pub not_after: Timestamp,
    /// When the revocation list becomes stale.
    pub crl_next_update: Timestamp,
}

/// Makes a participant's authority. See [`CaDir::create`].
pub fn create_ca(args: &CreateCa<'_>, now: Timestamp) -> Result<CaCreated, CommandError> {
    let options = CreateOptions { algorithm: args.algorithm, length: args.length, crl_length: args.crl_length };
    let made = CaDir::create(args.dir, args.trust_domain, options, now)?;
    let crl = made.written_crl()?;
    let validity = made.ca().validity();
    Ok(CaCreated {
        trust_domain: args.trust_domain.clone(),
        ca: args.dir.join("ca.pem"),
        key: args.dir.join("ca.key"),
        crl: args.dir.join("crl.pem"),
        serial: made.ca().serial().clone(),
        x5t_s256: made.ca().cert_sha256(),
        not_after: validity.not_after,
        crl_next_update: crl.map_or(now, |crl| crl.next_update),
    })
}

/// `kouan cert issue`.
#[derive(Debug, Clone)]
pub struct Issue<'a> {
    /// The authority's folder.
    pub dir: &'a Path,
    /// Where `<stem>.pem` and `<stem>.key` go, such as the authority's folder.
    pub out: &'a Path,
    /// File name without ending; for a client by default `<role>-<name>`, for a server `server`.
    pub stem: Option<&'a str>,
    /// Kind of the new key.
    pub algorithm: Algorithm,
    /// How long the certificate lives; cut to the authority's end.
    pub length: SignedDuration,
}

/// What `kouan cert issue` made.
#[derive(Debug, Clone, Serialize)]
pub struct CertificateIssued {
    /// The principal, unless it is a server's certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spiffe_id: Option<SpiffeId>,
    /// The server's names, if it is a server's certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerNames>,
    /// The certificate's file.
    pub certificate: PathBuf,
    /// The key's file, mode 0600.
    pub key: PathBuf,
    /// Its serial.
    pub serial: Serial,
    /// Its digest.
    pub x5t_s256: CertSha256,
    /// From when it is valid.
    pub not_before: Timestamp,
    /// Until when it is valid.
    pub not_after: Timestamp,
}

/// Issues a client certificate with a new key.
///
/// # Errors
///
/// [`FileError::Exists`] if one of the two files is there already; nothing is issued then.
pub fn issue(args: &Issue<'_>, spiffe: &SpiffeId, now: Timestamp) -> Result<CertificateIssued, CommandError> {
    let default_stem = format!("{}-{}", spiffe.role(), spiffe.name());
    let files = NewPair::reserve(args, &default_stem)?;
    let key = PrivateKey::generate(args.algorithm)?;
    let issued = CaDir::open(args.dir)?.issue_client(spiffe, &key, args.length, now)?;
    files.write(&key, issued, Some(spiffe.clone()), None)
}

/// Issues a server certificate with a new key; errors as [`issue`].
pub fn issue_server(args: &Issue<'_>, names: &ServerNames, now: Timestamp) -> Result<CertificateIssued, CommandError> {
    let files = NewPair::reserve(args, "server")?;
    let key = PrivateKey::generate(args.algorithm)?;
    let issued = CaDir::open(args.dir)?.issue_server(names, &key, args.length, now)?;
    files.write(&key, issued, None, Some(names.clone()))
}

/// The two files that issuing makes.
struct NewPair {
    certificate: PathBuf,
    key: PathBuf,
}

impl NewPair {
    fn reserve(args: &Issue<'_>, default_stem: &str) -> Result<Self, CommandError> {
        let stem = args.stem.unwrap_or(default_stem);
        let certificate = args.out.join(format!("{stem}.pem"));
        let key = args.out.join(format!("{stem}.key"));
        for path in [&certificate, &key] {
            if path.exists() {
                return Err(FileError::Exists { path: path.clone() }.into());
            }
        }
        files::create_folder(args.out)?;
        Ok(Self { certificate, key })
    }

    fn write(
        self,
        key: &PrivateKey,
        issued: Issued,
        spiffe_id: Option<SpiffeId>,
        server: Option<ServerNames>,
    ) -> Result<CertificateIssued, CommandError> {
        files::write_key_file(&self.key, &key.to_pem())?;
        files::write_public_file(&self.certificate, &issued.pem)?;
        Ok(CertificateIssued {
            spiffe_id,
            server,
            certificate: self.certificate,
            key: self.key,
            serial: issued.serial,
            x5t_s256: issued.cert_sha256,
            not_before: issued.validity.not_before,
            not_after: issued.validity.not_after,
        })
    }
}

/// What to revoke.
#[derive(Debug, Clone)]
pub enum Target<'a> {
    /// The certificate in this file.
    Certificate(&'a Path),
    /// The certificate of this serial.
    Serial(Serial),
}

/// What `kouan cert revoke` and `kouan cert crl` wrote.
#[derive(Debug, Clone, Serialize)]
pub struct CrlSigned {
    /// The serial that was revoked, if one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<Serial>,
    /// The list: give it to the gateways.
    pub crl: PathBuf,
    /// Its number.
    pub crl_number: CrlNumber,
    /// Start of its validity.
    pub this_update: Timestamp,
    /// End of its validity.
    pub next_update: Timestamp,
    /// How many certificates it revokes.
    pub revoked: usize,
}

impl CrlSigned {
    fn new(dir: &Path, serial: Option<Serial>, written: &WrittenCrl) -> Self {
        Self {
            serial,
            crl: dir.join("crl.pem"),
            crl_number: written.number,
            this_update: written.validity.not_before,
            next_update: written.validity.not_after,
            revoked: written.revoked,
        }
    }
}

/// Revokes a certificate and signs a fresh list of `crl_length`.
pub fn revoke(
    dir: &Path,
    target: &Target<'_>,
    reason: RevocationReason,
    crl_length: SignedDuration,
    now: Timestamp,
) -> Result<CrlSigned, CommandError> {
    let mut authority = CaDir::open(dir)?;
    let serial = match target {
        Target::Serial(serial) => serial.clone(),
        Target::Certificate(path) => serial_of(path, &authority)?,
    };
    let written = authority.revoke(&serial, reason, crl_length, now)?;
    Ok(CrlSigned::new(dir, Some(serial), &written))
}

/// Signs a fresh list of `crl_length`.
pub fn sign_crl(dir: &Path, crl_length: SignedDuration, now: Timestamp) -> Result<CrlSigned, CommandError> {
    let written = CaDir::open(dir)?.sign_crl(crl_length, now)?;
    Ok(CrlSigned::new(dir, None, &written))
}

/// Two authorities may have given the same serial: the issuer's name must fit too.
fn serial_of(path: &Path, authority: &CaDir) -> Result<Serial, CommandError> {
    let text = files::read_text(path, PEM_BYTES_MAX)?;
    let certs = pem::certificates(&text).map_err(|error| CommandError::Pem { path: path.to_owned(), error })?;
    let unreadable = |error| CommandError::Certificate { path: path.to_owned(), error };
    let leaf = certs.first().ok_or(Unreadable::Malformed);
    let leaf = leaf.and_then(|der| Facts::read(der)).map_err(unreadable)?;
    let ca = pem::certificates(authority.ca().pem()).map_err(AuthorityError::from)?;
    let ca = ca.first().ok_or(Unreadable::Malformed);
    let ca = ca.and_then(|der| Facts::read(der)).map_err(unreadable)?;
    if leaf.issuer != ca.subject {
        return Err(CommandError::OtherIssuer { path: path.to_owned(), dir: authority.dir().to_owned() });
    }
    Ok(leaf.serial)
}
