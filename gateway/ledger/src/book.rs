//! Double entry: transfers, and the balances they make (INV-5).
//!
//! A transfer has one account that is debited and one that is credited, of one ledger, so debits equal credits however
//! transfers are combined. A ledger is a currency; no transfer crosses two. Balances are nothing but the fold of all
//! transfers: [`Book`] makes them from the log's leaves, the store keeps the same numbers, and both are compared as the
//! bytes of [`Book::canonical`].

use std::collections::BTreeMap;

use catalog::Digest;
use catalog::offer::{Currency, Minor};
use serde::{Deserialize, Serialize};

use crate::account::Account;

mod leaves;

pub use leaves::{BATCH_KIND, Batch, LeafError, is_batch};

/// Why a transfer was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// Holds an amount: pending on both accounts.
    Reserve,
    /// Releases the part of a hold that the same batch posts.
    Settle,
    /// Makes an amount final.
    Post,
    /// Releases what was held and is not posted.
    Void,
    /// The same because time ran out.
    Expire,
    /// Moves an amount between accounts of one party.
    Reclass,
    /// Takes back what was posted.
    CreditNote,
    /// One side of an exchange of currencies.
    Fx,
    /// Money came in.
    Pay,
    /// Anything else that two officers decided.
    Adjust,
}

impl Code {
    /// Whether it is final: the others hold an amount, or release what is held.
    pub const fn is_posted(self) -> bool {
        !matches!(self, Self::Reserve | Self::Settle | Self::Void | Self::Expire)
    }
}

/// One immutable movement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transfer {
    /// Why.
    pub code: Code,
    /// Which account is debited.
    pub debit: Account,
    /// Which is credited.
    pub credit: Account,
    /// How much: above zero.
    pub amount: Minor,
}

impl Transfer {
    /// A movement of `amount`.
    pub const fn new(code: Code, debit: Account, credit: Account, amount: Minor) -> Self {
        Self { code, debit, credit, amount }
    }

    /// By how much it changes the pending and the posted sums of its accounts.
    const fn changes(&self) -> (i128, i128) {
        let amount = self.amount.0 as i128;
        match self.code {
            Code::Reserve => (amount, 0),
            Code::Settle | Code::Void | Code::Expire => (-amount, 0),
            _ => (0, amount),
        }
    }
}

/// What stands on one account. Sums only grow, but for pending ones, which voids reduce.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Balance {
    /// Posted debits.
    pub debits: i128,
    /// Posted credits.
    pub credits: i128,
    /// Held debits.
    pub pending_debits: i128,
    /// Held credits.
    pub pending_credits: i128,
}

/// Why a transfer cannot be entered. Nothing is changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BookError {
    /// The amount is zero or negative.
    #[error("a transfer of {amount} moves nothing: amounts are above zero")]
    Amount {
        /// The amount.
        amount: i64,
    },
    /// Both accounts are the same.
    #[error("`{0}` cannot be debited and credited in one transfer")]
    SameAccount(Account),
    /// More would be released than is held.
    #[error("{amount} cannot be released on `{account}`: {held} is held")]
    NotHeld {
        /// On which account.
        account: Account,
        /// How much should be released.
        amount: i64,
        /// How much is held.
        held: i128,
    },
}

/// Debits and credits of one ledger.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Sum over all accounts.
    pub sum: Balance,
}

impl Totals {
    /// INV-5: whether debits equal credits, posted and held.
    pub const fn balance(&self) -> bool {
        self.sum.debits == self.sum.credits && self.sum.pending_debits == self.sum.pending_credits
    }
}

/// The balances of every ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Book {
    balances: BTreeMap<(Currency, Account), Balance>,
}

#[derive(Serialize)]
struct Row<'a> {
    account: &'a Account,
    debits: String,
    credits: String,
    pending_debits: String,
    pending_credits: String,
}

impl Book {
    /// A book without an entry.
    pub const fn new() -> Self {
        Self { balances: BTreeMap::new() }
    }

    /// Enters `transfer` into the ledger of `currency`.
    pub fn enter(&mut self, currency: Currency, transfer: &Transfer) -> Result<(), BookError> {
        let Transfer { debit, credit, amount, .. } = transfer;
        if amount.0 <= 0 {
            return Err(BookError::Amount { amount: amount.0 });
        }
        if debit == credit {
            return Err(BookError::SameAccount(debit.clone()));
        }
        let (pending, posted) = transfer.changes();
        let (mut of_debit, mut of_credit) = (self.balance(currency, debit), self.balance(currency, credit));
        of_debit.pending_debits += pending;
        of_debit.debits += posted;
        of_credit.pending_credits += pending;
        of_credit.credits += posted;
        for (account, held) in [(debit, of_debit.pending_debits), (credit, of_credit.pending_credits)] {
            if held < 0 {
                let held = held - pending;
                return Err(BookError::NotHeld { account: account.clone(), amount: amount.0, held });
            }
        }
        self.balances.insert((currency, debit.clone()), of_debit);
        self.balances.insert((currency, credit.clone()), of_credit);
        Ok(())
    }

    /// What stands on an account.
    pub fn balance(&self, currency: Currency, account: &Account) -> Balance {
        self.balances.get(&(currency, account.clone())).copied().unwrap_or_default()
    }

    /// Sets what stands on an account: for whoever keeps balances elsewhere.
    pub fn set(&mut self, currency: Currency, account: Account, balance: Balance) {
        self.balances.insert((currency, account), balance);
    }

    /// Every account in order.
    pub fn iter(&self) -> impl Iterator<Item = (Currency, &Account, &Balance)> {
        self.balances.iter().map(|((currency, account), balance)| (*currency, account, balance))
    }

    /// The sums of each ledger.
    pub fn totals(&self) -> BTreeMap<Currency, Totals> {
        let mut totals: BTreeMap<Currency, Totals> = BTreeMap::new();
        for (currency, _, balance) in self.iter() {
            let sum = &mut totals.entry(currency).or_default().sum;
            sum.debits += balance.debits;
            sum.credits += balance.credits;
            sum.pending_debits += balance.pending_debits;
            sum.pending_credits += balance.pending_credits;
        }
        totals
    }

    /// INV-5 of every ledger.
    pub fn balances(&self) -> bool {
        self.totals().values().all(Totals::balance)
    }

    /// The balances as RFC 8785 canonical JSON: two books are the same if these bytes are. Amounts are decimal strings.
    pub fn canonical(&self) -> Vec<u8> {
        let mut ledgers: BTreeMap<&'static str, Vec<Row<'_>>> = BTreeMap::new();
        for (currency, account, balance) in self.iter() {
            ledgers.entry(currency.as_str()).or_default().push(Row {
                account,
                debits: balance.debits.to_string(),
                credits: balance.credits.to_string(),
                pending_debits: balance.pending_debits.to_string(),
                pending_credits: balance.pending_credits.to_string(),
            });
        }
        // Strings only: canonical JSON of them cannot fail.
        serde_json_canonicalizer::to_vec(&ledgers).unwrap_or_default()
    }

    /// SHA-256 of [`Book::canonical`].
    pub fn digest(&self) -> Digest {
        Digest::of(&self.canonical())
    }
}

#[cfg(test)]
mod tests;
