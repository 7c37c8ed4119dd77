//! Persons' wrapped keys, and what is sealed under them.

use catalog::{LeaseId, ParticipantId};
use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Row, params};

use super::{Reader, number, optional_number, parsed};
use crate::records::ReadError;
use crate::transaction::SubjectHandle;
use crate::writer::stored;

/// A sealed opening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpeningRow {
    /// The member of the leaf.
    pub field: String,
    /// Under whose key; nothing for what was sealed before persons had keys.
    pub subject: Option<SubjectHandle>,
    /// Salt and value, encrypted.
    pub sealed: Vec<u8>,
}

/// When, and by which leaf, a person was erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erased {
    /// The `erasure` leaf.
    pub leaf: u64,
    /// When.
    pub at: Timestamp,
}

/// How much is sealed under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedCount {
    /// Openings of commitments.
    pub openings: u64,
    /// Signatures and certificates of acknowledgements.
    pub receipts: u64,
    /// Leases that bear the keyed hash.
    pub leases: u64,
    /// Answers kept for repeated requests.
    pub answers: u64,
}

/// Signature and certificate of an acknowledgement, encrypted, and under whose key; none of before persons had keys.
pub type SealedEvidence = (Option<SubjectHandle>, Vec<u8>);

/// A person's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectRow {
    /// What sealed rows name it by.
    pub handle: SubjectHandle,
    /// Keyed hash of the person; nothing once erased.
    pub subject: Option<String>,
    /// The person's participant.
    pub participant: ParticipantId,
    /// What the key is wrapped with, and the wrapped key; nothing once erased.
    pub wrapped: Option<(String, Vec<u8>)>,
    /// Whether it was erased.
    pub erased: Option<Erased>,
}

const SUBJECT: &str = "SELECT handle, subject, participant, kek, wrapped, erased_leaf, erased_at FROM subject_key";

impl Reader<'_> {
    /// The id of the key that wraps those of persons.
    pub fn kek(&self) -> Result<Option<String>, ReadError> {
        let mut query = self.connection.prepare_cached("SELECT kek FROM vault")?;
        Ok(query.query_row([], |row| row.get(0)).optional()?)
    }

    /// A key that an erasure has replaced, and that may not be destroyed yet.
    pub fn retired_kek(&self) -> Result<Option<String>, ReadError> {
        let mut query = self.connection.prepare_cached("SELECT retired FROM vault")?;
        Ok(query.query_row([], |row| row.get(0)).optional()?.flatten())
    }

    /// The key of a person, by its keyed hash.
    pub fn subject(&self, subject: &str) -> Result<Option<SubjectRow>, ReadError> {
        let mut query = self.connection.prepare_cached(&format!("{SUBJECT} WHERE subject = ?1"))?;
        Ok(query.query_row([subject], row_of).optional()?)
    }

    /// The key that sealed rows name.
    pub fn subject_of(&self, handle: &SubjectHandle) -> Result<Option<SubjectRow>, ReadError> {
        let mut query = self.connection.prepare_cached(&format!("{SUBJECT} WHERE handle = ?1"))?;
        Ok(query.query_row([handle], row_of).optional()?)
    }

    /// The key of every person who is not erased.
    pub fn subjects(&self) -> Result<Vec<SubjectRow>, ReadError> {
        let mut query = self.connection.prepare_cached(&format!("{SUBJECT} WHERE subject IS NOT NULL"))?;
        Ok(query.query_map([], row_of)?.collect::<Result<_, _>>()?)
    }

    /// What is sealed under a key, and what else names its person by the keyed hash.
    pub fn sealed_under(&self, handle: &SubjectHandle, subject: &str) -> Result<SealedCount, ReadError> {
        let count = |sql: &str, values: &[&dyn rusqlite::ToSql]| -> Result<u64, ReadError> {
            Ok(self.connection.prepare_cached(sql)?.query_row(values, |row| number(row, 0))?)
        };
        Ok(SealedCount {
            openings: count("SELECT count(*) FROM opening WHERE subject = ?1", &[handle])?,
            receipts: count("SELECT count(*) FROM receipt WHERE subject = ?1", &[handle])?,
            leases: count("SELECT count(*) FROM lease WHERE principal = ?1", &[&subject])?,
            answers: count("SELECT count(*) FROM idempotency WHERE scope = ?1", &[&subject])?,
        })
    }

    /// The rows of the answers kept for a person, and the last row that was looked at.
    pub fn answers_of(&self, subject: &str) -> Result<(Vec<u64>, u64), ReadError> {
        let last = self
            .connection
            .prepare_cached("SELECT coalesce(max(seq), 0) FROM idempotency")?
            .query_row([], |row| number(row, 0))?;
        let mut query = self.connection.prepare_cached("SELECT seq FROM idempotency WHERE scope = ?1 AND seq <= ?2")?;
        let rows = query.query_map(params![subject, stored(last)], |row| number(row, 0))?;
        Ok((rows.collect::<Result<_, _>>()?, last))
    }

    /// The leaves with an opening under this key.
    pub fn leaves_of(&self, handle: &SubjectHandle) -> Result<Vec<u64>, ReadError> {
        let mut query =
            self.connection.prepare_cached("SELECT DISTINCT leaf FROM opening WHERE subject = ?1 ORDER BY leaf")?;
        Ok(query.query_map([handle], |row| number(row, 0))?.collect::<Result<_, _>>()?)
    }

    /// The sealed signature and certificate of an acknowledgement, and under whose key.
    pub fn receipt_evidence(&self, lease: &LeaseId, number: u64) -> Result<Option<SealedEvidence>, ReadError> {
        let mut query = self.connection.prepare_cached(
            "SELECT subject, evidence FROM receipt WHERE lease = (SELECT seq FROM lease WHERE id = ?1) AND number = ?2",
        )?;
        let row = query.query_row(params![lease.as_str(), stored(number)], |row| Ok((row.get(0)?, row.get(1)?)));
        Ok(row.optional()?)
    }
}

fn row_of(row: &Row<'_>) -> rusqlite::Result<SubjectRow> {
    let wrapped: (Option<String>, Option<Vec<u8>>) = (row.get(3)?, row.get(4)?);
    let at: Option<i64> = row.get(6)?;
    let at = at.and_then(|at| Timestamp::from_millisecond(at).ok());
    Ok(SubjectRow {
        handle: row.get(0)?,
        subject: row.get(1)?,
        participant: parsed(row, 2)?,
        wrapped: wrapped.0.zip(wrapped.1),
        erased: optional_number(row, 5)?.zip(at).map(|(leaf, at)| Erased { leaf, at }),
    })
}
