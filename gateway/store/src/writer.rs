//! The one writer: takes everything that waits and writes it as one SQLite transaction. It is answered once it is synced, which
//! happens while the next is written ([`syncer`]).
//!
//! A failed expectation undoes its own transaction and no other. Nearly all of them fail before they have written anything,
//! so that there is nothing to undo; when one fails half-way, the group is undone and written again with a savepoint for
//! each. Savepoints for every transaction would cost a copy of each page it touches. No answer is given before the sync, so
//! what was answered survives a crash; what was not may or may not.

use std::sync::Arc;

use gateway_ledger::Taxes;
use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode};

use crate::durable::sync_failed;
use crate::lookup::{Leaving, Progress, Recent};
use crate::transaction::{Commit, CommitError, Committed, DocChange};

mod access;
mod apply;
mod balances;
mod books;
mod copier;
mod counting;
mod database;
mod docs;
mod entitlement;
mod entry;
mod expect;
mod halt;
mod job;
mod lease;
mod listeners;
mod meter;
mod prepared;
mod queue;
mod receipt;
mod remembered;
mod retention;
mod scope;
mod steps;
mod subject;
mod syncer;
mod written;

pub(crate) use apply::{stored, window_ms};
pub(crate) use copier::Copier;
pub(crate) use halt::Halt;
pub(crate) use job::{Job, Reply, Work};
pub(crate) use listeners::Listeners;
pub(crate) use prepared::Prepared;
pub(crate) use queue::Queue;
pub(crate) use syncer::{Audience, Durable, Syncer};
pub use written::Written;

use balances::Balances;
use counting::Shares;
use database::Database;
use docs::Docs;
use scope::Context;
use steps::Steps;
use syncer::Unsynced;
use written::count;

/// Bytes of payload after which the write-ahead log is copied into the database.
const CHECKPOINT_BYTES: usize = 16 * 1024 * 1024;

/// Groups after which that happens in any case, unless [`crate::OpenOptions::wal_groups_max`] says otherwise.
pub(crate) const WAL_GROUPS_MAX: u32 = 1024;

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

/// What is undone when a transaction is refused half-way.
#[derive(Debug, Clone, Copy)]
enum Undo {
    Group,
    Each,
}

/// Why a group was not written.
enum Stopped {
    /// One of its transactions was refused after it had written something.
    HalfWay,
    Database(rusqlite::Error),
}

impl From<rusqlite::Error> for Stopped {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

/// A group that is recorded.
struct Group {
    head: Head,
    results: Vec<Result<Commit, CommitError>>,
    /// How far the generation is that leaves memory.
    left: Option<Progress>,
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

struct Writer<'c> {
    copier: Copier,
    connection: Database<'c>,
    head: Head,
    taxes: Taxes,
    queue: Arc<Queue>,
    syncer: Syncer,
    written: Arc<Written>,
    recent: Arc<Recent>,
    leaving: Option<Leaving>,
    docs: Docs,
    balances: Balances,
    shares: Shares,
    payload_since_checkpoint: usize,
    groups_since_checkpoint: u32,
    wal_groups_max: u32,
    halt: Halt,
}

/// What an opened directory gives the writer.
pub(crate) struct Base {
    pub(crate) connection: Connection,
    pub(crate) head: Head,
    pub(crate) recent: Arc<Recent>,
    pub(crate) taxes: Taxes,
    pub(crate) halt: Halt,
    pub(crate) wal_groups_max: u32,
    pub(crate) copier: Copier,
    pub(crate) syncer: Syncer,
}

/// Writes until the queue is closed and empty.
pub(crate) fn write_all(base: Base, queue: Arc<Queue>, written: Arc<Written>) {
    let Base { connection, head, recent, taxes, halt, wal_groups_max, copier, syncer } = base;
    // The last to close, which removes the write-ahead log: after the copier's.
    let writer = Writer {
        copier,
        connection: Database::new(&connection),
        head,
        taxes,
        queue,
        syncer,
        written,
        recent,
        leaving: None,
        docs: Docs::default(),
        balances: Balances::default(),
        shares: Shares::default(),
        payload_since_checkpoint: 0,
        groups_since_checkpoint: 0,
        wal_groups_max,
        halt,
    };
    writer.run();
}

impl<'c> Writer<'c> {
    fn run(mut self) {
        // Whatever ends this thread, nobody may go on waiting for it.
        let _closer = CloseOnDrop(Arc::clone(&self.queue));
        // A halted writer wakes by itself to look for room.
        let patience = |halt: &Halt| halt.is_halted().then_some(halt::LOOK_EVERY);
        while let Some(group) = self.queue.take(patience(&self.halt)) {
            if self.halt.end() {
                tracing::info!("there is room again: grants are given");
                self.note("ended", halt::latest(&group.jobs));
            }
            if group.jobs.is_empty() {
                continue;
            }
            self.payload_since_checkpoint += group.bytes;
            self.groups_since_checkpoint += 1;
            let (emptying, jobs): (Vec<Job>, Vec<Job>) =
                group.jobs.into_iter().partition(|job| matches!(job.work(), Work::EmptyWal));
            if !jobs.is_empty() {
                self.write(jobs);
                self.make_room();
            }
            for job in emptying {
                job.into_parts().1.send(self.empty_wal(), None);
            }
            if self.copier.is_done() {
                self.checkpoint();
            } else if self.payload_since_checkpoint > CHECKPOINT_BYTES
                || self.groups_since_checkpoint > self.wal_groups_max
            {
                self.copier.begin();
            }
        }
        self.copier.wait();
        self.leaving = None;
        self.syncer.finish();
        // Nobody syncs it any more but SQLite.
        let synchronous = self.connection.pragma_update(None, "synchronous", "FULL");
        let marked = synchronous.and_then(|()| self.connection.execute("UPDATE head SET clean = 1", []));
        if let Err(error) = marked {
            // The next start then recovers, which is always safe.
            stop_if_lost(&error);
            tracing::warn!(%error, "the store could not be marked as cleanly closed");
        }
        // SQLite copies what is left when the last connection closes, and ignores a failed sync: nothing may be left.
        if let Err(error) = self.empty_wal() {
            tracing::warn!(%error, "the write-ahead log stays for the next start");
        }
    }

    fn write(&mut self, jobs: Vec<Job>) {
        let (steps, guarded, at) = (Steps::of(&jobs), halt::guarded(&jobs), halt::latest(&jobs));
        let (mut works, replies): (Vec<Work>, Vec<Reply>) = jobs.into_iter().map(Job::into_parts).unzip();
        let mut written = self.attempt(&mut works, Undo::Group, steps);
        if matches!(written, Err(Stopped::HalfWay)) {
            self.roll_back();
            count(&self.written.repeated, 1);
            written = self.attempt(&mut works, Undo::Each, steps);
        }
        let mut began = false;
        if matches!(&written, Err(Stopped::Database(error)) if is_full(error)) && self.halt.begin() {
            // There is room now for what has already happened; what would be granted is refused.
            tracing::error!("the disk is full: the ballast is spent, nothing is granted until there is room");
            self.roll_back();
            began = true;
            written = self.attempt(&mut works, Undo::Each, steps);
        }
        let Group { head, results, left } = match written {
            Ok(written) => written,
            Err(stopped) => {
                let error = match stopped {
                    Stopped::HalfWay => CommitError::Unavailable("a group could not be undone in part".to_owned()),
                    Stopped::Database(error) => {
                        stop_if_lost(&error);
                        tracing::error!(%error, "a group was not recorded");
                        failure(&error)
                    }
                };
                self.roll_back();
                for (reply, work) in replies.into_iter().zip(works) {
                    reply.send(Err(error.clone()), Some(work));
                }
                if began {
                    self.note("begun", at);
                }
                return;
            }
        };
        count(&self.written.groups, 1);
        count(&self.written.transactions, results.len());
        if let Some(done) = left
            && let Some(leaving) = self.leaving.take_if(|leaving| leaving.committed(done))
        {
            self.recent.left(&leaving);
        }
        if let Some(size) = guarded {
            self.halt.guarded(size);
        }
        let before = std::mem::replace(&mut self.head, head).revision;
        let jobs = works.into_iter().zip(replies).zip(results).map(|((work, reply), result)| (work, reply, result));
        self.syncer.hand(Unsynced { before, head, steps, jobs: jobs.collect() });
        if began {
            self.note("begun", at);
        }
    }

    /// Records that granting stopped, or goes on.
    fn note(&mut self, state: &str, at: Timestamp) {
        match halt::leaf(at, state) {
            Ok(job) => self.write(vec![job]),
            Err(error) => tracing::error!(%error, "the leaf `halt` cannot be made"),
        }
    }

    /// Sends what fills memory on its way into the table of the database.
    fn make_room(&mut self) {
        if self.leaving.is_none() {
            match self.recent.close_full(&self.connection) {
                Ok(leaving) => self.leaving = leaving,
                // It stays where it is, and is tried again after the next group.
                Err(error) => tracing::warn!(%error, "recent rows stay in memory"),
            }
        }
    }

    fn context(&self) -> Context<'_, 'c> {
        let Self { connection, recent, docs, balances, shares, taxes, .. } = self;
        Context { connection, recent, docs, balances, shares, taxes }
    }

    /// Writes a group. On an error the transaction is still open.
    fn attempt(&self, works: &mut [Work], undo: Undo, steps: Steps) -> Result<Group, Stopped> {
        let context = self.context();
        let Context { connection, balances, .. } = context;
        let mut head = self.head;
        let mut results = Vec::with_capacity(works.len());
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        for work in works {
            let before = (head, connection.total_changes(), balances.entered());
            let allowed = self.halt.allows(work, head.next_leaf);
            if let Err(error) = allowed {
                results.push(Err(error));
                continue;
            }
            let result = match undo {
                Undo::Group => apply(context, &mut head, work),
                Undo::Each => in_savepoint(context, &mut head, work),
            };
            results.push(match result {
                Ok(commit) => Ok(commit),
                Err(Refusal::Database(error)) => return Err(error.into()),
                Err(Refusal::Refused(error)) => {
                    let (head_before, changes, entered) = before;
                    head = head_before;
                    if matches!(undo, Undo::Group)
                        && (connection.total_changes(), balances.entered()) != (changes, entered)
                    {
                        return Err(Stopped::HalfWay);
                    }
                    Err(error)
                }
            });
        }
        if head.batches != self.head.batches {
            balances.write(connection)?;
            balances::balanced(connection)?;
        }
        let written = results.len();
        let left = self.leaving.as_ref().map(|leaving| leaving.write(connection, written)).transpose()?;
        self.connection.prepare_cached("UPDATE head SET revision = ?1")?.execute([stored(head.revision)])?;
        steps.before_commit();
        self.connection.execute_batch("COMMIT")?;
        Ok(Group { head, results, left })
    }

    /// After some errors SQLite has rolled back already.
    fn roll_back(&self) {
        self.context().undone();
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            // Without a rollback this connection would mix the group into the next one.
            sync_failed("the database", &error);
        }
    }

    /// Copies what is left of the write-ahead log. That it has no room or readers are in the way only delays it.
    fn checkpoint(&mut self) {
        (self.payload_since_checkpoint, self.groups_since_checkpoint) = (0, 0);
        count(&self.written.checkpoints, 1);
        if let Err(error) = copier::copy(&self.connection) {
            stop_if_lost(&error);
            tracing::warn!(%error, "the write-ahead log could not be copied yet");
        }
    }

    fn empty_wal(&mut self) -> Result<Committed, CommitError> {
        self.copier.wait();
        (self.payload_since_checkpoint, self.groups_since_checkpoint) = (0, 0);
        let busy = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
        match busy {
            Ok(false) => Ok(plain_commit(self.head, self.head.at_ms).committed),
            Ok(true) => {
                Err(CommitError::Unavailable("readers are in the way of emptying the write-ahead log".to_owned()))
            }
            Err(error) => {
                stop_if_lost(&error);
                Err(failure(&error))
            }
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

fn apply(context: Context<'_, '_>, head: &mut Head, work: &mut Work) -> Result<Commit, Refusal> {
    match work {
        Work::Commit(transaction) => apply::apply(context, head, transaction),
        Work::Guard { size, root, facts } => apply::guard(context.connection, *head, *size, *root, *facts),
        // Done outside of any transaction, see `Writer::run`.
        Work::EmptyWal => Ok(plain_commit(*head, head.at_ms)),
    }
}

fn in_savepoint(context: Context<'_, '_>, head: &mut Head, work: &mut Work) -> Result<Commit, Refusal> {
    let connection = context.connection;
    connection.prepare_cached("SAVEPOINT one")?.execute([])?;
    let result = apply(context, head, work);
    match &result {
        Ok(_) => context.balances.write(connection)?,
        Err(Refusal::Refused(_)) => {
            context.undone();
            connection.prepare_cached("ROLLBACK TO one")?.execute([])?;
        }
        // SQLite may have rolled everything back.
        Err(Refusal::Database(_)) => return result,
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
    if is_full(error) { CommitError::Full } else { CommitError::Unavailable(error.to_string()) }
}

fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}

/// A commit without documents.
fn plain_commit(head: Head, at_ms: i64) -> Commit {
    let at = Timestamp::from_millisecond(at_ms).unwrap_or(Timestamp::MIN);
    let committed = Committed { first_leaf: head.next_leaf, leaves: 0, revision: head.revision, at };
    Commit { committed, docs: Vec::<DocChange>::new(), hashes: Vec::new() }
}
