//! Private keys: made, read and written as PKCS#8.

use rcgen::{KeyPair, PublicKeyData as _};
use serde::{Deserialize, Serialize};

use crate::identifiers::IssuerKey;

/// What kind of key to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256: what every client, browsers included, can use.
    #[default]
    #[serde(rename = "ecdsa-p256")]
    EcdsaP256,
    /// Ed25519: no browser takes it for client certificates.
    #[serde(rename = "ed25519")]
    Ed25519,
}

impl Algorithm {
    /// The name by which flags and JSON know it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EcdsaP256 => "ecdsa-p256",
            Self::Ed25519 => "ed25519",
        }
    }
}

impl std::fmt::Display for Algorithm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for Algorithm {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "ecdsa-p256" | "p256" => Ok(Self::EcdsaP256),
            "ed25519" => Ok(Self::Ed25519),
            _ => Err(KeyError::UnknownAlgorithm(text.to_owned())),
        }
    }
}

/// Why a key cannot be made or read. Never holds key material.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No such algorithm.
    #[error("key algorithm `{0}` is none of `ecdsa-p256`, `ed25519`")]
    UnknownAlgorithm(String),
    /// The system gave no randomness.
    #[error("no randomness from the operating system")]
    Randomness,
    /// Not an unencrypted PKCS#8 private key of RSA, P-256, P-384 or Ed25519.
    #[error("not an unencrypted PKCS#8 private key (`-----BEGIN PRIVATE KEY-----`) of RSA, P-256, P-384 or Ed25519")]
    Unreadable,
}

/// RFC 8410 §7: PrivateKeyInfo version 0 for Ed25519, up to the 32 bytes of the seed.
const ED25519_PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// A private key. Its `Debug` shows no key material.
#[derive(Debug)]
pub struct PrivateKey(KeyPair);

impl PrivateKey {
    /// Makes a new one from the operating system's randomness.
    ///
    /// # Errors
    ///
    /// [`KeyError::Randomness`].
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        let pair = match algorithm {
            Algorithm::EcdsaP256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            Algorithm::Ed25519 => {
                // ring would write PKCS#8 version 1 with the public key in it, which OpenSSL 3
                // and what is built on it (curl, Python) cannot read.
                let mut der = [0; 48];
                let (prefix, seed) = der.split_at_mut(ED25519_PKCS8_PREFIX.len());
                prefix.copy_from_slice(&ED25519_PKCS8_PREFIX);
                getrandom::fill(seed).map_err(|_| KeyError::Randomness)?;
                KeyPair::try_from(der.as_slice())
            }
        };
        pair.map(Self).map_err(|_| KeyError::Randomness)
    }

    /// Reads the first private key of a PEM text.
    ///
    /// # Errors
    ///
    /// [`KeyError::Unreadable`].
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        KeyPair::from_pem(text).map(Self).map_err(|_| KeyError::Unreadable)
    }

    /// Unencrypted PKCS#8 in PEM: write it with [`crate::files::write_key_file`].
    pub fn to_pem(&self) -> String {
        self.0.serialize_pem()
    }

    /// Unencrypted PKCS#8 in DER.
    pub fn to_pkcs8(&self) -> &[u8] {
        self.0.serialized_der()
    }

    /// SHA-256 of its SubjectPublicKeyInfo.
    pub fn public_key(&self) -> IssuerKey {
        IssuerKey::of(&self.0.subject_public_key_info())
    }

    pub(crate) fn pair(&self) -> &KeyPair {
        &self.0
    }

    pub(crate) fn into_pair(self) -> KeyPair {
        self.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn both_algorithms_survive_pem_and_are_never_the_same_twice() {
        for algorithm in [Algorithm::EcdsaP256, Algorithm::Ed25519] {
            let key = PrivateKey::generate(algorithm).unwrap();
            let again = PrivateKey::from_pem(&key.to_pem()).unwrap();
            assert_eq!(key.public_key(), again.public_key());
            assert_eq!(key.to_pkcs8(), again.to_pkcs8());
            let other = PrivateKey::generate(algorithm).unwrap();
            assert_ne!(key.public_key(), other.public_key());
            assert_eq!(algorithm.to_string().parse::<Algorithm>().unwrap(), algorithm);
        }
        assert_eq!(PrivateKey::from_pem("no key").unwrap_err(), KeyError::Unreadable);
        assert!("rsa".parse::<Algorithm>().is_err());
    }

    #[test]
    fn debug_shows_no_key() {
        let key = PrivateKey::generate(Algorithm::Ed25519).unwrap();
        let shown = format!("{key:?}");
        assert!(shown.contains("elided"), "{shown}");
        assert!(shown.len() < 400, "{shown}");
    }
}
