//! Halting: when the disk is full, or the log has not been published for too long, nothing new is granted. What has already
//! happened is still recorded, in the room that the ballast gave.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Map, Value};
use tokio::sync::watch;

use super::{Job, Prepared, Reply, Work};
use crate::ballast::Ballast;
use crate::transaction::{CommitError, Transaction, Write};

/// How often a halted writer looks for room.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Whether grants are given, and what that depends on.
pub(crate) struct Halt {
    ballast: Ballast,
    halted: watch::Sender<bool>,
    looked: Instant,
    /// Entries that a guard covers: they are in tiles, and about to be signed.
    guarded: u64,
    /// Most entries that may be recorded beyond those.
    unpublished_max: u64,
}

impl Halt {
    pub(crate) fn new(mut ballast: Ballast, guarded: u64, unpublished_max: u64) -> Self {
        let held = ballast.take().unwrap_or_else(|error| {
            tracing::error!(%error, "the ballast cannot be made");
            false
        });
        if !held {
            tracing::warn!("there is no room for the ballast: nothing is granted until there is");
        }
        let (halted, _) = watch::channel(!held);
        Self { ballast, halted, looked: Instant::now(), guarded, unpublished_max }
    }

    /// Whether nothing is granted for want of room.
    pub(crate) fn halted(&self) -> watch::Receiver<bool> {
        self.halted.subscribe()
    }

    pub(super) fn is_halted(&self) -> bool {
        *self.halted.borrow()
    }

    /// There was no room. Whether this is the moment it began: then there is some now.
    pub(super) fn begin(&mut self) -> bool {
        let spent = self.ballast.spend();
        if spent {
            self.halted.send_replace(true);
            self.looked = Instant::now();
        }
        spent
    }

    /// Looks for room, not too often. Whether it has just been found.
    pub(super) fn end(&mut self) -> bool {
        if !self.is_halted() || self.looked.elapsed() < LOOK_EVERY {
            return false;
        }
        self.looked = Instant::now();
        let found = self.ballast.take().unwrap_or(false);
        if found {
            self.halted.send_replace(false);
        }
        found
    }

    /// A guard of this size is recorded.
    pub(super) const fn guarded(&mut self, size: u64) {
        self.guarded = size;
    }

    /// INVARIANT (INV-2): no lease and no grant while halted, or while too much of the log is not published.
    pub(super) fn allows(&self, work: &Work, next_leaf: u64) -> Result<(), CommitError> {
        let Work::Commit(transaction) = work else { return Ok(()) };
        let grants = |write: &Write| matches!(write, Write::PutLease { .. } | Write::Grant { .. });
        let unpublished = next_leaf.saturating_sub(self.guarded);
        if !(self.is_halted() || unpublished > self.unpublished_max) || !transaction.writes.iter().any(grants) {
            return Ok(());
        }
        if self.is_halted() {
            return Err(CommitError::Full);
        }
        Err(CommitError::Unavailable(format!("{unpublished} entries of the log are not published: nothing is granted")))
    }
}

/// The leaf that says when granting stopped, or goes on.
pub(super) fn leaf(at: Timestamp, state: &str) -> Result<Job, CommitError> {
    let mut transaction = Transaction::new(at);
    let mut members = Map::new();
    members.insert("kind".to_owned(), "halt".into());
    members.insert("cause".to_owned(), "disk_full".into());
    members.insert("state".to_owned(), Value::from(state));
    transaction.leaf(members);
    Ok(Job::new(Work::Commit(Box::new(Prepared::new(transaction)?)), Reply::Nobody))
}

/// The latest moment that a group's transactions name.
pub(super) fn latest(jobs: &[Job]) -> Timestamp {
    let at = jobs.iter().filter_map(|job| match job.work() {
        Work::Commit(transaction) => Some(transaction.at),
        Work::Guard { .. } | Work::EmptyWal => None,
    });
    at.max().unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The size of the log that a group's guard allows to be signed, if it has one.
pub(super) fn guarded(jobs: &[Job]) -> Option<u64> {
    jobs.iter().rev().find_map(|job| match job.work() {
        Work::Guard { size, .. } => Some(*size),
        Work::Commit(_) | Work::EmptyWal => None,
    })
}
