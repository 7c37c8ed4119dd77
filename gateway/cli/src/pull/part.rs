//! `NAME.part`: written at any offset, locked against another pull, renamed only when verified.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use catalog::Digest;
use catalog::digest::Hasher;
use gateway_ledger::IntervalSet;
use gateway_stream::chunks::{self, ChunkEntry};

use super::sidecar::{Identity, Sidecar};
use crate::error::CommandError;
use crate::files;

/// How often opening is tried again when another pull finishes at that very moment.
const OPEN_ATTEMPTS_MAX: u32 = 8;
/// Bytes hashed at a time.
const HASH_BUFFER_BYTES: usize = 1 << 20;

/// The partial file of one pull, exclusively locked.
#[derive(Debug)]
pub struct Part {
    file: File,
    path: PathBuf,
    target: PathBuf,
}

/// How a part was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nothing usable was there.
    Fresh,
    /// These bytes of the same representation are there.
    Resumed(IntervalSet),
    /// A part of something else was there and was emptied.
    Other,
}

impl Part {
    /// Opens and locks the part of `target`.
    ///
    /// # Errors
    ///
    /// [`CommandError::Unavailable`] if another pull is writing it.
    pub fn open(target: &Path) -> Result<Self, CommandError> {
        let path = files::suffixed(target, ".part");
        for _ in 0..OPEN_ATTEMPTS_MAX {
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
            let file = file.map_err(CommandError::io(&path, "open"))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(CommandError::Unavailable(format!("another pull is writing `{}`", path.display())));
                }
                Err(TryLockError::Error(error)) => {
                    return Err(CommandError::io(&path, "lock")(error));
                }
            }
            // Between our open and our lock another pull may have verified this very file and renamed it: what we
            // hold would then be its final file.
            if is_at(&file, &path) {
                return Ok(Self { file, path, target: target.to_owned() });
            }
        }
        Err(CommandError::Unavailable(format!("`{}` is renamed again and again", path.display())))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes up what an earlier run of the same representation left; else empties the file.
    pub fn take_up(&self, identity: &Identity) -> Result<Found, CommandError> {
        let length = self.file.metadata().map_err(CommandError::io(&self.path, "look at"))?.len();
        match Sidecar::load(&self.path) {
            Some(sidecar) if sidecar.identity == *identity && length <= identity.bytes => {
                let there: IntervalSet = IntervalSet::from(0..length);
                Ok(Found::Resumed(sidecar.done.intersection(&there)))
            }
            other => {
                self.empty()?;
                Ok(if other.is_some() { Found::Other } else { Found::Fresh })
            }
        }
    }

    /// Forgets everything: the sidecar first, so that no crash leaves it beside other bytes.
    pub fn empty(&self) -> Result<(), CommandError> {
        Sidecar::remove(&self.path)?;
        self.file.set_len(0).map_err(CommandError::io(&self.path, "empty"))
    }

    /// Writes bytes at an offset. They are not durable yet.
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), CommandError> {
        self.file.write_all_at(bytes, offset).map_err(CommandError::io(&self.path, "write"))
    }

    /// Makes every written byte durable, then says so in the sidecar.
    pub fn checkpoint(&self, sidecar: &Sidecar) -> Result<(), CommandError> {
        self.file.sync_data().map_err(CommandError::io(&self.path, "sync"))?;
        sidecar.store(&self.path)
    }

    /// Whether the bytes of a chunk have its digest.
    pub fn verify(&self, chunk: &ChunkEntry) -> Result<bool, CommandError> {
        verify(&self.file, &self.path, chunk)
    }

    /// SHA-256 of the first `bytes` bytes.
    pub fn sha256(&self, bytes: u64) -> Result<Digest, CommandError> {
        sha256(&self.file, &self.path, bytes)
    }

    /// Gives the verified part its final name, durably, and removes the sidecar.
    pub fn finish(&self) -> Result<(), CommandError> {
        self.file.sync_all().map_err(CommandError::io(&self.path, "sync"))?;
        files::rename_durably(&self.path, &self.target)?;
        Sidecar::remove(&self.path)
    }
}

/// Whether the bytes of `chunk` in `file` have its digest.
pub fn verify(file: &File, path: &Path, chunk: &ChunkEntry) -> Result<bool, CommandError> {
    let read = |offset: u64, buffer: &mut [u8]| file.read_exact_at(buffer, offset);
    match chunks::verify_entry(chunk, read) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        other => other.map_err(CommandError::io(path, "read")),
    }
}

/// SHA-256 of the first `bytes` bytes of `file`.
pub fn sha256(file: &File, path: &Path, bytes: u64) -> Result<Digest, CommandError> {
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; HASH_BUFFER_BYTES];
    let mut at = 0;
    while at < bytes {
        let length = usize::try_from(bytes - at).map_or(buffer.len(), |left| left.min(buffer.len()));
        let (piece, _) = buffer.split_at_mut(length);
        file.read_exact_at(piece, at).map_err(CommandError::io(path, "read"))?;
        hasher.update(piece);
        at += length as u64;
    }
    Ok(hasher.finish())
}

fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(ours), Ok(named)) => ours.dev() == named.dev() && ours.ino() == named.ino(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn identity(etag: &str) -> Identity {
        Identity {
            dataset: "d".to_owned(),
            version: "1".to_owned(),
            file: "a".to_owned(),
            columns: Vec::new(),
            redact: false,
            etag: etag.to_owned(),
            bytes: 10,
            chunks: Digest::of(b""),
        }
    }

    #[test]
    fn two_pulls_never_share_a_part() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a");
        let first = Part::open(&target).unwrap();
        assert!(matches!(Part::open(&target), Err(CommandError::Unavailable(_))));
        first.write_at(0, b"0123456789").unwrap();
        first.finish().unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"0123456789");
        // The lock went with the final file; a new part is another file.
        let second = Part::open(&target).unwrap();
        second.write_at(0, b"x").unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"0123456789");
    }

    #[test]
    fn a_part_is_taken_up_only_for_the_same_representation_and_only_where_bytes_are() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a");
        let done: IntervalSet = [0..4, 6..10].into_iter().collect();
        {
            let part = Part::open(&target).unwrap();
            assert_eq!(part.take_up(&identity("\"1\"")).unwrap(), Found::Fresh);
            part.write_at(0, b"01234567").unwrap();
            part.checkpoint(&Sidecar::new(identity("\"1\""), done)).unwrap();
        }
        let part = Part::open(&target).unwrap();
        // The file has eight bytes: what the sidecar says beyond them is not believed.
        let there: IntervalSet = [0..4, 6..8].into_iter().collect();
        assert_eq!(part.take_up(&identity("\"1\"")).unwrap(), Found::Resumed(there));
        assert_eq!(part.take_up(&identity("\"2\"")).unwrap(), Found::Other);
        assert_eq!(std::fs::metadata(part.path()).unwrap().len(), 0);
        assert_eq!(part.take_up(&identity("\"1\"")).unwrap(), Found::Fresh);
    }
}
