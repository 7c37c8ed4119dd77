//! Local files: read with a maximum, written so that a crash leaves the old or the new, never a half.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::error::CommandError;

/// Reads a whole file.
///
/// # Errors
///
/// [`CommandError::Input`] above `bytes_max`, [`CommandError::LocalIo`].
pub fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, CommandError> {
    let file = File::open(path).map_err(CommandError::io(path, "open"))?;
    let mut bytes = Vec::new();
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes).map_err(CommandError::io(path, "read"))?;
    if bytes.len() as u64 > bytes_max {
        return Err(CommandError::Input(format!("`{}` has more than {bytes_max} bytes", path.display())));
    }
    Ok(bytes)
}

/// Reads a whole text file; errors as [`read`], and if it is not UTF-8.
pub fn read_text(path: &Path, bytes_max: u64) -> Result<String, CommandError> {
    String::from_utf8(read(path, bytes_max)?)
        .map_err(|_| CommandError::Input(format!("`{}` is not UTF-8 text", path.display())))
}

/// Writes a file durably: to a neighbour, synced, renamed over `path`, folder synced.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), CommandError> {
    let neighbour = suffixed(path, ".tmp");
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&neighbour)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(CommandError::io(&neighbour, "write"))?;
    rename_durably(&neighbour, path)
}

/// Writes several files as [`write_atomically`] does, their folders made and each synced once.
pub fn write_all(files: &[(PathBuf, Vec<u8>)]) -> Result<(), CommandError> {
    let mut folders = BTreeSet::new();
    for (path, bytes) in files {
        if let Some(folder) = path.parent() {
            create_folder(folder)?;
            folders.insert(folder);
        }
        let neighbour = suffixed(path, ".tmp");
        let write = || -> io::Result<()> {
            let mut file = File::create(&neighbour)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&neighbour, path)
        };
        write().map_err(CommandError::io(path, "write"))?;
    }
    for folder in folders {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(CommandError::io(folder, "sync"))?;
    }
    Ok(())
}

/// Makes a folder and its parents, each new name synced.
pub fn create_folder(folder: &Path) -> Result<(), CommandError> {
    if folder.is_dir() || folder == Path::new("") {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        create_folder(parent)?;
    }
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(CommandError::io(folder, "make the folder")(error));
        }
        _ => {}
    }
    sync_folder_of(folder)
}

/// Renames within a folder, and syncs the folder.
pub fn rename_durably(from: &Path, to: &Path) -> Result<(), CommandError> {
    fs::rename(from, to).map_err(CommandError::io(from, "rename"))?;
    sync_folder_of(to)
}

/// Makes the names in the folder of `path` durable.
pub fn sync_folder_of(path: &Path) -> Result<(), CommandError> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(CommandError::io(folder, "sync"))
}

/// Removes a file if it is there.
pub fn remove_if_there(path: &Path) -> Result<(), CommandError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(CommandError::io(path, "remove")(error)),
        _ => Ok(()),
    }
}

/// `path` with something after its whole name: `x.parquet` and `.part` give `x.parquet.part`.
pub fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn too_much_is_an_error_and_writing_replaces() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        write_atomically(&path, b"12345").unwrap();
        write_atomically(&path, b"1234").unwrap();
        assert_eq!(read_text(&path, 4).unwrap(), "1234");
        assert!(matches!(read(&path, 3), Err(CommandError::Input(_))));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(matches!(read(&dir.path().join("y"), 3), Err(CommandError::LocalIo { .. })));
        remove_if_there(&path).unwrap();
        remove_if_there(&path).unwrap();
        let many: Vec<_> = ["a/b/1", "a/2"].map(|name| (dir.path().join(name), name.into())).into();
        write_all(&many).unwrap();
        write_all(&many).unwrap();
        assert_eq!(read_text(&dir.path().join("a/b/1"), 9).unwrap(), "a/b/1");
        assert_eq!(fs::read_dir(dir.path().join("a")).unwrap().count(), 2);
    }
}
