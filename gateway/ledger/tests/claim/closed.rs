//! Closed months of a claim: of one account, and none is left out.

use super::*;

/// Proofs of the claimant's account in three months, each of which brought 100.
fn three_months() -> Vec<SumProof> {
    let account = "broker:qianhai:revenue:data_transaction_service";
    let month = |number: usize| {
        let sides = |credits: usize| json!({"debits": "0", "credits": credits.to_string()});
        let row = json!({"opening": sides(number * 100), "closing": sides(number * 100 + 100)});
        let closing: Closing = serde_json::from_value(json!({"CNY": {account: row}})).unwrap();
        let period = Month::parse(&format!("2025-{:02}", number + 10)).unwrap();
        closing.trees(period).unwrap().remove(0).proof(&account.parse().unwrap()).unwrap()
    };
    (0..3).map(month).collect()
}

#[test]
fn closed_months_are_of_one_account_and_none_is_left_out() {
    let (qianhai, hku) = ("qianhai".parse().unwrap(), "hku".parse().unwrap());
    let months = three_months();
    let of = |months: &[SumProof]| Closed::of(months, Side::Broker, &qianhai, 2025);
    let all = of(&months).unwrap();
    assert_eq!(all.posted, 300);
    let month = |text: &str| Month::parse(text).unwrap();
    assert!(all.covers(month("2025-11")) && !all.covers(month("2025-09")));
    assert_eq!(of(&months[1..]).unwrap().posted, 200);
    assert_eq!(of(&[]).unwrap(), Closed::default());
    let without = [months[0].clone(), months[2].clone()];
    assert!(of(&without).unwrap_err().contains("left out"));
    let backwards = [months[1].clone(), months[0].clone()];
    assert!(of(&backwards).is_err());
    assert!(Closed::of(&months, Side::Broker, &hku, 2025).is_err());
    assert!(Closed::of(&months, Side::Consumer, &qianhai, 2025).is_err());
    assert!(Closed::of(&months, Side::Broker, &qianhai, 2026).is_err());
}
