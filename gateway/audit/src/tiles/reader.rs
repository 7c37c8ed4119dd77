//! Reading the tree's hashes back from tiles.

use std::collections::HashMap;

use crate::tree::{HashReader, Node, NodeHash, prove_consistency, prove_inclusion, subtree_root, tree_root};

use super::path::tile_of;
use super::{TileError, TilePath, tile_hashes};

/// Makes proofs and roots of a tree of a given size out of its hash tiles.
///
/// Each tile is asked for once and kept for the reader's life, so make one per request. A tile
/// is first asked for as the tree has it (partial on the right edge) and, when that form is
/// gone, as the full tile. The answers are as good as the tiles: check a proof against the
/// checkpoint's root before handing it out.
#[derive(Debug)]
pub struct TileReader<F> {
    size: u64,
    read: F,
    tiles: HashMap<TilePath, Vec<NodeHash>>,
}

impl<F, E> TileReader<F>
where
    F: FnMut(&TilePath) -> Result<Option<Vec<u8>>, E>,
    E: std::fmt::Display,
{
    /// A reader for the tree of `size` entries. `read` gives a file's bytes, nothing if there is
    /// no such file.
    pub fn new(size: u64, read: F) -> Self {
        Self { size, read, tiles: HashMap::new() }
    }

    /// The proof that entry `index` is in the tree.
    pub fn inclusion(&mut self, index: u64) -> Result<Vec<NodeHash>, TileError> {
        let size = self.size;
        prove_inclusion(self, index, size)
    }

    /// The proof that the tree of `old` entries is a prefix of this one.
    pub fn consistency(&mut self, old: u64) -> Result<Vec<NodeHash>, TileError> {
        let size = self.size;
        prove_consistency(self, old, size)
    }

    /// The root of the tree.
    pub fn root(&mut self) -> Result<NodeHash, TileError> {
        let size = self.size;
        tree_root(self, size)
    }

    /// The hash of entry `index`.
    pub fn leaf(&mut self, index: u64) -> Result<NodeHash, TileError> {
        self.read_hash(Node { level: 0, index })
    }

    fn load(&mut self, path: &TilePath) -> Result<Vec<NodeHash>, TileError> {
        let mut ask =
            |path: &TilePath| (self.read)(path).map_err(|why| TileError::Read { path: *path, why: why.to_string() });
        if let Some(bytes) = ask(path)? {
            return tile_hashes(path, &bytes);
        }
        let full = path.as_full();
        let bytes = if path.is_full() { None } else { ask(&full)? };
        let mut hashes = tile_hashes(&full, &bytes.ok_or(TileError::Missing(*path))?)?;
        hashes.truncate(usize::from(path.width()));
        Ok(hashes)
    }
}

impl<F, E> HashReader for TileReader<F>
where
    F: FnMut(&TilePath) -> Result<Option<Vec<u8>>, E>,
    E: std::fmt::Display,
{
    type Error = TileError;

    fn read_hash(&mut self, node: Node) -> Result<NodeHash, TileError> {
        let outside = || TileError::Size(node.index);
        let (path, place) = tile_of(node, self.size).ok_or_else(outside)?;
        if !self.tiles.contains_key(&path) {
            let hashes = self.load(&path)?;
            self.tiles.insert(path, hashes);
        }
        let first = usize::try_from(place.index << place.level).unwrap_or(usize::MAX);
        let hashes = self
            .tiles
            .get(&path)
            .and_then(|hashes| hashes.get(first..first.checked_add(1 << place.level)?))
            .ok_or_else(outside)?;
        Ok(subtree_root(hashes))
    }
}
