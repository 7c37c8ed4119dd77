#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const CNY: Currency = Currency::Cny;

fn month(text: &str) -> Month {
    Month::parse(text).unwrap()
}

fn account(number: usize) -> Account {
    format!("provider:p{number}:payable").parse().unwrap()
}

fn sums(of: i128) -> Sums {
    let closing = Sides { debits: of * 2, credits: of * 3 };
    Sums { opening: Sides { debits: of, credits: of }, closing }
}

fn tree(accounts: usize) -> SumTree {
    let rows = (0..accounts).map(|number| (account(number), sums(i128::try_from(number).unwrap() + 1)));
    SumTree::new(CNY, month("2026-11"), rows.collect()).unwrap()
}

proptest! {
    /// Every account of every tree is proven, and a proof of anything else is not.
    #[test]
    fn every_account_is_proven_and_nothing_else(accounts in 1..40_usize, place in any::<prop::sample::Index>(), other in 1..9_i128) {
        let tree = tree(accounts);
        let commitment = tree.commitment().unwrap();
        let total: i128 = tree.rows().iter().map(|(_, sums)| sums.closing.credits).sum();
        prop_assert_eq!(commitment.sums.closing.credits, total);
        let (account, _) = &tree.rows()[place.index(accounts)];
        let proof = tree.proof(account).unwrap();
        proof.verify(&commitment).unwrap();
        // Over JSON too.
        let back: SumProof = serde_json::from_str(&serde_json::to_string(&proof).unwrap()).unwrap();
        prop_assert_eq!(&back, &proof);

        let mut wrong = proof.clone();
        wrong.sums.closing.credits += other;
        prop_assert!(wrong.verify(&commitment).is_err());
        for step in 0..proof.path.len() {
            // Moving money between an account and its sibling keeps the total and is found all the same.
            let mut wrong = proof.clone();
            wrong.path[step].sums.closing.credits += 1;
            prop_assert!(wrong.verify(&commitment).is_err());
            wrong.sums.closing.credits -= 1;
            prop_assert!(wrong.verify(&commitment).is_err());
        }
        for wrong in [
            SumProof { period: month("2026-12"), ..proof.clone() },
            SumProof { currency: Currency::Hkd, ..proof.clone() },
            SumProof { account: Account::Refund, ..proof.clone() },
        ] {
            prop_assert!(wrong.verify(&commitment).is_err());
        }
        let short = Commitment { sums: Sums::default(), ..commitment };
        prop_assert!(proof.verify(&short).is_err());
    }
}

#[test]
fn sums_are_whole_and_not_negative() {
    let json = serde_json::to_string(&tree(2).proof(&account(0)).unwrap()).unwrap();
    for (from, to) in [
        ("\"debits\":\"1\"", "\"debits\":\"-1\""),
        ("\"debits\":\"1\"", "\"debits\":\"01\""),
        ("\"debits\":\"1\"", "\"debits\":1"),
    ] {
        assert!(json.contains(from));
        assert!(serde_json::from_str::<SumProof>(&json.replace(from, to)).is_err(), "{to}");
    }
    assert!(SumTree::new(CNY, month("2026-11"), BTreeMap::new()).is_none());
}

fn batch(period: &str, code: &str, amount: i64) -> Vec<u8> {
    let transfer = json!({"code": code, "debit": "consumer:hku:receivable", "credit": "provider:qianhai:payable", "amount": amount.to_string()});
    let mut leaf = json!({"kind": "ledger_batch", "currency": "CNY", "transfers": [transfer]});
    if !period.is_empty() {
        leaf["period"] = json!(period);
    }
    serde_json_canonicalizer::to_vec(&leaf).unwrap()
}

fn close(periods: &Periods, period: &str, change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut leaf = json!({"kind": "period_close", "period": period, "sums": periods.closing(month(period)).unwrap().commitments(month(period))});
    change(&mut leaf);
    serde_json_canonicalizer::to_vec(&leaf).unwrap()
}

#[test]
fn a_log_gives_every_month_again_and_a_closing_that_says_otherwise_is_found() {
    let mut periods = Periods::default();
    let leaves = [
        batch("2026-11", "post", 100),
        batch("", "reserve", 7),
        batch("2026-12", "post", 30),
        batch("2026-11", "post", 5),
    ];
    for (index, leaf) in leaves.iter().enumerate() {
        periods.enter_leaf(u64::try_from(index).unwrap(), leaf).unwrap();
    }
    let closing = periods.closing(month("2026-12")).unwrap();
    let stored: Closing = serde_json::from_str(&serde_json::to_string(&closing).unwrap()).unwrap();
    assert_eq!(stored, closing);
    let december = closing.trees(month("2026-12")).unwrap();
    let payable: Account = "provider:qianhai:payable".parse().unwrap();
    let shown = december[0].proof(&payable).unwrap().sums;
    assert_eq!((shown.opening.credits, shown.closing.credits), (105, 135));
    assert_eq!(shown.closing.debits, 0);

    let good = close(&periods, "2026-11", |_| ());
    for change in [
        (|leaf| leaf["sums"][0]["root"] = json!(Digest::of(b"another"))) as fn(&mut Value),
        |leaf| leaf["sums"][0]["closing"]["credits"] = json!("104"),
        |leaf| leaf["sums"][0]["accounts"] = json!(3),
        |leaf| leaf["sums"] = json!([]),
    ] {
        let wrong = close(&periods, "2026-11", change);
        let found = periods.clone().enter_leaf(4, &wrong).unwrap_err();
        assert_eq!(found, PeriodsError::Differs { index: 4, period: month("2026-11") });
    }
    periods.enter_leaf(4, &good).unwrap();
    assert_eq!(periods.checked(), 1);
    let late = periods.enter_leaf(5, &batch("2026-11", "post", 1)).unwrap_err();
    assert_eq!(late, PeriodsError::Closed { index: 5, period: month("2026-11") });
    assert!(periods.enter_leaf(5, &batch("", "post", 1)).is_err());
    // Earlier releases closed months without sums.
    periods
        .enter_leaf(6, &close(&periods, "2026-12", |leaf| drop(leaf.as_object_mut().unwrap().remove("sums"))))
        .unwrap();
    assert_eq!(periods.checked(), 1);
}
