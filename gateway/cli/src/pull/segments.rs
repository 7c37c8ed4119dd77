//! What is missing of a file, cut into ranges of one request each.

use std::ops::Range;

use gateway_ledger::IntervalSet;
use gateway_stream::chunks::ChunkEntry;

use super::Tuning;

/// Cuts what is missing into segments: about a fair share for each connection, within the limits, and cut at the edges
/// of chunks or of their 64 KiB blocks, so that the gateway verifies no block twice.
pub fn segments(missing: &IntervalSet, chunks: &[ChunkEntry], parallel: usize, tuning: Tuning) -> Vec<Range<u64>> {
    let share = missing.len().div_ceil(parallel.max(1) as u64);
    let length = share.clamp(tuning.segment_bytes_min.max(1), tuning.segment_bytes_max.max(1));
    let mut segments = Vec::new();
    for range in missing.iter() {
        let mut at = range.start;
        while at < range.end {
            let mut end = range.end.min(at.saturating_add(length));
            if end < range.end {
                end = aligned(chunks, end).filter(|edge| *edge > at).unwrap_or(end);
            }
            segments.push(at..end);
            at = end;
        }
    }
    segments
}

/// The last edge of a block at or before `at`.
fn aligned(chunks: &[ChunkEntry], at: u64) -> Option<u64> {
    let place = chunks.partition_point(|chunk| chunk.range().end <= at);
    let chunk = chunks.get(place)?;
    let block = catalog::file_index::BLOCK_BYTES;
    Some(chunk.offset + at.checked_sub(chunk.offset)? / block * block)
}

#[cfg(test)]
mod tests {
    use catalog::Digest;

    use super::*;

    #[test]
    fn segments_cover_what_is_missing_and_nothing_else() {
        let chunk =
            |offset, bytes| ChunkEntry { row_group: None, column: None, offset, bytes, digest: Digest::of(b"") };
        let chunks = [chunk(0, 4), chunk(4, 1_000_000), chunk(1_000_004, 96)];
        let tuning = Tuning { segment_bytes_min: 100_000, segment_bytes_max: 300_000, ..Tuning::default() };
        let missing: IntervalSet = [10..500, 70_000..1_000_100].into_iter().collect();
        let cut = segments(&missing, &chunks, 2, tuning);
        assert_eq!(cut.iter().cloned().collect::<IntervalSet>(), missing);
        assert_eq!(cut.iter().map(|range| range.end - range.start).sum::<u64>(), missing.len());
        assert!(cut.len() >= 4, "{cut:?}");
        // Inner edges lie on blocks of the chunk that starts at byte 4.
        assert!(cut.iter().skip(1).take(2).all(|range| (range.end - 4) % 65_536 == 0), "{cut:?}");
        assert!(segments(&IntervalSet::new(), &chunks, 4, tuning).is_empty());
    }
}
