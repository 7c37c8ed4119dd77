//! A data directory, opened: the handle through which everything is committed and read.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, ThreadId};

use catalog::LeaseId;
use gateway_audit::NodeHash;
use gateway_ledger::Taxes;
use jiff::Timestamp;
use tokio::sync::{oneshot, watch};

use crate::ballast::Ballast;
use crate::lookup::{Filling, RECENT_MAX};
use crate::reader::{Reader, ReaderPool};
use crate::transaction::{Commit, CommitError, Committed, Transaction};
use crate::writer::{
    Audience, Base, Copier, Durable, Halt, Job, Listeners, Prepared, Queue, Reply, Syncer, WAL_GROUPS_MAX, Work,
    Written, write_all,
};

mod open;

/// The database's name in the data directory.
pub const DATABASE_FILE: &str = "kouan.db";

/// The name of its write-ahead log, which SQLite gives.
const LOG_FILE: &str = "kouan.db-wal";

/// The name of the lock in the data directory.
pub const LOCK_FILE: &str = "lock";

/// How to open a data directory.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// The wall clock, for the `recovery` leaf.
    pub now: Timestamp,
    /// Largest database; beyond it commits fail with [`CommitError::Full`]. `None`: the disk's size.
    pub database_bytes_max: Option<u64>,
    /// Tax within prices whose offers say nothing of it.
    pub taxes: Taxes,
    /// How many entries of the newest rows are looked up in memory before they go into an index.
    pub recent_max: usize,
    /// How many groups of commits the write-ahead log takes before it is copied into the database.
    pub wal_groups_max: u32,
    /// Room that is kept in the data directory for what must still be recorded when the disk is full; 0 keeps none.
    pub ballast_bytes: u64,
    /// Most leaves beyond the published ones with which grants are given. `None`: any number.
    pub unpublished_max: Option<u64>,
}

impl OpenOptions {
    /// The usual options at `now`.
    pub fn new(now: Timestamp) -> Self {
        Self {
            now,
            database_bytes_max: None,
            taxes: Taxes::default(),
            recent_max: RECENT_MAX,
            wal_groups_max: WAL_GROUPS_MAX,
            ballast_bytes: 0,
            unpublished_max: None,
        }
    }
}

/// Why a data directory cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("`{}` is in use by another process", .0.display())]
    InUse(PathBuf),
    /// It was written by a later version of this program.
    #[error("the database is of version {found}, this program knows up to {known}: use the newer program")]
    Newer {
        /// Its version.
        found: usize,
        /// Ours.
        known: usize,
    },
    /// The database does not hold together.
    #[error("the database is damaged ({0}): restore a backup or repair the log from a mirror")]
    Damaged(String),
    /// A file or folder cannot be used.
    #[error("`{}` cannot be used: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The database cannot be used.
    #[error("the database cannot be used: {0}")]
    Database(#[from] rusqlite::Error),
    /// What is stored cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The `recovery` leaf could not be recorded.
    #[error("recovery could not be recorded: {0}")]
    Recovery(#[from] CommitError),
}

impl OpenError {
    /// Whether a disk or a file failed, rather than what is on it or who asks.
    pub fn is_io(&self) -> bool {
        match self {
            Self::File { .. } => true,
            Self::Database(error) => io_failed(error),
            Self::Read(error) => error.is_io(),
            Self::Recovery(error) => matches!(error, CommitError::Full | CommitError::Unavailable(_)),
            Self::InUse(_) | Self::Newer { .. } | Self::Damaged(_) => false,
        }
    }
}

fn io_failed(error: &rusqlite::Error) -> bool {
    // A database that can only be opened for reading is one whose file cannot be used.
    use rusqlite::ErrorCode::{CannotOpen, DiskFull, ReadOnly, SystemIoFailure};
    matches!(error.sqlite_error_code(), Some(CannotOpen | DiskFull | ReadOnly | SystemIoFailure))
}

impl ReadError {
    /// Whether a disk or a file failed, rather than what is on it.
    pub fn is_io(&self) -> bool {
        matches!(self, Self::Database(error) if io_failed(error))
    }
}

/// Why something could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The database failed, or holds what it cannot hold.
    #[error("the database cannot be read: {0}")]
    Database(#[from] rusqlite::Error),
    /// A stored value is not of its form: the database was changed by something else.
    #[error("stored {what} is damaged")]
    Damaged {
        /// Which.
        what: String,
    },
    /// The caller's task was cancelled.
    #[error("reading was cancelled")]
    Cancelled,
    /// What would be read is not on disk, and will not be: the thread that syncs has ended abruptly.
    #[error("the records have stopped: start the gateway again")]
    Stopped,
}

/// A lease with grants that no delivery accounts for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InDoubt {
    /// Which.
    pub lease: LeaseId,
    /// Bytes granted and not provably unsent: the upper bound of what left.
    pub granted_bytes: u64,
    /// Bytes recorded as sent.
    pub sent_bytes: u64,
}

/// What opening found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// The directory was new.
    pub created: bool,
    /// The last run closed it. If not, a `recovery` leaf was written.
    pub clean: bool,
    /// Leaves in the log, that one included.
    pub log_size: u64,
    /// When the last of them happened.
    pub latest: Option<Timestamp>,
    /// Active leases granted beyond what was recorded as sent.
    pub in_doubt: Vec<InDoubt>,
    /// Index of the `recovery` leaf.
    pub leaf: Option<u64>,
}

/// The records of a gateway. Clones share one writer.
///
/// The writer stops, and marks the directory as cleanly closed, at [`Records::close`] or when the last clone is gone.
#[derive(Clone)]
pub struct Records(Arc<Inner>);

struct Inner {
    dir: PathBuf,
    queue: Arc<Queue>,
    readers: ReaderPool,
    listeners: Listeners,
    recorded: watch::Receiver<u64>,
    halted: watch::Receiver<bool>,
    written: Arc<Written>,
    filling: Mutex<Filling>,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// The thread on which listeners run.
    telling: ThreadId,
    // Held for as long as anybody may write.
    _lock: File,
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records").field("dir", &self.0.dir).finish_non_exhaustive()
    }
}

impl Records {
    /// Opens `dir`, creating it if need be, and recovers it if the last run did not close it.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; nothing was changed but, at most, that the schema was brought up to date.
    pub fn open(dir: &Path, options: OpenOptions) -> Result<(Self, Recovered), OpenError> {
        let opened = open::open(dir, &options)?;
        let (size, recorded) = watch::channel(opened.head.next_leaf);
        let (queue, listeners) = (Arc::new(Queue::default()), Listeners::default());
        let written = Arc::new(Written::default());
        let recent = Arc::new(opened.recent);
        let ballast = Ballast::new(dir, options.ballast_bytes);
        let halt = Halt::new(ballast, opened.guarded, options.unpublished_max.unwrap_or(u64::MAX));
        let halted = halt.halted();
        let durable = Arc::new(Durable::new(opened.head.revision));
        let readers = ReaderPool::new(dir.join(DATABASE_FILE), Arc::clone(&recent), Arc::clone(&durable));
        let filling = recent.fill_filter(readers.connect()?)?;
        let fault = |source| OpenError::File { path: dir.to_owned(), source };
        let audience = Audience {
            listeners: listeners.clone(),
            recorded: size,
            durable,
            written: Arc::clone(&written),
            queue: Arc::clone(&queue),
        };
        let syncer = Syncer::new(&dir.join(LOG_FILE), audience).map_err(fault)?;
        let telling = syncer.id();
        let base = Base {
            connection: opened.connection,
            head: opened.head,
            recent,
            taxes: options.taxes,
            halt,
            wal_groups_max: options.wal_groups_max,
            copier: Copier::new(&dir.join(DATABASE_FILE))?,
            syncer,
        };
        let (waiting, counted) = (Arc::clone(&queue), Arc::clone(&written));
        let write = move || write_all(base, waiting, counted);
        let thread = std::thread::Builder::new().name("kouan-writer".to_owned()).spawn(write);
        let writer = thread.map_err(fault)?;
        let records = Self(Arc::new(Inner {
            dir: dir.to_owned(),
            queue,
            readers,
            filling: Mutex::new(filling),
            listeners,
            recorded,
            halted,
            written,
            writer: Mutex::new(Some(writer)),
            telling,
            _lock: opened.lock,
        }));
        let recovered = records.recover(options.now, opened.created, opened.clean)?;
        Ok((records, recovered))
    }

    /// Records `transaction`: on success it is synced, its leaves have their indices for ever, and every listener has
    /// heard of it. No checkpoint covers it yet.
    ///
    /// # Errors
    ///
    /// [`CommitError`]: nothing of it is recorded.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, the transaction may or may not be recorded.
    pub async fn commit(&self, transaction: Transaction) -> Result<Committed, CommitError> {
        let prepared = Prepared::new(transaction)?;
        let (reply, answer) = oneshot::channel();
        self.0.queue.push(Job::new(Work::Commit(Box::new(prepared)), Reply::Async(reply)))?;
        answer.await.map_or_else(|_| Err(gone()), |answer| answer.result)
    }

    /// [`Records::commit`] for a thread that may block.
    pub fn commit_blocking(&self, transaction: Transaction) -> Result<Committed, CommitError> {
        self.submit_blocking(Work::Commit(Box::new(Prepared::new(transaction)?)))
    }

    /// Empties the write-ahead log into the database: what a commit before has overwritten is in no file any more.
    ///
    /// # Errors
    ///
    /// [`CommitError::Unavailable`] while somebody reads an older state: try again.
    pub async fn empty_wal(&self) -> Result<(), CommitError> {
        let (reply, answer) = oneshot::channel();
        self.0.queue.push(Job::new(Work::EmptyWal, Reply::Async(reply)))?;
        answer.await.map_or_else(|_| Err(gone()), |answer| answer.result).map(drop)
    }

    /// Records that a checkpoint is about to be signed, and up to which row facts are exported.
    pub(crate) fn guard_blocking(&self, size: u64, root: NodeHash, facts: u64) -> Result<(), CommitError> {
        self.submit_blocking(Work::Guard { size, root, facts }).map(drop)
    }

    fn submit_blocking(&self, work: Work) -> Result<Committed, CommitError> {
        let (reply, answer) = std::sync::mpsc::sync_channel(1);
        self.0.queue.push(Job::new(work, Reply::Blocking(reply)))?;
        answer.recv().map_or_else(|_| Err(gone()), |answer| answer.result)
    }

    /// Reads on the calling thread. Everything `read` does sees one state of the store, which includes every commit
    /// that has resolved, and nothing that is not on disk or that a listener has not heard of: it may wait for a sync.
    pub fn read<T>(&self, read: impl FnOnce(&Reader<'_>) -> Result<T, ReadError>) -> Result<T, ReadError> {
        self.0.readers.read(read)
    }

    /// [`Records::read`] on a thread that may block.
    pub async fn read_async<T, F>(&self, read: F) -> Result<T, ReadError>
    where
        T: Send + 'static,
        F: FnOnce(&Reader<'_>) -> Result<T, ReadError> + Send + 'static,
    {
        let records = self.clone();
        let task = tokio::task::spawn_blocking(move || records.read(read));
        task.await.unwrap_or(Err(ReadError::Cancelled))
    }

    /// Calls `listener` for every transaction in commit order, after it is durable and before its future resolves.
    ///
    /// It runs on the thread that makes commits durable: it must be quick, must neither commit nor read, and should not hold
    /// a `Records`. To keep a copy of documents, register first and read afterwards, and take a document only if its revision
    /// is newer.
    pub fn on_commit(&self, listener: impl Fn(&Commit) + Send + Sync + 'static) {
        self.0.listeners.add(Box::new(listener));
    }

    /// Leaves recorded so far; changes at each group.
    pub fn recorded(&self) -> watch::Receiver<u64> {
        self.0.recorded.clone()
    }

    /// Whether nothing is granted because the disk is full; what has already happened is still recorded.
    pub fn halted(&self) -> watch::Receiver<bool> {
        self.0.halted.clone()
    }

    /// What the writer has done since the records were opened.
    pub fn written(&self) -> &Written {
        &self.0.written
    }

    /// The data directory.
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// Records what is waiting, refuses what comes later, and marks the directory as cleanly closed.
    pub fn close(&self) {
        self.0.close();
    }
}

impl Inner {
    fn close(&self) {
        self.queue.close();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A listener that held the last clone lets go of it on its own thread, for which the writer waits.
        if let Some(writer) = writer.filter(|_| self.telling != std::thread::current().id()) {
            self.filling.lock().unwrap_or_else(PoisonError::into_inner).end();
            self.readers.clear();
            let _ = writer.join();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

fn gone() -> CommitError {
    CommitError::Unavailable("the writer has stopped".to_owned())
}
