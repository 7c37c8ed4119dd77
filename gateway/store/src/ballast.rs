//! Room that is kept for the day the disk is full.
//!
//! While the ballast is there, a full disk is noticed before it matters: freeing it leaves room to record what has already
//! happened (deliveries, cuts, the `halt` leaf). Nothing new is granted until it is there again.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::durable;

/// The ballast's name in the data directory.
pub const BALLAST_FILE: &str = "ballast";

/// The ballast of one data directory.
#[derive(Debug)]
pub(crate) struct Ballast {
    path: PathBuf,
    bytes: u64,
    held: bool,
}

impl Ballast {
    /// A ballast of so many bytes, not yet taken; of none, nothing is kept and nothing is ever halted.
    pub(crate) fn new(dir: &Path, bytes: u64) -> Self {
        Self { path: dir.join(BALLAST_FILE), bytes, held: false }
    }

    /// Whether the room is there, or none is kept.
    pub(crate) const fn is_held(&self) -> bool {
        self.held || self.bytes == 0
    }

    /// Takes the room, if there is so much and an eighth more: what just fits would be spent again by the next commit.
    ///
    /// # Errors
    ///
    /// The file cannot be made, for another reason than room.
    pub(crate) fn take(&mut self) -> io::Result<bool> {
        if self.is_held() {
            return Ok(true);
        }
        let taken = self.allocate();
        self.held = matches!(taken, Ok(true));
        if !self.held {
            self.free();
        }
        taken
    }

    fn allocate(&self) -> io::Result<bool> {
        let room = |error: io::Error| if durable::is_full(&error) { Ok(false) } else { Err(error) };
        let open = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&self.path);
        let file = match open {
            Ok(file) => file,
            Err(error) => return room(error),
        };
        let most = i64::try_from(self.bytes.saturating_add(self.bytes / 8)).unwrap_or(i64::MAX);
        // SAFETY: the descriptor is open for the length of the call, which keeps nothing.
        let failed = unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, most) };
        if failed != 0 {
            return room(io::Error::from_raw_os_error(failed));
        }
        file.set_len(self.bytes).map(|()| true).or_else(room)
    }

    /// Gives the room back. Whether there was any to give.
    pub(crate) fn spend(&mut self) -> bool {
        let held = std::mem::replace(&mut self.held, false);
        if held {
            self.free();
        }
        held
    }

    fn free(&self) {
        // Not synced: after a crash it is there again or not, and either is right.
        if let Err(error) = fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "the ballast could not be freed");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn it_is_taken_once_spent_once_and_taken_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut ballast = Ballast::new(dir.path(), 4096);
        assert!(!ballast.is_held());
        assert!(ballast.take().unwrap() && ballast.take().unwrap() && ballast.is_held());
        assert_eq!(fs::metadata(dir.path().join(BALLAST_FILE)).unwrap().len(), 4096);
        assert!(ballast.spend() && !ballast.spend() && !ballast.is_held());
        assert!(!dir.path().join(BALLAST_FILE).exists());
        assert!(ballast.take().unwrap());
        let mut none = Ballast::new(dir.path(), 0);
        assert!(none.is_held() && none.take().unwrap() && !none.spend());
        // More than any disk has: nothing is left behind.
        let mut much = Ballast::new(dir.path(), 1 << 60);
        assert!(!much.take().is_ok_and(|taken| taken) && !much.is_held());
        assert!(!dir.path().join(BALLAST_FILE).exists());
    }
}
