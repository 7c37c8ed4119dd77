//! Finding facts, leases and answered requests by a random key, without a random page for every row that is written.
//!
//! An index over random keys dirties a page of its own for each new row: on a store with a million rows that is most of what
//! a commit would write. So the *print* of a key (its first eight bytes) is kept in memory first; a hundred thousand of them
//! then go into the database as a sorted run, in parts that ride on later groups, and small runs are joined into larger ones
//! (a log-structured merge tree). What the runs hold is marked in `lookup_past`, and a start reads the rows beyond it. Nearly
//! every key that is looked for is new: a filter in memory says so without a look into the runs.
//!
//! A print only says where to look: rows are compared with the whole key, so that an entry whose row was rolled back, or
//! has another key, finds nothing.
//!
//! INVARIANT (lookup): of every committed row there is an entry in a finished run or in a generation of [`Recent`], except of
//! leases that have ended.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use catalog::Digest;
use rusqlite::Connection;

mod filter;
mod generation;
mod leaving;
mod run;
mod table;

pub(crate) use filter::Filling;
pub(crate) use leaving::{Leaving, Progress};

use filter::Filter;
use generation::Generation;

/// The first eight bytes of a key.
pub(crate) type Print = i64;

/// Entries after which a generation leaves: about 87,000 decisions, some ten megabytes.
pub(crate) const RECENT_MAX: usize = 262_144;

/// Whose rows are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

    /// Of three things, one for each kind, this kind's.
    const fn of_each<T>(self, [facts, lease, idempotency]: &[T; Self::ALL.len()]) -> &T {
        match self {
            Self::Facts => facts,
            Self::Lease => lease,
            Self::Idempotency => idempotency,
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

/// What is in memory at one moment. Who reads the store takes this first: what it lacks was committed later.
#[derive(Debug, Clone)]
pub(crate) struct View {
    generations: Arc<[Arc<Generation>]>,
    filter: Arc<Filter>,
}

impl View {
    /// Rows whose key may have this print, newest first.
    pub(crate) fn rows(&self, connection: &Connection, kind: Kind, print: Print) -> rusqlite::Result<Vec<i64>> {
        let mut rows = Vec::new();
        for generation in self.generations.iter() {
            generation.rows(kind, print, &mut rows);
        }
        if self.filter.may_hold(kind, print) {
            table::rows(connection, kind, print, &mut rows)?;
        }
        rows.sort_unstable_by(|a, b| b.cmp(a));
        rows.dedup();
        Ok(rows)
    }
}

/// Entries that are not in the table yet: the generation that grows and, while it is on its way into the table, the one before.
#[derive(Debug)]
pub(crate) struct Recent {
    /// With the filter of what is in the table.
    view: RwLock<View>,
    /// Entries after which a generation goes into the table.
    most: usize,
}

impl Recent {
    /// Brings the runs up to date but for the newest rows, which are kept here.
    pub(crate) fn load(connection: &mut Connection, most: usize) -> rusqlite::Result<Self> {
        table::delete_unfinished(connection)?;
        let generation = Generation::default();
        for kind in Kind::ALL {
            loop {
                let transaction = connection.transaction()?;
                // One more than may stay, to know whether they are too many.
                let mut entries = table::beyond(&transaction, kind, most.saturating_add(1))?;
                let Some((_, last)) = entries.last().copied().filter(|_| entries.len() > most) else {
                    for (print, row) in entries {
                        generation.add(kind, print, row);
                    }
                    break;
                };
                entries.sort_unstable();
                let run = table::next_run(&transaction)?;
                table::insert_parts(&transaction, run, &run::parts(&entries))?;
                table::insert_run(&transaction, kind, run, entries.len())?;
                table::mark(&transaction, kind, last)?;
                transaction.commit()?;
            }
        }
        let filter = Arc::new(Filter::for_entries(table::entries(connection)?));
        let view = View { generations: Arc::from([Arc::new(generation)]), filter };
        Ok(Self { view: RwLock::new(view), most })
    }

    /// Has the filter filled from the table; until that is done, it lets everything through.
    pub(crate) fn fill_filter(&self, connection: Connection) -> Result<Filling, rusqlite::Error> {
        Filling::begin(self.view().filter, connection)
    }

    /// Enters a row that is being written. If its group is undone the entry stays, and finds nothing.
    pub(crate) fn add(&self, kind: Kind, print: Print, row: i64) {
        if let Some(newest) = self.read().generations.last() {
            newest.add(kind, print, row);
        }
    }

    pub(crate) fn view(&self) -> View {
        self.read().clone()
    }

    /// Closes the growing generation if it is full. Only after a commit: what is entered is then in the store, or never.
    pub(crate) fn close_full(&self, connection: &Connection) -> rusqlite::Result<Option<Leaving>> {
        let View { generations, filter } = self.view();
        let Some(generation) = generations.last().filter(|newest| newest.len() >= self.most) else {
            return Ok(None);
        };
        let leaving = Leaving::begin(connection, Arc::clone(generation), Arc::clone(&filter), self.most)?;
        self.replace(View { generations: Arc::from([Arc::clone(generation), Arc::default()]), filter });
        Ok(Some(leaving))
    }

    /// Forgets what is in the table now.
    pub(crate) fn left(&self, leaving: &Leaving) {
        let View { generations, filter } = self.view();
        if let Some(newest) = generations.last() {
            let filter = leaving.filter().unwrap_or(filter);
            self.replace(View { generations: Arc::from([Arc::clone(newest)]), filter });
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn replace(&self, view: View) {
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = view;
    }
}
