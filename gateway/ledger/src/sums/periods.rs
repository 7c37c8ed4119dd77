//! Months from the log: what was posted in each, and whether the leaves that closed them say so.

use std::collections::{BTreeMap, BTreeSet};

use catalog::offer::Currency;
use serde::Deserialize;

use super::{Closing, Commitment, Sides, Sums};
use crate::account::Account;
use crate::book::{Transfer, is_batch};
use crate::month::Month;

/// The kind of leaf that closes a month.
pub const CLOSE_KIND: &str = "period_close";

/// As canonical JSON writes it: a cheap look before a leaf is parsed.
const CLOSE_MARK: &[u8] = b"\"kind\":\"period_close\"";

/// Why a log's months do not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeriodsError {
    /// A leaf does not have its form.
    #[error("leaf {index}: {why}")]
    Form {
        /// Which leaf.
        index: u64,
        /// What is wrong.
        why: String,
    },
    /// Something was posted to a month that was closed.
    #[error("leaf {index} posts to {period}, which was closed before")]
    Closed {
        /// Which leaf.
        index: u64,
        /// Which month.
        period: Month,
    },
    /// A `period_close` leaf does not commit to what the batches before it add up to.
    #[error("leaf {index} closes {period} with other balances than the log gives")]
    Differs {
        /// Which leaf.
        index: u64,
        /// Which month.
        period: Month,
    },
}

#[derive(Deserialize)]
struct Batch {
    currency: Currency,
    period: Option<Month>,
    transfers: Vec<Transfer>,
}

#[derive(Deserialize)]
struct Close {
    kind: String,
    period: Month,
    sums: Option<Vec<Commitment>>,
}

/// What was posted in which month, and which months are closed.
#[derive(Debug, Clone, Default)]
pub struct Periods {
    moved: BTreeMap<Month, BTreeMap<(Currency, Account), Sides>>,
    closed: BTreeSet<Month>,
    checked: u64,
}

impl Periods {
    /// Takes leaf `index` of the log: a batch adds to its month, the closing of a month is compared with what is there.
    ///
    /// # Errors
    /// The leaf contradicts those before it.
    pub fn enter_leaf(&mut self, index: u64, leaf: &[u8]) -> Result<(), PeriodsError> {
        let form = |why: String| PeriodsError::Form { index, why };
        if is_batch(leaf) {
            let batch: Batch = serde_json::from_slice(leaf).map_err(|error| form(error.to_string()))?;
            return self.batch(index, &batch);
        }
        if !leaf.windows(CLOSE_MARK.len()).any(|window| window == CLOSE_MARK) {
            return Ok(());
        }
        let Ok(close) = serde_json::from_slice::<Close>(leaf) else { return Ok(()) };
        if close.kind != CLOSE_KIND {
            return Ok(());
        }
        let period = close.period;
        if let Some(sums) = close.sums {
            if self.closing(period).and_then(|closing| closing.commitments(period)) != Some(sums) {
                return Err(PeriodsError::Differs { index, period });
            }
            self.checked += 1;
        }
        self.closed.insert(period);
        Ok(())
    }

    fn batch(&mut self, index: u64, batch: &Batch) -> Result<(), PeriodsError> {
        let form = |why: &str| PeriodsError::Form { index, why: why.to_owned() };
        let posted = batch.transfers.iter().filter(|transfer| transfer.code.is_posted());
        for transfer in posted {
            let period = batch.period.ok_or_else(|| form("it posts without a `period`"))?;
            if self.closed.contains(&period) {
                return Err(PeriodsError::Closed { index, period });
            }
            let month = self.moved.entry(period).or_default();
            let amount = i128::from(transfer.amount.0);
            for (account, sides) in [
                (&transfer.debit, Sides { debits: amount, credits: 0 }),
                (&transfer.credit, Sides { debits: 0, credits: amount }),
            ] {
                let sum = month.entry((batch.currency, account.clone())).or_default();
                *sum = sum.plus(sides).ok_or_else(|| form("its sums are beyond 2^127"))?;
            }
        }
        Ok(())
    }

    /// How many closings were compared.
    pub const fn checked(&self) -> u64 {
        self.checked
    }

    /// Months in which something was posted.
    pub fn months(&self) -> impl Iterator<Item = Month> {
        self.moved.keys().copied()
    }

    /// What stood on the accounts at the beginning and end of `period`. `None` if sums do not fit.
    pub fn closing(&self, period: Month) -> Option<Closing> {
        let mut ledgers: BTreeMap<Currency, BTreeMap<Account, Sums>> = BTreeMap::new();
        for (month, accounts) in self.moved.range(..=period) {
            for ((currency, account), moved) in accounts {
                let sums = ledgers.entry(*currency).or_default().entry(account.clone()).or_default();
                sums.closing = sums.closing.plus(*moved)?;
                if *month < period {
                    sums.opening = sums.opening.plus(*moved)?;
                }
            }
        }
        Some(Closing(ledgers))
    }
}
