//! TLS configurations: TLS 1.3 only, ring, no resumption on either side.
//!
//! A resumed session would skip the certificate and so its revocation: no tickets are sent, no
//! session is stored, and our own client asks for neither.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{self, cipher_suite};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;

use crate::identifiers::CertSha256;
use crate::pem::{self, PemError};
use crate::rustls_verifier::ClientVerifier;

/// Protocols of the one port, most preferred first.
pub const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Why a TLS configuration cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate's or the trust bundle's PEM.
    #[error("{what}: {error}")]
    Pem {
        /// `certificate` or `trust bundle`.
        what: &'static str,
        /// What is wrong with it.
        error: PemError,
    },
    /// The private key's PEM.
    #[error("private key is not a PEM private key (PKCS#8, PKCS#1 or SEC1, unencrypted)")]
    Key,
    /// rustls refused: the key does not fit the certificate, or is of an unsupported kind.
    #[error("certificate and key cannot be used: {0}")]
    Unusable(#[source] rustls::Error),
}

/// ring, TLS 1.3 suites only, AES-128-GCM first: on CPUs with AES it encrypts four times as
/// fast as ChaCha20, and a gateway moves bytes.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        cipher_suites: vec![
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ],
        ..ring::default_provider()
    })
}

/// The server's certificate and key, which can be exchanged while listeners run.
pub struct ServerIdentity(ArcSwap<CertifiedKey>);

impl ServerIdentity {
    /// Reads a PEM chain, leaf first, and its key.
    ///
    /// # Errors
    ///
    /// [`TlsError`]; a key that is not the leaf's is refused.
    pub fn from_pem(cert_pem: &str, key_pem: &str) -> Result<Arc<Self>, TlsError> {
        let key = certified_key(cert_pem, key_pem)?;
        Ok(Arc::new(Self(ArcSwap::from_pointee(key))))
    }

    /// The certificate in force, by its digest.
    pub fn cert_sha256(&self) -> Option<CertSha256> {
        self.0.load().cert.first().map(|certificate| CertSha256::of(certificate))
    }

    /// Puts another certificate in force for handshakes from now on. On error the old one stays.
    pub fn replace(&self, cert_pem: &str, key_pem: &str) -> Result<(), TlsError> {
        self.0.store(Arc::new(certified_key(cert_pem, key_pem)?));
        Ok(())
    }
}

impl fmt::Debug for ServerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerIdentity").finish_non_exhaustive()
    }
}

impl ResolvesServerCert for ServerIdentity {
    /// One certificate whatever name is asked for: a gateway has one identity.
    fn resolve(&self, _client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

fn certified_key(cert_pem: &str, key_pem: &str) -> Result<CertifiedKey, TlsError> {
    let chain = certificates("certificate", cert_pem)?;
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|_| TlsError::Key)?;
    CertifiedKey::from_der(chain, key, &provider()).map_err(TlsError::Unusable)
}

/// The configuration of the data and API listener.
///
/// # Errors
///
/// [`TlsError::Unusable`] only if ring lacked TLS 1.3.
pub fn server_config(
    identity: Arc<ServerIdentity>,
    verifier: Arc<ClientVerifier>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(TlsError::Unusable)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(identity);
    Ok(without_resumption(config, &ALPN))
}

/// The configuration of a witness's listener, which asks for no certificate: its requests carry a log's signature. Nothing
/// that a principal may do is behind it. HTTP/1.1 only.
///
/// # Errors
///
/// [`TlsError::Unusable`] only if ring lacked TLS 1.3.
pub fn open_server_config(identity: Arc<ServerIdentity>) -> Result<Arc<ServerConfig>, TlsError> {
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(TlsError::Unusable)?
        .with_no_client_auth()
        .with_cert_resolver(identity);
    Ok(without_resumption(config, &[b"http/1.1"]))
}

fn without_resumption(mut config: ServerConfig, alpn: &[&[u8]]) -> Arc<ServerConfig> {
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config.ignore_client_order = true;
    // The ticketer's default produces none.
    config.send_tls13_tickets = 0;
    config.max_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.max_early_data_size = 0;
    Arc::new(config)
}

/// The configuration of our own clients: `trust_pem` verifies the server, the certificate and
/// key are the principal's, `alpn` is what the protocol above speaks, such as `[b"h2"]`.
///
/// # Errors
///
/// [`TlsError`] says which of the inputs is wrong.
pub fn client_config(
    trust_pem: &str,
    cert_pem: &str,
    key_pem: &str,
    alpn: &[&[u8]],
) -> Result<Arc<ClientConfig>, TlsError> {
    let roots = roots(trust_pem)?;
    let chain = certificates("certificate", cert_pem)?;
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|_| TlsError::Key)?;
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(TlsError::Unusable)?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(TlsError::Unusable)?;
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// The configuration of a client that shows no certificate: a log that asks its witnesses.
///
/// # Errors
///
/// [`TlsError::Pem`] for the trust bundle.
pub fn anonymous_client_config(trust_pem: &str, alpn: &[&[u8]]) -> Result<Arc<ClientConfig>, TlsError> {
    let roots = roots(trust_pem)?;
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(TlsError::Unusable)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

fn roots(trust_pem: &str) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for cert in certificates("trust bundle", trust_pem)? {
        roots.add(cert).map_err(TlsError::Unusable)?;
    }
    Ok(roots)
}

fn certificates(what: &'static str, text: &str) -> Result<Vec<rustls_pki_types::CertificateDer<'static>>, TlsError> {
    pem::certificates(text).map_err(|error| TlsError::Pem { what, error })
}
