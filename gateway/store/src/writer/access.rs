//! Windows of reads of the log: one principal, one kind of read, one hour or day.

use catalog::Digest;
use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, params};

use super::Refusal;
use super::apply::{bounded, stored};
use super::database::Database;
use crate::transaction::{CommitError, Expect};

/// First and last entry of what was read.
type Range = Option<(u64, u64)>;

pub(super) fn open(
    connection: &Database<'_>,
    key: Digest,
    leaf: i64,
    ends: Timestamp,
    (members, range): (&str, Range),
) -> Result<(), Refusal> {
    if reads(connection, &key)?.is_some() {
        return Err(CommitError::Conflict(Expect::NoAccess { key }).into());
    }
    connection
        .prepare_cached(
            "INSERT INTO access (key, leaf, ends, members, reads, first, last) VALUES (?1, ?2, ?3, ?4, 1, ?5, ?6)",
        )?
        .execute(params![
            key.as_bytes(),
            leaf,
            ends.as_millisecond(),
            members,
            range.map(|(first, _)| stored(first)),
            range.map(|(_, last)| stored(last)),
        ])?;
    Ok(())
}

pub(super) fn more(connection: &Database<'_>, key: Digest, reads: u64, range: Range) -> Result<(), Refusal> {
    let reads = bounded("a count of reads of", reads)?;
    // `min` and `max` of SQLite are null as soon as one argument is.
    let changed = connection
        .prepare_cached(
            "UPDATE access SET reads = reads + ?2,
                 first = min(ifnull(first, ?3), ifnull(?3, first)), last = max(ifnull(last, ?4), ifnull(?4, last))
             WHERE key = ?1",
        )?
        .execute(params![
            key.as_bytes(),
            reads,
            range.map(|(first, _)| stored(first)),
            range.map(|(_, last)| stored(last)),
        ])?;
    if changed == 0 {
        return Err(CommitError::Conflict(Expect::Access { key, reads: None }).into());
    }
    Ok(())
}

pub(super) fn close(connection: &Database<'_>, key: Digest, reads: u64) -> Result<(), Refusal> {
    let changed = connection
        .prepare_cached("DELETE FROM access WHERE key = ?1 AND reads = ?2")?
        .execute(params![key.as_bytes(), stored(reads)])?;
    if changed == 0 {
        return Err(CommitError::Conflict(Expect::Access { key, reads: Some(reads) }).into());
    }
    Ok(())
}

/// The count of an open window.
pub(super) fn reads(connection: &Database<'_>, key: &Digest) -> Result<Option<u64>, rusqlite::Error> {
    connection
        .prepare_cached("SELECT reads FROM access WHERE key = ?1")?
        .query_row([key.as_bytes()], |row| crate::reader::number(row, 0))
        .optional()
}
