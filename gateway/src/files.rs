//! Stored files, open and indexed: what every front door reads from.
//!
//! Opening a file maps it, reads its index (whose digest the version's manifest digest covers) and its footer. Opened
//! files and the virtual files made of them are kept, within bounds: a range request then costs no I/O but its own.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use catalog::{Digest, FileEntry, FileIndex};
use gateway_store::Objects;
use gateway_stream::footer::{Footer, FooterError};
use gateway_stream::redact::{self, RedactError};
use gateway_stream::representation::Representation;

const FILES_MAX: usize = 256;
const REPRESENTATIONS_MAX: usize = 1024;

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

/// Least recently opened goes first; small enough for a queue.
#[derive(Debug)]
struct Bounded<K, V> {
    map: HashMap<K, Arc<V>>,
    order: VecDeque<K>,
    max: usize,
}

impl<K: Clone + Eq + Hash, V> Bounded<K, V> {
    fn new(max: usize) -> Self {
        Self { map: HashMap::new(), order: VecDeque::new(), max }
    }

    fn get(&self, key: &K) -> Option<Arc<V>> {
        self.map.get(key).cloned()
    }

    fn put(&mut self, key: K, value: Arc<V>) {
        if self.map.insert(key.clone(), value).is_none() {
            self.order.push_back(key);
        }
        while self.map.len() > self.max {
            let Some(oldest) = self.order.pop_front() else { break };
            self.map.remove(&oldest);
        }
    }
}

type Selection = (Digest, Vec<usize>);

/// The open files of the node.
#[derive(Debug)]
pub struct Files {
    objects: Objects,
    open: Mutex<Bounded<Digest, StoredFile>>,
    virtual_files: Mutex<Bounded<Selection, Representation>>,
}

impl Files {
    /// Nothing open yet.
    pub fn new(objects: Objects) -> Self {
        Self {
            objects,
            open: Mutex::new(Bounded::new(FILES_MAX)),
            virtual_files: Mutex::new(Bounded::new(REPRESENTATIONS_MAX)),
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
        let index = self.objects.index(&index).map_err(|error| FileError::Integrity(error.to_string()))?;
        let bytes = self.objects.map(&sha256).map_err(|error| FileError::Store(error.to_string()))?;
        let footer = Footer::read(Arc::clone(&index), &bytes).map_err(|error| match error {
            FooterError::Integrity(error) => FileError::Integrity(error.to_string()),
            error => FileError::Integrity(error.to_string()),
        })?;
        let file = Arc::new(StoredFile { index, bytes, footer: Arc::new(footer) });
        self.open.lock().unwrap_or_else(PoisonError::into_inner).put(sha256, Arc::clone(&file));
        Ok(file)
    }

    /// Forgets an open file: its bytes turned out not to be what was inspected.
    pub fn forget(&self, sha256: &Digest) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.map.remove(sha256);
        open.order.retain(|key| key != sha256);
    }

    /// The representation of `file` with the leaf columns `leaves` (ascending): the file itself if that is all of them.
    pub fn representation(&self, file: &StoredFile, leaves: &[usize]) -> Result<Arc<Representation>, RedactError> {
        let key = (file.index.sha256, leaves.to_vec());
        let kept = self.virtual_files.lock().unwrap_or_else(PoisonError::into_inner).get(&key);
        if let Some(representation) = kept {
            return Ok(representation);
        }
        let representation = if leaves.len() == file.index.leaves.len() {
            Representation::original(Arc::clone(&file.index))
        } else {
            redact::build(&file.footer, leaves)?
        };
        let representation = Arc::new(representation);
        self.virtual_files.lock().unwrap_or_else(PoisonError::into_inner).put(key, Arc::clone(&representation));
        Ok(representation)
    }
}
