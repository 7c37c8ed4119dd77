#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::single_range_in_vec_init
)]

use std::convert::Infallible;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::representation::Representation;
use crate::sample::Sample;

fn all(sample: &Sample, representation: Representation) -> (Vec<u8>, Vec<ChunkEntry>) {
    let list = representation.chunks();
    let mut reader = crate::FrameReader::new(Arc::new(representation), 0..u64::MAX, 1 << 20);
    let bytes =
        std::iter::from_fn(|| reader.next(&sample.file)).flat_map(|frame| frame.unwrap().bytes.to_vec()).collect();
    (bytes, list)
}

fn reader(bytes: &[u8]) -> impl FnMut(u64, &mut [u8]) -> Result<(), Infallible> + '_ {
    |at, buffer| {
        let at = usize::try_from(at).unwrap();
        buffer.copy_from_slice(&bytes[at..at + buffer.len()]);
        Ok(())
    }
}

#[test]
fn the_list_covers_and_verifies_both_kinds_of_file() {
    let sample = Sample::large();
    for representation in
        [Representation::original(Arc::clone(&sample.index)), crate::redact::build(&sample.footer, &[0, 1, 6]).unwrap()]
    {
        let (mut bytes, list) = all(&sample, representation);
        check(&list, bytes.len() as u64).unwrap();
        assert_eq!(verify(&list, reader(&bytes)).unwrap(), Vec::<usize>::new());
        for at in [0, bytes.len() / 3, bytes.len() - 1] {
            bytes[at] ^= 0x40;
            let wrong = verify(&list, reader(&bytes)).unwrap();
            assert!(matches!(wrong.as_slice(), [one] if list[*one].range().contains(&(at as u64))), "{at}: {wrong:?}");
            bytes[at] ^= 0x40;
        }
    }
}

#[test]
fn entries_name_their_column() {
    let sample = Sample::small();
    let (_, list) = all(&sample, crate::redact::build(&sample.footer, &[0, 6]).unwrap());
    let json = serde_json::to_value(&list[1]).unwrap();
    assert_eq!(json["row_group"], 0);
    assert_eq!(json["column"], "id");
    assert!(json["digest"].as_str().unwrap().starts_with("sha256:"));
    assert_eq!(serde_json::from_value::<ChunkEntry>(json).unwrap(), list[1]);
    let footer = serde_json::to_value(list.last().unwrap()).unwrap();
    assert!(footer["row_group"].is_null() && footer["column"].is_null());
}

#[test]
fn gaps_overlaps_and_wrong_lengths_are_refused() {
    let sample = Sample::small();
    let list = Representation::original(Arc::clone(&sample.index)).chunks();
    let mut gap = list.clone();
    gap.remove(2);
    assert!(matches!(check(&gap, sample.index.bytes), Err(ChunkListError::Gap { entry: 2, .. })));
    let mut overlap = list.clone();
    overlap[3].offset -= 1;
    assert!(matches!(check(&overlap, sample.index.bytes), Err(ChunkListError::Gap { entry: 3, .. })));
    assert!(matches!(check(&list, sample.index.bytes + 1), Err(ChunkListError::Length { .. })));
    let mut endless = list;
    endless[0].bytes = u64::MAX;
    endless[0].offset = 8;
    assert!(!verify_entry(&endless[0], |_, _| Err(())).unwrap_or(false));
}

fn entry(offset: u64, bytes: u64) -> ChunkEntry {
    ChunkEntry { row_group: None, column: None, offset, bytes, digest: Digest::of(b"") }
}

#[test]
fn parts_follow_entries_and_blocks() {
    let mb = 1 << 20;
    let list = [entry(0, 4), entry(4, 10 * mb), entry(4 + 10 * mb, 9 * mb)];
    assert_eq!(plan_parts(&list, 2), [0..4 + 10 * mb, 4 + 10 * mb..4 + 19 * mb]);
    let four = plan_parts(&list, 4);
    assert_eq!(four.len(), 4);
    assert_eq!((four[0].end - 4) % BLOCK_BYTES, 0);
    assert_eq!(plan_parts(&list, 0), [0..4 + 19 * mb]);
    assert_eq!(plan_parts(&[], 4), []);
}

proptest! {
    #[test]
    fn parts_tile_the_file(sizes in prop::collection::vec(1_u64..3_000_000, 1..20), parallel in 0_usize..40) {
        let mut at = 0;
        let list: Vec<ChunkEntry> = sizes.iter().map(|bytes| { at += bytes; entry(at - bytes, *bytes) }).collect();
        let parts = plan_parts(&list, parallel);
        prop_assert!(parts.len() <= parallel.max(1));
        prop_assert_eq!(parts.first().unwrap().start, 0);
        prop_assert_eq!(parts.last().unwrap().end, at);
        prop_assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start && pair[0].start < pair[0].end));
    }

    #[test]
    fn the_hasher_does_not_care_how_bytes_arrive(length in 0_usize..200_000, cut in 1_usize..70_000) {
        let bytes: Vec<u8> = (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let mut hasher = ChunkHasher::default();
        for piece in bytes.chunks(cut) { hasher.update(piece); }
        let blocks: Vec<u8> = bytes.chunks(65_536).flat_map(|block| *blake3::hash(block).as_bytes()).collect();
        prop_assert_eq!(hasher.finish(), Digest::of(&blocks));
    }
}
