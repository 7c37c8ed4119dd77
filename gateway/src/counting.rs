//! Persons by subject key: read once from our own stored, verified file, hashed with a key that never leaves this node, and
//! kept as numbers (POLICY.md, "Counting"). Neither a value nor a hash of one reaches log, leaf or metric (INV-10).
//!
//! A file's persons are kept per exporter and year; a version's are the union of its files'. They are taken when the file
//! comes in, and in another year when they are first needed, or a day ahead of it.

use std::sync::Arc;

use catalog::{ColumnClass, Digest, FileEntry, Manifest, ParticipantId, Version};
use gateway_api::{Code, Problem};
use gateway_ledger::Keyset;
use gateway_store::{CommitError, PersonKey, ReadError, Transaction, Write};
use gateway_stream::batches::{BatchError, Projection, RowGroupReader};
use jiff::Timestamp;
use ring::hmac;
use serde_json::json;

use crate::admission::unavailable;
use crate::clock;
use crate::files::{FileError, StoredFile};
use crate::gateway::Shared;

/// Rows whose persons are looked up and numbered together: what counting holds in memory beside a batch.
const ROWS_AT_ONCE: usize = 64 * 1024;

/// Whose persons, in which year.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cell {
    exporter: ParticipantId,
    year: i16,
}

/// The columns that counting reads.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Columns {
    key: String,
    sensitive: Vec<String>,
}

impl Columns {
    /// Those of a file with the leaf columns `leaves`; `None` if the manifest names no key.
    fn of(manifest: &Manifest, leaves: &[String]) -> Option<Self> {
        let key = manifest.dataset.subject_key.clone()?;
        let class = |leaf: &&String| manifest.class_of(leaf).unwrap_or(ColumnClass::Sensitive);
        let sensitive: Vec<String> =
            leaves.iter().filter(|leaf| class(leaf) == ColumnClass::Sensitive).cloned().collect();
        // Where the key itself is sensitive every row says something sensitive: the others need not be read.
        let sensitive = if sensitive.contains(&key) { vec![key.clone()] } else { sensitive };
        Some(Self { key, sensitive })
    }
}

/// What a keyset was made from. The rules of comparable spellings are part of it: were they to change, so would the scope.
fn file_scope(entry: &FileEntry, columns: &Columns) -> Digest {
    let scope = json!({"file": entry.sha256, "key": columns.key, "sensitive": columns.sensitive, "spelling": 1});
    Digest::of(scope.to_string().as_bytes())
}

fn version_scope(files: &[Digest]) -> Digest {
    let files: Vec<String> = files.iter().map(ToString::to_string).collect();
    Digest::of(json!({"files": files}).to_string().as_bytes())
}

/// The scope of a version's persons; `None` if no key tells them apart. `leaves` are its leaf columns.
fn scope(version: &Version, leaves: &[String]) -> Option<(Digest, Columns)> {
    let columns = Columns::of(&version.manifest, leaves)?;
    let files: Vec<Digest> = version.files.iter().map(|entry| file_scope(entry, &columns)).collect();
    Some((version_scope(&files), columns))
}

/// The persons of `version` in `year` as [`ready`] left them, and their scope; `None` if no key tells them apart.
///
/// # Errors
/// 503 if they are not there: the caller asks [`ready`] first.
pub fn keys(
    gateway: &crate::gateway::Gateway,
    version: &Version,
    leaves: &[String],
    year: i16,
) -> Result<Option<(Digest, Keyset)>, Problem> {
    let Some((scope, _)) = scope(version, leaves) else { return Ok(None) };
    let found = gateway.look(|reader| reader.keyset(&version.provider, year, &scope))?;
    let missing = || unavailable("the persons of a version have not been read");
    found.map(|keys| Some((scope, keys))).ok_or_else(missing)
}

/// Sees to it that the persons of `version` are known for the year of `at`.
///
/// # Errors
/// 500 `integrity` when a stored file is not what was inspected (the version is quarantined), 503 when store or records do
/// not answer.
pub async fn ready(gateway: &Shared, version: &Version, leaves: &[String], at: Timestamp) -> Result<(), Problem> {
    let Some((scope, columns)) = scope(version, leaves) else { return Ok(()) };
    let cell = Cell { exporter: version.provider.clone(), year: clock::today(at).year() };
    let is_known = || gateway.look(|reader| reader.has_keyset(&cell.exporter, cell.year, &scope));
    if is_known()? {
        return Ok(());
    }
    // One at a time: whoever waited finds it done.
    let _turn = gateway.counting.lock().await;
    if is_known()? {
        return Ok(());
    }
    let mut union = Keyset::default();
    for entry in &version.files {
        match keys_of_file(gateway, entry, &cell, &columns).await {
            Ok(keys) => union.merge(&keys),
            Err(CountError::Integrity(finding)) => {
                gateway.quarantine(&version.dataset, &version.version, &finding).await;
                return Err(Problem::new(
                    Code::Integrity,
                    "the stored bytes are not what was inspected; the version is quarantined",
                ));
            }
            Err(error) => return Err(unavailable(error)),
        }
    }
    keep(gateway, &cell, scope, union).await.map_err(unavailable)
}

/// [`ready`] for whoever does not know the version's columns yet.
///
/// # Errors
/// As [`ready`].
pub async fn ready_whole(gateway: &Shared, version: &Version, at: Timestamp) -> Result<(), Problem> {
    let Some(entry) = version.files.first() else { return Ok(()) };
    let leaves = gateway.files.open(entry).await.map_err(unavailable)?.leaf_names();
    ready(gateway, version, &leaves, at).await
}

/// Reads the persons of a file that has just come in, for the current year.
///
/// # Errors
/// [`CountError`]; they are read when they are first needed then.
pub async fn take(gateway: &Shared, version: &Version, entry: &FileEntry, at: Timestamp) -> Result<(), CountError> {
    // A file is mapped no sooner than it is needed: what is cut short behind our back while it is mapped ends the process.
    if version.manifest.dataset.subject_key.is_none() {
        return Ok(());
    }
    let broken = |error: FileError| CountError::Broken(error.to_string());
    let file = gateway.files.open(entry).await.map_err(broken)?;
    let Some(columns) = Columns::of(&version.manifest, &file.leaf_names()) else { return Ok(()) };
    let cell = Cell { exporter: version.provider.clone(), year: clock::today(at).year() };
    let _turn = gateway.counting.lock().await;
    let read = keys_of_file(gateway, entry, &cell, &columns).await.map(drop);
    gateway.files.forget(&file.index.sha256);
    read
}

/// Reads, on the last day of a year, the persons of what is published for the next: so that nobody waits for it after
/// midnight. One version a call; whether there is more to do.
pub async fn prepare(gateway: &Shared, at: Timestamp) -> Result<bool, Problem> {
    let tomorrow = at.checked_add(jiff::SignedDuration::from_hours(24)).unwrap_or(at);
    if clock::today(tomorrow).year() == clock::today(at).year() {
        return Ok(false);
    }
    let year = clock::today(tomorrow).year();
    let snapshot = gateway.snapshot();
    for version in snapshot.versions.values() {
        let published = version.state == catalog::VersionState::Published;
        if !published || version.manifest.dataset.subject_key.is_none() {
            continue;
        }
        let Some(entry) = version.files.first() else { continue };
        let leaves = gateway.files.open(entry).await.map_err(unavailable)?.leaf_names();
        let Some((scope, _)) = scope(version, &leaves) else { continue };
        if !gateway.look(|reader| reader.has_keyset(&version.provider, year, &scope))? {
            ready(gateway, version, &leaves, tomorrow).await?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// Why the persons of a file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CountError {
    /// The subject key has no single value a row.
    #[error("the subject key `{0}` has no single value a row")]
    Key(String),
    /// The stored bytes changed after inspection.
    #[error("{0}")]
    Integrity(String),
    /// The file is what was inspected, but cannot be read.
    #[error("the persons of a file cannot be read: {0}")]
    Broken(String),
    /// The records do not answer.
    #[error(transparent)]
    Records(#[from] CommitError),
    /// Likewise.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl From<BatchError> for CountError {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::Integrity(error) => Self::Integrity(error.to_string()),
            error => Self::Broken(error.to_string()),
        }
    }
}

async fn keys_of_file(
    gateway: &Shared,
    entry: &FileEntry,
    cell: &Cell,
    columns: &Columns,
) -> Result<Keyset, CountError> {
    let scope = file_scope(entry, columns);
    if let Some(known) = gateway.records.read(|reader| reader.keyset(&cell.exporter, cell.year, &scope))? {
        return Ok(known);
    }
    let file = gateway.files.open(entry).await.map_err(|error| match error {
        FileError::Integrity(finding) => CountError::Integrity(finding),
        error @ FileError::Store(_) => CountError::Broken(error.to_string()),
    })?;
    let (gateway_, cell_, columns) = (Arc::clone(gateway), cell.clone(), columns.clone());
    let task = tokio::task::spawn_blocking(move || read(&gateway_, &file, &cell_, &columns));
    let keys = task.await.map_err(|error| CountError::Broken(error.to_string()))??;
    keep(gateway, cell, scope, keys.clone()).await?;
    Ok(keys)
}

async fn keep(gateway: &Shared, cell: &Cell, scope: Digest, keys: Keyset) -> Result<(), CommitError> {
    let mut transaction = Transaction::new(clock::now());
    let Cell { exporter, year } = cell.clone();
    transaction.writes.push(Write::Keyset { exporter, year, scope, keys });
    gateway.records.commit(transaction).await.map(drop)
}

/// Walks the verified file once. Runs where blocking is allowed.
fn read(gateway: &Shared, file: &StoredFile, cell: &Cell, columns: &Columns) -> Result<Keyset, CountError> {
    let wanted = |leaf: &str| leaf == columns.key || columns.sensitive.iter().any(|path| path == leaf);
    let leaves: Vec<usize> =
        file.index.leaves.iter().enumerate().filter(|(_, leaf)| wanted(&leaf.path)).map(|(number, _)| number).collect();
    let projection = Arc::new(Projection::new(Arc::clone(&file.footer), &leaves)?);
    if !catalog::subject::is_countable(projection.schema(), &columns.key) {
        return Err(CountError::Key(columns.key.clone()));
    }
    let mut reading = Reading {
        gateway,
        cell,
        key: gateway.secrets.subject_key(cell.exporter.as_str(), cell.year),
        waiting: Vec::new(),
        keys: Keyset::default(),
    };
    for row_group in 0..file.index.row_groups.len() {
        for batch in RowGroupReader::open(Arc::clone(&projection), &file.bytes, row_group)? {
            let rows = catalog::subject::rows(&batch?.records, &columns.key, &columns.sensitive);
            for row in rows.map_err(|error| CountError::Broken(error.to_string()))? {
                reading.row(&row)?;
            }
        }
    }
    reading.flush()?;
    metrics::counter!("kouan_subject_key_files_total").increment(1);
    Ok(reading.keys)
}

/// A file's persons so far.
struct Reading<'a> {
    gateway: &'a Shared,
    cell: &'a Cell,
    key: hmac::Key,
    waiting: Vec<(PersonKey, bool)>,
    keys: Keyset,
}

impl Reading<'_> {
    fn row(&mut self, row: &catalog::subject::Row) -> Result<(), CountError> {
        let Some(value) = &row.key else {
            self.keys.blank_rows = self.keys.blank_rows.saturating_add(1);
            return Ok(());
        };
        let mac = hmac::sign(&self.key, value.as_bytes());
        let mut person = PersonKey::default();
        for (to, from) in person.iter_mut().zip(mac.as_ref()) {
            *to = *from;
        }
        self.waiting.push((person, row.sensitive));
        if self.waiting.len() >= ROWS_AT_ONCE { self.flush() } else { Ok(()) }
    }

    /// Numbers those that wait: the known ones as they are, the others by a commit that gives each key one of its own.
    fn flush(&mut self) -> Result<(), CountError> {
        let mut waiting = std::mem::take(&mut self.waiting);
        // In order of their keys, which is the order of the table; of the same key, the sensitive one stays.
        waiting.sort_unstable_by(|a, b| b.cmp(a));
        waiting.dedup_by_key(|(person, _)| *person);
        waiting.reverse();
        let macs: Vec<PersonKey> = waiting.iter().map(|(person, _)| *person).collect();
        let Cell { exporter, year } = self.cell;
        let look = || self.gateway.records.read(|reader| reader.persons(exporter, *year, &macs));
        let mut numbers = look()?;
        let new: Vec<PersonKey> =
            macs.iter().zip(&numbers).filter(|(_, number)| number.is_none()).map(|(person, _)| *person).collect();
        if !new.is_empty() {
            let mut transaction = Transaction::new(clock::now());
            transaction.writes.push(Write::Persons { exporter: exporter.clone(), year: *year, keys: new });
            self.gateway.records.commit_blocking(transaction)?;
            numbers = look()?;
        }
        for ((_, sensitive), number) in waiting.iter().zip(numbers) {
            let number = number.ok_or_else(|| CountError::Broken("a person has no number".to_owned()))?;
            self.keys.persons.insert(number);
            if *sensitive {
                self.keys.sensitive.insert(number);
            }
        }
        Ok(())
    }
}
