//! The table `lookup`, and the rows beyond it.

use catalog::Digest;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Entry, Kind, Print, print, print_of_request};

impl Kind {
    const fn newest(self) -> &'static str {
        match self {
            Self::Facts => "SELECT coalesce(max(seq), 0) FROM facts",
            Self::Lease => "SELECT coalesce(max(seq), 0) FROM lease",
            Self::Idempotency => "SELECT coalesce(max(seq), 0) FROM idempotency",
        }
    }

    const fn beyond(self) -> &'static str {
        match self {
            Self::Facts => "SELECT seq, digest, NULL FROM facts WHERE seq > ?1 ORDER BY seq LIMIT ?2",
            Self::Lease => "SELECT seq, key, NULL FROM lease WHERE seq > ?1 ORDER BY seq LIMIT ?2",
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
    let mut query = connection.prepare_cached("SELECT row FROM lookup WHERE kind = ?1 AND print = ?2")?;
    let mut found = query.query(params![kind.number(), print])?;
    while let Some(row) = found.next()? {
        rows.push(row.get(0)?);
    }
    Ok(())
}

/// Gives every entry to `each` until that wants no more.
pub(super) fn each(connection: &Connection, mut each: impl FnMut(Kind, Print) -> bool) -> rusqlite::Result<bool> {
    let mut query = connection.prepare("SELECT kind, print FROM lookup")?;
    let mut entries = query.query([])?;
    while let Some(entry) = entries.next()? {
        if let Some(kind) = Kind::of(entry.get(0)?)
            && !each(kind, entry.get(1)?)
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// No fewer than there are, without counting them.
pub(super) fn entries_at_most(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT coalesce(sum(row), 0) FROM lookup_past", [], |row| crate::reader::number(row, 0))
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

/// Sorted, so that neighbours share pages. Leases that have ended in the meantime stay out.
pub(super) fn insert(connection: &Connection, entries: &[Entry]) -> rusqlite::Result<()> {
    let mut active = connection.prepare_cached("SELECT state = 'active' FROM lease WHERE seq = ?1")?;
    let mut insert =
        connection.prepare_cached("INSERT OR IGNORE INTO lookup (kind, print, row) VALUES (?1, ?2, ?3)")?;
    for (kind, print, row) in entries {
        if *kind == Kind::Lease && active.query_row([row], |row| row.get(0)).optional()? != Some(true) {
            continue;
        }
        insert.execute(params![kind.number(), print, row])?;
    }
    Ok(())
}

/// The table has what there is of a kind up to this row.
pub(super) fn mark(connection: &Connection, kind: Kind, row: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO lookup_past (kind, row) VALUES (?1, ?2)")?
        .execute([kind.number(), row])?;
    Ok(())
}

/// Takes out the entry of a lease that has ended, if it is in the table: who pulls every day would else have a row to look
/// at for each day.
pub(crate) fn forget_lease(connection: &Connection, key: &Digest, row: i64) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM lookup WHERE kind = ?1 AND print = ?2 AND row = ?3")?.execute(params![
        Kind::Lease.number(),
        print(key),
        row
    ])?;
    Ok(())
}
