//! The newest checkpoint that a quorum of witnesses has cosigned. It lies outside the published log's folder: there every
//! byte is checked with the log's key alone, and cosignatures need the witnesses' keys.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use gateway_audit::SignedCheckpoint;

use super::log::Log;
use super::{PublishError, Published};
use crate::durable;

/// Its name in the data directory.
pub const WITNESSED_FILE: &str = "witnessed/checkpoint";

/// Takes cosigned checkpoints; the publisher's thread makes them durable and publishes them.
#[derive(Debug, Clone)]
pub struct WitnessedSink {
    slot: Slot,
    worker: std::thread::Thread,
}

pub(super) type Slot = Arc<Mutex<Option<SignedCheckpoint>>>;

impl WitnessedSink {
    pub(super) fn new(slot: Slot, worker: std::thread::Thread) -> Self {
        Self { slot, worker }
    }

    /// Hands over a checkpoint of this log that a quorum has cosigned. It is witnessed when
    /// [`super::Publisher::witnessed`] says so; a newer one in between takes its place.
    pub fn put(&self, checkpoint: SignedCheckpoint) {
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(checkpoint);
        self.worker.unpark();
    }
}

pub(super) fn take(slot: &Slot) -> Option<SignedCheckpoint> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// The file, if it is there; whose it is must still be checked.
pub(super) fn read(data: &Path) -> Result<Option<SignedCheckpoint>, PublishError> {
    let path = data.join(WITNESSED_FILE);
    match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        bytes => Ok(Some(SignedCheckpoint::parse(&bytes.map_err(PublishError::at(&path))?)?)),
    }
}

impl Log {
    /// Makes a cosigned checkpoint durable, and gives the newest witnessed one.
    pub(super) fn adopt(&mut self, signed: &SignedCheckpoint) -> Result<Published, PublishError> {
        let own = self.open(signed)?;
        let new = Published { size: own.size, root: own.root, checkpoint: Arc::from(signed.to_text()) };
        if let Some(known) = self.witnessed.as_ref().filter(|known| known.size > new.size) {
            return Ok(known.clone());
        }
        let path = self.data().join(WITNESSED_FILE);
        let write = || {
            durable::create_dir(&durable::folder_of(&path))?;
            durable::replace(&path, new.checkpoint.as_bytes(), 0o600)
        };
        write().map_err(PublishError::at(&path))?;
        self.witnessed = Some(new.clone());
        Ok(new)
    }
}
