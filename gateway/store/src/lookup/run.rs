//! Sorted runs: entries of one kind by print, cut into parts that are each found by their first print.
//!
//! An entry is sixteen bytes, print and row, both little-endian.

use super::Print;

/// Entries of a part, unless one print has more: what a page of 8 KiB keeps in itself, of which four fill it.
const PART_MAX: usize = 120;

const ENTRY_BYTES: usize = 16;

/// A part of a run on its way into the table.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) first: Print,
    pub(super) entries: Vec<u8>,
}

/// Cuts sorted entries into parts. Those of one print stay together, so that one look finds them all.
pub(super) fn parts(sorted: &[(Print, i64)]) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::with_capacity(sorted.len().div_ceil(PART_MAX));
    for same in sorted.chunk_by(|a, b| a.0 == b.0) {
        let print = same.first().map_or(0, |(print, _)| *print);
        let bytes = same.iter().flat_map(|(print, row)| [print.to_le_bytes(), row.to_le_bytes()]).flatten();
        match parts.last_mut() {
            Some(last) if last.entries.len() + same.len() * ENTRY_BYTES <= PART_MAX * ENTRY_BYTES => {
                last.entries.extend(bytes);
            }
            _ => parts.push(Part { first: print, entries: bytes.collect() }),
        }
    }
    parts
}

/// The entries of a part; an error gives the length that no part has.
pub(super) fn entries(part: &[u8]) -> Result<impl Iterator<Item = (Print, i64)>, usize> {
    let (entries, rest) = part.as_chunks::<ENTRY_BYTES>();
    if !rest.is_empty() {
        return Err(part.len());
    }
    Ok(entries.iter().map(|entry| {
        let half = |half: Option<&[u8; 8]>| i64::from_le_bytes(half.copied().unwrap_or_default());
        (half(entry.first_chunk()), half(entry.last_chunk()))
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_entry_is_in_the_last_part_that_begins_at_or_before_it(
            mut sorted in prop::collection::vec((-40_i64..40, any::<i64>()), 0..600),
        ) {
            sorted.sort_unstable();
            sorted.dedup();
            let parts = parts(&sorted);
            for print in -41..41 {
                let part = parts.iter().rev().find(|part| part.first <= print);
                let found: Vec<_> = part
                    .map(|part| entries(&part.entries).unwrap().filter(|entry| entry.0 == print).collect())
                    .unwrap_or_default();
                let held: Vec<_> = sorted.iter().copied().filter(|entry| entry.0 == print).collect();
                prop_assert_eq!(found, held);
            }
            let again: Vec<_> = parts.iter().flat_map(|part| entries(&part.entries).unwrap()).collect();
            prop_assert_eq!(again, sorted);
        }
    }

    #[test]
    fn a_part_that_is_cut_short_is_none() {
        let part = parts(&[(1, 2), (3, 4)]).remove(0).entries;
        assert_eq!(entries(&part[..17]).err(), Some(17));
    }
}
