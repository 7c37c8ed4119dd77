//! The index of a stored Parquet file: every byte of it in exactly one region, every region in hashed blocks.
//!
//! INV-11: BLAKE3 of 64 KiB blocks per column chunk and per region outside chunks; a region's digest is the SHA-256 of
//! its block hashes; the index's own digest stands in the version's manifest digest. Whoever sends a range verifies the
//! blocks it touches first.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::Digest;

/// Length of a verified block; a region's last block may be shorter.
pub const BLOCK_BYTES: u64 = 64 * 1024;

/// What a region of a Parquet file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegionKind {
    /// The four bytes `PAR1` at the start.
    Magic,
    /// One column chunk: a unit of the meter.
    Chunk {
        /// Row group, from 0.
        row_group: u32,
        /// Leaf column, from 0, in schema order.
        column: u32,
    },
    /// A page index or bloom filter of one column chunk.
    ChunkIndex {
        /// Row group, from 0.
        row_group: u32,
        /// Leaf column, from 0.
        column: u32,
    },
    /// Metadata, its length and the closing `PAR1`.
    Footer,
}

/// One region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Region {
    /// What it is.
    pub kind: RegionKind,
    /// First byte in the file.
    pub offset: u64,
    /// Length, never zero.
    pub bytes: u64,
    /// SHA-256 of the concatenated block hashes.
    pub digest: Digest,
    /// BLAKE3 of each block.
    #[serde(with = "blocks")]
    pub blocks: Vec<[u8; 32]>,
}

impl Region {
    /// The bytes of the file that the region covers.
    pub fn range(&self) -> Range<u64> {
        self.offset..self.offset.saturating_add(self.bytes)
    }
}

/// Size of one unit (row group, leaf column), for the meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// Row group, from 0.
    pub row_group: u32,
    /// Leaf column, from 0.
    pub column: u32,
    /// First stored byte.
    pub offset: u64,
    /// Stored (compressed) bytes.
    pub bytes: u64,
    /// Uncompressed bytes as the footer states and the page headers confirm: what `per_gib` prices.
    pub uncompressed_bytes: u64,
}

/// A leaf column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaf {
    /// Dotted path (`a.list.element`).
    pub path: String,
    /// Arrow type of the top-level field it belongs to, as text.
    pub r#type: String,
}

/// The index of one stored file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileIndex {
    /// Length of the file.
    pub bytes: u64,
    /// SHA-256 of the file.
    pub sha256: Digest,
    /// Rows of each row group.
    pub row_groups: Vec<u64>,
    /// Leaf columns in schema order.
    pub leaves: Vec<Leaf>,
    /// Units in file order.
    pub units: Vec<Unit>,
    /// Regions in file order; they tile the file exactly.
    pub regions: Vec<Region>,
}

impl FileIndex {
    /// Rows of the file.
    pub fn rows(&self) -> u64 {
        self.row_groups.iter().sum()
    }

    /// The units of one row group, whose unit at `place` among [`Self::units`] is known, and their places.
    pub fn row_group_of(&self, place: usize) -> impl Iterator<Item = (usize, &Unit)> {
        let row_group = self.units.get(place).map(|unit| unit.row_group);
        let other = |unit: &Unit| Some(unit.row_group) != row_group;
        let (before, from) = self.units.split_at_checked(place).unwrap_or_default();
        let first = before.iter().rposition(other).map_or(0, |last| last + 1);
        let past = place + from.iter().position(other).unwrap_or(from.len());
        // They stand together in what most writers write. If not, or some are empty, all are looked through: there may be
        // a hundred thousand, and this is asked at each delivery.
        let near = past.saturating_sub(first) == self.leaves.len();
        let (first, past) = if near { (first, past) } else { (0, self.units.len()) };
        let units = (first..).zip(self.units.get(first..past).unwrap_or_default());
        units.filter(move |(_, unit)| Some(unit.row_group) == row_group)
    }

    /// The regions that `range` touches, in file order.
    pub fn touched(&self, range: &Range<u64>) -> &[Region] {
        let first = self.regions.partition_point(|region| region.range().end <= range.start);
        let last = self.regions.partition_point(|region| region.offset < range.end);
        self.regions.get(first..last).unwrap_or_default()
    }

    /// Whether `bytes`, read at `offset`, are what was inspected. `offset` must be the start of a block and `bytes` end
    /// at the end of one (a region's end included); else the answer is `false`.
    pub fn verify(&self, offset: u64, bytes: &[u8]) -> bool {
        let Ok(length) = u64::try_from(bytes.len()) else {
            return false;
        };
        let Some(end) = offset.checked_add(length) else {
            return false;
        };
        let mut rest = bytes;
        for region in self.touched(&(offset..end)) {
            let from = offset.max(region.offset) - region.offset;
            let to = end.min(region.range().end) - region.offset;
            if from % BLOCK_BYTES != 0 || (to % BLOCK_BYTES != 0 && to != region.bytes) {
                return false;
            }
            let mut at = from;
            while at < to {
                let block_end = (at + BLOCK_BYTES).min(region.bytes);
                let hash = usize::try_from(at / BLOCK_BYTES).ok().and_then(|number| region.blocks.get(number));
                let length = usize::try_from(block_end - at).unwrap_or(usize::MAX);
                let (Some(hash), Some((block, after))) = (hash, rest.split_at_checked(length)) else {
                    return false;
                };
                if blake3::hash(block).as_bytes() != hash {
                    return false;
                }
                rest = after;
                at = block_end;
            }
        }
        rest.is_empty() && end <= self.bytes
    }

    /// `range` widened to whole blocks of the regions it touches: what must be read to verify it.
    pub fn aligned(&self, range: &Range<u64>) -> Range<u64> {
        let touched = self.touched(range);
        let start = touched.first().map_or(range.start, |region| {
            let within = range.start.max(region.offset) - region.offset;
            region.offset + within / BLOCK_BYTES * BLOCK_BYTES
        });
        let end = touched.last().map_or(range.end, |region| {
            let within = range.end.min(region.range().end) - region.offset;
            region.offset + within.div_ceil(BLOCK_BYTES).saturating_mul(BLOCK_BYTES).min(region.bytes)
        });
        start..end
    }
}

/// Block hashes as one hex string: a JSON array of arrays would be six times as long.
mod blocks {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(blocks: &[[u8; 32]], serializer: S) -> Result<S::Ok, S::Error> {
        use std::fmt::Write as _;
        let mut hex = String::with_capacity(blocks.len().saturating_mul(64));
        for byte in blocks.iter().flatten() {
            let _ = write!(hex, "{byte:02x}");
        }
        serializer.serialize_str(&hex)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<[u8; 32]>, D::Error> {
        let hex = String::deserialize(deserializer)?;
        let wrong = || D::Error::custom("block hashes are not whole groups of 64 hex digits");
        if hex.len() % 64 != 0 || !hex.is_ascii() {
            return Err(wrong());
        }
        hex.as_bytes()
            .chunks_exact(64)
            .map(|text| {
                let mut hash = [0; 32];
                for (byte, pair) in hash.iter_mut().zip(text.chunks_exact(2)) {
                    let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
                    *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
                }
                Ok(hash)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Units of these row groups, one after the other in the file.
    fn index(row_groups: &[u32], leaves: usize) -> FileIndex {
        let unit = |(offset, row_group): (u64, &u32)| Unit {
            row_group: *row_group,
            column: 0,
            offset,
            bytes: 1,
            uncompressed_bytes: 1,
        };
        let leaf = Leaf { path: "a".to_owned(), r#type: "Utf8".to_owned() };
        FileIndex {
            bytes: 100,
            sha256: Digest::of(b"file"),
            row_groups: vec![1; 4],
            leaves: vec![leaf; leaves],
            units: (4..).zip(row_groups).map(unit).collect(),
            regions: Vec::new(),
        }
    }

    #[test]
    fn the_units_of_a_row_group_are_found_wherever_they_stand() {
        for (row_groups, leaves) in [
            (vec![0, 0, 1, 1, 2, 2], 2),
            (vec![2, 2, 0, 0, 1, 1], 2),
            (vec![0, 1, 2, 0, 1, 2], 2), // column after column
            (vec![0, 0, 1, 0, 1, 1], 3),
            (vec![3, 3, 3], 3),
        ] {
            let index = index(&row_groups, leaves);
            for (place, row_group) in row_groups.iter().enumerate() {
                let found: Vec<usize> = index.row_group_of(place).map(|(place, _)| place).collect();
                let all = row_groups.iter().enumerate().filter(|(_, of)| *of == row_group);
                assert_eq!(found, all.map(|(place, _)| place).collect::<Vec<_>>(), "{row_groups:?} {place}");
            }
            assert_eq!(index.row_group_of(row_groups.len()).count(), 0);
        }
    }
}
