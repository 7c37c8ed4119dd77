//! What waits for the writer, and how much of it makes a group.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Job;
use crate::transaction::CommitError;

/// Most transactions of one group.
const GROUP_MAX: usize = 512;

/// Payload after which a group is full.
const GROUP_BYTES_MAX: usize = 1024 * 1024;

/// Most transactions that wait. Beyond it a caller is told at once, rather than kept until it has given up.
const WAITING_MAX: usize = 16 * 1024;

/// Most payload that waits.
const WAITING_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Jobs taken together.
pub(super) struct Group {
    pub(super) jobs: Vec<Job>,
    pub(super) bytes: usize,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    bytes: usize,
    closed: bool,
}

#[derive(Default)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, job: Job) -> Result<(), CommitError> {
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(CommitError::Unavailable("the records are closed".to_owned()));
        }
        if waiting.jobs.len() >= WAITING_MAX || waiting.bytes >= WAITING_BYTES_MAX {
            return Err(CommitError::Unavailable("too much waits to be recorded".to_owned()));
        }
        waiting.bytes += job.bytes;
        waiting.jobs.push_back(job);
        // One wake for the first: a wake for each would cost more than the writes.
        let wake = waiting.jobs.len() == 1;
        drop(waiting);
        if wake {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// All that waits, at once: more would come while this is written, and a group that is written waits for no sync. Nothing
    /// once the queue is closed and empty. With `patience`, the group is empty when nothing has come for so long.
    pub(super) fn take(&self, patience: Option<Duration>) -> Option<Group> {
        let mut waiting = self.lock();
        while waiting.jobs.is_empty() {
            if waiting.closed {
                return None;
            }
            let Some(patience) = patience else {
                waiting = self.arrived.wait(waiting).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let woken = self.arrived.wait_timeout(waiting, patience).unwrap_or_else(PoisonError::into_inner);
            waiting = woken.0;
            if woken.1.timed_out() && waiting.jobs.is_empty() && !waiting.closed {
                return Some(Group { jobs: Vec::new(), bytes: 0 });
            }
        }
        let mut group = Group { jobs: Vec::new(), bytes: 0 };
        while group.jobs.len() < GROUP_MAX && group.bytes < GROUP_BYTES_MAX {
            let Some(job) = waiting.jobs.pop_front() else {
                break;
            };
            waiting.bytes -= job.bytes;
            group.bytes += job.bytes;
            group.jobs.push(job);
        }
        Some(group)
    }

    /// Refuses what comes from now on; what waits is still written.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_all();
    }

    /// Drops what waits, which tells its callers that the writer is gone.
    pub(super) fn abandon(&self) {
        let jobs = std::mem::take(&mut self.lock().jobs);
        drop(jobs);
    }
}
