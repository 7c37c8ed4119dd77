//! Places: `HK`, `MO`, `TW`, another ISO 3166-1 alpha-2 code, or `CN-` and a six-digit division code.
//!
//! Only the shape is checked (POLICY.md, "Places"); mainland division codes never start with 71, 81 or 82,
//! which are the other spellings of TW, HK and MO.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where bytes lie, where an institution is registered, or where a person sits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Place(String);

/// A string that is not a place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a place: write `HK`, `MO`, `TW`, another two-letter country code, or `CN-` and six digits \
     (`CN-440300`) that do not start with 71, 81 or 82"
)]
pub struct PlaceError(String);

/// Which side of the border a place is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The mainland.
    Mainland,
    /// Hong Kong.
    HongKong,
    /// Anywhere else.
    Elsewhere,
}

impl Place {
    /// Parses `text`.
    pub fn parse(text: &str) -> Result<Self, PlaceError> {
        let country = text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase());
        let division = text.strip_prefix("CN-").is_some_and(|code| {
            code.len() == 6
                && code.bytes().all(|b| b.is_ascii_digit())
                && !["71", "81", "82"].iter().any(|other| code.starts_with(other))
        });
        if country || division { Ok(Self(text.to_owned())) } else { Err(PlaceError(text.chars().take(40).collect())) }
    }

    /// The place as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The side of the border.
    pub fn side(&self) -> Side {
        match self.0.as_str() {
            "HK" => Side::HongKong,
            text if text == "CN" || text.starts_with("CN-") => Side::Mainland,
            _ => Side::Elsewhere,
        }
    }

    /// Whether an offer's place `self` covers `other`: the same place, or `CN` for any mainland division.
    pub fn covers(&self, other: &Self) -> bool {
        self == other || (self.0 == "CN" && other.side() == Side::Mainland)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Place {
    type Error = PlaceError;
    fn try_from(text: String) -> Result<Self, PlaceError> {
        Self::parse(&text)
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        place.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn shapes() {
        for (ok, side) in
            [("HK", Side::HongKong), ("CN", Side::Mainland), ("CN-440300", Side::Mainland), ("MO", Side::Elsewhere)]
        {
            assert_eq!(Place::parse(ok).unwrap().side(), side, "{ok}");
        }
        for bad in ["", "hk", "HKG", "CN-", "CN-4403", "CN-810000", "CN-710000", "CN-820000", "CN-44030a"] {
            assert!(Place::parse(bad).is_err(), "{bad}");
        }
    }
}
