#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn account(text: &str) -> Account {
    text.parse().unwrap()
}

fn transfer(code: Code, debit: &str, credit: &str, amount: i64) -> Transfer {
    Transfer::new(code, account(debit), account(credit), Minor(amount))
}

const HKU: &str = "consumer:hku:receivable";
const QIANHAI: &str = "provider:qianhai:payable";

#[test]
fn refusals_in_their_order_change_nothing() {
    let mut book = Book::new();
    book.enter(Currency::Cny, &transfer(Code::Reserve, HKU, "suspense", 100)).unwrap();
    let before = book.clone();
    // Each case repairs only the fault the case before it reported.
    let held = |amount| BookError::NotHeld { account: account(HKU), amount, held: 100 };
    for (debit, credit, amount, want) in [
        (HKU, HKU, 0, Err(BookError::Amount { amount: 0 })),
        (HKU, HKU, -5, Err(BookError::Amount { amount: -5 })),
        (HKU, HKU, 101, Err(BookError::SameAccount(account(HKU)))),
        (HKU, "suspense", 101, Err(held(101))),
    ] {
        assert_eq!(book.enter(Currency::Cny, &transfer(Code::Void, debit, credit, amount)), want);
        assert_eq!(book, before);
    }
    // What is held in one ledger cannot be released in the other.
    assert!(book.enter(Currency::Hkd, &transfer(Code::Void, HKU, "suspense", 100)).is_err());
    book.enter(Currency::Cny, &transfer(Code::Void, HKU, "suspense", 100)).unwrap();
    assert_eq!(book.balance(Currency::Cny, &account(HKU)), Balance::default());
}

#[test]
fn a_book_is_the_fold_of_the_leaves() {
    let mut book = Book::new();
    let leaf = br#"{"at":"x","currency":"CNY","kind":"ledger_batch","transfers":[
        {"code":"reserve","debit":"consumer:hku:receivable","credit":"suspense","amount":"100"},
        {"code":"post","debit":"consumer:hku:receivable","credit":"provider:qianhai:payable","amount":"90"}]}"#;
    // Only the very member counts, not what looks like it inside another.
    for other in [
        &br#"{"kind":"decision","note":"\"kind\":\"ledger_batch\""}"#[..],
        br#"{"inner":{"kind":"ledger_batch"},"kind":"decision"}"#,
        b"not JSON",
    ] {
        book.enter_leaf(0, other).unwrap();
        assert!(!is_batch(other));
    }
    assert_eq!(book, Book::new());
    book.enter_leaf(7, leaf).unwrap();
    assert!(book.balances());
    assert_eq!(
        String::from_utf8(book.canonical()).unwrap(),
        concat!(
            r#"{"CNY":[{"account":"consumer:hku:receivable","credits":"0","debits":"90","pending_credits":"0","#,
            r#""pending_debits":"100"},{"account":"provider:qianhai:payable","credits":"90","debits":"0","#,
            r#""pending_credits":"0","pending_debits":"0"},{"account":"suspense","credits":"0","debits":"0","#,
            r#""pending_credits":"100","pending_debits":"0"}]}"#
        )
    );
    for (leaf, why) in [
        (&br#"{"kind":"ledger_batch","transfers":[]}"#[..], "currency"),
        (br#"{"currency":"USD","kind":"ledger_batch","transfers":[]}"#, "USD"),
        (br#"{"currency":"CNY","kind":"ledger_batch","transfers":[{"code":"gift"}]}"#, "gift"),
    ] {
        let error = book.enter_leaf(9, leaf).unwrap_err().to_string();
        assert!(error.starts_with("leaf 9") && error.contains(why), "{error}");
    }
    let void = br#"{"currency":"CNY","kind":"ledger_batch","transfers":[
        {"code":"void","debit":"consumer:hku:receivable","credit":"suspense","amount":"101"}]}"#;
    assert!(matches!(book.enter_leaf(9, void), Err(LeafError::Book { index: 9, number: 0, .. })));
}

proptest! {
    /// Whatever is entered or refused, every ledger balances, nothing pending is negative, and order of accounts does
    /// not matter to the bytes.
    #[test]
    fn every_ledger_balances_after_each_step(
        steps in prop::collection::vec((0..10_usize, 0..4_usize, 0..4_usize, -2..50_i64, any::<bool>()), 0..60),
    ) {
        let codes = [
            Code::Reserve, Code::Post, Code::Void, Code::Expire, Code::Reclass, Code::CreditNote, Code::Fx, Code::Pay,
            Code::Adjust, Code::Settle,
        ];
        let accounts = [HKU, QIANHAI, "suspense", "tax:vat"];
        let mut book = Book::new();
        for (code, debit, credit, amount, hong_kong) in steps {
            let currency = if hong_kong { Currency::Hkd } else { Currency::Cny };
            let (debit, credit) = (accounts.get(debit).unwrap(), accounts.get(credit).unwrap());
            let before = book.clone();
            if book.enter(currency, &transfer(*codes.get(code).unwrap(), debit, credit, amount)).is_err() {
                prop_assert_eq!(&book, &before);
            }
            prop_assert!(book.balances());
            prop_assert!(book.iter().all(|(_, _, b)| b.pending_debits >= 0 && b.pending_credits >= 0));
        }
        let mut copy = Book::new();
        for (currency, account, balance) in book.iter() {
            copy.set(currency, account.clone(), *balance);
        }
        prop_assert_eq!(copy.digest(), book.digest());
    }
}
