//! Windows of reads of the log that are open.

use catalog::Digest;
use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Row, params};

use super::{Reader, digest, number, optional_number};
use crate::records::ReadError;

/// A window in which one principal's reads of the log are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessRow {
    /// Digest of principal, kind of read and window.
    pub key: Digest,
    /// The leaf of the first read.
    pub leaf: u64,
    /// What the closing leaf says besides the count; JSON.
    pub members: String,
    /// How many reads are on record.
    pub reads: u64,
    /// First and last entry that were read, if entries were.
    pub range: Option<(u64, u64)>,
    /// The process ended abruptly within the window: reads of its last moments may not be counted.
    pub interrupted: bool,
}

const COLUMNS: &str = "SELECT key, leaf, members, reads, first, last, interrupted FROM access";

impl Reader<'_> {
    /// The open window with this key.
    pub fn access(&self, key: &Digest) -> Result<Option<AccessRow>, ReadError> {
        let mut query = self.connection.prepare_cached(&format!("{COLUMNS} WHERE key = ?1"))?;
        Ok(query.query_row([key.as_bytes()], access).optional()?)
    }

    /// At most `limit` windows that have ended by `now`, the earliest first.
    pub fn accesses_due(&self, now: Timestamp, limit: usize) -> Result<Vec<AccessRow>, ReadError> {
        let mut query =
            self.connection.prepare_cached(&format!("{COLUMNS} WHERE ends <= ?1 ORDER BY ends, seq LIMIT ?2"))?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = query.query_map(params![now.as_millisecond(), limit], access)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn access(row: &Row<'_>) -> rusqlite::Result<AccessRow> {
    Ok(AccessRow {
        key: digest(row, 0)?,
        leaf: number(row, 1)?,
        members: row.get(2)?,
        reads: number(row, 3)?,
        range: optional_number(row, 4)?.zip(optional_number(row, 5)?),
        interrupted: row.get(6)?,
    })
}
