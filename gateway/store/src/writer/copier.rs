//! Copies the write-ahead log into the database while groups go on being written.
//!
//! SQLite lets one connection copy what another has committed. It begins the log anew only when all of it is copied and
//! nobody reads it, so the writer itself copies the little that came meanwhile, between two groups.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::stop_if_lost;
use crate::records::OpenError;

/// Pages that the writer may be left to copy: a few milliseconds.
const LITTLE: i64 = 256;

/// Passes after which the writer copies what there is.
const PASSES_MAX: u32 = 4;

/// How much of the write-ahead log is in the database.
#[derive(Debug, Clone, Copy)]
pub(super) struct Copied {
    /// Pages in the log.
    pub(super) pages: i64,
    /// Those of them that are copied.
    pub(super) done: i64,
}

/// Copies what can be copied without waiting for anybody. Synced, unless SQLite says otherwise.
pub(super) fn copy(connection: &Connection) -> rusqlite::Result<Copied> {
    connection
        .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| Ok(Copied { pages: row.get(1)?, done: row.get(2)? }))
}

/// A thread that copies when asked.
pub(crate) struct Copier {
    asks: Option<SyncSender<()>>,
    finished: Receiver<()>,
    busy: bool,
    thread: Option<JoinHandle<()>>,
}

impl Copier {
    pub(crate) fn new(database: &Path) -> Result<Self, OpenError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(database, flags)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        let (asks, asked) = sync_channel(1);
        let (finish, finished) = sync_channel(1);
        let run = move || {
            while asked.recv().is_ok() {
                most(&connection);
                if finish.send(()).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("kouan-copier".to_owned()).spawn(run);
        let thread = thread.map_err(|source| OpenError::File { path: database.to_owned(), source })?;
        Ok(Self { asks: Some(asks), finished, busy: false, thread: Some(thread) })
    }

    /// Begins to copy, unless it is under way.
    pub(super) fn begin(&mut self) {
        if !self.busy {
            self.busy = self.asks.as_ref().is_some_and(|asks| asks.try_send(()).is_ok());
        }
    }

    /// Whether it has just become done.
    pub(super) fn is_done(&mut self) -> bool {
        let done = self.busy && self.finished.try_recv().is_ok();
        self.busy &= !done;
        done
    }

    /// Waits until nothing is under way.
    pub(super) fn wait(&mut self) {
        if self.busy {
            // An error says that the thread is gone, which is as good.
            let _ = self.finished.recv();
            self.busy = false;
        }
    }
}

impl Drop for Copier {
    fn drop(&mut self) {
        self.wait();
        self.asks = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Copies until little is left.
fn most(connection: &Connection) {
    for _ in 0..PASSES_MAX {
        match copy(connection) {
            Ok(Copied { pages, done }) if pages - done <= LITTLE => return,
            Ok(_) => {}
            Err(error) => {
                stop_if_lost(&error);
                tracing::warn!(%error, "the write-ahead log could not be copied yet");
                return;
            }
        }
    }
}
