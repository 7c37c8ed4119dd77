//! Durable files: keys that nobody else reads, and text that is never half written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Why a file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is there already, and is never overwritten.
    #[error("`{}` exists already and is not overwritten", path.display())]
    Exists {
        /// Which.
        path: PathBuf,
    },
    /// It is not there.
    #[error("`{}` does not exist", path.display())]
    Missing {
        /// Which.
        path: PathBuf,
    },
    /// Larger than anything of its kind.
    #[error("`{}` has more than {max} bytes", path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
        /// What would be allowed.
        max: u64,
    },
    /// The operating system said no.
    #[error("cannot {doing} `{}`: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        doing: &'static str,
        /// On which path.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

impl FileError {
    pub(crate) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::AlreadyExists => Self::Exists { path },
            io::ErrorKind::NotFound => Self::Missing { path },
            _ => Self::Io { doing, path, source },
        }
    }
}

/// Writes a private key with mode 0600, durably, and only if nothing is there yet.
///
/// The file appears whole or not at all.
///
/// # Errors
///
/// [`FileError::Exists`] if there is a file of that name, whatever is in it.
pub fn write_key_file(path: &Path, pem: &str) -> Result<(), FileError> {
    write_new(path, pem.as_bytes(), 0o600)
}

/// Writes a public file with mode 0644, durably, and only if nothing is there yet.
pub fn write_public_file(path: &Path, text: &str) -> Result<(), FileError> {
    write_new(path, text.as_bytes(), 0o644)
}

/// Writes `bytes` with `mode`, durably, and only if nothing is there yet.
pub fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError> {
    let draft = write_draft(path, bytes, mode)?;
    // A link, unlike a rename, fails if the name is taken: no window for overwriting.
    let linked = fs::hard_link(&draft, path);
    let removed = fs::remove_file(&draft);
    linked.map_err(|source| FileError::io("create", path, source))?;
    removed.map_err(|source| FileError::io("remove", &draft, source))?;
    sync_parent(path)
}

/// Writes a public file with mode 0644, durably, in place of whatever was there: readers see
/// the old one or the new one, whole.
pub fn replace_public_file(path: &Path, text: &str) -> Result<(), FileError> {
    let draft = write_draft(path, text.as_bytes(), 0o644)?;
    fs::rename(&draft, path).map_err(|source| FileError::io("replace", path, source))?;
    sync_parent(path)
}

/// Reads a UTF-8 file of at most `max` bytes.
pub fn read_text(path: &Path, max: u64) -> Result<String, FileError> {
    let file = File::open(path).map_err(|source| FileError::io("open", path, source))?;
    let mut text = String::new();
    file.take(max.saturating_add(1)).read_to_string(&mut text).map_err(|source| FileError::io("read", path, source))?;
    if text.len() as u64 > max {
        return Err(FileError::TooLarge { path: path.to_owned(), max });
    }
    Ok(text)
}

/// Makes a folder and those above it, durably enough: the files in it sync their own parent.
pub fn create_folder(path: &Path) -> Result<(), FileError> {
    fs::create_dir_all(path).map_err(|source| FileError::io("create folder", path, source))
}

fn write_draft(path: &Path, bytes: &[u8], mode: u32) -> Result<PathBuf, FileError> {
    let name =
        path.file_name().ok_or_else(|| FileError::io("name", path, io::Error::from(io::ErrorKind::InvalidInput)))?;
    let mut draft_name = std::ffi::OsString::from(".");
    draft_name.push(name);
    draft_name.push(format!(".{}", std::process::id()));
    let draft = path.with_file_name(draft_name);
    // Left by a crashed process of the same id; nobody else writes under this name.
    let _ = fs::remove_file(&draft);
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|source| {
        let _ = fs::remove_file(&draft);
        match source.kind() {
            // The folder is missing, not the file.
            io::ErrorKind::NotFound => FileError::Missing { path: path.parent().unwrap_or(path).to_owned() },
            _ => FileError::Io { doing: "write", path: path.to_owned(), source },
        }
    })?;
    Ok(draft)
}

/// A new name is durable only when its folder is.
pub(crate) fn sync_parent(path: &Path) -> Result<(), FileError> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(parent).and_then(|folder| folder.sync_all()).map_err(|source| FileError::io("sync", parent, source))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn keys_are_private_whole_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.key");
        write_key_file(&path, "one").unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = write_key_file(&path, "two");
        assert!(matches!(again, Err(FileError::Exists { .. })), "{again:?}");
        assert_eq!(read_text(&path, 10).unwrap(), "one");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no drafts");
    }

    #[test]
    fn replacing_leaves_no_drafts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("crl.pem");
        write_public_file(&path, "one").unwrap();
        replace_public_file(&path, "two").unwrap();
        assert_eq!(read_text(&path, 10).unwrap(), "two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn reading_has_a_maximum_and_says_what_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("big");
        write_public_file(&path, "12345").unwrap();
        assert_eq!(read_text(&path, 5).unwrap(), "12345");
        assert!(matches!(read_text(&path, 4), Err(FileError::TooLarge { .. })));
        let missing = read_text(&dir.path().join("none"), 4);
        assert!(matches!(missing, Err(FileError::Missing { .. })));
        let nowhere = write_key_file(&dir.path().join("no/folder/key"), "x");
        assert!(matches!(nowhere, Err(FileError::Missing { .. })), "{nowhere:?}");
    }
}
