//! Verified frames of a representation.
//!
//! A frame of the stored file is a slice of its mapping: nothing is copied, the only work is one BLAKE3 over each block
//! (INV-11). Frames end on block edges, so that each block is hashed once a pass.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use catalog::file_index::BLOCK_BYTES;
use catalog::{FileIndex, RegionKind};

use crate::footer::within;
use crate::representation::{Delivered, Piece, Representation, deliver};

/// Default length of a frame.
pub const FRAME_BYTES: usize = 1024 * 1024;

/// Pieces shorter than this are copied together: a frame each would cost more than the copy.
const SMALL_BYTES: usize = 16 * 1024;

/// Length at which a frame of small pieces is sent.
const GATHER_BYTES: usize = 64 * 1024;

/// The stored file is not what was inspected: the version must be quarantined, the stream broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IntegrityError {
    /// A block differs.
    #[error("the stored bytes from offset {offset} ({region:?}) are not those that were inspected")]
    Block {
        /// First byte of the block in the stored file.
        offset: u64,
        /// Region it belongs to.
        region: RegionKind,
    },
    /// The length differs.
    #[error("the stored file has {found} bytes, {expected} were inspected")]
    Length {
        /// Length at inspection.
        expected: u64,
        /// Length now.
        found: u64,
    },
}

/// Bytes to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// First byte in the representation.
    pub at: u64,
    /// The bytes; never empty.
    pub bytes: Bytes,
    /// Parts of units in them.
    pub delivered: Vec<Delivered>,
}

/// Reads one range of a representation frame by frame.
#[derive(Debug, Clone)]
pub struct FrameReader {
    representation: Arc<Representation>,
    rest: Range<u64>,
    frame_bytes_max: u64,
    /// Bytes of the stored file that were just verified; both ends are block edges.
    verified: Range<u64>,
}

impl FrameReader {
    /// Reads `range`, cut to the representation's length, in frames of at most `frame_bytes_max` bytes.
    pub fn new(representation: Arc<Representation>, range: Range<u64>, frame_bytes_max: usize) -> Self {
        let end = range.end.min(representation.bytes());
        let rest = range.start.min(end)..end;
        Self { representation, rest, frame_bytes_max: frame_bytes_max.max(1) as u64, verified: 0..0 }
    }

    /// The part of the range that has not been framed.
    pub fn rest(&self) -> Range<u64> {
        self.rest.clone()
    }

    /// The next frame, or `None` after the last. `file` is the whole stored file.
    ///
    /// # Errors
    ///
    /// The stored file changed. Nothing of the block was framed, and no frame follows.
    pub fn next(&mut self, file: &Bytes) -> Option<Result<Frame, IntegrityError>> {
        let frame = self.gather(file).transpose();
        if matches!(frame, Some(Err(_))) {
            self.rest.start = self.rest.end;
        }
        frame
    }

    /// One piece, or several small ones copied together.
    fn gather(&mut self, file: &Bytes) -> Result<Option<Frame>, IntegrityError> {
        let Some(mut frame) = self.take(file, self.frame_bytes_max)? else {
            return Ok(None);
        };
        if frame.bytes.len() >= SMALL_BYTES || self.rest.is_empty() {
            return Ok(Some(frame));
        }
        let room = self.frame_bytes_max.min(GATHER_BYTES as u64);
        let mut bytes = BytesMut::with_capacity(usize::try_from(room).unwrap_or(GATHER_BYTES));
        bytes.extend_from_slice(&frame.bytes);
        while let Some(left) = room.checked_sub(bytes.len() as u64).filter(|left| *left > 0) {
            let Some(next) = self.take(file, left)? else {
                break;
            };
            bytes.extend_from_slice(&next.bytes);
            for part in next.delivered {
                match frame.delivered.last_mut() {
                    Some(last)
                        if (last.row_group, last.column) == (part.row_group, part.column)
                            && last.range.end == part.range.start =>
                    {
                        last.range.end = part.range.end;
                    }
                    _ => frame.delivered.push(part),
                }
            }
        }
        frame.bytes = bytes.freeze();
        Ok(Some(frame))
    }

    /// At most `most` bytes of the next piece.
    fn take(&mut self, file: &Bytes, most: u64) -> Result<Option<Frame>, IntegrityError> {
        let end = self.rest.end.min(self.rest.start.saturating_add(most));
        let Some(piece) = self.representation.piece(self.rest.start..end) else {
            return Ok(None);
        };
        let frame = match piece {
            Piece::Inline { at, bytes } => Frame { at, bytes, delivered: Vec::new() },
            Piece::Source { at, range } => {
                let range = self.trimmed(range);
                self.verify(file, &range)?;
                let mut delivered = Vec::new();
                deliver(self.representation.index(), &range, &mut delivered);
                // `verify` has checked that the range lies in the file.
                let bytes = match (usize::try_from(range.start), usize::try_from(range.end)) {
                    (Ok(start), Ok(end)) if end <= file.len() => file.slice(start..end),
                    _ => return Err(length(self.representation.index(), file)),
                };
                Frame { at, bytes, delivered }
            }
        };
        self.rest.start += frame.bytes.len() as u64;
        Ok(Some(frame))
    }

    /// `range` without an unfinished block at its end, if something remains and more follows.
    fn trimmed(&self, range: Range<u64>) -> Range<u64> {
        let length = range.end - range.start;
        if self.rest.start + length >= self.rest.end {
            return range;
        }
        let Some(region) = self.representation.index().touched(&range).last() else {
            return range;
        };
        let edge = region.offset + (range.end - region.offset) / BLOCK_BYTES * BLOCK_BYTES;
        if range.end == region.range().end || edge <= range.start { range } else { range.start..edge }
    }

    /// Verifies the blocks of `range` that the frame before did not end with.
    fn verify(&mut self, file: &Bytes, range: &Range<u64>) -> Result<(), IntegrityError> {
        let needed = self.representation.index().aligned(range);
        let known = self.verified.contains(&needed.start);
        let from = if known { self.verified.end.min(needed.end) } else { needed.start };
        if from < needed.end {
            verify(self.representation.index(), file, &(from..needed.end))?;
        }
        let start = if known { self.verified.start } else { needed.start };
        self.verified = start..needed.end.max(if known { self.verified.end } else { 0 });
        Ok(())
    }
}

/// Verifies every block that `range` of `file` touches; `file` is the whole stored file.
pub fn verify(index: &FileIndex, file: &Bytes, range: &Range<u64>) -> Result<(), IntegrityError> {
    if file.len() as u64 != index.bytes {
        return Err(length(index, file));
    }
    let aligned = index.aligned(range);
    let bytes = within(file, &aligned).ok_or_else(|| length(index, file))?;
    if index.verify(aligned.start, bytes) {
        return Ok(());
    }
    // Rare: find the block to name.
    for region in index.touched(&aligned) {
        let mut at = region.offset.max(aligned.start);
        let end = region.range().end.min(aligned.end);
        while at < end {
            let block = index.aligned(&(at..at + 1));
            if !within(file, &block).is_some_and(|bytes| index.verify(block.start, bytes)) {
                return Err(IntegrityError::Block { offset: block.start, region: region.kind });
            }
            at = block.end.max(at + 1);
        }
    }
    Err(IntegrityError::Block { offset: aligned.start, region: RegionKind::Footer })
}

fn length(index: &FileIndex, file: &Bytes) -> IntegrityError {
    IntegrityError::Length { expected: index.bytes, found: file.len() as u64 }
}

#[cfg(test)]
mod tests;
