//! Which file is wrong where a tile and the entries under it disagree.

use crate::checkpoint::Checkpoint;
use crate::tiles::{TILE_WIDTH, TileLevel, TilePath, TileReader};
use crate::tree::NodeHash;

use super::LogFiles;
use super::report::{Fault, Found};

/// A stored hash that is not what the entries give.
pub(super) struct Disagreement {
    /// The tile's level.
    pub(super) level: u8,
    /// The hash's position among all of its level.
    pub(super) slot: u64,
    /// The tile as it was read.
    pub(super) file: TilePath,
    /// What the tile holds.
    pub(super) stored: NodeHash,
    /// What the entries give.
    pub(super) computed: NodeHash,
}

/// What is known of the entries as a whole.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Evidence {
    /// They give the checkpoint's root.
    EntriesRight,
    /// They do not.
    EntriesWrong,
    /// Not all could be read.
    Unknown,
}

/// The finding that a disagreement amounts to.
pub(super) fn blame<F: LogFiles>(found: &Disagreement, evidence: Evidence, files: &F, head: &Checkpoint) -> Found {
    let index = found.slot.checked_shl(u32::from(found.level) * 8);
    let (stored, computed) = (found.stored.to_string(), found.computed.to_string());
    let tile_is_wrong = match evidence {
        Evidence::EntriesRight => true,
        Evidence::EntriesWrong => false,
        Evidence::Unknown => !tiles_give_root(files, head),
    };
    if tile_is_wrong {
        return Found::new(Fault::Tile, found.file.to_string(), index, computed, stored);
    }
    // At level 0 an entry was changed. Higher up the disagreement is with a tile that agrees
    // with everything below it: entries and tiles were rewritten together.
    let below = match found.level {
        0 => (TileLevel::Entries, found.slot / u64::from(TILE_WIDTH)),
        1 => (TileLevel::Entries, found.slot),
        level => (TileLevel::Hashes(level - 1), found.slot),
    };
    let path = TilePath::in_tree(below.0, below.1, head.size).unwrap_or(found.file);
    Found::new(Fault::Entry, path.to_string(), index, stored, computed)
}

/// Whether the hashes on the tiles' right edge give the checkpoint's root.
fn tiles_give_root<F: LogFiles>(files: &F, head: &Checkpoint) -> bool {
    let read = |path: &TilePath| files.read(&path.to_string());
    TileReader::new(head.size, read).root().is_ok_and(|root| root == head.root)
}
