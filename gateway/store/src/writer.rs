//! The one writer: takes everything that waits, writes it as one SQLite transaction with one sync, then answers.
//!
//! Each submitted transaction runs in a savepoint of its own, so a failed expectation undoes it alone. No answer is
//! given before the sync, so what was answered survives a crash; what was not may or may not.

use std::sync::{Arc, PoisonError, RwLock};

use gateway_audit::NodeHash;
use gateway_ledger::Taxes;
use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode};
use tokio::sync::{oneshot, watch};

use crate::durable::sync_failed;
use crate::transaction::{Commit, CommitError, Committed, DocChange, Transaction};

mod access;
mod apply;
mod books;
mod counting;
mod entitlement;
mod expect;
mod lease;
mod meter;
mod queue;
mod receipt;
mod steps;

pub(crate) use apply::{stored, window_ms};
pub(crate) use queue::{Job, Queue};

/// Bytes of payload after which the write-ahead log is copied into the database.
const CHECKPOINT_BYTES: usize = 16 * 1024 * 1024;

/// Groups after which that happens in any case.
const CHECKPOINT_GROUPS: u32 = 1024;

/// What a job asks for.
pub(crate) enum Work {
    Commit(Box<Transaction>),
    Guard { size: u64, root: NodeHash, facts: u64 },
}

/// Who waits for a job.
pub(crate) enum Reply {
    Async(oneshot::Sender<Result<Committed, CommitError>>),
    Blocking(std::sync::mpsc::SyncSender<Result<Committed, CommitError>>),
}

impl Reply {
    fn send(self, result: Result<Committed, CommitError>) {
        // Whoever no longer waits has given up; what is recorded stays recorded.
        match self {
            Self::Async(sender) => drop(sender.send(result)),
            Self::Blocking(sender) => drop(sender.send(result)),
        }
    }
}

type Listener = Box<dyn Fn(&Commit) + Send + Sync>;

/// Whoever hears of commits.
#[derive(Clone, Default)]
pub(crate) struct Listeners(Arc<RwLock<Vec<Listener>>>);

impl Listeners {
    pub(crate) fn add(&self, listener: Listener) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    fn tell(&self, commit: &Commit) {
        for listener in self.0.read().unwrap_or_else(PoisonError::into_inner).iter() {
            listener(commit);
        }
    }
}

/// Where the log and the order of transactions stand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    pub(crate) next_leaf: u64,
    /// Time of the last leaf, in milliseconds; leaves never go back.
    pub(crate) at_ms: i64,
    pub(crate) revision: u64,
    /// Batches of transfers written by this process.
    pub(crate) batches: u64,
}

/// Why a transaction was not written.
enum Refusal {
    /// Its own fault or its expectations': the others of the group go on.
    Refused(CommitError),
    /// The database's: nothing of the group can be kept.
    Database(rusqlite::Error),
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            // Undoes its own statement only: one caller's mistake must not cost the group.
            Some(ErrorCode::ConstraintViolation | ErrorCode::TooBig) => {
                Self::Refused(CommitError::Invalid(error.to_string()))
            }
            _ => Self::Database(error),
        }
    }
}

impl From<CommitError> for Refusal {
    fn from(error: CommitError) -> Self {
        Self::Refused(error)
    }
}

pub(crate) struct Writer {
    connection: Connection,
    head: Head,
    taxes: Taxes,
    queue: Arc<Queue>,
    listeners: Listeners,
    recorded: watch::Sender<u64>,
    payload_since_checkpoint: usize,
    groups_since_checkpoint: u32,
}

impl Writer {
    pub(crate) fn new(
        connection: Connection,
        (head, taxes): (Head, Taxes),
        queue: Arc<Queue>,
        listeners: Listeners,
        recorded: watch::Sender<u64>,
    ) -> Self {
        let (payload_since_checkpoint, groups_since_checkpoint) = (0, 0);
        Self { connection, head, taxes, queue, listeners, recorded, payload_since_checkpoint, groups_since_checkpoint }
    }

    /// Runs until the queue is closed and empty.
    pub(crate) fn run(mut self) {
        // Whatever ends this thread, nobody may go on waiting for it.
        let _closer = CloseOnDrop(Arc::clone(&self.queue));
        let mut last_group = 0;
        while let Some(group) = self.queue.take(last_group) {
            last_group = group.jobs.len();
            self.payload_since_checkpoint += group.bytes;
            self.groups_since_checkpoint += 1;
            self.write(group.jobs);
            if self.payload_since_checkpoint > CHECKPOINT_BYTES || self.groups_since_checkpoint > CHECKPOINT_GROUPS {
                self.checkpoint();
            }
        }
        let marked = self.connection.execute("UPDATE head SET clean = 1", []);
        if let Err(error) = marked {
            // The next start then recovers, which is always safe.
            stop_if_lost(&error);
            tracing::warn!(%error, "the store could not be marked as cleanly closed");
        }
    }

    fn write(&mut self, jobs: Vec<Job>) {
        let mut head = self.head;
        let steps = steps::Steps::of(&jobs);
        let mut answers = Vec::with_capacity(jobs.len());
        let mut waiting = jobs.into_iter();
        let written = self.connection.execute_batch("BEGIN IMMEDIATE").and_then(|()| {
            for job in waiting.by_ref() {
                let (work, reply) = job.into_parts();
                let result = match in_savepoint(&self.connection, &self.taxes, &mut head, work) {
                    Ok(commit) => Ok(commit),
                    Err(Refusal::Refused(error)) => Err(error),
                    Err(Refusal::Database(error)) => {
                        answers.push((reply, Err(CommitError::Full)));
                        return Err(error);
                    }
                };
                answers.push((reply, result));
            }
            if head.batches != self.head.batches {
                books::check(&self.connection)?;
            }
            let revision = stored(head.revision);
            self.connection.prepare_cached("UPDATE head SET revision = ?1")?.execute([revision])?;
            steps.before_commit();
            self.connection.execute_batch("COMMIT")
        });
        if let Err(error) = written {
            stop_if_lost(&error);
            if !self.connection.is_autocommit()
                && let Err(error) = self.connection.execute_batch("ROLLBACK")
            {
                // Without a rollback this connection would mix the group into the next one.
                sync_failed("the database", &error);
            }
            tracing::error!(%error, "a group was not recorded");
            let failure = failure(&error);
            for reply in answers.into_iter().map(|(reply, _)| reply).chain(waiting.map(|job| job.into_parts().1)) {
                reply.send(Err(failure.clone()));
            }
            return;
        }
        steps.after_fsync();
        let before = std::mem::replace(&mut self.head, head).revision;
        // Before the listeners: whoever they wake looks here first.
        self.recorded.send_if_modified(|size| std::mem::replace(size, head.next_leaf) != head.next_leaf);
        // The guard's row is no transaction: it has no revision of its own.
        let mut told = before;
        for commit in answers.iter().filter_map(|(_, result)| result.as_ref().ok()) {
            if commit.committed.revision > told {
                told = commit.committed.revision;
                self.listeners.tell(commit);
            }
        }
        for (reply, result) in answers {
            reply.send(result.map(|commit| commit.committed));
        }
    }

    /// Copies the write-ahead log into the database. That it has no room or readers are in the way only delays it.
    fn checkpoint(&mut self) {
        (self.payload_since_checkpoint, self.groups_since_checkpoint) = (0, 0);
        if let Err(error) = self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
            stop_if_lost(&error);
            tracing::warn!(%error, "the write-ahead log could not be copied yet");
        }
    }
}

struct CloseOnDrop(Arc<Queue>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
        self.0.abandon();
    }
}

fn in_savepoint(connection: &Connection, taxes: &Taxes, head: &mut Head, work: Work) -> Result<Commit, Refusal> {
    let before = *head;
    connection.prepare_cached("SAVEPOINT one")?.execute([])?;
    let result = match work {
        Work::Commit(transaction) => apply::apply(connection, taxes, head, *transaction),
        Work::Guard { size, root, facts } => apply::guard(connection, *head, size, root, facts),
    };
    if let Err(refusal) = &result {
        *head = before;
        // After some errors SQLite has already rolled everything back.
        if matches!(refusal, Refusal::Refused(_)) {
            connection.prepare_cached("ROLLBACK TO one")?.execute([])?;
            connection.prepare_cached("RELEASE one")?.execute([])?;
        }
        return result;
    }
    connection.prepare_cached("RELEASE one")?.execute([])?;
    result
}

/// A failed write or sync ends the process: see [`crate::durable`].
fn stop_if_lost(error: &rusqlite::Error) {
    if error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure) {
        sync_failed("the database", error);
    }
}

fn failure(error: &rusqlite::Error) -> CommitError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => CommitError::Full,
        _ => CommitError::Unavailable(error.to_string()),
    }
}

/// A commit without documents.
fn plain_commit(head: Head, at_ms: i64) -> Commit {
    let at = Timestamp::from_millisecond(at_ms).unwrap_or(Timestamp::MIN);
    let committed = Committed { first_leaf: head.next_leaf, leaves: 0, revision: head.revision, at };
    Commit { committed, docs: Vec::<DocChange>::new() }
}
