//! What the writer has done.

use std::sync::atomic::{AtomicU64, Ordering};

/// What the writer has done since the records were opened.
#[derive(Debug, Default)]
pub struct Written {
    pub(super) groups: AtomicU64,
    pub(super) syncs: AtomicU64,
    pub(super) transactions: AtomicU64,
    pub(super) repeated: AtomicU64,
    pub(super) checkpoints: AtomicU64,
}

impl Written {
    /// Groups: each is one SQLite transaction.
    pub fn groups(&self) -> u64 {
        self.groups.load(Ordering::Relaxed)
    }

    /// Syncs of the write-ahead log, each for a group or a few.
    pub fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }

    /// Transactions in them, refused ones included.
    pub fn transactions(&self) -> u64 {
        self.transactions.load(Ordering::Relaxed)
    }

    /// Groups that were written twice, because one of their transactions was refused half-way.
    pub fn repeated(&self) -> u64 {
        self.repeated.load(Ordering::Relaxed)
    }

    /// Copies of the write-ahead log into the database, each with a sync of both.
    pub fn checkpoints(&self) -> u64 {
        self.checkpoints.load(Ordering::Relaxed)
    }
}

/// Counts `by` more.
pub(super) fn count(counter: &AtomicU64, by: usize) {
    counter.fetch_add(u64::try_from(by).unwrap_or(0), Ordering::Relaxed);
}
