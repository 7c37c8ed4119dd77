//! The wall clock, read once per request, and calendar days in Asia/Shanghai.
//!
//! | module | does |
//! |---|---|
//! | [`judge`] | whether the wall clock can be believed, from what was read (pure) |
//! | [`watch`] | reads the clocks, has the log told of what is odd, and says whether anything may be granted |

pub mod judge;
pub mod watch;

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

pub use watch::Watch;

/// The latest moment that this process has recorded, in milliseconds. One for the process, as the wall clock is.
static RECORDED_MS: AtomicI64 = AtomicI64::new(i64::MIN);

/// Now, and never before what is recorded: a clock that was set back makes nothing valid again that had expired.
pub fn now() -> Timestamp {
    wall().max(recorded())
}

/// What the wall clock says, wherever it was set. The only place of the gateway that reads it.
pub fn wall() -> Timestamp {
    Timestamp::now()
}

/// The latest moment that is recorded.
pub fn recorded() -> Timestamp {
    Timestamp::from_millisecond(RECORDED_MS.load(Ordering::Relaxed)).unwrap_or(Timestamp::MIN)
}

/// Something that happened at `at` is recorded: from here on it is at least so late.
pub fn record(at: Timestamp) {
    RECORDED_MS.fetch_max(at.as_millisecond(), Ordering::Relaxed);
}

/// `at` on the clocks of Shenzhen and Hong Kong, both UTC+8 without daylight saving time today.
///
/// A fixed offset would be wrong before 1992; the zone's rules are bundled.
pub fn shanghai(at: Timestamp) -> Zoned {
    at.to_zoned(TimeZone::get("Asia/Shanghai").unwrap_or_else(|_| TimeZone::fixed(jiff::tz::offset(8))))
}

/// The calendar day in Asia/Shanghai.
pub fn today(at: Timestamp) -> Date {
    shanghai(at).date()
}

/// The instant at which `day` ends in Asia/Shanghai; nothing beyond the last day that can be written.
pub fn end_of(day: Date) -> Option<Timestamp> {
    let zone = shanghai(Timestamp::UNIX_EPOCH).time_zone().clone();
    Some(day.tomorrow().ok()?.to_zoned(zone).ok()?.timestamp())
}

/// The first moment of the year after `year` in Asia/Shanghai; beyond the calendar no year ends.
pub fn end_of_year(year: i16) -> Timestamp {
    Date::new(year, 12, 31).ok().and_then(end_of).unwrap_or(Timestamp::MAX)
}

/// The accounting month in Asia/Shanghai, `2026-11`.
pub fn period(at: Timestamp) -> String {
    let date = today(at);
    format!("{:04}-{:02}", date.year(), date.month())
}

/// RFC 3339 with the offset of Asia/Shanghai, to the second.
pub fn text(at: Timestamp) -> String {
    let zoned = shanghai(at);
    zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_year_turns_at_midnight_in_shanghai() {
        let before: Timestamp = "2026-12-31T15:59:59Z".parse().unwrap();
        let after: Timestamp = "2026-12-31T16:00:00Z".parse().unwrap();
        assert_eq!((period(before).as_str(), period(after).as_str()), ("2026-12", "2027-01"));
        assert_eq!((end_of_year(2026), end_of_year(i16::MAX)), (after, Timestamp::MAX));
        assert_eq!(text(after), "2027-01-01T00:00:00+08:00");
        assert_eq!(end_of(jiff::civil::date(2026, 12, 31)), Some(after));
        assert_eq!(end_of(Date::MAX), None);
    }
}
