//! Whether the gateway's log continues the copy; if not, what differs.

use std::collections::HashMap;
use std::path::Path;

use gateway_audit::tiles::{TILE_LEVELS, TileLevel, consistency_tiles, tile_hashes};
use gateway_audit::tree::verify_consistency;
use gateway_audit::{Checkpoint, NodeHash, TilePath, TileReader};

use super::super::log_client::{FILE_BYTES_MAX, LogClient};
use crate::error::CommandError;
use crate::files;

/// Checks that `served` is a continuation of `held`.
///
/// # Errors
///
/// [`CommandError::Integrity`] names what differs: the origin, the size, or the first entry that is another.
pub async fn continues(
    log: &LogClient<'_>,
    dir: &Path,
    held: &Checkpoint,
    served: &Checkpoint,
) -> Result<(), CommandError> {
    let broken = |why: String| Err(CommandError::Integrity(why));
    if held.origin != served.origin {
        return broken(format!("the copy is of the log `{}`, the gateway's is `{}`", held.origin, served.origin));
    }
    if served.size < held.size {
        return broken(format!(
            "the gateway's log has {} entries and the copy {}: it was cut off or restored from a backup; the copy is kept \
             as it is",
            served.size, held.size
        ));
    }
    if held.size == 0 || (held.size == served.size && held.root == served.root) {
        return Ok(());
    }
    if held.size < served.size && proven(log, held, served).await? {
        return Ok(());
    }
    let first = first_difference(log, dir, held, served).await?;
    let place = match first {
        Some((index, ours, theirs)) => {
            format!("entry {index} is the first that differs: its hash is {ours} in the copy, {theirs} there")
        }
        None => "its hash tiles do not say where".to_owned(),
    };
    broken(format!(
        "the gateway's log of {} entries does not continue the copy's {} (root {}): {place}; the copy is kept as it is",
        served.size, held.size, held.root
    ))
}

/// Whether the gateway's hash tiles prove the one a prefix of the other.
async fn proven(log: &LogClient<'_>, held: &Checkpoint, served: &Checkpoint) -> Result<bool, CommandError> {
    let broken = |error: &dyn std::fmt::Display| CommandError::Integrity(format!("the gateway's hash tiles: {error}"));
    let mut tiles = HashMap::new();
    for path in consistency_tiles(held.size, served.size).map_err(|error| broken(&error))? {
        tiles.insert(path, tile(log, &path).await?);
    }
    let read = |path: &TilePath| Ok::<_, std::convert::Infallible>(tiles.get(path).cloned());
    let proof = TileReader::new(served.size, read).consistency(held.size).map_err(|error| broken(&error))?;
    Ok(verify_consistency(held.size, served.size, &proof, &held.root, &served.root).is_ok())
}

/// A hash tile as the tree has it. The partial form may have become full since the checkpoint: then of that the beginning.
async fn tile(log: &LogClient<'_>, path: &TilePath) -> Result<Vec<u8>, CommandError> {
    if let Some(bytes) = log.fetch(&path.to_string()).await? {
        return Ok(bytes);
    }
    let mut bytes = log.required(&path.as_full().to_string()).await?;
    bytes.truncate(usize::from(path.width()) * 32);
    Ok(bytes)
}

/// The first entry of the copy that is another in the gateway's log, by their hash tiles: down from the top, at each level
/// to the first hash that differs.
async fn first_difference(
    log: &LogClient<'_>,
    dir: &Path,
    held: &Checkpoint,
    served: &Checkpoint,
) -> Result<Option<(u64, NodeHash, NodeHash)>, CommandError> {
    // The node of the level above that differs; its children are the tile of that number.
    let mut number = 0;
    for level in (0..TILE_LEVELS).rev() {
        let level = TileLevel::Hashes(level);
        let (Some(ours), Some(theirs)) =
            (TilePath::in_tree(level, number, held.size), TilePath::in_tree(level, number, served.size))
        else {
            // No hash of this level yet here, or none there: everything is below.
            number *= 256;
            continue;
        };
        let damaged = |error: gateway_audit::tiles::TileError| CommandError::Integrity(error.to_string());
        let bytes = files::read(&dir.join(ours.to_string()), FILE_BYTES_MAX as u64)?;
        let ours = tile_hashes(&ours, &bytes).map_err(damaged)?;
        let theirs = tile_hashes(&theirs, &tile(log, &theirs).await?).map_err(damaged)?;
        let equal = ours.iter().zip(&theirs).take_while(|(ours, theirs)| ours == theirs).count();
        let node = number * 256 + u64::try_from(equal).unwrap_or(u64::MAX);
        if level == TileLevel::Hashes(0) {
            return Ok(ours.get(equal).zip(theirs.get(equal)).map(|(ours, theirs)| (node, *ours, *theirs)));
        }
        number = node;
    }
    Ok(None)
}
