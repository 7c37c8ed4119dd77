//! Whoever hears of commits.

use std::sync::{Arc, PoisonError, RwLock};

use crate::transaction::Commit;

type Listener = Box<dyn Fn(&Commit) + Send + Sync>;

/// Whoever hears of commits.
#[derive(Clone, Default)]
pub(crate) struct Listeners(Arc<RwLock<Vec<Listener>>>);

impl Listeners {
    pub(crate) fn add(&self, listener: Listener) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    pub(super) fn tell(&self, commit: &Commit) {
        for listener in self.0.read().unwrap_or_else(PoisonError::into_inner).iter() {
            listener(commit);
        }
    }
}
