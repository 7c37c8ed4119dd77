//! Certificate revocation lists: read strictly, and bound to the key that signed them.
//!
//! webpki finds a list by the issuer's *name*, takes the first that fits, and verifies its
//! signature anew at every handshake. We bind a list to the issuer's *key* once, when it is
//! loaded: two authorities of one name (a key rollover, or a forgery) cannot shadow each
//! other's lists, and a handshake costs a map lookup however long the list is.

use jiff::Timestamp;
use rustls_pki_types::CertificateRevocationListDer;
use webpki::{CertRevocationList, OwnedCertRevocationList};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::oid_registry::{
    OID_PKCS1_RSASSAPSS, OID_PKCS1_SHA256WITHRSA, OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA,
    OID_SIG_ECDSA_WITH_SHA256, OID_SIG_ECDSA_WITH_SHA384, OID_SIG_ED25519, OID_X509_EXT_CRL_NUMBER,
    OID_X509_EXT_ISSUER_DISTRIBUTION_POINT,
};
use x509_parser::prelude::FromDer as _;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::identifiers::{CrlNumber, IssuerKey, Serial};
use crate::x509::{Facts, timestamp};

/// Why a revocation list cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CrlError {
    /// Not one DER CRL of version 2, or with something in it that cannot be understood.
    #[error("not a well-formed X.509 version 2 CRL")]
    Malformed,
    /// A delta or indirect CRL, one partitioned by reason, or an unknown critical extension.
    #[error("CRL uses a feature that is not supported: {0}")]
    Unsupported(webpki::Error),
    /// No CRLNumber (RFC 5280 §5.2.3), so that it could not be told from an older one.
    #[error("CRL has no number")]
    NoNumber,
    /// CRLNumber is marked critical, which RFC 5280 §5.2.3 forbids.
    #[error("CRL number is marked critical")]
    NumberCritical,
    /// It covers only some certificates of its issuer (issuingDistributionPoint): for the
    /// others revocation would be unknown.
    #[error("CRL covers only a part of its issuer's certificates (issuing distribution point)")]
    Partitioned,
    /// No nextUpdate: it would never be stale.
    #[error("CRL has no next update")]
    NoNextUpdate,
    /// Signed with SHA-1 or another algorithm that we do not take.
    #[error("CRL is signed with an algorithm that is not accepted")]
    SignatureAlgorithm,
    /// None of the CA certificates given has the CRL's issuer name and a key that verifies it.
    #[error("CRL is not signed by a CA certificate of its trust domain")]
    ForeignIssuer,
    /// Its issuer's KeyUsage lacks cRLSign.
    #[error("CRL issuer's key usage lacks cRLSign")]
    IssuerMayNotSign,
}

/// One revoked certificate as a list names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokedEntry {
    /// Whose certificate.
    pub serial: Serial,
    /// Since when.
    pub at: Timestamp,
    /// RFC 5280 §5.3.1 reason code.
    pub reason: Option<u8>,
}

/// What a list says, its signature not yet verified: for showing it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrlFacts {
    /// The issuer's distinguished name as text.
    pub issuer: String,
    /// Its number.
    pub number: CrlNumber,
    /// Not before.
    pub this_update: Timestamp,
    /// Stale from here on.
    pub next_update: Timestamp,
    /// Revoked certificates in the order of the list.
    pub revoked: Vec<RevokedEntry>,
}

impl CrlFacts {
    /// Reads one DER list and applies every check that needs no key.
    pub fn read(der: &CertificateRevocationListDer<'_>) -> Result<Self, CrlError> {
        Self::of(&parse(der)?)
    }

    fn of(crl: &CertificateRevocationList<'_>) -> Result<Self, CrlError> {
        let malformed = |_| CrlError::Malformed;
        let extensions = crl.tbs_cert_list.extensions_map().map_err(malformed_x509)?;
        let number = extensions.get(&OID_X509_EXT_CRL_NUMBER).ok_or(CrlError::NoNumber)?;
        if number.critical {
            return Err(CrlError::NumberCritical);
        }
        let ParsedExtension::CRLNumber(value) = number.parsed_extension() else {
            return Err(CrlError::Malformed);
        };
        if extensions.contains_key(&OID_X509_EXT_ISSUER_DISTRIBUTION_POINT) {
            return Err(CrlError::Partitioned);
        }
        let next_update = crl.next_update().ok_or(CrlError::NoNextUpdate)?;
        let revoked = crl
            .iter_revoked_certificates()
            .map(|entry| {
                Ok(RevokedEntry {
                    serial: Serial::from_der_content(entry.raw_serial()).map_err(|_| CrlError::Malformed)?,
                    at: timestamp(entry.revocation_date).map_err(malformed)?,
                    reason: entry.reason_code().map(|(_, code)| code.0),
                })
            })
            .collect::<Result<Vec<_>, CrlError>>()?;
        Ok(Self {
            issuer: crl.issuer().to_string(),
            number: CrlNumber::from_be_bytes(&value.to_bytes_be()).map_err(|_| CrlError::Malformed)?,
            this_update: timestamp(crl.last_update()).map_err(malformed)?,
            next_update: timestamp(next_update).map_err(malformed)?,
            revoked,
        })
    }
}

/// A list whose signature was verified with its issuer's key.
#[derive(Debug)]
pub(crate) struct Crl {
    pub issuer_key: IssuerKey,
    pub number: CrlNumber,
    pub this_update: Timestamp,
    pub next_update: Timestamp,
    pub revoked_count: usize,
    list: CertRevocationList<'static>,
}

impl Crl {
    /// Verifies `der` with whichever of `issuers` signed it.
    pub(crate) fn verify<'i>(
        der: &CertificateRevocationListDer<'_>,
        issuers: impl Iterator<Item = (&'i X509Certificate<'i>, &'i Facts)>,
    ) -> Result<Self, CrlError> {
        let crl = parse(der)?;
        let facts = CrlFacts::of(&crl)?;
        // webpki's reader refuses what its `find_serial` could not answer for: delta and
        // indirect lists, partitions by reason, unknown critical extensions of list or entry,
        // and an inner signature algorithm that differs from the outer one.
        let list = OwnedCertRevocationList::from_der(der).map_err(|error| match error {
            webpki::Error::UnsupportedDeltaCrl
            | webpki::Error::UnsupportedIndirectCrl
            | webpki::Error::UnsupportedCriticalExtension
            | webpki::Error::UnsupportedCrlIssuingDistributionPoint
            | webpki::Error::UnsupportedRevocationReasonsPartitioning => CrlError::Unsupported(error),
            _ => CrlError::Malformed,
        })?;
        if !signature_is_acceptable(&crl) {
            return Err(CrlError::SignatureAlgorithm);
        }
        let (_, issuer) = issuers
            .filter(|(cert, _)| cert.subject().as_raw() == crl.issuer().as_raw())
            .find(|(cert, _)| crl.verify_signature(cert.public_key()).is_ok())
            .ok_or(CrlError::ForeignIssuer)?;
        if issuer.key_usage.is_some_and(|usage| !usage.crl_sign) {
            return Err(CrlError::IssuerMayNotSign);
        }
        Ok(Self {
            issuer_key: issuer.key,
            number: facts.number,
            this_update: facts.this_update,
            next_update: facts.next_update,
            revoked_count: facts.revoked.len(),
            list: list.into(),
        })
    }

    /// The issuer's name in webpki's form: DER content without the outer SEQUENCE.
    pub(crate) fn issuer(&self) -> &[u8] {
        self.list.issuer()
    }

    /// Whether the serial (DER content) is revoked, for whatever reason: `certificateHold` and
    /// `removeFromCRL` count too, since a complete list has no business naming the latter.
    pub(crate) fn revokes(&self, serial: &[u8]) -> bool {
        // An owned list was read through at load; if that ever changes, unreadable is revoked.
        !matches!(self.list.find_serial(serial), Ok(None))
    }
}

fn parse<'a>(der: &'a CertificateRevocationListDer<'_>) -> Result<CertificateRevocationList<'a>, CrlError> {
    match CertificateRevocationList::from_der(der.as_ref()) {
        Ok(([], crl)) => Ok(crl),
        _ => Err(CrlError::Malformed),
    }
}

fn malformed_x509(_: x509_parser::error::X509Error) -> CrlError {
    CrlError::Malformed
}

/// x509-parser would verify SHA-1 signatures as well.
fn signature_is_acceptable(crl: &CertificateRevocationList<'_>) -> bool {
    [
        OID_SIG_ECDSA_WITH_SHA256,
        OID_SIG_ECDSA_WITH_SHA384,
        OID_SIG_ED25519,
        OID_PKCS1_SHA256WITHRSA,
        OID_PKCS1_SHA384WITHRSA,
        OID_PKCS1_SHA512WITHRSA,
        OID_PKCS1_RSASSAPSS,
    ]
    .contains(&crl.signature_algorithm.algorithm)
}
