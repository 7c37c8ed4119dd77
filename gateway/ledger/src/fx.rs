//! Exchange between the two ledgers: no transfer crosses them, so each exchange is two linked ones through
//! `fx:liquidity` at a recorded rate, and its spread a third.

use catalog::offer::{Currency, Minor};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::book::{Code, Transfer};
use crate::price::AmountError;

/// Longest name of a source, in bytes.
const SOURCE_BYTES_MAX: usize = 100;

/// How many minor units of `to` one of `from` is: `num / den`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// What is given.
    pub from: Currency,
    /// What is got.
    pub to: Currency,
    /// Numerator.
    pub num: u64,
    /// Denominator.
    pub den: u64,
    /// Who publishes it.
    pub source: String,
    /// Of which day.
    pub as_of: Date,
}

/// A rate that cannot be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// Both currencies are one.
    #[error("a rate is between two currencies")]
    SameCurrency,
    /// Numerator or denominator is out of bounds.
    #[error("`num` and `den` are whole numbers from 1 to 10^12")]
    Fraction,
    /// The source is not named.
    #[error("`source` names who publishes the rate, in 1 to 100 bytes")]
    Source,
}

impl Rate {
    /// Checks it.
    pub fn checked(self) -> Result<Self, RateError> {
        let bound = 1..=1_000_000_000_000_u64;
        if self.from == self.to {
            return Err(RateError::SameCurrency);
        }
        if !bound.contains(&self.num) || !bound.contains(&self.den) {
            return Err(RateError::Fraction);
        }
        if !(1..=SOURCE_BYTES_MAX).contains(&self.source.trim().len()) {
            return Err(RateError::Source);
        }
        Ok(self)
    }

    /// `amount` of `from` in `to`, floored.
    pub fn convert(&self, amount: Minor) -> Result<Minor, AmountError> {
        let product = i128::from(amount.0).checked_mul(i128::from(self.num)).ok_or(AmountError)?;
        let converted = product.checked_div_euclid(i128::from(self.den)).ok_or(AmountError)?;
        i64::try_from(converted).map(Minor).map_err(|_| AmountError)
    }

    /// The linked transfers of an exchange: `amount` leaves `payer`'s account in `from`, what it is worth less `spread`
    /// arrives on `payee`'s in `to`, and the spread goes to `earner` in `to`.
    ///
    /// # Errors
    /// [`AmountError`] if it is worth nothing, or the spread is negative or not less than it is worth.
    pub fn exchange(
        &self,
        amount: Minor,
        spread: Minor,
        payer: Account,
        payee: Account,
        earner: Account,
    ) -> Result<Vec<(Currency, Transfer)>, AmountError> {
        let worth = self.convert(amount)?;
        if amount.0 <= 0 || spread.0 < 0 || worth.0 <= spread.0 {
            return Err(AmountError);
        }
        let net = Minor(worth.0 - spread.0);
        let mut linked = vec![
            (self.from, Transfer::new(Code::Fx, payer, Account::FxLiquidity, amount)),
            (self.to, Transfer::new(Code::Fx, Account::FxLiquidity, payee, net)),
        ];
        if spread.0 > 0 {
            linked.push((self.to, Transfer::new(Code::Fx, Account::FxLiquidity, earner, spread)));
        }
        Ok(linked)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::book::Book;

    fn rate(num: u64, den: u64) -> Rate {
        let (from, to, as_of) = (Currency::Hkd, Currency::Cny, "2026-11-27".parse().unwrap());
        Rate { from, to, num, den, source: "HKMA".to_owned(), as_of }
    }

    #[test]
    fn both_ledgers_balance_and_the_spread_shows() {
        let rate = rate(9_123, 10_000).checked().unwrap();
        let (payer, payee) = ("consumer:hku:receivable".parse().unwrap(), "consumer:hku:prepaid".parse().unwrap());
        let earner = "broker:qianhai:revenue:fx".parse().unwrap();
        let linked = rate.exchange(Minor(1001), Minor(3), payer, payee, earner).unwrap();
        let amounts: Vec<_> = linked.iter().map(|(currency, transfer)| (*currency, transfer.amount.0)).collect();
        // 1,001 × 0.9123 = 913.2…
        assert_eq!(amounts, [(Currency::Hkd, 1001), (Currency::Cny, 910), (Currency::Cny, 3)]);
        let mut book = Book::new();
        for (currency, transfer) in &linked {
            book.enter(*currency, transfer).unwrap();
            assert!(book.balances());
        }
        let account = |text: &str| text.parse::<Account>().unwrap();
        assert_eq!(book.balance(Currency::Hkd, &account("fx:liquidity")).credits, 1001);
        assert_eq!(book.balance(Currency::Cny, &account("fx:liquidity")).debits, 913);
    }

    #[test]
    fn refused() {
        assert_eq!(rate(0, 1).checked(), Err(RateError::Fraction));
        assert_eq!(rate(1, 10_u64.pow(12) + 1).checked(), Err(RateError::Fraction));
        assert_eq!(Rate { to: Currency::Hkd, ..rate(0, 0) }.checked(), Err(RateError::SameCurrency));
        assert_eq!(Rate { source: "  ".to_owned(), ..rate(1, 1) }.checked(), Err(RateError::Source));
        let exchange = |amount, spread| {
            rate(1, 2).exchange(Minor(amount), Minor(spread), Account::Refund, Account::Refund, Account::Suspense)
        };
        for (amount, spread) in [(0, 0), (-4, 0), (1, 0), (4, 2), (4, -1)] {
            assert_eq!(exchange(amount, spread), Err(AmountError), "{amount} {spread}");
        }
        assert!(exchange(4, 1).is_ok());
        assert_eq!(rate(10_u64.pow(12), 1).convert(Minor(i64::MAX)), Err(AmountError));
    }
}
