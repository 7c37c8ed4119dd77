#![allow(clippy::unwrap_used)]

use jiff::civil::date;

use super::*;
use crate::rules::RuleSet;

const CONFIRMED: OnFile = OnFile { confirmed: true, filing_waits: false };

fn mechanism(kind: MechanismKind, effective: Date, filed: Option<Date>, expires: Option<Date>) -> Mechanism {
    Mechanism {
        kind,
        reference: "R".to_owned(),
        effective,
        filed,
        expires,
        datasets: vec!["*".to_owned()],
        purposes: vec!["*".to_owned()],
        persons_max: None,
    }
}

fn codes(mechanism: &Mechanism, today: Date) -> Vec<&'static str> {
    let rules = RuleSet::builtin().unwrap();
    upkeep(rules.calendars(), mechanism, CONFIRMED, today)
        .warnings
        .iter()
        .map(|warning| warning.code.as_str())
        .collect()
}

fn deadline(mechanism: &Mechanism, what: Duty) -> Deadline {
    let rules = RuleSet::builtin().unwrap();
    let found = upkeep(rules.calendars(), mechanism, CONFIRMED, date(2026, 11, 22)).deadlines;
    found.into_iter().find(|deadline| deadline.what == what).unwrap()
}

/// The edges of the ten working days: National Day in the mainland, and what Hong Kong works meanwhile.
#[test]
fn a_contract_is_filed_within_ten_working_days() {
    let contract = |filed| mechanism(MechanismKind::GbaSc, date(2026, 10, 1), filed, None);
    let by = deadline(&contract(None), Duty::File);
    assert_eq!((by.day, by.exact, by.done), (date(2026, 10, 15), true, None));
    for (filed, today, want) in [
        (None, date(2026, 9, 30), &[][..]),
        (None, date(2026, 10, 1), &["filing_due"]),
        (None, date(2026, 10, 15), &["filing_due"]),
        (None, date(2026, 10, 16), &["filing_overdue"]),
        (Some(date(2026, 10, 15)), date(2026, 10, 16), &[]),
        (Some(date(2026, 10, 16)), date(2026, 10, 16), &["filing_overdue"]),
    ] {
        assert_eq!(codes(&contract(filed), today), want, "{filed:?} {today}");
    }
    assert_eq!(deadline(&contract(Some(date(2026, 10, 9))), Duty::File).done, Some(date(2026, 10, 9)));
}

#[test]
fn what_waits_for_an_officer_is_told() {
    let rules = RuleSet::builtin().unwrap();
    let contract = mechanism(MechanismKind::GbaSc, date(2026, 10, 1), None, None);
    let codes = |on_file, today| -> Vec<WarningCode> {
        upkeep(rules.calendars(), &contract, on_file, today).warnings.iter().map(|warning| warning.code).collect()
    };
    let proposed = OnFile { confirmed: false, filing_waits: false };
    assert_eq!(codes(proposed, date(2026, 9, 1)), [WarningCode::Unconfirmed]);
    // A filing that waits is not asked for again; past the deadline it is denied like one that is not there.
    let waits = OnFile { confirmed: true, filing_waits: true };
    assert_eq!(codes(waits, date(2026, 10, 9)), [WarningCode::FilingUnconfirmed]);
    assert_eq!(codes(waits, date(2026, 10, 16)), [WarningCode::FilingUnconfirmed, WarningCode::FilingOverdue]);
}

/// The day that is in time under any calendar stands in for a deadline that cannot be counted.
#[test]
fn a_missing_calendar_is_told_and_never_guessed_late() {
    let contract = |filed| mechanism(MechanismKind::Sc, date(2026, 12, 20), filed, None);
    let by = deadline(&contract(None), Duty::File);
    assert_eq!((by.day, by.exact), (date(2026, 12, 30), false));
    assert_eq!(codes(&contract(None), date(2026, 12, 30)), ["filing_due"]);
    assert_eq!(codes(&contract(None), date(2026, 12, 31)), ["calendar_missing"]);
    assert_eq!(codes(&contract(Some(date(2026, 12, 30))), date(2027, 3, 1)), [""; 0]);
    assert_eq!(codes(&contract(Some(date(2026, 12, 31))), date(2027, 3, 1)), ["calendar_missing"]);
}

/// −61 and −120 mainland working days before 2026-11-30, counted by hand from the notice of 2026: November has 20 before
/// the 30th, October 18 (from the 8th, the 10th worked), September 22 (the 20th worked, the 25th off): the 60th is the 1st.
#[test]
fn an_assessment_is_extended_before_its_last_sixty_working_days() {
    let assessment = mechanism(MechanismKind::Sa, date(2023, 12, 1), None, Some(date(2026, 11, 30)));
    let by = deadline(&assessment, Duty::AskExtension);
    assert_eq!((by.day, by.exact), (date(2026, 8, 31), true));
    let (soon, exact) = working_days_before(RuleSet::builtin().unwrap().calendars(), date(2026, 11, 30), 120);
    // August has 21 and July 23, which makes 104; the 16th before that, the 19th of June being off, is the 8th.
    assert_eq!((soon, exact), (date(2026, 6, 8), true));
    for (today, want) in [
        (date(2026, 6, 7), &[][..]),
        (date(2026, 6, 8), &["extension_due"]),
        (date(2026, 8, 31), &["extension_due"]),
        (date(2026, 9, 1), &["extension_late"]),
        (date(2026, 10, 30), &["extension_late"]),
        (date(2026, 10, 31), &["extension_late", "expiry_soon"]),
        (date(2026, 11, 30), &["extension_late", "expiry_soon"]),
        (date(2026, 12, 1), &["expired"]),
    ] {
        assert_eq!(codes(&assessment, today), want, "{today}");
    }
    // Without the calendar the day is earlier than any calendar could make it: by at most four weeks.
    let far = mechanism(MechanismKind::Sa, date(2026, 12, 1), None, Some(date(2029, 11, 30)));
    let by = deadline(&far, Duty::AskExtension);
    assert!(!by.exact && by.day < date(2029, 8, 31) && by.day > date(2029, 7, 31), "{by:?}");
}

/// Every estimate is early: on all days that the calendars can count it comes before the exact day.
#[test]
fn an_estimate_is_never_late() {
    let rules = RuleSet::builtin().unwrap();
    let (known, unknown) = (rules.calendars(), Calendars::default());
    for count in [EXTENSION_WORKING_DAYS, EXTENSION_SOON_WORKING_DAYS] {
        let mut day = date(2023, 9, 1);
        while day < date(2026, 12, 1) {
            let (exact, early) = (working_days_before(known, day, count), working_days_before(&unknown, day, count));
            assert!(exact.1 && !early.1 && early.0 < exact.0, "{count} before {day}: {early:?} {exact:?}");
            day = day.tomorrow().unwrap();
        }
    }
    assert_eq!(working_days_before(&unknown, Date::MIN, 61), (Date::MIN, false));
}

#[test]
fn a_certificate_is_renewed_six_months_before_it_ends() {
    let certificate = |expires| mechanism(MechanismKind::Cert, date(2026, 1, 5), None, expires);
    let three_years = certificate(Some(date(2029, 1, 4)));
    assert_eq!(deadline(&three_years, Duty::Renew).day, date(2028, 7, 4));
    for (today, want) in [
        (date(2028, 6, 3), &[][..]),
        (date(2028, 6, 4), &["renewal_due"]),
        (date(2028, 7, 4), &["renewal_due"]),
        (date(2028, 7, 5), &["renewal_late"]),
        (date(2029, 1, 4), &["renewal_late", "expiry_soon"]),
        (date(2029, 1, 5), &["expired"]),
    ] {
        assert_eq!(codes(&three_years, today), want, "{today}");
    }
    // A month that is shorter: 31 August less six months is the end of February.
    assert_eq!(deadline(&certificate(Some(date(2028, 8, 31))), Duty::Renew).day, date(2028, 2, 29));
    assert_eq!(codes(&certificate(None), date(2026, 11, 22)), ["expiry_missing"]);
}

#[test]
fn a_contract_ends_with_a_word_before() {
    let contract = mechanism(MechanismKind::Sc, date(2025, 3, 3), Some(date(2025, 3, 5)), Some(date(2026, 12, 31)));
    assert_eq!(codes(&contract, date(2026, 10, 31)), [""; 0]);
    assert_eq!(codes(&contract, date(2026, 11, 1)), ["expiry_soon"]);
    assert_eq!(codes(&contract, date(2027, 1, 1)), ["expired"]);
    let words: Vec<Duty> = {
        let rules = RuleSet::builtin().unwrap();
        upkeep(rules.calendars(), &contract, CONFIRMED, date(2026, 11, 1)).deadlines.iter().map(|d| d.what).collect()
    };
    assert_eq!(words, [Duty::File, Duty::Expiry], "in order of the day");
}

#[test]
fn every_warning_is_told_in_three_scripts_with_its_law() {
    for code in WarningCode::ALL {
        let warning = Warning::new(*code, Some(date(2026, 11, 30)));
        let texts = [&warning.message.en, &warning.message.zh_hans, &warning.message.zh_hant];
        assert!(texts.iter().all(|text| text.len() > 20) && texts[1] != texts[2], "{code}");
        assert!(!warning.citation.is_empty());
        let no_day = [WarningCode::ExpiryMissing, WarningCode::Unconfirmed].contains(code);
        assert_eq!(no_day, !warning.message.en.contains("2026-11-30"), "{code}");
    }
}
