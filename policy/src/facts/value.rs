//! Counts of persons.

use serde::Serialize;

/// A whole number from 0 to 2^53−1, the integers that every JSON reader agrees on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(transparent)]
pub struct Count(u64);

/// The number is above 2^53−1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is too large; a count is at most 9007199254740991")]
pub struct CountError(pub u64);

impl Count {
    /// 2^53−1.
    pub const MAX: Self = Self((1 << 53) - 1);
    /// Nobody.
    pub const ZERO: Self = Self(0);

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// As Cedar's signed 64-bit integer, which it always fits.
    pub(crate) fn long(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }
}

impl TryFrom<u64> for Count {
    type Error = CountError;

    fn try_from(value: u64) -> Result<Self, CountError> {
        if value <= Self::MAX.0 { Ok(Self(value)) } else { Err(CountError(value)) }
    }
}

impl From<u32> for Count {
    fn from(value: u32) -> Self {
        Self(u64::from(value))
    }
}
