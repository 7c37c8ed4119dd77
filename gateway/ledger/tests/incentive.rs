//! Incentive programmes: boundaries, what is refused, and a naive oracle.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "incentive/oracle.rs"]
mod oracle;
#[path = "incentive/rejected.rs"]
mod rejected;

use gateway_ledger::incentive::{Evaluation, Fen, Input, Line, Programme, evaluate};
use serde_json::{Value, json};

/// A sale of 2025 that every programme counts, changed by `changes`.
fn sale(id: &str, changes: &Value) -> Value {
    let mut sale = json!({
        "id": id, "broker": "qianhai", "consumer": "hku", "at": "2025-06-30T12:00:00+08:00", "amount": "100",
        "currency": "CNY", "kind": "data_transaction_service", "affiliated": false, "contract": format!("c-{id}"),
        "platform": "sz-exchange", "enterprise": true,
    });
    for (member, value) in changes.as_object().unwrap() {
        sale[member] = value.clone();
    }
    sale
}

fn evaluated(programme: &str, year: i16, sales: &[Value]) -> Evaluation {
    let input = Input::parse(&json!({ "transactions": sales }).to_string()).unwrap();
    evaluate(&Programme::find(programme).unwrap(), year, &input)
}

const REWARD: &str = "qianhai-broker-reward-2024";
const CORPUS: &str = "shenzhen-corpus-voucher-2024";
const COMPUTE: &str = "shenzhen-compute-voucher-2024";

fn only(evaluation: &Evaluation) -> &Line {
    assert_eq!(evaluation.lines.len(), 1, "{evaluation:#?}");
    &evaluation.lines[0]
}

#[test]
fn the_rewards_boundaries() {
    for (revenue, reward) in [
        ("0", 0),
        ("499999999", 0),
        ("500000000", 5_000_000),
        ("500000099", 5_000_000),
        ("500000100", 5_000_001),
        ("1234567800", 12_345_678),
        ("1999999999", 19_999_999),
        ("2000000000", 20_000_000),
        ("3000000000", 20_000_000),
    ] {
        let evaluation = evaluated(REWARD, 2026, &[sale("a", &json!({"amount": revenue}))]);
        let line = only(&evaluation);
        assert!(evaluation.in_force);
        assert_eq!((line.amount, line.base.0.to_string().as_str()), (Fen(reward), revenue));
        assert_eq!((line.eligible, line.selected, line.rank), (reward > 0, reward > 0, (reward > 0).then_some(1)));
    }
}

#[test]
fn the_vouchers_boundaries() {
    for (programme, startup, price, voucher) in [
        (CORPUS, false, "666666666", 199_999_999),
        (CORPUS, false, "666666667", 200_000_000),
        (CORPUS, true, "1000", 300),
        (COMPUTE, false, "999", 499),
        (COMPUTE, true, "999", 599),
        (COMPUTE, false, "2000000002", 1_000_000_000),
        (COMPUTE, true, "1666666667", 1_000_000_000),
        (COMPUTE, true, "1666666666", 999_999_999),
        ("shenzhen-model-voucher-2024", true, "101", 30),
        ("shenzhen-model-voucher-2024", false, "700000000", 200_000_000),
        ("shenzhen-open-corpus-2024", false, "100000000", 100_000_000),
        ("shenzhen-open-corpus-2024", false, "100000001", 100_000_000),
        ("shenzhen-open-corpus-2024", false, "7", 7),
    ] {
        let evaluation = evaluated(programme, 2025, &[sale("a", &json!({"amount": price, "startup": startup}))]);
        assert_eq!(only(&evaluation).amount, Fen(voucher), "{programme} {price}");
        assert_eq!(only(&evaluation).rank, None);
    }
    let mixed = [sale("a", &json!({"amount": "101"})), sale("b", &json!({"amount": "101", "startup": true}))];
    // 50 % of 101 and 60 % of 101 are 111.1: floored once.
    assert_eq!(only(&evaluated(COMPUTE, 2025, &mixed)).amount, Fen(111));
}

#[test]
fn a_year_turns_at_midnight_in_shanghai() {
    for (at, counts) in [
        ("2024-12-31T15:59:59.999Z", false),
        ("2024-12-31T16:00:00Z", true),
        ("2025-12-31T23:59:59+08:00", true),
        ("2026-01-01T00:00:00+08:00", false),
        ("2025-12-31T16:00:00-00:00", false),
    ] {
        let evaluation = evaluated(REWARD, 2026, &[sale("a", &json!({"amount": "500000000", "at": at}))]);
        assert_eq!(evaluation.lines.iter().any(|line| line.eligible), counts, "{at}");
    }
}

#[test]
fn the_citys_measures_apply_from_first_to_last_day_and_not_by_themselves_after_it() {
    for (at, year, counts) in [
        ("2024-12-17T23:59:59+08:00", 2024, false),
        ("2024-12-18T00:00:00+08:00", 2024, true),
        ("2026-12-17T23:59:59+08:00", 2026, true),
        ("2026-12-18T00:00:00+08:00", 2026, false),
        ("2026-12-17T16:00:00Z", 2026, false),
    ] {
        for programme in [CORPUS, COMPUTE, "shenzhen-open-corpus-2024", "shenzhen-model-voucher-2024"] {
            let evaluation = evaluated(programme, year, &[sale("a", &json!({"at": at}))]);
            assert!(evaluation.in_force, "{year}");
            assert_eq!(only(&evaluation).amount.0 > 0, counts, "{at} {programme}");
            let told = only(&evaluation).trace.iter().any(|step| step.contains("does not apply"));
            assert_eq!(told, !counts);
        }
    }
    for (programme, year, in_force) in
        [(CORPUS, 2023, false), (CORPUS, 2027, false), (REWARD, 2023, false), (REWARD, 2024, true)]
    {
        let at = format!("{}-06-30T12:00:00+08:00", if programme == REWARD { year - 1 } else { year });
        let evaluation = evaluated(programme, year, &[sale("a", &json!({"at": at, "amount": "700000000"}))]);
        assert_eq!(evaluation.in_force, in_force);
        assert_eq!(only(&evaluation).eligible, in_force, "{programme} {year}");
        assert_eq!(only(&evaluation).amount.0 > 0, in_force);
    }
}

#[test]
fn what_is_not_counted_is_shown() {
    for (programme, changes, counts, told) in [
        (REWARD, json!({"affiliated": true}), false, "between affiliated parties"),
        (REWARD, json!({"consumer": "qianhai"}), false, "between affiliated parties"),
        (REWARD, json!({"kind": "consulting"}), false, "another kind"),
        (REWARD, json!({"currency": "HKD"}), false, "without a recorded rate: 1, 900000000 minor units of HKD"),
        // The buyer's nature is nothing to the broker's reward.
        (REWARD, json!({"enterprise": false, "platform": null}), true, "counted: 1"),
        (CORPUS, json!({"affiliated": true}), false, "between affiliated parties"),
        (CORPUS, json!({"enterprise": false}), false, "no enterprise"),
        (CORPUS, json!({"platform": null}), false, "no trading platform"),
        (CORPUS, json!({"kind": "compute_service"}), false, "another kind"),
        // Universities may have the compute voucher, and its text does not exclude affiliated sellers.
        (COMPUTE, json!({"enterprise": false, "platform": null}), true, "counted: 1"),
        (COMPUTE, json!({"affiliated": true}), true, "which the text does not exclude"),
        ("shenzhen-model-voucher-2024", json!({"enterprise": false}), false, "no enterprise"),
        ("shenzhen-open-corpus-2024", json!({"platform": null}), false, "no trading platform"),
    ] {
        let mut changes = changes;
        changes["amount"] = json!("900000000");
        let year = if programme == REWARD { 2026 } else { 2025 };
        let evaluation = evaluated(programme, year, &[sale("a", &changes)]);
        let line = only(&evaluation);
        assert_eq!(line.amount.0 > 0, counts, "{programme} {changes}");
        assert!(line.trace.iter().any(|step| step.contains(told)), "{told}: {:#?}", line.trace);
    }
}

#[test]
fn a_round_trip_closes_within_ninety_days_to_the_second() {
    let there = sale("a", &json!({"amount": "600000000", "at": "2025-03-01T00:00:00+08:00"}));
    for (at, closes) in [
        ("2025-05-30T00:00:00+08:00", true),
        ("2025-05-30T00:00:01+08:00", false),
        ("2024-12-01T00:00:00+08:00", true),
        ("2024-11-30T23:59:59+08:00", false),
    ] {
        let back = sale("b", &json!({"broker": "hku", "consumer": "qianhai", "at": at, "kind": "consulting"}));
        let evaluation = evaluated(REWARD, 2026, &[there.clone(), back]);
        let line = evaluation.lines.iter().find(|line| line.participant == "qianhai").unwrap();
        assert_eq!(line.base, Fen(if closes { 0 } else { 600_000_000 }), "{at}");
        assert_eq!(line.trace.iter().any(|step| step.contains("round trip") && step.ends_with(": a")), closes);
    }
}

#[test]
fn a_reversal_reduces_the_year_it_is_posted_in_and_follows_its_original() {
    let sold = sale("a", &json!({"amount": "600000000", "at": "2025-12-30T00:00:00+08:00"}));
    let reversal =
        |at: &str, amount: &str| sale("r", &json!({"amount": amount, "at": at, "reversal_of": "a", "contract": "c-a"}));
    // Written with or without its sign.
    for amount in ["100000001", "-100000001"] {
        let sales = [sold.clone(), reversal("2025-12-31T00:00:00+08:00", amount)];
        let evaluation = evaluated(REWARD, 2026, &sales);
        assert_eq!((only(&evaluation).base, only(&evaluation).eligible), (Fen(499_999_999), false));
    }
    let sales = [sold.clone(), reversal("2026-01-02T00:00:00+08:00", "100000001")];
    let line = only(&evaluated(REWARD, 2026, &sales)).clone();
    assert_eq!((line.base, line.eligible), (Fen(600_000_000), true));
    let told = "reversed after the base year, not taken from this base: -100000001 fen (CNY -1000000.01): r";
    assert!(line.trace.iter().any(|step| step == told), "{:#?}", line.trace);
    let line = only(&evaluated(REWARD, 2027, &sales)).clone();
    assert_eq!((line.base, line.eligible, line.amount), (Fen(-100_000_001), false, Fen(0)));
    // What never counted is not taken away either, whatever the reversal says of itself.
    let mut affiliated = sold;
    affiliated["affiliated"] = json!(true);
    let other = sale("b", &json!({"amount": "500000000"}));
    let sales = [affiliated, reversal("2025-12-31T00:00:00+08:00", "5"), other];
    assert_eq!(only(&evaluated(REWARD, 2026, &sales)).base, Fen(500_000_000));
}

#[test]
fn a_recorded_rate_converts_and_floors() {
    let rate = json!({"num": 917, "den": 1000, "source": "SAFE", "as_of": "2025-06-30"});
    let sales = [
        sale("a", &json!({"amount": "999", "currency": "HKD", "rate": rate})),
        sale("r", &json!({"amount": "99", "currency": "HKD", "reversal_of": "a"})),
    ];
    // ⌊999 × 0.917⌋ = 916, ⌊99 × 0.917⌋ = 90 at the original's rate.
    assert_eq!(only(&evaluated(REWARD, 2026, &sales)).base, Fen(826));
}

#[test]
fn a_contract_is_counted_once_by_a_voucher_and_as_often_as_it_earns_by_the_reward() {
    let sales = [
        sale("b", &json!({"amount": "700", "contract": "c", "at": "2025-07-01T00:00:00+08:00"})),
        sale("a", &json!({"amount": "500", "contract": "c", "at": "2025-07-02T00:00:00+08:00"})),
        sale("x", &json!({"amount": "900", "contract": "c", "at": "2026-07-02T00:00:00+08:00"})),
    ];
    let line = only(&evaluated(CORPUS, 2025, &sales)).clone();
    assert_eq!(line.base, Fen(700));
    assert!(line.trace.iter().any(|step| step.contains("a contract is claimed once") && step.ends_with(": a")));
    assert_eq!(only(&evaluated(CORPUS, 2026, &sales)).base, Fen(900));
    assert_eq!(only(&evaluated(REWARD, 2026, &sales)).base, Fen(1200));
    // What was wholly reversed makes room for what replaced it.
    let undone = sale("r", &json!({"amount": "700", "reversal_of": "b", "contract": "c"}));
    let mut sales = sales.to_vec();
    sales.push(undone);
    sales[3]["at"] = json!("2025-07-01T12:00:00+08:00");
    assert_eq!(only(&evaluated(CORPUS, 2025, &sales)).base, Fen(500));
}

#[test]
fn at_most_ten_are_proposed_and_a_tie_at_the_last_place_proposes_none_of_them() {
    let broker = |number: u64, amount: u64| {
        sale(&number.to_string(), &json!({"broker": format!("b{number:02}"), "amount": amount.to_string()}))
    };
    let mut sales: Vec<Value> = (0..9).map(|number| broker(number, 700_000_000 + number)).collect();
    sales.push(broker(10, 600_000_000));
    sales.push(broker(12, 100));
    let ranks = |sales: &[Value]| -> Vec<(Option<usize>, bool)> {
        evaluated(REWARD, 2026, sales).lines.iter().map(|line| (line.rank, line.selected)).collect()
    };
    let all: Vec<_> = (1..=10).map(|rank| (Some(rank), true)).chain([(None, false)]).collect();
    assert_eq!(ranks(&sales), all);
    sales.push(broker(11, 599_999_999));
    assert_eq!(ranks(&sales)[9..], [(Some(10), true), (Some(11), false), (None, false)]);
    sales.push(broker(13, 600_000_000));
    assert_eq!(
        ranks(&sales)[8..],
        [(Some(9), true), (Some(10), false), (Some(10), false), (Some(12), false), (None, false)]
    );
    let evaluation = evaluated(REWARD, 2026, &sales);
    assert!(evaluation.lines[9].trace.iter().any(|step| step.contains("tie at the last place")));
    assert!(evaluation.lines[9].eligible && evaluation.lines[9].amount == Fen(6_000_000));
}

#[test]
fn a_pool_that_is_not_enough_proposes_nobody_and_takes_from_nobody() {
    let buyer = |number: u32, amount: &str| {
        sale(&number.to_string(), &json!({"consumer": format!("e{number}"), "amount": amount}))
    };
    let mut sales: Vec<Value> = (0..25).map(|number| buyer(number, "700000000")).collect();
    assert!(evaluated(CORPUS, 2025, &sales).lines.iter().all(|line| line.selected));
    sales.push(buyer(25, "4"));
    let evaluation = evaluated(CORPUS, 2025, &sales);
    assert!(evaluation.lines.iter().all(|line| line.eligible && !line.selected));
    assert_eq!(evaluation.lines[0].amount, Fen(200_000_000));
    assert!(evaluation.lines[0].trace.iter().any(|step| step.contains("not enough")));
}

#[test]
fn the_answer_has_the_contracts_shape() {
    let line = serde_json::to_value(evaluated(REWARD, 2026, &[sale("a", &json!({"amount": "500000000"}))])).unwrap();
    let members = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(members(&line), "programme year in_force lines");
    assert_eq!(members(&line["lines"][0]), "participant base eligible amount rank selected trace");
    assert_eq!((&line["lines"][0]["base"], &line["lines"][0]["amount"]), (&json!("500000000"), &json!("5000000")));
    assert_eq!(line["year"], json!(2026));
}

#[test]
fn the_built_in_programmes_are_the_contracts() {
    let ids: Vec<String> = Programme::builtin().unwrap().into_iter().map(|programme| programme.terms.id).collect();
    assert_eq!(ids, [REWARD, COMPUTE, CORPUS, "shenzhen-model-voucher-2024", "shenzhen-open-corpus-2024"],);
    for id in &ids {
        assert_eq!(&Programme::find(id).unwrap().terms.id, id);
    }
}
