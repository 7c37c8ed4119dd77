//! The log as files: C2SP tlog-tiles (`tile/<L>/<N>[.p/<W>]`, `tile/entries/<N>[.p/<W>]`).
//!
//! A hash tile holds up to 256 consecutive hashes of one level; an entry bundle holds the
//! entries under a level-0 tile. Only full tiles feed the level above. Full tiles and bundles
//! never change; a partial one belongs to one tree size and stays until its full one exists.

use crate::tree::{NodeHash, ProofError};

mod builder;
mod bundle;
mod path;
mod reader;

pub use builder::{TileBuilder, TileFile, TileWrites};
pub use bundle::{ENTRY_BYTES_MAX, bundle_entries, encode_entry};
pub use path::{TileLevel, TilePath, consistency_tiles, edge_tiles, inclusion_tiles};
pub use reader::TileReader;

/// Hashes in a full tile and entries in a full bundle.
pub const TILE_WIDTH: u16 = 256;

/// Bytes of a full hash tile.
pub const TILE_BYTES: usize = 256 * 32;

/// Tile levels above which no tree of 2^64 entries reaches.
pub const TILE_LEVELS: u8 = 8;

/// What is wrong with tiles or what is asked of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    /// Not a tile path of the specification.
    #[error("`{0}` is not a tile path; expected tile/<L>/<N> or tile/entries/<N>, with .p/<W> when partial")]
    Path(String),
    /// A file that has to exist does not.
    #[error("{0} is missing")]
    Missing(TilePath),
    /// A hash tile whose length is not 32 bytes a hash.
    #[error("{path} has {got} bytes, expected {expected}")]
    Bytes {
        /// The file.
        path: TilePath,
        /// 32 × its width.
        expected: usize,
        /// Its length.
        got: usize,
    },
    /// An entry bundle that does not hold exactly its width of entries.
    #[error("{path} is not {} length-prefixed entries: it breaks off or goes on at byte {at}", path.width())]
    Bundle {
        /// The file.
        path: TilePath,
        /// Where the entries stop making sense.
        at: usize,
    },
    /// The caller's entry does not fit a bundle's 16-bit length.
    #[error("an entry of {got} bytes is too long, at most {ENTRY_BYTES_MAX} fit")]
    EntryTooLong {
        /// Its length.
        got: usize,
    },
    /// The tree cannot grow further, or the size given is beyond what tiles can address.
    #[error("a tree of {0} entries is larger than tiles can address")]
    Size(u64),
    /// The proof asked for does not exist.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The caller could not read a file.
    #[error("{path} could not be read: {why}")]
    Read {
        /// The file.
        path: TilePath,
        /// The caller's reason.
        why: String,
    },
}

/// Splits the bytes of a hash tile into its hashes.
///
/// # Errors
///
/// [`TileError::Bytes`] unless there are exactly 32 bytes for each hash of `path`.
pub fn tile_hashes(path: &TilePath, bytes: &[u8]) -> Result<Vec<NodeHash>, TileError> {
    let expected = usize::from(path.width()) * 32;
    if bytes.len() != expected {
        return Err(TileError::Bytes { path: *path, expected, got: bytes.len() });
    }
    let (hashes, _) = bytes.as_chunks::<32>();
    Ok(hashes.iter().copied().map(NodeHash::from_bytes).collect())
}

/// The bytes of a hash tile.
pub fn tile_bytes(hashes: &[NodeHash]) -> Vec<u8> {
    hashes.iter().flat_map(NodeHash::as_bytes).copied().collect()
}

#[cfg(test)]
mod tests;
