//! The books: every transfer changes two balances and stands in a `ledger_batch` leaf of the same commit, so that the
//! log alone gives every balance again (INV-5).

use std::cell::RefCell;
use std::collections::BTreeMap;

use catalog::offer::Currency;
use gateway_ledger::book::BATCH_KIND;
use gateway_ledger::{Account, Balance, Book, Month, Transfer};
use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::{Map, Value, json};

use super::apply::invalid;
use super::scope::Scope;
use super::{Refusal, entitlement};

/// Most transfers of one leaf, which has room for 8 KiB.
const TRANSFERS_MAX: usize = 32;

/// A leaf in the making.
pub(super) struct Batch {
    members: Map<String, Value>,
    currency: Currency,
    transfers: Vec<Transfer>,
}

impl Batch {
    /// The members of its leaf.
    pub(super) fn into_members(self) -> Map<String, Value> {
        let mut members = self.members;
        members.insert("kind".to_owned(), BATCH_KIND.into());
        members.insert("currency".to_owned(), self.currency.as_str().into());
        members.insert("transfers".to_owned(), json!(self.transfers));
        members
    }
}

/// The batches of a transaction, in order.
#[derive(Default)]
pub(super) struct Batches(RefCell<Vec<Batch>>);

impl Batches {
    pub(super) fn into_inner(self) -> Vec<Batch> {
        self.0.into_inner()
    }
}

impl Scope<'_> {
    /// Enters `transfers`; gives the index that their leaf will have. `members` say what they are about.
    pub(super) fn enter(
        &self,
        currency: Currency,
        members: Map<String, Value>,
        transfers: Vec<Transfer>,
    ) -> Result<i64, Refusal> {
        apply(self.connection, currency, &transfers)?;
        let mut batches = self.batches.0.borrow_mut();
        let joins = batches.last().is_some_and(|last| {
            last.members == members
                && last.currency == currency
                && last.transfers.len() + transfers.len() <= TRANSFERS_MAX
        });
        match batches.last_mut().filter(|_| joins) {
            Some(last) => last.transfers.extend(transfers),
            None => batches.push(Batch { members, currency, transfers }),
        }
        Ok(self.batch_index(batches.len() - 1))
    }
}

/// Enters linked transfers, each into its ledger: all of them, or the transaction fails. They belong to the month of now.
pub(super) fn enter(
    scope: &Scope<'_>,
    about: &Map<String, Value>,
    transfers: &[(Currency, Transfer)],
) -> Result<(), Refusal> {
    let mut ledgers: BTreeMap<Currency, Vec<Transfer>> = BTreeMap::new();
    for (currency, transfer) in transfers {
        ledgers.entry(*currency).or_default().push(transfer.clone());
    }
    for (currency, transfers) in ledgers {
        let mut members = about.clone();
        members.insert("period".to_owned(), json!(Month::of(entitlement::at(scope))));
        scope.enter(currency, members, transfers)?;
    }
    Ok(())
}

fn apply(connection: &Connection, currency: Currency, transfers: &[Transfer]) -> Result<(), Refusal> {
    let mut book = Book::new();
    for account in transfers.iter().flat_map(|transfer| [&transfer.debit, &transfer.credit]) {
        if let Some(balance) = read(connection, currency, account)? {
            book.set(currency, account.clone(), balance);
        }
    }
    for transfer in transfers {
        book.enter(currency, transfer).map_err(|error| invalid(format!("the books refuse a transfer: {error}")))?;
    }
    for (_, account, balance) in book.iter() {
        write(connection, currency, account, balance)?;
    }
    Ok(())
}

fn read(connection: &Connection, currency: Currency, account: &Account) -> Result<Option<Balance>, rusqlite::Error> {
    connection
        .prepare_cached(
            "SELECT debits, credits, pending_debits, pending_credits FROM balance WHERE currency = ?1 AND account = ?2",
        )?
        .query_row(params![currency.as_str(), account.to_string()], |row| crate::reader::balance(row, 0))
        .optional()
}

fn write(connection: &Connection, currency: Currency, account: &Account, balance: &Balance) -> Result<(), Refusal> {
    let fits = |sum: i128| {
        // SQLite's own addition would turn into floating point beyond 2^63.
        i64::try_from(sum).map_err(|_| invalid(format!("the balance of `{account}` would be beyond 2^63 minor units")))
    };
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO balance (currency, account, debits, credits, pending_debits, pending_credits)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            currency.as_str(),
            account.to_string(),
            fits(balance.debits)?,
            fits(balance.credits)?,
            fits(balance.pending_debits)?,
            fits(balance.pending_credits)?,
        ])?;
    Ok(())
}

/// INV-5, looked at before every commit that moved money: a database whose books do not balance takes nothing more.
pub(super) fn check(connection: &Connection) -> Result<(), rusqlite::Error> {
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
