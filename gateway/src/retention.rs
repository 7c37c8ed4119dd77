//! Retention: what is past its time is deleted once a day, unless a legal hold is on it. How long what is kept stands in
//! `[retention]`; every run says in the log how much it deleted, and nothing else.

mod due;
mod files;
mod run;

pub use due::{Due, find};
pub use files::{Leftover, Sizes, sizes};
pub use run::{daily, run};

use jiff::{Span, Timestamp};

use crate::clock;
use crate::config::Retention;

/// Until when what counts as past, on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cutoffs {
    /// Windows of refusals last used before this.
    pub operational: Timestamp,
    /// Hashed persons of years before this.
    pub year: i16,
    /// Evidence of receipts before this.
    pub accounts: Timestamp,
    /// Openings before this.
    pub openings: Timestamp,
    /// Versions withdrawn before this.
    pub withdrawn: Timestamp,
    /// Uploads untouched since this.
    pub uploads: Timestamp,
}

impl Cutoffs {
    /// Those of `now`, by the calendar of Asia/Shanghai.
    pub fn of(kept: &Retention, now: Timestamp) -> Self {
        let here = clock::shanghai(now);
        // What cannot be computed is never past.
        let ago = |span: Span| here.checked_sub(span).map_or(Timestamp::MIN, |at| at.timestamp());
        let years = i16::try_from(kept.records_years).unwrap_or(i16::MAX);
        Self {
            operational: ago(Span::new().months(kept.operational_months)),
            // A year's persons are needed until so many years after its end.
            year: here.year().saturating_sub(years),
            accounts: ago(Span::new().years(kept.accounts_years)),
            openings: ago(Span::new().months(kept.openings_months)),
            withdrawn: ago(Span::new().days(kept.withdrawn_days)),
            uploads: ago(Span::new().days(kept.uploads_days)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_past_follows_the_calendar() {
        let now: Timestamp = "2030-03-31T04:00:00Z".parse().unwrap();
        let cutoffs = Cutoffs::of(&Retention::default(), now);
        assert_eq!(cutoffs.operational.to_string(), "2029-09-30T04:00:00Z", "the last day of a shorter month");
        assert_eq!(cutoffs.openings.to_string(), "2027-03-31T04:00:00Z");
        assert_eq!(cutoffs.accounts.to_string(), "2020-03-31T04:00:00Z");
        assert_eq!(cutoffs.year, 2027, "2027 ended on its last day: three years later is the end of 2030");
        assert_eq!(cutoffs.withdrawn.to_string(), "2029-10-02T04:00:00Z");
    }
}
