//! Places: jurisdictions, and mainland cities where the law tells them apart.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A place: `HK`, `MO`, `TW`, another ISO 3166-1 alpha-2 code, or `CN-` and a six-digit GB/T 2260
/// code. Only the shape is checked. Taiwan, Hong Kong and Macao have codes of their own, so
/// `CN-71…`, `CN-81…` and `CN-82…` are refused: a place must have one spelling.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(String);

/// The text is not a place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a place; use {WANT}")]
pub struct PlaceError(pub String);

/// What a place looks like, for error messages.
pub(crate) const WANT: &str = "`HK`, `MO`, `TW`, another two-letter ISO 3166-1 code in capitals, \
     or `CN-` and six digits that do not start with 71, 81 or 82";

impl Place {
    /// Reads a place.
    pub fn parse(text: &str) -> Result<Self, PlaceError> {
        let country = text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase());
        let city = text.strip_prefix("CN-").is_some_and(|code| {
            code.len() == 6
                && code.bytes().all(|b| b.is_ascii_digit())
                && !["71", "81", "82"].iter().any(|p| code.starts_with(p))
        });
        if country || city { Ok(Self(text.to_owned())) } else { Err(PlaceError(text.chars().take(64).collect())) }
    }

    /// The place as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The two letters before any `-`.
    pub fn jurisdiction(&self) -> &str {
        self.0.get(..2).unwrap_or(&self.0)
    }

    /// Whether it lies in the mainland: `CN` or `CN-…`.
    pub fn is_mainland(&self) -> bool {
        self.jurisdiction() == "CN"
    }

    /// Whether it is Hong Kong.
    pub fn is_hong_kong(&self) -> bool {
        self.0 == "HK"
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        Self::parse(text)
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Where a recipient reads from: a place, or a socket address that no registered range holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum AccessedFrom {
    /// No registered range holds the address. Neither mainland nor Hong Kong.
    Unknown,
    /// The place of the range, or of the participant if it registered none.
    Place(Place),
}

impl AccessedFrom {
    /// The place or `unknown`.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Unknown => "unknown",
            Self::Place(place) => place.as_str(),
        }
    }

    /// Reads a place or `unknown`.
    pub fn parse(text: &str) -> Result<Self, PlaceError> {
        if text == "unknown" { Ok(Self::Unknown) } else { Place::parse(text).map(Self::Place) }
    }

    /// The place, if it is known.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::Unknown => None,
            Self::Place(place) => Some(place),
        }
    }
}

impl From<Place> for AccessedFrom {
    fn from(place: Place) -> Self {
        Self::Place(place)
    }
}

impl Serialize for AccessedFrom {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_the_shape_is_checked() {
        for good in ["HK", "MO", "TW", "CN", "GB", "ZZ", "CN-440300", "CN-000000", "CN-990000"] {
            assert_eq!(Place::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "hk",
            "H",
            "HKG",
            "CN-",
            "CN-44030",
            "CN-4403000",
            "CN-44030a",
            "cn-440300",
            "CN-710000",
            "CN-810000",
            "CN-820000",
            "US-440300",
            "unknown",
            "CN–440300",
            "香港",
            "H1",
            " HK",
            "CN-４４０３００",
        ] {
            assert!(Place::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn unknown_is_nowhere() {
        let unknown = AccessedFrom::parse("unknown").unwrap();
        assert_eq!(unknown.place(), None);
        assert!(AccessedFrom::parse("Unknown").is_err());
    }
}
