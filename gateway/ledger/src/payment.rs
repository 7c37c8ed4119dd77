//! Money that came in outside of the gateway: what it settles, and what shows it.
//!
//! The gateway moves no money. A payment names a bank slip or an invoice by digest; nobody asserts more than that somebody
//! has it. It takes what it settles off what the consumer owes, and never more: `consumer:ID:paid` is debited, the
//! receivable credited, in another currency through `fx:liquidity` at a recorded rate.

use catalog::offer::{Currency, Minor};
use catalog::{AgreementId, Digest, ParticipantId};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::book::{Code, Transfer};
use crate::fx::Rate;
use crate::price::AmountError;

/// The class of revenue that spreads are.
pub const EXCHANGE: &str = "fx";

/// Longest reference, in bytes.
const REFERENCE_BYTES_MAX: usize = 64;

/// What shows a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Paper {
    /// A bank's slip or statement.
    Bank,
    /// An invoice of the mainland's tax authority.
    Fapiao,
}

impl Paper {
    /// The spelling in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bank => "bank",
            Self::Fapiao => "fapiao",
        }
    }
}

/// The paper that shows a payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// Which kind.
    pub kind: Paper,
    /// Its number, as the bank or the tax authority gave it.
    pub reference: String,
    /// SHA-256 of the file.
    pub digest: Digest,
}

/// An amount of one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sum {
    /// Minor units.
    pub amount: Minor,
    /// ISO 4217.
    pub currency: Currency,
}

/// How what was paid became what it settles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchanged {
    /// Id of the recorded rate.
    pub rate: String,
    /// What the broker kept, in the currency of what is settled.
    pub spread: Minor,
}

/// One payment. Its canonical JSON is what the log's `payment` leaf names by digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payment {
    /// Its id.
    pub id: String,
    /// For what: the contract.
    pub agreement: AgreementId,
    /// Who paid.
    pub consumer: ParticipantId,
    /// Who says so.
    pub broker: ParticipantId,
    /// What was paid.
    pub paid: Sum,
    /// On which day.
    pub on: Date,
    /// What shows it.
    pub shown: Shown,
    /// The exchange, where it was paid in another currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchanged: Option<Exchanged>,
    /// What it settles.
    pub settled: Sum,
}

/// A payment that cannot be recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PaymentError {
    /// Nothing was paid, or more than numbers hold.
    #[error("`amount` is {0}: write minor units (fen, cents) above zero")]
    Amount(i64),
    /// The reference is no token.
    #[error("`reference` is the number of the slip or invoice: 1 to {REFERENCE_BYTES_MAX} of A-Z a-z 0-9 . _ / -")]
    Reference,
    /// Other currency, no rate; or a rate without need.
    #[error("paid in {}, owed in {}: {hint}", paid.as_str(), owed.as_str())]
    Rate {
        /// What was paid.
        paid: Currency,
        /// What is owed.
        owed: Currency,
        /// What would be right.
        hint: &'static str,
    },
    /// It is worth nothing, or the spread takes it all.
    #[error("at this rate nothing is left of it after the spread, or it is beyond 2^63 minor units")]
    Worthless,
}

impl From<AmountError> for PaymentError {
    fn from(_: AmountError) -> Self {
        Self::Worthless
    }
}

/// What `paid` settles of a debt in `owed`, at `rate` less `spread` where the currencies differ.
///
/// # Errors
/// A rate that is missing, of other currencies or not needed; a spread without one; an amount that settles nothing.
pub fn settles(paid: Sum, owed: Currency, rate: Option<&Rate>, spread: Minor) -> Result<Sum, PaymentError> {
    let wrong = |hint| Err(PaymentError::Rate { paid: paid.currency, owed, hint });
    if paid.amount.0 <= 0 {
        return Err(PaymentError::Amount(paid.amount.0));
    }
    let amount = match rate {
        None if paid.currency == owed && spread.0 == 0 => paid.amount,
        None if paid.currency == owed => return wrong("there is no spread without an exchange"),
        None => return wrong("name a recorded rate (`kouan fx list`)"),
        Some(_) if paid.currency == owed => return wrong("no rate is needed"),
        Some(rate) if (rate.from, rate.to) != (paid.currency, owed) => return wrong("the rate is of other currencies"),
        Some(rate) => {
            let worth = rate.convert(paid.amount)?;
            let net = worth.0.checked_sub(spread.0).filter(|net| spread.0 >= 0 && *net > 0);
            Minor(net.ok_or(PaymentError::Worthless)?)
        }
    };
    Ok(Sum { amount, currency: owed })
}

impl Payment {
    /// Its linked transfers, by ledger. `rate` is the recorded one that it names.
    ///
    /// # Errors
    /// Whatever keeps it from being recorded; `settled` that does not follow from `paid`, the rate and the spread is among
    /// it.
    pub fn transfers(&self, rate: Option<&Rate>) -> Result<Vec<(Currency, Transfer)>, PaymentError> {
        let reference = &self.shown.reference;
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"._/-".contains(&byte);
        if !(1..=REFERENCE_BYTES_MAX).contains(&reference.len()) || !reference.bytes().all(token) {
            return Err(PaymentError::Reference);
        }
        let spread = self.exchanged.as_ref().map_or(Minor(0), |exchanged| exchanged.spread);
        if settles(self.paid, self.settled.currency, rate, spread)? != self.settled {
            return Err(PaymentError::Worthless);
        }
        let (paid, owed) = (Account::Paid(self.consumer.clone()), Account::Receivable(self.consumer.clone()));
        match rate {
            None => Ok(vec![(self.paid.currency, Transfer::new(Code::Pay, paid, owed, self.paid.amount))]),
            Some(rate) => {
                let earner = Account::Revenue { broker: self.broker.clone(), class: EXCHANGE.to_owned() };
                Ok(rate.exchange(self.paid.amount, spread, paid, owed, earner)?)
            }
        }
    }

    /// The transfers that take it back, whole.
    pub fn reversed(&self, rate: Option<&Rate>) -> Result<Vec<(Currency, Transfer)>, PaymentError> {
        let mut transfers = self.transfers(rate)?;
        for (_, transfer) in &mut transfers {
            std::mem::swap(&mut transfer.debit, &mut transfer.credit);
            transfer.code = Code::Adjust;
        }
        Ok(transfers)
    }

    /// RFC 8785.
    pub fn canonical(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json_canonicalizer::to_vec(self)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::book::Book;

    fn sum(amount: i64, currency: Currency) -> Sum {
        Sum { amount: Minor(amount), currency }
    }

    fn rate() -> Rate {
        let (from, to, as_of) = (Currency::Hkd, Currency::Cny, "2026-11-27".parse().unwrap());
        Rate { from, to, num: 9123, den: 10_000, source: "HKMA".to_owned(), as_of }
    }

    fn payment(paid: Sum, settled: Sum, spread: Option<i64>) -> Payment {
        Payment {
            id: "pay-1".to_owned(),
            agreement: "a-1".parse().unwrap(),
            consumer: "hku".parse().unwrap(),
            broker: "qianhai".parse().unwrap(),
            paid,
            on: "2026-11-28".parse().unwrap(),
            shown: Shown { kind: Paper::Bank, reference: "SW-1".to_owned(), digest: Digest::of(b"slip") },
            exchanged: spread.map(|spread| Exchanged { rate: "fx-1".to_owned(), spread: Minor(spread) }),
            settled,
        }
    }

    #[test]
    fn what_is_paid_is_no_longer_owed_in_either_currency_and_a_reversal_takes_all_of_it_back() {
        let (cny, hkd) = (Currency::Cny, Currency::Hkd);
        let rate = rate();
        for (payment, rate, settled) in [
            (payment(sum(500, cny), sum(500, cny), None), None, 500),
            // 1,001 × 0.9123 = 913.2…, less a spread of 3.
            (payment(sum(1001, hkd), sum(910, cny), Some(3)), Some(&rate), 910),
            (payment(sum(1001, hkd), sum(913, cny), Some(0)), Some(&rate), 913),
        ] {
            let mut book = Book::new();
            for (currency, transfer) in payment.transfers(rate).unwrap() {
                book.enter(currency, &transfer).unwrap();
                assert!(book.balances());
            }
            let owed = Account::Receivable(payment.consumer.clone());
            assert_eq!(book.balance(cny, &owed).credits, settled);
            let paid = Account::Paid(payment.consumer.clone());
            assert_eq!(book.balance(payment.paid.currency, &paid).debits, i128::from(payment.paid.amount.0));
            for (currency, transfer) in payment.reversed(rate).unwrap() {
                book.enter(currency, &transfer).unwrap();
            }
            assert!(book.balances() && book.iter().all(|(_, _, balance)| balance.debits == balance.credits));
        }
    }

    #[test]
    fn refused() {
        let (cny, hkd) = (Currency::Cny, Currency::Hkd);
        let rate = rate();
        let of = |paid, owed, rate, spread| settles(paid, owed, rate, Minor(spread));
        assert_eq!(of(sum(0, cny), cny, None, 0), Err(PaymentError::Amount(0)));
        for (paid, owed, rate, spread) in [
            (sum(5, hkd), cny, None, 0),
            (sum(5, cny), cny, None, 1),
            (sum(5, cny), cny, Some(&rate), 0),
            (sum(5, cny), hkd, Some(&rate), 0),
        ] {
            assert!(matches!(of(paid, owed, rate, spread), Err(PaymentError::Rate { .. })), "{paid:?}");
        }
        for (amount, spread) in [(1, 0), (1001, 913), (1001, -1)] {
            assert_eq!(of(sum(amount, hkd), cny, Some(&rate), spread), Err(PaymentError::Worthless));
        }
        assert_eq!(
            payment(sum(1001, hkd), sum(914, cny), Some(0)).transfers(Some(&rate)),
            Err(PaymentError::Worthless)
        );
        let mut named = payment(sum(5, cny), sum(5, cny), None);
        for bad in ["", "a b", "張三", &"x".repeat(65)] {
            named.shown.reference = bad.to_owned();
            assert_eq!(named.transfers(None), Err(PaymentError::Reference), "{bad}");
        }
    }
}
