//! The key that wraps those of persons: one file outside the data directory, named by its id, so that a copy of the data
//! directory opens nothing. An erasure makes a new one and destroys the old.

use std::io::{self, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use gateway_store::{crashpoint, durable};
use ring::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use ring::rand::SecureRandom;

use crate::secrets::{SecretsError, hex};

/// Extension of a key that the store does not name yet.
const NEXT: &str = "next";

/// The key and its id.
pub(super) struct Kek {
    pub(super) id: String,
    pub(super) key: LessSafeKey,
}

impl Kek {
    /// A new one, on disk before this returns, as `<id>.next`: the store does not name it yet.
    pub(super) fn prepare(folder: &Path, random: &dyn SecureRandom) -> Result<Self, SecretsError> {
        let (mut id, mut bytes) = ([0; 8], [0; 32]);
        random.fill(&mut id).and_then(|()| random.fill(&mut bytes)).map_err(|_| SecretsError::Random)?;
        let id = hex(&id);
        durable::create_dir(folder)?;
        let path = path(folder, &id).with_extension(NEXT);
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(&bytes)?;
        durable::sync(&file, &path);
        durable::sync_dir(folder)?;
        Ok(Self { key: aead(&bytes).ok_or(SecretsError::Random)?, id })
    }

    /// Gives it its name for good. Nothing happens if it has it.
    pub(super) fn keep(folder: &Path, id: &str) -> io::Result<()> {
        let path = path(folder, id);
        match std::fs::rename(path.with_extension(NEXT), path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => durable::sync_dir(folder),
        }
    }

    /// Removes one that was prepared for nothing. If that fails the next start does it.
    pub(super) fn forget(folder: &Path, id: &str) {
        let _ = std::fs::remove_file(path(folder, id).with_extension(NEXT));
    }

    /// The same for all but `id`.
    pub(super) fn forget_others(folder: &Path, id: &str) -> io::Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == NEXT) && path.file_stem() != Some(id.as_ref()) {
                std::fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// The one that the store names. The process may have ended between the commit that names it and [`Kek::keep`].
    pub(super) fn load(folder: &Path, id: &str) -> Result<Self, SecretsError> {
        let path = path(folder, id);
        if !path.exists() && path.with_extension(NEXT).exists() {
            Self::keep(folder, id)?;
        }
        let bytes = std::fs::read(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => SecretsError::NoKek(path.display().to_string()),
            _ => SecretsError::Io(error),
        })?;
        let key = aead(&bytes).ok_or_else(|| SecretsError::Length(path.display().to_string()))?;
        Ok(Self { id: id.to_owned(), key })
    }

    /// Overwrites the file and removes it. Nothing happens if it is gone.
    pub(super) fn destroy(folder: &Path, id: &str) -> io::Result<()> {
        destroy_file(&path(folder, id))
    }
}

/// Overwrites the file of a key and removes it. Nothing happens if it is gone.
pub(super) fn destroy_file(path: &Path) -> io::Result<()> {
    let mut file = match std::fs::OpenOptions::new().write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    file.seek(io::SeekFrom::Start(0))?;
    file.write_all(&[0; 32])?;
    durable::sync(&file, path);
    crashpoint!("erase.overwritten");
    std::fs::remove_file(path)?;
    path.parent().map_or(Ok(()), durable::sync_dir)?;
    crashpoint!("erase.removed");
    Ok(())
}

fn path(folder: &Path, id: &str) -> PathBuf {
    folder.join(format!("{id}.kek"))
}

fn aead(bytes: &[u8]) -> Option<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, bytes).ok().map(LessSafeKey::new)
}
