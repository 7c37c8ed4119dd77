//! Entries in memory.

use std::collections::hash_map::Entry as Place;
use std::collections::{BTreeSet, HashMap};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use foldhash::fast::RandomState;

use super::{Kind, Print};

/// Entries that came together.
#[derive(Debug, Default)]
pub(super) struct Generation([RwLock<Entries>; Kind::ALL.len()]);

/// Nearly every print has one row. A client chooses what its prints are made of, so the hash is a keyed one.
#[derive(Debug, Default)]
struct Entries {
    one: HashMap<Print, i64, RandomState>,
    more: BTreeSet<(Print, i64)>,
}

impl Generation {
    pub(super) fn len(&self) -> usize {
        Kind::ALL.map(|kind| self.of(kind)).iter().map(|entries| entries.one.len() + entries.more.len()).sum()
    }

    pub(super) fn add(&self, kind: Kind, print: Print, row: i64) {
        let mut entries = kind.of_each(&self.0).write().unwrap_or_else(PoisonError::into_inner);
        let Entries { one, more } = &mut *entries;
        match one.entry(print) {
            Place::Vacant(place) => drop(place.insert(row)),
            Place::Occupied(first) if *first.get() == row => {}
            Place::Occupied(_) => drop(more.insert((print, row))),
        }
    }

    pub(super) fn rows(&self, kind: Kind, print: Print, rows: &mut Vec<i64>) {
        let Entries { one, more } = &*self.of(kind);
        rows.extend(one.get(&print));
        if !more.is_empty() {
            rows.extend(more.range((print, i64::MIN)..=(print, i64::MAX)).map(|(_, row)| *row));
        }
    }

    /// Entries of a kind, in no order.
    pub(super) fn entries(&self, kind: Kind) -> Vec<(Print, i64)> {
        let Entries { one, more } = &*self.of(kind);
        one.iter().map(|(print, row)| (*print, *row)).chain(more.iter().copied()).collect()
    }

    pub(super) fn each(&self, mut each: impl FnMut(Kind, Print)) {
        for kind in Kind::ALL {
            let Entries { one, more } = &*self.of(kind);
            one.keys().chain(more.iter().map(|(print, _)| print)).for_each(|print| each(kind, *print));
        }
    }

    fn of(&self, kind: Kind) -> RwLockReadGuard<'_, Entries> {
        kind.of_each(&self.0).read().unwrap_or_else(PoisonError::into_inner)
    }
}
