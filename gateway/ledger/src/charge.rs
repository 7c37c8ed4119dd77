//! What a delivery adds to what is posted, and who gets which part of it.
//!
//! Cumulative rounding: what falls due is floored over all that an entitlement was ever billed; a posting is the
//! difference to what is posted already. So postings neither drift nor depend on how deliveries were cut up, and a
//! replay posts nothing.

use catalog::offer::Minor;
use catalog::{Fee, Offer, ParticipantId, Vat};

use crate::account::{Account, DATA_TRANSACTION_SERVICE};
use crate::book::{Code, Transfer};
use crate::price::{self, AmountError};

/// The one kind of tax that offers know.
const VAT: &str = "vat";

/// An amount and its parts; the rest of it is the provider's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Split {
    /// All of it: what the consumer owes.
    pub amount: Minor,
    /// The broker's part.
    pub fee: Minor,
    /// The tax within it.
    pub tax: Minor,
}

impl Split {
    /// What is left for the provider.
    pub const fn provider(&self) -> i64 {
        self.amount.0.saturating_sub(self.fee.0).saturating_sub(self.tax.0)
    }

    /// Whether nothing moves.
    pub const fn is_zero(&self) -> bool {
        self.amount.0 == 0 && self.fee.0 == 0 && self.tax.0 == 0
    }

    /// Whether a posting of this has the tax that `vat` says. Tax is floored over all that an entitlement has posted, and a
    /// credit note takes its part of a floored one: less than two minor units apart is the same.
    pub fn has_tax_of(&self, vat: Vat) -> bool {
        let rate = rate(vat);
        let apart = i128::from(self.amount.0) * rate - i128::from(self.tax.0) * (1_000_000 + rate);
        apart.abs() < 2 * (1_000_000 + rate)
    }

    /// Adds `other` part by part.
    pub fn plus(&self, other: &Self) -> Result<Self, AmountError> {
        let add = |a: Minor, b: Minor| a.0.checked_add(b.0).map(Minor).ok_or(AmountError);
        Ok(Self {
            amount: add(self.amount, other.amount)?,
            fee: add(self.fee, other.fee)?,
            tax: add(self.tax, other.tax)?,
        })
    }

    /// Takes `other` off part by part.
    pub fn minus(&self, other: &Self) -> Result<Self, AmountError> {
        let take = |a: Minor, b: Minor| a.0.checked_sub(b.0).map(Minor).ok_or(AmountError);
        Ok(Self {
            amount: take(self.amount, other.amount)?,
            fee: take(self.fee, other.fee)?,
            tax: take(self.tax, other.tax)?,
        })
    }
}

/// What an entitlement has posted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Posted {
    /// Over all periods.
    pub total: Split,
    /// In the period that is posted to: a fixed fee belongs to the period's line.
    pub period: Split,
}

/// A rate in parts per million of the price without tax.
fn rate(vat: Vat) -> i128 {
    i128::from(vat.rate_ppm.min(1_000_000))
}

/// The tax within an amount, floored.
fn tax(vat: Option<Vat>, amount: Minor) -> Minor {
    let rate = vat.map_or(0, rate);
    let part = i128::from(amount.0) * rate / (1_000_000 + rate);
    // At most half of the amount.
    Minor(i64::try_from(part).unwrap_or(0))
}

/// What is to be posted now that `due` is owed in all, with `vat` within the price. A rate holds for what is posted while
/// it is in force: what was posted under another keeps its tax.
///
/// # Errors
/// [`AmountError`] if `due` is below what is posted: deliveries are never taken back, credit notes are postings of their
/// own.
pub fn charge(terms: &Offer, vat: Option<Vat>, due: Minor, posted: &Posted) -> Result<Split, AmountError> {
    let Posted { total, period } = posted;
    let amount = Minor(due.0.checked_sub(total.amount.0).filter(|amount| *amount >= 0).ok_or(AmountError)?);
    let tax = Minor(tax(vat, due).0.checked_sub(tax(vat, total.amount).0).ok_or(AmountError)?);
    // The fee never reaches into the tax.
    let net = |amount: Minor, tax: Minor| amount.0.saturating_sub(tax.0).max(0);
    let fee = match terms.fee.as_ref() {
        None => Minor(0),
        Some(fixed @ Fee::Fixed { .. }) => {
            let line = period.plus(&Split { amount, fee: Minor(0), tax })?;
            let of_line = price::fee(Some(fixed), Minor(net(line.amount, line.tax)));
            Minor(of_line.0.checked_sub(period.fee.0).ok_or(AmountError)?.max(0))
        }
        rate => {
            let of_all = price::fee(rate, due).0.min(net(due, Minor(total.tax.0.saturating_add(tax.0))));
            Minor(of_all.checked_sub(total.fee.0).ok_or(AmountError)?)
        }
    };
    Ok(Split { amount, fee, tax })
}

/// What a credit note of `amount` takes back of `posted`, of which `credited` is taken back already. Parts shrink in
/// proportion, cumulatively: a note over everything that is left takes all of each.
///
/// # Errors
/// [`CreditError`] if the amount is not above zero or more than is left.
pub fn credit(posted: &Split, credited: &Split, amount: Minor) -> Result<Split, CreditError> {
    let left = posted.amount.0.saturating_sub(credited.amount.0);
    if amount.0 <= 0 || amount.0 > left {
        return Err(CreditError { amount: amount.0, left });
    }
    let all = i128::from(credited.amount.0) + i128::from(amount.0);
    let share = |part: Minor, already: Minor| {
        let of_all = i128::from(part.0) * all / i128::from(posted.amount.0.max(1));
        Minor(i64::try_from(of_all).unwrap_or(0).saturating_sub(already.0))
    };
    Ok(Split { amount, fee: share(posted.fee, credited.fee), tax: share(posted.tax, credited.tax) })
}

/// A credit note that cannot be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a credit note of {amount} minor units: it takes 1 to {left}, which is what is posted and not taken back")]
pub struct CreditError {
    /// The amount asked for.
    pub amount: i64,
    /// What is left.
    pub left: i64,
}

/// Whose accounts a posting touches.
#[derive(Debug, Clone, Copy)]
pub struct Parties<'a> {
    /// Who owes.
    pub consumer: &'a ParticipantId,
    /// Whose data.
    pub provider: &'a ParticipantId,
    /// Who earns the fee.
    pub broker: &'a ParticipantId,
}

impl Parties<'_> {
    fn consumer(&self) -> Account {
        Account::Receivable(self.consumer.clone())
    }

    /// The transfers that post `split`; a negative part of one party goes the other way.
    pub fn post(&self, split: &Split) -> Vec<Transfer> {
        self.legs(Code::Post, split)
    }

    /// The transfers that take `split` back.
    pub fn credit_note(&self, split: &Split) -> Vec<Transfer> {
        let mut legs = self.legs(Code::CreditNote, split);
        for leg in &mut legs {
            std::mem::swap(&mut leg.debit, &mut leg.credit);
        }
        legs
    }

    fn legs(&self, code: Code, split: &Split) -> Vec<Transfer> {
        let broker = Account::Revenue { broker: self.broker.clone(), class: DATA_TRANSACTION_SERVICE.to_owned() };
        let parts = [
            (Account::Payable(self.provider.clone()), split.provider()),
            (broker, split.fee.0),
            (Account::Tax(VAT.to_owned()), split.tax.0),
        ];
        parts
            .into_iter()
            .filter(|(_, part)| *part != 0)
            .map(|(account, part)| {
                let amount = Minor(part.saturating_abs());
                let (debit, credit) = if part > 0 { (self.consumer(), account) } else { (account, self.consumer()) };
                Transfer::new(code, debit, credit, amount)
            })
            .collect()
    }

    /// Holds `amount`. Until it is posted nobody knows how it will be split, so the other side is suspense.
    pub fn reserve(&self, amount: Minor) -> Option<Transfer> {
        (amount.0 > 0).then(|| Transfer::new(Code::Reserve, self.consumer(), Account::Suspense, amount))
    }

    /// Releases `amount` of a hold.
    pub fn release(&self, code: Code, amount: Minor) -> Option<Transfer> {
        (amount.0 > 0).then(|| Transfer::new(code, self.consumer(), Account::Suspense, amount))
    }
}

#[cfg(test)]
mod tests;
