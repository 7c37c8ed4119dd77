//! The reward and the vouchers once more, written from INTERFACE.md and the laws as slowly and plainly as possible.

use proptest::prelude::*;

use super::*;

/// Seconds of 2025-01-01T00:00:00+08:00, and of the year's length.
const YEAR_2025: i64 = 1_735_660_800;
const YEAR: i64 = 365 * 86_400;

#[derive(Debug, Clone)]
struct Sale {
    broker: u8,
    consumer: u8,
    second: i64,
    amount: i64,
    hkd: bool,
    service: bool,
    affiliated: bool,
    enterprise: bool,
    platform: bool,
    startup: bool,
    contract: u8,
    /// Part of the sale that is reversed, percent, and how many seconds later.
    reversed: Option<(i64, i64)>,
}

fn sales() -> impl Strategy<Value = Vec<Sale>> {
    let party = 0..4_u8;
    let flags = (any::<bool>(), prop::bool::weighted(0.9), prop::bool::weighted(0.9), any::<bool>());
    let odd = (prop::bool::weighted(0.1), prop::bool::weighted(0.9), prop::bool::weighted(0.1));
    let edges = prop_oneof![Just(0_i64), Just(-1_i64), Just(YEAR), Just(YEAR - 1), (-YEAR / 4)..(YEAR + YEAR / 4)];
    let reversed = prop::option::weighted(0.3, (0..=100_i64, 0..YEAR / 2));
    let amount = prop_oneof![0..3000_i64, 100_000_000..600_000_000_i64];
    let sale = (party.clone(), party, edges, amount, odd, flags, 0..6_u8, reversed);
    let sale = sale.prop_map(|(broker, consumer, second, amount, odd, flags, contract, reversed)| Sale {
        broker,
        consumer,
        second: YEAR_2025 + second,
        amount,
        hkd: odd.0,
        service: odd.1,
        affiliated: odd.2,
        enterprise: flags.1,
        platform: flags.2,
        startup: flags.3,
        contract,
        reversed,
    });
    prop::collection::vec(sale, 0..12)
}

fn input(sales: &[Sale]) -> Vec<Value> {
    let mut transactions = Vec::new();
    for (number, sale) in sales.iter().enumerate() {
        let at = |second: i64| jiff::Timestamp::from_second(second).unwrap().to_string();
        let id = format!("{number:02}");
        let mut transaction = json!({
            "id": id, "broker": format!("p{}", sale.broker), "consumer": format!("p{}", sale.consumer),
            "at": at(sale.second), "amount": sale.amount.to_string(), "currency": if sale.hkd { "HKD" } else { "CNY" },
            "kind": if sale.service { "data_transaction_service" } else { "other" }, "affiliated": sale.affiliated,
            "contract": sale.contract.to_string(), "enterprise": sale.enterprise, "startup": sale.startup,
        });
        if sale.platform {
            transaction["platform"] = json!("exchange");
        }
        transactions.push(transaction.clone());
        if let Some((percent, later)) = sale.reversed {
            transaction["id"] = json!(format!("{id}-r"));
            transaction["reversal_of"] = json!(id);
            transaction["at"] = json!(at(sale.second + later));
            transaction["amount"] = json!((sale.amount * percent / 100).to_string());
            transactions.push(transaction);
        }
    }
    transactions
}

/// A second in 2025 of Shanghai: that year has no leap day.
fn in_2025(second: i64) -> bool {
    (YEAR_2025..YEAR_2025 + YEAR).contains(&second)
}

fn round_trip(sale: &Sale, all: &[Sale]) -> bool {
    all.iter().any(|other| {
        other.broker == sale.consumer
            && other.consumer == sale.broker
            && (other.second - sale.second).abs() <= 90 * 86_400
    })
}

/// What `sale` brings to 2025, with the place of the reversal considered.
fn net_2025(sale: &Sale) -> i64 {
    let mut net = if in_2025(sale.second) { sale.amount } else { 0 };
    if let Some((percent, later)) = sale.reversed
        && in_2025(sale.second + later)
    {
        net -= sale.amount * percent / 100;
    }
    net
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_reward_agrees(sales in sales()) {
        let evaluation = evaluated(REWARD, 2026, &input(&sales));
        for broker in 0..4 {
            let mine = sales.iter().filter(|sale| sale.broker == broker);
            let base: i64 = mine
                .filter(|sale| {
                    sale.service && !sale.hkd && !sale.affiliated && sale.broker != sale.consumer
                        && !round_trip(sale, &sales)
                })
                .map(net_2025)
                .sum();
            let reward = if base >= 500_000_000 { (base / 100).min(20_000_000) } else { 0 };
            let line = evaluation.lines.iter().find(|line| line.participant == format!("p{broker}"));
            prop_assert_eq!(line.map_or(0, |line| line.base.0), i128::from(base));
            prop_assert_eq!(line.map_or(0, |line| line.amount.0), i128::from(reward));
            prop_assert_eq!(line.is_some_and(|line| line.eligible && line.selected), base >= 500_000_000);
        }
    }

    #[test]
    fn the_vouchers_agree(sales in sales()) {
        for (programme, corpus) in [(CORPUS, true), (COMPUTE, false)] {
            let evaluation = evaluated(programme, 2025, &input(&sales));
            let may = |sale: &Sale| !sale.hkd && (sale.second >= YEAR_2025 - 14 * 86_400) && (!corpus || {
                sale.enterprise && sale.platform && !sale.affiliated && sale.broker != sale.consumer
                    && !round_trip(sale, &sales)
            });
            // Each contract counts with its earliest sale of each year.
            let mut order: Vec<usize> = (0..sales.len()).collect();
            order.sort_by_key(|place| (sales[*place].second, *place));
            let mut counted = Vec::new();
            let mut held: Vec<(u8, i64)> = Vec::new();
            for place in order {
                let sale = &sales[place];
                let year = (sale.second - YEAR_2025).div_euclid(YEAR);
                let undone = sale.amount == 0 && sale.reversed.is_some_and(|(_, later)| {
                    (sale.second + later - YEAR_2025).div_euclid(YEAR) == year
                }) || sale.reversed.is_some_and(|(percent, later)| {
                    percent == 100 && (sale.second + later - YEAR_2025).div_euclid(YEAR) == year
                });
                if may(sale) && (undone || !held.contains(&(sale.contract, year))) {
                    counted.push(sale);
                    if !undone {
                        held.push((sale.contract, year));
                    }
                }
            }
            for consumer in 0..4 {
                let mine = || counted.iter().filter(|sale| sale.consumer == consumer);
                let of = |startup: bool| mine().filter(|sale| sale.startup == startup).map(|sale| net_2025(sale)).sum::<i64>();
                let base = of(false) + of(true);
                let amount = if corpus {
                    (base * 30).div_euclid(100).min(200_000_000)
                } else {
                    (of(false) * 50 + of(true) * 60).div_euclid(100).min(1_000_000_000)
                };
                let line = evaluation.lines.iter().find(|line| line.participant == format!("p{consumer}"));
                prop_assert_eq!(line.map_or(0, |line| line.base.0), i128::from(base));
                let amount = if base > 0 { amount.max(0) } else { 0 };
                prop_assert_eq!(line.map_or(0, |line| line.amount.0), i128::from(amount));
            }
        }
    }

    #[test]
    fn the_order_of_the_input_changes_nothing(sales in sales(), seed in any::<u64>()) {
        let straight = input(&sales);
        let mut turned = straight.clone();
        let middle = usize::try_from(seed % 13).unwrap().min(turned.len());
        turned.rotate_left(middle);
        for (programme, year) in [(REWARD, 2026), (CORPUS, 2025), (COMPUTE, 2025)] {
            let bare = |sales: &[Value]| -> Vec<(String, Fen, Fen, bool)> {
                let lines = evaluated(programme, year, sales).lines.into_iter();
                lines.map(|line| (line.participant, line.base, line.amount, line.selected)).collect()
            };
            prop_assert_eq!(bare(&straight), bare(&turned));
        }
    }
}
