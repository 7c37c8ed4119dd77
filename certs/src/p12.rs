//! PKCS#12 bundles, so that a browser can load a client certificate with its key.

use p12_keystore::{Certificate, EncryptionAlgorithm, KeyStore, KeyStoreEntry, MacAlgorithm, PrivateKeyChain};

use crate::keys::{KeyError, PrivateKey};
use crate::pem::{self, PemError};
use crate::x509::{Facts, Unreadable};

/// Key derivation rounds: a password that a person types needs them.
const ITERATIONS: u32 = 100_000;

/// Why a bundle cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum P12Error {
    /// The certificate or the CA's PEM.
    #[error("certificate: {0}")]
    Pem(#[from] PemError),
    /// The certificate.
    #[error("certificate: {0}")]
    Certificate(#[from] Unreadable),
    /// The key's PEM.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The two do not belong together.
    #[error("private key does not belong to the certificate")]
    KeyMismatch,
    /// Browsers refuse to import a bundle without a password.
    #[error("password is empty: browsers do not import a bundle without one")]
    NoPassword,
    /// Encoding failed.
    #[error("PKCS#12 bundle could not be made: {0}")]
    Encoding(#[source] p12_keystore::error::Error),
}

/// Makes a bundle of a client certificate, its key and its authority's certificate, encrypted
/// with AES-256 (PBES2) and authenticated with HMAC-SHA-256: what browsers and operating
/// systems of the last years take. `alias` is shown by them as the certificate's name.
///
/// # Errors
///
/// [`P12Error`]; [`P12Error::KeyMismatch`] if key and certificate do not belong together.
pub fn bundle(
    cert_pem: &str,
    key_pem: &str,
    ca_pem: Option<&str>,
    alias: &str,
    password: &str,
) -> Result<Vec<u8>, P12Error> {
    if password.is_empty() {
        return Err(P12Error::NoPassword);
    }
    let mut chain = pem::certificates(cert_pem)?;
    let key = PrivateKey::from_pem(key_pem)?;
    let leaf = chain.first().map(|der| Facts::read(der)).transpose()?;
    let leaf = leaf.filter(|leaf| leaf.key == key.public_key()).ok_or(P12Error::KeyMismatch)?;
    if let Some(ca_pem) = ca_pem {
        chain.extend(pem::certificates(ca_pem)?);
    }
    let certs = chain
        .iter()
        .map(|der| Certificate::from_der(der))
        .collect::<Result<Vec<_>, _>>()
        .map_err(P12Error::Encoding)?;
    let key = p12_keystore::PrivateKey::from_der(key.to_pkcs8()).map_err(P12Error::Encoding)?;
    let mut store = KeyStore::new();
    // The local key id ties key and certificate together; the public key's digest does so for
    // every tool.
    let local_id = leaf.key.as_bytes().to_vec();
    let entry = PrivateKeyChain::new(local_id, key, certs);
    store.add_entry(alias, KeyStoreEntry::PrivateKeyChain(entry));
    store
        .writer(password)
        .encryption_algorithm(EncryptionAlgorithm::PbeWithHmacSha256AndAes256)
        .encryption_iterations(ITERATIONS)
        .mac_algorithm(MacAlgorithm::HmacSha256)
        .mac_iterations(ITERATIONS)
        .write()
        .map_err(P12Error::Encoding)
}
