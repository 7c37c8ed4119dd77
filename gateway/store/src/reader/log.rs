//! The log's entries, what lies beside them, and open refusals.

use catalog::Digest;
use gateway_audit::NodeHash;
use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Row, params};

use super::{DenialRow, OpeningRow, Reader, digest, number};
use crate::records::ReadError;
use crate::writer::{stored, window_ms};

/// What was last allowed to be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GuardRow {
    pub(crate) size: u64,
    pub(crate) root: NodeHash,
    /// Facts up to this row were exported.
    pub(crate) facts: u64,
}

/// A facts blob on its way out: row, digest, JSON.
pub(crate) type FactsRow = (u64, Digest, Vec<u8>);

impl Reader<'_> {
    /// Leaves in the log.
    pub fn log_size(&self) -> Result<u64, ReadError> {
        let mut query = self.connection.prepare_cached("SELECT coalesce(max(idx) + 1, 0) FROM entry")?;
        Ok(query.query_row([], |row| number(row, 0))?)
    }

    /// One leaf's bytes.
    pub fn leaf(&self, index: u64) -> Result<Option<Vec<u8>>, ReadError> {
        let mut query = self.connection.prepare_cached("SELECT body FROM entry WHERE idx = ?1")?;
        Ok(query.query_row([stored(index)], |row| row.get(0)).optional()?)
    }

    /// The bytes of at most `limit` leaves from index `from`, in order.
    pub fn leaves(&self, from: u64, limit: usize) -> Result<Vec<Vec<u8>>, ReadError> {
        let mut query =
            self.connection.prepare_cached("SELECT idx, body FROM entry WHERE idx >= ?1 ORDER BY idx LIMIT ?2")?;
        let mut rows = query.query(params![stored(from), i64::try_from(limit).unwrap_or(i64::MAX)])?;
        let (mut leaves, mut expected) = (Vec::new(), from);
        while let Some(row) = rows.next()? {
            // I13: indices are dense, or somebody else wrote here.
            if number(row, 0)? != expected {
                return Err(ReadError::Damaged { what: format!("log: entry {expected} is missing") });
            }
            leaves.push(row.get(1)?);
            expected += 1;
        }
        Ok(leaves)
    }

    /// At most `limit` leaves below index `before`, the newest first, with their indices: for a search from the end.
    pub fn leaves_before(&self, before: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, ReadError> {
        let mut query =
            self.connection.prepare_cached("SELECT idx, body FROM entry WHERE idx < ?1 ORDER BY idx DESC LIMIT ?2")?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = query.query_map(params![stored(before), limit], |row| Ok((number(row, 0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The canonical facts with this digest.
    pub fn facts(&self, digest: &Digest) -> Result<Option<Vec<u8>>, ReadError> {
        Ok(super::facts_row(self.connection, &self.lookup, digest)?)
    }

    /// The sealed openings of a leaf's commitments, by member.
    pub fn openings(&self, leaf: u64) -> Result<Vec<OpeningRow>, ReadError> {
        let mut query = self
            .connection
            .prepare_cached("SELECT field, subject, sealed FROM opening WHERE leaf = ?1 ORDER BY field")?;
        let rows = query.query_map([stored(leaf)], |row| {
            Ok(OpeningRow { field: row.get(0)?, subject: row.get(1)?, sealed: row.get(2)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The window that is open for this refusal at `now`.
    pub fn denial(&self, key: &Digest, now: Timestamp) -> Result<Option<DenialRow>, ReadError> {
        let mut query = self.connection.prepare_cached(
            "SELECT key, leaf, repeats, latest FROM denial WHERE key = ?1 AND opened > ?2 ORDER BY opened DESC LIMIT 1",
        )?;
        let since = now.as_millisecond().saturating_sub(window_ms());
        Ok(query.query_row(params![key.as_bytes(), since], denial).optional()?)
    }

    /// Windows that have closed by `now` with repeats whose count no leaf has yet.
    pub fn denials_due(&self, now: Timestamp, limit: usize) -> Result<Vec<DenialRow>, ReadError> {
        let mut query = self.connection.prepare_cached(
            "SELECT key, leaf, repeats, latest FROM denial
             WHERE repeats > 0 AND closed = 0 AND opened <= ?1 ORDER BY opened LIMIT ?2",
        )?;
        let until = now.as_millisecond().saturating_sub(window_ms());
        let rows = query.query_map(params![until, i64::try_from(limit).unwrap_or(i64::MAX)], denial)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(crate) fn guard(&self) -> Result<Option<GuardRow>, ReadError> {
        let mut query = self.connection.prepare_cached("SELECT size, root, facts FROM guard")?;
        let guard = query.query_row([], |row| {
            let root = NodeHash::from_bytes(row.get(1)?);
            Ok(GuardRow { size: number(row, 0)?, root, facts: number(row, 2)? })
        });
        Ok(guard.optional()?)
    }

    /// The last row of facts.
    pub(crate) fn facts_last(&self) -> Result<u64, ReadError> {
        let mut query = self.connection.prepare_cached("SELECT coalesce(max(seq), 0) FROM facts")?;
        Ok(query.query_row([], |row| number(row, 0))?)
    }

    /// At most `limit` facts blobs stored after row `after`, up to row `last`.
    pub(crate) fn facts_after(&self, after: u64, last: u64, limit: usize) -> Result<Vec<FactsRow>, ReadError> {
        let mut query = self
            .connection
            .prepare_cached("SELECT seq, digest, body FROM facts WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3")?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = query.query_map(params![stored(after), stored(last), limit], |row| {
            Ok((number(row, 0)?, digest(row, 1)?, row.get(2)?))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn denial(row: &Row<'_>) -> rusqlite::Result<DenialRow> {
    Ok(DenialRow { key: digest(row, 0)?, leaf: number(row, 1)?, repeats: number(row, 2)?, latest_ms: row.get(3)? })
}
