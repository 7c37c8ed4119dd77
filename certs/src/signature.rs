//! Signatures over messages of our own with the keys of certificates: ECDSA on P-256 with SHA-256, and Ed25519.
//!
//! A key that also authenticates TLS may sign them because each message begins with a context of its own, while TLS 1.3
//! signs 64 spaces first (RFC 8446 §4.4.3).

use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::sign::SigningKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use webpki::EndEntityCert;

/// What is signed with, in order of preference. ECDSA signatures are ASN.1 DER.
const SCHEMES: [SignatureScheme; 2] = [SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::ED25519];

/// Why a message cannot be signed, or a signature does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The private key cannot be read.
    #[error("the private key is not a PEM private key (PKCS#8 or SEC1, unencrypted)")]
    Key,
    /// The key is of another kind.
    #[error("only keys on P-256 and Ed25519 keys sign: this one is of another kind")]
    Unsupported,
    /// The certificate cannot be read.
    #[error("the certificate cannot be read")]
    Certificate,
    /// The signature is not by the certificate's key, or of another message.
    #[error("the signature is not by this certificate's key over this message")]
    Forged,
    /// The key did not sign.
    #[error("the key did not sign")]
    Failed,
}

/// A private key that signs.
#[derive(Debug, Clone)]
pub struct Signer(Arc<dyn SigningKey>);

impl Signer {
    /// Reads a private key.
    pub fn from_pem(key_pem: &str) -> Result<Self, SignatureError> {
        let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|_| SignatureError::Key)?;
        let key = any_supported_type(&key).map_err(|_| SignatureError::Unsupported)?;
        if key.choose_scheme(&SCHEMES).is_none() {
            return Err(SignatureError::Unsupported);
        }
        Ok(Self(key))
    }

    /// Signs `message`.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignatureError> {
        let signer = self.0.choose_scheme(&SCHEMES).ok_or(SignatureError::Unsupported)?;
        signer.sign(message).map_err(|_| SignatureError::Failed)
    }
}

/// Whether `signature` is by the key of `certificate` over `message`. Says nothing about the certificate.
pub fn verify(certificate: &CertificateDer<'_>, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
    let certificate = EndEntityCert::try_from(certificate).map_err(|_| SignatureError::Certificate)?;
    let mut supported = false;
    for algorithm in [webpki::ring::ECDSA_P256_SHA256, webpki::ring::ED25519] {
        match certificate.verify_signature(algorithm, message, signature) {
            Ok(()) => return Ok(()),
            Err(webpki::Error::InvalidSignatureForPublicKey) => supported = true,
            Err(_) => {}
        }
    }
    Err(if supported { SignatureError::Forged } else { SignatureError::Unsupported })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};

    use super::*;

    fn pair(algorithm: &'static rcgen::SignatureAlgorithm) -> (CertificateDer<'static>, String) {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let certificate = CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
        (certificate.der().clone(), key.serialize_pem())
    }

    #[test]
    fn what_one_key_signs_no_other_certificate_and_no_other_message_fits() {
        let (other, _) = pair(&PKCS_ECDSA_P256_SHA256);
        for algorithm in [&PKCS_ECDSA_P256_SHA256, &PKCS_ED25519] {
            let (certificate, key) = pair(algorithm);
            let mut signature = Signer::from_pem(&key).unwrap().sign(b"message").unwrap();
            assert_eq!(verify(&certificate, b"message", &signature), Ok(()));
            assert_eq!(verify(&certificate, b"massage", &signature), Err(SignatureError::Forged));
            assert_eq!(verify(&other, b"message", &signature), Err(SignatureError::Forged));
            if let Some(last) = signature.last_mut() {
                *last ^= 1;
            }
            assert_eq!(verify(&certificate, b"message", &signature), Err(SignatureError::Forged));
            assert_eq!(verify(&certificate, b"message", b""), Err(SignatureError::Forged));
        }
    }

    #[test]
    fn other_keys_are_refused() {
        let (certificate, key) = pair(&PKCS_ECDSA_P384_SHA384);
        assert_eq!(Signer::from_pem(&key).unwrap_err(), SignatureError::Unsupported);
        assert_eq!(verify(&certificate, b"message", b"x"), Err(SignatureError::Unsupported));
        assert_eq!(Signer::from_pem("no key").unwrap_err(), SignatureError::Key);
        let junk = CertificateDer::from(vec![1, 2, 3]);
        assert_eq!(verify(&junk, b"message", b"x"), Err(SignatureError::Certificate));
    }
}
