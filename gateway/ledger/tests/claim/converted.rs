//! Sales in HKD: each posting at the rate in force when it was posted, and nothing without one.

use gateway_audit::leaf::Leaf;
use gateway_ledger::claim::rate;

use super::*;

fn quoted(num: u64, as_of: &str) -> Value {
    json!({
        "kind": "fx_rate", "fx_rate": "fx-1", "from": "HKD", "to": "CNY", "num": num, "den": 10_000, "source": "HKMA",
        "as_of": as_of,
    })
}

fn posting(amount: &str) -> Value {
    json!({
        "kind": "ledger_batch", "currency": "HKD", "period": "2025-11", "agreement": "a-2", "version": "1",
        "transfers": [{
            "code": "post", "debit": "consumer:hku:receivable", "amount": amount,
            "credit": "broker:qianhai:revenue:data_transaction_service",
        }],
    })
}

/// The claim's line in CNY, and one of `fee` in HKD under another agreement, at the rates of `leaves`, which stand at 9, 11, 13….
fn hkd(fee: &str, leaves: &[Value], alter: impl FnOnce(&mut Statements)) -> Evidence {
    let mut statements = statements("500000000", |value| {
        let mut line = value["lines"][0].clone();
        for (name, text) in [("currency", "HKD"), ("agreement", "a-2"), ("version", "1"), ("fee", fee), ("amount", fee)]
        {
            line[name] = json!(text);
        }
        line["receipt"] = json!(0);
        value["lines"].as_array_mut().unwrap().push(line);
    });
    let log = Log { opening: 1, postings: leaves.to_vec(), witnessed: None };
    let parsed: BTreeMap<u64, Leaf> = (9..)
        .step_by(2)
        .zip(entries(leaves).iter().skip(1).step_by(2))
        .map(|(index, leaf)| (index, Leaf::parse(leaf).unwrap()))
        .collect();
    let rates = parsed.iter().filter_map(|(index, leaf)| Some((*index, rate(leaf)?))).collect();
    statements.convert(Side::Broker, parsed.iter().map(|(index, leaf)| (*index, leaf)), &rates);
    alter(&mut statements);
    let contract = |annex: &mut Annex| {
        let mut second = annex.contracts[0].clone();
        second.agreement = "a-2".parse().unwrap();
        second.amount = statements.lines[1].amount;
        second.currency = statements.lines[1].currency;
        annex.contracts.push(second);
        (annex.sums, annex.payments) = (Vec::new(), Vec::new());
    };
    let decided = |leaves: &mut Vec<Value>| {
        leaves.push(json!({"kind": "decision", "agreement": "a-2", "effect": "allow", "participant": "hku"}));
    };
    evidence_over(&log, &statements, contract, decided)
}

/// What both verifiers say: base and trace, or the file that does not hold.
fn told(evidence: &Evidence) -> Result<(String, String), String> {
    let bundle = packed(evidence);
    let first = verify(&bundle, NOBODY);
    assert_eq!(first.as_ref().map(|_| ()).map_err(|fault| fault.file.clone()), second(&bundle), "{first:?}");
    let trace = evidence.contents["rules/evaluation.json"].clone();
    first.map(|verified| (verified.claim.base, trace)).map_err(|fault| fault.file)
}

#[test]
fn each_posting_counts_at_the_rate_that_was_in_force_and_none_without() {
    // 500,000,000 fen in CNY come on top.
    let base = |fee: &str, leaves: &[Value]| told(&hkd(fee, leaves, |_| ())).unwrap();
    let (sum, trace) = base("1001", &[quoted(9_123, "2025-11-01"), posting("1001")]);
    // 1,001 × 0.9123 = 913.2…
    assert_eq!(sum, "500000913");
    assert!(trace.contains("converted at recorded rates, each floored: 1: 2025-11/a-2/1"), "{trace}");
    // What was posted before anybody had recorded a rate stays out, and the trace says so.
    let (sum, trace) = base("1001", &[posting("1001"), quoted(9_123, "2025-11-01")]);
    assert_eq!(sum, "500000000");
    assert!(trace.contains("excluded, not in CNY and without a recorded rate: 1, 1001 minor units of HKD"), "{trace}");
    // Before and after one rate, and after another: 100 without, 1,000 at 0.9, 1,000 at 0.8.
    let leaves = [
        posting("100"),
        quoted(9_000, "2025-11-02"),
        posting("400"),
        posting("600"),
        quoted(8_000, "2025-11-03"),
        // A rate of an earlier day that is recorded later changes nothing.
        quoted(7_000, "2025-11-01"),
        posting("1000"),
    ];
    let (sum, trace) = base("2100", &leaves);
    assert_eq!(sum, "500001700");
    assert!(trace.contains("without a recorded rate: 1, 100 minor units of HKD: 2025-11/a-2/1/unconverted"), "{trace}");
    // A credit note of 150 takes the dearest first: 850 at 0.9, 1,000 at 0.8, and of the last 100 nothing is known.
    assert_eq!(base("1850", &leaves).0, "500001565");
    // What nobody posted has no rate.
    assert_eq!(base("5000", &leaves).0, "500001700");
}

type Change = fn(&mut Statements);

#[test]
fn rates_that_the_log_does_not_bear_out_are_refused_by_both() {
    let leaves = [quoted(9_000, "2025-11-02"), posting("400"), quoted(8_000, "2025-11-03"), posting("600")];
    let cases: [Change; 7] = [
        |statements| statements.lines[1].rates[0].rate.num = 9_500,
        |statements| statements.lines[1].rates[0].amount.0 += 1,
        // At the better rate, what was posted at the other.
        |statements| {
            let rates = &mut statements.lines[1].rates;
            rates[0].amount.0 = 1000;
            rates.truncate(1);
        },
        |statements| {
            let one = statements.lines[1].rates[0].clone();
            statements.lines[1].rates[1] = one;
        },
        |statements| statements.lines[1].rates[0].leaf = 11,
        |statements| statements.lines[1].rates[0].leaf = 99,
        // More than was sold.
        |statements| statements.lines[1].fee.0 = 999,
    ];
    assert_eq!(told(&hkd("1000", &leaves, |_| ())).unwrap().0, "500000840");
    for (number, change) in cases.into_iter().enumerate() {
        assert_eq!(told(&hkd("1000", &leaves, change)), Err("statements.json".to_owned()), "case {number}");
    }
}

#[test]
fn a_contract_that_is_claimed_once_is_one_transaction_at_what_all_of_it_was_worth() {
    let evidence = hkd(
        "1000",
        &[quoted(9_000, "2025-11-02"), posting("400"), quoted(8_000, "2025-11-03"), posting("600")],
        |_| (),
    );
    let statements: Statements = serde_json::from_str(&evidence.contents["statements.json"]).unwrap();
    let transactions = statements.transactions(&Programme::find(REWARD).unwrap());
    let converted = &transactions["transactions"][1];
    let rate = json!({"num": 840, "den": 1000, "source": "HKMA", "as_of": "2025-11-02, 2025-11-03"});
    assert_eq!((&converted["amount"], &converted["rate"]), (&json!("1000"), &rate));
}
