//! What was signed last, remembered outside the data directory.

use std::fs;
use std::io;
use std::path::Path;

use gateway_audit::{Checkpoint, NodeHash};

use super::PublishError;
use crate::durable;

/// A size and root that were signed, and who remembers it.
#[derive(Debug, Clone)]
pub(super) struct Signed {
    pub(super) record: String,
    pub(super) size: u64,
    pub(super) root: NodeHash,
}

/// The file outside the data directory, if it is there.
pub(super) fn read(path: &Path, origin: &str) -> Result<Option<Signed>, PublishError> {
    let fault = |why: String| PublishError::Guard { path: path.to_owned(), origin: origin.to_owned(), why };
    let text = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(PublishError::at(path))?,
    };
    let guard: Checkpoint = serde_json::from_slice(&text).map_err(|error| fault(error.to_string()))?;
    if guard.origin != origin {
        return Err(fault(format!("it is of `{}`", guard.origin)));
    }
    Ok(Some(Signed { record: format!("`{}`", path.display()), size: guard.size, root: guard.root }))
}

pub(super) fn write(path: &Path, guard: &Checkpoint) -> Result<(), PublishError> {
    let mut text = serde_json::to_vec(guard).map_err(|error| PublishError::Stopped(error.to_string()))?;
    text.push(b'\n');
    durable::create_dir(&durable::folder_of(path)).map_err(PublishError::at(path))?;
    durable::replace(path, &text, 0o600).map_err(PublishError::at(path))
}
