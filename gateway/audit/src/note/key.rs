//! Keys as text: the verifier key `<name>+<id>+<base64>` that auditors keep.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::tree::{hex, sha256, shorten};

use super::{NoteError, ed25519};

/// Signature type of an Ed25519 signature over the note's text.
pub(super) const TYPE_ED25519: u8 = 0x01;

/// Signature type of a timestamped Ed25519 cosignature (C2SP tlog-cosignature, cosignature/v1).
pub(crate) const TYPE_COSIGNATURE: u8 = 0x04;

/// The four bytes that, with the name, tell keys apart. Not a secure hash of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId(pub [u8; 4]);

impl KeyId {
    /// The recommended id: SHA-256(name ‖ 0x0A ‖ type ‖ public key), its first four bytes.
    pub fn of(name: &str, kind: u8, public: &[u8]) -> Self {
        let bytes = [name.as_bytes(), b"\n", &[kind], public].concat();
        let [a, b, c, d, ..] = *sha256(&bytes).as_bytes();
        Self([a, b, c, d])
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// An Ed25519 key that checks a log's signatures. Prints and parses as
/// `<name>+<id in hexadecimal>+base64(0x01 ‖ public key)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    id: KeyId,
    public: [u8; 32],
}

impl VerifierKey {
    /// The key `name` with its 32-byte public part (RFC 8032).
    ///
    /// # Errors
    ///
    /// [`NoteError::KeyName`].
    pub fn new(name: &str, public: [u8; 32]) -> Result<Self, NoteError> {
        check_name(name)?;
        let id = KeyId::of(name, TYPE_ED25519, &public);
        Ok(Self { name: name.to_owned(), id, public })
    }

    /// Its name: the log's origin.
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

    /// Whether `signature` is this key's over `message`.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        ed25519::verifies(&self.public, message, signature)
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode(&self.name, self.id, TYPE_ED25519, &self.public))
    }
}

impl FromStr for VerifierKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let (name, public) = parse_public(text, TYPE_ED25519)?;
        Self::new(name, public)
    }
}

/// Reads a file of verifier keys, one a line: a log has several while and after its key was changed. All have one name.
///
/// # Errors
///
/// [`NoteError::VerifierKey`] if a line is none, there is none, or they are of different logs.
pub fn verifier_keys(text: &str) -> Result<Vec<VerifierKey>, NoteError> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let keys = lines.map(str::parse).collect::<Result<Vec<VerifierKey>, _>>()?;
    match keys.split_first() {
        None => Err(NoteError::VerifierKey("there is none")),
        Some((first, rest)) if rest.iter().any(|key| key.name != first.name) => {
            Err(NoteError::VerifierKey("they are keys of different logs"))
        }
        Some(_) => Ok(keys),
    }
}

/// Splits `<name>+<id>+<base64>` and reads the 32 bytes behind the type byte, which must be `kind`.
pub(crate) fn parse(text: &str, kind: u8) -> Result<(&str, &str, [u8; 32]), &'static str> {
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(id), Some(encoded)) = (parts.next(), parts.next(), parts.next()) else {
        return Err("it does not have three parts");
    };
    let bytes = STANDARD.decode(encoded).map_err(|_| "its last part is not base64")?;
    match bytes.split_first() {
        Some((got, key)) if *got == kind => {
            let key = key.try_into().map_err(|_| "an Ed25519 key has 32 bytes")?;
            Ok((name, id, key))
        }
        _ if kind == TYPE_COSIGNATURE => Err("it is not of type cosignature/v1 (0x04)"),
        _ => Err("it is not of type Ed25519 (0x01)"),
    }
}

/// Reads a verifier key of `kind`, whose id must be that of its name and key.
pub(crate) fn parse_public(text: &str, kind: u8) -> Result<(&str, [u8; 32]), NoteError> {
    let (name, id, public) = parse(text, kind).map_err(NoteError::VerifierKey)?;
    check_name(name)?;
    if KeyId::of(name, kind, &public).to_string() == id {
        Ok((name, public))
    } else {
        Err(NoteError::VerifierKey("its id is not that of its name and key"))
    }
}

/// The text form that [`parse`] reads.
pub(crate) fn encode(name: &str, id: KeyId, kind: u8, key: &[u8; 32]) -> String {
    format!("{name}+{id}+{}", STANDARD.encode([&[kind], key.as_slice()].concat()))
}

pub(crate) fn check_name(name: &str) -> Result<(), NoteError> {
    let odd = |c: char| c.is_whitespace() || c.is_control() || c == '+';
    if name.is_empty() || name.chars().any(odd) {
        return Err(NoteError::KeyName(shorten(name)));
    }
    Ok(())
}
