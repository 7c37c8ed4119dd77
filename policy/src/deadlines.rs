//! What a mechanism on file still asks of its parties, and by when: filing, extension, renewal, expiry.
//!
//! Reminders, never decisions: [`crate::evaluate`] tests its own days and denies where a calendar is missing. Where a
//! calendar is missing here, the day is one that is early under any calendar, and says that it is not exact.

mod warning;

use jiff::ToSpan;
use jiff::civil::{Date, Weekday};
use serde::{Deserialize, Serialize};

use crate::calendar::{Calendars, Jurisdiction};
use crate::facts::{Mechanism, MechanismKind};
use crate::word::words;

pub use warning::{Warning, WarningCode};

/// Calendar days after the first day in force within which a filing is in time under any calendar.
const FILED_IN_TIME_DAYS: i32 = 10;
/// The last working day on which an extension is asked for on the cautious reading of Provisions Art. 9: before the last
/// sixty begin.
const EXTENSION_WORKING_DAYS: u32 = 61;
/// Working days before expiry from which an extension is worth preparing.
const EXTENSION_SOON_WORKING_DAYS: u32 = 120;
/// Months before expiry by which a certificate is renewed (Certification Measures).
const RENEWAL_MONTHS: i32 = 6;
/// Days before a renewal or an expiry on which it is worth a word.
const SOON_DAYS: i32 = 30;
/// Days before the end of a contract on which it is worth a word.
const CONTRACT_SOON_DAYS: i32 = 60;
/// Weekdays that a calendar may take out of a count of up to 120 working days: thirteen statutory days off a year, and the
/// days that are worked for them may lie outside of the count.
const HOLIDAYS_MARGIN: u32 = 20;
/// Bounds every walk over days.
const WALK_DAYS_MAX: u32 = 400;

words! {
    /// What is to be done, or happens, by a day.
    pub enum Duty {
        /// The contract is filed with the authority.
        File = "file",
        /// An extension of the assessment is asked for.
        AskExtension = "ask_extension",
        /// The certificate is renewed.
        Renew = "renew",
        /// It ends; nothing goes under it afterwards.
        Expiry = "expiry",
    }
}

/// A day by which something is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadline {
    /// What.
    pub what: Duty,
    /// The last day that is in time; of an expiry, the last day in force.
    pub day: Date,
    /// False where a working-day calendar is missing: then the day is early under any calendar.
    pub exact: bool,
    /// The day on which it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<Date>,
}

/// How far the parties and the authority have come with a mechanism on file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnFile {
    /// An authority's officer has confirmed it: until then it carries nothing.
    pub confirmed: bool,
    /// A day of filing was recorded that nobody has confirmed yet.
    pub filing_waits: bool,
}

/// The deadlines of a mechanism and what is due now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upkeep {
    /// Every deadline, in order of its day.
    pub deadlines: Vec<Deadline>,
    /// What is due or overdue today.
    pub warnings: Vec<Warning>,
}

/// The deadlines of `mechanism`, and what of them is due `today` (Asia/Shanghai).
pub fn upkeep(calendars: &Calendars, mechanism: &Mechanism, on_file: OnFile, today: Date) -> Upkeep {
    let mut found = Upkeep::default();
    if !on_file.confirmed {
        found.warn(WarningCode::Unconfirmed, None);
    }
    match mechanism.kind {
        MechanismKind::Sc | MechanismKind::GbaSc => found.filing(calendars, mechanism, on_file, today),
        MechanismKind::Sa => found.extension(calendars, mechanism, today),
        MechanismKind::Cert => found.renewal(mechanism, today),
    }
    found.expiry(mechanism, today);
    found.deadlines.sort_by_key(|deadline| deadline.day);
    found
}

impl Upkeep {
    fn deadline(&mut self, what: Duty, (day, exact): (Date, bool), done: Option<Date>) {
        self.deadlines.push(Deadline { what, day, exact, done });
    }

    fn warn(&mut self, code: WarningCode, day: Option<Date>) {
        self.warnings.push(Warning::new(code, day));
    }

    /// Ten working days after the contract takes effect (Standard Contract Measures Art. 7; GBA guide Art. 8).
    fn filing(&mut self, calendars: &Calendars, mechanism: &Mechanism, on_file: OnFile, today: Date) {
        let counted = calendars.filing_deadline(mechanism.effective);
        let early = mechanism.effective.saturating_add(FILED_IN_TIME_DAYS.days());
        let (last, exact) = counted.map_or((early, false), |day| (day, true));
        self.deadline(Duty::File, (last, exact), mechanism.filed);
        if on_file.filing_waits {
            self.warn(WarningCode::FilingUnconfirmed, Some(last));
        }
        let late = if exact { WarningCode::FilingOverdue } else { WarningCode::CalendarMissing };
        match mechanism.filed {
            Some(filed) if filed > last && today > last => self.warn(late, Some(last)),
            None if today > last => self.warn(late, Some(last)),
            None if today >= mechanism.effective && !on_file.filing_waits => {
                self.warn(WarningCode::FilingDue, Some(last));
            }
            _ => {}
        }
    }

    /// Provisions Art. 9: within the sixty working days before expiry; the Measures of 2022 said sixty working days before
    /// it. The cautious reading is before the sixty begin, and is prepared for from a hundred and twenty on.
    fn extension(&mut self, calendars: &Calendars, mechanism: &Mechanism, today: Date) {
        let Some(expires) = mechanism.expires else { return };
        let last = working_days_before(calendars, expires, EXTENSION_WORKING_DAYS);
        let (soon, _) = working_days_before(calendars, expires, EXTENSION_SOON_WORKING_DAYS);
        self.deadline(Duty::AskExtension, last, None);
        if (soon..=last.0).contains(&today) {
            self.warn(WarningCode::ExtensionDue, Some(last.0));
        } else if today > last.0 && today <= expires {
            self.warn(WarningCode::ExtensionLate, Some(last.0));
        }
    }

    /// A certificate is renewed six months before it ends.
    fn renewal(&mut self, mechanism: &Mechanism, today: Date) {
        let Some(expires) = mechanism.expires else { return };
        let last = expires.saturating_sub(RENEWAL_MONTHS.months());
        self.deadline(Duty::Renew, (last, true), None);
        if (last.saturating_sub(SOON_DAYS.days())..=last).contains(&today) {
            self.warn(WarningCode::RenewalDue, Some(last));
        } else if today > last && today <= expires {
            self.warn(WarningCode::RenewalLate, Some(last));
        }
    }

    fn expiry(&mut self, mechanism: &Mechanism, today: Date) {
        let contract = matches!(mechanism.kind, MechanismKind::Sc | MechanismKind::GbaSc);
        let Some(expires) = mechanism.expires else {
            if !contract {
                self.warn(WarningCode::ExpiryMissing, None);
            }
            return;
        };
        self.deadline(Duty::Expiry, (expires, true), None);
        let soon = if contract { CONTRACT_SOON_DAYS } else { SOON_DAYS };
        if today > expires {
            self.warn(WarningCode::Expired, Some(expires));
        } else if today >= expires.saturating_sub(soon.days()) {
            self.warn(WarningCode::ExpirySoon, Some(expires));
        }
    }
}

/// The `count`-th mainland working day before `day`, and whether every calendar on the way was there.
fn working_days_before(calendars: &Calendars, day: Date, count: u32) -> (Date, bool) {
    let exact = walk_back(day, count, |day| calendars.is_working_day(Jurisdiction::Mainland, day));
    if let Some(day) = exact {
        return (day, true);
    }
    let weekday = |day: Date| Some(!matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday));
    (walk_back(day, count + HOLIDAYS_MARGIN, weekday).unwrap_or(Date::MIN), false)
}

/// `None` if `is_working` does not know one of the days.
fn walk_back(from: Date, count: u32, is_working: impl Fn(Date) -> Option<bool>) -> Option<Date> {
    let (mut day, mut counted) = (from, 0);
    for _ in 0..WALK_DAYS_MAX {
        day = day.yesterday().ok()?;
        counted += u32::from(is_working(day)?);
        if counted == count {
            return Some(day);
        }
    }
    None
}

#[cfg(test)]
mod tests;
