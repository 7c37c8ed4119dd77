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

/// Days after a month's end at whose beginning it closes (LEDGER.md, 2.2).
const CLOSES_AFTER_DAYS: i64 = 15;

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

    /// December of `year`, with which it closes.
    pub fn last_of(year: i16) -> Option<Self> {
        (0..=9999).contains(&year).then_some(Self { year, month: 12 })
    }

    /// The month after it; the last that can be written stays itself.
    #[must_use]
    pub const fn next(self) -> Self {
        match (self.year, self.month) {
            (9999, 12) => self,
            (year, 12) => Self { year: year + 1, month: 1 },
            (year, month) => Self { year, month: month + 1 },
        }
    }

    /// When it closes: at 00:00 in Asia/Shanghai, fifteen days after its last one. What comes later is posted to the
    /// month that is open then, and says which month it belongs to.
    pub fn closes(self) -> Timestamp {
        let day =
            self.next().first_day().and_then(|first| first.checked_add(jiff::Span::new().days(CLOSES_AFTER_DAYS)).ok());
        let zoned = day.and_then(|day| day.to_zoned(TimeZone::fixed(SHANGHAI)).ok());
        zoned.map_or(Timestamp::MAX, |zoned| zoned.timestamp())
    }

    fn first_day(self) -> Option<jiff::civil::Date> {
        jiff::civil::Date::new(self.year, self.month, 1).ok()
    }

    /// Its first moment in Asia/Shanghai.
    pub fn begins(self) -> Timestamp {
        let zoned = self.first_day().and_then(|day| day.to_zoned(TimeZone::fixed(SHANGHAI)).ok());
        zoned.map_or(Timestamp::MAX, |zoned| zoned.timestamp())
    }

    /// The month that what happened in this one is posted to at `now`.
    #[must_use]
    pub fn posted_at(self, now: Timestamp) -> Self {
        if now < self.closes() { self } else { Self::of(now).max(self) }
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
        assert_eq!(Month::parse("2026-12").unwrap().next().to_string(), "2027-01");
        for bad in ["", "2026", "2026-13", "2026-00", "26-11", "2026-1", "2026-11-01", "+026-11", "二〇二六-11"] {
            assert!(Month::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_month_closes_after_fifteen_days_in_shanghai() {
        let november = Month::parse("2026-11").unwrap();
        assert_eq!(november.closes(), "2026-12-15T16:00:00Z".parse().unwrap());
        for (now, posted) in [
            ("2026-11-20T00:00:00Z", "2026-11"),
            ("2026-12-15T15:59:59.999Z", "2026-11"),
            ("2026-12-15T16:00:00Z", "2026-12"),
            ("2027-03-01T00:00:00Z", "2027-03"),
        ] {
            assert_eq!(november.posted_at(now.parse().unwrap()).to_string(), posted, "{now}");
        }
        assert_eq!(Month::parse("2026-12").unwrap().closes(), "2027-01-15T16:00:00Z".parse().unwrap());
    }
}
