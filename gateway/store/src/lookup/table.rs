//! The tables `lookup_run` and `lookup_part`, and the rows beyond them.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::run::{self, Part};
use super::{Kind, Print, print, print_of_request};

impl Kind {
    const fn newest(self) -> &'static str {
        match self {
            Self::Facts => "SELECT coalesce(max(seq), 0) FROM facts",
            Self::Lease => "SELECT coalesce(max(seq), 0) FROM lease",
            Self::Idempotency => "SELECT coalesce(max(seq), 0) FROM idempotency",
        }
    }

    /// A lease that has ended never becomes active again: nobody looks for it by its key.
    const fn beyond(self) -> &'static str {
        match self {
            Self::Facts => "SELECT seq, digest, NULL FROM facts WHERE seq > ?1 ORDER BY seq LIMIT ?2",
            Self::Lease => "SELECT seq, key, NULL FROM lease WHERE seq > ?1 AND state = 'active' ORDER BY seq LIMIT ?2",
            Self::Idempotency => "SELECT seq, scope, key FROM idempotency WHERE seq > ?1 ORDER BY seq LIMIT ?2",
        }
    }

    const fn of(number: i64) -> Option<Self> {
        match number {
            0 => Some(Self::Facts),
            1 => Some(Self::Lease),
            2 => Some(Self::Idempotency),
            _ => None,
        }
    }
}

/// Rows with an entry for this print.
pub(super) fn rows(connection: &Connection, kind: Kind, print: Print, rows: &mut Vec<i64>) -> rusqlite::Result<()> {
    let mut query = connection.prepare_cached(
        "SELECT (SELECT part.entries FROM lookup_part AS part WHERE part.run = lookup_run.run AND first <= ?2
             ORDER BY first DESC LIMIT 1)
         FROM lookup_run WHERE kind = ?1",
    )?;
    let mut parts = query.query(params![kind.number(), print])?;
    while let Some(part) = parts.next()? {
        if let Some(part) = part.get_ref(0)?.as_blob_or_null()? {
            rows.extend(packed(part)?.filter(|entry| entry.0 == print).map(|(_, row)| row));
        }
    }
    Ok(())
}

fn packed(part: &[u8]) -> rusqlite::Result<impl Iterator<Item = (Print, i64)>> {
    run::entries(part).map_err(|length| {
        let why = format!("a part of a run in `lookup_part` has {length} bytes");
        rusqlite::Error::FromSqlConversionFailure(0, Type::Blob, why.into())
    })
}

/// Gives every entry to `each` until that wants no more.
pub(super) fn each(connection: &Connection, mut each: impl FnMut(Kind, Print) -> bool) -> rusqlite::Result<bool> {
    let mut query =
        connection.prepare("SELECT part.entries, kind FROM lookup_run JOIN lookup_part AS part USING (run)")?;
    let mut parts = query.query([])?;
    while let Some(part) = parts.next()? {
        let Some(kind) = Kind::of(part.get(1)?) else { continue };
        for (print, _) in packed(part.get_ref(0)?.as_blob()?)? {
            if !each(kind, print) {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// The newest row of a kind.
pub(super) fn newest(connection: &Connection, kind: Kind) -> rusqlite::Result<i64> {
    connection.prepare_cached(kind.newest())?.query_row([], |row| row.get(0))
}

/// Rows that the table does not have, oldest first.
pub(super) fn beyond(connection: &Connection, kind: Kind, limit: usize) -> rusqlite::Result<Vec<(Print, i64)>> {
    let past: Option<i64> = connection
        .query_row("SELECT row FROM lookup_past WHERE kind = ?1", [kind.number()], |row| row.get(0))
        .optional()?;
    let mut query = connection.prepare(kind.beyond())?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = query.query_map(params![past.unwrap_or(0), limit], |row| {
        let print = if kind == Kind::Idempotency {
            print_of_request(row.get_ref(1)?.as_str()?, row.get_ref(2)?.as_str()?)
        } else {
            print(&crate::reader::digest(row, 1)?)
        };
        Ok((print, row.get(0)?))
    })?;
    rows.collect()
}

/// Entries of leases without those that have ended.
pub(super) fn not_ended(connection: &Connection, entries: Vec<(Print, i64)>) -> rusqlite::Result<Vec<(Print, i64)>> {
    let mut query = connection.prepare("SELECT state <> 'active' FROM lease WHERE seq = ?1")?;
    let mut left = Vec::with_capacity(entries.len());
    for entry in entries {
        // One that is not there may be of a group that is not committed yet.
        if query.query_row([entry.1], |row| row.get(0)).optional()? != Some(true) {
            left.push(entry);
        }
    }
    Ok(left)
}

/// Entries of all runs.
pub(super) fn entries(connection: &Connection) -> rusqlite::Result<u64> {
    let sum = "SELECT coalesce(sum(entries), 0) FROM lookup_run";
    connection.query_row(sum, [], |row| crate::reader::number(row, 0))
}

/// A number that no run has.
pub(super) fn next_run(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT coalesce(max(run), 0) + 1 FROM lookup_run", [], |row| row.get(0))
}

/// Runs of a kind with fewer entries than `entries`.
pub(super) fn small_runs(connection: &Connection, kind: Kind, entries: usize) -> rusqlite::Result<Vec<i64>> {
    let mut query = connection.prepare("SELECT run FROM lookup_run WHERE kind = ?1 AND entries < ?2")?;
    let entries = i64::try_from(entries).unwrap_or(i64::MAX);
    query.query_map(params![kind.number(), entries], |row| row.get(0))?.collect()
}

/// Adds all entries of a run.
pub(super) fn read_run(connection: &Connection, run: i64, all: &mut Vec<(Print, i64)>) -> rusqlite::Result<()> {
    let mut query = connection.prepare_cached("SELECT entries FROM lookup_part WHERE run = ?1")?;
    let mut parts = query.query([run])?;
    while let Some(part) = parts.next()? {
        all.extend(packed(part.get_ref(0)?.as_blob()?)?);
    }
    Ok(())
}

/// Parts of a run that nobody finds yet.
pub(super) fn insert_parts(connection: &Connection, run: i64, parts: &[Part]) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached("INSERT INTO lookup_part (run, first, entries) VALUES (?1, ?2, ?3)")?;
    parts.iter().try_for_each(|part| insert.execute(params![run, part.first, part.entries]).map(drop))
}

/// All parts of a run are in the table: it is found from here on.
pub(super) fn insert_run(connection: &Connection, kind: Kind, run: i64, entries: usize) -> rusqlite::Result<()> {
    let entries = i64::try_from(entries).unwrap_or(i64::MAX);
    connection
        .prepare_cached("INSERT INTO lookup_run (run, kind, entries) VALUES (?1, ?2, ?3)")?
        .execute([run, kind.number(), entries])
        .map(drop)
}

/// A run whose entries are all in another.
pub(super) fn delete_run(connection: &Connection, run: i64) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM lookup_run WHERE run = ?1")?.execute([run])?;
    connection.prepare_cached("DELETE FROM lookup_part WHERE run = ?1")?.execute([run])?;
    Ok(())
}

/// Parts of runs that were never finished: numbers ascend, and every run is finished before the next begins.
pub(super) fn delete_unfinished(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .execute("DELETE FROM lookup_part WHERE run > (SELECT coalesce(max(run), 0) FROM lookup_run)", [])
        .map(drop)
}

/// The table has what there is of a kind up to this row.
pub(super) fn mark(connection: &Connection, kind: Kind, row: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO lookup_past (kind, row) VALUES (?1, ?2)")?
        .execute([kind.number(), row])?;
    Ok(())
}
