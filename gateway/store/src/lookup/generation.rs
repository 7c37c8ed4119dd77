//! Entries in memory.

use std::collections::hash_map::Entry as Place;
use std::collections::{BTreeSet, HashMap};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use foldhash::fast::RandomState;

use super::{Kind, Print};

/// Entries that came together.
#[derive(Debug, Default)]
pub(super) struct Generation(RwLock<[Entries; Kind::ALL.len()]>);

/// Nearly every print has one row. A client chooses what its prints are made of, so the hash is a keyed one.
#[derive(Debug, Default)]
struct Entries {
    one: HashMap<Print, i64, RandomState>,
    more: BTreeSet<(Print, i64)>,
}

impl Generation {
    pub(super) fn len(&self) -> usize {
        self.read().iter().map(|entries| entries.one.len() + entries.more.len()).sum()
    }

    pub(super) fn add(&self, kind: Kind, print: Print, row: i64) {
        let mut kinds = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let Entries { one, more } = kind.of_each_mut(&mut kinds);
        match one.entry(print) {
            Place::Vacant(place) => drop(place.insert(row)),
            Place::Occupied(first) if *first.get() == row => {}
            Place::Occupied(_) => drop(more.insert((print, row))),
        }
    }

    pub(super) fn rows(&self, kind: Kind, print: Print, rows: &mut Vec<i64>) {
        let kinds = self.read();
        let Entries { one, more } = kind.of_each(&kinds);
        rows.extend(one.get(&print));
        if !more.is_empty() {
            rows.extend(more.range((print, i64::MIN)..=(print, i64::MAX)).map(|(_, row)| *row));
        }
    }

    /// Entries of a kind, in no order.
    pub(super) fn entries(&self, kind: Kind) -> Vec<(Print, i64)> {
        let kinds = self.read();
        let Entries { one, more } = kind.of_each(&kinds);
        one.iter().map(|(print, row)| (*print, *row)).chain(more.iter().copied()).collect()
    }

    pub(super) fn each(&self, mut each: impl FnMut(Kind, Print)) {
        let kinds = self.read();
        for kind in Kind::ALL {
            let Entries { one, more } = kind.of_each(&kinds);
            one.keys().chain(more.iter().map(|(print, _)| print)).for_each(|print| each(kind, *print));
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, [Entries; Kind::ALL.len()]> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}
