//! Entries in memory.

use std::collections::hash_map::Entry as Place;
use std::collections::{BTreeSet, HashMap};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use super::{Entry, Kind, Print};

/// Entries that came together.
#[derive(Debug, Default)]
pub(super) struct Generation(RwLock<Entries>);

/// Nearly every print has one row.
#[derive(Debug, Default)]
struct Entries {
    one: HashMap<(Kind, Print), i64>,
    more: BTreeSet<Entry>,
}

impl Generation {
    pub(super) fn len(&self) -> usize {
        let entries = self.read();
        entries.one.len() + entries.more.len()
    }

    pub(super) fn add(&self, kind: Kind, print: Print, row: i64) {
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let Entries { one, more } = &mut *entries;
        match one.entry((kind, print)) {
            Place::Vacant(place) => drop(place.insert(row)),
            Place::Occupied(first) if *first.get() == row => {}
            Place::Occupied(_) => drop(more.insert((kind, print, row))),
        }
    }

    pub(super) fn rows(&self, kind: Kind, print: Print, rows: &mut Vec<i64>) {
        let entries = self.read();
        rows.extend(entries.one.get(&(kind, print)));
        if !entries.more.is_empty() {
            rows.extend(entries.more.range((kind, print, i64::MIN)..=(kind, print, i64::MAX)).map(|(_, _, row)| *row));
        }
    }

    /// By kind and print.
    pub(super) fn sorted(&self) -> Vec<Entry> {
        let entries = self.read();
        let one = entries.one.iter().map(|((kind, print), row)| (*kind, *print, *row));
        let mut all: Vec<_> = one.chain(entries.more.iter().copied()).collect();
        all.sort_unstable();
        all
    }

    fn read(&self) -> RwLockReadGuard<'_, Entries> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}
