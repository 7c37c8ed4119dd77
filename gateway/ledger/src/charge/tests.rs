#![allow(clippy::unwrap_used)]

use catalog::offer::Currency;
use proptest::prelude::*;

use super::*;
use crate::book::Book;
use crate::testing;

fn offer(fee: Option<Fee>, vat_ppm: Option<u32>) -> Offer {
    Offer { fee, vat: vat_ppm.map(|rate_ppm| Vat { rate_ppm }), ..testing::offer(Currency::Cny) }
}

/// With the tax that the offer itself names.
fn posting(offer: &Offer, due: Minor, posted: &Posted) -> Result<Split, AmountError> {
    charge(offer, offer.vat, due, posted)
}

fn split(amount: i64, fee: i64, tax: i64) -> Split {
    Split { amount: Minor(amount), fee: Minor(fee), tax: Minor(tax) }
}

#[test]
fn parts_of_an_amount() {
    for (fee, vat, due, want) in [
        (None, None, 1000, split(1000, 0, 0)),
        (Some(Fee::Rate { rate_ppm: 100_000 }), None, 1009, split(1009, 100, 0)),
        // 6 % within 1,060 is 60.
        (Some(Fee::Rate { rate_ppm: 100_000 }), Some(60_000), 1060, split(1060, 106, 60)),
        // A broker who takes everything leaves the tax.
        (Some(Fee::Rate { rate_ppm: 1_000_000 }), Some(60_000), 1060, split(1060, 1000, 60)),
        (Some(Fee::Fixed { amount: Minor(70) }), None, 50, split(50, 50, 0)),
    ] {
        assert_eq!(posting(&offer(fee, vat), Minor(due), &Posted::default()).unwrap(), want);
    }
    let posted = Posted { total: split(10, 0, 0), period: split(10, 0, 0) };
    assert_eq!(posting(&offer(None, None), Minor(9), &posted), Err(AmountError));
}

#[test]
fn a_rate_holds_for_what_is_posted_while_it_is_in_force() {
    let offer = offer(None, None);
    let vat = |rate_ppm| Some(Vat { rate_ppm });
    let first = charge(&offer, None, Minor(1000), &Posted::default()).unwrap();
    assert_eq!(first, split(1000, 0, 0));
    // Six per cent of what came since, and what was posted without keeps none.
    let second = charge(&offer, vat(60_000), Minor(2060), &Posted { total: first, period: first }).unwrap();
    assert_eq!(second, split(1060, 0, 60));
    let total = first.plus(&second).unwrap();
    assert_eq!(charge(&offer, vat(0), Minor(3000), &Posted { total, period: total }).unwrap(), split(940, 0, 0));
}

#[test]
fn a_fixed_fee_is_one_of_a_line() {
    let offer = offer(Some(Fee::Fixed { amount: Minor(70) }), None);
    let first = posting(&offer, Minor(50), &Posted::default()).unwrap();
    assert_eq!(first, split(50, 50, 0));
    // The rest of the fee when the line grows, in the same period; all of it again in the next.
    assert_eq!(posting(&offer, Minor(150), &Posted { total: first, period: first }).unwrap(), split(100, 20, 0));
    assert_eq!(
        posting(&offer, Minor(150), &Posted { total: first, period: split(0, 0, 0) }).unwrap(),
        split(100, 70, 0)
    );
}

#[test]
fn a_credit_note_takes_back_what_is_there() {
    let posted = split(1060, 106, 60);
    for amount in [0, -1, 1061] {
        assert_eq!(
            credit(&posted, &Split::default(), Minor(amount)),
            Err(CreditError { amount, left: 1060 }),
            "{amount}"
        );
    }
    let first = credit(&posted, &Split::default(), Minor(100)).unwrap();
    assert_eq!(first, split(100, 10, 5));
    let rest = credit(&posted, &first, Minor(960)).unwrap();
    assert_eq!(first.plus(&rest).unwrap(), posted);
    assert!(credit(&posted, &posted, Minor(1)).is_err());
}

proptest! {
    /// Whatever the terms and however deliveries are cut up: parts add up to the amount, no total of a party is negative,
    /// and postings in pieces are those of the whole. Every step balances.
    #[test]
    fn postings_in_pieces_are_those_of_the_whole(
        fee_ppm in 0..=1_000_000_u32, vat_ppm in 0..=1_000_000_u32, steps in prop::collection::vec(0..500_i64, 1..20),
        share in 1..100_i64,
    ) {
        let offer = offer(Some(Fee::Rate { rate_ppm: fee_ppm }), Some(vat_ppm));
        let (hku, qianhai, lin) = ("hku".parse().unwrap(), "qianhai".parse().unwrap(), "lin".parse().unwrap());
        let parties = Parties { consumer: &hku, provider: &qianhai, broker: &lin };
        let (mut book, mut total, mut due) = (Book::new(), Split::default(), 0);
        for step in steps {
            due += step;
            let made = posting(&offer, Minor(due), &Posted { total, period: total }).unwrap();
            total = total.plus(&made).unwrap();
            prop_assert!(total.provider() >= 0 && total.fee.0 >= 0 && total.tax.0 >= 0);
            for transfer in parties.post(&made) {
                book.enter(Currency::Cny, &transfer).unwrap();
            }
            prop_assert!(book.balances());
        }
        prop_assert_eq!(total, posting(&offer, Minor(due), &Posted::default()).unwrap());
        let owed = book.balance(Currency::Cny, &Account::Receivable(hku.clone()));
        prop_assert_eq!(owed.debits - owed.credits, i128::from(due));
        if due > 0 {
            let back = credit(&total, &Split::default(), Minor((due * share / 100).max(1))).unwrap();
            let rest = total.minus(&back).unwrap();
            prop_assert!(rest.fee.0 >= 0 && rest.tax.0 >= 0);
            for transfer in parties.credit_note(&back) {
                book.enter(Currency::Cny, &transfer).unwrap();
            }
            prop_assert!(book.balances());
            let owed = book.balance(Currency::Cny, &Account::Receivable(hku));
            prop_assert_eq!(owed.debits - owed.credits, i128::from(rest.amount.0));
        }
    }
}
