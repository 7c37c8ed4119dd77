//! Stored files, open and indexed: what every front door reads from.
//!
//! Opening a file maps it, reads its index (whose digest the version's manifest digest covers) and its footer. Opened
//! files and the virtual files made of them are kept, within bounds: a range request then costs no I/O but its own.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use catalog::{Digest, FileEntry, FileIndex, RegionKind};
use gateway_store::{ObjectError, Objects};
use gateway_stream::footer::{Footer, FooterError};
use gateway_stream::redact::{self, RedactError};
use gateway_stream::representation::Representation;

/// What the kept indexes and footers of open files may take.
const FILES_BYTES_MAX: usize = 64 << 20;
/// What the kept virtual files may take.
const REPRESENTATIONS_BYTES_MAX: usize = 32 << 20;

/// A stored file, mapped and indexed.
#[derive(Debug)]
pub struct StoredFile {
    /// Its index.
    pub index: Arc<FileIndex>,
    /// All of its bytes, mapped: reading them may touch the disk.
    pub bytes: Bytes,
    /// Its footer, verified.
    pub footer: Arc<Footer>,
}

impl StoredFile {
    /// Dotted paths of its leaf columns.
    pub fn leaf_names(&self) -> Vec<String> {
        self.index.leaves.iter().map(|leaf| leaf.path.clone()).collect()
    }
}

/// Why a stored file cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The bytes are not what was inspected: the version must be quarantined.
    #[error("{0}")]
    Integrity(String),
    /// The store does not answer.
    #[error("the object store does not answer: {0}")]
    Store(String),
}

/// Kept values within a budget of bytes; the oldest goes first (INV-9).
#[derive(Debug)]
struct Bounded<K, V> {
    map: HashMap<K, (Arc<V>, usize)>,
    order: VecDeque<K>,
    bytes: usize,
    bytes_max: usize,
}

impl<K: Clone + Eq + Hash, V> Bounded<K, V> {
    fn new(bytes_max: usize) -> Self {
        Self { map: HashMap::new(), order: VecDeque::new(), bytes: 0, bytes_max }
    }

    fn get(&self, key: &K) -> Option<Arc<V>> {
        self.map.get(key).map(|(value, _)| Arc::clone(value))
    }

    /// Keeps `value`, which takes `bytes`; one that is larger than the whole budget is not kept.
    fn put(&mut self, key: K, value: Arc<V>, bytes: usize) {
        self.remove(&key);
        if bytes > self.bytes_max {
            return;
        }
        while self.bytes.saturating_add(bytes) > self.bytes_max {
            let Some(oldest) = self.order.front().cloned() else { break };
            self.remove(&oldest);
        }
        self.bytes = self.bytes.saturating_add(bytes);
        self.order.push_back(key.clone());
        self.map.insert(key, (value, bytes));
    }

    fn remove(&mut self, key: &K) {
        if let Some((_, bytes)) = self.map.remove(key) {
            self.bytes = self.bytes.saturating_sub(bytes);
            self.order.retain(|other| other != key);
        }
    }
}

/// About what an index and the footer parsed from the same file take in memory.
fn weight(index: &FileIndex) -> usize {
    let blocks: usize = index.regions.iter().map(|region| region.blocks.len() * 32 + 160).sum();
    let footer: u64 =
        index.regions.iter().filter(|region| region.kind == RegionKind::Footer).map(|region| region.bytes).sum();
    // Parsed, statistics and offsets take several times what they take in Thrift.
    blocks.saturating_add(usize::try_from(footer).unwrap_or(usize::MAX).saturating_mul(6))
}

type Selection = (Digest, Vec<usize>);

/// The open files of the node.
#[derive(Debug)]
pub struct Files {
    objects: Objects,
    open: Mutex<Bounded<Digest, StoredFile>>,
    redacted: Mutex<Bounded<Selection, Representation>>,
}

impl Files {
    /// Nothing open yet.
    pub fn new(objects: Objects) -> Self {
        Self {
            objects,
            open: Mutex::new(Bounded::new(FILES_BYTES_MAX)),
            redacted: Mutex::new(Bounded::new(REPRESENTATIONS_BYTES_MAX)),
        }
    }

    /// The object store behind it.
    pub fn objects(&self) -> &Objects {
        &self.objects
    }

    /// Opens the stored file of `entry`.
    pub async fn open(self: &Arc<Self>, entry: &FileEntry) -> Result<Arc<StoredFile>, FileError> {
        let sha256 = Digest::parse(&entry.sha256).map_err(|error| FileError::Store(error.to_string()))?;
        if let Some(file) = self.open.lock().unwrap_or_else(PoisonError::into_inner).get(&sha256) {
            return Ok(file);
        }
        let (files, index) = (Arc::clone(self), entry.index);
        tokio::task::spawn_blocking(move || files.read(sha256, index))
            .await
            .map_err(|error| FileError::Store(error.to_string()))?
    }

    /// The index of the stored file of `entry`, without opening the file: also of a version that is quarantined.
    pub async fn index(self: &Arc<Self>, entry: &FileEntry) -> Result<Arc<FileIndex>, FileError> {
        let (files, index) = (Arc::clone(self), entry.index);
        tokio::task::spawn_blocking(move || files.objects.index(&index))
            .await
            .map_err(|error| FileError::Store(error.to_string()))?
            .map_err(|error| FileError::Store(error.to_string()))
    }

    fn read(&self, sha256: Digest, index: Digest) -> Result<Arc<StoredFile>, FileError> {
        // Only what contradicts its digest was changed; a file that cannot be opened just now was not.
        let index = self.objects.index(&index).map_err(|error| match error {
            ObjectError::Digest { .. } | ObjectError::Index { .. } => FileError::Integrity(error.to_string()),
            error => FileError::Store(error.to_string()),
        })?;
        let bytes = self.objects.map(&sha256).map_err(|error| FileError::Store(error.to_string()))?;
        let footer = Footer::read(Arc::clone(&index), &bytes).map_err(|error| match error {
            FooterError::Integrity(error) => FileError::Integrity(error.to_string()),
            // The bytes are what was inspected, and still we cannot read them: our fault, and no reason to withhold them
            // for ever.
            error => FileError::Store(error.to_string()),
        })?;
        let file = Arc::new(StoredFile { index, bytes, footer: Arc::new(footer) });
        self.open.lock().unwrap_or_else(PoisonError::into_inner).put(sha256, Arc::clone(&file), weight(&file.index));
        Ok(file)
    }

    /// Forgets an open file: its bytes turned out not to be what was inspected.
    pub fn forget(&self, sha256: &Digest) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(sha256);
    }

    /// The representation of `file` with the leaf columns `leaves` (ascending): the file itself if that is all of them.
    pub fn representation(&self, file: &StoredFile, leaves: &[usize]) -> Result<Arc<Representation>, RedactError> {
        let key = (file.index.sha256, leaves.to_vec());
        let kept = self.redacted.lock().unwrap_or_else(PoisonError::into_inner).get(&key);
        if let Some(representation) = kept {
            return Ok(representation);
        }
        let representation = if leaves.len() == file.index.leaves.len() {
            Representation::original(Arc::clone(&file.index))
        } else {
            redact::build(&file.footer, leaves)?
        };
        let representation = Arc::new(representation);
        let bytes = representation.memory_bytes();
        self.redacted.lock().unwrap_or_else(PoisonError::into_inner).put(key, Arc::clone(&representation), bytes);
        Ok(representation)
    }
}
