//! Balances that a group changes: read once, and written once before it is committed.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use catalog::offer::Currency;
use gateway_ledger::{Account, Balance, Book, Transfer};
use rusqlite::{OptionalExtension as _, params};

use super::Refusal;
use super::apply::invalid;
use super::database::Database;

#[derive(Debug, Default)]
pub(super) struct Balances {
    changed: RefCell<BTreeMap<(Currency, Account), Balance>>,
    entered: Cell<u64>,
}

impl Balances {
    /// Enters all of `transfers`, or nothing.
    pub(super) fn enter(
        &self,
        connection: &Database<'_>,
        currency: Currency,
        transfers: &[Transfer],
    ) -> Result<(), Refusal> {
        let mut book = Book::new();
        for account in transfers.iter().flat_map(|transfer| [&transfer.debit, &transfer.credit]) {
            if let Some(balance) = self.of(connection, currency, account)? {
                book.set(currency, account.clone(), balance);
            }
        }
        for transfer in transfers {
            book.enter(currency, transfer).map_err(|error| invalid(format!("the books refuse a transfer: {error}")))?;
        }
        for (_, account, balance) in book.iter() {
            check(account, balance)?;
        }
        let mut changed = self.changed.borrow_mut();
        changed.extend(book.iter().map(|(_, account, balance)| ((currency, account.clone()), *balance)));
        self.entered.set(self.entered.get() + 1);
        Ok(())
    }

    fn of(
        &self,
        connection: &Database<'_>,
        currency: Currency,
        account: &Account,
    ) -> Result<Option<Balance>, rusqlite::Error> {
        let place = (currency, account.clone());
        if let Some(balance) = self.changed.borrow().get(&place) {
            return Ok(Some(*balance));
        }
        connection
            .prepare_cached(
                "SELECT debits, credits, pending_debits, pending_credits FROM balance
                 WHERE currency = ?1 AND account = ?2",
            )?
            .query_row(params![currency.as_str(), account.to_string()], |row| crate::reader::balance(row, 0))
            .optional()
    }

    /// How often something was entered: two figures that differ have something between them.
    pub(super) const fn entered(&self) -> u64 {
        self.entered.get()
    }

    /// Writes what has changed.
    pub(super) fn write(&self, connection: &Database<'_>) -> Result<(), rusqlite::Error> {
        for ((currency, account), balance) in std::mem::take(&mut *self.changed.borrow_mut()) {
            let [debits, credits, pending_debits, pending_credits] = sums(&balance).map(stored);
            connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO balance (currency, account, debits, credits, pending_debits, pending_credits)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute(params![
                    currency.as_str(),
                    account.to_string(),
                    debits,
                    credits,
                    pending_debits,
                    pending_credits,
                ])?;
        }
        Ok(())
    }

    /// What was entered since the last writing is undone.
    pub(super) fn forget(&self) {
        self.changed.borrow_mut().clear();
    }
}

const fn sums(balance: &Balance) -> [i128; 4] {
    [balance.debits, balance.credits, balance.pending_debits, balance.pending_credits]
}

/// SQLite's own addition would turn into floating point beyond 2^63.
fn check(account: &Account, balance: &Balance) -> Result<(), Refusal> {
    if sums(balance).into_iter().all(|sum| i64::try_from(sum).is_ok()) {
        return Ok(());
    }
    Err(invalid(format!("the balance of `{account}` would be beyond 2^63 minor units")))
}

/// Of a sum that was checked.
fn stored(sum: i128) -> i64 {
    i64::try_from(sum).unwrap_or(i64::MAX)
}

/// INV-5, looked at before every commit that moved money: a database whose books do not balance takes nothing more.
pub(super) fn balanced(connection: &Database<'_>) -> Result<(), rusqlite::Error> {
    let wrong: Option<String> = connection
        .prepare_cached(
            "SELECT currency FROM balance GROUP BY currency
             HAVING sum(debits) <> sum(credits) OR sum(pending_debits) <> sum(pending_credits)",
        )?
        .query_row([], |row| row.get(0))
        .optional()?;
    match wrong {
        None => Ok(()),
        Some(currency) => Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT),
            Some(format!("debits and credits of the {currency} ledger differ")),
        )),
    }
}
