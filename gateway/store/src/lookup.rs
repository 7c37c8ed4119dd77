//! Finding facts, leases and answered requests by a random key, without a random page for every row that is written.
//!
//! An index over random keys dirties a page of its own for each new row: on a store with a million rows that is most of what
//! a commit would write. So the *print* of a key (its first eight bytes) is kept in memory first and goes into the table
//! `lookup` sorted, thousands at a time, in the transaction of some later group. What the table holds is marked in
//! `lookup_past`, and a start reads the rows beyond it.
//!
//! A print only says where to look: rows are compared with the whole key, so that an entry whose row was rolled back, or
//! has another key, finds nothing.
//!
//! INVARIANT (lookup): of every committed row there is an entry in `lookup` or in a generation of [`Recent`], except of
//! leases that have ended.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use catalog::Digest;
use rusqlite::{Connection, OptionalExtension as _, params};

/// The first eight bytes of a key.
pub(crate) type Print = i64;

/// Entries that go into the table with one group: more than a group of the writer brings, so that a generation has left before
/// the next is full.
const SLICE: usize = 2048;

/// Entries after which a generation leaves: about 32,000 decisions, a few megabytes.
pub(crate) const RECENT_MAX: usize = 98_304;

/// Whose rows are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Facts,
    Lease,
    Idempotency,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Facts, Self::Lease, Self::Idempotency];

    const fn number(self) -> i64 {
        match self {
            Self::Facts => 0,
            Self::Lease => 1,
            Self::Idempotency => 2,
        }
    }

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
}

/// The print of a digest.
pub(crate) fn print(digest: &Digest) -> Print {
    i64::from_be_bytes(digest.as_bytes().first_chunk().copied().unwrap_or_default())
}

/// The print of an idempotency key, which is whatever a client thinks of.
pub(crate) fn print_of_request(scope: &str, key: &str) -> Print {
    print(&Digest::of([scope.as_bytes(), &[0], key.as_bytes()].concat().as_slice()))
}

/// Entries that came together.
#[derive(Debug, Default)]
struct Generation(RwLock<BTreeSet<(Kind, Print, i64)>>);

impl Generation {
    fn rows(&self, kind: Kind, print: Print, rows: &mut Vec<i64>) {
        let entries = self.0.read().unwrap_or_else(PoisonError::into_inner);
        rows.extend(entries.range((kind, print, i64::MIN)..=(kind, print, i64::MAX)).map(|(_, _, row)| *row));
    }
}

/// What is in memory at one moment. Who reads the store takes this first: what it lacks was committed later.
#[derive(Debug, Clone)]
pub(crate) struct View(Arc<[Arc<Generation>]>);

impl View {
    /// Rows whose key may have this print, newest first.
    pub(crate) fn rows(&self, connection: &Connection, kind: Kind, print: Print) -> rusqlite::Result<Vec<i64>> {
        let mut rows = Vec::new();
        for generation in self.0.iter() {
            generation.rows(kind, print, &mut rows);
        }
        let mut query = connection.prepare_cached("SELECT row FROM lookup WHERE kind = ?1 AND print = ?2")?;
        let mut found = query.query(params![kind.number(), print])?;
        while let Some(row) = found.next()? {
            rows.push(row.get(0)?);
        }
        rows.sort_unstable_by(|a, b| b.cmp(a));
        rows.dedup();
        Ok(rows)
    }
}

/// Entries that are not in the table yet: the generation that grows and, while it is on its way into the table, the one before.
#[derive(Debug)]
pub(crate) struct Recent {
    generations: RwLock<Arc<[Arc<Generation>]>>,
    /// Entries after which a generation goes into the table.
    most: usize,
}

/// A generation on its way into the table, a slice with each group.
#[derive(Debug)]
pub(crate) struct Leaving {
    entries: Vec<(Kind, Print, i64)>,
    /// Entries that are in the table.
    done: usize,
    /// The newest row of each kind when it was closed.
    past: [(Kind, i64); 3],
}

impl Recent {
    /// Brings `lookup` up to date but for the newest rows, which are kept here.
    pub(crate) fn load(connection: &mut Connection, most: usize) -> rusqlite::Result<Self> {
        let recent = Self { generations: RwLock::new(Arc::from([Arc::<Generation>::default()])), most };
        for kind in Kind::ALL {
            loop {
                let transaction = connection.transaction()?;
                // One more than may stay, to know whether they are too many.
                let entries = beyond(&transaction, kind, most.saturating_add(1))?;
                let Some((_, last)) = entries.last().copied().filter(|_| entries.len() > most) else {
                    for (print, row) in entries {
                        recent.add(kind, print, row);
                    }
                    break;
                };
                let mut sorted: Vec<_> = entries.into_iter().map(|(print, row)| (kind, print, row)).collect();
                sorted.sort_unstable();
                insert(&transaction, &sorted)?;
                mark(&transaction, kind, last)?;
                transaction.commit()?;
            }
        }
        Ok(recent)
    }

    /// Enters a row that is being written. If its group is undone the entry stays, and finds nothing.
    pub(crate) fn add(&self, kind: Kind, print: Print, row: i64) {
        let generations = self.generations.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(newest) = generations.last() {
            newest.0.write().unwrap_or_else(PoisonError::into_inner).insert((kind, print, row));
        }
    }

    pub(crate) fn view(&self) -> View {
        View(Arc::clone(&self.generations.read().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Closes the growing generation if it is full. Only after a commit: what is entered is then in the store, or never.
    pub(crate) fn close_full(&self, connection: &Connection) -> rusqlite::Result<Option<Leaving>> {
        let view = self.view();
        let Some(generation) = view.0.last().filter(|newest| self.is_full(newest)) else { return Ok(None) };
        let mut past = Kind::ALL.map(|kind| (kind, 0));
        for (kind, newest) in &mut past {
            *newest = connection.prepare_cached(kind.newest())?.query_row([], |row| row.get(0))?;
        }
        self.replace([Arc::clone(generation), Arc::default()]);
        let entries = generation.0.read().unwrap_or_else(PoisonError::into_inner).iter().copied().collect();
        Ok(Some(Leaving { entries, done: 0, past }))
    }

    fn is_full(&self, generation: &Generation) -> bool {
        generation.0.read().unwrap_or_else(PoisonError::into_inner).len() >= self.most
    }

    /// Forgets what is in the table now.
    pub(crate) fn left(&self) {
        let view = self.view();
        if let Some(newest) = view.0.last() {
            self.replace([Arc::clone(newest)]);
        }
    }

    fn replace<const N: usize>(&self, generations: [Arc<Generation>; N]) {
        *self.generations.write().unwrap_or_else(PoisonError::into_inner) = Arc::from(generations);
    }
}

impl Leaving {
    /// Writes the next slice into the table, within the transaction of a group. Gives how far it then is.
    pub(crate) fn write(&self, connection: &Connection) -> rusqlite::Result<usize> {
        let end = self.entries.len().min(self.done + SLICE);
        insert(connection, self.entries.get(self.done..end).unwrap_or_default())?;
        if end == self.entries.len() {
            self.past.iter().try_for_each(|(kind, row)| mark(connection, *kind, *row))?;
        }
        Ok(end)
    }

    /// That group is committed: whether all is in the table.
    pub(crate) fn committed(&mut self, done: usize) -> bool {
        self.done = done;
        done == self.entries.len()
    }
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

/// Rows that the table does not have, oldest first.
fn beyond(connection: &Connection, kind: Kind, limit: usize) -> rusqlite::Result<Vec<(Print, i64)>> {
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
fn insert(connection: &Connection, entries: &[(Kind, Print, i64)]) -> rusqlite::Result<()> {
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

fn mark(connection: &Connection, kind: Kind, row: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO lookup_past (kind, row) VALUES (?1, ?2)")?
        .execute([kind.number(), row])?;
    Ok(())
}
