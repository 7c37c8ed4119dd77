//! Retention: what is past its time is deleted once a day, unless a legal hold is on it. How long what is kept stands in
//! `[retention]`; every run says in the log how much it deleted, and nothing else.

mod contracts;
mod due;
mod files;
mod next;
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
    /// Leases, and answers kept for repeated requests, before this.
    pub records: Timestamp,
    /// Evidence of receipts, and what an agreement has moved, before this.
    pub accounts: Timestamp,
    /// Openings before this.
    pub openings: Timestamp,
    /// Versions withdrawn before this.
    pub withdrawn: Timestamp,
    /// Uploads untouched since this.
    pub uploads: Timestamp,
}

/// How long what is kept.
#[derive(Debug, Clone, Copy)]
struct Spans {
    operational: Span,
    records: Span,
    accounts: Span,
    openings: Span,
    withdrawn: Span,
    uploads: Span,
}

fn spans(kept: &Retention) -> Spans {
    Spans {
        operational: Span::new().months(kept.operational_months),
        records: Span::new().years(kept.records_years),
        accounts: Span::new().years(kept.accounts_years),
        openings: Span::new().months(kept.openings_months),
        withdrawn: Span::new().days(kept.withdrawn_days),
        uploads: Span::new().days(kept.uploads_days),
    }
}

impl Cutoffs {
    /// Those of `now`, by the calendar of Asia/Shanghai.
    pub fn of(kept: &Retention, now: Timestamp) -> Self {
        let (here, spans) = (clock::shanghai(now), spans(kept));
        // What cannot be computed is never past.
        let ago = |span: Span| here.checked_sub(span).map_or(Timestamp::MIN, |at| at.timestamp());
        let years = i16::try_from(kept.records_years).unwrap_or(i16::MAX);
        Self {
            operational: ago(spans.operational),
            // A year's persons are needed until so many years after its end.
            year: here.year().saturating_sub(years),
            records: ago(spans.records),
            accounts: ago(spans.accounts),
            openings: ago(spans.openings),
            withdrawn: ago(spans.withdrawn),
            uploads: ago(spans.uploads),
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
        assert_eq!(cutoffs.records.to_string(), "2027-03-31T04:00:00Z");
        assert_eq!(cutoffs.accounts.to_string(), "2020-03-31T04:00:00Z");
        assert_eq!(cutoffs.year, 2027, "2027 ended on its last day: three years later is the end of 2030");
        assert_eq!(cutoffs.withdrawn.to_string(), "2029-10-02T04:00:00Z");
    }
}
