//! `kouan cert show`: what is in a PEM file, in words.

use std::net::IpAddr;
use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use super::CommandError;
use crate::crl::CrlFacts;
use crate::files;
use crate::identifiers::{CertSha256, CrlNumber, IssuerKey, Serial};
use crate::pem::{self, CRLS_BYTES_MAX};
use crate::spiffe::{SpiffeId, TrustDomain};
use crate::x509::{self, Facts};

/// Everything in one file.
#[derive(Debug, Clone, Serialize)]
pub struct Shown {
    /// Certificates in the order of the file.
    pub certificates: Vec<ShownCertificate>,
    /// Revocation lists in the order of the file. Their signatures are not verified.
    pub crls: Vec<ShownCrl>,
}

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CertificateKind {
    /// Signs certificates.
    Authority,
    /// A principal's.
    Client,
    /// A server's.
    Server,
    /// None of these: the gateway would refuse it.
    Other,
}

/// One certificate.
#[derive(Debug, Clone, Serialize)]
pub struct ShownCertificate {
    /// What it is for.
    pub kind: CertificateKind,
    /// The principal, of a client's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spiffe_id: Option<SpiffeId>,
    /// The trust domain, of an authority's that says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust_domain: Option<TrustDomain>,
    /// DNS names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<String>,
    /// Addresses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ips: Vec<IpAddr>,
    /// Subject as text.
    pub subject: String,
    /// Issuer as text.
    pub issuer: String,
    /// Its serial.
    pub serial: Serial,
    /// Its digest, base64url.
    pub x5t_s256: CertSha256,
    /// Its digest, hexadecimal.
    pub sha256: String,
    /// Digest of its public key.
    pub public_key_sha256: IssuerKey,
    /// From when it is valid.
    pub not_before: Timestamp,
    /// Until when it is valid.
    pub not_after: Timestamp,
    /// Whether it is valid now; revocation is another question.
    pub in_validity: bool,
    /// Why a gateway would refuse it as a client's, whoever issued it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// One revocation list.
#[derive(Debug, Clone, Serialize)]
pub struct ShownCrl {
    /// Issuer as text.
    pub issuer: String,
    /// Its number.
    pub crl_number: CrlNumber,
    /// Start of its validity.
    pub this_update: Timestamp,
    /// End of its validity.
    pub next_update: Timestamp,
    /// Whether it is stale now.
    pub stale: bool,
    /// What it revokes.
    pub revoked: Vec<ShownRevoked>,
}

/// One revoked certificate.
#[derive(Debug, Clone, Serialize)]
pub struct ShownRevoked {
    /// Its serial.
    pub serial: Serial,
    /// Since when.
    pub at: Timestamp,
    /// RFC 5280 §5.3.1 reason code, if given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason_code: Option<u8>,
}

/// Shows the certificates and revocation lists of a PEM file.
///
/// # Errors
///
/// [`CommandError::NothingToShow`] for a file with neither.
pub fn show(path: &Path, now: Timestamp) -> Result<Shown, CommandError> {
    let text = files::read_text(path, CRLS_BYTES_MAX as u64)?;
    let nothing = |error| match error {
        pem::PemError::Empty { .. } => Ok(Vec::new()),
        error => Err(CommandError::Pem { path: path.to_owned(), error }),
    };
    let crls = pem::crls(&text)
        .or_else(|error| nothing(error).map(|_| Vec::new()))?
        .iter()
        .map(|der| CrlFacts::read(der).map(|facts| shown_crl(facts, now)))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| CommandError::Crl { path: path.to_owned(), error })?;
    let certificates = match pem::certificates(&text) {
        // A file of lists may be larger than any bundle of certificates.
        Err(pem::PemError::TooLarge { .. }) if !crls.is_empty() => Vec::new(),
        found => found.or_else(nothing)?,
    };
    let certificates = certificates
        .iter()
        .map(|der| shown_certificate(der, now))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| CommandError::Certificate { path: path.to_owned(), error })?;
    if certificates.is_empty() && crls.is_empty() {
        return Err(CommandError::NothingToShow { path: path.to_owned() });
    }
    Ok(Shown { certificates, crls })
}

fn shown_certificate(der: &[u8], now: Timestamp) -> Result<ShownCertificate, x509::Unreadable> {
    let cert = x509::parse(der)?;
    let facts = Facts::of(&cert)?;
    let principal = crate::profile::principal(&facts);
    let refused = principal.as_ref().err().cloned().or_else(|| crate::profile::check_client(&facts, now).err());
    let eku = facts.extended_key_usage;
    let kind = if facts.is_ca() {
        CertificateKind::Authority
    } else if eku.is_some_and(|eku| eku.client_auth) && principal.is_ok() {
        CertificateKind::Client
    } else if eku.is_some_and(|eku| eku.server_auth) {
        CertificateKind::Server
    } else {
        CertificateKind::Other
    };
    let names = facts.names.clone().unwrap_or_default();
    let trust_domain = match names.uris.as_slice() {
        [uri] if kind == CertificateKind::Authority => {
            uri.strip_prefix("spiffe://").and_then(|domain| domain.parse().ok())
        }
        _ => None,
    };
    let is_leaf_for_us = matches!(kind, CertificateKind::Client | CertificateKind::Other);
    Ok(ShownCertificate {
        kind,
        spiffe_id: principal.ok(),
        trust_domain,
        dns: names.dns,
        ips: names.ips.iter().filter_map(|ip| address(ip)).collect(),
        subject: cert.subject().to_string(),
        issuer: cert.issuer().to_string(),
        serial: facts.serial,
        x5t_s256: CertSha256::of(der),
        sha256: CertSha256::of(der).to_hex(),
        public_key_sha256: facts.key,
        not_before: facts.not_before,
        not_after: facts.not_after,
        in_validity: facts.not_before <= now && now <= facts.not_after,
        refused: refused.filter(|_| is_leaf_for_us).map(|denied| denied.to_string()),
    })
}

fn shown_crl(facts: CrlFacts, now: Timestamp) -> ShownCrl {
    ShownCrl {
        issuer: facts.issuer,
        crl_number: facts.number,
        this_update: facts.this_update,
        next_update: facts.next_update,
        stale: now >= facts.next_update,
        revoked: facts
            .revoked
            .into_iter()
            .map(|entry| ShownRevoked { serial: entry.serial, at: entry.at, reason_code: entry.reason })
            .collect(),
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(octets).map(IpAddr::from).or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok()
}
