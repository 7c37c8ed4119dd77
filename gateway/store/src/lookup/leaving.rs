//! A generation on its way into the table: a thread sorts it, joins it with small runs, and the writer inserts what comes of it
//! with its groups.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::filter::Filter;
use super::generation::Generation;
use super::run::{self, Part};
use super::{Kind, Print, table};
use crate::reader::connect;

/// Small runs of a kind that are joined with the next one: who looks for a row looks into every run.
const SMALL_RUNS_MAX: usize = 7;

/// Parts that go into the table with each transaction of a group. Eight generations that are joined have then left before
/// the next is full.
const PARTS_EACH: usize = 1;

/// With the smallest group.
const SLICE_MIN: usize = 8;

/// What goes into the table for one kind.
#[derive(Debug)]
struct Run {
    kind: Kind,
    parts: Vec<Part>,
    entries: usize,
    /// Runs whose entries are in here.
    joined: Vec<i64>,
    /// The newest row when the generation was closed.
    past: i64,
}

/// How much is in the table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Whole runs.
    runs: usize,
    /// Parts of the next.
    parts: usize,
}

/// A generation on its way into the table, a slice with each group.
#[derive(Debug)]
pub(crate) struct Leaving {
    /// Empty while it is being made.
    sorted: Arc<OnceLock<Sorted>>,
    /// Reads the database meanwhile.
    sorter: Option<JoinHandle<()>>,
    done: Progress,
    /// The number of its first run.
    first_run: i64,
}

impl Leaving {
    /// Of a generation that nothing is added to any more. `most`: a run with fewer entries is small.
    pub(super) fn begin(
        connection: &Connection,
        generation: Arc<Generation>,
        filter: Arc<Filter>,
        most: usize,
    ) -> rusqlite::Result<Self> {
        let mut past = Kind::ALL.map(|kind| (kind, 0));
        for (kind, newest) in &mut past {
            *newest = table::newest(connection, *kind)?;
        }
        let first_run = table::next_run(connection)?;
        let database = connection.path().unwrap_or_default().to_owned();
        let sorted = Arc::<OnceLock<_>>::default();
        let made = Arc::clone(&sorted);
        // Some tenths of a second, for which the writer does not wait.
        let sort = move || {
            let joined = connect(Path::new(&database))
                .and_then(|connection| Sorted::joined(&connection, &generation, past, (&filter, most)));
            let sorted = joined.unwrap_or_else(|error| {
                tracing::warn!(%error, "small runs of `lookup` stay small");
                Sorted::alone(&generation, past)
            });
            // Before anybody can read them in the table.
            generation.each(|kind, print| filter.add(kind, print));
            drop(made.set(sorted));
        };
        let sorter = std::thread::Builder::new().name("kouan-sorter".to_owned()).spawn(sort.clone());
        if let Err(error) = &sorter {
            tracing::warn!(%error, "no thread to sort recent rows: the writer does it");
            sort();
        }
        Ok(Self { sorted, sorter: sorter.ok(), done: Progress::default(), first_run })
    }

    /// Writes the next slice into the table, within the transaction of a group of `transactions`. Gives how far it then is.
    pub(crate) fn write(&self, connection: &Connection, transactions: usize) -> rusqlite::Result<Progress> {
        let Progress { runs, parts } = self.done;
        let Some(run) = self.sorted.get().and_then(|sorted| sorted.runs.get(runs)) else { return Ok(self.done) };
        let number = self.first_run + i64::try_from(runs).unwrap_or(0);
        let end = run.parts.len().min(parts + SLICE_MIN.max(transactions * PARTS_EACH));
        table::insert_parts(connection, number, run.parts.get(parts..end).unwrap_or_default())?;
        if end < run.parts.len() {
            return Ok(Progress { runs, parts: end });
        }
        if !run.parts.is_empty() {
            table::insert_run(connection, run.kind, number, run.entries)?;
        }
        run.joined.iter().try_for_each(|joined| table::delete_run(connection, *joined))?;
        table::mark(connection, run.kind, run.past)?;
        Ok(Progress { runs: runs + 1, parts: 0 })
    }

    /// That group is committed: whether all is in the table.
    pub(crate) fn committed(&mut self, done: Progress) -> bool {
        self.done = done;
        self.sorted.get().is_some_and(|sorted| done.runs == sorted.runs.len())
    }

    /// What takes the place of a filter that has become too small.
    pub(super) fn filter(&self) -> Option<Arc<Filter>> {
        self.sorted.get().and_then(|sorted| sorted.filter.clone())
    }
}

impl Drop for Leaving {
    /// Nobody may be left reading the database when the writer empties the write-ahead log and closes.
    fn drop(&mut self) {
        if let Some(sorter) = self.sorter.take() {
            let _ = sorter.join();
        }
    }
}

/// What the thread makes of a generation.
#[derive(Debug)]
struct Sorted {
    runs: Vec<Run>,
    filter: Option<Arc<Filter>>,
}

impl Sorted {
    /// Of the generation alone.
    fn alone(generation: &Generation, past: [(Kind, i64); 3]) -> Self {
        let runs = past.map(|(kind, past)| Run::new(kind, generation.entries(kind), Vec::new(), past));
        Self { runs: Vec::from(runs), filter: None }
    }

    /// Together with all small runs, if there are enough of them.
    ///
    /// This connection may see a lease's end before it is on disk. The writer commits what comes of that later still.
    fn joined(
        connection: &Connection,
        generation: &Generation,
        past: [(Kind, i64); 3],
        (filter, most): (&Filter, usize),
    ) -> rusqlite::Result<Self> {
        let mut runs = Vec::with_capacity(past.len());
        for (kind, past) in past {
            let mut entries = generation.entries(kind);
            let mut small = table::small_runs(connection, kind, most)?;
            if small.len() < SMALL_RUNS_MAX {
                small.clear();
            }
            for run in &small {
                table::read_run(connection, *run, &mut entries)?;
            }
            if kind == Kind::Lease && !small.is_empty() {
                // Who pulls every day would else have a row to look at for each day.
                entries = table::not_ended(connection, entries)?;
            }
            runs.push(Run::new(kind, entries, small, past));
        }
        let held = table::entries(connection)? + u64::try_from(generation.len()).unwrap_or(0);
        let filter = filter.is_small_for(held).then(|| Filter::full(connection, generation, held)).transpose()?;
        Ok(Self { runs, filter: filter.map(Arc::new) })
    }
}

impl Run {
    fn new(kind: Kind, mut entries: Vec<(Print, i64)>, joined: Vec<i64>, past: i64) -> Self {
        entries.sort_unstable();
        entries.dedup();
        Self { kind, parts: run::parts(&entries), entries: entries.len(), joined, past }
    }
}
