//! Boundaries of the working-day count.
#![allow(clippy::unwrap_used)]

use jiff::civil::{Date, date};

use super::*;
use crate::rules::Sources;

fn builtin() -> Calendars {
    let mut calendars = Calendars::default();
    for text in Sources::builtin().calendars.values() {
        assert!(calendars.add(Calendar::parse(text).unwrap()));
    }
    calendars
}

#[test]
fn four_years_of_two_calendars_each_with_a_source() {
    let calendars = builtin();
    assert_eq!(calendars.iter().count(), 8);
    for calendar in calendars.iter() {
        assert!((2023..=2026).contains(&calendar.year));
        assert!(calendar.source.contains(&calendar.year.to_string()));
        assert!(calendar.address.starts_with("https://www.gov."));
    }
}

#[test]
fn every_weekday_is_known_and_make_up_days_count() {
    let calendars = builtin();
    let worked = |place, d: Date| calendars.is_working_day(place, d);
    // 2026-10-10 is a Saturday that is worked in the mainland only.
    assert_eq!(worked(Jurisdiction::Mainland, date(2026, 10, 10)), Some(true));
    assert_eq!(worked(Jurisdiction::HongKong, date(2026, 10, 10)), Some(false));
    assert_eq!(worked(Jurisdiction::Mainland, date(2026, 10, 2)), Some(false));
    assert_eq!(worked(Jurisdiction::HongKong, date(2026, 10, 2)), Some(true));
    assert_eq!(worked(Jurisdiction::HongKong, date(2026, 10, 19)), Some(false));
    // Working days of each year, counted from the notices (mainland) and the ordinance (Hong Kong).
    for (place, counts) in
        [(Jurisdiction::Mainland, [249, 251, 248, 248]), (Jurisdiction::HongKong, [246, 247, 246, 247])]
    {
        for (year, count) in (2023..).zip(counts) {
            let mut day = date(year, 1, 1);
            let mut found = 0;
            // The last days of 2026 wait for the notice of 2027: they are counted as weekdays.
            while day.year() == year {
                let weekday = !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
                found += i32::from(calendars.is_working_day(place, day).unwrap_or(weekday));
                day = day.tomorrow().unwrap();
            }
            assert_eq!(found, count, "{place:?} {year}");
        }
    }
}

/// What the law says of a whole year. Mainland: every statutory day off that falls on a weekend is made up for, so weekdays
/// off less weekend days worked is their number: 11, and 13 from 2025 on (Order 795, Art. 2). Hong Kong: 17 general holidays
/// besides Sundays (Cap. 149), none on a Sunday, no day worked for them.
#[test]
fn each_year_is_whole_by_its_own_law() {
    for calendar in builtin().iter() {
        let weekend = |day: &&Date| matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
        let year = calendar.year;
        match calendar.jurisdiction {
            Jurisdiction::Mainland => {
                let off = calendar.off.iter().filter(|day| day.year() == year && !weekend(day)).count();
                let statutory = if year < 2025 { 11 } else { 13 };
                assert_eq!(off - calendar.worked.len(), statutory, "{year}");
            }
            Jurisdiction::HongKong => {
                assert_eq!((calendar.off.len(), calendar.worked.len()), (17, 0), "{year}");
                assert!(
                    calendar.off.iter().all(|day| day.weekday() != Weekday::Sunday && day.year() == year),
                    "{year}"
                );
            }
        }
    }
}

#[test]
fn the_earlier_calendar_sets_the_deadline() {
    let calendars = builtin();
    // No holiday in either: two weeks.
    assert_eq!(calendars.filing_deadline(date(2026, 11, 2)), Some(date(2026, 11, 16)));
    // Effective on 2026-10-01: Hong Kong works from the 2nd, the mainland from the 8th.
    assert_eq!(calendars.filing_deadline(date(2026, 10, 1)), Some(date(2026, 10, 15)));
    // Over Lunar New Year 2025 Hong Kong is back first.
    assert_eq!(calendars.filing_deadline(date(2025, 1, 27)), Some(date(2025, 2, 13)));
    // Easter 2026 is no mainland holiday.
    assert_eq!(calendars.filing_deadline(date(2026, 4, 1)), Some(date(2026, 4, 16)));
}

#[test]
fn a_missing_year_is_never_guessed() {
    let calendars = builtin();
    // The tenth working day is 2026-12-25 in the mainland, but Hong Kong's count passes the 28th.
    assert_eq!(calendars.filing_deadline(date(2026, 12, 11)), None);
    // Both counts end before the 28th.
    assert_eq!(calendars.filing_deadline(date(2026, 12, 10)), Some(date(2026, 12, 24)));
    assert_eq!(calendars.filing_deadline(date(2027, 3, 1)), None);
    // 2022-12-31 belongs to 2022 as well, which is missing; the day after it does not.
    assert_eq!(calendars.filing_deadline(date(2022, 12, 30)), None);
    assert!(calendars.filing_deadline(date(2022, 12, 31)).is_some());
    // A year end inside the known years needs both years and has both.
    assert!(calendars.filing_deadline(date(2025, 12, 20)).is_some());
    assert_eq!(calendars.filing_deadline(Date::MAX), None);
}

#[test]
fn a_wrong_file_says_why() {
    let file = |off: &str, worked: &str| {
        format!(
            "jurisdiction = \"mainland\"\nyear = 2026\nsource = \"s\"\naddress = \"a\"\noff = [{off}]\nworked = [{worked}]\n"
        )
    };
    assert!(Calendar::parse(&file("", "")).is_ok());
    for (off, worked, why) in [
        ("{ name = \"x\", first = \"2026-02-03\", last = \"2026-02-01\" }", "", "in order"),
        ("{ name = \"x\", first = \"2025-12-01\", last = \"2025-12-02\" }", "", "in `2026`"),
        ("{ name = \"x\", first = \"2026-02-01\", last = \"2026-02-01\" }", "\"2026-02-01\"", "both"),
        ("{ first = \"2026-02-01\", last = \"2026-02-01\" }", "", "name"),
        ("", "\"2026-02-02\"", "Saturdays and Sundays"),
    ] {
        let error = Calendar::parse(&file(off, worked)).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn days_are_numbered_from_1970() {
    assert_eq!(day_number(date(1970, 1, 1)), 0);
    assert_eq!(day_number(date(2026, 11, 22)), 20_779);
}
