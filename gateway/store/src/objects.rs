//! Content-addressed files under `DIR/objects`: written once, read-only, mapped into memory to be sent.
//!
//! Mapping is sound because these files are ours, have mode 0400 and are never truncated; a file of somebody else's is
//! copied in first (INV-11).

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use catalog::digest::Hasher;
use catalog::{Digest, FileIndex};
use memmap2::Mmap;

use crate::durable;

/// Longest stored index that is read, in bytes: a terabyte's block hashes.
const INDEX_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;

/// Why an object cannot be stored or had.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// There is no such object.
    #[error("object {0} is not in the store")]
    Missing(Digest),
    /// Its bytes are not what its name says.
    #[error("object {expected} has the digest {got}")]
    Digest {
        /// Its name.
        expected: Digest,
        /// What is there.
        got: Digest,
    },
    /// A stored index does not parse.
    #[error("index {digest} does not parse: {source}")]
    Index {
        /// Its name.
        digest: Digest,
        /// Why.
        source: serde_json::Error,
    },
    /// The disk is full.
    #[error("the disk is full")]
    Full,
    /// A file cannot be used.
    #[error("`{}` cannot be used: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl ObjectError {
    fn at(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        |source| {
            if durable::is_full(&source) { Self::Full } else { Self::File { path: path.to_owned(), source } }
        }
    }
}

/// The object store of a data directory. Clones share its cache of mappings.
#[derive(Debug, Clone)]
pub struct Objects {
    dir: PathBuf,
    temporary: PathBuf,
    cache: Arc<Cache>,
}

#[derive(Debug, Default)]
struct Cache {
    mappings: Mutex<HashMap<Digest, Weak<Mmap>>>,
    indexes: Mutex<HashMap<Digest, Weak<FileIndex>>>,
}

/// Keeps a mapping alive for as long as a slice of it is.
struct Mapped(Arc<Mmap>);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Objects {
    /// Opens the store of the data directory `dir` and removes what earlier runs left half-written.
    pub fn open(dir: &Path) -> Result<Self, ObjectError> {
        let (objects, temporary) = (dir.join("objects"), dir.join("tmp"));
        for folder in [&objects, &temporary] {
            durable::create_dir(folder).map_err(ObjectError::at(folder))?;
        }
        let clear = || {
            for entry in fs::read_dir(&temporary)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    fs::remove_dir_all(entry.path())?;
                } else {
                    fs::remove_file(entry.path())?;
                }
            }
            durable::remove_temporaries(&objects)
        };
        clear().map_err(ObjectError::at(&temporary))?;
        Ok(Self { dir: objects, temporary, cache: Arc::default() })
    }

    /// A new empty file in `DIR/tmp`, removed when dropped unless it is adopted.
    pub fn spool(&self) -> Result<Spool, ObjectError> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = self.temporary.join(format!("{}-{number}", std::process::id()));
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).mode(0o600).open(&path);
        let file = file.map_err(ObjectError::at(&path))?;
        Ok(Spool { file, path, hasher: Hasher::default(), bytes: 0 })
    }

    /// Where the object is or would be.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.dir.join(digest.hex())
    }

    /// Whether the object is here.
    pub fn contains(&self, digest: &Digest) -> bool {
        self.path(digest).is_file()
    }

    /// Takes a file that was hashed as it was written: synced, made read-only, renamed to its
    /// digest. The file must be on the same file system. It replaces an object that is here
    /// already, which may have been damaged.
    pub fn adopt(&self, file: &Path, digest: &Digest) -> Result<(), ObjectError> {
        let path = self.path(digest);
        let adopt = || {
            fs::set_permissions(file, Permissions::from_mode(0o400))?;
            durable::sync(&File::open(file)?, file);
            fs::rename(file, &path)?;
            durable::sync_dir(&self.dir)
        };
        adopt().map_err(ObjectError::at(file))?;
        // Whoever sends the file that was there keeps its mapping; the next one gets the new file's.
        lock(&self.cache.mappings).remove(digest);
        Ok(())
    }

    /// Takes a spool under the digest of what was written through it.
    #[expect(clippy::needless_pass_by_value, reason = "an adopted spool is gone")]
    pub fn adopt_spool(&self, spool: Spool) -> Result<(Digest, u64), ObjectError> {
        let (digest, bytes) = (spool.hasher.clone().finish(), spool.bytes);
        self.adopt(&spool.path, &digest)?;
        Ok((digest, bytes))
    }

    /// The object's bytes, mapped, not copied; slices of it keep the mapping.
    ///
    /// They are not checked here: whoever sends a range verifies the blocks it touches (INV-11).
    pub fn map(&self, digest: &Digest) -> io::Result<Bytes> {
        let mut mappings = lock(&self.cache.mappings);
        if let Some(mapping) = mappings.get(digest).and_then(Weak::upgrade) {
            return Ok(Bytes::from_owner(Mapped(mapping)));
        }
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(self.path(digest))?;
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.mode() & 0o222 != 0 {
            let why = format!("object {digest} is not a read-only file: it could be truncated while it is sent");
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
        if metadata.len() == 0 {
            return Ok(Bytes::new());
        }
        // SAFETY: the file is ours, read-only and never truncated or rewritten, so the mapped bytes do not change and
        // do not vanish under a reader.
        let mapping = Arc::new(unsafe { Mmap::map(&file)? });
        mappings.retain(|_, held| held.strong_count() > 0);
        mappings.insert(*digest, Arc::downgrade(&mapping));
        Ok(Bytes::from_owner(Mapped(mapping)))
    }

    /// Removes an object that belongs to nothing. Not being there is fine.
    pub fn discard(&self, digest: &Digest) -> Result<(), ObjectError> {
        let path = self.path(digest);
        match fs::remove_file(&path) {
            Ok(()) => durable::sync_dir(&self.dir).map_err(ObjectError::at(&self.dir)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(ObjectError::at(&path)(error)),
        }
    }

    /// Checks an object against its digest, reading all of it.
    pub fn verify(&self, digest: &Digest) -> Result<(), ObjectError> {
        let path = self.path(digest);
        let mut file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ObjectError::Missing(*digest));
            }
            file => file.map_err(ObjectError::at(&path))?,
        };
        let (mut hasher, mut buffer) = (Hasher::default(), vec![0; 256 * 1024]);
        loop {
            let read = file.read(&mut buffer).map_err(ObjectError::at(&path))?;
            let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
                break;
            };
            hasher.update(bytes);
        }
        let got = hasher.finish();
        if got == *digest { Ok(()) } else { Err(ObjectError::Digest { expected: *digest, got }) }
    }

    /// Stores the index of a file beside it; the digest is what [`catalog::FileEntry::index`] holds.
    pub fn put_index(&self, index: &FileIndex) -> Result<Digest, ObjectError> {
        let body = serde_json::to_vec(index);
        let body = body.map_err(|source| ObjectError::Index { digest: index.sha256, source })?;
        let digest = Digest::of(&body);
        let path = self.index_path(&digest);
        durable::create_all(&[(&path, &body)], 0o400).map_err(ObjectError::at(&path))?;
        Ok(digest)
    }

    /// A stored index, checked against its digest when it is loaded.
    pub fn index(&self, digest: &Digest) -> Result<Arc<FileIndex>, ObjectError> {
        if let Some(index) = lock(&self.cache.indexes).get(digest).and_then(Weak::upgrade) {
            return Ok(index);
        }
        let path = self.index_path(digest);
        let mut body = Vec::new();
        match File::open(&path).and_then(|file| file.take(INDEX_BYTES_MAX).read_to_end(&mut body)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ObjectError::Missing(*digest));
            }
            read => read.map_err(ObjectError::at(&path))?,
        };
        let got = Digest::of(&body);
        if got != *digest {
            return Err(ObjectError::Digest { expected: *digest, got });
        }
        let index = serde_json::from_slice(&body);
        let index = Arc::new(index.map_err(|source| ObjectError::Index { digest: *digest, source })?);
        let mut indexes = lock(&self.cache.indexes);
        indexes.retain(|_, held| held.strong_count() > 0);
        indexes.insert(*digest, Arc::downgrade(&index));
        Ok(index)
    }

    fn index_path(&self, digest: &Digest) -> PathBuf {
        self.dir.join(format!("{}.index.json", digest.hex()))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file on its way into the store, hashed as it is written.
#[derive(Debug)]
pub struct Spool {
    file: File,
    path: PathBuf,
    hasher: Hasher,
    bytes: u64,
}

impl Spool {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The file itself, for a reader that seeks. Writing to it directly is not hashed.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The digest of what was written through [`Write`] so far.
    pub fn digest(&self) -> Digest {
        self.hasher.clone().finish()
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or(bytes));
        self.bytes += u64::try_from(written).unwrap_or(u64::MAX);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // Adopted: nothing is there under this name. Otherwise the next start removes what is left here.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_object_is_adopted_once_and_mapped_without_a_copy() {
        let dir = tempfile::tempdir().unwrap();
        let objects = Objects::open(dir.path()).unwrap();
        let store = |bytes: &[u8]| {
            let mut spool = objects.spool().unwrap();
            spool.write_all(bytes).unwrap();
            objects.adopt_spool(spool).unwrap()
        };
        let (digest, bytes) = store(b"PAR1 and so on");
        assert_eq!((digest, bytes), (Digest::of(b"PAR1 and so on"), 14));
        assert_eq!(store(b"PAR1 and so on").0, digest);
        objects.verify(&digest).unwrap();
        let (one, two) = (objects.map(&digest).unwrap(), objects.map(&digest).unwrap());
        assert_eq!(&one[..], b"PAR1 and so on");
        assert_eq!(one.as_ptr(), two.as_ptr());
        let tail = one.slice(5..);
        drop((one, two));
        assert_eq!(&tail[..], b"and so on");
        assert_eq!(fs::metadata(objects.path(&digest)).unwrap().mode() & 0o777, 0o400);
        assert_eq!(objects.map(&store(b"").0).unwrap().len(), 0);
        // Nothing half-written is left, and what a crash left is swept.
        assert_eq!(fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0);
        fs::write(dir.path().join("tmp/9-9"), b"half").unwrap();
        Objects::open(dir.path()).unwrap();
        assert_eq!(fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0);
    }

    #[test]
    fn what_was_changed_or_could_change_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let objects = Objects::open(dir.path()).unwrap();
        let digest = Digest::of(b"one");
        assert!(matches!(objects.verify(&digest), Err(ObjectError::Missing(_))));
        assert_eq!(objects.map(&digest).unwrap_err().kind(), io::ErrorKind::NotFound);
        fs::write(objects.path(&digest), b"two").unwrap();
        assert!(matches!(objects.verify(&digest), Err(ObjectError::Digest { .. })));
        assert_eq!(objects.map(&digest).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn an_index_is_what_its_digest_says() {
        let dir = tempfile::tempdir().unwrap();
        let objects = Objects::open(dir.path()).unwrap();
        let (sha256, none) = (Digest::of(b""), Vec::new());
        let index =
            FileIndex { bytes: 0, sha256, row_groups: vec![7], leaves: Vec::new(), units: Vec::new(), regions: none };
        let digest = objects.put_index(&index).unwrap();
        assert_eq!(*objects.index(&digest).unwrap(), index);
        let path = objects.index_path(&digest);
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, fs::read_to_string(&path).unwrap().replace('7', "8")).unwrap();
        assert!(matches!(objects.index(&digest), Err(ObjectError::Digest { .. })));
    }
}
