//! C2SP tlog-cosignature, version cosignature/v1: an Ed25519 signature that says when the cosigner saw the checkpoint.

use std::fmt;
use std::str::FromStr;

use crate::checkpoint::SignedCheckpoint;
use crate::note::key::{self, TYPE_COSIGNATURE};
use crate::note::{Ed25519Signer, KeyId, Note, NoteError, NoteSignature, Signer as _, ed25519};

/// Bytes of a timestamp and a signature.
const SIGNATURE_BYTES: usize = 8 + 64;

/// The key that checks a witness's cosignatures. Prints and parses as `<name>+<id>+base64(0x04 ‖ public key)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CosignerKey {
    name: String,
    id: KeyId,
    public: [u8; 32],
}

impl CosignerKey {
    /// The key `name` with its 32-byte public part (RFC 8032).
    ///
    /// # Errors
    ///
    /// [`NoteError::KeyName`].
    pub fn new(name: &str, public: [u8; 32]) -> Result<Self, NoteError> {
        key::check_name(name)?;
        let id = KeyId::of(name, TYPE_COSIGNATURE, &public);
        Ok(Self { name: name.to_owned(), id, public })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its id.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The public part.
    pub fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// When this witness cosigned `note`, in seconds since 1970; nothing if it did not. Of several lines the earliest
    /// counts.
    ///
    /// # Errors
    ///
    /// [`NoteError::Signature`] if a line is by this key and does not verify.
    pub fn cosigned(&self, note: &Note) -> Result<Option<u64>, NoteError> {
        let mut earliest: Option<u64> = None;
        for line in note.signatures().iter().filter(|line| line.name == self.name && line.id == self.id) {
            let time = self.time(note.text(), line).ok_or_else(|| NoteError::Signature(self.name.clone()))?;
            earliest = Some(earliest.map_or(time, |earlier| earlier.min(time)));
        }
        Ok(earliest)
    }

    fn time(&self, text: &str, line: &NoteSignature) -> Option<u64> {
        if line.signature.len() != SIGNATURE_BYTES {
            return None;
        }
        let (time, signature) = line.signature.split_first_chunk::<8>()?;
        let time = u64::from_be_bytes(*time);
        // The specification's limit.
        i64::try_from(time).ok()?;
        ed25519::verifies(&self.public, message(time, text).as_bytes(), signature).then_some(time)
    }
}

impl fmt::Display for CosignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&key::encode(&self.name, self.id, TYPE_COSIGNATURE, &self.public))
    }
}

impl FromStr for CosignerKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let (name, public) = key::parse_public(text, TYPE_COSIGNATURE)?;
        Self::new(name, public)
    }
}

/// A witness's signing key, in memory.
#[derive(Debug)]
pub struct Cosigner {
    signer: Ed25519Signer,
    key: CosignerKey,
}

impl Cosigner {
    /// The key `name` from its 32-byte seed (RFC 8032's private key). It must not be used for anything else: the signed
    /// message does not name the cosigner.
    ///
    /// # Errors
    ///
    /// [`NoteError::KeyName`].
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        let signer = Ed25519Signer::from_seed(name, seed)?;
        let key = CosignerKey::new(name, *signer.verifier().public())?;
        Ok(Self { signer, key })
    }

    /// Reads a signing key file: `PRIVATE+KEY+<name>+<id>+base64(0x04 ‖ seed)`.
    ///
    /// # Errors
    ///
    /// [`NoteError::SigningKey`], which does not repeat the text.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let rest = text.trim_end().strip_prefix("PRIVATE+KEY+");
        let rest = rest.ok_or(NoteError::SigningKey("it does not begin with `PRIVATE+KEY+`"))?;
        let (name, id, seed) = key::parse(rest, TYPE_COSIGNATURE).map_err(NoteError::SigningKey)?;
        let cosigner = Self::from_seed(name, &seed)?;
        if cosigner.key.id.to_string() == id {
            Ok(cosigner)
        } else {
            Err(NoteError::SigningKey("its id is not that of its name and key"))
        }
    }

    /// The text of a new signing key file, for the caller to write with mode 0600. `seed` is 32 fresh random bytes.
    ///
    /// # Errors
    ///
    /// [`NoteError::KeyName`].
    pub fn key_file(name: &str, seed: &[u8; 32]) -> Result<String, NoteError> {
        let id = Self::from_seed(name, seed)?.key.id;
        Ok(format!("PRIVATE+KEY+{}\n", key::encode(name, id, TYPE_COSIGNATURE, seed)))
    }

    /// The key that checks its cosignatures.
    pub fn key(&self) -> &CosignerKey {
        &self.key
    }

    /// Says that at `time`, in seconds since 1970, this was the largest consistent tree of its log that was seen. Whoever
    /// calls this has made durable that it was.
    ///
    /// # Errors
    ///
    /// [`NoteError::Signer`].
    pub fn cosign(&self, checkpoint: &SignedCheckpoint, time: u64) -> Result<NoteSignature, NoteError> {
        let signature = self.signer.sign(message(time, checkpoint.note().text()).as_bytes())?;
        let signature = [&time.to_be_bytes(), signature.as_slice()].concat();
        Ok(NoteSignature { name: self.key.name.clone(), id: self.key.id, signature })
    }
}

/// What is signed: two lines, then the checkpoint's whole text.
fn message(time: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}
