//! The members every leaf must have, read without parsing the rest.

use jiff::Timestamp;

use super::canonical::scan_object;
use super::{LEAF_BYTES_MAX, LeafError, is_digest};

/// What the verifier needs of a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeafHead<'a> {
    /// `kind`, a token of `[a-z0-9_]`.
    pub kind: &'a str,
    /// `at`.
    pub at: Timestamp,
    /// `facts`, in the form of [`is_digest`], if there.
    pub facts: Option<&'a str>,
    /// `policy`, in the same form, if there.
    pub policy: Option<&'a str>,
}

impl<'a> LeafHead<'a> {
    /// Checks that `bytes` are a leaf and reads its head.
    ///
    /// # Errors
    ///
    /// [`LeafError`] unless they are at most 8 KiB of canonical JSON with `v`, `kind`, `at` and,
    /// if there, `facts` and `policy` in their forms.
    pub fn read(bytes: &'a [u8]) -> Result<Self, LeafError> {
        if bytes.len() > LEAF_BYTES_MAX {
            return Err(LeafError::TooLong { got: bytes.len() });
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|error| LeafError::NotCanonical { at: error.valid_up_to(), why: "UTF-8" })?;
        let (mut version, mut kind, mut at, mut facts, mut policy) = (None, None, None, None, None);
        scan_object(text, &mut |name, value| match name {
            "v" => version = Some(value),
            "kind" => kind = Some(value),
            "at" => at = Some(value),
            "facts" => facts = Some(value),
            "policy" => policy = Some(value),
            _ => (),
        })?;
        if version != Some("1") {
            return Err(LeafError::Member { member: "v", expected: "1" });
        }
        let kind = kind
            .and_then(quoted)
            .filter(|kind| is_kind(kind))
            .ok_or(LeafError::Member { member: "kind", expected: "a token of a-z, 0-9 and _" })?;
        let at = at
            .and_then(quoted)
            .and_then(timestamp)
            .ok_or(LeafError::Member { member: "at", expected: "an RFC 3339 time with offset" })?;
        let (facts, policy) = (digest_of("facts", facts)?, digest_of("policy", policy)?);
        Ok(Self { kind, at, facts, policy })
    }
}

/// A member that names a blob by its digest.
fn digest_of<'a>(member: &'static str, value: Option<&'a str>) -> Result<Option<&'a str>, LeafError> {
    let Some(value) = value else { return Ok(None) };
    let digest = quoted(value).filter(|digest| is_digest(digest));
    digest.map(Some).ok_or(LeafError::Member { member, expected: "`sha256:` and 64 hexadecimal digits" })
}

fn quoted(raw: &str) -> Option<&str> {
    raw.strip_prefix('"')?.strip_suffix('"')
}

fn is_kind(kind: &str) -> bool {
    (1..=64).contains(&kind.len()) && kind.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

/// Reads exactly the profile `YYYY-MM-DDThh:mm:ss[.f]` with `Z` or `±hh:mm`; the time library
/// alone would take other ISO 8601 forms as well.
fn timestamp(text: &str) -> Option<Timestamp> {
    let (seconds, rest) = text.split_at_checked(19)?;
    let mut shape = seconds.bytes().zip(b"dddd-dd-ddTdd:dd:dd");
    let matches = |(byte, form): (u8, &u8)| {
        if *form == b'd' { byte.is_ascii_digit() } else { byte == *form }
    };
    let offset = match rest.strip_prefix('.') {
        None => rest,
        Some(fraction) => {
            let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
            fraction.get(digits..).filter(|_| (1..=9).contains(&digits))?
        }
    };
    let offset_fits = match offset.as_bytes() {
        b"Z" => true,
        [b'+' | b'-', a, b, b':', c, d] => [a, b, c, d].into_iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if shape.all(matches) && offset_fits { text.parse().ok() } else { None }
}
