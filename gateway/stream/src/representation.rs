//! A sequence of bytes a consumer may range over: the stored file, or a virtual one made of parts of it.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use catalog::file_index::Region;
use catalog::{Digest, FileIndex, RegionKind};

use crate::chunks::{self, ChunkEntry};

/// A part of a representation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// These bytes of the stored file. Both ends are edges of regions.
    Source(Range<u64>),
    /// Bytes of our own making: a rewritten footer.
    Inline(Bytes),
}

impl Segment {
    fn bytes(&self) -> u64 {
        match self {
            Self::Source(range) => range.end - range.start,
            Self::Inline(bytes) => bytes.len() as u64,
        }
    }
}

/// A part of a range of a representation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// These bytes of the stored file.
    Source {
        /// First byte in the representation.
        at: u64,
        /// Bytes of the stored file.
        range: Range<u64>,
    },
    /// These bytes.
    Inline {
        /// First byte in the representation.
        at: u64,
        /// The bytes.
        bytes: Bytes,
    },
}

/// Stored bytes of one unit that a frame or batch delivers, for the meter (INV-4). Footers, indexes and magic are free
/// and never appear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// Row group, from 0.
    pub row_group: u32,
    /// Leaf column, from 0.
    pub column: u32,
    /// Bytes of the stored file, inside the unit.
    pub range: Range<u64>,
}

/// Segments that cannot be a representation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RepresentationError {
    /// A source segment does not consist of whole regions.
    #[error("the segment from {start} to {end} does not consist of whole regions of the stored file")]
    NotWholeRegions {
        /// First byte.
        start: u64,
        /// End.
        end: u64,
    },
}

/// A representation of one stored file. Immutable; its entity tag names exactly these bytes.
#[derive(Debug, Clone)]
pub struct Representation {
    index: Arc<FileIndex>,
    /// Each with its first byte in the representation; none is empty.
    segments: Vec<(u64, Segment)>,
    bytes: u64,
    etag: String,
    original: bool,
}

impl Representation {
    /// The stored file itself.
    pub fn original(index: Arc<FileIndex>) -> Self {
        let bytes = index.bytes;
        let etag = format!("\"{}\"", index.sha256.hex());
        let mut segments = Vec::new();
        if bytes > 0 {
            segments.push((0, Segment::Source(0..bytes)));
        }
        Self { index, segments, bytes, etag, original: true }
    }

    /// A virtual file. Its entity tag is a hash over the source's SHA-256 and what stands where: chunk list and inline
    /// bytes. Neighbouring source segments are joined.
    pub fn of(index: Arc<FileIndex>, parts: impl IntoIterator<Item = Segment>) -> Result<Self, RepresentationError> {
        let mut segments: Vec<(u64, Segment)> = Vec::new();
        let mut bytes = 0_u64;
        for part in parts {
            if part.bytes() == 0 {
                continue;
            }
            if let Segment::Source(range) = &part {
                let regions = index.touched(range);
                let starts = regions.first().is_some_and(|region| region.offset == range.start);
                let ends = regions.last().is_some_and(|region| region.range().end == range.end);
                if !(starts && ends) {
                    return Err(RepresentationError::NotWholeRegions { start: range.start, end: range.end });
                }
            }
            let at = bytes;
            bytes = bytes.saturating_add(part.bytes());
            match (segments.last_mut(), &part) {
                (Some((_, Segment::Source(last))), Segment::Source(next)) if last.end == next.start => {
                    last.end = next.end;
                }
                _ => segments.push((at, part)),
            }
        }
        let mut representation = Self { index, segments, bytes, etag: String::new(), original: false };
        representation.etag = representation.tag();
        Ok(representation)
    }

    fn tag(&self) -> String {
        let mut hasher = catalog::digest::Hasher::default();
        hasher.update(b"kouan virtual parquet 1\n");
        hasher.update(self.index.sha256.as_bytes());
        for entry in self.chunks() {
            hasher.update(&entry.offset.to_be_bytes());
            hasher.update(&entry.bytes.to_be_bytes());
            hasher.update(entry.digest.as_bytes());
        }
        format!("\"{}\"", hasher.finish().hex())
    }

    /// Length.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Strong entity tag with its quotes.
    pub fn etag(&self) -> &str {
        &self.etag
    }

    /// About what it takes in memory beside the index, which all representations of a file share.
    pub fn memory_bytes(&self) -> usize {
        let inline = |segment: &Segment| match segment {
            Segment::Inline(bytes) => bytes.len(),
            Segment::Source(_) => 0,
        };
        self.segments.iter().map(|(_, segment)| 64 + inline(segment)).sum::<usize>() + 256
    }

    /// Whether it is the stored file.
    pub fn is_original(&self) -> bool {
        self.original
    }

    /// SHA-256 of all its bytes where it is already known: of the stored file (`Repr-Digest`, RFC 9530).
    pub fn sha256(&self) -> Option<&Digest> {
        self.original.then_some(&self.index.sha256)
    }

    /// Index of the stored file.
    pub fn index(&self) -> &Arc<FileIndex> {
        &self.index
    }

    /// What `range`, cut to the length, consists of.
    pub fn slice(&self, range: Range<u64>) -> impl Iterator<Item = Piece> + '_ {
        let end = range.end.min(self.bytes);
        let mut at = range.start;
        std::iter::from_fn(move || {
            let piece = self.piece(at..end)?;
            at += match &piece {
                Piece::Source { range, .. } => range.end - range.start,
                Piece::Inline { bytes, .. } => bytes.len() as u64,
            };
            Some(piece)
        })
    }

    /// The first piece of `range`.
    pub(crate) fn piece(&self, range: Range<u64>) -> Option<Piece> {
        if range.start >= range.end.min(self.bytes) {
            return None;
        }
        let number = self.segments.partition_point(|(at, _)| *at <= range.start).checked_sub(1)?;
        let (at, segment) = self.segments.get(number)?;
        let from = range.start - at;
        let to = (range.end - at).min(segment.bytes());
        Some(match segment {
            Segment::Source(source) => Piece::Source { at: range.start, range: source.start + from..source.start + to },
            Segment::Inline(bytes) => {
                let (from, to) = (usize::try_from(from).ok()?, usize::try_from(to).ok()?);
                Piece::Inline { at: range.start, bytes: bytes.slice(from..to) }
            }
        })
    }

    /// What must be read of the stored file to verify and send `range`: whole blocks, in file order, joined where they
    /// meet.
    pub fn source_blocks(&self, range: Range<u64>) -> Vec<Range<u64>> {
        let mut blocks: Vec<Range<u64>> = Vec::new();
        for piece in self.slice(range) {
            let Piece::Source { range, .. } = piece else {
                continue;
            };
            let aligned = self.index.aligned(&range);
            match blocks.last_mut() {
                Some(last) if last.start <= aligned.start && aligned.start <= last.end => {
                    last.end = last.end.max(aligned.end);
                }
                _ => blocks.push(aligned),
            }
        }
        blocks
    }

    /// The parts of units in `range`.
    pub fn delivered(&self, range: Range<u64>) -> Vec<Delivered> {
        let mut delivered = Vec::new();
        for piece in self.slice(range) {
            if let Piece::Source { range, .. } = piece {
                deliver(&self.index, &range, &mut delivered);
            }
        }
        delivered
    }

    /// Stored bytes of all units in it: what the meter can count.
    pub fn unit_bytes(&self) -> u64 {
        let chunk = |region: &&Region| matches!(region.kind, RegionKind::Chunk { .. });
        self.regions().filter(chunk).map(|region| region.bytes).sum()
    }

    /// The chunk list: every byte is in exactly one entry.
    pub fn chunks(&self) -> Vec<ChunkEntry> {
        let mut entries = Vec::new();
        for (at, segment) in &self.segments {
            match segment {
                Segment::Inline(bytes) => entries.push(ChunkEntry {
                    row_group: None,
                    column: None,
                    offset: *at,
                    bytes: bytes.len() as u64,
                    digest: chunks::digest(bytes),
                }),
                Segment::Source(range) => {
                    entries.extend(self.index.touched(range).iter().map(|region| {
                        let (row_group, column) = match region.kind {
                            RegionKind::Chunk { row_group, column } => {
                                let leaf = self.index.leaves.get(column as usize);
                                (Some(row_group), leaf.map(|leaf| leaf.path.clone()))
                            }
                            _ => (None, None),
                        };
                        let offset = at + (region.offset - range.start);
                        ChunkEntry { row_group, column, offset, bytes: region.bytes, digest: region.digest }
                    }));
                }
            }
        }
        entries
    }

    /// Regions of the stored file in it.
    fn regions(&self) -> impl Iterator<Item = &Region> {
        self.segments.iter().flat_map(|(_, segment)| match segment {
            Segment::Source(range) => self.index.touched(range),
            Segment::Inline(_) => &[],
        })
    }
}

/// Adds the parts of units in `range` of the stored file, joined with the last one where they meet.
pub(crate) fn deliver(index: &FileIndex, range: &Range<u64>, delivered: &mut Vec<Delivered>) {
    for region in index.touched(range) {
        let RegionKind::Chunk { row_group, column } = region.kind else {
            continue;
        };
        let part = region.offset.max(range.start)..region.range().end.min(range.end);
        match delivered.last_mut() {
            Some(last) if (last.row_group, last.column) == (row_group, column) && last.range.end == part.start => {
                last.range.end = part.end;
            }
            _ => delivered.push(Delivered { row_group, column, range: part }),
        }
    }
}

#[cfg(test)]
mod tests;
