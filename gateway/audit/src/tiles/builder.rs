//! Which files an append adds to the log.

use crate::tree::{EMPTY_ROOT, Frontier, NodeHash, leaf_hash, subtree_root};

use super::bundle::encode_entry;
use super::path::edge_tiles;
use super::{
    ENTRY_BYTES_MAX, TILE_LEVELS, TILE_WIDTH, TileError, TileLevel, TilePath, bundle_entries, tile_bytes, tile_hashes,
};

/// One file to be written: create it if absent; if it exists its bytes must be equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TileFile {
    /// Its name relative to the folder that holds `checkpoint`; `to_string()` prints it.
    pub path: TilePath,
    /// Its whole content.
    pub bytes: Vec<u8>,
}

/// What an append adds.
///
/// Write and sync every file before a checkpoint of `size` and `root` is signed. The files
/// stand in the order in which they may be written so that a crash leaves no tile without
/// what lies under it: bundles, then hash tiles from level 0 upwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TileWrites {
    /// Entries in the tree after the append.
    pub size: u64,
    /// Its root.
    pub root: NodeHash,
    /// New files.
    pub files: Vec<TileFile>,
    /// Tiles that this append completed and that had partial forms before: once their full
    /// file is durable, everything under their [`TilePath::partial_dir`] may be deleted.
    pub completed: Vec<TilePath>,
}

/// The right edge of the log: the partial tiles and the partial bundle, from which the next
/// append's files follow. At most 2,048 hashes and 255 entries are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TileBuilder {
    size: u64,
    bundle: Vec<u8>,
    // INVARIANT (edge): level L holds `size / 256^L mod 256` hashes, those after its last full tile.
    levels: Vec<Vec<NodeHash>>,
}

impl TileBuilder {
    /// An empty log.
    pub fn new() -> Self {
        Self::default()
    }

    /// The builder of a log that has `size` entries, from the files on its right edge: `read`
    /// is called for each of [`edge_tiles`]`(size)` and gives the file's bytes or, when only the full
    /// file is left there (an append was interrupted), the full file's.
    ///
    /// Compare [`TileBuilder::root`] with the last checkpoint before appending.
    ///
    /// # Errors
    ///
    /// What `read` says, or [`TileError`] when a file does not have the form it must have or
    /// the edge contradicts itself.
    pub fn resume<E: From<TileError>>(
        size: u64,
        mut read: impl FnMut(&TilePath) -> Result<Vec<u8>, E>,
    ) -> Result<Self, E> {
        let mut builder = Self { size, ..Self::default() };
        for path in edge_tiles(size) {
            let bytes = read(&path)?;
            match path.level() {
                TileLevel::Entries => builder.bundle = edge_bundle(&path, &bytes)?,
                TileLevel::Hashes(level) => {
                    // Levels whose edge is empty have no file; they stay empty here.
                    builder.levels.resize(usize::from(level), Vec::new());
                    builder.levels.push(edge_hashes(&path, &bytes)?);
                }
            }
        }
        let width = u16::try_from(size % u64::from(TILE_WIDTH)).unwrap_or_default();
        if let Ok(path) = TilePath::new(TileLevel::Entries, size / 256, width) {
            let entries = bundle_entries(&path, &builder.bundle)?;
            let hashed = entries.iter().map(|entry| leaf_hash(entry));
            if !builder.levels.first().is_some_and(|level| hashed.eq(level.iter().copied())) {
                return Err(TileError::Bundle { path, at: 0 }.into());
            }
        }
        Ok(builder)
    }

    /// Entries in the log.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root of the log.
    pub fn root(&self) -> NodeHash {
        // From the right: the lower a level, the further right its edge stands.
        let mut root = None;
        for hashes in &self.levels {
            let mut edge = Frontier::new();
            for hash in hashes {
                edge.push(*hash);
            }
            root = edge.root_before(root);
        }
        root.unwrap_or(EMPTY_ROOT)
    }

    /// The tree as it stands, for whoever appends hashes and wants no files. Nothing if the edge contradicts the size.
    pub fn frontier(&self) -> Option<Frontier> {
        let mut frontier = Frontier::new();
        for (level, hashes) in self.levels.iter().enumerate().rev() {
            // Each hash of a tile level is the root of a perfect subtree of 256^level entries.
            let height = u32::try_from(level).ok()?.checked_mul(8)?;
            for hash in hashes {
                frontier.push_perfect(height, *hash).then_some(())?;
            }
        }
        (frontier.size() == self.size).then_some(frontier)
    }

    /// Appends `entries` and says what has to be written. On an error nothing has changed.
    ///
    /// The same entries after the same log always give the same files, so an append whose
    /// writes failed halfway can be repeated.
    ///
    /// # Errors
    ///
    /// [`TileError::EntryTooLong`] for an entry above 65,535 bytes, [`TileError::Size`] when the
    /// tree would outgrow 2^63 entries.
    pub fn append<T: AsRef<[u8]>>(&mut self, entries: &[T]) -> Result<TileWrites, TileError> {
        if let Some(entry) = entries.iter().find(|e| e.as_ref().len() > ENTRY_BYTES_MAX) {
            return Err(TileError::EntryTooLong { got: entry.as_ref().len() });
        }
        u64::try_from(entries.len())
            .ok()
            .and_then(|added| self.size.checked_add(added))
            .filter(|size| *size < 1 << 63)
            .ok_or(TileError::Size(self.size))?;

        let before: Vec<usize> = self.levels.iter().map(Vec::len).collect();
        let mut writes = Writes::default();
        for entry in entries {
            self.push(entry.as_ref(), &mut writes)?;
        }
        self.write_edge(&before, &mut writes);
        writes.hashes.sort_by_key(|file| file.path);
        let mut files = writes.bundles;
        files.append(&mut writes.hashes);
        Ok(TileWrites { size: self.size, root: self.root(), files, completed: writes.completed })
    }

    fn push(&mut self, entry: &[u8], writes: &mut Writes) -> Result<(), TileError> {
        encode_entry(&mut self.bundle, entry)?;
        let mut hash = leaf_hash(entry);
        self.size += 1;
        let mut under = self.size;
        for level in 0..TILE_LEVELS {
            if self.levels.len() <= usize::from(level) {
                self.levels.push(Vec::new());
            }
            let Some(hashes) = self.levels.get_mut(usize::from(level)) else {
                break;
            };
            hashes.push(hash);
            if hashes.len() < usize::from(TILE_WIDTH) {
                break;
            }
            under /= u64::from(TILE_WIDTH);
            let index = under - 1;
            let full = std::mem::take(hashes);
            if level == 0 {
                let path = TilePath::full(TileLevel::Entries, index);
                writes.bundles.push(TileFile { path, bytes: std::mem::take(&mut self.bundle) });
            }
            let path = TilePath::full(TileLevel::Hashes(level), index);
            writes.hashes.push(TileFile { path, bytes: tile_bytes(&full) });
            hash = subtree_root(&full);
        }
        Ok(())
    }

    /// Adds the partial files of the new edge, and names the tiles that were partial before.
    fn write_edge(&self, before: &[usize], writes: &mut Writes) {
        let was_partial = |level: u8| before.get(usize::from(level)).is_some_and(|width| *width > 0);
        let mut seen = Vec::new();
        for file in &writes.hashes {
            let TileLevel::Hashes(level) = file.path.level() else {
                continue;
            };
            // Only the first full tile of a level continues the old edge.
            if !seen.contains(&level) {
                seen.push(level);
                if was_partial(level) {
                    if level == 0 {
                        writes.completed.push(TilePath::full(TileLevel::Entries, file.path.index()));
                    }
                    writes.completed.push(file.path);
                }
            }
        }
        for path in edge_tiles(self.size) {
            match path.level() {
                TileLevel::Entries => {
                    writes.bundles.push(TileFile { path, bytes: self.bundle.clone() });
                }
                TileLevel::Hashes(level) => {
                    let hashes = self.levels.get(usize::from(level)).map_or(&[][..], Vec::as_slice);
                    let unchanged = before.get(usize::from(level)) == Some(&hashes.len()) && !seen.contains(&level);
                    if !unchanged {
                        writes.hashes.push(TileFile { path, bytes: tile_bytes(hashes) });
                    }
                }
            }
        }
    }
}

#[derive(Default)]
struct Writes {
    bundles: Vec<TileFile>,
    hashes: Vec<TileFile>,
    completed: Vec<TilePath>,
}

fn edge_bundle(path: &TilePath, bytes: &[u8]) -> Result<Vec<u8>, TileError> {
    if bundle_entries(path, bytes).is_ok() {
        return Ok(bytes.to_vec());
    }
    // The full bundle, when the partial one is gone: its first entries are ours.
    let entries = bundle_entries(&path.as_full(), bytes).or_else(|_| bundle_entries(path, bytes))?;
    let mut bundle = Vec::new();
    for entry in entries.iter().take(usize::from(path.width())) {
        encode_entry(&mut bundle, entry)?;
    }
    Ok(bundle)
}

fn edge_hashes(path: &TilePath, bytes: &[u8]) -> Result<Vec<NodeHash>, TileError> {
    let mut hashes = match tile_hashes(path, bytes) {
        Ok(hashes) => hashes,
        Err(error) => tile_hashes(&path.as_full(), bytes).map_err(|_| error)?,
    };
    hashes.truncate(usize::from(path.width()));
    Ok(hashes)
}
