//! Balances, postings and receipts.

use catalog::offer::Currency;
use catalog::{AgreementId, DatasetId, Digest, LeaseId, Minor, VersionName};
use gateway_ledger::sums::Periods;
use gateway_ledger::{Account, Balance, Book, Month, Split};
use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Row, params, params_from_iter};

use super::conditions::Conditions;
use super::{Reader, digest, number, parsed, time};
use crate::records::ReadError;
use crate::writer::stored;

/// Leaves read at a time when books are made again.
const LEAVES_AT_ONCE: usize = 4096;

/// One posting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostingRow {
    /// Under which agreement.
    pub agreement: AgreementId,
    /// Of which dataset.
    pub dataset: DatasetId,
    /// Which version.
    pub version: VersionName,
    /// Whether it takes back what others posted.
    pub is_credit_note: bool,
    /// The lease, or the credit note's id.
    pub reference: String,
    /// The month it is posted to.
    pub period: Month,
    /// The month of what it is for.
    pub service_period: Month,
    /// Currency of the amounts.
    pub currency: Currency,
    /// The amounts; negative for credit notes.
    pub split: Split,
    /// Unit bytes that made it due.
    pub unit_bytes: u64,
    /// Its `ledger_batch` leaf.
    pub leaf: u64,
    /// When.
    pub at: Timestamp,
}

/// Which postings; every condition that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct PostingFilter {
    /// Under which agreement.
    pub agreement: Option<AgreementId>,
    /// Posted to which month.
    pub period: Option<Month>,
}

/// One acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptRow {
    /// Its number under its lease.
    pub number: u64,
    /// Digest of what was signed.
    pub ack: Digest,
    /// Stored bytes of the units it names.
    pub unit_bytes: u64,
    /// Those of them that no earlier one named.
    pub new_bytes: u64,
    /// Currency of the amount.
    pub currency: Currency,
    /// What it made due.
    pub amount: Minor,
    /// Its leaf.
    pub leaf: u64,
    /// When.
    pub at: Timestamp,
}

/// The four sums from column `first` on.
pub(crate) fn balance(row: &Row<'_>, first: usize) -> rusqlite::Result<Balance> {
    let sum = |column| row.get::<_, i64>(column).map(i128::from);
    Ok(Balance {
        debits: sum(first)?,
        credits: sum(first + 1)?,
        pending_debits: sum(first + 2)?,
        pending_credits: sum(first + 3)?,
    })
}

fn currency(row: &Row<'_>, column: usize) -> rusqlite::Result<Currency> {
    let text: String = row.get(column)?;
    let known = [Currency::Cny, Currency::Hkd].into_iter().find(|currency| currency.as_str() == text);
    known.ok_or_else(|| rusqlite::Error::InvalidColumnType(column, text, rusqlite::types::Type::Text))
}

const POSTING: &str = "SELECT e.agreement, e.dataset, e.version, p.code, p.reference, p.period, p.service_period,
    p.currency, p.amount, p.fee, p.tax, p.unit_bytes, p.leaf, p.at
    FROM posting AS p JOIN entitlement AS e ON e.seq = p.entitlement";

const RECEIPT: &str = "SELECT number, ack, unit_bytes, new_bytes, currency, amount, leaf, at FROM receipt
    WHERE lease = (SELECT seq FROM lease WHERE id = ?1)";

impl Reader<'_> {
    /// The balances as they are kept.
    pub fn book(&self) -> Result<Book, ReadError> {
        let mut query = self.connection.prepare_cached(
            "SELECT currency, account, debits, credits, pending_debits, pending_credits FROM balance",
        )?;
        let mut rows = query.query([])?;
        let mut book = Book::new();
        while let Some(row) = rows.next()? {
            book.set(currency(row, 0)?, parsed::<Account>(row, 1)?, balance(row, 2)?);
        }
        Ok(book)
    }

    /// The balances made again from the log: the same, or something else than this program wrote to the store.
    pub fn rebuilt_book(&self) -> Result<Book, ReadError> {
        let (mut book, mut next) = (Book::new(), 0);
        loop {
            let leaves = self.leaves(next, LEAVES_AT_ONCE)?;
            if leaves.is_empty() {
                return Ok(book);
            }
            for leaf in leaves {
                book.enter_leaf(next, &leaf).map_err(|error| ReadError::Damaged { what: error.to_string() })?;
                next += 1;
            }
        }
    }

    /// Months made again from the log: what was posted in each, and which are closed.
    pub fn periods(&self) -> Result<Periods, ReadError> {
        let (mut periods, mut next) = (Periods::default(), 0);
        loop {
            let leaves = self.leaves(next, LEAVES_AT_ONCE)?;
            if leaves.is_empty() {
                return Ok(periods);
            }
            for leaf in leaves {
                periods.enter_leaf(next, &leaf).map_err(|error| ReadError::Damaged { what: error.to_string() })?;
                next += 1;
            }
        }
    }

    /// Postings in order.
    pub fn postings(&self, filter: &PostingFilter) -> Result<Vec<PostingRow>, ReadError> {
        let (conditions, values) = Conditions::default()
            .add("e.agreement = ?", filter.agreement.as_ref().map(ToString::to_string))
            .add("p.period = ?", filter.period.map(|month| month.to_string()))
            .into_sql();
        let mut query = self.connection.prepare_cached(&format!("{POSTING} {conditions} ORDER BY p.seq"))?;
        let rows = query.query_map(params_from_iter(values), |row| {
            let split = Split { amount: Minor(row.get(8)?), fee: Minor(row.get(9)?), tax: Minor(row.get(10)?) };
            Ok(PostingRow {
                agreement: parsed(row, 0)?,
                dataset: parsed(row, 1)?,
                version: parsed(row, 2)?,
                is_credit_note: row.get_ref(3)?.as_str().is_ok_and(|code| code == "credit_note"),
                reference: row.get(4)?,
                period: parsed(row, 5)?,
                service_period: parsed(row, 6)?,
                currency: currency(row, 7)?,
                split,
                unit_bytes: number(row, 11)?,
                leaf: number(row, 12)?,
                at: time(row, 13)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Months with postings that are not closed.
    pub fn open_periods(&self) -> Result<Vec<Month>, ReadError> {
        let mut query = self.connection.prepare_cached(
            "SELECT DISTINCT period FROM posting WHERE period NOT IN (SELECT period FROM closed_period) ORDER BY period",
        )?;
        Ok(query.query_map([], |row| parsed(row, 0))?.collect::<Result<_, _>>()?)
    }

    /// The leaf that closed a month, if one has.
    pub fn closed_period(&self, period: Month) -> Result<Option<u64>, ReadError> {
        let mut query = self.connection.prepare_cached("SELECT leaf FROM closed_period WHERE period = ?1")?;
        Ok(query.query_row([period.to_string()], |row| number(row, 0)).optional()?)
    }

    /// The acknowledgements of a lease, in order.
    pub fn receipts(&self, lease: &LeaseId) -> Result<Vec<ReceiptRow>, ReadError> {
        let mut query = self.connection.prepare_cached(&format!("{RECEIPT} ORDER BY number"))?;
        Ok(query.query_map([lease.as_str()], receipt)?.collect::<Result<_, _>>()?)
    }

    /// The acknowledgements of a lease as they were signed, each with its leaf, in order.
    pub fn acknowledgements(&self, lease: &LeaseId) -> Result<Vec<(u64, Vec<u8>)>, ReadError> {
        let mut query = self.connection.prepare_cached(
            "SELECT leaf, body FROM receipt WHERE lease = (SELECT seq FROM lease WHERE id = ?1) ORDER BY number",
        )?;
        let rows = query.query_map([lease.as_str()], |row| Ok((number(row, 0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// One acknowledgement of a lease.
    pub fn receipt(&self, lease: &LeaseId, number: u64) -> Result<Option<ReceiptRow>, ReadError> {
        let mut query = self.connection.prepare_cached(&format!("{RECEIPT} AND number = ?2"))?;
        Ok(query.query_row(params![lease.as_str(), stored(number)], receipt).optional()?)
    }
}

fn receipt(row: &Row<'_>) -> rusqlite::Result<ReceiptRow> {
    Ok(ReceiptRow {
        number: number(row, 0)?,
        ack: digest(row, 1)?,
        unit_bytes: number(row, 2)?,
        new_bytes: number(row, 3)?,
        currency: currency(row, 4)?,
        amount: Minor(row.get(5)?),
        leaf: number(row, 6)?,
        at: time(row, 7)?,
    })
}
