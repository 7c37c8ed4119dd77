//! What the writer remembers of the database for as long as nobody changes it, so as not to ask again.

use std::borrow::Borrow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::Hash;

use foldhash::fast::RandomState;

/// Values after which all are forgotten: a few hundred kilobytes.
const HELD_MAX: usize = 4096;

/// Values by key. Some keys are a client's to choose, so the hash is a keyed one.
#[derive(Debug)]
pub(super) struct Remembered<K, V>(RefCell<HashMap<K, V, RandomState>>);

impl<K, V> Default for Remembered<K, V> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<K: Eq + Hash, V: Clone> Remembered<K, V> {
    pub(super) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.0.borrow().get(key).cloned()
    }

    pub(super) fn put(&self, key: K, value: V) {
        let mut held = self.0.borrow_mut();
        if held.len() >= HELD_MAX {
            held.clear();
        }
        held.insert(key, value);
    }

    pub(super) fn remove<Q: Eq + Hash + ?Sized>(&self, key: &Q)
    where
        K: Borrow<Q>,
    {
        self.0.borrow_mut().remove(key);
    }

    /// Something was undone, or deleted.
    pub(super) fn forget(&self) {
        self.0.borrow_mut().clear();
    }
}
