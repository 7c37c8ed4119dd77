//! C2SP tlog-checkpoint: the signed head of the tree. We sign no extension lines.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::note::{Note, NoteError, NoteSignature, Signer, VerifierKey};
use crate::tree::NodeHash;

/// Origin, size and root of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The log's identity, equal to its key's name; one non-empty line.
    pub origin: String,
    /// Entries in the tree.
    pub size: u64,
    /// The tree's root.
    pub root: NodeHash,
}

impl Checkpoint {
    /// Signs the checkpoint. Ed25519 gives the same bytes for the same checkpoint and key.
    ///
    /// The caller must first have made durable that it signs this size and root, and refused
    /// if it ever signed a larger size or another root (INV-6).
    ///
    /// # Errors
    ///
    /// [`NoteError::Checkpoint`] if the origin is not one non-empty line, [`NoteError::Origin`]
    /// if the first signer's name is another, and what the signers say.
    pub fn sign(&self, signers: &[&dyn Signer]) -> Result<SignedCheckpoint, NoteError> {
        if let Some(signer) = signers.first() {
            same_origin(signer.verifier(), self)?;
        }
        let note = Note::sign(&self.to_string(), signers)?;
        SignedCheckpoint::parse(note.to_text().as_bytes())
    }
}

/// The note's text: three lines.
impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}\n", self.origin, self.size, self.root)
    }
}

impl FromStr for Checkpoint {
    type Err = NoteError;

    /// Reads the text of a checkpoint note. Extension lines are allowed and dropped.
    fn from_str(text: &str) -> Result<Self, NoteError> {
        let fault = |why| Err(NoteError::Checkpoint(why));
        let Some(body) = text.strip_suffix('\n') else {
            return fault("it does not end with a newline");
        };
        let mut lines = body.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return fault("it has fewer than three lines");
        };
        if origin.is_empty() || lines.any(str::is_empty) {
            return fault("it has an empty line");
        }
        let Some(size) = parse_decimal(size) else {
            return fault("the second line is not a tree size in decimal");
        };
        let Ok(root) = root.parse() else {
            return fault("the third line is not the base64 of a 32-byte root");
        };
        Ok(Self { origin: origin.to_owned(), size, root })
    }
}

/// A checkpoint with its signatures: believe it only after [`SignedCheckpoint::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: Note,
}

impl SignedCheckpoint {
    /// Reads a `checkpoint` file.
    ///
    /// # Errors
    ///
    /// [`NoteError`] unless it is a signed note whose text is a checkpoint.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        let note = Note::parse(bytes)?;
        let checkpoint = note.text().parse()?;
        Ok(Self { checkpoint, note })
    }

    /// Checks that the log with this key signed it, and gives what it says.
    ///
    /// # Errors
    ///
    /// [`NoteError::Origin`], [`NoteError::Unsigned`], [`NoteError::Signature`].
    pub fn verify(&self, key: &VerifierKey) -> Result<&Checkpoint, NoteError> {
        self.note.verify(key)?;
        same_origin(key, &self.checkpoint)?;
        Ok(&self.checkpoint)
    }

    /// The same checkpoint with further signature lines: cosignatures of its witnesses.
    ///
    /// # Errors
    ///
    /// [`NoteError::TooLarge`].
    pub fn with_signatures(&self, lines: Vec<NoteSignature>) -> Result<Self, NoteError> {
        Ok(Self { checkpoint: self.checkpoint.clone(), note: self.note.with_signatures(lines)? })
    }

    /// Checks that the log signed it with one of its keys, and gives what it says and the first of them that did.
    ///
    /// # Errors
    ///
    /// As [`SignedCheckpoint::verify`].
    pub fn verify_any<'a>(&self, keys: &'a [VerifierKey]) -> Result<(&Checkpoint, &'a VerifierKey), NoteError> {
        let key = self.note.verify_any(keys)?;
        same_origin(key, &self.checkpoint)?;
        Ok((&self.checkpoint, key))
    }

    /// What it says, believed or not.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Its note, with all signature lines.
    pub fn note(&self) -> &Note {
        &self.note
    }

    /// The bytes of the `checkpoint` file.
    pub fn to_text(&self) -> String {
        self.note.to_text()
    }
}

/// The specification only recommends that the key's name be the origin; our logs always have it
/// so, and a key for one log must not vouch for another.
fn same_origin(key: &VerifierKey, checkpoint: &Checkpoint) -> Result<(), NoteError> {
    if key.name() == checkpoint.origin {
        return Ok(());
    }
    let (expected, got) = (key.name().to_owned(), checkpoint.origin.clone());
    Err(NoteError::Origin { expected, got })
}

/// An ASCII decimal without leading zeros or sign.
pub(crate) fn parse_decimal(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests;
