//! New leaves into tiles, facts beside them, and a signed checkpoint over both, within a second of their commit.
//!
//! The order is what makes a crash harmless at every step: facts and tiles are durable before the guard, the guard
//! (outside the data directory first, then in it) before the signature, the signature before the file. Every file is
//! created or compared, so repeating a step changes nothing (INV-6).

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use gateway_audit::note::NoteError;
use gateway_audit::tiles::TileError;
use gateway_audit::{NodeHash, SignedCheckpoint, VerifierKey};
use jiff::Timestamp;
use tokio::sync::watch;

use crate::durable;
use crate::records::{ReadError, Records};
use crate::transaction::CommitError;

mod guard;
mod key;
mod log;
mod recorded;
mod rotation;
mod thread;
mod witnessed;

pub use log::{FACTS_DIR, LOG_DIR};
pub use rotation::KeyPeriod;
pub use witnessed::{WITNESSED_FILE, WitnessedSink, kept as witnessed_kept};

/// How the log is published.
#[derive(Debug, Clone)]
pub struct PublisherOptions {
    /// The signing key, `PRIVATE+KEY+<origin>+…`, mode 0600. Its name is the log's origin.
    pub key_file: PathBuf,
    /// The key that will take over, if the log's key is being changed: both sign until `key_file` names it.
    pub next_key_file: Option<PathBuf>,
    /// Now, for the entries in which keys of the log change.
    pub now: Timestamp,
    /// Last signed size and root, outside the data directory, so that restoring that as a whole is noticed.
    pub guard_file: PathBuf,
    /// Write `guard_file` anew if it is missing although checkpoints were signed. An operator's decision: it gives up
    /// that protection once.
    pub adopt_missing_guard: bool,
    /// Shortest time between two checkpoints.
    pub interval: Duration,
}

impl PublisherOptions {
    /// The usual options: a checkpoint at most every 200 ms.
    pub const fn new(key_file: PathBuf, guard_file: PathBuf) -> Self {
        Self {
            key_file,
            next_key_file: None,
            now: Timestamp::UNIX_EPOCH,
            guard_file,
            adopt_missing_guard: false,
            interval: Duration::from_millis(200),
        }
    }
}

/// Why nothing is published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The log is shorter than what was signed: it was restored from a backup, or its tail is lost.
    #[error(
        "{record} says that a checkpoint of {signed} entries was signed, and this log has {size}: it was restored from \
         a backup or lost its end. Restore the newer log; a smaller one is never signed again"
    )]
    Behind {
        /// Who says so.
        record: String,
        /// The signed size.
        signed: u64,
        /// Ours.
        size: u64,
    },
    /// The log is not a continuation of what was signed.
    #[error(
        "{record} says that the first {signed} entries have the root {expected}, and here they have {got}: this log was \
         altered or is another one. It is not signed"
    )]
    Root {
        /// Who says so.
        record: String,
        /// The signed size.
        signed: u64,
        /// The signed root.
        expected: NodeHash,
        /// Ours.
        got: NodeHash,
    },
    /// The file outside the data directory is gone.
    #[error(
        "`{}` is missing, which remembers the last signed checkpoint of {signed} entries: put it back. Only if \
         it is lost for good, and no mirror or witness has seen more: `kouan serve --adopt-missing-guard` writes it anew",
        path.display()
    )]
    GuardMissing {
        /// Where it should be.
        path: PathBuf,
        /// The size signed last.
        signed: u64,
    },
    /// The file outside the data directory cannot be understood, or is another log's.
    #[error("`{}` is not the guard of `{origin}`: {why}", path.display())]
    Guard {
        /// Where it is.
        path: PathBuf,
        /// Our log.
        origin: String,
        /// What is wrong.
        why: String,
    },
    /// The published entries are not the recorded ones.
    #[error("log entry {0} is not published as it is recorded: the database or the published log was altered")]
    Diverged(u64),
    /// An entry is not the one that was recorded.
    #[error(
        "log entry {0} is not what was recorded: the database was altered since. It is not signed; end the gateway and restore \
         the database"
    )]
    Altered(u64),
    /// The signing key cannot be used.
    #[error("the signing key `{}`: {why}", path.display())]
    Key {
        /// Where it is.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The published checkpoint is not ours.
    #[error("the published checkpoint: {0}")]
    Checkpoint(#[from] NoteError),
    /// The published tiles are not the log's.
    #[error("the published tiles: {0}")]
    Tile(#[from] TileError),
    /// A file cannot be used.
    #[error("`{}` cannot be used: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The store cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store did not take the guard.
    #[error("the guard was not recorded: {0}")]
    Record(#[from] CommitError),
    /// The publisher has stopped.
    #[error("the log is no longer published: {0}")]
    Stopped(String),
}

impl PublishError {
    fn at(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        |source| Self::File { path: path.to_owned(), source }
    }

    /// Whether a disk or a file failed, rather than what is on it.
    pub fn is_io(&self) -> bool {
        match self {
            Self::File { .. } => true,
            Self::Read(error) => error.is_io(),
            Self::Record(error) => matches!(error, CommitError::Full | CommitError::Unavailable(_)),
            _ => false,
        }
    }

    /// Whether the same may work later: no room now, or the store refuses for a moment. Anything else is for a person.
    fn is_transient(&self) -> bool {
        match self {
            Self::File { source, .. } => durable::is_full(source),
            Self::Record(error) => matches!(error, CommitError::Full | CommitError::Unavailable(_)),
            _ => false,
        }
    }
}

/// The checkpoint that is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Entries it covers.
    pub size: u64,
    /// Their root.
    pub root: NodeHash,
    /// The signed note, as in `DIR/log/checkpoint`.
    pub checkpoint: Arc<str>,
}

/// A log that was compared with everything here that remembers what was signed, and in which nothing is signed yet.
pub struct Resumed {
    log: log::Log,
    records: Records,
    options: PublisherOptions,
}

impl fmt::Debug for Resumed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resumed").field("origin", &self.log.key().name()).finish_non_exhaustive()
    }
}

/// Publishes the log of one data directory until it is closed or dropped.
pub struct Publisher {
    published: watch::Receiver<Published>,
    witnessed: watch::Receiver<Option<Published>>,
    sink: WitnessedSink,
    problem: watch::Receiver<Option<String>>,
    key: VerifierKey,
    periods: Vec<KeyPeriod>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("origin", &self.key.name()).finish_non_exhaustive()
    }
}

impl Resumed {
    /// The key that verifies what is signed.
    pub fn key(&self) -> &VerifierKey {
        self.log.key()
    }

    /// The checkpoint that was signed last; that of the empty tree if none ever was.
    ///
    /// # Errors
    ///
    /// [`PublishError`].
    pub fn signed(&self) -> Result<SignedCheckpoint, PublishError> {
        self.log.signed()
    }

    /// Publishes what is new, and goes on by itself.
    ///
    /// # Errors
    ///
    /// [`PublishError`].
    pub fn start(self) -> Result<Publisher, PublishError> {
        let Self { mut log, records, options } = self;
        let (key, interval, recorded) = (log.key().clone(), options.interval, Arc::clone(&log.recorded));
        let periods = log.reconcile_keys(&options)?;
        let first = log.publish()?;
        let (published_to, published) = watch::channel(first);
        let (witnessed_to, witnessed) = watch::channel(log.witnessed.as_ref().map(|newest| newest.published.clone()));
        let (problem_to, problem) = watch::channel(None);
        let stop = Arc::new(AtomicBool::new(false));
        let cosigned = witnessed::Slot::default();
        let thread = thread::Thread {
            log,
            published: published_to,
            witnessed: witnessed_to,
            cosigned: Arc::clone(&cosigned),
            problem: problem_to,
            stop: Arc::clone(&stop),
        };
        let spawned =
            std::thread::Builder::new().name("kouan-publisher".to_owned()).spawn(move || thread.run(interval));
        let thread = spawned.map_err(PublishError::at(records.dir()))?;
        let worker = thread.thread().clone();
        let sink = WitnessedSink::new(cosigned, worker.clone());
        records.on_commit(move |commit| {
            if !commit.hashes.is_empty() {
                recorded.add(commit.committed.first_leaf, &commit.hashes);
                worker.unpark();
            }
        });
        Ok(Publisher { published, witnessed, sink, problem, key, periods, stop, thread: Some(thread) })
    }
}

impl Publisher {
    /// Continues the published log of `records`: compares what was signed with what is recorded, publishes what is
    /// new, and goes on by itself. An empty log has a checkpoint too.
    ///
    /// # Errors
    ///
    /// [`PublishError`]: nothing was signed.
    pub fn start(records: &Records, options: &PublisherOptions) -> Result<Self, PublishError> {
        Self::resume(records, options)?.start()
    }

    /// The first half of [`Publisher::start`]: whoever else remembers what was signed can be asked before more is.
    ///
    /// # Errors
    ///
    /// [`PublishError`].
    pub fn resume(records: &Records, options: &PublisherOptions) -> Result<Resumed, PublishError> {
        let keys = key::Keys::load(options, rotation::known(records)?)?;
        let log = log::Log::resume(records, keys, options)?;
        Ok(Resumed { log, records: records.clone(), options: options.clone() })
    }

    /// The published checkpoint, and each later one.
    pub fn published(&self) -> watch::Receiver<Published> {
        self.published.clone()
    }

    /// The newest checkpoint that a quorum of witnesses has cosigned, durable in [`WITNESSED_FILE`].
    pub fn witnessed(&self) -> watch::Receiver<Option<Published>> {
        self.witnessed.clone()
    }

    /// Where cosigned checkpoints go.
    pub fn sink(&self) -> WitnessedSink {
        self.sink.clone()
    }

    /// Why nothing has been published lately, if so; it is tried again unless [`Publisher::wait`] fails.
    pub fn problem(&self) -> watch::Receiver<Option<String>> {
        self.problem.clone()
    }

    /// The key that verifies the checkpoints.
    pub fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// Every key that has signed the log, the earliest first.
    pub fn keys(&self) -> &[KeyPeriod] {
        &self.periods
    }

    /// The first published checkpoint that covers the leaf with this index.
    ///
    /// # Errors
    ///
    /// [`PublishError::Stopped`]: none will.
    pub async fn wait(&self, index: u64) -> Result<Published, PublishError> {
        let mut published = self.published();
        let covering = published.wait_for(|published| published.size > index).await;
        covering.map(|published| published.clone()).map_err(|_| {
            let why = self.problem.borrow().clone();
            PublishError::Stopped(why.unwrap_or_else(|| "it was closed".to_owned()))
        })
    }

    /// Publishes what is recorded by now and stops.
    pub fn close(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.stop();
    }
}
