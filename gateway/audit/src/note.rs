//! C2SP signed notes: a text, a blank line, and signature lines of keys that are named by name
//! and id. Lines of keys we do not know are kept and ignored.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::tree::shorten;

pub(crate) mod ed25519;
pub(crate) mod key;

pub use ed25519::{Ed25519Signer, Signer};
pub use key::{KeyId, VerifierKey, verifier_keys};

/// Longest signed note that is read, in bytes: room for many post-quantum cosignatures.
pub const NOTE_BYTES_MAX: usize = 256 * 1024;

/// Most signature lines that are read; the specification asks for at least 16.
pub const NOTE_SIGNATURES_MAX: usize = 64;

/// Why a note or a key is not acceptable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// The note is longer than [`NOTE_BYTES_MAX`] or has more than [`NOTE_SIGNATURES_MAX`] lines.
    #[error("the note is too large: at most {NOTE_BYTES_MAX} bytes and {NOTE_SIGNATURES_MAX} signatures")]
    TooLarge,
    /// The note does not have the form of a signed note.
    #[error("not a signed note: {0}")]
    Note(&'static str),
    /// A line of the note is not a signature line.
    #[error("`{0}` is not a signature line, `— <name> <base64>`")]
    SignatureLine(String),
    /// The text under the signatures is not a checkpoint.
    #[error("not a checkpoint: {0}")]
    Checkpoint(&'static str),
    /// The checkpoint is of another log than the key.
    #[error("the checkpoint is of `{got}`, the key of `{expected}`")]
    Origin {
        /// The key's name.
        expected: String,
        /// The checkpoint's origin.
        got: String,
    },
    /// No line of the note is by this key.
    #[error("no signature by `{0}`")]
    Unsigned(String),
    /// A line by this key does not verify: the text was changed, or the line was.
    #[error("the signature by `{0}` does not verify")]
    Signature(String),
    /// Not a verifier key.
    #[error("not a verifier key: {0}; expected `<name>+<8 hex>+<base64>`")]
    VerifierKey(&'static str),
    /// Not a signing key. The text is not repeated here: it is a secret.
    #[error("not a signing key: {0}; expected `PRIVATE+KEY+<name>+<8 hex>+<base64>`")]
    SigningKey(&'static str),
    /// A name that a key cannot have.
    #[error("`{0}` cannot be a key's name: it must not be empty nor have spaces, `+` or control characters")]
    KeyName(String),
    /// The signer could not sign.
    #[error("the signer failed: {0}")]
    Signer(String),
}

/// A parsed signed note. Nothing in it may be believed before [`Note::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// One signature line; prints as such, without its newline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    /// The key's name.
    pub name: String,
    /// The key's id.
    pub id: KeyId,
    /// What follows the id.
    pub signature: Vec<u8>,
}

impl std::fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = [&self.id.0, self.signature.as_slice()].concat();
        write!(f, "— {} {}", self.name, STANDARD.encode(bytes))
    }
}

impl NoteSignature {
    /// Reads one or more signature lines, each with its newline, as a witness answers them.
    ///
    /// # Errors
    ///
    /// [`NoteError::SignatureLine`], [`NoteError::TooLarge`].
    pub fn parse_lines(text: &str) -> Result<Vec<Self>, NoteError> {
        let lines = text.strip_suffix('\n').ok_or(NoteError::Note("it does not end with a signature line"))?;
        let lines = lines.split('\n').map(signature_line);
        if lines.clone().count() > NOTE_SIGNATURES_MAX {
            return Err(NoteError::TooLarge);
        }
        lines.collect()
    }
}

impl Note {
    /// Signs `text`, which must end with a newline, with every signer, in order.
    ///
    /// # Errors
    ///
    /// [`NoteError::Note`] for a text that a note cannot carry or without any signer; what a
    /// signer says.
    pub fn sign(text: &str, signers: &[&dyn Signer]) -> Result<Self, NoteError> {
        check_text(text)?;
        if signers.is_empty() {
            return Err(NoteError::Note("there is no signature"));
        }
        let signatures = signers.iter().map(|signer| {
            let key = signer.verifier();
            let signature = signer.sign(text.as_bytes())?;
            Ok(NoteSignature { name: key.name().to_owned(), id: key.id(), signature })
        });
        let signatures = signatures.collect::<Result<_, _>>()?;
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// Reads a signed note.
    ///
    /// # Errors
    ///
    /// [`NoteError`] unless it is UTF-8 without control characters, and ends with a blank line
    /// and one or more signature lines.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLarge);
        }
        let note = std::str::from_utf8(bytes).map_err(|_| NoteError::Note("it is not UTF-8"))?;
        let blank = note.rfind("\n\n").ok_or(NoteError::Note("there is no blank line"))?;
        let (text, lines) = note.split_at_checked(blank + 1).unwrap_or((note, ""));
        check_text(text)?;
        let lines = lines.strip_prefix('\n').ok_or(NoteError::Note("it does not end with a signature line"))?;
        let signatures = NoteSignature::parse_lines(lines)?;
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// The text, with its final newline.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signature lines, of known and unknown keys.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Checks that `key` signed the text. Lines of other keys are ignored.
    ///
    /// # Errors
    ///
    /// [`NoteError::Unsigned`] if no line names the key, [`NoteError::Signature`] if one does
    /// and does not verify.
    pub fn verify(&self, key: &VerifierKey) -> Result<(), NoteError> {
        let by_key = |line: &&NoteSignature| line.name == key.name() && line.id == key.id();
        let mut lines = self.signatures.iter().filter(by_key).peekable();
        if lines.peek().is_none() {
            return Err(NoteError::Unsigned(key.name().to_owned()));
        }
        if lines.all(|line| key.verifies(self.text.as_bytes(), &line.signature)) {
            Ok(())
        } else {
            Err(NoteError::Signature(key.name().to_owned()))
        }
    }

    /// The note with further signature lines. A line of a key that has one already replaces it.
    ///
    /// # Errors
    ///
    /// [`NoteError::TooLarge`].
    pub fn with_signatures(&self, lines: Vec<NoteSignature>) -> Result<Self, NoteError> {
        let mut signatures = self.signatures.clone();
        signatures.retain(|old| !lines.iter().any(|new| new.name == old.name && new.id == old.id));
        signatures.extend(lines);
        let note = Self { text: self.text.clone(), signatures };
        if note.signatures.len() > NOTE_SIGNATURES_MAX || note.to_text().len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLarge);
        }
        Ok(note)
    }

    /// The first of `keys` that signed the text. A line by any of them must verify.
    ///
    /// # Errors
    ///
    /// As [`Note::verify`]; [`NoteError::Unsigned`] if no line names any of them.
    pub fn verify_any<'a>(&self, keys: &'a [VerifierKey]) -> Result<&'a VerifierKey, NoteError> {
        let mut signed = None;
        for key in keys {
            match self.verify(key) {
                Ok(()) => signed = signed.or(Some(key)),
                Err(NoteError::Unsigned(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let names = || keys.first().map(|key| key.name().to_owned()).unwrap_or_default();
        signed.ok_or_else(|| NoteError::Unsigned(names()))
    }

    /// The whole note as it is stored and served.
    pub fn to_text(&self) -> String {
        let mut note = format!("{}\n", self.text);
        for line in &self.signatures {
            let _ = writeln!(note, "{line}");
        }
        note
    }
}

fn check_text(text: &str) -> Result<(), NoteError> {
    if !text.ends_with('\n') {
        return Err(NoteError::Note("the text does not end with a newline"));
    }
    if text.chars().any(|c| c < ' ' && c != '\n') {
        return Err(NoteError::Note("the text has control characters"));
    }
    Ok(())
}

fn signature_line(line: &str) -> Result<NoteSignature, NoteError> {
    let parse = || {
        let (name, encoded) = line.strip_prefix("— ")?.split_once(' ')?;
        key::check_name(name).ok()?;
        let bytes = STANDARD.decode(encoded).ok()?;
        let (id, signature) = bytes.split_first_chunk::<4>()?;
        let (name, signature) = (name.to_owned(), signature.to_vec());
        (!signature.is_empty()).then_some(NoteSignature { name, id: KeyId(*id), signature })
    };
    parse().ok_or_else(|| NoteError::SignatureLine(shorten(line)))
}

#[cfg(test)]
mod tests;
