//! Ed25519 by ring: the one file to change for another library or a hardware key.

use std::fmt;

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use super::key::{self, TYPE_ED25519, VerifierKey};
use super::{KeyId, NoteError};

/// Something that signs notes: a key in memory, or one that never leaves a device.
pub trait Signer {
    /// The key that checks its signatures.
    fn verifier(&self) -> &VerifierKey;

    /// Signs `message`; the same message always gives the same bytes.
    ///
    /// # Errors
    ///
    /// [`NoteError::Signer`] if the key cannot be used.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, NoteError>;
}

/// An Ed25519 key held in memory.
pub struct Ed25519Signer {
    pair: Ed25519KeyPair,
    verifier: VerifierKey,
}

impl Ed25519Signer {
    /// The key `name` from its 32-byte seed (RFC 8032's private key).
    ///
    /// # Errors
    ///
    /// [`NoteError::KeyName`].
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        let pair =
            Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| NoteError::SigningKey("its seed was rejected"))?;
        let public = pair.public_key().as_ref().try_into();
        let public = public.map_err(|_| NoteError::SigningKey("its public part is not 32 bytes"))?;
        let verifier = VerifierKey::new(name, public)?;
        Ok(Self { pair, verifier })
    }

    /// Reads a signing key file: `PRIVATE+KEY+<name>+<id>+base64(0x01 ‖ seed)`.
    ///
    /// # Errors
    ///
    /// [`NoteError::SigningKey`], which does not repeat the text.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let rest = text.trim_end().strip_prefix("PRIVATE+KEY+");
        let rest = rest.ok_or(NoteError::SigningKey("it does not begin with `PRIVATE+KEY+`"))?;
        let (name, id, seed) = key::parse(rest, TYPE_ED25519).map_err(NoteError::SigningKey)?;
        let signer = Self::from_seed(name, &seed)?;
        if signer.verifier.id().to_string() == id {
            Ok(signer)
        } else {
            Err(NoteError::SigningKey("its id is not that of its name and key"))
        }
    }

    /// The text of a new signing key file, for the caller to write with mode 0600. `seed` is 32
    /// fresh random bytes.
    ///
    /// # Errors
    ///
    /// [`NoteError::KeyName`].
    pub fn key_file(name: &str, seed: &[u8; 32]) -> Result<String, NoteError> {
        let signer = Self::from_seed(name, seed)?;
        let id: KeyId = signer.verifier.id();
        Ok(format!("PRIVATE+KEY+{}\n", key::encode(name, id, TYPE_ED25519, seed)))
    }
}

impl Signer for Ed25519Signer {
    fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, NoteError> {
        Ok(self.pair.sign(message).as_ref().to_vec())
    }
}

impl fmt::Debug for Ed25519Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ed25519Signer").field("name", &self.verifier.name()).finish_non_exhaustive()
    }
}

pub(crate) fn verifies(public: &[u8; 32], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, public).verify(message, signature).is_ok()
}
