//! Identifiers, parsed once at the edge: a value of one of these types is always well formed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a string is not the identifier it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` is not a {what}: {rule}")]
pub struct IdError {
    value: String,
    what: &'static str,
    rule: &'static str,
}

impl IdError {
    fn new(value: &str, what: &'static str, rule: &'static str) -> Self {
        // A hostile value is quoted, never repeated at length.
        let value = value.chars().take(80).collect();
        Self { value, what, rule }
    }
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Parses `value`.
            ///
            /// # Errors
            /// [`IdError`] quotes the value and states the rule it breaks.
            pub fn parse(value: &str) -> Result<Self, IdError> {
                let valid: fn(&str) -> bool = $valid;
                if valid(value) {
                    Ok(Self(value.to_owned()))
                } else {
                    Err(IdError::new(value, $what, $rule))
                }
            }

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(value: String) -> Result<Self, IdError> {
                Self::parse(&value)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;
            fn from_str(value: &str) -> Result<Self, IdError> {
                Self::parse(value)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

fn token(value: &str, min: usize, max: usize) -> bool {
    (min..=max).contains(&value.len())
        && value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Whether `value` may name a file of a version: `[A-Za-z0-9._-]{1,200}`, no leading dot.
pub fn is_file_name(value: &str) -> bool {
    (1..=200).contains(&value.len())
        && !value.starts_with('.')
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

identifier!(
    /// A dataset's id, unique in one gateway.
    DatasetId, "dataset id", "3 to 64 of a-z, 0-9 and `-`", |v| token(v, 3, 64)
);
identifier!(
    /// A participant's short id (`hku`).
    ParticipantId, "participant id", "2 to 64 of a-z, 0-9 and `-`", |v| token(v, 2, 64)
);
identifier!(
    /// What a consumer wants a dataset for (`academic-research`).
    Purpose, "purpose", "1 to 64 of a-z, 0-9 and `-`", |v| token(v, 1, 64)
);
identifier!(
    /// The name of one immutable version of a dataset (`1`, `2026-11.2`).
    VersionName, "version", "1 to 64 of a-z, A-Z, 0-9, `.`, `_` and `-`, no leading dot",
    |v| is_file_name(v) && v.len() <= 64
);
identifier!(
    /// An agreement's id.
    AgreementId, "agreement id", "1 to 64 of a-z, 0-9 and `-`", |v| token(v, 1, 64)
);
identifier!(
    /// A mechanism's id.
    MechanismId, "mechanism id", "1 to 64 of a-z, 0-9 and `-`", |v| token(v, 1, 64)
);
identifier!(
    /// A lease's id.
    LeaseId, "lease id", "1 to 64 of a-z, 0-9 and `-`", |v| token(v, 1, 64)
);
identifier!(
    /// The id of a request for a review.
    ReviewId, "review id", "1 to 64 of a-z, 0-9 and `-`", |v| token(v, 1, 64)
);
identifier!(
    /// The id of a release.
    ReleaseId, "release id", "1 to 64 of a-z, 0-9 and `-`", |v| token(v, 1, 64)
);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn identifiers_accept_and_refuse_at_their_edges() {
        for ok in ["abc", "yue-speech", "0-0", &"a".repeat(64)] {
            assert!(DatasetId::parse(ok).is_ok(), "{ok}");
        }
        for bad in ["", "ab", "Yue", "a_b_c", "a/b/c", "../x", &"a".repeat(65), "粤语语"] {
            assert!(DatasetId::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(
            DatasetId::parse("No").unwrap_err().to_string(),
            "`No` is not a dataset id: 3 to 64 of a-z, 0-9 and `-`"
        );
    }

    #[test]
    fn a_file_name_never_leaves_its_folder() {
        assert!(is_file_name("part-0.parquet"));
        for bad in ["", ".", "..", ".hidden", "a/b", "a\\b", "a b", "é", &"a".repeat(201)] {
            assert!(!is_file_name(bad), "{bad}");
        }
    }
}
