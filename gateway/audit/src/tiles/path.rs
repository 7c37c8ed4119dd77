//! Names of tiles, and which of them a tree size or a proof needs.

use std::fmt;
use std::str::FromStr;

use crate::tree::{Node, ProofError, consistency_nodes, inclusion_nodes, shorten};

use super::{TILE_LEVELS, TILE_WIDTH, TileError};

/// What a tile holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TileLevel {
    /// Entries: an entry bundle.
    Entries,
    /// Hashes of perfect subtrees of 256^L entries.
    Hashes(u8),
}

/// The name of one tile or bundle, relative to the folder that holds `checkpoint`.
///
/// Prints and parses as the specification writes it: `tile/0/x001/x234/067.p/12`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TilePath {
    level: TileLevel,
    index: u64,
    // INVARIANT (width): 1..=256; 256 is a full tile.
    width: u16,
}

impl TilePath {
    /// The tile of `level` at `index`, full when `width` is 256.
    ///
    /// # Errors
    ///
    /// [`TileError::Path`] when the width is not 1 to 256 or the level is above 63.
    pub fn new(level: TileLevel, index: u64, width: u16) -> Result<Self, TileError> {
        let path = Self { level, index, width };
        let level_fits = !matches!(level, TileLevel::Hashes(64..));
        if (1..=TILE_WIDTH).contains(&width) && level_fits { Ok(path) } else { Err(TileError::Path(path.to_string())) }
    }

    /// The full tile at `index`.
    pub(crate) fn full(level: TileLevel, index: u64) -> Self {
        Self { level, index, width: TILE_WIDTH }
    }

    /// The tile at `index` as a tree of `size` entries has it; nothing if it is empty there.
    pub fn in_tree(level: TileLevel, index: u64, size: u64) -> Option<Self> {
        let hashes = size.checked_shr(level.shift())?;
        let width = hashes.saturating_sub(index.checked_mul(u64::from(TILE_WIDTH))?);
        let width = u16::try_from(width.min(u64::from(TILE_WIDTH))).ok()?;
        (width > 0).then_some(Self { level, index, width })
    }

    /// What it holds.
    pub fn level(&self) -> TileLevel {
        self.level
    }

    /// Its position in the level.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Its hashes or entries, 1 to 256.
    pub fn width(&self) -> u16 {
        self.width
    }

    /// Whether it holds all 256.
    pub fn is_full(&self) -> bool {
        self.width == TILE_WIDTH
    }

    /// The same tile when full.
    #[must_use]
    pub fn as_full(&self) -> Self {
        Self::full(self.level, self.index)
    }

    /// The same tile with another width, 1 to 256.
    pub fn with_width(&self, width: u16) -> Result<Self, TileError> {
        Self::new(self.level, self.index, width)
    }

    /// The folder that holds this tile's partial forms: `tile/0/000.p`.
    pub fn partial_dir(&self) -> String {
        format!("{}.p", self.as_full())
    }

    /// The first entry under it, if a tree can have that many.
    pub fn first_entry(&self) -> Option<u64> {
        let shift = self.level.shift() + 8;
        let first = self.index.checked_shl(shift)?;
        (first >> shift == self.index).then_some(first)
    }
}

impl TileLevel {
    /// log2 of the entries under one hash.
    fn shift(self) -> u32 {
        match self {
            Self::Entries => 0,
            Self::Hashes(level) => u32::from(level) * 8,
        }
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.level {
            TileLevel::Entries => f.write_str("tile/entries/")?,
            TileLevel::Hashes(level) => write!(f, "tile/{level}/")?,
        }
        let mut groups = Vec::new();
        let mut rest = self.index;
        loop {
            groups.push(rest % 1000);
            rest /= 1000;
            if rest == 0 {
                break;
            }
        }
        for (place, group) in groups.iter().enumerate().rev() {
            if place == 0 {
                write!(f, "{group:03}")?;
            } else {
                write!(f, "x{group:03}/")?;
            }
        }
        if self.width == TILE_WIDTH { Ok(()) } else { write!(f, ".p/{}", self.width) }
    }
}

impl FromStr for TilePath {
    type Err = TileError;

    fn from_str(text: &str) -> Result<Self, TileError> {
        parse(text).filter(|path| path.to_string() == text).ok_or_else(|| TileError::Path(shorten(text)))
    }
}

/// Reads a path; whether it was written the one right way is for the caller to compare.
fn parse(text: &str) -> Option<TilePath> {
    let (level, rest) = text.strip_prefix("tile/")?.split_once('/')?;
    let level = match level {
        "entries" => TileLevel::Entries,
        number => TileLevel::Hashes(decimal(number)?.try_into().ok()?),
    };
    let (place, width) = match rest.split_once(".p/") {
        Some((place, width)) => (place, u16::try_from(decimal(width)?).ok()?),
        None => (rest, TILE_WIDTH),
    };
    let mut index = 0u64;
    for group in place.split('/') {
        let digits = group.strip_prefix('x').unwrap_or(group);
        index = index.checked_mul(1000)?.checked_add(decimal(digits)?)?;
    }
    // A full width is never written out: the caller's comparison refuses `.p/256`.
    TilePath::new(level, index, width).ok()
}

fn decimal(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// The tile that holds a stored hash, in a tree of `size` entries, and the node's place in it.
pub(super) fn tile_of(node: Node, size: u64) -> Option<(TilePath, Node)> {
    let level = u8::try_from(node.level / 8).ok()?;
    let height = node.level % 8;
    let (shift, first_hash) = (8 - height, node.index.checked_shl(height)?);
    let path = TilePath::in_tree(TileLevel::Hashes(level), node.index >> shift, size)?;
    let index = (first_hash % u64::from(TILE_WIDTH)) >> height;
    Some((path, Node { level: height, index }))
}

fn tiles_of(nodes: Vec<Node>, size: u64) -> Vec<TilePath> {
    let mut paths: Vec<_> = nodes.into_iter().filter_map(|node| tile_of(node, size)).map(|(path, _)| path).collect();
    paths.sort_unstable();
    paths.dedup();
    paths
}

/// The hash tiles needed to prove that entry `index` is in the tree of `size` entries: for a
/// caller that fetches them before it makes the proof.
pub fn inclusion_tiles(index: u64, size: u64) -> Result<Vec<TilePath>, ProofError> {
    Ok(tiles_of(inclusion_nodes(index, size)?, size))
}

/// The hash tiles needed to prove that the tree of `old` entries is a prefix of that of `new`.
pub fn consistency_tiles(old: u64, new: u64) -> Result<Vec<TilePath>, ProofError> {
    Ok(tiles_of(consistency_nodes(old, new)?, new))
}

/// The partial tiles and the partial bundle on the right edge of a tree of `size` entries: all
/// that [`super::TileBuilder::resume`] reads, and all that gives the root.
pub fn edge_tiles(size: u64) -> Vec<TilePath> {
    let levels = std::iter::once(TileLevel::Entries).chain((0..TILE_LEVELS).map(TileLevel::Hashes));
    levels
        .filter_map(|level| {
            let index = size.checked_shr(level.shift() + 8).unwrap_or(0);
            TilePath::in_tree(level, index, size)
        })
        .collect()
}
