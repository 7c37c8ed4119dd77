//! Reading the store. Everything one [`Reader`] answers is of one state of it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use catalog::Digest;
use rusqlite::types::Type;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row, params};

use crate::lookup::{Kind, Print, Recent, View, print, print_of_request};
use crate::records::ReadError;
use crate::transaction::DocKind;
use crate::writer::Durable;

mod access;
mod books;
mod conditions;
mod counting;
mod earlier;
mod lease;
mod log;
mod meter;
mod past;
mod retention;
mod subject;

pub use access::AccessRow;
pub(crate) use books::balance;
pub use books::{PostingFilter, PostingRow, ReceiptRow};
pub use counting::{Counted, DatasetCount};
pub use earlier::{EarlierAnswer, EarlierEvidence, EarlierOpening};
pub use lease::{GrantRow, LeaseFilter, LeaseRow};
pub use meter::{DeliveredFilter, DeliveredRow};
pub use past::{AccountsRow, AnswerRow, Oldest, PastLease};
pub use retention::{EvidenceRow, OpenedLeaf, Stored};
pub use subject::{Erased, OpeningRow, SealedCount, SealedEvidence, SubjectRow};

/// Connections that are kept open when nobody reads.
const IDLE_MAX: usize = 8;

/// A stored document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocRow {
    /// Its id.
    pub id: String,
    /// Its revision.
    pub revision: u64,
    /// JSON.
    pub body: Vec<u8>,
}

/// An answer that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredResponse {
    /// Digest of the request.
    pub body: Digest,
    /// The answer.
    pub response: Vec<u8>,
    /// Its transaction's first leaf.
    pub leaf: Option<u64>,
}

/// A window in which the same refusal answers with its first leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DenialRow {
    /// Digest of principal, request and facts.
    pub key: Digest,
    /// The first leaf.
    pub leaf: u64,
    /// How often the refusal was repeated.
    pub repeats: u64,
    /// Milliseconds since 1970 of the latest.
    pub latest_ms: i64,
}

/// The newest revocation list known of an issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrlRow {
    /// The issuer.
    pub issuer: String,
    /// Big-endian without leading zeros.
    pub number: Vec<u8>,
}

/// A view of the store at one moment.
#[derive(Debug)]
pub struct Reader<'a> {
    connection: &'a Connection,
    lookup: View,
}

impl Reader<'_> {
    /// Every document of a kind, in the order in which they were first stored.
    pub fn docs(&self, kind: DocKind) -> Result<Vec<DocRow>, ReadError> {
        let mut query =
            self.connection.prepare_cached("SELECT id, revision, body FROM doc WHERE kind = ?1 ORDER BY seq")?;
        let rows = query.query_map([kind.as_str()], doc)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// One document.
    pub fn doc(&self, kind: DocKind, id: &str) -> Result<Option<DocRow>, ReadError> {
        let mut query =
            self.connection.prepare_cached("SELECT id, revision, body FROM doc WHERE kind = ?1 AND id = ?2")?;
        Ok(query.query_row(params![kind.as_str(), id], doc).optional()?)
    }

    /// The answer to the request that first used an idempotency key.
    pub fn idempotent(&self, scope: &str, key: &str) -> Result<Option<StoredResponse>, ReadError> {
        Ok(answered(self.connection, &self.lookup, print_of_request(scope, key), (scope, key))?)
    }

    /// The newest revocation list known of an issuer.
    pub fn crl_number(&self, issuer: &str) -> Result<Option<CrlRow>, ReadError> {
        let mut query = self.connection.prepare_cached("SELECT issuer, number FROM crl WHERE issuer = ?1")?;
        let crl = query.query_row([issuer], |row| Ok(CrlRow { issuer: row.get(0)?, number: row.get(1)? }));
        Ok(crl.optional()?)
    }
}

/// The answer to the request that first used an idempotency key.
pub(crate) fn answered(
    connection: &Connection,
    lookup: &View,
    print: Print,
    (scope, key): (&str, &str),
) -> rusqlite::Result<Option<StoredResponse>> {
    for row in lookup.rows(connection, Kind::Idempotency, print)? {
        let mut query = connection.prepare_cached(
            "SELECT body, response, leaf FROM idempotency WHERE seq = ?1 AND scope = ?2 AND key = ?3",
        )?;
        let response = query.query_row(params![row, scope, key], |row| {
            Ok(StoredResponse { body: digest(row, 0)?, response: row.get(1)?, leaf: optional_number(row, 2)? })
        });
        if let Some(response) = response.optional()? {
            return Ok(Some(response));
        }
    }
    Ok(None)
}

/// The body of the row with this digest, if there is one.
pub(crate) fn facts_row(connection: &Connection, lookup: &View, digest: &Digest) -> rusqlite::Result<Option<Vec<u8>>> {
    for row in lookup.rows(connection, Kind::Facts, print(digest))? {
        let mut query = connection.prepare_cached("SELECT body FROM facts WHERE seq = ?1 AND digest = ?2")?;
        if let Some(body) = query.query_row(params![row, digest.as_bytes()], |row| row.get(0)).optional()? {
            return Ok(Some(body));
        }
    }
    Ok(None)
}

fn doc(row: &Row<'_>) -> rusqlite::Result<DocRow> {
    Ok(DocRow { id: row.get(0)?, revision: number(row, 1)?, body: row.get(2)? })
}

/// A non-negative integer.
pub(crate) fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}

/// A non-negative integer or nothing.
pub(crate) fn optional_number(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<u64>> {
    let number: Option<i64> = row.get(column)?;
    let wrong = |number| rusqlite::Error::IntegralValueOutOfRange(column, number);
    number.map(|number| u64::try_from(number).map_err(|_| wrong(number))).transpose()
}

/// A digest.
pub(crate) fn digest(row: &Row<'_>, column: usize) -> rusqlite::Result<Digest> {
    row.get::<_, [u8; 32]>(column).map(Digest::from_bytes)
}

/// Anything that is stored as its text.
fn parsed<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    let text: String = row.get(column)?;
    text.parse().map_err(|error| wrong(column, error))
}

/// The same, or nothing.
fn optional<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>>
where
    T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    let text: Option<String> = row.get(column)?;
    text.map(|text| text.parse().map_err(|error| wrong(column, error))).transpose()
}

fn wrong(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}

fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<jiff::Timestamp> {
    jiff::Timestamp::from_millisecond(row.get(column)?).map_err(|error| wrong(column, error))
}

/// A connection that only reads.
pub(crate) fn connect(database: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(database, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Read-only connections, opened as they are needed and kept for the next reader.
pub(crate) struct ReaderPool {
    database: PathBuf,
    recent: Arc<Recent>,
    durable: Arc<Durable>,
    idle: Mutex<Vec<Connection>>,
}

impl ReaderPool {
    pub(crate) fn new(database: PathBuf, recent: Arc<Recent>, durable: Arc<Durable>) -> Self {
        Self { database, recent, durable, idle: Mutex::default() }
    }

    pub(crate) fn read<T>(&self, read: impl FnOnce(&Reader<'_>) -> Result<T, ReadError>) -> Result<T, ReadError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.connect()?,
        };
        // Before the transaction pins a state: what leaves memory in between is in the table then.
        let lookup = self.recent.view();
        // A transaction pins one state of the store for all that `read` asks.
        let transaction = connection.unchecked_transaction()?;
        let result = self.on_disk(&transaction).and_then(|()| read(&Reader { connection: &transaction, lookup }));
        transaction.finish()?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(connection);
        }
        result
    }

    /// Pins the state that `connection` sees, and waits until it is on disk: a crash must not take back what was read.
    fn on_disk(&self, connection: &Connection) -> Result<(), ReadError> {
        let mut query = connection.prepare_cached("SELECT revision FROM head")?;
        let revision = query.query_row([], |row| number(row, 0))?;
        if self.durable.wait(revision) { Ok(()) } else { Err(ReadError::Stopped) }
    }

    /// A connection of its own, which only reads.
    pub(crate) fn connect(&self) -> rusqlite::Result<Connection> {
        connect(&self.database)
    }

    /// Closes the idle connections.
    pub(crate) fn clear(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
