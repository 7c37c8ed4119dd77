//! Files that are whole and on disk, or not there: written beside their place, synced, renamed, and the folder synced.
//!
//! A failed sync ends the process ([`sync_failed`]): the kernel may have dropped the pages, and a second call would
//! report success.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::crashpoint;

/// Exit status of a process that lost a write (INTERFACE.md, "local I/O").
pub const EXIT_IO: i32 = 74;

/// Ends the process at once with status 74, running nothing more of it.
pub fn sync_failed(what: &str, error: &dyn std::fmt::Display) -> ! {
    tracing::error!(what, %error, "a write did not reach the disk; stopping");
    // Standard error is what is left when no subscriber is: nothing else must run before the process is gone.
    let _ = writeln!(io::stderr(), "kouan: {what}: {error}: a write did not reach the disk; stopping");
    // SAFETY: `_exit` takes a number and does not return.
    unsafe { libc::_exit(EXIT_IO) }
}

/// Whether an error says that there is no room, which leaves earlier data whole.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT))
}

/// Whether an error is a disk's or the system's, and not that a file is elsewhere or another's.
pub fn is_failing(error: &io::Error) -> bool {
    !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
}

/// Syncs a file's content, or ends the process.
pub fn sync(file: &File, path: &Path) {
    if let Err(error) = file.sync_all() {
        sync_failed(&path.display().to_string(), &error);
    }
}

/// Syncs a file's content and what is needed to find it, or ends the process: a file that does not grow costs no entry in the
/// file system's journal.
pub fn sync_data(file: &File, path: &Path) {
    if let Err(error) = file.sync_data() {
        sync_failed(&path.display().to_string(), &error);
    }
}

/// Syncs a folder, so that names created, renamed or removed in it stay so; ends the process if
/// that fails.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    sync(&File::open(dir)?, dir);
    Ok(())
}

/// Syncs the whole file system under `dir`, cheaper than many single syncs; ends the process if
/// that fails.
pub fn sync_file_system(dir: &Path) -> io::Result<()> {
    let folder = File::open(dir)?;
    // SAFETY: the descriptor is open for the length of the call.
    if unsafe { libc::syncfs(folder.as_raw_fd()) } != 0 {
        sync_failed(&dir.display().to_string(), &io::Error::last_os_error());
    }
    Ok(())
}

/// Creates `dir` and its parents with mode 0700, each new name synced.
pub fn create_dir(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        create_dir(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    sync_dir(&folder_of(dir))
}

/// Replaces `path` by `bytes`: after a crash it is the old file or the new one.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let folder = folder_of(path);
    let temporary = write_beside(path, bytes, mode, true)?;
    crashpoint!("file.before_rename");
    fs::rename(&temporary, path).inspect_err(|_| drop(fs::remove_file(&temporary)))?;
    crashpoint!("file.after_rename");
    sync_dir(&folder)
}

/// Above this many new files one sync of the file system is cheaper than one of each; below it, it would wait for
/// everybody else's writes.
const SYNC_EACH_MAX: usize = 64;

/// Creates each file with its bytes, or checks that it has just those: an existing file is never changed. Durable on
/// success; after a crash each is whole or not there. Returns how many were new.
///
/// # Errors
///
/// [`io::ErrorKind::AlreadyExists`] if one has other bytes.
pub fn create_all<P: AsRef<Path>, B: AsRef<[u8]>>(files: &[(P, B)], mode: u32) -> io::Result<usize> {
    let mut new = Vec::new();
    let result = create_new(files, mode, &mut new);
    for (temporary, _) in &new {
        match fs::remove_file(temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    result?;
    if !new.is_empty() {
        crashpoint!("s13.before_folders");
    }
    let folders: BTreeSet<PathBuf> = new.iter().map(|(_, path)| folder_of(path)).collect();
    for folder in folders {
        sync_dir(&folder)?;
    }
    Ok(new.len())
}

/// Threads that write many files at once. Each waits for the file system's journal most of the time, and they wait
/// together.
const WRITERS: usize = 16;

/// Writes files whose names are the digests of their bytes. Durable on success.
///
/// There is no second name and no rename, which would cost three changes of a folder for each file where one is enough: what a
/// crash leaves short is known by its name, and the next call for it writes it anew. Until success nobody may rely on them.
pub fn write_content(files: &[(PathBuf, Vec<u8>)], mode: u32) -> io::Result<()> {
    let folders: BTreeSet<PathBuf> = files.iter().map(|(path, _)| folder_of(path)).collect();
    for folder in &folders {
        create_dir(folder)?;
    }
    match files.first() {
        Some((path, _)) if files.len() > SYNC_EACH_MAX => {
            std::thread::scope(|scope| {
                let parts = files.chunks(files.len().div_ceil(WRITERS));
                let writers: Vec<_> = parts.map(|part| scope.spawn(|| write_each(part, mode))).collect();
                let ended = || io::Error::other("a thread that wrote files ended abruptly");
                writers.into_iter().try_for_each(|writer| writer.join().map_err(|_| ended())?)
            })?;
            // Those that were there as well: the run that wrote them may have ended before its sync.
            sync_file_system(&folder_of(path))?;
        }
        _ => {
            write_each(files, mode)?;
            for (path, _) in files {
                sync(&File::open(path)?, path);
            }
        }
    }
    for folder in folders {
        sync_dir(&folder)?;
    }
    Ok(())
}

fn write_each(files: &[(PathBuf, Vec<u8>)], mode: u32) -> io::Result<()> {
    for (number, (path, bytes)) in files.iter().enumerate() {
        if number > 0 {
            crashpoint!("s13.between_facts");
        }
        match OpenOptions::new().write(true).create_new(true).mode(mode).open(path) {
            Ok(mut file) => file.write_all(bytes).inspect_err(|_| drop(fs::remove_file(path)))?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if fs::read(path)? != *bytes {
                    tracing::warn!(path = %path.display(), "a file does not hold what its name says; written again");
                    replace(path, bytes, mode)?;
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn create_new<P: AsRef<Path>, B: AsRef<[u8]>>(
    files: &[(P, B)],
    mode: u32,
    new: &mut Vec<(PathBuf, PathBuf)>,
) -> io::Result<()> {
    for (path, bytes) in files {
        let (path, bytes) = (path.as_ref(), bytes.as_ref());
        if !holds(path, bytes)? {
            create_dir(&folder_of(path))?;
            new.push((write_beside(path, bytes, mode, false)?, path.to_owned()));
        }
    }
    // The content before the name: a crash must not leave a short file under a name that is never rewritten.
    match new.first() {
        Some((_, path)) if new.len() > SYNC_EACH_MAX => sync_file_system(&folder_of(path))?,
        _ => {
            for (temporary, _) in &*new {
                sync(&File::open(temporary)?, temporary);
            }
        }
    }
    if !new.is_empty() {
        crashpoint!("s13.before_names");
    }
    for (number, (temporary, path)) in new.iter().enumerate() {
        if number > 0 {
            crashpoint!("s13.between_files");
        }
        // A link fails where a rename would overwrite.
        match fs::hard_link(temporary, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if fs::read(temporary)? != fs::read(path)? {
                    return Err(differs(path));
                }
            }
            result => result?,
        }
    }
    Ok(())
}

/// Whether the file is there with these bytes.
fn holds(path: &Path, bytes: &[u8]) -> io::Result<bool> {
    match fs::read(path) {
        Ok(held) if held == bytes => Ok(true),
        Ok(_) => Err(differs(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn differs(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::AlreadyExists, format!("`{}` exists with other bytes", path.display()))
}

/// The folder that holds `path`.
pub fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Marks files on their way; whoever owns a folder removes what a crash left of them.
pub const TEMPORARY_PREFIX: &str = ".tmp-";

fn write_beside(path: &Path, bytes: &[u8], mode: u32, sync_now: bool) -> io::Result<PathBuf> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let temporary = folder_of(path).join(format!("{TEMPORARY_PREFIX}{}-{number}", std::process::id()));
    let write = || -> io::Result<()> {
        let mut options = OpenOptions::new();
        // A name left by an earlier process with our number is that process's rubbish.
        let mut file = options.write(true).create(true).truncate(true).mode(mode).open(&temporary)?;
        file.write_all(bytes)?;
        if sync_now {
            sync(&file, &temporary);
        }
        Ok(())
    };
    write().inspect_err(|_| drop(fs::remove_file(&temporary)))?;
    Ok(temporary)
}

/// Removes what a crash left of files on their way in `dir`; not being there is nothing to remove.
pub fn remove_temporaries(dir: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(TEMPORARY_PREFIX) && entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_created_file_is_never_changed_and_a_replaced_one_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/file");
        assert_eq!(create_all(&[(&path, b"one")], 0o400).unwrap(), 1);
        assert_eq!(create_all(&[(&path, b"one")], 0o400).unwrap(), 0);
        let other = dir.path().join("a/b/other");
        let error = create_all(&[(&other, b"new"), (&path, b"two")], 0o400).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"one");
        replace(&path, b"three", 0o600).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"three");
        fs::write(dir.path().join("a/b/.tmp-1-1"), b"half").unwrap();
        remove_temporaries(&dir.path().join("a/b")).unwrap();
        assert_eq!(fs::read_dir(dir.path().join("a/b")).unwrap().count(), 1);
        let (whole, short) = (dir.path().join("c/whole"), dir.path().join("c/short"));
        fs::create_dir(dir.path().join("c")).unwrap();
        fs::write(&short, b"").unwrap();
        for _ in 0..2 {
            let files = [(whole.clone(), b"whole".to_vec()), (short.clone(), b"short".to_vec())];
            write_content(&files, 0o400).unwrap();
            assert_eq!((fs::read(&whole).unwrap(), fs::read(&short).unwrap()), (b"whole".to_vec(), b"short".to_vec()));
        }
        let many: Vec<_> = (0..100).map(|n| (dir.path().join(format!("d/{n}")), vec![n])).collect();
        for _ in 0..2 {
            write_content(&many, 0o400).unwrap();
            assert!(many.iter().all(|(path, bytes)| fs::read(path).unwrap() == *bytes));
        }
        let many: Vec<_> = (0..100).map(|n| (dir.path().join(format!("m/{n}")), n.to_string())).collect();
        assert_eq!(create_all(&many, 0o400).unwrap(), 100);
        assert_eq!(fs::read_dir(dir.path().join("m")).unwrap().count(), 100);
    }
}
