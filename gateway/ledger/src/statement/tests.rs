#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use catalog::file_index::Unit;
use catalog::offer::Period;
use catalog::{AgreementState, Fee, Offer, Price, PriceModel, Purpose};

use super::*;

fn agreement(model: PriceModel, amount: i64, period: Option<Period>, fee: Option<Fee>) -> Agreement {
    let participant = |id| ParticipantId::parse(id).unwrap();
    let price = Price { model, amount: Minor(amount), currency: Currency::Cny, period };
    let terms = Offer {
        purposes: vec![Purpose::parse("academic-research").unwrap()],
        recipients: vec!["hku.hk".to_owned()],
        places: Vec::new(),
        price,
        fee,
        vat: None,
        evidence: catalog::EvidenceKind::Sent,
        onward: "none".to_owned(),
        retention_days: None,
    };
    Agreement {
        id: AgreementId::parse("a-1").unwrap(),
        participant: participant("hku"),
        dataset: DatasetId::parse("yue-speech").unwrap(),
        purpose: Purpose::parse("academic-research").unwrap(),
        offer: terms.digest(),
        terms,
        provider: participant("qianhai"),
        broker: participant("lin-data"),
        state: AgreementState::Active,
        foreign_authority_request: false,
        at: "2026-09-01T00:00:00Z".parse().unwrap(),
        ended_at: None,
    }
}

/// One row group of 999,999 rows in one unit of 3 stored and one GiB of uncompressed bytes, then one of 100 and 1 MiB.
fn index() -> FileIndex {
    let unit =
        |row_group, offset, bytes, uncompressed_bytes| Unit { row_group, column: 0, offset, bytes, uncompressed_bytes };
    FileIndex {
        bytes: 200,
        sha256: file(),
        row_groups: vec![999_999, 10],
        leaves: Vec::new(),
        units: vec![unit(0, 4, 3, 1 << 30), unit(1, 7, 100, 1 << 20)],
        regions: Vec::new(),
    }
}

fn file() -> Digest {
    Digest::of(b"file")
}

fn version(name: &str) -> VersionName {
    VersionName::parse(name).unwrap()
}

fn month(text: &str) -> Month {
    Month::parse(text).unwrap()
}

fn delivery(name: &str, period: &str, range: std::ops::Range<u64>, wire_bytes: u64) -> Delivery {
    let units = UnitSet::of(&index(), &range.into());
    Delivery { version: version(name), file: file(), period: month(period), units, receipt_bytes: 0, wire_bytes }
}

fn posted(name: &str, period: &str, amount: i64, fee: i64) -> PostedLine {
    let split = Split { amount: Minor(amount), fee: Minor(fee), tax: Minor(0) };
    let (period, service_period) = (month(period), month(period));
    PostedLine { version: version(name), period, service_period, split, credit_note: None }
}

fn used(agreement: &Agreement, deliveries: Vec<Delivery>, postings: Vec<PostedLine>) -> AgreementUse<'_> {
    AgreementUse { agreement, deliveries, postings, tax: TaxKnown::Unknown }
}

fn amounts(used: &AgreementUse<'_>, months: &[&str]) -> Vec<Vec<(String, i64)>> {
    let index = index();
    let uses = std::slice::from_ref(used);
    let lines = |text: &&str| {
        let statements = statements(month(text), uses, |wanted| (*wanted == file()).then_some(&index)).unwrap();
        let lines = statements.into_iter().flat_map(|statement| statement.lines);
        lines.map(|line| (line.version.to_string(), line.amount.0)).collect()
    };
    months.iter().map(lines).collect()
}

#[test]
fn a_line_says_what_was_new_and_what_was_posted() {
    let agreement = agreement(PriceModel::PerGib, 120_000, None, None);
    let mut november = delivery("1", "2026-11", 7..200, 800);
    november.receipt_bytes = 50;
    let deliveries = vec![delivery("1", "2026-10", 0..7, 500), november];
    let postings =
        vec![posted("1", "2026-10", 120_000, 12_000), posted("1", "2026-11", 100, 10), posted("1", "2026-11", 17, 1)];
    let used = used(&agreement, deliveries, postings);
    let index = index();
    let found = statements(month("2026-11"), &[used], |_| Some(&index)).unwrap();
    assert_eq!(
        serde_json::to_value(&found).unwrap(),
        serde_json::json!([{
            "currency": "CNY",
            "lines": [{
                "agreement": "a-1", "dataset": "yue-speech", "version": "1", "provider": "qianhai", "consumer": "hku",
                "broker": "lin-data", "units": 1, "rows": 10, "unit_bytes": 100, "wire_bytes": 800,
                "amount": "117", "fee": "11", "tax": "0", "vat": "unknown", "evidence": {"sent": 100, "receipt": 50},
            }],
            "total": "117",
        }])
    );
}

#[test]
fn a_repeat_costs_nothing_and_still_shows_and_months_without_anything_have_no_line() {
    let agreement = agreement(PriceModel::PerGib, 100, None, None);
    let deliveries = vec![delivery("1", "2026-10", 4..107, 500), delivery("1", "2026-11", 0..0, 900)];
    let used = used(&agreement, deliveries, vec![posted("1", "2026-10", 100, 0)]);
    let line = |amount| vec![("1".to_owned(), amount)];
    assert_eq!(amounts(&used, &["2026-09", "2026-10", "2026-11", "2026-12"]), [vec![], line(100), line(0), vec![]]);
}

#[test]
fn a_credit_note_is_a_line_that_names_the_month_it_corrects() {
    let agreement = agreement(PriceModel::PerGib, 100, None, None);
    let mut note = posted("1", "2026-11", -40, -4);
    (note.credit_note, note.service_period) = (Some("cn-1".to_owned()), month("2026-10"));
    let deliveries = vec![delivery("1", "2026-10", 4..107, 500)];
    let used = used(&agreement, deliveries, vec![posted("1", "2026-10", 100, 10), note]);
    let index = index();
    let found = statements(month("2026-11"), std::slice::from_ref(&used), |_| Some(&index)).unwrap();
    assert_eq!((found[0].total, found[0].lines.len()), (Minor(-40), 1));
    let line = &found[0].lines[0];
    assert_eq!((line.amount, line.fee, line.units), (Minor(-40), Minor(-4), 0));
    let said = serde_json::to_value(line).unwrap();
    assert_eq!((said["credit_note"].as_str(), said["service_period"].as_str()), (Some("cn-1"), Some("2026-10")));
    // The month that is corrected stays as it was.
    assert_eq!(amounts(&used, &["2026-10"]), [vec![("1".to_owned(), 100)]]);
    let absurd = AgreementUse {
        postings: vec![posted("1", "2026-11", i64::MAX, 0), posted("1", "2026-11", 1, 0)],
        ..used.clone()
    };
    let error = statements(month("2026-11"), &[absurd], |_| Some(&index)).unwrap_err();
    assert!(matches!(error, StatementError::Amount { .. }), "{error}");
}

#[test]
fn a_missing_index_is_an_error_not_a_smaller_bill() {
    let agreement = agreement(PriceModel::PerGib, 100, None, None);
    let used = used(&agreement, vec![delivery("1", "2026-10", 4..5, 1)], Vec::new());
    let error = statements(month("2026-10"), &[used], |_| None).unwrap_err();
    assert_eq!(error, StatementError::IndexMissing { agreement: agreement.id.clone(), file: file() });
}
