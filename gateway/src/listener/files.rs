//! Noticing that a file has changed, for certificates, trust and revocation lists.
//!
//! Polling rather than notification: it works the same on every file system and for the
//! rename that replaces a file, and a few stat(2) a second cost nothing.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

/// How often to look.
pub const DEFAULT_WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// What tells one content of a file from another: modification time in nanoseconds, size, inode.
/// `None` while there is no such file.
type Stamp = Option<(i64, i64, u64, u64)>;

async fn stamp(path: &Path) -> Stamp {
    match tokio::fs::metadata(path).await {
        Ok(meta) => Some((meta.mtime(), meta.mtime_nsec(), meta.len(), meta.ino())),
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!(%error, "cannot look at a watched file");
            }
            None
        }
    }
}

/// Calls `on_change` with the paths that changed since the last look, for ever. What the files
/// are at the first look counts as known. A file that is written in place may be seen half
/// written: whoever reads it keeps the old content if the new one is invalid, and is called
/// again when the rest has been written.
///
/// Cancel safe.
pub async fn watch_files(paths: Vec<PathBuf>, every: Duration, mut on_change: impl FnMut(&[&Path])) {
    let mut known: Vec<(PathBuf, Stamp)> = Vec::with_capacity(paths.len());
    for path in paths {
        let now = stamp(&path).await;
        known.push((path, now));
    }
    let mut looks = interval(every);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let mut changed = Vec::new();
        for (path, before) in &mut known {
            let now = stamp(path).await;
            if now != *before {
                *before = now;
                changed.push(path.as_path());
            }
        }
        if !changed.is_empty() {
            on_change(&changed);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::fs;
    use tokio::sync::mpsc::unbounded_channel;
    use tokio::time::timeout;

    #[tokio::test]
    async fn changes_replacements_and_removals_are_seen_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| dir.path().join(name));
        fs::write(&a, "1").unwrap();
        let (seen, mut changes) = unbounded_channel();
        let watching = watch_files(vec![a.clone(), b.clone()], Duration::from_millis(5), |paths| {
            let paths: Vec<PathBuf> = paths.iter().map(|path| path.to_path_buf()).collect();
            seen.send(paths).unwrap();
        });
        let script = async {
            // The first look has no outward sign: write until it has been noticed.
            loop {
                let size = fs::metadata(&a).unwrap().len();
                fs::write(&a, "x".repeat(usize::try_from(size).unwrap() + 1)).unwrap();
                let next = timeout(Duration::from_millis(50), changes.recv()).await;
                if let Ok(Some(paths)) = next {
                    assert_eq!(paths, [&*a]);
                    break;
                }
            }
            while timeout(Duration::from_millis(50), changes.recv()).await.is_ok() {}
            fs::write(&b, "1").unwrap();
            assert!(changes.recv().await.unwrap().contains(&b));
            while timeout(Duration::from_millis(50), changes.recv()).await.is_ok() {}
            // Same size and same time: the inode tells.
            let other = dir.path().join("c");
            fs::write(&other, fs::read(&a).unwrap()).unwrap();
            let time = fs::metadata(&a).unwrap().modified().unwrap();
            fs::File::options().write(true).open(&other).unwrap().set_modified(time).unwrap();
            fs::rename(&other, &a).unwrap();
            assert_eq!(changes.recv().await.unwrap(), [&*a]);
            fs::remove_file(&b).unwrap();
            assert_eq!(changes.recv().await.unwrap(), [&*b]);
        };
        tokio::select! {
            () = watching => {}
            () = script => {}
        }
    }
}
