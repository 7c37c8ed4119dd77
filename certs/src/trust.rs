//! Who may vouch for whom: per trust domain its own authorities and revocation lists.
//!
//! INVARIANT (INV-7): the roots for a leaf are chosen by the trust domain that its URI SAN
//! names, and no authority key belongs to two trust domains. So an authority of one
//! participant cannot name a principal of another.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;

use crate::crl::{Crl, CrlError};
use crate::denied::Denied;
use crate::identifiers::{CertSha256, CrlNumber, IssuerKey, Serial};
use crate::path::{Authorities, Revocation};
use crate::pem::{self, PemError};
use crate::profile;
use crate::spiffe::{SpiffeId, TrustDomain};
use crate::x509::{Facts, Unreadable};

mod builder;
#[cfg(test)]
mod limbo_tests;

use builder::Bundle;
pub use builder::TrustStoreBuilder;

/// Most certificates of a chain that a peer may send, its leaf included.
pub const CHAIN_CERTIFICATES_MAX: usize = 8;
/// Most bytes of all certificates of a chain that a peer may send.
pub const CHAIN_BYTES_MAX: usize = 32 << 10;

/// Why a trust bundle cannot be used. `trust_domain` says whose bundle it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// The CA bundle is no PEM, empty or too large.
    #[error("CA bundle of `{trust_domain}`: {error}")]
    CaPem {
        /// Whose.
        trust_domain: TrustDomain,
        /// What is wrong with it.
        error: PemError,
    },
    /// The text of revocation lists is no PEM, empty or too large.
    #[error("CRL of `{trust_domain}`: {error}")]
    CrlPem {
        /// Whose.
        trust_domain: TrustDomain,
        /// What is wrong with it.
        error: PemError,
    },
    /// A certificate of the bundle cannot be an authority's.
    #[error("certificate {index} of the CA bundle of `{trust_domain}`: {error}")]
    Ca {
        /// Whose.
        trust_domain: TrustDomain,
        /// Counted from 1.
        index: usize,
        /// What is wrong with it.
        error: CaError,
    },
    /// Nothing to anchor trust in.
    #[error("CA bundle of `{trust_domain}` has no self-signed certificate: add the root")]
    NoRoot {
        /// Whose.
        trust_domain: TrustDomain,
    },
    /// A revocation list that is broken or not from an authority of the bundle.
    #[error("CRL {index} of `{trust_domain}`: {error}")]
    Crl {
        /// Whose.
        trust_domain: TrustDomain,
        /// Counted from 1.
        index: usize,
        /// What is wrong with it.
        error: CrlError,
    },
    /// Two different lists of one issuer with one number: which is newer cannot be known.
    #[error("two different CRLs of one issuer of `{trust_domain}` both have number {number}")]
    CrlAmbiguous {
        /// Whose.
        trust_domain: TrustDomain,
        /// The number of both.
        number: CrlNumber,
    },
    /// Older than a list that was in use: taking it would undo revocations.
    #[error("CRL of `{trust_domain}` is not newer: its number is {got}, number {have} was in use")]
    CrlNotNewer {
        /// Whose.
        trust_domain: TrustDomain,
        /// The last number known.
        have: CrlNumber,
        /// The number of the list offered.
        got: CrlNumber,
    },
    /// Offered past its next update.
    #[error("CRL of `{trust_domain}` is stale since {next_update}: sign a fresh one")]
    CrlStale {
        /// Whose.
        trust_domain: TrustDomain,
        /// End of its validity.
        next_update: Timestamp,
    },
    /// The same trust domain twice.
    #[error("trust domain `{trust_domain}` is given twice")]
    DomainTwice {
        /// Which.
        trust_domain: TrustDomain,
    },
    /// One authority in the bundles of two participants: it could name both (INV-7).
    #[error("an authority of `{trust_domain}` also belongs to `{other}`: each trust domain needs its own")]
    SharedAuthority {
        /// The later one.
        trust_domain: TrustDomain,
        /// The earlier one.
        other: TrustDomain,
    },
    /// Asked about a trust domain that is not in the store.
    #[error("trust domain `{trust_domain}` belongs to no participant")]
    UnknownTrustDomain {
        /// Which.
        trust_domain: TrustDomain,
    },
}

/// Why a certificate cannot be an authority's (RFC 5280 §4.2.1.2, .3, .9).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaError {
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// basicConstraints is missing, not critical, or does not say CA.
    #[error("not a CA certificate (basicConstraints must be critical and say CA:TRUE)")]
    NotCa,
    /// KeyUsage is missing or lacks keyCertSign.
    #[error("key usage lacks keyCertSign")]
    KeyUsage,
    /// No subject key identifier.
    #[error("no subject key identifier")]
    NoKeyIdentifier,
    /// Its URI SAN says that it is the authority of another trust domain.
    #[error("it says that it is the authority of `{0}`")]
    OtherTrustDomain(TrustDomain),
    /// Its URI SAN is a SPIFFE ID, but not a trust domain's.
    #[error("a URI SAN of an authority must be `spiffe://<trust domain>`")]
    NotATrustDomain,
    /// The subject name is empty: nothing could be issued in it.
    #[error("subject name is empty")]
    EmptySubject,
    /// A weak or unsupported key.
    #[error("weak or unsupported key (RSA from 2048 bits, P-256, P-384 or Ed25519)")]
    WeakKey,
    /// A critical extension that we do not understand.
    #[error("unknown critical extension")]
    UnknownCriticalExtension,
}

/// A client certificate that a trusted authority vouches for.
///
/// There is no other way to obtain one than [`TrustStore::verify`] (INV-7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    spiffe: SpiffeId,
    cert_sha256: CertSha256,
    serial: Serial,
    issuer_key: IssuerKey,
    not_after: Timestamp,
    crl_next_update: Timestamp,
    valid_until: Timestamp,
}

impl Verified {
    /// The principal that it names.
    pub fn spiffe(&self) -> &SpiffeId {
        &self.spiffe
    }

    /// SHA-256 of the certificate, to which tickets and URLs are bound.
    pub fn cert_sha256(&self) -> CertSha256 {
        self.cert_sha256
    }

    /// Its serial.
    pub fn serial(&self) -> &Serial {
        &self.serial
    }

    /// The key of the authority that issued it: serial and key together name a certificate.
    pub fn issuer_key(&self) -> IssuerKey {
        self.issuer_key
    }

    /// The end of the certificate's own validity.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// When the revocation list of its issuer becomes stale.
    pub fn crl_next_update(&self) -> Timestamp {
        self.crl_next_update
    }

    /// The earliest end among all certificates and revocation lists of the path: nothing may
    /// be granted past it (FAULTS I19).
    pub fn valid_until(&self) -> Timestamp {
        self.valid_until
    }
}

/// The state of one revocation list, for metrics, alarms and for keeping its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrlStatus {
    /// Whose.
    pub trust_domain: TrustDomain,
    /// Which authority's.
    pub issuer_key: IssuerKey,
    /// Its number.
    pub number: CrlNumber,
    /// Start of its validity.
    pub this_update: Timestamp,
    /// End of its validity.
    pub next_update: Timestamp,
    /// How many certificates it revokes.
    pub revoked: usize,
}

impl CrlStatus {
    fn of(trust_domain: &TrustDomain, crl: &Crl) -> Self {
        Self {
            trust_domain: trust_domain.clone(),
            issuer_key: crl.issuer_key,
            number: crl.number,
            this_update: crl.this_update,
            next_update: crl.next_update,
            revoked: crl.revoked_count,
        }
    }
}

/// A snapshot of all trust domains. Reloading makes a new one.
#[derive(Debug, Default)]
pub struct TrustStore {
    domains: BTreeMap<TrustDomain, Authorities>,
}

impl TrustStore {
    /// Verifies a client's chain, leaf first, at `now`.
    ///
    /// # Errors
    ///
    /// The first reason of [`Denied`]'s order that applies.
    pub fn verify(&self, chain: &[CertificateDer<'_>], now: Timestamp) -> Result<Verified, Denied> {
        let now = whole_second(now);
        let (leaf_der, sent) = split_chain(chain)?;
        let leaf = Facts::read(leaf_der)?;
        let spiffe = profile::principal(&leaf)?;
        let authorities = self
            .domains
            .get(spiffe.trust_domain())
            .ok_or_else(|| Denied::UnknownTrustDomain(spiffe.trust_domain().clone()))?;
        profile::check_client(&leaf, now)?;
        let outcome = authorities.validate(leaf_der, sent, now, Revocation::Enforced);
        let path = match outcome {
            Ok(Some(path)) => path,
            Ok(None) | Err(Denied::BadSignature) => {
                return Err(self.explain_unknown_issuer(&spiffe, leaf_der, now, outcome.err()));
            }
            Err(reason) => return Err(reason),
        };
        Ok(Verified {
            spiffe,
            cert_sha256: CertSha256::of(leaf_der),
            serial: leaf.serial,
            issuer_key: path.issuer_key,
            not_after: leaf.not_after,
            crl_next_update: path.crl_next_update,
            valid_until: path.valid_until,
        })
    }

    /// Tells an attempt of one participant's authority on another's names from a mere mistake.
    fn explain_unknown_issuer(
        &self,
        spiffe: &SpiffeId,
        leaf: &CertificateDer<'_>,
        now: Timestamp,
        otherwise: Option<Denied>,
    ) -> Denied {
        let trust_domain = spiffe.trust_domain().clone();
        self.domains
            .iter()
            .filter(|(domain, _)| **domain != trust_domain)
            .find(|(_, authorities)| authorities.signed(leaf, now))
            .map_or_else(
                || otherwise.unwrap_or(Denied::UnknownIssuer { trust_domain: trust_domain.clone() }),
                |(vouched_by, _)| Denied::ForeignCa {
                    trust_domain: trust_domain.clone(),
                    vouched_by: vouched_by.clone(),
                },
            )
    }

    /// The trust domains of the store.
    pub fn trust_domains(&self) -> impl Iterator<Item = &TrustDomain> {
        self.domains.keys()
    }

    /// Every revocation list in use.
    pub fn crls(&self) -> impl Iterator<Item = CrlStatus> + '_ {
        self.domains.iter().flat_map(|(trust_domain, authorities)| {
            authorities.crls.values().map(|crl| CrlStatus::of(trust_domain, crl))
        })
    }

    /// The numbers in use, by issuer: keep them durably and give them to
    /// [`TrustStoreBuilder::known_numbers`] at the next load, across restarts too.
    pub fn crl_numbers(&self) -> BTreeMap<IssuerKey, CrlNumber> {
        self.crls().map(|crl| (crl.issuer_key, crl.number)).collect()
    }

    /// Checks a list that is offered for `trust_domain`: it must be of one of its authorities,
    /// fresh at `now`, and of a higher number than the one in use. Changes nothing.
    ///
    /// # Errors
    ///
    /// [`TrustError::UnknownTrustDomain`], [`TrustError::CrlPem`], [`TrustError::Crl`],
    /// [`TrustError::CrlNotNewer`], [`TrustError::CrlStale`].
    pub fn check_crl(
        &self,
        trust_domain: &TrustDomain,
        crl_pem: &str,
        now: Timestamp,
    ) -> Result<Vec<CrlStatus>, TrustError> {
        let authorities = self
            .domains
            .get(trust_domain)
            .ok_or_else(|| TrustError::UnknownTrustDomain { trust_domain: trust_domain.clone() })?;
        let bundle = Bundle::read(trust_domain, &authorities.bundle)?;
        let offered: Vec<CrlStatus> =
            bundle.newest_crls(trust_domain, crl_pem)?.values().map(|crl| CrlStatus::of(trust_domain, crl)).collect();
        for crl in &offered {
            if let Some(used) = authorities.crls.get(&crl.issuer_key)
                && crl.number <= used.number
            {
                return Err(TrustError::CrlNotNewer {
                    trust_domain: trust_domain.clone(),
                    have: used.number,
                    got: crl.number,
                });
            }
            if now >= crl.next_update {
                return Err(TrustError::CrlStale { trust_domain: trust_domain.clone(), next_update: crl.next_update });
            }
        }
        Ok(offered)
    }
}

/// The leaf and what was sent with it, within their limits.
fn split_chain<'c, 'd>(
    chain: &'c [CertificateDer<'d>],
) -> Result<(&'c CertificateDer<'d>, &'c [CertificateDer<'d>]), Denied> {
    let bytes: usize = chain.iter().map(|cert| cert.len()).sum();
    if chain.len() > CHAIN_CERTIFICATES_MAX || bytes > CHAIN_BYTES_MAX {
        return Err(Denied::TooLarge);
    }
    chain.split_first().ok_or(Denied::NoCertificate)
}

/// X.509 and rustls count whole seconds. A finer clock would judge a certificate differently
/// in the handshake and, within the same second, after it.
fn whole_second(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// The certificates of a PEM text, for callers that verify what they have on disk.
pub fn certificates_from_pem(text: &str) -> Result<Vec<CertificateDer<'static>>, PemError> {
    pem::certificates(text)
}
