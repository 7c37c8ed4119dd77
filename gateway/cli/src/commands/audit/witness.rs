//! Who has seen a log in a folder: its checkpoint, or an earlier one that a quorum has cosigned and which it extends.

use std::path::{Path, PathBuf};

use gateway_audit::tiles::{TilePath, TileReader};
use gateway_audit::tree::tree_root;
use gateway_audit::{LogFiles as _, SignedCheckpoint, VerifierKey, WitnessPolicy};
use serde_json::{Value, json};

use crate::commands::log_files::LogFolder;
use crate::commands::witnessed;
use crate::error::CommandError;
use crate::files;

/// Longest checkpoint that is read, in bytes.
const CHECKPOINT_BYTES_MAX: u64 = 1 << 20;

/// Reads a checkpoint.
pub fn checkpoint(path: &Path) -> Result<SignedCheckpoint, CommandError> {
    SignedCheckpoint::parse(&files::read(path, CHECKPOINT_BYTES_MAX)?)
        .map_err(|error| CommandError::Integrity(format!("`{}`: {error}", path.display())))
}

/// The name of the newest checkpoint that a quorum has cosigned, in a copy of the log as on the gateway.
pub const WITNESSED_FILE: &str = "checkpoint.witnessed";

/// The witnessed checkpoint of the log in `dir`: `checkpoint.witnessed` of a mirror or an export, or `../witnessed/checkpoint` of a
/// node's data.
fn witnessed_file(dir: &Path) -> Option<PathBuf> {
    [dir.join(WITNESSED_FILE), dir.join("..").join("witnessed").join("checkpoint")]
        .into_iter()
        .find(|path| path.is_file())
}

/// What is to be said of the witnesses of the log in `dir`, whose entries and tiles hold.
///
/// # Errors
///
/// [`CommandError::Integrity`] if the policy's quorum is missing, or has seen another log.
pub fn seen(dir: &Path, policy: Option<&WitnessPolicy>, keys: &[VerifierKey]) -> Result<Value, CommandError> {
    let newest = checkpoint(&dir.join("checkpoint"))?;
    let size = newest.checkpoint().size;
    let Some(path) = witnessed_file(dir) else { return witnessed::judge(policy, &newest) };
    let cosigned = checkpoint(&path)?;
    let inside = cosigned.checkpoint();
    begins(dir, &newest, &cosigned, keys)
        .map_err(|why| CommandError::Integrity(format!("`{}`: {why}", path.display())))?;
    let mut judged = witnessed::judge(policy, &cosigned)?;
    if let Some(object) = judged.as_object_mut() {
        let text = object.get("text").and_then(Value::as_str).unwrap_or_default();
        let text = format!("{} of {size} entries {text}", inside.size);
        object.insert("text".to_owned(), json!(text));
        object.insert("size".to_owned(), json!(inside.size));
    }
    Ok(judged)
}

/// Whether `cosigned` is of the log in `dir`, whose newest checkpoint is `newest`: signed by one of `keys`, if there are
/// any, and over the beginning of its entries.
///
/// # Errors
///
/// Why not.
pub fn begins(
    dir: &Path,
    newest: &SignedCheckpoint,
    cosigned: &SignedCheckpoint,
    keys: &[VerifierKey],
) -> Result<(), String> {
    if !keys.is_empty() {
        cosigned.verify_any(keys).map_err(|error| error.to_string())?;
    }
    let (size, inside) = (newest.checkpoint().size, cosigned.checkpoint());
    if inside.size > size {
        return Err(format!("it has {} entries, and the log {size}: the log lost its end", inside.size));
    }
    let folder = LogFolder::new(dir);
    let read = |tile: &TilePath| folder.read(&tile.to_string());
    // Of the newest tree's tiles: a copy has no others.
    let root = tree_root(&mut TileReader::new(size, read), inside.size).map_err(|error| error.to_string())?;
    if inside.origin != newest.checkpoint().origin || root != inside.root {
        return Err(format!("its {} entries are not the beginning of this log", inside.size));
    }
    Ok(())
}
