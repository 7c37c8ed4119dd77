//! Files on their way in, resumable: `DIR/uploads/<dataset>/<version>/<name>`.
//!
//! A file's length is its durable offset: every append is synced before it is reported, and the file systems we run on
//! extend a file on disk only after the bytes are there.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use catalog::{DatasetId, VersionName};

use crate::durable;

/// Why bytes were not taken.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The sender and we disagree on how far it is.
    #[error("the upload is at offset {right}, not {got}: continue there")]
    Offset {
        /// Where to continue.
        right: u64,
        /// What the sender said.
        got: u64,
    },
    /// Another request is appending to the same file.
    #[error("another request is uploading `{0}`")]
    Busy(String),
    /// Not a name a file of a version may have.
    #[error("`{0}` is not a file name: 1 to 200 of A-Z, a-z, 0-9, `.`, `_` and `-`, no leading dot")]
    Name(String),
    /// The disk is full. What was taken before stays.
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

impl UploadError {
    fn at(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        |source| {
            if durable::is_full(&source) { Self::Full } else { Self::File { path: path.to_owned(), source } }
        }
    }
}

/// The uploads of a data directory.
#[derive(Debug, Clone)]
pub struct Uploads {
    dir: PathBuf,
}

impl Uploads {
    /// Opens the uploads of the data directory `dir`.
    pub fn open(dir: &Path) -> Result<Self, UploadError> {
        let dir = dir.join("uploads");
        durable::create_dir(&dir).map_err(UploadError::at(&dir))?;
        Ok(Self { dir })
    }

    /// Where the file is or would be.
    pub fn path(&self, dataset: &DatasetId, version: &VersionName, name: &str) -> Result<PathBuf, UploadError> {
        if !catalog::id::is_file_name(name) {
            return Err(UploadError::Name(name.chars().take(80).collect()));
        }
        Ok(self.dir.join(dataset.as_str()).join(version.as_str()).join(name))
    }

    /// How many bytes are here for good; 0 before the first.
    pub fn offset(&self, dataset: &DatasetId, version: &VersionName, name: &str) -> Result<u64, UploadError> {
        let path = self.path(dataset, version, name)?;
        match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            metadata => Ok(metadata.map_err(UploadError::at(&path))?.len()),
        }
    }

    /// Appends `bytes` at offset `at` and gives the new offset once they are durable. Each call syncs: give it
    /// megabytes. It blocks.
    ///
    /// # Errors
    ///
    /// [`UploadError::Offset`] says where to continue; on any error nothing was appended.
    pub fn append(
        &self,
        dataset: &DatasetId,
        version: &VersionName,
        name: &str,
        at: u64,
        bytes: &[u8],
    ) -> Result<u64, UploadError> {
        let path = self.path(dataset, version, name)?;
        let folder = durable::folder_of(&path);
        durable::create_dir(&folder).map_err(UploadError::at(&folder))?;
        let open = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = open.map_err(UploadError::at(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(UploadError::Busy(name.to_owned())),
            Err(TryLockError::Error(source)) => return Err(UploadError::at(&path)(source)),
        }
        let right = file.metadata().map_err(UploadError::at(&path))?.len();
        if at != right {
            return Err(UploadError::Offset { right, got: at });
        }
        let append = |file: &File| -> io::Result<()> {
            file.write_all_at(bytes, at)?;
            durable::sync(file, &path);
            if at == 0 { durable::sync_dir(&folder) } else { Ok(()) }
        };
        if let Err(error) = append(&file) {
            // What was written of it is not durable and must not count.
            file.set_len(at).map_err(UploadError::at(&path))?;
            return Err(UploadError::at(&path)(error));
        }
        Ok(at.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX)))
    }

    /// Removes a file that has been taken into the object store, or given up. Not being there is fine.
    pub fn remove(&self, dataset: &DatasetId, version: &VersionName, name: &str) -> Result<(), UploadError> {
        let path = self.path(dataset, version, name)?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => {
                result.and_then(|()| durable::sync_dir(&durable::folder_of(&path))).map_err(UploadError::at(&path))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_upload_goes_on_where_it_was_and_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        let (dataset, version) = (DatasetId::parse("yue-speech").unwrap(), VersionName::parse("1").unwrap());
        let uploads = Uploads::open(dir.path()).unwrap();
        let append = |at, bytes: &[u8]| uploads.append(&dataset, &version, "a.csv", at, bytes);
        assert_eq!(uploads.offset(&dataset, &version, "a.csv").unwrap(), 0);
        assert_eq!(append(0, b"one,").unwrap(), 4);
        assert!(matches!(append(3, b"two"), Err(UploadError::Offset { right: 4, got: 3 })));
        assert!(matches!(append(9, b"two"), Err(UploadError::Offset { right: 4, got: 9 })));
        assert_eq!(append(4, b"two").unwrap(), 7);
        let path = uploads.path(&dataset, &version, "a.csv").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one,two");
        let other = File::open(&path).unwrap();
        other.lock().unwrap();
        assert!(matches!(append(7, b"!"), Err(UploadError::Busy(_))));
        drop(other);
        for name in ["../a", "a/b", ".a", ""] {
            assert!(matches!(uploads.offset(&dataset, &version, name), Err(UploadError::Name(_))), "{name}");
        }
        uploads.remove(&dataset, &version, "a.csv").unwrap();
        uploads.remove(&dataset, &version, "a.csv").unwrap();
        assert_eq!(uploads.offset(&dataset, &version, "a.csv").unwrap(), 0);
    }
}
