#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use catalog::file_index::Unit;
use catalog::{AgreementState, Fee, Offer, Price, Purpose};

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
    let intervals = IntervalSet::from(range);
    let data_bytes = wire_bytes.max(intervals.len());
    Delivery { version: version(name), file: file(), period: month(period), intervals, data_bytes, wire_bytes }
}

fn used(agreement: &Agreement, deliveries: Vec<Delivery>) -> AgreementUse<'_> {
    AgreementUse { agreement, deliveries, pulls: Vec::new() }
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
fn months_add_up_to_the_floor_of_the_whole() {
    // A price of 100 fen per GiB, a unit of one GiB in three bytes: 33 + 33 + 34, never 33 + 33 + 33.
    let agreement = agreement(PriceModel::PerGib, 100, None, Some(Fee::Rate { rate_ppm: 100_000 }));
    let used = used(
        &agreement,
        vec![
            delivery("1", "2026-09", 4..5, 10),
            delivery("1", "2026-10", 5..6, 10),
            delivery("1", "2026-12", 6..7, 10),
        ],
    );
    let one = |amount| vec![("1".to_owned(), amount)];
    assert_eq!(
        amounts(&used, &["2026-08", "2026-09", "2026-10", "2026-11", "2026-12"]),
        [vec![], one(33), one(33), vec![], one(34)]
    );
    // Rates are floored on the total too: 3 + 3 + 4 of 10.
    let index = index();
    let fees: Vec<i64> = ["2026-09", "2026-10", "2026-12"]
        .map(|text| {
            let found = statements(month(text), std::slice::from_ref(&used), |_| Some(&index)).unwrap();
            found[0].lines[0].fee.0
        })
        .to_vec();
    assert_eq!(fees, [3, 3, 4]);
}

#[test]
fn a_line_says_what_was_new_and_who_is_concerned() {
    let agreement = agreement(PriceModel::PerGib, 120_000, None, None);
    let used = used(&agreement, vec![delivery("1", "2026-10", 0..7, 500), delivery("1", "2026-11", 7..200, 800)]);
    let index = index();
    let found = statements(month("2026-11"), &[used], |_| Some(&index)).unwrap();
    assert_eq!(
        serde_json::to_value(&found).unwrap(),
        serde_json::json!([{
            "currency": "CNY",
            "lines": [{
                "agreement": "a-1", "dataset": "yue-speech", "version": "1", "provider": "qianhai", "consumer": "hku",
                "broker": "lin-data", "units": 1, "rows": 10, "unit_bytes": 100, "wire_bytes": 800,
                // A MiB is 117.1875 fen: the total of 120,117.1875 is floored, not the month's part.
                "amount": "117", "fee": "0", "evidence": {"sent": 100, "receipt": 0},
            }],
            "total": "117",
        }])
    );
}

#[test]
fn a_repeated_delivery_costs_nothing_and_still_shows() {
    let agreement = agreement(PriceModel::PerGib, 100, None, None);
    let mut repeat = delivery("1", "2026-11", 0..0, 900);
    repeat.data_bytes = 103;
    let used = used(&agreement, vec![delivery("1", "2026-10", 4..107, 500), repeat]);
    assert_eq!(amounts(&used, &["2026-10", "2026-11"]), [vec![("1".to_owned(), 100)], vec![("1".to_owned(), 0)]]);
}

#[test]
fn a_pull_is_paid_in_the_month_of_its_first_byte() {
    let agreement = agreement(PriceModel::PerPull, 70, None, Some(Fee::Fixed { amount: Minor(100) }));
    let mut used = used(&agreement, vec![delivery("1", "2026-10", 4..107, 1), delivery("2", "2026-11", 4..107, 1)]);
    let pull = |name, period| Pull { version: version(name), period: month(period) };
    used.pulls = vec![pull("1", "2026-10"), pull("1", "2026-11"), pull("2", "2026-11")];
    let line = |name: &str, amount| (name.to_owned(), amount);
    assert_eq!(
        amounts(&used, &["2026-10", "2026-11", "2026-12"]),
        [vec![line("1", 70)], vec![line("1", 70), line("2", 70)], vec![]]
    );
    // A fixed fee is at most its line.
    let index = index();
    let found = statements(month("2026-10"), &[used], |_| Some(&index)).unwrap();
    assert_eq!((found[0].lines[0].fee, found[0].total), (Minor(70), Minor(70)));
}

#[test]
fn a_subscription_is_charged_once_a_period_to_the_version_sent_first() {
    let line = |name: &str, amount| (name.to_owned(), amount);
    let deliveries = || {
        vec![
            delivery("2", "2026-11", 4..5, 1),
            delivery("1", "2026-11", 4..5, 1),
            delivery("1", "2026-12", 5..6, 1),
            delivery("2", "2027-01", 5..6, 1),
        ]
    };
    let months = ["2026-10", "2026-11", "2026-12", "2027-01"];
    let monthly = agreement(PriceModel::Subscription, 500, Some(Period::Month), None);
    assert_eq!(
        amounts(&used(&monthly, deliveries()), &months),
        [vec![], vec![line("1", 0), line("2", 500)], vec![line("1", 500)], vec![line("2", 500)]]
    );
    let yearly = agreement(PriceModel::Subscription, 500, Some(Period::Year), None);
    assert_eq!(
        amounts(&used(&yearly, deliveries()), &months),
        [vec![], vec![line("1", 0), line("2", 500)], vec![line("1", 0)], vec![line("2", 500)]]
    );
}

#[test]
fn a_missing_index_is_an_error_not_a_smaller_bill() {
    let agreement = agreement(PriceModel::PerGib, 100, None, None);
    let used = used(&agreement, vec![delivery("1", "2026-10", 4..5, 1)]);
    let error = statements(month("2026-10"), &[used], |_| None).unwrap_err();
    assert_eq!(error, StatementError::IndexMissing { agreement: agreement.id.clone(), file: file() });
}
