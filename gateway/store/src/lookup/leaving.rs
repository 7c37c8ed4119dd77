//! A generation on its way into the table.

use std::sync::{Arc, OnceLock};

use rusqlite::Connection;

use super::generation::Generation;
use super::{Entry, Kind, Recent, table};

/// Entries that go into the table with each transaction of a group: more than twice what it brings, so that a generation has
/// left before the next is full.
const EACH: usize = 8;

/// With the smallest group.
const SLICE_MIN: usize = 64;

/// A generation on its way into the table, a slice with each group.
#[derive(Debug)]
pub(crate) struct Leaving {
    /// Empty while they are being sorted.
    entries: Arc<OnceLock<Vec<Entry>>>,
    /// Entries that are in the table.
    done: usize,
    /// The newest row of each kind when it was closed.
    past: [(Kind, i64); 3],
}

impl Leaving {
    pub(super) fn new(generation: Arc<Generation>, past: [(Kind, i64); 3]) -> Self {
        let entries = Arc::<OnceLock<_>>::default();
        let sorted = Arc::clone(&entries);
        // Tens of milliseconds, for which the writer does not wait.
        let sort = move || drop(sorted.set(generation.sorted()));
        if let Err(error) = std::thread::Builder::new().name("kouan-sorter".to_owned()).spawn(sort.clone()) {
            tracing::warn!(%error, "no thread to sort recent rows: the writer does it");
            sort();
        }
        Self { entries, done: 0, past }
    }

    /// Writes the next slice into the table, within the transaction of a group of `transactions`. Gives how far it then is.
    pub(crate) fn write(
        &self,
        connection: &Connection,
        recent: &Recent,
        transactions: usize,
    ) -> rusqlite::Result<usize> {
        let Some(entries) = self.entries.get() else { return Ok(self.done) };
        let end = entries.len().min(self.done + SLICE_MIN.max(transactions * EACH));
        recent.insert(connection, entries.get(self.done..end).unwrap_or_default())?;
        if end == entries.len() {
            self.past.iter().try_for_each(|(kind, row)| table::mark(connection, *kind, *row))?;
        }
        Ok(end)
    }

    /// That group is committed: whether all is in the table.
    pub(crate) fn committed(&mut self, done: usize) -> bool {
        self.done = done;
        self.entries.get().is_some_and(|entries| done == entries.len())
    }
}
