//! What a witness remembers: of each log the largest tree that it has cosigned. Its own small database, nothing shared
//! with a gateway's records.
//!
//! Reading what was seen, judging a request by it and writing what is seen from now on are one transaction, one at a
//! time: of two histories that ask at once exactly one wins. A cosignature may leave when [`WitnessStore::witness`]
//! returns, because then it is durable; a failed sync ends the process ([`crate::durable`]).

use std::fs::{File, OpenOptions as FileOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gateway_audit::NodeHash;
use gateway_audit::witness::server::Cosigned;
use gateway_audit::witness::{Refusal, Seen};
use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, TransactionBehavior};

use crate::durable::{self, sync_failed};
use crate::{crashpoint, folders};

/// Versions of the database, one step each. Append, never edit.
const MIGRATIONS: [&str; 1] = ["
CREATE TABLE seen (origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, at INTEGER NOT NULL) STRICT;
CREATE TABLE conflict (
    seq INTEGER PRIMARY KEY,
    origin TEXT NOT NULL,
    at INTEGER NOT NULL,
    size INTEGER NOT NULL,
    root BLOB NOT NULL,
    checkpoint TEXT NOT NULL
) STRICT;
"];

/// Signed checkpoints that contradict what was seen: so many are kept of one log.
const CONFLICTS_MAX: i64 = 64;

/// Why a witness's memory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WitnessStoreError {
    /// It is not there, although the witness's key is.
    #[error(
        "`{}` is missing: without its memory this key could cosign another history. Restore the file if it is the newest, \
         else retire the key and make another", .0.display()
    )]
    Missing(PathBuf),
    /// Another process has it.
    #[error("`{}` is in use by another process", .0.display())]
    InUse(PathBuf),
    /// It was written by a later version of this program, or does not hold together.
    #[error("`{}` cannot be used: {why}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A file cannot be used.
    #[error("`{}` cannot be used: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The database cannot be used now.
    #[error("the witness's memory cannot be used: {0}")]
    Database(#[from] rusqlite::Error),
}

/// A witness's memory, open in one process.
#[derive(Debug)]
pub struct WitnessStore {
    connection: Mutex<Connection>,
    _lock: File,
}

impl WitnessStore {
    /// Makes the database at `path`, or opens it if it is there.
    ///
    /// # Errors
    ///
    /// [`WitnessStoreError`].
    pub fn create(path: &Path) -> Result<Self, WitnessStoreError> {
        let fault = |source| WitnessStoreError::File { path: path.to_owned(), source };
        durable::create_dir(&durable::folder_of(path)).map_err(fault)?;
        Self::at(path)
    }

    /// Opens the database at `path`.
    ///
    /// # Errors
    ///
    /// [`WitnessStoreError::Missing`] if there is none.
    pub fn open(path: &Path) -> Result<Self, WitnessStoreError> {
        if !path.exists() {
            return Err(WitnessStoreError::Missing(path.to_owned()));
        }
        Self::at(path)
    }

    fn at(path: &Path) -> Result<Self, WitnessStoreError> {
        let damaged = |why: String| WitnessStoreError::Damaged { path: path.to_owned(), why };
        let lock = lock(path)?;
        folders::sync_strictly();
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        // A rollback journal: each commit is in the database's own file, and every sync's failure is told at its commit. The
        // journal is emptied, not removed: SQLite does not tell of a failed sync of the folder in which it makes one.
        connection.pragma_update(None, "journal_mode", "TRUNCATE")?;
        connection.pragma_update(None, "synchronous", "EXTRA")?;
        let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if verdict != "ok" {
            return Err(damaged(verdict));
        }
        let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
        if version > known {
            return Err(damaged(format!("it is of version {version}, this program knows {known}")));
        }
        // The journal must be there when its folder is synced: where it is missing something is written, if only the same again.
        if version < known || !beside(path, "-journal").exists() {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for step in MIGRATIONS.iter().skip(usize::try_from(version).unwrap_or(0)) {
                transaction.execute_batch(step)?;
            }
            transaction.pragma_update(None, "user_version", known)?;
            transaction.commit().inspect_err(stop_if_lost)?;
        }
        let folder = durable::folder_of(path);
        durable::sync_dir(&folder).map_err(|source| WitnessStoreError::File { path: folder, source })?;
        Ok(Self { connection: Mutex::new(connection), _lock: lock })
    }

    /// The largest tree of the log `origin` that was cosigned.
    ///
    /// # Errors
    ///
    /// [`WitnessStoreError::Database`].
    pub fn seen(&self, origin: &str) -> Result<Seen, WitnessStoreError> {
        Ok(seen(&self.connection(), origin)?)
    }

    /// How many contradicting checkpoints of `origin` are kept.
    ///
    /// # Errors
    ///
    /// [`WitnessStoreError::Database`].
    pub fn conflicts(&self, origin: &str) -> Result<u64, WitnessStoreError> {
        let count =
            self.connection()
                .query_row("SELECT count(*) FROM conflict WHERE origin = ?1", [origin], |row| row.get::<_, i64>(0))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Judges a request of `origin`, whose checkpoint is `checkpoint`, by what was seen of that log, and remembers what is
    /// seen from now on. What the log signed against what was seen is kept as evidence.
    ///
    /// # Errors
    ///
    /// [`WitnessStoreError::Database`]: nothing was cosigned. What `judge` refuses is the inner result.
    pub fn witness(
        &self,
        (origin, checkpoint): (&str, &str),
        now: Timestamp,
        judge: impl FnOnce(Seen) -> Result<Cosigned, Refusal>,
    ) -> Result<Result<Cosigned, Refusal>, WitnessStoreError> {
        let mut connection = self.connection();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let before = seen(&transaction, origin)?;
        let judged = judge(before);
        let at = now.as_millisecond();
        let written = match &judged {
            Ok(Cosigned { seen, .. }) => transaction
                .prepare_cached(
                    "INSERT INTO seen (origin, size, root, at) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (origin) DO UPDATE SET size = excluded.size, root = excluded.root, at = excluded.at",
                )?
                .execute((origin, stored(seen.size), seen.root.as_bytes(), at)),
            Err(refusal) if refusal.is_evidence() => transaction
                .prepare_cached(
                    "INSERT INTO conflict (origin, at, size, root, checkpoint) SELECT ?1, ?2, ?3, ?4, ?5
                     WHERE (SELECT count(*) FROM conflict WHERE origin = ?1) < ?6
                     AND NOT EXISTS (SELECT 1 FROM conflict WHERE checkpoint = ?5)",
                )?
                .execute((origin, at, stored(before.size), before.root.as_bytes(), checkpoint, CONFLICTS_MAX)),
            Err(_) => return Ok(judged),
        };
        written.inspect_err(stop_if_lost)?;
        crashpoint!("witness.before_commit");
        transaction.commit().inspect_err(stop_if_lost)?;
        crashpoint!("witness.after_fsync");
        Ok(judged)
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A transaction that was left by a panic is rolled back by its own drop.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn seen(connection: &Connection, origin: &str) -> rusqlite::Result<Seen> {
    let mut query = connection.prepare_cached("SELECT size, root FROM seen WHERE origin = ?1")?;
    let row = query.query_row([origin], |row| Ok((crate::reader::number(row, 0)?, row.get::<_, [u8; 32]>(1)?)));
    let row = row.optional().inspect_err(stop_if_lost)?;
    Ok(row.map_or_else(Seen::default, |(size, root)| Seen { size, root: NodeHash::from_bytes(root) }))
}

/// A size as SQLite holds it; no log reaches 2^63 entries.
fn stored(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn stop_if_lost(error: &rusqlite::Error) {
    if error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure) {
        sync_failed("the witness's memory", error);
    }
}

/// The file beside `path` that is named like it, and `ending`.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn lock(path: &Path) -> Result<File, WitnessStoreError> {
    let path = beside(path, ".lock");
    let open = FileOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = open.map_err(|source| WitnessStoreError::File { path: path.clone(), source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(WitnessStoreError::InUse(path)),
        Err(TryLockError::Error(source)) => Err(WitnessStoreError::File { path, source }),
    }
}
