//! The chunk list of a representation, and how a puller checks what it received against it.
//!
//! A digest is the SHA-256 of the BLAKE3 hashes of 64 KiB blocks, counted from the entry's first byte (the last block
//! may be shorter). Entries outside column chunks have neither row group nor column; together they tile the file.

use std::ops::Range;

use catalog::Digest;
use catalog::file_index::BLOCK_BYTES;
use serde::{Deserialize, Serialize};

/// One entry of the chunk list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkEntry {
    /// Row group, from 0; `null` for magic, indexes and footer.
    pub row_group: Option<u32>,
    /// Dotted path of the leaf column; `null` for magic, indexes and footer.
    pub column: Option<String>,
    /// First byte in the representation.
    pub offset: u64,
    /// Length.
    pub bytes: u64,
    /// SHA-256 of its block hashes.
    pub digest: Digest,
}

impl ChunkEntry {
    /// The bytes of the representation that it covers.
    pub fn range(&self) -> Range<u64> {
        self.offset..self.offset.saturating_add(self.bytes)
    }
}

/// A list that does not cover a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChunkListError {
    /// Two entries overlap, or bytes between them are in none.
    #[error("entry {entry} of the chunk list starts at {found}, the entry before ends at {expected}")]
    Gap {
        /// Which entry, from 0.
        entry: usize,
        /// Where it should start.
        expected: u64,
        /// Where it starts.
        found: u64,
    },
    /// The list ends before or after the file.
    #[error("the chunk list covers {covered} bytes, the file has {bytes}")]
    Length {
        /// Bytes in the list.
        covered: u64,
        /// Length of the file.
        bytes: u64,
    },
}

/// Computes an entry's digest from its bytes in order, in slices of any length.
#[derive(Debug, Clone, Default)]
pub struct ChunkHasher {
    block: blake3::Hasher,
    filled: u64,
    digest: catalog::digest::Hasher,
}

impl ChunkHasher {
    /// Adds the next bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = usize::try_from(BLOCK_BYTES - self.filled).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.block.update(now);
            self.filled += now.len() as u64;
            if self.filled == BLOCK_BYTES {
                self.close();
            }
            bytes = later;
        }
    }

    /// The digest of everything added.
    pub fn finish(mut self) -> Digest {
        if self.filled > 0 {
            self.close();
        }
        self.digest.finish()
    }

    fn close(&mut self) {
        self.digest.update(self.block.finalize().as_bytes());
        self.block.reset();
        self.filled = 0;
    }
}

/// The digest that an entry over `bytes` has.
pub fn digest(bytes: &[u8]) -> Digest {
    let mut hasher = ChunkHasher::default();
    hasher.update(bytes);
    hasher.finish()
}

/// Checks that `list` covers a file of `bytes` bytes: in order, without gap or overlap.
pub fn check(list: &[ChunkEntry], bytes: u64) -> Result<(), ChunkListError> {
    let mut expected = 0_u64;
    for (number, entry) in list.iter().enumerate() {
        if entry.offset != expected {
            return Err(ChunkListError::Gap { entry: number, expected, found: entry.offset });
        }
        expected = entry.range().end;
    }
    if expected == bytes { Ok(()) } else { Err(ChunkListError::Length { covered: expected, bytes }) }
}

/// Whether the bytes of `entry`, which `read(offset, buffer)` fills in, have its digest.
///
/// # Errors
///
/// Whatever `read` returns.
pub fn verify_entry<E>(entry: &ChunkEntry, mut read: impl FnMut(u64, &mut [u8]) -> Result<(), E>) -> Result<bool, E> {
    const BUFFER_BYTES: u64 = 4 * BLOCK_BYTES;
    let Some(end) = entry.offset.checked_add(entry.bytes) else {
        return Ok(false);
    };
    let mut buffer = vec![0; usize::try_from(BUFFER_BYTES.min(entry.bytes)).unwrap_or_default()];
    let mut hasher = ChunkHasher::default();
    let mut at = entry.offset;
    while at < end {
        let length = usize::try_from(end - at).map_or(buffer.len(), |left| left.min(buffer.len()));
        let (bytes, _) = buffer.split_at_mut(length);
        read(at, bytes)?;
        hasher.update(bytes);
        at += length as u64;
    }
    Ok(hasher.finish() == entry.digest)
}

/// The entries whose bytes do not have their digest; empty if the file is right. Call [`check`] first.
///
/// # Errors
///
/// Whatever `read` returns.
pub fn verify<E>(list: &[ChunkEntry], mut read: impl FnMut(u64, &mut [u8]) -> Result<(), E>) -> Result<Vec<usize>, E> {
    let mut wrong = Vec::new();
    for (number, entry) in list.iter().enumerate() {
        if !verify_entry(entry, &mut read)? {
            wrong.push(number);
        }
    }
    Ok(wrong)
}

/// Cuts a file into at most `parallel` ranges of about the same length, to be pulled at the same time. Cuts fall on
/// edges of entries where one is near, else on a block's edge, so that parallel parts do not make the gateway verify a
/// block twice.
pub fn plan_parts(list: &[ChunkEntry], parallel: usize) -> Vec<Range<u64>> {
    let bytes = list.last().map_or(0, |entry| entry.range().end);
    let parts = (parallel.max(1) as u64).min(bytes.div_ceil(BLOCK_BYTES).max(1));
    let near = bytes / parts / 4;
    let mut edges: Vec<u64> = Vec::new();
    for number in 1..parts {
        let ideal = u64::try_from(u128::from(bytes) * u128::from(number) / u128::from(parts)).unwrap_or(bytes);
        let first_after = list.partition_point(|entry| entry.range().end <= ideal);
        let Some(entry) = list.get(first_after) else {
            break;
        };
        let range = entry.range();
        let edge = if ideal.abs_diff(range.start) <= near {
            range.start
        } else if ideal.abs_diff(range.end) <= near {
            range.end
        } else {
            range.start + (ideal - range.start) / BLOCK_BYTES * BLOCK_BYTES
        };
        let last = edges.last().copied().unwrap_or(0);
        if edge > last && edge < bytes {
            edges.push(edge);
        }
    }
    edges.push(bytes);
    let mut start = 0;
    edges
        .into_iter()
        .map(|end| {
            let part = start..end;
            start = end;
            part
        })
        .filter(|part| part.start < part.end)
        .collect()
}

#[cfg(test)]
mod tests;
