//! The `Range` field (RFC 9110 §14.1 and §14.2).

use std::ops::Range;

use super::RANGES_MAX;

/// What a `Range` field asks of a representation of a known length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Parsed {
    /// The field is to be ignored.
    Whole,
    /// Nothing in it can be answered, or it is malformed.
    Unsatisfiable,
    /// At least one non-empty range within the representation, in the order asked for.
    Ranges(Vec<Range<u64>>),
}

/// Parses `field` for a representation of `bytes` bytes.
pub(super) fn parse(field: &str, bytes: u64) -> Parsed {
    const UNIT: &str = "bytes=";
    let Some((unit, set)) = field.split_at_checked(UNIT.len()) else {
        return Parsed::Whole;
    };
    // An unknown unit must be ignored (§14.2); unit names are case-insensitive (§14.1).
    if !unit.eq_ignore_ascii_case(UNIT) || set.is_empty() {
        return Parsed::Whole;
    }
    let mut ranges = Vec::new();
    let mut specs = 0_usize;
    let mut total = 0_u64;
    for element in set.split(',') {
        let element = element.trim_matches([' ', '\t']);
        if element.is_empty() {
            continue;
        }
        specs += 1;
        let Some(spec) = Spec::parse(element) else {
            return Parsed::Unsatisfiable;
        };
        let Some(range) = spec.resolve(bytes) else {
            if bytes == 0 && matches!(spec, Spec::Suffix(1..)) {
                // Satisfiable by §14.1.2, yet no Content-Range can say so.
                return Parsed::Whole;
            }
            continue;
        };
        total = total.saturating_add(range.end - range.start);
        if ranges.len() <= RANGES_MAX {
            ranges.push(range);
        }
    }
    if specs == 0 || ranges.is_empty() {
        return Parsed::Unsatisfiable;
    }
    // A set that costs more than the whole is answered with the whole, as nginx does.
    if total > bytes {
        return Parsed::Whole;
    }
    if ranges.len() > RANGES_MAX {
        return Parsed::Unsatisfiable;
    }
    Parsed::Ranges(ranges)
}

enum Spec {
    From(u64),
    Between(u64, u64),
    Suffix(u64),
}

impl Spec {
    fn parse(element: &str) -> Option<Self> {
        let (first, last) = element.split_once('-')?;
        let (first, last) = (first.trim_end_matches(' '), last.trim_start_matches(' '));
        match (first.is_empty(), last.is_empty()) {
            (true, true) => None,
            (true, false) => Some(Self::Suffix(position(last)?)),
            (false, true) => Some(Self::From(position(first)?)),
            (false, false) => {
                let (first, last) = (position(first)?, position(last)?);
                // §14.1.2: a range whose last position is before its first is invalid.
                (first <= last).then_some(Self::Between(first, last))
            }
        }
    }

    /// The bytes it means, or `None` if it is unsatisfiable.
    fn resolve(&self, bytes: u64) -> Option<Range<u64>> {
        let range = match *self {
            Self::From(first) => first..bytes,
            Self::Between(first, last) => first..last.saturating_add(1).min(bytes),
            Self::Suffix(length) => bytes.saturating_sub(length)..bytes,
        };
        (range.start < range.end).then_some(range)
    }
}

/// Digits as a position; one too big for 64 bits lies beyond every representation, and says so by saturating.
fn position(digits: &str) -> Option<u64> {
    digits.bytes().try_fold(0_u64, |value, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        Some(value.saturating_mul(10).saturating_add(u64::from(digit)))
    })
}
