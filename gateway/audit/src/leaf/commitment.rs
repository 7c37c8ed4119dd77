//! Salted commitments: what stands in a leaf in place of a natural person's identifier or of
//! free text (INV-10). Without the salt nobody can try out names, phones or numbers.

use std::fmt;

use ring::hmac;
use serde::{Deserialize, Serialize};

use crate::tree::hex;

/// The commitment to `value` as the member `field`: `c:` and the hexadecimal
/// HMAC-SHA-256(salt, field ‖ 0x00 ‖ value).
///
/// The salt must be 32 random bytes used for this one member of this one leaf, or equal values
/// could be recognised.
pub fn commitment(salt: &[u8; 32], field: &str, value: &[u8]) -> String {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, salt));
    context.update(field.as_bytes());
    context.update(&[0]);
    context.update(value);
    format!("c:{}", hex(context.sign().as_ref()))
}

/// What opens one commitment. The store keeps it sealed; shown to an auditor it discloses this
/// field alone.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// The salt.
    #[serde(with = "salt_base64")]
    pub salt: [u8; 32],
    /// The member of the leaf.
    pub field: String,
    /// What was committed to.
    pub value: String,
}

impl Opening {
    /// The commitment this opens.
    pub fn commitment(&self) -> String {
        commitment(&self.salt, &self.field, self.value.as_bytes())
    }

    /// Whether this opens `printed`, the text that stands in a leaf.
    pub fn verify(&self, printed: &str) -> bool {
        self.commitment() == printed
    }
}

/// Neither the salt nor the value: openings must not reach a log line.
impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening").field("field", &self.field).finish_non_exhaustive()
    }
}

/// Text from outside on its way into a leaf, with the salt to commit to it if it has to be.
#[derive(Clone, Copy)]
pub struct Text<'a> {
    pub(super) value: &'a str,
    pub(super) salt: [u8; 32],
}

impl<'a> Text<'a> {
    /// `value`, and 32 fresh random bytes.
    pub fn new(value: &'a str, salt: [u8; 32]) -> Self {
        Self { value, salt }
    }

    /// Whether it is a token, `[a-z0-9-]{1,64}`, which a leaf carries as it is.
    pub fn is_token(&self) -> bool {
        (1..=64).contains(&self.value.len())
            && self.value.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Text").finish_non_exhaustive()
    }
}

mod salt_base64 {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    pub fn serialize<S: serde::Serializer>(salt: &[u8; 32], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(salt))
    }

    pub fn deserialize<'de, D: serde::Deserializer<'de>>(from: D) -> Result<[u8; 32], D::Error> {
        let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(from)?;
        let bytes = STANDARD.decode(text.as_bytes()).ok();
        bytes
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| serde::de::Error::custom("a salt is the base64 of 32 bytes"))
    }
}
