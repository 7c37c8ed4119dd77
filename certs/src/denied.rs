//! Why a client certificate was refused.

use jiff::Timestamp;

use crate::spiffe::{SpiffeIdError, TrustDomain};
use crate::x509::Unreadable;

/// Why a client certificate was refused, in the order in which the reasons are looked for: a
/// certificate with several faults is refused for the first of them.
///
/// Neither the messages nor the payloads name the principal (INV-10), so that they may be
/// logged; they are for the log and never for the peer, who learns a TLS alert.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The peer sent no certificate.
    #[error("no client certificate")]
    NoCertificate,
    /// More certificates, or larger ones, than a chain of ours can need.
    #[error("certificate chain is too large")]
    TooLarge,
    /// The leaf cannot be read.
    #[error("client certificate is unreadable: {0}")]
    Unreadable(#[from] Unreadable),
    /// No URI among the subject alternative names.
    #[error("client certificate names no SPIFFE ID (no URI SAN)")]
    NoUriSan,
    /// More than one URI: it would be two principals.
    #[error("client certificate has more than one URI SAN")]
    TwoUriSans,
    /// The one URI is not of our shape.
    #[error("URI SAN is not a SPIFFE ID of the profile: {0}")]
    NotSpiffe(SpiffeIdError),
    /// Names beside the URI: DNS, IP, e-mail or others.
    #[error("client certificate has subject alternative names other than its SPIFFE ID")]
    OtherNames,
    /// Nobody's trust domain.
    #[error("trust domain `{0}` belongs to no participant")]
    UnknownTrustDomain(TrustDomain),
    /// A CA certificate, or one that may sign certificates or constrain names.
    #[error("a CA certificate cannot be a client certificate")]
    CaAsClient,
    /// A critical extension that we do not understand, in the leaf or above it.
    #[error("certificate has an unknown critical extension")]
    UnknownCriticalExtension,
    /// RSA below 2048 bits, or a key that is neither RSA, P-256, P-384 nor Ed25519.
    #[error("certificate has a weak or unsupported key")]
    WeakKey,
    /// KeyUsage is missing or lacks digitalSignature.
    #[error("client certificate's key usage lacks digitalSignature")]
    KeyUsage,
    /// ExtendedKeyUsage is missing: good for anything, so not meant for us.
    #[error("client certificate has no extended key usage")]
    NoEku,
    /// A server's certificate.
    #[error("a server certificate cannot be a client certificate")]
    ServerCertAsClient,
    /// ExtendedKeyUsage without clientAuth, or anyExtendedKeyUsage.
    #[error("client certificate's extended key usage is not clientAuth")]
    WrongEku,
    /// Before notBefore.
    #[error("client certificate is not valid before {not_before}")]
    NotYetValid {
        /// Start of its validity.
        not_before: Timestamp,
    },
    /// After notAfter.
    #[error("client certificate has expired at {not_after}")]
    Expired {
        /// End of its validity.
        not_after: Timestamp,
    },
    /// No path to an authority of the trust domain: unknown authority or missing intermediate.
    #[error("no authority of trust domain `{trust_domain}` issued the client certificate")]
    UnknownIssuer {
        /// Whose authorities were tried.
        trust_domain: TrustDomain,
    },
    /// Another participant's authority vouches for it, which it cannot (INV-7).
    #[error("an authority of `{vouched_by}` cannot name a principal of `{trust_domain}`")]
    ForeignCa {
        /// Which trust domain the certificate names.
        trust_domain: TrustDomain,
        /// Whose authority signed it.
        vouched_by: TrustDomain,
    },
    /// A signature of the path does not verify: the issuer's name fits, its key does not.
    #[error("certificate signature does not verify")]
    BadSignature,
    /// A signature of the path is of an algorithm that we do not take, such as SHA-1.
    #[error("certificate is signed with an algorithm that is not accepted")]
    WeakSignature,
    /// A certificate above the leaf is outside its validity.
    #[error("a certificate authority of the path is not valid now")]
    IssuerNotValid,
    /// A certificate above the leaf may not issue certificates.
    #[error("an issuer of the path is not allowed to issue certificates")]
    NotAnIssuer,
    /// More authorities below one than it allows.
    #[error("path length constraint is exceeded")]
    PathTooLong,
    /// A name constraint of the path is broken, or is on URIs, which cannot be evaluated.
    #[error("a name constraint is broken")]
    NameConstraint,
    /// Path building gave up.
    #[error("certificate path is too complex")]
    TooComplex,
    /// Whatever else path validation found.
    #[error("certificate path is invalid: {0}")]
    BadPath(webpki::Error),
    /// No revocation list of an issuer of the path: its status is unknown.
    #[error("revocation status is unknown: an issuer has no CRL")]
    CrlMissing,
    /// A revocation list from the future.
    #[error("CRL is not valid before {this_update}")]
    CrlNotYetValid {
        /// Start of its validity.
        this_update: Timestamp,
    },
    /// A revocation list past its next update.
    #[error("CRL is stale since {next_update}")]
    CrlStale {
        /// End of its validity.
        next_update: Timestamp,
    },
    /// Revoked, or an issuer of its path is.
    #[error("certificate is revoked")]
    Revoked,
}

impl Denied {
    /// A stable code for metrics and tests.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoCertificate => "no-certificate",
            Self::TooLarge => "too-large",
            Self::Unreadable(_) => "unreadable",
            Self::NoUriSan => "no-uri-san",
            Self::TwoUriSans => "two-uri-sans",
            Self::NotSpiffe(_) => "not-spiffe",
            Self::OtherNames => "other-names",
            Self::UnknownTrustDomain(_) => "unknown-trust-domain",
            Self::CaAsClient => "ca-as-client",
            Self::UnknownCriticalExtension => "unknown-critical-extension",
            Self::WeakKey => "weak-key",
            Self::KeyUsage => "key-usage",
            Self::NoEku => "no-eku",
            Self::ServerCertAsClient => "server-cert-as-client",
            Self::WrongEku => "wrong-eku",
            Self::NotYetValid { .. } => "not-yet-valid",
            Self::Expired { .. } => "expired",
            Self::UnknownIssuer { .. } => "unknown-issuer",
            Self::ForeignCa { .. } => "foreign-ca",
            Self::BadSignature => "bad-signature",
            Self::WeakSignature => "weak-signature",
            Self::IssuerNotValid => "issuer-not-valid",
            Self::NotAnIssuer => "not-an-issuer",
            Self::PathTooLong => "path-too-long",
            Self::NameConstraint => "name-constraint",
            Self::TooComplex => "too-complex",
            Self::BadPath(_) => "bad-path",
            Self::CrlMissing => "crl-missing",
            Self::CrlNotYetValid { .. } => "crl-not-yet-valid",
            Self::CrlStale { .. } => "crl-stale",
            Self::Revoked => "revoked",
        }
    }
}
