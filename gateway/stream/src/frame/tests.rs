#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use parquet::file::properties::WriterProperties;
use proptest::prelude::*;

use super::*;
use crate::sample::{Sample, wide, write};

fn original(sample: &Sample) -> Arc<Representation> {
    Arc::new(Representation::original(Arc::clone(&sample.index)))
}

fn read(sample: &Sample, representation: &Arc<Representation>, range: Range<u64>, most: usize) -> Vec<Frame> {
    let mut reader = FrameReader::new(Arc::clone(representation), range, most);
    std::iter::from_fn(|| reader.next(&sample.file)).map(Result::unwrap).collect()
}

fn big() -> Sample {
    Sample::of(write(&wide(40, 100_000), WriterProperties::builder().build()))
}

#[test]
fn frames_of_the_original_are_slices_of_the_mapping() {
    let sample = big();
    let frames = read(&sample, &original(&sample), 0..u64::MAX, FRAME_BYTES);
    let joined: Vec<u8> = frames.iter().flat_map(|frame| frame.bytes.to_vec()).collect();
    assert_eq!(joined, sample.file);
    let mapping = sample.file.as_ptr_range();
    assert!(frames.iter().all(|frame| frame.bytes.len() <= FRAME_BYTES));
    assert!(frames.iter().filter(|f| f.bytes.len() >= SMALL_BYTES).all(|f| mapping.contains(&f.bytes.as_ptr())));
    assert!(frames.len() <= sample.file.len() / (FRAME_BYTES - 2 * 65_536) + 2);
    let delivered: u64 = frames.iter().flat_map(|f| &f.delivered).map(|part| part.range.end - part.range.start).sum();
    assert_eq!(delivered, original(&sample).unit_bytes());
}

#[test]
fn a_changed_byte_stops_the_stream_before_its_block() {
    let sample = big();
    let at = sample.file.len() / 2;
    let mut changed = sample.file.to_vec();
    changed[at] ^= 1;
    let changed = Bytes::from(changed);
    let mut reader = FrameReader::new(original(&sample), 0..u64::MAX, FRAME_BYTES);
    let mut sent = 0;
    let error = loop {
        match reader.next(&changed).unwrap() {
            Ok(frame) => sent += frame.bytes.len(),
            Err(error) => break error,
        }
    };
    assert!(sent <= at);
    let IntegrityError::Block { offset, region } = error else { panic!("{error}") };
    assert!(offset <= at as u64 && at as u64 - offset < BLOCK_BYTES);
    assert_eq!(region, RegionKind::Chunk { row_group: 0, column: 0 });
    assert!(reader.next(&changed).is_none(), "nothing follows an error");
    // One byte of a block is never sent without the whole block being right.
    let near = at as u64 + 10..at as u64 + 11;
    assert!(FrameReader::new(original(&sample), near, FRAME_BYTES).next(&changed).unwrap().is_err());
}

#[test]
fn another_length_is_an_error() {
    let sample = Sample::small();
    for file in [sample.file.slice(..sample.file.len() - 1), Bytes::new()] {
        let error = FrameReader::new(original(&sample), 0..10, FRAME_BYTES).next(&file).unwrap().unwrap_err();
        assert_eq!(error, IntegrityError::Length { expected: sample.index.bytes, found: file.len() as u64 });
    }
}

#[test]
fn small_pieces_are_gathered() {
    let sample = Sample::small();
    let virtual_file = Arc::new(crate::redact::build(&sample.footer, &[0, 2, 4, 6]).unwrap());
    let pieces = virtual_file.slice(0..u64::MAX).count();
    let frames = read(&sample, &virtual_file, 0..u64::MAX, FRAME_BYTES);
    assert!(pieces > 10 && frames.len() < pieces / 2, "{pieces} pieces, {} frames", frames.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_range_in_any_frames_is_the_bytes(start in 0_usize..1_100_000, length in 0_usize..600_000, most in 1_usize..400_000) {
        let sample = Sample::of(write(&wide(20, 50_000), WriterProperties::builder().build()));
        let most = most.max(length / 50 + 1);
        let range = start as u64..(start + length) as u64;
        let frames = read(&sample, &original(&sample), range.clone(), most);
        let joined: Vec<u8> = frames.iter().flat_map(|frame| frame.bytes.to_vec()).collect();
        let end = (start + length).min(sample.file.len());
        prop_assert_eq!(joined, sample.file.slice(start.min(end)..end));
        prop_assert!(frames.iter().all(|frame| frame.bytes.len() <= most && !frame.bytes.is_empty()));
        let delivered: u64 = frames.iter().flat_map(|f| &f.delivered).map(|part| part.range.end - part.range.start).sum();
        let expected: u64 = original(&sample).delivered(range).iter().map(|part| part.range.end - part.range.start).sum();
        prop_assert_eq!(delivered, expected);
    }
}
