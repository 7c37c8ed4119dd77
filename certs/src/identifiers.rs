//! The numbers and digests by which certificates and revocation lists are known.

use std::fmt;
use std::str::FromStr;

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::spiffe::serde_as_text;

/// Longest serial or CRL number in bytes (RFC 5280 §4.1.2.2, §5.2.3).
pub const NUMBER_BYTES_MAX: usize = 20;

/// Why a text is not a serial, a CRL number or a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentifierError {
    /// Not hexadecimal (an even number of digits, colons allowed between bytes).
    #[error("not hexadecimal: write bytes as two digits each, with or without colons")]
    Hex,
    /// Zero, negative or longer than RFC 5280 allows.
    #[error("not a positive number of at most {NUMBER_BYTES_MAX} bytes")]
    Range,
    /// Not a SHA-256 digest: 64 hexadecimal digits, or 43 characters of base64url.
    #[error("not a SHA-256 digest")]
    Digest,
}

/// A certificate's serial number: its DER content bytes, big-endian, as the issuer wrote them.
///
/// Printed as lower-case hexadecimal without the sign byte; [`fmt::Debug`] shows nothing of it,
/// since it identifies a person's certificate (INV-10).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial(Vec<u8>);

impl Serial {
    /// Takes DER INTEGER content bytes.
    ///
    /// # Errors
    ///
    /// [`IdentifierError::Range`] if it is not positive, not in its shortest form (DER), or
    /// longer than 20 bytes.
    pub fn from_der_content(bytes: &[u8]) -> Result<Self, IdentifierError> {
        let negative = bytes.first().is_none_or(|first| first & 0x80 != 0);
        // A padded serial would not be found in a revocation list that writes it minimally.
        let padded = matches!(bytes, [0, second, ..] if second & 0x80 == 0);
        let zero = bytes.iter().all(|byte| *byte == 0);
        if negative || padded || zero || bytes.len() > NUMBER_BYTES_MAX {
            return Err(IdentifierError::Range);
        }
        Ok(Self(bytes.to_vec()))
    }

    /// DER INTEGER content bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.strip_prefix(&[0]).unwrap_or(&self.0);
        hex(f, magnitude)
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Serial(…)")
    }
}

impl FromStr for Serial {
    type Err = IdentifierError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = from_hex(text)?;
        let leading = bytes.iter().take_while(|byte| **byte == 0).count();
        bytes.drain(..leading);
        if bytes.first().is_some_and(|first| first & 0x80 != 0) {
            bytes.insert(0, 0);
        }
        Self::from_der_content(&bytes)
    }
}

/// A CRL number, up to 20 bytes (RFC 5280 §5.2.3). Ordered as a number; printed in decimal
/// when it fits 128 bits, else in hexadecimal with `0x`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CrlNumber([u8; NUMBER_BYTES_MAX]);

impl CrlNumber {
    /// Takes a big-endian magnitude; leading zeros do not matter.
    ///
    /// # Errors
    ///
    /// [`IdentifierError::Range`] if it is longer than 20 bytes.
    pub fn from_be_bytes(bytes: &[u8]) -> Result<Self, IdentifierError> {
        let leading = bytes.iter().take_while(|byte| **byte == 0).count();
        let magnitude = bytes.get(leading..).unwrap_or_default();
        let start = NUMBER_BYTES_MAX.checked_sub(magnitude.len()).ok_or(IdentifierError::Range)?;
        let mut out = [0; NUMBER_BYTES_MAX];
        if let Some(tail) = out.get_mut(start..) {
            tail.copy_from_slice(magnitude);
        }
        Ok(Self(out))
    }

    /// All 20 bytes, big-endian.
    pub fn as_be_bytes(&self) -> &[u8; NUMBER_BYTES_MAX] {
        &self.0
    }

    /// The number after this one, or `None` past the largest.
    #[must_use]
    pub fn next(&self) -> Option<Self> {
        let mut bytes = self.0;
        for byte in bytes.iter_mut().rev() {
            let (sum, carried) = byte.overflowing_add(1);
            *byte = sum;
            if !carried {
                return Some(Self(bytes));
            }
        }
        None
    }

    fn as_u128(&self) -> Option<u128> {
        let (high, low) = self.0.split_first_chunk::<4>()?;
        let low: [u8; 16] = low.try_into().ok()?;
        (*high == [0; 4]).then(|| u128::from_be_bytes(low))
    }
}

impl From<u64> for CrlNumber {
    fn from(number: u64) -> Self {
        let mut out = [0; NUMBER_BYTES_MAX];
        for (slot, byte) in out.iter_mut().rev().zip(number.to_le_bytes()) {
            *slot = byte;
        }
        Self(out)
    }
}

impl fmt::Display for CrlNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(number) = self.as_u128() {
            return write!(f, "{number}");
        }
        f.write_str("0x")?;
        hex(f, &self.0)
    }
}

impl FromStr for CrlNumber {
    type Err = IdentifierError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(digits) = text.strip_prefix("0x") {
            return Self::from_be_bytes(&from_hex(digits)?);
        }
        let number: u128 = text.parse().map_err(|_| IdentifierError::Range)?;
        Self::from_be_bytes(&number.to_be_bytes())
    }
}

macro_rules! digest_newtype {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Hashes DER bytes.
            pub fn of(der: &[u8]) -> Self {
                let mut out = [0; 32];
                out.copy_from_slice(digest(&SHA256, der).as_ref());
                Self(out)
            }

            /// Takes a digest that was computed elsewhere.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The digest.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdentifierError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let bytes = match text.len() {
                    43 => from_base64url(text).ok_or(IdentifierError::Digest)?,
                    _ => from_hex(text)?,
                };
                bytes.try_into().map(Self).map_err(|_| IdentifierError::Digest)
            }
        }
    };
}

digest_newtype! {
    /// SHA-256 of a certificate's DER; printed as RFC 8705's `x5t#S256`: base64url without
    /// padding. It identifies a person's certificate: never log it (INV-10), so that
    /// [`fmt::Debug`] shows nothing of it.
    CertSha256
}

digest_newtype! {
    /// SHA-256 of an authority's SubjectPublicKeyInfo DER; printed as hexadecimal. Revocation
    /// lists and revoked serials belong to a *key*: two authorities may bear the same name.
    IssuerKey
}

impl CertSha256 {
    /// Lower-case hexadecimal, as other tools print fingerprints.
    pub fn to_hex(&self) -> String {
        struct Hex<'a>(&'a [u8]);
        impl fmt::Display for Hex<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                hex(f, self.0)
            }
        }
        Hex(&self.0).to_string()
    }
}

impl fmt::Display for CertSha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        let mut bits: u32 = 0;
        let mut held: u32 = 0;
        for byte in self.0 {
            bits = (bits << 8) | u32::from(byte);
            held += 8;
            while held >= 6 {
                held -= 6;
                f.write_char(base64url_digit((bits >> held) & 63))?;
            }
        }
        if held > 0 {
            f.write_char(base64url_digit((bits << (6 - held)) & 63))?;
        }
        Ok(())
    }
}

impl fmt::Debug for CertSha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CertSha256(…)")
    }
}

impl fmt::Display for IssuerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(f, &self.0)
    }
}

impl fmt::Debug for IssuerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IssuerKey({self})")
    }
}

serde_as_text!(Serial, CrlNumber, CertSha256, IssuerKey);

fn hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

fn from_hex(text: &str) -> Result<Vec<u8>, IdentifierError> {
    let digits: Vec<char> = text.chars().filter(|c| *c != ':').collect();
    if digits.is_empty() || digits.len() > 128 || !digits.len().is_multiple_of(2) {
        return Err(IdentifierError::Hex);
    }
    digits
        .chunks_exact(2)
        .map(|pair| {
            let byte = pair.iter().try_fold(0, |byte, digit| Some(byte * 16 + digit.to_digit(16)?));
            byte.and_then(|byte| u8::try_from(byte).ok()).ok_or(IdentifierError::Hex)
        })
        .collect()
}

const BASE64URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn base64url_digit(value: u32) -> char {
    let index = usize::try_from(value).unwrap_or(usize::MAX);
    BASE64URL.get(index).copied().map_or('-', char::from)
}

fn from_base64url(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(32);
    let (mut bits, mut held) = (0_usize, 0_u32);
    for byte in text.bytes() {
        bits = (bits << 6) | BASE64URL.iter().position(|digit| *digit == byte)?;
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push(u8::try_from((bits >> held) & 255).ok()?);
            bits &= (1 << held) - 1;
        }
    }
    (bits == 0).then_some(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn serials_round_trip_and_refuse_what_rfc_5280_forbids() {
        for (text, content) in [("01", &[1][..]), ("80", &[0, 0x80]), ("00ff", &[0, 0xff]), ("7F:01", &[0x7f, 1])] {
            let serial: Serial = text.parse().unwrap();
            assert_eq!(serial.as_bytes(), content, "{text}");
            assert_eq!(serial.to_string().parse::<Serial>().unwrap(), serial);
        }
        for text in ["00", "0000", &"11".repeat(21)] {
            assert_eq!(text.parse::<Serial>(), Err(IdentifierError::Range), "{text}");
        }
        for text in ["", "1", "zz", "+1"] {
            assert_eq!(text.parse::<Serial>(), Err(IdentifierError::Hex), "{text}");
        }
        assert_eq!(Serial::from_der_content(&[0xff]), Err(IdentifierError::Range));
        assert_eq!(Serial::from_der_content(&[]), Err(IdentifierError::Range));
        assert_eq!(Serial::from_der_content(&[0, 1]), Err(IdentifierError::Range));
    }

    #[test]
    fn crl_numbers_order_as_numbers() {
        let two: CrlNumber = 2.into();
        let ten: CrlNumber = "10".parse().unwrap();
        assert!(two < ten);
        assert_eq!(CrlNumber::from(255).next().unwrap(), CrlNumber::from(256));
        assert_eq!(CrlNumber::from_be_bytes(&[0; 30]).unwrap(), CrlNumber::from(0));
        assert_eq!(CrlNumber::from(u64::MAX).to_string(), u64::MAX.to_string());
        let largest = CrlNumber::from_be_bytes(&[255; 20]).unwrap();
        assert!(largest > ten);
        assert_eq!(largest.next(), None);
        assert_eq!(largest.to_string().parse::<CrlNumber>().unwrap(), largest);
        assert_eq!(CrlNumber::from_be_bytes(&[1; 21]), Err(IdentifierError::Range));
        assert!("-1".parse::<CrlNumber>().is_err());
    }

    #[test]
    fn thumbprint_is_base64url_without_padding() {
        // SHA-256 of the empty string, as base64url.
        let digest = CertSha256::of(b"");
        assert_eq!(digest.to_string(), "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU");
        assert_eq!(digest.to_string().parse::<CertSha256>().unwrap(), digest);
        assert_eq!(digest.to_hex().parse::<CertSha256>().unwrap(), digest);
        assert_eq!(format!("{digest:?}"), "CertSha256(…)");
        assert_eq!(
            "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFV".parse::<CertSha256>(),
            Err(IdentifierError::Digest),
            "trailing bits must be zero"
        );
        assert_eq!("ab".parse::<CertSha256>(), Err(IdentifierError::Digest));
    }
}
