//! Opening a data directory: lock, settings, schema, check, and what the last run left.

use std::fs::{File, OpenOptions as FileOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use gateway_audit::leaf::LeafHead;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _};
use serde_json::{Map, Value};

use super::{DATABASE_FILE, InDoubt, LOCK_FILE, OpenError, OpenOptions, ReadError, Records, Recovered};
use crate::lookup::Recent;
use crate::transaction::Transaction;
use crate::writer::Head;
use crate::{crashpoint, durable, folders, schema};

/// A directory that is ours, before its writer runs.
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) head: Head,
    pub(super) recent: Recent,
    pub(super) lock: File,
    pub(super) created: bool,
    pub(super) clean: bool,
    /// Size of the log that was signed last.
    pub(super) guarded: u64,
}

pub(super) fn open(dir: &Path, options: &OpenOptions) -> Result<Opened, OpenError> {
    let fault = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::File { path, source }
    };
    durable::create_dir(dir).map_err(fault(dir))?;
    let lock = lock(dir)?;

    folders::sync_strictly();
    let path = dir.join(DATABASE_FILE);
    let mut connection = Connection::open(&path)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(64);
    // Of a new database; an older one keeps what it has. Twice SQLite's own: a decision's rows then fill a page, where each page
    // costs two calls of the system.
    connection.pragma_update(None, "page_size", 8192)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // EXTRA syncs the folder too, which a database that is being created needs.
    connection.pragma_update(None, "synchronous", "EXTRA")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    connection.pragma_update(None, "cache_size", -65_536)?;
    // What a statement or a savepoint may have to undo would else go to a file.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // What is deleted or replaced is overwritten: an erased person's key must not stay in a free part of a page.
    connection.pragma_update(None, "secure_delete", "ON")?;
    // SQLite ignores errors of its automatic checkpoints, a failed sync among them: the writer makes its own.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    if let Some(bytes) = options.database_bytes_max {
        let page: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
        let pages = i64::try_from(bytes).unwrap_or(i64::MAX) / page.max(1);
        connection.pragma_update(None, "max_page_count", pages)?;
    }
    let created = schema::migrate(&mut connection)?;
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Err(OpenError::Damaged(verdict));
    }
    durable::sync_dir(dir).map_err(fault(dir))?;
    connection.pragma_update(None, "synchronous", "FULL")?;

    let (revision, clean): (i64, bool) =
        connection.query_row("SELECT revision, clean FROM head", [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    connection.execute("UPDATE head SET clean = 0", [])?;
    // What was granted and not accounted for by now will not be: it stays in the egress meter as what may have left, but is
    // no longer under way.
    connection.execute(
        "UPDATE lease SET doubt_bytes = max(0, granted_bytes - sent_bytes - unsent_bytes) WHERE state = 'active'",
        [],
    )?;
    if !clean {
        // What was read in the last moments of that run may not have been counted: the closing leaf says so.
        connection.execute("UPDATE access SET interrupted = 1", [])?;
    }
    let head = head(&connection, revision)?;
    let recent = Recent::load(&mut connection, options.recent_max)?;
    let guarded = connection
        .query_row("SELECT size FROM guard", [], |row| crate::reader::number(row, 0))
        .optional()?
        .unwrap_or(0);
    // From here on `writer/syncer` syncs.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    Ok(Opened { connection, head, recent, lock, created, clean, guarded })
}

fn lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join(LOCK_FILE);
    let open = FileOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = open.map_err(|source| OpenError::File { path: path.clone(), source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(dir.to_owned())),
        Err(TryLockError::Error(source)) => Err(OpenError::File { path, source }),
    }
}

/// Where the log stands: every index below the last one was given before it (the writer gives no other).
fn head(connection: &Connection, revision: i64) -> Result<Head, OpenError> {
    let last: Option<(u64, Vec<u8>)> = connection
        .query_row("SELECT idx, body FROM entry ORDER BY idx DESC LIMIT 1", [], |row| {
            Ok((crate::reader::number(row, 0)?, row.get(1)?))
        })
        .optional()?;
    let mut head = Head { next_leaf: 0, at_ms: i64::MIN, revision: u64::try_from(revision).unwrap_or(0), batches: 0 };
    if let Some((index, body)) = last {
        let leaf = LeafHead::read(&body).map_err(|error| OpenError::Damaged(format!("log entry {index}: {error}")))?;
        head.next_leaf = index + 1;
        head.at_ms = leaf.at.as_millisecond();
    }
    Ok(head)
}

impl Records {
    /// Finds the leases in doubt and, after a run that did not close, says so in the log.
    pub(super) fn recover(&self, now: Timestamp, created: bool, clean: bool) -> Result<Recovered, OpenError> {
        let (in_doubt, size): (Vec<InDoubt>, u64) = self.read(|reader| Ok((reader.in_doubt()?, reader.log_size()?)))?;
        let leaf = if clean {
            None
        } else {
            let mut transaction = Transaction::new(now);
            let mut members = Map::new();
            members.insert("kind".to_owned(), "recovery".into());
            members.insert("leases".to_owned(), Value::from(in_doubt.len()));
            members.insert("size".to_owned(), size.into());
            transaction.leaf(members);
            crashpoint!("start.before_recovery");
            let leaf = self.commit_blocking(transaction)?.first_leaf;
            crashpoint!("start.after_recovery");
            Some(leaf)
        };
        let log_size = leaf.map_or(size, |leaf| leaf + 1);
        let last = self.read(|reader| reader.leaves_before(log_size, 1))?.pop();
        let latest = last.map(|(index, body)| {
            let head = LeafHead::read(&body);
            head.map(|head| head.at).map_err(|error| OpenError::Damaged(format!("log entry {index}: {error}")))
        });
        Ok(Recovered { created, clean, log_size, latest: latest.transpose()?, in_doubt, leaf })
    }
}

impl From<serde_json::Error> for ReadError {
    fn from(error: serde_json::Error) -> Self {
        Self::Damaged { what: format!("JSON ({error})") }
    }
}
