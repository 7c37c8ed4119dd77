//! Billing periods: calendar months in Asia/Shanghai.

use std::fmt;

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use serde::{Deserialize, Serialize};

/// A calendar month in Asia/Shanghai, printed `2026-11`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Month {
    year: i16,
    month: i8,
}

/// A string that is not a month.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a month: write year and month, `2026-11`")]
pub struct MonthError(String);

/// The mainland has had one offset and no summer time since 1991: no time zone data is needed.
const SHANGHAI: Offset = Offset::constant(8);

impl Month {
    /// The month in which `at` lies.
    pub fn of(at: Timestamp) -> Self {
        let date = at.to_zoned(TimeZone::fixed(SHANGHAI)).date();
        Self { year: date.year(), month: date.month() }
    }

    /// Parses `2026-11`.
    pub fn parse(text: &str) -> Result<Self, MonthError> {
        let wrong = || MonthError(text.chars().take(40).collect());
        let (year, month) = text.split_once('-').ok_or_else(wrong)?;
        let digits = |part: &str, length| part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(year, 4) || !digits(month, 2) {
            return Err(wrong());
        }
        let (year, month) = (year.parse().map_err(|_| wrong())?, month.parse().map_err(|_| wrong())?);
        if (1..=12).contains(&month) { Ok(Self { year, month }) } else { Err(wrong()) }
    }

    /// Its year.
    pub const fn year(self) -> i16 {
        self.year
    }

    /// Its number in the year, 1 to 12.
    pub const fn month(self) -> i8 {
        self.month
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

impl std::str::FromStr for Month {
    type Err = MonthError;
    fn from_str(text: &str) -> Result<Self, MonthError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Month {
    type Error = MonthError;
    fn try_from(text: String) -> Result<Self, MonthError> {
        Self::parse(&text)
    }
}

impl From<Month> for String {
    fn from(month: Month) -> Self {
        month.to_string()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_month_turns_at_midnight_in_shanghai() {
        for (at, month) in [
            ("2026-10-31T15:59:59.999Z", "2026-10"),
            ("2026-10-31T16:00:00Z", "2026-11"),
            ("2026-12-31T16:00:00Z", "2027-01"),
        ] {
            let got = Month::of(at.parse().unwrap());
            assert_eq!(got.to_string(), month);
            assert_eq!(Month::parse(month).unwrap(), got);
        }
        for bad in ["", "2026", "2026-13", "2026-00", "26-11", "2026-1", "2026-11-01", "+026-11", "二〇二六-11"] {
            assert!(Month::parse(bad).is_err(), "{bad}");
        }
    }
}
