//! Working days of the mainland and of Hong Kong, and the day by which a contract must be filed.

use std::collections::{BTreeMap, BTreeSet};

use jiff::ToSpan;
use jiff::civil::{Date, Weekday};
use serde::Deserialize;

/// Working days within which a contract is filed (SC Measures Art. 7; GBA guide Art. 8).
const FILING_WORKING_DAYS: u32 = 10;
/// From this day of December on, next year's notice can still move a working day.
const YEAR_END_FIRST_DAY: i8 = 28;
/// No calendar has ten working days spread over more days than this; bounds the walk.
const WALK_DAYS_MAX: u32 = 60;

/// Whose calendar it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Jurisdiction {
    /// State Council arrangement, weekend days that are worked included.
    Mainland,
    /// General Holidays Ordinance; Saturdays do not count either.
    HongKong,
}

/// One year of one jurisdiction, with its source.
#[derive(Debug, Clone)]
pub struct Calendar {
    /// Whose.
    pub jurisdiction: Jurisdiction,
    /// Which year.
    pub year: i16,
    /// The notice or ordinance it is taken from.
    pub source: String,
    /// Where that can be read.
    pub address: String,
    off: BTreeSet<Date>,
    worked: BTreeSet<Date>,
}

/// A calendar file as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    jurisdiction: Jurisdiction,
    year: i16,
    source: String,
    address: String,
    off: Vec<Off>,
    worked: Vec<Date>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Off {
    /// For the reader of the file.
    #[serde(rename = "name")]
    _name: String,
    first: Date,
    last: Date,
}

impl Calendar {
    /// Reads a calendar file; the error says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        let mut off = BTreeSet::new();
        for period in &file.off {
            // A holiday may begin in the last days of the year before.
            let before = Date::new(file.year - 1, 12, YEAR_END_FIRST_DAY).map_err(|e| e.to_string())?;
            let end = Date::new(file.year, 12, 31).map_err(|e| e.to_string())?;
            if period.first > period.last || period.first < before || period.last > end {
                return Err(format!(
                    "the days off from `{}` to `{}` must be in order and in `{}`",
                    period.first, period.last, file.year
                ));
            }
            let mut day = period.first;
            while day <= period.last {
                off.insert(day);
                day = day.tomorrow().map_err(|e| e.to_string())?;
            }
        }
        let worked: BTreeSet<_> = file.worked.into_iter().collect();
        let weekend = |day: &Date| matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
        if let Some(day) = worked.iter().find(|day| !weekend(day)) {
            return Err(format!("`{day}` is worked like any weekday; `worked` lists Saturdays and Sundays only"));
        }
        if let Some(day) = worked.intersection(&off).next() {
            return Err(format!("`{day}` is both off and worked; it must be one of them"));
        }
        Ok(Self {
            jurisdiction: file.jurisdiction,
            year: file.year,
            source: file.source,
            address: file.address,
            off,
            worked,
        })
    }
}

/// The calendars that are at hand.
#[derive(Debug, Clone, Default)]
pub struct Calendars {
    years: BTreeMap<(Jurisdiction, i16), Calendar>,
}

impl Calendars {
    /// Adds a year; false if it is there already.
    pub(crate) fn add(&mut self, calendar: Calendar) -> bool {
        let key = (calendar.jurisdiction, calendar.year);
        self.years.insert(key, calendar).is_none()
    }

    /// Every calendar, by jurisdiction and year.
    pub fn iter(&self) -> impl Iterator<Item = &Calendar> {
        self.years.values()
    }

    /// Whether `day` is worked in `jurisdiction`; `None` if the calendar that says so is missing.
    pub fn is_working_day(&self, jurisdiction: Jurisdiction, day: Date) -> Option<bool> {
        let this = self.years.get(&(jurisdiction, day.year()))?;
        let next = if (day.month(), day.day()) >= (12, YEAR_END_FIRST_DAY) {
            Some(self.years.get(&(jurisdiction, day.year() + 1))?)
        } else {
            None
        };
        let says = |pick: fn(&Calendar) -> &BTreeSet<Date>| {
            pick(this).contains(&day) || next.is_some_and(|next| pick(next).contains(&day))
        };
        let weekend = matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
        Some(if weekend { says(|c| &c.worked) } else { !says(|c| &c.off) })
    }

    /// The last day on which a contract effective on `effective` is filed in time: the tenth
    /// working day after it, by whichever calendar is earlier. `None` if a calendar is missing for
    /// a day that either count passes.
    pub fn filing_deadline(&self, effective: Date) -> Option<Date> {
        let mainland = self.tenth_working_day(Jurisdiction::Mainland, effective)?;
        let hong_kong = self.tenth_working_day(Jurisdiction::HongKong, effective)?;
        Some(mainland.min(hong_kong))
    }

    /// The calendars that are needed to work out a deadline after `effective` and are not here, as
    /// `mainland 2027`.
    pub(crate) fn missing_after(&self, effective: Date) -> Vec<String> {
        let mut missing = Vec::new();
        for (jurisdiction, name) in [(Jurisdiction::Mainland, "mainland"), (Jurisdiction::HongKong, "hong-kong")] {
            let (mut day, mut counted) = (effective, 0);
            while counted < FILING_WORKING_DAYS {
                let Ok(next) = day.tomorrow() else { break };
                day = next;
                let Some(worked) = self.is_working_day(jurisdiction, day) else {
                    let this = self.years.contains_key(&(jurisdiction, day.year()));
                    missing.push(format!("{name} {}", day.year() + i16::from(this)));
                    break;
                };
                counted += u32::from(worked);
            }
        }
        missing
    }

    fn tenth_working_day(&self, jurisdiction: Jurisdiction, effective: Date) -> Option<Date> {
        let mut day = effective;
        let mut counted = 0;
        for _ in 0..WALK_DAYS_MAX {
            day = day.tomorrow().ok()?;
            counted += u32::from(self.is_working_day(jurisdiction, day)?);
            if counted == FILING_WORKING_DAYS {
                return Some(day);
            }
        }
        None
    }
}

/// Days since 1970-01-01: how dates are handed to Cedar, which compares and adds whole numbers.
pub(crate) fn day_number(date: Date) -> i64 {
    let epoch = Date::constant(1970, 1, 1);
    i64::from((date - epoch).get_days())
}

/// Three years from `date`: the validity of an assessment (Provisions Art. 9) or a certificate.
pub(crate) fn three_years_after(date: Date) -> Date {
    date.saturating_add(3.years())
}

#[cfg(test)]
mod tests;
