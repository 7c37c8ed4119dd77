//! Client certificates in the handshake: [`TrustStore::verify`] as rustls' verifier.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::denied::Denied;
use crate::trust::{TrustStore, Verified};

/// The trust store in force, which can be exchanged while listeners run: a handshake that
/// begins after [`SharedTrust::store`] returned is judged by the new one.
#[derive(Debug)]
pub struct SharedTrust(ArcSwap<TrustStore>);

impl SharedTrust {
    /// Begins with `store`.
    pub fn new(store: TrustStore) -> Arc<Self> {
        Arc::new(Self(ArcSwap::from_pointee(store)))
    }

    /// The store in force.
    pub fn load(&self) -> Arc<TrustStore> {
        self.0.load_full()
    }

    /// Puts another store in force. Whoever holds live sessions verifies them again.
    pub fn store(&self, store: TrustStore) {
        self.0.store(Arc::new(store));
    }

    /// The principal of a finished handshake: `certs` as rustls gives the peer's certificates.
    ///
    /// # Errors
    ///
    /// [`Denied`]; also when trust changed since the handshake.
    pub fn peer(&self, certs: Option<&[CertificateDer<'_>]>, now: Timestamp) -> Result<Verified, Denied> {
        self.0.load().verify(certs.unwrap_or_default(), now)
    }
}

/// rustls' view of a [`SharedTrust`]. Client authentication is mandatory.
pub struct ClientVerifier {
    trust: Arc<SharedTrust>,
    provider: Arc<CryptoProvider>,
}

impl ClientVerifier {
    /// A verifier that asks `trust` at every handshake.
    pub fn new(trust: Arc<SharedTrust>) -> Arc<Self> {
        Arc::new(Self { trust, provider: crate::tls::provider() })
    }
}

impl fmt::Debug for ClientVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientVerifier").finish_non_exhaustive()
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn client_auth_mandatory(&self) -> bool {
        true
    }

    /// Empty: a list of participants' authorities would tell strangers who takes part.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let now = i64::try_from(now.as_secs())
            .ok()
            .and_then(|seconds| Timestamp::from_second(seconds).ok())
            .ok_or(rustls::Error::FailedToGetCurrentTime)?;
        let mut chain = Vec::with_capacity(intermediates.len() + 1);
        chain.push(CertificateDer::from(end_entity.as_ref()));
        chain.extend(intermediates.iter().map(|cert| CertificateDer::from(cert.as_ref())));
        match self.trust.load().verify(&chain, now) {
            Ok(_) => Ok(ClientCertVerified::assertion()),
            Err(denied) => Err(certificate_error(denied).into()),
        }
    }

    /// Never reached: [`crate::tls::server_config`] offers TLS 1.3 only.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    /// The provider's list. The RSA PKCS#1 schemes in it are for signatures *in certificates*
    /// (RFC 8446 §4.2.3): without them an OpenSSL client whose authority signs with RSA sends
    /// no certificate at all. In the handshake itself rustls refuses them.
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Gives the peer the TLS alert that tells most, and keeps our reason inside where the alert
/// would be the general one.
fn certificate_error(denied: Denied) -> CertificateError {
    match denied {
        Denied::Unreadable(_) => CertificateError::BadEncoding,
        Denied::Expired { .. } => CertificateError::Expired,
        Denied::NotYetValid { .. } => CertificateError::NotValidYet,
        Denied::Revoked => CertificateError::Revoked,
        Denied::UnknownIssuer { .. } => CertificateError::UnknownIssuer,
        Denied::CrlMissing => CertificateError::UnknownRevocationStatus,
        Denied::CrlStale { .. } => CertificateError::ExpiredRevocationList,
        Denied::ServerCertAsClient | Denied::NoEku | Denied::WrongEku => CertificateError::InvalidPurpose,
        other => CertificateError::Other(OtherError(Arc::new(other))),
    }
}

/// [`Denied::code`] of the refusal inside a failed handshake's error, for logs and metrics;
/// `None` if the handshake failed for another reason. The three kinds of a wrong extended key
/// usage are one here, `wrong-eku`: the alert that the peer gets has room for no more.
pub fn refusal_code(error: &rustls::Error) -> Option<&'static str> {
    match error {
        rustls::Error::NoCertificatesPresented => Some(Denied::NoCertificate.code()),
        rustls::Error::InvalidCertificate(error) => match error {
            CertificateError::BadEncoding => Some("unreadable"),
            CertificateError::Expired => Some("expired"),
            CertificateError::NotValidYet => Some("not-yet-valid"),
            CertificateError::Revoked => Some("revoked"),
            CertificateError::UnknownIssuer => Some("unknown-issuer"),
            CertificateError::UnknownRevocationStatus => Some("crl-missing"),
            CertificateError::ExpiredRevocationList => Some("crl-stale"),
            CertificateError::InvalidPurpose => Some("wrong-eku"),
            CertificateError::Other(other) => other.0.downcast_ref::<Denied>().map(Denied::code),
            _ => None,
        },
        _ => None,
    }
}
