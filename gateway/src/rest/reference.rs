//! Registering by reference: a file below the participant's own root on this node is copied in. No path escapes the root,
//! no link is followed, nothing else is opened.

use std::ffi::CString;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsRawFd as _, FromRawFd as _};
use std::path::{Path, PathBuf};

use catalog::id::is_file_name;
use catalog::{DatasetId, VersionName};
use gateway_api::{Code, Problem};

use super::Caller;
use crate::gateway::Shared;

const SLICE_BYTES: usize = 4 << 20;

/// The caller's root, and the name under which `path` would be taken.
pub fn name(gateway: &Shared, caller: &Caller, path: &str) -> Result<(PathBuf, String), Problem> {
    let own = &caller.principal.participant;
    let Some(root) = gateway.config.roots.get(own).cloned() else {
        let detail = format!("`{own}` has no root on this node: upload the file, or ask the operator for `[roots]`");
        return Err(Problem::new(Code::Forbidden, detail));
    };
    let shown: String = path.chars().take(200).collect();
    let name = path.rsplit('/').next().unwrap_or("").to_owned();
    if !is_file_name(&name) {
        return Err(Problem::new(
            Code::BadInput,
            format!("`{shown}` does not end in a file name that a version may have"),
        ));
    }
    Ok((root, name))
}

/// Copies `path`, relative to the root of the caller's participant, into the version's uploads; gives its name there.
pub async fn fetch(
    gateway: &Shared,
    caller: &Caller,
    dataset: &DatasetId,
    version: &VersionName,
    path: &str,
) -> Result<String, Problem> {
    let (root, name) = name(gateway, caller, path)?;
    let shown: String = path.chars().take(200).collect();
    let (uploads, path) = (gateway.uploads.clone(), path.to_owned());
    let (dataset, version, upload) = (dataset.clone(), version.clone(), name.clone());
    let max = gateway.config.limits.upload_bytes_max;
    tokio::task::spawn_blocking(move || -> Result<(), Problem> {
        let refused = |error: std::io::Error| {
            Problem::new(
                Code::BadInput,
                format!("`{shown}` cannot be taken from your root ({error}): name a regular file below it, without links or `..`"),
            )
        };
        let mut file = open_beneath(&root, &path).map_err(refused)?;
        if !file.metadata().map_err(refused)?.is_file() {
            return Err(Problem::new(Code::BadInput, format!("`{shown}` is not a regular file")));
        }
        uploads.remove(&dataset, &version, &upload).map_err(crate::admission::unavailable)?;
        let (mut at, mut buffer) = (0_u64, vec![0; SLICE_BYTES]);
        loop {
            let read = file.read(&mut buffer).map_err(refused)?;
            let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { return Ok(()) };
            if at + read as u64 > max {
                return Err(Problem::new(Code::TooLarge, format!("a file is at most {max} bytes")));
            }
            at = uploads.append(&dataset, &version, &upload, at, bytes).map_err(crate::admission::unavailable)?;
        }
    })
    .await
    .map_err(crate::admission::unavailable)??;
    Ok(name)
}

/// Opens `path` below `root` for reading. The kernel resolves it: neither `..` nor a link nor a mount leads out.
fn open_beneath(root: &Path, path: &str) -> std::io::Result<File> {
    let root = File::open(root)?;
    let path = CString::new(path).map_err(|_| std::io::Error::from(std::io::ErrorKind::InvalidInput))?;
    // SAFETY: `open_how` is a plain struct of integers, for which zero is a value.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = u64::from((libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NONBLOCK).unsigned_abs());
    how.resolve =
        libc::RESOLVE_BENEATH | libc::RESOLVE_NO_SYMLINKS | libc::RESOLVE_NO_MAGICLINKS | libc::RESOLVE_NO_XDEV;
    // SAFETY: the path is a C string and `how` is as long as we say; the call keeps neither.
    let opened = unsafe {
        libc::syscall(
            libc::SYS_openat2,
            root.as_raw_fd(),
            path.as_ptr(),
            std::ptr::from_ref(&how),
            size_of::<libc::open_how>(),
        )
    };
    let opened = i32::try_from(opened).unwrap_or(-1);
    if opened < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor, and nobody else has it.
    Ok(unsafe { File::from_raw_fd(opened) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::open_beneath;

    #[test]
    fn no_path_leaves_the_root() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        std::fs::create_dir_all(root.join("inner")).unwrap();
        std::fs::write(root.join("inner/good.csv"), "a\n1\n").unwrap();
        std::fs::write(folder.path().join("secret"), "x").unwrap();
        std::os::unix::fs::symlink("../secret", root.join("link")).unwrap();
        std::os::unix::fs::symlink("good.csv", root.join("inner/link.csv")).unwrap();
        std::os::unix::fs::symlink("..", root.join("up")).unwrap();
        assert!(open_beneath(&root, "inner/good.csv").is_ok());
        let absolute = folder.path().join("secret");
        for bad in [
            "../secret",
            "inner/../../secret",
            "link",
            "inner/link.csv",
            "up/secret",
            absolute.to_str().unwrap(),
            "none",
        ] {
            assert!(open_beneath(&root, bad).is_err(), "{bad}");
        }
    }
}
